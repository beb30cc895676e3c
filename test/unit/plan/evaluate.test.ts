// Section 5 of the design, step by step: each row is a packet and the verdict that the text gives it.

import { describe, expect, it } from 'vitest'
import { concat } from '../../../src/base/bytes.js'
import { evaluate } from '../../../src/plan/evaluate.js'
import { carryOver, withFlag } from '../../../src/plan/flow.js'
import type { Plan } from '../../../src/plan/model.js'
import { type Packet, readFrame } from '../../../src/plan/packet.js'
import { EMPTY_STATE, EXACT_ENV, type State, type Verdict } from '../../../src/plan/state.js'
import { arpFrame, type FrameSpec, ipFrame, ipPacket, neighbourBody, u32 } from '../../support/frames.js'
import { egress, GATEWAY_MAC, ingress, MEMORY, planOf, policy, WS, WS_MAC } from '../../support/plans.js'

const V4 = '10.9.0.2'
const V6 = 'fd09:0:0:1::2'
const LINK_LOCAL = 'fe80::ff:fe00:902'
const WEB = '93.184.216.34'

const CLAUSES = [
  egress('web', [WEB, '2a05:9:9::10'], 'tcp', ['443', '8000-8100']),
  egress('syslog', ['45.76.10.20'], 'udp', ['514']),
  egress('ping', [WEB, '2a05:9:9::10'], 'icmp-echo'),
  egress('database', ['10.50.0.0/24'], 'tcp', ['5432']),
  egress('everything-ssh', ['0.0.0.0/0'], 'tcp', ['22']),
  egress('wide', ['45.76.10.30'], 'tcp', ['1-65535']),
  egress('resolver', ['45.76.10.53'], 'udp', ['53']),
  ingress('broker', ['10.60.0.1/32'], 'tcp', ['22']),
]
const PLAN = planOf(CLAUSES)
const T0 = 1_000_000

const tcp = (
  destination: string,
  to: number,
  more: Partial<FrameSpec> & { flags?: number; from?: number } = {},
): Packet =>
  readFrame(
    ipFrame({
      source: destination.includes(':') ? V6 : V4,
      destination,
      payload: { kind: 'tcp', from: more.from ?? 40000, to, flags: more.flags ?? 0x02 },
      ...more,
    }),
    'from',
  )
const udp = (destination: string, to: number): Packet =>
  readFrame(
    ipFrame({ source: destination.includes(':') ? V6 : V4, destination, payload: { kind: 'udp', from: 40000, to } }),
    'from',
  )
const back = (source: string, from: number, flags = 0x12, to = 40000): Packet =>
  readFrame(
    ipFrame({
      source,
      destination: source.includes(':') ? V6 : V4,
      sourceMac: GATEWAY_MAC,
      destinationMac: WS_MAC,
      payload: { kind: 'tcp', from, to, flags },
    }),
    'to',
  )

const judge = (packet: Packet, state: State = EMPTY_STATE, nowMs = T0, plan: Plan = PLAN) =>
  evaluate(plan, state, WS, packet, nowMs, EXACT_ENV)
const said = (verdict: Verdict): string =>
  verdict.kind === 'allow' ? `allow ${verdict.reason}` : `${verdict.reason} ${verdict.refusal}`

describe('one packet on its own', () => {
  const from = (spec: FrameSpec): Packet => readFrame(ipFrame(spec), 'from')
  const syn = { kind: 'tcp', from: 40000, to: 443 } as const
  const cases: readonly (readonly [string, Packet, string])[] = [
    ['granted address and port', tcp(WEB, 443), 'allow static-grant'],
    ['granted IPv6', tcp('2a05:9:9::10', 443), 'allow static-grant'],
    ['first port of a range', tcp(WEB, 8000), 'allow static-grant'],
    ['last port of a range', tcp(WEB, 8100), 'allow static-grant'],
    ['one below a range', tcp(WEB, 7999), 'no-grant tcp-reset'],
    ['one above a range', tcp(WEB, 8101), 'no-grant tcp-reset'],
    ['wrong protocol', udp(WEB, 443), 'no-grant icmp-prohibited'],
    ['granted datagram', udp('45.76.10.20', 514), 'allow static-grant'],
    ['unlisted address', tcp('93.184.216.35', 443), 'no-grant tcp-reset'],
    ['unlisted IPv6', tcp('2a05:9:9::11', 443), 'no-grant tcp-reset'],
    ['any public address on 22', tcp('8.8.8.8', 22), 'allow static-grant'],
    ['0.0.0.0/0 opens no private address', tcp('192.168.1.1', 22), 'reserved tcp-reset'],
    ['0.0.0.0/0 opens no TEST-NET', tcp('192.0.2.1', 22), 'reserved tcp-reset'],
    ['a prefix inside one reserved range opens it', tcp('10.50.0.7', 5432), 'allow static-grant'],
    ['its neighbour stays closed', tcp('10.50.1.7', 5432), 'reserved tcp-reset'],
    ['metadata', tcp('169.254.169.254', 22), 'never tcp-reset'],
    ['metadata that looks public', tcp('168.63.129.16', 22), 'never tcp-reset'],
    ['loopback', tcp('127.0.0.1', 22), 'never tcp-reset'],
    ['v4-mapped', tcp('::ffff:93.184.216.34', 443), 'never tcp-reset'],
    ['NAT64', tcp('64:ff9b::5db8:d822', 443), 'reserved tcp-reset'],
    ['another resolver', udp('8.8.8.8', 53), 'dns icmp-prohibited'],
    ['a resolver granted by number', udp('45.76.10.53', 53), 'allow static-grant'],
    ['DNS over TLS', tcp('8.8.8.8', 853), 'dns tcp-reset'],
    ['a wide range holds port 54', tcp('45.76.10.30', 54), 'allow static-grant'],
    ['a wide range leaves out 53', tcp('45.76.10.30', 53), 'dns tcp-reset'],
    ['a wide range leaves out 853', tcp('45.76.10.30', 853), 'dns tcp-reset'],
    ['a wide range leaves out etcd', tcp('45.76.10.30', 2379), 'control-port tcp-reset'],
    ['a wide range holds the ports beside etcd', tcp('45.76.10.30', 2378), 'allow static-grant'],
    ['not a first packet', tcp(WEB, 443, { flags: 0x10 }), 'no-flow tcp-reset'],
    ['SYN and FIN together', tcp(WEB, 443, { flags: 0x03 }), 'no-flow tcp-reset'],
    ['a reset is never answered', tcp(WEB, 444, { flags: 0x04 }), 'no-grant silent'],
    [
      'echo to a granted address',
      from({ source: V4, destination: WEB, payload: { kind: 'echo' } }),
      'allow static-grant',
    ],
    [
      'echo to another',
      from({ source: V4, destination: '8.8.8.8', payload: { kind: 'echo' } }),
      'no-grant icmp-prohibited',
    ],
    [
      'echo reply to nobody',
      from({ source: V4, destination: WEB, payload: { kind: 'echo', reply: true } }),
      'no-flow icmp-prohibited',
    ],
    [
      'timestamp request',
      from({ source: V4, destination: WEB, payload: { kind: 'icmp', type: 13, body: new Uint8Array(16) } }),
      'no-grant icmp-prohibited',
    ],
    [
      'redirect',
      from({ source: V4, destination: WEB, payload: { kind: 'icmp', type: 5, body: new Uint8Array(32) } }),
      'icmp-error silent',
    ],
    [
      'SCTP',
      from({ source: V4, destination: WEB, payload: { kind: 'raw', protocol: 132, data: new Uint8Array(20) } }),
      'no-grant icmp-prohibited',
    ],
    ['multicast is never answered', udp('239.1.2.3', 514), 'never silent'],
    ['other source address', from({ source: '10.9.0.3', destination: WEB, payload: syn }), 'spoof silent'],
    [
      'other source MAC',
      from({ source: V4, destination: WEB, sourceMac: '02:00:00:00:09:ff', payload: syn }),
      'spoof silent',
    ],
    [
      'link-local source to the world',
      from({ source: LINK_LOCAL, destination: '2a05:9:9::11', payload: syn }),
      'no-grant tcp-reset',
    ],
    ['VLAN tag', from({ source: V4, destination: WEB, vlan: 7, payload: syn }), 'link-layer silent'],
    [
      'another ether type',
      from({ source: V4, destination: WEB, etherType: 0x88cc, payload: syn }),
      'link-layer silent',
    ],
    [
      'first fragment',
      from({ source: V4, destination: WEB, fragment: { more: true, offset: 0 }, payload: syn }),
      'fragment silent',
    ],
    [
      'later fragment',
      from({ source: V4, destination: WEB, fragment: { more: false, offset: 64 }, payload: syn }),
      'fragment silent',
    ],
    [
      'IPv6 fragment',
      from({ source: V6, destination: '2a05:9:9::10', fragment: { more: true, offset: 0 }, payload: syn }),
      'fragment silent',
    ],
    [
      'IPv4 options',
      from({ source: V4, destination: WEB, options: new Uint8Array([7, 4, 4, 0]), payload: syn }),
      'malformed silent',
    ],
    [
      'IPv6 destination options',
      from({ source: V6, destination: '2a05:9:9::10', extensions: [60], payload: syn }),
      'malformed silent',
    ],
    [
      'IPv6 routing header',
      from({ source: V6, destination: '2a05:9:9::10', extensions: [43], payload: syn }),
      'malformed silent',
    ],
    [
      'UDP length beyond the packet',
      from({ source: V4, destination: '45.76.10.20', payload: { kind: 'udp', from: 1, to: 514, length: 99 } }),
      'malformed silent',
    ],
    [
      'TCP header cut short',
      from({ source: V4, destination: WEB, payload: { kind: 'raw', protocol: 6, data: new Uint8Array(12) } }),
      'malformed silent',
    ],
    [
      'DHCP',
      from({ source: '0.0.0.0', destination: '255.255.255.255', payload: { kind: 'udp', from: 68, to: 67 } }),
      'noise silent',
    ],
    [
      'router solicitation',
      from({
        source: LINK_LOCAL,
        destination: 'ff02::2',
        hopLimit: 255,
        payload: { kind: 'icmp', type: 133, body: u32(0) },
      }),
      'noise silent',
    ],
    [
      'MLD report',
      from({
        source: LINK_LOCAL,
        destination: 'ff02::16',
        extensions: [0],
        payload: { kind: 'icmp', type: 143, body: u32(0) },
      }),
      'noise silent',
    ],
    ['empty frame', readFrame(new Uint8Array(5), 'from'), 'link-layer silent'],
    [
      'IP header cut short',
      readFrame(ipFrame({ source: V4, destination: WEB, payload: syn }).subarray(0, 30), 'from'),
      'link-layer silent',
    ],
    [
      'total length beyond the frame',
      readFrame(ipFrame({ source: V4, destination: WEB, payload: syn }).subarray(0, 50), 'from'),
      'malformed silent',
    ],
    ['ARP for the gateway', readFrame(arpFrame({ senderIp: V4, targetIp: '10.9.0.1' }), 'from'), 'allow neighbour'],
    [
      'ARP probe of the own address',
      readFrame(arpFrame({ senderIp: '0.0.0.0', targetIp: V4 }), 'from'),
      'allow neighbour',
    ],
    ['ARP for a neighbour', readFrame(arpFrame({ senderIp: V4, targetIp: '10.9.0.6' }), 'from'), 'link-layer silent'],
    [
      'ARP in the gateway name',
      readFrame(arpFrame({ senderIp: '10.9.0.1', targetIp: V4 }), 'from'),
      'link-layer silent',
    ],
    [
      'ARP with another sender MAC',
      readFrame(arpFrame({ senderIp: V4, senderMac: GATEWAY_MAC, targetIp: '10.9.0.1' }), 'from'),
      'link-layer silent',
    ],
  ]
  it.each(cases)('%s', (_name, packet, expected) => {
    expect(said(judge(packet).verdict)).toBe(expected)
  })

  const solicit = (source: string, target: string, option?: readonly [number, string], hopLimit = 255): Packet =>
    from({
      source,
      destination: 'ff02::1:ff00:1',
      hopLimit,
      payload: { kind: 'icmp', type: 135, body: neighbourBody(target, option ? [option] : []) },
    })
  it.each([
    ['solicitation for the gateway', solicit(V6, 'fd09:0:0:1::1', [1, WS_MAC]), 'allow neighbour'],
    ['solicitation for its link-local', solicit(LINK_LOCAL, 'fe80::ff:fe00:901', [1, WS_MAC]), 'allow neighbour'],
    ['duplicate address detection', solicit('::', V6), 'allow neighbour'],
    ['detection of another address', solicit('::', 'fd09:0:0:1::9'), 'link-layer silent'],
    ['forged link-layer option', solicit(V6, 'fd09:0:0:1::1', [1, GATEWAY_MAC]), 'link-layer silent'],
    ['forwarded solicitation', solicit(V6, 'fd09:0:0:1::1', [1, WS_MAC], 64), 'link-layer silent'],
    ['solicitation for a neighbour', solicit(V6, 'fd09:0:0:1::7', [1, WS_MAC]), 'link-layer silent'],
  ])('%s', (_name, packet, expected) => {
    expect(said(judge(packet).verdict)).toBe(expected)
  })
})

describe('flows', () => {
  const opened = judge(tcp(WEB, 443)).state

  it('a reply needs the flow that it replies to', () => {
    expect(said(judge(back(WEB, 443)).verdict)).toBe('no-flow silent')
    expect(said(judge(back(WEB, 443), opened).verdict)).toBe('allow egress-reply')
    expect(said(judge(back(WEB, 443, 0x12, 40001), opened).verdict)).toBe('no-flow silent')
  })

  it('only an allowed first packet makes a flow', () => {
    const refused = judge(tcp(WEB, 444)).state
    expect(refused.flows.size).toBe(0)
    expect(opened.flows.size).toBe(1)
  })

  it('an idle flow is forgotten', () => {
    const late = T0 + (PLAN.workspaces[0]?.network.idle.tcpMs ?? 0) + 1
    expect(said(judge(tcp(WEB, 443, { flags: 0x10 }), opened, late).verdict)).toBe('no-flow tcp-reset')
    expect(said(judge(tcp(WEB, 443, { flags: 0x10 }), opened, late - 1).verdict)).toBe('allow flow')
  })

  it('removing the grant cuts the flow, and giving it back revives nothing', () => {
    const without = planOf(CLAUSES.slice(1))
    const cut = carryOver(opened, without, 2)
    expect(cut.flows.size).toBe(0)
    const again = carryOver(cut, PLAN, 3)
    expect(said(judge(tcp(WEB, 443, { flags: 0x10 }), again).verdict)).toBe('no-flow tcp-reset')
    expect(said(judge(tcp(WEB, 443), again).verdict)).toBe('allow static-grant')
  })

  it('a flow that meets a plan without its grant is destroyed at once', () => {
    const without = planOf(CLAUSES.slice(1))
    const outcome = judge(tcp(WEB, 443, { flags: 0x10 }), opened, T0, without)
    expect(said(outcome.verdict)).toBe('no-grant tcp-reset')
    expect(outcome.state.flows.size).toBe(0)
  })

  it('a flow whose grant stays is not disturbed by a change of plan', () => {
    const other = planOf([...CLAUSES.slice(0, 1), egress('new', ['1.1.1.1'], 'tcp', ['443'])])
    const kept = carryOver(opened, other, 2)
    expect(said(judge(tcp(WEB, 443, { flags: 0x10 }), kept, T0 + 5, other).verdict)).toBe('allow flow')
  })

  it('ingress: a flow that lost its grant is destroyed by its next packet, and its grant given again revives nothing', () => {
    const inbound = (flags: number) => {
      const payload = { kind: 'tcp', from: 50_000, to: 22, flags } as const
      const macs = { sourceMac: GATEWAY_MAC, destinationMac: WS_MAC }
      return readFrame(ipFrame({ source: '10.60.0.1', destination: V4, ...macs, payload }), 'to')
    }
    const opened = evaluate(PLAN, EMPTY_STATE, WS, inbound(0x02), T0, EXACT_ENV)
    expect(opened.state.flows.size).toBe(1)
    const without = planOf(CLAUSES.filter((clause) => clause.kind !== 'ingress'))
    const answer = { kind: 'tcp', from: 22, to: 50_000, flags: 0x10 } as const
    const reply = readFrame(ipFrame({ source: V4, destination: '10.60.0.1', payload: answer }), 'from')
    expect(evaluate(PLAN, opened.state, WS, reply, T0, EXACT_ENV).verdict.kind).toBe('allow')
    const cut = evaluate(without, opened.state, WS, reply, T0, EXACT_ENV)
    expect(cut.verdict).toMatchObject({ kind: 'drop', reason: 'no-grant' })
    expect(cut.state.flows.size).toBe(0)
    expect(evaluate(PLAN, cut.state, WS, inbound(0x10), T0, EXACT_ENV).verdict.kind).toBe('drop')
  })

  it('ingress: granted sources come in, their replies go out, others do not', () => {
    const knock = (source: string, to: number, flags = 0x02): Packet =>
      readFrame(
        ipFrame({ source, destination: V4, sourceMac: GATEWAY_MAC, payload: { kind: 'tcp', from: 50000, to, flags } }),
        'to',
      )
    const inside = judge(knock('10.60.0.1', 22))
    expect(said(inside.verdict)).toBe('allow ingress-grant')
    expect(said(judge(knock('10.60.0.2', 22)).verdict)).toBe('no-flow silent')
    expect(said(judge(knock('10.60.0.1', 23)).verdict)).toBe('no-flow silent')
    expect(said(judge(knock('10.60.0.1', 22, 0x10)).verdict)).toBe('no-flow silent')
    const reply = readFrame(
      ipFrame({ source: V4, destination: '10.60.0.1', payload: { kind: 'tcp', from: 22, to: 50000, flags: 0x12 } }),
      'from',
    )
    expect(said(judge(reply, inside.state).verdict)).toBe('allow ingress-reply')
    expect(said(judge(reply).verdict)).toBe('reserved tcp-reset')
  })

  it('an error towards the workspace passes only when it quotes a live flow', () => {
    const quoted = ipPacket({
      source: V4,
      destination: WEB,
      payload: { kind: 'tcp', from: 40000, to: 443, flags: 0x10 },
    })
    const error = (type: number, quote: Uint8Array): Packet =>
      readFrame(
        ipFrame({
          source: '80.80.80.80',
          destination: V4,
          sourceMac: GATEWAY_MAC,
          payload: { kind: 'icmp', type, code: 4, body: concat([u32(1400), quote]) },
        }),
        'to',
      )
    expect(said(judge(error(3, quoted), opened).verdict)).toBe('allow icmp-error')
    expect(said(judge(error(3, quoted)).verdict)).toBe('icmp-error silent')
    expect(said(judge(error(5, quoted), opened).verdict)).toBe('icmp-error silent')
    expect(said(judge(error(3, quoted.subarray(0, 20)), opened).verdict)).toBe('icmp-error silent')
    // Another clause keeps the flow: the verdict names that one, and no clause that is gone.
    const other = egress('other', ['93.184.0.0/16'], 'tcp', ['443'])
    const next = planOf([other])
    const carried = carryOver(opened, next, 2)
    expect(judge(error(3, quoted), carried, T0, next).verdict).toMatchObject({
      kind: 'allow',
      clause: other.id,
      grant: 'egress/tcp/93.184.0.0/16/443',
    })
  })
})

describe('names', () => {
  const named = planOf([egress('api', ['api.example.com'], 'tcp', ['443'])], {}, { ...MEMORY, names: true })
  const clause = named.workspaces[0]?.network.names[0]?.clause ?? 'sha256:'
  const learned: State = {
    ...EMPTY_STATE,
    learned: [
      {
        workspace: WS,
        clause,
        name: 'api.example.com',
        protocol: 'tcp',
        address: WEB,
        port: 443,
        generation: 1,
        expiresAtMs: T0 + 1000,
      },
      {
        workspace: WS,
        clause,
        name: 'api.example.com',
        protocol: 'tcp',
        address: '10.1.1.1',
        port: 443,
        generation: 1,
        expiresAtMs: T0 + 1000,
      },
    ],
  }

  it('a learned grant opens its address until it expires; live flows go on', () => {
    const first = judge(tcp(WEB, 443), learned, T0, named)
    expect(said(first.verdict)).toBe('allow learned-grant')
    expect(said(judge(tcp(WEB, 443, { from: 40001 }), learned, T0 + 1000, named).verdict)).toBe('no-grant tcp-reset')
    expect(said(judge(tcp(WEB, 443, { flags: 0x10 }), first.state, T0 + 5000, named).verdict)).toBe('allow flow')
  })

  it('a resolved name never opens a reserved address', () => {
    expect(said(judge(tcp('10.1.1.1', 443), learned, T0, named).verdict)).toBe('reserved tcp-reset')
  })

  it('removing the clause cuts what was learnt from it', () => {
    const first = judge(tcp(WEB, 443), learned, T0, named)
    const gone = carryOver(first.state, planOf(CLAUSES.slice(1)), 2)
    expect(gone.learned).toEqual([])
    expect(gone.flows.size).toBe(0)
  })
})

describe('flags', () => {
  it.each(['quarantined', 'suspended'] as const)('%s stops everything, ARP too, and cuts flows for good', (flag) => {
    const opened = judge(tcp(WEB, 443)).state
    const held = withFlag(opened, flag, WS, true)
    expect(said(judge(tcp(WEB, 443), held).verdict)).toBe(`${flag} silent`)
    expect(said(judge(back(WEB, 443), held).verdict)).toBe(`${flag} silent`)
    expect(said(judge(readFrame(arpFrame({ senderIp: V4, targetIp: '10.9.0.1' }), 'from'), held).verdict)).toBe(
      `${flag} silent`,
    )
    const lifted = withFlag(held, flag, WS, false)
    expect(said(judge(tcp(WEB, 443, { flags: 0x10 }), lifted).verdict)).toBe('no-flow tcp-reset')
    expect(said(judge(tcp(WEB, 443), lifted).verdict)).toBe('allow static-grant')
  })

  it('a workspace that the plan does not know is denied', () => {
    expect(said(evaluate(PLAN, EMPTY_STATE, 'spiffe://example.org/other', tcp(WEB, 443), T0, EXACT_ENV).verdict)).toBe(
      'not-attached silent',
    )
  })

  it('a workspace without a policy is denied everything', () => {
    const empty = planOf([], { appliesTo: ['spiffe://example.org/nobody'] })
    expect(said(judge(tcp(WEB, 443), EMPTY_STATE, T0, empty).verdict)).toBe('no-grant tcp-reset')
    expect(policy([]).clauses).toEqual([])
  })
})
