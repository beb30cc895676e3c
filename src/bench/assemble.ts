// From raw repetitions to what stands in results.json: repetitions are gathered by measurement and variant, and each cell gets its
// figure, its ratios to the variants that say something about it, its cost, its latencies and the gates of RFC 9411. Pure, so that the
// same repetitions always give the same results; the run (run.ts) only collects.

import { COST, figureOf, MEMORY, RATE, ratioOf, TAIL, TIME, type Tolerance } from './figure.js'
import { corrected, countOf, type Histogram, leastFor, merged, percentileOf } from './histogram.js'
import { SHAPES, SUSTAINED_MS, sayOf } from './matrix.js'
import type { Cell, Cost, Figure, Gate, Latency, Measurement, Question, VariantSeen } from './results.js'
import type { Setting } from './setting.js'
import type { Resampling } from './statistics.js'

/** One repetition as it was measured. */
export interface Raw extends Setting {
  readonly question: Question
  readonly family: 'ipv4' | 'ipv6'
  readonly flows: number
  /** How long it was asked to last; absent for what lasts as long as it takes. */
  readonly ms?: number
  readonly variant: string
  readonly round: number
  readonly position: number
  /** In the unit of the question. */
  readonly value: number
  readonly commands: readonly string[]
  /** Of the whole machine while it was measured. */
  readonly cpuSeconds?: number
  /** What the CPU time was spent on, in the unit that cost is told in: Gbit, million packets, thousand transactions. */
  readonly work?: number
  /** Of latencies in nanoseconds, as bucket and count. */
  readonly latency?: readonly (readonly [number, number])[]
  /** Latencies that count from when a request should have left; the others are filled up by their own median. */
  readonly paced?: boolean
  readonly tried?: number
  readonly failed?: number
  readonly resets?: number
  /** The largest deviation of a tenth of the repetition from the mean of all, as a share of it. */
  readonly deviation?: number
}

/** RFC 9411, sections 7.1 to 7.3: failures below 0.001 %, deviation in the sustain phase below 5 %. */
const GATE = { 'failed-transactions': 1e-5, 'unexpected-resets': 1e-5, 'lost-packets': 1e-5, 'sustain-deviation': 0.05 }
/** None of three times as many as one may fail of bounds the share at the limit, with 95 % confidence (the rule of three). */
const LEAST_TRIED = 300_000
/** Of all repetitions together. The 50th and the 99th are figures of their own. */
const PERCENTS = [90, 99.9, 99.99, 100]
const COST_OF = {
  'tcp-stream': 'cpuSecondsPerGbit',
  'udp-stream': 'cpuSecondsPerGbit',
  packets: 'cpuSecondsPerMillionPackets',
  'tcp-rr': 'cpuSecondsPerThousandTransactions',
  'tcp-crr': 'cpuSecondsPerThousandTransactions',
  http: 'cpuSecondsPerThousandTransactions',
} as const satisfies Partial<Record<Question, keyof Cost>>
const TOLERANCE: Partial<Record<Question, Tolerance>> = { stage: TIME, 'kernel-memory': MEMORY }

/** A second of one program is not compared with half a second of another as if they were one. */
export function idOf({ question, flows, family, grants, workspaces, ms, commands }: Raw): string {
  const by = /(?:^|[ /])(iperf3|autocannon|sluice-load)(?:\.mjs)? /.exec(commands[0] ?? '')?.[1]
  const how = [...(ms === undefined ? [] : [`ms=${ms}`]), ...(by === undefined ? [] : [`by=${by}`])]
  const what = [question, `flows=${flows}`, `family=${family}`, `grants=${grants}`, `workspaces=${workspaces}`]
  return [...what, ...how].join(' ')
}

export function assemble(
  raws: readonly Raw[],
  variants: readonly VariantSeen[],
  terms: Resampling,
): readonly Measurement[] {
  const byId = grouped(raws, idOf)
  const baseline = variants.find(({ role }) => role === 'baseline')?.name
  return [...byId].map(([id, all]): Measurement => {
    const [first] = all as [Raw]
    const { question, flows, family, grants, workspaces, ms } = first
    const byVariant = grouped(all, ({ variant }) => variant)
    const cells = variants.flatMap(({ name }) => {
      const own = byVariant.get(name)
      return own ? [cellOf(own, byVariant, referencesOf(name, variants), terms, baseline)] : []
    })
    const say = sayOf(question, flows, family, ms)
    const commands = [...new Set(all.flatMap((raw) => raw.commands))]
    return { id, question, say, flows, family, grants, workspaces, ...SHAPES[question], commands, cells }
  })
}

/** What a variant is compared with: nothing attached, its own hooks left empty, and what one would write by hand. */
function referencesOf(name: string, variants: readonly VariantSeen[]): readonly string[] {
  const role = (wanted: VariantSeen['role']): string[] =>
    variants.filter((one) => one.role === wanted && one.name !== name).map((one) => one.name)
  const self = variants.find((one) => one.name === name)?.role
  if (self === 'baseline') return []
  return [
    ...role('baseline'),
    ...(self === 'fence' || self === 'peer' ? role('reference') : []),
    ...(self === 'fence' ? role('peer') : []),
  ]
}

function cellOf(
  own: readonly Raw[],
  all: ReadonlyMap<string, readonly Raw[]>,
  references: readonly string[],
  terms: Resampling,
  baseline: string | undefined,
): Cell {
  const [first] = own as [Raw]
  const tolerance = TOLERANCE[first.question] ?? RATE
  const ratios = references.flatMap((to) => {
    const other = new Map(all.get(to)?.map((raw) => [raw.round, raw.value]))
    const pairs = own.filter(({ round }) => other.has(round))
    if (pairs.length === 0) return []
    const under = pairs.map(({ round }) => other.get(round) as number)
    return [
      {
        to,
        figure: ratioOf(
          pairs.map(({ value }) => value),
          under,
          tolerance,
          terms,
        ),
      },
    ]
  })
  const cost = costOf(own, baseline === first.variant ? [] : (all.get(baseline ?? '') ?? []), terms)
  const latency = latencyOf(own, terms)
  return {
    variant: first.variant,
    repetitions: own.map(({ round, position, value, cpuSeconds, work }) => ({
      round,
      position,
      value,
      ...(cpuSeconds === undefined ? {} : { cpuSeconds }),
      ...(work === undefined ? {} : { work }),
    })),
    figure: figureOf(
      own.map(({ value }) => value),
      tolerance,
      terms,
    ),
    ratios,
    ...(cost ? { cost } : {}),
    ...(latency ? { latency } : {}),
    gates: gatesOf(own),
  }
}

function costOf(own: readonly Raw[], baseline: readonly Raw[], terms: Resampling): Cost | undefined {
  const [first] = own as [Raw]
  const key = (COST_OF as Partial<Record<Question, keyof Cost>>)[first.question]
  const each = (raws: readonly Raw[]) =>
    new Map(
      raws.flatMap(({ round, cpuSeconds, work }) =>
        cpuSeconds !== undefined && work ? [[round, cpuSeconds / work] as const] : [],
      ),
    )
  const [over, under] = [each(own), each(baseline)]
  if (key === undefined || over.size === 0) return undefined
  const pairs = [...over].flatMap(([round, value]) => {
    const other = under.get(round)
    return other === undefined ? [] : [[value, other] as const]
  })
  const sides = [pairs.map(([value]) => value), pairs.map(([, other]) => other)] as const
  return {
    [key]: figureOf([...over.values()], COST, terms),
    ...(pairs.length === 0 ? {} : { ofBaseline: ratioOf(...sides, COST, terms) }),
  }
}

function latencyOf(own: readonly Raw[], terms: Resampling): Latency | undefined {
  let measured = 0
  const each = own.flatMap(({ latency, paced }) => {
    if (latency === undefined || latency.length === 0) return []
    const seen: Histogram = new Map(latency)
    measured += countOf(seen)
    return [paced ? seen : corrected(seen, percentileOf(seen, 50))]
  })
  if (each.length === 0) return undefined
  const whole = merged(each)
  const microseconds = (nanoseconds: number): number => Math.round(nanoseconds / 10) / 100
  const figure = (percent: number, tolerance: Tolerance): Figure =>
    figureOf(
      each.map((one) => microseconds(percentileOf(one, percent))),
      tolerance,
      terms,
    )
  return {
    corrected: true,
    count: measured,
    percentiles: PERCENTS.filter((percent) => measured >= leastFor(percent)).map((percent) => ({
      percent,
      microseconds: microseconds(percentileOf(whole, percent)),
    })),
    p50: figure(50, COST),
    p99: figure(99, TAIL),
  }
}

function gatesOf(own: readonly Raw[]): Gate[] {
  const sum = (of: (raw: Raw) => number | undefined): number => own.reduce((all, raw) => all + (of(raw) ?? 0), 0)
  const tried = sum((raw) => raw.tried)
  const of = (name: Gate['name'], count: number): Gate => {
    const [limit, value] = [GATE[name], count / tried]
    const state = value >= limit ? 'failed' : tried < LEAST_TRIED ? 'too-few' : 'passed'
    return { name, limit, value, of: tried, state }
  }
  const out: Gate[] = []
  const failed = sum((raw) => raw.failed)
  if (tried > 0 && own[0]?.question === 'packets') out.push(of('lost-packets', failed))
  else if (tried > 0) {
    out.push(of('failed-transactions', failed))
    if (own.some(({ resets }) => resets !== undefined))
      out.push(
        of(
          'unexpected-resets',
          sum((raw) => raw.resets),
        ),
      )
  }
  const deviations = own.flatMap(({ deviation, ms = 0 }) =>
    deviation === undefined || ms < SUSTAINED_MS ? [] : [deviation],
  )
  if (deviations.length > 0) {
    const [limit, value] = [GATE['sustain-deviation'], Math.max(...deviations)]
    out.push({ name: 'sustain-deviation', limit, value, state: value < limit ? 'passed' : 'failed' })
  }
  return out
}

function grouped<T>(values: readonly T[], key: (value: T) => string): Map<string, T[]> {
  const out = new Map<string, T[]>()
  for (const value of values) {
    const held = out.get(key(value))
    if (held) held.push(value)
    else out.set(key(value), [value])
  }
  return out
}
