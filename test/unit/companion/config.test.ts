// companion.yaml: the shipped example has every key and is taken whole; what it may not say is found, each with its place.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import type { Keys } from '../../../src/agent/config.js'
import { Fault } from '../../../src/base/fault.js'
import { COMPANION_KEYS, parseCompanion } from '../../../src/companion/config.js'
import { repositoryPath } from '../../support/lab/repository.js'

const EXAMPLE = readFileSync(repositoryPath('deploy/companion.yaml'), 'utf8')
const read = (text: string) => parseCompanion(new TextEncoder().encode(text), 'companion.yaml', '/etc/sluice')
const notesOf = (text: string): string[] => {
  try {
    read(text)
  } catch (error) {
    if (error instanceof Fault && error.code === 'COMPANION_CONFIG')
      return error.notes.map(({ line, path, say }) => `${line} ${path}: ${say}`)
    throw error
  }
  return []
}

describe('the example of deploy/', () => {
  it('is taken', () => {
    const { networks, hooks, volumes, machines, images, waitInitialMs } = read(EXAMPLE)
    expect(networks.map(({ name, kind }) => `${name} ${kind}`)).toEqual(['ws0 tap', 'vf0 representor'])
    expect(hooks.map(({ name, kind, tries }) => `${name} ${kind} ${tries}`)).toEqual([
      'portal webhook 2',
      'local command 1',
    ])
    expect(volumes).toHaveLength(2)
    expect([machines.graceMs, waitInitialMs, images.maxAgeMs]).toEqual([30_000, 60_000, 30 * 86_400_000])
  })

  it('takes no stream that would take back delegations, which nothing here decides about', () => {
    const [stream] = read(EXAMPLE).revocation?.streams ?? []
    expect(stream?.events).toContain('session-revoked')
    expect(stream?.events).not.toContain('delegation-revoked')
    const asked = EXAMPLE.replace('    - name: idp\n', '    - name: idp\n      events: [delegation-revoked]\n')
    expect(notesOf(asked)).toEqual([expect.stringContaining('revocation.streams[0].events')])
  })

  it('has every key but those of revocation, which have examples of their own', () => {
    const document = parse(EXAMPLE) as Record<string, unknown>
    const missing = (keys: Keys, at: unknown, path: string): string[] =>
      Object.entries(keys).flatMap(([name, key]) => {
        if (name === 'revocation') return []
        const value = (at as Record<string, unknown> | undefined)?.[name]
        const below = `${path}${name}`
        if (value === undefined) return [below]
        if (key.section) return missing(key.section, value, `${below}.`)
        if (!key.list) return []
        const { by, keys: tables } = key.list
        return Object.entries(tables).flatMap(([word, table]) => {
          const item = (value as Record<string, unknown>[]).find((one) => one[by] === word)
          return item ? missing(table, item, `${below}.${word}.`) : [`${below}.${word}`]
        })
      })
    expect(missing(COMPANION_KEYS, document, '')).toEqual([])
  })
})

describe('findings', () => {
  it.each([
    ['first_user: 63000', 'first_user: 0', 'machines.first_user: expected a whole number from 1000 to 2000000000'],
    ['driver: qemu', 'driver: quemu', 'machines.driver: expected one of qemu, libvirt; did you mean qemu?'],
    ...['qemu:///session', 'qemu+ssh://h1.example/system', 'qemu:///system?socket=run', 'xen:///system'].map((uri) => [
      'libvirt_uri: qemu:///system',
      `libvirt_uri: ${uri}`,
      'machines.libvirt_uri: expected a system libvirt of this host, such as qemu:///system',
    ]),
    [
      'max_image_age: 30d',
      'max_image_age: 30',
      'images.max_image_age: expected a time such as 14d, 36h or 90m, of at most 366 days',
    ],
    [
      'max_image_age: 30d',
      'max_image_age: 367d',
      'images.max_image_age: expected a time such as 14d, 36h or 90m, of at most 366 days',
    ],
    ['kind: tap', 'kind: veth', 'networks[0].kind: expected kind to be one of tap, representor'],
    ['gateway_mac:', 'gatewaymac:', 'networks[0].gatewaymac: unknown key "gatewaymac"; did you mean gateway_mac?'],
    ['pci: 0000:03:00.2', 'pci: 03:00.2', 'networks[1].pci: expected a PCI address such as 0000:03:00.2'],
    ['url: https://broker', 'url: http://broker', 'broker[0].url: expected an https address'],
    ['tries: 1}', 'tries: 9}', 'broker[1].tries: expected a whole number from 1 to 5'],
    [
      'timeout_seconds: 2, tries: 1',
      'timeout_seconds: 10, tries: 5',
      'broker[1]: local may take 52.5 s (5 tries of 10 s and the pauses between them); it must be less than 20 s',
    ],
    ['interface: pf0vf0', 'interface: ws0', 'networks[1]: vf0 has the interface, the MAC or the VF of ws0'],
  ])('%s as %s', (from, to, note) => {
    const line = /^(networks|broker)\[1\]: /.test(note) ? 0 : EXAMPLE.slice(0, EXAMPLE.indexOf(from)).split('\n').length
    expect(notesOf(EXAMPLE.replace(from, to))).toContain(`${line} ${note}`)
  })
})
