// Delegation records (ODIS section 6.3; identity sheet section 3): one hop by which somebody lets an agent act for a task. Takes
// the octets of one signed hop and the keys that may have signed it, gives a VerifiedDelegation. Whether hops make a chain that
// only ever narrows is judged where they stand together (decide/authority.ts).
//
// A root hop is signed by the threshold of role `delegation` of the trust root, a later one by a key of the agent that hands on.

import { canonicalize, type Json } from '../base/canonical.js'
import { type Digest, digestOfText, isDigest } from '../base/digest.js'
import { LIMITS } from '../base/limits.js'
import { readAuthorizations, type SignedAuthorization } from './authorization.js'
import { bundleFault } from './errors.js'
import type { TrustedKey } from './model.js'
import { isReference } from './registration.js'
import { count, instant, type No, text } from './release.js'
import { type Signer, signStatement } from './sign.js'
import { hasExactly, type JsonObject, readEnvelope, requireThreshold, STATEMENTS } from './statement.js'

/** Times are milliseconds since 1970. */
export interface DelegationRecord {
  readonly delegationId: string
  readonly issuer: string
  /** The agent that it is given to. */
  readonly actor: string
  readonly taskId: string
  /** Absent at the root. */
  readonly parent?: { readonly issuer: string; readonly delegationId: string; readonly digest: Digest }
  readonly authorizations: readonly SignedAuthorization[]
  /** Further hops that may follow. */
  readonly maxDepth: number
  /** Every action under it needs a person's yes. */
  readonly review: boolean
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

declare const verifiedDelegation: unique symbol
export interface VerifiedDelegation {
  readonly [verifiedDelegation]: true
  readonly record: DelegationRecord
  /** Of the statement as it was signed, which is how a child names its parent. */
  readonly digest: Digest
}

const ROOT = [
  'actor',
  'authorizations',
  'delegation_id',
  'expires_at',
  'format',
  'issued_at',
  'issuer',
  'max_depth',
  'review',
  'task_id',
] as const
const CHILD = [...ROOT, 'parent_delegation_ref'] as const

const no: No = (why) => bundleFault('BUNDLE_STATEMENT', { what: STATEMENTS.delegation.what, why })

/** Throws BUNDLE_STATEMENT, naming the member. */
export function parseDelegation(statement: JsonObject): DelegationRecord {
  const isChild = statement.parent_delegation_ref !== undefined
  const keys = isChild ? CHILD : ROOT
  if (!hasExactly(statement, keys)) throw no(`exactly ${keys.join(', ')} are expected`)
  if (typeof statement.review !== 'boolean') throw no('review is not true or false')
  const issuedAtMs = instant(statement.issued_at, 'issued_at', no)
  const expiresAtMs = instant(statement.expires_at, 'expires_at', no)
  if (expiresAtMs <= issuedAtMs) throw no('expires_at must be later than issued_at')
  return {
    delegationId: text(statement.delegation_id, 'delegation_id', isReference, no),
    issuer: text(statement.issuer, 'issuer', isReference, no),
    actor: text(statement.actor, 'actor', isReference, no),
    taskId: text(statement.task_id, 'task_id', isReference, no),
    authorizations: readAuthorizations(statement.authorizations, no),
    maxDepth: count(statement.max_depth, 'max_depth', no),
    review: statement.review,
    issuedAtMs,
    expiresAtMs,
    ...(isChild ? { parent: readParent((statement as JsonObject).parent_delegation_ref) } : {}),
  }
}

function readParent(value: Json | undefined): NonNullable<DelegationRecord['parent']> {
  if (!hasExactly(value, ['delegation_id', 'issuer', 'record_digest']))
    throw no('parent_delegation_ref has exactly delegation_id, issuer and record_digest')
  return {
    issuer: text(value.issuer, 'parent issuer', isReference, no),
    delegationId: text(value.delegation_id, 'parent delegation_id', isReference, no),
    digest: text(value.record_digest, 'record_digest', isDigest, no) as Digest,
  }
}

/** Adds one signature to a delegation record; `statement` as `parseDelegation` reads it. */
export async function signDelegation(
  statement: JsonObject,
  signer: Signer,
  existing?: Uint8Array,
): Promise<Uint8Array> {
  parseDelegation(statement)
  return signStatement('delegation', statement, signer, existing)
}

/** The digest by which a child names this record. Throws BUNDLE_*. */
export const delegationDigest = (bytes: Uint8Array): Digest =>
  digestOfText(canonicalize(readEnvelope(bytes, 'delegation').statement))

// untrusted: `bytes`
/** What a hop says of itself before its signature is looked at: only good for choosing keys. Throws BUNDLE_*. */
export function claimedDelegation(bytes: Uint8Array): DelegationRecord {
  const { what } = STATEMENTS.delegation
  const limit = LIMITS.delegationBytes
  if (bytes.length > limit) throw bundleFault('BUNDLE_TOO_LARGE', { what: `the ${what}`, size: bytes.length, limit })
  return parseDelegation(readEnvelope(bytes, 'delegation').statement)
}

/** Verifies one hop under these keys of role delegation. Throws BUNDLE_*. */
export async function verifyDelegation(
  bytes: Uint8Array,
  keys: ReadonlyMap<string, TrustedKey>,
  threshold: number,
): Promise<VerifiedDelegation> {
  const own = new Uint8Array(bytes)
  const record = claimedDelegation(own)
  const envelope = readEnvelope(own, 'delegation')
  await requireThreshold(envelope, keys, threshold)
  return Object.freeze({
    record,
    digest: digestOfText(canonicalize(envelope.statement)),
  }) as unknown as VerifiedDelegation
}
