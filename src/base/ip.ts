// IPv4 and IPv6 addresses and prefixes as values: parsed strictly, printed in one form (RFC 5952 for IPv6).
// Names are never accepted where an address is meant: nothing here can lead to a resolver.

export type Family = 4 | 6

export interface Ip {
  readonly family: Family
  readonly value: bigint
}
export interface Prefix extends Ip {
  readonly length: number
}
/** An inclusive range within one family. */
export interface IpRange {
  readonly family: Family
  readonly first: bigint
  readonly last: bigint
}

export const familyBits = (family: Family): 32 | 128 => (family === 4 ? 32 : 128)

/** Dotted quad without leading zeros, or RFC 4291 text without a zone; undefined for anything else. */
export function parseIp(text: string): Ip | undefined {
  if (text.includes(':')) {
    const value = parseIp6(text)
    return value === undefined ? undefined : { family: 6, value }
  }
  const value = parseIp4(text)
  return value === undefined ? undefined : { family: 4, value: BigInt(value) }
}

const [COLON, DOT, ZERO] = [0x3a, 0x2e, 0x30]

// Read octet by octet and not by patterns: a plan of a hundred thousand grants is read and printed several times on its way into a kernel.
function parseIp4(text: string): number | undefined {
  let [value, octet, digits, dots] = [0, 0, 0, 0]
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === DOT) {
      if (digits === 0 || dots === 3) return undefined
      value = value * 256 + octet
      dots++
      octet = 0
      digits = 0
      continue
    }
    // A leading zero is octal to some readers and decimal to others: refuse it.
    if (code < ZERO || code > ZERO + 9 || (digits > 0 && octet === 0)) return undefined
    octet = octet * 10 + code - ZERO
    if (octet > 255) return undefined
    digits++
  }
  return dots === 3 && digits > 0 ? value * 256 + octet : undefined
}

/** The value of a hexadecimal digit by its code; -1 for anything else. */
function hexOf(code: number): number {
  if (code >= ZERO && code <= ZERO + 9) return code - ZERO
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1
}

/** An address of IPv6 between its value and its eight groups: two halves are quicker to shift than eight groups. */
const scratch = new DataView(new ArrayBuffer(16))

function parseIp6(text: string): bigint | undefined {
  const groups = [0, 0, 0, 0, 0, 0, 0, 0]
  // How many groups were read, and before which of them the gap is.
  let [count, gap, at] = [0, -1, 0]
  if (text.startsWith('::')) {
    gap = 0
    at = 2
  }
  while (at < text.length) {
    const start = at
    let group = 0
    for (let digit = hexOf(text.charCodeAt(at)); digit >= 0; digit = hexOf(text.charCodeAt(++at)))
      group = group * 16 + digit
    // An embedded IPv4 part may only end the whole address.
    if (text.charCodeAt(at) === DOT) {
      const v4 = parseIp4(text.slice(start))
      if (v4 === undefined || count > 6) return undefined
      groups[count++] = v4 >>> 16
      groups[count++] = v4 & 0xffff
      break
    }
    if (at === start || at - start > 4 || count === 8) return undefined
    groups[count++] = group
    if (at === text.length) break
    if (text.charCodeAt(at) !== COLON || ++at === text.length) return undefined
    if (text.charCodeAt(at) === COLON) {
      if (gap >= 0) return undefined
      gap = count
      at++
    }
  }
  if (gap < 0 ? count !== 8 : count > 7) return undefined
  const missing = 8 - count
  for (let i = 0; i < 8; i++) {
    const from = gap < 0 || i < gap ? i : i - missing
    scratch.setUint16(2 * i, from < gap && i >= gap ? 0 : (groups[from] as number))
  }
  return (scratch.getBigUint64(0) << 64n) | scratch.getBigUint64(8)
}

export function formatIp(ip: Ip): string {
  if (ip.family === 4) {
    const v = Number(ip.value)
    return `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}`
  }
  scratch.setBigUint64(0, ip.value >> 64n)
  scratch.setBigUint64(8, ip.value)
  const groups: number[] = []
  for (let i = 0; i < 8; i++) groups.push(scratch.getUint16(2 * i))
  // RFC 5952 section 4.2: the longest run of two or more zero groups, the first of equals.
  let best = { at: -1, length: 1 }
  for (let at = 0; at < 8; at++) {
    let length = 0
    while (at + length < 8 && groups[at + length] === 0) length++
    if (length > best.length) best = { at, length }
  }
  const print = (part: number[]): string => part.map((group) => group.toString(16)).join(':')
  if (best.at < 0) return print(groups)
  return `${print(groups.slice(0, best.at))}::${print(groups.slice(best.at + best.length))}`
}

/**
 * `ADDRESS/LENGTH`, or a bare address as a host prefix. Bits beyond the length are cleared; `exact` tells whether there
 * were any, for callers that refuse them.
 */
export function parsePrefix(text: string): { prefix: Prefix; exact: boolean } | undefined {
  const slash = text.indexOf('/')
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash))
  if (!ip) return undefined
  const bits = familyBits(ip.family)
  const lengthText = slash < 0 ? String(bits) : text.slice(slash + 1)
  if (!/^(0|[1-9]\d{0,2})$/.test(lengthText) || Number(lengthText) > bits) return undefined
  const length = Number(lengthText)
  if (length === bits) return { prefix: { family: ip.family, value: ip.value, length }, exact: true }
  const value = ip.value & prefixMask(ip.family, length)
  return { prefix: { family: ip.family, value, length }, exact: value === ip.value }
}

export function prefixMask(family: Family, length: number): bigint {
  const bits = familyBits(family)
  return ((1n << BigInt(length)) - 1n) << BigInt(bits - length)
}

/** Always with the length: `10.0.0.0/8`, `192.0.2.1/32`. */
export const formatPrefix = (prefix: Prefix): string => `${formatIp(prefix)}/${prefix.length}`

export const isHost = (prefix: Prefix): boolean => prefix.length === familyBits(prefix.family)

export function prefixRange(prefix: Prefix): IpRange {
  const span = (1n << BigInt(familyBits(prefix.family) - prefix.length)) - 1n
  return { family: prefix.family, first: prefix.value, last: prefix.value + span }
}

export const inPrefix = (ip: Ip, prefix: Prefix): boolean =>
  ip.family === prefix.family && (ip.value & prefixMask(prefix.family, prefix.length)) === prefix.value

export const inRange = (ip: Ip, range: IpRange): boolean =>
  ip.family === range.family && ip.value >= range.first && ip.value <= range.last

/** True when every address of `inner` is in `outer`. */
export const covers = (outer: IpRange, inner: IpRange): boolean =>
  outer.family === inner.family && outer.first <= inner.first && inner.last <= outer.last

export const overlaps = (a: IpRange, b: IpRange): boolean =>
  a.family === b.family && a.first <= b.last && b.first <= a.last

export function compareIp(a: Ip, b: Ip): number {
  if (a.family !== b.family) return a.family - b.family
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0
}

export function comparePrefix(a: Prefix, b: Prefix): number {
  return compareIp(a, b) || a.length - b.length
}

/** The EUI-64 link-local address that a host with this MAC gives itself (RFC 4291 appendix A). */
export function linkLocalOf(mac: string): Ip {
  const octets = mac.split(':').map((octet) => BigInt(Number.parseInt(octet, 16)))
  const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = octets
  const low = ((a ^ 2n) << 56n) | (b << 48n) | (c << 40n) | (0xfffen << 24n) | (d << 16n) | (e << 8n) | f
  return { family: 6, value: (0xfe80n << 112n) | low }
}
