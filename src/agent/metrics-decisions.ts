// The metrics of decisions about actions: how many of each outcome and class of reason, how long they took, and questions that could
// not be answered. Labels are closed lists: classes of reasons and fault codes of this program, never anything from a question.

import { Counter, Histogram, type Registry } from 'prom-client'
import type { AllowReason, Decision, DenyReason } from '../decide/model.js'

export interface DecisionMetrics {
  readonly answered: (decision: Pick<Decision, 'decision' | 'reason'>, elapsedMs: number) => void
  /** The question had no answer. */
  readonly failed: (code: string) => void
}

/** What a reason is about, for a graph: a policy that says no, somebody who may not, a workspace that is fenced off, a question. */
type ReasonClass = 'policy' | 'audit' | 'address' | 'authority' | 'standing' | 'question'

export const REASON_CLASS = {
  rule: 'policy',
  grant: 'policy',
  file: 'policy',
  exec: 'policy',
  user: 'policy',
  audit: 'audit',
  'unknown-workspace': 'standing',
  expired: 'standing',
  quarantined: 'standing',
  suspended: 'standing',
  malformed: 'question',
  'no-grant': 'policy',
  binary: 'policy',
  'no-route': 'policy',
  protocol: 'policy',
  'no-request-rule': 'policy',
  'deny-rule': 'policy',
  'persisted-query': 'policy',
  'response-frame': 'policy',
  'blocked-name': 'address',
  'never-address': 'address',
  reserved: 'address',
  'address-not-granted': 'address',
  'no-volume': 'policy',
  'bad-path': 'policy',
  never: 'policy',
  denied: 'policy',
  'no-rule': 'policy',
  'read-only': 'policy',
  anchored: 'policy',
  digest: 'policy',
  'user-denied': 'policy',
  'group-denied': 'policy',
  'not-delegated': 'authority',
  unregistered: 'authority',
  'rolled-back': 'authority',
  'agent-pending': 'authority',
  'agent-suspended': 'authority',
  'agent-revoked': 'authority',
  'registration-expired': 'authority',
  'other-workspace': 'authority',
  'no-root': 'authority',
  'broken-chain': 'authority',
  'untrusted-issuer': 'authority',
  'delegation-revoked': 'authority',
  'delegation-expired': 'authority',
  'not-narrower': 'authority',
  'too-deep': 'authority',
  'other-actor': 'authority',
} as const satisfies Record<AllowReason | DenyReason, ReasonClass>

export function decisionMetrics(registry: Registry): DecisionMetrics {
  const decisions = new Counter({
    name: 'sluice_decisions_total',
    help: 'Questions about actions that were answered.',
    labelNames: ['decision', 'reason_class'],
    registers: [registry],
  })
  const failures = new Counter({
    name: 'sluice_decision_failures_total',
    help: 'Questions about actions that could not be answered.',
    labelNames: ['code'],
    registers: [registry],
  })
  const duration = new Histogram({
    name: 'sluice_decision_duration_seconds',
    help: 'From a question read to its answer, signed where it was asked for.',
    buckets: [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 1],
    labelNames: ['decision'],
    registers: [registry],
  })
  return {
    answered: ({ decision, reason }, elapsedMs) => {
      decisions.inc({ decision, reason_class: REASON_CLASS[reason] })
      duration.observe({ decision }, Math.max(0, elapsedMs) / 1_000)
    },
    failed: (code) => {
      failures.inc({ code })
    },
  }
}
