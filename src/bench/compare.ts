// Two runs side by side: what got slower or faster beyond noise. Where both have the baseline in the same measurement, what is compared
// is each variant's share of it, round by round, so that a machine that was busier in one of them changes nothing. Latencies, cost and
// the series of bench/ have no such partner: they are compared as they are, on the same machine only, and have to change by more.
//
// A change counts when the whole interval of the quotient (99 %, since a comparison looks at many) lies on one side of 1 and its middle
// is further from 1 than the least change that matters. Everything else is the same, or too noisy to tell.

import type { Better, Cell, Figure, Measurement, Results, Role } from './results.js'
import { chance, type Interval, median, quantile, Ranked } from './statistics.js'

const CONFIDENCE = 0.99
const RESAMPLES = 4_000
/** Of shares of a baseline, and of what stands alone. */
export const LEAST_CHANGE = { share: 0.05, alone: 0.15 } as const
const LEAST_SAMPLES = 5

export type Verdict = 'slower' | 'faster' | 'same' | 'too-noisy'

export interface Compared {
  /** `measurement ID` or `bench NAME`. */
  readonly from: string
  readonly say: string
  /** Of a measurement; absent for a series of bench/. */
  readonly variant?: string
  readonly what: 'share of nothing attached' | 'value' | 'latency p50' | 'latency p99' | 'median'
  readonly before: number
  readonly after: number
  /** After by before. */
  readonly quotient: Interval
  readonly better: Better
  readonly verdict: Verdict
  /** Only what is ours decides whether something got slower. */
  readonly counts: boolean
}

export interface Comparison {
  readonly rows: readonly Compared[]
  /** What the reader must know: other machines, another policy, what only one of them has. */
  readonly remarks: readonly string[]
  /** Ratios to the baseline whose confidence intervals, as each run gives them, have something in common, of all. */
  readonly agreeing: number
  readonly ratios: number
  readonly slower: number
}

export function compareResults(before: Results, after: Results, seed = 1): Comparison {
  const same = sameMachine(before, after)
  const rows: Compared[] = []
  const remarks = same ? [] : ['the machines differ: only shares of nothing attached are compared']
  let agreeing = 0
  let ratios = 0
  for (const { id, ...old } of before.measurements) {
    const now = after.measurements.find((one) => one.id === id)
    if (!now) continue
    for (const cell of old.cells) {
      const other = now.cells.find(({ variant }) => variant === cell.variant)
      if (!other) continue
      const role = roleOf(before, cell.variant)
      const common = {
        from: `measurement ${id}`,
        say: titleOf({ id, ...old }),
        variant: cell.variant,
        counts: role === 'fence',
      }
      rows.push(...cellRows(before, after, { ...old, id }, now, cell, other, common, same, seed))
      const overlap = overlapping(cell, other, baselineOf(before))
      if (overlap === undefined) continue
      ratios++
      if (overlap) agreeing++
    }
  }
  if (same) rows.push(...benchRows(before, after, seed))
  remarks.push(...missing(before, after))
  const slower = rows.filter(({ verdict, counts }) => verdict === 'slower' && counts).length
  return { rows, remarks, agreeing, ratios, slower }
}

const roleOf = ({ variants }: Results, name: string): Role | undefined =>
  variants.find((one) => one.name === name)?.role
const baselineOf = ({ variants }: Results): string | undefined => variants.find(({ role }) => role === 'baseline')?.name

const sameMachine = (a: Results, b: Results): boolean =>
  a.machine.cpu === b.machine.cpu && a.machine.cpus === b.machine.cpus && a.machine.kernel === b.machine.kernel

const titleOf = ({ say, grants, workspaces }: Measurement | (Omit<Measurement, 'cells'> & { id: string })): string =>
  `${say}, ${grants.toLocaleString('en')} grants${workspaces > 1 ? `, ${workspaces} workspaces` : ''}`

/** Each round's share of the baseline in that round. */
function shares(cell: Cell, measurement: Measurement, baseline: string | undefined): number[] | undefined {
  if (cell.variant === baseline) return undefined
  const base = measurement.cells.find(({ variant }) => variant === baseline)
  if (!base) return undefined
  const under = new Map(base.repetitions.map(({ round, value }) => [round, value]))
  const out = cell.repetitions.flatMap(({ round, value }) => {
    const by = under.get(round)
    return by === undefined || by === 0 ? [] : [value / by]
  })
  return out.length < LEAST_SAMPLES ? undefined : out
}

type Common = Pick<Compared, 'from' | 'say' | 'counts'> & { readonly variant: string }

function cellRows(
  before: Results,
  after: Results,
  old: Measurement,
  now: Measurement,
  cell: Cell,
  other: Cell,
  common: Common,
  same: boolean,
  seed: number,
): Compared[] {
  const out: Compared[] = []
  const { better } = old
  const [a, b] = [shares(cell, old, baselineOf(before)), shares(other, now, baselineOf(after))]
  if (a && b) {
    const quotient = quotientOf(a, b, seed)
    const judged = judge(quotient, better, LEAST_CHANGE.share)
    const values = { before: median(a), after: median(b), quotient, better, verdict: judged }
    out.push({ ...common, what: 'share of nothing attached', ...values })
  } else if (same) {
    const [x, y] = [cell, other].map(({ repetitions }) => repetitions.map(({ value }) => value))
    if (x && y && x.length >= LEAST_SAMPLES && y.length >= LEAST_SAMPLES) {
      const quotient = quotientOf(x, y, seed)
      const judged = judge(quotient, better, LEAST_CHANGE.alone)
      out.push({ ...common, what: 'value', before: median(x), after: median(y), quotient, better, verdict: judged })
    }
  }
  if (!same) return out
  for (const percent of ['p50', 'p99'] as const) {
    const [x, y] = [cell.latency?.[percent], other.latency?.[percent]]
    if (x?.kind !== 'value' || y?.kind !== 'value' || x.low <= 0) continue
    // Their repetitions are not in the file, their intervals are: the quotient of the ends is wider than a resampled one.
    const quotient = { middle: y.middle / x.middle, low: y.low / x.high, high: y.high / x.low }
    const judged = judge(quotient, 'lower', LEAST_CHANGE.alone)
    const values = { before: x.middle, after: y.middle, quotient, better: 'lower' as const, verdict: judged }
    out.push({ ...common, what: `latency ${percent}`, ...values })
  }
  return out
}

function benchRows(before: Results, after: Results, seed: number): Compared[] {
  return before.benches.flatMap(({ name, series }) =>
    series.flatMap((old) => {
      const now = after.benches.find((one) => one.name === name)?.series.find((one) => one.name === old.name)
      if (!now || now.samples.length < LEAST_SAMPLES || old.samples.length < LEAST_SAMPLES) return []
      const quotient = quotientOf(old.samples, now.samples, seed)
      const verdict = judge(quotient, old.better, LEAST_CHANGE.alone)
      const values = { before: median(old.samples), after: median(now.samples), quotient, better: old.better, verdict }
      return [{ from: `bench ${name}`, say: old.name, what: 'median' as const, ...values, counts: true }]
    }),
  )
}

/** Interval of the quotient of two medians that were not measured in pairs: each list is drawn again by itself. */
function quotientOf(before: readonly number[], after: readonly number[], seed: number): Interval {
  const random = chance(seed)
  const sides = [before, after].map((values) => ({
    ranked: new Ranked(values),
    drawn: new Array<number>(values.length),
  }))
  const [old = 1, now = 1] = [before, after].map(median)
  const seen = new Float64Array(RESAMPLES)
  for (let i = 0; i < RESAMPLES; i++) {
    const [a = 1, b = 1] = sides.map(({ ranked, drawn }) => {
      for (let n = 0; n < drawn.length; n++) drawn[n] = Math.floor(random() * drawn.length)
      return ranked.median(drawn)
    })
    seen[i] = b / a
  }
  const sorted = seen.sort()
  const tail = (1 - CONFIDENCE) / 2
  return { middle: now / old, low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) }
}

/** An interval that is wider than this, end to end, could hide a change of a tenth. */
const TELLING = 0.4

function judge({ middle, low, high }: Interval, better: Better, least: number): Verdict {
  if (!(low > 0) || !Number.isFinite(high)) return 'too-noisy'
  const up = low > 1 && middle >= 1 + least
  const down = high < 1 && middle <= 1 - least
  if (up) return better === 'lower' ? 'slower' : 'faster'
  if (down) return better === 'lower' ? 'faster' : 'slower'
  return high - low > TELLING * middle ? 'too-noisy' : 'same'
}

function overlapping(cell: Cell, other: Cell, baseline: string | undefined): boolean | undefined {
  const [a, b] = [cell, other].map(({ ratios }): Figure | undefined => ratios.find(({ to }) => to === baseline)?.figure)
  if (a?.kind !== 'value' || b?.kind !== 'value') return undefined
  return a.low <= b.high && b.low <= a.high
}

function missing(before: Results, after: Results): string[] {
  const ids = (results: Results): string[] => results.measurements.map(({ id }) => id)
  const only = (a: Results, b: Results): number => ids(a).filter((id) => !ids(b).includes(id)).length
  const out: string[] = []
  const [gone, fresh] = [only(before, after), only(after, before)]
  if (gone > 0) out.push(`${gone} measurements are in the first alone`)
  if (fresh > 0) out.push(`${fresh} measurements are in the second alone`)
  const digests = new Map(
    before.policy.digests.map(({ grants, workspaces, digest }) => [`${grants}/${workspaces}`, digest]),
  )
  if (
    after.policy.digests.some(
      ({ grants, workspaces, digest }) => (digests.get(`${grants}/${workspaces}`) ?? digest) !== digest,
    )
  )
    out.push('the policies differ: the same number of grants does not mean the same')
  for (const [word, { run }] of [
    ['first', before],
    ['second', after],
  ] as const)
    if (!run.complete) out.push(`the ${word} is not complete${run.why === undefined ? '' : `: ${run.why}`}`)
  return out
}
