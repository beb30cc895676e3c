// The release statement and the inventory statement: what their canonical JSON must hold, member by member. Both are
// parsed after the envelope's shape was checked and before its signatures are, so nothing here is trusted yet; the caller
// verifies the threshold before it uses any of it.

import type { Json } from '../base/canonical.js'
import { type Digest, isDigest } from '../base/digest.js'
import { LIMITS } from '../base/limits.js'
import { quote } from '../base/quote.js'
import { bundleFault } from './errors.js'
import { formatInstant, parseInstant, parseRevision } from './instant.js'
import { isBundleId } from './manifest.js'
import type { Release, ReleaseMember } from './model.js'
import { PathSet, refuseMemberPath } from './path.js'
import { hasExactly, type JsonObject, STATEMENTS } from './statement.js'

/** What an inventory statement says: one inventory file, for one audience. */
export interface InventoryStatement {
  readonly audience: string
  readonly epoch: number
  readonly revision: bigint
  /** Octets of the YAML file. */
  readonly size: number
  readonly digest: Digest
}

const RELEASE_KEYS = [
  'audience',
  'bundle_digest',
  'bundle_id',
  'channel',
  'epoch',
  'expires_at',
  'format',
  'members',
  'not_before',
  'policy_revision',
] as const
const INVENTORY_KEYS = ['audience', 'epoch', 'format', 'revision', 'sha256', 'size'] as const

/** Audiences and channels: what they may be called. */
export const isName = (text: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,254}$/.test(text)

/** Makes the fault of a statement whose member is wrong. */
export type No = (why: string) => Error

/** Throws BUNDLE_STATEMENT, naming the member. */
export function parseRelease(statement: JsonObject): Release {
  const no: No = (why) => bundleFault('BUNDLE_STATEMENT', { what: STATEMENTS.release.what, why })
  if (!hasExactly(statement, RELEASE_KEYS)) throw no(`exactly ${RELEASE_KEYS.join(', ')} are expected`)
  const bundleId = text(statement.bundle_id, 'bundle_id', isBundleId, no)
  const bundleDigest = text(statement.bundle_digest, 'bundle_digest', isDigest, no) as Digest
  const policyRevision = revision(statement.policy_revision, 'policy_revision', no)
  const notBeforeMs = instant(statement.not_before, 'not_before', no)
  const expiresAtMs = instant(statement.expires_at, 'expires_at', no)
  if (expiresAtMs <= notBeforeMs) throw no('expires_at must be later than not_before')
  return {
    bundleId,
    bundleDigest,
    policyRevision,
    epoch: count(statement.epoch, 'epoch', no),
    channel: text(statement.channel, 'channel', isName, no),
    audience: readAudience(statement.audience, no),
    notBeforeMs,
    expiresAtMs,
    members: readMembers(statement.members, no),
  }
}

/** Throws BUNDLE_STATEMENT, naming the member. */
export function parseInventoryStatement(statement: JsonObject): InventoryStatement {
  const no: No = (why) => bundleFault('BUNDLE_STATEMENT', { what: STATEMENTS.inventory.what, why })
  if (!hasExactly(statement, INVENTORY_KEYS)) throw no(`exactly ${INVENTORY_KEYS.join(', ')} are expected`)
  return {
    audience: text(statement.audience, 'audience', isName, no),
    epoch: count(statement.epoch, 'epoch', no),
    revision: revision(statement.revision, 'revision', no),
    size: count(statement.size, 'size', no),
    digest: `sha256:${text(statement.sha256, 'sha256', isSha256, no)}`,
  }
}

export const releaseStatement = (release: Release): JsonObject => ({
  format: STATEMENTS.release.format,
  bundle_id: release.bundleId,
  bundle_digest: release.bundleDigest,
  policy_revision: String(release.policyRevision),
  epoch: release.epoch,
  channel: release.channel,
  audience: release.audience,
  not_before: formatInstant(release.notBeforeMs),
  expires_at: formatInstant(release.expiresAtMs),
  members: release.members.map(({ path, size, sha256 }) => ({ path, size, sha256 })),
})

export const inventoryStatement = (inventory: InventoryStatement): JsonObject => ({
  format: STATEMENTS.inventory.format,
  audience: inventory.audience,
  epoch: inventory.epoch,
  revision: String(inventory.revision),
  size: inventory.size,
  sha256: inventory.digest.slice('sha256:'.length),
})

const isSha256 = (value: string): boolean => /^[0-9a-f]{64}$/.test(value)

export function text(value: Json, key: string, accepts: (text: string) => boolean, no: No): string {
  if (typeof value !== 'string') throw no(`${key} is not text`)
  if (!accepts(value)) throw no(`${key} is ${quote(value)}`)
  return value
}

export function revision(value: Json, key: string, no: No): bigint {
  const parsed = typeof value === 'string' ? parseRevision(value) : undefined
  if (parsed === undefined) throw no(`${key} is not a string of digits from 1 to 2^64-1`)
  return parsed
}

/** A whole number from 0 to 2^53-1. */
export function count(value: Json, key: string, no: No): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw no(`${key} is not a whole number`)
  return value
}

export function instant(value: Json, key: string, no: No): number {
  const ms = typeof value === 'string' ? parseInstant(value) : undefined
  if (ms === undefined) throw no(`${key} is not an RFC 3339 time`)
  return ms
}

export function readAudience(value: Json, no: No): string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > LIMITS.members)
    throw no(`audience is not a list of 1 to ${LIMITS.members} names`)
  const names = value.map((name: Json) => text(name, 'audience', isName, no))
  if (new Set(names).size !== names.length) throw no('audience names one twice')
  return names
}

function readMembers(value: Json, no: No): ReleaseMember[] {
  if (!Array.isArray(value) || value.length > LIMITS.members)
    throw no(`members is not a list of at most ${LIMITS.members}`)
  const paths = new PathSet()
  return value.map((entry: Json) => {
    if (!hasExactly(entry, ['path', 'sha256', 'size'])) throw no('a member has exactly path, sha256 and size')
    const path = text(entry.path, 'path', () => true, no)
    const why = refuseMemberPath(path) ?? paths.add(path)
    if (why !== undefined) throw bundleFault('BUNDLE_MEMBER_PATH', { path, why })
    return { path, size: count(entry.size, 'size', no), sha256: text(entry.sha256, 'sha256', isSha256, no) }
  })
}
