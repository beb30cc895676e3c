// The signing side: manifest, release and inventory, one signature at a time, so that people who hold different keys can
// co-sign one after the other. Keys are reached through `Signer` only, so that a hardware token can stand behind it.
//
// Refuses to sign what the verifier would refuse to read, and to use a key outside its role.

import { base64url, decodeBase64url, equalBytes, hex, utf8 } from '../base/bytes.js'
import { canonicalize } from '../base/canonical.js'
import { digestOf, sha256 } from '../base/digest.js'
import { bundleFault } from './errors.js'
import type { KeyAlg } from './keys.js'
import { parseManifest, writeManifest } from './manifest.js'
import type { KeyRole, Manifest, Release } from './model.js'
import {
  type InventoryStatement,
  inventoryStatement,
  parseInventoryStatement,
  parseRelease,
  releaseStatement,
} from './release.js'
import { type RootFields, rootDocument } from './root.js'
import { composeYaml, writeCarrier } from './sigil/compose.js'
import { decomposeYaml } from './sigil/decompose.js'
import { type Envelope, type JsonObject, readEnvelope, STATEMENTS, type StatementKind } from './statement.js'

/** One private key, wherever it lives. */
export interface Signer {
  readonly kid: string
  readonly role: KeyRole
  readonly alg: KeyAlg
  /** 64 octets: R || S of the message as it is; P-256 hashes it with SHA-256 first. */
  sign(message: Uint8Array): Promise<Uint8Array>
}

export type ManifestTerms = Omit<Manifest, 'members'>
export type ReleaseTerms = Pick<
  Release,
  'policyRevision' | 'epoch' | 'channel' | 'audience' | 'notBeforeMs' | 'expiresAtMs'
>
export type InventoryTerms = Pick<InventoryStatement, 'audience' | 'epoch' | 'revision'>

/** The manifest payload for these members, in the order of the map. Throws BUNDLE_MANIFEST with notes. */
export function makeManifest(terms: ManifestTerms, members: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const listed = [...members].map(([path, content]) => ({ path, sha256: hex(sha256(content)) }))
  const payload = writeManifest({ ...terms, members: listed })
  requireManifest(payload)
  return payload
}

function requireManifest(payload: Uint8Array): Manifest {
  const { manifest, notes } = parseManifest(payload)
  if (manifest === undefined) throw bundleFault('BUNDLE_MANIFEST', { errors: notes.length }, { notes })
  return manifest
}

/** Signs the payload: gives the octets of `bundle.yaml`. `parameters` exist in the specification and must stay empty. */
export async function signManifest(payload: Uint8Array, signer: Signer, parameters?: Uint8Array): Promise<Uint8Array> {
  requireManifest(payload)
  requireRole(signer, 'author')
  return signSigil(payload, signer, parameters)
}

/** YamlSigil over any payload; `signManifest` is what bundles use. */
export async function signSigil(payload: Uint8Array, signer: Signer, parameters?: Uint8Array): Promise<Uint8Array> {
  if (parameters !== undefined && parameters.length > 0)
    throw bundleFault('BUNDLE_SIGIL_PARAMETERS', { alg: signer.alg })
  return composeYaml(payload, writeCarrier(signer.alg, signer.kid, await signer.sign(payload)))
}

/** What a release of this signed manifest says. The signature of the manifest is not checked: releasing is a judgement. */
export function makeRelease(
  artifact: Uint8Array,
  members: ReadonlyMap<string, Uint8Array>,
  terms: ReleaseTerms,
): Release {
  const parts = decomposeYaml(artifact)
  if (parts.outcome === 'Unsigned') throw bundleFault('BUNDLE_UNSIGNED', undefined)
  if (parts.outcome !== 'Ok') throw bundleFault('BUNDLE_MALFORMED', { why: parts.why })
  const manifest = requireManifest(parts.payload)
  const unlisted = [...members.keys()].find((path) => !manifest.members.some((member) => member.path === path))
  if (unlisted !== undefined) throw bundleFault('BUNDLE_MEMBER_UNLISTED', { path: unlisted })
  const released = manifest.members.map(({ path, sha256: expected }) => {
    const content = members.get(path)
    if (content === undefined) throw bundleFault('BUNDLE_MEMBER_MISSING', { path })
    if (hex(sha256(content)) !== expected) throw bundleFault('BUNDLE_MEMBER_DIGEST', { path })
    return { path, size: content.length, sha256: expected }
  })
  released.sort((a, b) => (a.path < b.path ? -1 : 1))
  return { bundleId: manifest.id, bundleDigest: digestOf(parts.payload), ...terms, members: released }
}

/** Adds one signature: `existing` is the file so far, which must hold the same statement. Gives `release.jws.json`. */
export function signRelease(release: Release, signer: Signer, existing?: Uint8Array): Promise<Uint8Array> {
  const statement = releaseStatement(release)
  parseRelease(statement)
  return signStatement('release', statement, signer, existing)
}

/** Adds one signature to `inventory.jws.json` for this inventory file. */
export function signInventory(
  yaml: Uint8Array,
  terms: InventoryTerms,
  signer: Signer,
  existing?: Uint8Array,
): Promise<Uint8Array> {
  const statement = inventoryStatement({ ...terms, size: yaml.length, digest: digestOf(yaml) })
  parseInventoryStatement(statement)
  return signStatement('inventory', statement, signer, existing)
}

/** Adds one signature to a root that is to follow the current one (`rotateRoot`). */
export const signRoot = (root: RootFields, signer: Signer, existing?: Uint8Array): Promise<Uint8Array> =>
  signStatement('root', rootDocument(root), signer, existing)

/** Adds one signature to a statement file, whatever it says: for a second signer who has only the file. */
export function coSign(kind: StatementKind, existing: Uint8Array, signer: Signer): Promise<Uint8Array> {
  return signStatement(kind, readEnvelope(existing, kind).statement, signer, existing)
}

/** Adds one signature to `existing`, which must hold the same statement, or begins a new file. */
export async function signStatement(
  kind: StatementKind,
  statement: JsonObject,
  signer: Signer,
  existing: Uint8Array | undefined,
): Promise<Uint8Array> {
  const { role, what, typ } = STATEMENTS[kind]
  requireRole(signer, role)
  const octets = utf8(canonicalize(statement))
  const before: Envelope['signatures'] = existing === undefined ? [] : readEnvelope(existing, kind).signatures
  if (existing !== undefined && !equalBytes(decodeBase64url(readEnvelope(existing, kind).payload) ?? octets, octets))
    throw bundleFault('BUNDLE_STATEMENT', { what, why: 'the file holds another statement; begin a new one' })
  const header = base64url(utf8(canonicalize({ alg: signer.alg, kid: signer.kid, typ })))
  const payload = base64url(octets)
  const signature = base64url(await signer.sign(utf8(`${header}.${payload}`)))
  const kept = before.filter((entry) => entry.protected !== header)
  const signatures = [...kept.map((entry) => ({ ...entry })), { protected: header, signature }]
  const file = utf8(`${canonicalize({ payload, signatures })}\n`)
  readEnvelope(file, kind)
  return file
}

function requireRole(signer: Signer, role: KeyRole): void {
  if (signer.role !== role)
    throw bundleFault('BUNDLE_KEY', { name: signer.kid, why: `its role is ${signer.role}, and ${role} is needed` })
}
