// One X.509 certificate (RFC 5280 section 4.1), read out of strict DER: names, times, key, extensions. Judges nothing: what a
// certificate may say is in profile.ts, and whether it is true in chain.ts. Text says why octets are not a certificate.

import { hex } from '../../base/bytes.js'
import { LIMITS } from '../../base/limits.js'
import { ALGORITHMS, type KeyAlg } from '../keys.js'
import { type Der, dotted, parseTime, readDer, TAG } from './der.js'

export interface Extension {
  readonly critical: boolean
  /** The value inside the octet string. */
  readonly value: Der
}

export interface Certificate {
  readonly bytes: Uint8Array
  readonly serial: string
  /** Names as their DER in hex: equal names are equal octets, which is stricter than RFC 5280 section 7.1. */
  readonly issuer: string
  readonly subject: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** Dotted identifier of the algorithm that signed it. */
  readonly signatureAlgorithm: string
  readonly key: CertificateKey
  readonly extensions: ReadonlyMap<string, Extension>
}

/** `alg` is set for the two algorithms that keys of a trust root may have. */
export interface CertificateKey {
  /** Dotted identifier, with the curve's after it for EC. */
  readonly algorithm: string
  readonly alg?: KeyAlg
  /** Of RSA keys. */
  readonly modulusBits?: number
  readonly octets: Uint8Array
}

const MAX_NODES = 2_000
const EC = '1.2.840.10045.2.1'
const RSA = '1.2.840.113549.1.1.1'
const KEY_ALGS: Readonly<Record<string, KeyAlg>> = { '1.3.101.112': 'Ed25519', [`${EC} 1.2.840.10045.3.1.7`]: 'ES256' }
/** Context-specific tags of a TBSCertificate: version, the two unique identifiers, extensions. */
const VERSION = 0xa0
const EXTENSIONS = 0xa3

export function readCertificate(bytes: Uint8Array): Certificate | string {
  if (bytes.length > LIMITS.certificateBytes)
    return `it has ${bytes.length} octets; the limit is ${LIMITS.certificateBytes}`
  const der = readDer(bytes, MAX_NODES)
  if (typeof der === 'string') return der
  const [body, outer, signature, ...rest] = der.children
  if (der.tag !== TAG.sequence || !body || !outer || signature?.tag !== TAG.bitString || rest.length > 0)
    return 'it is not a certificate'
  const [version, serial, inner, issuer, validity, subject, spki, ...more] = body.children
  if (version?.tag !== VERSION || version.children[0]?.content[0] !== 2) return 'it is not of version 3'
  if (serial?.tag !== TAG.integer || !issuer || !subject || !spki || !inner) return 'it is not a certificate'
  // RFC 5280 section 4.1.2.2; zero too, which could stand for nothing.
  if ((serial.content[0] ?? 0x80) >= 0x80 || serial.content.length > 20 || hex(serial.content) === '00')
    return 'its serial number is not a positive number of at most 20 octets'
  // RFC 5280 section 4.1.1.2: the algorithm is said twice, once under the signature, and must be the same.
  if (hex(inner.bytes) !== hex(outer.bytes)) return 'its two signature algorithms differ'
  const [from, until] = validity?.children ?? []
  const notBeforeMs = from && parseTime(from.tag, from.content)
  const notAfterMs = until && parseTime(until.tag, until.content)
  if (notBeforeMs === undefined || notAfterMs === undefined) return 'its validity is not two times'
  const [last] = more
  if (more.length > 1 || (last !== undefined && last.tag !== EXTENSIONS)) return 'it has unique identifiers'
  const extensions = last === undefined ? new Map<string, Extension>() : readExtensions(last.children[0])
  if (typeof extensions === 'string') return extensions
  const key = readKey(spki)
  if (typeof key === 'string') return key
  return {
    bytes,
    serial: hex(serial.content),
    issuer: hex(issuer.bytes),
    subject: hex(subject.bytes),
    notBeforeMs,
    notAfterMs,
    signatureAlgorithm: dotted(outer.children[0]?.content ?? new Uint8Array(0)),
    key,
    extensions,
  }
}

/** A list of extensions, each at most once (RFC 5280 section 4.2). Also those of a CRL and of its entries. */
export function readExtensions(list: Der | undefined): Map<string, Extension> | string {
  if (list?.tag !== TAG.sequence) return 'its extensions are not a list'
  const found = new Map<string, Extension>()
  for (const { children } of list.children) {
    const [name, second, third, ...rest] = children
    const flag = third === undefined ? undefined : second
    const octets = third ?? second
    if (name?.tag !== TAG.oid || octets?.tag !== TAG.octetString || rest.length > 0) return 'an extension is malformed'
    // FALSE is the default, which DER leaves out (X.690 section 11.5).
    if (flag !== undefined && (flag.tag !== TAG.boolean || flag.content[0] !== 0xff)) return 'an extension is malformed'
    const id = dotted(name.content)
    if (found.has(id)) return `extension ${id} stands twice`
    const value = readDer(octets.content, MAX_NODES)
    if (typeof value === 'string') return `extension ${id}: ${value}`
    found.set(id, { critical: flag !== undefined, value })
  }
  return found
}

function readKey(spki: Der): CertificateKey | string {
  const [algorithm, bits] = spki.children
  const [name, parameters] = algorithm?.children ?? []
  if (name?.tag !== TAG.oid || bits?.tag !== TAG.bitString || bits.content[0] !== 0)
    return 'its public key is malformed'
  const octets = bits.content.subarray(1)
  const id = dotted(name.content)
  if (id === RSA) {
    const inside = readDer(octets, 3)
    const modulus = typeof inside === 'string' ? undefined : inside.children[0]
    if (modulus?.tag !== TAG.integer) return 'its RSA key is malformed'
    const digits = hex(modulus.content).replace(/^0+/, '')
    return { algorithm: id, modulusBits: BigInt(`0x0${digits}`).toString(2).length, octets }
  }
  const full = id === EC && parameters?.tag === TAG.oid ? `${id} ${dotted(parameters.content)}` : id
  const alg = KEY_ALGS[full]
  if (alg === undefined) return { algorithm: full, octets }
  const why = octets.length === ALGORITHMS[alg].keyBytes ? ALGORITHMS[alg].refuseKey(octets) : 'its length is wrong'
  return why === undefined ? { algorithm: full, alg, octets } : `its public key cannot be used: ${why}`
}
