// The trust root of a node: which keys there are, the one role of each, and how many of a role must agree. `root.json` is
// strict JSON, placed by the operator (that is the pin); later roots arrive signed and are followed one by one.
//
// Refuses a key that is small-order, off its curve or not canonical, the same public key under two ids or in two roles, a
// threshold that cannot be met or is zero, and a key that was revoked (TUF 5.3, 6.1; bundle-trust sheet sections 3 and 6).
// A key with a certificate chain does not count until `withChains` has judged the chain (x509/enrol.ts).

import { base64url, decodeBase64url, decodeUtf8, utf8 } from '../base/bytes.js'
import type { Json } from '../base/canonical.js'
import { isObject, JsonError, parseJson } from '../base/json.js'
import { LIMITS } from '../base/limits.js'
import { quote } from '../base/quote.js'
import { bundleFault } from './errors.js'
import { formatInstant, parseInstant } from './instant.js'
import { enrollKey, isKeyAlg, keyIdentity } from './keys.js'
import { type KeyRole, ROLES, type TrustedKey, type TrustRoot, type trustRoot } from './model.js'
import { hasExactly, type JsonObject, readEnvelope, requireThreshold, STATEMENTS } from './statement.js'
import type { X509Policy } from './x509/chain.js'
import { readKeyChain, readX509Policy, writeKeyChain, writeX509Policy } from './x509/enrol.js'

const no = (why: string, cause?: unknown) => bundleFault('BUNDLE_ROOT', { why }, { cause })

/** Key ids are opaque map keys with a charset and a length, and nothing else. */
export const isKeyId = (text: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)
export const isRole = (text: string): text is KeyRole => (ROLES as readonly string[]).includes(text)

/** Reads `root.json`. The caller vouches for where it lies. Throws BUNDLE_ROOT or BUNDLE_KEY. */
export function parseTrustRoot(bytes: Uint8Array): TrustRoot {
  if (bytes.length > LIMITS.rootBytes)
    throw bundleFault('BUNDLE_TOO_LARGE', { what: 'the trust root', size: bytes.length, limit: LIMITS.rootBytes })
  const text = decodeUtf8(bytes)
  if (text === undefined) throw no('it is not UTF-8')
  let document: Json
  try {
    document = parseJson(text)
  } catch (cause) {
    if (cause instanceof JsonError) throw no(cause.message, cause)
    throw cause
  }
  return readRoot(document)
}

function readRoot(document: Json): TrustRoot {
  const optional = ['revoked', 'x509'].filter((key) => isObject(document) && Object.hasOwn(document, key))
  const keys = ['epoch', 'expires_at', 'format', 'keys', 'roles', 'version', ...optional]
  if (!hasExactly(document, keys)) throw no(`exactly ${keys.join(', ')} are expected`)
  if (document.format !== STATEMENTS.root.format) throw no(`the format is not ${STATEMENTS.root.format}`)
  const expiresAtMs = typeof document.expires_at === 'string' ? parseInstant(document.expires_at) : undefined
  if (expiresAtMs === undefined) throw no('expires_at is not an RFC 3339 time')
  const revoked = readRevoked(document.revoked)
  const x509 = readX509Policy(document.x509)
  const enrolled = readKeys(document.keys, revoked, x509)
  const root = {
    version: positive(document.version, 'version'),
    epoch: positive(document.epoch, 'epoch'),
    expiresAtMs,
    keys: enrolled,
    thresholds: readThresholds(document.roles, enrolled),
    revoked,
    ...(x509 === undefined ? {} : { x509 }),
  }
  return Object.freeze(root) as unknown as TrustRoot
}

function positive(value: Json | undefined, key: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
    throw no(`${key} is not a whole number from 1`)
  return value
}

function readRevoked(value: Json | undefined): string[] {
  if (value === undefined) return []
  if (!Array.isArray(value) || value.length > LIMITS.members) throw no('revoked is not a list of public keys')
  return value.map((key: Json) => {
    if (typeof key !== 'string' || decodeBase64url(key) === undefined)
      throw no('revoked names something that is not a public key')
    return key
  })
}

function readKeys(
  value: Json | undefined,
  revoked: readonly string[],
  x509: X509Policy | undefined,
): Map<string, TrustedKey> {
  if (!isObject(value)) throw no('keys is not an object')
  const keys = new Map<string, TrustedKey>()
  const holders = new Map<string, string>()
  for (const [kid, entry] of Object.entries(value)) {
    if (!isKeyId(kid)) throw no(`${quote(kid)} is not a key id (letters, digits and . _ -, at most 64)`)
    const members = ['alg', 'public_key', 'role', ...(isObject(entry) && Object.hasOwn(entry, 'x509') ? ['x509'] : [])]
    if (!hasExactly(entry, members)) throw no(`key ${kid} has exactly alg, public_key and role`)
    const { alg, role, public_key: text } = entry
    if (typeof role !== 'string' || !isRole(role)) throw no(`key ${kid} has no role of ${ROLES.join(', ')}`)
    if (typeof alg !== 'string' || !isKeyAlg(alg)) throw no(`key ${kid} has an algorithm other than Ed25519 and ES256`)
    const octets = typeof text === 'string' ? decodeBase64url(text) : undefined
    if (octets === undefined) throw no(`the public key of ${kid} is not base64url without padding`)
    const key = enrollKey(alg, octets, kid)
    const other = holders.get(keyIdentity(key))
    if (other !== undefined) throw no(`${other} and ${kid} are the same public key; a key has one id and one role`)
    if (revoked.includes(text as string)) throw no(`key ${kid} is revoked`)
    holders.set(keyIdentity(key), kid)
    const chain = entry.x509 === undefined ? {} : readKeyChain(kid, role, key, entry.x509, x509)
    keys.set(kid, { kid, role, key, ...chain })
  }
  return keys
}

function readThresholds(value: Json | undefined, keys: ReadonlyMap<string, TrustedKey>): Map<KeyRole, number> {
  if (!isObject(value)) throw no('roles is not an object')
  const thresholds = new Map<KeyRole, number>()
  for (const [role, entry] of Object.entries(value)) {
    if (!isRole(role)) throw no(`${quote(role)} is not a role`)
    if (!hasExactly(entry, ['threshold'])) throw no(`role ${role} has exactly a threshold`)
    const threshold = positive(entry.threshold, `the threshold of ${role}`)
    const available = [...keys.values()].filter((key) => key.role === role).length
    if (threshold > available) throw no(`role ${role} needs ${threshold} keys and has ${available}`)
    // The manifest's envelope has room for one signature.
    if (role === 'author' && threshold !== 1) throw no('the threshold of author is always 1; use release for more')
    thresholds.set(role, threshold)
  }
  for (const role of ['author', 'release', 'inventory'] as const)
    if (!thresholds.has(role)) throw no(`role ${role} is missing`)
  for (const { kid, role } of keys.values())
    if (!thresholds.has(role)) throw no(`key ${kid} has role ${role}, which has no threshold`)
  return thresholds
}

/** The enrolled keys of one role, and how many of them must agree; Infinity when the root knows no such role. */
export const thresholdOf = (root: TrustRoot, role: KeyRole): number =>
  root.thresholds.get(role) ?? Number.POSITIVE_INFINITY

/** Throws BUNDLE_ROOT_EXPIRED when nothing new may be accepted under this root any more (TUF 5.3.10). */
export function requireLiveRoot(root: TrustRoot, nowMs: number): void {
  const { version, expiresAtMs } = root
  if (nowMs >= expiresAtMs) throw bundleFault('BUNDLE_ROOT_EXPIRED', { version, expiresAtMs, nowMs })
}

/**
 * Follows one signed root: version exactly the next, epoch never lower, revocations never taken back, signed by the root
 * thresholds of the current root and of the new one (TUF 5.3.4, 5.3.5). The caller stores each step before the next, and
 * checks `requireLiveRoot` after the last.
 */
export async function rotateRoot(current: TrustRoot, signed: Uint8Array): Promise<TrustRoot> {
  const envelope = readEnvelope(signed, 'root')
  await requireThreshold(envelope, current.keys, thresholdOf(current, 'root'))
  const next = readRoot(envelope.statement)
  await requireThreshold(envelope, next.keys, thresholdOf(next, 'root'))
  if (next.version !== current.version + 1)
    throw bundleFault('BUNDLE_ROOT_VERSION', { version: next.version, expected: current.version + 1 })
  if (next.epoch < current.epoch)
    throw bundleFault('BUNDLE_EPOCH', { what: 'new root', epoch: next.epoch, root: current.epoch })
  const takenBack = current.revoked.find((key) => !next.revoked.includes(key))
  if (takenBack !== undefined) throw no(`it no longer revokes ${takenBack}`)
  return next
}

/** Trusts nobody: every signature that is judged by it is refused. For what needs no signature when the root cannot be read. */
export const NO_TRUST = {
  version: 0,
  epoch: 0,
  expiresAtMs: 0,
  keys: new Map(),
  thresholds: new Map(),
  revoked: [],
} as unknown as TrustRoot

/** What a root says, before it is checked. */
export type RootFields = Omit<TrustRoot, typeof trustRoot>

/** The document of a root, for signing or for `root.json`. */
export const rootDocument = (root: RootFields): JsonObject => ({
  format: STATEMENTS.root.format,
  version: root.version,
  epoch: root.epoch,
  expires_at: formatInstant(root.expiresAtMs),
  keys: Object.fromEntries(
    [...root.keys.values()].map(({ kid, role, key, chain }) => [
      kid,
      {
        role,
        alg: key.alg,
        public_key: base64url(key.bytes),
        ...(chain === undefined ? {} : { x509: writeKeyChain(chain) }),
      },
    ]),
  ),
  roles: Object.fromEntries([...root.thresholds].map(([role, threshold]) => [role, { threshold }])),
  ...(root.revoked.length === 0 ? {} : { revoked: root.revoked }),
  ...(root.x509 === undefined ? {} : { x509: writeX509Policy(root.x509) }),
})

/** The octets of a new `root.json`, checked. Throws as `parseTrustRoot` does. */
export function writeTrustRoot(root: RootFields): Uint8Array {
  const bytes = utf8(`${JSON.stringify(rootDocument(root), null, 2)}\n`)
  parseTrustRoot(bytes)
  return bytes
}
