// Reads one frame as the fence sees it: everything that `evaluate` judges by, and nothing repaired. A frame that cannot be
// read in full is a value too (`unreadable`), so that dropping it is a decision of `evaluate` and not of the reader.
//
// Input: the bytes of an Ethernet frame, or of an IP packet where there is no link layer (a cgroup). Checksums are not
// verified: the stacks on both sides do that, and a packet with a bad one reaches nobody (backends that check them
// earlier declare `flowState: conntrack`).

import type { Ip } from '../base/ip.js'

export interface Link {
  readonly destination: string
  readonly source: string
  readonly etherType: number
}

export interface Arp {
  readonly kind: 'arp'
  /** 1 request, 2 reply; anything else is unreadable. */
  readonly operation: number
  readonly senderMac: string
  readonly senderIp: Ip
  readonly targetMac: string
  readonly targetIp: Ip
}

/** Neighbour solicitation (135) or advertisement (136). `options` are (type, MAC) for link-layer options, '' for others. */
export interface Neighbour {
  readonly type: 135 | 136
  readonly code: number
  readonly target: Ip
  readonly options: readonly { readonly type: number; readonly mac: string }[]
}

/** The tuple inside an ICMP error: the packet that the error is about. */
export interface Quoted {
  readonly protocol: number
  readonly source: Ip
  readonly destination: Ip
  readonly sourcePort: number
  readonly destinationPort: number
}

export type Transport =
  | { readonly kind: 'tcp'; readonly sourcePort: number; readonly destinationPort: number; readonly flags: number }
  | { readonly kind: 'udp'; readonly sourcePort: number; readonly destinationPort: number }
  | { readonly kind: 'echo'; readonly reply: boolean; readonly identifier: number }
  | { readonly kind: 'icmp-error'; readonly type: number; readonly quoted?: Quoted }
  | { readonly kind: 'neighbour'; readonly message: Neighbour }
  | { readonly kind: 'icmp'; readonly type: number }
  | { readonly kind: 'other' }

export interface IpPacket {
  readonly kind: 'ip'
  readonly source: Ip
  readonly destination: Ip
  readonly hopLimit: number
  /** The transport protocol; for IPv6 with extension headers, the first of them. */
  readonly protocol: number
  readonly transport: Transport
}

/** Why a frame cannot be judged by its contents. */
export type Unreadable = 'not-ip' | 'fragment' | 'options' | 'truncated' | 'bad-length'

export type Body =
  | IpPacket
  | Arp
  | {
      readonly kind: 'unreadable'
      readonly why: Unreadable
      /** The addresses, when the IP header at least could be read. */
      readonly source?: Ip
      readonly destination?: Ip
      /** First next-header value of IPv6, so that MLD behind a hop-by-hop header can be told from an attack. */
      readonly protocol?: number
      /** What a reader sees in it that skips options and extension headers and believes no length (`unsound: as-read`). */
      readonly glimpsed?: IpPacket
    }

export interface Packet {
  /** `from` the workspace, or `to` it. */
  readonly direction: 'from' | 'to'
  /** For `to`: whether the fence itself sent it, or forwards it. */
  readonly origin: 'fence' | 'network'
  readonly link?: Link
  readonly body: Body
}

export const TCP = 6
export const UDP = 17
export const ICMP = 1
export const ICMPV6 = 58
export const FIN = 0x01
export const SYN = 0x02
export const RST = 0x04
export const ACK = 0x10

/** Reads an Ethernet frame. Never throws. */
export function readFrame(
  frame: Uint8Array,
  direction: 'from' | 'to',
  origin: 'fence' | 'network' = 'network',
): Packet {
  if (frame.length < 14) return { direction, origin, body: { kind: 'unreadable', why: 'truncated' } }
  const link = { destination: macAt(frame, 0), source: macAt(frame, 6), etherType: u16(frame, 12) }
  return { direction, origin, link, body: readBody(frame.subarray(14), link.etherType) }
}

/** Reads a packet without a link layer. Never throws. */
export function readIp(bytes: Uint8Array, direction: 'from' | 'to', origin: 'fence' | 'network' = 'network'): Packet {
  const version = (bytes[0] ?? 0) >> 4
  return { direction, origin, body: readBody(bytes, version === 6 ? 0x86dd : 0x0800) }
}

function readBody(bytes: Uint8Array, etherType: number): Body {
  if (etherType === 0x0800) return readIp4(bytes)
  if (etherType === 0x86dd) return readIp6(bytes)
  if (etherType === 0x0806) return readArp(bytes)
  return { kind: 'unreadable', why: 'not-ip' }
}

function readArp(bytes: Uint8Array): Body {
  // RFC 826 for Ethernet and IPv4 only: hardware type 1, protocol 0x0800, lengths 6 and 4.
  if (bytes.length < 28) return { kind: 'unreadable', why: 'truncated' }
  const operation = u16(bytes, 6)
  if (u32(bytes, 0) !== 0x00010800 || u16(bytes, 4) !== 0x0604 || (operation !== 1 && operation !== 2))
    return { kind: 'unreadable', why: 'not-ip' }
  return {
    kind: 'arp',
    operation,
    senderMac: macAt(bytes, 8),
    senderIp: ip4At(bytes, 14),
    targetMac: macAt(bytes, 18),
    targetIp: ip4At(bytes, 24),
  }
}

function readIp4(bytes: Uint8Array): Body {
  if (bytes.length < 20) return { kind: 'unreadable', why: 'truncated' }
  const ends = { source: ip4At(bytes, 12), destination: ip4At(bytes, 16) }
  const first = bytes[0] ?? 0
  const total = u16(bytes, 2)
  const header = (first & 15) * 4
  if (first >> 4 !== 4 || header < 20 || total < header || total > bytes.length)
    return { kind: 'unreadable', why: 'bad-length', ...ends, ...glimpse4(bytes, ends) }
  // RFC 791: more-fragments or a non-zero offset. Judged on every piece, the first included.
  if ((u16(bytes, 6) & 0x3fff) !== 0) return { kind: 'unreadable', why: 'fragment', ...ends }
  if (header !== 20) return { kind: 'unreadable', why: 'options', ...ends, ...glimpse4(bytes, ends) }
  const protocol = bytes[9] ?? 0
  const body = readTransport(ends, bytes[8] ?? 0, protocol, bytes.subarray(20, total))
  return body.kind === 'unreadable' ? { ...body, ...glimpse4(bytes, ends) } : body
}

/** Headers that may stand between IPv6 and its transport (IANA "IPv6 extension header types"). */
const EXTENSION_HEADERS: ReadonlySet<number> = new Set([0, 43, 44, 50, 51, 60, 135, 139, 140, 253, 254])

function readIp6(bytes: Uint8Array): Body {
  if (bytes.length < 40) return { kind: 'unreadable', why: 'truncated' }
  const ends = { source: ip6At(bytes, 8), destination: ip6At(bytes, 24) }
  const length = u16(bytes, 4)
  const protocol = bytes[6] ?? 0
  if ((bytes[0] ?? 0) >> 4 !== 6 || 40 + length > bytes.length)
    return { kind: 'unreadable', why: 'bad-length', protocol, ...ends, ...glimpse6(bytes, ends) }
  if (protocol === 44) return { kind: 'unreadable', why: 'fragment', protocol, ...ends }
  if (EXTENSION_HEADERS.has(protocol))
    return { kind: 'unreadable', why: 'options', protocol, ...ends, ...glimpse6(bytes, ends) }
  const body = readTransport(ends, bytes[7] ?? 0, protocol, bytes.subarray(40, 40 + length))
  return body.kind === 'unreadable' ? { ...body, ...glimpse6(bytes, ends) } : body
}

/** As the kernel's flow dissector reads: no version, no length, no option is looked at. Fragments are no part of this. */
function glimpse4(bytes: Uint8Array, ends: Ends): { glimpsed?: IpPacket } {
  const header = ((bytes[0] ?? 0) & 15) * 4
  if (header < 20 || (u16(bytes, 6) & 0x3fff) !== 0) return {}
  const protocol = bytes[9] ?? 0
  return { glimpsed: glimpsedOf(ends, bytes[8] ?? 0, protocol, bytes.subarray(header)) }
}

/** Hop-by-hop, routing and destination options are passed over; whatever else stands there ends it. */
function glimpse6(bytes: Uint8Array, ends: Ends): { glimpsed?: IpPacket } {
  let protocol = bytes[6] ?? 0
  let at = 40
  for (let headers = 0; protocol === 0 || protocol === 43 || protocol === 60; headers++) {
    if (at + 2 > bytes.length || headers === MOST_HEADERS) return {}
    protocol = bytes[at] ?? 0
    at += ((bytes[at + 1] ?? 0) + 1) * 8
  }
  return protocol === 44 ? {} : { glimpsed: glimpsedOf(ends, bytes[7] ?? 0, protocol, bytes.subarray(at)) }
}

/** Headers that the dissector goes through before it gives up. */
const MOST_HEADERS = 15

/** What is cut off is read as zero. */
function glimpsedOf(ends: Ends, hopLimit: number, protocol: number, bytes: Uint8Array): IpPacket {
  const { family } = ends.source
  const ports = bytes.length < 4 ? [0, 0] : [u16(bytes, 0), u16(bytes, 2)]
  const [sourcePort = 0, destinationPort = 0] = ports
  const whole = transportOf(family, protocol, bytes)
  const transport: Transport =
    protocol === TCP
      ? { kind: 'tcp', sourcePort, destinationPort, flags: flagsIn(bytes) }
      : protocol === UDP
        ? { kind: 'udp', sourcePort, destinationPort }
        : whole !== 'truncated' && whole !== 'bad-length'
          ? whole
          : family === 4
            ? { kind: 'echo', reply: true, identifier: 0 }
            : { kind: 'icmp-error', type: 0 }
  return { kind: 'ip', ...ends, hopLimit, protocol, transport }
}

const flagsIn = (bytes: Uint8Array): number => (bytes.length < 20 || (bytes[12] ?? 0) >> 4 < 5 ? 0 : (bytes[13] ?? 0))

interface Ends {
  readonly source: Ip
  readonly destination: Ip
}

function readTransport(ends: Ends, hopLimit: number, protocol: number, bytes: Uint8Array): Body {
  const transport = transportOf(ends.source.family, protocol, bytes)
  if (transport === 'truncated' || transport === 'bad-length')
    return { kind: 'unreadable', why: transport, protocol, ...ends }
  return { kind: 'ip', ...ends, hopLimit, protocol, transport }
}

function transportOf(family: 4 | 6, protocol: number, bytes: Uint8Array): Transport | 'truncated' | 'bad-length' {
  if (protocol === TCP) {
    if (bytes.length < 20) return 'truncated'
    const header = ((bytes[12] ?? 0) >> 4) * 4
    if (header < 20 || header > bytes.length) return 'bad-length'
    return { kind: 'tcp', sourcePort: u16(bytes, 0), destinationPort: u16(bytes, 2), flags: bytes[13] ?? 0 }
  }
  if (protocol === UDP) {
    if (bytes.length < 8) return 'truncated'
    const length = u16(bytes, 4)
    if (length < 8 || length > bytes.length) return 'bad-length'
    return { kind: 'udp', sourcePort: u16(bytes, 0), destinationPort: u16(bytes, 2) }
  }
  if (protocol === (family === 4 ? ICMP : ICMPV6)) {
    if (bytes.length < 8) return 'truncated'
    return family === 4 ? icmp4(bytes) : icmp6(bytes)
  }
  return { kind: 'other' }
}

function icmp4(bytes: Uint8Array): Transport {
  const type = bytes[0] ?? 0
  if (type === 8 || type === 0) return { kind: 'echo', reply: type === 0, identifier: u16(bytes, 4) }
  // RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem carry the packet they are about.
  if (type === 3 || type === 4 || type === 5 || type === 11 || type === 12)
    return { kind: 'icmp-error', type, ...quotedIn(bytes.subarray(8)) }
  return { kind: 'icmp', type }
}

function icmp6(bytes: Uint8Array): Transport | 'bad-length' {
  const type = bytes[0] ?? 0
  if (type === 128 || type === 129) return { kind: 'echo', reply: type === 129, identifier: u16(bytes, 4) }
  if (type === 135 || type === 136) return neighbour(type, bytes)
  if (type === 137) return { kind: 'icmp-error', type }
  if (type < 128) return { kind: 'icmp-error', type, ...quotedIn(bytes.subarray(8)) }
  return { kind: 'icmp', type }
}

function neighbour(type: 135 | 136, bytes: Uint8Array): Transport | 'bad-length' {
  if (bytes.length < 24) return 'bad-length'
  const options: { type: number; mac: string }[] = []
  for (let at = 24; at < bytes.length; ) {
    const length = (bytes[at + 1] ?? 0) * 8
    // RFC 4861 section 4.6: a length of zero, or beyond the packet, invalidates the whole message.
    if (length === 0 || at + length > bytes.length) return 'bad-length'
    const option = bytes[at] ?? 0
    options.push({ type: option, mac: (option === 1 || option === 2) && length === 8 ? macAt(bytes, at + 2) : '' })
    at += length
  }
  return { kind: 'neighbour', message: { type, code: bytes[1] ?? 0, target: ip6At(bytes, 8), options } }
}

function quotedIn(bytes: Uint8Array): { quoted?: Quoted } {
  const version = (bytes[0] ?? 0) >> 4
  const header = version === 4 ? 20 : 40
  if ((version !== 4 && version !== 6) || bytes.length < header + 8) return {}
  if (version === 4 && ((bytes[0] ?? 0) !== 0x45 || (u16(bytes, 6) & 0x1fff) !== 0)) return {}
  const protocol = bytes[version === 4 ? 9 : 6] ?? 0
  const inner = bytes.subarray(header)
  const echo = protocol === (version === 4 ? ICMP : ICMPV6)
  if (!echo && protocol !== TCP && protocol !== UDP) return {}
  if (echo && ![8, 0, 128, 129].includes(inner[0] ?? -1)) return {}
  return {
    quoted: {
      protocol,
      source: version === 4 ? ip4At(bytes, 12) : ip6At(bytes, 8),
      destination: version === 4 ? ip4At(bytes, 16) : ip6At(bytes, 24),
      sourcePort: echo ? u16(inner, 4) : u16(inner, 0),
      destinationPort: echo ? u16(inner, 4) : u16(inner, 2),
    },
  }
}

const u16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
const u32 = (bytes: Uint8Array, at: number): number => u16(bytes, at) * 65536 + u16(bytes, at + 2)
const ip4At = (bytes: Uint8Array, at: number): Ip => ({ family: 4, value: BigInt(u32(bytes, at)) })

function ip6At(bytes: Uint8Array, at: number): Ip {
  let value = 0n
  for (let i = 0; i < 16; i += 4) value = (value << 32n) | BigInt(u32(bytes, at + i))
  return { family: 6, value }
}

function macAt(bytes: Uint8Array, at: number): string {
  let text = ''
  for (let i = 0; i < 6; i++) text += `${i > 0 ? ':' : ''}${(bytes[at + i] ?? 0).toString(16).padStart(2, '0')}`
  return text
}
