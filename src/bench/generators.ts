// One repetition of one probe: runs the traffic, counts the CPU time of the machine meanwhile, and gives what came of it. iperf3 for
// streams within this machine, sluice-load for everything that is counted in transactions or packets and for all between two (whose CPU
// time is of both then), autocannon for HTTP. A generator that fails gives nothing for that repetition and says why; the figure then
// rests on fewer (figure.ts).

import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Answering } from './answering.js'
import type { Raw } from './assemble.js'
import { benchFault } from './errors.js'
import { GENERATOR, type Ground } from './ground.js'
import { cpuSeconds, received } from './machine.js'
import { KNOWN_FLOWS, type Probe, STREAM_MS } from './matrix.js'
import { PORTS, SERVER, type Setting, share } from './setting.js'

type Measured = Pick<
  Raw,
  'value' | 'commands' | 'cpuSeconds' | 'work' | 'latency' | 'paced' | 'tried' | 'failed' | 'resets' | 'deviation'
>

/** Where traffic goes and how it gets there. */
export interface Path {
  readonly client: readonly string[]
  /** Words that keep a command on its processor. */
  readonly pinned: readonly string[]
  readonly address: (family: 'ipv4' | 'ipv6') => string
  /** Of the echo; the others follow it. */
  readonly port: number
  /** Absent between hosts: streams are then counted by sluice-load, which knows whom it serves. */
  readonly ground?: Ground
  /** Between hosts: what the other end says of itself. */
  readonly there?: () => Promise<Answering>
}

export const pathOf = (ground: Ground): Path => ({
  client: ground.client,
  pinned: ground.onClient,
  address: (family) => SERVER[family].address,
  port: PORTS.echo,
  ground,
})

/** Asks by autocannon's API, whose command line rounds latencies to whole milliseconds. */
const HTTP_GENERATOR = fileURLToPath(new URL('../../scripts/autocannon.mjs', import.meta.url))

const execute = promisify(execFile)
const SLACK_MS = 30_000

/** Runs a command and gives its output with the CPU time of the machine, or of both. */
async function run(
  words: readonly string[],
  forMs: number,
  there?: Path['there'],
): Promise<{ readonly stdout: string; readonly cpuSeconds: number }> {
  const old = await there?.()
  const before = cpuSeconds()
  const [file = '', ...rest] = words
  const { stdout } = await execute(file, rest, { maxBuffer: 1 << 26, timeout: forMs + SLACK_MS })
  const here = cpuSeconds().busy - before.busy
  const now = await there?.()
  return { stdout, cpuSeconds: here + (now?.busySeconds ?? 0) - (old?.busySeconds ?? 0) }
}

/** What sluice-load says of a run. */
interface Tally {
  readonly done: number
  readonly failed: number
  readonly resets: number
  readonly seconds: number
  readonly slices: readonly number[]
  readonly buckets: readonly (readonly [number, number])[]
}

/** A command as a reader would type it in the namespace. */
const shown = ({ pinned }: Pick<Path, 'pinned'>, words: readonly string[]): string =>
  [...pinned, ...words].join(' ').replace(GENERATOR, 'sluice-load')

/** The largest deviation of a tenth from the mean of all, as a share of it: of RFC 9411's sustain phase. */
export function deviationOf(slices: readonly number[]): number {
  const mean = slices.reduce((sum, one) => sum + one, 0) / Math.max(1, slices.length)
  return mean === 0 ? 0 : Math.max(...slices.map((one) => Math.abs(one - mean))) / mean
}

async function tally(path: Path, words: readonly string[], ms: number): Promise<{ tally: Tally; cpuSeconds: number }> {
  const { stdout, cpuSeconds: cpu } = await run([...path.client, ...path.pinned, GENERATOR, ...words], ms, path.there)
  return { tally: JSON.parse(stdout) as Tally, cpuSeconds: cpu }
}

async function transactions(path: Path, { question, family, flows, ms, paced }: Probe): Promise<Measured> {
  const kind = question === 'tcp-crr' ? 'crr' : 'rr'
  const port = path.port + (kind === 'crr' ? 1 : 0)
  const words = [kind, path.address(family), String(port), String(ms), String(flows)]
  const { tally: most, cpuSeconds: cpu } = await tally(path, words, ms)
  const within = most.slices.reduce((sum, one) => sum + one, 0)
  const counted = {
    value: within / (ms / 1_000),
    cpuSeconds: cpu,
    work: most.done / 1_000,
    deviation: deviationOf(most.slices),
  }
  const common = { tried: most.done + most.failed, failed: most.failed, resets: most.resets }
  if (paced === undefined)
    return { ...counted, ...common, commands: [shown(path, [GENERATOR, ...words])], latency: most.buckets }
  const timed = [...words, String(paced)]
  const { tally: clock } = await tally(path, timed, ms)
  return {
    ...counted,
    tried: common.tried + clock.done + clock.failed,
    failed: common.failed + clock.failed,
    resets: common.resets + clock.resets,
    commands: [words, timed].map((one) => shown(path, [GENERATOR, ...one])),
    latency: clock.buckets,
    paced: true,
  }
}

/** Between hosts, where the server must know whom it serves, and for less than a second. */
async function ownStream(path: Path, { family, flows, ms }: Probe): Promise<Measured> {
  const words = ['stream', path.address(family), String(path.port + 2), String(ms), String(flows)]
  const { tally: seen, cpuSeconds: cpu } = await tally(path, words, ms)
  const gbit = (seen.done * 8) / 1e9
  return {
    value: gbit / seen.seconds,
    cpuSeconds: cpu,
    work: gbit,
    deviation: deviationOf(seen.slices),
    commands: [shown(path, [GENERATOR, ...words])],
  }
}

interface Iperf {
  readonly intervals: readonly { readonly sum: { readonly bits_per_second: number } }[]
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number; readonly bytes: number }
    readonly sum?: { readonly bits_per_second: number; readonly bytes: number; readonly lost_percent: number }
  }
}

/** How a stream is asked for: its tenths where it is long, otherwise the fifths of its seconds; and how many of them are whole, since the
 * last one that iperf3 tells is what was left over. */
export function intervalsOf(ms: number): { readonly seconds: number; readonly each: number; readonly whole: number } {
  const seconds = Math.max(1, Math.round(ms / 1_000))
  const each = seconds >= 10 ? seconds / 10 : 0.2
  return { seconds, each, whole: Math.round(seconds / each) }
}

async function iperf(path: Path, { question, family, flows, ms }: Probe): Promise<Measured> {
  const udp = question === 'udp-stream' ? ['-u', '-b', '0', '-l', '1400'] : []
  const { seconds, each, whole } = intervalsOf(ms)
  const words = ['iperf3', '-J', '-i', each, '-c', path.address(family), '-p', PORTS.iperf, '-t', seconds].map(String)
  words.push('-P', String(flows), ...udp)
  const { stdout, cpuSeconds: cpu } = await run([...path.client, ...path.pinned, ...words], ms)
  const { end, intervals } = JSON.parse(stdout) as Iperf
  const { bits_per_second: sent = 0, bytes = 0 } = (udp.length > 0 ? end.sum : end.sum_received) ?? {}
  // What a receiver took of datagrams is what was sent without what was lost.
  const kept = udp.length > 0 ? 1 - (end.sum?.lost_percent ?? 0) / 100 : 1
  return {
    value: (sent * kept) / 1e9,
    cpuSeconds: cpu,
    work: (bytes * kept * 8) / 1e9,
    commands: [shown(path, words), `iperf3 -s -p ${PORTS.iperf}`],
    deviation: deviationOf(intervals.slice(0, whole).map((one) => one.sum.bits_per_second)),
  }
}

async function packets(path: Path, ground: Ground, setting: Setting, { family, flows, ms }: Probe): Promise<Measured> {
  const addresses = Math.max(1, share(family, setting.grants))
  // A flow begins once, so those that each begin one are counted; known flows are gone through until the time is over.
  const anew = flows > KNOWN_FLOWS
  const [warm, more] = anew ? [0, []] : [flows, [ms]]
  const six = family === 'ipv6' ? 6 : 4
  const words = ['packets', ground.interface, six, addresses, flows, warm, flows, ...more].map(String)
  const before = received(ground.serverPid, 'out1')
  const { stdout } = await run([...path.client, ...path.pinned, GENERATOR, ...words], ms)
  const seen = JSON.parse(stdout) as { packets: number; nanoseconds: number; ticks: number }
  const all = warm + seen.packets
  const lost = Math.max(0, all - (received(ground.serverPid, 'out1') - before))
  return {
    value: ((1e9 / seen.nanoseconds) * (all - lost)) / all,
    // Of the sending alone. Too few of new flows fit into a table for a clock of hundredths of a second.
    ...(anew ? {} : { cpuSeconds: seen.ticks / 100, work: seen.packets / 1e6 }),
    tried: all,
    failed: lost,
    commands: [shown(path, [GENERATOR, ...words])],
  }
}

const SIZE = { 'udp-stream': 1_400, packets: 12 } as const
const [LOOK_MS, LOOKS] = [50, 40]

/** Between hosts. What arrived is the other end's to count; what was lost is no failure of the path, since it is sent faster than anybody
 * takes it. */
async function datagrams(
  path: Path,
  there: NonNullable<Path['there']>,
  question: keyof typeof SIZE,
  { family, flows, ms }: Probe,
): Promise<Measured> {
  const size = SIZE[question]
  const words = ['datagrams', path.address(family), path.port + 2, ms, flows, size].map(String)
  const before = await there()
  const { stdout, cpuSeconds: cpu } = await run([...path.client, ...path.pinned, GENERATOR, ...words], ms, there)
  // Some are still on their way.
  let [seen, last] = [await there(), before]
  for (let look = 0; look < LOOKS && seen.datagrams !== last.datagrams; look++) {
    await sleep(LOOK_MS)
    ;[seen, last] = [await there(), seen]
  }
  const arrived = seen.datagrams - before.datagrams
  const seconds = (JSON.parse(stdout) as { nanoseconds: number }).nanoseconds / 1e9
  const amount = question === 'packets' ? arrived : (arrived * size * 8) / 1e9
  return {
    value: amount / seconds,
    cpuSeconds: cpu,
    work: question === 'packets' ? amount / 1e6 : amount,
    commands: [shown(path, [GENERATOR, ...words])],
  }
}

async function standing(path: Path, { family, flows, ms }: Probe): Promise<Measured> {
  const words = ['flows', path.address(family), String(PORTS.standing), String(flows), String(ms)]
  const { stdout } = await run([...path.client, ...path.pinned, GENERATOR, ...words], 2 * ms)
  const seen = JSON.parse(stdout) as Pick<Tally, 'buckets'> & { answered: number; standing: number; over: boolean }
  if (seen.over) throw benchFault('BENCH_TIME', { ms, stood: seen.answered })
  return {
    value: seen.standing,
    latency: seen.buckets,
    // That there is no room for more is the figure; one that stood and answers no more has failed.
    tried: seen.answered,
    failed: seen.answered - seen.standing,
    commands: [shown(path, [GENERATOR, ...words])],
  }
}

/** The program of autocannon, where it is installed. */
export function autocannon(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve('autocannon')
  } catch {
    // A package for development: where it is not there HTTP is not measured, and the run says so.
    return undefined
  }
}

async function http(path: Path, { family, flows, ms }: Probe): Promise<Measured> {
  const host = family === 'ipv6' ? `[${path.address(family)}]` : path.address(family)
  const words = [`http://${host}:${PORTS.http}/`, String(ms), String(flows)]
  const { stdout, cpuSeconds: cpu } = await run(
    [...path.client, ...path.pinned, process.execPath, HTTP_GENERATOR, ...words],
    ms,
  )
  const { done, failed, buckets, slices } = JSON.parse(stdout) as Omit<Tally, 'resets'>
  return {
    value: slices.reduce((sum, one) => sum + one, 0) / (ms / 1_000),
    cpuSeconds: cpu,
    work: done / 1_000,
    tried: done + failed,
    failed,
    latency: buckets,
    commands: [shown(path, ['node scripts/autocannon.mjs', ...words])],
  }
}

/** Throws what the generator ended with. */
export function measure(path: Path, setting: Setting, probe: Probe): Promise<Measured> {
  const { ground } = path
  switch (probe.question) {
    case 'tcp-stream':
      return ground && probe.ms >= STREAM_MS ? iperf(path, probe) : ownStream(path, probe)
    case 'udp-stream':
      return path.there ? datagrams(path, path.there, probe.question, probe) : iperf(path, probe)
    case 'tcp-rr':
    case 'tcp-crr':
      return transactions(path, probe)
    case 'packets':
      if (path.there) return datagrams(path, path.there, probe.question, probe)
      if (!ground) throw new TypeError('packets are counted at both ends of one machine')
      return packets(path, ground, setting, probe)
    case 'http':
      return http(path, probe)
    case 'flows':
      return standing(path, probe)
  }
}
