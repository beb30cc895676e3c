// What the upstream client has counted since it was opened; plain numbers, for whoever exports metrics. Strays are messages that
// were not about what was asked: forged, late, or of a server that is confused. They are ignored, and never silently.

import type { Stray } from './reply.js'

export interface UpstreamCounters {
  asked: number
  cached: number
  /** Joined a question that was on its way already. */
  joined: number
  sentUdp: number
  sentTcp: number
  sentDot: number
  /** Went on over TCP: the answer was cut short, or its letters came back in another case. */
  truncated: number
  otherCase: number
  strays: Record<Stray, number>
  malformed: number
  /** Tries that ended without an answer. */
  failedTries: number
  /** Questions that no upstream answered. */
  unanswered: number
  connections: number
  resumedSessions: number
}

export const newCounters = (): UpstreamCounters => ({
  asked: 0,
  cached: 0,
  joined: 0,
  sentUdp: 0,
  sentTcp: 0,
  sentDot: 0,
  truncated: 0,
  otherCase: 0,
  strays: { query: 0, id: 0, question: 0, case: 0 },
  malformed: 0,
  failedTries: 0,
  unanswered: 0,
  connections: 0,
  resumedSessions: 0,
})
