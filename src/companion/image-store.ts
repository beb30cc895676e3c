// The golden images of a host: a folder that only root writes, with the signed list of what may boot and a file for each digest. Files come
// in through `fetch`, which hashes what it writes and gives it its digest as its name; the list is verified each time that it is asked, so
// an image that is withdrawn or expired boots nowhere any more, whatever lies on the disk.
//
// What boots is hashed once more by the driver, through the descriptor that the machine gets (drivers/verified.ts).

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, constants, existsSync, fsyncSync, openSync } from 'node:fs'
import { chmod, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isDigest } from '../base/digest.js'
import { isObject, parseJson } from '../base/json.js'
import { LIMITS } from '../base/limits.js'
import {
  type Image,
  type ImageFile,
  imageName,
  newestImage,
  type VerifiedImages,
  verifyImages,
} from '../bundle/images.js'
import type { TrustRoot } from '../bundle/model.js'
import type { BootImage, VerifiedFile } from './drivers/driver.js'
import { openVerified, requireQcow2 } from './drivers/verified.js'
import { companionFault } from './errors.js'
import { type Shelf, shelfKey } from './lifecycle/renewal.js'

export const IMAGE_LIST = 'images.jws.json'
const MARK = 'mark.json'
const QEMU_IMG = '/usr/bin/qemu-img'
const RUN_MS = 60_000
const SECTOR = 512
const run = promisify(execFile)

export interface ImageTerms {
  /** Folder of the store. */
  readonly directory: string
  /** The root of the moment: it may be rotated while the companion runs. */
  readonly trust: () => TrustRoot
  readonly channel: string
  readonly nowMs: () => number
  /** Images that were built longer ago are not given out. */
  readonly maxAgeMs?: number
}

const file = (path: string): string => path.slice('sha256:'.length)
const no = (image: string, why: string, cause?: unknown) =>
  companionFault('MACHINE_IMAGE', { file: image, why }, { cause })
const noList = (file: string, why: string) => companionFault('IMAGE_LIST', { file, why })

export class ImageStore {
  constructor(private readonly terms: ImageTerms) {}

  /**
   * Takes a list and the files of its images from a folder, in which the files are named by their digests. The list replaces the
   * one that is held when every file is here. Throws IMAGE_LIST and BUNDLE_* for the list, MACHINE_IMAGE for a file.
   */
  async fetch(from: string): Promise<readonly string[]> {
    const bytes = await readList(join(from, IMAGE_LIST))
    const verified = await this.verify(bytes)
    await mkdir(this.terms.directory, { recursive: true, mode: 0o700 })
    for (const image of verified.list.images) for (const one of filesOf(image)) await this.take(from, one)
    // The mark first: a crash between the two refuses the older list, and the newer one may be fetched again.
    await this.keep(verified)
    await this.put(IMAGE_LIST, bytes)
    return verified.list.images.map(imageName)
  }

  /** Everything that may boot now, newest first, as `name@version`. */
  async list(): Promise<readonly string[]> {
    const verified = await this.held()
    const may = verified.list.images.filter((image) => this.refusal(image) === undefined)
    return may.sort((a, b) => (a.name === b.name ? b.version - a.version : a.name < b.name ? -1 : 1)).map(imageName)
  }

  /** What each image of the list was built for, by `name@version`. */
  async profiles(): Promise<ReadonlyMap<string, string>> {
    return new Map((await this.held()).list.images.map((image) => [imageName(image), image.profile]))
  }

  /**
   * The newest version of that name, built for that profile where one is asked for: `name@version`. Throws MACHINE_IMAGE when there is
   * none, IMAGE_LIST and BUNDLE_* for the list. */
  async newest(name: string, profile?: string): Promise<string> {
    const image = newestImage(await this.held(), name, this.terms.nowMs(), profile)
    const asked = profile === undefined ? 'it' : `it for the profile ${profile}`
    if (!image) throw no(name, `the list of channel ${this.terms.channel} has no version of ${asked} that may boot`)
    this.require(image)
    return imageName(image)
  }

  /** What the list says of the age of images. Throws as `newest` does for the list. */
  async shelf(): Promise<Shelf> {
    const verified = await this.held()
    const { images } = verified.list
    const asked = images.flatMap(({ name, profile }) => [{ name }, { name, profile }])
    const newest = asked.flatMap(({ name, profile }: { name: string; profile?: string }): [string, string][] => {
      const image = newestImage(verified, name, this.terms.nowMs(), profile)
      return image ? [[shelfKey(name, profile), imageName(image)]] : []
    })
    const builtAtMs = new Map(images.map((image) => [imageName(image), image.builtAtMs]))
    return { builtAtMs, newest: new Map(newest) }
  }

  /** Makes the machine's own layer over the image's disk, if it is not there; an image without a disk needs none. Throws MACHINE_IMAGE. */
  async layer(image: string, path: string): Promise<void> {
    const { disk } = await this.named(image)
    if (!disk || existsSync(path)) return
    const descriptor = await openVerified(this.place(disk.file))
    let bytes = disk.file.size
    try {
      if (disk.format === 'qcow2') bytes = requireQcow2(this.place(disk.file).path, descriptor).virtualBytes
      else if (bytes % SECTOR !== 0) throw no(image, `its disk of ${bytes} octets is not whole sectors`)
    } finally {
      closeSync(descriptor)
    }
    // It names nothing below itself: what lies below is said at every start, as a descriptor of what was verified.
    const beside = `${path}.new`
    await run(QEMU_IMG, ['create', '-q', '-f', 'qcow2', '-o', 'compat=1.1', beside, String(bytes)], { timeout: RUN_MS })
    await chmod(beside, 0o600)
    syncFile(beside)
    await rename(beside, path)
  }

  /**
   * What a machine boots. Throws MACHINE_IMAGE for an image that is not in the list any more, may not boot any more, or was built for
   * another profile than the one that is asked for. */
  async boot(image: string, layer: string, profile?: string): Promise<BootImage> {
    const { kernel, disk, profile: builtFor } = await this.named(image)
    if (profile !== undefined && builtFor !== profile)
      throw no(image, `it was built for the profile ${builtFor}, and its network takes ${profile}`)
    return {
      image,
      ...(kernel
        ? {
            kernel: {
              file: this.place(kernel.file),
              ...(kernel.initrd ? { initrd: this.place(kernel.initrd) } : {}),
              commandLine: kernel.commandLine,
            },
          }
        : {}),
      ...(disk ? { disk: { base: this.place(disk.file), format: disk.format, overlay: layer } } : {}),
    }
  }

  /** Takes away files that no image of the list names; what a machine has open it keeps. */
  async sweep(): Promise<readonly string[]> {
    const { list } = await this.held()
    const named = new Set(list.images.flatMap(filesOf).map(({ digest }) => file(digest)))
    const stale = (await readdir(this.terms.directory)).filter(
      (name) => /^[0-9a-f]{64}(\.new)?$/.test(name) && !named.has(name),
    )
    for (const name of stale) await rm(join(this.terms.directory, name), { force: true })
    return stale
  }

  private async named(image: string): Promise<Image> {
    const { list } = await this.held()
    const found = list.images.find((one) => imageName(one) === image)
    if (!found) throw no(image, `the list of channel ${this.terms.channel} does not have it`)
    this.require(found)
    return found
  }

  private require(image: Image): void {
    const why = this.refusal(image)
    if (why !== undefined) throw no(imageName(image), why)
  }

  private refusal({ expiresAtMs, builtAtMs }: Image): string | undefined {
    const nowMs = this.terms.nowMs()
    if (nowMs >= expiresAtMs) return `it expired at ${new Date(expiresAtMs).toISOString()}`
    const { maxAgeMs } = this.terms
    if (maxAgeMs !== undefined && nowMs - builtAtMs > maxAgeMs)
      return `it was built at ${new Date(builtAtMs).toISOString()}, longer ago than this host allows`
    return undefined
  }

  private async held(): Promise<VerifiedImages> {
    const verified = await this.verify(await readList(join(this.terms.directory, IMAGE_LIST)))
    // A folder that an operator filled by hand is held to its newest list as well.
    if ((await this.mark())?.digest !== verified.mark.digest) await this.keep(verified)
    return verified
  }

  private async verify(bytes: Uint8Array): Promise<VerifiedImages> {
    const { trust, channel, nowMs } = this.terms
    const held = await this.mark()
    return verifyImages(bytes, trust(), { nowMs: nowMs(), channel, ...(held ? { held } : {}) })
  }

  private async keep({ mark: { digest, epoch, revision } }: VerifiedImages): Promise<void> {
    await this.put(MARK, JSON.stringify({ digest, epoch, revision: String(revision) }))
  }

  private async mark() {
    const path = join(this.terms.directory, MARK)
    if (!existsSync(path)) return undefined
    const mark = parseJson(await readFile(path, 'utf8'))
    if (!isObject(mark)) throw no(path, 'the mark of the newest list is damaged')
    const { epoch, revision, digest } = mark
    if (typeof epoch !== 'number' || typeof revision !== 'string' || typeof digest !== 'string' || !isDigest(digest))
      throw no(path, 'the mark of the newest list is damaged')
    return { epoch, revision: BigInt(revision), digest }
  }

  private place({ digest, size }: ImageFile): VerifiedFile {
    return { path: join(this.terms.directory, file(digest)), digest, bytes: size }
  }

  /** Copies a file in, hashing what is written; one that is here already is looked at when it boots. */
  private async take(from: string, { digest, size }: ImageFile): Promise<void> {
    const path = join(this.terms.directory, file(digest))
    if (existsSync(path)) return
    const source = join(from, file(digest))
    const beside = `${path}.new`
    try {
      const found = await copyHashed(source, beside, size)
      if (found !== digest) throw no(source, `its digest is ${found}`)
      await chmod(beside, 0o444)
      await rename(beside, path)
    } catch (cause) {
      await rm(beside, { force: true })
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw no(source, 'it is not there', cause)
      throw cause
    }
  }

  private async put(name: string, content: Uint8Array | string): Promise<void> {
    const path = join(this.terms.directory, name)
    await writeFile(`${path}.new`, content, { mode: 0o600 })
    syncFile(`${path}.new`)
    await rename(`${path}.new`, path)
    syncFile(this.terms.directory)
  }
}

const filesOf = ({ kernel, disk }: Image): readonly ImageFile[] => [
  ...(kernel ? [kernel.file, ...(kernel.initrd ? [kernel.initrd] : [])] : []),
  ...(disk ? [disk.file] : []),
]

/** Throws IMAGE_LIST when there is none, or it is larger than an envelope may be. */
async function readList(path: string): Promise<Uint8Array> {
  if (!existsSync(path)) throw noList(path, 'there is no list of images')
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const status = await handle.stat()
    if (!status.isFile() || status.size > LIMITS.envelopeBytes) throw noList(path, 'it is no list of images')
    return await handle.readFile()
  } finally {
    await handle.close()
  }
}

/** The digest of what was written. Throws MACHINE_IMAGE for another size than was signed, before it is written whole. */
async function copyHashed(from: string, to: string, size: number): Promise<`sha256:${string}`> {
  const source = await open(from, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const status = await source.stat()
    if (!status.isFile() || status.size !== size)
      throw no(from, `it has ${status.size} octets, and ${size} were signed`)
    const target = await open(to, 'w', 0o600)
    try {
      const hash = createHash('sha256')
      const piece = Buffer.alloc(1 << 20)
      for (let left = size; left > 0; ) {
        const { bytesRead } = await source.read(piece, 0, Math.min(piece.length, left))
        if (bytesRead === 0) throw no(from, 'it became shorter')
        hash.update(piece.subarray(0, bytesRead))
        await target.writeFile(piece.subarray(0, bytesRead))
        left -= bytesRead
      }
      await target.sync()
      return `sha256:${hash.digest('hex')}`
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

function syncFile(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
