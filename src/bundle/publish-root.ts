// The next root: version N+1 with keys added, taken out or revoked, new thresholds, a later expiry, a new epoch. Gives the
// document to sign; it counts when thresholds of the old root's keys and of its own have signed (TUF 1.0.34 section 5.3.4).
//
// A revoked key is taken out and its public key can never be enrolled again. A new epoch restarts every counter: it is the
// way out of a burnt revision (fast-forward), and a lost high-water mark.

import { base64url, utf8 } from '../base/bytes.js'
import { canonicalize } from '../base/canonical.js'
import { bundleFault } from './errors.js'
import type { KeyRole, TrustedKey, TrustRoot } from './model.js'
import { parseTrustRoot, type RootFields, thresholdOf, writeTrustRoot } from './root.js'
import { goodSigners, readEnvelope } from './statement.js'
import type { Chain, X509Policy } from './x509/chain.js'

export interface RootChange {
  readonly add?: readonly TrustedKey[]
  /** Key ids that leave and may come back. */
  readonly remove?: readonly string[]
  /** Key ids that leave for good. */
  readonly revoke?: readonly string[]
  readonly thresholds?: ReadonlyMap<KeyRole, number>
  readonly expiresAtMs?: number
  readonly newEpoch?: boolean
  /** The enterprise PKI of the next root. */
  readonly x509?: X509Policy
  /** Certificate chains by key id; of keys that stay, in the place of what they had. */
  readonly chains?: ReadonlyMap<string, Chain>
}

/** What the next root says. Throws BUNDLE_ROOT when a node would refuse it, BUNDLE_KEY for a key id that is not there. */
export function nextRoot(current: TrustRoot, change: RootChange): RootFields {
  const keys = new Map(current.keys)
  const revoked = [...current.revoked]
  for (const kid of [...(change.remove ?? []), ...(change.revoke ?? [])]) {
    const leaving = keys.get(kid)
    if (leaving === undefined) throw bundleFault('BUNDLE_KEY', { name: kid, why: 'the trust root does not hold it' })
    keys.delete(kid)
    if (change.revoke?.includes(kid)) revoked.push(base64url(leaving.key.bytes))
  }
  for (const entry of change.add ?? []) {
    if (keys.has(entry.kid))
      throw bundleFault('BUNDLE_KEY', { name: entry.kid, why: 'the trust root holds this id already' })
    keys.set(entry.kid, entry)
  }
  for (const [kid, chain] of change.chains ?? []) {
    const key = keys.get(kid)
    if (key === undefined) throw bundleFault('BUNDLE_KEY', { name: kid, why: 'the next trust root does not hold it' })
    keys.set(kid, { ...key, chain })
  }
  const x509 = change.x509 ?? current.x509
  const next: RootFields = {
    version: current.version + 1,
    epoch: current.epoch + (change.newEpoch === true ? 1 : 0),
    expiresAtMs: change.expiresAtMs ?? current.expiresAtMs,
    keys,
    thresholds: new Map([...current.thresholds, ...(change.thresholds ?? [])]),
    revoked,
    ...(x509 === undefined ? {} : { x509 }),
  }
  // What a node would refuse to read is not worth a signature.
  writeTrustRoot(next)
  return next
}

/** Which thresholds a signed root has met: of the root that it follows, and its own. */
export interface RootProgress {
  readonly version: number
  readonly current: { readonly signers: readonly string[]; readonly need: number }
  readonly next: { readonly signers: readonly string[]; readonly need: number }
  readonly complete: boolean
}

export async function rootProgress(current: TrustRoot, signed: Uint8Array): Promise<RootProgress> {
  const envelope = readEnvelope(signed, 'root')
  const next = parseTrustRoot(utf8(canonicalize(envelope.statement)))
  const side = async (root: TrustRoot) => ({
    signers: await goodSigners(envelope, root.keys),
    need: thresholdOf(root, 'root'),
  })
  const [ofCurrent, ofNext] = [await side(current), await side(next)]
  const complete = ofCurrent.signers.length >= ofCurrent.need && ofNext.signers.length >= ofNext.need
  return { version: next.version, current: ofCurrent, next: ofNext, complete }
}

/** The version that a signed root says it has. Throws BUNDLE_STATEMENT; its signatures are not checked. */
export const rootVersionOf = (signed: Uint8Array): number =>
  parseTrustRoot(utf8(canonicalize(readEnvelope(signed, 'root').statement))).version
