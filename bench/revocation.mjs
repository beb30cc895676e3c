// From a security event to the fence: an identity provider beside a real agent pushes signed events (RFC 8935 over HTTPS, a connection
// each) that revoke the session of a workspace's user, one after another, each lifted again by an operator; 1,000 flows of that workspace
// talk all the while. What is timed begins before the connection is opened and ends when the fence was read back (the agent's signed
// receipt, in whole milliseconds) and the last packet of the workspace has left the node, whichever is later. The answer, which waits for
// a disk as well, stands beside it. BENCH_ROUNDS names other rounds. Needs root, openssl and a build.

import { FLOWS } from './dataplane/lastbyte.mjs'
import { overPush } from './revocation/agent.mjs'
import { ends, named } from './said/short.mjs'
import { tail } from './said/tail.mjs'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 100)
/** Of each backend; on a slow machine there are fewer rounds. */
const MOST_MS = 22_000
const LIMIT_MS = 100

export const promise = 'revocation event to fence: pushed to fence read back and last byte, 1,000 live flows'
export const target = `p99 <= ${LIMIT_MS} ms`

export async function measure() {
  const seen = []
  for (const backend of ['ebpf', 'nftables']) seen.push({ backend, ...(await overPush(backend, ROUNDS, MOST_MS)) })
  return {
    figure: ends(
      seen.map(({ backend, took }) => [backend, took]),
      'ms',
    ),
    rows: seen.flatMap(said),
    met: seen.every(({ took }) => within(took, 0.99) <= LIMIT_MS),
    series: seen.map(({ backend, took }) => ({
      name: `${backend}, ${FLOWS.toLocaleString('en')} flows that talk`,
      unit: 'ms',
      better: 'lower',
      limit: LIMIT_MS,
      samples: took,
    })),
  }
}

/** What at least that share of all events was no slower than. */
const within = (times, share) => [...times].sort((a, b) => a - b)[Math.max(0, Math.ceil(times.length * share) - 1)]

function said({ backend, took, last, fenced, answered, late }) {
  const [p50, max] = [0.5, 1].map((share) => within(took, share).toFixed(1))
  const slow = tail(took)
  const beside = Object.entries({ 'last byte': last, 'read back': fenced, answered }).map(([name, list]) => {
    const { name: end, value } = tail(list)
    return `${name}: p50 ${within(list, 0.5).toFixed(1)} ms, ${end} ${value.toFixed(1)} ms`
  })
  return [
    `both: p50 ${p50} ms, ${slow.name} ${slow.value.toFixed(1)} ms, slowest ${max} ms of ${took.length} events`,
    `the first event: ${took[0].toFixed(1)} ms`,
    ...beside,
    `packets after the answer: ${late.packets}`,
  ].map((row) => `${named(backend)}, ${row}`)
}
