// Which backend carries a workspace, and whether it can hold each clause: the one place where "supported" is decided, from
// capabilities as data (design section 6). Nothing falls back to a weaker domain than the policy asks for.

import { formatInstant } from '../base/instant.js'
import {
  type Clause,
  type Dimension,
  type Policy,
  type ProcessClause,
  type StorageClause,
  TRUST_DOMAINS,
  type TrustDomain,
} from '../policy/model.js'
import type { Capabilities } from './capabilities.js'
import type { InventoryEntry } from './inventory.js'
import type { BackendName, GuaranteeLevel } from './model.js'

export interface Placement {
  readonly capabilities: Capabilities
}
export interface Misplaced {
  readonly code: 'no-backend' | 'domain-too-weak'
  readonly say: string
}

/** The first backend of the configured order that is usable, knows the slot's kind and stands in a strong enough domain. */
export function place(
  entry: InventoryEntry,
  policy: Policy | undefined,
  capabilities: readonly Capabilities[],
  order: readonly BackendName[],
): Placement | Misplaced {
  const tried: string[] = []
  let tooWeak: Capabilities | undefined
  const required = policy?.requireDomain ?? 'host'
  for (const name of order) {
    const offer = capabilities.find((candidate) => candidate.backend === name)
    if (!offer) tried.push(`${name}: not present`)
    else if (!offer.usable) tried.push(`${name}: ${offer.why}`)
    else if (!offer.slots.includes(entry.slot.kind)) tried.push(`${name}: cannot attach to a ${entry.slot.kind}`)
    else if (strength(offer.trustDomain) < strength(required)) tooWeak = offer
    else return { capabilities: offer }
  }
  if (tooWeak)
    return {
      code: 'domain-too-weak',
      say: `the policy requires the domain ${required}, and the strongest here is ${tooWeak.trustDomain} (${tooWeak.backend}); attach the workspace to a node that has it, or lower require_domain`,
    }
  return {
    code: 'no-backend',
    say: `no backend can carry this workspace (${tried.join('; ') || 'none is configured'})`,
  }
}

const strength = (domain: TrustDomain): number => TRUST_DOMAINS.indexOf(domain)

export interface Support {
  readonly level: GuaranteeLevel
  readonly why: string
}

/** How a device without the kernel's flow state knows an answer. */
function repliesOf(clause: Clause, { flowState }: Capabilities): readonly string[] {
  const echo = 'protocol' in clause && clause.protocol === 'icmp-echo'
  if (flowState === 'none' || (flowState === 'ports' && echo)) return ['answers by the reversed grant']
  return flowState === 'ports' ? ['stateful replies'] : []
}

/** Can this backend hold the part of a clause that it sees? Names without addresses and volumes (storage.ts) are asked about
 * separately. */
export function supports(clause: Exclude<Clause, StorageClause | ProcessClause>, offer: Capabilities): Support {
  // What a backend cannot tell apart, the report says beside every clause that it is about.
  const unlike = [
    ...repliesOf(clause, offer),
    ...(offer.unsound === 'as-read' ? ['IP options and lengths unread'] : []),
  ]
  const yes: Support = { level: 'enforced', why: [offer.backend, ...unlike].join(', ') }
  const no = (why: string): Support => ({ level: 'refused', why })
  switch (clause.kind) {
    case 'egress':
      if (!offer.egress) return no(`${offer.backend} does not fence egress`)
      return offer.protocols.includes(clause.protocol) ? yes : no(`${offer.backend} cannot judge ${clause.protocol}`)
    case 'ingress':
      if (!offer.ingress) return no(`${offer.backend} does not fence ingress`)
      if (!offer.protocols.includes(clause.protocol)) return no(`${offer.backend} cannot judge ${clause.protocol}`)
      if (clause.session === undefined) return yes
      return offer.sessions
        ? { ...yes, why: `${yes.why}; only while the peer has a session open` }
        : no(
            `${offer.backend} cannot end an ingress grant with its session; remove session, or use a node with nftables or ebpf`,
          )
    case 'observe':
      return offer.observes
        ? {
            level: 'enforced',
            why: `${offer.backend}, until ${formatInstant(clause.untilMs)}: what nothing grants passes and is reported`,
          }
        : no(
            `${offer.backend} cannot let through and report what nothing grants; remove observe, or use a node with nftables or ebpf`,
          )
    case 'quota':
      return offer.quotas ? yes : no(`${offer.backend} counts but does not limit ${clause.limit}; remove the quota`)
    case 'runtime':
      return no('only the runtime inside the workspace can carry this out')
  }
}

/** Whether a DNS mediator answers for a workspace: `unreachable` when one runs, and the slot has no address for it. */
export type Mediation = 'none' | 'unreachable' | 'mediated'

/**
 * Names without pinned addresses need a mediator that learns them, and a backend that takes what it learns. `never` says why
 * no address can be learnt for this one (names.ts).
 */
export function supportsNames(offer: Capabilities, mediation: Mediation, never?: string): Support {
  if (mediation === 'none')
    return {
      level: 'refused',
      why: 'no address is known for it here and no DNS mediator runs; pin it under dns.pins, or run the mediator',
    }
  if (mediation === 'unreachable')
    return {
      level: 'refused',
      why: 'the slot names no gateway address for the DNS mediator; add one to the inventory, or pin it under dns.pins',
    }
  if (never !== undefined) return { level: 'refused', why: `${never}; pin it under dns.pins, or narrow the clause` }
  return offer.names
    ? {
        level: 'enforced',
        // Without flow state nobody knows which packets belong to what began in time.
        why: `${offer.backend}, addresses learnt from DNS answers${offer.flowState === 'none' ? '; once they run out TCP that runs goes on, and UDP ends' : ''}`,
      }
    : { level: 'refused', why: `${offer.backend} takes no learned addresses; pin it under dns.pins` }
}

/** A dimension that the fence cannot see is the runtime's, if the policy says so, and refused otherwise. */
export const supportsLoss = (dimension: Dimension, what: string, widenedTo: string, policy: Policy): Support =>
  policy.delegate.includes(dimension)
    ? { level: 'delegated', why: `${what} left to the runtime inside the workspace; the fence admits ${widenedTo}` }
    : {
        level: 'refused',
        why: `the fence cannot see ${what} and would admit ${widenedTo}; add \`${dimension}\` to delegate, or remove ${what}`,
      }
