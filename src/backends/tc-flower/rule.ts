// One filter where it lies in the kernel: interface, hook, chain, priority, handle; and its form on rtnetlink, both ways. The
// numbers are those of linux/pkt_cls.h, linux/pkt_sched.h and linux/tc_act.

import type { Prefix } from '../../base/ip.js'
import { familyBits, prefixMask } from '../../base/ip.js'
import { macBytes } from '../../base/mac.js'
import { type Cookie, cookieOctets, readCookie } from './cookie.js'
import type { Masked, Match } from './program.js'
import { attributesIn, be16, be32, text, u32, viewOf, type Writer } from './wire.js'

export type Hook = 'ingress' | 'egress'

/** `software`: skip_hw. `hardware`: skip_sw, refused where no hardware takes it. `both`: in both. */
export type Place = 'software' | 'hardware' | 'both'

export type RuleAction =
  | { readonly kind: 'pass' | 'drop' }
  | { readonly kind: 'goto'; readonly chain: number }
  | { readonly kind: 'redirect'; readonly ifindex: number }

export interface At {
  readonly ifindex: number
  readonly hook: Hook
  readonly chain: number
}

export interface Rule extends At {
  readonly priority: number
  /** Within its priority. */
  readonly handle: number
  readonly match: Match
  readonly action: RuleAction
  readonly place: Place
  readonly cookie: Cookie
}

const PARENT = { ingress: 0xfffffff2, egress: 0xfffffff3 } as const
const CLSACT = 0xfffffff1
const ETHERTYPE = { ip: 0x0800, ipv6: 0x86dd, arp: 0x0806 } as const
const ETH_P_ALL = 0x0003
const RTM = { newQdisc: 36, delQdisc: 37, newFilter: 44, delFilter: 45, getFilter: 46 } as const
const FLAG = { request: 1, ack: 4, dump: 0x300, replace: 0x100, exclusive: 0x200, create: 0x400 } as const
const TCA = { kind: 1, options: 2, chain: 11 } as const
const ACT = { kind: 1, options: 2, stats: 4, cookie: 6 } as const
const ACTION = { pass: 0, drop: 2, stolen: 4, goto: 0x20000000 } as const
/** TCA_FLOWER_IN_HW_COUNT. */
const IN_HW_COUNT = 86
const SKIP_HW = 1
const SKIP_SW = 2
const IN_HW = 4

/** Attributes of cls_flower. */
const KEY = {
  action: 3,
  destinationMac: [4, 5],
  sourceMac: [6, 7],
  etherType: 8,
  protocol: 9,
  source4: [10, 11],
  destination4: [12, 13],
  source6: [14, 15],
  destination6: [16, 17],
  flags: 22,
  fragment: [47, 48],
  icmp4Type: [51, 52],
  icmp6Type: [55, 56],
  arpSender: [57, 58],
  arpTarget: [59, 60],
  arpSenderMac: [63, 64],
  tcpFlags: [71, 72],
  hopLimit: [75, 76],
} as const
const PORT = {
  6: { source: [18, 35], destination: [19, 36] },
  17: { source: [20, 37], destination: [21, 38] },
} as const

const ones = (length: number): Uint8Array => new Uint8Array(length).fill(255)

export function octetsOf(value: bigint, bits: 32 | 128): Uint8Array {
  const out = new Uint8Array(bits / 8)
  for (let i = out.length - 1, rest = value; i >= 0; i--, rest >>= 8n) out[i] = Number(rest & 255n)
  return out
}

const header = (at: { ifindex: number; hook?: Hook }, handle: number, info: number, parent?: number): Uint8Array =>
  u32(0, at.ifindex, handle, parent ?? PARENT[at.hook ?? 'ingress'], info)

/** Priority and ethertype as the kernel wants them in one word, the ethertype in network order. */
const infoOf = (priority: number, etherType: Match['etherType']): number => {
  const type = etherType ? ETHERTYPE[etherType] : ETH_P_ALL
  return ((priority << 16) | ((type & 255) << 8) | (type >> 8)) >>> 0
}

/** Makes the place where filters hang. There already is no fault: EEXIST. */
export function writeQdisc(writer: Writer, ifindex: number): void {
  const flags = FLAG.request | FLAG.ack | FLAG.create | FLAG.exclusive
  writer.message(RTM.newQdisc, flags, u32(0, ifindex, 0xffff0000, CLSACT, 0))
  writer.attribute(TCA.kind, text('clsact'))
  writer.end()
}

export function writeNoQdisc(writer: Writer, ifindex: number): void {
  writer.message(RTM.delQdisc, FLAG.request | FLAG.ack, u32(0, ifindex, 0xffff0000, CLSACT, 0))
  writer.attribute(TCA.kind, text('clsact'))
  writer.end()
}

/** Adds a filter; `replace` puts it in the place of the one with its handle, with nothing in between. */
export function writeRule(writer: Writer, rule: Rule, replace = false): void {
  const { match, priority, handle } = rule
  const how = replace ? FLAG.replace : FLAG.exclusive
  writer.message(
    RTM.newFilter,
    FLAG.request | FLAG.ack | FLAG.create | how,
    header(rule, handle, infoOf(priority, match.etherType)),
  )
  writer.attribute(TCA.kind, text('flower'))
  writer.attribute(TCA.chain, u32(rule.chain))
  writer.nest(TCA.options, () => {
    writeMatch(writer, match)
    writer.nest(KEY.action, () => writer.nest(1, () => writeAction(writer, rule)))
    const flags = rule.place === 'software' ? SKIP_HW : rule.place === 'hardware' ? SKIP_SW : 0
    writer.attribute(KEY.flags, u32(flags))
  })
  writer.end()
}

function writeAction(writer: Writer, { action, cookie }: Rule): void {
  writer.attribute(ACT.kind, text(action.kind === 'redirect' ? 'mirred' : 'gact'))
  writer.nest(ACT.options, () => {
    if (action.kind === 'redirect') writer.attribute(2, u32(0, 0, ACTION.stolen, 0, 0, 1, action.ifindex))
    else writer.attribute(2, u32(0, 0, action.kind === 'goto' ? ACTION.goto | action.chain : ACTION[action.kind], 0, 0))
  })
  writer.attribute(ACT.cookie, cookieOctets(cookie))
}

function writeMatch(writer: Writer, match: Match): void {
  const masked = ([key, mask]: readonly [number, number], value: Uint8Array, bits = ones(value.length)): void => {
    writer.attribute(key, value)
    writer.attribute(mask, bits)
  }
  const prefixed = (four: readonly [number, number], six: readonly [number, number], prefix: Prefix): void => {
    if (prefix.length === 0) return
    const bits = familyBits(prefix.family)
    const mask = octetsOf(prefixMask(prefix.family, prefix.length), bits)
    masked(prefix.family === 4 ? four : six, octetsOf(prefix.value, bits), mask)
  }
  const port = (pair: readonly [number, number], { value, mask }: Masked): void => masked(pair, be16(value), be16(mask))
  const { etherType, protocol, arp } = match
  if (etherType) writer.attribute(KEY.etherType, be16(ETHERTYPE[etherType]))
  if (match.destinationMac) masked(KEY.destinationMac, macBytes(match.destinationMac))
  if (match.sourceMac) masked(KEY.sourceMac, macBytes(match.sourceMac))
  if (protocol !== undefined) writer.attribute(KEY.protocol, Uint8Array.of(protocol))
  if (match.source) prefixed(KEY.source4, KEY.source6, match.source)
  if (match.destination) prefixed(KEY.destination4, KEY.destination6, match.destination)
  const ports = protocol === 6 || protocol === 17 ? PORT[protocol] : undefined
  if (ports && match.sourcePort) port(ports.source, match.sourcePort)
  if (ports && match.destinationPort) port(ports.destination, match.destinationPort)
  if (match.tcpFlags) port(KEY.tcpFlags, match.tcpFlags)
  if (match.icmpType !== undefined)
    masked(protocol === 1 ? KEY.icmp4Type : KEY.icmp6Type, Uint8Array.of(match.icmpType))
  if (match.hopLimit !== undefined) masked(KEY.hopLimit, Uint8Array.of(match.hopLimit))
  if (match.fragment !== undefined) masked(KEY.fragment, be32(match.fragment ? 1 : 0), be32(1))
  if (arp) {
    masked(KEY.arpSender, octetsOf(arp.sender.value, 32))
    if (arp.target) masked(KEY.arpTarget, octetsOf(arp.target.value, 32))
    masked(KEY.arpSenderMac, macBytes(arp.senderMac))
  }
}

/** Takes away one filter, every filter of a priority (no handle), or of a chain (no priority). */
export function writeRemoval(
  writer: Writer,
  at: At & { readonly priority?: number; readonly handle?: number; readonly etherType?: Match['etherType'] },
): void {
  const info = at.priority === undefined ? 0 : infoOf(at.priority, at.etherType)
  writer.message(RTM.delFilter, FLAG.request | FLAG.ack, header(at, at.handle ?? 0, info))
  if (at.priority !== undefined) writer.attribute(TCA.kind, text('flower'))
  writer.attribute(TCA.chain, u32(at.chain))
  writer.end()
}

/** Asks for every filter of a hook, or of one chain of it. */
export function writeQuestion(writer: Writer, at: { ifindex: number; hook: Hook; chain?: number }): void {
  writer.message(RTM.getFilter, FLAG.request | FLAG.dump, header(at, 0, 0))
  if (at.chain !== undefined) writer.attribute(TCA.chain, u32(at.chain))
  writer.end()
}

/** A filter as the kernel shows it. */
export interface Found {
  readonly chain: number
  readonly priority: number
  readonly etherType: number
  readonly handle: number
  /** undefined: not one of ours. */
  readonly cookie: Cookie | undefined
  readonly inHardware: boolean
  /** Everything that decides what it does: keys, flags, action. Equal for equal filters. */
  readonly substance: string
  readonly options: ReadonlyMap<number, Uint8Array>
  readonly packets: bigint
  readonly octets: bigint
}

const UNDECIDED: ReadonlySet<number> = new Set([KEY.action, KEY.flags, IN_HW_COUNT])

/** undefined for the head of a priority, which the kernel lists too. */
export function readRule(payload: Uint8Array): Found | undefined {
  const view = viewOf(payload)
  const [handle, info] = [view.getUint32(8, true), view.getUint32(16, true)]
  const attributes = attributesIn(payload.subarray(20))
  const options = attributesIn(attributes.get(TCA.options) ?? new Uint8Array())
  if (handle === 0 || options.size === 0) return undefined
  const chain = attributes.get(TCA.chain)
  const action = attributesIn(attributesIn(options.get(KEY.action) ?? new Uint8Array()).get(1) ?? new Uint8Array())
  const flags = options.get(KEY.flags)
  const word = flags ? viewOf(flags).getUint32(0, true) : 0
  const parameters = attributesIn(action.get(ACT.options) ?? new Uint8Array()).get(2) ?? new Uint8Array()
  const cookie = action.get(ACT.cookie)
  const { packets, octets } = countsIn(action.get(ACT.stats))
  const decided = [...options]
    .filter(([type]) => !UNDECIDED.has(type))
    .map(([type, value]) => `${type}=${hexOf(value)}`)
  // The kernel's own number of an action, and how often it is held, differ between equal filters.
  const does = [parameters.subarray(8, 12), parameters.subarray(20)].map(hexOf).join('/')
  return {
    chain: chain ? viewOf(chain).getUint32(0, true) : 0,
    priority: info >>> 16,
    etherType: ((info & 255) << 8) | ((info >> 8) & 255),
    handle,
    cookie: readCookie(cookie),
    inHardware: (word & IN_HW) !== 0,
    substance: [...decided, `flags=${word & 3}`, `does=${does}`, `cookie=${hexOf(cookie ?? new Uint8Array())}`].join(
      ' ',
    ),
    options,
    packets,
    octets,
  }
}

/** TCA_STATS_BASIC, and the wide count of packets where there is one. */
function countsIn(stats: Uint8Array | undefined): { packets: bigint; octets: bigint } {
  const inside = attributesIn(stats ?? new Uint8Array())
  const basic = inside.get(1)
  if (!basic || basic.length < 12) return { packets: 0n, octets: 0n }
  const view = viewOf(basic)
  const wide = inside.get(8)
  const packets = wide?.length === 8 ? viewOf(wide).getBigUint64(0, true) : BigInt(view.getUint32(8, true))
  return { packets, octets: view.getBigUint64(0, true) }
}

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))
const hexOf = (octets: Uint8Array): string => {
  let out = ''
  for (const octet of octets) out += HEX[octet]
  return out
}
