// The end of a file of bench/: of its process, whoever else has its pipes; of one that does not want to end, and of what it left behind.
// Whatever a file does, those after it are run and all have a result.

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BenchFile } from '../../../src/bench/budget.js'
import { limitMs, over, runOutside, unfinished } from '../../../src/bench/outside.js'
import { repositoryPath } from '../../support/lab/repository.js'

it('does not wait for one that the process left behind with its pipes', async () => {
  const child = spawn('sh', ['-c', 'sleep 120 & echo $!; read line'])
  const ended = over(child, 100)
  const left = await new Promise<number>((resolve) => {
    createInterface({ input: child.stdout }).once('line', (line) => resolve(Number(line)))
  })
  try {
    child.stdin.end()
    await ended
    expect(child.exitCode).toBe(1)
    // It lives, and nobody listens to it.
    expect(process.kill(left, 0)).toBe(true)
    expect([child.stdout.destroyed, child.stderr.destroyed]).toEqual([true, true])
  } finally {
    process.kill(left, 'SIGKILL')
  }
}, 60_000)

it('has everything that a process said before it ended', async () => {
  const child = spawn('sh', ['-c', 'head -c 1000000 /dev/zero'])
  let octets = 0
  child.stdout.on('data', (data: Buffer) => {
    octets += data.length
  })
  child.stderr.resume()
  await over(child, 60_000)
  expect(octets).toBe(1_000_000)
}, 120_000)

const TIMEOUT_MS = 240_000
const folder = mkdtempSync(join(tmpdir(), 'sluice-outside-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** Each says where it is, with a process that would live for ten minutes and has its pipes. */
const START = `
import { execFileSync, spawn } from 'node:child_process'
import { appendFileSync, renameSync, writeFileSync } from 'node:fs'
export const promise = 'a promise'
export const target = 'none'
function there(at) {
  const left = spawn('sleep', ['600'], { stdio: 'inherit' })
  left.unref()
  writeFileSync(at + '.new', process.pid + ' ' + left.pid)
  renameSync(at + '.new', at)
}
`
const FILES = {
  deaf: `
export async function measure() {
  process.removeAllListeners('SIGTERM')
  process.on('SIGTERM', () => undefined)
  there(process.env.AT)
  await new Promise(() => setInterval(() => undefined, 1_000))
}`,
  leaving: `
export async function measure() {
  there(process.env.AT)
  return { figure: '1', rows: ['one: 1', 'two: 2'], met: true, series: [{ name: 'one', unit: 'ms', better: 'lower', samples: [1, 2] }] }
}`,
  babbling: `
export async function measure() {
  process.stdout.write('{ no figure\\n')
  process.exit(0)
}`,
  nameless: `
export const measure = async () => ({ figure: 1, rows: [], met: true })`,
  rowless: `
export const measure = async () => ({ figure: '1', met: true })`,
  numbered: `
export const measure = async () => ({ figure: '1', rows: [1], met: true })`,
  plain: `
export const measure = async () => ({ figure: '1', rows: ['one: 1', 'two: 2'], met: false })`,
  endless: `
export const measure = () => new Promise(() => setInterval(() => undefined, 1_000))`,
  untidy: `
export async function measure({ atEnd }) {
  atEnd(() => new Promise(() => undefined))
  atEnd(() => appendFileSync(process.env.AT + '.cleared', 'first '))
  atEnd(() => { throw new Error('it is gone') })
  atEnd(() => appendFileSync(process.env.AT + '.cleared', 'last '))
  there(process.env.AT)
  await new Promise(() => setInterval(() => undefined, 1_000))
}`,
}
beforeAll(() => {
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, `${name}.mjs`), START + text)
})

const fileOf = (name: keyof typeof FILES, seconds = 100): BenchFile => ({
  name: join(folder, name),
  seconds,
  env: { AT: join(folder, `${name}.pids`), BENCH_CLEAR_MS: '100' },
})
const pidsOf = async (name: keyof typeof FILES): Promise<readonly number[]> => {
  const at = join(folder, `${name}.pids`)
  while (!existsSync(at)) await moment()
  return readFileSync(at, 'utf8').split(' ').map(Number)
}
const moment = () => new Promise((resolve) => setTimeout(resolve, 20))
/** What has ended and was not collected yet (a zombie) is not there either. */
const gone = async (pid: number): Promise<void> => {
  for (;;) {
    try {
      if (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.startsWith('Z')) return
    } catch {
      return
    }
    await moment()
  }
}
const run = (files: readonly BenchFile[], more: { stop?: AbortController; leftMs?: number } = {}) =>
  runOutside(files, {
    leftMs: () => more.leftMs ?? 600_000,
    signal: (more.stop ?? new AbortController()).signal,
    progress: () => undefined,
    graceMs: 200,
  })

describe('a file of bench/', () => {
  it('that does not hear is ended, and its group with it', { timeout: TIMEOUT_MS }, async () => {
    const stop = new AbortController()
    const running = run([fileOf('deaf')], { stop })
    const pids = await pidsOf('deaf')
    expect(pids).toHaveLength(2)
    stop.abort()
    expect(await running).toMatchObject([{ state: 'failed', why: 'it was interrupted', series: [] }])
    for (const pid of pids) await gone(pid)
  })

  it('that never ends has its time, and the next one is run', { timeout: TIMEOUT_MS }, async () => {
    const seen = await run([fileOf('endless', 0.1), fileOf('endless', 3)], { leftMs: 1_000 })
    expect(seen).toMatchObject([
      { state: 'failed', why: 'its time was over before it had a figure' },
      { state: 'skipped', why: 'no time was left' },
    ])
  })

  it('that leaves somebody behind has its figure, and leaves nobody', { timeout: TIMEOUT_MS }, async () => {
    expect(await run([fileOf('leaving')])).toMatchObject([
      { state: 'done', figure: '1', rows: ['one: 1', 'two: 2'], met: true, series: [{ name: 'one', count: 2 }] },
    ])
    for (const pid of await pidsOf('leaving')) await gone(pid)
  })

  it('that tells no figure spoils the results of no other', { timeout: TIMEOUT_MS }, async () => {
    const why = 'what it told is no figure'
    const told = ['babbling', 'nameless', 'rowless', 'numbered', 'leaving'] as const
    expect(await run(told.map((name) => fileOf(name)))).toMatchObject([
      ...told.slice(1).map(() => ({ state: 'failed', why })),
      { state: 'done' },
    ])
  })

  it('is printed alone with its target, its figure and all that it found', { timeout: TIMEOUT_MS }, () => {
    const words = [repositoryPath('scripts/bench.mjs'), '--one', join(folder, 'plain.mjs')]
    expect(execFileSync(process.execPath, words, { encoding: 'utf8' })).toBe(
      'NOT MET  a promise\n         target none\n         measured 1\n           one: 1\n           two: 2\n\n',
    )
  })

  it('may take twice its time and half a minute, and no more than is left', () => {
    const sinks = { name: 'sinks', seconds: 110 }
    expect(limitMs(sinks, 3_600_000)).toBe(250_000)
    expect(limitMs(sinks, 120_000)).toBe(120_000)
    const [seen] = [
      { name: 'sinks', state: 'failed' as const, why: 'it took more than twice the time that is kept for it' },
    ]
    const common = { promise: '', target: '', emulated: false, command: '', tookSeconds: 250, series: [] }
    expect(unfinished([{ ...common, ...seen }])).toBe('twice its time was not enough for bench/sinks')
  })

  it('that is told to end takes away what it can, in its time', { timeout: TIMEOUT_MS }, async () => {
    const { name, env } = fileOf('untidy')
    const words = [repositoryPath('scripts/bench.mjs'), '--tell', `${name}.mjs`]
    const child = spawn(process.execPath, words, { env: { ...process.env, ...env }, stdio: 'ignore', detached: true })
    const ended = new Promise<number | null>((resolve) => {
      child.once('exit', resolve)
    })
    const pids = await pidsOf('untidy')
    try {
      child.kill('SIGTERM')
      expect(await ended).toBe(143)
      expect(readFileSync(join(folder, 'untidy.pids.cleared'), 'utf8')).toBe('last first ')
    } finally {
      for (const left of pids.slice(1)) process.kill(left, 'SIGKILL')
    }
  })
})
