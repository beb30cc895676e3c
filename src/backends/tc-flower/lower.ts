// From the plan's slice to chains of filters. The order of checks is that of `evaluate`: link layer and source, then what kind of
// packet it is, then grants. Answers are recognised by reversed grants, since there is no flow state here. What cls_flower cannot
// read (IPv4 options, extension headers, lengths, the inside of neighbour discovery) is declared in capabilities.ts.

import { type Family, familyBits, linkLocalOf, type Prefix, parseIp } from '../../base/ip.js'
import type { PlanSlice, WorkspacePlan } from '../../plan/model.js'
import type { DropReason } from '../../plan/state.js'
import { familyOf, grantFilters, type Placed, placeGrants } from './grants.js'
import {
  type Action,
  type Chain,
  type Filter,
  type FlowerProgram,
  type FlowerWorkspace,
  type LearnedBand,
  type Match,
  PRIORITY,
} from './program.js'

export function lower(slice: PlanSlice): FlowerProgram {
  return {
    generation: slice.generation,
    planDigest: slice.planDigest,
    expiresAtMs: slice.source.expiresAtMs,
    workspaces: slice.workspaces.map(workspaceOf),
  }
}

const TCP = 6
const UDP = 17
const ICMP = { 4: 1, 6: 58 } as const
const ECHO = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const
const DHCP = { 4: 67, 6: 547 } as const
/** MLD and router solicitation. */
const CHATTER = [130, 131, 132, 133, 143] as const
const SOLICITATION = 135
const ADVERTISEMENT = 136
const ROUTER_ADVERTISEMENT = 134
/** FIN, SYN, RST and ACK of which only SYN: begins a connection. */
const PURE_SYN = { value: 0x02, mask: 0x17 } as const

const BEGIN = 1
const ANSWERS = 2
const GRANTS = 3

/** A learned grant that has run out begins nothing, and what it began goes on (TCP) or ends with it (UDP). */
const LEARNED_BANDS: readonly LearnedBand[] = [
  { side: 'from', chain: GRANTS, tcp: 'live', udp: 'live' },
  { side: 'from', chain: ANSWERS, tcp: 'held', udp: 'none' },
  { side: 'to', chain: ANSWERS, tcp: 'held', udp: 'live' },
]

/** A workspace with its grants and addresses read. */
interface Site {
  readonly plan: WorkspacePlan
  readonly egress: readonly Placed[]
  readonly ingress: readonly Placed[]
  readonly own: readonly Prefix[]
  readonly gateway: readonly Prefix[]
}

const host = (text: string): Prefix[] => {
  const ip = parseIp(text)
  return ip ? [{ ...ip, length: familyBits(ip.family) }] : []
}
const linkLocal = (mac: string): Prefix => ({ ...linkLocalOf(mac), length: 128 })
const UNSPECIFIED: Prefix = { family: 6, value: 0n, length: 128 }

function workspaceOf(plan: WorkspacePlan): FlowerWorkspace {
  const { slot, network } = plan
  const site: Site = {
    plan,
    egress: placeGrants(network.egress, 0),
    ingress: placeGrants(network.ingress, network.egress.length),
    own: slot.addresses.flatMap(host),
    gateway: slot.gateway.addresses.flatMap(host),
  }
  const learns = network.names.length > 0
  return {
    workspace: plan.workspace,
    interface: slot.interface,
    mac: slot.mac,
    addresses: slot.addresses,
    suspendsOnExpiry: plan.onExpiry === 'suspend',
    from: fromWorkspace(site, learns),
    to: towards(site, learns),
    own: ownTraffic(site),
    grants: [...network.egress, ...network.ingress].map(({ id }) => id),
    clauses: [...new Set(network.names.map(({ clause }) => clause))].sort(),
    bands: learns ? LEARNED_BANDS : [],
  }
}

const drop = (reason: DropReason): Action => ({ kind: 'drop', reason })
const onward = (chain: number): Action => ({ kind: 'goto', chain })
const KERNEL: Action = { kind: 'kernel' }

function fromWorkspace(site: Site, learns: boolean): readonly Chain[] {
  const { egress, ingress } = site
  const replies = ingress.length > 0 || learns
  const answers = replies ? ANSWERS : GRANTS
  const never = drop('never')
  return [
    {
      number: BEGIN,
      name: 'from sources',
      otherwise: 'link-layer',
      filters: [...arpFilters(site), ...[4, 6].flatMap((family) => sources(site, family as Family, answers))],
    },
    ...(replies ? [answersChain('from answers', ingress, 'destination', 'sourcePort')] : []),
    {
      number: GRANTS,
      name: 'from grants',
      otherwise: 'no-grant',
      filters: grantFilters({
        grants: egress,
        address: 'destination',
        port: 'destinationPort',
        echo: 'request',
        closed: { never, reserved: drop('reserved') },
      }),
    },
  ]
}

/** Whatever is no answer is asked of the grants as they stand. */
function answersChain(
  name: string,
  grants: readonly Placed[],
  address: 'source' | 'destination',
  port: 'sourcePort' | 'destinationPort',
): Chain {
  const on = onward(GRANTS)
  return {
    number: ANSWERS,
    name,
    otherwise: 'no-flow',
    filters: [
      ...grantFilters({ grants, address, port, echo: 'reply', closed: { never: on, reserved: on } }),
      { priority: PRIORITY.onward, match: {}, action: on },
    ],
  }
}

/** ARP with the gateway only. The hardware cannot read it and hands over all of it; software judges every field. */
function arpFilters({ plan: { slot }, own, gateway }: Site): Filter[] {
  const priority = PRIORITY.arp
  const mine = own.filter(({ family }) => family === 4)
  if (mine.length === 0) return []
  const arp: Match = { etherType: 'arp', sourceMac: slot.mac }
  const senders = [...mine, { family: 4, value: 0n, length: 32 } as const]
  const targets = [...mine, ...gateway.filter(({ family }) => family === 4)]
  return [
    { priority, match: arp, action: KERNEL, only: 'hardware' },
    ...senders.flatMap((sender) =>
      targets.map(
        (target): Filter => ({
          priority,
          match: { ...arp, arp: { senderMac: slot.mac, sender, target } },
          action: KERNEL,
          only: 'software',
        }),
      ),
    ),
  ]
}

function sources(
  { plan: { slot, network }, own: all, egress, ingress }: Site,
  family: Family,
  answers: number,
): Filter[] {
  const mine = all.filter((ip) => ip.family === family)
  if (mine.length === 0) return []
  const { etherType, shift } = familyOf(family)
  const own = family === 6 ? [...mine, linkLocal(slot.mac)] : mine
  const begin = egress.length + ingress.length + network.names.length > 0
  const at = (priority: number, match: Match, action: Action): Filter => ({
    priority: priority + shift,
    match: { etherType, ...match },
    action,
  })
  const whole = (source: Prefix): Match => ({ sourceMac: slot.mac, source, fragment: false })
  const neighbour = (source: Prefix, icmpType: number): Filter =>
    at(PRIORITY.service, { ...whole(source), protocol: ICMP[6], icmpType, hopLimit: 255 }, KERNEL)
  const services = network.services.flatMap(({ address, protocol, port }) =>
    host(address)
      .filter((destination) => destination.family === family)
      .map((destination) => ({
        destination,
        protocol: protocol === 'tcp' ? TCP : UDP,
        destinationPort: { value: port, mask: 0xffff },
      })),
  )
  return [
    at(PRIORITY.noise, { protocol: UDP, destinationPort: { value: DHCP[family], mask: 0xffff } }, drop('noise')),
    ...(family === 6
      ? CHATTER.map((icmpType) => at(PRIORITY.noise, { protocol: ICMP[6], icmpType }, drop('noise')))
      : []),
    ...(family === 6
      ? [
          ...own.flatMap((source) => [neighbour(source, SOLICITATION), neighbour(source, ADVERTISEMENT)]),
          neighbour(UNSPECIFIED, SOLICITATION),
        ]
      : []),
    ...own.flatMap((source) => [
      ...services.map((service) => at(PRIORITY.service, { ...whole(source), ...service }, KERNEL)),
      ...(begin
        ? [
            at(PRIORITY.opening, { ...whole(source), protocol: TCP, tcpFlags: PURE_SYN }, onward(GRANTS)),
            at(PRIORITY.plain, { ...whole(source), protocol: TCP }, onward(answers)),
            at(PRIORITY.plain, { ...whole(source), protocol: UDP }, onward(answers)),
            ...echoes(family, whole(source), at, answers),
          ]
        : []),
      at(PRIORITY.fragment, { sourceMac: slot.mac, source, fragment: true }, drop('fragment')),
      at(PRIORITY.own, { sourceMac: slot.mac, source }, drop('no-grant')),
    ]),
    at(PRIORITY.rest, {}, drop('spoof')),
  ]
}

/** A request needs a grant; a reply is an answer and nothing else. */
const echoes = (
  family: Family,
  whole: Match,
  at: (priority: number, match: Match, action: Action) => Filter,
  answers: number,
): Filter[] =>
  (
    [
      [ECHO[family].request, GRANTS],
      [ECHO[family].reply, answers],
    ] as const
  ).map(([icmpType, chain]) => at(PRIORITY.plain, { ...whole, protocol: ICMP[family], icmpType }, onward(chain)))

function towards(site: Site, learns: boolean): readonly Chain[] {
  const { egress, ingress } = site
  const replies = egress.length > 0 || learns
  const answers = replies ? ANSWERS : GRANTS
  const open = replies || ingress.length > 0
  return [
    {
      number: BEGIN,
      name: 'to destinations',
      otherwise: 'link-layer',
      filters: [4, 6].flatMap((family) => destinations(site, family as Family, answers, open)),
    },
    ...(replies ? [answersChain('to answers', egress, 'source', 'sourcePort')] : []),
    {
      number: GRANTS,
      name: 'to grants',
      otherwise: 'no-flow',
      filters: grantFilters({ grants: ingress, address: 'source', port: 'destinationPort', echo: 'request' }),
    },
  ]
}

function destinations({ own: all }: Site, family: Family, answers: number, open: boolean): Filter[] {
  const own = all.filter((ip) => ip.family === family)
  if (own.length === 0) return []
  const { etherType, shift } = familyOf(family)
  const at = (priority: number, match: Match, action: Action): Filter => ({
    priority: priority + shift,
    match: { etherType, ...match },
    action,
  })
  return [
    ...own.flatMap((destination) => {
      const whole: Match = { destination, fragment: false }
      return [
        ...(open
          ? [
              at(PRIORITY.opening, { ...whole, protocol: TCP, tcpFlags: PURE_SYN }, onward(GRANTS)),
              at(PRIORITY.plain, { ...whole, protocol: TCP }, onward(answers)),
              at(PRIORITY.plain, { ...whole, protocol: UDP }, onward(answers)),
              ...echoes(family, whole, at, answers),
            ]
          : []),
        at(PRIORITY.fragment, { destination, fragment: true }, drop('fragment')),
        at(PRIORITY.own, { destination }, drop('no-flow')),
      ]
    }),
    at(PRIORITY.rest, {}, drop('spoof')),
  ]
}

/** What the enforcing side says for itself: told from what it forwards by its own addresses, and by hop limit 255. */
function ownTraffic({ plan: { slot, network }, gateway, own }: Site): Chain {
  const { mac } = slot.gateway
  const four = gateway.filter(({ family }) => family === 4)
  const six = [...gateway.filter(({ family }) => family === 6), linkLocal(mac)]
  const shift = familyOf(6).shift
  const services = network.services.flatMap(({ address, protocol, port }) =>
    host(address).flatMap((source) =>
      own
        .filter(({ family }) => family === source.family)
        .map((destination): Filter => {
          const { etherType, shift: by } = familyOf(source.family)
          const number = protocol === 'tcp' ? TCP : UDP
          const sourcePort = { value: port, mask: 0xffff }
          const match = { etherType, source, destination, protocol: number, sourcePort, fragment: false } as const
          return { priority: PRIORITY.service + by, match, action: KERNEL }
        }),
    ),
  )
  return {
    number: BEGIN,
    name: 'own traffic',
    otherwise: 'no-flow',
    filters: [
      ...four.map(
        (sender): Filter => ({
          priority: PRIORITY.arp,
          match: { etherType: 'arp', sourceMac: mac, arp: { senderMac: mac, sender } },
          action: KERNEL,
        }),
      ),
      ...services.filter(({ match }) => match.etherType === 'ip'),
      ...(own.some(({ family }) => family === 6)
        ? six.flatMap((source) =>
            [ROUTER_ADVERTISEMENT, SOLICITATION, ADVERTISEMENT].map(
              (icmpType): Filter => ({
                priority: PRIORITY.opening + shift,
                match: { etherType: 'ipv6', sourceMac: mac, source, protocol: ICMP[6], icmpType, hopLimit: 255 },
                action: KERNEL,
              }),
            ),
          )
        : []),
      ...services.filter(({ match }) => match.etherType === 'ipv6'),
    ],
  }
}
