// The folder transport: a published folder on this machine, for air-gapped nodes, for tests, and as what a web server
// serves. Every file is replaced as a whole, bundle last: whoever reads meanwhile sees the old one or the new one.

import { mkdirSync, watch } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf } from '../../base/digest.js'
import { LIMITS } from '../../base/limits.js'
import { NODE_FILES, replaceFile } from '../files.js'
import { readBundleArchive, writeBundleArchive } from './archive.js'
import { readExactly } from './directory.js'
import { transportFault } from './errors.js'
import {
  BUNDLE_ARCHIVE,
  channelSegment,
  FRESHNESS_FILE,
  ROOT_STATEMENT_BYTES,
  ROOTS_FOLDER,
  rootFile,
  rootVersionsAfter,
} from './layout.js'
import type { Fetched, Transport } from './transport.js'

export function folderTransport(directory: string): Transport {
  const write = (path: string, bytes: Uint8Array) => {
    try {
      mkdirSync(join(directory, path, '..'), { recursive: true })
      replaceFile(NODE_FILES, join(directory, path), bytes)
    } catch (cause) {
      throw transportFault('TRANSPORT_READ', { path: join(directory, path) }, { cause })
    }
  }
  return {
    name: directory,
    close: () => undefined,
    async fetch(channel, since): Promise<Fetched> {
      const folder = join(directory, 'channels', channelSegment(channel))
      const roots: Uint8Array[] = []
      for (const version of rootVersionsAfter(since.rootVersion)) {
        const root = await readFile(join(directory, ROOTS_FOLDER, rootFile(version)), ROOT_STATEMENT_BYTES)
        if (root === undefined) break
        roots.push(root)
      }
      const freshness = await readFile(join(folder, FRESHNESS_FILE), LIMITS.freshnessBytes)
      const news = { roots, ...(freshness ? { freshness } : {}) }
      const path = join(folder, BUNDLE_ARCHIVE)
      const archive = await readFile(path, LIMITS.archiveBytes)
      if (archive === undefined) throw transportFault('TRANSPORT_NOT_FOUND', { path })
      const tag = digestOf(archive)
      if (tag === since.tag) return { kind: 'unchanged', ...news }
      return { kind: 'delivered', bundle: await readBundleArchive(archive), tag, ...news }
    },
    watch: (channel, changed) => {
      try {
        const seen = watch(join(directory, 'channels', channelSegment(channel)), { persistent: false }, changed)
        // The folder went away: the next pass says so, and asks for another watch.
        seen.on('error', changed)
        return () => {
          seen.close()
        }
      } catch {
        // Not there yet, or no inotify instance is left: the folder is asked at its interval.
        return undefined
      }
    },
    async push(channel, { bundle, freshness, roots = [] }) {
      const folder = join('channels', channelSegment(channel))
      for (const { version, statement } of roots) write(join(ROOTS_FOLDER, rootFile(version)), statement)
      if (bundle) write(join(folder, BUNDLE_ARCHIVE), await writeBundleArchive(bundle))
      if (freshness) write(join(folder, FRESHNESS_FILE), freshness)
    },
  }
}

/** A regular file of at most `maxBytes`, read once; undefined when there is none. */
async function readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  const handle = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined
    throw transportFault('TRANSPORT_READ', { path }, { cause })
  })
  if (handle === undefined) return undefined
  try {
    const status = await handle.stat()
    if (!status.isFile()) throw transportFault('TRANSPORT_KIND', { path })
    if (status.size > maxBytes) throw transportFault('TRANSPORT_TOO_LARGE', { what: path, limit: maxBytes })
    return await readExactly(handle, status.size, path)
  } finally {
    await handle.close()
  }
}
