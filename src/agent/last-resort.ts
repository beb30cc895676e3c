// The last resort of an activation that could not be undone: whole workspaces are quarantined, because nothing may stay wider than either
// plan says. The fences come first, the record after them, and the trail when the activation is over.

import type { WorkspaceId } from '../plan/model.js'
import { withQuarantine } from './decide.js'
import type { AgentNode } from './node.js'
import { alone } from './quarantine-lock.js'
import type { Quarantine } from './record.js'
import { beginTelling, keyOfSet, tellSet, withoutVain } from './untold.js'

/** Fences these workspaces whole, for that reason. */
export type LastResort = (workspaces: readonly WorkspaceId[], why: string) => Promise<void>

/**
 * Runs what may need the last resort of a failed activation, and tells the trail of it when all of that is over: a backend that is to
 * go back to a narrower plan does not wait for the trail's disk. Whoever dies before has the mark on record.
 */
export async function withLastResort(node: AgentNode, act: (fence: LastResort) => Promise<void>): Promise<void> {
  const untold: (() => Promise<void>)[] = []
  try {
    await act((workspaces, why) => fenceAll(node, workspaces, why, untold))
  } finally {
    // A trail that refuses keeps nobody else from being told, and takes no place of what failed: the mark has it told in a later life.
    for (const tell of untold) await tell().catch(() => undefined)
  }
}

/**
 * Every one of these workspaces is fenced and stays so until an operator looks. What the trail has to be told is added to `untold`,
 * also where this throws: what the first backend threw, or the record.
 */
export const fenceAll = (
  node: AgentNode,
  workspaces: readonly WorkspaceId[],
  why: string,
  untold: (() => Promise<void>)[],
): Promise<void> =>
  alone(node, true, async () => {
    const atMs = node.nowMs()
    const flagged = new Set<WorkspaceId>()
    const stood = new Set<string>()
    let failure: Error | undefined
    const failed = (error: unknown): void => {
      failure ??= error instanceof Error ? error : new TypeError(String(error))
    }
    for (const { driver } of node.backends.values())
      try {
        const { live } = await driver.observe()
        for (const workspace of live?.quarantined ?? []) stood.add(workspace)
        for (const workspace of workspaces)
          if (live?.workspaces.includes(workspace)) {
            await driver.flag(workspace, 'quarantined', true)
            flagged.add(workspace)
          }
      } catch (error) {
        // One that is lost must not keep the others from fencing, nor the record from saying so.
        failed(error)
      }
    const made = { reason: why, by: 'sluice', commandId: 'activation-failed', atMs }
    const untoldMs = Math.max(0, node.nowMs() - atMs)
    const all = workspaces.map((workspace): Quarantine => ({ workspace, ...made, untoldMs }))
    try {
      const record = node.store.quarantineRecord()
      const { list } = record
      const after = all.reduce(withQuarantine, list)
      const fenced = new Set(workspaces.filter((workspace) => stood.has(workspace)))
      node.store.saveQuarantines(after, withoutVain(node.store, record, fenced))
      for (const entry of after.filter((one) => !list.includes(one))) {
        beginTelling(node.store, keyOfSet(entry))
        untold.push(() => tellSet(node, entry))
      }
    } catch (error) {
      // No mark keeps the event for a later life: what is fenced is told now or never.
      failed(error)
      for (const entry of all) if (flagged.has(entry.workspace)) untold.push(() => tellSet(node, entry))
    }
    if (failure !== undefined) throw failure
  })
