// How certificates enter a trust root: `"x509": {"anchors": [...], "purpose": OID}` for the whole, and on a key
// `"x509": {"chain": [...], "uri": "..."}`, certificates as base64url of their DER. The record itself is the allow-list: the
// chain must be about exactly the public key that stands beside it (the same RFC 7638 thumbprint), and carry the name, if any.
//
// A chain adds a condition to a key and never takes one away. Keys of role `root` have none: the root is the pin, and an
// authority that expires or is lost must not be able to stop its rotation.

import { base64url, decodeBase64url } from '../../base/bytes.js'
import type { Json } from '../../base/canonical.js'
import { isObject } from '../../base/json.js'
import { LIMITS } from '../../base/limits.js'
import { bundleFault } from '../errors.js'
import type { PublicKey } from '../keys.js'
import type { KeyRole, TrustedKey, TrustRoot } from '../model.js'
import type { JsonObject } from '../statement.js'
import { type Certificate, readCertificate } from './certificate.js'
import { type Chain, readChain, refuseChain, type X509Policy } from './chain.js'
import { readCrlFile } from './crl.js'
import { isPolicyPurpose } from './profile.js'

const no = (why: string) => bundleFault('BUNDLE_ROOT', { why })
const UNCHECKED = 'it was not checked'

/** Reads the root's `x509` member. Throws BUNDLE_ROOT. */
export function readX509Policy(value: Json | undefined): X509Policy | undefined {
  if (value === undefined) return undefined
  if (!isObject(value) || Object.keys(value).sort().join() !== 'anchors,purpose')
    throw no('x509 has exactly anchors and purpose')
  const { anchors: listed, purpose } = value
  if (typeof purpose !== 'string' || !isPolicyPurpose(purpose))
    throw no('the purpose of x509 is not an identifier of policy signing alone')
  const octets = readCertificates(listed, LIMITS.anchors, 'anchors')
  const anchors: Certificate[] = []
  for (const bytes of octets) {
    const anchor = readCertificate(bytes)
    if (typeof anchor === 'string') throw no(`an anchor: ${anchor}`)
    // Two authorities of one name could not be told apart by what they issue.
    if (anchors.some(({ subject }) => subject === anchor.subject)) throw no('two anchors have the same name')
    anchors.push(anchor)
  }
  return { anchors, purpose }
}

/** Reads the `x509` member of a key; the key is in doubt until its chain was judged. Throws BUNDLE_ROOT. */
export function readKeyChain(
  kid: string,
  role: KeyRole,
  key: PublicKey,
  value: Json,
  policy: X509Policy | undefined,
): Pick<TrustedKey, 'chain' | 'doubt'> {
  if (policy === undefined) throw no(`key ${kid} has a certificate chain, and the root has no x509 anchors`)
  if (role === 'root') throw no(`key ${kid} has role root, whose keys carry no certificates`)
  const keys = isObject(value) ? Object.keys(value).sort().join() : ''
  if (!isObject(value) || (keys !== 'chain' && keys !== 'chain,uri'))
    throw no(`x509 of key ${kid} has chain, and uri or not`)
  const { uri } = value
  if (uri !== undefined && (typeof uri !== 'string' || !/^[a-z][a-z0-9+.-]*:[!-~]{1,512}$/.test(uri)))
    throw no(`the uri of key ${kid} is not one`)
  const chain = readChain(readCertificates(value.chain, LIMITS.chainCertificates, 'chain'), key, uri)
  if (typeof chain === 'string') throw no(`the certificate chain of key ${kid} is not acceptable: ${chain}`)
  return { chain, doubt: UNCHECKED }
}

function readCertificates(value: Json | undefined, limit: number, what: string): Uint8Array[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > limit)
    throw no(`${what} is not a list of 1 to ${limit} certificates`)
  return value.map((text: Json) => {
    const octets = typeof text === 'string' ? decodeBase64url(text) : undefined
    if (octets === undefined) throw no(`${what} holds something that is not base64url without padding`)
    return octets
  })
}

export const writeX509Policy = ({ anchors, purpose }: X509Policy): JsonObject => ({
  anchors: anchors.map(({ bytes }) => base64url(bytes)),
  purpose,
})

export const writeKeyChain = ({ certificates, uri }: Chain): JsonObject => ({
  chain: certificates.map(({ bytes }) => base64url(bytes)),
  ...(uri === undefined ? {} : { uri }),
})

export interface ChainContext {
  /** The one reading of the clock for this run, milliseconds since 1970. */
  readonly nowMs: number
  /** Revocation lists as a file of PEM blocks; the lists are signed by their authorities. */
  readonly crls?: Uint8Array
}

/** Where the revocation lists of a trust root are kept: `root.json` has `root.crls.pem` beside it. */
export const crlFileOf = (rootFile: string): string => `${rootFile.replace(/\.json$/, '')}.crls.pem`

/** Whether any key of the root waits for the judgement of `withChains`. */
export const hasChains = (root: TrustRoot): boolean => [...root.keys.values()].some(({ chain }) => chain !== undefined)

/**
 * Judges every chain of the root at one instant. Never throws: a key whose chain does not hold stays enrolled and in doubt,
 * with the reason, and thresholds are as they were.
 */
export async function withChains(root: TrustRoot, context: ChainContext): Promise<TrustRoot> {
  const { x509 } = root
  if (x509 === undefined) return root
  const lists = context.crls === undefined ? [] : readCrlFile(context.crls)
  const keys = new Map<string, TrustedKey>()
  for (const [kid, { chain, doubt: _, ...plain }] of root.keys) {
    const doubt = chain && (await judge(chain, x509, lists, context.nowMs))
    keys.set(kid, { ...plain, ...(chain === undefined ? {} : { chain }), ...(doubt === undefined ? {} : { doubt }) })
  }
  return Object.freeze({ ...root, keys })
}

const judge = (chain: Chain, policy: X509Policy, lists: ReturnType<typeof readCrlFile>, nowMs: number) =>
  typeof lists === 'string'
    ? Promise.resolve(`the revocation lists cannot be used: ${lists}`)
    : refuseChain(chain, policy, lists, nowMs)
