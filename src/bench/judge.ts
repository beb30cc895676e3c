// When a change counts: the whole interval of the quotient (99 %, since a comparison looks at many) lies on one side of 1, and its middle
// is further from 1 than the least change that matters. What did not change is the same only where twice that least change would have
// been found in the same repetitions; otherwise it is too noisy to tell.

import type { Better } from './results.js'
import { chance, type Interval, median, quantile, Ranked } from './statistics.js'

export const CONFIDENCE = 0.99
const RESAMPLES = 4_000
/** Of shares of what was measured beside it, and of what stands alone. */
export const LEAST_CHANGE = { share: 0.05, alone: 0.15 } as const
/** What has to be found where it is, before anything is called the same: a tenth of a share. */
const TOLD = 2

export type Verdict = 'slower' | 'faster' | 'same' | 'too-noisy'

interface Judged {
  readonly before: number
  readonly after: number
  /** After by before. */
  readonly quotient: Interval
  readonly better: Better
}

/** Of what stands alone: what the machine did from one run to the other, to what is not ours, may have happened to it as well. */
export const widened = ({ middle, low, high }: Interval, by: number): Interval => ({
  middle,
  low: low / by,
  high: high * by,
})

/** Interval of the quotient of two medians that were not measured in pairs: each list is drawn again by itself. */
export function quotientOf(before: readonly number[], after: readonly number[], seed: number): Interval {
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

export function judge(values: Judged, least: number): Verdict {
  const { before, after, quotient, better } = values
  const { low, high } = quotient
  // Nothing at all came through, in half of the rounds and more: no quotient says how much slower that is.
  if (before > 0 && after === 0) return better === 'lower' ? 'faster' : 'slower'
  if (!(low > 0) || !Number.isFinite(high)) return 'too-noisy'
  if (up(quotient, least)) return better === 'lower' ? 'slower' : 'faster'
  if (down(quotient, least)) return better === 'lower' ? 'faster' : 'slower'
  const planted = least * TOLD
  const told = down(times(quotient, 1 - planted), least) && up(times(quotient, 1 / (1 - planted)), least)
  return told ? 'same' : 'too-noisy'
}

const up = ({ low, middle }: Interval, least: number): boolean => low > 1 && middle >= 1 + least
const down = ({ high, middle }: Interval, least: number): boolean => high < 1 && middle <= 1 - least
/** As if everything in the second run had been so many times as much. */
const times = ({ middle, low, high }: Interval, by: number): Interval => ({
  middle: middle * by,
  low: low * by,
  high: high * by,
})
