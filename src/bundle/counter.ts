// The content-bound high-water mark (bundle-trust sheet section 1): which revision may follow the one that is held. Used
// for bundles and, with the same rules, for inventories. An epoch, signed into the root, restarts the count.

import type { Digest } from '../base/digest.js'
import { LIMITS } from '../base/limits.js'
import { bundleFault } from './errors.js'

export interface Count {
  readonly epoch: number
  readonly revision: bigint
  readonly digest: Digest
}

/**
 * Throws BUNDLE_EPOCH, BUNDLE_COUNTER_REGRESSION, BUNDLE_COUNTER_CONTENT_MISMATCH or BUNDLE_COUNTER_JUMP unless
 * `candidate` may follow `held`. The same revision with the same content is a restart and passes.
 */
export function requireProgress(what: string, candidate: Count, held: Count | undefined, rootEpoch: number): void {
  if (candidate.epoch !== rootEpoch)
    throw bundleFault('BUNDLE_EPOCH', { what, epoch: candidate.epoch, root: rootEpoch })
  if (held === undefined) return
  const revision = String(candidate.revision)
  const shown = held.epoch === candidate.epoch ? String(held.revision) : `${held.revision} of epoch ${held.epoch}`
  if (candidate.epoch < held.epoch) throw bundleFault('BUNDLE_COUNTER_REGRESSION', { what, revision, held: shown })
  if (candidate.epoch > held.epoch) return
  if (candidate.revision < held.revision)
    throw bundleFault('BUNDLE_COUNTER_REGRESSION', { what, revision, held: shown })
  if (candidate.revision === held.revision && candidate.digest !== held.digest)
    throw bundleFault('BUNDLE_COUNTER_CONTENT_MISMATCH', { what, revision })
  const limit = LIMITS.revisionJump
  if (candidate.revision - held.revision > limit)
    throw bundleFault('BUNDLE_COUNTER_JUMP', { what, revision, held: shown, limit: String(limit) })
}
