// Holds what a receiver has against what the journal has: every event that the sink wants is there, once after those that came
// again are left out, in order, and nothing is there that the journal does not know. Streams both; 17 octets an event.
//
// What the journal has retired can be held against nothing any more: of that only the cursor's arithmetic speaks.

import { decodeHex } from '../../base/bytes.js'
import { linesOf } from '../lines.js'
import { placeOf } from './spool.js'

export interface Journalled {
  readonly sequence: number
  readonly uid: string
  /** False: the sink's own filter leaves it out. */
  readonly wanted: boolean
}
export interface Received {
  readonly chain: string
  readonly sequence: number
  readonly uid: string
}

export interface Reconciled {
  /** Events that the journal still has. */
  readonly first: number
  readonly last: number
  /** Different events that are in both, and arrivals of one that was there already. */
  readonly matched: number
  readonly repeated: number
  /** Events of the journal up to `through` that the receiver should have and does not; the first hundred ranges. */
  readonly missing: number
  readonly missingRanges: readonly (readonly [from: number, to: number])[]
  /** Arrivals of events that the journal had when it was looked at again, and not at first: it went on meanwhile. */
  readonly newer: number
  /** Events of the journal up to `through` that come after everything that was brought: they may have been delivered since. */
  readonly unlooked: number
  /** Events that the journal has otherwise, or has not although it should. */
  readonly foreign: number
  /** From before the oldest event that the journal still has. */
  readonly older: number
  /** First arrivals after one with a higher number. */
  readonly outOfOrder: number
}

const UNKNOWN = 0
const WANTED = 1
const LEFT_OUT = 2
const ARRIVED = 3
const MAX_RANGES = 100
/** Arrivals that are held for another look at the journal. */
const MAX_LATE = 1_000_000

export interface Settlement {
  /** What the sink has settled. */
  readonly through: number
  /** What it set aside, by sequence number. */
  readonly dead?: ReadonlySet<number>
  /** The arrivals were taken from the receiver at some time before: what is after them was not there yet, or is lost; nobody can say. */
  readonly brought?: boolean
}

/** `journal` is read once more when there are arrivals that it did not have at first. */
export async function reconcile(
  journal: () => AsyncIterable<Journalled>,
  received: AsyncIterable<Received>,
  { through, dead = new Set(), brought = false }: Settlement,
): Promise<Reconciled> {
  const known = new Known()
  for await (const event of journal()) known.add(event)
  let [matched, repeated, foreign, older, outOfOrder, highest] = [0, 0, 0, 0, 0, 0]
  const late: Omit<Received, 'chain'>[] = []
  for await (const { sequence, uid } of received) {
    if (sequence > known.last) {
      if (late.length < MAX_LATE) late.push({ sequence, uid })
      else foreign++
      continue
    }
    if (sequence < known.first) {
      older++
      continue
    }
    const state = known.same(sequence, uid) ? known.state(sequence) : UNKNOWN
    if (state === UNKNOWN) foreign++
    else if (state === ARRIVED) repeated++
    else {
      matched++
      known.arrived(sequence)
      if (sequence < highest) outOfOrder++
      highest = Math.max(highest, sequence)
    }
  }
  const newer = late.length === 0 ? 0 : await newerOf(journal(), known.last, late)
  foreign += late.length - newer
  const settled = Math.min(through, known.last)
  // Of files that have nothing of it at all nobody can say that they were brought too early.
  const looked = brought && newer === 0 && highest > 0 ? Math.min(settled, highest) : settled
  const { missing, ranges } = missingOf(known, known.first, looked, dead)
  const { missing: unlooked } = missingOf(known, looked + 1, settled, dead)
  const { first, last } = known
  return {
    ...{ first, last, matched, repeated, missing, missingRanges: ranges },
    ...{ newer, unlooked, foreign, older, outOfOrder },
  }
}

/** How many of them came to the journal after the event `last`. */
async function newerOf(
  journal: AsyncIterable<Journalled>,
  last: number,
  late: readonly Omit<Received, 'chain'>[],
): Promise<number> {
  const since = new Known()
  for await (const event of journal) if (event.sequence > last) since.add(event)
  return late.filter(({ sequence, uid }) => since.same(sequence, uid) && since.state(sequence) !== UNKNOWN).length
}

function missingOf(known: Known, from: number, to: number, dead: ReadonlySet<number>) {
  const ranges: [number, number][] = []
  let missing = 0
  for (let sequence = from; sequence <= to; sequence++) {
    if (known.state(sequence) !== WANTED || dead.has(sequence)) continue
    missing++
    const open = ranges.at(-1)
    if (open && open[1] === sequence - 1) open[1] = sequence
    else if (ranges.length < MAX_RANGES) ranges.push([sequence, sequence])
  }
  return { missing, ranges }
}

/** The journal's events by sequence number: their ids, and what became of each. */
class Known {
  first = 0
  last = 0
  private uids = new Uint8Array(16 << 10)
  private states = new Uint8Array(1 << 10)

  add({ sequence, uid, wanted }: Journalled): void {
    if (this.first === 0) this.first = sequence
    const at = sequence - this.first
    if (at < 0) return
    if (at >= this.states.length) this.grow(at + 1)
    const octets = octetsOf(uid)
    if (!octets) return
    this.uids.set(octets, at * 16)
    this.states[at] = wanted ? WANTED : LEFT_OUT
    this.last = Math.max(this.last, sequence)
  }
  state(sequence: number): number {
    return this.states[sequence - this.first] ?? UNKNOWN
  }
  arrived(sequence: number): void {
    this.states[sequence - this.first] = ARRIVED
  }
  same(sequence: number, uid: string): boolean {
    const at = (sequence - this.first) * 16
    const octets = octetsOf(uid)
    return octets?.every((octet, i) => this.uids[at + i] === octet) ?? false
  }

  private grow(events: number): void {
    const room = Math.max(events, this.states.length * 2)
    const [uids, states] = [new Uint8Array(room * 16), new Uint8Array(room)]
    uids.set(this.uids)
    states.set(this.states)
    this.uids = uids
    this.states = states
  }
}

/** Of a UUID; undefined for anything else. */
function octetsOf(uid: string): Uint8Array | undefined {
  const octets = decodeHex(uid.replaceAll('-', ''))
  return octets?.length === 16 ? octets : undefined
}

/** The events in files of lines, oldest file first, whatever the lines wrap them in. `unreadable` hears of other lines. */
export async function* eventsIn(paths: readonly string[], unreadable: () => void): AsyncGenerator<Received> {
  for (const path of paths)
    for await (const { lines, torn } of linesOf(path))
      for (const line of lines) {
        const place = torn ? undefined : placeOf(line)
        if (place) yield place
        else unreadable()
      }
}
