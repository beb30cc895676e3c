// What a quarantine cut: the flows of a workspace that were live in the epoch that its flag ended, counted right after the flag
// on another thread. Their entries stay in the table until the sweep forgets them, so the sweep waits for the count; one that
// was under way when the flag came may have forgotten some, and then nobody knows.

import { Fault } from '../../base/fault.js'
import type { Cut } from '../backend.js'
import type { Fence } from './fence.js'
import { FLOWS, STRUCTS } from './layout.js'

const unknown = (why: string): Cut => ({ flows: { unknown: why }, lastPacketAtMs: { unknown: why } })
/** Both ends have closed it. */
const CLOSED = 3
/** Counts under way at once: each holds a thread and a copy of a table, and the sweep and the drain need a thread as well. */
const MOST = 16

/** Counts flows of `epoch`, which has just ended. Never rejects: what cannot be counted is said. */
export function countCut(fence: Fence, tenant: number, epoch: bigint): Promise<Cut> {
  if (fence.sweeps > 0) return Promise.resolve(unknown('flows were being swept when the flag was set'))
  if (fence.counts >= MOST) return Promise.resolve(unknown('too many flags were set at once'))
  fence.counts++
  const counted = count(fence, tenant, epoch)
    .catch((error: unknown) => {
      if (error instanceof Fault) return unknown(error.message)
      throw error
    })
    .finally(() => fence.counts--)
  fence.counting = counted
  return counted
}

async function count(fence: Fence, tenant: number, epoch: bigint): Promise<Cut> {
  const { native } = fence
  const { size: KEY } = STRUCTS.fence_flow_key
  const { size: ROW, fields } = STRUCTS.fence_flow
  const [number, id] = [Buffer.alloc(4), Buffer.alloc(4)]
  number.writeUInt32LE(tenant)
  const none: Cut = { flows: 0, lastPacketAtMs: { unknown: 'no flow was live' } }
  // A workspace that is attached nowhere has no table.
  if (native.ask('mapRead', fence.map('flows'), number, id) < 0) return none
  const table = native.call('opening a table of flows', 'mapOpen', id.readUInt32LE())
  try {
    const keys = Buffer.allocUnsafe(FLOWS.most * KEY)
    const rows = Buffer.allocUnsafe(FLOWS.most * ROW)
    const args = [table, keys, rows, FLOWS.most, KEY, ROW] as const
    const found = await native.callAsync('counting flows', 'mapDump', ...args)
    const [nowMs, nowNs] = [Date.now(), native.bootNs()]
    let flows = 0
    let lastNs = 0n
    for (let at = 0; at < found * ROW; at += ROW) {
      if (rows.readBigUInt64LE(at + fields.epoch) !== epoch || rows.readUInt8(at + fields.closed) === CLOSED) continue
      flows++
      const seenNs = rows.readBigUInt64LE(at + fields.last_ns)
      if (seenNs > lastNs) lastNs = seenNs
    }
    return flows === 0 ? none : { flows, lastPacketAtMs: nowMs - Number((nowNs - lastNs) / 1_000_000n) }
  } finally {
    native.ask('close', table)
  }
}
