// Paths of bundle members: one rule for manifest, release, directory and archive. ASCII only, so that no two spellings
// of one name exist under Unicode normalization; collisions under case folding are refused too, because a file system
// somewhere folds case (bundle-trust sheet section 6, "tar and zip tricks").

import { utf8 } from '../base/bytes.js'
import { LIMITS } from '../base/limits.js'
import { MANIFEST_FILE, RELEASE_FILE } from './model.js'

const SEGMENT = /^[A-Za-z0-9._+=@,-]+$/
const RESERVED: readonly string[] = [MANIFEST_FILE, RELEASE_FILE]

/** Why `path` cannot name a file of a bundle, as a sentence part; undefined when it can. */
export function refusePath(path: string): string | undefined {
  if (path === '') return 'it is empty'
  if (utf8(path).length > LIMITS.pathBytes) return `it is longer than ${LIMITS.pathBytes} octets`
  if (path.includes('\0')) return 'it holds a NUL'
  if (path.includes('\\')) return 'it holds a backslash'
  if (path.startsWith('/')) return 'it is absolute'
  const segments = path.split('/')
  if (segments.length > LIMITS.pathSegments) return `it has more than ${LIMITS.pathSegments} segments`
  for (const segment of segments) {
    if (segment === '') return 'it has an empty segment'
    if (segment === '.' || segment === '..') return `it has a "${segment}" segment`
    if (!SEGMENT.test(segment)) return 'it holds a character outside A-Z a-z 0-9 . _ - + = @ ,'
  }
  return undefined
}

/** As `refusePath`, and also refuses the names that the bundle's own documents have. */
export const refuseMemberPath = (path: string): string | undefined =>
  refusePath(path) ?? (RESERVED.includes(path.toLowerCase()) ? 'the name is reserved' : undefined)

/** Collects paths and says why the next one collides: the same path, one that differs only in case, or a file used as a folder. */
export class PathSet {
  private readonly files = new Set<string>()
  private readonly folders = new Map<string, string>()

  /** Adds a file; returns why it collides, or undefined. */
  add(path: string): string | undefined {
    const folded = path.toLowerCase()
    if (this.files.has(folded)) return 'another file has the same path, or one that differs only in case'
    if (this.folders.has(folded)) return 'a folder has the same path'
    const why = this.addParents(path)
    if (why === undefined) this.files.add(folded)
    return why
  }

  /** Adds a folder; naming one again is no collision. */
  addFolder(path: string): string | undefined {
    const folded = path.toLowerCase()
    if (this.files.has(folded)) return 'a file has the same path'
    return this.addParents(`${path}/`)
  }

  private addParents(path: string): string | undefined {
    const segments = path.split('/')
    for (let i = 1; i < segments.length; i++) {
      const folder = segments.slice(0, i).join('/')
      const folded = folder.toLowerCase()
      if (this.files.has(folded)) return 'it lies below a file'
      if ((this.folders.get(folded) ?? folder) !== folder) return 'its folder differs from another one only in case'
      this.folders.set(folded, folder)
    }
    return undefined
  }
}
