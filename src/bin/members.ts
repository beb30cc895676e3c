// The files of a bundle directory that is about to be signed: every regular file below it except the two that signing
// writes. The directory is the operator's own, so what is read here is what the author then puts a name to; verification
// later reads it through the strict transport.

import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { transportFault } from '../agent/transports/errors.js'
import { LIMITS } from '../base/limits.js'
import { MANIFEST_FILE, RELEASE_FILE } from '../bundle/model.js'

/** Paths with `/`, sorted. Throws TRANSPORT_* for what could never be part of a bundle. */
export async function readMembers(directory: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const members = new Map<string, Uint8Array>()
  walk(directory, '', members)
  return members
}

function walk(directory: string, prefix: string, members: Map<string, Uint8Array>): void {
  for (const name of list(join(directory, prefix))) {
    const path = prefix === '' ? name : `${prefix}/${name}`
    if (path === MANIFEST_FILE || path === RELEASE_FILE) continue
    const status = lstatSync(join(directory, path))
    if (status.isDirectory()) walk(directory, path, members)
    else if (!status.isFile()) throw transportFault('TRANSPORT_ENTRY', { path, why: 'it is not a regular file' })
    else if (status.size > LIMITS.memberBytes)
      throw transportFault('TRANSPORT_TOO_LARGE', { what: `the member ${path}`, limit: LIMITS.memberBytes })
    else if (members.size >= LIMITS.members) throw transportFault('TRANSPORT_TOO_MANY', { limit: LIMITS.members })
    else members.set(path, readFileSync(join(directory, path)))
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path).sort()
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOENT') throw transportFault('TRANSPORT_NOT_FOUND', { path }, { cause })
    if (code === 'ENOTDIR') throw transportFault('TRANSPORT_KIND', { path }, { cause })
    throw transportFault('TRANSPORT_READ', { path }, { cause })
  }
}
