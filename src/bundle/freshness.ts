// Freshness statements: short-lived words of the publisher that one content is still the newest on a channel (the
// timestamp role of TUF 1.0.34 section 5.4). Takes the octets, gives a VerifiedFreshness.
//
// A statement confirms exactly one content. An active bundle is fresh while the last statement that names it holds: an
// attacker who can only withhold gets a suspended workspace, never an old policy (attack matrix, "indefinite freeze").

import { type Digest, isDigest } from '../base/digest.js'
import { LIMITS } from '../base/limits.js'
import { requireProgress } from './counter.js'
import { bundleFault } from './errors.js'
import { formatInstant } from './instant.js'
import type { TrustRoot } from './model.js'
import { count, instant, isName, type No, readAudience, revision, text } from './release.js'
import { requireLiveRoot, thresholdOf } from './root.js'
import type { Signer } from './sign.js'
import { signStatement } from './sign.js'
import { hasExactly, type JsonObject, readEnvelope, requireThreshold, STATEMENTS } from './statement.js'

/** A statement that holds longer is no proof of freshness. */
export const FRESHNESS_LIFETIME_MS = 7 * 24 * 3_600_000
/** How far a clock here may be behind the publisher's, and how far it may fall back (sheet section 10). */
export const CLOCK_TOLERANCE_MS = 300_000

/** What the newest content of a channel is, said at one moment. */
export interface Freshness {
  readonly channel: string
  readonly audience: readonly string[]
  readonly epoch: number
  readonly policyRevision: bigint
  /** Digest of the signed manifest payload. */
  readonly bundleDigest: Digest
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

/** What a node keeps of the newest statement that it accepted. */
export type FreshnessMark = Omit<Freshness, 'channel' | 'audience'>

declare const verifiedFreshness: unique symbol

export interface VerifiedFreshness {
  readonly [verifiedFreshness]: true
  readonly mark: FreshnessMark
  readonly signers: readonly string[]
}

export interface FreshnessContext {
  readonly nowMs: number
  readonly audience: string
  readonly channel: string
  readonly held?: FreshnessMark
}

const KEYS = [
  'audience',
  'bundle_digest',
  'channel',
  'epoch',
  'expires_at',
  'format',
  'issued_at',
  'policy_revision',
] as const

/** Whether bundles under this root need a freshness statement: exactly when it has keys that make them. */
export const needsFreshness = (trust: TrustRoot): boolean => trust.thresholds.has('freshness')

/** Throws BUNDLE_STATEMENT, naming the member. */
export function parseFreshness(statement: JsonObject): Freshness {
  const no: No = (why) => bundleFault('BUNDLE_STATEMENT', { what: STATEMENTS.freshness.what, why })
  if (!hasExactly(statement, KEYS)) throw no(`exactly ${KEYS.join(', ')} are expected`)
  const issuedAtMs = instant(statement.issued_at, 'issued_at', no)
  const expiresAtMs = instant(statement.expires_at, 'expires_at', no)
  if (expiresAtMs <= issuedAtMs) throw no('expires_at must be later than issued_at')
  if (expiresAtMs - issuedAtMs > FRESHNESS_LIFETIME_MS) throw no('it holds for more than 7 days')
  return {
    channel: text(statement.channel, 'channel', isName, no),
    audience: readAudience(statement.audience, no),
    epoch: count(statement.epoch, 'epoch', no),
    policyRevision: revision(statement.policy_revision, 'policy_revision', no),
    bundleDigest: text(statement.bundle_digest, 'bundle_digest', isDigest, no) as Digest,
    issuedAtMs,
    expiresAtMs,
  }
}

export const freshnessStatement = (fresh: Freshness): JsonObject => ({
  format: STATEMENTS.freshness.format,
  channel: fresh.channel,
  audience: fresh.audience,
  epoch: fresh.epoch,
  policy_revision: String(fresh.policyRevision),
  bundle_digest: fresh.bundleDigest,
  issued_at: formatInstant(fresh.issuedAtMs),
  expires_at: formatInstant(fresh.expiresAtMs),
})

/** Adds one signature to a freshness statement. */
export function signFreshness(fresh: Freshness, signer: Signer, existing?: Uint8Array): Promise<Uint8Array> {
  const statement = freshnessStatement(fresh)
  parseFreshness(statement)
  return signStatement('freshness', statement, signer, existing)
}

/**
 * Verifies a statement: threshold of role freshness, audience, channel, never older than the one that is held, valid now.
 * The same statement again passes. Throws BUNDLE_*.
 */
export async function verifyFreshness(
  bytes: Uint8Array,
  trust: TrustRoot,
  context: FreshnessContext,
): Promise<VerifiedFreshness> {
  const { nowMs, held } = context
  const { what } = STATEMENTS.freshness
  requireLiveRoot(trust, nowMs)
  const limit = LIMITS.freshnessBytes
  if (bytes.length > limit) throw bundleFault('BUNDLE_TOO_LARGE', { what: `the ${what}`, size: bytes.length, limit })
  const envelope = readEnvelope(new Uint8Array(bytes), 'freshness')
  const signers = await requireThreshold(envelope, trust.keys, thresholdOf(trust, 'freshness'))
  const { channel, audience, ...mark } = parseFreshness(envelope.statement)
  if (!audience.includes(context.audience))
    throw bundleFault('BUNDLE_AUDIENCE', { what, audience, expected: context.audience })
  if (channel !== context.channel) throw bundleFault('BUNDLE_CHANNEL', { channel, expected: context.channel })
  requireProgress(what, countOf(mark), held && countOf(held), trust.epoch)
  if (held !== undefined && held.epoch === mark.epoch && mark.issuedAtMs < held.issuedAtMs)
    throw bundleFault('BUNDLE_REPLAYED', { what, issuedAtMs: mark.issuedAtMs, heldMs: held.issuedAtMs })
  if (mark.issuedAtMs > nowMs + CLOCK_TOLERANCE_MS)
    throw bundleFault('BUNDLE_NOT_YET_VALID', { what, notBeforeMs: mark.issuedAtMs, nowMs })
  if (nowMs >= mark.expiresAtMs) throw bundleFault('BUNDLE_EXPIRED', { what, expiresAtMs: mark.expiresAtMs, nowMs })
  return Object.freeze({ mark, signers }) as unknown as VerifiedFreshness
}

const countOf = ({ epoch, policyRevision, bundleDigest }: FreshnessMark) => ({
  epoch,
  revision: policyRevision,
  digest: bundleDigest,
})

/** Whether the statement names this very content. */
export const confirms = (
  mark: FreshnessMark,
  bundle: { readonly epoch: number; readonly policyRevision: bigint; readonly payloadDigest: Digest },
): boolean =>
  mark.epoch === bundle.epoch &&
  mark.policyRevision === bundle.policyRevision &&
  mark.bundleDigest === bundle.payloadDigest
