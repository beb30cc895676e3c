// When a change counts. A comparison has hundreds of rows, and of hundreds that are each wrong one time in a hundred some are wrong every
// time: so all rows of ours together may be wrong one time in a hundred, half of that for the rows of many rates together, which are few
// and know a tenth best, and half for all others; of what changed, the rows share it (see wrongOf). A row is slower or faster where its interval at that confidence lies on one side of 1 and
// its middle is further from 1 than the least change that matters. Where only its own 99 % interval does, it is suspected: told, and
// decides nothing. What did not change is the same only where a tenth, planted in the same repetitions, would have been found; otherwise
// it is too noisy to tell.
//
// Resamples cannot show so far a tail: of five and five repetitions all of one lie beyond all of the other once in 126 times by chance
// alone, however often they are drawn again. So beyond 99 % the logarithm of the quotient is taken to have Student's tails with the
// resampled deviation; and since five that lie close together by luck would look certain, half of that variance is what all variants in
// the same measurement have. Never is that interval narrower than the resampled one.

import type { Better } from './results.js'
import {
  ascending,
  chance,
  deviation,
  type Interval,
  median,
  quantile,
  Ranked,
  studentQuantile,
  studentTail,
} from './statistics.js'

export const CONFIDENCE = 0.99
const RESAMPLES = 2_000
/** And of what stands alone where nothing says what the machine did. */
export const LEAST_CHANGE = { known: 0.05, unknown: 0.15 } as const
/** What has to be found where it is, before anything is called the same: a reader is told of a tenth. */
const PLANTED = 0.1
/** Of all rows that decide, at most so often one is wrong, in each of the two halves. */
const WRONG = (1 - CONFIDENCE) / 2
/** What of a measurement's rows says as much about one of them as its own repetitions do. */
const LEAST_ALIKE = 3

export type Verdict = 'slower' | 'faster' | 'same' | 'too-noisy'

/** A quotient with its 99 % interval, and what is known of its logarithm. */
export interface Estimate extends Interval {
  readonly deviation: number
  readonly freedom: number
}

/** A row before the others are known. */
export interface Draft {
  readonly before: number
  readonly after: number
  /** After by before. */
  readonly estimate: Estimate
  readonly better: Better
  /** The change that matters. */
  readonly least: number
  /** Factor of the machine from one run to the other, which nine of ten stayed within: of what stands alone. */
  readonly drift?: number
  /** Rows of one measurement and one kind have the same: they are as noisy as each other. Absent: like no other. */
  readonly like?: string
  readonly together: boolean
  /** Only what is ours decides, and is one of the family. */
  readonly counts: boolean
}

export interface Judged {
  readonly quotient: Interval
  readonly verdict: Verdict
  /** Of what is too noisy to tell: beyond its own 99 %, and not beyond what so many rows do by chance. */
  readonly suspected?: 'slower' | 'faster'
}

/** Interval of the quotient of two medians that were not measured in pairs: each list is drawn again by itself. */
export function quotientOf(before: readonly number[], after: readonly number[], seed: number): Estimate {
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
  return { ...estimateOf(seen), middle: now / old, freedom: before.length + after.length - 2 }
}

/** Of resampled quotients, which it puts in order. */
export function estimateOf(seen: Float64Array): Omit<Estimate, 'middle' | 'freedom'> {
  const sorted = seen.sort()
  const tail = (1 - CONFIDENCE) / 2
  return { low: quantile(sorted, tail), high: quantile(sorted, 1 - tail), deviation: deviation(sorted.map(Math.log)) }
}

/** Of two middles with their 95 % intervals, where repetitions are not at hand: the quotient of the ends is wider than a resampled one. */
export function quotientOfEnds(before: Interval, after: Interval, freedom: number): Estimate {
  const halves = [before, after].map(({ low, high }) => Math.log(high / low) / 2 / NORMAL_95)
  const ends = { middle: after.middle / before.middle, low: after.low / before.high, high: after.high / before.low }
  return { ...ends, deviation: Math.hypot(...halves), freedom }
}

/** Each row in the light of all. */
export function judgeAll<T extends Draft>(drafts: readonly T[]): (T & Judged)[] {
  const alike = new Map<string, number[]>()
  for (const { like, estimate } of drafts) {
    if (like === undefined || !Number.isFinite(estimate.deviation)) continue
    const those = alike.get(like)
    if (those) those.push(estimate.deviation ** 2)
    else alike.set(like, [estimate.deviation ** 2])
  }
  const spread = (draft: Draft): Spread => spreadOf(draft, alike.get(draft.like ?? '') ?? [])
  const wrong = [true, false].map((together) =>
    wrongOf(drafts.flatMap((one) => (one.counts && one.together === together ? [chanceOf(one, spread(one))] : []))),
  )
  return drafts.map((draft) => ({ ...draft, ...judge(draft, spread(draft), wrong[draft.together ? 0 : 1] ?? 0) }))
}

/** How often one row may be wrong: a share of all, and as many shares as there are rows that are all within as many (Benjamini and
 * Hochberg, 1995). Where nothing changed one row and more are found no more often than WRONG; where everything fell by a tenth, each row
 * has not to be as certain as if it were the only one. */
function wrongOf(chances: readonly number[]): number {
  const each = WRONG / Math.max(1, chances.length)
  const within = ascending(chances).findLastIndex((one, at) => one <= each * (at + 1))
  return each * Math.max(1, within + 1)
}

interface Spread {
  /** Of the logarithm, the machine included. */
  readonly deviation: number
  readonly freedom: number
}

/** That chance alone moves a row so far; 1 for what moved by less than matters. */
function chanceOf({ estimate: { middle }, least }: Draft, { deviation, freedom }: Spread): number {
  if (!Number.isFinite(deviation) || !(middle > 0) || (middle < 1 + least && middle > 1 - least)) return 1
  return deviation === 0 ? 0 : 2 * studentTail(Math.abs(Math.log(middle)) / deviation, freedom)
}

function judge(draft: Draft, spread: Spread, wrong: number): Judged {
  const { before, after, better, estimate, least, drift = 1 } = draft
  const { middle, low, high } = estimate
  const quotient = { middle, low: low / drift, high: high * drift }
  const [more, less] = better === 'lower' ? (['slower', 'faster'] as const) : (['faster', 'slower'] as const)
  // Nothing at all came through, in half of the rounds and more: no quotient says how much slower that is.
  if (before > 0 && after === 0) return { quotient, verdict: less }
  if (!(quotient.low > 0) || !Number.isFinite(quotient.high)) return { quotient, verdict: 'too-noisy' }
  const wide = widest(quotient, studentQuantile(wrong / 2, spread.freedom) * spread.deviation)
  if (up(wide, least)) return { quotient, verdict: more }
  if (down(wide, least)) return { quotient, verdict: less }
  if (up(quotient, least)) return { quotient, verdict: 'too-noisy', suspected: more }
  if (down(quotient, least)) return { quotient, verdict: 'too-noisy', suspected: less }
  const told = down(times(wide, 1 - PLANTED), least) && up(times(wide, 1 / (1 - PLANTED)), least)
  return { quotient, verdict: told ? 'same' : 'too-noisy' }
}

const NORMAL_95 = 1.96
/** Nine of ten of what is normal are within so many deviations. */
const NORMAL_90 = 1.645

function spreadOf({ estimate: { deviation, freedom }, drift = 1 }: Draft, alike: readonly number[]): Spread {
  const known = alike.length >= LEAST_ALIKE
  const typical = known ? alike.reduce((sum, one) => sum + one, 0) / alike.length : deviation ** 2
  const variance = (deviation ** 2 + typical) / 2
  const all = Math.sqrt(variance + (Math.log(drift) / NORMAL_90) ** 2)
  return { deviation: all, freedom: known ? 2 * freedom : freedom }
}

const widest = ({ middle, low, high }: Interval, margin: number): Interval => ({
  middle,
  low: Math.min(low, middle * Math.exp(-margin)),
  high: Math.max(high, middle * Math.exp(margin)),
})

const up = ({ low, middle }: Interval, least: number): boolean => low > 1 && middle >= 1 + least
const down = ({ high, middle }: Interval, least: number): boolean => high < 1 && middle <= 1 - least
/** As if everything in the second run had been so many times as much. */
const times = ({ middle, low, high }: Interval, by: number): Interval => ({
  middle: middle * by,
  low: low * by,
  high: high * by,
})
