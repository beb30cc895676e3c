// What stands behind `sluice audit reconcile`: the cursor of each sink, and where its events can be looked at (the files of a
// sink `file`, or files that were brought from the receiver), held against the journal. Reads only; an agent may run.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SINKS_DIRECTORY } from '../agent/sinks.js'
import { markAt, TRAIL_STATE } from '../agent/trail.js'
import { events } from '../audit/query.js'
import { FIRST_CURSOR, readCursor } from '../audit/sinks/cursor.js'
import { rotatedFiles } from '../audit/sinks/file-sink.js'
import { selectionOf } from '../audit/sinks/open.js'
import { eventsIn, reconcile } from '../audit/sinks/reconcile.js'
import { cursorFile, deadFile } from '../audit/sinks/terms.js'
import { cliFault } from '../cli/errors.js'
import type { Configured } from '../cli/host.js'
import type { ConfiguredSink, SinkReconciled } from '../cli/host-sinks.js'
import type { Surroundings } from './node.js'

/** Throws CLI_NO_SINK, AUDIT_CURSOR_DAMAGED, and what the system says of a file that cannot be read. */
export async function reconcileSinks(
  around: Surroundings,
  config: Configured,
  { sink: named, received }: { readonly sink?: string; readonly received: readonly string[] },
): Promise<readonly SinkReconciled[]> {
  const all = config.sinks ?? []
  const chosen = all.filter(({ name }) => named === undefined || name === named)
  if (chosen.length === 0 || (received.length > 0 && named === undefined))
    throw cliFault('CLI_NO_SINK', { named: named ?? '', sinks: all.map(({ name }) => name).join(', ') })
  const brought = received.map((file) => around.resolve(file))
  const out: SinkReconciled[] = []
  for (const sink of chosen) out.push(await reconcileOne(config, sink, brought))
  return out
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
  const paths = brought.length > 0 ? brought : filesOf(sink)
  if (paths.length === 0) return { sink: view, from, journalled }
  const set = new Set<number>()
  const letters = deadFile(directory, sink.name)
  if (existsSync(letters)) for await (const letter of eventsIn([letters], () => undefined)) set.add(letter.sequence)
  let unreadable = 0
  const found = await reconcile(
    journalledFor(eventsFile, sink),
    eventsIn(paths, () => {
      unreadable++
    }),
    sequence,
    set,
  )
  return { sink: view, from, journalled, held: { files: paths.length, ...found, unreadable } }
}

async function* journalledFor(eventsFile: string, sink: ConfiguredSink) {
  const select = selectionOf(sink)
  for await (const { text, event, sequence } of events(eventsFile)) {
    const uid = typeof event.metadata.uid === 'string' ? event.metadata.uid : ''
    yield { sequence, uid, wanted: select === undefined || select(text) !== undefined }
  }
}

const filesOf = (sink: ConfiguredSink): readonly string[] =>
  sink.kind === 'file' && existsSync(sink.path) ? [...rotatedFiles(sink.path).map(({ path }) => path), sink.path] : []
