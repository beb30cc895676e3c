// From asking for a slot to the plan judging its traffic, at a real agent that denies every workspace until it is attached: the command
// over its socket, the lease on record, the deny fence read back, the slot raised, the plan in force and read back. Each attachment is
// ended before the next is asked for, and the way back, until the slot is denied, is timed as well. Promised is what a release of as
// many grants may take, of the slowest while there are fewer than a hundred; of the way back nothing is.
// BENCH_BACKEND names one backend. Needs root and a build.

import { connectAgent } from '../dist/api/client.js'
import { addresses, Node } from './agent/node.mjs'
import { ends, named } from './said/short.mjs'
import { tail } from './said/tail.mjs'

export const promise = 'attach: asked, until the deny fence is read back and the plan judges the slot'
export const target = 'p99 <= 250 ms, as a release of 1,000 grants'

const BACKENDS = (process.env.BENCH_BACKEND ?? 'ebpf,nftables').split(',')
const WORKSPACE = 'spiffe://fleet.example/ws/ws0'
const GRANTS = 1_000
const ROUNDS = 40
const WARM = 3
const TARGET_MS = 250

const at = (values, share) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]

export async function measure() {
  const seen = []
  const rows = []
  const series = []
  let met = true
  const slow = (values) => {
    const { name, value } = tail(values)
    return `${name} ${value.toFixed(0)} ms`
  }
  for (const backend of BACKENDS) {
    const { attached, fenced, detached } = await turns(backend)
    const name = (what) => `${backend}, ${what}, ${GRANTS.toLocaleString('en')} grants`
    for (const [what, samples, more] of [
      ['attached', attached, { limit: TARGET_MS }],
      ['detached', detached, {}],
    ])
      series.push({ name: name(what), unit: 'ms', better: 'lower', ...more, samples })
    met &&= tail(attached).value <= TARGET_MS
    seen.push([backend, attached])
    rows.push(
      `${named(backend)}, attached: p50 ${at(attached, 0.5).toFixed(0)} ms, ${slow(attached)}`,
      `${named(backend)}, of these to the deny fence: p50 ${at(fenced, 0.5)} ms`,
      `${named(backend)}, denied again: p50 ${at(detached, 0.5).toFixed(0)} ms, ${slow(detached)}`,
    )
  }
  return { figure: ends(seen, 'ms'), rows, met, series }
}

async function turns(backend) {
  const node = await Node.open(backend, 'attach_required: true\n')
  const agent = await connectAgent(node.path('state/agent.sock'))
  try {
    await node.publish(await node.sign(addresses(GRANTS)))
    await node.active(node.revision)
    const seen = { attached: [], fenced: [], detached: [] }
    const timed = async (name, given) => {
      const from = performance.now()
      const answer = await agent.call(name, given)
      return [performance.now() - from, answer]
    }
    for (let round = -WARM; round < ROUNDS; round++) {
      const [attachedMs, { fencedMs }] = await timed('attach', { workspace: WORKSPACE, kind: 'veth', interface: 'ws0' })
      const [detachedMs] = await timed('detach', { workspace: WORKSPACE })
      if (round < 0) continue
      seen.attached.push(attachedMs)
      seen.fenced.push(fencedMs)
      seen.detached.push(detachedMs)
    }
    return seen
  } finally {
    agent.close()
    await node.close()
  }
}
