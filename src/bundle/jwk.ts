// Keys of other parties, published as JWK (RFC 7517): one key or a set, each fixed to one algorithm by its own `alg`. Used
// for compact JWS (compact-jws.ts); our own statements use the keys of the trust root instead.
//
// Refuses what libraries let through: a set that mixes secrets and public keys or repeats a `kid`, keys for another use,
// secrets shorter than their hash, RSA below 2,048 bits or with a small exponent, RSA keys of the ROCA generator
// (CVE-2017-15361), curves that do not fit the algorithm (bundle-trust sheet sections 6 and 7).

import { decodeBase64url, hex } from '../base/bytes.js'
import type { Json } from '../base/canonical.js'
import { isObject } from '../base/json.js'
import { LIMITS } from '../base/limits.js'
import { bundleFault } from './errors.js'
import { enrollKey, type PublicKey } from './keys.js'
import type { JsonObject } from './statement.js'

interface JwsAlgorithm {
  readonly kty: 'oct' | 'RSA' | 'EC' | 'OKP'
  readonly crv?: string
  /** Least octets of a secret: those of its hash (RFC 7518 section 3.2). */
  readonly minSecret?: number
}

export const JWS_ALGORITHMS = {
  HS256: { kty: 'oct', minSecret: 32 },
  HS384: { kty: 'oct', minSecret: 48 },
  HS512: { kty: 'oct', minSecret: 64 },
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  Ed25519: { kty: 'OKP', crv: 'Ed25519' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
} as const satisfies Record<string, JwsAlgorithm>
export type JwsAlg = keyof typeof JWS_ALGORITHMS

export interface JwsKey {
  readonly alg: JwsAlg
  readonly kid?: string
  /** The public members, or the secret; what `importJWK` takes. */
  readonly jwk: { readonly kty: string; readonly [member: string]: string }
  /** Set for Ed25519, whose signatures are also checked strictly. */
  readonly strict?: PublicKey
}

const no = (why: string, cause?: unknown) => bundleFault('BUNDLE_JWK', { why }, { cause })
const isJwsAlg = (text: string): text is JwsAlg => Object.hasOwn(JWS_ALGORITHMS, text)

/** Reads one JWK or a set of them. Throws BUNDLE_JWK. */
export function readJwks(document: Json): readonly JwsKey[] {
  if (!isObject(document)) throw no('it is not an object')
  const listed = Object.hasOwn(document, 'keys') ? document.keys : [document]
  if (!Array.isArray(listed) || listed.length === 0 || listed.length > LIMITS.envelopeSignatures)
    throw no(`a set has 1 to ${LIMITS.envelopeSignatures} keys`)
  const keys = listed.map((entry: Json) => readJwk(entry))
  if (new Set(keys.map(({ jwk }) => jwk.kty === 'oct')).size > 1) throw no('the set mixes secrets and public keys')
  const kids = keys.map(({ kid }) => kid)
  if (keys.length > 1 && kids.includes(undefined)) throw no('a key of the set has no kid')
  if (new Set(kids).size !== keys.length) throw no('two keys of the set have the same kid')
  return keys
}

function readJwk(entry: Json): JwsKey {
  if (!isObject(entry)) throw no('a key is not an object')
  const { alg, kty, use, key_ops: operations, kid } = entry
  if (typeof alg !== 'string' || !isJwsAlg(alg)) throw no('a key names no signature algorithm that is known')
  const algorithm: JwsAlgorithm = JWS_ALGORITHMS[alg]
  if (kty !== algorithm.kty) throw no(`a key for ${alg} is not of type ${algorithm.kty}`)
  if (use !== undefined && use !== 'sig') throw no('a key is not for signatures')
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    throw no('a key is not for verifying')
  if (kid !== undefined && (typeof kid !== 'string' || kid.length === 0 || kid.length > 256))
    throw no('a kid is not acceptable')
  if (algorithm.crv !== undefined && entry.crv !== algorithm.crv)
    throw no(`a key for ${alg} is not on ${algorithm.crv}`)
  const named = kid === undefined ? {} : { kid }
  if (kty === 'oct') {
    const k = octets(entry, 'k')
    if (k.length < (algorithm.minSecret ?? 0)) throw no(`a secret for ${alg} has ${k.length} octets`)
    return { alg, ...named, jwk: pick(entry, kty, ['k']) }
  }
  if (kty === 'RSA') {
    requireRsa(octets(entry, 'n'), octets(entry, 'e'))
    return { alg, ...named, jwk: pick(entry, kty, ['n', 'e']) }
  }
  if (kty === 'EC') {
    octets(entry, 'x')
    octets(entry, 'y')
    return { alg, ...named, jwk: pick(entry, kty, ['crv', 'x', 'y']) }
  }
  return {
    alg,
    ...named,
    jwk: pick(entry, kty, ['crv', 'x']),
    strict: enrollKey('Ed25519', octets(entry, 'x'), kid ?? ''),
  }
}

function octets(entry: JsonObject, member: string): Uint8Array {
  const text = entry[member]
  const bytes = typeof text === 'string' ? decodeBase64url(text) : undefined
  if (bytes === undefined) throw no(`a key's ${member} is not base64url without padding`)
  return bytes
}

/** Only the named members: no private part and no URL reaches the crypto library. */
function pick(entry: JsonObject, kty: string, members: readonly string[]): JwsKey['jwk'] {
  const picked: Record<string, string> = {}
  for (const member of members) {
    const text = entry[member]
    if (typeof text !== 'string') throw no(`a key's ${member} is not text`)
    picked[member] = text
  }
  return { kty, ...picked }
}

function requireRsa(modulus: Uint8Array, exponent: Uint8Array): void {
  const n = BigInt(`0x0${hex(modulus)}`)
  const e = BigInt(`0x0${hex(exponent)}`)
  const bits = n.toString(2).length
  if (bits < 2048 || bits > 8192) throw no(`an RSA key has ${bits} bits`)
  if (e < 65_537n || e % 2n === 0n || e > 2n ** 32n) throw no('an RSA key has an unacceptable public exponent')
  if (isRoca(n)) throw no('an RSA key was made by the ROCA generator')
}

const SMALL_PRIMES = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
  127, 131, 137, 139, 149, 151, 157, 163, 167,
]

/**
 * The fingerprint of CVE-2017-15361: modulo every small prime the modulus is a power of 65537. An honest key passes all
 * 38 by chance with probability far below 2^-20.
 */
function isRoca(n: bigint): boolean {
  return SMALL_PRIMES.every((prime) => {
    const residue = Number(n % BigInt(prime))
    const generator = 65_537 % prime
    let power = 1
    for (let i = 0; i < prime; i++) {
      if (power === residue) return true
      power = (power * generator) % prime
    }
    return false
  })
}
