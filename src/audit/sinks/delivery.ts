// One sink's way through the journal, from its cursor to the end and on as events come: a batch is read, offered, and settled
// when it was taken. What cannot be delivered now waits in the journal, behind growing pauses; what would be refused for ever
// is found by halving the batch, and set aside. Nobody waits for any of this.

import { causeChain, Fault } from '../../base/fault.js'
import { type Cursor, FIRST_CURSOR, onChain, readCursor, type Settled, writeCursor } from './cursor.js'
import { DeadLetters } from './dead.js'
import { sinkFault } from './errors.js'
import { timeOf } from './http-body.js'
import { failed, STANDING, type Standing, worked } from './outage.js'
import type { Sink, SinkLine, SinkPlace } from './sink.js'
import { isAhead, oldestIn, Spool, type SpoolLine } from './spool.js'
import {
  cursorFile,
  DELIVERY,
  type DeliveryEffects,
  type DeliverySetting,
  type DeliveryTerms,
  deadFile,
  type SinkStatus,
} from './terms.js'

/** When the agent stops, in a row and without pauses. */
const LAST_TRIES = 3

export class Delivery {
  private readonly terms: DeliveryTerms
  private readonly dead: DeadLetters
  private cursor: Cursor = FIRST_CURSOR
  private spool: Spool | undefined
  private sink: Sink | undefined
  /** What the sink has although the cursor does not say so. */
  private has: SinkPlace | undefined
  /** What the sink says that it has, and cannot have from here. */
  private disbelieved: string | undefined
  private pending: readonly SpoolLine[] = []
  /** Events that the next batch may have: less after a refusal, until the refused event stands alone. */
  private width: number
  private standing: Standing = STANDING
  private state: SinkStatus['state'] = 'waiting'
  private failures = 0
  private error: string | undefined
  /** Why the cursor on the disk is not the newest. */
  private unkept: string | undefined
  /** Events that are known to be gone, and lie before a line that is not settled yet. */
  private unsettled = 0

  constructor(
    private readonly setting: DeliverySetting,
    private readonly effects: DeliveryEffects,
  ) {
    this.terms = { ...DELIVERY, ...setting.terms }
    this.width = this.terms.maxEvents
    this.dead = new DeadLetters(deadFile(setting.directory, setting.name), this.terms.deadBytes)
  }

  /** Delivers until aborted: by `ending` once everything was delivered or failed a few times more, by `signal` at once. */
  async run(ending: AbortSignal, signal: AbortSignal): Promise<void> {
    let last = 0
    try {
      while (!signal.aborted) {
        const waitMs = await this.turn(signal)
        if (waitMs > 0 && ending.aborted && (this.state === 'waiting' || ++last >= LAST_TRIES)) return
        if (waitMs > 0) await this.effects.sleep(waitMs, ending)
      }
    } finally {
      await this.spool?.close()
      await this.sink?.close().catch(() => undefined) // what it had taken is settled; more is not asked of it
      this.state = 'stopped'
    }
  }

  status(): SinkStatus {
    const { name, kind } = this.setting
    const { sequence, delivered, dead, leftOut } = this.cursor
    const lag = Math.max(0, this.effects.durable() - sequence)
    const { state, failures, error = this.unkept ?? this.disbelieved } = this
    const counts = { delivered, dead, leftOut, discarded: this.cursor.discarded + this.unsettled }
    const { chain, earlier } = this.cursor
    const waiting = this.pending[0]
    const place = {
      chain,
      ...(earlier ? { earlier } : {}),
      ...(waiting ? { waitingSinceMs: timeOf(waiting.text) } : {}),
    }
    return {
      name,
      kind,
      state,
      sequence,
      ...place,
      lag,
      ...counts,
      failures,
      ...(error === undefined ? {} : { error }),
    }
  }

  /** One step; gives how long there is nothing to do. Never rejects. */
  private async turn(signal: AbortSignal): Promise<number> {
    try {
      const spool = await this.ready()
      if (spool && this.pending.length === 0) this.pending = await spool.next(this.terms.maxEvents, this.terms.maxBytes)
      if (this.pending.length === 0) {
        this.succeed('waiting')
        return this.terms.pollMs
      }
      await this.offer(signal)
      this.succeed('delivering')
      return 0
    } catch (error) {
      return signal.aborted ? 0 : await this.fail(error)
    }
  }

  /** Cursor and spool, opened once, and the sink, opened again after a failure. */
  private async ready(): Promise<Spool | undefined> {
    this.spool ??= await this.begin()
    if (this.spool && !this.sink) {
      this.sink = await this.setting.open()
      this.has = await this.believed(await this.sink.last?.())
    }
    return this.spool
  }

  /**
   * A last event under a number that the journal gave to another, or has not reached, is somebody else's word, or this node went back
   * to an older disk: to believe it would leave events out. Then it is all delivered again, and its uid tells a repetition.
   */
  private async believed(last: SinkPlace | undefined): Promise<SinkPlace | undefined> {
    this.disbelieved = undefined
    const { chain, sequence } = this.cursor
    if (!last || (last.chain === chain && last.sequence <= sequence)) return undefined
    const ahead = await isAhead(this.setting.eventsFile, { chain, sequence }, last)
    if (ahead === true) return last
    // Nothing of that chain here: another node's, where several share a subject.
    if (ahead === false)
      this.disbelieved = `its last event is ${last.uid} as number ${last.sequence}, which the journal does not have: nothing is left out for it`
    return undefined
  }

  /** A sink that never was here begins with the oldest event that the journal has, and from then on every event counts. */
  private async begin(): Promise<Spool | undefined> {
    const { eventsFile, directory, name, everything } = this.setting
    const file = cursorFile(directory, name)
    const held = readCursor(file)
    const oldest = held ? undefined : await oldestIn(eventsFile)
    // A copy begins with whatever could be had: nothing is counted before its first event is there.
    if (!held && !oldest && everything) return undefined
    const before = oldest ? oldest.sequence - 1 : 0
    this.cursor = held ?? { ...FIRST_CURSOR, chain: oldest?.chain ?? '', from: before, sequence: before }
    if (!held) writeCursor(file, this.cursor)
    const { failingSinceMs: sinceMs } = this.cursor
    // An outage that outlived the agent ends with one word like any other.
    if (sinceMs !== undefined) this.standing = { failures: 1, sinceMs, told: true }
    const durable = everything ? () => Number.POSITIVE_INFINITY : this.effects.durable
    return new Spool(eventsFile, this.cursor, durable, (lost) => {
      this.unsettled += lost
      const atMs = this.effects.nowMs()
      this.effects.tell({ kind: 'audit-lost', cause: 'undelivered', lost, sink: name, atMs })
    })
  }

  private async offer(signal: AbortSignal): Promise<void> {
    const lines = this.pending.slice(0, this.width)
    const wanted = new Map<SpoolLine, string>()
    for (const line of lines) {
      const text = this.setting.select ? this.setting.select(line.text) : line.text
      if (text !== undefined) wanted.set(line, text)
    }
    const sent = [...wanted].filter(([line]) => !this.isThere(line)).map(([line, text]) => ({ ...line, text }))
    const settledAs = (line: SpoolLine) => (wanted.has(line) ? 'delivered' : 'leftOut')
    try {
      if (sent.length > 0) await this.deliver(sent, signal)
    } catch (error) {
      if (!(error instanceof Fault && error.code === 'AUDIT_SINK_REFUSED')) throw error
      this.failures++
      const [only] = sent
      if (sent.length === 1 && only) {
        await this.bury(only, error)
        this.settle(lines, (line) => (line.sequence === only.sequence ? 'dead' : settledAs(line)))
      } else this.width = Math.max(1, Math.floor(lines.length / 2))
      return
    }
    this.width = Math.min(this.terms.maxEvents, this.width * 2)
    this.settle(lines, settledAs)
  }

  /** With a deadline. `AbortSignal.any` would leave something behind in the agent's own signal for every batch. */
  private async deliver(sent: readonly SinkLine[], signal: AbortSignal): Promise<void> {
    const { timeoutMs } = this.terms
    const limit = new AbortController()
    const stop = (): void => {
      limit.abort(signal.reason)
    }
    const late = setTimeout(() => {
      limit.abort(new TypeError(`no answer after ${timeoutMs} ms`))
    }, timeoutMs)
    signal.addEventListener('abort', stop)
    try {
      signal.throwIfAborted()
      await this.sink?.deliver(sent, limit.signal)
    } finally {
      clearTimeout(late)
      signal.removeEventListener('abort', stop)
    }
  }

  private async bury(line: SinkLine, error: Fault): Promise<void> {
    if (await this.dead.keep(line, error.message, this.effects.nowMs())) return
    const why = 'its file of dead letters is full'
    throw sinkFault('AUDIT_SINK_UNAVAILABLE', { sink: this.setting.name, why }, { cause: error })
  }

  private isThere({ chain, sequence }: SinkLine): boolean {
    return this.has !== undefined && this.has.chain === chain && sequence <= this.has.sequence
  }

  /** The cursor moves over these lines. One that cannot be kept is kept with the next batch: a crash repeats, no more. */
  private settle(lines: readonly SpoolLine[], outcome: (line: SpoolLine) => keyof Settled): void {
    for (const line of lines) {
      const { chain, sequence, gap } = line
      if (chain !== this.cursor.chain) this.cursor = onChain(this.cursor, chain)
      const kind = outcome(line)
      const discarded = this.cursor.discarded + gap
      this.unsettled -= gap
      this.cursor = { ...this.cursor, sequence, discarded, [kind]: this.cursor[kind] + 1 }
    }
    this.pending = this.pending.slice(lines.length)
    this.keep()
    this.setting.settled?.(lines)
  }

  private keep(): void {
    const { directory, name } = this.setting
    try {
      writeCursor(cursorFile(directory, name), this.cursor)
      this.unkept = undefined
    } catch (error) {
      this.unkept = causeChain(error).join(': ')
    }
  }

  private succeed(state: SinkStatus['state']): void {
    this.state = state
    this.error = undefined
    const { standing, tell } = worked(this.standing, this.effects.nowMs())
    this.standing = standing
    if (tell?.kind !== 'ended') return
    this.tellOutage('sink-recovered', tell.elapsedMs)
    const { failingSinceMs: _, ...cursor } = this.cursor
    this.cursor = cursor
    this.keep()
  }

  private async fail(error: unknown): Promise<number> {
    const { nowMs, chance } = this.effects
    this.failures++
    this.state = 'failing'
    this.error = causeChain(error).join(': ')
    const { afterMs } = (error instanceof Fault ? (error.detail ?? {}) : {}) as { readonly afterMs?: number }
    const { standing, waitMs, tell } = failed(this.standing, nowMs(), chance(), this.terms, afterMs)
    this.standing = standing
    await this.sink?.close().catch(() => undefined) // in an unknown state; it is opened anew
    this.sink = undefined
    await this.spool?.skipRetired().catch(() => undefined) // a journal that cannot be read is met again at the next turn
    if (tell?.kind === 'begun') {
      this.tellOutage('sink-failing', Math.max(0, nowMs() - standing.sinceMs))
      this.cursor = { ...this.cursor, failingSinceMs: standing.sinceMs }
      if (this.spool) this.keep()
    }
    return waitMs
  }

  private tellOutage(kind: 'sink-failing' | 'sink-recovered', elapsedMs: number): void {
    const { name: sink, kind: type, sequence, lag, discarded, dead, error: why = '' } = this.status()
    const atMs = this.effects.nowMs()
    this.effects.tell({ kind, sink, type, sequence, lag, discarded, dead, elapsedMs, why, atMs })
  }
}
