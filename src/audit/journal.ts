// The trail on this node: facts in, one OCSF event a line (NDJSON), each chained to the one before (chain.ts). `emit` never
// throws and never waits: events queue in memory, bounded, and one writer appends them in batches, each synced before it
// counts as written. Number and fingerprint come at the moment of writing, under a lock, so that several processes may
// write one journal.
//
// A disk that refuses (full, failing) stops nothing: the file is cut back to its last whole line, the queue is tried again,
// and what no longer fits in the queue is counted; an `audit-lost` event with the count follows as soon as writing works.

import { Fault } from '../base/fault.js'
import { type Framed, frame } from './chain.js'
import { auditFault } from './errors.js'
import type { Fact } from './fact.js'
import { type JournalFile, openFile } from './file.js'
import { type Closed, type Found, Head, type Mark, type Sealing } from './head.js'
import { OCSF_VERSION, type OcsfContext } from './ocsf/event.js'
import { toOcsf } from './ocsf/map.js'
import { unverifiedSeal } from './seal.js'
import { readSealFile, type Segment } from './segment.js'
import { UUID_RANDOM_BYTES, uuidV7 } from './uuid.js'

export interface JournalOptions {
  readonly product: OcsfContext['product']
  readonly reporter: OcsfContext['reporter']
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** That many octets from a cryptographic source. */
  readonly random: (length: number) => Uint8Array
  /** `batch`: fdatasync after every batch, before its events count as written. `never`: the kernel decides. */
  readonly sync?: 'batch' | 'never'
  /** Octets of events that wait in memory; beyond it new ones are lost and counted. */
  readonly maxQueueBytes?: number
  /** How long to wait after a refusal of the disk. */
  readonly retryMs?: number
  /** Keeps other writers of the same journal out while a batch is written. Absent: there are none. */
  readonly exclusive?: () => Promise<() => void>
  /** Absent: the journal is one segment, without a seal. */
  readonly sealing?: Sealing
  readonly mark?: Mark
  /** Puts another file in place of the one at the path. */
  readonly openFile?: (path: string) => Promise<JournalFile>
}

export interface JournalStatus {
  /** The last sequence number that is on disk, as far as this writer has seen. */
  readonly sequence: number
  /** Events that this writer put on disk, and events that it lost. */
  readonly written: number
  readonly lost: number
  /** Events that wait in memory. */
  readonly queued: number
  /** Octets of torn lines that this writer found and cut away. */
  readonly tornBytes: number
  /** The disk's last refusal, until writing works again. */
  readonly failure?: Error
  /** Why segments stay open and unsealed although it is time to close them. */
  readonly keyFailure?: Error
}

export interface Journal {
  /** Never throws, never waits. */
  emit(fact: Fact, correlationUid?: string): void
  /** True when every event emitted so far is on disk, or told there as lost; false after one attempt that failed. */
  flush(): Promise<boolean>
  /** Closes the live segment and seals it. Throws what the lock and the disk throw; undefined when it is empty. */
  rotate(): Promise<Closed | undefined>
  status(): JournalStatus
  /** Writes what waits, in one attempt; what could not be written counts as lost. Idempotent. */
  close(): Promise<JournalStatus>
}

const BATCH_BYTES = 1 << 20
const DEFAULT_QUEUE_BYTES = 32 << 20
/** What the chain adds to a line, at most. */
const LINK_BYTES = 400

/**
 * Opens or makes the journal. A torn last line is cut, and an `audit-lost` event says so. Throws AUDIT_JOURNAL_UNAVAILABLE
 * when the file cannot be opened, AUDIT_JOURNAL_FOREIGN when it is not a journal, and what the lock throws.
 */
export async function openJournal(path: string, options: JournalOptions): Promise<Journal> {
  const writer = new Writer(path, options)
  try {
    await writer.open()
    return writer
  } catch (error) {
    await writer.abandon()
    if (error instanceof Fault) throw error
    throw auditFault('AUDIT_JOURNAL_UNAVAILABLE', { path }, { cause: error })
  }
}

interface Waiting {
  /** How many events were emitted up to and with this one. */
  readonly ticket: number
  readonly framed: Framed
  readonly bytes: number
}

class Writer implements Journal {
  private readonly head: Head
  private queue: Waiting[] = []
  private queuedBytes = 0
  private tickets = 0
  private written = 0
  private lost = 0
  private lostUntold = 0
  private tornBytes = 0
  private toldSegment = 0
  private failure: Error | undefined
  private entropy = new Uint8Array(0)
  /** The attempt that is under way, if any. */
  private attempt: Promise<boolean> | undefined
  private retry: NodeJS.Timeout | undefined
  private closing: Promise<JournalStatus> | undefined
  private closed = false

  constructor(
    path: string,
    private readonly options: JournalOptions,
  ) {
    const { nowMs, random, exclusive, sealing, mark } = options
    this.head = new Head(path, {
      nowMs,
      newChain: () => uuidV7(nowMs(), random(UUID_RANDOM_BYTES)),
      sync: options.sync !== 'never',
      openFile: options.openFile ?? openFile,
      ...(exclusive ? { exclusive } : {}),
      ...(sealing ? { sealing } : {}),
      ...(mark ? { mark } : {}),
    })
  }

  async open(): Promise<void> {
    await this.head.hold(async (found) => {
      this.tell(found)
    })
    if (this.queue.length > 0) void this.start()
  }

  async abandon(): Promise<void> {
    this.closed = true
    await this.head.release()
  }

  emit(fact: Fact, correlationUid?: string): void {
    for (const waiting of this.frames(fact, correlationUid)) {
      if (this.closed || this.queuedBytes + waiting.bytes > (this.options.maxQueueBytes ?? DEFAULT_QUEUE_BYTES)) {
        this.lose(1)
        continue
      }
      this.queue.push(waiting)
      this.queuedBytes += waiting.bytes
    }
    if (this.retry === undefined && this.queue.length > 0) void this.start()
  }

  async flush(): Promise<boolean> {
    const target = this.tickets
    for (let next = this.queue[0]; next && next.ticket <= target; next = this.queue[0])
      if (!(await this.start())) return false
    return this.lostUntold === 0
  }

  async rotate(): Promise<Closed | undefined> {
    await this.flush()
    const closed = await this.head.hold(async (found) => {
      this.tell(found)
      return this.closeSegment()
    })
    await this.flush()
    return closed
  }

  status(): JournalStatus {
    return {
      sequence: this.head.sequence,
      written: this.written,
      lost: this.lost,
      queued: this.queue.length,
      tornBytes: this.tornBytes,
      ...(this.failure === undefined ? {} : { failure: this.failure }),
      ...(this.head.keyFailure === undefined ? {} : { keyFailure: this.head.keyFailure }),
    }
  }

  close(): Promise<JournalStatus> {
    this.closing ??= this.finish()
    return this.closing
  }

  private async finish(): Promise<JournalStatus> {
    await this.flush()
    this.closed = true
    clearTimeout(this.retry)
    this.lose(this.queue.length)
    this.queue = []
    this.queuedBytes = 0
    await this.head.release()
    return this.status()
  }

  private frames(fact: Fact, correlationUid?: string): readonly Waiting[] {
    const { nowMs, product, reporter } = this.options
    const now = nowMs()
    const eventUids = [uuidV7(now, this.chance()), uuidV7(now, this.chance())] as const
    const correlated = correlationUid === undefined ? {} : { correlationUid }
    const context: OcsfContext = { version: OCSF_VERSION, eventUids, sequence: 0, product, reporter, ...correlated }
    return toOcsf(fact, context).map((event) => {
      const framed = frame(event)
      const { head, middle, tail } = framed
      return { ticket: ++this.tickets, framed, bytes: head.length + middle.length + tail.length + LINK_BYTES }
    })
  }

  /** Ten octets nobody used before; drawn by the thousand, since each call into the platform costs. */
  private chance(): Uint8Array {
    if (this.entropy.length < UUID_RANDOM_BYTES)
      this.entropy = new Uint8Array(this.options.random(UUID_RANDOM_BYTES * 1_000))
    const out = this.entropy.subarray(0, UUID_RANDOM_BYTES)
    this.entropy = this.entropy.subarray(UUID_RANDOM_BYTES)
    return out
  }

  private lose(events: number): void {
    this.lost += events
    this.lostUntold += events
  }

  private start(): Promise<boolean> {
    clearTimeout(this.retry)
    this.retry = undefined
    // Everything that is emitted in this turn of the event loop goes into one batch.
    this.attempt ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.drain())
    return this.attempt
  }

  /** Writes batches until the queue is empty or the disk refuses; then it plans the next attempt. Never rejects. */
  private async drain(): Promise<boolean> {
    try {
      while (this.queue.length > 0) {
        await this.head.hold(async (found) => {
          this.tell(found)
          if (this.head.due()) await this.closeSegment()
          await this.writeBatch()
        })
        this.tellLoss()
      }
      this.failure = undefined
      return true
    } catch (error) {
      this.failure = error instanceof Error ? error : new TypeError(String(error))
      if (!this.closing) {
        this.retry = setTimeout(() => void this.start(), this.options.retryMs ?? 1_000)
        this.retry.unref()
      }
      return false
    } finally {
      this.attempt = undefined
    }
  }

  private async writeBatch(): Promise<void> {
    let count = 0
    let bytes = 0
    while (count < this.queue.length && (count === 0 || bytes < BATCH_BYTES)) bytes += this.queue[count++]?.bytes ?? 0
    await this.head.append(this.queue.slice(0, count).map(({ framed }) => framed))
    this.queue.splice(0, count)
    this.queuedBytes -= bytes
    this.written += count
  }

  /** Facts about the journal itself go before everything that waits. */
  private first(fact: Fact): void {
    const waiting = this.frames(fact).map((entry) => ({ ...entry, ticket: 0 }))
    this.queue.unshift(...waiting)
    for (const { bytes } of waiting) this.queuedBytes += bytes
  }

  private tell({ tornBytes, removed, closed }: Found): void {
    const atMs = this.options.nowMs()
    if (closed) this.tellClosed(closed)
    if (tornBytes > 0) this.first({ kind: 'audit-lost', cause: 'torn-tail', lost: tornBytes, atMs })
    if (removed > 0) this.first({ kind: 'audit-lost', cause: 'removed', lost: removed, atMs })
    this.tornBytes += tornBytes
  }

  private tellClosed(closed: Closed): void {
    // Found again after an attempt that failed: it waits in the queue already.
    if (closed.segment === this.toldSegment) return
    this.toldSegment = closed.segment
    const atMs = this.options.nowMs()
    const { segment } = closed
    if ('damaged' in closed) {
      this.first({ kind: 'journal-damaged', segment, ...closed.damaged, atMs })
      return
    }
    const { events, firstSequence, lastSequence, fingerprint } = closed.seal
    this.first({ kind: 'journal-closed', segment, events, firstSequence, lastSequence, fingerprint, atMs })
  }

  private async closeSegment(): Promise<Closed | undefined> {
    const closed = await this.head.close()
    if (!closed) return undefined
    const old = this.head.retirable()
    const [oldest, newest] = [old[0], old.at(-1)]
    if (oldest && newest) {
      this.first({
        kind: 'journal-retired',
        fromSegment: oldest.number,
        toSegment: newest.number,
        lastSequence: lastSequenceOf(newest),
        atMs: this.options.nowMs(),
      })
      this.tellClosed(closed)
      // What is about to go is told on the disk first.
      await this.writeBatch()
      this.head.retire(old)
    } else this.tellClosed(closed)
    return closed
  }

  /** Room again: the count of what was lost goes into the trail at once. */
  private tellLoss(): void {
    const lost = this.lostUntold
    if (lost === 0) return
    this.lostUntold = 0
    this.emit({ kind: 'audit-lost', cause: 'unwritten', lost, atMs: this.options.nowMs() })
  }
}

/** As its seal says it; 0 for a segment that could not be sealed. */
const lastSequenceOf = (segment: Segment): number =>
  segment.sealed ? (unverifiedSeal(readSealFile(segment.sealPath))?.lastSequence ?? 0) : 0
