// What happened, in our words. Modules emit facts; `ocsf/` maps each kind to strictly valid OCSF events (one, or two where
// an attack or a quarantine asks for a second). Facts carry values only: no event ids, no sequence numbers, no schema words. Times are milliseconds since 1970.

import type { Digest } from '../base/digest.js'
import type { ActionDenied } from './fact-actions.js'
import type { TrailBroken } from './fact-export.js'
import type { LifecycleFact } from './fact-lifecycle.js'
import type { ObserveFact } from './fact-observe.js'
import type { ProcessFact } from './fact-process.js'
import type { RevocationFact } from './fact-revocation.js'
import type { SessionFact } from './fact-session.js'

/** Which policy a fact speaks of. Every event carries it (design section 8). */
export interface PolicyContext {
  readonly bundleId: string
  readonly bundleDigest: Digest
  readonly policyRevision: string
  readonly generation: number
}

/** The workspace and its attachment. */
export interface WorkspaceContext {
  readonly workspace: string
  readonly attachmentId: string
  readonly interface: string
}

/** Of one sink: the last event that is settled, and counts of what is not, will never be, and was refused. */
export interface SinkCounts {
  readonly sink: string
  readonly sequence: number
  readonly lag: number
  readonly discarded: number
  readonly dead: number
}

/** MITRE ATT&CK, where one technique is plainly meant. */
export interface Technique {
  readonly tactic: { readonly uid: string; readonly name: string }
  readonly technique: { readonly uid: string; readonly name: string }
  readonly subTechnique?: { readonly uid: string; readonly name: string }
}

interface FactBase {
  readonly atMs: number
}

export interface FlowEnds {
  readonly direction: 'egress' | 'ingress'
  /** IANA protocol number. */
  readonly protocol: number
  readonly source: string
  readonly sourcePort?: number
  readonly destination: string
  readonly destinationPort?: number
}

/** Of the DNS mediator. untrusted: name and type. */
interface NameBase extends FactBase {
  /** Absent while nothing is held. */
  readonly policy?: PolicyContext
  readonly workspace: WorkspaceContext
  readonly name: string
  /** Like events folded into this one, itself included; `mixed`: they were about several names, of which this is the first. */
  readonly count: number
  readonly firstAtMs: number
  readonly mixed?: true
}

/** Both ends of a question. */
export interface QuestionEnds {
  readonly source: string
  readonly sourcePort: number
  /** The fence's address that was asked. */
  readonly destination: string
  readonly transport: 'udp' | 'tcp'
}

export type NameFact =
  | (NameBase & {
      readonly kind: 'name-refused'
      readonly ends: QuestionEnds
      readonly type: string
      readonly reason: string
      readonly rcode: 'REFUSED' | 'SERVFAIL'
      /** Addresses of an answer that were kept back. */
      readonly withheld: readonly string[]
      /** The name that has such an address already, where two may not share one. */
      readonly other?: string
    })
  | (NameBase & {
      readonly kind: 'name-granted'
      readonly ends: QuestionEnds
      readonly type: string
      readonly clauses: readonly string[]
      readonly addresses: readonly { readonly address: string; readonly ttlSeconds: number }[]
      /** Names that the policy tells apart and that have one of these addresses too, as it accepts. */
      readonly sharedWith: readonly string[]
      readonly upstream: string
      readonly validated: boolean
      /** From the upstream's answer to the grant read back. */
      readonly heldMs: number
    })
  | (NameBase & {
      readonly kind: 'name-evicted'
      readonly clauses: readonly string[]
      readonly address: string
    })

export type Fact =
  | NameFact
  | ActionDenied
  | ObserveFact
  | ProcessFact
  | RevocationFact
  | SessionFact
  | LifecycleFact
  | TrailBroken
  | (FactBase & {
      readonly kind: 'bundle-verified'
      readonly policy: Omit<PolicyContext, 'generation'>
      readonly channel: string
      readonly signers: readonly string[]
    })
  | (FactBase & {
      readonly kind: 'bundle-refused'
      readonly code: string
      readonly say: string
      /** What could be read of the offered bundle; untrusted. */
      readonly offered: { readonly bundleId?: string; readonly digest?: Digest; readonly policyRevision?: string }
      /** What stays live. */
      readonly held?: PolicyContext
      /** Forged, replayed or rolled back, as opposed to merely wrong: raises a finding. */
      readonly attack: boolean
      /** A fact `finding` tells of it: none is raised for it alone. */
      readonly told?: true
    })
  | (FactBase & {
      readonly kind: 'bundle-activated'
      readonly policy: PolicyContext
      readonly replaced?: PolicyContext
      readonly backend: string
      /** Every backend has switched, and this is why it could not be read back, or put on record. */
      readonly unseen?: string
    })
  | (FactBase & {
      readonly kind: 'flow-allowed'
      readonly policy: PolicyContext
      readonly workspace: WorkspaceContext
      readonly flow: FlowEnds
      readonly clause: string
      readonly clauseName: string
      readonly grant: string
      readonly backend: string
      /** Present when the counters moved rather than one packet being seen. */
      readonly traffic?: { readonly packets: number; readonly bytes: number }
    })
  | (FactBase & {
      readonly kind: 'flow-denied'
      /** Absent while nothing is held: a node that never had a bundle denies everything. */
      readonly policy?: PolicyContext
      readonly workspace: WorkspaceContext
      readonly flow: FlowEnds
      readonly reason: string
      readonly backend: string
      /** How it was refused: silently, or so that the client fails at once. */
      readonly refusal: 'dropped' | 'reset'
      /** Like refusals folded into this one, itself included. */
      readonly count: number
      readonly firstAtMs: number
      /** The refusals folded into this one went to several destinations; `flow` is the first of them. */
      readonly mixed?: true
    })
  | (FactBase & {
      /** An operation on a file of a volume was refused. untrusted: the path. */
      readonly kind: 'file-denied'
      readonly policy?: PolicyContext
      readonly workspace: WorkspaceContext
      readonly backend: string
      readonly volume: string
      readonly operation: string
      readonly path: string
      readonly reason: string
      /** That denies, or grants less; absent where no clause speaks of the path. */
      readonly clause?: string
      /** As the node knows them, of the first of these. */
      readonly uid: number
      readonly pid: number
      /** Like refusals folded into this one, itself included. */
      readonly count: number
    })
  | (FactBase & {
      readonly kind: 'quarantine-set' | 'quarantine-lifted'
      readonly policy?: PolicyContext
      readonly workspace: WorkspaceContext
      readonly by: string
      readonly reason: string
      readonly commandId: string
      /** From the command's acceptance to the fence read back; absent where the process that knew it died. */
      readonly elapsedMs?: number
      /** Of the signed receipt. */
      readonly receipt?: Digest
      /** It was done in an earlier life of the node, at `atMs`, and is told now. */
      readonly isLate?: true
    })
  | (FactBase & {
      /** `expired` or `stale`: the active bundle no longer holds; `confirmed`: it does again, or a newer one. */
      readonly kind: 'workspace-suspended' | 'workspace-resumed'
      readonly policy: PolicyContext
      readonly workspace: WorkspaceContext
      readonly reason: string
    })
  | (FactBase & {
      /** Somebody else changed what the fence rests on. `policy` is what should be live, `findings` what is different. */
      readonly kind: 'drift-found'
      readonly policy: PolicyContext
      readonly findings: readonly string[]
      /** Generations that were live when it was found, by backend; null where there was none. */
      readonly live: readonly { readonly backend: string; readonly generation: number | null }[]
    })
  | (FactBase & {
      /** The plan is live again, read back. `policy` has the generation that it has now. */
      readonly kind: 'drift-repaired'
      readonly policy: PolicyContext
      readonly replaced: PolicyContext
      readonly elapsedMs: number
    })
  | (FactBase & {
      readonly kind: 'workspace-attached' | 'workspace-detached'
      readonly policy?: PolicyContext
      readonly workspace: WorkspaceContext
      readonly by: string
      /** Number of the tenure; the next one is higher. */
      readonly leaseGeneration: number
      /** From the command's acceptance to the fence read back. */
      readonly elapsedMs: number
    })
  | (FactBase & {
      readonly kind: 'breakglass-used'
      readonly policy?: PolicyContext
      readonly workspace: WorkspaceContext
      readonly action: 'quarantine' | 'lift'
      /** Key ids. */
      readonly signers: readonly string[]
      readonly reason: string
      /** For a lift, when the quarantine is back. */
      readonly untilMs: number
    })
  | (FactBase & {
      /** An operator gave up a protection so that the node can go on. */
      readonly kind: 'node-recovered'
      readonly what: 'clock' | 'state'
      readonly by: string
      readonly reason: string
    })
  | (FactBase & {
      /** What the trail shows together looks like somebody at work: one for each cause, and updates of the same while it goes on. */
      readonly kind: 'finding'
      /** Which detector: `denial-burst`. */
      readonly finding: string
      /** The same in everything that is told of one cause. */
      readonly uid: string
      readonly news: 'created' | 'updated'
      readonly title: string
      readonly severity: 'low' | 'medium' | 'high' | 'critical'
      readonly confidence: 'low' | 'medium' | 'high'
      /** What a person does next. */
      readonly remedy: string
      /** One sentence with the numbers. */
      readonly say: string
      readonly policy?: PolicyContext
      /** Absent: it is about the node, or about a caller. */
      readonly workspace?: WorkspaceContext
      /** Whose calls gave cause for it. */
      readonly caller?: string
      readonly firstAtMs: number
      /** Of what it counts, since then. */
      readonly count: number
      /** Events that gave cause for it have higher sequence numbers than this. */
      readonly afterSequence: number
      readonly evidence: Readonly<Record<string, string | number | readonly string[]>>
      readonly technique?: Technique
      readonly reaction: 'observe' | 'quarantine' | 'kill'
      /** What became of it. `observed`: nothing was to be done; `fenced`: to be killed, and ending it is not this node's. */
      readonly outcome: 'observed' | 'done' | 'fenced' | 'failed'
      /** Of the reaction's commands: events and receipts carry them too. */
      readonly commandIds: readonly string[]
    })
  | (FactBase & {
      /** Something of the trail itself is missing: never silently. */
      readonly kind: 'audit-lost'
      /** `torn-tail`: cut from the journal's end after a crash. `unwritten`: the disk refused it. `unreported`: refusals
       * that the backend saw and could not report. `removed`: was in the journal before and is there no more.
       * `undelivered`: the journal retired it before `sink` took it. */
      readonly cause: 'torn-tail' | 'unwritten' | 'unreported' | 'removed' | 'undelivered'
      /** Octets for `torn-tail`, events otherwise. */
      readonly lost: number
      readonly sink?: string
    })
  | (FactBase & {
      /** A sink has failed for a while, or works again: once each. What it did not take waits in the journal. */
      readonly kind: 'sink-failing' | 'sink-recovered'
      readonly sink: string
      readonly type: string
      /** The last event that is settled, and how many of the journal are not. */
      readonly sequence: number
      readonly lag: number
      /** Events in all that were retired before the sink took them, and that it refused for good. */
      readonly discarded: number
      readonly dead: number
      /** Since the first failure. */
      readonly elapsedMs: number
      /** What it failed with; untrusted. */
      readonly why: string
    })
  | (FactBase & {
      /** A segment of the journal is closed, and its seal lies beside it. */
      readonly kind: 'journal-closed'
      readonly segment: number
      readonly events: number
      readonly firstSequence: number
      readonly lastSequence: number
      /** Of its last event. */
      readonly fingerprint: string
    })
  | (FactBase & {
      /** A segment could not be sealed: from this line on, its events do not follow one another. */
      readonly kind: 'journal-damaged'
      readonly segment: number
      readonly line: number
      /** What the line says of itself; 0 when it says nothing. */
      readonly sequence: number
    })
  | (FactBase & {
      /** Closed segments that are beyond what is kept; told before they go. */
      readonly kind: 'journal-retired'
      readonly fromSegment: number
      readonly toSegment: number
      readonly lastSequence: number
    })
  | (FactBase & {
      /** That the agent is there, and how far the trail has come: whoever gets later events and not these knows of a gap. */
      readonly kind: 'heartbeat'
      /** The last sequence number on disk. */
      readonly lastSequence: number
      /** Events that were lost since the agent started. */
      readonly lost: number
      readonly policy?: PolicyContext
      /** How far each sink is, and what it never got. */
      readonly sinks?: readonly SinkCounts[]
    })

/** The fact of one kind. `Extract` would lose the two kinds that share one shape. */
export type FactOf<K extends Fact['kind'], F = Fact> = F extends { readonly kind: infer J }
  ? [K] extends [J]
    ? F
    : never
  : never
