// Is a stream still heard? Nobody can tell a transmitter that has nothing to say from one that was cut off, so one that was not heard
// for its window counts as lost, and so does one that says that it is paused or disabled (SSF 1.0 section 8.1.2.1: a paused stream may
// drop what it holds, a disabled one holds nothing).

import type { StreamWord } from './events.js'

/** What is remembered of a stream. Times are milliseconds since 1970. */
export interface StreamRecord {
  /** Issue time of the newest event, never later than it was received; of the first start where there was none. */
  readonly heardAtMs: number
  readonly status: StreamWord
  /** Issue time of the event that said so; 0 where none did. */
  readonly statusAtMs: number
}

export type StreamStanding = 'heard' | 'silent' | 'paused' | 'disabled'

export const firstRecord = (nowMs: number): StreamRecord => ({ heardAtMs: nowMs, status: 'enabled', statusAtMs: 0 })

/** Only forward: an event that was overtaken by a later one says nothing about now. */
export const withHeard = (record: StreamRecord, iatMs: number, nowMs: number): StreamRecord => ({
  ...record,
  heardAtMs: Math.max(record.heardAtMs, Math.min(iatMs, nowMs)),
})

export const withStatus = (record: StreamRecord, status: StreamWord, iatMs: number): StreamRecord =>
  iatMs >= record.statusAtMs ? { ...record, status, statusAtMs: iatMs } : record

/** Times that lie ahead of the clock by more than this were seen by another clock, and prove nothing. */
const AHEAD_MS = 300_000

export function standingOf(record: StreamRecord, windowMs: number, nowMs: number): StreamStanding {
  if (record.status !== 'enabled') return record.status
  const age = nowMs - record.heardAtMs
  return age > windowMs || age < -AHEAD_MS ? 'silent' : 'heard'
}
