// One good bundle, with its keys, root and inventory, made from fixed seeds: each test changes one thing about it.
// Keys are made from a counter, so that every run signs with the same ones.

import { utf8 } from '../../../src/base/bytes.js'
import { sha256 } from '../../../src/base/digest.js'
import { generateKey, type KeyPair, signerOf } from '../../../src/bundle/key-file.js'
import type { BundleBytes, KeyRole } from '../../../src/bundle/model.js'
import { parseTrustRoot, type RootFields, writeTrustRoot } from '../../../src/bundle/root.js'
import {
  type ManifestTerms,
  makeManifest,
  makeRelease,
  type ReleaseTerms,
  signManifest,
  signRelease,
} from '../../../src/bundle/sign.js'

export const NOW = Date.UTC(2026, 5, 1)
export const FROM = Date.UTC(2026, 0, 1)
export const UNTIL = Date.UTC(2027, 0, 1)
export const CONTEXT = { nowMs: NOW, audience: 'fleet-a', channel: 'stable' } as const

/** Fixed octets for a name: never use anything like this outside tests. */
export const seeded = (name: string) => (length: number) => sha256(utf8(name)).slice(0, length)

export const keyOf = (role: KeyRole, kid: string, alg?: KeyPair['public']['alg']): KeyPair =>
  generateKey({ role, kid, ...(alg === undefined ? {} : { alg }) }, seeded(kid))

export const KEYS = {
  author: keyOf('author', 'author-1'),
  authorP256: keyOf('author', 'author-p256', 'ES256'),
  release1: keyOf('release', 'release-1'),
  release2: keyOf('release', 'release-2', 'ES256'),
  release3: keyOf('release', 'release-3'),
  inventory: keyOf('inventory', 'inventory-1'),
  root1: keyOf('root', 'root-1'),
  root2: keyOf('root', 'root-2'),
} as const

export const entry = (pair: KeyPair) => [pair.kid, { kid: pair.kid, role: pair.role, key: pair.public }] as const

export const ROOT: RootFields = {
  version: 1,
  epoch: 1,
  expiresAtMs: UNTIL,
  keys: new Map(Object.values(KEYS).map(entry)),
  thresholds: new Map<KeyRole, number>([
    ['author', 1],
    ['release', 2],
    ['inventory', 1],
    ['root', 2],
  ]),
  revoked: [],
}
export const TRUST = parseTrustRoot(writeTrustRoot(ROOT))
export const trustWith = (change: Partial<RootFields>) => parseTrustRoot(writeTrustRoot({ ...ROOT, ...change }))

export const MEMBERS: ReadonlyMap<string, Uint8Array> = new Map([
  ['fence.yaml', utf8('apiVersion: sluice.dev/v1alpha1\nkind: FencePolicy\n')],
  ['policies/sandbox.yaml', utf8('version: 1\n')],
])
export const MANIFEST_TERMS: ManifestTerms = {
  id: 'coding-agent',
  description: 'a coding agent: "quoted"',
  policyRevision: 7n,
  notBeforeMs: FROM,
  expiresAtMs: UNTIL,
}
export const RELEASE_TERMS: ReleaseTerms = {
  policyRevision: 7n,
  epoch: 1,
  channel: 'stable',
  audience: ['fleet-a', 'fleet-b'],
  notBeforeMs: FROM,
  expiresAtMs: UNTIL,
}

export interface Recipe {
  readonly members?: ReadonlyMap<string, Uint8Array>
  readonly manifest?: Partial<ManifestTerms>
  readonly release?: Partial<ReleaseTerms>
  readonly author?: KeyPair
  readonly releasers?: readonly KeyPair[]
}

/** A signed and released bundle. */
export async function makeBundle(recipe: Recipe = {}): Promise<BundleBytes & { readonly release: Uint8Array }> {
  const members = recipe.members ?? MEMBERS
  const payload = makeManifest({ ...MANIFEST_TERMS, ...recipe.manifest }, members)
  const manifest = await signManifest(payload, signerOf(recipe.author ?? KEYS.author))
  const release = makeRelease(manifest, members, { ...RELEASE_TERMS, ...recipe.release })
  let file: Uint8Array | undefined
  for (const pair of recipe.releasers ?? [KEYS.release1, KEYS.release2])
    file = await signRelease(release, signerOf(pair), file)
  if (file === undefined) throw new Error('a recipe needs at least one release key')
  return { manifest, release: file, members }
}
