// Key files. A private key is PKCS#8 in PEM (RFC 7468), as any tool reads it, below four lines that say what it is:
//
//   Sluice private key / kid: ... / role: ... / alg: ...
//
// Read strictly: exactly one block, exactly the DER that we or OpenSSL write. Public keys are read from APF trust roots
// too: one line `ed25519:<base64>`, or a P-256 SPKI in PEM (bundle-trust sheet section 1).

import { base64, concat, decodeBase64, decodeHex, decodeUtf8, equalBytes, hex } from '../base/bytes.js'
import { sha256 } from '../base/digest.js'
import { bundleFault } from './errors.js'
import { ALGORITHMS, enrollKey, isKeyAlg, type KeyAlg, type PublicKey } from './keys.js'
import type { KeyRole } from './model.js'
import { isKeyId, isRole } from './root.js'
import type { Signer } from './sign.js'

/** A private key held in memory. `secret` is 32 octets: the Ed25519 seed, or the P-256 scalar. */
export interface KeyPair {
  readonly kid: string
  readonly role: KeyRole
  readonly secret: Uint8Array
  readonly public: PublicKey
}
export interface KeyRequest {
  readonly role: KeyRole
  /** Ed25519 when absent. */
  readonly alg?: KeyAlg
  /** The role and the head of the public key's SHA-256 when absent. */
  readonly kid?: string
}

const no = (why: string, cause?: unknown) => bundleFault('BUNDLE_KEY_FILE', { why }, { cause })
const der = (text: string): Uint8Array => decodeHex(text) ?? new Uint8Array(0)

/** PKCS#8 (RFC 5958) up to the secret, and what may follow it (RFC 5915: the public key, which OpenSSL adds). */
const PKCS8 = {
  Ed25519: [{ head: der('302e020100300506032b657004220420'), tail: undefined }],
  ES256: [
    { head: der('3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420'), tail: undefined },
    {
      head: der('308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420'),
      tail: der('a144034200'),
    },
  ],
} as const satisfies Record<KeyAlg, readonly { head: Uint8Array; tail: Uint8Array | undefined }[]>

const P256_SPKI = der('3059301306072a8648ce3d020106082a8648ce3d030107034200')

/** A new key pair from `randomBytes(n)`, which must be the platform's secure source. */
export function generateKey(request: KeyRequest, randomBytes: (length: number) => Uint8Array): KeyPair {
  const alg = request.alg ?? 'Ed25519'
  // A P-256 scalar must be below n: octets that are not are drawn again (chance 2^-32).
  for (;;) {
    const secret = new Uint8Array(randomBytes(ALGORITHMS[alg].secretBytes))
    if (alg === 'ES256' && !isScalar(secret)) continue
    const key = enrollKey(alg, ALGORITHMS[alg].publicOf(secret))
    const kid = request.kid ?? `${request.role}-${hex(sha256(key.bytes)).slice(0, 8)}`
    if (!isKeyId(kid))
      throw bundleFault('BUNDLE_KEY', { name: kid, why: 'a key id has letters, digits and . _ -, at most 64' })
    return { kid, role: request.role, secret, public: key }
  }
}

function isScalar(secret: Uint8Array): boolean {
  try {
    ALGORITHMS.ES256.publicOf(secret)
    return true
  } catch {
    // Zero, or not below the group order: the one thing that can be wrong with 32 octets.
    return false
  }
}

export const signerOf = (pair: KeyPair): Signer => ({
  kid: pair.kid,
  role: pair.role,
  alg: pair.public.alg,
  sign: async (message) => ALGORITHMS[pair.public.alg].sign(message, pair.secret),
})

/** The text of a private key file. Whoever can read it can sign: mode 0600, or better offline. */
export function writePrivateKey(pair: KeyPair): string {
  const [{ head }] = PKCS8[pair.public.alg]
  const body = base64(concat([head, pair.secret])).replace(/.{64}(?=.)/g, '$&\n')
  return [
    'Sluice private key',
    `kid: ${pair.kid}`,
    `role: ${pair.role}`,
    `alg: ${pair.public.alg}`,
    '-----BEGIN PRIVATE KEY-----',
    body,
    '-----END PRIVATE KEY-----',
    '',
  ].join('\n')
}

const FILE =
  /^Sluice private key\nkid: (.+)\nrole: (.+)\nalg: (.+)\n-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END PRIVATE KEY-----\n$/

/** Reads a private key file. Throws BUNDLE_KEY_FILE; messages never hold any of the key. */
export function readPrivateKey(bytes: Uint8Array): KeyPair {
  const match = bytes.length > 4096 ? null : FILE.exec(decodeUtf8(bytes) ?? '')
  if (!match) throw no('the lines are not kid, role, alg and one PRIVATE KEY block')
  const [, kid = '', role = '', alg = '', body = ''] = match
  if (!isKeyId(kid)) throw no('kid has letters, digits and . _ -, at most 64')
  if (!isRole(role)) throw no('role is not one of the known roles')
  if (!isKeyAlg(alg)) throw no('alg is neither Ed25519 nor ES256')
  const octets = decodeBase64(body.replaceAll('\n', ''))
  if (octets === undefined) throw no('the block is not base64')
  for (const { head, tail } of PKCS8[alg]) {
    if (!equalBytes(octets.subarray(0, head.length), head)) continue
    const secret = new Uint8Array(octets.subarray(head.length, head.length + ALGORITHMS[alg].secretBytes))
    const rest = octets.subarray(head.length + secret.length)
    if (secret.length !== ALGORITHMS[alg].secretBytes || (alg === 'ES256' && !isScalar(secret))) break
    const key = enrollKey(alg, ALGORITHMS[alg].publicOf(secret), kid)
    const expected = tail === undefined ? new Uint8Array(0) : concat([tail, key.bytes])
    if (!equalBytes(rest, expected)) break
    return { kid, role, secret, public: key }
  }
  throw no(`the block is not a PKCS#8 key of ${alg}`)
}

/** One public key of an APF trust root: the content of `NAME.pub`, `NAME.pem` or `NAME.p256`. */
export function readApfPublicKey(bytes: Uint8Array, name: string): PublicKey {
  const text = bytes.length > 4096 ? undefined : decodeUtf8(bytes)
  if (text === undefined) throw no('it is not a short text file')
  const pem = /^-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END PUBLIC KEY-----\n?$/.exec(text)
  if (pem) {
    const octets = decodeBase64((pem[1] ?? '').replaceAll('\n', ''))
    if (octets === undefined || !equalBytes(octets.subarray(0, P256_SPKI.length), P256_SPKI))
      throw no('the PEM block is not a P-256 public key')
    return enrollKey('ES256', octets.subarray(P256_SPKI.length), name)
  }
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const line = /^ed25519:(.+)$/.exec(lines[0] ?? '')
  const octets = line && lines.length === 1 ? decodeBase64(line[1] ?? '') : undefined
  if (octets === undefined) throw no('exactly one line ed25519:<base64> is expected')
  return enrollKey('Ed25519', octets, name)
}

/** The `NAME.pub` line with which an APF policy service trusts an Ed25519 author key of ours. */
export const writeApfPublicKey = (key: PublicKey): string => `ed25519:${base64(key.bytes)}\n`
