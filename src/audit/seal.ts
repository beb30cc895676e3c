// The seal of a segment: a compact JWS (RFC 7515) of the agent's key over the segment's place in the chain. It says which
// segment, from which event to which, how many, the last fingerprint, and what the segment follows, so that nothing can be
// taken away, put in or rewritten before the last seal without the key. Pure: the key signs behind an interface.

import { base64url, decodeBase64url, decodeUtf8, utf8 } from '../base/bytes.js'
import { canonicalize } from '../base/canonical.js'
import { isObject, JsonError, parseJson } from '../base/json.js'

export const SEAL_FORMAT = 'sluice-seal/1'
export const SEAL_TYPE = 'application/vnd.sluice.seal+json'

export interface Seal {
  readonly format: typeof SEAL_FORMAT
  /** The node whose journal it is. */
  readonly node: string
  readonly chain: string
  /** From 1, one more for each segment of the journal. */
  readonly segment: number
  readonly events: number
  readonly octets: number
  readonly firstSequence: number
  readonly lastSequence: number
  /** Of the last event. */
  readonly fingerprint: string
  /** Of the event before the first; null at the beginning of the chain. */
  readonly follows: string | null
  readonly sealedAtMs: number
}

/** A private key, wherever it lives; `Signer` of the bundle folder is one. */
export interface SealSigner {
  readonly kid: string
  readonly alg: string
  sign(message: Uint8Array): Promise<Uint8Array>
}

/** Any statement as a compact JWS with `typ`. */
export async function signCompact(typ: string, payload: Uint8Array, signer: SealSigner): Promise<string> {
  const header = base64url(utf8(canonicalize({ alg: signer.alg, kid: signer.kid, typ })))
  const signed = `${header}.${base64url(payload)}`
  return `${signed}.${base64url(await signer.sign(utf8(signed)))}`
}

/** The content of a `.seal` file. */
export const signSeal = async (seal: Seal, signer: SealSigner): Promise<string> =>
  `${await signCompact(SEAL_TYPE, utf8(canonicalize({ ...seal })), signer)}\n`

const NUMBERS = ['segment', 'events', 'octets', 'firstSequence', 'lastSequence', 'sealedAtMs'] as const
const MEMBERS = [...NUMBERS, 'format', 'node', 'chain', 'fingerprint', 'follows']
const isHash = (value: unknown): boolean => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)

/** Reads a payload; undefined when it is not a seal in its one spelling. */
export function readSeal(payload: Uint8Array): Seal | undefined {
  try {
    const text = decodeUtf8(payload)
    const value = text === undefined ? undefined : parseJson(text)
    if (!isObject(value) || text !== canonicalize(value) || value.format !== SEAL_FORMAT) return undefined
    if (Object.keys(value).length !== MEMBERS.length || !MEMBERS.every((name) => Object.hasOwn(value, name)))
      return undefined
    if (!NUMBERS.every((name) => Number.isSafeInteger(value[name]) && Number(value[name]) >= 0)) return undefined
    if (typeof value.node !== 'string' || typeof value.chain !== 'string') return undefined
    return isHash(value.fingerprint) && (value.follows === null || isHash(value.follows))
      ? (value as unknown as Seal)
      : undefined
  } catch (error) {
    if (error instanceof JsonError) return undefined
    throw error
  }
}

/** The seal inside a token whose signature nobody has checked yet, for messages and for the writer's own files. */
export function unverifiedSeal(token: string): Seal | undefined {
  const payload = decodeBase64url(token.trimEnd().split('.')[1] ?? '')
  return payload === undefined ? undefined : readSeal(payload)
}
