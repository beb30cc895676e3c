// The contract of every transport: from a place somewhere else to octets in memory, within limits, and nothing more. What
// comes back is untrusted; bundle/verify decides. A transport never follows what it was not told to: no other host, no
// other ref, no hook, no link.
//
// One pass brings everything that a channel has to say: the bundle unless it is the one that is held, the roots after the
// one that is trusted, and the newest freshness statement, which is asked for even when the bundle is unchanged.

import type { BundleBytes } from '../../bundle/model.js'

/** What the caller has already. */
export interface Since {
  /** As an earlier delivery gave it; absent: deliver whatever is there. */
  readonly tag?: string
  /** Version of the trusted root: the next ones are asked for, one by one. Absent: none is. */
  readonly rootVersion?: number
}

// untrusted: every octet
interface News {
  /** Statements of later roots, oldest first. */
  readonly roots: readonly Uint8Array[]
  readonly freshness?: Uint8Array
}
export type Fetched =
  | (News & { readonly kind: 'unchanged' })
  | (News & {
      readonly kind: 'delivered'
      readonly bundle: BundleBytes
      /** Opaque; for the next `Since`. */
      readonly tag: string
    })

/** What a channel is given. Absent parts are left as they are there. */
export interface Parcelled {
  readonly bundle?: BundleBytes
  readonly freshness?: Uint8Array
  readonly roots?: readonly { readonly version: number; readonly statement: Uint8Array }[]
}

/** Octets done of those known so far, for a progress line. */
export interface ProgressReport {
  readonly what: string
  readonly done: number
  readonly total: number
  /** The octets were there already and did not travel. */
  readonly reused?: boolean
}
export type OnProgress = (report: ProgressReport) => void

export interface Transport {
  /** For people: where it goes. */
  readonly name: string
  /** Throws TRANSPORT_*. */
  fetch(channel: string, since: Since): Promise<Fetched>
  /** Throws TRANSPORT_*. A transport that only reads throws TRANSPORT_SOURCE. */
  push(channel: string, parcel: Parcelled): Promise<void>
  /**
   * Calls back, until the returned function is called, when there may be news: a hint, which may be missed or be nothing.
   * Absent, or undefined, where nothing can be heard (yet).
   */
  watch?(channel: string, changed: () => void): (() => void) | undefined
  close(): void
}

/** Milliseconds and octets a second (bundle-trust sheet section 10). */
export interface Deadlines {
  readonly connectMs: number
  readonly idleMs: number
  readonly totalMs: number
  /** Averaged from the first octet; not judged before `rateGraceMs` are over. */
  readonly minBytesPerSecond: number
  readonly rateGraceMs: number
}
export const DEADLINES: Deadlines = {
  connectMs: 5_000,
  idleMs: 10_000,
  totalMs: 60_000,
  minBytesPerSecond: 1_024,
  rateGraceMs: 5_000,
}
