// The files of bench/ in a comparison: each of their series by itself, on the same machine only, and the file where it has no figure any
// more. A promise that was held and no longer is says nothing by itself, since a hair is enough (20.1 us where 20 are promised): it counts
// where a series of that file got slower beyond noise, and is a remark otherwise.

import { LEAST_CHANGE, quotientOf } from './judge.js'
import type { BenchSeen, Results } from './results.js'
import { type Alone, type Compared, goneRow, LEAST_SAMPLES, type Line, tooFew } from './row.js'
import { median } from './statistics.js'

interface BenchTerms {
  readonly alike: boolean
  readonly alone: Alone | undefined
  readonly seed: number
}

export function benchLines(before: Results, after: Results, { alike, alone, seed }: BenchTerms): Line[] {
  return before.benches.flatMap((was) => {
    const { name, series } = was
    const bench = after.benches.find((one) => one.name === name)
    if (bench?.state !== 'done') return unfigured(was, bench, alike)
    return series.flatMap((old): Line[] => {
      const now = bench.series.find((one) => one.name === old.name)
      const common = { from: `bench ${name}`, say: old.name, counts: true }
      const enough = old.samples.length >= LEAST_SAMPLES
      if (!now || (enough && now.samples.length < LEAST_SAMPLES)) {
        const why = now ? tooFew(now.samples.length) : 'it is not in the second run'
        return [{ ...common, ...goneRow('median', old.samples, old.better, why) }]
      }
      if (!enough || !alone) return []
      const estimate = quotientOf(old.samples, now.samples, seed)
      const values = { before: median(old.samples), after: median(now.samples), estimate, better: old.better }
      // Of two that took turns: the machine is in neither.
      const terms = old.unit === 'ratio' ? { least: LEAST_CHANGE.known } : alone
      return [{ ...common, what: 'median', ...values, ...terms, together: false }]
    })
  })
}

/** A line for the file itself, where it has no figure any more. */
function unfigured(old: BenchSeen, now: BenchSeen | undefined, alike: boolean): Line[] {
  if (old.state !== 'done' || (!alike && now?.state !== 'failed')) return []
  return [
    { ...fileOf(old), ...goneRow('promise', [1], 'higher', now?.why ?? now?.state ?? 'it is not in the second run') },
  ]
}

const fileOf = ({ name, promise }: BenchSeen) => ({
  from: `bench ${name}`,
  say: promise === '' ? name : promise,
  counts: true,
})

/** Promises that the first run held and the second does not, on one machine: rows where the file's series moved as well, or remarks. */
export function missedPromises(
  before: Results,
  after: Results,
  judged: readonly Compared[],
): { readonly rows: readonly Compared[]; readonly remarks: readonly string[] } {
  const missed = before.benches.flatMap((old) => {
    const now = after.benches.find(({ name }) => name === old.name)
    if (old.state !== 'done' || now?.state !== 'done' || old.met !== true || now.met !== false) return []
    const file = fileOf(old)
    const moved = judged.some(({ from, verdict }) => from === file.from && verdict === 'slower')
    return [{ file, moved, figure: now.figure ?? 'no figure' }]
  })
  return {
    rows: missed.flatMap(({ file, moved, figure }) =>
      moved ? [{ ...file, ...goneRow('promise', [1], 'higher', `it held before, and now: ${figure}`) }] : [],
    ),
    remarks: missed.flatMap(({ file, moved, figure }) =>
      moved
        ? []
        : [`${file.say}: held before and not now (${figure}), though nothing of that file got slower beyond noise`],
    ),
  }
}
