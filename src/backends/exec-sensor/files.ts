// Which file ran, while that can still be asked: the kernel tells its number, and the process or the path that it was called by say its
// name. A program that is over before anybody looks keeps the name that it was called by.

import { createHash } from 'node:crypto'
import { closeSync, openSync, readlinkSync, readSync, realpathSync, statSync } from 'node:fs'
import type { Digest } from '../../base/digest.js'

const CHUNK = 1 << 20

export interface Ran {
  readonly path: string
  /** Where its content can be read; undefined when it cannot any more. */
  readonly readable?: string
}

export function fileThatRan(pid: number, calledBy: string, inode: bigint, links: number): Ran {
  const own = `/proc/${pid}/exe`
  if (isThat(own, inode)) {
    const path = linkOf(own)
    if (path !== undefined) return { path, readable: own }
  }
  const real = links > 0 && isThat(calledBy, inode) ? realOf(calledBy) : undefined
  if (real !== undefined) return { path: real, readable: calledBy }
  return { path: links === 0 && !calledBy.endsWith(' (deleted)') ? `${calledBy} (deleted)` : calledBy }
}

const isThat = (path: string, inode: bigint): boolean => {
  try {
    return path.startsWith('/') && statSync(path, { bigint: true }).ino === inode
  } catch {
    return false // it is over, or gone
  }
}

const realOf = (path: string): string | undefined => {
  try {
    return realpathSync(path)
  } catch {
    return undefined // it is gone since
  }
}

const linkOf = (path: string): string | undefined => {
  try {
    return readlinkSync(path)
  } catch {
    return undefined // it ended since
  }
}

export function digestOfFile(path: string): Digest | undefined {
  try {
    const [file, hash, chunk] = [openSync(path, 'r'), createHash('sha256'), Buffer.alloc(CHUNK)]
    try {
      for (let at = 0; ; ) {
        const got = readSync(file, chunk, 0, CHUNK, at)
        if (got === 0) return `sha256:${hash.digest('hex')}`
        hash.update(chunk.subarray(0, got))
        at += got
      }
    } finally {
      closeSync(file)
    }
  } catch {
    return undefined // it is gone: a record without a digest says that nobody looked
  }
}
