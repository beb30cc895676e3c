// Pulls the trail of one agent: asks how far its journal goes, takes the stream up at the event that is held last, and judges every
// line before it goes into the copy. What does not hold is recorded, told as Critical, and then kept like the rest: in the copy if
// it has a place there, otherwise in a file beside it. Nothing is acknowledged to the agent, so nothing can be lost by asking.
//
// When the copy is full the stream is not read on until sinks have made room. A stream that ends or breaks is taken up again
// behind growing pauses.

import { join } from 'node:path'
import { hashOctets } from '../audit/file.js'
import type { Cursor } from '../audit/sinks/cursor.js'
import { failed, STANDING, type Standing } from '../audit/sinks/outage.js'
import { DELIVERY } from '../audit/sinks/terms.js'
import { causeChain } from '../base/fault.js'
import type { AgentSource, ExportHost } from './export.js'
import { Asides } from './export-asides.js'
import { batched } from './export-batches.js'
import { type CopyLine, type Place, TrailCopy } from './export-copy.js'
import { exportFault } from './export-errors.js'
import { heal } from './export-heal.js'
import { type Finding, judge } from './export-judge.js'
import {
  isKnown,
  missingIn,
  readRecord,
  type TrailRecord,
  withEpoch,
  withFinding,
  writeRecord,
} from './export-record.js'

/** How far the journal of an agent goes, as the agent says. */
export interface TrailHead {
  /** '' while it has no event. */
  readonly chain: string
  readonly first: number
  /** The newest that is on stable storage. */
  readonly last: number
  readonly lost: number
}

/** One connection to an agent's API. */
export interface AgentLink {
  head(): Promise<TrailHead>
  /** Lines after a number of that chain ('': of whatever chain), then new ones, until the signal. */
  events(after: number, chain: string, signal: AbortSignal): AsyncIterable<Uint8Array>
  close(): void
}

export interface PullStatus {
  /** `full`: the copy has no room until sinks have taken more. */
  readonly state: 'pulling' | 'waiting' | 'full' | 'failing' | 'stopped'
  readonly chain: string
  /** The newest event of the agent's journal, as far as it is known, and of the copy. */
  readonly journalled: number
  readonly pulled: number
  /** Numbers that were never there to be pulled, and everything that was found wrong with the trail. */
  readonly missing: number
  readonly findings: number
  /** Octets of the copy. */
  readonly octets: number
  /** Attempts that failed, since the companion began. */
  readonly failures: number
  readonly error?: string
}

export interface PullTerms {
  readonly folder: string
  readonly maxBytes: number
}

export const COPY_FILE = 'events.ndjson'
export const RECORD_FILE = 'trail.json'
export const ASIDE_FILE = 'aside.ndjson'

/** As chain.ts writes it: quotes inside a JSON text are escaped, so this is the member itself. */
const REPORTER = /"reporter":\{(?:"hostname":"[^"]*",)?"uid":"([^"]*)"\}/
const BATCH_BYTES = 1 << 20
/** Between two questions for how far the journal goes, and between two looks for room. */
const LOOK_MS = 5_000
const ROOM_MS = 100

export class TrailPull {
  readonly eventsFile: string
  private readonly copy: TrailCopy
  private readonly asides: Asides
  private record: TrailRecord
  private opened = false
  private head: TrailHead | undefined
  private state: PullStatus['state'] = 'waiting'
  private standing: Standing = STANDING
  private failures = 0
  private error: string | undefined
  /** Findings that no line gave cause for. */
  private cuts = 0

  /** `places` says how far each sink is with the copy. */
  constructor(
    private readonly agent: AgentSource,
    private readonly terms: PullTerms,
    private readonly host: Pick<ExportHost, 'connect' | 'tell' | 'nowMs' | 'chance' | 'sleep' | 'terms'>,
    private readonly places: () => readonly Place[],
  ) {
    this.eventsFile = join(terms.folder, COPY_FILE)
    this.copy = new TrailCopy({ path: this.eventsFile, maxBytes: terms.maxBytes })
    this.asides = new Asides(join(terms.folder, ASIDE_FILE), terms.maxBytes)
    this.record = { node: agent.node, epochs: [], findings: [], further: 0 }
  }

  /** Until the signal is aborted. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { host } = this
    const pauses = { ...DELIVERY, ...host.terms }
    while (!signal.aborted) {
      let waitMs = pauses.retryMs
      try {
        await this.attempt(signal)
      } catch (error) {
        if (signal.aborted) break
        this.failures++
        this.state = 'failing'
        this.error = causeChain(error).join(': ')
        // What is on the disk is looked at again: a write may have failed half way.
        await this.copy.close().catch(() => undefined) // it is opened anew either way
        this.opened = false
        const judged = failed(this.standing, host.nowMs(), host.chance(), pauses)
        this.standing = judged.standing
        waitMs = judged.waitMs
      }
      await host.sleep(waitMs, signal)
    }
    await this.copy.close().catch(() => undefined) // every batch was synced when it was taken
    this.state = 'stopped'
  }

  status(): PullStatus {
    const { copy, head, record, state, failures, error } = this
    const { chain = '', sequence: pulled = 0 } = copy.point ?? {}
    const { missing } = missingIn(record, chain)
    return {
      ...{ state, chain, journalled: Math.max(head?.last ?? 0, pulled), pulled, missing },
      ...{ findings: record.findings.length + record.further, octets: copy.octets, failures },
      ...(error === undefined ? {} : { error }),
    }
  }

  findings(): readonly Finding[] {
    return this.record.findings
  }

  /** Events of the copy that a sink has not settled. */
  after({ chain = '', sequence }: { readonly chain?: string; readonly sequence: Cursor['sequence'] }): number {
    return this.copy.after({ chain, sequence })
  }

  private get recordFile(): string {
    return join(this.terms.folder, RECORD_FILE)
  }

  private async open(): Promise<void> {
    if (this.opened) return
    await this.copy.open()
    this.record = readRecord(this.recordFile) ?? this.record
    const { chains } = this.copy
    const healed = await heal(this.record, this.terms.folder, { path: this.eventsFile, chains })
    if (healed) await this.settle(healed.record, healed.findings)
    this.opened = true
    const epoch = this.record.epochs.at(-1)
    if (this.copy.point || !epoch) return
    // Sinks have had events of a copy that is not there: half a line is what a crash leaves, and not nothing.
    const had = this.places().filter(({ chain }) => chain === epoch.chain)
    const last = Math.max(epoch.from, ...had.map(({ sequence }) => sequence))
    if (last > epoch.from)
      await this.find({ found: 'copy-damaged', chain: epoch.chain, fromSequence: epoch.from + 1, toSequence: last })
  }

  /** From connecting to the end of the stream. */
  private async attempt(signal: AbortSignal): Promise<void> {
    await this.open()
    await this.makeRoom(signal)
    const link = this.host.connect(this.agent)
    const over = new AbortController()
    const end = (): void => {
      over.abort()
    }
    signal.addEventListener('abort', end)
    const looking = { error: undefined as Error | undefined }
    try {
      const after = await this.look(link)
      this.state = 'pulling'
      const watch = this.watch(link, over.signal)
        .catch((error: unknown) => {
          looking.error = error instanceof Error ? error : new TypeError(String(error))
        })
        .finally(end)
      const { chain = '' } = this.copy.point ?? {}
      for await (const lines of batched(link.events(after, chain, over.signal), (line) => line.length, BATCH_BYTES)) {
        if (signal.aborted) break
        await this.take(lines)
        this.standing = STANDING
        this.error = undefined
        await this.makeRoom(signal)
      }
      end()
      await watch
      if (looking.error !== undefined) throw looking.error
    } finally {
      signal.removeEventListener('abort', end)
      end()
      link.close()
    }
  }

  /** Where the stream is to begin, once it is known that the journal still goes with the copy. */
  private async look(link: AgentLink): Promise<number> {
    // Before the question, since the copy goes on meanwhile.
    const { point } = this.copy
    const head = await link.head()
    this.head = head
    if (!point) return 0
    // Events of another chain come from its beginning, and say by themselves that it is another one.
    const ends = head.chain === '' ? 0 : head.chain === point.chain ? head.last : point.sequence
    if (ends >= point.sequence) return point.sequence - 1
    const { chain, sequence, fingerprint } = point
    await this.find({ found: 'cut', chain, fromSequence: ends + 1, toSequence: sequence, expected: fingerprint })
    return ends
  }

  /** Until the signal, or until the journal is not what the stream began with: then it is to begin again. */
  private async watch(link: AgentLink, signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.host.sleep(LOOK_MS, signal)
      if (signal.aborted) return
      const cuts = this.cuts
      await this.look(link)
      if (this.cuts !== cuts) return
    }
  }

  // untrusted: the lines
  private async take(octets: readonly Uint8Array[]): Promise<void> {
    const lines: CopyLine[] = []
    const findings: Finding[] = []
    let { record } = this
    let before = this.copy.point
    for (const each of octets) {
      const text = Buffer.from(each).toString('latin1')
      const judged = judge(before, text, hashOctets)
      if (judged.kind === 'known') continue
      if (judged.kind === 'aside') {
        if (isKnown(record, judged.finding)) continue
        await this.asides.keep(text, judged.finding, this.host.nowMs())
        findings.push(judged.finding)
        record = withFinding(record, judged.finding)
        continue
      }
      const { link } = judged
      for (const finding of judged.findings) {
        if (!isKnown(record, finding)) findings.push(finding)
        record = withFinding(record, finding)
      }
      if (before?.chain !== link.chain) this.refuseOther(text)
      if (before?.chain !== link.chain)
        record = withEpoch(record, link.chain, before ? 0 : link.sequence - 1, before?.sequence ?? 0)
      lines.push({ text, link })
      before = link
    }
    await this.settle(record, findings)
    if (lines.length > 0) await this.copy.append(lines)
  }

  /** Throws EXPORT_WRONG_NODE for the first event of a chain that another node wrote. */
  private refuseOther(text: string): void {
    const { name: agent, node: expected } = this.agent
    const found = REPORTER.exec(text)?.[1] ?? 'nobody'
    if (found !== expected) throw exportFault('EXPORT_WRONG_NODE', { agent, expected, found })
  }

  private async find(finding: Finding): Promise<void> {
    if (isKnown(this.record, finding)) return
    this.cuts++
    await this.settle(withFinding(this.record, finding), [finding])
  }

  /** The word before the record, and both before the lines: a crash tells again, and never leaves anything untold. */
  private async settle(record: TrailRecord, findings: readonly Finding[]): Promise<void> {
    const { nowMs, tell } = this.host
    for (const finding of findings)
      await tell({ kind: 'trail-broken', atMs: nowMs(), node: this.agent.node, ...finding })
    if (record !== this.record) writeRecord(this.recordFile, record)
    this.record = record
  }

  /** Resolves when the copy takes more, or the signal is aborted. */
  private async makeRoom(signal: AbortSignal): Promise<void> {
    await this.copy.retire(this.places())
    while (this.copy.full && !signal.aborted) {
      this.state = 'full'
      await this.host.sleep(ROOM_MS, signal)
      await this.copy.retire(this.places())
    }
    this.state = 'pulling'
  }
}
