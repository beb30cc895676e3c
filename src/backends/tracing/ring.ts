// Events out of a ring buffer until somebody says that it is over. What the buffer had no room for is counted in the kernel, and what was
// told of that is kept in a file, so that what was lost while nobody looked is reported as lost too.

import type { Kept } from './kept.js'
import type { Native } from './native.js'

/** A drain that waits longer would hold up the end of the process. */
const POLL_MS = 100

export interface Ring<Batch> {
  readonly native: Native
  readonly map: number
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
  const { native, map, eventOctets, batch, kept, toldFile } = ring
  const [records, opened]: [Buffer, unknown[]] = [Buffer.alloc(batch * eventOctets), [null]]
  native.call('opening the ring buffer', 'eventsOpen', map, eventOctets, opened)
  const reader = opened[0] as object
  // A count that went back was begun anew with the maps.
  const [told, counted] = [kept.told(toldFile), ring.lost()]
  let lostBefore = told <= counted ? told : 0n
  let over = false
  const run = (async (): Promise<void> => {
    try {
      while (!over) {
        const got = await native.askAsync('eventsDrain', reader, records, batch, POLL_MS)
        if (got < 0) throw native.refused('draining events', got)
        const lost = ring.lost()
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

/** Text in an event, up to its NUL. */
export function textIn(event: Buffer, at: number, octets: number): string {
  const end = event.indexOf(0, at)
  return event.toString('utf8', at, end < 0 || end > at + octets ? at + octets : end)
}
