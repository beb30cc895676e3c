// Decisions as the command line sees them: one question about an action of a workspace, what was answered, and the signed statement
// about an answer, read back. `src/bin` composes them.

export interface DecideRequest {
  readonly workspace: string
  /** JSON in the shape of an identity context. */
  readonly text: string
  /** Whom a signed statement is for; '' asks for none. */
  readonly audience: string
  /** Hexadecimal. */
  readonly nonce: string
}

export interface ObligationView {
  readonly kind: string
  readonly [value: string]: unknown
}

export interface Decided {
  readonly decision: 'allow' | 'deny'
  readonly reason: string
  readonly clause?: string
  readonly place?: string
  readonly obligations: readonly ObligationView[]
  readonly generation: number
  readonly bundleDigest: string
  readonly authority?: {
    readonly agentId: string
    readonly sponsor: string
    readonly taskId: string
    readonly expiresAtMs: number
  }
  /** '' where none was asked for, or nobody could sign. */
  readonly attestation: string
}

/** What a signed decision says. */
export interface DecisionStatementView {
  readonly node: string
  readonly audience: string
  readonly workspace: string
  readonly decision: 'allow' | 'deny'
  readonly reason: string
  readonly agent: string
  readonly task: string
  readonly clause: string
  readonly obligations: readonly ObligationView[]
  readonly question: string
  readonly bundleDigest: string
  readonly generation: number
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}
