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
  switch (typeof value) {
    case 'string':
      return quoted(value)
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError('canonicalize: number is not finite')
      return String(value) // ECMAScript number printing is what section 3.2.2.3 asks for; -0 prints as 0
    case 'boolean':
      return String(value)
    case 'object':
      if (value === null) return 'null'
      return Array.isArray(value)
        ? `[${(value as readonly Json[]).map(canonicalize).join(',')}]`
        : members(value as { readonly [key: string]: Json | undefined })
    default:
      throw new TypeError(`canonicalize: ${typeof value} is not JSON`)
  }
}

function quoted(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`
  if (/\p{Surrogate}/u.test(text)) throw new TypeError('canonicalize: lone surrogate')
  return JSON.stringify(text)
}

/** Every event of the trail passes here: no list is made that is not needed. */
function members(value: { readonly [key: string]: Json | undefined }): string {
  const keys = Object.keys(value)
  // Section 3.2.3: by UTF-16 code units, which is what the default sort compares.
  if (keys.some((key, i) => i > 0 && (keys[i - 1] ?? '') >= key)) keys.sort()
  let out = ''
  for (const key of keys) {
    const member = value[key]
    if (member !== undefined) out += `${out === '' ? '' : ','}${quoted(key)}:${canonicalize(member)}`
  }
  return `{${out}}`
}
