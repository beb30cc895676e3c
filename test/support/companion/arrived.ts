// Holds what a receiver has against a journal, event by event: each of them there, the same octets, and the first arrivals in the order
// of their numbers. What came again is counted and nothing more. Findings are sentences with the numbers that they are about.

import { placeOf } from '../../../src/audit/sinks/spool.js'

export interface Held {
  /** Of the journal that arrived, and how many lines came again. */
  readonly events: number
  readonly again: number
  /** The last number of each chain. */
  readonly last: ReadonlyMap<string, number>
  readonly wrong: readonly string[]
}

/** Lines of other chains than the journal's are somebody else's. A journal that goes on behind what arrived is no fault. */
export function hold(journal: Iterable<string>, arrived: Iterable<string>): Held {
  const written = new Map<string, string>()
  const chains = new Set<string>()
  const wrong: string[] = []
  const before = new Map<string, number>()
  for (const line of journal) {
    const place = placeOf(line)
    if (!place) {
      wrong.push(`a line of the journal is no event: ${line.slice(0, 200)}`)
      continue
    }
    const { chain, sequence, uid } = place
    const last = before.get(chain) ?? 0
    if (sequence !== last + 1) wrong.push(`in the journal event ${sequence} follows event ${last}`)
    if (written.has(uid)) wrong.push(`in the journal event ${sequence} has the id of another`)
    before.set(chain, sequence)
    written.set(uid, line)
    chains.add(chain)
  }
  const seen = new Set<string>()
  const last = new Map<string, number>()
  let again = 0
  for (const line of arrived) {
    const place = placeOf(line)
    if (!place) {
      wrong.push(`what arrived is no event: ${line.slice(0, 200)}`)
      continue
    }
    const { chain, sequence, uid } = place
    if (!chains.has(chain)) continue
    if (seen.has(uid)) {
      again++
      continue
    }
    seen.add(uid)
    if (written.get(uid) !== line) wrong.push(`event ${sequence} arrived and is not so in the journal`)
    const newest = last.get(chain) ?? 0
    if (sequence !== newest + 1) wrong.push(`event ${sequence} came after event ${newest}`)
    last.set(chain, Math.max(newest, sequence))
  }
  return { events: seen.size, again, last, wrong }
}
