// DER, strictly (X.690 sections 8 to 11): the whole of the octets is one value, every length is definite and minimal, every
// value has exactly one spelling. Gives a tree of views into the input; text says what is wrong instead.
//
// A library that reads BER gives one certificate many encodings, and Node's own reader takes octets after the end
// (bundle-trust sheet section 8). Nothing here knows what a certificate is.

import { decodeUtf8, hex } from '../../base/bytes.js'

export interface Der {
  /** The identifier octet: class, constructed bit and number. */
  readonly tag: number
  /** Tag, length and content. */
  readonly bytes: Uint8Array
  readonly content: Uint8Array
  /** Of a constructed value; empty for a primitive one. */
  readonly children: readonly Der[]
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const

const MAX_DEPTH = 16

class Reader {
  nodes = 0
  constructor(private readonly maxNodes: number) {}

  /** The value that begins at `at`; what follows it is the caller's. */
  value(bytes: Uint8Array, at: number, depth: number): Der | string {
    if (depth > MAX_DEPTH) return `it nests deeper than ${MAX_DEPTH}`
    if (++this.nodes > this.maxNodes) return `it has more than ${this.maxNodes} values`
    const tag = bytes[at]
    const first = bytes[at + 1]
    if (tag === undefined || first === undefined) return 'it is cut off'
    if ((tag & 0x1f) === 0x1f) return 'a tag has more than one octet'
    let length = first
    let start = at + 2
    if (first >= 0x80) {
      const count = first & 0x7f
      if (count === 0 || count > 3) return 'a length is indefinite or too long'
      length = 0
      for (let i = 0; i < count; i++) length = length * 256 + (bytes[start + i] ?? 0)
      start += count
      if (length < 0x80 || length < 256 ** (count - 1)) return 'a length is not minimal'
    }
    const end = start + length
    if (end > bytes.length) return 'it is cut off'
    const content = bytes.subarray(start, end)
    const children = (tag & 0x20) === 0 ? [] : this.values(content, depth + 1)
    if (typeof children === 'string') return children
    const der = { tag, bytes: bytes.subarray(at, end), content, children }
    return wrongForm(der) ?? der
  }

  private values(content: Uint8Array, depth: number): Der[] | string {
    const found: Der[] = []
    for (let at = 0; at < content.length; ) {
      const one = this.value(content, at, depth)
      if (typeof one === 'string') return one
      found.push(one)
      at += one.bytes.length
    }
    return found
  }
}

/** Reads octets that are exactly one value; text when they are not. */
export function readDer(bytes: Uint8Array, maxNodes: number): Der | string {
  const der = new Reader(maxNodes).value(bytes, 0, 0)
  if (typeof der === 'string') return der
  return der.bytes.length === bytes.length ? der : 'there are octets after the end'
}

/** Universal types that may stand in a certificate, and what makes their encoding the only one. */
const FORMS: Readonly<Record<number, (der: Der) => boolean>> = {
  [TAG.boolean]: ({ content }) => content.length === 1 && (content[0] === 0 || content[0] === 0xff),
  [TAG.integer]: ({ content }) => isMinimalInteger(content),
  [TAG.bitString]: ({ content }) => isPlainBitString(content),
  [TAG.octetString]: () => true,
  [TAG.null]: ({ content }) => content.length === 0,
  [TAG.oid]: ({ content }) => isMinimalOid(content),
  [TAG.enumerated]: ({ content }) => isMinimalInteger(content),
  [TAG.utf8String]: ({ content }) => decodeUtf8(content) !== undefined,
  // NumericString, PrintableString, TeletexString, IA5String, VisibleString, UniversalString, BMPString
  ...Object.fromEntries([0x12, 0x13, 0x14, 0x16, 0x1a, 0x1c, 0x1e].map((tag) => [tag, () => true])),
  [TAG.utcTime]: ({ content }) => parseTime(TAG.utcTime, content) !== undefined,
  [TAG.generalizedTime]: ({ content }) => parseTime(TAG.generalizedTime, content) !== undefined,
  [TAG.sequence]: () => true,
  [TAG.set]: ({ children }) => isSorted(children),
}

function wrongForm(der: Der): string | undefined {
  if ((der.tag & 0xc0) !== 0) return undefined
  const rule = FORMS[der.tag]
  if (rule === undefined) return `type ${der.tag} does not belong into a certificate`
  return rule(der) ? undefined : `a value of type ${der.tag} is not in its one encoding`
}

const isMinimalInteger = (content: Uint8Array): boolean => {
  const [first, second] = content
  if (first === undefined) return false
  if (second === undefined) return true
  return !((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))
}

function isPlainBitString(content: Uint8Array): boolean {
  const unused = content[0]
  if (unused === undefined || unused > 7 || (unused > 0 && content.length === 1)) return false
  return ((content.at(-1) ?? 0) & ((1 << unused) - 1)) === 0 || content.length === 1
}

/** No subidentifier begins with a padding octet, and the last one ends. */
const isMinimalOid = (content: Uint8Array): boolean =>
  content.length > 0 &&
  (content.at(-1) ?? 0x80) < 0x80 &&
  content.every((octet, i) => octet !== 0x80 || (i > 0 && (content[i - 1] ?? 0) >= 0x80))

/** SET OF: in ascending order of the encodings (X.690 section 11.6). */
const isSorted = (children: readonly Der[]): boolean =>
  children.every((child, i) => i === 0 || hex((children[i - 1] as Der).bytes) <= hex(child.bytes))

/** Milliseconds since 1970 of a time as RFC 5280 section 4.1.2.5 has it: whole seconds, `Z`, a day of the calendar. */
export function parseTime(tag: number, content: Uint8Array): number | undefined {
  const text = decodeUtf8(content) ?? ''
  const match = (tag === TAG.utcTime ? /^(\d\d)(\d{10})Z$/ : /^(\d{4})(\d{10})Z$/).exec(text)
  if (!match) return undefined
  const [, head = '', tail = ''] = match
  const year = tag === TAG.utcTime ? Number(head) + (Number(head) < 50 ? 2000 : 1900) : Number(head)
  const [month, day, hour, minute, second] = (tail.match(/\d\d/g) ?? []).map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ]
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  // RFC 5280: years to 2049 are written with two digits.
  if (tag === TAG.generalizedTime && year < 2050) return undefined
  return date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000
}

/** An object identifier in dotted form. */
export function dotted(content: Uint8Array): string {
  const arcs: bigint[] = []
  let value = 0n
  for (const octet of content) {
    value = (value << 7n) | BigInt(octet & 0x7f)
    if (octet >= 0x80) continue
    if (arcs.length === 0) {
      const top = value < 80n ? value / 40n : 2n
      arcs.push(top, value - top * 40n)
    } else arcs.push(value)
    value = 0n
  }
  return arcs.join('.')
}
