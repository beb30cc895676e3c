// The grammar of a name that may be asked for, and how much a label could carry. Takes the text as it came off the wire and
// gives the one spelling that everything behind it uses, or nothing. Stricter than DNS: letters, digits, hyphen and
// underscore, because an upstream question is built from it and whatever else could stand in a label is a channel.

/** RFC 1035 section 2.3.4, in the text form without the root's dot. */
const MAX_NAME = 253
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/** Lower case, no trailing dot; undefined for what is no host name. untrusted: `text`. */
export function canonicalName(text: string): string | undefined {
  if (text.length > MAX_NAME + 1) return undefined
  const name = text.toLowerCase().replace(/\.$/, '')
  if (name === '' || name.length > MAX_NAME) return undefined
  const labels = name.split('.')
  // A last label of digits is read as part of an address by some resolvers.
  if (!labels.every((label) => LABEL.test(label)) || /^\d+$/.test(labels.at(-1) ?? '')) return undefined
  return name
}

/** Shannon entropy of the characters of a text, in bits for the whole of it: what a label at most looks as if it carried. */
export function entropyBits(text: string): number {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= count * Math.log2(count / text.length)
  return bits
}

/** The part of a name that a wildcard left free: everything before the pattern's plain end. */
export function freePart(pattern: string, name: string): string {
  const plain = pattern.slice(pattern.lastIndexOf('*') + 1)
  return plain !== '' && name.endsWith(plain) ? name.slice(0, -plain.length) : name
}
