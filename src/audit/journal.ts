// The trail on this node: facts in, one OCSF event a line (NDJSON) at the end of one file. `emit` never throws and never
// waits: lines queue in memory, bounded, and one writer appends them in batches, each synced before it counts as written.
//
// A disk that refuses (full, failing) stops nothing: the file is cut back to its last whole line, the queue is tried again,
// and what no longer fits in the queue is counted. Sequence numbers are given at `emit`, so a lost event is a gap as well,
// and an `audit-lost` event with the count follows as soon as writing works. One writer per file: the agent's lock holds it.

import { Fault } from '../base/fault.js'
import { auditFault } from './errors.js'
import type { Fact } from './fact.js'
import { type JournalFile, openFile } from './file.js'
import { OCSF_VERSION, type OcsfContext, type OcsfEvent } from './ocsf/event.js'
import { toOcsf } from './ocsf/map.js'
import { readTail } from './tail.js'
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
  /** Octets of lines that wait in memory; beyond it new events are lost and counted. */
  readonly maxQueueBytes?: number
  /** How long to wait after a refusal of the disk. */
  readonly retryMs?: number
  /** Puts another file in place of the one at the path. */
  readonly openFile?: (path: string) => Promise<JournalFile>
}

export interface JournalStatus {
  /** The last sequence number given. */
  readonly sequence: number
  /** Events on disk since it was opened, and events lost since then. */
  readonly written: number
  readonly lost: number
  /** Events that wait in memory. */
  readonly queued: number
  /** Octets of a torn line that opening cut away. */
  readonly tornBytes: number
  /** The disk's last refusal, until writing works again. */
  readonly failure?: Error
}

export interface Journal {
  /** Never throws, never waits. Gives the events as they will stand in the file. */
  emit(fact: Fact, correlationUid?: string): readonly OcsfEvent[]
  /** True when every event emitted so far is on disk, or told there as lost; false after one attempt that failed. */
  flush(): Promise<boolean>
  status(): JournalStatus
  /** Writes what waits, in one attempt; what could not be written counts as lost. Idempotent. */
  close(): Promise<JournalStatus>
}

const BATCH_BYTES = 1 << 20
const DEFAULT_QUEUE_BYTES = 32 << 20

/**
 * Opens or makes the journal. A torn last line is cut, and an `audit-lost` event says so. Throws AUDIT_JOURNAL_UNAVAILABLE
 * when the file cannot be opened, AUDIT_JOURNAL_FOREIGN when it is not a journal.
 */
export async function openJournal(path: string, options: JournalOptions): Promise<Journal> {
  let file: JournalFile | undefined
  try {
    file = await (options.openFile ?? openFile)(path)
    const tail = await readTail(file, path)
    if (tail.tornBytes > 0) await file.truncate(tail.length)
    const writer = new Writer(file, options, tail)
    if (tail.tornBytes > 0)
      writer.emit({ kind: 'audit-lost', cause: 'torn-tail', lost: tail.tornBytes, atMs: options.nowMs() })
    return writer
  } catch (error) {
    await file?.close()
    if (error instanceof Fault) throw error
    throw auditFault('AUDIT_JOURNAL_UNAVAILABLE', { path }, { cause: error })
  }
}

interface Line {
  readonly sequence: number
  readonly text: string
  readonly bytes: number
}

class Writer implements Journal {
  private readonly queue: Line[] = []
  private queuedBytes = 0
  private sequence: number
  private length: number
  private readonly tornBytes: number
  private written = 0
  private lost = 0
  private lostUntold = 0
  private failure: Error | undefined
  /** The attempt that is under way, if any. */
  private attempt: Promise<boolean> | undefined
  private retry: NodeJS.Timeout | undefined
  private closing: Promise<JournalStatus> | undefined
  private closed = false

  constructor(
    private readonly file: JournalFile,
    private readonly options: JournalOptions,
    tail: { readonly length: number; readonly sequence: number; readonly tornBytes: number },
  ) {
    this.length = tail.length
    this.sequence = tail.sequence
    this.tornBytes = tail.tornBytes
  }

  emit(fact: Fact, correlationUid?: string): readonly OcsfEvent[] {
    const events = toOcsf(fact, this.context(correlationUid))
    this.sequence += events.length
    for (const [i, event] of events.entries())
      this.enqueue(this.sequence - events.length + 1 + i, `${JSON.stringify(event)}\n`)
    if (this.retry === undefined && this.queue.length > 0) void this.start()
    return events
  }

  async flush(): Promise<boolean> {
    const target = this.sequence
    for (let head = this.queue[0]; head && head.sequence <= target; head = this.queue[0])
      if (!(await this.start())) return false
    return this.lostUntold === 0
  }

  status(): JournalStatus {
    return {
      sequence: this.sequence,
      written: this.written,
      lost: this.lost,
      queued: this.queue.length,
      tornBytes: this.tornBytes,
      ...(this.failure === undefined ? {} : { failure: this.failure }),
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
    this.queue.length = 0
    this.queuedBytes = 0
    await this.file.close()
    return this.status()
  }

  private context(correlationUid: string | undefined): OcsfContext {
    const { nowMs, random, product, reporter } = this.options
    const now = nowMs()
    const octets = random(2 * UUID_RANDOM_BYTES)
    return {
      version: OCSF_VERSION,
      eventUids: [uuidV7(now, octets), uuidV7(now, octets.subarray(UUID_RANDOM_BYTES))],
      sequence: this.sequence + 1,
      product,
      reporter,
      ...(correlationUid === undefined ? {} : { correlationUid }),
    }
  }

  private enqueue(sequence: number, text: string): void {
    const bytes = Buffer.byteLength(text)
    if (this.closed || this.queuedBytes + bytes > (this.options.maxQueueBytes ?? DEFAULT_QUEUE_BYTES)) {
      this.lose(1)
      return
    }
    this.queue.push({ sequence, text, bytes })
    this.queuedBytes += bytes
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
        await this.writeBatch()
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
    const batch = this.queue.slice(0, count)
    const data = Buffer.from(batch.map((line) => line.text).join(''))
    try {
      await this.file.write(this.length, data)
      // After a failed sync the pages may be gone: the batch is written again from its start, as after a failed write.
      if (this.options.sync !== 'never') await this.file.sync()
    } catch (error) {
      // A cut that fails too leaves a torn tail, which the next attempt overwrites and the next opening cuts.
      await this.file.truncate(this.length).catch(() => undefined)
      throw error
    }
    this.length += data.length
    this.queue.splice(0, count)
    this.queuedBytes -= bytes
    this.written += count
  }

  /** Room again: the count of what was lost goes into the trail at once. */
  private tellLoss(): void {
    const lost = this.lostUntold
    if (lost === 0) return
    this.lostUntold = 0
    this.emit({ kind: 'audit-lost', cause: 'unwritten', lost, atMs: this.options.nowMs() })
  }
}
