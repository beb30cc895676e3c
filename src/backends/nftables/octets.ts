// Addresses as octets in network order, for the native library and the kernel.

import type { Ip } from '../../base/ip.js'

/** Four or sixteen octets; none for undefined. */
export function octetsOf(ip: Ip | undefined): Uint8Array {
  if (!ip) return new Uint8Array(0)
  const octets = new DataView(new ArrayBuffer(ip.family === 4 ? 4 : 16))
  writeOctets(octets, 0, ip)
  return new Uint8Array(octets.buffer)
}

/** Four or sixteen octets from `at` on; gives how many. */
export function writeOctets(into: DataView, at: number, { family, value }: Ip): number {
  if (family === 4) {
    into.setUint32(at, Number(value))
    return 4
  }
  into.setBigUint64(at, value >> 64n)
  into.setBigUint64(at + 8, value)
  return 16
}

export function ipOf(octets: ArrayLike<number>, at: number, family: Ip['family']): Ip {
  let value = 0n
  for (let i = 0; i < (family === 4 ? 4 : 16); i++) value = (value << 8n) | BigInt(octets[at + i] ?? 0)
  return { family, value }
}
