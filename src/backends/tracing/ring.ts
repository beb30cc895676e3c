// Events out of a ring buffer until somebody says that it is over. What the buffer had no room for is counted in the kernel, and what was
// told of that is kept in a file, so that what was lost while nobody looked is reported as lost too. Where other maps take the place of those
// that it reads, because somebody took their pins away, it goes on with them.

import type { Kept } from './kept.js'
import type { Native } from './native.js'

/** A drain that waits longer would hold up the end of the process. */
const POLL_MS = 100
/** Of struct sluice_ebpf_map_info (src/native/ebpf/sluice_ebpf.h). */
const [INFO_OCTETS, INFO_ID] = [24, 0]

export interface Ring<Batch> {
  readonly native: Native
  /** A descriptor, which the next call may close. */
  readonly map: () => number
  readonly eventOctets: number
  /** Events at a time. */
  readonly batch: number
  /** Over the life of the maps. */
  readonly lost: () => bigint
  readonly kept: Kept
  /** The file of what was told. */
  readonly toldFile: string
  /** Its events, and how many were nobody's. */
  readonly read: (events: readonly Buffer[]) => { readonly batch: Batch; readonly unnamed: number }
  readonly deliver: (batch: Batch, lost: number) => Promise<void> | void
}

/** Throws what the kernel says no with; `failed` is called once when reading or delivering fails later. */
export function drainRing<Batch>(ring: Ring<Batch>, failed: (error: unknown) => void): () => Promise<void> {
  const { native, eventOctets, batch, kept, toldFile } = ring
  const records = Buffer.alloc(batch * eventOctets)
  let { reader, id } = opened(ring)
  // A count that went back was begun anew with the maps.
  const [told, counted] = [kept.told(toldFile), ring.lost()]
  let lostBefore = told <= counted ? told : 0n
  let over = false
  const run = (async (): Promise<void> => {
    try {
      while (!over) {
        const got = await native.askAsync('eventsDrain', reader, records, batch, POLL_MS)
        if (got < 0) throw native.refused('draining events', got)
        if (got === 0 && idOf(native, ring.map()) !== id) {
          const next = opened(ring)
          native.ask('eventsClose', reader)
          ;({ reader, id } = next)
          lostBefore = 0n
        }
        const lost = ring.lost()
        if (lost < lostBefore) lostBefore = 0n
        if (got === 0 && lost === lostBefore) continue
        const events = Array.from({ length: got }, (_, i) => records.subarray(i * eventOctets, (i + 1) * eventOctets))
        const { batch: read, unnamed } = ring.read(events)
        await ring.deliver(read, Number(lost - lostBefore) + unnamed)
        if (lost !== lostBefore) kept.write(toldFile, String(lost))
        lostBefore = lost
      }
    } finally {
      native.ask('eventsClose', reader)
    }
  })().catch(failed)
  return () => {
    over = true
    return run
  }
}

function opened({ native, map, eventOctets }: Pick<Ring<never>, 'native' | 'map' | 'eventOctets'>): {
  readonly reader: object
  readonly id: number
} {
  const [descriptor, out]: [number, unknown[]] = [map(), [null]]
  const id = idOf(native, descriptor)
  native.call('opening the ring buffer', 'eventsOpen', descriptor, eventOctets, out)
  return { reader: out[0] as object, id }
}

/** The kernel's own number of a map. */
function idOf(native: Native, map: number): number {
  const info = Buffer.alloc(INFO_OCTETS)
  native.call('looking at the ring buffer', 'mapInfo', map, info)
  return info.readUInt32LE(INFO_ID)
}

/** Text in an event, up to its NUL. */
export function textIn(event: Buffer, at: number, octets: number): string {
  const end = event.indexOf(0, at)
  return event.toString('utf8', at, end < 0 || end > at + octets ? at + octets : end)
}
