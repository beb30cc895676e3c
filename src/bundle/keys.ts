// Public keys and the strict check of one signature. A key becomes a PublicKey only through `enrollKey`, which refuses
// small-order and non-canonical Ed25519 points, P-256 points that are not on the curve, and every other spelling.
//
// Rules: YamlSigil v1alpha1 (bundle-trust sheet section 2). Ed25519: canonical R, S < L, cofactored equation; OpenSSL is
// wrong on both ends (section 7), so the arithmetic is @noble/curves'. P-256: 0 < r, s < n, high s accepted.

import { ed25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { hex } from '../base/bytes.js'
import { bundleFault } from './errors.js'

export type KeyAlg = 'Ed25519' | 'ES256'

declare const enrolled: unique symbol

export interface PublicKey {
  readonly [enrolled]: true
  readonly alg: KeyAlg
  /** Ed25519: 32 octets. ES256: 65 octets, `04 || X || Y`. */
  readonly bytes: Uint8Array
}

/** `malformed`: no key could ever verify these octets. `wrong`: well formed, and not this key's for this message. */
export type SignatureAnswer = 'good' | 'wrong' | 'malformed'

interface Algorithm {
  readonly keyBytes: number
  readonly secretBytes: number
  /** Why the octets are not an acceptable key; undefined when they are. */
  readonly refuseKey: (bytes: Uint8Array) => string | undefined
  readonly wellFormed: (signature: Uint8Array) => boolean
  readonly verify: (signature: Uint8Array, message: Uint8Array, key: Uint8Array) => boolean
  readonly sign: (message: Uint8Array, secret: Uint8Array) => Uint8Array
  readonly publicOf: (secret: Uint8Array) => Uint8Array
}

const bigEndian = (bytes: Uint8Array): bigint => BigInt(`0x${hex(bytes)}`)
const littleEndian = (bytes: Uint8Array): bigint => bigEndian(new Uint8Array(bytes).reverse())

const isPoint = (decode: () => unknown): boolean => {
  try {
    decode()
    return true
  } catch {
    // The decoder throws for every refusal; which of its checks failed is not for the caller.
    return false
  }
}

export const ALGORITHMS = {
  Ed25519: {
    keyBytes: 32,
    secretBytes: 32,
    refuseKey: (bytes) => {
      if (!isPoint(() => ed25519.Point.fromBytes(bytes, false))) return 'it is not a canonically encoded point'
      return ed25519.Point.fromBytes(bytes, false).isSmallOrder() ? 'it is a small-order point' : undefined
    },
    wellFormed: (signature) =>
      littleEndian(signature.subarray(32)) < ed25519.Point.Fn.ORDER &&
      isPoint(() => ed25519.Point.fromBytes(signature.subarray(0, 32), false)),
    verify: (signature, message, key) => ed25519.verify(signature, message, key, { zip215: false }),
    sign: (message, secret) => ed25519.sign(message, secret),
    publicOf: (secret) => ed25519.getPublicKey(secret),
  },
  ES256: {
    keyBytes: 65,
    secretBytes: 32,
    refuseKey: (bytes) =>
      bytes[0] === 4 && isPoint(() => p256.Point.fromBytes(bytes).assertValidity())
        ? undefined
        : 'it is not an uncompressed point of P-256',
    wellFormed: (signature) => {
      const [r, s] = [bigEndian(signature.subarray(0, 32)), bigEndian(signature.subarray(32))]
      return r > 0n && s > 0n && r < p256.Point.Fn.ORDER && s < p256.Point.Fn.ORDER
    },
    verify: (signature, message, key) => p256.verify(signature, message, key, { lowS: false }),
    sign: (message, secret) => p256.sign(message, secret, { lowS: false }),
    publicOf: (secret) => p256.getPublicKey(secret, false),
  },
} as const satisfies Record<KeyAlg, Algorithm>

export const isKeyAlg = (text: string): text is KeyAlg => Object.hasOwn(ALGORITHMS, text)

/** Validates a public key. Throws BUNDLE_KEY for anything that is not exactly one key of `alg`. */
export function enrollKey(alg: KeyAlg, bytes: Uint8Array, name = ''): PublicKey {
  const { keyBytes, refuseKey } = ALGORITHMS[alg]
  const why =
    bytes.length === keyBytes ? refuseKey(bytes) : `it has ${bytes.length} octets and a key of ${alg} has ${keyBytes}`
  if (why !== undefined) throw bundleFault('BUNDLE_KEY', { name, why })
  return { alg, bytes: new Uint8Array(bytes) } as PublicKey
}

/** Whether `signature` could be a signature of `alg` at all: 64 octets and both halves in range. */
export const isWellFormedSignature = (alg: KeyAlg, signature: Uint8Array): boolean =>
  signature.length === 64 && ALGORITHMS[alg].wellFormed(signature)

/** Checks one signature over exactly `message`. Never throws for any signature octets. */
export function checkSignature(key: PublicKey, message: Uint8Array, signature: Uint8Array): SignatureAnswer {
  if (!isWellFormedSignature(key.alg, signature)) return 'malformed'
  return ALGORITHMS[key.alg].verify(signature, message, key.bytes) ? 'good' : 'wrong'
}

/** The key as text; two keys are the same key exactly when this is the same text. */
export const keyIdentity = (key: PublicKey): string => `${key.alg}:${hex(key.bytes)}`
