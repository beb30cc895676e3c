// The one contract of every backend (design section 6). The first four members are pure; effects start at `open`.
// Backends never import one another; the registry is closed (registry.ts).

import type { Digest } from '../base/digest.js'
import type {
  BackendName,
  GrantId,
  LearnedGrant,
  PlanSlice,
  SessionPeer,
  WorkspaceId,
  WorkspacePlan,
} from '../plan/model.js'

export type { Answer, Capabilities, Probe, Probed } from '../plan/capabilities.js'

import type { Capabilities, Probed } from '../plan/capabilities.js'
import type { Need } from '../plan/capacity.js'

export interface GrantCounter {
  readonly workspace: WorkspaceId
  readonly grant: GrantId
  readonly packets: bigint
  readonly bytes: bigint
}

/** What is live, read back from where it is enforced. */
export interface Observed {
  /** null: nothing of ours is there. */
  readonly live: {
    readonly generation: number
    readonly planDigest: Digest
    readonly workspaces: readonly WorkspaceId[]
    readonly quarantined: readonly WorkspaceId[]
    readonly suspended: readonly WorkspaceId[]
    readonly learned: readonly LearnedGrant[]
    /** Peers with an open session, those whose end has not come. Absent where the backend knows none. */
    readonly sessions?: readonly SessionPeer[]
  } | null
  /** Findings about what is there and should not be, or the reverse: drift. */
  readonly drift: readonly string[]
  /** Of static grants. A grant without one has counted nothing. */
  readonly counters: readonly GrantCounter[]
  /** The last time that nothing was enforced and so nothing passed, milliseconds since 1970: from when the fence was last seen
   * whole until it was again. Absent where the fence outlives its agent, or nothing was lost. */
  readonly outage?: { readonly fromMs: number; readonly untilMs: number }
  /** What is served of files. Absent where the backend serves none. */
  readonly volumes?: readonly VolumeSeen[]
  /** Denied packets by reason. */
  readonly drops: Readonly<Record<string, bigint>>
  /** Flows that began although nothing grants them. Absent where nothing can be observed. */
  readonly observed?: bigint
}

/** A volume as it is served, read back. */
export interface VolumeSeen {
  readonly workspace: WorkspaceId
  readonly name: string
  /** `expired`: denied because the plan's deadline has passed. `gone`: no longer where it was mounted. */
  readonly state: 'serving' | 'expired' | 'gone'
  readonly mount: string
  /** The kernel's number of the mount, and the device of what is mounted: another mount has others. */
  readonly mountId: number
  readonly device: string
  /** What somebody holds open; it is judged again before it gives or takes another octet, except for what lasts. Absent: nobody
   * counts, and what is mapped stays mapped. */
  readonly openFiles?: number
  /** Of these, what the policy leaves alone until it is closed (`open_files: until-closed`). */
  readonly lasting: number
  /** Files that lasted were handed over by a mount or a daemon that is gone: nobody knows which of them are still open. */
  readonly left?: true
}

/** Why a packet was not let through; the closed list of `evaluate`. */
export type { DropReason } from '../plan/state.js'

import type { FileDenial } from '../plan/evaluate-file.js'
import type { FileOperation } from '../plan/file-operations.js'
import type { DropReason } from '../plan/state.js'
import type { ActivityRecord } from '../process/activity.js'

/** One refused packet, as sampled by the backend. Addresses are canonical text; ports are absent where there are none. */
export interface Denial {
  readonly atMs: number
  readonly workspace: WorkspaceId
  readonly direction: 'from' | 'to'
  readonly reason: DropReason
  readonly protocol: number
  readonly source: string
  readonly destination: string
  readonly sourcePort?: number
  readonly destinationPort?: number
  readonly generation: number
}

/** A flow that began although nothing grants it (plan/observe.ts), or that was answered for the first time; as sampled. */
export interface Sighting extends Omit<Denial, 'direction'> {
  /** What it would have been refused for. Source is the workspace's end, also of an answer. */
  readonly reason: DropReason
  readonly answered: boolean
}

/** A packet of an observed flow as a sighting: one towards the workspace is its answer. */
export function sightingOf({ direction, source, destination, sourcePort, destinationPort, ...rest }: Denial): Sighting {
  if (direction === 'from') {
    const ports = {
      ...(sourcePort === undefined ? {} : { sourcePort }),
      ...(destinationPort === undefined ? {} : { destinationPort }),
    }
    return { ...rest, answered: false, source, destination, ...ports }
  }
  const ports = {
    ...(destinationPort === undefined ? {} : { sourcePort: destinationPort }),
    ...(sourcePort === undefined ? {} : { destinationPort: sourcePort }),
  }
  return { ...rest, answered: true, source: destination, destination: source, ...ports }
}

export interface DenialBatch {
  readonly denials: readonly Denial[]
  /** Absent where nothing was observed. */
  readonly observed?: readonly Sighting[]
  /** Denials that the rate limit or a full buffer kept from being reported since the last batch, where known. */
  readonly lost: number
}

/** Where the fence of one workspace hangs, read back from where it is enforced; for evidence. */
export interface Anchor {
  readonly workspace: WorkspaceId
  /** Software that stands in for a kernel or a device: it fences nothing outside this process. */
  readonly emulated: boolean
  /** As the thing itself carries it. */
  readonly generation: number
  readonly hooks: readonly AnchorHook[]
  readonly objects: readonly AnchorObject[]
}
export interface AnchorHook {
  /** `tcx/ingress`, `cgroup/connect4`, `inet/forward`, `port`: in the words of what has the hook. */
  readonly hook: string
  /** An interface with its number (`ws0#7`), a path of a cgroup, or `*` for everything in the network namespace. */
  readonly on: string
  /** Who judges there: a program by number and tag, a chain by table and handle, or compiled rules by their octets. */
  readonly owner:
    | { readonly kind: 'program'; readonly id: number; readonly tag: string }
    | { readonly kind: 'chain'; readonly name: string; readonly handle: number }
    | { readonly kind: 'entry'; readonly handle: string }
    | { readonly kind: 'rules'; readonly digest: Digest }
}
export interface AnchorObject {
  readonly kind: 'map' | 'table' | 'chain' | 'set' | 'pipe' | 'mount'
  readonly name: string
  /** Number or handle, decimal. */
  readonly id: string
}

export interface Floor {
  /** False: something is live, and stands. */
  readonly laid: boolean
  /** For people. */
  readonly say: string
}

/** What a flag cut, as far as the backend knows. */
export interface Cut {
  /** Flows that were live when the flag was set, or why nobody knows how many. */
  readonly flows: number | { readonly unknown: string }
  /** When the last packet of any of them passed (milliseconds since 1970), or why nobody knows. */
  readonly lastPacketAtMs: number | { readonly unknown: string }
}

/** One refused operation on a file, as sampled by the backend. */
export interface FileDenied {
  readonly atMs: number
  readonly workspace: WorkspaceId
  readonly volume: string
  readonly operation: FileOperation
  readonly reason: FileDenial
  /** From the volume's root. untrusted: the workspace chose it. */
  readonly path: string
  /** Refusals that said the same, this one included; the times and the process are the first's. */
  readonly count: number
  /** The clause that denies, or that grants less; absent where no rule speaks of the path. */
  readonly clause?: Digest
  /** Of the process, as the node knows it. */
  readonly uid: number
  readonly pid: number
  readonly generation: number
}

export interface FileDenialBatch {
  readonly denials: readonly FileDenied[]
  /** Denials that the rate limit or a full buffer kept from being reported since the last batch. */
  readonly lost: number
}

export interface ActivityBatch {
  readonly activities: readonly {
    readonly workspace: WorkspaceId
    readonly record: ActivityRecord
    /** How a sensor that does not know workspaces came to this one. */
    readonly boundBy?: 'identifier' | 'interfaces'
  }[]
  /** Records that could not be read, or that a full buffer kept from being reported, since the last batch. */
  readonly lost: number
}

export type Staged = { readonly generation: number; readonly planDigest: Digest }

export type Flag = 'quarantined' | 'suspended'

export type Flagged = Pick<NonNullable<Observed['live']>, 'workspaces' | Flag | 'sessions'>

export interface Driver<Program> {
  probe(): Promise<Probed>
  observe(): Promise<Observed>
  /** Who is live, who is flagged and who has a session, as `observe` says it, for whoever asks every second: costs nothing that grows with grants.
   * Absent where `observe` is as cheap. */
  flagged?(): Promise<Flagged | null>
  /** Everything that can fail. Nothing is live yet; the fence still judges by the old generation. */
  stage(program: Program): Promise<Staged>
  /** One atomic switch, then read back. Flows that stay granted are not disturbed; flows that lost their grant are cut. */
  commit(staged: Staged): Promise<void>
  discard(staged: Staged): Promise<void>
  /**
   * Sets or lifts a flag of a workspace, beside and above every generation; resolves when read back. One that is set before
   * the workspace is attached waits for it, and is in force when it appears. Never waits behind a load.
   */
  flag(workspace: WorkspaceId, flag: Flag, on: boolean): Promise<void>
  /**
   * Adds learned grants if `generation` is still live (compare-and-set); resolves when read back, false when stale. Of
   * grants of one clause and tuple the longest counts; one that expires at 0 takes away what its clause learnt for that tuple: no new flow begins by it, live ones go on.
   */
  learn(generation: number, grants: readonly LearnedGrant[]): Promise<boolean>
  /**
   * Makes these all the peers that have a session of the workspace open, beside every generation; each ends by itself, and one
   * whose end is unchanged keeps it, whatever became of the wall clock since. Resolves
   * when read back and what no session carries any more is cut: flows of sessions that ran out before, so that nothing revives
   * them, and of those that are not in the list. False where what is live lacks the workspace, which ends them, and
   * where it is not what this process put there: then those that are not in the list are gone, and none came. Absent where
   * `sessions` is not a capability.
   */
  sessions?(workspace: WorkspaceId, peers: readonly SessionPeer[]): Promise<boolean>
  /** Delivers refused packets until the returned function is called. */
  denials(deliver: (batch: DenialBatch) => void): Promise<() => Promise<void>>
  /** As `denials`, for operations on files. Absent where the backend serves none. */
  fileDenials?(deliver: (batch: FileDenialBatch) => void): Promise<() => Promise<void>>
  /** Delivers what programs of the workspaces did, until the returned function is called; the next batch waits for the promise.
   * Calls `failed` once and delivers nothing more when that rejects, or nothing can be read; a batch that was not taken comes again
   * with the next call. Absent where the backend sees no programs. */
  activities?(
    deliver: (batch: ActivityBatch) => Promise<void>,
    failed: (error: unknown) => void,
  ): Promise<() => Promise<void>>
  /** Calls back, until the returned function is called, when somebody else changed what the fence rests on: then `observe`
   * tells what, and another stage and commit repair it. Absent where nothing can be heard. */
  watch?(changed: () => void): () => void
  /** Where the fence of each attached workspace hangs, asked now. Throws what the kernel or the device says no with. */
  inspect(): Promise<readonly Anchor[]>
  /** What the last quarantine flag that this process set cut. Costs a look at the flows, so nobody waits for it who fences. */
  cut(workspace: WorkspaceId): Promise<Cut>
  /**
   * Closes what this backend would fence while nothing is live and nobody watches: `attachInterfaces` and the slots that it
   * remembers, those that are there and those to come. Changes nothing where something is live. For the boot, before the network.
   * Absent where nothing can be closed without a process that stays.
   */
  floor?(): Promise<Floor>
  /** Takes away everything that this backend made on this machine. Says what it removed. */
  uninstall(): Promise<readonly string[]>
  close(): Promise<void>
}

export interface Backend<Program = unknown> {
  readonly name: BackendName
  capabilities(probed: Probed): Capabilities
  /** Total over what the capabilities admit. */
  lower(slice: PlanSlice): Program
  /** Pure: what workspaces need of the device together, by kind. Absent where only memory bounds it. */
  readonly need?: (workspaces: readonly WorkspacePlan[]) => Need
  /** For people, golden files and audit. */
  render(program: Program): string
  open(options: OpenOptions): Promise<Driver<Program>>
}

export interface OpenOptions {
  /** Interfaces that may only ever carry fenced traffic: shell patterns such as `ws*`. Unattached ones are dropped. */
  readonly attachInterfaces: readonly string[]
  /** Directory for state that the driver needs across restarts. */
  readonly stateDirectory: string
  /** For `tc-flower`; without it that backend cannot be used. */
  readonly flower?: FlowerOptions
  /** For `doca-argus`; without it that backend cannot be used. */
  readonly argus?: ArgusOptions
  /** For `doca-vault`; without it that backend cannot be used. */
  readonly vault?: VaultOptions
}

/** The card whose virtio-fs functions serve volumes. */
export interface VaultOptions {
  /** Its PCI address. */
  readonly card: string
}

/** Where DOCA Argus writes. */
export interface ArgusOptions {
  /** The folder of its activity reports. */
  readonly records: string
}

/** Where the filters of `tc-flower` lie. */
export interface FlowerOptions {
  /** The uplink representor of the switch: filters go into hardware. */
  readonly uplink?: string
  /** Filters of the kernel without hardware, on the slots' own interfaces. */
  readonly software: boolean
}
