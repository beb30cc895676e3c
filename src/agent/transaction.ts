// Puts one plan in place across all backends that it concerns, or none of it. Everything that can fail is staged first, on
// every backend; then the intent is recorded; then each backend switches once, the ones that only narrow first and the ones
// that widen last. If a switch fails, the ones before it go back to the old plan; one that cannot go back is quarantined
// whole, because nothing may stay wider than either plan says (design sections 6 and 7).

import type { Backend, Driver, Staged } from '../backends/backend.js'
import type { Digest } from '../base/digest.js'
import type { Capabilities } from '../plan/capabilities.js'
import { carriersOf, sliceFor } from '../plan/codec.js'
import { diffPlans } from '../plan/diff.js'
import type { BackendName, FileRule, Plan, PlanSlice, StorageSlice, VolumePlan, WorkspaceId } from '../plan/model.js'
import { widensProcess } from '../plan/process.js'
import { agentFault } from './errors.js'

/** One backend of this node, opened and asked what it can do here. */
export interface OpenBackend {
  readonly backend: Backend
  readonly driver: Driver<unknown>
  readonly capabilities: Capabilities
}
export type OpenBackends = ReadonlyMap<BackendName, OpenBackend>

export interface Numbered {
  readonly plan: Plan
  readonly digest: Digest
  readonly generation: number
  /** Where it is put: the backends of its workspaces, and for a plan without any, where the node is closed. */
  readonly backends: readonly BackendName[]
}

/** With the moment until which it holds at most: the end of the bundle, or of its freshness if that comes first. */
export interface Bounded extends Numbered {
  readonly untilMs: number
  /** How far the clock, by which a backend turns an end into a time that is left, lies before what this node has reached already. */
  readonly behindMs: number
}

/** What a backend gets: its deadline is in the source of the slice, so that it holds with the agent dead. */
function sliceOf({ plan, digest, generation, untilMs, behindMs }: Bounded, name: BackendName): PlanSlice {
  const slice = sliceFor(plan, name, generation, digest)
  const { source } = slice
  const shown = (endMs: number): number => Math.max(0, endMs - behindMs)
  const workspaces = slice.workspaces.map((entry) => {
    const { observe } = entry.network
    if (!observe || behindMs === 0) return entry
    return { ...entry, network: { ...entry.network, observe: { ...observe, untilMs: shown(observe.untilMs) } } }
  })
  return { ...slice, workspaces, source: { ...source, expiresAtMs: shown(Math.min(source.expiresAtMs, untilMs)) } }
}

interface Prepared {
  readonly open: OpenBackend
  readonly staged: Staged
}

/** The backends that a plan puts something on. */
export const backendsOf = (plan: Plan): BackendName[] => [...new Set(plan.workspaces.flatMap(carriersOf))].sort()

/** Does a volume allow more than before? A rule that allows and was not there, or a denial that was and is not. */
function widensFiles(before: StorageSlice | undefined, after: StorageSlice): boolean {
  return after.volumes.some((volume) => {
    const was = before?.volumes.find(({ name, source }) => name === volume.name && source === volume.source)
    if (!was) return true
    const has = (rules: VolumePlan['rules'], { path, access }: FileRule): boolean =>
      rules.some((rule) => rule.path === path && rule.access === access)
    return (
      volume.rules.some((rule) => rule.access !== 'deny' && !has(was.rules, rule)) ||
      was.rules.some((rule) => rule.access === 'deny' && !has(volume.rules, rule))
    )
  })
}

/** Backends concerned by going from one plan to the next; those that grant nothing new come first. */
export function switchOrder(previous: Numbered | undefined, next: Numbered): BackendName[] {
  const names = new Set([...next.backends, ...(previous?.backends ?? [])])
  // One backend has one order, and comparing large plans costs.
  if (!previous || names.size < 2) return [...names].sort()
  const diff = diffPlans(previous.plan, next.plan)
  const widened = new Set<BackendName>(diff.added.flatMap(carriersOf))
  const planned = new Map(next.plan.workspaces.map((entry) => [entry.workspace, entry]))
  for (const change of diff.changed) {
    const entry = planned.get(change.workspace)
    const { frame, egress, ingress, sessions, names } = change
    const wider = frame ?? [egress, ingress, sessions, names].find((list) => (list?.added.length ?? 0) > 0)
    if (entry && wider) widened.add(entry.backend)
    const files = change.frame?.after.storage
    if (files && widensFiles(change.frame?.before?.storage, files)) widened.add(files.backend)
    const blocks = change.frame?.after.process?.blocks ?? change.frame?.before?.process?.blocks
    if (blocks && widensProcess(change.frame?.before?.process, change.frame?.after.process)) widened.add(blocks.backend)
  }
  return [...names].sort((a, b) => Number(widened.has(a)) - Number(widened.has(b)) || (a < b ? -1 : 1))
}

/** Lowers and stages on every backend concerned; on a failure nothing is left staged. */
export async function stageAll(
  backends: OpenBackends,
  previous: Bounded | undefined,
  next: Bounded,
): Promise<readonly Prepared[]> {
  const prepared: Prepared[] = []
  for (const name of switchOrder(previous, next)) {
    const open = backends.get(name)
    try {
      if (!open) throw agentFault('AGENT_BACKEND_UNKNOWN', { backend: name })
      const program = open.backend.lower(sliceOf(next, name))
      prepared.push({ open, staged: await open.driver.stage(program) })
    } catch (error) {
      await discardAll(prepared)
      throw failed(name, 'stage', 'nothing was switched, and what was live stays live', error)
    }
  }
  return prepared
}

export async function discardAll(prepared: readonly Prepared[]): Promise<void> {
  for (const { open, staged } of prepared) await open.driver.discard(staged)
}

/** Switches every backend. On a failure everything is as before, or quarantined where that was not possible. */
export async function commitAll(
  prepared: readonly Prepared[],
  previous: Bounded | undefined,
  quarantine: (workspaces: readonly WorkspaceId[], why: string) => Promise<void>,
): Promise<void> {
  for (const [i, { open, staged }] of prepared.entries()) {
    try {
      await open.driver.commit(staged)
    } catch (error) {
      await discardAll(prepared.slice(i + 1))
      const stuck = await rollBack(prepared.slice(0, i + 1), previous, quarantine)
      const live =
        stuck.length > 0
          ? `${stuck.join(', ')} could not go back and every workspace there is quarantined`
          : previous
            ? `generation ${previous.generation} stays live`
            : 'nothing was live before, and nothing is now'
      throw failed(open.backend.name, 'commit', live, error)
    }
  }
}

/** Puts the old plan back, last switched first. Answers with the backends where that failed; throws what `quarantine` threw, after all. */
async function rollBack(
  switched: readonly Prepared[],
  previous: Bounded | undefined,
  quarantine: (workspaces: readonly WorkspaceId[], why: string) => Promise<void>,
): Promise<readonly BackendName[]> {
  const stuck: BackendName[] = []
  let failure: Error | undefined
  for (const { open } of [...switched].reverse()) {
    const { name } = open.backend
    let here = previous?.plan.workspaces.map((entry) => entry.workspace) ?? []
    try {
      const { live } = await open.driver.observe()
      if (live?.generation === previous?.generation) continue
      here = [...(live?.workspaces ?? here)]
      // Without an old plan, taking ours away would leave the workspaces unfenced: quarantine is the way back.
      if (!previous) throw new TypeError('there is no earlier plan')
      await open.driver.commit(await open.driver.stage(open.backend.lower(sliceOf(previous, name))))
    } catch (error) {
      stuck.push(name)
      const why = `rolling back ${name} failed: ${error instanceof Error ? error.message : String(error)}`
      await quarantine(here, why).catch((unfenced: unknown) => {
        // The others still have a plan that may be wider: they go back before anybody hears of this.
        failure ??= unfenced instanceof Error ? unfenced : new TypeError(String(unfenced))
      })
    }
  }
  if (failure !== undefined) throw failure
  return stuck
}

const failed = (backend: BackendName, step: string, live: string, cause: unknown) =>
  agentFault('AGENT_ACTIVATION_FAILED', { backend, step, live }, { cause })
