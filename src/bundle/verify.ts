// The story of this folder: octets that somebody delivered become a VerifiedBundle, or a Fault says why not. Nothing is
// parsed as policy here; what comes out are the exact octets that were signed.
//
// The order is fixed (bundle-trust sheet sections 2, 3 and 6): sizes, structure, author, manifest, release threshold,
// binding of the two, audience, channel, counter, time, members. "Now" is read once, by the caller (TUF 5.1).

import { digestOf } from '../base/digest.js'
import { LIMITS } from '../base/limits.js'
import { verifyAuthor } from './author.js'
import { requireProgress } from './counter.js'
import { bundleFault } from './errors.js'
import { parseManifest } from './manifest.js'
import { requireMembers, requireSizes, snapshot } from './members.js'
import type {
  BundleBytes,
  HeldMark,
  InventoryMark,
  Manifest,
  Release,
  TrustRoot,
  VerifiedBundle,
  VerifiedInventory,
} from './model.js'
import { parseInventoryStatement, parseRelease } from './release.js'
import { requireLiveRoot, thresholdOf } from './root.js'
import { readEnvelope, requireThreshold } from './statement.js'

export interface BundleContext {
  /** The one reading of the clock for this run, milliseconds since 1970. */
  readonly nowMs: number
  readonly audience: string
  readonly channel: string
  /** The mark of the newest bundle ever activated; absent only on a first start or after an operator's recovery. */
  readonly held?: HeldMark
}

/** Verifies a bundle. Throws a Fault of this folder's table; never returns anything half checked. */
export async function verifyBundle(
  delivered: BundleBytes,
  trust: TrustRoot,
  context: BundleContext,
): Promise<VerifiedBundle> {
  requireLiveRoot(trust, context.nowMs)
  requireSizes(delivered)
  const bytes = snapshot(delivered)
  const author = verifyAuthor(bytes.manifest, trust)
  const { manifest, notes } = parseManifest(author.payload)
  if (manifest === undefined) throw bundleFault('BUNDLE_MANIFEST', { errors: notes.length }, { notes })
  if (bytes.release === undefined) throw bundleFault('BUNDLE_RELEASE_MISSING', undefined)
  const envelope = readEnvelope(bytes.release, 'release')
  const releasers = await requireThreshold(envelope, trust.keys, thresholdOf(trust, 'release'))
  const release = parseRelease(envelope.statement)
  const digest = digestOf(author.payload)
  requireBinding(release, manifest, digest)
  requireDestination(release, context)
  const mark: HeldMark = { epoch: release.epoch, policyRevision: release.policyRevision, payloadDigest: digest }
  requireProgress('release', countOf(mark), context.held && countOf(context.held), trust.epoch)
  const window = requireWindow(manifest, release, context.nowMs)
  const members = requireMembers(bytes.members, manifest, release)
  const { id: bundleId } = manifest
  const { audience } = context
  const { epoch, channel } = release
  return Object.freeze({
    manifest,
    digest,
    release,
    members,
    signers: [author.kid, ...releasers],
    source: {
      bundleId,
      bundleDigest: digest,
      policyRevision: String(release.policyRevision),
      epoch,
      channel,
      audience,
      ...window,
    },
    mark,
    notes,
  }) as unknown as VerifiedBundle
}

const countOf = (mark: HeldMark) => ({ epoch: mark.epoch, revision: mark.policyRevision, digest: mark.payloadDigest })

/** The release names this very manifest, and every member with the digest that the author signed: no mix-and-match. */
function requireBinding(release: Release, manifest: Manifest, digest: string): void {
  if (release.bundleId !== manifest.id) throw bundleFault('BUNDLE_RELEASE_MISMATCH', { what: 'the bundle id' })
  if (release.bundleDigest !== digest) throw bundleFault('BUNDLE_RELEASE_MISMATCH', { what: 'the manifest digest' })
  const released = new Map(release.members.map((member) => [member.path, member.sha256]))
  if (released.size !== manifest.members.length)
    throw bundleFault('BUNDLE_RELEASE_MISMATCH', { what: 'the number of members' })
  for (const { path, sha256 } of manifest.members)
    if (released.get(path) !== sha256) throw bundleFault('BUNDLE_RELEASE_MISMATCH', { what: `the member ${path}` })
}

function requireDestination(release: Release, context: BundleContext): void {
  const { audience, channel } = release
  if (!audience.includes(context.audience))
    throw bundleFault('BUNDLE_AUDIENCE', { what: 'release', audience, expected: context.audience })
  if (channel !== context.channel) throw bundleFault('BUNDLE_CHANNEL', { channel, expected: context.channel })
}

/** Both must hold now: the author's window and the release's. Returns where they overlap. */
function requireWindow(
  manifest: Manifest,
  release: Release,
  nowMs: number,
): { notBeforeMs: number; expiresAtMs: number } {
  for (const [what, { notBeforeMs, expiresAtMs }] of [
    ['manifest', manifest],
    ['release', release],
  ] as const) {
    if (nowMs < notBeforeMs) throw bundleFault('BUNDLE_NOT_YET_VALID', { what, notBeforeMs, nowMs })
    if (nowMs >= expiresAtMs) throw bundleFault('BUNDLE_EXPIRED', { what, expiresAtMs, nowMs })
  }
  return {
    notBeforeMs: Math.max(manifest.notBeforeMs, release.notBeforeMs),
    expiresAtMs: Math.min(manifest.expiresAtMs, release.expiresAtMs),
  }
}

export interface InventoryContext {
  readonly nowMs: number
  readonly audience: string
  readonly held?: InventoryMark
}

/** Verifies an inventory against its signed statement, with the same counter rules as a bundle. */
export async function verifyInventory(
  yaml: Uint8Array,
  jws: Uint8Array,
  trust: TrustRoot,
  context: InventoryContext,
): Promise<VerifiedInventory> {
  requireLiveRoot(trust, context.nowMs)
  const limit = LIMITS.inventoryBytes
  if (yaml.length > limit) throw bundleFault('BUNDLE_TOO_LARGE', { what: 'the inventory', size: yaml.length, limit })
  const bytes = new Uint8Array(yaml)
  const envelope = readEnvelope(new Uint8Array(jws), 'inventory')
  const signers = await requireThreshold(envelope, trust.keys, thresholdOf(trust, 'inventory'))
  const { audience, epoch, revision, size, digest } = parseInventoryStatement(envelope.statement)
  if (audience !== context.audience)
    throw bundleFault('BUNDLE_AUDIENCE', { what: 'inventory', audience: [audience], expected: context.audience })
  const mark: InventoryMark = { epoch, revision, digest }
  requireProgress('inventory', mark, context.held, trust.epoch)
  if (bytes.length !== size) throw bundleFault('BUNDLE_INVENTORY_MISMATCH', { what: 'size' })
  if (digestOf(bytes) !== digest) throw bundleFault('BUNDLE_INVENTORY_MISMATCH', { what: 'SHA-256' })
  return Object.freeze({
    bytes,
    digest,
    audience,
    revision: String(revision),
    signers,
    mark,
  }) as unknown as VerifiedInventory
}
