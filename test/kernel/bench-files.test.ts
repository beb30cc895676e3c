// Files of bench/ that are told to end in the middle: they hear of it before they have a figure, and leave nothing where temporary files
// are, or pinned. Each is told once it has something there, or has begun to measure. And one whose figures are of several processes, so that its
// interval covers what differs between them. Needs root, a build and, for one of them, unbound.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { runOutside } from '../../src/bench/outside.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-interrupted-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const run = (name: string, signal: AbortSignal, env: Readonly<Record<string, string>> = {}) =>
  runOutside([{ name, seconds: 300, env: { TMPDIR: folder, ...env } }], {
    leftMs: () => 3_600_000,
    signal,
    progress: () => undefined,
  })

labSuite('a file of bench/ that is told to end', () => {
  it.each(['journal', 'journal-verify', 'change', 'dns'])(
    'takes its folder away: %s',
    { timeout: 240_000 },
    async (name) => {
      const stop = new AbortController()
      let over = false
      const running = run(name, stop.signal).finally(() => {
        over = true
      })
      while (!over && readdirSync(folder).length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
      stop.abort()
      expect(await running).toMatchObject([{ state: 'failed', why: 'it was interrupted' }])
      expect(readdirSync(folder)).toEqual([])
    },
  )

  it('takes what it pinned away: change', { timeout: 240_000 }, async () => {
    const words = ['-n', process.execPath, repositoryPath('scripts/bench.mjs'), '--tell', 'change.mjs']
    const child = spawn('unshare', words, { env: { ...process.env, TMPDIR: folder }, stdio: 'ignore' })
    const ended = once(child, 'exit')
    while (child.exitCode === null && readdirSync(folder).length === 0)
      await new Promise((resolve) => setTimeout(resolve, 10))
    // Others have pins beside it, each by the number of its network namespace.
    const code = `import { pinsOf } from '${repositoryPath('dist/backends/ebpf/fence.js')}'
import { Native } from '${repositoryPath('dist/backends/ebpf/native.js')}'
console.log(pinsOf(Native.open()))`
    const inside = ['-t', String(child.pid), '-n', process.execPath, '--input-type=module', '-e', code]
    const pins = dirname(execFileSync('nsenter', inside, { encoding: 'utf8' }))
    expect([pins, existsSync(pins)]).toEqual([expect.stringMatching(/\/net-\d+$/), true])
    child.kill('SIGTERM')
    expect(await ended).toEqual([143, null])
    expect(existsSync(pins)).toBe(false)
  })

  it('hears of it between two measurements: decide', { timeout: 240_000 }, async () => {
    // Told by itself as it begins to measure: whoever does not hear of it then has a figure in the end.
    const told = `const { cpuUsage } = process
let before = false
process.cpuUsage = (...given) => {
  if (!before) process.kill(process.pid, 'SIGTERM')
  before = true
  return cpuUsage.apply(process, given)
}`
    const imported = `--import=data:text/javascript,${encodeURIComponent(told)}`
    const seen = await run('decide', new AbortController().signal, { NODE_OPTIONS: imported })
    expect(seen).toMatchObject([{ state: 'failed', why: 'it ended without a figure' }])
  })
})

labSuite('what a file of bench/ measures in processes of its own', () => {
  it('is compared by the median of each of five: learn', { timeout: 240_000 }, async () => {
    const [seen] = await run('learn', new AbortController().signal)
    expect(seen).toMatchObject({ state: 'done', figure: expect.stringMatching(/^[\d.]+ us \(median\)$/) as string })
    expect(seen?.rows?.map((row) => / in 5 processes/.test(row))).toEqual([true, true])
    expect(seen?.series.map(({ name, count }) => [name, count])).toEqual([
      ['eBPF, one learned grant', 5],
      ['eBPF, a quarantine written and read back', 5],
    ])
  })
})
