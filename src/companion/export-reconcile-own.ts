// What became of the companion's own trail, which is delivered from its journal without a copy: the same account as for an agent
// (export-reconcile.ts), with the journal in the place of the copy and the mark beside it in the place of the agent's answer.

import { join } from 'node:path'
import { cursorFile } from '../audit/sinks/terms.js'
import { type AgentSource, type ExportConfig, folderOf } from './export.js'
import type { Place } from './export-copy.js'
import { SINKS } from './export-deliver.js'
import {
  type EpochReconciled,
  type Receivers,
  reconcileEpoch,
  type TrailReconciled,
  verdict,
} from './export-reconcile.js'
import { NOTHING, stretchesOf, stretchOf, survey } from './export-survey.js'

export interface OwnJournal extends AgentSource {
  readonly eventsFile: string
  /** The newest event, as it was written beside the journal: one that was cut does not say so itself. */
  readonly mark: () => Place | undefined
}

/** Throws AUDIT_CURSOR_DAMAGED, and what the system says. */
export async function reconcileOwn(
  config: Pick<ExportConfig, 'directory'> & Receivers,
  { name, node, eventsFile: path, mark }: OwnJournal,
): Promise<TrailReconciled> {
  const folder = folderOf(config, name)
  // Sinks before the mark, and both before the journal: what is written meanwhile is then no discrepancy.
  const cursors = config.sinks.map((sink) => stretchesOf(cursorFile(join(folder, SINKS), sink.name)))
  const newest = mark()
  const { chains, strays } = await survey(path, 'journal')
  const all = new Map(chains)
  // A journal that was taken away with its mark says nothing of what it had: the sinks do.
  for (const chain of [newest?.chain, ...cursors.map((stretches) => stretches.at(-1)?.chain)])
    if (chain !== undefined && !all.has(chain)) all.set(chain, NOTHING)
  const epochs: EpochReconciled[] = []
  for (const [chain, journal] of all) {
    const begun = cursors.flatMap((one) => one.filter((stretch) => stretch.chain === chain).map(({ from }) => from))
    const from = Math.min(Math.max(0, journal.first - 1), ...begun)
    const stretches = cursors.map((one) => stretchOf(one, { chain, from }))
    const journalled = Math.max(journal.last, newest?.chain === chain ? newest.sequence : 0)
    const through = Math.max(journalled, ...stretches.map(({ sequence }) => sequence))
    const source = { ...config, name, folder, path, goesOn: chain === newest?.chain }
    const epoch = await reconcileEpoch(source, { chain, from, through }, journal, stretches, 0)
    const gone =
      journal.last < through
        ? [`events ${journal.last + 1} to ${through} are not in the journal of the companion any more`]
        : []
    epochs.push({ ...epoch, journalled, wrong: [...epoch.wrong, ...gone] })
  }
  return verdict({ name, node }, epochs, { findings: [], further: 0, wrong: strays })
}
