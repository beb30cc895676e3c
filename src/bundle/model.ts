// What a bundle is: the bytes as they came, the manifest that the author signed, the release that admits it, and the
// result of verification. Plain data; the files that make it are manifest.ts, release.ts, root.ts and verify.ts.
//
// A VerifiedBundle and a TrustRoot carry a brand that only their makers can write, so that nobody can hold one that was
// not checked.

import type { Digest } from '../base/digest.js'
import type { Note } from '../base/note.js'
import type { PublicKey } from './keys.js'
import type { Chain, X509Policy } from './x509/chain.js'

export const MANIFEST_FILE = 'bundle.yaml'
export const RELEASE_FILE = 'release.jws.json'

/** Everything that a transport delivers, read once. Nothing in it is trusted. */
export interface BundleBytes {
  // untrusted: all three
  readonly manifest: Uint8Array
  readonly release?: Uint8Array
  /** Path to content; paths are relative, with `/`. */
  readonly members: ReadonlyMap<string, Uint8Array>
}

export interface ManifestMember {
  readonly path: string
  /** 64 lower-case hex digits. */
  readonly sha256: string
}

/** The APF v1alpha1 `PolicyBundle` document (bundle-trust sheet section 1). */
export interface Manifest {
  readonly id: string
  readonly description?: string
  /** Informative: the release's number is the one that counts. */
  readonly policyRevision: bigint
  readonly notBeforeMs: number
  readonly expiresAtMs: number
  /** In evaluation order. */
  readonly members: readonly ManifestMember[]
}

export interface ReleaseMember extends ManifestMember {
  /** Octets. */
  readonly size: number
}

/** The statement that puts one bundle on one channel for its audiences, signed by k of n release keys. */
export interface Release {
  readonly bundleId: string
  /** Digest of the signed manifest payload. */
  readonly bundleDigest: Digest
  readonly policyRevision: bigint
  readonly epoch: number
  readonly channel: string
  readonly audience: readonly string[]
  readonly notBeforeMs: number
  readonly expiresAtMs: number
  /** Sorted by path. */
  readonly members: readonly ReleaseMember[]
}

/** The content-bound high-water mark: what was the newest bundle ever activated here. */
export interface HeldMark {
  readonly epoch: number
  readonly policyRevision: bigint
  readonly payloadDigest: Digest
}

/** What every plan, event and piece of evidence says about the bundle it came from. */
export interface BundleSource {
  readonly bundleId: string
  readonly bundleDigest: Digest
  /** Decimal text: it is a u64. */
  readonly policyRevision: string
  readonly epoch: number
  readonly channel: string
  /** The one that matched, out of the release's list. */
  readonly audience: string
  /** The window in which manifest and release both hold; milliseconds since 1970. */
  readonly notBeforeMs: number
  readonly expiresAtMs: number
}

export declare const verifiedBundle: unique symbol

export interface VerifiedBundle {
  readonly [verifiedBundle]: true
  readonly manifest: Manifest
  /** Digest of the signed manifest payload: the identity of the content. Never of signature bytes. */
  readonly digest: Digest
  readonly release: Release
  /** Private copies of exactly the members that manifest and release name, in the manifest's order. */
  readonly members: ReadonlyMap<string, Uint8Array>
  /** Key ids, the author's first. */
  readonly signers: readonly string[]
  readonly source: BundleSource
  /** What the store must hold before this bundle is activated. */
  readonly mark: HeldMark
  /** Warnings about the manifest. */
  readonly notes: readonly Note[]
}

/** The high-water mark of the inventory. */
export interface InventoryMark {
  readonly epoch: number
  readonly revision: bigint
  readonly digest: Digest
}

export declare const verifiedInventory: unique symbol

export interface VerifiedInventory {
  readonly [verifiedInventory]: true
  /** Private copy of the YAML. */
  readonly bytes: Uint8Array
  readonly digest: Digest
  readonly audience: string
  /** Decimal text of a u64. */
  readonly revision: string
  readonly signers: readonly string[]
  readonly mark: InventoryMark
}

export const ROLES = [
  'author',
  'release',
  'inventory',
  'freshness',
  'breakglass',
  'root',
  'agent',
  'registration',
  'delegation',
  'image',
] as const
export type KeyRole = (typeof ROLES)[number]

/** One enrolled key: validated, with exactly one role. */
export interface TrustedKey {
  readonly kid: string
  readonly role: KeyRole
  readonly key: PublicKey
  /** The certificate chain that must vouch for the key, when the root has one. */
  readonly chain?: Chain
  /** Why the key does not count at present, although it is enrolled: its chain was not checked, or does not hold. */
  readonly doubt?: string
}

export declare const trustRoot: unique symbol

/** The pinned root of trust of a node. Made by `parseTrustRoot`, `rotateRoot` and `withChains` only. */
export interface TrustRoot {
  readonly [trustRoot]: true
  readonly version: number
  readonly epoch: number
  readonly expiresAtMs: number
  readonly keys: ReadonlyMap<string, TrustedKey>
  readonly thresholds: ReadonlyMap<KeyRole, number>
  /** Public keys (base64url) that no later root may enrol again. */
  readonly revoked: readonly string[]
  /** The enterprise PKI whose chains keys may carry. */
  readonly x509?: X509Policy
}
