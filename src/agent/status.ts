// What the node looks like now: record and kernel side by side. Nothing is written and no lock is needed, so that it can be
// asked while an apply is under way. `active` is said only of what was read back (design section 7).

import type { Observed, VolumeSeen } from '../backends/backend.js'
import type { Digest } from '../base/digest.js'
import { isClosed } from '../plan/closed.js'
import { grantsOf } from '../plan/grants.js'
import type { BackendName, Plan, PlanSource, WorkspaceId, WorkspacePlan } from '../plan/model.js'
import { isObserved } from '../plan/observe.js'
import type { TrustDomain } from '../policy/model.js'
import { type Agreement, unfenced, unfencedFinding } from './decide.js'
import { agentFault } from './errors.js'
import { type AgentNode, lookUp, observeReachable } from './node.js'
import type { Activation, Quarantine, RefusedBundle } from './record.js'
import { type BrokerSession, isOpen } from './session-record.js'

export interface WorkspaceStatus {
  readonly workspace: WorkspaceId
  readonly interface: string
  readonly backend: BackendName
  readonly domain: TrustDomain
  /** null: no policy applies, and everything is denied. */
  readonly policy: string | null
  readonly grants: number
  /** `quarantined`: not where a backend that carries it shows otherwise; `drift` says which. */
  readonly flags: readonly ('quarantined' | 'suspended')[]
  /** What nothing grants is let through and reported until then, milliseconds since 1970; absent when that is denied. */
  readonly observedUntilMs?: number
  /** Sorted by name; absent where it has none. */
  readonly volumes?: readonly VolumeStatus[]
}

export interface VolumeStatus {
  readonly name: string
  readonly backend: BackendName
  readonly mount: string
  readonly rules: number
  /** Read back; `absent`: its backend shows no such volume, or cannot be asked. */
  readonly state: VolumeSeen['state'] | 'absent'
  /** Absent: nobody counts them. */
  readonly openFiles?: number
}

export interface AgentStatus {
  readonly live: {
    readonly generation: number
    readonly planDigest: Digest
    readonly source: PlanSource
    readonly decidedAtMs: number
  } | null
  /**
   * `closed`: live and read back, and no bundle: everything is denied. `lost`: what carries it cannot be asked; `drift` says
   * why, and what it fenced stays as it was or denies.
   */
  readonly state: 'nothing' | 'closed' | 'active' | 'absent' | 'drifted' | 'lost'
  readonly drift: readonly string[]
  /** An apply was cut short; the next one settles it. */
  readonly unfinished: boolean
  readonly workspaces: readonly WorkspaceStatus[]
  readonly quarantines: readonly Quarantine[]
  /** Of the access broker, those that are open; absent while none is. */
  readonly sessions?: readonly BrokerSession[]
  readonly refused: readonly RefusedBundle[]
  /** Denied packets by reason, decimal text, summed over the backends. */
  readonly drops: Readonly<Record<string, string>>
}

/** Throws what the store throws when it cannot be read. */
export async function status(node: AgentNode): Promise<AgentStatus> {
  const unreachable = new Map<BackendName, string>()
  const before = new Set(node.store.quarantines().map((entry) => entry.workspace))
  const found = await lookUp(node, (backends) => observeReachable(backends, unreachable))
  const { state, previous, live } = found
  const lost = (state.live?.backends ?? []).flatMap((name) => {
    const why = unreachable.get(name)
    return why === undefined ? [] : [`${name}: ${why}`]
  })
  const quarantines = node.store.quarantines()
  const sessions = node.store.sessions().filter(isOpen)
  const shown = [...live.values()].flatMap((seen) => (seen.live ? [seen.live] : []))
  const quarantined = new Set([
    ...quarantines.map((entry) => entry.workspace),
    ...shown.flatMap((seen) => seen.quarantined),
  ])
  // Of those that were on record before the kernel was asked and after: one that was set or lifted meanwhile is no drift.
  const lasting = new Set(quarantines.map((entry) => entry.workspace).filter((workspace) => before.has(workspace)))
  const open = [...live].flatMap(([backend, { live: seen }]) =>
    seen && previous
      ? unfenced(backend, previous.plan, lasting, seen).map((workspace) => ({ backend, workspace }))
      : [],
  )
  for (const { workspace } of open) quarantined.delete(workspace)
  const unfencedDrift = open.map(({ backend, workspace }) => unfencedFinding(backend, workspace))
  const suspended = new Set(shown.flatMap((seen) => seen.suspended))
  const drops = new Map<string, bigint>()
  for (const seen of live.values())
    for (const [reason, count] of Object.entries(seen.drops)) drops.set(reason, (drops.get(reason) ?? 0n) + count)
  const agreed = found.agreement
  return {
    live: state.live && {
      generation: state.live.generation,
      planDigest: state.live.planDigest,
      source: state.live.source,
      decidedAtMs: state.live.decidedAtMs,
    },
    state: lost.length > 0 ? 'lost' : wordFor(state.live, agreed, open.length > 0),
    drift: [...(lost.length > 0 ? lost : agreed?.kind === 'drifted' ? agreed.drift : []), ...unfencedDrift],
    unfinished: !found.finished,
    workspaces: (previous?.plan.workspaces ?? []).map((entry) => ({
      workspace: entry.workspace,
      interface: entry.slot.interface,
      backend: entry.backend,
      domain: entry.domain,
      policy: entry.policy ?? null,
      grants: grantsOf(entry.network).length + entry.network.names.length,
      flags: [
        ...(quarantined.has(entry.workspace) ? (['quarantined'] as const) : []),
        ...(suspended.has(entry.workspace) ? (['suspended'] as const) : []),
      ],
      ...observedOf(entry, node.nowMs()),
      ...volumesOf(entry, live),
    })),
    quarantines: quarantines.map(({ untoldMs, ...entry }) => entry),
    ...(sessions.length > 0 ? { sessions } : {}),
    refused: state.refused,
    drops: Object.fromEntries([...drops].filter(([, count]) => count > 0n).map(([reason, n]) => [reason, String(n)])),
  }
}

const observedOf = ({ network }: WorkspacePlan, nowMs: number) =>
  network.observe && isObserved(network, nowMs) ? { observedUntilMs: network.observe.untilMs } : {}

function volumesOf({ workspace, storage }: WorkspacePlan, live: ReadonlyMap<BackendName, Observed>) {
  if (!storage) return {}
  const { backend } = storage
  const volumes = storage.volumes.map(({ name, mount, rules }): VolumeStatus => {
    const seen = live.get(backend)?.volumes?.find((at) => at.workspace === workspace && at.name === name)
    const { state = 'absent', openFiles } = seen ?? { openFiles: 0 }
    return { name, backend, mount, rules: rules.length, state, ...(openFiles === undefined ? {} : { openFiles }) }
  })
  return { volumes }
}

function wordFor(live: Activation | null, agreed: Agreement | undefined, isUnfenced: boolean): AgentStatus['state'] {
  if (live === null || agreed === undefined) return 'nothing'
  if (agreed.kind !== 'as-planned') return agreed.kind
  if (isUnfenced) return 'drifted'
  return isClosed(live.source) ? 'closed' : 'active'
}

/** The plan on record and who is in quarantine, for questions about packets. Throws AGENT_NOTHING_LIVE. */
export async function livePlan(
  node: AgentNode,
): Promise<{ readonly plan: Plan; readonly generation: number; readonly quarantined: readonly WorkspaceId[] }> {
  const { previous, live } = await lookUp(node)
  if (!previous) throw agentFault('AGENT_NOTHING_LIVE', { directory: node.store.directory })
  const recorded = node.store.quarantines().map((entry) => entry.workspace)
  const seen = [...live.values()].flatMap((backend) => backend.live?.quarantined ?? [])
  return { ...previous, quarantined: [...new Set([...recorded, ...seen])].sort() }
}
