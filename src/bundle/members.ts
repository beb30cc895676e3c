// Members: sizes before anything is hashed, one private copy, and at the end exactly the set that manifest and release
// name, by size and digest. What was checked is what is handed on, so there is no second read to race.

import { hex } from '../base/bytes.js'
import { sha256 } from '../base/digest.js'
import { LIMITS } from '../base/limits.js'
import { bundleFault } from './errors.js'
import type { BundleBytes, Manifest, Release } from './model.js'

/** Throws BUNDLE_TOO_LARGE or BUNDLE_TOO_MANY. Looks at lengths only. */
export function requireSizes({ manifest, release, members }: BundleBytes): void {
  const limitOf = (what: string, size: number, limit: number) => {
    if (size > limit) throw bundleFault('BUNDLE_TOO_LARGE', { what, size, limit })
  }
  limitOf('the manifest', manifest.length, LIMITS.manifestBytes)
  limitOf('the release', release?.length ?? 0, LIMITS.envelopeBytes)
  if (members.size > LIMITS.members)
    throw bundleFault('BUNDLE_TOO_MANY', { what: 'members', count: members.size, limit: LIMITS.members })
  let total = 0
  for (const content of members.values()) {
    limitOf('a member', content.length, LIMITS.memberBytes)
    total += content.length
    limitOf('the bundle', total, LIMITS.unpackedBytes)
  }
}

/**
 * Private copies: whoever holds the delivered arrays cannot change what is being verified. Not by `slice`, which Node's
 * Buffer overrides to give a view.
 */
export const snapshot = ({ manifest, release, members }: BundleBytes): BundleBytes => ({
  manifest: new Uint8Array(manifest),
  ...(release === undefined ? {} : { release: new Uint8Array(release) }),
  members: new Map([...members].map(([path, content]) => [path, new Uint8Array(content)])),
})

/** Exactly the listed members, in the manifest's order. Throws BUNDLE_MEMBER_*. */
export function requireMembers(
  delivered: ReadonlyMap<string, Uint8Array>,
  manifest: Manifest,
  release: Release,
): ReadonlyMap<string, Uint8Array> {
  const sizes = new Map(release.members.map(({ path, size }) => [path, size]))
  const unlisted = [...delivered.keys()].find((path) => !sizes.has(path))
  if (unlisted !== undefined) throw bundleFault('BUNDLE_MEMBER_UNLISTED', { path: unlisted })
  const members = new Map<string, Uint8Array>()
  for (const { path, sha256: expectedDigest } of manifest.members) {
    const content = delivered.get(path)
    const expected = sizes.get(path)
    if (content === undefined || expected === undefined) throw bundleFault('BUNDLE_MEMBER_MISSING', { path })
    if (content.length !== expected) throw bundleFault('BUNDLE_MEMBER_SIZE', { path, size: content.length, expected })
    if (hex(sha256(content)) !== expectedDigest) throw bundleFault('BUNDLE_MEMBER_DIGEST', { path })
    members.set(path, content)
  }
  return members
}
