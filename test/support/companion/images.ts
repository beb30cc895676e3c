// Makes what a builder of images publishes: a folder with the signed list and the files by their digests.

import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Image, type ImageFile, type ImageList, signImages } from '../../../src/bundle/images.js'
import type { Signer } from '../../../src/bundle/sign.js'

/** Copies a file beside the list; what the list has to say about it. */
export function published(folder: string, path: string): ImageFile {
  mkdirSync(folder, { recursive: true })
  const bytes = readFileSync(path)
  const digest = createHash('sha256').update(bytes).digest('hex')
  copyFileSync(path, join(folder, digest))
  return { digest: `sha256:${digest}`, size: bytes.length }
}

export async function publishList(folder: string, list: ImageList, ...signers: readonly Signer[]): Promise<void> {
  let bytes: Uint8Array | undefined
  for (const signer of signers) bytes = await signImages(list, signer, bytes)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'images.jws.json'), bytes ?? '')
}

export const listOf = (nowMs: number, images: readonly Image[], more: Partial<ImageList> = {}): ImageList => ({
  ...{ channel: 'stable', epoch: 1, revision: 1n, issuedAtMs: nowMs, expiresAtMs: nowMs + 3_600_000, images },
  ...more,
})
