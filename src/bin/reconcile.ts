// What stands behind `sluice audit reconcile`: the cursor of each sink, and where its events can be looked at (the files of a
// sink `file`, or files that were brought from the receiver), held against the journal. Reads only; an agent may run.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SINKS_DIRECTORY } from '../agent/sinks.js'
import { markAt, TRAIL_STATE } from '../agent/trail.js'
import { events } from '../audit/query.js'
import { FIRST_CURSOR, readCursor } from '../audit/sinks/cursor.js'
import { selectionOf } from '../audit/sinks/open.js'
import { arrivalsOf } from '../audit/sinks/received.js'
import { eventsIn, reconcile } from '../audit/sinks/reconcile.js'
import { cursorFile, deadFile } from '../audit/sinks/terms.js'
import { causeChain, Fault } from '../base/fault.js'
import { cliFault } from '../cli/errors.js'
import type { Configured } from '../cli/host.js'
import type { ConfiguredSink, SinkReconciled } from '../cli/host-sinks.js'
import type { Surroundings } from './node.js'

/** Throws CLI_NO_SINK, AUDIT_CURSOR_DAMAGED, and what the system says of a file that cannot be read. */
export async function reconcileSinks(
  around: Surroundings,
  config: Configured,
  asked: { readonly sink?: string; readonly received: readonly string[] },
): Promise<readonly SinkReconciled[]> {
  const chosen = chosenSinks(config.sinks ?? [], asked)
  const brought = asked.received.map((file) => around.resolve(file))
  const out: SinkReconciled[] = []
  for (const sink of chosen) out.push(await reconcileOne(config, sink, brought))
  return out
}

/** Every sink, or the one that is named; files of a receiver belong to one. Throws CLI_NO_SINK. */
export function chosenSinks<T extends { readonly name: string }>(
  all: readonly T[],
  { sink: named, received }: { readonly sink?: string; readonly received: readonly string[] },
): readonly T[] {
  const chosen = all.filter(({ name }) => named === undefined || name === named)
  if (chosen.length === 0 || (received.length > 0 && named === undefined))
    throw cliFault('CLI_NO_SINK', { named: named ?? '', sinks: all.map(({ name }) => name).join(', ') })
  return chosen
}

async function reconcileOne(
  config: Configured,
  sink: ConfiguredSink,
  brought: readonly string[],
): Promise<SinkReconciled> {
  const { stateDirectory, eventsFile } = config
  const directory = join(stateDirectory, SINKS_DIRECTORY)
  // The cursor before the mark, and both before the files: what is written meanwhile is then no discrepancy.
  const cursor = readCursor(cursorFile(directory, sink.name)) ?? FIRST_CURSOR
  const { from, sequence, delivered, dead, leftOut, discarded } = cursor
  const journalled = markAt(join(stateDirectory, TRAIL_STATE[0])).read()?.sequence ?? 0
  const counts = { sequence, delivered, dead, leftOut, discarded, failures: 0 }
  const lag = Math.max(0, journalled - sequence)
  const view = { name: sink.name, kind: sink.kind, state: 'stopped' as const, lag, ...counts }
  const arrivals = arrivalsOf(sink, brought)
  if (!arrivals) return { sink: view, from, journalled }
  const set = new Set<number>()
  const letters = deadFile(directory, sink.name)
  if (existsSync(letters)) for await (const letter of eventsIn([letters], () => undefined)) set.add(letter.sequence)
  let unreadable = 0
  const count = (): void => {
    unreadable++
  }
  try {
    const settlement = { through: sequence, dead: set, brought: brought.length > 0 }
    const found = await reconcile(() => journalledFor(eventsFile, sink), arrivals.events(count), settlement)
    const { files, place } = arrivals
    return { sink: view, from, journalled, held: { files, place, ...found, unreadable } }
  } catch (error) {
    // A receiver that does not answer says nothing for or against the trail; a file that cannot be read is ours to mend.
    if (!(error instanceof Fault && error.code === 'AUDIT_SINK_UNAVAILABLE')) throw error
    return { sink: view, from, journalled, unseen: causeChain(error).join(': ') }
  }
}

async function* journalledFor(eventsFile: string, sink: ConfiguredSink) {
  const select = selectionOf(sink)
  for await (const { text, event, sequence } of events(eventsFile)) {
    const uid = typeof event.metadata.uid === 'string' ? event.metadata.uid : ''
    yield { sequence, uid, wanted: select === undefined || select(text) !== undefined }
  }
}
