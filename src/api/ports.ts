// What the gRPC server needs of the agent, as an interface of its own: the composition root fills it in, tests give a small
// one. Views carry what a message shows, in the words of the agent; conversion to messages is convert.ts.

import type { Caller } from './roles.js'

/** Who asks, for commands and the trail. */
export interface Asker extends Pick<Caller, 'id'> {
  /** Aborted when the caller went away or the deadline passed; a command that has begun comes to its end all the same. */
  readonly signal: AbortSignal
}

export interface StatusView {
  readonly live: {
    readonly generation: number
    readonly planDigest: string
    readonly source: {
      readonly bundleId: string
      readonly bundleDigest: string
      readonly policyRevision: string
      readonly epoch: number
      readonly channel: string
      readonly expiresAtMs: number
    }
    readonly decidedAtMs: number
  } | null
  readonly state: 'nothing' | 'closed' | 'active' | 'absent' | 'drifted' | 'lost'
  readonly drift: readonly string[]
  readonly unfinished: boolean
  readonly workspaces: readonly {
    readonly workspace: string
    readonly interface: string
    readonly backend: string
    readonly domain: string
    readonly policy: string | null
    readonly grants: number
    readonly flags: readonly ('quarantined' | 'suspended')[]
  }[]
  /** Absent: there are none. */
  readonly sinks?: readonly {
    readonly name: string
    readonly kind: string
    readonly state: string
    readonly sequence: number
    readonly lag: number
    readonly delivered: number
    readonly dead: number
    readonly discarded: number
    readonly failures: number
    readonly error?: string
  }[]
  readonly quarantines: readonly {
    readonly workspace: string
    readonly reason: string
    readonly by: string
    readonly atMs: number
  }[]
  readonly drops: Readonly<Record<string, string>>
}

export type SlotKind = 'veth' | 'tap' | 'representor' | 'bridge-port' | 'cgroup'

export interface TenureView {
  readonly workspace: string
  readonly attachmentId: string
  readonly leaseGeneration: number
  readonly kind: SlotKind
  readonly interface: string
  readonly by: string
  readonly atMs: number
  readonly attached: boolean
}

export interface SessionView {
  readonly workspace: string
  readonly sessionId: string
  readonly user: string
  readonly peer: string
  readonly by: string
  readonly openedAtMs: number
  readonly expiresAtMs: number
  readonly ended?: { readonly reason: string; readonly atMs: number }
}

/** What a broker says of a session. untrusted: all of it. */
export interface SessionAsked {
  readonly workspace: string
  readonly sessionId: string
  readonly user: string
  readonly peer: string
  readonly lifetimeMs: number
}

export interface Explained {
  readonly allowed: boolean
  readonly reason: string
  readonly say: string
  readonly clause: string
  readonly grant: string
  readonly ways: readonly string[]
  readonly generation: number
}

export interface Flow {
  readonly protocol: 'tcp' | 'udp' | 'icmp-echo'
  /** '' for the workspace's own of the destination's family. */
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
}

export interface ActionAsked {
  readonly text: string
  /** '' asks for no statement, and then there is no nonce. */
  readonly audience: string
  readonly nonce: Uint8Array
}
export interface ObligationView {
  readonly kind: string
  readonly values: readonly string[]
}
export interface ActionAnswered {
  readonly allowed: boolean
  readonly reason: string
  readonly clause: string
  readonly place: string
  readonly obligations: readonly ObligationView[]
  readonly bundleDigest: string
  readonly generation: number
  readonly attestation: Uint8Array
  readonly authority?: {
    readonly agentId: string
    readonly sponsor: string
    readonly taskId: string
    readonly expiresAtMs: number
  }
}

export interface TrailView {
  /** '' while there is no event. */
  readonly chain: string
  /** The oldest event that is kept, and the newest that is on stable storage. */
  readonly first: number
  readonly last: number
  /** Of the newest. */
  readonly fingerprint: string
  readonly lost: number
}

export interface AgentPorts {
  /** SPIFFE URI. */
  readonly node: string
  status(): Promise<StatusView>
  plan(): Promise<{ readonly generation: number; readonly digest: string; readonly encoded: Uint8Array }>
  explain(workspace: string, packet: string): Promise<Explained>
  checkFlow(workspace: string, flow: Flow): Promise<Explained>
  checkAction(workspace: string, asked: ActionAsked): Promise<ActionAnswered>
  quarantine(
    asker: Asker,
    kind: 'quarantine-set' | 'quarantine-lift',
    workspace: string,
    reason: string,
  ): Promise<{
    readonly changed: boolean
    readonly generation: number
    readonly elapsedMs: number
    readonly receipt?: string
  }>
  drift(): Promise<{ readonly asPlanned: boolean; readonly drift: readonly string[]; readonly repairs: number }>
  attach(
    asker: Asker,
    given: {
      readonly workspace: string
      readonly slot: { readonly kind: SlotKind; readonly interface: string }
      readonly leaseGeneration: number
      readonly netns?: string
    },
  ): Promise<{ readonly tenure: TenureView; readonly generation: number; readonly elapsedMs: number }>
  detach(
    asker: Asker,
    given: { readonly workspace: string; readonly leaseGeneration: number },
  ): Promise<{ readonly generation: number; readonly elapsedMs: number }>
  attachments(): Promise<readonly TenureView[]>
  openSession(
    asker: Asker,
    given: SessionAsked,
  ): Promise<{
    readonly session: SessionView
    readonly grants: readonly string[]
    readonly generation: number
    readonly changed: boolean
    readonly elapsedMs: number
  }>
  closeSession(
    asker: Asker,
    given: { readonly workspace: string; readonly sessionId: string },
  ): Promise<{ readonly session: SessionView; readonly changed: boolean; readonly elapsedMs: number }>
  /** `workspace`: '' for all. */
  sessions(workspace: string): Promise<readonly SessionView[]>
  /** Absent where the node makes none. */
  readonly evidence?: (asker: Asker, nonce: Uint8Array, audience: string) => Promise<Uint8Array>
  /** How far the journal goes; absent where there is none to read. */
  readonly trail?: () => Promise<TrailView>
  /** Events after a number of a chain ('': of whatever chain), then new ones, until the signal; absent like `trail`. */
  readonly events?: (
    after: number,
    chain: string,
    signal: AbortSignal,
  ) => AsyncIterable<{ sequence: number; line: Uint8Array }>
}
