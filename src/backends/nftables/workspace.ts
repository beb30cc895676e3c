// One workspace of one generation as sets and chains. Empty sets are not made and rules that could match nothing are not
// written: a node has many workspaces, and most grant little.
//
// The chains are reached by `goto` out of the verdict maps; `return` means allowed, and leads back to the base chain, where
// the other side's workspace, if there is one, is asked as well. Replies are judged by the same sets in reverse, so that
// one revoked flow is cut and its neighbour is not.

import type { Digest } from '../../base/digest.js'
import { formatIp, linkLocalOf, parseIp } from '../../base/ip.js'
import type { Slot } from '../../plan/inventory.js'
import type { NameRule, NetworkSlice } from '../../plan/model.js'
import { elementOf, isExact, isReserved, type Located, layersOf, locate } from './elements.js'
import { nftablesFault } from './errors.js'
import { markOf } from './mark.js'
import { observeChains, observeMarks } from './observing.js'
import type { ClauseMark, NftChain, NftSet, ObserveMarks } from './program.js'

const TUPLE = { 4: 'ipv4_addr . inet_proto . inet_service', 6: 'ipv6_addr . inet_proto . inet_service' } as const
const ADDRESS = { 4: 'ipv4_addr', 6: 'ipv6_addr' } as const
type Family = 4 | 6
/** One rule each: two comparisons cost half of one lookup in a set of two (bench/NOTES.md). */
const PORTED = ['tcp', 'udp'] as const

const setOf = (name: string, type: string, interval: boolean, located: readonly Located[]): NftSet => ({
  name,
  type,
  interval,
  counter: true,
  elements: located.map(elementOf),
  grants: located.map(({ grant }) => grant.id),
})

/** The sets of one purpose, both families: exact by hash, the rest in layers. */
function setsOf(letter: string, located: readonly Located[]): NftSet[] {
  return ([4, 6] as const).flatMap((family) => {
    const mine = located.filter(({ prefix }) => prefix.family === family)
    const exact = mine.filter(isExact)
    const layers = layersOf(mine.filter((one) => !isExact(one)))
    const echo = mine[0]?.grant.ports === null
    return [
      ...(exact.length > 0 ? [setOf(`${letter}x${family}`, TUPLE[family], false, exact)] : []),
      ...layers.map((layer, i) =>
        setOf(`${letter}r${family}_${i}`, echo ? ADDRESS[family] : TUPLE[family], true, layer),
      ),
    ]
  })
}

/** Rules that look the packet up in each of these sets. */
const lookups = (
  sets: readonly NftSet[],
  before: (family: Family) => string,
  key: (family: Family) => string,
  then: string,
): string[] =>
  sets.map((set) => {
    const family: Family = set.type.startsWith('ipv4') ? 4 : 6
    return `${before(family)}${key(family)} @%${set.name} ${then}`
  })

const nothing = (): string => ''
const ip = (family: Family): string => (family === 4 ? 'ip' : 'ip6')
const peer = (side: 'daddr' | 'saddr', port: 'dport' | 'sport') => (family: Family) =>
  `${ip(family)} ${side} . meta l4proto . th ${port}`
const address = (side: 'daddr' | 'saddr') => (family: Family) => `${ip(family)} ${side}`
const echo = (kind: 'request' | 'reply') => (family: Family) => `${family === 4 ? 'icmp' : 'icmpv6'} type echo-${kind} `

export interface WorkspaceObjects {
  readonly sets: readonly NftSet[]
  readonly chains: readonly NftChain[]
  readonly clauses: readonly ClauseMark[]
  readonly observe?: ObserveMarks
}

/** The grants of a workspace, each list by prefix. */
export interface LocatedGrants {
  readonly egress: readonly Located[]
  readonly ingress: readonly Located[]
  /** Those that ask for a session. */
  readonly asking: readonly Located[]
}

export const locatedOf = ({ egress, ingress, sessions = [] }: NetworkSlice): LocatedGrants => ({
  egress: locate(egress),
  ingress: locate(ingress),
  asking: locate(sessions),
})

export function workspaceObjects(
  workspace: string,
  slot: Slot,
  network: NetworkSlice,
  { egress, ingress, asking }: LocatedGrants,
): WorkspaceObjects {
  const ports = egress.filter(({ grant }) => grant.ports !== null)
  const echoes = egress.filter(({ grant }) => grant.ports === null)
  // A host address in a reserved range is there only because it was opened: exact grants need no second set.
  const open = ports.filter((one) => isReserved(one) && !isExact(one) && one.grant.opens)
  const plain = ports.filter((one) => (isExact(one) ? !isReserved(one) || one.grant.opens : !isReserved(one)))
  const sets = {
    plain: setsOf('', plain),
    open: setsOf('o', open),
    echo: setsOf(
      'e',
      echoes.filter((one) => !isReserved(one)),
    ),
    echoOpen: setsOf(
      'p',
      echoes.filter((one) => isReserved(one) && one.grant.opens),
    ),
    ingress: setsOf(
      'i',
      ingress.filter(({ grant }) => grant.ports !== null),
    ),
    ingressEcho: setsOf(
      'j',
      ingress.filter(({ grant }) => grant.ports === null),
    ),
    session: setsOf(
      's',
      asking.filter(({ grant }) => grant.ports !== null),
    ),
    sessionEcho: setsOf(
      't',
      asking.filter(({ grant }) => grant.ports === null),
    ),
  }
  const clauses = clauseMarks(workspace, network.names)
  const observe = network.observe && observeMarks(workspace, network.observe, clauses)
  const clauseSet: NftSet[] =
    clauses.length === 0
      ? []
      : [
          {
            name: 'c',
            type: 'mark',
            interval: false,
            counter: false,
            elements: clauses.map(({ mark }) => `0x${mark.toString(16)}`),
            grants: [],
          },
        ]
  return {
    sets: [...Object.values(sets).flat(), ...clauseSet],
    chains: [
      ...fromChains(sets, clauses.length > 0, observe),
      ...toChains(sets, clauses.length > 0, observe),
      ...(observe ? observeChains(observe) : []),
      ndChain(slot),
    ],
    clauses,
    ...(observe ? { observe } : {}),
  }
}

type Sets = Readonly<
  Record<
    'plain' | 'open' | 'echo' | 'echoOpen' | 'ingress' | 'ingressEcho' | 'session' | 'sessionEcho',
    readonly NftSet[]
  >
>

const asksForSession = (sets: Sets): boolean => sets.session.length + sets.sessionEcho.length > 0

/** An answer to somebody whose session is over is judged as if nobody had asked. */
const ENDED = ['jump from_echo', 'goto refuse_from'] as const

/** Only the peer of a session that is open comes to the grants that ask for one (plan/sessions.ts). */
const bySession = (sets: Sets, link: 'iifname' | 'oifname', side: 'daddr' | 'saddr', chain: string): string[] =>
  asksForSession(sets)
    ? ([4, 6] as const).map((family) => `${link} . ${ip(family)} ${side} @sessions${family} goto ${chain}`)
    : []

const exactOf = (sets: readonly NftSet[]): NftSet[] => sets.filter((set) => !set.interval)
const rangesOf = (sets: readonly NftSet[]): NftSet[] => sets.filter((set) => set.interval)

function fromChains(sets: Sets, learns: boolean, observe: ObserveMarks | undefined): NftChain[] {
  const refused = observe ? '%from_x' : 'refuse_from'
  const toPeer = peer('daddr', 'dport')
  const echoes = sets.echo.length + sets.echoOpen.length > 0 || observe !== undefined
  const replies = [
    ...lookups(sets.ingress, nothing, peer('daddr', 'sport'), 'return'),
    ...lookups(sets.ingressEcho, echo('reply'), address('daddr'), 'return'),
    ...bySession(sets, 'iifname', 'daddr', '%from_s'),
    ...(asksForSession(sets) ? ENDED : ['goto f_no_grant']),
  ]
  const sessionReplies = [
    ...lookups(sets.session, nothing, peer('daddr', 'sport'), 'return'),
    ...lookups(sets.sessionEcho, echo('reply'), address('daddr'), 'return'),
    ...ENDED,
  ]
  const learned = [
    'ct state established ct mark @%c return',
    ...([4, 6] as const).map(
      (family) =>
        `ct state new meta l4proto { tcp, udp } ct mark set iifname . ${ip(family)} daddr . meta l4proto . th dport map @learned${family}`,
    ),
    'ct state new ct mark @%c goto ok_from',
  ]
  return chains([
    [
      'from',
      [
        ...PORTED.map((protocol) => `meta l4proto ${protocol} goto %from_ports`),
        'meta l4proto != { icmp, ipv6-icmp } goto f_no_grant',
        'jump from_icmp',
        'ct state established ct direction reply goto %from_r',
        `goto ${echoes ? '%from_e' : 'echo_none'}`,
      ],
    ],
    [
      'from_ports',
      [
        'ct state established ct direction reply goto %from_r',
        ...lookups(exactOf(sets.plain), nothing, toPeer, 'goto ok_from'),
        ...reserved('daddr', 'f', sets.open.length > 0 ? '%from_o' : 'f_reserved'),
        ...lookups(rangesOf(sets.plain), nothing, toPeer, 'goto ok_from'),
        ...(learns ? learned : []),
        `goto ${refused}`,
      ],
    ],
    ['from_r', replies],
    ...(asksForSession(sets) ? [['from_s', sessionReplies] as const] : []),
    ...(sets.open.length > 0
      ? [['from_o', [...lookups(sets.open, nothing, toPeer, 'goto ok_from'), 'goto f_reserved']] as const]
      : []),
    ...(echoes
      ? [
          [
            'from_e',
            [
              'jump from_echo',
              ...reserved('daddr', 'f', sets.echoOpen.length > 0 ? '%from_p' : 'f_reserved'),
              ...lookups(sets.echo, echo('request'), address('daddr'), 'goto ok_from'),
              `goto ${refused}`,
            ],
          ] as const,
        ]
      : []),
    ...(sets.echoOpen.length > 0
      ? [
          [
            'from_p',
            [...lookups(sets.echoOpen, echo('request'), address('daddr'), 'goto ok_from'), 'goto f_reserved'],
          ] as const,
        ]
      : []),
  ])
}

function toChains(sets: Sets, learns: boolean, observe: ObserveMarks | undefined): NftChain[] {
  const fromPeer = peer('saddr', 'sport')
  const opens = sets.open.length + sets.echoOpen.length > 0
  return chains([
    [
      'to',
      [
        'meta l4proto icmp jump to_icmp',
        'meta l4proto ipv6-icmp jump to_icmp',
        'ct state established ct direction reply goto %to_r',
        ...lookups(sets.ingress, nothing, peer('saddr', 'dport'), 'goto ok_to'),
        ...lookups(sets.ingressEcho, echo('request'), address('saddr'), 'goto ok_to'),
        ...bySession(sets, 'oifname', 'saddr', '%to_s'),
        'goto t_no_flow',
      ],
    ],
    ...(asksForSession(sets)
      ? [
          [
            'to_s',
            [
              ...lookups(sets.session, nothing, peer('saddr', 'dport'), 'goto ok_to'),
              ...lookups(sets.sessionEcho, echo('request'), address('saddr'), 'goto ok_to'),
              'goto t_no_flow',
            ],
          ] as const,
        ]
      : []),
    [
      'to_r',
      [
        ...lookups(exactOf(sets.plain), nothing, fromPeer, 'return'),
        ...reserved('saddr', 't', opens ? '%to_o' : 't_no_flow'),
        ...lookups(rangesOf(sets.plain), nothing, fromPeer, 'return'),
        ...lookups(sets.echo, echo('reply'), address('saddr'), 'return'),
        ...(learns ? ['ct mark @%c return'] : []),
        ...(observe ? ['oifname @observing goto %to_x'] : []),
        'goto t_no_flow',
      ],
    ],
    ...(opens
      ? [
          [
            'to_o',
            [
              ...lookups(sets.open, nothing, fromPeer, 'return'),
              ...lookups(sets.echoOpen, echo('reply'), address('saddr'), 'return'),
              'goto t_no_flow',
            ],
          ] as const,
        ]
      : []),
  ])
}

/** Step 6: `never` first, then reserved ranges to the grants that lie inside them. */
function reserved(side: 'daddr' | 'saddr', way: 'f' | 't', open: string): string[] {
  const never = way === 'f' ? 'f_never' : 't_no_flow'
  return [
    `ip ${side} @never4 goto ${never}`,
    `ip6 ${side} @never6 goto ${never}`,
    `ip ${side} @reserved4 goto ${open}`,
    `ip6 ${side} @reserved6 goto ${open}`,
  ]
}

const chains = (rows: readonly (readonly [string, readonly string[]])[]): NftChain[] =>
  rows.map(([name, rules]) => ({ name, rules }))

/**
 * Neighbour discovery in its four proper shapes (RFC 4861 sections 4.3, 4.4; RFC 4862 section 5.4; RFC 7527): with the
 * gateway, or about an own address. Offsets are bits into the ICMPv6 message: target at 64, first option at 192.
 */
function ndChain(slot: Slot): NftChain {
  const own = [
    ...slot.addresses.filter((text) => text.includes(':')),
    ...(slot.addresses.some((text) => text.includes(':')) ? [formatIp(linkLocalOf(slot.mac))] : []),
  ]
  const gateway = [
    ...slot.gateway.addresses.filter((text) => text.includes(':')),
    ...(slot.gateway.mac === '' ? [] : [formatIp(linkLocalOf(slot.gateway.mac))]),
  ]
  if (own.length === 0) return { name: 'nd', rules: ['goto f_link_layer'] }
  const targets = (list: readonly string[]): string => `@th,64,128 { ${list.map(rawAddress).join(', ')} }`
  const mac = `@th,208,48 0x${slot.mac.replaceAll(':', '')}`
  const from = `ip6 saddr { ${own.join(', ')} }`
  const solicit = 'icmpv6 type nd-neighbor-solicit'
  const advert = 'icmpv6 type nd-neighbor-advert'
  const asks = gateway.length > 0 ? targets(gateway) : undefined
  return {
    name: 'nd',
    rules: [
      `ether saddr != ${slot.mac} goto f_spoof`,
      ...(asks
        ? [
            `${solicit} ${from} ip6 length 32 @th,192,16 0x0101 ${mac} ${asks} accept`,
            `${solicit} ${from} ip6 length 24 ${asks} accept`,
          ]
        : []),
      `${solicit} ip6 saddr :: ip6 length 24 ${targets(own)} accept`,
      `${solicit} ip6 saddr :: ip6 length 32 @th,192,16 0x0e01 ${targets(own)} accept`,
      `${advert} ${from} ip6 length 32 @th,192,16 0x0201 ${mac} ${targets(own)} accept`,
      `${advert} ${from} ip6 length 24 ${targets(own)} accept`,
      'goto f_link_layer',
    ],
  }
}

/** An address as nft compares raw octets: 32 hex digits. */
const rawAddress = (text: string): string => `0x${(parseIp(text)?.value ?? 0n).toString(16).padStart(32, '0')}`

function clauseMarks(workspace: string, rules: readonly NameRule[]): ClauseMark[] {
  const byMark = new Map<number, Digest>()
  for (const { clause } of rules) {
    const mark = markOf(clause)
    const held = byMark.get(mark)
    // One mark for two clauses would let a flow outlive the clause that it was learnt from.
    if (held !== undefined && held !== clause)
      throw nftablesFault('NFT_MARK_COLLISION', { workspace, clauses: [held, clause] })
    byMark.set(mark, clause)
  }
  return [...byMark].map(([mark, clause]) => ({ clause, mark })).sort((a, b) => a.mark - b.mark)
}
