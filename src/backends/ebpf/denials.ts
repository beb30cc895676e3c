// Refused packets out of the kernel's ring buffer, drained on another thread with a short wait between two drains, so that
// a flood costs one crossing for hundreds of events and the event loop stays free. What the kernel kept back (token bucket,
// full buffer) is counted there and reported as lost.

import { setTimeout as wait } from 'node:timers/promises'
import { formatIp } from '../../base/ip.js'
import { DROP_REASONS } from '../../plan/state.js'
import { type Denial, type DenialBatch, type Sighting, sightingOf } from '../backend.js'
import { ebpfFault } from './errors.js'
import type { Fence } from './fence.js'
import { addressAt, COUNTS_AFTER_REASONS, STRUCTS, TOLD } from './layout.js'
import { errnoName } from './native.js'
import { readCounts } from './observe.js'
import type { Tenants } from './tenants.js'

const BATCH = 2048
/** A drain that waits longer would hold up the end of the process. */
const POLL_MS = 50
const PAUSE_MS = 2

export function drainDenials(
  fence: Fence,
  tenants: Tenants,
  deliver: (batch: DenialBatch) => void,
): () => Promise<void> {
  const { native } = fence
  const { size } = STRUCTS.fence_event
  const records = Buffer.alloc(BATCH * size)
  const reader = native.eventsOpen(fence.map('events'), size) as object
  let stopped = false
  let lostBefore = lostSoFar(fence)
  const loop = async (): Promise<void> => {
    try {
      while (!stopped) {
        const got = await native.askAsync('eventsDrain', reader, records, BATCH, POLL_MS)
        if (got < 0) throw ebpfFault('EBPF_KERNEL', { what: 'draining events', errno: errnoName(got) })
        const lost = lostSoFar(fence)
        if (got > 0 || lost !== lostBefore)
          deliver({ ...toldOf(fence, tenants, records, got), lost: Number(lost - lostBefore) })
        lostBefore = lost
        if (got > 0) await wait(PAUSE_MS)
      }
    } finally {
      native.ask('eventsClose', reader)
    }
  }
  const running = loop()
  // Whoever stops the drain hears of a failure; until then nothing else would.
  running.catch(() => undefined)
  return () => {
    stopped = true
    return running
  }
}

function lostSoFar(fence: Fence): bigint {
  const counts = readCounts(fence)
  const row = (name: (typeof COUNTS_AFTER_REASONS)[number]): bigint =>
    counts[DROP_REASONS.length + COUNTS_AFTER_REASONS.indexOf(name)] ?? 0n
  return row('events-unsent') + row('events-full')
}

function toldOf(
  fence: Fence,
  tenants: Tenants,
  records: Buffer,
  count: number,
): Pick<DenialBatch, 'denials' | 'observed'> {
  const { size, fields } = STRUCTS.fence_event
  const nowMs = Date.now()
  const nowNs = fence.native.bootNs()
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength)
  const denials: Denial[] = []
  const observed: Sighting[] = []
  for (let i = 0; i < count; i++) {
    const at = i * size
    const family = records.readUInt8(at + fields.family)
    const protocol = records.readUInt8(at + fields.protocol)
    const ported = protocol === 6 || protocol === 17
    const address = (field: number): string =>
      family === 4 || family === 6 ? formatIp(addressAt(view, at + field, family)) : ''
    const told = records.readUInt8(at + fields.direction)
    const denial: Denial = {
      atMs: nowMs - Number(nowNs - records.readBigUInt64LE(at + fields.at_ns)) / 1e6,
      workspace: tenants.nameOf(records.readUInt32LE(at + fields.tenant)) ?? '',
      direction: told === TOLD.to || told === TOLD.answered ? 'to' : 'from',
      reason: DROP_REASONS[records.readUInt8(at + fields.reason)] ?? 'malformed',
      protocol,
      source: address(fields.source),
      destination: address(fields.destination),
      ...(ported
        ? {
            sourcePort: records.readUInt16LE(at + fields.source_port),
            destinationPort: records.readUInt16LE(at + fields.destination_port),
          }
        : {}),
      generation: Number(records.readBigUInt64LE(at + fields.word) >> 1n),
    }
    if (told === TOLD.observed || told === TOLD.answered) observed.push(sightingOf(denial))
    else denials.push(denial)
  }
  return { denials, ...(observed.length > 0 ? { observed } : {}) }
}
