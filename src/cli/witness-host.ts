// The effects behind `sluice audit`, `sluice receipt` and `sluice evidence`, as the command line sees them: what was written
// or signed by an agent, read and judged. `src/bin` composes them.

import type { Configured } from './host.js'
import type { WorkspacesKilled } from './host-companion.js'
import type { DecisionStatementView } from './host-decisions.js'
import type { SinkReconciled } from './host-sinks.js'

/** Where a journal lies, and by which keys its seals count. */
export interface JournalPlace {
  readonly eventsFile: string
  /** A trust root, or the public keys of an agent; absent: those in the state directory, if there are any. */
  readonly keys?: { readonly file: string; readonly bytes: Uint8Array }
  /** Has the agent's own key and the mark. */
  readonly stateDirectory?: string
  /** It is what a sink got that members are kept back from. */
  readonly redacted?: boolean
}

export interface JournalReport {
  readonly events: number
  readonly segments: number
  readonly sealed: number
  readonly sealsChecked: boolean
  readonly firstSequence: number
  readonly lastSequence: number
  readonly sealedThrough: number
  /** Events whose members were kept back: nothing holds what they say. */
  readonly redacted: number
  readonly intact: boolean
  readonly findings: readonly {
    readonly kind: string
    readonly file: string
    readonly line: number
    readonly sequence: number
    readonly say: string
  }[]
  readonly furtherFindings: number
}

export interface JournalFilter {
  readonly workspace?: string
  readonly clause?: string
  readonly sinceMs?: number
  readonly untilMs?: number
  readonly dispositions?: readonly number[]
  readonly classes?: readonly number[]
  readonly findings?: readonly string[]
  readonly after?: number
}

export interface JournalEvent {
  /** One OCSF event as JSON, as it stands in the journal. */
  readonly text: string
  readonly sequence: number
  readonly event: Readonly<Record<string, unknown>>
}

export interface ReceiptView {
  readonly node: string
  readonly action: string
  readonly workspace: string
  readonly by: string
  readonly reason: string
  readonly askedAtMs: number
  readonly fencedAtMs: number
  readonly elapsedMs: number
  readonly quietFromMs: number | null
  readonly flowsCut?: number
  readonly lastByteAtMs?: number
  /** Why a member is absent. */
  readonly unknown: { readonly flowsCut?: string; readonly lastByteAtMs?: string }
  readonly generation: number
  readonly backends: readonly string[]
  readonly volumes?: readonly {
    readonly name: string
    readonly denied: boolean
    readonly openFiles?: number
    readonly lasting?: number
    readonly left?: true
  }[]
}

/** The report of the kill switch, and what is known of its fences beside the companion's word. */
export interface KillView extends WorkspacesKilled {
  readonly companion: string
  readonly requestId: string
  readonly by: string
  readonly reason: string
  readonly target: { readonly kind: string }
  readonly fences: readonly {
    readonly workspace: string
    readonly proved: boolean
    readonly why?: string
    readonly receipt?: ReceiptView
  }[]
}

/** Where a fence hangs, and who judges there. */
export interface AnchorView {
  readonly emulated: boolean
  readonly hooks: readonly {
    readonly hook: string
    readonly on: string
    readonly owner:
      | { readonly kind: 'program'; readonly id: number; readonly tag: string }
      | { readonly kind: 'chain'; readonly name: string; readonly handle: number }
      | { readonly kind: 'entry'; readonly handle: string }
      | { readonly kind: 'rules'; readonly digest: string }
  }[]
  readonly objects: readonly unknown[]
}

/** What verified evidence says, as far as it is printed. */
export interface EvidenceView {
  readonly outerFence: {
    readonly generation: string
    readonly established: readonly string[]
    readonly evidenceDigest: string
  }
  readonly evidence: {
    readonly node: string
    readonly madeAtMs: number
    readonly expiresAtMs: number
    readonly generation: number
    readonly planDigest: string | null
    readonly source: {
      readonly bundleId: string
      readonly bundleDigest: string
      readonly policyRevision: string
    } | null
    readonly attachments: readonly {
      readonly workspace: string
      readonly representor: string
      readonly backend: string
      readonly trustDomain: string
      readonly attachmentId: string
      readonly leaseGeneration: number
      readonly anchor: AnchorView | null
      readonly storage?: { readonly anchor: AnchorView | null }
      readonly process?: {
        readonly blocks?: { readonly anchor: AnchorView | null }
        readonly detects?: { readonly anchor: AnchorView | null }
      }
    }[]
    readonly canaries: readonly {
      readonly backend: string
      readonly defaultDeny: { readonly countedDrops: number }
      readonly install: { readonly elapsedMs: number }
      readonly revoke: { readonly cutMs: number | null }
    }[]
  }
}

export interface WitnessHost {
  /** untrusted: the token. `question` is what was asked, as JSON. */
  readonly verifyDecision: (
    token: string,
    keys: { readonly file: string; readonly bytes: Uint8Array },
    asked: { readonly audience: string; readonly nowMs: number; readonly question?: string; readonly nonce?: string },
  ) => Promise<DecisionStatementView>
  verifyJournal(place: JournalPlace): Promise<JournalReport>
  /** Counts lines that are no events in `unreadable`. */
  queryJournal(eventsFile: string, filter: JournalFilter, unreadable: () => void): AsyncIterable<JournalEvent>
  /** Closes and seals the live segment; undefined when there is nothing in it. */
  sealJournal(
    config: Configured,
  ): Promise<{ readonly segment: number; readonly events: number; readonly lastSequence: number } | undefined>
  /** Every sink, or the one that is named, against the journal; `received` are files of what it has. Throws CLI_NO_SINK. */
  reconcileSinks(
    config: Configured,
    asked: { readonly sink?: string; readonly received: readonly string[] },
  ): Promise<readonly SinkReconciled[]>
  /** Of a quarantine or a lift, or of the kill switch, where `agents` are keys of the agents whose receipts are in it. */
  verifyReceipt(
    token: string,
    keys: { readonly file: string; readonly bytes: Uint8Array },
    agents?: { readonly file: string; readonly bytes: Uint8Array },
  ): Promise<ReceiptView | KillView>
  /** A compact JWS with a line feed. */
  makeEvidence(config: Configured, asked: { readonly nonce: string; readonly audience: string }): Promise<string>
  verifyEvidence(
    token: string,
    keys: { readonly file: string; readonly bytes: Uint8Array },
    asked: { readonly audience: string; readonly nonce: string; readonly nowMs: number },
  ): Promise<EvidenceView>
}
