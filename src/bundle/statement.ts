// Signed statements: canonical JSON in a JWS General JSON serialization (RFC 7515 section 7.2.1), one `typ` for each kind
// of statement and one key role for each `typ`. Takes the file's octets, gives the statement and who signed it.
//
// jose alone would accept duplicate header keys, an `alg` outside the protected header, padding and spaces (bundle-trust
// sheet section 7). So every segment is read strictly first, the algorithm is the enrolled key's and never the header's,
// each signature is verified on its own by two implementations, and the threshold counts distinct keys.

import { flattenedVerify, importJWK } from 'jose'
import { base64url, decodeBase64url, decodeUtf8, utf8 } from '../base/bytes.js'
import { canonicalize, type Json } from '../base/canonical.js'
import { isObject, JsonError, parseJson } from '../base/json.js'
import { LIMITS } from '../base/limits.js'
import { bundleFault } from './errors.js'
import { checkSignature, keyIdentity, type PublicKey } from './keys.js'
import type { KeyRole, TrustedKey } from './model.js'

interface Kind {
  readonly format: string
  readonly typ: string
  readonly role: KeyRole
  readonly what: string
}

/** Every kind of statement that a key may sign. A signature for one can never serve as another. */
export const STATEMENTS = {
  release: { format: 'sluice-release/1', typ: 'application/vnd.sluice.release+json', role: 'release', what: 'release' },
  inventory: {
    format: 'sluice-inventory/1',
    typ: 'application/vnd.sluice.inventory+json',
    role: 'inventory',
    what: 'inventory statement',
  },
  root: { format: 'sluice-root/1', typ: 'application/vnd.sluice.root+json', role: 'root', what: 'root' },
  freshness: {
    format: 'sluice-freshness/1',
    typ: 'application/vnd.sluice.freshness+json',
    role: 'freshness',
    what: 'freshness statement',
  },
  breakglass: {
    format: 'sluice-breakglass/1',
    typ: 'application/vnd.sluice.breakglass+json',
    role: 'breakglass',
    what: 'break-glass statement',
  },
  registration: {
    format: 'sluice-registration/1',
    typ: 'application/vnd.sluice.registration+json',
    role: 'registration',
    what: 'registration record',
  },
  delegation: {
    format: 'sluice-delegation/1',
    typ: 'application/vnd.sluice.delegation+json',
    role: 'delegation',
    what: 'delegation record',
  },
  images: {
    format: 'sluice-images/1',
    typ: 'application/vnd.sluice.images+json',
    role: 'image',
    what: 'list of images',
  },
} as const satisfies Record<string, Kind>
export type StatementKind = keyof typeof STATEMENTS

export type JsonObject = { readonly [key: string]: Json | undefined }

interface Signature {
  /** base64url, as written. */
  readonly protected: string
  readonly signature: string
}

/** An envelope whose shape was checked and whose signatures were not. */
export interface Envelope {
  readonly kind: StatementKind
  /** base64url of the canonical statement, as it is signed. */
  readonly payload: string
  // untrusted: until the threshold is met
  readonly statement: JsonObject
  readonly signatures: readonly Signature[]
}

/** Reads the file and the statement in it. Throws BUNDLE_TOO_LARGE, BUNDLE_TOO_MANY or BUNDLE_STATEMENT. */
export function readEnvelope(bytes: Uint8Array, kind: StatementKind): Envelope {
  const { what, format } = STATEMENTS[kind]
  const no = (why: string, cause?: unknown) => bundleFault('BUNDLE_STATEMENT', { what, why }, { cause })
  if (bytes.length > LIMITS.envelopeBytes)
    throw bundleFault('BUNDLE_TOO_LARGE', { what: `the ${what}`, size: bytes.length, limit: LIMITS.envelopeBytes })
  const file = readJson(bytes, no)
  // One spelling only: otherwise white space could be changed without anybody noticing.
  if (decodeUtf8(bytes) !== `${canonicalize(file)}\n`)
    throw no('the file is not canonical JSON with one line feed after it')
  if (!hasExactly(file, ['payload', 'signatures'])) throw no('exactly payload and signatures are expected')
  const { payload, signatures } = file
  if (typeof payload !== 'string' || !Array.isArray(signatures)) throw no('payload or signatures has the wrong type')
  const count = signatures.length
  if (count > LIMITS.envelopeSignatures)
    throw bundleFault('BUNDLE_TOO_MANY', { what: `signatures of the ${what}`, count, limit: LIMITS.envelopeSignatures })
  const octets = decodeBase64url(payload)
  if (octets === undefined) throw no('the payload is not base64url without padding')
  const statement = readJson(octets, no)
  if (!isObject(statement)) throw no('the statement is not an object')
  if (decodeUtf8(octets) !== canonicalize(statement)) throw no('the statement is not canonical JSON (RFC 8785)')
  if (statement.format !== format) throw no(`the format is not ${format}`)
  const read = signatures.map((entry: Json) => {
    if (!hasExactly(entry, ['protected', 'signature'])) throw no('a signature has exactly protected and signature')
    if (typeof entry.protected !== 'string' || typeof entry.signature !== 'string') throw no('a signature is not text')
    return { protected: entry.protected, signature: entry.signature }
  })
  return { kind, payload, statement, signatures: read }
}

/** The protected header: exactly alg, kid and typ; any other member (crit, b64, jwk, jku, x5u, x5c) is refused. */
function readHeader(kind: StatementKind, entry: Signature): { alg: string; kid: string } {
  const { what, typ } = STATEMENTS[kind]
  const no = (why: string, cause?: unknown) => bundleFault('BUNDLE_STATEMENT', { what, why }, { cause })
  const octets = decodeBase64url(entry.protected)
  if (octets === undefined) throw no('a protected header is not base64url without padding')
  if (octets.length > LIMITS.protectedHeaderBytes)
    throw bundleFault('BUNDLE_TOO_LARGE', {
      what: 'a protected header',
      size: octets.length,
      limit: LIMITS.protectedHeaderBytes,
    })
  const header = readJson(octets, no)
  if (!hasExactly(header, ['alg', 'kid', 'typ'])) throw no('a protected header has exactly alg, kid and typ')
  const { alg, kid } = header
  if (typeof alg !== 'string' || typeof kid !== 'string' || typeof header.typ !== 'string')
    throw no('alg, kid or typ is not text')
  if (header.typ !== typ) throw bundleFault('BUNDLE_STATEMENT_TYPE', { what, typ: header.typ })
  return { alg, kid }
}

/**
 * The key ids with a good signature, sorted, each distinct public key once. Signatures of unknown keys, and of keys that are
 * in doubt, count for nothing; a wrong signature under a known key refuses the statement. Throws BUNDLE_STATEMENT*,
 * BUNDLE_SIGNATURE.
 */
export async function goodSigners(envelope: Envelope, keys: ReadonlyMap<string, TrustedKey>): Promise<string[]> {
  const { what, role } = STATEMENTS[envelope.kind]
  const signers = new Map<string, string>()
  for (const entry of envelope.signatures) {
    const { alg, kid } = readHeader(envelope.kind, entry)
    const trusted = keys.get(kid)
    if (trusted?.role !== role || trusted.doubt !== undefined) continue
    const { key } = trusted
    if (alg !== key.alg) throw bundleFault('BUNDLE_STATEMENT_ALGORITHM', { what, kid, alg })
    await verifyOne(envelope, entry, key, kid)
    signers.set(keyIdentity(key), kid)
  }
  return [...signers.values()].sort()
}

/**
 * As `goodSigners`, and throws BUNDLE_THRESHOLD unless `threshold` distinct keys signed; BUNDLE_KEY_DOUBT when one of those
 * that signed is in doubt.
 */
export async function requireThreshold(
  envelope: Envelope,
  keys: ReadonlyMap<string, TrustedKey>,
  threshold: number,
): Promise<string[]> {
  const { what, role } = STATEMENTS[envelope.kind]
  const signers = await goodSigners(envelope, keys)
  if (signers.length >= threshold && threshold >= 1) return signers
  const doubted = claimedSigners(envelope)
    .map((kid) => keys.get(kid))
    .find((key) => key?.role === role && key.doubt !== undefined)
  if (doubted?.doubt !== undefined) throw bundleFault('BUNDLE_KEY_DOUBT', { kid: doubted.kid, why: doubted.doubt })
  throw bundleFault('BUNDLE_THRESHOLD', { what, role, have: signers.length, need: threshold })
}

/** The key ids that the headers name, unverified and in order. Throws as `requireThreshold` does for malformed ones. */
export const claimedSigners = (envelope: Envelope): string[] =>
  envelope.signatures.map((entry) => readHeader(envelope.kind, entry).kid)

async function verifyOne(envelope: Envelope, entry: Signature, key: PublicKey, kid: string): Promise<void> {
  const { what } = STATEMENTS[envelope.kind]
  const octets = decodeBase64url(entry.signature)
  if (octets === undefined)
    throw bundleFault('BUNDLE_STATEMENT', { what, why: 'a signature is not base64url without padding' })
  const message = utf8(`${entry.protected}.${envelope.payload}`)
  if (checkSignature(key, message, octets) !== 'good')
    throw bundleFault('BUNDLE_SIGNATURE', { what: `the ${what}`, kid })
  try {
    const jws = { payload: envelope.payload, protected: entry.protected, signature: entry.signature }
    await flattenedVerify(jws, await importJWK(jwkOf(key), key.alg), { algorithms: [key.alg] })
  } catch (cause) {
    throw bundleFault('BUNDLE_SIGNATURE', { what: `the ${what}`, kid }, { cause })
  }
}

const jwkOf = ({ alg, bytes }: PublicKey) =>
  alg === 'Ed25519'
    ? ({ kty: 'OKP', crv: 'Ed25519', x: base64url(bytes) } as const)
    : ({
        kty: 'EC',
        crv: 'P-256',
        x: base64url(bytes.subarray(1, 33)),
        y: base64url(bytes.subarray(33)),
      } as const)

function readJson(bytes: Uint8Array, no: (why: string, cause?: unknown) => Error): Json {
  const text = decodeUtf8(bytes)
  if (text === undefined) throw no('it is not UTF-8')
  try {
    return parseJson(text)
  } catch (cause) {
    if (cause instanceof JsonError) throw no(cause.message, cause)
    throw cause
  }
}

/** An object with these members and no others. */
export function hasExactly<K extends string>(
  value: Json | undefined,
  keys: readonly K[],
): value is { readonly [key in K]: Json } {
  return isObject(value) && Object.keys(value).length === keys.length && keys.every((key) => Object.hasOwn(value, key))
}
