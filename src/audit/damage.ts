// A live segment that nobody can go on writing: its last line is none of ours any more, or another one than the mark beside the
// journal names, or what was on stable storage is cut in half. A crash does none of this, since what the mark names was synced
// before: so it is taken for tampering, kept as a closed segment without a seal, and never cut. What is told and what
// `verify` finds is where it stops being ours.
//
// Refuses a file that was never a journal of ours: nothing in it reads as an event of a chain, and no mark speaks of one.

import type { ChainPoint } from './chain.js'
import { readLink } from './chain.js'
import { hashOctets } from './file.js'
import { linesOf } from './lines.js'

export interface Damaged {
  /** From 1: the first line that is not as it was written. */
  readonly line: number
  /** What the line says of itself, or 0. */
  readonly sequence: number
}

export interface Surveyed {
  /** Anything in it is an event of a chain. */
  readonly ours: boolean
  /** The last event that is as it was written. */
  readonly point?: ChainPoint
  readonly lines: number
}

/** Reads the whole file, whatever is in it. Fails with the system's error. */
export async function survey(path: string): Promise<Surveyed> {
  let point: ChainPoint | undefined
  let ours = false
  let count = 0
  for await (const { lines, torn } of linesOf(path))
    for (const text of lines) {
      count++
      const link = torn ? undefined : readLink(text, hashOctets)
      ours ||= link !== undefined
      if (link?.intact) point = link
    }
  return { ours, lines: count, ...(point ? { point } : {}) }
}

/** Whether this is another event than the one that the mark names under the same number. */
export const contradicts = (mark: ChainPoint | undefined, point: ChainPoint | undefined): boolean =>
  mark !== undefined &&
  point !== undefined &&
  mark.sequence === point.sequence &&
  mark.fingerprint !== point.fingerprint

/** Where the chain goes on: the mark, unless the journal shows a later event. */
export const later = (mark: ChainPoint | undefined, point: ChainPoint | undefined): ChainPoint | undefined =>
  mark && mark.sequence >= (point?.sequence ?? 0) ? mark : point
