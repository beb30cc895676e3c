// The directory of machines: whose users must pass through every folder above it, and what is said when one keeps them out.

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { parse } from 'yaml'
import { Fault } from '../../../src/base/fault.js'
import { letPass } from '../../../src/companion/passage.js'
import { repositoryPath } from '../../support/lab/repository.js'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-passage-'))
  chmodSync(root, 0o711)
})
afterEach(() => {
  rmSync(root, { recursive: true, force: true })
})
const faultOf = (act: () => void): Fault => {
  try {
    act()
  } catch (error) {
    if (error instanceof Fault) return error
    throw error
  }
  throw new Error('no fault')
}

it('is made so that others pass through it, and see nothing', () => {
  letPass(join(root, 'machines'), 0o066)
  expect(statSync(join(root, 'machines')).mode & 0o777).toBe(0o711)
  letPass(join(root, 'machines'), 0o066)
})

it('names the folder that keeps them out', () => {
  const state = join(root, 'state')
  mkdirSync(join(state, 'machines'), { recursive: true })
  chmodSync(state, 0o700)
  const fault = faultOf(() => {
    letPass(join(state, 'machines'), 0o066)
  })
  expect([fault.code, fault.message]).toEqual([
    'COMPANION_PASSAGE',
    `no machine can start in ${state}/machines: ${state} has the mode 0700`,
  ])
  expect(fault.remedy).toContain('chmod 0711')
})

it('names a umask that would keep them out of the folders that are made later', () => {
  expect(
    faultOf(() => {
      letPass(join(root, 'machines'), 0o077)
    }).message,
  ).toBe(`no machine can start in ${root}/machines: the umask 0077 of the companion takes the right away`)
})

it('of the example is below none that the shipped units close, and their umask lets pass', () => {
  const { machines, volumes } = parse(readFileSync(repositoryPath('deploy/companion.yaml'), 'utf8')) as {
    machines: { directory: string }
    volumes: { source: string }[]
  }
  const unit = readFileSync(repositoryPath('deploy/systemd/sluice-companion.service'), 'utf8')
  for (const path of [machines.directory, ...volumes.map(({ source }) => source)])
    expect(path).not.toMatch(/^\/(var\/lib|run|var\/log)\/sluice\//)
  expect(unit).toContain(`install -d -m 0711 ${machines.directory}\n`)
  expect(Number.parseInt(/^UMask=(\d+)$/m.exec(unit)?.[1] ?? '', 8) & 0o001).toBe(0)
})
