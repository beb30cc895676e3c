// From a plan to the program of this backend. Pure, and total over what the capabilities admit; the only refusals are names
// that cannot be interfaces (NFT_INTERFACE_NAME) and two clauses of one mark (NFT_MARK_COLLISION).

import { comparePrefix, formatIp, linkLocalOf, parseIp, prefixRange } from '../../base/ip.js'
import type { PlanSlice, WorkspacePlan } from '../../plan/model.js'
import { interfaceName, type Located } from './elements.js'
import type { FlowGrant, NftProgram, NftWorkspace, SharedSet } from './program.js'
import { type LocatedGrants, locatedOf, workspaceObjects } from './workspace.js'

export function lower(slice: PlanSlice): NftProgram {
  const workspaces = slice.workspaces.map((plan) => lowerWorkspace(plan, slice.source.expiresAtMs))
  return {
    generation: slice.generation,
    planDigest: slice.planDigest,
    workspaces,
    shared: sharedOf(slice.workspaces),
    arp: slice.workspaces.flatMap(arpOf),
  }
}

function lowerWorkspace(plan: WorkspacePlan, expiresAtMs: number): NftWorkspace {
  interfaceName(plan.slot.interface)
  const located = locatedOf(plan.network)
  return {
    workspace: plan.workspace,
    interface: plan.slot.interface,
    addresses: plan.slot.addresses,
    deadlineMs: plan.onExpiry === 'suspend' ? expiresAtMs : null,
    ...workspaceObjects(plan.workspace, plan.slot, plan.network, located),
    flowGrants: flowGrantsOf(located),
    services: plan.network.services.map(({ address, protocol, port }) => `${address} ${protocol} ${port}`),
  }
}

const flowGrantsOf = ({ egress, ingress, asking }: LocatedGrants): FlowGrant[] => [
  ...[...egress, ...ingress].sort((a, b) => comparePrefix(a.prefix, b.prefix)).map(flowGrant),
  ...asking.map((one) => ({ ...flowGrant(one), session: true as const })),
]

const flowGrant = ({ grant, prefix }: Located): FlowGrant => ({
  direction: grant.direction,
  protocol: grant.protocol,
  range: prefixRange(prefix),
  from: grant.ports?.from ?? 0,
  to: grant.ports?.to ?? 65535,
  opens: grant.opens,
})

const isV6 = (text: string): boolean => text.includes(':')

function sharedOf(plans: readonly WorkspacePlan[]): Record<SharedSet, readonly string[]> {
  const each = (make: (plan: WorkspacePlan, name: string, index: number) => string[]): string[] =>
    plans.flatMap((plan, index) => make(plan, interfaceName(plan.slot.interface), index))
  const addresses = (plan: WorkspacePlan, six: boolean): string[] =>
    plan.slot.addresses.filter((text) => isV6(text) === six)
  const sources6 = (plan: WorkspacePlan): string[] => {
    const own = addresses(plan, true)
    return own.length > 0 ? [...own, formatIp(linkLocalOf(plan.slot.mac))] : []
  }
  const services = (plan: WorkspacePlan, name: string, six: boolean): string[] =>
    plan.network.services
      .filter(({ address }) => isV6(address) === six)
      .map(({ address, protocol, port }) => `${name} . ${address} . ${protocol} . ${port}`)
  return {
    attached: each((plan, name) => [`${name} comment "${commentOf(plan.workspace)}"`]),
    slot4: each((plan, name) => addresses(plan, false).map((text) => `${name} . ${plan.slot.mac} . ${text}`)),
    slot6: each((plan, name) => sources6(plan).map((text) => `${name} . ${plan.slot.mac} . ${text}`)),
    own4: each((plan) => addresses(plan, false)),
    own6: each((plan) => addresses(plan, true)),
    dst4: each((plan, name) => addresses(plan, false).map((text) => `${name} . ${text}`)),
    dst6: each((plan, name) => addresses(plan, true).map((text) => `${name} . ${text}`)),
    svc4: each((plan, name) => services(plan, name, false)),
    svc6: each((plan, name) => services(plan, name, true)),
    from_ws: each((_, name, index) => [`${name} : goto %${index}:from`]),
    to_ws: each((_, name, index) => [`${name} : goto %${index}:to`]),
    nd_ws: each((_, name, index) => [`${name} : goto %${index}:nd`]),
  }
}

/** What an element's comment can hold of a workspace id: 127 octets without quotes; a longer id keeps its end. */
export function commentOf(workspace: string): string {
  const safe = workspace.replace(/[^\x20-\x7e]|["\\]/g, '_')
  return safe.length <= 127 ? safe : safe.slice(safe.length - 127)
}

/** ARP with the gateway, probes and announcements of own addresses (design section 5, step 2). */
function arpOf(plan: WorkspacePlan): string[] {
  const { slot } = plan
  const own = slot.addresses.filter((text) => parseIp(text)?.family === 4)
  const gateway = slot.gateway.addresses.filter((text) => parseIp(text)?.family === 4)
  if (own.length === 0) return []
  const name = interfaceName(slot.interface)
  return [...own, '0.0.0.0'].flatMap((sender) =>
    [...new Set([...gateway, ...own])].map((target) => `${name} . ${slot.mac} . ${slot.mac} . ${sender} . ${target}`),
  )
}
