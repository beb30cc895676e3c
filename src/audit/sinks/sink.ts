// The contract of a sink: somewhere outside that takes the lines of the journal in order, at least once. The journal on disk
// is the spool; a cursor (cursor.ts) says how far a sink is, and moves only after the sink took a batch. So a crash between
// the two repeats events, never leaves one out, and what is repeated has the same `metadata.uid`.

/** One event of the journal. */
export interface SinkLine {
  /** UUID of the chain that it is a link of. */
  readonly chain: string
  readonly sequence: number
  /** `metadata.uid`: the same when it is delivered again. */
  readonly uid: string
  /** One OCSF event as JSON, without a line feed. */
  readonly text: string
}

/** Which event it is, without what it says. */
export type SinkPlace = Omit<SinkLine, 'text'>

export interface Sink {
  /**
   * Resolves when the receiver has all of them for good; a batch is never empty. Rejects with AUDIT_SINK_UNAVAILABLE (try all
   * of it again) or AUDIT_SINK_REFUSED (at least one of them will never be taken); whatever else it rejects with counts as
   * unavailable. Aborted by the signal it rejects soon.
   */
  deliver(lines: readonly SinkLine[], signal: AbortSignal): Promise<void>
  /**
   * The last event that is there, where the sink itself can tell: nothing up to it is delivered again, if the journal has that very
   * event under that number. // untrusted: whoever may write there may say anything.
   */
  last?(): Promise<SinkPlace | undefined>
  close(): Promise<void>
}
