// Egress, ingress and pins of a FencePolicy: names, prefixes and ports in canonical form, and what may not stand together.
// Nothing is repaired here: a prefix with stray bits is refused and told its right form, since the fence would enforce
// something that its author did not write.

import { comparePrefix, formatIp, formatPrefix, type Prefix, parseIp, parsePrefix } from '../../base/ip.js'
import { formatPorts, mergePorts, type PortRange, parsePorts } from '../../base/ports.js'
import { quote } from '../../base/quote.js'
import { addressClass, prefixClass } from '../../base/reserved.js'
import type { Findings, Spot } from '../findings.js'
import { isBlockedName, parseHost } from '../host-pattern.js'
import type { Protocol, Target } from '../model.js'
import type { Located, Named } from '../shape.js'
import type { FenceEgress, FenceIngress, FencePin } from './model.js'
import type { EgressFound, IngressFound } from './shape.js'

export function readEgress(entries: readonly EgressFound[], findings: Findings): FenceEgress[] {
  checkNames(entries, findings)
  return entries.map((entry) => {
    const { hosts, cidrs, allowed_ips: allowedIps } = entry.of
    const protocol = protocolOf(entry.of.protocol)
    if (entry.has('hosts') === entry.has('cidrs'))
      findings.note(
        'hosts-or-cidrs',
        entry.at,
        entry.has('hosts')
          ? 'hosts and cidrs together; make two entries'
          : 'the entry has no destination; add hosts or cidrs',
      )
    if (protocol === 'icmp-echo' && entry.has('hosts'))
      findings.note('icmp-hosts', entry.spot('hosts'), 'icmp-echo takes cidrs only: names are learnt for tcp and udp')
    if (entry.has('allowed_ips') && !entry.has('hosts'))
      findings.note(
        'allowed-ips-without-hosts',
        entry.spot('allowed_ips'),
        'allowed_ips narrows hosts, and there are none',
      )
    const within = allowedIps && readPrefixes(allowedIps, findings)
    const names: Target[] = readHosts(hosts ?? [], findings).map((host) => ({
      kind: 'name',
      pattern: host,
      wildcard: host.includes('*'),
      ...(within && { within }),
    }))
    const prefixes: Target[] = readPrefixes(cidrs ?? [], findings).map((prefix) => ({ kind: 'prefix', prefix }))
    return {
      name: entry.of.name ?? '',
      origin: findings.origin(entry.at),
      protocol: protocol ?? 'tcp',
      to: [...names, ...prefixes],
      ports: readPorts(entry, protocol, findings),
    }
  })
}

export function readIngress(entries: readonly IngressFound[], findings: Findings): FenceIngress[] {
  checkNames(entries, findings)
  return entries.map((entry) => {
    const protocol = protocolOf(entry.of.protocol)
    return {
      name: entry.of.name ?? '',
      origin: findings.origin(entry.at),
      protocol: protocol ?? 'tcp',
      from: readPrefixes(entry.of.from ?? [], findings),
      ports: readPorts(entry, protocol, findings),
      ...(entry.of.session === 'required' ? { session: 'required' as const } : {}),
    }
  })
}

/** undefined for a word that the schema refuses. */
const protocolOf = (text: string | undefined): Protocol | undefined =>
  text === 'tcp' || text === 'udp' || text === 'icmp-echo' ? text : undefined

function checkNames(entries: readonly (EgressFound | IngressFound)[], findings: Findings): void {
  const seen = new Map<string, Spot>()
  for (const entry of entries) {
    const { name } = entry.of
    const at = entry.spot('name')
    const earlier = name === undefined ? undefined : seen.get(name)
    if (name !== undefined && earlier)
      findings.note(
        'duplicate-name',
        at,
        `${quote(name)} stands at line ${earlier.line} already; give each entry its own name`,
      )
    else if (name !== undefined) seen.set(name, at)
  }
}

function readPorts(
  entry: EgressFound | IngressFound,
  protocol: Protocol | undefined,
  findings: Findings,
): readonly PortRange[] {
  if (protocol === 'icmp-echo') {
    if (entry.has('ports')) findings.note('icmp-ports', entry.spot('ports'), 'icmp-echo has no ports; remove the key')
    return []
  }
  if (protocol !== undefined && !entry.has('ports'))
    findings.note('missing-ports', entry.at, `${protocol} needs ports, such as [443] or ["1-65535"]`)
  const ranges: PortRange[] = []
  for (const { value, at } of entry.of.ports ?? []) {
    const range = parsePorts(value)
    if (range) ranges.push(range)
    else
      findings.note(
        'bad-ports',
        at,
        `${quote(value)} is not a port from 1 to 65535 or a range such as "8000-8100"${reversed(value)}`,
      )
  }
  return mergePorts(ranges)
}

function reversed(text: string): string {
  const [low, high] = text.split('-')
  const swapped = parsePorts(`${high}-${low}`)
  return swapped ? `; did you mean "${formatPorts(swapped)}"?` : ''
}

/** Names and wildcards in their one spelling, each once. */
export function readHosts(hosts: readonly Located<string>[], findings: Findings): string[] {
  const seen = new Set<string>()
  for (const { value, at } of hosts) {
    const host = parseHost(value)
    if (host.kind === 'empty') findings.note('bad-host', at, 'an empty host; write a name')
    else if (host.kind === 'bad') findings.note(host.code, at, host.say)
    else if (host.kind === 'address')
      findings.note('host-is-address', at, `${quote(value)} is an address; write it under cidrs`)
    else if (host.trailingDot) findings.note('bad-host', at, `${quote(value)} ends with a dot; remove it`)
    else if (isBlockedName(host.name)) findings.note('never-address', at, `${quote(value)} is never opened; remove it`)
    else if (seen.has(host.name)) findings.note('duplicate-value', at, `${quote(host.name)} stands twice`)
    else seen.add(host.name)
    if (host.kind === 'wildcard')
      findings.note(
        'wildcard-host',
        at,
        `${quote(host.name)} admits names that others may own; list exact hosts where you can`,
      )
  }
  return [...seen].sort()
}

/** Canonical, sorted. */
function readPrefixes(texts: readonly Located<string>[], findings: Findings): string[] {
  const seen = new Map<string, Prefix>()
  for (const { value, at } of texts) {
    const parsed = parsePrefix(value)
    const canonical = parsed && formatPrefix(parsed.prefix)
    if (!parsed || canonical === undefined)
      findings.note('bad-cidr', at, `${quote(value)} is not an address or a prefix such as 10.1.0.0/16`)
    else if (!parsed.exact)
      findings.note(
        'host-bits',
        at,
        `${quote(value)} has bits set beyond its length; did you mean ${quote(canonical)}?`,
        canonical,
      )
    else if (prefixClass(parsed.prefix) === 'never')
      findings.note(
        'never-address',
        at,
        `${quote(value)} holds only addresses that nothing may open (loopback, link-local, metadata, multicast)`,
      )
    else if (seen.has(canonical)) findings.note('duplicate-value', at, `${quote(canonical)} stands twice`)
    else seen.set(canonical, parsed.prefix)
  }
  return [...seen].sort(([, a], [, b]) => comparePrefix(a, b)).map(([canonical]) => canonical)
}

export function checkPins(entries: readonly Named<readonly Located<string>[]>[], findings: Findings): FencePin[] {
  const pins = new Map<string, FencePin>()
  for (const { key, at, value } of entries) {
    const host = parseHost(key)
    if (host.kind !== 'name' || host.trailingDot) {
      findings.note('bad-pin', at, `${quote(key)} is not an exact DNS name; pins are for exact names`)
      continue
    }
    if (pins.has(host.name)) {
      findings.note('duplicate-value', at, `${quote(host.name)} is pinned twice; case does not tell names apart`)
      continue
    }
    const addresses = readPinned(value, findings)
    pins.set(host.name, { name: host.name, addresses, origin: { ...findings.origin(at), column: at.column } })
  }
  return [...pins.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

function readPinned(texts: readonly Located<string>[], findings: Findings): string[] {
  const seen = new Map<string, Prefix>()
  for (const { value, at } of texts) {
    const ip = parseIp(value)
    const canonical = ip && formatIp(ip)
    if (!ip || canonical === undefined)
      findings.note('bad-pin', at, `${quote(value)} is not an address; a pin lists addresses`)
    else if (addressClass(ip) === 'never')
      findings.note(
        'never-address',
        at,
        `${quote(value)} is an address that nothing may open (loopback, link-local, metadata, multicast)`,
      )
    else if (seen.has(canonical)) findings.note('duplicate-value', at, `${quote(canonical)} stands twice`)
    else seen.set(canonical, { ...ip, length: 0 })
  }
  return [...seen].sort(([, a], [, b]) => comparePrefix(a, b)).map(([canonical]) => canonical)
}
