// OpenShell's host dialect (sheet section 6): exact names, wildcards and address literals. Takes the text of a `host` key and
// says what it is or why it is refused; matches a name against a pattern; tells whether two patterns can match one name.
//
// `*` stands inside the first label or is a whole later label, and never crosses a dot; `**` is the whole first label and
// stands for one or more. Upstream also lets `?`, `[..]` and `{a,b}` live inside wildcards; both profiles refuse them
// (section 12), so that what a person reads is all there is.

import { type Ip, parseIp } from '../base/ip.js'
import { quote } from '../base/quote.js'
import { addressClass } from '../base/reserved.js'

export type Host =
  | { readonly kind: 'empty' }
  /** Lower case, without the trailing dot. */
  | { readonly kind: 'name' | 'wildcard'; readonly name: string; readonly trailingDot: boolean }
  | { readonly kind: 'address'; readonly ip: Ip }
  | { readonly kind: 'bad'; readonly code: 'bad-host' | 'bad-wildcard'; readonly say: string }

/** RFC 1035 section 2.3.4, in the text form without the root's dot. */
const MAX_NAME = 253
const MAX_LABEL = 63

/** Case and one trailing dot do not tell names apart (trap 8). */
export const foldName = (name: string): string => {
  const lower = name.toLowerCase()
  return lower.endsWith('.') ? lower.slice(0, -1) : lower
}

const bad = (say: string): Host => ({ kind: 'bad', code: 'bad-host', say })
const badWildcard = (say: string): Host => ({ kind: 'bad', code: 'bad-wildcard', say })

export function parseHost(text: string): Host {
  if (text === '') return { kind: 'empty' }
  const ip = parseIp(text)
  if (ip) return { kind: 'address', ip }
  const problem = badCharacters(text)
  if (problem !== undefined) return bad(problem)
  const name = foldName(text)
  const labels = name.split('.')
  if (name.length > MAX_NAME) return bad(`${quote(text)} is longer than ${MAX_NAME} characters`)
  for (const label of labels) {
    if (label === '') return bad(`${quote(text)} has an empty label`)
    if (label.length > MAX_LABEL) return bad(`the label ${quote(label)} is longer than ${MAX_LABEL} characters`)
    if (label.startsWith('-') || label.endsWith('-')) return bad(`the label ${quote(label)} starts or ends with "-"`)
  }
  const trailingDot = text.endsWith('.')
  if (name.includes('*')) return parseWildcard(text, name, labels, trailingDot)
  // Resolvers read a last label such as 1 or 0x7f as part of an IPv4 address (WHATWG URL, "ends in a number").
  if (/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? ''))
    return bad(
      `${quote(text)} ends in a number and is not an IPv4 address; write the address as four plain decimal parts`,
    )
  return { kind: 'name', name, trailingDot }
}

function badCharacters(text: string): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return `${quote(text)} is a URL; write the host name alone`
  if (/^\[[0-9a-f:.]+\]$/i.test(text)) return `${quote(text)} has brackets; write the IPv6 address without them`
  if (/^[^:/]+:\d+$/.test(text)) return `${quote(text)} carries a port; put the port into port or ports`
  if (text.includes('/')) return `${quote(text)} has a "/"; prefixes belong in allowed_ips, paths in path`
  if (/\s/.test(text)) return `${quote(text)} holds white space`
  if (/[?[\]{}]/.test(text)) return `${quote(text)} holds one of ? [ ] { }; only * is a wildcard here`
  if (/\P{ASCII}/u.test(text)) return `${quote(text)} is not ASCII; write the xn-- form of the name`
  const other = /[^A-Za-z0-9._*-]/.exec(text)
  return other ? `${quote(text)} holds ${quote(other[0])}, which no DNS name has` : undefined
}

function parseWildcard(text: string, name: string, labels: readonly string[], trailingDot: boolean): Host {
  const [first = '', ...rest] = labels
  if (name === '*' || name === '**') return badWildcard(`${quote(text)} would match every name; name a domain`)
  if (labels.length < 3)
    return badWildcard(`${quote(text)} is too broad: a wildcard needs at least three labels, such as *.example.com`)
  if (first.includes('**') && first !== '**') return badWildcard(`in ${quote(text)}, ** must be the whole first label`)
  for (const label of rest)
    if (label.includes('*') && label !== '*')
      return badWildcard(`in ${quote(text)}, a * after the first label must be the whole label`)
  return { kind: 'wildcard', name, trailingDot }
}

/** True when the pattern admits the name. Case and one trailing dot of either do not matter. */
export function hostMatches(pattern: string, name: string): boolean {
  const [first = '', ...rest] = foldName(pattern).split('.')
  const labels = foldName(name).split('.')
  if (labels.includes('')) return false
  const many = first === '**'
  if (many ? labels.length < rest.length + 1 : labels.length !== rest.length + 1) return false
  const offset = labels.length - rest.length
  return (
    rest.every((label, i) => labelMatches(label, labels[offset + i] ?? '')) &&
    (many || labelMatches(first, labels[0] ?? ''))
  )
}

/** `*` is any run of characters. Backtracks to the last star only, so that the cost is at most the product of lengths. */
function labelMatches(pattern: string, label: string): boolean {
  let p = 0
  let star = -1
  let mark = 0
  for (let i = 0; i < label.length; ) {
    if (pattern[p] === '*') {
      star = p++
      mark = i
    } else if (pattern[p] === label[i]) {
      p++
      i++
    } else if (star >= 0) {
      p = star + 1
      i = ++mark
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

/** True when some name matches both patterns. Both are lower case; an empty pattern matches every name (section 7). */
export function hostsOverlap(a: string, b: string): boolean {
  if (a === b || a === '' || b === '') return true
  if (!a.includes('*')) return hostMatches(b, a)
  if (!b.includes('*')) return hostMatches(a, b)
  const [firstA = '', ...restA] = a.split('.')
  const [firstB = '', ...restB] = b.split('.')
  const manyA = firstA === '**'
  const manyB = firstB === '**'
  if (!manyA && !manyB && restA.length !== restB.length) return false
  if (manyA && !manyB && restB.length < restA.length) return false
  if (manyB && !manyA && restA.length < restB.length) return false
  const common = Math.min(restA.length, restB.length)
  for (let i = 1; i <= common; i++)
    if (!globsIntersect(restA[restA.length - i] ?? '', restB[restB.length - i] ?? '')) return false
  // A `**` takes all labels that are left, whatever they are; without one the counts are equal and the firsts must agree.
  return manyA || manyB || globsIntersect(firstA, firstB)
}

/** True when some text matches both globs, where `*` is any run of characters. O(a x b). */
export function globsIntersect(a: string, b: string): boolean {
  if (a === b) return true
  if (!a.includes('*') && !b.includes('*')) return false
  // reach[j]: the part of `a` read so far and b[0..j) can match one text.
  let reach = new Array<boolean>(b.length + 1).fill(false)
  reach[0] = true
  for (let j = 1; j <= b.length; j++) reach[j] = reach[j - 1] === true && b[j - 1] === '*'
  for (let i = 1; i <= a.length; i++) {
    const next = new Array<boolean>(b.length + 1).fill(false)
    const starA = a[i - 1] === '*'
    next[0] = reach[0] === true && starA
    for (let j = 1; j <= b.length; j++) {
      const starB = b[j - 1] === '*'
      next[j] =
        starA || starB
          ? reach[j] === true || next[j - 1] === true || reach[j - 1] === true
          : reach[j - 1] === true && a[i - 1] === b[j - 1]
    }
    reach = next
  }
  return reach[b.length] === true
}

/** Names that stand for this machine or for cloud metadata, whatever they resolve to (section 8; RFC 6761 section 6.3). */
export const isBlockedName = (name: string): boolean =>
  name === 'localhost' || name.endsWith('.localhost') || name === 'metadata.google.internal'

/** A host that is always blocked: a blocked name, or an address that nothing may open. */
export const isBlockedHost = (host: Host): boolean =>
  host.kind === 'address' ? addressClass(host.ip) === 'never' : host.kind === 'name' && isBlockedName(host.name)
