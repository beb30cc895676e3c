// Addresses as octets in network order, for the native library and the kernel.

import type { Ip } from '../../base/ip.js'

/** Four or sixteen octets; none for undefined. */
export function octetsOf(ip: Ip | undefined): Uint8Array {
  if (!ip) return new Uint8Array(0)
  const octets = new Uint8Array(ip.family === 4 ? 4 : 16)
  for (let i = octets.length - 1, value = ip.value; i >= 0; i--, value >>= 8n) octets[i] = Number(value & 255n)
  return octets
}

export function ipOf(octets: ArrayLike<number>, at: number, family: Ip['family']): Ip {
  let value = 0n
  for (let i = 0; i < (family === 4 ? 4 : 16); i++) value = (value << 8n) | BigInt(octets[at + i] ?? 0)
  return { family, value }
}
