// The trail under a flood: a workspace sends datagrams that nothing grants, as fast as one processor can, at a real agent, and every
// packet must be found again: in an event that stands for it and others like it, or in the count of those that were kept back so that a
// workspace cannot drown the trail. Three counts must agree: what was sent, what the kernel's own counter says, and what stands in the
// journal. BENCH_BACKEND names one backend, FLOOD_MS the length of one round. Needs root and a build.

import { setTimeout as sleep } from 'node:timers/promises'
import { Node } from './agent/node.mjs'
import { escaped, prepare, refused, send, trail } from './flood/slot.mjs'
import { named, whole } from './said/short.mjs'

export const promise =
  'audit under flood: refused packets, as fast as one processor sends them, found again in the trail'
export const target = '0 unaccounted, 0 lost by the journal, 0 let through'

const BACKENDS = (process.env.BENCH_BACKEND ?? 'ebpf,nftables').split(',')
const FLOOD_MS = Number(process.env.FLOOD_MS ?? 2_000)
const ROUNDS = 5
/** More than the trail keeps apart in a second. */
const ADDRESSES = 10_000
const WARM_PACKETS = 50_000
const REST_MS = 1_000
/** Sweeps come by every few seconds, and a busy machine takes its time. */
const SETTLE_MS = 60_000
const LOOK_MS = 250

export async function measure() {
  const seen = []
  for (const backend of BACKENDS) seen.push(await flood(backend))
  const series = seen.flatMap(({ backend, rates, shares }) => [
    { name: `${backend}, refused packets a second`, unit: 'packets/s', better: 'higher', samples: rates },
    { name: `${backend}, the agent's share of a processor meanwhile`, unit: '%', better: 'lower', samples: shares },
  ])
  return {
    figure: `${seen.map(rate).join(', ')}; ${WRONG.map((one) => together(seen, one)).join(', ')}`,
    rows: seen.flatMap(said),
    met: seen.every(
      ({ unaccounted, journalLost, passed, offLink }) => !unaccounted && !journalLost && !passed && !offLink,
    ),
    series,
  }
}

async function flood(backend) {
  const node = await Node.open(backend, '', undefined, prepare)
  try {
    const began = [trail(node), refused(node), escaped(node)]
    const [restShare] = await during(node, () => sleep(REST_MS))
    const perPacketNs = await send(node, ADDRESSES, WARM_PACKETS)
    const packets = Math.round((FLOOD_MS * 1e6) / perPacketNs)
    let sent = WARM_PACKETS
    const rates = []
    const shares = []
    for (let round = 0; round < ROUNDS; round++) {
      const [share, nanoseconds] = await during(node, () => send(node, ADDRESSES, packets))
      sent += packets
      rates.push(1e9 / nanoseconds)
      shares.push(share)
    }
    const byKernel = refused(node) - began[1]
    const told = await settled(node, began[0], byKernel)
    return {
      backend,
      rates,
      shares,
      restShare,
      sent,
      ...told,
      unaccounted: byKernel - told.told - told.keptBack,
      offLink: sent - byKernel,
      passed: escaped(node) - began[2],
    }
  } finally {
    node.workspace?.stdin.end()
    await node.close()
  }
}

/** The agent's share of one processor, in per cent, while something is done. */
async function during(node, act) {
  const [from, cpuMs] = [performance.now(), node.cpuMs()]
  const result = await act()
  return [((node.cpuMs() - cpuMs) / (performance.now() - from)) * 100, result]
}

/** What the trail says more than before, once it accounts for everything or nothing more comes. */
async function settled(node, before, refusedPackets) {
  const until = performance.now() + SETTLE_MS
  for (;;) {
    const now = trail(node)
    const news = Object.fromEntries(Object.entries(now).map(([name, count]) => [name, count - before[name]]))
    if (news.told + news.keptBack >= refusedPackets || performance.now() > until) return news
    await sleep(LOOK_MS)
  }
}

const WRONG = [
  ['unaccounted', 'unaccounted'],
  ['journalLost', 'lost'],
  ['passed', 'let through'],
  ['offLink', 'never came to the fence'],
]
/** One number where all have the same. */
function together(seen, [key, name]) {
  const counts = seen.map((one) => whole(one[key]))
  return `${new Set(counts).size === 1 ? counts[0] : counts.join(' and ')} ${name}`
}
const rate = ({ backend, rates }) => `${named(backend)} ${whole(middle(rates))}/s`
const middle = (values) => [...values].sort((a, b) => a - b)[values.length >> 1]

function said({
  backend,
  rates,
  shares,
  restShare,
  sent,
  events,
  told,
  keptBack,
  journalLost,
  unaccounted,
  offLink,
  passed,
}) {
  return [
    `refused a second: ${whole(middle(rates))}`,
    `the agent's share of a processor: ${middle(shares).toFixed(0)} %, at rest ${restShare.toFixed(0)} %`,
    `sent: ${whole(sent)}`,
    `never came to the fence: ${whole(offLink)}`,
    `in the trail: ${whole(told)} in ${whole(events)} events`,
    `counted as kept back: ${whole(keptBack)}`,
    `unaccounted: ${whole(unaccounted)}`,
    `lost by the journal: ${whole(journalLost)}`,
    `let through: ${whole(passed)}`,
  ].map((row) => `${named(backend)}, ${row}`)
}
