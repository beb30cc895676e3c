// From the clauses of a policy to the grants of a workspace: names to their pins, wide port ranges without the ports that
// must be granted by number, one grant for each (direction, protocol, prefix, ports).

import { familyBits, formatPrefix, parseIp, parsePrefix } from '../base/ip.js'
import { formatPorts, type PortRange } from '../base/ports.js'
import { addressClass, CONTROL_PLANE_PORTS, DNS_PORTS, prefixClass } from '../base/reserved.js'
import type { EgressClause, IngressClause, Policy, Protocol } from '../policy/model.js'
import type { Grant, GrantId, NameRule, NetworkSlice } from './model.js'

/** `egress/tcp/45.76.10.10/32/443`: the whole grant, so that the same one has the same id in every plan. */
export const grantId = (
  direction: Grant['direction'],
  protocol: Protocol,
  prefix: string,
  ports: PortRange | null,
): GrantId => `${direction}/${protocol}/${prefix}${ports === null ? '' : `/${formatPorts(ports)}`}`

/** Every grant of a workspace, those that ask for a session last. */
export const grantsOf = ({ egress, ingress, sessions = [] }: NetworkSlice): readonly Grant[] => [
  ...egress,
  ...ingress,
  ...sessions,
]

/** Collects grants, joining the clauses that say the same one. */
export class GrantSet {
  private readonly byId = new Map<GrantId, { grant: Omit<Grant, 'clauses'>; clauses: Set<Grant['clauses'][number]> }>()

  add(grant: Omit<Grant, 'id' | 'clauses'>, clause: Grant['clauses'][number]): void {
    const id = grantId(grant.direction, grant.protocol, grant.prefix, grant.ports)
    const held = this.byId.get(id)
    if (!held) this.byId.set(id, { grant: { id, ...grant }, clauses: new Set([clause]) })
    else {
      held.clauses.add(clause)
      // One clause that opens a reserved range (a pin, say) opens it for the grant.
      if (grant.opens && !held.grant.opens) held.grant = { ...held.grant, opens: true }
    }
  }

  get size(): number {
    return this.byId.size
  }

  /** Sorted by id. */
  list(): Grant[] {
    return [...this.byId.values()]
      .map(({ grant, clauses }) => ({ ...grant, clauses: [...clauses].sort() }))
      .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
  }
}

const BY_NUMBER_ONLY: readonly number[] = [...DNS_PORTS, ...CONTROL_PLANE_PORTS].sort((a, b) => a - b)

/**
 * A range leaves out DNS, DNS over TLS and the control-plane ports: those open only when a clause names them by themselves
 * (design section 5, step 4). `1-1000` becomes `1-52`, `54-852`, `854-1000`.
 */
export function withoutSensitive(range: PortRange): PortRange[] {
  if (range.from === range.to) return [range]
  const kept: PortRange[] = []
  let from = range.from
  for (const port of BY_NUMBER_ONLY) {
    if (port < from || port > range.to) continue
    if (port > from) kept.push({ from, to: port - 1 })
    from = port + 1
  }
  if (from <= range.to) kept.push({ from, to: range.to })
  return kept
}

/** What an egress clause becomes: grants at once, rules for names to learn, and names that share an address. */
export interface EgressGrants {
  readonly grants: readonly Omit<Grant, 'id' | 'clauses'>[]
  readonly rules: readonly NameRule[]
  /** Names that have no address yet. */
  readonly unresolved: readonly string[]
  /** (address, name) of every pin used. */
  readonly pinned: readonly { readonly address: string; readonly name: string }[]
}

export function egressGrants(clause: EgressClause, policy: Policy): EgressGrants {
  const grants: Omit<Grant, 'id' | 'clauses'>[] = []
  const rules: NameRule[] = []
  const unresolved: string[] = []
  const pinned: { address: string; name: string }[] = []
  const ports: readonly (PortRange | null)[] =
    clause.protocol === 'icmp-echo' ? [null] : clause.ports.flatMap(withoutSensitive)
  const grantAll = (prefix: string, opens: boolean): void => {
    for (const range of ports)
      grants.push({ direction: 'egress', protocol: clause.protocol, prefix, ports: range, opens })
  }
  for (const target of clause.to) {
    if (target.kind === 'prefix') {
      const prefix = parsePrefix(target.prefix)?.prefix
      // A prefix that nothing may open grants nothing; the policy check has said so.
      if (prefix && prefixClass(prefix) !== 'never') grantAll(formatPrefix(prefix), prefixClass(prefix) === 'opens')
      continue
    }
    const addresses = target.wildcard ? undefined : policy.dns.pins.get(target.pattern)
    if (!addresses) {
      unresolved.push(target.pattern)
      if (clause.protocol !== 'icmp-echo')
        rules.push({
          clause: clause.id,
          pattern: target.pattern,
          wildcard: target.wildcard,
          protocol: clause.protocol,
          ports: clause.ports.flatMap(withoutSensitive),
          within: target.within ?? [],
        })
      continue
    }
    for (const address of addresses) {
      const ip = parseIp(address)
      if (!ip || addressClass(ip) === 'never' || !isWithin(address, target.within)) continue
      pinned.push({ address, name: target.pattern })
      // A signed pin opens a reserved range for exactly its addresses.
      grantAll(`${address}/${familyBits(ip.family)}`, addressClass(ip) === 'reserved')
    }
  }
  return { grants, rules, unresolved, pinned }
}

function isWithin(address: string, within: readonly string[] | undefined): boolean {
  if (within === undefined) return true
  const ip = parseIp(address)
  return within.some((text) => {
    const prefix = parsePrefix(text)?.prefix
    return (
      ip &&
      prefix &&
      prefix.family === ip.family &&
      parsePrefix(`${address}/${prefix.length}`)?.prefix.value === prefix.value
    )
  })
}

export const ingressGrants = (clause: IngressClause): Omit<Grant, 'id' | 'clauses'>[] =>
  clause.from.flatMap((text) => {
    const prefix = parsePrefix(text)?.prefix
    if (!prefix) return []
    const ports: readonly (PortRange | null)[] = clause.protocol === 'icmp-echo' ? [null] : clause.ports
    return ports.map((range) => ({
      direction: 'ingress' as const,
      protocol: clause.protocol,
      prefix: formatPrefix(prefix),
      ports: range,
      // Reserved ranges are destinations; who may come in is said by the prefix alone.
      opens: prefixClass(prefix) === 'opens',
    }))
  })
