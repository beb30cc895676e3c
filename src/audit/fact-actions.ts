// What is told of decisions about actions: a denial, with everything like it that was folded into it. A part of `Fact` (fact.ts).

import type { PolicyContext, WorkspaceContext } from './fact.js'

export interface ActionDenied {
  readonly kind: 'action-denied'
  readonly atMs: number
  readonly policy: PolicyContext
  readonly workspace: WorkspaceContext
  readonly action: 'request' | 'connect' | 'file' | 'exec' | 'run-as'
  /** untrusted: what was to be done, and to what. */
  readonly operation: string
  readonly resource: string
  readonly reason: string
  /** Absent where no clause decided. */
  readonly clause?: string
  /** untrusted where no record vouched for it: the logical agent that was named, and its task. */
  readonly agent?: string
  readonly task?: string
  /** untrusted: the program that acts. */
  readonly executable?: string
  /** untrusted: of the questions that were folded into this one, the first different ones. */
  readonly traceIds: readonly string[]
  /** Like denials folded into this one, itself included. */
  readonly count: number
  readonly firstAtMs: number
  /** They were about several resources; `resource` is the first of them. */
  readonly mixed?: true
}
