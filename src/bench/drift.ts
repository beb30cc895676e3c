// How differently the same machine treated what is not ours in two runs: its clock, its neighbours and its memory are others an hour
// later, and no repetition within a run knows of it. Takes two runs of one machine; gives a factor of at least 1, which nine of ten rates
// and times of nothing attached, empty hooks and what one would write by hand stayed within; nothing where there are too few of them.

import type { Results } from './results.js'
import { ascending, median, quantile } from './statistics.js'

const SHARE = 0.9
/** Of fewer nothing is known. */
const LEAST = 5

export function driftOf(before: Results, after: Results): number | undefined {
  const theirs = new Set(before.variants.flatMap(({ name, role }) => (role === 'fence' ? [] : [name])))
  const changes = before.measurements.flatMap(({ id, unit, cells }) => {
    const now = after.measurements.find((one) => one.id === id)
    if (!now || !(unit.endsWith('/s') || unit === 'ms')) return []
    return cells.flatMap(({ variant, repetitions }) => {
      const other = theirs.has(variant) ? now.cells.find((one) => one.variant === variant) : undefined
      if (!other || repetitions.length === 0 || other.repetitions.length === 0) return []
      const [old, fresh] = [repetitions, other.repetitions].map((each) => median(each.map(({ value }) => value)))
      return old && fresh ? [Math.abs(Math.log(fresh / old))] : []
    })
  })
  return changes.length < LEAST ? undefined : Math.exp(quantile(ascending(changes), SHARE))
}
