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

function parseIp4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (!match) return undefined
  let value = 0
  for (const octet of match.slice(1)) {
    // A leading zero is octal to some readers and decimal to others: refuse it.
    if ((octet.length > 1 && octet.startsWith('0')) || Number(octet) > 255) return undefined
    value = value * 256 + Number(octet)
  }
  return value
}

function parseGroups(text: string): number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (i === parts.length - 1 && part.includes('.')) {
      const v4 = parseIp4(part)
      if (v4 === undefined) return undefined
      groups.push(Math.floor(v4 / 65536), v4 % 65536)
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined
      groups.push(Number.parseInt(part, 16))
    }
  }
  return groups
}

function parseIp6(text: string): bigint | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0] ?? '')
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '') : []
  if (!head || !tail) return undefined
  // An embedded IPv4 part may only end the whole address.
  if (halves.length === 2 && (halves[0] ?? '').includes('.')) return undefined
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  let value = 0n
  for (const group of [...head, ...new Array<number>(missing).fill(0), ...tail]) value = (value << 16n) | BigInt(group)
  return value
}

export function formatIp(ip: Ip): string {
  if (ip.family === 4) {
    const v = Number(ip.value)
    return `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}`
  }
  const groups: number[] = []
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((ip.value >> shift) & 0xffffn))
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
