// Two runs side by side: what got slower or faster beyond noise. Where both have the baseline in the same measurement, what is compared
// is each variant's share of it, round by round, so that a machine that was busier in one of them changes nothing. Latencies, CPU time
// and the series of bench/ have no such partner: they are compared as they are, on the same machine only, and have to change by more.
//
// When a change counts is judge.ts's; the rates of a variant are judged together as well (pooled.ts), since on a noisy machine none of
// them says anything alone. What is too noisy to tell is not the same, and the first thing that is said is how many are. What of ours the
// first run has and the second has not (refused, failed, no longer there; a file of bench/ that failed, or on the same machine no longer
// holds its promise) counts as slower: who asks whether something got slower is not to hear no because it is gone. Nor because there was
// next to nothing to compare: where nothing got slower and nothing of ours could be compared, or of the traffic of whoever measured less
// not even half was measured by the other, that is said instead (`apart`).

import { driftOf } from './drift.js'
import { renamed, samePair, toldOf } from './hosts.js'
import { judge, LEAST_CHANGE, quotientOf, type Verdict, widened } from './judge.js'
import { pooledQuotients, type Rate } from './pooled.js'
import type { BenchSeen, Better, Cell, Figure, Measurement, Repetition, Results, Role } from './results.js'
import { type Interval, median } from './statistics.js'

const LEAST_SAMPLES = 5
/** Of the traffic of whoever measured less: with less than this it is another run. */
const LEAST_COMMON = 0.5
/** Of the machine from one run to the other: from here on it is told. */
const TOLD_DRIFT = 0.1

export interface Compared {
  /** `measurement ID` or `bench NAME`; `variant NAME` of many rates together. */
  readonly from: string
  readonly say: string
  /** Of a measurement; absent for a series of bench/. */
  readonly variant?: string
  readonly what:
    | 'share of nothing attached'
    | 'rates together, share of nothing attached'
    | 'value'
    | 'latency p50'
    | 'latency p99'
    | 'CPU, share of nothing attached'
    | 'CPU'
    | 'median'
    | 'promise'
  readonly before: number
  readonly after: number
  /** After by before; 0 throughout for what is gone. */
  readonly quotient: Interval
  readonly better: Better
  readonly verdict: Verdict
  /** Only what is ours decides whether something got slower. */
  readonly counts: boolean
  /** Of what the second run does not have, or no longer holds: why. */
  readonly gone?: string
}

export interface Comparison {
  /** In one line: `nothing got slower; 12 of 57 too noisy to tell`, or what `apart` has. */
  readonly says: string
  /** They have too little in common for saying that nothing got slower: what there is. */
  readonly apart?: string
  readonly rows: readonly Compared[]
  /** What the reader must know: other machines, another policy, what only one of them has. */
  readonly remarks: readonly string[]
  /** Ratios to the baseline whose confidence intervals, as each run gives them, have something in common, of all. */
  readonly agreeing: number
  readonly ratios: number
  readonly slower: number
  /** Of `counted`, which are ours as `slower` is: neither changed nor the same. */
  readonly noisy: number
  readonly counted: number
}

export function compareResults(before: Results, given: Results, seed = 1): Comparison {
  const after = renamed(before, given)
  const same = sameMachine(before, after)
  const drift = same ? driftOf(before, after) : undefined
  const rows: Compared[] = []
  const rates: Rate[] = []
  const remarks = [
    ...toldOf(before, given),
    ...(same ? [] : ['the machines differ: only shares of nothing attached are compared']),
  ]
  const alike = askedOf(before) === askedOf(after)
  let agreeing = 0
  let ratios = 0
  let otherwise = 0
  for (const { id, ...old } of before.measurements) {
    const now = after.measurements.find((one) => one.id === id)
    if (!now && after.measurements.some((one) => asks(one) === asks(old))) {
      otherwise++
      continue
    }
    for (const cell of old.cells) {
      const other = now?.cells.find(({ variant }) => variant === cell.variant)
      const role = roleOf(before, cell.variant)
      const common = {
        from: `measurement ${id}`,
        say: titleOf({ id, ...old }),
        variant: cell.variant,
        counts: role === 'fence',
      }
      if (!now || !other || failing(cell, other, now)) {
        // Whoever asked for less has less.
        const awaited = alike || (now !== undefined && after.variants.some(({ name }) => name === cell.variant))
        const values = cell.repetitions.map(({ value }) => value)
        const why = whyGone(after, cell.variant, other)
        if (role === 'fence' && awaited) rows.push({ ...common, ...goneRow('value', values, old.better, why) })
        continue
      }
      rows.push(...cellRows(before, after, { ...old, id }, now, cell, other, common, drift, seed))
      const [was, is] = [
        shares(cell, { ...old, id }, baselineOf(before), amountOf),
        shares(other, now, baselineOf(after), amountOf),
      ]
      if (was && is && old.unit.endsWith('/s'))
        rates.push({ variant: cell.variant, counts: common.counts, measurement: old, before: was, after: is })
      const overlap = overlapping(cell, other, baselineOf(before))
      if (overlap === undefined) continue
      ratios++
      if (overlap) agreeing++
    }
  }
  rows.push(...pooledRows(rates, seed), ...benchRows(before, after, { alike, drift, seed }))
  remarks.push(...missing(before, after))
  if (drift !== undefined && drift > 1 + TOLD_DRIFT)
    remarks.push(
      `what is not ours changed by up to ${((drift - 1) * 100).toFixed(0)} % from one run to the other: what stands alone has to change by more`,
    )
  if (otherwise > 0)
    remarks.push(`${otherwise} were measured by another program or for another time, and are not compared`)
  const ours = rows.filter(({ counts }) => counts)
  const of = (wanted: Verdict): number => ours.filter(({ verdict }) => verdict === wanted).length
  const [slower, noisy, counted] = [of('slower'), of('too-noisy'), ours.length]
  if (noisy > 0)
    remarks.push(`too noisy to tell is not the same: in ${noisy} of ${counted} a tenth and more could be hidden`)
  const apart = slower > 0 ? undefined : apartness(before, after, counted, same)
  const says =
    apart ?? `${slower > 0 ? `${slower} slower` : 'nothing got slower'}; ${noisy} of ${counted} too noisy to tell`
  return { says, ...(apart === undefined ? {} : { apart }), rows, remarks, agreeing, ratios, slower, noisy, counted }
}

/** Loading is measured in every run, whatever it was asked for: it does not make two runs alike. */
const trafficOf = ({ measurements }: Results): readonly string[] =>
  measurements.flatMap(({ id, question }) => (question === 'stage' || question === 'kernel-memory' ? [] : [id]))

function apartness(before: Results, after: Results, counted: number, same: boolean): string | undefined {
  const [old, now] = [trafficOf(before), trafficOf(after)]
  const common = old.filter((id) => now.includes(id)).length
  const said = `of ${old.length} and ${now.length} measurements of traffic ${common} are in both`
  if (common < LEAST_COMMON * Math.min(old.length, now.length)) return said
  return counted === 0 ? `nothing of ours can be compared${same ? '' : ' between these machines'}; ${said}` : undefined
}

const roleOf = ({ variants }: Results, name: string): Role | undefined =>
  variants.find((one) => one.name === name)?.role
const baselineOf = ({ variants }: Results): string | undefined => variants.find(({ role }) => role === 'baseline')?.name

const sameMachine = (a: Results, b: Results): boolean =>
  a.machine.cpu === b.machine.cpu && a.machine.cpus === b.machine.cpus && a.machine.kernel === b.machine.kernel

/** Two runs that were asked for the same have the same in them, if all went well. */
const askedOf = ({ run: { kind, command } }: Results): string =>
  kind === 'only' ? command.replace(/ --seed \d+$/, '') : kind

const titleOf = ({ say, grants, workspaces }: Measurement | (Omit<Measurement, 'cells'> & { id: string })): string =>
  `${say}, ${grants.toLocaleString('en')} grants${workspaces > 1 ? `, ${workspaces} workspaces` : ''}`

type Of = (repetition: Repetition) => number | undefined

/** Of the traffic, by whatever it was made and for however long. */
const asks = ({ question, flows, family, grants, workspaces }: Omit<Measurement, 'id' | 'cells'>): string =>
  [question, flows, family, grants, workspaces].join(' ')

/** Each round's share of the baseline in that round. */
function shares(cell: Cell, measurement: Measurement, baseline: string | undefined, of: Of): number[] | undefined {
  if (cell.variant === baseline) return undefined
  const base = measurement.cells.find(({ variant }) => variant === baseline)
  if (!base) return undefined
  const under = new Map(base.repetitions.map((one) => [one.round, of(one)]))
  const out = cell.repetitions.flatMap((one) => {
    const [by, value] = [under.get(one.round), of(one)]
    return by === undefined || value === undefined || by === 0 ? [] : [value / by]
  })
  return out.length < LEAST_SAMPLES ? undefined : out
}

const amountOf: Of = ({ value }) => value
const cpuOf: Of = ({ cpuSeconds, work }) => (cpuSeconds !== undefined && work ? cpuSeconds / work : undefined)

type Common = Pick<Compared, 'from' | 'say' | 'counts'> & { readonly variant: string }

function cellRows(
  before: Results,
  after: Results,
  old: Measurement,
  now: Measurement,
  cell: Cell,
  other: Cell,
  common: Common,
  /** Of the machine; absent between two. */
  drift: number | undefined,
  seed: number,
): Compared[] {
  const out: Compared[] = []
  const { better } = old
  const both = (of: Of) => [shares(cell, old, baselineOf(before), of), shares(other, now, baselineOf(after), of)]
  const [a, b] = both(amountOf)
  if (a && b) {
    const quotient = quotientOf(a, b, seed)
    const values = { before: median(a), after: median(b), quotient, better }
    const verdict = judge(values, LEAST_CHANGE.share)
    out.push({ ...common, what: 'share of nothing attached', ...values, verdict })
  } else if (drift !== undefined) {
    const [x, y] = [cell, other].map(({ repetitions }) => repetitions.map(({ value }) => value))
    if (x && y && x.length >= LEAST_SAMPLES && y.length >= LEAST_SAMPLES) {
      const quotient = widened(quotientOf(x, y, seed), drift)
      const values = { before: median(x), after: median(y), quotient, better }
      // What stands between the same hosts is changed on purpose, and nothing else is known of the machine.
      const least = samePair(before, after) ? LEAST_CHANGE.share : LEAST_CHANGE.alone
      out.push({ ...common, what: 'value', ...values, verdict: judge(values, least) })
    }
  }
  const [c, d] = cell.cost && other.cost ? both(cpuOf) : []
  if (c && d) {
    const quotient = quotientOf(c, d, seed)
    const values = { before: median(c), after: median(d), quotient, better: 'lower' as const }
    // Counted in hundredths of a second: the share of a short repetition moves by more than a rate's.
    const verdict = judge(values, LEAST_CHANGE.alone)
    out.push({ ...common, what: 'CPU, share of nothing attached', ...values, verdict })
  }
  if (drift === undefined) return out
  const pairs = [
    ['latency p50', cell.latency?.p50, other.latency?.p50],
    ['latency p99', cell.latency?.p99, other.latency?.p99],
    ['CPU', c && d ? undefined : costOf(cell), costOf(other)],
  ] as const
  for (const [what, x, y] of pairs) {
    if (!x || !y || x.kind === 'none' || y.kind === 'none' || x.low <= 0) continue
    // Their repetitions are not in the file, their intervals are: the quotient of the ends is wider than a resampled one.
    const ends = { middle: y.middle / x.middle, low: y.low / x.high, high: y.high / x.low }
    const quotient = widened(ends, drift)
    const values = { before: x.middle, after: y.middle, quotient, better: 'lower' as const }
    out.push({ ...common, what, ...values, verdict: judge(values, LEAST_CHANGE.alone) })
  }
  return out
}

function pooledRows(rates: readonly Rate[], seed: number): Compared[] {
  return pooledQuotients(rates, seed).map(({ variant, counts, of, rates, before, after, quotient }) => {
    const values = { before, after, quotient, better: 'higher' as const }
    const common = { from: `variant ${variant}`, say: `${of}, ${rates} together`, variant, counts }
    const verdict = judge(values, LEAST_CHANGE.share)
    return { ...common, what: 'rates together, share of nothing attached', ...values, verdict }
  })
}

/** A cell has one: by gigabit, packets or transactions, as its question has it. */
const costOf = ({ cost }: Cell): Figure | undefined =>
  cost?.cpuSecondsPerGbit ?? cost?.cpuSecondsPerMillionPackets ?? cost?.cpuSecondsPerThousandTransactions

interface BenchTerms {
  readonly alike: boolean
  readonly drift: number | undefined
  readonly seed: number
}

function benchRows(before: Results, after: Results, { alike, drift, seed }: BenchTerms): Compared[] {
  return before.benches.flatMap((was) => {
    const { name, series } = was
    const bench = after.benches.find((one) => one.name === name)
    const whole = wholeBench(was, bench, alike, drift !== undefined)
    if (bench?.state !== 'done') return whole
    const rows = series.flatMap((old): Compared[] => {
      const now = bench.series.find((one) => one.name === old.name)
      const common = { from: `bench ${name}`, say: old.name, counts: true }
      const enough = old.samples.length >= LEAST_SAMPLES
      if (!now || (enough && now.samples.length < LEAST_SAMPLES)) {
        const why = now ? tooFew(now.samples.length) : 'it is not in the second run'
        return [{ ...common, ...goneRow('median', old.samples, old.better, why) }]
      }
      if (!enough || drift === undefined) return []
      // Of two that took turns: the machine is in neither.
      const beside = old.unit === 'ratio'
      const quotient = widened(quotientOf(old.samples, now.samples, seed), beside ? 1 : drift)
      const values = { before: median(old.samples), after: median(now.samples), quotient, better: old.better }
      const verdict = judge(values, beside ? LEAST_CHANGE.share : LEAST_CHANGE.alone)
      return [{ ...common, what: 'median', ...values, verdict }]
    })
    return [...whole, ...rows]
  })
}

/** A row for the file itself, where it has no figure any more, or misses what it held. */
function wholeBench(old: BenchSeen, now: BenchSeen | undefined, alike: boolean, same: boolean): Compared[] {
  if (old.state !== 'done') return []
  const common = { from: `bench ${old.name}`, say: old.promise === '' ? old.name : old.promise, counts: true }
  const gone = (why: string): Compared[] => [{ ...common, ...goneRow('promise', [1], 'higher', why) }]
  if (now?.state !== 'done')
    return alike || now?.state === 'failed' ? gone(now?.why ?? now?.state ?? 'it is not in the second run') : []
  const missed = same && old.met === true && now.met === false
  return missed ? gone(`it held before, and now: ${now.figure ?? 'no figure'}`) : []
}

const tooFew = (count: number): string => `${count} in the second run, and ${LEAST_SAMPLES} are needed`

/** Its repetitions failed where those of others did not. */
const failing = (cell: Cell, other: Cell, now: Measurement): boolean =>
  other.repetitions.length < LEAST_SAMPLES &&
  cell.repetitions.length >= LEAST_SAMPLES &&
  now.cells.some(({ repetitions }) => repetitions.length >= LEAST_SAMPLES)

function whyGone({ run, variants }: Results, variant: string, other: Cell | undefined): string {
  if (other) return tooFew(other.repetitions.length)
  const seen = variants.find(({ name }) => name === variant)
  return seen?.why ?? run.why ?? 'it is not in the second run'
}

function goneRow(what: Compared['what'], values: readonly number[], better: Better, gone: string) {
  const quotient = { middle: 0, low: 0, high: 0 }
  return { what, before: median(values), after: 0, quotient, better, verdict: 'slower' as const, gone }
}

function overlapping(cell: Cell, other: Cell, baseline: string | undefined): boolean | undefined {
  const [a, b] = [cell, other].map(({ ratios }): Figure | undefined => ratios.find(({ to }) => to === baseline)?.figure)
  // What is too noisy for a figure has an interval all the same.
  if (!a || !b || a.kind === 'none' || b.kind === 'none') return undefined
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
