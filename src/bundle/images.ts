// The list of images that machines may boot, on one channel: each with its version, the profile that it was built for, when it was
// built and until when it may boot, and the digest and size of every file. Takes the octets of a signed list, gives a VerifiedImages;
// which version a workspace gets is chosen from it (`newestImage`), and nothing outside it boots.
//
// Lists are counted as releases are (counter.ts): an older list than the one that is held is a rollback.

import { canonicalize, type Json } from '../base/canonical.js'
import { type Digest, digestOfText, isDigest } from '../base/digest.js'
import { LIMITS } from '../base/limits.js'
import { type Count, requireProgress } from './counter.js'
import { bundleFault } from './errors.js'
import { CLOCK_TOLERANCE_MS } from './freshness.js'
import { formatInstant } from './instant.js'
import type { TrustRoot } from './model.js'
import { count, instant, isName, type No, revision, text } from './release.js'
import { requireLiveRoot, thresholdOf } from './root.js'
import { type Signer, signStatement } from './sign.js'
import { hasExactly, type JsonObject, readEnvelope, requireThreshold, STATEMENTS } from './statement.js'

export interface ImageFile {
  readonly digest: Digest
  /** Octets. */
  readonly size: number
}

/** Times are milliseconds since 1970. */
export interface Image {
  readonly name: string
  /** Only grows, for one name: the highest that has not expired is the newest. */
  readonly version: number
  /** What it was built for, in the words of whoever builds: `desktop`, `gpu`. */
  readonly profile: string
  readonly builtAtMs: number
  readonly expiresAtMs: number
  readonly kernel?: { readonly file: ImageFile; readonly initrd?: ImageFile; readonly commandLine: string }
  readonly disk?: { readonly file: ImageFile; readonly format: 'raw' | 'qcow2' }
}

export interface ImageList {
  readonly channel: string
  readonly epoch: number
  readonly revision: bigint
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  readonly images: readonly Image[]
}

declare const verifiedImages: unique symbol
export interface VerifiedImages {
  readonly [verifiedImages]: true
  readonly list: ImageList
  /** What a host keeps, so that an older list is refused later. */
  readonly mark: Count
  readonly signers: readonly string[]
}

export interface ImagesContext {
  readonly nowMs: number
  readonly channel: string
  readonly held?: Count
}

const LIST_KEYS = ['channel', 'epoch', 'expires_at', 'format', 'images', 'issued_at', 'revision'] as const
const IMAGE_KEYS = ['built_at', 'disk', 'expires_at', 'kernel', 'name', 'profile', 'version'] as const
const FILE_KEYS = ['sha256', 'size'] as const
const MAX_WORDS = 2_048

const no: No = (why) => bundleFault('BUNDLE_STATEMENT', { what: STATEMENTS.images.what, why })
/** Part of `name@version`, and of what people type. */
export const isImageName = (value: string): boolean => /^[a-z0-9][a-z0-9._-]{0,62}$/.test(value)
const isCommandLine = (value: string): boolean => /^[\x20-\x7e]*$/.test(value) && value.length <= MAX_WORDS
const isFormat = (value: string): boolean => value === 'raw' || value === 'qcow2'

/** `name@version`, as it stands in records and in the trail. */
export const imageName = ({ name, version }: Image): string => `${name}@${version}`

/** Throws BUNDLE_STATEMENT, naming the member. */
export function parseImages(statement: JsonObject): ImageList {
  if (!hasExactly(statement, LIST_KEYS)) throw no(`exactly ${LIST_KEYS.join(', ')} are expected`)
  const { images } = statement
  if (!Array.isArray(images) || images.length > LIMITS.images)
    throw no(`images is not a list of at most ${LIMITS.images}`)
  const read = images.map(readImage)
  const names = read.map(imageName)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw no(`${twice} stands there twice`)
  const issuedAtMs = instant(statement.issued_at, 'issued_at', no)
  const expiresAtMs = instant(statement.expires_at, 'expires_at', no)
  if (expiresAtMs <= issuedAtMs) throw no('expires_at must be later than issued_at')
  return {
    channel: text(statement.channel, 'channel', isName, no),
    epoch: count(statement.epoch, 'epoch', no),
    revision: revision(statement.revision, 'revision', no),
    ...{ issuedAtMs, expiresAtMs, images: read },
  }
}

function readImage(value: Json): Image {
  if (!hasExactly(value, IMAGE_KEYS)) throw no(`an image has exactly ${IMAGE_KEYS.join(', ')}`)
  const builtAtMs = instant(value.built_at, 'built_at', no)
  const expiresAtMs = instant(value.expires_at, 'expires_at', no)
  if (expiresAtMs <= builtAtMs) throw no('an image expires before it was built')
  const version = count(value.version, 'version', no)
  if (version === 0) throw no('version 0 of an image')
  const kernel = readKernel(value.kernel)
  const disk = readDisk(value.disk)
  if (!kernel && !disk) throw no('an image has neither a kernel nor a disk')
  return {
    name: text(value.name, 'name', isImageName, no),
    profile: text(value.profile, 'profile', isName, no),
    ...{ version, builtAtMs, expiresAtMs },
    ...(kernel ? { kernel } : {}),
    ...(disk ? { disk } : {}),
  }
}

function readKernel(value: Json): Image['kernel'] {
  if (value === null) return undefined
  if (!hasExactly(value, ['command_line', 'file', 'initrd']))
    throw no('a kernel has exactly command_line, file and initrd')
  const commandLine = text(value.command_line, 'command_line', isCommandLine, no)
  const initrd = value.initrd === null ? {} : { initrd: readFile(value.initrd) }
  return { file: readFile(value.file), commandLine, ...initrd }
}

function readDisk(value: Json): Image['disk'] {
  if (value === null) return undefined
  if (!hasExactly(value, ['file', 'format'])) throw no('a disk has exactly file and format')
  return { file: readFile(value.file), format: text(value.format, 'format', isFormat, no) as 'raw' | 'qcow2' }
}

function readFile(value: Json): ImageFile {
  if (!hasExactly(value, FILE_KEYS)) throw no(`a file has exactly ${FILE_KEYS.join(' and ')}`)
  const size = count(value.size, 'size', no)
  if (size === 0 || size > LIMITS.imageFileBytes) throw no(`a file of ${size} octets`)
  const digest = text(value.sha256, 'sha256', (hex) => isDigest(`sha256:${hex}`), no)
  return { digest: `sha256:${digest}`, size }
}

const fileStatement = ({ digest, size }: ImageFile): JsonObject => ({ sha256: digest.slice('sha256:'.length), size })

export const imagesStatement = (list: ImageList): JsonObject => ({
  format: STATEMENTS.images.format,
  channel: list.channel,
  epoch: list.epoch,
  revision: String(list.revision),
  issued_at: formatInstant(list.issuedAtMs),
  expires_at: formatInstant(list.expiresAtMs),
  images: list.images.map(({ name, version, profile, builtAtMs, expiresAtMs, kernel, disk }) => ({
    ...{ name, version, profile },
    built_at: formatInstant(builtAtMs),
    expires_at: formatInstant(expiresAtMs),
    kernel: kernel
      ? {
          file: fileStatement(kernel.file),
          initrd: kernel.initrd ? fileStatement(kernel.initrd) : null,
          command_line: kernel.commandLine,
        }
      : null,
    disk: disk ? { file: fileStatement(disk.file), format: disk.format } : null,
  })),
})

/** Adds one signature to a list. Throws as `parseImages` does, and what signing refuses. */
export function signImages(list: ImageList, signer: Signer, existing?: Uint8Array): Promise<Uint8Array> {
  const statement = imagesStatement(list)
  parseImages(statement)
  return signStatement('images', statement, signer, existing)
}

/**
 * Verifies a list: threshold of role image, channel, never older than the one that is held, valid now. Single images may
 * have expired all the same. Throws BUNDLE_*.
 */
export async function verifyImages(
  bytes: Uint8Array,
  trust: TrustRoot,
  { nowMs, channel, held }: ImagesContext,
): Promise<VerifiedImages> {
  const { what } = STATEMENTS.images
  requireLiveRoot(trust, nowMs)
  const envelope = readEnvelope(new Uint8Array(bytes), 'images')
  const signers = await requireThreshold(envelope, trust.keys, thresholdOf(trust, 'image'))
  const list = parseImages(envelope.statement)
  if (list.channel !== channel) throw bundleFault('BUNDLE_CHANNEL', { channel: list.channel, expected: channel })
  const digest = digestOfText(canonicalize(envelope.statement))
  const mark = { epoch: list.epoch, revision: list.revision, digest }
  requireProgress(what, mark, held, trust.epoch)
  if (list.issuedAtMs > nowMs + CLOCK_TOLERANCE_MS)
    throw bundleFault('BUNDLE_NOT_YET_VALID', { what, notBeforeMs: list.issuedAtMs, nowMs })
  if (nowMs >= list.expiresAtMs) throw bundleFault('BUNDLE_EXPIRED', { what, expiresAtMs: list.expiresAtMs, nowMs })
  return Object.freeze({ list, mark, signers }) as unknown as VerifiedImages
}

/** The newest version of that name, and of that profile where one is asked for, that may still boot; undefined when there is none. */
export function newestImage(
  { list }: VerifiedImages,
  name: string,
  nowMs: number,
  profile?: string,
): Image | undefined {
  return list.images
    .filter(
      (image) =>
        image.name === name &&
        (profile === undefined || image.profile === profile) &&
        nowMs < image.expiresAtMs &&
        image.builtAtMs <= nowMs + CLOCK_TOLERANCE_MS,
    )
    .sort((a, b) => b.version - a.version)[0]
}
