// An enterprise PKI for tests: authorities, signers' certificates and revocation lists, written DER octet by octet, so that
// each can be a small change away from a good one. Made fresh in every run; nothing here is anybody's key.

import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import type { KeyPair } from '../../src/bundle/key-file.js'
import { POLICY_SIGNING } from '../../src/bundle/x509/profile.js'

const DAY = 86_400_000

/** One value: tag, minimal length, content. */
export function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content)
  const length: number[] = []
  for (let left = body.length; left > 0; left >>= 8) length.unshift(left & 255)
  const head = body.length < 128 ? [body.length] : [0x80 | length.length, ...length]
  return Buffer.concat([Buffer.from([tag, ...head]), body])
}
const octets = (...values: number[]): Buffer => Buffer.from(values)
export const seq = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts)
export const integer = (hex: string): Buffer => der(2, Buffer.from(hex, 'hex'))

export function oid(dotted: string): Buffer {
  const [first = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt)
  const base128 = (value: bigint): number[] => {
    const digits = [Number(value & 127n)]
    for (let left = value >> 7n; left > 0n; left >>= 7n) digits.unshift(Number(left & 127n) | 128)
    return digits
  }
  return der(6, octets(...[first * 40n + second, ...rest].flatMap(base128)))
}

const time = (ms: number): Buffer => {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')
  return text < '2050' ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text))
}
const name = (common: string): Buffer =>
  seq(
    ...[
      ['2.5.4.10', 'Acme'],
      ['2.5.4.3', common],
    ].map(([type = '', text = '']) => der(0x31, seq(oid(type), der(0x0c, Buffer.from(text))))),
  )

export interface Extension {
  readonly id: string
  readonly bytes: Buffer
}
export const extension = (id: string, critical: boolean, value: Uint8Array): Extension => ({
  id,
  bytes: seq(oid(id), ...(critical ? [der(1, octets(0xff))] : []), der(4, value)),
})
/** The bits from the first one on: `0x80` digitalSignature, `0x04` keyCertSign, `0x02` cRLSign. */
export const usage = (bits: number): Extension => {
  const unused = Math.clz32(bits & -bits) === 32 ? 0 : 31 - Math.clz32(bits & -bits)
  return extension('2.5.29.15', true, der(3, octets(unused, bits)))
}
export const constraints = (ca: boolean, pathLength?: number, critical = true): Extension => {
  const parts = [
    ...(ca ? [der(1, octets(0xff))] : []),
    ...(pathLength === undefined ? [] : [der(2, octets(pathLength))]),
  ]
  return extension('2.5.29.19', critical, seq(...parts))
}
export const purposes = (...oids: string[]): Extension => extension('2.5.29.37', false, seq(...oids.map(oid)))
export const uriName = (uri: string): Extension => extension('2.5.29.17', false, seq(der(0x86, Buffer.from(uri))))
/** permittedSubtrees of one URI host. */
export const permittedHost = (host: string): Extension =>
  extension('2.5.29.30', true, seq(der(0xa0, seq(der(0x86, Buffer.from(host))))))

export const USAGE = { signs: 0x80, certifies: 0x06, certifiesOnly: 0x04 } as const

const ECDSA = { algorithm: seq(oid('1.2.840.10045.4.3.2')), hash: 'sha256' } as const
export const SHA1 = { algorithm: seq(oid('1.2.840.10045.4.1')), hash: 'sha1' } as const

export interface Authority {
  readonly name: string
  readonly key: KeyObject
  readonly certificate: Buffer
}

export interface Terms {
  readonly nowMs: number
  readonly fromMs?: number
  readonly untilMs?: number
  /** Put in place of the good extension of the same identifier, or added. */
  readonly changed?: readonly Extension[]
  /** Left out of the good ones, by identifier. */
  readonly without?: readonly string[]
  /** In hex. */
  readonly serial?: string
  readonly scheme?: typeof ECDSA | typeof SHA1
  /** Said inside, when it is to differ from what is said outside. */
  readonly inner?: Uint8Array
  /** 2 is version 3. */
  readonly version?: number
  /** The certificate's own list of extensions is written twice. */
  readonly twice?: boolean
}

/** An authority under `issuer`, or one of its own. `rsaBits` makes an RSA key of that size, which signs nothing here. */
export function authority(common: string, terms: Terms, issuer?: Authority, rsaBits?: number): Authority {
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const shown = rsaBits === undefined ? publicKey : generateKeyPairSync('rsa', { modulusLength: rsaBits }).publicKey
  const good = [constraints(true), usage(USAGE.certifies)]
  const spki = shown.export({ format: 'der', type: 'spki' })
  return { name: common, key, certificate: certify(common, spki, good, terms, issuer ?? { name: common, key }) }
}

/** The certificate of a policy signer. */
export function signerCertificate(pair: KeyPair, terms: Terms, issuer: Authority): Buffer {
  const good = [constraints(false), usage(USAGE.signs), purposes(POLICY_SIGNING)]
  return certify(`signer ${pair.kid}`, spkiOf(pair), good, terms, issuer)
}

function spkiOf(pair: KeyPair): Buffer {
  const { alg, bytes } = pair.public
  const text = (from: number, to?: number) => Buffer.from(bytes.subarray(from, to)).toString('base64url')
  const jwk =
    alg === 'Ed25519'
      ? { kty: 'OKP', crv: 'Ed25519', x: text(0) }
      : { kty: 'EC', crv: 'P-256', x: text(1, 33), y: text(33) }
  return createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'der', type: 'spki' })
}

function certify(
  common: string,
  spki: Buffer,
  good: readonly Extension[],
  terms: Terms,
  issuer: Pick<Authority, 'name' | 'key'>,
): Buffer {
  const { nowMs, fromMs = nowMs - 10 * DAY, untilMs = nowMs + 10 * DAY, changed = [], without = [] } = terms
  const gone = new Set([...without, ...changed.map(({ id }) => id)])
  const kept = [...good.filter(({ id }) => !gone.has(id)), ...changed].map(({ bytes }) => bytes)
  const listed = terms.twice === true ? [...kept, ...kept] : kept
  const scheme = terms.scheme ?? ECDSA
  const body = seq(
    der(0xa0, der(2, octets(terms.version ?? 2))),
    integer(terms.serial ?? `01${randomBytes(7).toString('hex')}`),
    terms.inner ?? scheme.algorithm,
    name(issuer.name),
    seq(time(fromMs), time(untilMs)),
    name(common),
    spki,
    der(0xa3, seq(...listed)),
  )
  return sealed(body, scheme, issuer.key)
}

const sealed = (body: Buffer, { algorithm, hash }: typeof ECDSA | typeof SHA1, key: KeyObject): Buffer =>
  seq(body, algorithm, der(3, octets(0), sign(hash, body, key)))

export interface ListTerms {
  readonly nowMs: number
  readonly fromMs?: number
  /** null: the list says no end. */
  readonly untilMs?: number | null
  /** Serial numbers in hex. */
  readonly revoked?: readonly string[]
  readonly changed?: readonly Extension[]
  /** Extensions of every entry. */
  readonly entry?: readonly Extension[]
  /** Whose key signs, when it is not the issuer's. */
  readonly signedBy?: Authority
}

export function revocationList(issuer: Authority, terms: ListTerms): Buffer {
  const { nowMs, revoked = [], entry = [], fromMs = nowMs - DAY, untilMs = nowMs + DAY } = terms
  const entryExtensions = entry.length === 0 ? [] : [seq(...entry.map(({ bytes }) => bytes))]
  const entries = revoked.map((serial) => seq(integer(serial), time(fromMs), ...entryExtensions))
  const own = [extension('2.5.29.20', false, integer('07')), ...(terms.changed ?? [])].map(({ bytes }) => bytes)
  const body = seq(
    integer('01'),
    ECDSA.algorithm,
    name(issuer.name),
    time(fromMs),
    ...(untilMs === null ? [] : [time(untilMs)]),
    ...(entries.length === 0 ? [] : [seq(...entries)]),
    der(0xa0, seq(...own)),
  )
  return sealed(body, ECDSA, (terms.signedBy ?? issuer).key)
}

/** A file as `root.crls.pem` is. */
export const crlFile = (...lists: readonly Uint8Array[]): Uint8Array =>
  Buffer.from(
    lists
      .map(
        (list) =>
          Buffer.from(list)
            .toString('base64')
            .match(/.{1,64}/g) ?? [],
      )
      .map((lines) => `-----BEGIN X509 CRL-----\n${lines.join('\n')}\n-----END X509 CRL-----\n`)
      .join(''),
  )
