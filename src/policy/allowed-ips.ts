// One entry of `allowed_ips`: an address or a prefix, and whether it reaches into what is always blocked (sheet section 8).
// Upstream checks neither in a complete policy and then denies every connection of the endpoint; here both are said at once.

import { formatPrefix, overlaps, type Prefix, parsePrefix, prefixRange } from '../base/ip.js'
import { prefixClass } from '../base/reserved.js'

/** Upstream's list. Overlapping one of these blocks the whole endpoint there. */
const ALWAYS_BLOCKED = [
  '127.0.0.0/8',
  '169.254.0.0/16',
  '0.0.0.0/32',
  '::/128',
  '::1/128',
  'fe80::/10',
  '::ffff:0:0/96',
].map((text) => {
  const parsed = parsePrefix(text)
  if (!parsed) throw new TypeError(`always-blocked table: ${text}`)
  return { text, range: prefixRange(parsed.prefix) }
})

export interface AllowedIp {
  readonly prefix: Prefix
  /** Canonical text, always with a length. */
  readonly text: string
  /** False when bits beyond the length were set; upstream ignores them, and so do we. */
  readonly exact: boolean
  /** The blocked range that it reaches into. */
  readonly blocked?: string
  readonly broad: boolean
}

/** undefined when the text is neither an address nor a prefix. */
export function parseAllowedIp(text: string): AllowedIp | undefined {
  const parsed = parsePrefix(text)
  if (!parsed) return undefined
  const range = prefixRange(parsed.prefix)
  const blocked =
    ALWAYS_BLOCKED.find((row) => overlaps(row.range, range))?.text ??
    (prefixClass(parsed.prefix) === 'never' ? formatPrefix(parsed.prefix) : undefined)
  return {
    prefix: parsed.prefix,
    text: formatPrefix(parsed.prefix),
    exact: parsed.exact,
    broad: parsed.prefix.length < 16,
    ...(blocked === undefined ? {} : { blocked }),
  }
}
