// Values as the octets of a key, in network order.

import type { Ip } from '../../base/ip.js'
import { prefixMask } from '../../base/ip.js'

export const u8 = (value: number): Uint8Array => Uint8Array.of(value)
export const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255)
export const u32 = (value: number): Uint8Array =>
  Uint8Array.of((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)

const ofBig = (value: bigint, octets: number): Uint8Array => {
  const out = new Uint8Array(octets)
  let rest = value
  for (let i = octets - 1; i >= 0; i--) {
    out[i] = Number(rest & 255n)
    rest >>= 8n
  }
  return out
}

export const addressOctets = (ip: Ip): Uint8Array => ofBig(ip.value, ip.family === 4 ? 4 : 16)
export const maskOctets = (family: 4 | 6, length: number): Uint8Array =>
  ofBig(prefixMask(family, length), family === 4 ? 4 : 16)
export const macOctets = (mac: string): Uint8Array =>
  Uint8Array.from(mac.split(':'), (octet) => Number.parseInt(octet, 16))
export const ones = (octets: number): Uint8Array => new Uint8Array(octets).fill(255)

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
