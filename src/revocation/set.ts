// Is this a security event token that we may act on? In the order of the identity sheet, section 4: size and shape, header, key and
// signature, and only then what is inside: issuer, audience, what must be absent, id, time, subject, one event (RFC 8417, RFC 8935
// section 2, SSF 1.0 section 4). Gives the event, or the one error code that tells the transmitter what is wrong.
//
// Keys are the stream's own. Nothing of the payload is read before the signature holds, and unknown claims are ignored.

import { decodeBase64url, decodeUtf8 } from '../base/bytes.js'
import type { Json } from '../base/canonical.js'
import { Fault } from '../base/fault.js'
import { isObject, JsonError, parseJson } from '../base/json.js'
import { verifyCompactJws } from '../bundle/compact-jws.js'
import type { JwsKey } from '../bundle/jwk.js'
import { readSubject } from '../plan/subject.js'
import { eventOfUri, wrongWith } from './events.js'
import { isOfStream } from './match.js'
import type { ErrorCode, Refusal, SecurityEvent, StreamTerms } from './model.js'

export const SET_TYPE = 'secevent+jwt'
export const SET_BYTES = 64 << 10
/** There is no `exp`, so `iat` bounds what is believed: longer ago it would be a replay of something long settled. */
export const SET_OLDEST_MS = 24 * 3_600_000
/** Between the clocks of two machines. */
export const SET_AHEAD_MS = 300_000
const MAX_JTI = 256
const HEADER: readonly string[] = ['alg', 'kid', 'typ']

export interface Arrival {
  readonly nowMs: number
  /** Address or host that it came from. */
  readonly from: string
}

const no = (err: ErrorCode, description: string): Refusal => ({ err, description })
const unreadable = (description: string): Refusal => no('invalid_request', description)
export const isRefusal = (value: SecurityEvent | Refusal): value is Refusal => 'err' in value

// untrusted: `token`
/** Checks one SET. Throws nothing that the token could cause. */
export async function readSet(
  token: string,
  stream: StreamTerms,
  keys: readonly JwsKey[],
  arrival: Arrival,
): Promise<SecurityEvent | Refusal> {
  const bad = checkHeader(token, stream)
  if (bad) return bad
  let payload: Uint8Array
  try {
    payload = await verifyCompactJws(token, keys, stream.algorithms)
  } catch (error) {
    if (error instanceof Fault) return no('invalid_key', 'no key of this issuer verifies the signature')
    throw error
  }
  const claims = parsed(payload)
  return isObject(claims) ? readClaims(claims, stream, arrival) : unreadable('the payload is not a strict JSON object')
}

function checkHeader(token: string, { algorithms }: StreamTerms): Refusal | undefined {
  if (token.length > SET_BYTES) return unreadable(`a SET has at most ${SET_BYTES} octets`)
  const segments = token.split('.').map((segment) => decodeBase64url(segment))
  const [head] = segments
  if (segments.length !== 3 || segments.includes(undefined) || !head) return unreadable('it is not a compact JWS')
  const header = parsed(head)
  if (!isObject(header)) return unreadable('its header is not a strict JSON object')
  const other = Object.keys(header).find((name) => !HEADER.includes(name))
  if (other !== undefined) return unreadable(`its header has ${JSON.stringify(other.slice(0, 40))}`)
  // RFC 8417 section 2.3: explicit typing keeps other tokens of the same issuer out.
  if (header.typ !== SET_TYPE) return unreadable(`its typ is not ${SET_TYPE}`)
  return (algorithms as readonly (Json | undefined)[]).includes(header.alg)
    ? undefined
    : no('invalid_key', 'its algorithm is not one that this stream may use')
}

function parsed(octets: Uint8Array): Json | undefined {
  const text = decodeUtf8(octets)
  if (text === undefined) return undefined
  try {
    return parseJson(text)
  } catch (error) {
    if (error instanceof JsonError) return undefined
    throw error
  }
}

type Claims = { readonly [name: string]: Json | undefined }

function readClaims(claims: Claims, stream: StreamTerms, { nowMs, from }: Arrival): SecurityEvent | Refusal {
  const { iss, aud, jti, iat, sub_id: subId, events } = claims
  if (typeof iss !== 'string') return unreadable('iss is missing')
  if (iss !== stream.issuer) return no('invalid_issuer', 'iss is not the issuer of this stream')
  const audience = typeof aud === 'string' ? [aud] : Array.isArray(aud) ? (aud as readonly Json[]) : []
  if (!audience.some((one) => typeof one === 'string' && stream.audience.includes(one)))
    return no('invalid_audience', 'aud does not name this receiver')
  // SSF 1.0 section 4.1.6 and 4.1.7: a SET is neither about `sub` nor does it expire.
  const absent = ['sub', 'exp'].find((name) => claims[name] !== undefined)
  if (absent !== undefined) return unreadable(`${absent} must not be in a SET`)
  if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI)
    return unreadable(`jti must be a text of 1 to ${MAX_JTI} characters`)
  if (typeof iat !== 'number' || !(iat >= 0)) return unreadable('iat must be a number of seconds')
  const iatMs = Math.round(iat * 1_000)
  if (iatMs < nowMs - SET_OLDEST_MS) return unreadable('iat is too long ago')
  if (iatMs > nowMs + SET_AHEAD_MS) return unreadable('iat is in the future')
  const subject = readSubject(subId)
  if (typeof subject === 'string') return unreadable(`sub_id: ${subject}`)
  const listed = isObject(events) ? Object.entries(events) : []
  const [only] = listed
  if (listed.length !== 1 || !only) return unreadable('events must have exactly one member')
  const [type, payload] = only
  if (!isObject(payload)) return unreadable('the event must be an object')
  const event = {
    stream: stream.name,
    issuer: iss,
    jti,
    iatMs,
    subId: subId ?? null,
    type,
    payload,
    receivedAtMs: nowMs,
    from,
  }
  const name = eventOfUri(type)
  if (name === undefined) return event
  if (!isOfStream(type) && !stream.events.includes(name)) return no('access_denied', `this stream may not send ${name}`)
  const wrong = wrongWith(name, payload)
  return wrong === undefined ? { ...event, name } : unreadable(`${name}: ${wrong}`)
}
