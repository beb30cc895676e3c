// The arithmetic of the bench: order statistics, a seeded source of chance, and intervals by resampling. All of it gives the same
// for the same input and seed. Refuses nothing: callers hold at least one finite number.

/** Linear between the two nearest ranks (type 7 of Hyndman and Fan, 1996). `share` is 0 to 1. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
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

/** Standard deviation; infinite where one of the values is not finite, of which nothing is known. */
export function deviation(values: ArrayLike<number>): number {
  let [mean, squares] = [0, 0]
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    if (!Number.isFinite(value)) return Number.POSITIVE_INFINITY
    const off = value - mean
    mean += off / (i + 1)
    squares += off * (value - mean)
  }
  return Math.sqrt(squares / Math.max(1, values.length - 1))
}

/** From here on Student's distribution is as good as the normal one. */
const MOST_FREEDOM = 500

/** Where Student's distribution has `tail` of itself above: halved until it is found. */
export function studentQuantile(tail: number, freedom: number): number {
  let [low, high] = [0, 1]
  while (studentTail(high, freedom) > tail) high *= 2
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (studentTail(middle, freedom) > tail) low = middle
    else high = middle
  }
  return high
}

/** How much of Student's distribution is above `t` (Abramowitz and Stegun, 26.7.3 and 26.7.4). */
export function studentTail(t: number, freedom: number): number {
  const degrees = Math.max(1, Math.min(MOST_FREEDOM, Math.floor(freedom)))
  const angle = Math.atan(t / Math.sqrt(degrees))
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)]
  const odd = degrees % 2 === 1
  let [term, sum] = odd ? [cosine, degrees > 1 ? cosine : 0] : [1, 1]
  for (let k = odd ? 3 : 2; k <= degrees - 2; k += 2) {
    term *= cosine * cosine * ((k - 1) / k)
    sum += term
  }
  const within = odd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum
  return (1 - within) / 2
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
  const drawn = Array.from({ length: count }, (_, i) => i)
  const middle = of(drawn)
  const seen = new Float64Array(RESAMPLES)
  for (let i = 0; i < RESAMPLES; i++) {
    for (let n = 0; n < count; n++) drawn[n] = Math.floor(random() * count)
    seen[i] = of(drawn)
  }
  const sorted = seen.sort()
  const tail = (1 - terms.confidence) / 2
  return { middle, low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) }
}

/** Values in order, so that the median of some of them is found by counting instead of sorting: it is asked for thousands of times. */
export class Ranked {
  private readonly sorted: readonly number[]
  private readonly rank: readonly number[]
  private readonly times: Int32Array

  constructor(values: readonly number[]) {
    const order = values.map((_, i) => i).sort((a, b) => (values[a] as number) - (values[b] as number))
    const rank = new Array<number>(values.length)
    for (const [place, i] of order.entries()) rank[i] = place
    this.sorted = order.map((i) => values[i] as number)
    this.rank = rank
    this.times = new Int32Array(values.length)
  }

  /** Median of the values with these numbers, which may repeat. */
  median(drawn: readonly number[]): number {
    const { times, rank, sorted } = this
    times.fill(0)
    for (const i of drawn) {
      const place = rank[i] as number
      times[place] = (times[place] as number) + 1
    }
    const upper = drawn.length >> 1
    const lower = drawn.length % 2 === 1 ? upper : upper - 1
    let seen = 0
    let below = Number.NaN
    for (let place = 0; place < times.length; place++) {
      seen += times[place] as number
      if (Number.isNaN(below) && seen > lower) below = sorted[place] as number
      if (seen > upper) return (below + (sorted[place] as number)) / 2
    }
    return Number.NaN
  }
}

/** Interval of the median. */
export function medianInterval(values: readonly number[], terms: Resampling): Interval {
  const ranked = new Ranked(values)
  return resampled(values.length, (drawn) => ranked.median(drawn), terms)
}

/**
 * Interval of the ratio of two medians whose values were measured in pairs: value `i` of both is of one round, and rounds are drawn
 * whole, so that a round in which the machine was busy is busy for both.
 */
export function ratioInterval(over: readonly number[], under: readonly number[], terms: Resampling): Interval {
  const [above, below] = [new Ranked(over), new Ranked(under)]
  const count = Math.min(over.length, under.length)
  return resampled(count, (drawn) => above.median(drawn) / below.median(drawn), terms)
}

/**
 * Interval of the median of ratios, each of two values that were measured side by side in one round. No round is better than its
 * other half for being lucky, as the best of one over the best of the other would be.
 */
export function pairedInterval(over: readonly number[], under: readonly number[], terms: Resampling): Interval {
  return medianInterval(
    over.map((value, i) => value / (under[i] as number)),
    terms,
  )
}
