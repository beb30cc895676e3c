// From the plan's slice to pipes. Each workspace has a chain of its own for each direction, which its parents (a root keyed by
// port, and one keyed by address for what comes from the wire) are pointed at when it is complete.
//
// The order of checks is that of `evaluate`: link layer, source, soundness, then grants. Where connections are not tracked answers
// are recognised by reversed grants (capabilities: replies stateless, flowState none); where they are (begins.ts), grants are
// asked about first packets only. Every pipe says by parser results what protocol it is about, since selectors do not.

import { linkLocalOf, parseIp } from '../../base/ip.js'
import { type FenceService, PLAN_FORMAT, type PlanSlice, type WorkspacePlan } from '../../plan/model.js'
import { beginnings } from './begins.js'
import { ask, askLearned, Chain, each, fixed, NEIGHBOUR_KEYS, neighbourFields, type Question } from './chain.js'
import { type Placed, placeGrants } from './nodes.js'
import { addressOctets, joined, macOctets, u8, u16 } from './octets.js'
import {
  type DocaProgram,
  type DocaWorkspace,
  DROP,
  type Entry,
  type Forward,
  type MatchField,
  REFUSE,
  type Transport,
} from './program.js'

export function lower(slice: PlanSlice): DocaProgram {
  return {
    generation: slice.generation,
    planDigest: slice.planDigest,
    expiresAtMs: slice.source.expiresAtMs,
    workspaces: slice.workspaces.map(workspaceOf),
    tracked: {
      format: PLAN_FORMAT,
      source: slice.source,
      workspaces: slice.workspaces.filter(({ flows }) => flows === 'device'),
      guarantees: [],
    },
  }
}

const KERNEL: Forward = { kind: 'kernel' }
const WIRE: Forward = { kind: 'wire' }
const SLOT: Forward = { kind: 'slot' }
const TRACK: Forward = { kind: 'track' }

/** As the parser numbers transports, and as the IP header does, by family. */
const L4 = {
  tcp: { parsed: 1, ip4: 6, ip6: 6 },
  udp: { parsed: 2, ip4: 17, ip6: 17 },
  icmp: { parsed: 3, ip4: 1, ip6: 58 },
}
type L4Name = keyof typeof L4

const FIN_SYN_RST_ACK = 0x17
const SYN = 0x02
const ECHO = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } }
/** DHCP of both families: dropped before any grant is asked (`evaluate`: noise). */
const NOISE_PORTS = [67, 547]

/** A workspace with its grants read. */
export interface Site extends WorkspacePlan {
  readonly egress: readonly Placed[]
  readonly ingress: readonly Placed[]
}

export function workspaceOf(plan: WorkspacePlan): DocaWorkspace {
  const at: Site = { ...plan, egress: placeGrants(plan.network.egress), ingress: placeGrants(plan.network.ingress) }
  const own = at.slot.addresses.flatMap((text) => parseIp(text) ?? [])
  const chain = new Chain()
  const from = fromWorkspace(chain, at)
  const to4 = towards(chain, at, 4)
  const to6 = towards(chain, at, 6)
  const begins = at.flows === 'device' ? beginnings(chain, at) : undefined
  return {
    workspace: at.workspace,
    vuid: at.slot.vuid ?? at.slot.interface,
    interface: at.slot.interface,
    mac: macOctets(at.slot.mac),
    addresses4: own.filter((ip) => ip.family === 4).map(addressOctets),
    addresses6: own.filter((ip) => ip.family === 6).map(addressOctets),
    suspendsOnExpiry: at.onExpiry === 'suspend',
    names: [...new Set(at.network.names.map(({ clause }) => clause))].sort(),
    pipes: chain.pipes,
    from: numberOf(from),
    to4: numberOf(to4),
    to6: numberOf(to6),
    ...(begins ? { begins } : {}),
  }
}

/** The first pipe of a chain is always a pipe. */
function numberOf(forward: Forward): number {
  if (forward.kind !== 'pipe') throw new TypeError('a chain begins with a pipe')
  return forward.pipe
}

function fromWorkspace(chain: Chain, at: Site): Forward {
  const ip4 = sources(chain, at, 4)
  const ip6 = sources(chain, at, 6)
  return chain.add({
    name: 'from link',
    kind: 'basic',
    transport: 'none',
    fields: [fixed('ethSource', macOctets(at.slot.mac)), fixed('tags', u8(0)), each('etherType')],
    miss: DROP,
    entries: [
      { key: u16(0x0800), forward: ip4 },
      { key: u16(0x86dd), forward: ip6 },
      // Nobody but the Arm answers it, and nothing of it reaches the wire.
      { key: u16(0x0806), forward: KERNEL },
    ],
  })
}

/** What every packet of a family must be, whatever it carries: whole, plain and sound. */
const sound = (family: 4 | 6): MatchField[] => [
  fixed('fragment', u8(0)),
  fixed('l3Ok', u8(1)),
  fixed('l4Ok', u8(1)),
  // Twenty octets of header: no options.
  ...(family === 4 ? [fixed('ip4Version', u8(0x45))] : []),
]

/** Said twice: the parser passes over extension headers, the IP header's own field does not. */
const protocolFields = (family: 4 | 6): MatchField[] => [each('l4'), each(family === 4 ? 'ip4Protocol' : 'ip6Next')]
const protocolKey = (family: 4 | 6, name: L4Name): Uint8Array =>
  Uint8Array.of(L4[name].parsed, family === 4 ? L4[name].ip4 : L4[name].ip6)

function sources(chain: Chain, at: Site, family: 4 | 6): Forward {
  const { slot } = at
  const own = slot.addresses.flatMap((text) => parseIp(text) ?? []).filter((ip) => ip.family === family)
  if (own.length === 0) return DROP
  if (family === 6) own.push(linkLocalOf(slot.mac))
  const tracked = at.flows === 'device'
  const tcp = tracked ? withServices(chain, at, family, 'tcp', TRACK) : tcpFrom(chain, at, family)
  const udp = tracked
    ? withoutNoise(chain, family, withServices(chain, at, family, 'udp', TRACK))
    : udpFrom(chain, at, family)
  const { icmp, unspecified } = icmpFrom(chain, at, family)
  const entries = own.flatMap((ip): Entry[] =>
    (
      [
        ['tcp', tcp],
        ['udp', udp],
        ['icmp', icmp],
      ] as const
    )
      .filter(([, forward]) => forward.kind !== 'drop')
      .map(([name, forward]) => ({ key: joined(addressOctets(ip), protocolKey(family, name)), forward })),
  )
  // Duplicate address detection comes from nowhere yet.
  if (unspecified) entries.push({ key: joined(new Uint8Array(16), protocolKey(6, 'icmp')), forward: unspecified })
  return chain.add({
    name: `from sources${family}`,
    kind: 'basic',
    transport: 'none',
    fields: [...sound(family), each(family === 4 ? 'ip4Source' : 'ip6Source'), ...protocolFields(family)],
    ...(tracked ? ZONED : {}),
    miss: DROP,
    entries,
  })
}

const BEGINS = { from: { kind: 'begins-from' }, to: { kind: 'begins-to' } } as const satisfies Record<string, Forward>
const ZONED = { setsMeta: true, zoned: true } as const

export const question = (
  at: Site,
  family: 4 | 6,
  protocol: Question['protocol'],
  which: 'from egress' | 'from reply' | 'to reply' | 'to ingress',
  miss: Forward,
): Question => {
  const outward = which.startsWith('from')
  const egress = which === 'from egress' || which === 'to reply'
  return {
    name: `${which} ${protocol}${family}`,
    family,
    protocol,
    // The peer's address; the peer's port for egress, the workspace's own for ingress.
    address: outward ? 'destination' : 'source',
    port: egress === outward ? 'destination' : 'source',
    grants: egress ? at.egress : at.ingress,
    // Wherever the workspace may send to; who may come is granted by who comes.
    classes: which !== 'to ingress',
    out: at.flows === 'device' && protocol !== 'icmp-echo' ? BEGINS[outward ? 'from' : 'to'] : outward ? WIRE : SLOT,
    miss,
  }
}

/** What begins a connection goes one way, what may answer one the other. */
export function byFlags(chain: Chain, name: string, opens: Forward, answers: Forward): Forward {
  if (opens.kind === answers.kind && (opens.kind !== 'pipe' || opens.pipe === (answers as { pipe: number }).pipe))
    return opens
  return chain.add({
    name,
    kind: 'basic',
    transport: 'tcp',
    fields: [each('tcpFlags', u8(FIN_SYN_RST_ACK))],
    miss: answers,
    entries: [{ key: u8(SYN), forward: opens }],
  })
}

function byType(
  chain: Chain,
  name: string,
  transport: Transport,
  types: readonly (readonly [number, Forward])[],
): Forward {
  const open = types.filter(([, forward]) => forward.kind !== 'drop')
  if (open.length === 0) return DROP
  return chain.add({
    name,
    kind: 'basic',
    transport,
    fields: [each('icmpType')],
    miss: DROP,
    entries: open.map(([type, forward]) => ({ key: u8(type), forward })),
  })
}

function tcpFrom(chain: Chain, at: Site, family: 4 | 6): Forward {
  const egress = withServices(chain, at, family, 'tcp', ask(chain, question(at, family, 'tcp', 'from egress', REFUSE)))
  const answers = ask(chain, question(at, family, 'tcp', 'from reply', egress))
  // What was learnt and has run out begins nothing any more, and what it began goes on.
  return byFlags(
    chain,
    `from flags${family}`,
    withLearned(chain, at, question(at, family, 'tcp', 'from egress', egress), 'from opens'),
    withLearned(chain, at, question(at, family, 'tcp', 'from egress', answers), 'from goes on'),
  )
}

/** Asked first: where it is asked makes no difference, since grants only ever allow. */
export function withLearned(chain: Chain, at: Site, asked: Question, name: string): Forward {
  const { protocol, family } = asked
  if (protocol === 'icmp-echo' || at.network.names.length === 0) return asked.miss
  // Without ports to tell connections apart by, UDP ends when its grant does.
  const expired = protocol === 'tcp' && name !== 'from opens'
  return askLearned(chain, { ...asked, protocol, name: `${name} ${protocol}${family}` }, expired)
}

function udpFrom(chain: Chain, at: Site, family: 4 | 6): Forward {
  const egress = ask(chain, question(at, family, 'udp', 'from egress', REFUSE))
  const granted = withServices(chain, at, family, 'udp', ask(chain, question(at, family, 'udp', 'from reply', egress)))
  const any = withLearned(chain, at, question(at, family, 'udp', 'from egress', granted), 'from')
  return any.kind === 'drop' ? DROP : withoutNoise(chain, family, any)
}

const withoutNoise = (chain: Chain, family: 4 | 6, miss: Forward): Forward =>
  chain.add({
    name: `from noise${family}`,
    kind: 'basic',
    transport: 'udp',
    fields: [each('destinationPort')],
    miss,
    entries: NOISE_PORTS.map((port) => ({ key: u16(port), forward: DROP })),
  })

/** The fence's own services are answered by the Arm. */
function withServices(
  chain: Chain,
  at: Site,
  family: 4 | 6,
  protocol: FenceService['protocol'],
  miss: Forward,
): Forward {
  const entries = at.network.services.flatMap((service): Entry[] => {
    const ip = parseIp(service.address)
    return ip?.family === family && service.protocol === protocol
      ? [{ key: joined(addressOctets(ip), u16(service.port)), forward: KERNEL }]
      : []
  })
  if (entries.length === 0) return miss
  return chain.add({
    name: `from services ${protocol}${family}`,
    kind: 'basic',
    transport: protocol,
    fields: [each(family === 4 ? 'ip4Destination' : 'ip6Destination'), each('destinationPort')],
    miss,
    entries,
  })
}

function icmpFrom(chain: Chain, at: Site, family: 4 | 6): { readonly icmp: Forward; readonly unspecified?: Forward } {
  const { request, reply } = ECHO[family]
  const transport = family === 4 ? 'icmp' : 'icmp6'
  const echo = byType(chain, `from echo${family}`, transport, [
    [request, ask(chain, question(at, family, 'icmp-echo', 'from egress', REFUSE))],
    [reply, ask(chain, question(at, family, 'icmp-echo', 'from reply', REFUSE))],
  ])
  if (family === 4) return { icmp: echo }
  const neighbours = (name: string, miss: Forward): Forward =>
    chain.add({
      name,
      kind: 'basic',
      transport,
      fields: neighbourFields(),
      miss,
      entries: NEIGHBOUR_KEYS.map((key) => ({ key, forward: KERNEL })),
    })
  return { icmp: neighbours('from neighbours', echo), unspecified: neighbours('from unspecified', DROP) }
}

function towards(chain: Chain, at: Site, family: 4 | 6): Forward {
  const of = (protocol: Question['protocol'], which: 'to reply' | 'to ingress', miss: Forward): Forward =>
    ask(chain, question(at, family, protocol, which, miss))
  const tracked = at.flows === 'device'
  const learned = (protocol: 'tcp' | 'udp', miss: Forward): Forward =>
    withLearned(chain, at, question(at, family, protocol, 'to reply', miss), 'to')
  const stateless = (): Forward => {
    const ingress = of('tcp', 'to ingress', REFUSE)
    return byFlags(chain, `to flags${family}`, ingress, learned('tcp', of('tcp', 'to reply', ingress)))
  }
  const tcp = tracked ? TRACK : stateless()
  const udp = tracked ? TRACK : learned('udp', of('udp', 'to reply', of('udp', 'to ingress', REFUSE)))
  const { request, reply } = ECHO[family]
  const icmp = byType(chain, `to echo${family}`, family === 4 ? 'icmp' : 'icmp6', [
    [request, of('icmp-echo', 'to ingress', REFUSE)],
    [reply, of('icmp-echo', 'to reply', REFUSE)],
  ])
  const open = (
    [
      ['tcp', tcp],
      ['udp', udp],
      ['icmp', icmp],
    ] as const
  ).filter(([, forward]) => forward.kind !== 'drop')
  return chain.add({
    name: `to protocols${family}`,
    kind: 'basic',
    transport: 'none',
    fields: [...sound(family), ...protocolFields(family)],
    ...(tracked ? ZONED : {}),
    miss: DROP,
    entries: open.map(([name, forward]) => ({ key: protocolKey(family, name), forward })),
  })
}
