// The host and the allowed addresses of one endpoint: read once, each entry with its own place (sheet sections 6 and 8).

import { type Ip, inPrefix } from '../../base/ip.js'
import { quote } from '../../base/quote.js'
import { parseAllowedIp } from '../allowed-ips.js'
import type { Findings, Spot } from '../findings.js'
import { type Host, parseHost } from '../host-pattern.js'
import type { Located } from '../shape.js'

/** The host as it is meant; one that is refused is said here and comes back as `bad`. */
export function readHost(text: string | undefined, spot: Spot, findings: Findings): Host {
  const host = parseHost(text ?? '')
  if (host.kind === 'bad') findings.note(host.code, spot, host.say)
  if (host.kind === 'wildcard')
    findings.note(
      'wildcard-host',
      spot,
      `${quote(host.name)} admits names that others may own; list exact hosts where you can`,
    )
  return host
}

/** Says what is wrong with the entries one by one; what is wrong with the set is in the table of endpoint checks. */
export function checkAllowedIps(entries: readonly Located<string>[], findings: Findings): void {
  for (const { value, at } of entries) {
    const parsed = parseAllowedIp(value)
    if (!parsed)
      findings.note('allowed-ips-syntax', at, `${quote(value)} is not an address or a prefix such as 10.0.5.0/24`)
    else if (!parsed.exact) findings.note('allowed-ips-host-bits', at, `${quote(value)} is read as ${parsed.text}`)
  }
}

/** The texts of entries that are too broad, or that reach into blocked addresses. */
export const badAllowedIps = (
  entries: readonly Located<string>[] | undefined,
  problem: 'broad' | 'blocked',
): readonly string[] =>
  (entries ?? []).flatMap(({ value }) => {
    const parsed = parseAllowedIp(value)
    const hit = problem === 'broad' ? parsed?.broad === true : parsed?.blocked !== undefined
    return hit ? [quote(value)] : []
  })

/** Section 8: every address must lie inside `allowed_ips`, an address written as host too. */
export function excludesAddress(entries: readonly Located<string>[] | undefined, ip: Ip): boolean {
  const parsed = (entries ?? []).flatMap(({ value }) => parseAllowedIp(value) ?? [])
  return parsed.length > 0 && !parsed.some(({ prefix }) => inPrefix(ip, prefix))
}
