// Refused programs out of the kernel's ring buffer, as records of activity. What the buffer had no room for is counted there and
// reported as lost. The time of an event is now minus its age by the clock that counts sleep.

import type { ActivityBatch } from '../backend.js'
import type { Guard } from './guard.js'
import { COMM_OCTETS, COUNTS, FLAG, PATH_OCTETS, STRUCTS } from './layout.js'

const BATCH = 256
/** A drain that waits longer would hold up the end of the process. */
const POLL_MS = 100
const LOST_ROW = COUNTS.indexOf('exec-unreported')

export function drainRefusals(
  guard: Guard,
  named: (tenant: number) => string | undefined,
  deliver: (batch: ActivityBatch) => Promise<void>,
  failed: (error: unknown) => void,
): () => Promise<void> {
  const { size } = STRUCTS.guard_event
  const records = Buffer.alloc(BATCH * size)
  const opened: unknown[] = [null]
  guard.native.call('opening the ring buffer', 'eventsOpen', guard.eventsMap(), size, opened)
  const reader = opened[0] as object
  let over = false
  let lostBefore = guard.count(LOST_ROW)
  const run = (async (): Promise<void> => {
    try {
      while (!over) {
        const got = await guard.native.askAsync('eventsDrain', reader, records, BATCH, POLL_MS)
        if (got < 0) throw new TypeError(`draining events: ${got}`)
        const lost = guard.count(LOST_ROW)
        if (got > 0 || lost !== lostBefore)
          await deliver({ activities: activitiesOf(records, got, named), lost: Number(lost - lostBefore) })
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

function activitiesOf(
  records: Buffer,
  count: number,
  named: (tenant: number) => string | undefined,
): ActivityBatch['activities'] {
  const { size, fields } = STRUCTS.guard_event
  return Array.from({ length: count }, (_, i) => records.subarray(i * size, (i + 1) * size)).flatMap((event) => {
    const workspace = named(event.readUInt32LE(fields.tenant))
    if (workspace === undefined) return []
    const reason = event.readUInt32LE(fields.reason)
    const [path, name] = [text(event, fields.path, PATH_OCTETS), text(event, fields.comm, COMM_OCTETS)]
    return [
      {
        workspace,
        record: {
          activity: 'process-started' as const,
          said: 'exec refused',
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
}

function text(event: Buffer, at: number, octets: number): string {
  const end = event.indexOf(0, at)
  return event.toString('utf8', at, end < 0 || end > at + octets ? at + octets : end)
}
