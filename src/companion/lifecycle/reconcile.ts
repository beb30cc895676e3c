// What the companion finds when it compares its records with what really is: machines, layers and interfaces of this host, tenures
// and fences of the agent. Pure: records and looks in, findings out. It runs at the start and every second after that, so that a
// machine never goes on without its fence, and nothing that a crash left behind stays.
//
// An agent that does not answer is no finding: its fence stands without it (design section 7). One that answers, and holds no slot for
// the workspace or no longer lists it, is: the machine is ended rather than paused, because a paused one keeps what it had open.

import type { FenceSeen, HostSeen } from './ports.js'
import type { WorkspaceRecord } from './record.js'

type Layer = HostSeen['layers'][number]

export type Finding =
  /** The machine ends and the slot is given back. */
  | { readonly kind: 'reclaim'; readonly workspace: string; readonly why: string }
  /** Layers of other incarnations than this one go; null: all of them. */
  | { readonly kind: 'sweep'; readonly workspace: string; readonly keep: number | null }
  /** Steps of a kill, a revoke or an undoing that failed are tried again. */
  | { readonly kind: 'owed'; readonly workspace: string }

export interface Looks {
  /** Absent while this host cannot be seen. */
  readonly host?: HostSeen
  /** Absent while the agent does not answer. */
  readonly fence?: FenceSeen
  /** For longer than a repair takes the agent has said that nothing of its plan is there. */
  readonly isUnfenced: boolean
}

/** At most one finding a workspace: what is left shows at the next look. Sorted by workspace. */
export function findingsOf(records: ReadonlyMap<string, WorkspaceRecord>, looks: Looks): readonly Finding[] {
  const { machines = [], layers = [], interfaces = [] } = looks.host ?? {}
  const here = [machines, layers, interfaces].flatMap((list) => list.map(({ workspace }) => workspace))
  return [...new Set([...records.keys(), ...here])].sort().flatMap((workspace) => {
    const finding = findingOf(workspace, records.get(workspace), looks)
    return finding ? [finding] : []
  })
}

function findingOf(workspace: string, record: WorkspaceRecord | undefined, looks: Looks): Finding | undefined {
  if (record && record.owed.length > 0) return { kind: 'owed', workspace }
  const why = record?.state === 'running' ? lostBy(record, looks) : leftOf(workspace, record, looks)
  if (why !== undefined) return { kind: 'reclaim', workspace, why }
  const keep = record?.profile && record.image !== '' ? record.incarnation : null
  const stale = looks.host?.layers.some(
    (layer) => layer.workspace === workspace && layer.incarnation !== keep && isKnown(layer, record),
  )
  return stale ? { kind: 'sweep', workspace, keep } : undefined
}

/**
 * Layers that may go. One of a workspace without a profile that its record has not made, or that has no record, may be the disk of
 * somebody whose record is lost: it stays. */
const isKnown = ({ incarnation }: Layer, record: WorkspaceRecord | undefined): boolean =>
  record !== undefined && (record.profile !== null || incarnation <= record.incarnation)

/** Workspaces that layers are left of, which nobody takes away by himself. Sorted. */
export const leftLayers = (records: ReadonlyMap<string, WorkspaceRecord>, host: HostSeen): readonly string[] =>
  [
    ...new Set(
      host.layers.filter((layer) => !isKnown(layer, records.get(layer.workspace))).map(({ workspace }) => workspace),
    ),
  ].sort()

/** Why a machine that should run may not, or does not; undefined when all is well. */
function lostBy({ workspace, incarnation, lease }: WorkspaceRecord, { host, fence, isUnfenced }: Looks) {
  const machines = host?.machines.filter((machine) => machine.workspace === workspace)
  const own = machines?.find((machine) => machine.incarnation === incarnation)
  if (machines?.some((machine) => machine !== own)) return 'a machine of another incarnation is there'
  if (host && !own) return 'its machine is gone'
  // One that does not answer may run: its fence is what counts.
  if (own && own.state !== 'running' && own.state !== 'silent') return `its machine is ${own.state}`
  if (!fence) return undefined
  if (fence.attached.get(workspace) !== lease) return 'it does not hold its slot any more'
  if (!fence.workspaces.has(workspace)) return 'the live plan does not have it any more'
  return isUnfenced ? `the agent says ${fence.state}` : undefined
}

/** What is there of a workspace that should not run; undefined when nothing is. */
function leftOf(workspace: string, record: WorkspaceRecord | undefined, { host, fence }: Looks): string | undefined {
  const of = (one: { readonly workspace: string }): boolean => one.workspace === workspace
  if (host?.machines.some(of)) return 'a machine that nobody asked for is there'
  if (record && record.lease > 0 && fence?.attached.get(workspace) === record.lease)
    return 'it holds a slot and does not run'
  return host?.interfaces.some(of) ? 'an interface is left of it' : undefined
}
