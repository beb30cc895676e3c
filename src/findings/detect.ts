// The story of findings: a sight goes to every detector that is wanted, its signs go to their causes, and what comes out is to be
// told. Pure but for what it remembers, within bounds; time comes with each sight and with each look at what is due.

import { Causes, type Found, type OpenCause } from './causes.js'
import { denialBurst } from './denial-burst.js'
import { dnsEntropy } from './dns-entropy.js'
import { lifecycleRate } from './lifecycle-rate.js'
import { newDestination } from './new-destination.js'
import { rollbackAttempt } from './rollback-attempt.js'
import type { Detector, Sight, Sign } from './sight.js'
import { FINDING_KINDS, type FindingKind, type FindingTerms, reactionsOf } from './terms.js'

const DETECTORS: { readonly [K in FindingKind]: (terms: FindingTerms) => Detector<K> } = {
  'denial-burst': (terms) => denialBurst(terms.denialBurst),
  'new-destination': (terms) => newDestination(terms.newDestination),
  'dns-entropy': (terms) => dnsEntropy(terms.dnsEntropy),
  'lifecycle-rate': (terms) => lifecycleRate(terms.lifecycleRate),
  'rollback-attempt': () => rollbackAttempt(),
}

export class Detection {
  private readonly detectors: readonly Detector<FindingKind>[]
  private readonly causes: Causes<FindingKind>

  constructor(node: string, terms: FindingTerms) {
    const reactions = reactionsOf(terms)
    this.detectors = FINDING_KINDS.filter((kind) => reactions[kind] !== 'off').map((kind) => DETECTORS[kind](terms))
    this.causes = new Causes(node, terms.cooldownMs)
  }

  see(sight: Sight): readonly Found<FindingKind>[] {
    // Somebody has looked at what was before, and let the workspace out all the same. Not so where it is told late: what is remembered
    // here came after it.
    if (sight.kind === 'quarantine-lifted' && !sight.isLate) this.forget(sight.workspace.workspace)
    return this.detectors.flatMap((detector) => this.take(detector.see(sight)))
  }

  /** Signs of somebody who judges by other means. */
  take(signs: readonly Sign<FindingKind>[]): readonly Found<FindingKind>[] {
    return signs.flatMap((sign) => this.causes.take(sign))
  }

  due(nowMs: number): readonly Found<FindingKind>[] {
    return this.causes.due(nowMs)
  }

  private forget(workspace: string): void {
    for (const detector of this.detectors) detector.forget?.(workspace)
    this.causes.forget(workspace)
  }

  open(): readonly OpenCause<FindingKind>[] {
    return this.causes.list()
  }
}
