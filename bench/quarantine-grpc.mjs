// The same as quarantine.mjs by an operator over the gRPC of a real agent, under eBPF and under nftables: timed from the call to the last
// packet of the workspace, over a connection that stands, with the answer beside it, which waits for a receipt on disk
// (quarantine/agent.mjs). BENCH_ROUNDS names other rounds. Needs root and a build.

import { overGrpc } from './quarantine/agent.mjs'
import { told } from './quarantine/told.mjs'

export const promise = 'quarantine: command accepted to last byte, 1,000 live flows, over gRPC'
export const target = 'p99 <= 10 ms'

const MOST_MS = 10
/** As few as a p99 is told of. */
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 100)
/** Each is two receipts and looks of the agent as well. */
const ROUND_MS = 400

export async function measure() {
  const seen = []
  for (const backend of ['ebpf', 'nftables']) {
    const { last, done, late } = await overGrpc(backend, ROUNDS, ROUNDS * ROUND_MS)
    seen.push({ name: `${backend} over gRPC`, took: last, done, late })
  }
  return told(seen, MOST_MS)
}
