// How many rules that match nothing make a variant slower by a tenth on this machine. Takes its rates without any and with many, measured
// in the same rounds by turns; gives the number, and the interval of the rate that is left with so many. Refuses what is too noisy to
// plant anything by: then nothing that a comparison says of it proves anything.
//
// Each rule costs a packet the same, so that 1 / rate grows with their number. Of many rules, which leave about half of the rate, an error
// of 3 % in what is measured is one of 6 % in their number; of so few as cost a twentieth it would be one of 60 %.

import { type Interval, ratioInterval } from '../../../src/bench/statistics.js'

/** What is to be left of a rate. */
export const PLANTED = 0.9
/** How far from it the rate may be that is left at an end of the interval. */
const OFF = 0.04

export interface Planted {
  readonly rules: number
  readonly left: Interval
}

/** `plain` and `heavy` are of the same rounds, in the same order; `heavy` with `rules` of them. */
export function plantedTenth(plain: readonly number[], heavy: readonly number[], rules: number): Planted {
  if (plain.length !== heavy.length || plain.length === 0) throw new Error('the rounds of both are not the same')
  const { middle, low, high } = ratioInterval(plain, heavy, { confidence: 0.95, seed: 1 })
  const wanted = (rules * (1 / PLANTED - 1)) / (middle - 1)
  const left = (times: number): number => 1 / (1 + ((times - 1) * wanted) / rules)
  const seen = `${rules} rules make it ${middle.toFixed(3)} times as slow (${low.toFixed(3)} to ${high.toFixed(3)})`
  if (!(low > 1) || left(low) > PLANTED + OFF || left(high) < PLANTED - OFF)
    throw new Error(`this machine is too noisy to plant anything: ${seen}`)
  return { rules: Math.round(wanted), left: { middle: left(middle), low: left(high), high: left(low) } }
}
