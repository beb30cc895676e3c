// A journal in a folder of its own and deliveries from it, whose pauses are a millisecond whatever the terms say, so that a test
// waits for conditions and never for time. The clock that outages are judged by stands still until a test sets it.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Fact } from '../../../src/audit/fact.js'
import { type Journal, type JournalOptions, openJournal } from '../../../src/audit/journal.js'
import { Delivery } from '../../../src/audit/sinks/delivery.js'
import { sinkFault } from '../../../src/audit/sinks/errors.js'
import type { Sink, SinkLine } from '../../../src/audit/sinks/sink.js'
import type { DeliverySetting, SinkStatus } from '../../../src/audit/sinks/terms.js'
import { FACTS } from '../../support/facts.js'
import { memoryMark, OPTIONS } from './rig.js'

export class Spooled {
  readonly folder = mkdtempSync(join(tmpdir(), 'sluice-sinks-'))
  readonly path = join(this.folder, 'events.ndjson')
  readonly directory = join(this.folder, 'sinks')
  readonly mark = memoryMark()
  readonly told: Fact[] = []
  nowMs = 1_000_000
  private journal: Journal | undefined
  private readonly ends: (() => Promise<void>)[] = []

  async write(events: number, more: Partial<JournalOptions> = {}): Promise<void> {
    this.journal ??= await openJournal(this.path, { ...OPTIONS, sync: 'never', mark: this.mark, ...more })
    for (let n = 0; n < events; n++) this.journal.emit(FACTS['flow-denied'])
    await this.journal.flush()
  }
  async rotate(): Promise<void> {
    await this.journal?.rotate()
  }

  /** Begins to deliver; the function that is given ends it, after everything was delivered or at once. */
  deliver(
    open: () => Promise<Sink>,
    setting: Partial<DeliverySetting> = {},
  ): { readonly status: () => SinkStatus; readonly end: (how?: 'now') => Promise<void> } {
    const { path: eventsFile, directory } = this
    const terms = { retryMs: 1, longestMs: 1, outageMs: 50, pollMs: 1, ...setting.terms }
    const delivery = new Delivery(
      { name: 'siem', kind: 'test', eventsFile, directory, open, ...setting, terms },
      {
        nowMs: () => this.nowMs,
        chance: () => 0.5,
        durable: () => this.mark.read()?.sequence ?? 0,
        sleep: pause,
        tell: (fact) => this.told.push(fact),
      },
    )
    const [ending, ended] = [new AbortController(), new AbortController()]
    const running = delivery.run(ending.signal, ended.signal)
    const end = async (how?: 'now'): Promise<void> => {
      ending.abort()
      if (how) ended.abort()
      await running
    }
    this.ends.push(() => end('now'))
    return { status: () => delivery.status(), end }
  }

  async close(): Promise<void> {
    for (const end of this.ends) await end()
    await this.journal?.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

const pause = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, 1)
  })
/** No healthy run needs it. */
const PATIENCE_MS = 50_000

/** Asks again until it holds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; !holds(); ) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
    await pause()
  }
}

/** A receiver in memory. `decide` says what becomes of a batch. */
export class Receiver {
  readonly got: SinkLine[] = []
  batches = 0
  opened = 0
  decide: (lines: readonly SinkLine[]) => 'take' | 'fail' | 'take-and-fail' | 'refuse' = () => 'take'

  readonly open = (): Promise<Sink> => {
    this.opened++
    return Promise.resolve({
      deliver: async (lines) => {
        this.batches++
        const decision = this.decide(lines)
        if (decision === 'refuse') throw sinkFault('AUDIT_SINK_REFUSED', { sink: 'siem', why: 'HTTP 400' })
        if (decision !== 'fail') this.got.push(...lines)
        if (decision !== 'take') throw sinkFault('AUDIT_SINK_UNAVAILABLE', { sink: 'siem', why: 'HTTP 503' })
      },
      close: async () => undefined,
    })
  }

  /** Sequence numbers in the order of their first arrival. */
  get sequences(): number[] {
    return [...new Map(this.got.map(({ uid, sequence }) => [uid, sequence])).values()]
  }
}

export const upTo = (last: number, from = 1): number[] => Array.from({ length: last - from + 1 }, (_, i) => from + i)
