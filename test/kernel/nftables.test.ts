// What the nftables ruleset does with single frames of a workspace: design section 5 in its order, each with the reason that is
// counted and whether anything leaves the node. Frames are raw, so that what no stack would send is sent too; every case that
// is refused has a neighbour that passes, or the table would hold for a cut cable as well.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { concat } from '../../src/base/bytes.js'
import type { DropReason } from '../../src/plan/state.js'
import { arpFrame, type FrameSpec, ipFrame, neighbourBody, type Payload } from '../support/frames.js'
import { OUT, UPLINK, WS, WS2 } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import type { SeenFrame, Sender, Sniffer } from '../support/lab/wire.js'
import { NftHarness, stateDirectory } from '../support/nftables/harness.js'
import { sliceOf, type Wanted } from '../support/nftables/slices.js'

const GRANTED: Wanted = {
  egress: [
    `tcp ${OUT.git} 443`,
    `udp ${OUT.git} 5000`,
    `tcp ${OUT.git6} 443`,
    `udp ${OUT.git6} 5000`,
    'tcp 45.76.10.16/28 8000-8100',
    'tcp 45.76.10.0/24 8050-8060',
    'tcp 0.0.0.0/0 22',
    `tcp ${OUT.inference} 6443`,
    `udp ${OUT.registry} 53`,
    'tcp 10.50.0.0/24 5432',
    `tcp ${OUT.uniqueLocal6} 5432`,
    `icmp-echo ${OUT.git}`,
    `icmp-echo ${OUT.git6}`,
    'icmp-echo 10.50.0.0/24',
  ],
  ingress: [`tcp ${OUT.broker} 22`, `icmp-echo ${OUT.broker}`],
  services: [{ name: 'dns', address: WS.gateway4, protocol: 'udp', port: 53 }],
}

const tcp = (to: number, more: Partial<Extract<Payload, { kind: 'tcp' }>> = {}): Payload => ({
  kind: 'tcp',
  from: 40000,
  to,
  ...more,
})
const udp = (to: number): Payload => ({ kind: 'udp', from: 40000, to })
const echo: Payload = { kind: 'echo' }
const v4 = (destination: string, payload: Payload, more: Partial<FrameSpec> = {}): Uint8Array =>
  ipFrame({ source: WS.v4, destination, payload, ...more })
const v6 = (destination: string, payload: Payload, more: Partial<FrameSpec> = {}): Uint8Array =>
  ipFrame({ source: WS.v6, destination, payload, ...more })
const SYN_ACK = 0x12
const ACK = 0x10

type Case = readonly [name: string, frame: Uint8Array, outcome: 'passes' | DropReason]

const FROM: readonly Case[] = [
  ['granted TCP', v4(OUT.git, tcp(443)), 'passes'],
  ['granted TCP, IPv6', v6(OUT.git6, tcp(443)), 'passes'],
  ['granted UDP', v4(OUT.git, udp(5000)), 'passes'],
  ['granted UDP, IPv6', v6(OUT.git6, udp(5000)), 'passes'],
  ['granted echo', v4(OUT.git, echo), 'passes'],
  ['granted echo, IPv6', v6(OUT.git6, echo), 'passes'],
  ['first port of a range', v4(OUT.registry, tcp(8000)), 'passes'],
  ['last port of a range', v4(OUT.registry, tcp(8100)), 'passes'],
  ['port beside a range', v4(OUT.registry, tcp(8101)), 'no-grant'],
  ['a wider prefix with a narrower range', v4(OUT.git, tcp(8055)), 'passes'],
  ['that prefix, outside the range', v4(OUT.git, tcp(8061)), 'no-grant'],
  ['a port of the whole internet', v4(OUT.unlisted, tcp(22)), 'passes'],
  ['wrong port', v4(OUT.git, tcp(80)), 'no-grant'],
  ['wrong protocol', v4(OUT.git, udp(443)), 'no-grant'],
  ['unlisted address', v4(OUT.unlisted, tcp(443)), 'no-grant'],
  ['unlisted address, IPv6', v6(OUT.unlisted6, tcp(443)), 'no-grant'],
  ['echo elsewhere', v4(OUT.registry, echo), 'no-grant'],
  ['another protocol', v4(OUT.git, { kind: 'raw', protocol: 47, data: new Uint8Array(16) }), 'no-grant'],
  ['a control-plane port', v4(OUT.git, tcp(6443)), 'control-port'],
  ['a control-plane port, granted by number', v4(OUT.inference, tcp(6443)), 'passes'],
  ['a resolver', v4(OUT.git, udp(53)), 'dns'],
  ['a resolver, granted by number', v4(OUT.registry, udp(53)), 'passes'],
  ['DNS over TLS', v4(OUT.git, tcp(853)), 'dns'],
  ['private, opened by its prefix', v4(OUT.database, tcp(5432)), 'passes'],
  ['private, opened for echo', v4(OUT.database, echo), 'passes'],
  ['unique local, opened', v6(OUT.uniqueLocal6, tcp(5432)), 'passes'],
  ['private, another port', v4(OUT.database, tcp(5433)), 'reserved'],
  ['private, not opened by 0.0.0.0/0', v4(OUT.broker, tcp(22)), 'reserved'],
  ['carrier-grade NAT', v4(OUT.carrierNat, tcp(22)), 'reserved'],
  ['TEST-NET', v4(OUT.testNet, tcp(22)), 'reserved'],
  ['echo to a private address', v4(OUT.broker, echo), 'reserved'],
  ['metadata', v4(OUT.metadata, tcp(22)), 'never'],
  ['metadata, IPv6', v6(OUT.metadata6, tcp(443)), 'never'],
  ['SYN and ACK without a flow', v4(OUT.git, tcp(443, { flags: SYN_ACK })), 'no-flow'],
  ['ACK without a flow', v4(OUT.git, tcp(443, { flags: ACK, from: 40001 })), 'no-flow'],
  ['ACK without a flow or grant', v4(OUT.git, tcp(81, { flags: ACK, from: 40001 })), 'no-grant'],
  ['echo reply nobody asked for', v4(OUT.git, { kind: 'echo', reply: true, identifier: 9 }), 'no-flow'],
  ['timestamp request', v4(OUT.git, { kind: 'icmp', type: 13, body: new Uint8Array(16) }), 'no-grant'],
  ['redirect', v4(OUT.git, { kind: 'icmp', type: 5, body: new Uint8Array(28) }), 'icmp-error'],
  ['unreachable', v4(OUT.git, { kind: 'icmp', type: 3, code: 4, body: new Uint8Array(28) }), 'icmp-error'],
  ['redirect, IPv6', v6(OUT.git6, { kind: 'icmp', type: 137, body: new Uint8Array(40) }), 'icmp-error'],
  ['foreign address', v4(OUT.git, tcp(443), { source: '10.9.0.99' }), 'spoof'],
  ["the neighbour's address", v4(OUT.git, tcp(443), { source: WS2.v4 }), 'spoof'],
  ['foreign address, IPv6', v6(OUT.git6, tcp(443), { source: 'fd09:0:0:1::99' }), 'spoof'],
  ['foreign MAC', v4(OUT.git, tcp(443), { sourceMac: WS2.mac }), 'spoof'],
  ['VLAN tag', v4(OUT.git, tcp(443), { vlan: 5 }), 'link-layer'],
  ['priority tag', v4(OUT.git, tcp(443), { vlan: 0 }), 'link-layer'],
  ['not IP', v4(OUT.git, tcp(443), { etherType: 0x88cc }), 'link-layer'],
  ['first fragment', v4(OUT.git, udp(5000), { fragment: { more: true, offset: 0 } }), 'fragment'],
  ['last fragment', v4(OUT.git, udp(5000), { fragment: { more: false, offset: 8 } }), 'fragment'],
  ['fragment, IPv6', v6(OUT.git6, udp(5000), { fragment: { more: true, offset: 0 } }), 'fragment'],
  ['IPv4 options', v4(OUT.git, tcp(443), { options: Uint8Array.of(1, 1, 1, 0) }), 'malformed'],
  ['hop-by-hop header', v6(OUT.git6, tcp(443), { extensions: [0] }), 'malformed'],
  ['destination options', v6(OUT.git6, tcp(443), { extensions: [60] }), 'malformed'],
  ['routing header', v6(OUT.git6, tcp(443), { extensions: [43] }), 'malformed'],
  ['UDP shorter than its header', v4(OUT.git, { kind: 'udp', from: 40000, to: 5000, length: 4 }), 'malformed'],
  ['DHCP', v4('255.255.255.255', { kind: 'udp', from: 68, to: 67 }), 'noise'],
  ['DHCPv6', v6('ff02::1:2', { kind: 'udp', from: 546, to: 547 }), 'noise'],
  ['router solicitation', v6('ff02::2', { kind: 'icmp', type: 133, body: new Uint8Array(4) }), 'noise'],
  ['MLD', v6('ff02::16', { kind: 'icmp', type: 143, body: new Uint8Array(8) }, { extensions: [0] }), 'noise'],
  ["the node's own service", v4(UPLINK.node.v4, tcp(8080)), 'no-grant'],
  ["the node's SSH, though 0.0.0.0/0 has port 22", v4(UPLINK.node.v4, tcp(22)), 'no-grant'],
  ['another port of the gateway', v4(WS.gateway4, udp(5353)), 'reserved'],
  ['solicitation for a stranger', neighbour('fd09:0:0:1::77', WS.v6), 'link-layer'],
  ['advertisement of the gateway', advert(WS.gateway6), 'link-layer'],
  ['solicitation that was forwarded', neighbour(WS.gateway6, WS.v6, { hopLimit: 64 }), 'link-layer'],
  ['ARP for a stranger', arpFrame({ senderIp: WS.v4, targetIp: '10.9.0.77' }), 'link-layer'],
  ['ARP in the name of the gateway', arpFrame({ senderIp: WS.gateway4, targetIp: WS.v4 }), 'link-layer'],
  [
    'ARP with another sender MAC',
    arpFrame({ senderIp: WS.v4, targetIp: WS.gateway4, senderMac: WS2.mac }),
    'link-layer',
  ],
]

function neighbour(target: string, source: string, more: Partial<FrameSpec> = {}): Uint8Array {
  const body = neighbourBody(target, source === '::' ? [] : [[1, WS.mac]])
  return v6(WS.gateway6, { kind: 'icmp', type: 135, body }, { hopLimit: 255, source, ...more })
}
function advert(target: string): Uint8Array {
  return v6(WS.gateway6, { kind: 'icmp', type: 136, body: neighbourBody(target, [[2, WS.mac]]) }, { hopLimit: 255 })
}

labSuite('nftables, frame by frame', () => {
  let lab: Lab
  let nft: NftHarness
  let fromWs: Sender
  let fromOut: Sender
  let atOut: Sniffer
  let atWs: Sniffer
  const state = stateDirectory()

  beforeAll(async () => {
    lab = await openLab()
    nft = await NftHarness.start(lab.namespace('node'), state.path)
    await nft.apply(sliceOf(1, GRANTED))
    fromWs = await lab.sender('ws', 'eth0')
    fromOut = await lab.sender('out', 'eth0')
    atOut = await lab.sniff('out', 'eth0')
    atWs = await lab.sniff('ws', 'eth0')
  })
  afterAll(async () => {
    await nft?.end()
    await lab?.close()
    state.remove()
  })

  const drops = async (): Promise<Readonly<Record<string, bigint>>> => (await nft.observe()).drops
  const changed = (before: Readonly<Record<string, bigint>>, after: Readonly<Record<string, bigint>>): string[] =>
    Object.keys(after).filter((reason) => after[reason] !== before[reason])
  /** What came in at an interface since the last look, without neighbour discovery, ARP and what is said to a group. */
  const arrived = (at: Sniffer): SeenFrame[] =>
    at.frames.splice(0).filter(({ way, bytes }) => way === 'in' && ((bytes[0] ?? 0) & 1) === 0 && !isNeighbourly(bytes))

  /** What came once the wire is quiet; what should pass is waited for, because the sniffer may be late on a busy machine. */
  const settled = async (at: Sniffer, outcome: string): Promise<SeenFrame[]> => {
    const seen: SeenFrame[] = []
    const untilMs = performance.now() + 3_000
    do {
      await at.settle(25)
      seen.push(...arrived(at))
    } while (outcome === 'passes' && seen.length === 0 && performance.now() < untilMs)
    return seen
  }

  /** The stacks around would answer raw frames, now and a second later, and announce themselves: they are kept quiet. */
  const quiet = async (on: boolean): Promise<void> => {
    const script = [
      'add table inet quiet',
      'add chain inet quiet c { type filter hook output priority 0; policy accept; }',
      'add rule inet quiet c meta l4proto { tcp, udp, icmp } drop',
      'add rule inet quiet c icmpv6 type { destination-unreachable, echo-reply, 130, 131, 132, 133, 143 } drop',
    ]
    for (const role of ['ws', 'ws2', 'out'] as const) {
      const done = await lab.exec(role, ['nft', on ? script.join('; ') : 'delete table inet quiet'])
      expect(done.status, done.stderr).toBe(0)
    }
  }

  describe('from the workspace', () => {
    beforeAll(() => quiet(true))
    afterAll(() => quiet(false))

    it.each(FROM)('%s: %#', async (_, frame, outcome) => {
      await forgetFlows(lab)
      await atOut.settle(10)
      arrived(atOut)
      const before = await drops()
      await fromWs.send([frame])
      const seen = await settled(atOut, outcome)
      expect(besides('noise', outcome, changed(before, await drops()))).toEqual(outcome === 'passes' ? [] : [outcome])
      expect(seen).toHaveLength(outcome === 'passes' ? 1 : 0)
    })

    it('answers ARP, probes and announcements of its own', async () => {
      const before = await drops()
      for (const frame of [
        arpFrame({ senderIp: WS.v4, targetIp: WS.gateway4 }),
        arpFrame({ senderIp: '0.0.0.0', targetIp: WS.v4 }),
        arpFrame({ senderIp: WS.v4, targetIp: WS.v4, operation: 2 }),
        neighbour(WS.gateway6, WS.v6),
        neighbour(WS.v6, '::'),
        advert(WS.v6),
      ])
        await fromWs.send([frame])
      await atWs.settle(20)
      expect(besides('noise', '', changed(before, await drops()))).toEqual([])
      expect(atWs.frames.some(({ way, bytes }) => way === 'in' && bytes[12] === 8 && bytes[13] === 6)).toBe(true)
    })
  })

  describe('towards the node', () => {
    it('reaches its own resolver and nothing else of the node', async () => {
      const node = await lab.station('node')
      await node.serveUdpEcho([WS.gateway4], [53, 54])
      await node.serveTcpEcho([22])
      expect(await lab.ws.udp({ host: WS.gateway4, port: 53 })).toMatchObject({ outcome: 'answered' })
      expect(await lab.ws.udp({ host: WS.gateway4, port: 54 })).toMatchObject({ outcome: 'prohibited' })
      expect(await lab.ws.tcp({ host: UPLINK.node.v4, port: 22 })).toMatchObject({ outcome: 'reset' })
      expect(await lab.ws2.udp({ host: WS2.gateway4, port: 53 })).toMatchObject({ outcome: 'prohibited' })
    })
  })

  describe('towards the workspace', () => {
    beforeAll(() => quiet(true))
    afterAll(() => quiet(false))

    const to = (payload: Payload, more: Partial<FrameSpec> = {}): Uint8Array =>
      ipFrame({
        sourceMac: UPLINK.out.mac,
        destinationMac: UPLINK.node.mac,
        source: OUT.broker,
        destination: WS.v4,
        payload,
        ...more,
      })
    const TO: readonly Case[] = [
      ['granted ingress', to(tcp(22)), 'passes'],
      ['granted echo', to(echo), 'passes'],
      ['another port', to(tcp(23)), 'no-flow'],
      ['another source', to(tcp(22), { source: OUT.git }), 'no-flow'],
      ['the other workspace', to(tcp(22), { destination: WS2.v4 }), 'no-flow'],
      ['not a first packet', to(tcp(22, { flags: ACK })), 'no-flow'],
      ['a reply to nothing', to(tcp(40000, { flags: SYN_ACK, from: 443 }), { source: OUT.git }), 'no-flow'],
      ['a fragment', to(udp(22), { fragment: { more: true, offset: 0 } }), 'fragment'],
      ['options', to(tcp(22), { options: Uint8Array.of(1, 1, 1, 0) }), 'malformed'],
      ['a redirect', to({ kind: 'icmp', type: 5, body: new Uint8Array(28) }), 'icmp-error'],
      ['an error about nothing', to({ kind: 'icmp', type: 3, body: quoted(OUT.git, 9, 9) }), 'icmp-error'],
      ['its own address from outside', to(tcp(22), { source: WS.v4, destination: OUT.git }), 'spoof'],
    ]

    it.each(TO)('%s', async (_, frame, outcome) => {
      await forgetFlows(lab)
      await atWs.settle(10)
      arrived(atWs)
      const before = await drops()
      await fromOut.send([frame])
      const seen = await settled(atWs, outcome)
      expect(besides('noise', outcome, changed(before, await drops()))).toEqual(outcome === 'passes' ? [] : [outcome])
      expect(seen).toHaveLength(outcome === 'passes' ? 1 : 0)
    })

    it('an error about a live flow passes, and a redirect about it does not', async () => {
      await fromWs.send([v4(OUT.git, { kind: 'udp', from: 41000, to: 5000 })])
      await atWs.settle(20)
      arrived(atWs)
      const about = quoted(OUT.git, 41000, 5000)
      await fromOut.send([to({ kind: 'icmp', type: 3, code: 3, body: about }, { source: OUT.git })])
      expect(await settled(atWs, 'passes')).toHaveLength(1)
      await fromOut.send([to({ kind: 'icmp', type: 5, code: 1, body: about }, { source: OUT.git })])
      await atWs.settle(25)
      expect(arrived(atWs)).toHaveLength(0)
    })
  })

  it('a workspace reaches another when both sides grant it, and not when one does', async () => {
    await lab.ws2.serveTcpEcho([2222])
    const out = { egress: [`tcp ${WS2.v4} 2222`] }
    const into = { ingress: [`tcp ${WS.v4} 2222`] }
    await nft.apply(sliceOf(2, out, {}))
    expect(await lab.ws.tcp({ host: WS2.v4, port: 2222, timeoutMs: 400 })).toMatchObject({ outcome: 'timeout' })
    await nft.apply(sliceOf(3, {}, into))
    expect(await lab.ws.tcp({ host: WS2.v4, port: 2222 })).toMatchObject({ outcome: 'reset' })
    await nft.apply(sliceOf(4, out, into))
    expect(await lab.ws.tcp({ host: WS2.v4, port: 2222, say: 'hi' })).toMatchObject({ outcome: 'connected' })
  })
})

/** An ICMP error's body: four unused octets, then the datagram that the workspace is said to have sent. */
function quoted(destination: string, from: number, to: number): Uint8Array {
  const frame = ipFrame({ source: WS.v4, destination, payload: { kind: 'udp', from, to } })
  return concat([new Uint8Array(4), frame.subarray(14)])
}

const forgetFlows = async (lab: Lab): Promise<void> => {
  await lab.exec('node', ['conntrack', '-F'])
}

const isNeighbourly = (frame: Uint8Array): boolean => {
  const etherType = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0)
  return etherType === 0x0806 || (etherType === 0x86dd && frame[20] === 58 && (frame[54] ?? 0) >= 133)
}

/** Every stack around announces itself when it likes, which is `noise`: it counts only where a case is about it. */
const besides = (reason: string, outcome: string, reasons: readonly string[]): readonly string[] =>
  outcome === reason ? reasons : reasons.filter((one) => one !== reason)
