// What the command line needs of the companion of this host, as values of the host interface: its configuration as far as a command
// looks at it, and what a running one can be asked over its socket.

export interface ConfiguredCompanion {
  readonly file: string
  readonly companion: string
  /** Of a running companion. */
  readonly socket: string
}

export const WORKSPACE_CHANGES = ['create', 'start', 'stop', 'rebake', 'revoke', 'delete'] as const
export type WorkspaceChange = (typeof WORKSPACE_CHANGES)[number]

export interface WorkspaceProfile {
  readonly workspace: string
  readonly user: string
  readonly session: string
  readonly device?: string
  readonly image: string
  readonly cpus: number
  readonly memoryMiB: number
  readonly network: string
  readonly channel: string
  readonly policy: 'wait-initial' | 'baseline'
  readonly volumes: readonly string[]
}
export interface WorkspaceStep {
  readonly step: string
  readonly atMs: number
  readonly elapsedMs: number
  readonly outcome: string
  readonly why?: string
  readonly what?: string
  readonly receipt?: string
}
export interface WorkspaceOutcome {
  readonly state: string
  readonly steps: readonly WorkspaceStep[]
  readonly owed: readonly string[]
  readonly elapsedMs: number
}
export interface WorkspaceListed {
  readonly profile: WorkspaceProfile
  readonly state: string
  readonly machine: string
  readonly incarnation: number
  readonly image: string
  readonly lease: number
  readonly owed: readonly string[]
  readonly doing: string
}
/** How a stream of security events stands, at the companion's own ear. */
export interface StreamListed {
  readonly name: string
  readonly kind: string
  readonly standing: string
  /** Milliseconds since 1970; 0: never. */
  readonly heardAtMs: number
  readonly taken: number
  readonly refused: number
  readonly error?: string
}
export interface HostListed {
  readonly workspaces: readonly WorkspaceListed[]
  readonly streams: readonly StreamListed[]
}
export type WorkspaceTarget =
  | { readonly kind: 'workspace'; readonly workspace: string }
  | { readonly kind: 'user'; readonly user: string }
  | { readonly kind: 'image'; readonly image: string }
  | { readonly kind: 'everything' }
export interface WorkspacesKilled {
  readonly askedAtMs: number
  readonly elapsedMs: number
  readonly partial: boolean
  readonly workspaces: readonly {
    readonly workspace: string
    readonly user: string
    readonly state: string
    readonly fencedAtMs: number | null
    readonly steps: readonly WorkspaceStep[]
    readonly owed: readonly string[]
    /** Why the companion's disk did not take it. */
    readonly unrecorded?: string
  }[]
}

/** A session of the access broker, as the agent has it. */
export interface SessionListed {
  readonly workspace: string
  readonly sessionId: string
  readonly user: string
  readonly peer: string
  readonly by: string
  readonly openedAtMs: number
  readonly expiresAtMs: number
  readonly ended?: { readonly reason: string; readonly atMs: number }
}
export interface SessionAnswered {
  readonly session: SessionListed
  readonly grants: readonly string[]
  readonly changed: boolean
  readonly elapsedMs: number
}

/** A running companion. Every call throws what it refuses, COMPANION_GONE when nobody answers. */
export interface CompanionHandle {
  change(
    asked: {
      readonly requestId: string
      readonly operation: WorkspaceChange
      readonly workspace: string
      readonly reason: string
      readonly profile?: WorkspaceProfile
    },
    told: (step: WorkspaceStep) => void,
  ): Promise<WorkspaceOutcome>
  kill(
    asked: {
      readonly requestId: string
      readonly reason: string
      readonly target: WorkspaceTarget
    },
    told: (workspace: string, step: WorkspaceStep) => void,
  ): Promise<{ readonly report: WorkspacesKilled; readonly receipt?: string }>
  list(): Promise<HostListed>
  console(workspace: string, maxBytes: number): Promise<Uint8Array>
  openSession(asked: {
    readonly workspace: string
    readonly sessionId: string
    readonly user: string
    readonly peer: string
    readonly lifetimeMs: number
  }): Promise<SessionAnswered>
  closeSession(asked: { readonly workspace: string; readonly sessionId: string }): Promise<SessionAnswered>
  /** '' for all. */
  sessions(workspace: string): Promise<readonly SessionListed[]>
  close(): void
}

/** The trail of one agent on its way through the companion, or of the companion itself. */
export interface TrailReconciled {
  readonly name: string
  readonly node: string
  /** Something does not hold. */
  readonly broken: boolean
  /** Nothing is broken, and everybody could be asked. */
  readonly agrees: boolean
  /** What does not hold of no epoch, as sentences that say what to do. */
  readonly wrong: readonly string[]
  /** The chain and the first range of numbers of which something is missing or wrong. */
  readonly firstMissing?: readonly [chain: string, from: number, to: number]
  /** Why the agent could not be asked how far it is: what it has and nobody pulled is then not known. */
  readonly unasked?: string
  readonly findings: readonly { readonly found: string; readonly fromSequence: number; readonly toSequence: number }[]
  readonly epochs: readonly {
    readonly chain: string
    readonly from: number
    readonly journalled: number | null
    readonly through: number
    readonly pulled: number
    readonly wrong: readonly string[]
    readonly sinks: readonly {
      readonly name: string
      readonly delivered: number
      readonly dead: number
      readonly leftOut: number
      readonly discarded: number
      readonly pending: number
      readonly held?: {
        readonly place: string
        readonly matched: number
        readonly repeated: number
        /** After everything that was brought. */
        readonly unlooked: number
      }
      readonly unseen?: string
    }[]
  }[]
}

export interface TrailsReconciled {
  readonly agents: readonly TrailReconciled[]
  /** Of the companion's own trail; absent where it takes nothing out of the machine. */
  readonly own?: TrailReconciled
}

export interface CompanionRequest {
  readonly signal: AbortSignal
  /** One line of a log. */
  readonly tell: (line: {
    readonly atMs: number
    readonly level: 'info' | 'warning' | 'error'
    readonly event: string
    readonly detail: Readonly<Record<string, string | number | null | readonly string[]>>
  }) => void
}

export interface ImagesFetched {
  /** The folder that was filled. */
  readonly directory: string
  readonly channel: string
  /** `name@version` of everything in the list. */
  readonly fetched: readonly string[]
  /** Those that may boot now. */
  readonly boot: readonly string[]
  /** What each was built for, by `name@version`. */
  readonly profiles: ReadonlyMap<string, string>
}

export interface CompanionHost {
  /** Reads the octets of companion.yaml; throws with every finding. */
  readonly configure: (path: string, bytes: Uint8Array) => ConfiguredCompanion
  readonly open: (socket: string) => CompanionHandle
  /**
   * What became of the trails that it takes out of the machine. `received` are files of what the receiver of `sink` has. Throws
   * CLI_NO_SINK.
   */
  readonly reconcile: (
    path: string,
    bytes: Uint8Array,
    asked: { readonly sink?: string; readonly received: readonly string[] },
  ) => Promise<TrailsReconciled>
  /** Takes a signed list of images and their files from a folder (absolute) into that of this host. Throws IMAGE_LIST, BUNDLE_*, MACHINE_IMAGE. */
  readonly fetchImages: (path: string, bytes: Uint8Array, from: string) => Promise<ImagesFetched>
  /** Runs the companion of this host in this process, until the signal is aborted. */
  readonly run: (path: string, bytes: Uint8Array, request: CompanionRequest) => Promise<void>
}
