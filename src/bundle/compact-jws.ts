// Compact JWS of other parties (RFC 7515 section 7.1): three strict segments, an algorithm that the pinned key fixes, no
// header that could name another key. Gives the payload octets, or refuses.
//
// jose does the arithmetic; everything that it forgives is refused before it is called (bundle-trust sheet section 7).

import { flattenedVerify, importJWK } from 'jose'
import { decodeBase64url, decodeUtf8, utf8 } from '../base/bytes.js'
import { isObject, JsonError, parseJson } from '../base/json.js'
import { LIMITS } from '../base/limits.js'
import { bundleFault } from './errors.js'
import type { JwsAlg, JwsKey } from './jwk.js'
import { checkSignature } from './keys.js'
import type { JsonObject } from './statement.js'

/** Header members that may stand beside `alg`; all others are refused, `crit`, `b64`, `jwk`, `jku`, `x5c` and `x5u` first. */
const HEADER = ['alg', 'kid', 'typ', 'cty']
const no = (why: string, cause?: unknown) => bundleFault('BUNDLE_JWS', { why }, { cause })

/** Verifies `token` under one of `keys`, for the algorithms that the caller allows. Throws BUNDLE_JWS. */
export async function verifyCompactJws(
  token: string,
  keys: readonly JwsKey[],
  allowed: readonly JwsAlg[],
): Promise<Uint8Array> {
  if (token.length > LIMITS.envelopeBytes) throw no(`it is longer than ${LIMITS.envelopeBytes} characters`)
  const segments = token.split('.')
  const [head, payload, signature] = segments
  if (segments.length !== 3 || head === undefined || payload === undefined || signature === undefined)
    throw no('it does not have three segments')
  const header = readHeader(head)
  const content = decodeBase64url(payload)
  const octets = decodeBase64url(signature)
  if (content === undefined || octets === undefined) throw no('a segment is not base64url without padding')
  const key = choose(header, keys)
  if (header.alg !== key.alg || !allowed.includes(key.alg)) throw no('the algorithm is not the one that the key is for')
  if (key.strict && checkSignature(key.strict, utf8(`${head}.${payload}`), octets) !== 'good')
    throw no('the signature is wrong')
  try {
    const options = { algorithms: [key.alg] }
    await flattenedVerify({ protected: head, payload, signature }, await importJWK({ ...key.jwk }, key.alg), options)
  } catch (cause) {
    throw no('the signature is wrong, or the key cannot be used', cause)
  }
  return content
}

function readHeader(segment: string): JsonObject {
  const octets = decodeBase64url(segment)
  const text = octets && octets.length <= LIMITS.protectedHeaderBytes ? decodeUtf8(octets) : undefined
  if (text === undefined) throw no('the header is not base64url of UTF-8, or is too long')
  try {
    const header = parseJson(text)
    if (!isObject(header)) throw no('the header is not an object')
    const other = Object.keys(header).find((member) => !HEADER.includes(member))
    if (other !== undefined) throw no(`the header has ${JSON.stringify(other.slice(0, 40))}`)
    return header
  } catch (cause) {
    if (cause instanceof JsonError) throw no('the header is not strict JSON', cause)
    throw cause
  }
}

/** The key with the header's kid; without one, the only key there is. */
function choose(header: JsonObject, keys: readonly JwsKey[]): JwsKey {
  const { kid } = header
  const matching = kid === undefined ? keys : keys.filter((key) => key.kid === kid)
  const [key] = matching
  if (key === undefined || matching.length > 1) throw no('no key, or more than one, fits the header')
  return key
}
