// From the command to the last byte: a workspace with 1,000 live flows, all of them talking without a pause, is quarantined again and
// again, under eBPF and under nftables in this process, and by an operator over the gRPC of a real agent. What is timed in process is the
// command until the flag is read back and the last packet of the workspace has left the node, whichever is later; over gRPC from the call
// to the last packet, over a connection that stands, with the answer beside it, which waits for a receipt on disk (dataplane/lastbyte.mjs).
// BENCH_ROUNDS and BENCH_AGENT_ROUNDS name other rounds (0: without the agent). Needs root and a build.

import { openBench } from './dataplane/fence.mjs'
import { FLOWS, lastBytes, summary } from './dataplane/lastbyte.mjs'
import { openLink } from './dataplane/link.mjs'
import { openNftables, program } from './dataplane/nftables.mjs'
import { overGrpc } from './quarantine/agent.mjs'
import { digits, ends, named, slowName } from './said/short.mjs'
import { tail } from './said/tail.mjs'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 500)
const ROUND_MS = 50
/** Over gRPC; each is two receipts and looks of the agent as well. */
const AGENT_MS = 400
const AGENT_ROUNDS = Number(process.env.BENCH_AGENT_ROUNDS ?? 100)

export const promise = `quarantine: command accepted to last byte, 1,000 live flows, in process${AGENT_ROUNDS > 0 ? ' and over gRPC' : ''}`
export const target = `p99 <= 5 ms in process${AGENT_ROUNDS > 0 ? ', <= 10 ms over gRPC' : ''}`

export async function measure() {
  const seen = []
  for (const [name, { took, late }] of Object.entries(await inProcess())) seen.push({ name, limitMs: 5, took, late })
  for (const backend of AGENT_ROUNDS > 0 ? ['ebpf', 'nftables'] : []) {
    const { last, done, late } = await overGrpc(backend, AGENT_ROUNDS, AGENT_ROUNDS * AGENT_MS)
    seen.push({ name: `${backend} over gRPC`, limitMs: 10, took: last, done, late })
  }
  const rows = seen.map((row) => ({ ...row, ...summary(row.took) }))
  return {
    figure: inShort(seen),
    rows: rows.flatMap(said),
    met: rows.every(({ slow, limitMs }) => slow.value <= limitMs),
    series: rows.map(({ name, took, limitMs }) => ({
      name: `${name}, ${FLOWS.toLocaleString('en')} flows that talk`,
      unit: 'ms',
      better: 'lower',
      limit: limitMs,
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

function inShort(seen) {
  const [process, agent] = [false, true].map((over) => seen.filter(({ done }) => (done !== undefined) === over))
  const figure = ends(
    process.map(({ name, took }) => [name, took]),
    'ms',
  )
  if (agent.length === 0) return figure
  const slow = agent.map(({ took }) => digits(tail(took).value)).join(', ')
  return `${figure}; over gRPC ${slow} ms (${slowName(...agent.map(({ took }) => took))})`
}

async function inProcess() {
  const bench = await openBench()
  const link = await openLink()
  const last = (flag) =>
    lastBytes({
      talkIn: link.client,
      watchIn: link.server,
      rounds: ROUNDS,
      mostMs: ROUNDS * ROUND_MS,
      act: async (closed) => {
        await flag(bench.workspace, 'quarantined', closed)
      },
    })
  try {
    const { driver } = bench
    await driver.commit(await driver.stage(bench.lower(1, FLOWS, 'exact', [], 'udp')))
    const ebpf = await last((...words) => driver.flag(...words))
    await bench.detach()
    const nft = await openNftables()
    try {
      await nft.driver.commit(await nft.driver.stage(program(1, FLOWS)))
      const nftables = await last((...words) => nft.driver.flag(...words))
      return { ebpf, nftables }
    } finally {
      await nft.close()
    }
  } finally {
    link.close()
    await bench.close()
  }
}
