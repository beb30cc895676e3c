// The copy of one agent's trail on the companion's disk: the lines as they came, in segments of the same shape as the agent's own
// journal (audit/segment.ts, without seals, which are the agent's), so that deliveries and `verify` read one like the other. One
// chain a segment. Bounded: when it is full nothing more is taken until sinks have settled its oldest segment; what is settled
// stays as long as there is room, to be held against receivers.
//
// A crash leaves whole batches and perhaps half a line, which is cut: the agent gives it again.

import { mkdirSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type ChainPoint, type Link, readLink } from '../audit/chain.js'
import { hashOctets, type JournalFile, openFile, syncDirectory } from '../audit/file.js'
import { MAX_LINE_BYTES } from '../audit/lines.js'
import {
  closeSegment,
  isThere,
  listSegments,
  removeSegment,
  type Segment,
  sealPath,
  segmentPath,
} from '../audit/segment.js'

export interface CopyTerms {
  readonly path: string
  /** Of all segments together; a batch may go beyond it. */
  readonly maxBytes: number
}

/** A line with its place; one character an octet, without a line feed. */
export interface CopyLine {
  readonly text: string
  readonly link: Link
}

interface Extent {
  readonly chain: string
  readonly first: number
  readonly last: number
  readonly octets: number
}
interface Closed extends Extent {
  readonly segment: Segment
}

/** Where a reader of the copy is. */
export interface Place {
  readonly chain: string
  readonly sequence: number
}

export class TrailCopy {
  private closed: Closed[] = []
  private live: Extent | undefined
  private file: JournalFile | undefined
  private newest: ChainPoint | undefined
  /** Octets of the live segment that are whole lines. */
  private length = 0
  private number = 0
  /** Octets at the end that were no event of the chain, and are gone. */
  cutBytes = 0

  constructor(private readonly terms: CopyTerms) {}

  /** The last event that is held, on stable storage. */
  get point(): ChainPoint | undefined {
    return this.newest
  }
  /** Oldest first. */
  get chains(): readonly string[] {
    return [...new Set(this.extents.map(({ chain }) => chain))]
  }
  get octets(): number {
    return this.closed.reduce((sum, { octets }) => sum + octets, this.length)
  }
  get full(): boolean {
    return this.octets >= this.terms.maxBytes
  }

  /** Opens or makes it. Fails with the system's error. */
  async open(): Promise<void> {
    const { path } = this.terms
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    this.closed = []
    for (const segment of listSegments(path)) {
      this.number = segment.number
      if (!isThere(segment.path)) continue
      const extent = await extentOf(segment.path)
      if (extent.first) this.closed.push({ segment, ...between(extent.first, extent.last, extent.octets) })
      else removeSegment(segment)
      this.newest = extent.last ?? this.newest
    }
    this.file = await openFile(path)
    syncDirectory(dirname(path))
    const { size } = await this.file.state()
    const { first, last, octets } = await extentOf(path)
    if (octets < size) await this.file.truncate(octets)
    this.cutBytes = size - octets
    this.length = octets
    this.live = first ? between(first, last, octets) : undefined
    this.newest = last ?? this.newest
  }

  /** On return the lines are on stable storage; when it fails, none of them counts, and the copy is to be opened again. */
  async append(lines: readonly CopyLine[]): Promise<void> {
    for (let at = 0; at < lines.length; ) {
      const chain = lines[at]?.link.chain ?? ''
      let end = at
      while (end < lines.length && lines[end]?.link.chain === chain) end++
      if (this.live && (this.live.chain !== chain || this.length >= this.segmentBytes)) await this.rotate(this.live)
      await this.write(lines.slice(at, end), chain)
      at = end
    }
  }

  /** Removes the oldest segments, all of which is behind every one of `places`, until there is room for one more. */
  async retire(places: readonly Place[]): Promise<void> {
    while (this.octets + this.segmentBytes > this.terms.maxBytes) {
      // A live segment that is all there is, and full, would never go: closed, it goes like the others.
      if (this.closed.length === 0 && this.live && this.full) await this.rotate(this.live)
      const [oldest, ...others] = this.closed
      if (!oldest || !places.every((place) => this.isBehind(oldest, place))) break
      removeSegment(oldest.segment)
      this.closed = others
    }
  }

  /** Events after that place, by their numbers. */
  after({ chain, sequence }: Place): number {
    let found = !this.extents.some((extent) => extent.chain === chain)
    let sum = 0
    for (const extent of this.extents) {
      found ||= extent.chain === chain
      if (!found) continue
      const from = extent.chain === chain ? Math.max(sequence, extent.first - 1) : extent.first - 1
      sum += Math.max(0, extent.last - from)
    }
    return sum
  }

  async close(): Promise<void> {
    await this.file?.close()
    this.file = undefined
  }

  private get extents(): readonly Extent[] {
    return this.live ? [...this.closed, this.live] : this.closed
  }

  private get segmentBytes(): number {
    return Math.max(64 << 10, Math.floor(this.terms.maxBytes / 16))
  }

  /** A place in a chain that came later, or at the end of this one. */
  private isBehind(oldest: Extent, { chain, sequence }: Place): boolean {
    if (chain === oldest.chain) return sequence >= oldest.last
    const chains = this.extents.map((extent) => extent.chain)
    return chains.indexOf(chain) > chains.lastIndexOf(oldest.chain)
  }

  private async rotate(live: Extent): Promise<void> {
    const { path } = this.terms
    // Never a number that was there before: a reader leaves out what it has finished.
    this.number++
    await this.file?.close()
    closeSegment(path, this.number)
    const named = { path: segmentPath(path, this.number), sealPath: sealPath(path, this.number) }
    this.closed.push({ ...live, segment: { number: this.number, ...named, sealed: false } })
    this.file = await openFile(path)
    syncDirectory(dirname(path))
    this.live = undefined
    this.length = 0
  }

  private async write(lines: readonly CopyLine[], chain: string): Promise<void> {
    const [first, last] = [lines[0]?.link, lines.at(-1)?.link]
    if (!first || !last || !this.file) throw new TypeError('the copy is not open')
    const octets = Buffer.from(lines.map(({ text }) => `${text}\n`).join(''), 'latin1')
    await this.file.write(this.length, octets)
    await this.file.sync()
    this.length += octets.length
    this.live = { chain, first: this.live?.first ?? first.sequence, last: last.sequence, octets: this.length }
    this.newest = pointOf(last)
  }
}

const pointOf = ({ chain, sequence, uid, fingerprint }: Link): ChainPoint => ({ chain, sequence, uid, fingerprint })

const between = (first: ChainPoint, last: ChainPoint | undefined, octets: number): Extent => ({
  chain: first.chain,
  first: first.sequence,
  last: last?.sequence ?? first.sequence,
  octets,
})

/** The first event of a file of ours and the last, and the octets up to the end of that one; what comes after is no event. */
async function extentOf(path: string) {
  const handle = await open(path, 'r')
  try {
    const { size } = statSync(path)
    const head = Buffer.alloc(Math.min(size, MAX_LINE_BYTES))
    await handle.read(head, 0, head.length, 0)
    const first = linkAt(head, 0)
    const from = Math.max(0, size - 2 * MAX_LINE_BYTES)
    const tail = Buffer.alloc(size - from)
    await handle.read(tail, 0, tail.length, from)
    for (let end = tail.lastIndexOf(LINE_FEED); first && end >= 0; ) {
      const start = end === 0 ? 0 : tail.lastIndexOf(LINE_FEED, end - 1) + 1
      const last = linkAt(tail, start)
      if (last) return { first, last: pointOf(last), octets: from + end + 1 }
      end = start - 1
    }
    return { octets: 0 }
  } finally {
    await handle.close()
  }
}

const LINE_FEED = 0x0a

function linkAt(octets: Buffer, at: number): Link | undefined {
  const end = octets.indexOf(LINE_FEED, at)
  return end < 0 ? undefined : readLink(octets.toString('latin1', at, end), hashOctets)
}
