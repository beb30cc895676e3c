// What became of the trail of each agent, epoch by epoch and sink by sink: journalled, pulled, delivered, refused, left out, gone and
// waiting must add up, the copy must follow its own chain, and where a receiver can be looked at every event must be there. What was
// never pulled, and what an agent says that it lost, do not agree either; an agent that nobody could ask leaves it open. Whatever
// does not hold is named with the first range of numbers that is concerned. Reads only; the export may run meanwhile.

import { join } from 'node:path'
import { addsUp, type Stretch } from '../audit/sinks/cursor.js'
import type { SinkConfig } from '../audit/sinks/open.js'
import { cursorFile } from '../audit/sinks/terms.js'
import { causeChain } from '../base/fault.js'
import { type AgentSource, type ExportConfig, folderOf } from './export.js'
import { forAgent, SINKS } from './export-deliver.js'
import type { Finding } from './export-judge.js'
import { COPY_FILE, RECORD_FILE, type TrailHead } from './export-pull.js'
import { type Epoch, missingIn, readRecord } from './export-record.js'
import { hold, type Looked, NOTHING, type Surveyed, stretchesOf, stretchOf, survey } from './export-survey.js'

export interface SinkOfEpoch extends Stretch, Looked {
  readonly name: string
  readonly kind: string
  /** Pulled, and not settled. */
  readonly pending: number
}

export interface EpochReconciled {
  readonly chain: string
  /** Everything after this one counts. */
  readonly from: number
  /** The newest event of the journal; null when nobody could be asked, or the epoch is over. */
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

export interface TrailReconciled extends AgentSource {
  readonly epochs: readonly EpochReconciled[]
  /** What was found wrong with the trail as it was pulled. */
  readonly findings: readonly Finding[]
  /** What does not hold of no epoch, as sentences that say what to do. */
  readonly wrong: readonly string[]
  /** The first number of which something is missing or wrong, and the last of that range. */
  readonly firstMissing?: readonly [chain: string, from: number, to: number]
  /** Something does not hold. */
  readonly broken: boolean
  /** Nothing is broken, and everybody could be asked. */
  readonly agrees: boolean
  /** Why the agent could not be asked how far it is. */
  readonly unasked?: string
}

/** The sinks of the configuration that count, and what was brought from the receiver of the one that it belongs to. */
export interface Receivers {
  readonly sinks: readonly SinkConfig[]
  readonly brought?: readonly string[]
}

/** `head` asks an agent how far its journal goes. Throws EXPORT_RECORD_DAMAGED, AUDIT_CURSOR_DAMAGED, and what the system says. */
export async function reconcileExport(
  config: Pick<ExportConfig, 'directory' | 'agents'> & Receivers,
  head: (agent: AgentSource) => Promise<TrailHead>,
): Promise<readonly TrailReconciled[]> {
  const out: TrailReconciled[] = []
  for (const { name, node } of config.agents) out.push(await reconcileAgent(config, { name, node }, head))
  return out
}

async function reconcileAgent(
  config: Pick<ExportConfig, 'directory'> & Receivers,
  agent: AgentSource,
  ask: (agent: AgentSource) => Promise<TrailHead>,
): Promise<TrailReconciled> {
  const folder = folderOf(config, agent.name)
  const path = join(folder, COPY_FILE)
  const recordFile = join(folder, RECORD_FILE)
  const record = readRecord(recordFile)
  const { epochs: pulled = [], findings = [], further = 0 } = record ?? {}
  // Sinks first, then the copy, then the agent: what goes on meanwhile is then no discrepancy.
  const cursors = config.sinks.map(({ name }) => stretchesOf(cursorFile(join(folder, SINKS), name)))
  const known = (chain: string) =>
    new Set(findings.filter((one) => one.chain === chain).map(({ toSequence }) => toSequence))
  const { chains, strays } = await survey(path, 'copy', known)
  const seen: EpochReconciled[] = []
  for (const [i, epoch] of pulled.entries()) {
    const copy = chains.get(epoch.chain) ?? NOTHING
    const stretches = cursors.map((all) => stretchOf(all, epoch))
    const { missing } = record ? missingIn(record, epoch.chain) : { missing: 0 }
    // Of the epoch that goes on, the copy and the cursors know how far it is.
    const reached = i === pulled.length - 1 ? [copy.last, ...stretches.map(({ sequence }) => sequence), epoch.from] : []
    const through = reached.length > 0 ? Math.max(...reached) : epoch.through
    const source = { ...config, name: agent.name, folder, path, goesOn: i === pulled.length - 1 }
    seen.push(await reconcileEpoch(source, { ...epoch, through }, copy, stretches, missing))
  }
  // The record goes before the lines, so one that is read now knows every chain that was found in the copy.
  const recorded = new Set(readRecord(recordFile)?.epochs.map(({ chain }) => chain))
  const strangers = new Map([...chains].filter(([chain]) => !recorded.has(chain)))
  const held = [...strays, ...[...strangers].map(([chain, copied]) => unrecorded(path, chain, copied))]
  const asked = await ask(agent).catch((error: unknown) => causeChain(error).join(': '))
  if (typeof asked === 'string')
    return { ...verdict(agent, seen, { findings, further, wrong: held }, asked), unasked: asked }
  const { epochs, wrong } = against(seen, strangers, asked)
  return verdict(agent, epochs, { findings, further, wrong: [...held, ...wrong] })
}

interface Wrongs {
  readonly findings: readonly Finding[]
  readonly further: number
  readonly wrong: readonly string[]
}

/** Everything that was found, and whether it agrees. */
export function verdict(
  { name, node }: AgentSource,
  epochs: readonly EpochReconciled[],
  { findings, further, wrong }: Wrongs,
  unasked?: string,
): TrailReconciled {
  const first = firstMissing(findings, epochs)
  const broken = findings.length + further + wrong.length > 0 || epochs.some((epoch) => epoch.wrong.length > 0)
  const found = { name, node, epochs, findings, wrong, ...(first ? { firstMissing: first } : {}) }
  return { ...found, broken, agrees: !broken && unasked === undefined }
}

const unrecorded = (path: string, chain: string, { events, first, last }: Surveyed): string =>
  `the copy ${path} has ${events} events (${said([first, last])}) of the chain ${chain}, of which ${RECORD_FILE} beside it ` +
  'knows nothing: a companion that runs makes the record again from the copy'

/** The epochs with what the agent says, and what it says that no epoch has; of `copied` chains it is known that there is none. */
function against(
  epochs: readonly EpochReconciled[],
  copied: ReadonlyMap<string, unknown>,
  { chain, last, lost }: TrailHead,
) {
  const wrong: string[] = []
  if (lost > 0)
    wrong.push(
      `the agent lost ${lost} events since it started, which its disk did not take: nobody has them, and ` +
        'audit-lost events say when; look for space and errors where its events_file is',
    )
  const newest = epochs.at(-1)
  if (last > 0 && !copied.has(chain) && !epochs.some((epoch) => epoch.chain === chain))
    wrong.push(
      `the agent has journalled ${last} events of ${chain === '' ? 'a chain that it does not name' : `the chain ${chain}`}, ` +
        'and none of them was ever pulled: see that the companion runs and reaches the agent (sluice_export_pull_failing)',
    )
  else if (last === 0 && newest && newest.through > newest.from)
    wrong.push(
      `the journal of the agent is empty, and ${newest.through - newest.from} events were pulled of the chain ` +
        `${newest.chain}: somebody took it away; sluice audit verify on the node says more`,
    )
  return { epochs: epochs.map((epoch) => besides(epoch, chain, last)), wrong }
}

function besides(epoch: EpochReconciled, chain: string, last: number): EpochReconciled {
  if (chain !== epoch.chain) return epoch
  const gone = `events ${last + 1} to ${epoch.through} are not in the journal of the agent any more`
  return { ...epoch, journalled: last, wrong: last < epoch.through ? [...epoch.wrong, gone] : epoch.wrong }
}

interface Source extends Receivers {
  readonly name: string
  readonly folder: string
  /** The copy, or the journal. */
  readonly path: string
  /** False: the chain is over. */
  readonly goesOn: boolean
}

/** `missing`: numbers that were never there to be pulled. */
export async function reconcileEpoch(
  source: Source,
  { chain, from, through }: Epoch,
  copy: Surveyed,
  stretches: readonly Stretch[],
  missing: number,
): Promise<EpochReconciled> {
  const wrong = [...copy.wrong]
  const sinks: SinkOfEpoch[] = []
  const { name, folder, path, goesOn, brought = [] } = source
  for (const [i, stretch] of stretches.entries()) {
    const sink = source.sinks[i]
    if (!sink) continue
    const what = { brought, directory: join(folder, SINKS), path, chain, through: stretch.sequence, goesOn }
    const held = await hold({ ...what, sink: forAgent(sink, name) })
    const pending = Math.max(0, through - stretch.sequence)
    const found = { name: sink.name, kind: sink.kind, ...stretch, pending, ...held }
    sinks.push(found)
    wrong.push(...wrongWith(found, missing))
  }
  const { events, first, last } = copy
  const copied = { events, first, last }
  return { chain, from, journalled: null, through, pulled: through - from - missing, copied, sinks, wrong }
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

/** The lowest number of the oldest epoch in which anything is missing. */
function firstMissing(
  findings: readonly Finding[],
  epochs: readonly EpochReconciled[],
): TrailReconciled['firstMissing'] {
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
