// The journal's file: bytes appended at its end, cut back to a length, synced. Effects only, no meaning; tests put a disk
// that fails in its place. Mode 0600: the trail names destinations and clauses.

import { createHash, hash } from 'node:crypto'
import { closeSync, fsyncSync, openSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import type { HashText } from './chain.js'

export interface JournalFile {
  /** Octets in the file, and whether the path still names it: another process may have moved it away. */
  state(): Promise<{ readonly size: number; readonly named: boolean }>
  read(offset: number, length: number): Promise<Uint8Array>
  /** Writes at `offset`, which is the end. May fail half way; `truncate` takes the rest away. */
  write(offset: number, bytes: Uint8Array): Promise<void>
  truncate(length: number): Promise<void>
  /** The data is on the disk when this resolves (fdatasync). */
  sync(): Promise<void>
  close(): Promise<void>
}

/** Opens or makes the file. Fails with the system's error. */
export async function openFile(path: string): Promise<JournalFile> {
  // 'a+' would move every write to the end by itself, and no failed write could be repeated at its own place.
  const handle = await open(path, 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return open(path, 'wx+', 0o600)
    throw error
  })
  const { dev, ino } = await handle.stat()
  return {
    state: async () => {
      const now = await stat(path).catch(() => undefined) // moved or removed: then it is not ours any more
      if (now?.ino === ino && now.dev === dev) return { size: now.size, named: true }
      return { size: (await handle.stat()).size, named: false }
    },
    read: async (offset, length) => {
      const bytes = new Uint8Array(length)
      const { bytesRead } = await handle.read(bytes, 0, length, offset)
      return bytes.subarray(0, bytesRead)
    },
    write: async (offset, bytes) => {
      let at = 0
      while (at < bytes.length) at += (await handle.write(bytes, at, bytes.length - at, offset + at)).bytesWritten
    },
    truncate: (length) => handle.truncate(length),
    sync: () => handle.datasync(),
    close: () => handle.close(),
  }
}

/** On return the names in the directory are on stable storage. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

/** SHA-256 of a text that is about to be written as UTF-8. */
export const hashText: HashText = (text) => hash('sha256', text, 'hex')

/** SHA-256 of a text that was read with one character an octet. */
export const hashOctets: HashText = (text) => createHash('sha256').update(text, 'latin1').digest('hex')
