// What a backend says about itself on this machine, as data. `place` alone decides from it whether a clause is enforced
// (design section 6); `evaluate` takes the declared differences as its env.

import type { Protocol, SuspectActivity, TrustDomain } from '../policy/model.js'
import type { SlotKind } from './inventory.js'
import type { BackendName } from './model.js'

/** A probe has three answers. Only `yes` and `no` may be cached. */
export type Answer = 'yes' | 'no' | 'could-not-tell'
export interface Probe {
  readonly feature: string
  readonly answer: Answer
  /** What was tried and seen; for `no`, what is lost without it. */
  readonly why: string
}
export interface Probed {
  readonly backend: BackendName
  readonly trustDomain: TrustDomain
  readonly probes: readonly Probe[]
  /** What the device holds at most, by kind, where it ends. */
  readonly limits?: Readonly<Record<string, number>>
}

/** What a backend does about processes, and in which slots. */
export interface ProcessOffer {
  /** `blocks`: before it runs. `detects`: tells of what ran. */
  readonly exec: 'blocks' | 'detects'
  readonly slots: readonly SlotKind[]
  /** What it recognizes in what runs. */
  readonly activities: readonly SuspectActivity[]
  /** Sees as whom something runs. */
  readonly users: boolean
  /** Sees the content of executables, for those that are pinned by digest. */
  readonly digests: boolean
}

/** What a backend can enforce on this machine, as data. `place` alone decides from it. */
export interface Capabilities {
  readonly backend: BackendName
  /** False when a feature that the backend cannot do without answered `no` or `could-not-tell`; `why` says which. */
  readonly usable: boolean
  readonly why: string
  readonly trustDomain: TrustDomain
  readonly slots: readonly SlotKind[]
  readonly protocols: readonly Protocol[]
  readonly egress: boolean
  readonly ingress: boolean
  /** Grants learnt from names. */
  readonly names: boolean
  readonly quotas: boolean
  readonly storage: boolean
  /** A volume reaches its workspace by a function of a card, which the inventory has to name. Absent: by a mount. */
  readonly volumes?: 'functions'
  /** Judges files only for workspaces in these slots, where the files lie. Absent: serves volumes to whatever has the mount. */
  readonly storageSlots?: readonly SlotKind[]
  /** False: knows nothing of processes. */
  readonly process: false | ProcessOffer
  readonly maxGrantsPerWorkspace: number
  /** What one plan may need at most, by kind (capacity.ts). Absent: only memory bounds it. */
  readonly room?: Readonly<Record<string, number>>
  readonly commit: 'atomic' | 'make-before-break' | 'lossy'
  /** When a workspace learns that a flow was cut. */
  readonly cutNotice: 'immediate' | 'next-packet'
  /** What the backend does differently from `evaluate`'s exact rules; `evaluate` takes these as env. */
  readonly replies: 'stateful' | 'stateless'
  readonly icmpErrors: 'exact' | 'lagging' | 'dropped'
  /** `none`: every packet is judged by the grants alone. `ports`: echo is, and what has ports by its flow. */
  readonly flowState: 'exact' | 'conntrack' | 'ports' | 'none'
  /**
   * Where the node itself translates a workspace's addresses: fragments of replies are put together before they can be told for
   * replies, and judged as one packet. Absent: nothing is translated, or fragments are refused all the same.
   */
  readonly translated?: 'reassembled'
  /**
   * `as-read`: options, extension headers and lengths cannot be seen, and a packet with any of them is judged by the addresses
   * and ports that can be read of it. Absent: it is dropped.
   */
  readonly unsound?: 'as-read'
  readonly deadline: 'exact' | 'element-timeout' | 'none'
  /** Who is refused hears nothing and times out. Absent: fails at once (design section 5, step 8). */
  readonly refusals?: 'silent'
  /**
   * `counted`: refused packets are counted by reason, and none is shown. `unallowed`: shown are those of sound packets that no grant
   * allows; spoofed, malformed and quarantined ones are counted. Absent: all are reported, rate-limited.
   */
  readonly denials?: 'counted' | 'unallowed'
  /** Lets through and reports what nothing grants, and ends that by itself, in the kernel (observe.ts). Absent: it cannot. */
  readonly observes?: true
  /** Holds which peers have a session open, and ends each by itself, in the kernel (sessions.ts). Absent: it cannot. */
  readonly sessions?: true
  /** The fence goes with the process that holds it; traffic stops until it is rebuilt. Absent: it stands without one. */
  readonly lifetime?: 'process'
}
