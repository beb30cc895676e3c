// The arithmetic of the bench against values that are known from elsewhere: quantiles and deviations as R gives them, the exact
// distribution of a resampled median of three, and the textbook case of coordinated omission.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { figureOf, RATE, ratioOf } from '../../../src/bench/figure.js'
import {
  bucketOf,
  corrected,
  countOf,
  highestOf,
  histogramOf,
  merged,
  percentileOf,
} from '../../../src/bench/histogram.js'
import {
  ascending,
  chance,
  median,
  medianDeviation,
  medianInterval,
  pairedInterval,
  quantile,
  Ranked,
  ratioInterval,
  resampled,
  shuffled,
} from '../../../src/bench/statistics.js'

const terms = { confidence: 0.95, seed: 1 }

describe('order statistics', () => {
  it('are those of R: quantile(c(1, 2, 4, 8, 16), type = 7) and mad(constant = 1)', () => {
    const values = ascending([16, 1, 8, 2, 4])
    expect([0, 0.1, 0.25, 0.5, 0.75, 0.9, 1].map((share) => quantile(values, share))).toEqual([
      1, 1.4, 2, 4, 8, 12.8, 16,
    ])
    expect(median([3, 1, 2, 4])).toBe(2.5)
    expect(medianDeviation([1, 1, 2, 2, 4, 6, 9])).toBe(1)
  })
})

describe('chance', () => {
  it('is the same for the same seed, another for another, and even', () => {
    const draw = (seed: number, count: number): number[] => {
      const random = chance(seed)
      return Array.from({ length: count }, random)
    }
    expect(draw(7, 5)).toEqual(draw(7, 5))
    expect(draw(7, 5)).not.toEqual(draw(8, 5))
    const tenths = new Array<number>(10).fill(0)
    for (const value of draw(3, 100_000)) tenths[Math.floor(value * 10)] = (tenths[Math.floor(value * 10)] ?? 0) + 1
    // Chi squared of nine degrees of freedom stays below 27.9 in 999 of 1,000 fair draws.
    expect(tenths.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0)).toBeLessThan(27.9)
  })

  it('shuffles without loss, and every order comes up', () => {
    const random = chance(5)
    const orders = new Set(Array.from({ length: 500 }, () => shuffled(['a', 'b', 'c', 'd'], random).join('')))
    expect(orders.size).toBe(24)
    for (const order of orders) expect([...order].sort().join('')).toBe('abcd')
  })
})

describe('intervals', () => {
  it('draw a median of three as often as combinatorics says: 7, 13 and 7 of 27', () => {
    const seen: number[] = []
    resampled(
      3,
      (drawn) => {
        const value = median([...drawn])
        seen.push(value)
        return value
      },
      terms,
    )
    const share = (value: number): number => seen.filter((one) => one === value).length / seen.length
    expect(share(0)).toBeCloseTo(7 / 27, 1)
    expect(share(1)).toBeCloseTo(13 / 27, 1)
    expect(share(2)).toBeCloseTo(7 / 27, 1)
  })

  it('count medians as sorting would', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(), { minLength: 1, maxLength: 13 }),
        (values, numbers) => {
          const drawn = numbers.map((n) => n % values.length)
          const sorted = median(drawn.map((i) => values[i] as number))
          expect(new Ranked(values).median(drawn)).toBeCloseTo(sorted, 6)
        },
      ),
    )
  })

  it('of five repetitions reach nearly over all of them, and of many the textbook width', () => {
    expect(medianInterval([10, 11, 12, 13, 14], terms)).toEqual({ middle: 12, low: 10, high: 14 })
    // The ranks of a 95 % interval of a median of 100 are 40 and 61 (binomial).
    const { low, middle, high } = medianInterval(
      Array.from({ length: 100 }, (_, i) => i + 1),
      terms,
    )
    expect(middle).toBe(50.5)
    expect(Math.abs(low - 40.5)).toBeLessThanOrEqual(1.5)
    expect(Math.abs(high - 60.5)).toBeLessThanOrEqual(1.5)
  })

  it('of pairs is of their own ratios: one lucky round says nothing', () => {
    // The best of one over the best of the other would be 1.
    expect(pairedInterval([10, 5, 5, 5, 5], [10, 10, 10, 10, 10], terms).middle).toBe(0.5)
    // And the median over the median 2, though each round but one says 1.
    const { low, middle, high } = pairedInterval([1, 1, 2, 4, 4], [1, 1, 1, 4, 4], terms)
    expect([low, middle, high]).toEqual([1, 1, 2])
  })

  it('of a ratio take rounds whole: what slows both changes nothing', () => {
    const under = [10, 5, 8, 2, 9]
    const { low, middle, high } = ratioInterval(
      under.map((value) => value * 0.9),
      under,
      terms,
    )
    for (const value of [low, middle, high]) expect(value).toBeCloseTo(0.9, 12)
  })

  it('cover the true median about as often as they say', () => {
    const random = chance(11)
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    let covered = 0
    for (let i = 0; i < 600; i++) {
      const { low, high } = medianInterval(Array.from({ length: 9 }, normal), { confidence: 0.95, seed: i })
      if (low <= 0 && 0 <= high) covered++
    }
    expect(covered / 600).toBeGreaterThan(0.9)
  })
})

describe('figures', () => {
  it('are numbers where repetitions agree', () => {
    expect(figureOf([100, 101, 99, 100, 102], RATE, terms)).toEqual({
      kind: 'value',
      middle: 100,
      low: 99,
      high: 102,
      spread: 0.01,
      of: 5,
    })
  })

  it('say by how much they are too noisy', () => {
    expect(figureOf([100, 120, 99, 80, 102], RATE, terms)).toMatchObject({
      kind: 'noisy',
      why: 'an interval of 20 % on one side, and 10 % is the limit',
    })
  })

  it('say that there is too little', () => {
    const why = '4 repetitions, and 5 are needed'
    expect(figureOf([1, 1, 1, 1], RATE, terms)).toEqual({ kind: 'none', why })
    expect(ratioOf([1], [1], RATE, terms)).toEqual({ kind: 'none', why: '1 repetition, and 5 are needed' })
    const zero = { kind: 'none', why: 'what it is compared with is 0 at times' }
    expect(ratioOf([1, 1, 1, 1, 1], [2, 2, 0, 2, 2], RATE, terms)).toEqual(zero)
  })

  it('let small amounts move by their own size', () => {
    expect(figureOf([0, 1, 0, 1.5, 0], { share: 0.1, amount: 2 }, terms)).toMatchObject({ kind: 'value', middle: 0 })
    expect(figureOf([0, 1, 0, 1.5, 0], { share: 0.1 }, terms).kind).toBe('noisy')
  })
})

describe('histograms', () => {
  it('know every value within 1/128, and each bucket follows the one before', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const highest = highestOf(bucketOf(value))
        expect(highest).toBeGreaterThanOrEqual(value)
        expect(highest - value).toBeLessThanOrEqual(value / 128)
        expect(bucketOf(highest)).toBe(bucketOf(value))
        expect(bucketOf(highest + 1)).toBe(bucketOf(value) + 1)
      }),
    )
  })

  it('count like src/native/bench/load.c', () => {
    // Of its formula: shift = position of the top bit - 7; bucket = shift * 128 + (value >> shift).
    expect([0, 255, 256, 257, 258, 1_000, 1_000_000].map(bucketOf)).toEqual([0, 255, 256, 256, 257, 506, 1780])
  })

  it('fill in what a stall of 100 s kept from being sent, one request each 10 ms', () => {
    // 10,000 requests of 1 ms and one of 100 s: 101 s of wall clock, of which 100 were spent waiting.
    const raw = histogramOf([...new Array<number>(10_000).fill(1_000), 100_000_000])
    expect(countOf(raw)).toBe(10_001)
    expect(percentileOf(raw, 99.99)).toBeLessThan(1_010)
    const whole = corrected(raw, 10_000)
    // 20,000 of exact values; the stall is known within 1/128.
    expect(Math.abs(countOf(whole) - 20_000)).toBeLessThanOrEqual(100)
    const at = (percent: number): number => percentileOf(whole, percent)
    for (const [percent, expected] of [
      [30, 1_000],
      [50, 1_000],
      [75, 50_000_000],
      [90, 80_000_000],
      [99, 98_000_000],
      [99.999, 100_000_000],
      [100, 100_000_000],
    ] as const)
      expect(Math.abs(at(percent) - expected) / expected).toBeLessThan(2 / 128)
  })

  it('add up', () => {
    const whole = merged([histogramOf([1, 2, 3]), histogramOf([3, 500])])
    expect([countOf(whole), percentileOf(whole, 50), percentileOf(whole, 100)]).toEqual([5, 3, 501])
    expect(percentileOf(new Map(), 50)).toBe(0)
  })
})
