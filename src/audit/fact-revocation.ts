// What the receiver of security events did: took one, refused one, or stopped hearing a stream. Values only, like every fact.
// untrusted: what a transmitter says, although it was authenticated.

import type { PolicyContext } from './fact.js'

export type RevocationFact =
  | {
      readonly kind: 'signal-taken'
      readonly atMs: number
      readonly policy?: PolicyContext
      readonly stream: string
      readonly issuer: string
      readonly jti: string
      /** Uniform resource identifier of the event type. */
      readonly type: string
      /** `fenced`, `closed` (sessions alone), `revoked`, `noted`, `alarmed`, `unmapped`, `unknown`, `discarded`, `stream`. */
      readonly outcome: string
      /** Canonical JSON of the subject. */
      readonly subject: string
      readonly from: string
      /** What was fenced. */
      readonly workspaces: readonly string[]
      /** Sessions of the access broker that were closed, each after its workspace: `WORKSPACE#session=ID`. */
      readonly sessions?: readonly string[]
      readonly agents: readonly string[]
      readonly delegations: readonly string[]
      readonly issuedAtMs: number
      /** From the reception to the last fence read back and the last revocation stored. */
      readonly elapsedMs: number
      /** It took longer than this node declares. */
      readonly late: boolean
    }
  | {
      readonly kind: 'signal-refused'
      readonly atMs: number
      readonly stream: string
      readonly from: string
      /** Of RFC 8935. */
      readonly code: string
      readonly why: string
      /** Like refusals folded into this one, itself included. */
      readonly count: number
    }
  | {
      /** A stream can no longer be relied on, or can again: once each. */
      readonly kind: 'stream-silent' | 'stream-heard'
      readonly atMs: number
      readonly stream: string
      /** `silent`, `paused`, `disabled`, `heard`. */
      readonly standing: string
      readonly heardAtMs: number
      /** The workspaces that it may speak of are denied meanwhile. */
      readonly denies: boolean
      /** Where traffic of what runs goes on: what may not begin meanwhile. */
      readonly refuses?: 'starts'
    }
