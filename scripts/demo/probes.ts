// The probes of the demo, as a table: what a workspace under the demo's policy may do, and everything around it that it may
// not. Every address and port answers when there is no fence, which is checked first; so each refusal is the fence's doing.

import { arpFrame, ipFrame, ipPacket, neighbourBody } from '../../test/support/frames.js'
import { OUT, WS, WS2 } from '../../test/support/lab/addresses.js'
import { http, inward, type Probe, ping, raw, rawUdp, tcp, udp } from './probe.js'

const allowed = (group: string, name: string) => ({ group, name, expect: 'allowed' }) as const
const refused = (group: string, name: string) => ({ group, name, expect: 'refused' }) as const
const dropped = (group: string, name: string) => ({ group, name, expect: 'dropped' }) as const
const lost = (group: string, name: string, because: string) => ({ group, name, because, expect: 'dropped' }) as const

const GRANTED = 'granted'
const NEXT_TO_IT = 'next to a grant'
const UNLISTED = 'unlisted and reserved'
export const INWARD = 'towards the workspace'
const FORGED = 'forged and malformed'

/** What the policy is for. */
const granted: readonly Probe[] = [
  http(allowed(GRANTED, 'HTTP git.example, IPv4'), 'git.example', OUT.git, 443),
  http(allowed(GRANTED, 'HTTP git.example, IPv6'), 'git.example', OUT.git6, 443),
  tcp(allowed(GRANTED, 'ssh git.example, IPv4'), OUT.git, 22),
  tcp(allowed(GRANTED, 'ssh git.example, IPv6'), OUT.git6, 22),
  http(allowed(GRANTED, 'HTTP registry.example'), 'registry.example', OUT.registry, 443),
  tcp(allowed(GRANTED, 'warehouse.corp.example, a pinned private address'), OUT.database, 5432),
  tcp(allowed(GRANTED, 'port range, first port'), OUT.inference, 8000),
  tcp(allowed(GRANTED, 'port range, middle'), OUT.inference, 8050),
  tcp(allowed(GRANTED, 'port range, last port'), OUT.inference, 8100),
  udp(allowed(GRANTED, 'UDP telemetry, IPv4'), OUT.registry, 5000),
  udp(allowed(GRANTED, 'UDP telemetry, IPv6'), OUT.git6, 5000),
  ping(allowed(GRANTED, 'echo to git.example, IPv4'), OUT.git),
  ping(allowed(GRANTED, 'echo to git.example, IPv6'), OUT.git6),
]

const nextToGrants: readonly Probe[] = [
  tcp(refused(NEXT_TO_IT, 'wrong port: registry.example port 22'), OUT.registry, 22),
  tcp(refused(NEXT_TO_IT, 'one past the port range'), OUT.inference, 8101),
  udp(refused(NEXT_TO_IT, 'wrong protocol: UDP to git.example port 443'), OUT.git, 443),
  tcp(refused(NEXT_TO_IT, 'wrong protocol: TCP to the UDP port'), OUT.registry, 5000),
  tcp(refused(NEXT_TO_IT, 'wrong port of the private address'), OUT.database, 22),
  tcp(refused(NEXT_TO_IT, 'control-plane port of a granted host'), OUT.git, 6443),
  ping(refused(NEXT_TO_IT, 'echo to registry.example'), OUT.registry),
  tcp(refused(NEXT_TO_IT, 'IPv6: wrong port'), OUT.git6, 5432),
]

const unlisted: readonly Probe[] = [
  http(refused(UNLISTED, 'HTTP other.example, IPv4'), 'other.example', OUT.unlisted, 443),
  http(refused(UNLISTED, 'HTTP other.example, IPv6'), 'other.example', OUT.unlisted6, 443),
  ping(refused(UNLISTED, 'echo to other.example'), OUT.unlisted),
  udp(refused(UNLISTED, 'another resolver, UDP port 53'), OUT.unlisted, 53),
  tcp(refused(UNLISTED, 'DNS over TLS, port 853'), OUT.unlisted, 853),
  http(refused(UNLISTED, 'metadata address, IPv4'), 'metadata.example', OUT.metadata, 80),
  http(refused(UNLISTED, 'metadata address, IPv6'), 'metadata.example', OUT.metadata6, 80),
  tcp(refused(UNLISTED, 'carrier-grade NAT range'), OUT.carrierNat, 22),
  tcp(refused(UNLISTED, 'TEST-NET'), OUT.testNet, 22),
  tcp(refused(UNLISTED, 'unique-local IPv6'), OUT.uniqueLocal6, 22),
  tcp(refused(UNLISTED, 'the enforcement node itself'), WS.gateway4, 22),
  tcp(refused(UNLISTED, 'another workspace'), WS2.v4, 22),
]

const inwards: readonly Probe[] = [
  inward(allowed(INWARD, 'ssh from the access broker'), OUT.broker, 'tcp', 22),
  inward(dropped(INWARD, 'ssh from somewhere else'), OUT.unlisted, 'tcp', 22),
  inward(dropped(INWARD, 'another port from the broker'), OUT.broker, 'tcp', 8080),
  inward(dropped(INWARD, 'UDP from the broker'), OUT.broker, 'udp', 5000),
  inward(dropped(INWARD, 'echo from outside'), OUT.broker, 'icmp-echo', 0),
  inward(dropped(INWARD, 'ssh over IPv6'), OUT.git6, 'tcp', 22),
]

const nop = Uint8Array.of(1, 1, 1, 1)

/** One datagram as two fragments, each with the mark. */
const fragments = (to: string, source: string) => (mark: Uint8Array) => {
  const data = new Uint8Array(32)
  data.set(mark)
  const whole = ipPacket({ source, destination: to, payload: { kind: 'udp', from: 41000, to: 5000, data } })
  const head = source.includes(':') ? 40 : 20
  const protocol = 17
  const piece = (bytes: Uint8Array, offset: number, more: boolean) =>
    ipFrame({ source, destination: to, fragment: { more, offset }, payload: { kind: 'raw', protocol, data: bytes } })
  const body = whole.subarray(head)
  return [piece(body.subarray(0, 24), 0, true), piece(body.subarray(24), 24, false)]
}

const forged: readonly Probe[] = [
  rawUdp({ ...allowed(FORGED, 'a proper raw frame, for comparison'), because: 'telemetry' }, { to: OUT.registry }),
  rawUdp(lost(FORGED, 'source address of somebody else', 'spoof'), { to: OUT.registry, source: '10.9.0.77' }),
  rawUdp(lost(FORGED, "the other workspace's address", 'spoof'), { to: OUT.registry, source: WS2.v4 }),
  rawUdp(lost(FORGED, 'source address of somebody else, IPv6', 'spoof'), {
    to: OUT.git6,
    source: 'fd09:0:0:1::77',
  }),
  rawUdp(lost(FORGED, 'source MAC of somebody else', 'spoof'), { to: OUT.registry, sourceMac: WS2.mac }),
  rawUdp({ ...lost(FORGED, 'VLAN tag', 'link-layer'), open: false }, { to: OUT.registry, vlan: 100 }),
  raw(lost(FORGED, 'fragments, IPv4', 'fragment'), fragments(OUT.registry, WS.v4)),
  raw(lost(FORGED, 'fragments, IPv6', 'fragment'), fragments(OUT.git6, WS.v6)),
  rawUdp(lost(FORGED, 'IPv4 options', 'malformed'), { to: OUT.registry, options: nop }),
  rawUdp(lost(FORGED, 'IPv6 hop-by-hop header', 'malformed'), { to: OUT.git6, extensions: [0] }),
  rawUdp(lost(FORGED, 'IPv6 destination options', 'malformed'), { to: OUT.git6, extensions: [60] }),
  raw({ ...lost(FORGED, 'TCP in the middle of no flow', 'no-flow'), stateless: 'allowed' }, (mark) => [
    ipFrame({
      source: WS.v4,
      destination: OUT.git,
      payload: { kind: 'tcp', from: 41001, to: 443, flags: 0x18, data: mark },
    }),
  ]),
  raw(lost(FORGED, 'another IP protocol (GRE)', 'no-grant'), (mark) => [
    ipFrame({ source: WS.v4, destination: OUT.git, payload: { kind: 'raw', protocol: 47, data: mark } }),
  ]),
  raw(lost(FORGED, 'ICMP error about no flow', 'icmp-error'), (mark) => {
    const about = ipPacket({
      source: OUT.git,
      destination: WS.v4,
      payload: { kind: 'udp', from: 5000, to: 41000, data: mark },
    })
    const body = new Uint8Array(4 + about.length)
    body.set(about, 4)
    return [ipFrame({ source: WS.v4, destination: OUT.git, payload: { kind: 'icmp', type: 3, code: 3, body } })]
  }),
  neighbourProbe('ARP: the workspace claims another MAC', WS.v4, (mac) => [
    arpFrame({ sourceMac: mac, senderIp: WS.v4, targetIp: WS.gateway4 }),
  ]),
  neighbourProbe('neighbour discovery: another MAC', WS.v6, (mac) => [
    ipFrame({
      sourceMac: mac,
      source: WS.v6,
      destination: WS.gateway6,
      hopLimit: 255,
      payload: { kind: 'icmp', type: 135, body: neighbourBody(WS.gateway6, [[1, mac]]) },
    }),
  ]),
]

const FORGED_MAC = '02:00:00:00:66:66'

/** Tries to poison the node's neighbour table; `allowed` means that it worked. */
function neighbourProbe(name: string, address: string, build: (mac: string) => readonly Uint8Array[]): Probe {
  return {
    group: FORGED,
    name,
    expect: 'dropped',
    because: 'link-layer',
    open: true,
    run: async ({ lab, sender, gateway }) => {
      await sender.send(build(FORGED_MAC))
      await new Promise((done) => setTimeout(done, 80))
      const { stdout } = await lab.exec('node', ['ip', 'neigh', 'show', address, 'dev', gateway])
      if (!stdout.includes(FORGED_MAC)) return 'dropped'
      await lab.exec('node', ['ip', 'neigh', 'flush', 'dev', gateway])
      return 'allowed'
    },
  }
}

export const PROBES: readonly Probe[] = [...granted, ...nextToGrants, ...unlisted, ...inwards, ...forged]
