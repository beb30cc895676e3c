// The files of bench/ as parts of a run: each in a process of its own, and as root in a network namespace of its own, as
// scripts/bench.mjs runs it by hand. What a file returns beside its verdict (`series`) goes into the results. A file that has no time
// left is skipped, and one that fails says so; neither ends the run. One that takes more than twice its time is told to end, and a while
// later it and everything of its process group is ended, so that it takes neither the time of others nor the results of all.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { causeChain } from '../base/fault.js'
import type { BenchFile } from './budget.js'
import type { BenchSeen, Better, Series } from './results.js'
import { ascending, quantile } from './statistics.js'

const SCRIPT = fileURLToPath(new URL('../../scripts/bench.mjs', import.meta.url))

/** For what a file that has ended still has in its pipes. */
const LAST_WORDS_MS = 5_000
/** From being told to end until it is ended: scripts/bench.mjs clears for less. */
const GRACE_MS = 25_000

const INTERRUPTED = 'it was interrupted'
const NO_TIME = 'no time was left'
const TIME_OVER = 'its time was over before it had a figure'
const OVERDUE = 'it took more than twice the time that is kept for it'

interface Told {
  readonly promise: string
  readonly target: string
  /** One line; the rest is in rows. */
  readonly figure: string
  readonly rows: readonly string[]
  readonly met: boolean
  readonly series?: readonly {
    readonly name: string
    readonly unit: string
    readonly better: Better
    readonly limit?: number
    readonly samples: readonly number[]
  }[]
}

export interface OutsideTerms {
  readonly leftMs: () => number
  readonly signal: AbortSignal
  /** With the time that this file and those after it will take. */
  readonly progress: (say: string, leftSeconds: number) => void
  /** What runs a file; scripts/bench.mjs where nothing is said. */
  readonly script?: string
  readonly graceMs?: number
}

/** What a file may take before it is told to end. */
export const limitMs = ({ seconds }: BenchFile, leftMs: number): number =>
  Math.max(1_000, Math.min(leftMs, (2 * seconds + 30) * 1_000))

export async function runOutside(files: readonly BenchFile[], terms: OutsideTerms): Promise<readonly BenchSeen[]> {
  const seen: BenchSeen[] = []
  for (const [at, file] of files.entries()) {
    const settings = Object.entries(file.env ?? {}).map(([name, value]) => `${name}=${value} `)
    const command = `${settings.join('')}node scripts/bench.mjs ${file.name}`
    const nothing = { name: file.name, promise: '', target: '', emulated: file.emulated ?? false, command, series: [] }
    const skip = (why: string): void => {
      seen.push({ ...nothing, state: 'skipped', why, tookSeconds: 0 })
    }
    if (!existsSync(terms.script ?? SCRIPT)) skip('this installation has no folder bench/')
    else if (terms.signal.aborted) skip(INTERRUPTED)
    else if (file.seconds * 1_000 > terms.leftMs()) skip(NO_TIME)
    else {
      const left = files.slice(at).reduce((sum, { seconds }) => sum + seconds, 0)
      terms.progress(`bench/${file.name}.mjs`, Math.min(left, terms.leftMs() / 1_000))
      const began = performance.now()
      const told = await one(file, terms).catch((error: unknown) => causeChain(error).join(': '))
      const tookSeconds = Math.round((performance.now() - began) / 100) / 10
      if (typeof told === 'string') seen.push({ ...nothing, state: 'failed', why: told, tookSeconds })
      else {
        const { promise, target, figure, rows, met, series = [] } = told
        const done = { ...nothing, promise, target, figure, rows, met, tookSeconds }
        seen.push({ ...done, state: 'done', series: series.map(seriesOf) })
      }
    }
  }
  return seen
}

/** Why a run is not complete for its files: those that found no time, and those that an interruption left out. */
export function unfinished(benches: readonly BenchSeen[]): string | undefined {
  const named = (...whys: readonly string[]): string =>
    benches
      .filter(({ state, why }) => state !== 'done' && why !== undefined && whys.includes(why))
      .map(({ name }) => `bench/${name}`)
      .join(', ')
  const [late, overdue, stopped] = [named(NO_TIME, TIME_OVER), named(OVERDUE), named(INTERRUPTED)]
  const parts = [
    ...(late === '' ? [] : [`no time was left for ${late}`]),
    ...(overdue === '' ? [] : [`twice its time was not enough for ${overdue}`]),
    ...(stopped === '' ? [] : [`it was interrupted before the end of ${stopped}`]),
  ]
  return parts.length === 0 ? undefined : parts.join('; ')
}

/** What the file told, or why it did not. */
async function one(file: BenchFile, terms: OutsideTerms): Promise<Told | string> {
  const { signal, leftMs, script = SCRIPT, graceMs = GRACE_MS } = terms
  // A group of its own can be ended as a whole, and is told to end when this process is gone, since no terminal tells it.
  const apart = process.getuid?.() === 0 ? ['setpriv', '--pdeathsig', 'TERM', 'unshare', '-n'] : []
  const [program = '', ...words] = [...apart, process.execPath, script, '--tell', `${file.name}.mjs`]
  const child = spawn(program, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...file.env },
    detached: true,
  })
  let late: string | undefined
  let kill: NodeJS.Timeout | undefined
  const stop = (): void => {
    child.kill('SIGTERM')
    kill ??= setTimeout(() => endGroup(child), graceMs)
  }
  const left = leftMs()
  const most = limitMs(file, left)
  const end = setTimeout(() => {
    late = most < left ? OVERDUE : TIME_OVER
    stop()
  }, most)
  signal.addEventListener('abort', stop)
  // Whatever it left behind would take the processor from the next one.
  child.once('exit', () => endGroup(child))
  let told: string | undefined
  let error = ''
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('{')) told = line
  })
  child.stderr.on('data', (text: Buffer) => {
    error = `${error}${text.toString()}`.slice(-2_000)
  })
  try {
    await over(child)
  } finally {
    clearTimeout(end)
    clearTimeout(kill)
    signal.removeEventListener('abort', stop)
  }
  if (told !== undefined) return toldBy(told) ?? 'what it told is no figure'
  if (signal.aborted) return INTERRUPTED
  if (late !== undefined) return late
  return error.split('\n').find((line) => /^\w*(Error|Fault)\b/.test(line)) ?? 'it ended without a figure'
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left in it.
  }
}

/** What a line says, where it says what a file of bench/ does; another would spoil the results of all. */
function toldBy(line: string): Told | undefined {
  try {
    const { promise, target, figure, rows, met, series = [] } = JSON.parse(line) as Partial<Told>
    const lines: readonly unknown[] | undefined = Array.isArray(rows) ? rows : undefined
    if (lines === undefined) return undefined
    const texts = [promise, target, figure, ...lines, ...series.flatMap(({ name, unit }) => [name, unit])]
    const sound = series.every(
      ({ better, limit = 1, samples }) =>
        ['higher', 'lower'].includes(better) && limit > 0 && [limit, ...samples].every((one) => Number.isFinite(one)),
    )
    if (typeof met !== 'boolean' || !sound || texts.some((text) => typeof text !== 'string')) return undefined
    return { promise, target, figure, rows, met, series } as Told
  } catch {
    // No JSON, or of another shape.
    return undefined
  }
}

/** Until a process has ended and its pipes with it. What it started has its pipes as well and may live on, and then they never end: a
 * while after the process nobody reads them any more, so that one that was left behind keeps neither the run nor this process. */
export async function over(child: ChildProcess, lastWordsMs = LAST_WORDS_MS): Promise<void> {
  const closed = once(child, 'close')
  // Where it cannot be started neither comes, and `closed` says why.
  await Promise.race([once(child, 'exit'), closed])
  let enough: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    enough = setTimeout(resolve, lastWordsMs)
  })
  await Promise.race([closed, late])
  clearTimeout(enough)
  for (const pipe of [child.stdout, child.stderr]) pipe?.destroy()
}

const MOST_SAMPLES = 1_000

/** As bench/said/tail.mjs has it. */
const LEAST_OF_TAIL = 100

export function seriesOf({ name, unit, better, limit, samples }: NonNullable<Told['series']>[number]): Series {
  const sorted = ascending(samples)
  const percents = sorted.length === 0 ? [] : [0, 25, 50, 75, 90, ...(sorted.length < LEAST_OF_TAIL ? [] : [99]), 100]
  const at = (percent: number): number =>
    percent === 99 ? (sorted[Math.ceil(sorted.length * 0.99) - 1] as number) : quantile(sorted, percent / 100)
  const step = Math.max(1, samples.length / MOST_SAMPLES)
  return {
    name,
    unit,
    better,
    count: samples.length,
    ...(limit === undefined ? {} : { limit }),
    quantiles: percents.map((percent) => ({ percent, value: at(percent) })),
    samples: Array.from(
      { length: Math.min(samples.length, MOST_SAMPLES) },
      (_, i) => samples[Math.floor(i * step)] ?? 0,
    ),
  }
}
