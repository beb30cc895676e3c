// Builds Ethernet frames for tests, byte by byte, with right checksums. Everything has a default; a case says only what
// it is about. `mangle` steps at the end make what no stack would send.

import { concat } from '../../src/base/bytes.js'
import { type Ip, parseIp } from '../../src/base/ip.js'
import { macBytes } from '../../src/base/mac.js'

export interface FrameSpec {
  readonly sourceMac?: string
  readonly destinationMac?: string
  readonly vlan?: number
  readonly etherType?: number
  readonly source: string
  readonly destination: string
  readonly hopLimit?: number
  /** More-fragments flag and offset in octets. */
  readonly fragment?: { readonly more: boolean; readonly offset: number }
  /** IPv4 options, a multiple of four octets. */
  readonly options?: Uint8Array
  /** IPv6 extension headers before the transport, as [type, 8n octets without next-header and length]. */
  readonly extensions?: readonly number[]
  readonly payload: Payload
}

export type Payload =
  | {
      readonly kind: 'tcp'
      readonly from: number
      readonly to: number
      readonly flags?: number
      readonly data?: Uint8Array
    }
  | {
      readonly kind: 'udp'
      readonly from: number
      readonly to: number
      readonly data?: Uint8Array
      readonly length?: number
    }
  | { readonly kind: 'echo'; readonly reply?: boolean; readonly identifier?: number; readonly data?: Uint8Array }
  | { readonly kind: 'icmp'; readonly type: number; readonly code?: number; readonly body: Uint8Array }
  | { readonly kind: 'raw'; readonly protocol: number; readonly data: Uint8Array }

const DEFAULT_SOURCE = '02:00:00:00:09:02'
const DEFAULT_DESTINATION = '02:00:00:00:09:01'

export const u16 = (value: number): Uint8Array => Uint8Array.of((value >> 8) & 255, value & 255)
export const u32 = (value: number): Uint8Array => concat([u16(Math.floor(value / 65536)), u16(value % 65536)])

export function ipBytes(text: string): Uint8Array {
  const ip = parseIp(text) as Ip
  const out = new Uint8Array(ip.family === 4 ? 4 : 16)
  for (let i = out.length - 1, value = ip.value; i >= 0; i--, value >>= 8n) out[i] = Number(value & 255n)
  return out
}

/** RFC 1071. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

const ethernet = (spec: Pick<FrameSpec, 'sourceMac' | 'destinationMac' | 'vlan'>, etherType: number): Uint8Array =>
  concat([
    macBytes(spec.destinationMac ?? DEFAULT_DESTINATION),
    macBytes(spec.sourceMac ?? DEFAULT_SOURCE),
    ...(spec.vlan === undefined ? [] : [u16(0x8100), u16(spec.vlan)]),
    u16(etherType),
  ])

export function ipFrame(spec: FrameSpec): Uint8Array<ArrayBuffer> {
  const packet = ipPacket(spec)
  const family = spec.source.includes(':') ? 6 : 4
  return concat([ethernet(spec, spec.etherType ?? (family === 4 ? 0x0800 : 0x86dd)), packet])
}

/** The IP packet alone. */
export function ipPacket(spec: FrameSpec): Uint8Array<ArrayBuffer> {
  const source = ipBytes(spec.source)
  const destination = ipBytes(spec.destination)
  const v6 = source.length === 16
  const { protocol, bytes } = transport(spec.payload, source, destination)
  if (v6) {
    const chain = spec.extensions ?? []
    const headers = chain.map((_, i) => concat([Uint8Array.of(chain[i + 1] ?? protocol, 0), new Uint8Array(6)]))
    const fragment = spec.fragment
      ? [concat([Uint8Array.of(protocol, 0), u16(spec.fragment.offset | Number(spec.fragment.more)), u32(7)])]
      : []
    const body = concat([...fragment, ...headers, bytes])
    const next = spec.fragment ? 44 : (chain[0] ?? protocol)
    return concat([
      u32(0x60000000),
      u16(body.length),
      Uint8Array.of(next, spec.hopLimit ?? 64),
      source,
      destination,
      body,
    ])
  }
  const options = spec.options ?? new Uint8Array(0)
  const flags = spec.fragment ? (spec.fragment.more ? 0x2000 : 0) | (spec.fragment.offset >> 3) : 0x4000
  const header = (sum: number): Uint8Array =>
    concat([
      Uint8Array.of(0x40 | (5 + options.length / 4), 0),
      u16(20 + options.length + bytes.length),
      u16(0x1234),
      u16(flags),
      Uint8Array.of(spec.hopLimit ?? 64, protocol),
      u16(sum),
      source,
      destination,
      options,
    ])
  return concat([header(checksum(header(0))), bytes])
}

function transport(
  payload: Payload,
  source: Uint8Array,
  destination: Uint8Array,
): { protocol: number; bytes: Uint8Array } {
  const v6 = source.length === 16
  const sealed = (
    protocol: number,
    build: (sum: number) => Uint8Array,
    pseudo = true,
  ): { protocol: number; bytes: Uint8Array } => {
    const blank = build(0)
    const head = v6
      ? concat([source, destination, u32(blank.length), u32(protocol)])
      : concat([source, destination, Uint8Array.of(0, protocol), u16(blank.length)])
    const sum = checksum(pseudo ? concat([head, blank]) : blank)
    return { protocol, bytes: build(protocol === 17 && sum === 0 ? 0xffff : sum) }
  }
  switch (payload.kind) {
    case 'tcp':
      return sealed(6, (sum) =>
        concat([
          u16(payload.from),
          u16(payload.to),
          u32(1000),
          u32(0),
          Uint8Array.of(0x50, payload.flags ?? 0x02),
          u16(64240),
          u16(sum),
          u16(0),
          payload.data ?? new Uint8Array(0),
        ]),
      )
    case 'udp': {
      const data = payload.data ?? new Uint8Array(4)
      return sealed(17, (sum) =>
        concat([u16(payload.from), u16(payload.to), u16(payload.length ?? 8 + data.length), u16(sum), data]),
      )
    }
    case 'echo': {
      const type = v6 ? (payload.reply ? 129 : 128) : payload.reply ? 0 : 8
      const body = concat([u16(payload.identifier ?? 77), u16(1), payload.data ?? new Uint8Array(8)])
      return sealed(v6 ? 58 : 1, (sum) => concat([Uint8Array.of(type, 0), u16(sum), body]), v6)
    }
    case 'icmp':
      return sealed(
        v6 ? 58 : 1,
        (sum) => concat([Uint8Array.of(payload.type, payload.code ?? 0), u16(sum), payload.body]),
        v6,
      )
    case 'raw':
      return { protocol: payload.protocol, bytes: payload.data }
  }
}

export interface ArpSpec {
  readonly sourceMac?: string
  readonly operation?: number
  readonly senderMac?: string
  readonly senderIp: string
  readonly targetIp: string
}

export const arpFrame = (spec: ArpSpec): Uint8Array<ArrayBuffer> =>
  concat([
    ethernet({ sourceMac: spec.sourceMac ?? DEFAULT_SOURCE, destinationMac: 'ff:ff:ff:ff:ff:ff' }, 0x0806),
    u32(0x00010800),
    u16(0x0604),
    u16(spec.operation ?? 1),
    macBytes(spec.senderMac ?? spec.sourceMac ?? DEFAULT_SOURCE),
    ipBytes(spec.senderIp),
    new Uint8Array(6),
    ipBytes(spec.targetIp),
  ])

/** Body of a neighbour solicitation or advertisement after type, code and checksum. */
export const neighbourBody = (target: string, options: readonly (readonly [number, string])[] = []): Uint8Array =>
  concat([u32(0), ipBytes(target), ...options.flatMap(([type, mac]) => [Uint8Array.of(type, 1), macBytes(mac)])])
