// What sinks are to the command line: as agent.yaml names them, how far each is, and what a reconciliation found. Values of
// the host interface (host.ts), in a file of their own.

export interface ConfiguredRetention {
  readonly segmentBytes?: number
  readonly segmentMs?: number
  readonly keepBytes?: number
  readonly keepMs?: number
}

export type ConfiguredSink = { readonly name: string } & (
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
      readonly format: 'ndjson' | 'splunk-hec'
      readonly gzip: boolean
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
