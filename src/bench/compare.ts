// Two runs side by side: what got slower or faster beyond noise. Where both have the baseline in the same measurement, what is compared
// is each variant's share of it, round by round, so that a machine that was busier in one of them changes nothing. Latencies, CPU time
// and the series of bench/ have no such partner: they are compared as they are, on the same machine only, and have to change by more than the machine did.
//
// When a change counts among so many is judge.ts's, of files of bench/ series.ts's; the rates of a variant are judged together as well (pooled.ts), since on a noisy machine none of
// them says anything alone. What is too noisy to tell is not the same, and the first thing that is said is how many are. What of ours the
// first run has and the second has not (refused, failed, no longer there; a file of bench/ that failed, or on the same machine no longer
// holds its promise) counts as slower: who asks whether something got slower is not to hear no because it is gone. Nor because there was
// next to nothing to compare: where nothing got slower and nothing of ours could be compared, or of the traffic of whoever measured less
// not even half was measured by the other, that is said instead (`apart`).

import { driftOf } from './drift.js'
import { renamed, samePair, toldOf } from './hosts.js'
import { judgeAll, LEAST_CHANGE, quotientOf, quotientOfEnds, type Verdict } from './judge.js'
import { differing, memoryTold } from './machines.js'
import { pooledQuotients, type Rate } from './pooled.js'
import type { Cell, Figure, Measurement, Repetition, Results, Role } from './results.js'
import { type Alone, type Compared, compared, type Drafted, goneRow, LEAST_SAMPLES, type Line, tooFew } from './row.js'
import { benchLines, missedPromises } from './series.js'
import { median } from './statistics.js'

export type { Compared } from './row.js'

/** Of the traffic of whoever measured less: with less than this it is another run. */
const LEAST_COMMON = 0.5
/** Of the machine from one run to the other: from here on it is told. */
const TOLD_DRIFT = 0.1

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
  /** Of `noisy`, those beyond their own 99 % that so many rows may have by chance. */
  readonly suspected: number
  /** Of `counted`, which are ours as `slower` is: neither changed nor the same. */
  readonly noisy: number
  readonly counted: number
}

export function compareResults(before: Results, given: Results, seed = 1): Comparison {
  const after = renamed(before, given)
  const differs = differing(before.machine, after.machine)
  const same = differs.length === 0
  const drift = same ? driftOf(before, after) : undefined
  const least = drift === undefined ? LEAST_CHANGE.unknown : LEAST_CHANGE.known
  const alone = same ? { drift: drift ?? 1, least } : undefined
  const lines: Line[] = []
  const rates: Rate[] = []
  const remarks = [
    ...toldOf(before, given),
    ...(same ? [] : [`the machines differ (${differs.join(', ')}): only shares of nothing attached are compared`]),
    ...memoryTold(before.machine, after.machine),
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
        if (role === 'fence' && awaited) lines.push({ ...common, ...goneRow('value', values, old.better, why) })
        continue
      }
      lines.push(...cellLines(before, after, { ...old, id }, now, cell, other, common, alone, seed))
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
  lines.push(...pooledLines(rates, seed), ...benchLines(before, after, { alike, alone, seed }))
  const settled = lines.filter((line) => 'gone' in line)
  const judged = judgeAll(lines.filter((line) => 'estimate' in line)).map(compared)
  const missed = missedPromises(before, after, same ? judged : [])
  const rows = [...judged, ...settled, ...(same ? missed.rows : [])]
  remarks.push(...missing(before, after), ...(same ? missed.remarks : []))
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
  const doubted = ours.filter(({ suspected }) => suspected === 'slower').length
  if (doubted > 0)
    remarks.push(
      `${doubted} of ${counted} suspected of being slower: beyond 99 % each by itself, which of so many some are by chance; a third run tells`,
    )
  const apart = slower > 0 ? undefined : apartness(before, after, counted, same)
  const says =
    apart ??
    `${slower > 0 ? `${slower} slower` : 'nothing got slower'}; ${noisy} of ${counted} too noisy to tell${doubted > 0 ? `, ${doubted} suspected of being slower` : ''}`
  const counts = { slower, suspected: doubted, noisy, counted }
  return { says, ...(apart === undefined ? {} : { apart }), rows, remarks, agreeing, ratios, ...counts }
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

function cellLines(
  before: Results,
  after: Results,
  old: Measurement,
  now: Measurement,
  cell: Cell,
  other: Cell,
  common: Common,
  alone: Alone | undefined,
  seed: number,
): Drafted[] {
  const out: Drafted[] = []
  const { better } = old
  const add = (draft: Omit<Drafted, 'from' | 'say' | 'counts' | 'variant' | 'like' | 'together'>): void => {
    out.push({ ...common, ...draft, like: `${common.from} ${draft.what}`, together: false })
  }
  const least = LEAST_CHANGE.known
  const both = (of: Of) => [shares(cell, old, baselineOf(before), of), shares(other, now, baselineOf(after), of)]
  const [a, b] = both(amountOf)
  if (a && b) {
    const values = { before: median(a), after: median(b), estimate: quotientOf(a, b, seed), better }
    add({ what: 'share of nothing attached', ...values, least })
  } else if (alone) {
    const [x, y] = [cell, other].map(({ repetitions }) => repetitions.map(({ value }) => value))
    if (x && y && x.length >= LEAST_SAMPLES && y.length >= LEAST_SAMPLES) {
      const values = { before: median(x), after: median(y), estimate: quotientOf(x, y, seed), better }
      // What stands between the same hosts is changed on purpose, and nothing else is known of the machine.
      add({ what: 'value', ...values, ...alone, ...(samePair(before, after) ? { least } : {}) })
    }
  }
  const [c, d] = cell.cost && other.cost ? both(cpuOf) : []
  if (c && d) {
    const values = { before: median(c), after: median(d), estimate: quotientOf(c, d, seed), better: 'lower' as const }
    add({ what: 'CPU, share of nothing attached', ...values, least })
  }
  if (!alone) return out
  const pairs = [
    ['latency p50', cell.latency?.p50, other.latency?.p50],
    ['latency p99', cell.latency?.p99, other.latency?.p99],
    ['CPU', c && d ? undefined : costOf(cell), costOf(other)],
  ] as const
  const freedom = cell.repetitions.length + other.repetitions.length - 2
  for (const [what, x, y] of pairs) {
    if (!x || !y || x.kind === 'none' || y.kind === 'none' || x.low <= 0) continue
    const values = { before: x.middle, after: y.middle, better: 'lower' as const }
    add({ what, ...values, estimate: quotientOfEnds(x, y, freedom), ...alone })
  }
  return out
}

function pooledLines(rates: readonly Rate[], seed: number): Drafted[] {
  return pooledQuotients(rates, seed).map(({ variant, counts, of, rates, before, after, estimate }) => {
    const values = { before, after, estimate, better: 'higher' as const, least: LEAST_CHANGE.known }
    const common = { from: `variant ${variant}`, say: `${of}, ${rates} together`, variant, counts }
    return { ...common, what: 'rates together, share of nothing attached', ...values, together: true }
  })
}

/** A cell has one: by gigabit, packets or transactions, as its question has it. */
const costOf = ({ cost }: Cell): Figure | undefined =>
  cost?.cpuSecondsPerGbit ?? cost?.cpuSecondsPerMillionPackets ?? cost?.cpuSecondsPerThousandTransactions

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
