// The author's signature: picks the key that the signature document names, out of the trust root's author keys, and lets
// the YamlSigil verifier judge. The key id is a hint that can only choose among pinned keys; without one, every author key
// of the right algorithm is tried. The signature document itself is signed by nobody, so it may hold nothing but its fields: no
// comment that a reader could take for part of what was signed.

import { bundleFault } from './errors.js'
import type { KeyAlg } from './keys.js'
import type { TrustedKey, TrustRoot } from './model.js'
import { isPlainCarrier } from './sigil/compose.js'
import { decomposeYaml } from './sigil/decompose.js'
import { type PreVerified, preVerify, verifySigil } from './sigil/verify.js'

export interface Authored {
  /** The exact signed octets; the only thing that may be parsed. */
  readonly payload: Uint8Array
  readonly kid: string
}

/**
 * Throws BUNDLE_UNSIGNED, BUNDLE_MALFORMED, BUNDLE_ALGORITHM, BUNDLE_SIGNER_UNKNOWN, BUNDLE_KEY_DOUBT or BUNDLE_SIGNATURE.
 */
export function verifyAuthor(artifact: Uint8Array, trust: TrustRoot): Authored {
  const pre = preVerify('yaml', artifact)
  if (pre.outcome === 'Ok') requirePlainCarrier(artifact)
  const authors = [...trust.keys.values()].filter((key) => key.role === 'author')
  const algorithms = [...new Set(authors.map(({ key }) => key.alg))]
  const candidates = authors.filter(
    ({ kid, key }) => key.alg === pre.alg && (pre.keyid === undefined || pre.keyid === kid),
  )
  // A key whose certificate chain does not hold is not tried; when it alone could have signed, that is what is said.
  const certain = candidates.filter(({ doubt }) => doubt === undefined)
  const [first] = candidates
  // With no candidate the artifact is still judged as far as it goes without a key, so that `unsigned` and `malformed`
  // are told apart from `unknown signer`.
  if (first === undefined) throw refuseWithoutKey(pre, algorithms)
  for (const candidate of certain) {
    const payload = tryKey(pre, candidate, algorithms)
    if (payload !== undefined) return { payload, kid: candidate.kid }
  }
  const doubted = candidates.find(({ doubt }) => doubt !== undefined)
  if (doubted?.doubt !== undefined) throw bundleFault('BUNDLE_KEY_DOUBT', { kid: doubted.kid, why: doubted.doubt })
  if (pre.keyid === undefined) throw bundleFault('BUNDLE_SIGNER_UNKNOWN', { kid: undefined })
  throw bundleFault('BUNDLE_SIGNATURE', { what: 'the manifest', kid: first.kid })
}

/** Stricter than YamlSigil's Strict profile, which a verifier may be (bundle-trust sheet section 2). */
function requirePlainCarrier(artifact: Uint8Array): void {
  const parts = decomposeYaml(artifact)
  if (parts.outcome !== 'Ok' || !isPlainCarrier(parts.carrier))
    throw bundleFault('BUNDLE_MALFORMED', {
      why: 'it holds something besides schema, alg, keyid and signature, in this order and a line each',
    })
}

/** The payload when `trusted` signed it, undefined when it did not; throws for every other state. */
function tryKey(pre: PreVerified, trusted: TrustedKey, algorithms: readonly KeyAlg[]): Uint8Array | undefined {
  const result = verifySigil(pre, { resolve: () => trusted.key, algorithms })
  switch (result.state) {
    case 'Verified':
      return result.payload
    case 'SignedButFailedVerification':
      return undefined
    case 'MalformedAttemptedSigned':
      throw bundleFault('BUNDLE_MALFORMED', { why: result.why })
    case 'SignedButAlgorithmUnsupported':
      throw bundleFault('BUNDLE_ALGORITHM', { alg: result.why })
    case 'Unsigned':
      throw bundleFault('BUNDLE_UNSIGNED', undefined)
  }
}

function refuseWithoutKey(pre: PreVerified, algorithms: readonly KeyAlg[]): Error {
  if (pre.outcome === 'Unsigned') return bundleFault('BUNDLE_UNSIGNED', undefined)
  if (pre.outcome !== 'Ok' || pre.alg === undefined) return bundleFault('BUNDLE_MALFORMED', { why: pre.why })
  if (!algorithms.includes(pre.alg)) return bundleFault('BUNDLE_ALGORITHM', { alg: pre.alg })
  return bundleFault('BUNDLE_SIGNER_UNKNOWN', { kid: pre.keyid })
}
