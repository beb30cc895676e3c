// Refused programs out of the kernel's ring buffer, as records of activity. What the buffer had no room for is counted there, and what
// was told of it is kept in a file, so that what was lost while nobody looked is reported as lost too; and so is a refusal of a
// cgroup that no plan on record names any more. The time of an event is now minus its age by the clock that counts sleep.

import type { ActivityBatch } from '../backend.js'
import type { Guard } from './guard.js'
import { COMM_OCTETS, COUNTS, FLAG, PATH_OCTETS, STRUCTS } from './layout.js'

const BATCH = 256
/** A drain that waits longer would hold up the end of the process. */
const POLL_MS = 100
/** Workspaces by the numbers of their cgroups. */
export type Named = ReadonlyMap<bigint, string>
/** How many losses were told, over the life of the maps. */
export interface Told {
  readonly read: () => bigint
  readonly keep: (lost: bigint) => void
}
const LOST_ROW = COUNTS.indexOf('exec-unreported')

export function drainRefusals(
  guard: Guard,
  named: () => Named,
  told: Told,
  deliver: (batch: ActivityBatch) => Promise<void>,
  failed: (error: unknown) => void,
): () => Promise<void> {
  const { size } = STRUCTS.guard_event
  const records = Buffer.alloc(BATCH * size)
  const opened: unknown[] = [null]
  guard.native.call('opening the ring buffer', 'eventsOpen', guard.eventsMap(), size, opened)
  const reader = opened[0] as object
  let over = false
  // A count that went back was begun anew with the maps.
  const first = [told.read(), guard.count(LOST_ROW)] as const
  let lostBefore = first[0] <= first[1] ? first[0] : 0n
  const run = (async (): Promise<void> => {
    try {
      while (!over) {
        const got = await guard.native.askAsync('eventsDrain', reader, records, BATCH, POLL_MS)
        if (got < 0) throw new TypeError(`draining events: ${got}`)
        const lost = guard.count(LOST_ROW)
        if (got === 0 && lost === lostBefore) continue
        const { activities, unnamed } = activitiesOf(records, got, named(), {
          ms: Date.now(),
          ns: guard.native.bootNs(),
        })
        await deliver({ activities, lost: Number(lost - lostBefore) + unnamed })
        if (lost !== lostBefore) told.keep(lost)
        lostBefore = lost
      }
    } finally {
      guard.native.ask('eventsClose', reader)
    }
  })().catch(failed)
  return () => {
    over = true
    return run
  }
}

/** `now` by both clocks; `unnamed` counts the events of nobody's. */
export function activitiesOf(
  records: Buffer,
  count: number,
  named: Named,
  now: { readonly ms: number; readonly ns: bigint },
): { readonly activities: ActivityBatch['activities']; readonly unnamed: number } {
  const { size, fields } = STRUCTS.guard_event
  const events = Array.from({ length: count }, (_, i) => records.subarray(i * size, (i + 1) * size))
  const activities = events.flatMap((event) => {
    const workspace = named.get(event.readBigUInt64LE(fields.cgroup))
    if (workspace === undefined) return []
    const reason = event.readUInt32LE(fields.reason)
    const [path, name] = [text(event, fields.path, PATH_OCTETS), text(event, fields.comm, COMM_OCTETS)]
    return [
      {
        workspace,
        record: {
          activity: 'process-started' as const,
          said: 'exec refused',
          atMs: now.ms - Number((now.ns - event.readBigUInt64LE(fields.at_ns)) / 1_000_000n),
          refused: reason === FLAG.quarantined ? 'quarantined' : reason === FLAG.suspended ? 'suspended' : 'unlisted',
          workload: { macs: [], addresses: [] },
          process: {
            pid: event.readUInt32LE(fields.pid),
            uid: event.readUInt32LE(fields.uid),
            ...(name === '' ? {} : { name }),
            ...(path === '' ? {} : { path }),
          },
        },
      },
    ]
  })
  return { activities, unnamed: count - activities.length }
}

function text(event: Buffer, at: number, octets: number): string {
  const end = event.indexOf(0, at)
  return event.toString('utf8', at, end < 0 || end > at + octets ? at + octets : end)
}
