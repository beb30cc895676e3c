// The export as the companion runs it: the trails of the agents and its own, to the sinks of companion.yaml, with its metrics among the
// companion's. A sink or an agent that does not answer keeps the companion from nothing.

import { join } from 'node:path'
import type { Registry } from 'prom-client'
import { markAt, TRAIL_STATE, type Trail } from '../agent/trail.js'
import type { CompanionConfig } from '../companion/config.js'
import { OWN } from '../companion/config-export.js'
import type { TrailReconciled } from '../companion/export-reconcile.js'
import { reconcileOwn } from '../companion/export-reconcile-own.js'
import { type HostedExport, hostExport, reconcileHosted } from './export.js'
import { exportMetrics } from './export-metrics.js'
import type { Surroundings } from './node.js'
import { chosenSinks } from './reconcile.js'

export interface ExportedTrails {
  readonly status: HostedExport['status']
  /** Pulls no more: what it has to tell is told then, and the trail may be closed. */
  readonly settle: () => Promise<void>
  /** Delivers what is there as far as it goes at once; on return nothing runs any more. */
  readonly stop: () => Promise<void>
}

const WAIT_MS = 20
const MOST_WAITS = 250

/** In the state directory: a folder for each agent. */
const FOLDER = 'export'
export interface ExportSurroundings {
  readonly around: Pick<Surroundings, 'nowMs'>
  readonly trail: Pick<Trail, 'emit' | 'status'>
  readonly sleep: (ms: number, wake?: AbortSignal) => Promise<void>
  /** Where its metrics go. */
  readonly registry: Registry
}

/** undefined where companion.yaml names none. Throws EXPORT_SINK_SHARED. */
export function exportTrails(
  config: CompanionConfig,
  { around: { nowMs }, trail, sleep, registry }: ExportSurroundings,
): ExportedTrails | undefined {
  if (!config.export) return undefined
  const { stateDirectory, eventsFile, companion: node } = config
  const mark = markAt(join(stateDirectory, TRAIL_STATE[0]))
  const durable = () => Math.max(mark.read()?.sequence ?? 0, trail.status()?.sequence ?? 0)
  // A finding that is on record is not told again, so it is on the disk first: as far as the disk takes it.
  const emit: Trail['emit'] = async (facts) => {
    await trail.emit(facts)
    for (let waits = 0; waits < MOST_WAITS && (trail.status()?.queued ?? 0) > 0; waits++) await sleep(WAIT_MS)
  }
  const running = hostExport(config.export, {
    ...{ directory: join(stateDirectory, FOLDER), emit, nowMs, sleep },
    own: { name: OWN, node, eventsFile, durable },
  })
  exportMetrics(running, registry)
  return running
}

export interface CompanionReconciled {
  readonly agents: readonly TrailReconciled[]
  /** Absent where nothing is taken out of the machine. */
  readonly own?: TrailReconciled
}

/**
 * What became of the trails that a companion takes out of the machine; whether it runs does not matter. `received`: files of what the
 * receiver of the sink has. Throws CLI_NO_SINK, EXPORT_RECORD_DAMAGED, AUDIT_CURSOR_DAMAGED, and what the system says.
 */
export async function reconcileCompanion(
  { export: section, stateDirectory, eventsFile, companion: node }: CompanionConfig,
  asked: { readonly sink?: string; readonly received: readonly string[] },
): Promise<CompanionReconciled> {
  const named = asked.sink !== undefined || asked.received.length > 0
  const sinks = named ? chosenSinks(section?.sinks ?? [], asked) : (section?.sinks ?? [])
  if (!section) return { agents: [] }
  const directory = join(stateDirectory, FOLDER)
  const receivers = { sinks, brought: asked.received }
  const mark = markAt(join(stateDirectory, TRAIL_STATE[0]))
  const own = await reconcileOwn({ directory, ...receivers }, { name: OWN, node, eventsFile, mark: () => mark.read() })
  return { agents: await reconcileHosted({ ...section, ...receivers }, directory), own }
}
