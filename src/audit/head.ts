// The place where the next line goes: the live segment, its length, and the point of the chain that the next event follows.
// Several processes may write one journal: each takes the lock for a batch, and reads the end again when another wrote.
//
// A segment is closed by its new name, then sealed; the seal is made only after every line in it was read and found to
// follow the one before, and only while no later segment was begun, so that nobody can have a changed segment sealed anew.

import { statSync } from 'node:fs'
import { Fault } from '../base/fault.js'
import { type ChainPoint, type Framed, following, link, readLink } from './chain.js'
import { contradicts, type Damaged, later, survey } from './damage.js'
import { hashOctets, hashText, type JournalFile } from './file.js'
import { linesOf } from './lines.js'
import { SEAL_FORMAT, type Seal, type SealSigner, signSeal, unverifiedSeal } from './seal.js'
import {
  closeSegment,
  isThere,
  listSegments,
  readSealFile,
  removeSegment,
  type Segment,
  segmentPath,
  writeSeal,
} from './segment.js'
import { readTail, type Tail } from './tail.js'

export interface Sealing {
  readonly signer: SealSigner
  /** SPIFFE URI of the node. */
  readonly node: string
  /** Close the live segment when it has that many octets, or when its first event is that old. */
  readonly segmentBytes: number
  readonly segmentMs: number
  /** Remove closed segments beyond that many octets, or that old; the newest closed one stays. */
  readonly keepBytes: number
  readonly keepMs: number
}

/** A note beside the journal of how far it had come, so that a journal that was taken away does not begin anew unseen. */
export interface Mark {
  read(): ChainPoint | undefined
  write(point: ChainPoint): void
}

export interface HeadOptions {
  readonly nowMs: () => number
  /** A new UUID, for a chain that begins. */
  readonly newChain: () => string
  readonly sync: boolean
  readonly openFile: (path: string) => Promise<JournalFile>
  /** Keeps every other writer out until the returned function is called. */
  readonly exclusive?: () => Promise<() => void>
  readonly sealing?: Sealing
  readonly mark?: Mark
}

/** What taking the end found, to be told in the trail before anything else. */
export interface Found {
  /** Octets of a torn line that were cut away. */
  readonly tornBytes: number
  /** Events that the mark knows and the journal does not have. */
  readonly removed: number
  /** The live segment is empty and this one is before it. */
  readonly closed?: Closed
}
/** A segment that was closed: sealed, or damaged at a line. */
export type Closed = { readonly segment: number } & ({ readonly seal: Seal } | { readonly damaged: Damaged })

type Begin = Omit<ChainPoint, 'uid' | 'fingerprint'> & Partial<ChainPoint>

export class Head {
  private file: JournalFile | undefined
  private length = 0
  private begin: Begin
  /** When the live segment's first event was made. */
  private firstMs = Number.POSITIVE_INFINITY
  /** Our own failed write may have left a torn end, whose events are still with us. */
  private dirty = false
  /** Why segments are not closed although it is time. */
  keyFailure: Error | undefined

  constructor(
    readonly path: string,
    private readonly options: HeadOptions,
  ) {
    this.begin = { chain: '', sequence: 0 }
  }

  get sequence(): number {
    return this.begin.sequence
  }

  /** Runs `action` with the end in hand. Throws AUDIT_JOURNAL_FOREIGN, and what the lock and the disk throw. */
  async hold<T>(action: (found: Found) => Promise<T>): Promise<T> {
    const release = await this.options.exclusive?.()
    try {
      return await action(await this.catchUp())
    } finally {
      release?.()
    }
  }

  private async catchUp(): Promise<Found> {
    const state = await this.file?.state()
    if (state?.named && state.size === this.length && !this.dirty) return { tornBytes: 0, removed: 0 }
    if (!state?.named) {
      await this.file?.close()
      this.file = undefined
      this.file = await this.options.openFile(this.path)
    }
    try {
      return await this.readEnd(this.file)
    } catch (error) {
      // A segment that waits for its seal, on a full disk: the next attempt must look behind again, and not take an empty
      // live segment for one that it knows.
      await this.release()
      throw error
    }
  }

  private async readEnd(file: JournalFile | undefined): Promise<Found> {
    if (!file) return { tornBytes: 0, removed: 0 }
    const { size } = await file.state()
    const known = this.options.mark?.read()
    let tail: Tail
    try {
      tail = await readTail(file, this.path, size)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return this.setAside(known, error)
    }
    const before = tail.point ? {} : await this.behind()
    const last = tail.point ?? before.point
    const tornBytes = this.dirty ? 0 : tail.tornBytes
    const durable = known !== undefined && known.sequence > (last?.sequence ?? 0)
    // What the mark names was synced before: no crash tears it, or makes another event of it.
    if (tail.point && (contradicts(known, tail.point) || (tornBytes > 0 && durable))) return this.setAside(known)
    if (tail.tornBytes > 0) await file.truncate(tail.length)
    this.dirty = false
    this.length = tail.length
    this.firstMs = tail.length === 0 ? Number.POSITIVE_INFINITY : await firstMsOf(file, tail.length)
    const removed = known ? known.sequence - (last?.sequence ?? 0) : 0
    const point = known && (removed > 0 || contradicts(known, last)) ? known : last
    this.begin = point ?? { chain: this.options.newChain(), sequence: 0 }
    return { tornBytes, removed: Math.max(0, removed), ...(before.closed ? { closed: before.closed } : {}) }
  }

  /**
   * Keeps a live segment that cannot be gone on with as a closed one without a seal, and begins the next (damage.ts). Throws
   * `foreign` for a file that was never ours.
   */
  private async setAside(known: ChainPoint | undefined, foreign?: Fault): Promise<Found> {
    const seen = await survey(this.path)
    if (foreign && !seen.ours && !known) throw foreign
    const number = (listSegments(this.path).at(-1)?.number ?? 0) + 1
    closeSegment(this.path, number)
    await this.file?.close()
    this.file = undefined
    this.file = await this.options.openFile(this.path)
    this.dirty = false
    this.length = 0
    this.firstMs = Number.POSITIVE_INFINITY
    this.begin = later(known, seen.point) ?? { chain: this.options.newChain(), sequence: 0 }
    const read = await readSegment(segmentPath(this.path, number))
    // A chain that holds in itself was made anew: its last event is not the one that was written.
    const damaged = 'line' in read ? read : { line: seen.lines, sequence: read.lastSequence }
    return { tornBytes: 0, removed: 0, closed: { segment: number, damaged } }
  }

  /** The segment before an empty live one; one that a crash left without its seal is sealed now. */
  private async behind(): Promise<{ readonly point?: ChainPoint; readonly closed?: Closed }> {
    const last = listSegments(this.path).at(-1)
    if (!last || !isThere(last.path)) return {}
    const size = statSync(last.path).size
    const file = await this.options.openFile(last.path)
    try {
      // One that was set aside may end in anything: then its last whole event stands for it.
      const { point } = await readTail(file, last.path, size).catch((error: unknown) => {
        if (error instanceof Fault) return survey(last.path)
        throw error
      })
      const seal = last.sealed ? unverifiedSeal(readSealFile(last.sealPath)) : undefined
      const closed = seal ? { segment: last.number, seal } : await this.seal(last.number)
      return { ...(point ? { point } : {}), ...(closed ? { closed } : {}) }
    } finally {
      await file.close()
    }
  }

  /** Appends lines for these events and syncs them. All of them are there, or none. */
  async append(frames: readonly Framed[]): Promise<void> {
    const { file } = this
    if (!file) throw new TypeError('append outside of hold')
    let at = this.begin
    const lines: string[] = []
    for (const framed of frames) {
      const linked = link(framed, at, hashText)
      lines.push(linked.line, '\n')
      at = linked.point
    }
    const data = Buffer.from(lines.join(''))
    try {
      await file.write(this.length, data)
      // After a failed sync the pages may be gone: the batch is written again from its start, as after a failed write.
      if (this.options.sync) await file.sync()
    } catch (error) {
      // A cut that fails too leaves a torn end: the next attempt, here or in another process, cuts it.
      await file.truncate(this.length).catch(() => {
        this.dirty = true
      })
      throw error
    }
    if (this.length === 0) this.firstMs = this.options.nowMs()
    this.length += data.length
    this.begin = at
    if (at.uid !== undefined && at.fingerprint !== undefined) this.options.mark?.write(at as ChainPoint)
  }

  /** Whether the live segment is to be closed before more is written. A key that cannot be used puts it off. */
  due(): boolean {
    const { sealing, nowMs } = this.options
    if (!sealing || this.length === 0) return false
    if (this.length < sealing.segmentBytes && nowMs() - this.firstMs < sealing.segmentMs) return false
    try {
      this.keyFailure = sealing.signer.kid === '' ? new TypeError('the key has no id') : undefined
    } catch (error) {
      this.keyFailure = error instanceof Error ? error : new TypeError(String(error))
    }
    return this.keyFailure === undefined
  }

  /** Closes the live segment and seals it; undefined when it is empty or there is no key. */
  async close(): Promise<Closed | undefined> {
    if (!this.options.sealing || this.length === 0) return undefined
    const number = (listSegments(this.path).at(-1)?.number ?? 0) + 1
    await this.file?.sync()
    closeSegment(this.path, number)
    await this.file?.close()
    this.file = undefined
    this.length = 0
    this.firstMs = Number.POSITIVE_INFINITY
    const closed = await this.seal(number)
    this.file = await this.options.openFile(this.path)
    return closed
  }

  private async seal(number: number): Promise<Closed | undefined> {
    const { sealing, nowMs } = this.options
    if (!sealing) return undefined
    const read = await readSegment(segmentPath(this.path, number))
    if ('line' in read) return { segment: number, damaged: read }
    const { chain, lastSequence, fingerprint } = read
    if (contradicts(this.options.mark?.read(), { chain, sequence: lastSequence, fingerprint, uid: '' }))
      return { segment: number, damaged: { line: read.events, sequence: lastSequence } }
    const { signer, node } = sealing
    const seal: Seal = { format: SEAL_FORMAT, node, segment: number, sealedAtMs: nowMs(), ...read }
    await writeSeal(this.path, number, await signSeal(seal, signer))
    return { segment: number, seal }
  }

  /** Closed segments that are to go, oldest first. */
  retirable(): readonly Segment[] {
    const { sealing, nowMs } = this.options
    if (!sealing) return []
    const all = listSegments(this.path).filter((segment) => isThere(segment.path))
    let octets = this.length + all.reduce((sum, segment) => sum + statSync(segment.path).size, 0)
    const out: Segment[] = []
    for (const segment of all.slice(0, -1)) {
      const { size, mtimeMs } = statSync(segment.path)
      if (octets <= sealing.keepBytes && nowMs() - mtimeMs <= sealing.keepMs) break
      out.push(segment)
      octets -= size
    }
    return out
  }

  retire(segments: readonly Segment[]): void {
    for (const segment of segments) removeSegment(segment)
  }

  async release(): Promise<void> {
    await this.file?.close()
    this.file = undefined
  }
}

/** Reads a segment whole: its place in the chain, or the first line that does not follow. */
async function readSegment(
  path: string,
): Promise<
  | Pick<Seal, 'chain' | 'events' | 'octets' | 'firstSequence' | 'lastSequence' | 'fingerprint' | 'follows'>
  | { readonly line: number; readonly sequence: number }
> {
  let point: ChainPoint | undefined
  let first: { readonly sequence: number; readonly follows: string | null } | undefined
  let events = 0
  for await (const { lines, torn } of linesOf(path))
    for (const text of lines) {
      const found = torn ? undefined : readLink(text, hashOctets)
      const follows = found?.intact && (point === undefined || following(point, found) === 'follows')
      if (!found || !follows) return { line: events + 1, sequence: found?.sequence ?? 0 }
      first ??= { sequence: found.sequence, follows: found.before?.fingerprint ?? null }
      point = found
      events++
    }
  if (!point || !first) return { line: 1, sequence: 0 }
  const { chain, sequence, fingerprint } = point
  const octets = statSync(path).size
  return {
    chain,
    events,
    octets,
    firstSequence: first.sequence,
    lastSequence: sequence,
    fingerprint,
    follows: first.follows,
  }
}

const FIRST_BYTES = 64 << 10

/** The time in the first event's id (RFC 9562 section 5.7). */
async function firstMsOf(file: JournalFile, length: number): Promise<number> {
  const bytes = Buffer.from(await file.read(0, Math.min(FIRST_BYTES, length)))
  const end = bytes.indexOf(0x0a)
  const first = end < 0 ? undefined : readLink(bytes.toString('latin1', 0, end), hashOctets)
  return first ? Number.parseInt(first.uid.replaceAll('-', '').slice(0, 12), 16) : 0
}
