// What the life of a workspace needs of the world, as interfaces: the agent that fences, the machines of this host, the access broker.
// Each call is idempotent, asks the thing itself, and says in a Fault why it did not happen. Real ones are agent.ts and machines.ts
// beside this folder; tests have a world in memory that can be ended at every call.

import type { WorkspaceRecord } from './record.js'

export interface Fenced {
  /** The signed receipt of the agent, where it made one. */
  readonly receipt?: string
  /** From the agent's acceptance to the fence read back, by its clock. */
  readonly elapsedMs: number
  readonly generation: number
}

/** One look at the agent. */
export interface FenceSeen {
  /** `active`, `closed`, `nothing`, `absent`, `drifted`, `lost`: as the agent says it. */
  readonly state: string
  readonly channel: string
  readonly workspaces: ReadonlyMap<
    string,
    { readonly policy: string; readonly quarantined: boolean; readonly suspended: boolean }
  >
  /** Leases that hold a slot now, by workspace. */
  readonly attached: ReadonlyMap<string, number>
  /** The highest lease that each workspace ever had. */
  readonly leases: ReadonlyMap<string, number>
}

export interface FencePort {
  look(): Promise<FenceSeen>
  /** Resolves when the deny fence of the slot was read back. Throws AGENT_* as the agent does. */
  attach(record: WorkspaceRecord, lease: number): Promise<{ readonly attachmentId: string }>
  /** The workspace is denied from then on; one that holds no slot, or holds it by a later lease, is no fault. */
  detach(workspace: string, lease: number): Promise<void>
  /** Signed evidence for a fresh nonce that shows this tenure; gives its digest. Throws what does not hold. */
  prove(workspace: string, attachmentId: string): Promise<string>
  /** Resolves when the quarantine was read back. */
  quarantine(workspace: string, reason: string): Promise<Fenced>
}

export interface MachineSeenHere {
  readonly workspace: string
  readonly incarnation: number
  /** `prepared` and `paused` run no instruction. */
  readonly state: 'prepared' | 'running' | 'paused' | 'ended' | 'gone' | 'silent'
}

/** What this host has, whoever made it: read from processes, interfaces and files. */
export interface HostSeen {
  readonly machines: readonly MachineSeenHere[]
  readonly layers: readonly { readonly workspace: string; readonly incarnation: number }[]
  /** Interfaces of ours, by the workspace of their network. */
  readonly interfaces: readonly { readonly name: string; readonly workspace: string }[]
}

export interface MachinePort {
  look(): Promise<HostSeen>
  /** The layer of that incarnation, made over the newest approved image if it is not there; gives `name@version`. */
  layer(record: WorkspaceRecord, incarnation: number): Promise<string>
  /** Takes away every layer of the workspace but that one. */
  sweep(workspace: string, keep: number | null): Promise<void>
  /** The interface of its slot is there, and its machine where it has no volumes; no CPU has run. */
  prepare(record: WorkspaceRecord): Promise<void>
  /** Its CPUs run; a machine with volumes is made here. */
  run(record: WorkspaceRecord): Promise<void>
  halt(record: WorkspaceRecord): Promise<void>
  /** On return no process of any incarnation is left. */
  end(workspace: string): Promise<void>
  unplug(record: WorkspaceRecord): Promise<void>
  consoleOf(record: WorkspaceRecord, maxBytes: number): Promise<Uint8Array>
}

/** How long the access broker has for the sessions of a workspace: what is not done by then is owed. */
export const SESSIONS_MS = 20_000

/** The access broker. */
export interface SessionPort {
  /** Every hook was told, or gives in words that there is nobody to tell; throws WORKSPACE_SESSIONS when one did not do it. */
  close(about: {
    readonly workspace: string
    readonly user: string
    readonly reason: string
    readonly requestId: string
  }): Promise<string | undefined>
}

export interface Clock {
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  readonly monotonicMs: () => number
  /** Resolves after that long, or at once when woken; never rejects. */
  readonly sleep: (ms: number, wake?: AbortSignal) => Promise<void>
}
