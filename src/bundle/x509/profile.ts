// What the certificates of a policy signer must say, certificate by certificate: ours, narrower than RFC 5280. A certificate
// that was made for something else (a web server, a laptop, code) can never sign policy, because our purpose is not in it.
//
// Text says what is wrong. Signatures, names along the path and revocation are chain.ts' and crl.ts' business.

import type { Certificate, Extension } from './certificate.js'
import { dotted, TAG } from './der.js'

/**
 * The extended key usage of policy signing: an identifier under 2.25 (ITU-T X.667), which belongs to whoever drew the UUID.
 * A trust root may name an identifier of its own organisation instead.
 */
export const POLICY_SIGNING = '2.25.157601597588614912546443757639130425371'

/** Purposes that public authorities issue for: none of them can stand for policy signing. */
const ORDINARY = new Set(['2.5.29.37.0', ...[1, 2, 3, 4, 8, 9].map((n) => `1.3.6.1.5.5.7.3.${n}`)])
const DOTTED = /^[0-2](?:\.(?:0|[1-9]\d*)){1,31}$/
export const isPolicyPurpose = (oid: string): boolean => DOTTED.test(oid) && oid.length <= 128 && !ORDINARY.has(oid)

const EXTENSION = {
  keyUsage: '2.5.29.15',
  alternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  policies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  inhibitAnyPolicy: '2.5.29.54',
} as const
const KNOWN = new Set<string>(Object.values(EXTENSION))

/** Bits of KeyUsage (RFC 5280 section 4.2.1.3), the first one highest. */
const DIGITAL_SIGNATURE = 0x80
const CERTIFICATE_SIGN = 0x04
const CRL_SIGN = 0x02

/** Signature algorithms of authorities: nothing with SHA-1, nothing with parameters that change its meaning. */
export const AUTHORITY_ALGORITHMS: ReadonlySet<string> = new Set([
  ...['1.2.840.10045.4.3.2', '1.2.840.10045.4.3.3', '1.2.840.10045.4.3.4'], // ECDSA with SHA-256, -384, -512
  ...['1.2.840.113549.1.1.11', '1.2.840.113549.1.1.12', '1.2.840.113549.1.1.13'], // RSA PKCS #1 with the same
  '1.3.101.112', // Ed25519
])
const MIN_RSA_BITS = 2_048

/** Rules for every certificate, at the instant `nowMs`. */
export function refuseAny(certificate: Certificate, nowMs: number): string | undefined {
  const { notBeforeMs, notAfterMs, signatureAlgorithm, extensions, key } = certificate
  if (nowMs < notBeforeMs) return 'is not valid yet'
  if (nowMs > notAfterMs) return 'has expired'
  if (!AUTHORITY_ALGORITHMS.has(signatureAlgorithm))
    return `is signed with ${signatureAlgorithm}, which is not accepted`
  if (key.modulusBits !== undefined && key.modulusBits < MIN_RSA_BITS)
    return `has an RSA key of ${key.modulusBits} bits`
  for (const [id, { critical }] of extensions)
    if (critical && !KNOWN.has(id)) return `has the critical extension ${id}, which is not known here`
  return undefined
}

/** The signer's own certificate. `uri`: the name that it must carry, when the trust root asks for one. */
export function refuseLeaf(leaf: Certificate, purpose: string, uri: string | undefined): string | undefined {
  const constraints = readConstraints(leaf.extensions.get(EXTENSION.basicConstraints))
  if (constraints === 'malformed' || constraints?.ca === true) return 'is the certificate of an authority'
  const usage = keyUsage(leaf)
  if (usage === undefined || (usage & DIGITAL_SIGNATURE) === 0) return 'is not for digital signatures'
  if ((usage & (CERTIFICATE_SIGN | CRL_SIGN)) !== 0) return 'may sign certificates'
  const purposes = readPurposes(leaf.extensions.get(EXTENSION.extendedKeyUsage))
  if (purposes === undefined || !purposes.includes(purpose)) return `is not for policy signing (${purpose})`
  if (purposes.some((one) => ORDINARY.has(one))) return 'is for other purposes too'
  if (uri !== undefined && !readUris(leaf.extensions.get(EXTENSION.alternativeName)).includes(uri))
    return `does not carry the name ${uri}`
  return undefined
}

/** An authority with `below` authorities under it on the path (RFC 5280 section 4.2.1.9; self-issued ones count too). */
export function refuseAuthority(authority: Certificate, below: number, purpose: string): string | undefined {
  const extension = authority.extensions.get(EXTENSION.basicConstraints)
  const constraints = readConstraints(extension)
  if (constraints === undefined || constraints === 'malformed' || !constraints.ca)
    return 'is not the certificate of an authority'
  if (extension?.critical !== true) return 'has basic constraints that are not critical'
  if (constraints.pathLength !== undefined && below > constraints.pathLength)
    return `allows ${constraints.pathLength} authorities below it, and there are ${below}`
  const usage = keyUsage(authority)
  if (usage === undefined || (usage & CERTIFICATE_SIGN) === 0) return 'may not sign certificates'
  if ((usage & CRL_SIGN) === 0) return 'may not sign revocation lists'
  const purposes = authority.extensions.get(EXTENSION.extendedKeyUsage)
  // Not in RFC 5280, but what every authority means by it: the purposes of what it may issue.
  if (
    purposes !== undefined &&
    readPurposes(purposes)?.some((one) => one === purpose || one === '2.5.29.37.0') !== true
  )
    return `may not issue for policy signing (${purpose})`
  return undefined
}

function readConstraints(
  extension: Extension | undefined,
): { ca: boolean; pathLength?: number } | 'malformed' | undefined {
  if (extension === undefined) return undefined
  const { tag, children } = extension.value
  const [first, second, ...rest] = children
  if (tag !== TAG.sequence || rest.length > 0) return 'malformed'
  if (first === undefined) return { ca: false }
  if (first.tag !== TAG.boolean || first.content[0] !== 0xff) return 'malformed'
  if (second === undefined) return { ca: true }
  const [length] = second.content
  if (second.tag !== TAG.integer || second.content.length !== 1 || length === undefined || length > 127)
    return 'malformed'
  return { ca: true, pathLength: length }
}

/** The first octet of the bits; the ninth bit (decipherOnly) means nothing here. */
function keyUsage(certificate: Certificate): number | undefined {
  const extension = certificate.extensions.get(EXTENSION.keyUsage)
  return extension?.value.tag === TAG.bitString ? extension.value.content[1] : undefined
}

function readPurposes(extension: Extension | undefined): string[] | undefined {
  if (extension?.value.tag !== TAG.sequence) return undefined
  const { children } = extension.value
  return children.every(({ tag }) => tag === TAG.oid) ? children.map(({ content }) => dotted(content)) : undefined
}

/** uniformResourceIdentifier of the subject's alternative names: context tag 6, ASCII. */
const readUris = (extension: Extension | undefined): string[] =>
  (extension?.value.children ?? [])
    .filter(({ tag }) => tag === 0x86)
    .map(({ content }) => String.fromCharCode(...content))
