// The OCI transport: a channel is a tag of a repository. The tag leads to the bundle's artifact, and the release beside it
// is found among its referrers; a registry that shows none is refused, whatever else it serves (attack matrix, "signature
// stripped"). Tags: channel.NAME, freshness.NAME, root.VERSION.

import { type Digest, digestOf } from '../../base/digest.js'
import { LIMITS } from '../../base/limits.js'
import { type BundleBytes, MANIFEST_FILE, RELEASE_FILE } from '../../bundle/model.js'
import { readRelease } from '../../bundle/publish.js'
import { transportFault } from './errors.js'
import { channelSegment, ROOT_STATEMENT_BYTES, rootVersionsAfter } from './layout.js'
import {
  ARTIFACT,
  type ArtifactKind,
  CHANNEL,
  type Descriptor,
  describe,
  EMPTY,
  LAYER,
  MANIFEST_TYPE,
  REVISION,
  readArtifact,
  TITLE,
  writeArtifact,
} from './oci-model.js'
import { Parcel } from './parcel.js'
import { Registry, type RegistryTerms } from './registry.js'
import type { Fetched, Transport } from './transport.js'

/** Distribution-spec: path components of lower-case letters, digits and separators. */
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/

/** Throws TRANSPORT_SOURCE for a repository that cannot be named so. */
export function ociTransport(terms: RegistryTerms): Transport {
  const { origin, name } = terms
  const address = `oci://${origin.host}/${name}`
  if (origin.protocol !== 'https:' || name.length > 255 || !REPOSITORY.test(name))
    throw transportFault('TRANSPORT_SOURCE', {
      source: address,
      why: 'it is not oci://HOST/NAME with a lower-case name',
    })
  const registry = new Registry(terms)

  /** A statement that is an artifact with one layer; undefined when there is none under the tag. */
  async function statement(tag: string, kind: 'freshness' | 'root', limit: number): Promise<Uint8Array | undefined> {
    const found = await registry.manifest(tag, MANIFEST_TYPE)
    if (found === undefined || found === 'unchanged') return undefined
    return onlyLayer(readArtifact(found.bytes, kind, registry.host).layers, kind, tag, limit)
  }

  async function onlyLayer(
    layers: readonly Descriptor[],
    kind: Exclude<ArtifactKind, 'bundle'>,
    what: string,
    limit: number,
  ) {
    const [layer] = layers
    if (layer?.mediaType !== LAYER[kind] || layers.length !== 1)
      throw transportFault('TRANSPORT_PROTOCOL', { host: registry.host, why: `a ${kind} artifact has one layer` })
    return registry.blob(layer, what, limit)
  }

  async function laterRoots(version: number | undefined): Promise<Uint8Array[]> {
    const roots: Uint8Array[] = []
    for (const next of rootVersionsAfter(version)) {
      const root = await statement(`root.${next}`, 'root', ROOT_STATEMENT_BYTES)
      if (root === undefined) break
      roots.push(root)
    }
    return roots
  }

  /** The release of this channel: the newest by what the registry says; verification decides. */
  async function releaseOf(bundle: Digest, channel: string): Promise<Descriptor> {
    const shown = await registry.referrers(bundle, ARTIFACT.release)
    const fitting = shown.filter(({ annotations }) => annotations[CHANNEL] === channel)
    const [newest] = fitting.sort((a, b) => compareDigits(b.annotations[REVISION], a.annotations[REVISION]))
    if (newest === undefined) throw transportFault('TRANSPORT_NO_RELEASE', { host: registry.host, channel })
    return newest
  }

  async function bundleOf(bytes: Uint8Array, bundle: Digest, release: Descriptor): Promise<BundleBytes> {
    const { layers } = readArtifact(bytes, 'bundle', registry.host)
    const refers = await registry.manifest(release.digest, MANIFEST_TYPE)
    if (refers === undefined || refers === 'unchanged')
      throw transportFault('TRANSPORT_NOT_FOUND', { path: `${address}@${release.digest}` })
    const beside = readArtifact(refers.bytes, 'release', registry.host)
    if (beside.subject?.digest !== bundle)
      throw transportFault('TRANSPORT_PROTOCOL', { host: registry.host, why: 'the release refers to another artifact' })
    // Every file is claimed with its size before the first one is fetched.
    const parcel = new Parcel()
    const claimed = layers.map((layer) => ({ layer, path: pathOf(layer, registry.host) }))
    for (const { layer, path } of claimed) parcel.file(path, layer.size)
    const [signed] = beside.layers
    parcel.file(RELEASE_FILE, signed?.size ?? 0)
    for (const { layer, path } of claimed) parcel.put(path, await registry.blob(layer, path, LIMITS.memberBytes))
    parcel.put(RELEASE_FILE, await onlyLayer(beside.layers, 'release', RELEASE_FILE, LIMITS.envelopeBytes))
    return parcel.deliver()
  }

  async function put(tag: string, kind: 'freshness' | 'root', content: Uint8Array): Promise<void> {
    const layer = describe(LAYER[kind], content)
    await registry.putBlob(EMPTY, 'configuration')
    await registry.putBlob(content, tag)
    await registry.putManifest(tag, writeArtifact({ artifactType: ARTIFACT[kind], layers: [layer], annotations: {} }))
  }

  /** Blobs, then the artifact by digest, then the release that refers to it, and the tag at last. */
  async function pushBundle(channel: string, { manifest, release, members }: BundleBytes): Promise<void> {
    if (release === undefined) throw transportFault('TRANSPORT_NO_RELEASE', { host: registry.host, channel })
    const stated = readRelease(release)
    if (stated.channel !== channel) throw transportFault('TRANSPORT_NO_RELEASE', { host: registry.host, channel })
    await registry.putBlob(EMPTY, 'configuration')
    const layers: Descriptor[] = []
    const sorted = [...members].sort(([a], [b]) => (a < b ? -1 : 1))
    const files: (readonly [string, Uint8Array, string])[] = [
      [MANIFEST_FILE, manifest, LAYER.manifest],
      ...sorted.map(([path, content]) => [path, content, LAYER.member] as const),
    ]
    for (const [path, content, mediaType] of files) {
      await registry.putBlob(content, path)
      layers.push(describe(mediaType, content, { [TITLE]: path }))
    }
    const artifact = writeArtifact({ artifactType: ARTIFACT.bundle, layers, annotations: {} })
    const subject = describe(MANIFEST_TYPE, artifact)
    await registry.putManifest(subject.digest, artifact)
    await registry.putBlob(release, RELEASE_FILE)
    const beside = writeArtifact({
      artifactType: ARTIFACT.release,
      layers: [describe(LAYER.release, release)],
      subject,
      annotations: { [CHANNEL]: channel, [REVISION]: String(stated.policyRevision) },
    })
    await registry.putManifest(digestOf(beside), beside, subject.digest)
    await registry.putManifest(`channel.${channel}`, artifact)
  }

  return {
    name: address,
    close: () => registry.close(),
    async fetch(channel, since): Promise<Fetched> {
      const tag = `channel.${channelSegment(channel)}`
      registry.begin('fetch')
      const roots = await laterRoots(since.rootVersion)
      const freshness = await statement(`freshness.${channel}`, 'freshness', LIMITS.freshnessBytes)
      const news = { roots, ...(freshness ? { freshness } : {}) }
      const [heldBundle, heldRelease] = (since.tag ?? '').split('+') as [Digest | '', Digest | undefined]
      const head = await registry.manifest(tag, MANIFEST_TYPE, heldBundle === '' ? undefined : heldBundle)
      if (head === undefined) throw transportFault('TRANSPORT_NOT_FOUND', { path: `${address}:${tag}` })
      const bundle = head === 'unchanged' ? (heldBundle as Digest) : head.digest
      const release = await releaseOf(bundle, channel)
      if (bundle === heldBundle && release.digest === heldRelease) return { kind: 'unchanged', ...news }
      const found = head === 'unchanged' ? await registry.manifest(bundle, MANIFEST_TYPE) : head
      if (found === undefined || found === 'unchanged')
        throw transportFault('TRANSPORT_NOT_FOUND', { path: `${address}@${bundle}` })
      const delivered = await bundleOf(found.bytes, bundle, release)
      return { kind: 'delivered', bundle: delivered, tag: `${bundle}+${release.digest}`, ...news }
    },
    async push(channel, { bundle, freshness, roots = [] }) {
      channelSegment(channel)
      registry.begin('push')
      for (const { version, statement: root } of roots) await put(`root.${version}`, 'root', root)
      if (bundle) await pushBundle(channel, bundle)
      if (freshness) await put(`freshness.${channel}`, 'freshness', freshness)
    },
  }
}

/** The manifest is known by its type; a member by its title, which the parcel judges. */
function pathOf({ mediaType, annotations }: Descriptor, host: string): string {
  if (mediaType === LAYER.manifest) return MANIFEST_FILE
  const title = annotations[TITLE]
  if (mediaType !== LAYER.member || title === undefined || title === MANIFEST_FILE || title === RELEASE_FILE)
    throw transportFault('TRANSPORT_PROTOCOL', { host, why: 'a layer is neither the manifest nor a named member' })
  return title
}

/** Decimal digits by value; anything else comes first, which is last when the newest is looked for. */
function compareDigits(a: string | undefined, b: string | undefined): number {
  const value = (text: string | undefined) => (text !== undefined && /^\d{1,20}$/.test(text) ? BigInt(text) : -1n)
  const [left, right] = [value(a), value(b)]
  return left < right ? -1 : left > right ? 1 : 0
}
