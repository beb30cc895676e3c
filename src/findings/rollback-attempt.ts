// `rollback-attempt`: somebody offered what this node had gone past: an older bundle, other content under a number that is
// taken, a replayed or superseded statement, an older trust root. The refusal itself is the verifier's; this makes one finding of
// however many there are.

import type { Fact, Technique } from '../audit/fact.js'
import type { Detector } from './sight.js'

/** Codes of refusals by which somebody tries to move a node back (bundle/errors.ts, agent/errors.ts). */
const ROLLBACKS: ReadonlySet<string> = new Set([
  'BUNDLE_COUNTER_REGRESSION',
  'BUNDLE_COUNTER_CONTENT_MISMATCH',
  'BUNDLE_REPLAYED',
  'BUNDLE_SUPERSEDED',
  'AGENT_ROOT_ROLLED_BACK',
])

const DOWNGRADE: Technique = {
  tactic: { uid: 'TA0005', name: 'Defense Evasion' },
  technique: { uid: 'T1562', name: 'Impair Defenses' },
  subTechnique: { uid: 'T1562.010', name: 'Downgrade Attack' },
}

/** Whether a finding of this kind tells of the fact, so that its own event need not. */
export const isRollback = (fact: Fact): boolean => fact.kind === 'bundle-refused' && ROLLBACKS.has(fact.code)

export const rollbackAttempt = (): Detector<'rollback-attempt'> => ({
  see: (sight) => {
    if (sight.kind !== 'bundle-refused' || !ROLLBACKS.has(sight.code)) return []
    const { atMs, code, say, offered, held } = sight
    const evidence = {
      reason: code,
      ...(offered.bundleId === undefined ? {} : { offered_bundle: offered.bundleId }),
      ...(offered.policyRevision === undefined ? {} : { offered_revision: offered.policyRevision }),
      ...(offered.digest === undefined ? {} : { offered_digest: offered.digest }),
      ...(held ? { held_revision: held.policyRevision, held_digest: held.bundleDigest } : {}),
    }
    return [
      {
        finding: 'rollback-attempt',
        cause: code,
        atMs,
        count: 1,
        subject: { reach: 'node', ...(held ? { policy: held } : {}) },
        beyond: { say, firstAtMs: atMs, count: 1, evidence, technique: DOWNGRADE },
      },
    ]
  },
})
