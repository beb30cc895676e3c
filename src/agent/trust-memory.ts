// What a node remembers beside its marks, so that going back in time does not pay: the latest time it has acted at, the
// highest root it has followed, the newest freshness statement, and quarantines that a break-glass statement has lifted for
// a while. One sealed file like the rest of the state (record.ts); a node that has held a bundle and lost it may not go on.

import type { Json } from '../base/canonical.js'
import type { FreshnessMark } from '../bundle/freshness.js'
import { Fields, seal, unseal } from './record.js'

export const TRUST_FORMAT = 'sluice-trust/1'

/** A quarantine that is lifted until a moment, and then set again as it was. */
export interface Lift {
  readonly workspace: string
  /** Command id of the quarantine. */
  readonly quarantine: string
  readonly reason: string
  readonly by: string
  readonly untilMs: number
}

export interface TrustMemory {
  /** Milliseconds since 1970: no clock reading is believed that lies far before it. */
  readonly clockFloorMs: number
  readonly rootVersion: number
  readonly freshness: FreshnessMark | null
  readonly lifts: readonly Lift[]
}

export const EMPTY_TRUST_MEMORY: TrustMemory = { clockFloorMs: 0, rootVersion: 0, freshness: null, lifts: [] }

export function encodeTrustMemory(memory: TrustMemory): string {
  const { freshness } = memory
  const body = { ...memory, freshness: freshness && { ...freshness, policyRevision: String(freshness.policyRevision) } }
  return seal(TRUST_FORMAT, body as unknown as Json)
}

/** Throws RecordProblem for anything that `encodeTrustMemory` did not write. */
export function decodeTrustMemory(bytes: Uint8Array): TrustMemory {
  const body = new Fields(unseal(bytes, TRUST_FORMAT), 'trust')
  return {
    clockFloorMs: body.count('clockFloorMs'),
    rootVersion: body.count('rootVersion'),
    freshness: body.orNull('freshness', (at) => ({
      epoch: at.count('epoch'),
      policyRevision: BigInt(at.digits('policyRevision')),
      bundleDigest: at.digest('bundleDigest'),
      issuedAtMs: at.count('issuedAtMs'),
      expiresAtMs: at.count('expiresAtMs'),
    })),
    lifts: body.list('lifts', (at) => ({
      workspace: at.text('workspace'),
      quarantine: at.text('quarantine'),
      reason: at.text('reason'),
      by: at.text('by'),
      untilMs: at.count('untilMs'),
    })),
  }
}
