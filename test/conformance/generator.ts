// Plans and packets for the conformance suites: one generator for every backend, so that a disagreement found with one is
// tried with all. Addresses, ports and MACs come from small pools full of boundaries, so that a random packet often meets
// a grant, a reply its flow, and a change of plan a flow that it cuts. fast-check shrinks what fails.

import fc from 'fast-check'
import { concat } from '../../src/base/bytes.js'
import { digestOfText } from '../../src/base/digest.js'
import type { NameRule, Plan } from '../../src/plan/model.js'
import type { EgressClause, IngressClause } from '../../src/policy/model.js'
import { arpFrame, type FrameSpec, ipFrame, ipPacket, neighbourBody, type Payload, u32 } from '../support/frames.js'
import { egress, GATEWAY_MAC, ingress, planOf, WS_MAC } from '../support/plans.js'

export const LOCAL4 = '10.9.0.2'
export const LOCAL6 = 'fd09:0:0:1::2'

/** Destinations worth trying: granted ones, their neighbours, and one of every special range. */
export const PEERS4 = [
  '93.184.216.34',
  '93.184.216.35',
  '45.76.10.10',
  '45.76.10.20',
  '45.76.11.1',
  '45.77.0.0',
  '45.75.255.255',
  '8.8.8.8',
  '10.50.0.7',
  '10.50.1.7',
  '10.60.0.1',
  '172.16.0.1',
  '192.168.1.1',
  '100.64.0.1',
  '192.0.2.1',
  '198.18.0.1',
  '203.0.113.9',
  '169.254.169.254',
  '100.100.100.200',
  '168.63.129.16',
  '224.0.0.5',
  '240.0.0.1',
  '192.88.99.1',
] as const
export const PEERS6 = [
  '2a05:9:9::10',
  '2a05:9:9::11',
  '2a05:9:9:1::1',
  '2a05:9:a::1',
  '2606:4700::1',
  'fd50::7',
  'fd51::7',
  'fec0::1',
  '64:ff9b::808:808',
  '2001:db8::1',
  '2002:808:808::1',
  '2001::1',
  '3fff::1',
  '::ffff:8.8.8.8',
  'fe80::1',
  'ff02::1',
  'fd00:ec2::254',
  '::2',
] as const
const PORTS = [
  1, 22, 52, 53, 54, 80, 443, 514, 852, 853, 854, 2378, 2379, 2380, 2381, 5432, 7999, 8000, 8050, 8100, 8101, 65535,
] as const
const LOCAL_PORTS = [40000, 40001, 22, 8080] as const

/** What the clauses below grant most often: two conversations in three go there, or nearly every packet would be refused. */
const LIKELY4 = [
  '93.184.216.34',
  '45.76.10.10',
  '45.76.10.20',
  '10.50.0.7',
  '172.16.0.1',
  '10.60.0.1',
  '8.8.8.8',
] as const
const LIKELY6 = ['2a05:9:9::10', '2a05:9:9:1::1', 'fd50::7', '2606:4700::1'] as const
const LIKELY_PORTS = [443, 80, 22, 8050, 54] as const
const likely = <T>(some: readonly T[], all: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...some) }, { weight: 1, arbitrary: fc.constantFrom(...all) })

const PREFIXES = [
  '93.184.216.34',
  '45.76.10.10',
  '45.76.0.0/16',
  '45.76.10.0/24',
  '0.0.0.0/0',
  '10.50.0.0/24',
  '10.50.0.7',
  '172.16.0.0/12',
  '128.0.0.0/1',
  '2a05:9:9::10',
  '2a05:9:9::/48',
  '2a05:9:9:1::/64',
  'fd50::/16',
  '::/0',
] as const
const RANGES = ['443', '80', '53', '22', '8000-8100', '1-65535', '5432', '2379', '514', '1-1000'] as const
const SOURCES = ['10.60.0.1/32', '45.76.10.0/24', '2a05:9:9::/48', '0.0.0.0/0'] as const

const clause: fc.Arbitrary<EgressClause | IngressClause> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.uniqueArray(fc.constantFrom(...PREFIXES), { minLength: 1, maxLength: 3 }),
        fc.constantFrom('tcp' as const, 'udp' as const),
        fc.uniqueArray(fc.constantFrom(...RANGES), { minLength: 1, maxLength: 2 }),
      )
      .map(([to, protocol, ports]) => egress('e', to, protocol, ports)),
  },
  { weight: 1, arbitrary: fc.constantFrom(...PREFIXES).map((to) => egress('ping', [to], 'icmp-echo')) },
  { weight: 1, arbitrary: fc.constantFrom(...SOURCES).map((from) => ingress('knock', [from], 'icmp-echo', [])) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.constantFrom(...SOURCES),
        fc.constantFrom('tcp' as const, 'udp' as const),
        fc.constantFrom('22', '8080', '1-65535'),
      )
      .map(([from, protocol, ports]) => ingress('i', [from], protocol, [ports])),
  },
)
const clauses = fc.uniqueArray(clause, { selector: (one) => one.id, maxLength: 10, size: 'max' })

/** Two or three plans over one pool of clauses, so that grants are removed and come back. */
export const plans: fc.Arbitrary<readonly Plan[]> = fc
  .tuple(clauses, fc.array(fc.nat(63), { minLength: 1, maxLength: 2 }))
  .map(([pool, masks]) =>
    [pool, ...masks.map((mask) => pool.filter((_, i) => (mask >> i) % 2 === 0))].map((list) => planOf(list)),
  )

const flags = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0x02) },
  { weight: 6, arbitrary: fc.constant(0x10) },
  { weight: 2, arbitrary: fc.constant(0x12) },
  fc.constantFrom(0x04, 0x11, 0x14),
)

/** Transport towards `peerPort` of the far end, or from it. */
const payload = (towardsPeer: boolean): fc.Arbitrary<Payload> => {
  const local = fc.constantFrom(...LOCAL_PORTS)
  const peer = fc.constantFrom(...PORTS)
  const ends = fc
    .tuple(local, peer)
    .map(([mine, theirs]) => (towardsPeer ? { from: mine, to: theirs } : { from: theirs, to: mine }))
  return fc.oneof(
    {
      weight: 8,
      arbitrary: fc.tuple(ends, flags).map(([two, bits]): Payload => ({ kind: 'tcp', ...two, flags: bits })),
    },
    { weight: 5, arbitrary: ends.map((two): Payload => ({ kind: 'udp', ...two })) },
    { weight: 2, arbitrary: fc.boolean().map((reply): Payload => ({ kind: 'echo', reply, identifier: 77 })) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(2, 47, 50, 89, 132)
        .map((protocol): Payload => ({ kind: 'raw', protocol, data: new Uint8Array(24) })),
    },
  )
}

/** An ICMP error about a packet that the workspace may have sent. */
const error = (v6: boolean): fc.Arbitrary<Payload> =>
  fc
    .tuple(
      fc.constantFrom(...(v6 ? ([1, 2, 3, 4, 137] as const) : ([3, 4, 5, 11, 12] as const))),
      fc.constantFrom(...(v6 ? PEERS6 : PEERS4)),
      payload(true),
    )
    .map(
      ([type, peer, inner]): Payload => ({
        kind: 'icmp',
        type,
        code: 1,
        body: concat([u32(1400), ipPacket({ source: v6 ? LOCAL6 : LOCAL4, destination: peer, payload: inner })]),
      }),
    )

/** What no honest stack sends: applied to about a fifth of the frames. */
const oddity: fc.Arbitrary<Partial<FrameSpec>> = fc.constantFrom<Partial<FrameSpec>>(
  { sourceMac: '02:00:00:00:09:ff' },
  { vlan: 7 },
  { etherType: 0x88cc },
  { fragment: { more: true, offset: 0 } },
  { fragment: { more: false, offset: 64 } },
  { options: Uint8Array.of(7, 4, 4, 0) },
  { extensions: [60] },
  { extensions: [0, 43] },
)
const anyOddity = fc.option(oddity, { freq: 5, nil: {} })

const outgoing: fc.Arbitrary<Uint8Array<ArrayBuffer>> = fc
  .tuple(fc.boolean(), anyOddity, fc.nat(19))
  .chain(([v6, odd, spoof]) =>
    fc
      .tuple(fc.constantFrom(...(v6 ? PEERS6 : PEERS4)), fc.oneof({ weight: 12, arbitrary: payload(true) }, error(v6)))
      .map(([destination, body]) =>
        ipFrame({
          source: spoof === 0 ? (v6 ? 'fd09:0:0:1::3' : '10.9.0.3') : v6 ? LOCAL6 : LOCAL4,
          destination,
          sourceMac: WS_MAC,
          destinationMac: GATEWAY_MAC,
          ...fitting(odd, v6),
          payload: body,
        }),
      ),
  )

const incoming: fc.Arbitrary<Uint8Array<ArrayBuffer>> = fc.tuple(fc.boolean(), anyOddity).chain(([v6, odd]) =>
  fc
    .tuple(
      fc.constantFrom(...(v6 ? PEERS6 : PEERS4)),
      fc.oneof({ weight: 8, arbitrary: payload(false) }, { weight: 3, arbitrary: error(v6) }),
    )
    .map(([source, body]) => {
      const { sourceMac: _mac, vlan: _vlan, etherType: _type, ...rest } = fitting(odd, v6)
      return ipFrame({
        source,
        destination: v6 ? LOCAL6 : LOCAL4,
        sourceMac: GATEWAY_MAC,
        destinationMac: WS_MAC,
        ...rest,
        payload: body,
      })
    }),
)

/** Options are IPv4's, extension headers IPv6's. */
function fitting(odd: Partial<FrameSpec>, v6: boolean): Partial<FrameSpec> {
  const { options, extensions, ...rest } = odd
  return { ...rest, ...(options && !v6 ? { options } : {}), ...(extensions && v6 ? { extensions } : {}) }
}

const neighbourly: fc.Arbitrary<Uint8Array<ArrayBuffer>> = fc.oneof(
  fc
    .record({
      operation: fc.constantFrom(1, 2, 3),
      senderIp: fc.constantFrom(LOCAL4, '0.0.0.0', '10.9.0.1', '10.9.0.3'),
      targetIp: fc.constantFrom('10.9.0.1', LOCAL4, '10.9.0.6', '8.8.8.8'),
      senderMac: fc.constantFrom(WS_MAC, GATEWAY_MAC),
    })
    .map(arpFrame),
  fc
    .tuple(
      fc.constantFrom(135, 136),
      fc.constantFrom(LOCAL6, 'fe80::ff:fe00:902', '::', 'fd09:0:0:1::9'),
      fc.constantFrom('fd09:0:0:1::1', 'fe80::ff:fe00:901', LOCAL6, 'fd09:0:0:1::9'),
      fc.constantFrom([] as const, [[1, WS_MAC]] as const, [[2, WS_MAC]] as const, [[1, GATEWAY_MAC]] as const),
      fc.constantFrom(255, 64),
    )
    .map(([type, source, target, options, hopLimit]) =>
      ipFrame({
        source,
        destination: 'ff02::1:ff00:1',
        hopLimit,
        payload: { kind: 'icmp', type, body: neighbourBody(target, options) },
      }),
    ),
)

/** Cut short at any octet, as a broken or hostile sender would. */
const truncated = fc
  .tuple(outgoing, fc.nat(80))
  .map(([frame, length]) => frame.slice(0, Math.min(frame.length, length)))

export type Step =
  | { readonly kind: 'packet'; readonly direction: 'from' | 'to'; readonly frame: Uint8Array<ArrayBuffer> }
  /** Makes `plans[index]` live. */
  | { readonly kind: 'plan'; readonly index: number }
  | { readonly kind: 'flag'; readonly flag: 'quarantined' | 'suspended'; readonly on: boolean }

const from = (frame: Uint8Array<ArrayBuffer>): Step => ({ kind: 'packet', direction: 'from', frame })

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 20, arbitrary: outgoing.map(from) },
  { weight: 12, arbitrary: incoming.map((frame): Step => ({ kind: 'packet', direction: 'to', frame })) },
  { weight: 2, arbitrary: neighbourly.map(from) },
  { weight: 2, arbitrary: truncated.map(from) },
  { weight: 3, arbitrary: fc.nat(2).map((index): Step => ({ kind: 'plan', index })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('quarantined' as const, 'suspended' as const), fc.nat(3))
      .map(([flag, on]): Step => ({ kind: 'flag', flag, on: on === 0 })),
  },
)

/** What only some backends can be asked to do in a suite: see `Contestant`. */
export type LongStep =
  | Step
  /** A resolver's answer: one address and port of a name, under one of the clauses of NAMES. */
  | {
      readonly kind: 'learn'
      readonly clause: number
      readonly protocol: 'tcp' | 'udp'
      readonly address: string
      readonly port: number
      readonly ttlMs: number
    }
  | { readonly kind: 'time'; readonly ms: number }
  /** The access broker's sessions are these, and no others. */
  | { readonly kind: 'sessions'; readonly peers: readonly { readonly peer: string; readonly ttlMs: number }[] }
  /** The agent ends and another carries on. */
  | { readonly kind: 'restart' }

/**
 * Idle timeouts, lifetimes and steps of time whose sums never come near each other: a suite on the kernel's own clock has
 * seconds to spare.
 */
export const IDLE = { tcpMs: 320_000, udpMs: 120_000, icmpMs: 30_000 } as const
const LIFETIMES = [70_000, 220_000] as const
const PASSING = [50_000, 200_000, 400_000] as const

export const NAMES: readonly NameRule[] = ['one', 'two'].map((name) => ({
  clause: digestOfText(`name ${name}`),
  pattern: `${name}.example`,
  wildcard: false,
  protocol: 'tcp',
  ports: [{ from: 443, to: 443 }],
  within: [],
}))

/** Answers, each of one name: which of two clauses a flow belongs to that both have learnt is nobody's promise. */
const LESSONS = [
  ['8.8.8.8', 443],
  ['45.76.11.1', 443],
  ['93.184.216.34', 80],
  ['10.50.1.7', 443],
  ['169.254.169.254', 80],
  ['2606:4700::1', 443],
  ['2a05:9:9::11', 80],
  ['fd51::7', 443],
] as const

/** A name is resolved, talked to and, with time and changes of plan in between, talked to again. */
const lesson: fc.Arbitrary<readonly LongStep[]> = fc
  .tuple(
    fc.nat(LESSONS.length - 1),
    fc.constantFrom('tcp' as const, 'udp' as const),
    fc.constantFrom(...LOCAL_PORTS),
    fc.constantFrom(...LIFETIMES),
    fc.array(
      fc.oneof(
        fc.nat(2).map((index): LongStep => ({ kind: 'plan', index })),
        fc.constantFrom(...PASSING).map((ms): LongStep => ({ kind: 'time', ms })),
        fc.constant<LongStep>({ kind: 'restart' }),
      ),
      { maxLength: 3 },
    ),
    fc.nat(3),
  )
  .map(([which, protocol, mine, ttlMs, between, again]) => {
    const [address, port] = LESSONS[which] as (typeof LESSONS)[number]
    const local = address.includes(':') ? LOCAL6 : LOCAL4
    const learn: LongStep = { kind: 'learn', clause: which % 2, protocol, address, port, ttlMs }
    const out = (from: number, bits: number): LongStep => ({
      kind: 'packet',
      direction: 'from',
      frame: ipFrame({
        source: local,
        destination: address,
        sourceMac: WS_MAC,
        destinationMac: GATEWAY_MAC,
        payload: { kind: protocol, from, to: port, flags: bits },
      }),
    })
    const back: LongStep = {
      kind: 'packet',
      direction: 'to',
      frame: ipFrame({
        source: address,
        destination: local,
        sourceMac: GATEWAY_MAC,
        destinationMac: WS_MAC,
        payload: { kind: protocol, from: port, to: mine, flags: 0x12 },
      }),
    }
    const tail = [out(mine, 0x10), back, out(mine + 1, 0x02)]
    return [learn, out(mine, 0x02), back, ...between, ...tail, ...(again === 0 ? [learn, ...tail] : [])]
  })

/** A client that talks: its SYN, the answer, its next packet, with changes of plan in between. */
const conversation: fc.Arbitrary<readonly Step[]> = fc
  .tuple(
    fc.boolean(),
    fc.constantFrom(...LOCAL_PORTS),
    likely<number>(LIKELY_PORTS, PORTS),
    fc.boolean(),
    fc.array(fc.nat(2), { maxLength: 2 }),
  )
  .chain(([v6, mine, theirs, tcp, changes]) =>
    likely<string>(v6 ? LIKELY6 : LIKELY4, v6 ? PEERS6 : PEERS4).map((peer): readonly Step[] => {
      const end = v6 ? LOCAL6 : LOCAL4
      const kind = tcp ? 'tcp' : 'udp'
      const out = (bits: number): Step =>
        from(
          ipFrame({
            source: end,
            destination: peer,
            sourceMac: WS_MAC,
            destinationMac: GATEWAY_MAC,
            payload: { kind, from: mine, to: theirs, flags: bits },
          }),
        )
      const back: Step = {
        kind: 'packet',
        direction: 'to',
        frame: ipFrame({
          source: peer,
          destination: end,
          sourceMac: GATEWAY_MAC,
          destinationMac: WS_MAC,
          payload: { kind, from: theirs, to: mine, flags: 0x12 },
        }),
      }
      const change = changes.map((index): Step => ({ kind: 'plan', index }))
      return [out(0x02), back, out(0x10), ...change, out(0x10), back, out(0x02)]
    }),
  )

export interface Scenario {
  readonly plans: readonly Plan[]
  readonly steps: readonly Step[]
}

/** A client of the workspace: its SYN or datagram, the answer, and a reset or error about it. */
const visit: fc.Arbitrary<readonly Step[]> = fc
  .tuple(
    fc.boolean(),
    fc.constantFrom(22, 8080, 40000),
    fc.constantFrom('tcp' as const, 'udp' as const, 'echo' as const),
    fc.array(fc.nat(2), { maxLength: 1 }),
  )
  .chain(([v6, port, kind, changes]) =>
    fc.constantFrom(...(v6 ? LIKELY6 : LIKELY4)).map((peer): readonly Step[] => {
      const end = v6 ? LOCAL6 : LOCAL4
      const body = (inwards: boolean, bits: number): Payload =>
        kind === 'echo'
          ? { kind, reply: !inwards, identifier: 7 }
          : { kind, from: inwards ? 50000 : port, to: inwards ? port : 50000, flags: bits }
      const come = (bits: number): Step => ({
        kind: 'packet',
        direction: 'to',
        frame: ipFrame({
          source: peer,
          destination: end,
          sourceMac: GATEWAY_MAC,
          destinationMac: WS_MAC,
          payload: body(true, bits),
        }),
      })
      const answer = from(ipFrame({ source: end, destination: peer, payload: body(false, 0x12) }))
      return [
        come(0x02),
        answer,
        come(0x10),
        ...changes.map((index): Step => ({ kind: 'plan', index })),
        answer,
        come(0x10),
      ]
    }),
  )

/** Begins with `plans[0]` live. */
export const scenario = (length: number): fc.Arbitrary<Scenario> =>
  fc.record({
    plans,
    steps: fc
      .array(
        fc.oneof(
          { weight: 3, arbitrary: step.map((one): readonly Step[] => [one]) },
          { weight: 2, arbitrary: conversation },
          { weight: 1, arbitrary: visit },
        ),
        { minLength: 1, maxLength: length },
      )
      .map((groups) => groups.flat()),
  })

export interface LongScenario {
  readonly plans: readonly Plan[]
  readonly steps: readonly LongStep[]
}

/** As `scenario`, with names that are learnt, time that passes and agents that end. */
export const longScenario = (length: number): fc.Arbitrary<LongScenario> =>
  fc
    .tuple(
      scenario(length),
      fc.array(fc.tuple(fc.nat(40), lesson), { maxLength: 3 }),
      fc.array(fc.nat(3), { minLength: 3, maxLength: 3 }),
    )
    .map(([{ plans: list, steps }, lessons, names]) => ({
      plans: list.map((plan, i) => named(plan, i === 0 ? 3 : (names[i] ?? 0))),
      steps: lessons.reduce<readonly LongStep[]>(
        (all, [at, more]) => [...all.slice(0, at), ...more, ...all.slice(at)],
        steps,
      ),
    }))

const named = (plan: Plan, mask: number): Plan => ({
  ...plan,
  workspaces: plan.workspaces.map((at) => ({
    ...at,
    network: { ...at.network, idle: IDLE, names: NAMES.filter((_, i) => (mask >> i) % 2 === 1) },
  })),
})
