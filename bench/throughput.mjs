// What the eBPF fence with 100,000 grants leaves of a large-packet stream and of connections a second, beside a program that
// does nothing on the same two hooks, and beside nothing at all. Rounds alternate, so that a busy machine is busy for all three.
// Client and server are small Node programs: they bound the figures, and only ratios within a row mean anything.

import { median, openBench } from './dataplane/fence.mjs'
import { openLink } from './dataplane/link.mjs'

export const promise = 'eBPF throughput and connections a second, 100,000 grants, against an empty program'
export const target = '>= 0.97 and >= 0.90'

const ROUNDS = 5
const MS = 1500

export async function measure() {
  const bench = await openBench()
  const link = await openLink()
  const seen = { nothing: [], empty: [], fence: [] }
  try {
    const program = bench.lower(1, 100_000, 'exact')
    for (let round = 0; round < ROUNDS; round++) {
      await bench.detach()
      await link.run('crr', 200)
      seen.nothing.push([await link.run('stream', MS), await link.run('crr', MS)])
      bench.attachEmpty()
      seen.empty.push([await link.run('stream', MS), await link.run('crr', MS)])
      bench.detachEmpty()
      await bench.driver.commit(await bench.driver.stage({ ...program, generation: round + 1 }))
      await bench.driver.observe()
      seen.fence.push([await link.run('stream', MS), await link.run('crr', MS)])
    }
  } finally {
    link.close()
    await bench.close()
  }
  const figures = Object.fromEntries(
    Object.entries(seen).map(([name, rows]) => [name, [0, 1].map((i) => median(rows.map((row) => row[i])))]),
  )
  for (const [name, [stream, crr]] of Object.entries(figures))
    console.log(
      `  ${name.padEnd(10)} ${stream.toFixed(2).padStart(8)} Gbit/s ${crr.toFixed(0).padStart(8)} connections/s`,
    )
  const ratio = (i, to) => figures.fence[i] / figures[to][i]
  return {
    figure: `throughput ${ratio(0, 'empty').toFixed(3)}, connections ${ratio(1, 'empty').toFixed(3)}`,
    rows: [
      `throughput of nothing attached: ${ratio(0, 'nothing').toFixed(3)}`,
      `connections of nothing attached: ${ratio(1, 'nothing').toFixed(3)}`,
    ],
    met: ratio(0, 'empty') >= 0.97 && ratio(1, 'empty') >= 0.9,
  }
}
