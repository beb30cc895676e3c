// The one spelling of a path from the root of a volume: absolute, no empty segment, no `.` or `..`, no NUL, and no longer
// than a kernel takes. Paths are octets to a file system: they are compared as such, never folded or normalized.

import { utf8 } from '../base/bytes.js'
import { LIMITS } from '../base/limits.js'

/** The segments of a path, none for `/`; undefined where it is not in that spelling. */
export function segmentsOf(path: string): readonly string[] | undefined {
  if (path === '/') return []
  if (!path.startsWith('/') || path.includes('\0') || utf8(path).length > LIMITS.filePathBytes) return undefined
  const segments = path.slice(1).split('/')
  const isOdd = (one: string): boolean =>
    one === '' || one === '.' || one === '..' || utf8(one).length > LIMITS.fileNameBytes
  return segments.some(isOdd) ? undefined : segments
}

export const isVolumePath = (path: string): boolean => segmentsOf(path) !== undefined

/** Is `path` the same as `above`, or below it? Both in the one spelling. */
export const isAtOrBelow = (path: string, above: string): boolean =>
  path === above || above === '/' || path.startsWith(`${above}/`)

export const overlapping = (a: string, b: string): boolean => isAtOrBelow(a, b) || isAtOrBelow(b, a)
