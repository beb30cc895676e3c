// Registration records of logical agents (ODIS section 6.1; identity sheet section 3): who it is, who answers for it, where it
// may act, what it may do at most, and with which keys it hands authority on. Takes the octets of a signed record, gives a
// VerifiedRegistration; whether the record still holds is judged when it is used (decide/authority.ts).
//
// It has the members that are evaluated here and no others: one that nobody reads would be a promise that nobody keeps.

import { decodeBase64url } from '../base/bytes.js'
import { canonicalize, type Json } from '../base/canonical.js'
import { type Digest, digestOfText } from '../base/digest.js'
import { LIMITS } from '../base/limits.js'
import { quote } from '../base/quote.js'
import { readAuthorizations, type SignedAuthorization } from './authorization.js'
import { bundleFault } from './errors.js'
import { enrollKey, isKeyAlg, keyIdentity } from './keys.js'
import type { TrustedKey, TrustRoot } from './model.js'
import { count, instant, type No, text } from './release.js'
import { isKeyId, thresholdOf } from './root.js'
import { type Signer, signStatement } from './sign.js'
import { hasExactly, type JsonObject, readEnvelope, requireThreshold, STATEMENTS } from './statement.js'

export const LIFECYCLE_STATES = ['pending', 'active', 'suspended', 'revoked'] as const
export type LifecycleState = (typeof LIFECYCLE_STATES)[number]

/** Times are milliseconds since 1970. */
export interface RegistrationRecord {
  readonly issuer: string
  readonly recordId: string
  /** Monotonic: a lower one than was seen before is a rollback. */
  readonly recordVersion: number
  readonly agentId: string
  readonly state: LifecycleState
  readonly validUntilMs: number
  readonly sponsor: string
  readonly owner: string
  /** Workspaces that it may act in; exact. */
  readonly workspaces: readonly string[]
  readonly authorizations: readonly SignedAuthorization[]
}

declare const verifiedRegistration: unique symbol
export interface VerifiedRegistration {
  readonly [verifiedRegistration]: true
  readonly record: RegistrationRecord
  /** With which it signs delegations to others; by key id, which is its own affair. */
  readonly keys: ReadonlyMap<string, TrustedKey>
  /** Of the statement; never of signature octets. */
  readonly digest: Digest
  readonly signers: readonly string[]
}

const KEYS = [
  'agent_id',
  'authorizations',
  'delegation_keys',
  'format',
  'lifecycle_state',
  'owner_ref',
  'record_id',
  'record_issuer',
  'record_version',
  'sponsor_ref',
  'valid_until',
  'workspaces',
] as const
const MAX_KEYS = 8
const MAX_WORKSPACES = 256

/** Without spaces, because ids are joined by one. */
export const isReference = (value: string): boolean => /^[\x21-\x7e]{1,512}$/.test(value)
const isWorkspace = (value: string): boolean => /^spiffe:\/\/[\x21-\x7e]{1,2039}$/.test(value)
const isState = (value: string): boolean => (LIFECYCLE_STATES as readonly string[]).includes(value)

const no: No = (why) => bundleFault('BUNDLE_STATEMENT', { what: STATEMENTS.registration.what, why })

/** Throws BUNDLE_STATEMENT, naming the member, and BUNDLE_KEY. */
export function parseRegistration(statement: JsonObject): Pick<VerifiedRegistration, 'record' | 'keys'> {
  if (!hasExactly(statement, KEYS)) throw no(`exactly ${KEYS.join(', ')} are expected`)
  return {
    record: {
      issuer: text(statement.record_issuer, 'record_issuer', isReference, no),
      recordId: text(statement.record_id, 'record_id', isReference, no),
      recordVersion: count(statement.record_version, 'record_version', no),
      agentId: text(statement.agent_id, 'agent_id', isReference, no),
      state: text(statement.lifecycle_state, 'lifecycle_state', isState, no) as LifecycleState,
      validUntilMs: instant(statement.valid_until, 'valid_until', no),
      sponsor: text(statement.sponsor_ref, 'sponsor_ref', isReference, no),
      owner: text(statement.owner_ref, 'owner_ref', isReference, no),
      workspaces: readWorkspaces(statement.workspaces),
      authorizations: readAuthorizations(statement.authorizations, no),
    },
    keys: readKeys(statement.delegation_keys),
  }
}

function readWorkspaces(value: Json): readonly string[] {
  if (!Array.isArray(value) || value.length > MAX_WORKSPACES)
    throw no(`workspaces is not a list of at most ${MAX_WORKSPACES}`)
  return value.map((entry: Json) => text(entry, 'workspaces', isWorkspace, no))
}

function readKeys(value: Json): ReadonlyMap<string, TrustedKey> {
  if (!Array.isArray(value) || value.length > MAX_KEYS) throw no(`delegation_keys is not a list of at most ${MAX_KEYS}`)
  const keys = new Map<string, TrustedKey>()
  const holders = new Set<string>()
  for (const entry of value as readonly Json[]) {
    if (!hasExactly(entry, ['alg', 'kid', 'public_key'])) throw no('a key has exactly alg, kid and public_key')
    const kid = text(entry.kid, 'kid', isKeyId, no)
    const alg = text(entry.alg, 'alg', isKeyAlg, no)
    const octets = decodeBase64url(text(entry.public_key, 'public_key', () => true, no))
    if (octets === undefined || !isKeyAlg(alg))
      throw no(`the public key ${quote(kid)} is not base64url without padding`)
    const key = enrollKey(alg, octets, kid)
    if (keys.has(kid) || holders.has(keyIdentity(key))) throw no(`the key ${quote(kid)} stands there twice`)
    holders.add(keyIdentity(key))
    keys.set(kid, { kid, role: 'delegation', key })
  }
  return keys
}

/** Adds one signature to a registration record; `statement` as `parseRegistration` reads it. */
export async function signRegistration(
  statement: JsonObject,
  signer: Signer,
  existing?: Uint8Array,
): Promise<Uint8Array> {
  parseRegistration(statement)
  return signStatement('registration', statement, signer, existing)
}

/** Verifies a record: threshold of role registration. Throws BUNDLE_*. */
export async function verifyRegistration(bytes: Uint8Array, trust: TrustRoot): Promise<VerifiedRegistration> {
  const { what } = STATEMENTS.registration
  const limit = LIMITS.registrationBytes
  if (bytes.length > limit) throw bundleFault('BUNDLE_TOO_LARGE', { what: `the ${what}`, size: bytes.length, limit })
  const envelope = readEnvelope(new Uint8Array(bytes), 'registration')
  const signers = await requireThreshold(envelope, trust.keys, thresholdOf(trust, 'registration'))
  const { record, keys } = parseRegistration(envelope.statement)
  const digest = digestOfText(canonicalize(envelope.statement))
  return Object.freeze({ record, keys, digest, signers }) as unknown as VerifiedRegistration
}
