// The arithmetic of the bench: order statistics, a seeded source of chance, and intervals by resampling. All of it gives the same
// for the same input and seed. Refuses nothing: callers hold at least one finite number.

/** Linear between the two nearest ranks (type 7 of Hyndman and Fan, 1996). `share` is 0 to 1. */
export function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share
  const below = sorted[Math.floor(at)] ?? Number.NaN
  const above = sorted[Math.ceil(at)] ?? below
  return below + (above - below) * (at - Math.floor(at))
}

export const ascending = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b)

export const median = (values: readonly number[]): number => quantile(ascending(values), 0.5)

/** Median absolute deviation from the median, in the unit of the values; not scaled to a normal deviation. */
export function medianDeviation(values: readonly number[]): number {
  const middle = median(values)
  return median(values.map((value) => Math.abs(value - middle)))
}

/** Numbers from 0 to below 1 that depend on the seed alone (a 32-bit counter through two multiply-xorshift rounds). */
export function chance(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
}

/** The same things in an order of chance (Fisher and Yates). */
export function shuffled<T>(things: readonly T[], random: () => number): T[] {
  const out = [...things]
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[out[i], out[j]] = [out[j] as T, out[i] as T]
  }
  return out
}

export interface Interval {
  readonly middle: number
  readonly low: number
  readonly high: number
}

export interface Resampling {
  readonly confidence: number
  readonly seed: number
}

/** Enough that the ends of a 95 % interval do not move with the seed by more than what a repetition moves them. */
const RESAMPLES = 2_000

/**
 * Percentile interval of a statistic over `count` things that are drawn again with replacement (Efron, 1979). `of` is given the
 * numbers of the things drawn. Percentile and not BCa: the statistics here are medians, whose jackknife has two values at most, so
 * that the acceleration it would estimate is noise. With five things the interval is nearly their whole range, which is honest.
 */
export function resampled(count: number, of: (drawn: readonly number[]) => number, terms: Resampling): Interval {
  const random = chance(terms.seed)
  const all = Array.from({ length: count }, (_, i) => i)
  const seen: number[] = []
  for (let i = 0; i < RESAMPLES; i++) seen.push(of(all.map(() => Math.floor(random() * count))))
  const sorted = ascending(seen)
  const tail = (1 - terms.confidence) / 2
  return { middle: of(all), low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) }
}

/** Interval of the median. */
export const medianInterval = (values: readonly number[], terms: Resampling): Interval =>
  resampled(values.length, (drawn) => median(drawn.map((i) => values[i] as number)), terms)

/**
 * Interval of the ratio of two medians whose values were measured in pairs: value `i` of both is of one round, and rounds are drawn
 * whole, so that a round in which the machine was busy is busy for both.
 */
export const ratioInterval = (over: readonly number[], under: readonly number[], terms: Resampling): Interval =>
  resampled(
    Math.min(over.length, under.length),
    (drawn) => median(drawn.map((i) => over[i] as number)) / median(drawn.map((i) => under[i] as number)),
    terms,
  )
