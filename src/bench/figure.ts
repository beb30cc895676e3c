// What may be said of repeated measurements. The rule: a number is given for at least five repetitions whose confidence interval
// reaches, on either side, no further from the median than a tolerance; otherwise the figure says that it is too noisy and by how
// much, or that there is too little. A tolerance is a share of the median, or an amount below which nobody cares.

import type { Figure } from './results.js'
import { type Interval, medianDeviation, medianInterval, type Resampling, ratioInterval } from './statistics.js'

export const LEAST_REPETITIONS = 5

export interface Tolerance {
  /** Of the median. */
  readonly share: number
  /** In the unit of the values: what moves by less is the same. */
  readonly amount?: number
}

/** Rates and the ratios of them. */
export const RATE: Tolerance = { share: 0.1 }
/** A 99th percentile rests on few requests. */
export const TAIL: Tolerance = { share: 0.3 }
/** CPU time is counted in hundredths of a second. */
export const COST: Tolerance = { share: 0.15 }
/** Other programs move the kernel's memory, too. */
export const MEMORY: Tolerance = { share: 0.15, amount: 2 }
export const TIME: Tolerance = { share: 0.25, amount: 0.5 }

/** The figure of one thing measured again and again. */
export function figureOf(values: readonly number[], tolerance: Tolerance, terms: Resampling): Figure {
  const few = tooFew(values.length)
  return few ?? judged(medianInterval(values, terms), values, tolerance)
}

/** The figure of a ratio of medians; both lists are of the same rounds, in the same order. */
export function ratioOf(
  over: readonly number[],
  under: readonly number[],
  tolerance: Tolerance,
  terms: Resampling,
): Figure {
  const few = tooFew(Math.min(over.length, under.length))
  if (few) return few
  if (under.includes(0)) return { kind: 'none', why: 'what it is compared with is 0 at times' }
  const pairs = over.map((value, i) => value / (under[i] ?? Number.NaN))
  return judged(ratioInterval(over, under, terms), pairs, tolerance)
}

function tooFew(count: number): Figure | undefined {
  if (count >= LEAST_REPETITIONS) return undefined
  const had = count === 1 ? '1 repetition' : `${count} repetitions`
  return { kind: 'none', why: `${had}, and ${LEAST_REPETITIONS} are needed` }
}

function judged({ middle, low, high }: Interval, values: readonly number[], { share, amount = 0 }: Tolerance): Figure {
  const reach = Math.max(high - middle, middle - low)
  if (!(reach <= Math.max(Math.abs(middle) * share, amount))) {
    const wide = middle === 0 ? 'around 0' : `of ${percent(reach / Math.abs(middle))} on one side`
    return { kind: 'noisy', why: `an interval ${wide}, and ${percent(share)} is the limit`, middle, low, high }
  }
  const spread = middle === 0 ? 0 : medianDeviation(values) / Math.abs(middle)
  return { kind: 'value', middle, low, high, spread, of: values.length }
}

const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`
