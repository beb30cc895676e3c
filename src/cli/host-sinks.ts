// What sinks are to the command line: as agent.yaml names them, how far each is, and what a reconciliation found. Values of
// the host interface (host.ts), in a file of their own.

export interface ConfiguredRetention {
  readonly segmentBytes?: number
  readonly segmentMs?: number
  readonly keepBytes?: number
  readonly keepMs?: number
}

export type ConfiguredSink = {
  readonly name: string
  /** Which events it gets. */
  readonly select?: { readonly classes?: readonly number[]; readonly minSeverity?: number }
  /** Members whose values it does not get. */
  readonly redact?: readonly string[]
} & (
  | {
      readonly kind: 'file'
      readonly path: string
      readonly rotateBytes: number
      readonly rotateMs: number
      readonly keepFiles: number
      readonly sync: 'batch' | 'never'
    }
  | {
      readonly kind: 'http'
      readonly url: string
      readonly format: 'ndjson' | 'splunk-hec' | 'otlp'
      readonly gzip: boolean
      readonly tokenFile?: string
      readonly caFile?: string
      readonly certificateFile?: string
      readonly keyFile?: string
    }
  | {
      readonly kind: 'syslog'
      readonly server: { readonly host: string; readonly port: number }
      readonly facility: number
      readonly caFile?: string
      readonly certificateFile?: string
      readonly keyFile?: string
    }
  | {
      readonly kind: 'nats'
      readonly servers: readonly string[]
      readonly stream: string
      readonly subject: string
      readonly credentialsFile?: string
      readonly tokenFile?: string
      readonly caFile?: string
      readonly certificateFile?: string
      readonly keyFile?: string
    }
)

/** How far a sink is. */
export interface SinkView {
  readonly name: string
  readonly kind: string
  /** `stopped`: no agent runs, and this is how far it came. */
  readonly state: 'delivering' | 'waiting' | 'failing' | 'stopped'
  /** The last event that is settled, and how many of the journal are not. */
  readonly sequence: number
  readonly lag: number
  readonly delivered: number
  /** Refused by the receiver for good, and kept beside the cursor. */
  readonly dead: number
  /** Not wanted by the sink's own filter. */
  readonly leftOut: number
  /** Gone from the journal before they were delivered. */
  readonly discarded: number
  readonly failures: number
  readonly error?: string
}

/** What the journal, the cursor of a sink and what it has say together. */
export interface SinkReconciled {
  readonly sink: SinkView
  /** Everything after this event counts for the sink. */
  readonly from: number
  /** The newest event of the journal. */
  readonly journalled: number
  /** What was held against the journal; absent when there was nothing to look at. */
  readonly held?: {
    /** Where: `2 files`, `stream SLUICE`. */
    readonly place: string
    readonly files: number
    /** The events that the journal still has, against which it was held. */
    readonly first: number
    readonly last: number
    readonly matched: number
    readonly repeated: number
    readonly missing: number
    readonly missingRanges: readonly (readonly [from: number, to: number])[]
    /** The journal went on, and they came, while it was looked at. */
    readonly newer: number
    /** Delivered by now, and after everything that was brought. */
    readonly unlooked: number
    readonly foreign: number
    readonly older: number
    readonly outOfOrder: number
    readonly unreadable: number
  }
  /** Why a receiver that could be looked at was not. */
  readonly unseen?: string
}
