// The directory transport: a bundle that lies unpacked on this machine. Each file is opened once, without following links
// at any level below the path that the operator named, checked by its descriptor, and read into memory; nothing is opened
// by name a second time (bundle-trust sheet section 6, "TOCTOU on files").
//
// Children are opened through /proc/self/fd, which is openat(2) by other means: swapping a folder for a link while we read
// leads nowhere.

import { constants } from 'node:fs'
import { type FileHandle, open, opendir } from 'node:fs/promises'
import type { BundleBytes } from '../../bundle/model.js'
import { refusePath } from '../../bundle/path.js'
import { transportFault } from './errors.js'
import { ENTRY_LIMIT, Parcel } from './parcel.js'

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants

/** Reads a bundle directory. Throws TRANSPORT_*; the exact set of members is checked by verification. */
export async function readBundleDirectory(path: string): Promise<BundleBytes> {
  const parcel = new Parcel()
  const top = await openAt(path, path, O_RDONLY | O_DIRECTORY)
  try {
    await readFolder(top, '', parcel)
  } finally {
    await top.close()
  }
  return parcel.deliver()
}

async function readFolder(folder: FileHandle, prefix: string, parcel: Parcel): Promise<void> {
  const at = `/proc/self/fd/${folder.fd}`
  for (const name of await namesIn(at)) {
    const path = prefix === '' ? name : `${prefix}/${name}`
    // Before the open: a name that is not UTF-8 arrives mangled and could not be opened.
    const why = refusePath(path)
    if (why !== undefined) throw transportFault('TRANSPORT_ENTRY', { path, why })
    const handle = await openAt(`${at}/${name}`, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      const status = await handle.stat()
      if (status.isDirectory()) {
        parcel.folder(path)
        await readFolder(handle, path, parcel)
      } else if (status.isFile()) {
        parcel.file(path, status.size)
        parcel.put(path, await readExactly(handle, status.size, path))
      } else throw transportFault('TRANSPORT_ENTRY', { path, why: 'it is not a regular file' })
    } finally {
      await handle.close()
    }
  }
}

/** Sorted, and never more than a bundle may have: a folder with a million names is not listed to its end. */
async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of await opendir(folder)) {
    names.push(name)
    if (names.length > ENTRY_LIMIT) throw transportFault('TRANSPORT_TOO_MANY', { limit: ENTRY_LIMIT })
  }
  return names.sort()
}

async function openAt(where: string, path: string, flags: number): Promise<FileHandle> {
  try {
    return await open(where, flags)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOENT') throw transportFault('TRANSPORT_NOT_FOUND', { path }, { cause })
    if (code === 'ENOTDIR') throw transportFault('TRANSPORT_KIND', { path }, { cause })
    if (code === 'ELOOP') throw transportFault('TRANSPORT_ENTRY', { path, why: 'it is a symbolic link' }, { cause })
    if (code === 'ENXIO') throw transportFault('TRANSPORT_ENTRY', { path, why: 'it is not a regular file' }, { cause })
    throw transportFault('TRANSPORT_READ', { path }, { cause })
  }
}

/** Exactly `size` octets, as the descriptor said; a file that grew or shrank meanwhile is TRANSPORT_CHANGED. */
export async function readExactly(handle: FileHandle, size: number, path: string): Promise<Uint8Array> {
  const buffer = new Uint8Array(size + 1)
  let filled = 0
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  if (filled !== size) throw transportFault('TRANSPORT_CHANGED', { path })
  return buffer.subarray(0, size)
}
