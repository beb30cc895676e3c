// What observe mode gives to tell: a flow that passed although nothing grants it, and that a workspace begins or ends to be
// observed. Values only, like every fact.

import type { FlowEnds, PolicyContext, WorkspaceContext } from './fact.js'

export interface FlowObserved {
  readonly kind: 'flow-observed'
  readonly atMs: number
  readonly firstAtMs: number
  readonly policy?: PolicyContext
  readonly workspace: WorkspaceContext
  readonly flow: FlowEnds
  /** What it would have been refused for. */
  readonly reason: string
  readonly backend: string
  /** What was folded into this one, itself included: flows that began, and flows that were answered for the first time. */
  readonly count: number
  readonly begun: number
  readonly answered: number
  /** They went to several destinations; `flow` is the first of them. */
  readonly mixed?: true
}

export interface ObserveChange {
  readonly kind: 'observe-begun' | 'observe-ended'
  readonly atMs: number
  readonly policy: PolicyContext
  readonly workspace: WorkspaceContext
  /** Milliseconds since 1970. */
  readonly untilMs: number
  /** `activated`, `time`, or `replaced` by a plan without it. */
  readonly reason: 'activated' | 'time' | 'replaced'
}

export type ObserveFact = FlowObserved | ObserveChange
