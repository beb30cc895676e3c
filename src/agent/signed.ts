// What the agent signs, opened by somebody who trusts its key: seals of the journal, receipts and evidence are compact JWS
// (RFC 7515) that differ in `typ` and in the `format` inside. The keys come from a trust root (role `agent`), or from the file
// that the agent wrote beside its private key, which then must have come by a way that the node's host cannot change.

import { base64url, decodeBase64url, decodeUtf8 } from '../base/bytes.js'
import { isObject, JsonError, parseJson } from '../base/json.js'
import { verifyCompactJws } from '../bundle/compact-jws.js'
import { type JwsKey, readJwks } from '../bundle/jwk.js'
import { enrollKey, isKeyAlg, type PublicKey } from '../bundle/keys.js'
import type { TrustRoot } from '../bundle/model.js'
import { agentFault } from './errors.js'

const KEYS_BYTES = 64 << 10

/** The agents' keys of a trust root; those in doubt do not count. */
export const agentKeysOf = (root: TrustRoot): readonly JwsKey[] =>
  [...root.keys.values()]
    .filter(({ role, doubt }) => role === 'agent' && doubt === undefined)
    .map(({ kid, key }) => jwsKey(kid, key))

// untrusted: `bytes`, until its keys are enrolled
/** Reads `agent.pub.json`: key ids with role, algorithm and public key. Throws AGENT_KEYS and BUNDLE_KEY. */
export function readAgentKeys(bytes: Uint8Array, file: string): readonly JwsKey[] {
  const no = (why: string, cause?: unknown) => agentFault('AGENT_KEYS', { file, why }, { cause })
  const text = bytes.length > KEYS_BYTES ? undefined : decodeUtf8(bytes)
  if (text === undefined) throw no('it is too long, or not UTF-8')
  try {
    const document = parseJson(text)
    if (!isObject(document)) throw no('it is not an object of key ids')
    const keys = Object.entries(document).map(([kid, entry]) => {
      const { role, alg, public_key: key } = isObject(entry) ? entry : {}
      const octets = typeof key === 'string' ? decodeBase64url(key) : undefined
      if (role !== 'agent' || typeof alg !== 'string' || !isKeyAlg(alg) || octets === undefined)
        throw no(`the key ${kid.slice(0, 64)} has not the role agent, a known algorithm and a public key`)
      return jwsKey(kid, enrollKey(alg, octets, kid))
    })
    if (keys.length === 0) throw no('it has no key')
    return keys
  } catch (error) {
    if (error instanceof JsonError) throw no('it is not strict JSON', error)
    throw error
  }
}

const jwsKey = (kid: string, { alg, bytes }: PublicKey): JwsKey => {
  const jwk =
    alg === 'Ed25519'
      ? { kty: 'OKP', crv: 'Ed25519', x: base64url(bytes) }
      : { kty: 'EC', crv: 'P-256', x: base64url(bytes.subarray(1, 33)), y: base64url(bytes.subarray(33)) }
  const [key] = readJwks({ ...jwk, alg, kid })
  if (!key) throw new TypeError('a set of one key has one key')
  return key
}

/** The payload of a token of this type, under one of these keys. Throws AGENT_SIGNED_TYPE, BUNDLE_JWS. */
export async function openSigned(token: string, typ: string, keys: readonly JwsKey[]): Promise<Uint8Array> {
  const trimmed = token.trimEnd()
  const payload = await verifyCompactJws(trimmed, keys, ['Ed25519', 'ES256'])
  const found = typeOf(trimmed)
  if (found !== typ) throw agentFault('AGENT_SIGNED_TYPE', { expected: typ, found })
  return payload
}

// untrusted: what it says of itself
/** The type of a token; empty where it has none, or is no token. */
export function typeOf(token: string): string {
  try {
    const header = parseJson(decodeUtf8(decodeBase64url(token.split('.')[0] ?? '') ?? new Uint8Array(0)) ?? 'null')
    return isObject(header) && typeof header.typ === 'string' ? header.typ : ''
  } catch {
    // Whoever verifies it says what is wrong with it.
    return ''
  }
}
