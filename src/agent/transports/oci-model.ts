// What a bundle is in an OCI registry (image-spec 1.1, distribution-spec 1.1): an artifact with one layer for the manifest
// and one for each member, its release as a second artifact whose subject is the first, freshness and roots as small
// artifacts of their own. Everything read from a registry is untrusted until its digest was recomputed.

import { decodeUtf8, utf8 } from '../../base/bytes.js'
import { canonicalize, type Json } from '../../base/canonical.js'
import { type Digest, digestOf, isDigest } from '../../base/digest.js'
import { isObject, JsonError, parseJson } from '../../base/json.js'
import { transportFault } from './errors.js'

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json'
const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json'
export const EMPTY = utf8('{}')

export const ARTIFACT = {
  bundle: 'application/vnd.sluice.bundle.v1',
  release: 'application/vnd.sluice.release.v1',
  freshness: 'application/vnd.sluice.freshness.v1',
  root: 'application/vnd.sluice.root.v1',
} as const
export type ArtifactKind = keyof typeof ARTIFACT

export const LAYER = {
  manifest: 'application/vnd.sluice.bundle.manifest.v1+yaml',
  member: 'application/vnd.sluice.bundle.member.v1',
  release: 'application/vnd.sluice.release.v1+json',
  freshness: 'application/vnd.sluice.freshness.v1+json',
  root: 'application/vnd.sluice.root.v1+json',
} as const

/** Annotations are hints for choosing, and nothing else. */
export const TITLE = 'org.opencontainers.image.title'
export const CHANNEL = 'dev.sluice.channel'
export const REVISION = 'dev.sluice.policy-revision'

/** Octets of a manifest or index (bundle-trust sheet section 5: expect up to 4 MB). */
export const MANIFEST_BYTES = 4 << 20
/** Descriptors in a list of referrers that are looked at. */
export const REFERRERS = 1_024

export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly artifactType?: string
  readonly annotations: Readonly<Record<string, string>>
}
export interface Artifact {
  readonly artifactType: string
  readonly layers: readonly Descriptor[]
  readonly subject?: Descriptor
  readonly annotations: Readonly<Record<string, string>>
}

const descriptorJson = (one: Descriptor): Json => ({
  mediaType: one.mediaType,
  digest: one.digest,
  size: one.size,
  ...(one.artifactType === undefined ? {} : { artifactType: one.artifactType }),
  ...(Object.keys(one.annotations).length === 0 ? {} : { annotations: one.annotations }),
})

export const describe = (
  mediaType: string,
  content: Uint8Array,
  annotations: Readonly<Record<string, string>> = {},
): Descriptor => ({ mediaType, digest: digestOf(content), size: content.length, annotations })

/** The octets of an image manifest with an empty configuration. */
export const writeArtifact = (artifact: Artifact): Uint8Array =>
  utf8(
    canonicalize({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      artifactType: artifact.artifactType,
      config: descriptorJson(describe(EMPTY_TYPE, EMPTY)),
      layers: artifact.layers.map(descriptorJson),
      ...(artifact.subject === undefined ? {} : { subject: descriptorJson(artifact.subject) }),
      ...(Object.keys(artifact.annotations).length === 0 ? {} : { annotations: artifact.annotations }),
    }),
  )

export const writeIndex = (manifests: readonly Descriptor[]): Uint8Array =>
  utf8(canonicalize({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: manifests.map(descriptorJson) }))

type No = (why: string, cause?: unknown) => Error
const noOf =
  (host: string): No =>
  (why, cause) =>
    transportFault('TRANSPORT_PROTOCOL', { host, why }, cause === undefined ? {} : { cause })

function readJson(bytes: Uint8Array, no: No): { readonly [key: string]: Json } {
  const text = decodeUtf8(bytes)
  if (text === undefined) throw no('a manifest is not UTF-8')
  try {
    const value = parseJson(text)
    if (isObject(value)) return value
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw no('a manifest is not JSON', error)
  }
  throw no('a manifest is not an object')
}

function readDescriptor(value: Json | undefined, no: No): Descriptor {
  if (!isObject(value)) throw no('a descriptor is not an object')
  const { mediaType, digest, size, artifactType } = value
  if (typeof mediaType !== 'string' || typeof digest !== 'string' || !isDigest(digest))
    throw no('a descriptor has no media type, or no SHA-256 digest')
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw no('a descriptor has no size')
  return {
    mediaType,
    digest,
    size,
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
    annotations: readAnnotations(value.annotations),
  }
}

function readAnnotations(value: Json | undefined): Record<string, string> {
  if (!isObject(value)) return {}
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

/** Reads an image manifest. Throws TRANSPORT_PROTOCOL. */
export function readArtifact(bytes: Uint8Array, kind: ArtifactKind, host: string): Artifact {
  const no = noOf(host)
  const { mediaType, artifactType, layers, subject, annotations } = readJson(bytes, no)
  if (mediaType !== MANIFEST_TYPE) throw no('it is not an image manifest')
  if (artifactType !== ARTIFACT[kind]) throw no(`it is not a ${kind} artifact`)
  if (!Array.isArray(layers)) throw no('a manifest has no layers')
  return {
    artifactType: ARTIFACT[kind],
    layers: layers.map((layer: Json) => readDescriptor(layer, no)),
    ...(subject === undefined ? {} : { subject: readDescriptor(subject, no) }),
    annotations: readAnnotations(annotations),
  }
}

/** Reads an image index: a list of referrers. Throws TRANSPORT_PROTOCOL. */
export function readIndex(bytes: Uint8Array, host: string): Descriptor[] {
  const no = noOf(host)
  const { mediaType, manifests } = readJson(bytes, no)
  if (mediaType !== undefined && mediaType !== INDEX_TYPE) throw no('it is not an image index')
  if (!Array.isArray(manifests)) throw no('an index has no manifests')
  if (manifests.length > REFERRERS) throw no(`an index lists more than ${REFERRERS} manifests`)
  return manifests.map((one: Json) => readDescriptor(one, no))
}
