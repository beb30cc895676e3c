// Blobs that a pull has fetched, kept by digest in a folder, so that a pull that was cut short goes on where it was: whole
// blobs do not travel again, and a part is asked for from its end. What is kept is only ever used after its digest was
// recomputed; a damaged file is thrown away.

import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Digest, digestOf } from '../../base/digest.js'
import { transportFault } from './errors.js'

export interface Blobs {
  /** The whole blob, its digest recomputed. */
  whole(digest: Digest, size: number): Uint8Array | undefined
  part(digest: Digest, size: number): Uint8Array | undefined
  append(digest: Digest, chunk: Uint8Array, reset: boolean): void
  /** The part is the whole now. */
  finish(digest: Digest): void
  /** The part is not what it should be. */
  drop(digest: Digest): void
}

/** Keeps nothing: every pull begins anew. */
export const NO_BLOBS: Blobs = {
  whole: () => undefined,
  part: () => undefined,
  append: () => undefined,
  finish: () => undefined,
  drop: () => undefined,
}

/** Throws TRANSPORT_READ when the folder cannot be written. */
export function folderBlobs(directory: string): Blobs {
  const path = (digest: Digest) => join(directory, digest.slice('sha256:'.length))
  const partPath = (digest: Digest) => `${path(digest)}.part`
  const attempt = <T>(at: string, act: () => T): T => {
    try {
      return act()
    } catch (cause) {
      throw transportFault('TRANSPORT_READ', { path: at }, { cause })
    }
  }
  attempt(directory, () => mkdirSync(directory, { recursive: true, mode: 0o700 }))
  return {
    whole: (digest, size) => {
      const bytes = readIfThere(path(digest), size)
      if (bytes === undefined) return undefined
      if (bytes.length === size && digestOf(bytes) === digest) return bytes
      rmSync(path(digest), { force: true })
      return undefined
    },
    part: (digest, size) => readIfThere(partPath(digest), size - 1),
    append: (digest, chunk, reset) => {
      const at = partPath(digest)
      attempt(at, () =>
        reset ? writeFileSync(at, chunk, { mode: 0o600 }) : appendFileSync(at, chunk, { mode: 0o600 }),
      )
    },
    finish: (digest) => attempt(path(digest), () => renameSync(partPath(digest), path(digest))),
    drop: (digest) => attempt(path(digest), () => rmSync(partPath(digest), { force: true })),
  }
}

/** undefined also for a file that is longer than it may be. */
function readIfThere(path: string, maxBytes: number): Uint8Array | undefined {
  try {
    const status = statSync(path)
    return status.isFile() && status.size > 0 && status.size <= maxBytes ? readFileSync(path) : undefined
  } catch {
    // Not there, or not readable: then it is fetched.
    return undefined
  }
}
