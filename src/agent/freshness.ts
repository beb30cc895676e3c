// Time and freshness on a node: is the clock to be believed, is what is offered or active still the newest, and which
// workspaces must stand suspended because it is not (design section 7; attack matrix, "indefinite freeze", "clock").
//
// Suspending is the same verdict as quarantine and ends by itself: `tend` compares what should be suspended with what is,
// and makes them agree. It is called after every apply and by whoever polls.

import type { PolicyContext } from '../audit/fact.js'
import type { Flagged } from '../backends/backend.js'
import { Fault } from '../base/fault.js'
import { bundleFault } from '../bundle/errors.js'
import { type FreshnessMark, needsFreshness, verifyFreshness } from '../bundle/freshness.js'
import type { HeldMark, VerifiedBundle } from '../bundle/model.js'
import { NO_TRUST } from '../bundle/root.js'
import { carriersOf } from '../plan/codec.js'
import type { BackendName, PlanSource, WorkspaceId } from '../plan/model.js'
import { isHeld } from './attach-record.js'
import { isRolledBack, readClock } from './clock.js'
import { policyContext, workspaceContext } from './context.js'
import { holdsUntil, staleAt } from './deadline.js'
import { isAttack, unfenced, unfencedFinding } from './decide.js'
import type { AgentNode } from './node.js'
import { refence } from './quarantine.js'
import { rearm } from './rearm.js'
import { silenceDenies } from './revocation-standing.js'
import { tendSessions } from './sessions.js'
import type { TrustMemory } from './trust-memory.js'

/** A floor that is this much older than it could be: a three hundredth of what the clock is forgiven anyway, and no disk is waited for. */
const FLOOR_STEP_MS = 1_000

/** Puts on record that this moment, or one less than a second before it, was reached under this root. */
export function rememberTime(node: AgentNode, nowMs: number, change: Partial<TrustMemory> = {}): void {
  const memory = node.store.trustMemory()
  const clockFloorMs = Math.max(memory.clockFloorMs, nowMs)
  const rootVersion = Math.max(memory.rootVersion, node.trust.version)
  const isNews = clockFloorMs - memory.clockFloorMs >= FLOOR_STEP_MS || rootVersion !== memory.rootVersion
  if (!isNews && Object.keys(change).length === 0) return
  node.store.saveTrustMemory({ ...memory, clockFloorMs, rootVersion, ...change })
}

/** Takes in a freshness statement. Throws what refuses it, after telling the trail. */
export async function confirm(node: AgentNode, statement: Uint8Array): Promise<FreshnessMark> {
  const { audience, channel } = node.config
  try {
    const nowMs = readClock(node)
    const { freshness } = node.store.trustMemory()
    const held = freshness === null ? {} : { held: freshness }
    const { mark } = await verifyFreshness(statement, node.trust, { nowMs, audience, channel, ...held })
    // First the fence, then the record: a crash between the two leaves an earlier limit on record, and the next
    // statement moves both.
    await rearm(node, mark)
    rememberTime(node, nowMs, { freshness: mark })
    return mark
  } catch (error) {
    if (error instanceof Fault) await tellRefused(node, error)
    throw error
  }
}

/** Tells the trail of a refusal of something that is no bundle, or that never came so far. */
export async function tellRefused(node: AgentNode, fault: { readonly code: string; readonly message: string }) {
  const { live } = node.store.load()
  const { code, message: say } = fault
  const held = live ? { held: policyContext(live) } : {}
  await node.emit([
    { kind: 'bundle-refused', atMs: node.nowMs(), code, say, offered: {}, ...held, attack: isAttack(code) },
  ])
}

/**
 * Refuses a bundle that no held statement confirms, under a root that asks for it: BUNDLE_STALE when there is none or it
 * has expired, BUNDLE_SUPERSEDED when the statement names a newer one.
 */
export function requireConfirmed(node: AgentNode, { mark, release }: VerifiedBundle, nowMs: number): void {
  if (!needsFreshness(node.trust)) return
  const { freshness } = node.store.trustMemory()
  const revision = String(mark.policyRevision)
  if (freshness !== null && isNewer(freshness, mark))
    throw bundleFault('BUNDLE_SUPERSEDED', { revision, newest: String(freshness.policyRevision) })
  const staleAtMs = staleAt(freshness, mark) ?? release.notBeforeMs
  if (nowMs >= staleAtMs) throw bundleFault('BUNDLE_STALE', { revision, staleAtMs, nowMs })
}

const isNewer = (fresh: FreshnessMark, mark: HeldMark): boolean =>
  fresh.epoch > mark.epoch || (fresh.epoch === mark.epoch && fresh.policyRevision > mark.policyRevision)

export interface Tended {
  readonly suspended: readonly WorkspaceId[]
  readonly resumed: readonly WorkspaceId[]
}

/** Why the active bundle no longer holds; undefined while it does. */
export function lapse(node: AgentNode, source: PlanSource, nowMs: number): string | undefined {
  if (nowMs >= source.expiresAtMs) return 'expired'
  return nowMs >= holdsUntil(node, source) ? 'stale' : undefined
}

interface Judged {
  /** Why the active bundle no longer holds. */
  readonly why: string | undefined
  /** Why nobody may have traffic, whatever the bundle says. */
  readonly silent: string | undefined
  readonly believed: boolean
}

/** What time says of the live plan. A root that was rolled back, like one that cannot be read, has no say in it. */
function judge(node: AgentNode, source: PlanSource): Judged {
  const { config, store } = node
  const silentAt = (nowMs: number) => silenceDenies(config.revocation, store.directory, nowMs)
  try {
    const nowMs = readClock(isRolledBack(node) ? { ...node, trust: NO_TRUST } : node)
    rememberTime(node, nowMs)
    return { why: lapse(node, source, nowMs), silent: silentAt(nowMs), believed: true }
  } catch (error) {
    if (!(error instanceof Fault && error.code === 'AGENT_CLOCK_BACK')) throw error
    // Nobody knows whether the bundle still holds; what had lapsed when this node last knew the time has. How long a stream is silent
    // this clock counts as well as any: from the last word that it took in itself, and one that lies ahead of it is none.
    const why = lapse(node, source, store.trustMemory().clockFloorMs)
    return { why, silent: silentAt(node.nowMs()), believed: false }
  }
}

/** Who is in quarantine on record. A list that cannot be read keeps nobody from being suspended. */
function inQuarantine(node: AgentNode): { readonly recorded: ReadonlySet<WorkspaceId>; readonly failure?: Error } {
  try {
    return { recorded: new Set(node.store.quarantines().map(({ workspace }) => workspace)) }
  } catch (error) {
    return { recorded: new Set(), failure: asError(error) }
  }
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new TypeError(String(error)))

/**
 * Suspends what must be suspended now and resumes what need not be. `on_expiry: hold` exempts a workspace. With a clock
 * that cannot be believed nothing is resumed. A quarantine on record that a backend does not show is set again, and told as drift.
 */
export async function tend(node: AgentNode): Promise<Tended> {
  const state = node.store.load()
  const { live } = state
  if (!live) return { suspended: [], resumed: [] }
  const plan = node.store.loadPlan(live.planDigest)
  const { why, silent, believed } = judge(node, live.source)
  const suspended: WorkspaceId[] = []
  const resumed: WorkspaceId[] = []
  const tenures = node.store.tenures()
  const away: WorkspaceId[] = []
  const shown = new Map<BackendName, Flagged>()
  const startMs = node.nowMs()
  const drift: string[] = []
  // Read before any backend is asked: whoever is on record was fenced before.
  let { recorded, failure } = inQuarantine(node)
  for (const [name, open] of node.backends)
    try {
      const { driver } = open
      const seen = driver.flagged ? await driver.flagged() : (await driver.observe()).live
      if (seen) shown.set(name, seen)
      for (const workspace of seen ? unfenced(name, plan, recorded, seen) : [])
        try {
          if (await refence(node, open, workspace)) drift.push(unfencedFinding(name, workspace))
        } catch (error) {
          failure ??= asError(error)
        }
      for (const entry of plan.workspaces) {
        const { workspace, onExpiry, slot } = entry
        if (!carriersOf(entry).includes(name) || !seen?.workspaces.includes(workspace)) continue
        const held = isHeld(tenures, workspace, slot, node.config.attachRequired ?? false)
        if (!held && !away.includes(workspace)) away.push(workspace)
        const wanted = !held || silent !== undefined || (why !== undefined && onExpiry === 'suspend')
        if (wanted === seen.suspended.includes(workspace) || !(wanted || believed)) continue
        await driver.flag(workspace, 'suspended', wanted)
        const told = wanted ? suspended : resumed
        if (!told.includes(workspace)) told.push(workspace)
      }
    } catch (error) {
      // What the others carry does not wait for one that is lost; its own deadline lies in its data plane.
      failure ??= asError(error)
    }
  if (drift.length > 0) await tellUnfenced(node, policyContext(live), drift, startMs)
  const facts = [...suspended, ...resumed].map((workspace) => ({
    kind: suspended.includes(workspace) ? ('workspace-suspended' as const) : ('workspace-resumed' as const),
    atMs: node.nowMs(),
    policy: policyContext(live),
    workspace: workspaceContext(plan, workspace),
    reason: away.includes(workspace) ? 'detached' : (why ?? silent ?? 'confirmed'),
  }))
  if (facts.length > 0) await node.emit(facts)
  await tendSessions(node, plan, shown)
  if (failure !== undefined) throw failure
  return { suspended, resumed }
}

async function tellUnfenced(node: AgentNode, policy: PolicyContext, findings: readonly string[], startMs: number) {
  const atMs = node.nowMs()
  const elapsedMs = Math.max(0, atMs - startMs)
  await node.emit([
    { kind: 'drift-found', atMs: startMs, policy, findings, live: [] },
    { kind: 'drift-repaired', atMs, policy, replaced: policy, elapsedMs },
  ])
}
