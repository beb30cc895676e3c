// One door for bundles on this machine: a directory is read as a directory and a file as an archive, decided by what the
// descriptor is and never by the name.

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { LIMITS } from '../../base/limits.js'
import type { BundleBytes } from '../../bundle/model.js'
import { readBundleArchive } from './archive.js'
import { readBundleDirectory, readExactly } from './directory.js'
import { transportFault } from './errors.js'

/** Reads the bundle at `path`. Throws TRANSPORT_*. */
export async function readBundle(path: string): Promise<BundleBytes> {
  // Non-blocking, so that a FIFO in the place of a file cannot hold us up.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw transportFault(missing ? 'TRANSPORT_NOT_FOUND' : 'TRANSPORT_READ', { path }, { cause })
  })
  try {
    const status = await handle.stat()
    if (status.isDirectory()) return await readBundleDirectory(path)
    if (!status.isFile()) throw transportFault('TRANSPORT_KIND', { path })
    if (status.size > LIMITS.archiveBytes)
      throw transportFault('TRANSPORT_TOO_LARGE', { what: 'the archive', limit: LIMITS.archiveBytes })
    return await readBundleArchive(await readExactly(handle, status.size, path))
  } finally {
    await handle.close()
  }
}
