// The journal as a spool: its lines in order from a point on, batch by batch, while others write, close and retire segments.
// Holds one file and the place in it, never more than a batch in memory. Only what is durable in the journal is handed out,
// since a line whose sync failed is cut away and its number used again. A number that is jumped over is an event that is gone.

import { type FileHandle, open, stat } from 'node:fs/promises'
import { MAX_LINE_BYTES, textOf } from '../lines.js'
import { unverifiedSeal } from '../seal.js'
import { isThere, listSegments, readSealFile, type Segment } from '../segment.js'
import type { SinkLine, SinkPlace } from './sink.js'

export interface SpoolLine extends SinkLine {
  /** Events before it that the journal does not have any more. */
  readonly gap: number
}

/** Everything up to this event was handed out. */
export interface SpoolPoint {
  readonly chain: string
  readonly sequence: number
}

const CHUNK_BYTES = 1 << 18
const LOOKED_AT_ONCE = 1_000
const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
/** As chain.ts writes them: quotes inside a JSON text are escaped, so these are the members themselves. */
const IDENTITY = new RegExp(`"sequence":([1-9]\\d{0,14}),(?:"tenant_uid":"[^"]*",)?"uid":"(${UUID})"`)
const CHAIN = new RegExp(`"chain_uid":"(${UUID})"`)

export class Spool {
  private handle: FileHandle | undefined
  private offset = 0
  /** Of the file in hand; undefined for the live segment. */
  private segment: Segment | undefined
  /** The last closed segment that was read to its end. */
  private finished = 0

  /** Of `gap`s that are not handed out yet. */
  private skipped = 0

  /**
   * `durable` gives the last sequence number that is known to be on stable storage; `lost` hears at once of events that the
   * journal does not have any more.
   */
  constructor(
    private readonly path: string,
    private point: SpoolPoint,
    private readonly durable: () => number,
    private readonly lost: (events: number) => void,
  ) {}

  /** The next lines, as many as there are within the bounds but at least one; none when there is nothing new. */
  async next(maxLines: number, maxBytes: number): Promise<readonly SpoolLine[]> {
    const out: SpoolLine[] = []
    const durable = this.durable()
    let octets = 0
    while (out.length < maxLines && octets < maxBytes) {
      if (!this.handle && !(await this.begin())) break
      const lines = await this.chunk()
      if (lines.length === 0) {
        if (!(await this.over())) break
        continue
      }
      for (const line of lines) {
        const read = this.take(line, durable)
        if (read === 'not-yet') return out
        this.offset += line.length + 1
        if (!read) continue
        out.push(read)
        octets += line.length + 1
        if (out.length >= maxLines || octets >= maxBytes) break
      }
    }
    return out
  }

  /**
   * Skips what the journal retired meanwhile: for a spool that nobody empties, which would not notice otherwise, and would keep
   * the room of a segment that is gone.
   */
  async skipRetired(): Promise<void> {
    const oldest = await oldestIn(this.path)
    if (!oldest || oldest.chain !== this.point.chain || oldest.sequence <= this.point.sequence + 1) return
    const gone = oldest.sequence - 1 - this.point.sequence
    this.point = { ...this.point, sequence: oldest.sequence - 1 }
    this.skipped += gone
    this.lost(gone)
    await this.close()
  }

  async close(): Promise<void> {
    await this.handle?.close()
    this.handle = undefined
    this.segment = undefined
  }

  private take(line: string, durable: number): SpoolLine | 'not-yet' | undefined {
    const place = placeOf(line)
    // No event of ours: what was there shows as a number that is jumped over.
    if (!place) return undefined
    const { chain, sequence, uid } = place
    if (sequence > durable) return 'not-yet'
    const before = chain === this.point.chain ? this.point.sequence : 0
    if (sequence <= before) return undefined
    const gone = sequence - before - 1
    if (gone > 0) this.lost(gone)
    const gap = gone + this.skipped
    this.skipped = 0
    this.point = { chain, sequence }
    return { chain, sequence, uid, text: textOf(line), gap }
  }

  /** Whole lines from here on, some of them; one octet a character. */
  private async chunk(): Promise<readonly string[]> {
    for (let length = CHUNK_BYTES; this.handle; length = MAX_LINE_BYTES) {
      const bytes = Buffer.allocUnsafe(length)
      const { bytesRead } = await this.handle.read(bytes, 0, length, this.offset)
      const end = bytes.subarray(0, bytesRead).lastIndexOf(0x0a)
      if (end >= 0) return bytes.toString('latin1', 0, end).split('\n')
      if (bytesRead < length) return []
      // Longer than any line of ours: it is left out, as what is no event.
      if (length === MAX_LINE_BYTES) this.offset += bytesRead
    }
    return []
  }

  /** Takes the next file in hand that may have something; false when there is none. */
  private async begin(): Promise<boolean> {
    for (;;) {
      const closed = listSegments(this.path).filter(({ number, path }) => number > this.finished && isThere(path))
      const next = closed.find((segment) => !this.has(segment))
      const path = next?.path ?? this.path
      const handle = await openIfThere(path)
      // Retired or closed between the listing and the opening: the listing has changed.
      const moved = !handle ? next !== undefined : !next && (await this.closedSince(closed))
      if (moved) {
        await handle?.close()
        continue
      }
      this.handle = handle
      this.segment = next
      this.offset = 0
      return handle !== undefined
    }
  }

  private async closedSince(known: readonly Segment[]): Promise<boolean> {
    const newest = known.at(-1)?.number ?? this.finished
    return listSegments(this.path).some(({ number, path }) => number > newest && isThere(path))
  }

  /** Whether all of the segment was handed out before; its signature does not matter here. */
  private has({ sealed, sealPath }: Segment): boolean {
    const seal = sealed ? unverifiedSeal(readSealFile(sealPath)) : undefined
    return seal !== undefined && seal.chain === this.point.chain && seal.lastSequence <= this.point.sequence
  }

  /** At the end of the file in hand: true when there is another one to go on with. */
  private async over(): Promise<boolean> {
    const { handle } = this
    if (!handle) return true
    if (!this.segment) {
      const own = await handle.stat()
      const live = await stat(this.path).catch(() => undefined) // just closed, or taken away: then it is not the live one
      if (live?.ino === own.ino && live.dev === own.dev) return false
      // What was written between the last look and the new name belongs to it still.
      if (own.size > this.offset && (await this.chunk()).length > 0) return true
      for (const segment of listSegments(this.path)) {
        const named = await stat(segment.path).catch(() => undefined) // retired meanwhile: it is not this one
        if (named?.ino === own.ino && named.dev === own.dev) this.segment = segment
      }
    }
    this.finished = this.segment?.number ?? this.finished
    await this.close()
    return true
  }
}

/** The first event that the journal still has; undefined when it has none. */
export async function oldestIn(path: string): Promise<SpoolPoint | undefined> {
  const first = listSegments(path).find((segment) => isThere(segment.path))
  const handle = await openIfThere(first?.path ?? path)
  try {
    const bytes = Buffer.alloc(MAX_LINE_BYTES)
    const read = await handle?.read(bytes, 0, MAX_LINE_BYTES, 0)
    const end = bytes.subarray(0, read?.bytesRead ?? 0).indexOf(0x0a)
    return placeOf(bytes.toString('latin1', 0, Math.max(0, end)))
  } finally {
    await handle?.close()
  }
}

/** Whether the journal has this very event after `point`; undefined when it has nothing of its chain there. */
export async function isAhead(path: string, point: SpoolPoint, place: SinkPlace): Promise<boolean | undefined> {
  const { chain, sequence, uid } = place
  let known = chain === point.chain ? false : undefined
  // Under the same uid it is the same event, synced or not.
  const spool = new Spool(
    path,
    point,
    () => Number.POSITIVE_INFINITY,
    () => undefined,
  )
  try {
    for (;;) {
      const lines = await spool.next(LOOKED_AT_ONCE, CHUNK_BYTES)
      if (lines.length === 0) return known
      for (const line of lines) {
        if (line.chain !== chain) continue
        known = false
        if (line.sequence >= sequence) return line.sequence === sequence && line.uid === uid
      }
    }
  } finally {
    await spool.close()
  }
}

/** Where a line says that it belongs; undefined when it is no event of ours. */
export function placeOf(line: string): SinkPlace | undefined {
  const identity = IDENTITY.exec(line)
  const chain = CHAIN.exec(line)?.[1]
  return identity && chain !== undefined ? { chain, sequence: Number(identity[1]), uid: identity[2] ?? '' } : undefined
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
