// The effects that the commands need, as one interface: the command line itself never opens a socket, a backend or a state
// directory. `src/bin` composes the real one; tests compose one with a fixed clock and a seeded source of randomness.

import type { Digest } from '../base/digest.js'
import type { Note } from '../base/note.js'
import type { Breakglass } from '../bundle/breakglass.js'
import type { BundleBytes } from '../bundle/model.js'
import type { Capabilities, Probe } from '../plan/capabilities.js'
import type { SlotKind } from '../plan/inventory.js'
import type { BackendName, Plan, PlanSource, WorkspaceId } from '../plan/model.js'
import type { TrustDomain } from '../policy/model.js'
import type { Configured } from './configured.js'
import type { BenchHost } from './host-bench.js'
import type { CompanionHost, SessionListed } from './host-companion.js'
import type { Decided, DecideRequest } from './host-decisions.js'
import type { OpenFinding } from './host-findings.js'
import type { Mediated, MediateRequest, NameExplained, NameQuestion } from './host-names.js'
import type { StreamView } from './host-revocation.js'
import type { SinkView } from './host-sinks.js'
import type { FloorReport, FloorSeen, Migrated, Recovered, RecoverRequest } from './host-state.js'
import type { WitnessHost } from './witness-host.js'

export type { Configured } from './configured.js'
export type { FloorReport, FloorSeen, Migrated, Recovered, RecoverRequest } from './host-state.js'

export interface Host {
  /** Relative paths of the operator resolve against it. */
  readonly cwd: string
  readonly environment: (name: string) => string | undefined
  readonly write: (text: string) => void
  readonly writeError: (text: string) => void
  /** True when the output is a terminal that takes colour. */
  readonly colour: boolean
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** From the platform's secure source. */
  readonly random: (length: number) => Uint8Array
  /** Asks on the terminal; false where there is none. */
  readonly confirm: (question: string) => Promise<boolean>
  /** Aborted by Ctrl-C or SIGTERM, and after that long when a time is given. */
  readonly interrupted: (afterMs: number | undefined) => AbortSignal
  /** `user:NAME`, for the trail. */
  readonly operator: string
  readonly version: string
  /** The octets of a regular file; throws CLI_FILE_KIND for anything else and CLI_FILE_TOO_LARGE. Never waits for a writer. */
  readonly readFile: (path: string, what: string, maxBytes: number) => Uint8Array
  /** A directory or a `.tgz`. */
  readonly readBundle: (path: string) => Promise<BundleBytes>
  /** The members of a directory that is not signed yet. */
  readonly readMembers: (directory: string) => Promise<ReadonlyMap<string, Uint8Array>>
  /** The octets of a `.tgz`, the same for the same bundle. */
  readonly packBundle: (bundle: BundleBytes) => Promise<Uint8Array>
  /** Opens each backend, asks it what this machine can enforce, and closes it. Never throws for a backend that cannot open. */
  readonly survey: (
    of: readonly BackendName[],
    by?: Pick<Configured, 'flower' | 'argus' | 'vault'>,
  ) => Promise<readonly Surveyed[]>
  /** Looks at this machine for a BlueField. */
  readonly lookForCard: () => CardFound
  /** Reads the octets of `agent.yaml`; throws with every finding. `path` is as it was typed. */
  readonly configure: (path: string, bytes: Uint8Array) => Configured
  /** Tells the trail of a node what was refused without opening it: by its configuration, or by as much of it as can be read. */
  readonly tellRefused: (config: Configured | ConfigBytes, fault: Refused) => Promise<void>
  /** Opens what a source names: a published folder, https, git or oci. Throws TRANSPORT_SOURCE. */
  readonly openSource: (source: string, terms: SourceTerms) => Source
  /** Follows signed roots from the trust root in `file`, which is replaced step by step; gives the version it has then. */
  readonly followRoots: (file: string, statements: readonly Uint8Array[]) => Promise<number>
  readonly openNode: (config: Configured, options: NodeOptions) => Promise<NodeHandle>
  /** Makes the state of a node that never held a bundle; throws when there is one. */
  readonly createState: (config: Configured, options?: { readonly unlessThere: boolean }) => Promise<void>
  /** Runs the agent of this node in this process, until the signal is aborted. */
  readonly runAgent: (config: Configured, request: AgentRequest) => Promise<void>
  /** Closes what this node would fence, before its network is up. */
  readonly layFloor: (config: Configured) => Promise<FloorReport>
  /** Whether that is installed, and when it was done last. */
  readonly seeFloor: (config: Configured) => FloorSeen
  /** Converts the state of a node without an agent between formats; without `to` to that of this release. */
  readonly migrate: (config: Configured, to: number | undefined) => Migrated
  /** Gives up one protection on an operator's word, and tells the trail. */
  readonly recover: (config: Configured, request: RecoverRequest) => Promise<Recovered>
  /** Journals, receipts and evidence: what agents wrote and signed. */
  readonly witness: WitnessHost
  /** What the fence costs on this machine. */
  readonly bench: BenchHost
  /** Polls a source and keeps the node at what it says, until the signal is aborted. */
  readonly follow: (config: Configured, request: FollowRequest) => Promise<void>
  /** Whether a name would resolve and connect, from a plan and from what the mediator of that node remembers. */
  readonly explainName: (config: Configured | undefined, question: NameQuestion) => NameExplained
  /** The companion of this host. */
  readonly companion: CompanionHost
  /** Answers the names of the workspaces until the signal is aborted. */
  readonly mediate: (config: Configured, request: MediateRequest) => Promise<Mediated>
}

/** How to reach a source; files are paths as the operator typed them. */
export interface SourceTerms {
  readonly caFile?: string
  readonly pins?: readonly string[]
  readonly tokenFile?: string
  readonly sshKey?: string
  readonly knownHosts?: string
  /** Where parts of a pull are kept until it is whole. */
  readonly partFolder?: string
  readonly onProgress?: (report: SourceProgress) => void
}
export interface SourceProgress {
  readonly what: string
  /** Octets. */
  readonly done: number
  readonly total: number
  readonly reused?: boolean
}

// untrusted: everything that is pulled
export type Pulled = {
  readonly roots: readonly Uint8Array[]
  readonly freshness?: Uint8Array
} & (
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'delivered'; readonly bundle: BundleBytes; readonly tag: string }
)
export interface Pushed {
  readonly bundle?: BundleBytes
  readonly freshness?: Uint8Array
  readonly roots?: readonly { readonly version: number; readonly statement: Uint8Array }[]
}
export interface Source {
  readonly name: string
  fetch(channel: string, since: { readonly tag?: string; readonly rootVersion?: number }): Promise<Pulled>
  push(channel: string, parcel: Pushed): Promise<void>
  close(): void
}

export interface AgentRequest {
  readonly signal: AbortSignal
  readonly tell: (line: AgentLine) => void
  /** Instead of `tell`: lines of a JSON log. */
  readonly log?: (line: string) => void
}
/** One thing that a running agent did or found. */
export interface AgentLine {
  readonly atMs: number
  readonly level: 'info' | 'warning' | 'error'
  readonly event: string
  readonly detail: Readonly<Record<string, string | number | null | readonly string[]>>
}

export interface FollowRequest {
  readonly source: Source
  readonly inventory: { readonly yaml: Uint8Array; readonly signature: Uint8Array; readonly file: string }
  readonly intervalMs: number
  readonly signal: AbortSignal
  /** One line for people about every pass that changed something or failed. */
  readonly tell: (line: FollowLine) => void
}
export type FollowLine =
  | { readonly kind: 'active'; readonly generation: number; readonly revision: string }
  | { readonly kind: 'root'; readonly version: number }
  | { readonly kind: 'suspended' | 'resumed'; readonly workspaces: readonly string[] }
  | { readonly kind: 'failed'; readonly code: string; readonly say: string; readonly waitMs: number }

export interface Surveyed {
  readonly backend: BackendName
  readonly capabilities: Capabilities
  readonly probes: readonly Probe[]
}

export interface CardFound {
  readonly found: boolean
  /** Where a fence on it would stand. */
  readonly trustDomain: TrustDomain
  readonly probes: readonly Probe[]
}

export interface ConfigBytes {
  readonly path: string
  readonly bytes: Uint8Array
}

export interface NodeOptions {
  /** The trail is written beside the commands, not before they end: for a running agent, which closes it. */
  readonly queued?: boolean
  /** Instead of the configured ones. */
  readonly backends?: readonly BackendName[]
  /** Takes the lock of apply; without it the node may only be looked at, or a workspace quarantined. */
  readonly exclusive: boolean
  /** To stand: what is on record is put back although the trust root cannot be read. */
  readonly standing?: boolean
  /** Only to fence a workspace: a state that cannot be read does not keep the node from being opened. */
  readonly fencing?: boolean
}

export interface ApplyRequest {
  /** Path of a directory or a `.tgz`, or what a source delivered. */
  readonly bundle: string | BundleBytes
  readonly inventory: { readonly yaml: Uint8Array; readonly signature: Uint8Array; readonly file: string }
  /** The statement that came with it. */
  readonly freshness?: Uint8Array
  /** Bytes that were refused before are not judged again: for channels. */
  readonly once?: boolean
}

export interface Applied {
  readonly decision: { readonly kind: 'keep' | 'restore' | 'repair' | 'replace'; readonly drift?: readonly string[] }
  readonly generation: number
  readonly planDigest: Digest
  readonly plan: Plan
  readonly previous?: { readonly plan: Plan; readonly generation: number }
  readonly signers: readonly string[]
  readonly notes: readonly Note[]
  readonly elapsedMs: number
}

export interface QuarantineRequest {
  readonly kind: 'quarantine-set' | 'quarantine-lift'
  readonly workspace: WorkspaceId
  readonly reason: string
}
export interface Quarantined {
  readonly workspace: WorkspaceId
  readonly changed: boolean
  readonly generation: number
  /** False: no plan here carries the workspace yet. */
  readonly attached: boolean
  /** What is wrong with the state of this node. */
  readonly damage?: string
  readonly elapsedMs: number
  /** The signed receipt; absent where the node could not make one. */
  readonly receipt?: string
}

export interface AttachRequest {
  readonly workspace: WorkspaceId
  /** As the caller names it; what is left out is as the inventory says. */
  readonly kind?: SlotKind
  readonly interface?: string
  readonly leaseGeneration?: number
  /** Path of a network namespace: the agent makes the veth pair. */
  readonly netns?: string
}
export interface DetachRequest {
  readonly workspace: WorkspaceId
  readonly leaseGeneration?: number
}
export interface Attached {
  readonly tenure: {
    readonly workspace: WorkspaceId
    readonly attachmentId: string
    readonly leaseGeneration: number
    readonly kind: SlotKind
    readonly interface: string
    readonly attached: boolean
  }
  readonly generation: number
  /** From the command's acceptance to the deny fence read back. */
  readonly fencedMs: number
}

/** What is on record and what was read back, side by side. */
export interface VolumeView {
  readonly name: string
  readonly backend: BackendName
  readonly mount: string
  readonly rules: number
  readonly state: 'serving' | 'expired' | 'gone' | 'absent'
  readonly openFiles?: number
}

export interface NodeStatus {
  readonly live: {
    readonly generation: number
    readonly planDigest: Digest
    readonly source: PlanSource
    readonly decidedAtMs: number
  } | null
  /** `active` is said only of what was read back; `closed` likewise, of a node without a bundle. */
  readonly state: 'nothing' | 'closed' | 'active' | 'absent' | 'drifted' | 'lost'
  readonly drift: readonly string[]
  /** An apply was cut short and the next one will settle it. */
  readonly unfinished: boolean
  readonly workspaces: readonly {
    readonly workspace: WorkspaceId
    readonly interface: string
    readonly backend: BackendName
    readonly domain: string
    readonly policy: string | null
    readonly grants: number
    readonly flags: readonly ('quarantined' | 'suspended')[]
    readonly observedUntilMs?: number
    readonly volumes?: readonly VolumeView[]
  }[]
  readonly quarantines: readonly {
    readonly workspace: WorkspaceId
    readonly reason: string
    readonly by: string
    readonly atMs: number
  }[]
  /** Of the access broker, those that are open; absent while none is. */
  readonly sessions?: readonly SessionListed[]
  readonly refused: readonly { readonly digest: Digest; readonly code: string; readonly atMs: number }[]
  readonly drops: Readonly<Record<string, string>>
  /** Where else events go, and how far each is; absent when there are none. */
  readonly sinks?: readonly SinkView[]
  /** Of security events. */
  readonly streams?: readonly StreamView[]
  /** Causes of findings that are not over; absent where no agent runs. */
  readonly findings?: readonly OpenFinding[]
}

/** A fact of the trail, as far as `watch` prints it. */
export type Watched = { readonly atMs: number } & (
  | {
      readonly kind: 'flow-denied'
      readonly workspace: { readonly workspace: string }
      readonly flow: WatchedFlow
      readonly reason: string
      readonly count: number
    }
  | {
      readonly kind: 'flow-observed'
      readonly workspace: { readonly workspace: string }
      readonly flow: WatchedFlow
      readonly reason: string
      readonly count: number
    }
  | {
      readonly kind: 'flow-allowed'
      readonly workspace: { readonly workspace: string }
      readonly flow: WatchedFlow
      readonly clauseName: string
      readonly traffic?: { readonly packets: number }
    }
  | {
      readonly kind: 'file-denied'
      readonly workspace: { readonly workspace: string }
      readonly volume: string
      readonly operation: string
      readonly path: string
      readonly reason: string
      readonly count: number
    }
  | { readonly kind: 'audit-lost'; readonly lost: number }
)
export interface WatchedFlow {
  readonly protocol: number
  readonly source: string
  readonly sourcePort?: number
  readonly destination: string
  readonly destinationPort?: number
}

export interface Removed {
  readonly removed: readonly string[]
}

export interface Refused {
  readonly code: string
  readonly message: string
}

export interface Tended {
  readonly suspended: readonly WorkspaceId[]
  readonly resumed: readonly WorkspaceId[]
  /** Quarantines that are back because their lift is over. */
  readonly relocked: readonly WorkspaceId[]
}

export interface NodeHandle {
  /** Closes a node that holds no bundle, and puts back what is on record and gone. Never throws for what it cannot close. */
  stand(inventory?: ApplyRequest['inventory']): Promise<unknown>
  apply(request: ApplyRequest): Promise<Applied>
  quarantine(request: QuarantineRequest): Promise<Quarantined>
  /** Carries out a break-glass statement. */
  breakGlass(statement: Uint8Array): Promise<Quarantined & { readonly order: Breakglass }>
  attach(request: AttachRequest): Promise<Attached>
  detach(request: DetachRequest): Promise<Attached>
  /** Tells the trail of something that was refused before it reached the node. */
  refused(fault: Refused): Promise<void>
  /** Takes in a freshness statement and does what time asks for. */
  tend(freshness?: Uint8Array): Promise<Tended>
  status(): Promise<NodeStatus>
  /** What the live policies say of one action. */
  decide(request: DecideRequest): Promise<Decided>
  /** The plan on record, with the workspaces in quarantine; throws when there is none. */
  live(): Promise<{ readonly plan: Plan; readonly generation: number; readonly quarantined: readonly WorkspaceId[] }>
  /** Tells what is refused and allowed until the signal, or until another generation is live. */
  watch(signal: AbortSignal, tell: (facts: readonly Watched[]) => void): Promise<unknown>
  /** Takes away every table, pin and file that this node made. */
  uninstall(): Promise<Removed>
  /** Facts that could not be put into the trail since the node was opened. */
  readonly unwritten: () => string | undefined
  close(): Promise<void>
}
