// Many rates of one variant together. A single rate of an ordinary machine moves by a tenth from one round to the next, so that a tenth
// less is not seen in any of them; where every rate of a variant fell by it, the middle of all their quotients did, and that one is known
// far better. Takes each rate's shares of nothing attached, round by round, from both runs; gives the quotient of the middle rate, with
// its interval, for all of a variant and for each question that it was asked often enough.
//
// Resampled twice over: rounds, drawn for all rates of a setting alike since they share their visits, and then rates, so that two rates
// that moved for a reason of their own do not speak for the others. Noise of its own each rate then has twice over, which is as wide as
// 99 % is meant to be and more; for tails further out (judge.ts) the deviation is that of one of the two draws, whichever is wider: the
// rounds' where rates moved together, the rates' where each moved alone. Medians throughout: a stream on this kind of machine has two speeds.

import { type Estimate, estimateOf } from './judge.js'
import type { Measurement } from './results.js'
import { chance, deviation, median, quantile, Ranked } from './statistics.js'

const RESAMPLES = 2_000
/** Fewer rates have no middle to speak of. */
export const LEAST_RATES = 5

export interface Rate {
  readonly variant: string
  readonly counts: boolean
  readonly measurement: Pick<Measurement, 'question' | 'grants' | 'workspaces'>
  /** Shares of nothing attached, one for each round. */
  readonly before: readonly number[]
  readonly after: readonly number[]
}

export interface Pooled {
  readonly variant: string
  readonly counts: boolean
  /** `every rate`, or of which question. */
  readonly of: string
  readonly rates: number
  readonly before: number
  readonly after: number
  readonly estimate: Estimate
}

export function pooledQuotients(all: readonly Rate[], seed: number): Pooled[] {
  // What nothing came through of in half of the rounds is judged by itself: it has no logarithm.
  const rates = all.filter(({ before, after }) => median(before) > 0 && median(after) > 0)
  return [...new Set(rates.map(({ variant }) => variant))].flatMap((variant) => {
    const own = rates.filter((rate) => rate.variant === variant)
    const questions = [...new Set(own.map(({ measurement }) => measurement.question))]
    const groups = [
      { of: 'every rate', own },
      ...(questions.length === 1 ? [] : questions).map((question) => ({
        of: question,
        own: own.filter(({ measurement }) => measurement.question === question),
      })),
    ]
    return groups.filter(({ own }) => own.length >= LEAST_RATES).map(({ of, own }) => pooled(variant, of, own, seed))
  })
}

function pooled(variant: string, of: string, rates: readonly Rate[], seed: number): Pooled {
  const random = chance(seed)
  const sides = (['before', 'after'] as const).map((side) =>
    rates.map((rate) => ({ ranked: new Ranked(rate[side]), drawn: visitsOf(rate, side) })),
  )
  const [before, after] = [rates.map((rate) => median(rate.before)), rates.map((rate) => median(rate.after))]
  const observed = after.map((value, n) => logarithm(value) - logarithm(before[n] ?? 1))
  const [seen, byRounds, byRates] = [0, 1, 2].map(() => new Float64Array(RESAMPLES)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ]
  const changes = new Float64Array(rates.length)
  const each = rates.map((_, n) => n)
  for (let i = 0; i < RESAMPLES; i++) {
    const visits = new Map<string, number[]>()
    const [old = [], now = []] = sides.map((side) =>
      side.map(({ ranked, drawn: { id, count } }) => {
        let drawn = visits.get(id)
        if (!drawn) {
          drawn = Array.from({ length: count }, () => Math.floor(random() * count))
          visits.set(id, drawn)
        }
        return logarithm(ranked.median(drawn))
      }),
    )
    const drawn = rates.map(() => Math.floor(random() * rates.length))
    const middleOf = (which: ArrayLike<number>, change: (at: number) => number): number => {
      for (let n = 0; n < which.length; n++) changes[n] = change(which[n] as number)
      return quantile(changes.sort(), 0.5)
    }
    const drawnAgain = (at: number): number => (now[at] ?? 0) - (old[at] ?? 0)
    seen[i] = Math.exp(middleOf(drawn, drawnAgain))
    byRounds[i] = middleOf(each, drawnAgain)
    byRates[i] = middleOf(drawn, (at) => observed[at] ?? 0)
  }
  const wider = Math.max(deviation(byRounds), deviation(byRates))
  return {
    variant,
    counts: rates[0]?.counts ?? false,
    of,
    rates: rates.length,
    before: median(before),
    after: median(after),
    estimate: {
      ...estimateOf(seen),
      deviation: wider,
      middle: Math.exp(median(observed)),
      freedom: 2 * (rates.length - 1),
    },
  }
}

/** Rates with one name were measured in the same visits. */
function visitsOf(rate: Rate, side: 'before' | 'after'): { readonly id: string; readonly count: number } {
  const { grants, workspaces } = rate.measurement
  const count = rate[side].length
  return { id: [side, grants, workspaces, count].join(' '), count }
}

/** Of nothing at all too, which may be drawn: next to nothing. */
const logarithm = (value: number): number => Math.log(Math.max(value, Number.MIN_VALUE))
