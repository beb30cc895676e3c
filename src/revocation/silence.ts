// Is a stream still heard? Nobody can tell a transmitter that has nothing to say from one that was cut off, so one that was not heard
// for its window counts as lost, and so does one that says that it is paused or disabled (SSF 1.0 section 8.1.2.1: a paused stream may
// drop what it holds, a disabled one holds nothing).

import type { StreamWord } from './events.js'

/** What is remembered of a stream. Times are milliseconds since 1970. */
export interface StreamRecord {
  /** Issue time of the newest event, never later than it was received; time of the first start where there was none. */
  readonly heardAtMs: number
  readonly status: StreamWord
  /** Issue time of the event that said so; 0 where none did. */
  readonly statusAtMs: number
}

export type StreamStanding = 'heard' | 'silent' | 'paused' | 'disabled'

export const firstRecord = (nowMs: number): StreamRecord => ({ heardAtMs: nowMs, status: 'enabled', statusAtMs: 0 })

/** Times that lie ahead of the clock by more than this were seen by another clock, and prove nothing. */
const AHEAD_MS = 300_000

/**
 * Only forward: an event that was overtaken by a later one says nothing about now. A time that another clock saw is replaced, or a clock
 * that was ahead when the stream was first heard would keep it silent for as long as that was. */
export const withHeard = (record: StreamRecord, iatMs: number, nowMs: number): StreamRecord => {
  const before = record.heardAtMs > nowMs + AHEAD_MS ? 0 : record.heardAtMs
  return { ...record, heardAtMs: Math.max(before, Math.min(iatMs, nowMs)) }
}

export const withStatus = (record: StreamRecord, status: StreamWord, iatMs: number): StreamRecord =>
  iatMs >= record.statusAtMs ? { ...record, status, statusAtMs: iatMs } : record

export function standingOf(record: StreamRecord, windowMs: number, nowMs: number): StreamStanding {
  if (record.status !== 'enabled') return record.status
  const age = nowMs - record.heardAtMs
  return age > windowMs || age < -AHEAD_MS ? 'silent' : 'heard'
}
