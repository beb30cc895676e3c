// u64 counters, strictly: which of two signed documents is newer. A sign or a leading zero is refused with undefined. Times are
// those of base/instant.ts.

export { formatInstant, parseInstant } from '../base/instant.js'

/** A policy or inventory revision: decimal digits, 1 to 2^64-1, no sign, no leading zero. */
export function parseRevision(text: string): bigint | undefined {
  if (!/^[1-9]\d{0,19}$/.test(text)) return undefined
  const value = BigInt(text)
  return value < 2n ** 64n ? value : undefined
}
