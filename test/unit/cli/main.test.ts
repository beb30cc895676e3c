// The frame of the command line: every command documents itself, every reaction has its exit code, and --json is always one
// document, also when something breaks.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { takeLock } from '../../../src/agent/lock.js'
import type { Host } from '../../../src/cli/host.js'
import { type Schema, validateOcsf } from '../../support/ocsf-validator.js'
import { Operator } from '../../support/operator.js'
import { sharedFolder } from '../../support/shared-data.js'

let operator: Operator
beforeEach(() => {
  operator = new Operator()
})
afterEach(() => operator.close())

const COMMANDS = [
  'agent',
  'apply',
  'attach',
  'audit query',
  'audit reconcile',
  'audit seal',
  'audit verify',
  'bench compare',
  'bench run',
  'bundle init',
  'bundle inspect',
  'bundle keygen',
  'bundle pack',
  'bundle pull',
  'bundle push',
  'bundle rollback',
  'bundle sign',
  'bundle verify',
  'companion',
  'decide ask',
  'decide verify',
  'detach',
  'diff',
  'doctor',
  'evidence make',
  'evidence verify',
  'explain',
  'floor',
  'follow',
  'image fetch',
  'init',
  'inventory sign',
  'mediate',
  'migrate',
  'plan',
  'policy check',
  'policy suggest',
  'publish breakglass',
  'publish cosign',
  'publish delegation',
  'publish freshness',
  'publish images',
  'publish promote',
  'publish registration',
  'publish release',
  'publish revoke',
  'publish rotate',
  'quarantine breakglass',
  'quarantine lift',
  'quarantine set',
  'receipt verify',
  'recover clock',
  'recover state',
  'status',
  'uninstall',
  'watch',
  'workspace console',
  'workspace create',
  'workspace delete',
  'workspace kill',
  'workspace list',
  'workspace rebake',
  'workspace revoke',
  'workspace session',
  'workspace start',
  'workspace stop',
] as const

describe('help', () => {
  for (const name of COMMANDS)
    it(`of ${name} has --json and an example of itself`, async () => {
      const { exit, out } = await operator.sluice(`${name} --help`)
      expect(exit).toBe(0)
      expect(out).toContain('--json')
      // `run` is what `bench` does when nothing else is named.
      const called = name === 'bench run' ? 'bench' : name
      expect(out).toMatch(new RegExp(`Example:\\n  \\$ sluice ${called}( |\\n)`))
    })

  it('lists no command that is not here', async () => {
    const listed: string[] = []
    const namesIn = (text: string): string[] =>
      [...(text.split('Commands:')[1] ?? '').matchAll(/^ {2}(\w+)/gm)]
        .map((match) => match[1] ?? '')
        .filter((n) => n !== 'help')
    const groups = [
      'bundle',
      'publish',
      'audit',
      'evidence',
      'receipt',
      'policy',
      'inventory',
      'quarantine',
      'recover',
      'decide',
      'bench',
      'image',
      'workspace',
    ]
    for (const name of namesIn((await operator.sluice('--help')).out))
      if (groups.includes(name))
        listed.push(...namesIn((await operator.sluice(`${name} --help`)).out).map((one) => `${name} ${one}`))
      else listed.push(name)
    expect(listed.sort()).toEqual([...COMMANDS].sort())
  })
})

describe('exit codes', () => {
  it('are 75 while another command holds the node, and nothing was changed', async () => {
    await operator.sluice('init . --backend memory')
    const release = takeLock(join(operator.directory, 'state', 'apply.lock'))
    const busy = await operator.sluice('apply bundle --inventory inventory.yaml --json')
    expect(busy.exit).toBe(75)
    expect(JSON.parse(busy.out)).toMatchObject({ error: { code: 'AGENT_BUSY' } })
    expect(JSON.parse((await operator.sluice('status --json')).out)).toMatchObject({ state: 'nothing' })
    release()
    expect((await operator.sluice('apply bundle --inventory inventory.yaml')).exit).toBe(0)
  })

  it('are 70 for a defect of ours, with the stack only when it is asked for', async () => {
    const broken = (host: Host): Host => ({
      ...host,
      readBundle: () => Promise.reject(new TypeError('x is not a function')),
    })
    const { exit, error } = await operator.sluice('bundle inspect somewhere', broken)
    expect(exit).toBe(70)
    expect(error).toContain('INTERNAL: x is not a function')
    expect(error).not.toMatch(/\n {4}at /)
    const traced = await operator.sluice('bundle inspect somewhere', (host) => ({
      ...broken(host),
      environment: (name) => (name === 'SLUICE_TRACE' ? '1' : undefined),
    }))
    expect(traced.error).toMatch(/\n {4}at /)
  })

  it('are 70 for a damaged store, which stops every change', async () => {
    await operator.sluice('init . --backend memory')
    operator.shell('sed -i s/lastGeneration/lastGeneratiom/ state/state.json')
    for (const line of [
      'status',
      'apply bundle --inventory inventory.yaml',
      "quarantine lift spiffe://fleet.example/ws/ws0 --reason 'x'",
    ]) {
      const { exit, error } = await operator.sluice(line)
      expect([line, exit]).toEqual([line, 70])
      expect(error).toContain('AGENT_STORE_DAMAGED')
    }
    // Fencing goes on without it, and says what is wrong.
    const fenced = await operator.sluice("quarantine set spiffe://fleet.example/ws/ws0 --reason 'x'")
    expect(fenced.exit).toBe(0)
    expect(fenced.error).toMatch(
      /^warning: .*state\.json is damaged or was changed by hand.*; the kernel was asked instead\n$/,
    )
  })

  it('a quarantine is set without a trust root, and lifted with one', async () => {
    await operator.sluice('init . --backend memory')
    operator.shell('echo { > root.json')
    const applied = await operator.sluice('apply bundle --inventory inventory.yaml')
    expect([applied.exit, applied.error]).toEqual([2, expect.stringContaining('BUNDLE_ROOT')])
    expect((await operator.sluice("quarantine set spiffe://fleet.example/ws/ws0 --reason 'x'")).exit).toBe(0)
    const lift = await operator.sluice("quarantine lift spiffe://fleet.example/ws/ws0 --reason 'x'")
    expect([lift.exit, lift.error]).toEqual([2, expect.stringContaining('BUNDLE_ROOT')])
  })
})

describe('--json', () => {
  it('is one document and nothing else, for outcomes and for errors', async () => {
    await operator.sluice('init . --backend memory')
    for (const line of [
      'bundle inspect bundle',
      'bundle verify bundle --trust root.json --audience fleet.example/dev',
      'bundle verify nothing --trust root.json --audience fleet.example/dev',
      'policy check bundle/fence.yaml',
      'plan bundle --inventory inventory.yaml --config agent.yaml',
      'apply bundle --inventory inventory.yaml',
      'diff bundle bundle --inventory inventory.yaml --backend memory',
      'status',
      'explain --workspace w --packet nonsense',
      'quarantine lift w --reason x',
      'doctor',
      'uninstall',
    ]) {
      const { out, error } = await operator.sluice(`${line} --json`)
      expect([line, typeof JSON.parse(out), error]).toEqual([line, 'object', ''])
    }
  })
})

describe('uninstall', () => {
  it('asks, says what it will do, and does nothing before yes', async () => {
    await operator.sluice('init . --backend memory')
    expect((await operator.sluice('uninstall')).exit).toBe(2)
    expect(operator.questions).toHaveLength(1)
    expect(operator.questions[0]).toContain('are not fenced after it')
    expect((await operator.sluice('status')).exit).toBe(0)
    operator.answer = true
    expect((await operator.sluice('uninstall')).exit).toBe(0)
    expect((await operator.sluice('status')).exit).toBe(2)
  })
})

describe('the trail of a session', () => {
  const folder = sharedFolder('SLUICE_OCSF')
  if (folder !== undefined)
    it('is strictly valid, in sequence, and tells every deed', async () => {
      const schema = JSON.parse(readFileSync(join(folder, 'ocsf-1.8.0-trimmed.json'), 'utf8')) as Schema
      await operator.sluice('init . --backend memory')
      await operator.sluice('apply bundle --inventory inventory.yaml')
      operator.shell('cp -r bundle forged && echo >> forged/fence.yaml')
      await operator.sluice('apply forged --inventory inventory.yaml')
      await operator.sluice('apply nowhere --inventory inventory.yaml')
      await operator.sluice("quarantine set spiffe://fleet.example/ws/ws0 --reason 'x'")
      await operator.sluice("quarantine lift spiffe://fleet.example/ws/ws0 --reason 'x'")
      const lines = readFileSync(join(operator.directory, 'events.ndjson'), 'utf8').trimEnd().split('\n')
      const events = lines.map((line) => JSON.parse(line) as { metadata: { sequence: number }; message: string })
      for (const event of events) expect(validateOcsf(schema, event)).toEqual([])
      expect(events.map((event) => event.metadata.sequence)).toEqual(events.map((_, i) => i + 1))
      const told = events.map((event) => event.message).join('\n')
      for (const words of [
        'sample revision 1 verified',
        'active as generation 1',
        'quarantine of',
        'quarantine lifted',
      ])
        expect(told).toContain(words)
    })
})
