// The journal's file: bytes appended at its end, cut back to a length, synced. Effects only, no meaning; tests put a disk
// that fails in its place. Mode 0600: the trail names destinations and clauses.

import { open } from 'node:fs/promises'

export interface JournalFile {
  /** Octets in the file. */
  size(): Promise<number>
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
  return {
    size: async () => (await handle.stat()).size,
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
