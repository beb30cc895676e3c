// Latencies as a log-linear histogram: 128 buckets for each power of two, so that a value is known within 1/128 however large it is,
// as src/native/bench/load.h counts them. Percentiles give the upper end of their bucket, which never flatters. `corrected`
// fills in the requests that were not sent while a slow one was waited for (coordinated omission, after G. Tene).
//
// Values are whole numbers from 0 to 2^53.

const PRECISION = 7
const HALF = 2 ** PRECISION

/** Counts by number of bucket. */
export type Histogram = ReadonlyMap<number, number>

export function bucketOf(value: number): number {
  let shift = 0
  while (value / 2 ** shift >= 2 * HALF) shift++
  return shift * HALF + Math.floor(value / 2 ** shift)
}

/** The largest value of a bucket. */
export function highestOf(bucket: number): number {
  if (bucket < 2 * HALF) return bucket
  const shift = Math.floor(bucket / HALF) - 1
  return (bucket - shift * HALF + 1) * 2 ** shift - 1
}

const middleOf = (bucket: number): number => (highestOf(bucket - 1) + highestOf(bucket)) / 2

export function histogramOf(values: Iterable<number>): Histogram {
  const out = new Map<number, number>()
  for (const value of values) add(out, bucketOf(value), 1)
  return out
}

export function merged(histograms: readonly Histogram[]): Histogram {
  const out = new Map<number, number>()
  for (const one of histograms) for (const [bucket, count] of one) add(out, bucket, count)
  return out
}

export function countOf(histogram: Histogram): number {
  let sum = 0
  for (const count of histogram.values()) sum += count
  return sum
}

/** How many have to be measured before a percentile of all of them is told: twenty were slower then. The slowest is no percentile. */
export const leastFor = (percent: number): number => (percent >= 100 ? 1 : Math.round(20 / (1 - percent / 100)))

/** The value that `percent` of all do not exceed; 0 of nothing. */
export function percentileOf(histogram: Histogram, percent: number): number {
  const wanted = Math.max(1, Math.ceil((countOf(histogram) * percent) / 100 - 1e-9))
  let seen = 0
  for (const bucket of [...histogram.keys()].sort((a, b) => a - b)) {
    seen += histogram.get(bucket) ?? 0
    if (seen >= wanted) return highestOf(bucket)
  }
  return 0
}

/**
 * As if requests had been sent every `interval` all along: one that took longer stands for those that it kept from being sent, each of
 * which would have waited one interval less.
 */
export function corrected(histogram: Histogram, interval: number): Histogram {
  const out = new Map<number, number>(histogram)
  if (interval <= 0) return out
  for (const [bucket, count] of histogram)
    for (let value = middleOf(bucket) - interval; value >= interval; value -= interval) add(out, bucketOf(value), count)
  return out
}

function add(into: Map<number, number>, bucket: number, count: number): void {
  into.set(bucket, (into.get(bucket) ?? 0) + count)
}
