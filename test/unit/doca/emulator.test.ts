// The software BlueField against programs that are not ours to lower: each is a DOCA Flow program in C with packets in and
// packets out, built with address and undefined-behaviour sanitizers and run by itself. A program says how many things it
// checked; one that checked nothing is a failure.

import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = new URL('../../../', import.meta.url).pathname
const programs = readdirSync(`${root}doca-shims/test/programs`)
  .filter((name) => name.endsWith('.c'))
  .map((name) => name.slice(0, -2))
/** The flat ABI, over emulators of the three shapes. */
const shims = ['shim-30', 'shim-32', 'shim-33']

describe('doca: emulator', () => {
  let checks = 0
  beforeAll(async () => {
    await run('make', ['-s', '-f', 'doca-shims/Makefile', 'programs'], { cwd: root })
  }, 600_000)

  it.each([...programs, ...shims])('does as the semantics say: %s', { timeout: 60_000 }, async (program) => {
    const { stdout } = await run(`${root}build/doca/check/${program}`, [], { timeout: 50_000 })
    const count = Number(/^(\d+) checks\n$/.exec(stdout)?.[1])
    expect(count).toBeGreaterThan(10)
    checks += count
  })

  it('has at least twenty programs, and every one of them checked something', () => {
    console.log(`doca emulator: ${programs.length} programs, ${checks} checks`)
    expect(programs.length).toBeGreaterThanOrEqual(20)
    expect(checks).toBeGreaterThan(1_000)
  })

  it('compiles in each of the three shapes of the API', { timeout: 300_000 }, async () => {
    await run('make', ['-s', '-f', 'doca-shims/Makefile', 'shapes'], { cwd: root })
  })
})
