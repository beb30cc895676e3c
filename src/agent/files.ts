// The few file operations that durable state needs, each with the order of writes that makes it survive a crash: write a
// temporary file, fsync it, rename it over the old one, fsync the directory. Behind an interface, so that tests can make
// each step fail (there are two implementations: this one and the failing one of test/support).

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'

export interface StateFiles {
  /** With everything above it; on return the names are on stable storage. Mode 0700. */
  makeDirectory(path: string): void
  /** undefined when there is no such file. */
  read(path: string): Uint8Array | undefined
  /** Creates or truncates; on return the content is on stable storage. Mode 0600. */
  writeSynced(path: string, bytes: Uint8Array): void
  rename(from: string, to: string): void
  /** On return the names in the directory are on stable storage. */
  syncDirectory(path: string): void
  list(path: string): readonly string[]
  remove(path: string): void
  /** Changes whenever the file is written, replaced or touched; undefined when there is none. Absent: nobody can tell. */
  stamp?(path: string): string | undefined
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT'

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

/**
 * The octets of a file that somebody named. Never waits (a FIFO without a writer), never reads a device, never more than
 * `maxBytes`. Throws what the system says when it cannot be opened or read.
 */
export function readRegular(path: string, maxBytes: number): Uint8Array | 'not-regular' | 'too-large' {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  try {
    const status = fstatSync(file)
    if (!status.isFile()) return 'not-regular'
    if (status.size > maxBytes) return 'too-large'
    // One more octet than it had, so that a file that grows meanwhile is noticed.
    const bytes = new Uint8Array(Math.min(status.size, maxBytes) + 1)
    let at = 0
    for (let got = 1; got > 0 && at < bytes.length; at += got) got = readSync(file, bytes, at, bytes.length - at, null)
    return at > maxBytes ? 'too-large' : bytes.subarray(0, at)
  } finally {
    closeSync(file)
  }
}

export const NODE_FILES: StateFiles = {
  makeDirectory: (path) => {
    const first = mkdirSync(path, { recursive: true, mode: 0o700 })
    // A crash would take a directory whose name was never synced, and all that is in it.
    for (let made = resolve(path); first !== undefined; made = dirname(made)) {
      syncDirectory(dirname(made))
      if (made === resolve(first)) break
    }
  },
  read: (path) => {
    try {
      return readFileSync(path)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  },
  writeSynced: (path, bytes) => {
    const file = openSync(path, 'w', 0o600)
    try {
      let at = 0
      while (at < bytes.length) at += writeSync(file, bytes, at)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  },
  rename: renameSync,
  syncDirectory,
  list: (path) => {
    try {
      return readdirSync(path)
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  },
  remove: (path) => {
    rmSync(path, { recursive: true, force: true })
  },
  stamp: (path) => {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false })
    return found && `${found.dev} ${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`
  },
}

/** Replaces `path` as a whole: after a crash at any point it holds the old content or the new, never a part. */
export function replaceFile(files: StateFiles, path: string, bytes: Uint8Array): void {
  const temporary = `${path}.new`
  files.writeSynced(temporary, bytes)
  files.rename(temporary, path)
  files.syncDirectory(dirname(path))
}
