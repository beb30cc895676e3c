// From a certificate chain to a verdict: does it name this key, for this purpose, now? The profile is checked here, on strict
// DER; the path (signatures, names, name constraints, policies, revocation) by pkijs' CertificateChainValidationEngine, which
// implements RFC 5280 section 6, except for path lengths, fresh lists and what ours adds (bundle-trust sheet section 8).
//
// A chain names a key. It never replaces the threshold, and no certificate is taken from anywhere but the trust root.

import { equalBytes, hex } from '../../base/bytes.js'
import { LIMITS } from '../../base/limits.js'
import type { PublicKey } from '../keys.js'
import { type Certificate, readCertificate } from './certificate.js'
import type { RevocationList } from './crl.js'
import { refuseAny, refuseAuthority, refuseLeaf } from './profile.js'

/** What a trust root says about certificates. */
export interface X509Policy {
  /** The authorities that count, each a certificate. */
  readonly anchors: readonly Certificate[]
  /** The extended key usage that a signer's certificate must have, dotted. */
  readonly purpose: string
}

export interface Chain {
  /** The signer's certificate first, each issued by the next, the last one by an anchor. */
  readonly certificates: readonly Certificate[]
  /** The uniformResourceIdentifier that the signer's certificate must carry. */
  readonly uri?: string
}

/** Reads a chain and checks what does not depend on time: form, length, and that it is about `key`. Text refuses. */
export function readChain(octets: readonly Uint8Array[], key: PublicKey, uri: string | undefined): Chain | string {
  if (octets.length < 1 || octets.length > LIMITS.chainCertificates)
    return `it has ${octets.length} certificates; 1 to ${LIMITS.chainCertificates} are allowed`
  const certificates: Certificate[] = []
  for (const [i, bytes] of octets.entries()) {
    const certificate = readCertificate(bytes)
    if (typeof certificate === 'string') return `certificate ${i + 1}: ${certificate}`
    certificates.push(certificate)
  }
  const leaf = certificates[0]?.key
  if (leaf?.alg !== key.alg || !equalBytes(leaf.octets, key.bytes)) return 'its first certificate is for another key'
  return { certificates, ...(uri === undefined ? {} : { uri }) }
}

/** Why the chain does not vouch for its key at `nowMs`; undefined when it does. */
export async function refuseChain(
  { certificates, uri }: Chain,
  policy: X509Policy,
  lists: readonly RevocationList[],
  nowMs: number,
): Promise<string | undefined> {
  const top = certificates.at(-1)
  const anchor = policy.anchors.find(({ subject }) => subject === top?.issuer)
  if (anchor === undefined) return 'its last certificate is issued by no anchor of the trust root'
  const path = [...certificates, anchor]
  for (const [i, certificate] of path.entries()) {
    const issuer = path[i + 1]
    const why =
      refuseAny(certificate, nowMs) ??
      (i === 0 ? refuseLeaf(certificate, policy.purpose, uri) : refuseAuthority(certificate, i - 1, policy.purpose)) ??
      (issuer === undefined ? undefined : refuseLink(certificate, issuer, lists, nowMs))
    if (why !== undefined) return `${i === path.length - 1 ? 'its anchor' : `certificate ${i + 1}`} ${why}`
  }
  return refusePath(path, lists, nowMs)
}

/** Names fit, and a fresh list of the issuer does not have the certificate. All fresh lists are looked at: any one revokes. */
function refuseLink(
  certificate: Certificate,
  issuer: Certificate,
  lists: readonly RevocationList[],
  nowMs: number,
): string | undefined {
  if (certificate.issuer !== issuer.subject) return 'is not issued by the next one'
  const own = lists.filter((list) => list.issuer === issuer.subject)
  if (own.length === 0) return 'has an issuer without a revocation list here'
  const fresh = own.filter(({ thisUpdateMs, nextUpdateMs }) => thisUpdateMs <= nowMs && nowMs < nextUpdateMs)
  if (fresh.length === 0) return 'has an issuer whose revocation list is stale'
  return fresh.some(({ revoked }) => revoked.has(certificate.serial)) ? 'is revoked' : undefined
}

/** RFC 5280 section 6 by pkijs; the path that it finds must be the one that was given. */
async function refusePath(
  path: readonly Certificate[],
  lists: readonly RevocationList[],
  nowMs: number,
): Promise<string | undefined> {
  const issuers = new Set(path.map(({ issuer }) => issuer))
  const fresh = lists.filter(
    ({ issuer, thisUpdateMs, nextUpdateMs }) => issuers.has(issuer) && thisUpdateMs <= nowMs && nowMs < nextUpdateMs,
  )
  try {
    // Here and not above: loading it takes longer than most commands do, and most roots have no chains.
    const {
      Certificate: PkiCertificate,
      CertificateChainValidationEngine,
      CertificateRevocationList,
    } = await import('pkijs')
    const parsed = path.map(({ bytes }) => PkiCertificate.fromBER(new Uint8Array(bytes)))
    const crls = fresh.map(({ bytes }) => CertificateRevocationList.fromBER(new Uint8Array(bytes)))
    const [leaf, anchor] = [parsed[0], parsed.at(-1)]
    if (leaf === undefined || anchor === undefined || leaf === anchor) return 'it is an anchor itself'
    for (const crl of crls) {
      const issuer = parsed.find((certificate) => certificate.subject.isEqual(crl.issuer))
      if (issuer === undefined || !(await crl.verify({ issuerCertificate: issuer })))
        return 'a revocation list is not signed by its issuer'
    }
    const engine = new CertificateChainValidationEngine({
      trustedCerts: [anchor],
      // The engine takes the last one for the signer's.
      certs: [...parsed.slice(1, -1), leaf],
      crls,
      checkDate: new Date(nowMs),
    })
    const { result, resultMessage, certificatePath } = await engine.verify()
    if (!result) return `its path is not valid: ${resultMessage}`
    const found = (certificatePath ?? []).map(({ tbsView }) => hex(tbsView))
    if (found.join() !== parsed.map(({ tbsView }) => hex(tbsView)).join()) return 'its path is not the one given'
    return undefined
  } catch (cause) {
    // pkijs throws for what it cannot read or compute; whatever it was, the chain does not vouch for the key.
    return `its path cannot be judged: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}
