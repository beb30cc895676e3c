// From the command to the last byte: a workspace with 1,000 live flows, all of them talking without a pause, is quarantined again and
// again in this process, under eBPF and under nftables. What is timed is the command until the flag is read back and the last packet of
// the workspace has left the node, whichever is later (dataplane/lastbyte.mjs). What an operator asks of an agent is quarantine-grpc.mjs,
// a promise of its own. BENCH_ROUNDS names other rounds. Needs root and a build.

import { openBench } from './dataplane/fence.mjs'
import { FLOWS, lastBytes } from './dataplane/lastbyte.mjs'
import { openLink } from './dataplane/link.mjs'
import { openNftables, program } from './dataplane/nftables.mjs'
import { told } from './quarantine/told.mjs'

export const promise = 'quarantine: command accepted to last byte, 1,000 live flows, in process'
export const target = 'p99 <= 5 ms'

const MOST_MS = 5
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 500)
const ROUND_MS = 50

export async function measure() {
  const seen = Object.entries(await inProcess()).map(([name, { took, late }]) => ({ name, took, late }))
  return told(seen, MOST_MS)
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
