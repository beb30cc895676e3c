// RFC 8785 (JSON Canonicalization Scheme): the one byte form of a JSON value, for digests and signatures.

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }

/** Printable ASCII without quote and backslash: what nearly every string of ours is, printed as it stands. */
const PLAIN = /^[ !#-[\]-~]*$/

/**
 * The canonical text. Members whose value is undefined are left out. Throws TypeError for what JSON cannot say: a
 * number that is not finite, a lone surrogate, a bigint, a function. Callers hold values that were checked on the way in,
 * so a throw here is a bug.
 */
export function canonicalize(value: Json): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('canonicalize: number is not finite')
    return JSON.stringify(value) // ECMAScript number printing is what section 3.2.2.3 asks for; -0 prints as 0
  }
  if (typeof value === 'string') {
    if (PLAIN.test(value)) return `"${value}"`
    if (/\p{Surrogate}/u.test(value)) throw new TypeError('canonicalize: lone surrogate')
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(canonicalize).join(',')}]`
  if (typeof value !== 'object') throw new TypeError(`canonicalize: ${typeof value} is not JSON`)
  const members = value as { readonly [key: string]: Json | undefined }
  const parts: string[] = []
  // Section 3.2.3: by UTF-16 code units, which is what the default sort compares.
  for (const key of Object.keys(members).sort()) {
    const member = members[key]
    if (member !== undefined) parts.push(`${canonicalize(key)}:${canonicalize(member)}`)
  }
  return `{${parts.join(',')}}`
}
