// UUID version 7 (RFC 9562 section 5.7): 48 bits of milliseconds, then randomness, so that ids sort by time. Time and
// randomness come in as values; the caller gives at least ten octets from a cryptographic source.

import { hex } from '../base/bytes.js'

export const UUID_RANDOM_BYTES = 10

/** `nowMs` is milliseconds since 1970; the first ten octets of `random` are used. Lower case, with dashes. */
export function uuidV7(nowMs: number, random: Uint8Array): string {
  const time = Math.trunc(nowMs).toString(16).padStart(12, '0').slice(-12)
  const tail = random.slice(0, UUID_RANDOM_BYTES)
  tail[0] = 0x70 | ((tail[0] ?? 0) & 0x0f) // version
  tail[2] = 0x80 | ((tail[2] ?? 0) & 0x3f) // variant
  const rest = hex(tail)
  return `${time.slice(0, 8)}-${time.slice(8)}-${rest.slice(0, 4)}-${rest.slice(4, 8)}-${rest.slice(8)}`
}
