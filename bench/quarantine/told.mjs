// What a quarantine to the last byte is told as, in process and over gRPC: of each backend `{ name, took, late }`, and `done` where an
// answer is something else than the last byte. A promise is met where every backend's slow end is.

import { FLOWS, summary } from '../dataplane/lastbyte.mjs'
import { ends, named } from '../said/short.mjs'

export function told(seen, mostMs) {
  const each = seen.map((row) => ({ ...row, ...summary(row.took) }))
  return {
    figure: ends(
      seen.map(({ name, took }) => [name, took]),
      'ms',
    ),
    rows: each.flatMap(said),
    met: each.every(({ slow }) => slow.value <= mostMs),
    series: seen.map(({ name, took }) => ({
      name: `${name}, ${FLOWS.toLocaleString('en')} flows that talk`,
      unit: 'ms',
      better: 'lower',
      limit: mostMs,
      samples: took,
    })),
  }
}

function said({ name, took, done, p50, slow, least, most, late }) {
  const [middle, end, low, high] = [p50, slow.value, least, most].map((ms) => ms.toFixed(2))
  return [
    `to the last byte: p50 ${middle} ms, ${slow.name} ${end} ms (${low} to ${high} in batches)`,
    ...(done === undefined ? [] : [`answered: p50 ${summary(done).p50.toFixed(0)} ms`]),
    `packets after the command was done: ${late.packets}, in ${late.rounds} of ${took.length} rounds`,
  ].map((row) => `${named(name)}, ${row}`)
}
