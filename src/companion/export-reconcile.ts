// What became of the trail of each agent, epoch by epoch and sink by sink: journalled, pulled, delivered, refused, left out, gone and
// waiting must add up, the copy must follow its own chain, and where a receiver can be looked at every event must be there.
// Whatever does not hold is named with the first range of numbers that is concerned. Reads only; the export may run meanwhile.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type ChainPoint, following, readLink } from '../audit/chain.js'
import { hashOctets } from '../audit/file.js'
import { textOf } from '../audit/lines.js'
import { addsUp, FIRST_CURSOR, readCursor, type Stretch } from '../audit/sinks/cursor.js'
import { type SinkConfig, selectionOf } from '../audit/sinks/open.js'
import { arrivalsOf } from '../audit/sinks/received.js'
import { eventsIn, type Received, type Reconciled, reconcile } from '../audit/sinks/reconcile.js'
import { cursorFile, deadFile } from '../audit/sinks/terms.js'
import { partsOf } from '../audit/walk.js'
import { causeChain, Fault } from '../base/fault.js'
import { type AgentSource, type ExportConfig, folderOf } from './export.js'
import { forAgent, SINKS } from './export-deliver.js'
import type { Finding } from './export-judge.js'
import { COPY_FILE, RECORD_FILE, type TrailHead } from './export-pull.js'
import { type Epoch, missingIn, readRecord, type TrailRecord } from './export-record.js'

export interface SinkOfEpoch extends Stretch {
  readonly name: string
  readonly kind: string
  /** Pulled, and not settled. */
  readonly pending: number
  /** What was held against the copy; absent when there was nothing to look at, or it could not be. */
  readonly held?: Reconciled & { readonly place: string; readonly unreadable: number }
  readonly unseen?: string
}

export interface EpochReconciled {
  readonly chain: string
  /** Everything after this one counts. */
  readonly from: number
  /** The newest event of the agent's journal; null when nobody could be asked, or the epoch is over. */
  readonly journalled: number | null
  /** The last that was pulled, and how many. */
  readonly through: number
  readonly pulled: number
  /** Of the copy, which keeps what sinks have not settled and then what there is room for. */
  readonly copied: { readonly events: number; readonly first: number; readonly last: number }
  readonly sinks: readonly SinkOfEpoch[]
  /** What does not hold, as sentences; none: it agrees. */
  readonly wrong: readonly string[]
}

export interface AgentReconciled extends AgentSource {
  readonly epochs: readonly EpochReconciled[]
  /** What was found wrong with the trail as it was pulled. */
  readonly findings: readonly Finding[]
  /** The first number of which something is missing or wrong, and the last of that range. */
  readonly firstMissing?: readonly [chain: string, from: number, to: number]
  readonly agrees: boolean
  /** Why the agent could not be asked how far it is. */
  readonly unasked?: string
}

/** `head` asks an agent how far its journal goes. Throws EXPORT_RECORD_DAMAGED, AUDIT_CURSOR_DAMAGED, and what the system says. */
export async function reconcileExport(
  config: ExportConfig,
  head: (agent: AgentSource) => Promise<TrailHead>,
): Promise<readonly AgentReconciled[]> {
  const out: AgentReconciled[] = []
  for (const agent of config.agents) out.push(await reconcileAgent(config, agent, head))
  return out
}

async function reconcileAgent(
  config: ExportConfig,
  { name, node }: AgentSource,
  ask: (agent: AgentSource) => Promise<TrailHead>,
): Promise<AgentReconciled> {
  const folder = folderOf(config, name)
  const record = readRecord(join(folder, RECORD_FILE))
  const seen: EpochReconciled[] = []
  for (const epoch of record?.epochs ?? []) seen.push(await reconcileEpoch(config, { folder, name, record, epoch }))
  // Last of all: what was pulled meanwhile is then no discrepancy.
  const asked = await ask({ name, node }).catch((error: unknown) => causeChain(error).join(': '))
  const epochs = typeof asked === 'string' ? seen : seen.map((epoch) => besides(epoch, asked))
  const findings = record?.findings ?? []
  const first = firstMissing(findings, epochs)
  return {
    ...{ name, node, epochs, findings },
    ...(first ? { firstMissing: first } : {}),
    agrees: findings.length === 0 && (record?.further ?? 0) === 0 && epochs.every(({ wrong }) => wrong.length === 0),
    ...(typeof asked === 'string' ? { unasked: asked } : {}),
  }
}

interface Asked {
  readonly folder: string
  readonly name: string
  readonly record: TrailRecord | undefined
  readonly epoch: Epoch
}

/** The epoch with what the agent says of it. */
function besides(epoch: EpochReconciled, { chain, last }: TrailHead): EpochReconciled {
  if (chain !== epoch.chain) return epoch
  const gone = `events ${last + 1} to ${epoch.through} are not in the journal of the agent any more`
  return { ...epoch, journalled: last, wrong: last < epoch.through ? [...epoch.wrong, gone] : epoch.wrong }
}

async function reconcileEpoch(config: ExportConfig, { folder, name, record, epoch }: Asked): Promise<EpochReconciled> {
  const { chain, from } = epoch
  const last = record?.epochs.at(-1) === epoch
  // Sinks first, then the copy: what goes on meanwhile is then no discrepancy.
  const stretches = config.sinks.map((sink) => stretchOf(folder, sink, epoch))
  const copy = await survey(join(folder, COPY_FILE), chain, record)
  const through = last ? Math.max(copy.last, ...stretches.map(({ sequence }) => sequence), from) : epoch.through
  const { missing } = record ? missingIn(record, chain) : { missing: 0 }
  const wrong = [...copy.wrong]
  const sinks: SinkOfEpoch[] = []
  for (const [i, stretch] of stretches.entries()) {
    const sink = config.sinks[i]
    if (!sink) continue
    const held = await hold(forAgent(sink, name), folder, epoch, stretch)
    const found = {
      name: sink.name,
      kind: sink.kind,
      ...stretch,
      pending: Math.max(0, through - stretch.sequence),
      ...held,
    }
    sinks.push(found)
    wrong.push(...wrongWith(found, missing))
  }
  const { events, first } = copy
  const pulled = through - from - missing
  return { chain, from, journalled: null, through, pulled, copied: { events, first, last: copy.last }, sinks, wrong }
}

function stretchOf(folder: string, { name }: SinkConfig, { chain, from }: Epoch): Stretch {
  const cursor = readCursor(cursorFile(join(folder, SINKS), name)) ?? FIRST_CURSOR
  const { earlier: _, failingSinceMs: __, ...now } = cursor
  const found = [now, ...(cursor.earlier ?? [])].find((one) => one.chain === chain)
  return found ?? { ...FIRST_CURSOR, chain, from, sequence: from }
}

function wrongWith({ name, held, ...stretch }: SinkOfEpoch, missing: number): readonly string[] {
  const out: string[] = []
  if (!addsUp(stretch)) out.push(`the cursor of ${name} does not add up`)
  // What was never there to be pulled is gone for every sink too.
  if (stretch.discarded > missing) out.push(`${stretch.discarded - missing} events were gone before ${name} took them`)
  if (!held) return out
  const [range] = held.missingRanges
  if (range) out.push(`${name} does not have ${held.missing} events, the first of them ${said(range)}`)
  if (held.foreign > 0) out.push(`${name} has ${held.foreign} events that are not of the trail`)
  if (held.outOfOrder > 0) out.push(`${name} has ${held.outOfOrder} events out of order`)
  return out
}

const said = ([from, to]: readonly [number, number]): string => (from === to ? String(from) : `${from} to ${to}`)

/** The copy of one chain, line by line. Numbers that are known to be missing are no news. */
async function survey(path: string, chain: string, record: TrailRecord | undefined) {
  const known = new Set(record?.findings.filter((one) => one.chain === chain).map(({ toSequence }) => toSequence))
  let before: ChainPoint | undefined
  let [events, first] = [0, 0]
  const wrong: string[] = []
  for await (const { batches } of partsOf(path))
    for await (const { lines, torn } of batches) {
      if (torn) continue
      for (const line of lines) {
        const link = readLink(line, hashOctets)
        if (link && link.chain !== chain) continue
        if (!link) wrong.push(`a line of the copy after event ${before?.sequence ?? 0} is no event`)
        else {
          events++
          if (first === 0) first = link.sequence
          const { sequence } = link
          if (!link.intact && !known.has(sequence)) wrong.push(`event ${sequence} of the copy was changed`)
          const how = before ? following(before, link) : 'follows'
          if (how !== 'follows' && !known.has(sequence - 1))
            wrong.push(`event ${sequence} of the copy does not follow event ${before?.sequence ?? 0}`)
          before = link
        }
        if (wrong.length === MOST) return { events, first, last: before?.sequence ?? 0, wrong }
      }
    }
  return { events, first, last: before?.sequence ?? 0, wrong }
}
const MOST = 20

/** The receiver against the copy, as far as the cursor says that it has it. */
async function hold(
  sink: SinkConfig,
  folder: string,
  { chain }: Epoch,
  { sequence }: Stretch,
): Promise<Pick<SinkOfEpoch, 'held' | 'unseen'>> {
  const arrivals = arrivalsOf(sink, [])
  if (!arrivals) return {}
  const dead = new Set<number>()
  const letters = deadFile(join(folder, SINKS), sink.name)
  if (existsSync(letters))
    for await (const letter of ofChain(
      chain,
      eventsIn([letters], () => undefined),
    ))
      dead.add(letter.sequence)
  let unreadable = 0
  const count = (): void => {
    unreadable++
  }
  try {
    const received = ofChain(chain, arrivals.events(count))
    const found = await reconcile(journalled(join(folder, COPY_FILE), chain, sink), received, sequence, dead)
    return { held: { place: arrivals.place, ...found, unreadable } }
  } catch (error) {
    // A receiver that does not answer says nothing for or against the trail.
    if (!(error instanceof Fault && error.code === 'AUDIT_SINK_UNAVAILABLE')) throw error
    return { unseen: causeChain(error).join(': ') }
  }
}

async function* ofChain(chain: string, all: AsyncIterable<Received>): AsyncGenerator<Received> {
  for await (const one of all) if (one.chain === chain) yield one
}

async function* journalled(path: string, chain: string, sink: SinkConfig) {
  const select = selectionOf(sink)
  for await (const { batches } of partsOf(path))
    for await (const { lines, torn } of batches)
      for (const line of torn ? [] : lines) {
        const link = readLink(line, hashOctets)
        if (link?.chain !== chain) continue
        yield {
          sequence: link.sequence,
          uid: link.uid,
          wanted: select === undefined || select(textOf(line)) !== undefined,
        }
      }
}

/** The lowest number of the oldest epoch in which anything is missing. */
function firstMissing(
  findings: readonly Finding[],
  epochs: readonly EpochReconciled[],
): AgentReconciled['firstMissing'] {
  for (const { chain, sinks } of epochs) {
    const ranges = [
      ...findings.filter((one) => one.chain === chain).map((one) => [one.fromSequence, one.toSequence] as const),
      ...sinks.flatMap(({ held }) => held?.missingRanges.slice(0, 1) ?? []),
    ].sort(([a], [b]) => a - b)
    const [first] = ranges
    if (first) return [chain, ...first]
  }
  return undefined
}
