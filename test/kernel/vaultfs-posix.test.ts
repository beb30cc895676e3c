// POSIX behaviour of allowed paths: every case is carried out on the bare directory and through the mount, by the same program.
// Written cases say what is right; of the made ones the bare directory does.

import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { repositoryPath } from '../support/lab/repository.js'
import { CASES, PRODUCT } from '../support/vault/posix-cases.js'
import { cannotServe, type Served, serve } from '../support/vault/served.js'

interface Written {
  readonly name: string
  readonly steps: readonly (readonly string[])[]
  /** What each step gives; undefined where the bare directory says. */
  readonly expected?: readonly string[]
}

const written: readonly Written[] = CASES.map((line) => {
  const steps = line.split(';').map((step) => step.trim().split(/ =(?: |$)/))
  return {
    name: line.replace(/(.)\1{99,}/g, '$1...'),
    steps: steps.map(([step = '']) => step.split(' ')),
    expected: steps.map(([, expected]) => expected ?? 'ok'),
  }
})
const made: readonly Written[] = PRODUCT.map(({ name, steps }) => ({
  name,
  steps: steps.map((step) => step.split(' ')),
}))
const all = [...written, ...made]

const carryOut = (root: string): string[][] => {
  mkdirSync(root)
  const input = JSON.stringify(all.map(({ steps }) => steps))
  const program = repositoryPath('test/support/vault/posix.py')
  return JSON.parse(
    execFileSync('python3', [program, root], { input, encoding: 'utf8', maxBuffer: 1 << 26 }),
  ) as string[][]
}

describe.skipIf(cannotServe).each([
  ['until-revoked', {}],
  ['until-closed', { openFiles: 'until-closed' }],
] as const)(`${all.length} cases through a volume (%s)`, (_, terms) => {
  let at: Served
  let bare: string[][] = []
  let served: string[][] = []
  beforeAll(async () => {
    at = await serve(['read-write /'], terms)
    bare = carryOut(join(at.directory, 'bare'))
    served = carryOut(join(at.mount, 'served'))
  }, 120_000)
  afterAll(() => at.close())

  it.each(written.map((one, i) => ({ ...one, i })))('$name', ({ i, expected }) => {
    expect(bare[i]).toEqual(expected)
    expect(served[i]).toEqual(expected)
  })

  it.each(made.map((one, i) => ({ ...one, i: written.length + i })))('$name', ({ i }) => {
    expect(served[i]).toEqual(bare[i])
  })

  it('refused nothing on the way', async () => {
    expect(await at.refused()).toEqual([])
  })
})
