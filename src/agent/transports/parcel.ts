// What every transport fills: files by path, within the limits of a bundle, until it is handed on as BundleBytes. One set
// of rules, so that no transport lets in what another would refuse.

import { LIMITS } from '../../base/limits.js'
import { type BundleBytes, MANIFEST_FILE, RELEASE_FILE } from '../../bundle/model.js'
import { PathSet, refusePath } from '../../bundle/path.js'
import { transportFault } from './errors.js'

/** Files and folders of a bundle: the members, the two documents, and as many folders again. */
export const ENTRY_LIMIT = 2 * LIMITS.members + 2

export class Parcel {
  private readonly files = new Map<string, Uint8Array>()
  private readonly paths = new PathSet()
  private entries = 0
  private total = 0

  /** Claims a folder. Throws TRANSPORT_ENTRY or TRANSPORT_TOO_MANY. */
  folder(path: string): void {
    this.claim(path, (set) => set.addFolder(path))
  }

  /** Claims a file of `size` octets, before anything is allocated for it. Throws TRANSPORT_* as the rules say. */
  file(path: string, size: number): void {
    this.claim(path, (set) => set.add(path))
    const limit =
      path === MANIFEST_FILE ? LIMITS.manifestBytes : path === RELEASE_FILE ? LIMITS.envelopeBytes : LIMITS.memberBytes
    if (size > limit) throw transportFault('TRANSPORT_TOO_LARGE', { what: path, limit })
    this.total += size
    if (this.total > LIMITS.unpackedBytes)
      throw transportFault('TRANSPORT_TOO_LARGE', { what: 'the bundle', limit: LIMITS.unpackedBytes })
  }

  /** The content of a claimed file. */
  put(path: string, content: Uint8Array): void {
    this.files.set(path, content)
  }

  private claim(path: string, add: (set: PathSet) => string | undefined): void {
    if (++this.entries > ENTRY_LIMIT) throw transportFault('TRANSPORT_TOO_MANY', { limit: ENTRY_LIMIT })
    const why = refusePath(path) ?? add(this.paths)
    if (why !== undefined) throw transportFault('TRANSPORT_ENTRY', { path, why })
  }

  /** Throws TRANSPORT_NO_MANIFEST. Members come in order of their paths. */
  deliver(): BundleBytes {
    const manifest = this.files.get(MANIFEST_FILE)
    if (manifest === undefined) throw transportFault('TRANSPORT_NO_MANIFEST', undefined)
    const release = this.files.get(RELEASE_FILE)
    const members = [...this.files]
      .filter(([path]) => path !== MANIFEST_FILE && path !== RELEASE_FILE)
      .sort(([a], [b]) => (a < b ? -1 : 1))
    return { manifest, ...(release === undefined ? {} : { release }), members: new Map(members) }
  }
}
