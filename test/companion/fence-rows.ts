// What root in a machine tries, as a table: what its policy is for, what lies next to it, what is reserved, and frames that no stack would
// send. A frame carries a mark; what the mark may do is on the row: `passes` must be seen at the uplink, everything else never. Every
// egress row of the demo (scripts/demo/probes.ts) has its row here: a socket's by the question that it stands for, a frame's by its name.

import { arpFrame, type FrameSpec, ipFrame, ipPacket, neighbourBody } from '../support/frames.js'
import { isV6, OUT, UPLINK, WS, WS2 } from '../support/lab/addresses.js'

export interface SocketRow {
  readonly name: string
  readonly line: string
  readonly expect: RegExp
  readonly passes: boolean
  /** As `sluice explain` takes it. */
  readonly question: string
}
export interface FrameRow {
  readonly name: string
  readonly frames: readonly Uint8Array[]
  readonly passes: boolean
  /** What no other frame has. */
  readonly mark: Uint8Array
}

export const connected = /^connected$/
export const refused = /^(reset|prohibited)$/
const answered = /^answered$/
/** Refusals in ICMP are limited in number. */
export const unanswered = /^(prohibited|reset|timeout)$/
/** Of two seconds each: a datagram that is answered may be lost on a loaded machine, one that is refused is tried once. */
const TRIES = 20

const own = (to: string): string => (isV6(to) ? WS.v6 : WS.v4)
const bracketed = (address: string): string => (isV6(address) ? `[${address}]` : address)
const asked = (protocol: string, to: string, port: number): string =>
  `${protocol} ${bracketed(own(to))}:40000 > ${bracketed(to)}:${port}`
const tries = (expect: RegExp): number => (expect === answered ? TRIES : 1)

export const tcp = (name: string, address: string, port: number, expect: RegExp): SocketRow => ({
  ...{ name, expect, passes: expect === connected, question: asked('tcp', address, port) },
  line: `tcp ${name} ${address} ${port}`,
})
const udp = (name: string, address: string, port: number, expect: RegExp): SocketRow => ({
  ...{ name, expect, passes: expect === answered, question: asked('udp', address, port) },
  line: `udp ${name} ${address} ${port} ${tries(expect)}`,
})
const ping = (name: string, address: string, expect: RegExp): SocketRow => ({
  ...{ name, expect, passes: expect === answered },
  question: `icmp-echo ${bracketed(own(address))} > ${bracketed(address)}`,
  line: `ping ${name} ${address} ${tries(expect)}`,
})

/** The document's egress list but for names that are resolved, as the demo's policy has it. */
export const EGRESS = `  - {name: git-forge, hosts: [git.example], protocol: tcp, ports: [22, 443]}
  - {name: package-registry, hosts: [registry.example], protocol: tcp, ports: [443]}
  - {name: warehouse, hosts: [warehouse.corp.example], protocol: tcp, ports: [5432]}
  - {name: model-shards, cidrs: ["${OUT.inference}/32"], protocol: tcp, ports: ["8000-8100"]}
  - {name: telemetry, cidrs: ["${OUT.registry}/32", "${OUT.git6}/128"], protocol: udp, ports: [5000]}
  - {name: forge-ping, cidrs: ["${OUT.git}/32", "${OUT.git6}/128"], protocol: icmp-echo}
`
/** The signed addresses of its names: a private one is opened by nothing else. */
export const PINS: Readonly<Record<string, readonly string[]>> = {
  'git.example': [OUT.git, OUT.git6],
  'registry.example': [OUT.registry],
  'warehouse.corp.example': [OUT.database],
}
/** Protocol, address and port (for ICMP the type) of everything that these rows are granted. */
export const MAY_PASS: readonly string[] = [
  ...[`6 ${OUT.git} 22`, `6 ${OUT.git} 443`, `6 ${OUT.git6} 22`, `6 ${OUT.git6} 443`],
  ...[`6 ${OUT.registry} 443`, `6 ${OUT.database} 5432`],
  ...[8000, 8050, 8100].map((port) => `6 ${OUT.inference} ${port}`),
  ...[`17 ${OUT.registry} 5000`, `17 ${OUT.git6} 5000`],
  ...[`1 ${OUT.git} 8`, `58 ${OUT.git6} 128`],
]

export const SOCKETS: readonly SocketRow[] = [
  tcp('granted', OUT.git, 443, connected),
  tcp('granted-six', OUT.git6, 443, connected),
  tcp('granted-ssh', OUT.git, 22, connected),
  tcp('granted-ssh-six', OUT.git6, 22, connected),
  tcp('granted-registry', OUT.registry, 443, connected),
  tcp('granted-private', OUT.database, 5432, connected),
  tcp('range-first', OUT.inference, 8000, connected),
  tcp('range-middle', OUT.inference, 8050, connected),
  tcp('range-last', OUT.inference, 8100, connected),
  udp('granted-udp', OUT.registry, 5000, answered),
  udp('granted-udp-six', OUT.git6, 5000, answered),
  ping('granted-echo', OUT.git, answered),
  ping('granted-echo-six', OUT.git6, answered),
  tcp('range-one-past', OUT.inference, 8101, refused),
  tcp('wrong-port', OUT.registry, 22, refused),
  tcp('control-plane-port', OUT.git, 6443, refused),
  tcp('wrong-protocol', OUT.registry, 5000, refused),
  udp('wrong-protocol-udp', OUT.git, 443, unanswered),
  tcp('six-wrong-port', OUT.git6, 5432, refused),
  tcp('private-wrong-port', OUT.database, 22, refused),
  ping('echo-not-granted', OUT.registry, unanswered),
  tcp('unlisted', OUT.unlisted, 443, refused),
  tcp('unlisted-six', OUT.unlisted6, 443, refused),
  ping('unlisted-echo', OUT.unlisted, unanswered),
  ping('unlisted-echo-six', OUT.unlisted6, unanswered),
  tcp('dns-over-tls', OUT.unlisted, 853, refused),
  udp('another-resolver', OUT.unlisted, 53, unanswered),
  udp('time', OUT.unlisted, 123, unanswered),
  tcp('carrier-nat', OUT.carrierNat, 22, refused),
  tcp('test-net', OUT.testNet, 22, refused),
  tcp('metadata', OUT.metadata, 80, refused),
  tcp('metadata-six', OUT.metadata6, 80, refused),
  tcp('unique-local-six', OUT.uniqueLocal6, 22, refused),
  tcp('the-node', WS.gateway4, 22, refused),
  tcp('another-workspace', WS2.v4, 22, refused),
]

const text = new TextEncoder()
let rows = 0
const row = (name: string, build: (mark: Uint8Array) => readonly Uint8Array[], passes = false): FrameRow => {
  const mark = text.encode(`sluice-frame-${String(++rows).padStart(3, '0')}`)
  return { name, mark, passes, frames: build(mark) }
}
/** A datagram to a granted port, with something about it. */
const datagram = (name: string, to: string, wrong: Partial<FrameSpec> = {}, passes = false): FrameRow =>
  row(
    name,
    (mark) => [
      ipFrame({
        source: own(to),
        destination: to,
        ...wrong,
        payload: { kind: 'udp', from: 41000, to: 5000, data: mark },
      }),
    ],
    passes,
  )
const raw = (name: string, protocol: number, to: string): FrameRow =>
  row(name, (mark) => [ipFrame({ source: own(to), destination: to, payload: { kind: 'raw', protocol, data: mark } })])
const ethernet = (name: string, type: number, destinationMac = WS.gatewayMac): FrameRow =>
  row(name, (mark) => [
    ipFrame({
      ...{ destinationMac, etherType: type, source: WS.v4, destination: OUT.registry },
      payload: { kind: 'udp', from: 41000, to: 5000, data: mark },
    }),
  ])

function fragments(to: string, mark: Uint8Array): readonly Uint8Array[] {
  const data = new Uint8Array(40)
  data.set(mark)
  const source = own(to)
  const whole = ipPacket({ source, destination: to, payload: { kind: 'udp', from: 41000, to: 5000, data } })
  const body = whole.subarray(isV6(to) ? 40 : 20)
  const piece = (bytes: Uint8Array, offset: number, more: boolean) =>
    ipFrame({
      source,
      destination: to,
      fragment: { more, offset },
      payload: { kind: 'raw', protocol: 17, data: bytes },
    })
  return [piece(body.subarray(0, 24), 0, true), piece(body.subarray(24), 24, false)]
}

/** A question for a name that carries data, as iodine (NULL, type 10) and dns2tcp (TXT, type 16) ask it; RFC 1035 section 4. */
const tunnel = (name: string, to: string, type: number, source = own(to)): FrameRow =>
  row(name, (mark) => {
    const hex = Buffer.from(mark).toString('hex')
    const labels = [hex, hex, 'tunnel', 'example'].flatMap((label) => [label.length, ...text.encode(label)])
    const head = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    const data = Uint8Array.from([...head, ...labels, 0, 0, type, 0, 1, ...mark])
    return [ipFrame({ source, destination: to, payload: { kind: 'udp', from: 41053, to: 53, data } })]
  })

const FORGED_MAC = '02:00:00:00:66:66'

export const FRAMES: readonly FrameRow[] = [
  datagram('a proper raw frame, for comparison', OUT.registry, {}, true),
  datagram('a proper raw frame, IPv6', OUT.git6, {}, true),
  datagram('another MAC', OUT.registry, { sourceMac: FORGED_MAC }),
  datagram('source MAC of somebody else', OUT.registry, { sourceMac: WS2.mac }),
  datagram('source address of somebody else', OUT.registry, { source: '10.9.0.77' }),
  datagram("the other workspace's address", OUT.registry, { source: WS2.v4 }),
  datagram("the node's source", OUT.registry, { source: UPLINK.node.v4 }),
  datagram('a public source', OUT.registry, { source: OUT.git }),
  datagram('source address of somebody else, IPv6', OUT.git6, { source: 'fd09:0:0:1::77' }),
  datagram('a link-local source, routed', OUT.git6, { source: WS.linkLocal }),
  datagram('another MAC and its own source, IPv6', OUT.git6, { sourceMac: FORGED_MAC }),
  datagram('VLAN tag', OUT.registry, { vlan: 100 }),
  datagram('a VLAN tag of priority alone', OUT.registry, { vlan: 0 }),
  datagram('a VLAN tag, IPv6', OUT.git6, { vlan: 100 }),
  ethernet('a second VLAN tag (802.1ad)', 0x88a8),
  ethernet('MPLS', 0x8847),
  ethernet('PPPoE', 0x8864),
  ethernet('EAPOL, to its group address', 0x888e, '01:80:c2:00:00:03'),
  ethernet('a frame of length, spanning tree’s group', 0x0026, '01:80:c2:00:00:00'),
  ethernet('an experiment’s type, broadcast', 0x88b5, 'ff:ff:ff:ff:ff:ff'),
  datagram('IPv4 options', OUT.registry, { options: Uint8Array.of(1, 1, 1, 1) }),
  datagram('a loose source route', OUT.registry, { options: Uint8Array.of(131, 7, 4, 45, 76, 10, 10, 0) }),
  row('fragments, IPv4', (mark) => fragments(OUT.registry, mark)),
  row('fragments, IPv6', (mark) => fragments(OUT.git6, mark)),
  datagram('IPv6 hop-by-hop header', OUT.git6, { extensions: [0] }),
  datagram('a routing header', OUT.git6, { extensions: [43] }),
  datagram('IPv6 destination options', OUT.git6, { extensions: [60] }),
  datagram('a broadcast address', '255.255.255.255', { source: WS.v4, destinationMac: 'ff:ff:ff:ff:ff:ff' }),
  datagram('multicast', '224.0.0.251', { source: WS.v4, destinationMac: '01:00:5e:00:00:fb' }),
  datagram('multicast, IPv6', 'ff02::fb', { source: WS.linkLocal, destinationMac: '33:33:00:00:00:fb' }),
  raw('IP in IP', 4, OUT.git),
  raw('IPv6 in IP', 41, OUT.git),
  raw('another IP protocol (GRE)', 47, OUT.git),
  raw('ESP', 50, OUT.git),
  raw('SCTP', 132, OUT.git),
  raw('IGMP', 2, '224.0.0.22'),
  row('TCP in the middle of no flow', (data) => [
    ipFrame({ source: WS.v4, destination: OUT.git, payload: { kind: 'tcp', from: 41001, to: 443, flags: 0x18, data } }),
  ]),
  row('a TCP answer that nobody asked for', (data) => [
    ipFrame({
      source: WS.v4,
      destination: OUT.unlisted,
      payload: { kind: 'tcp', from: 443, to: 41001, flags: 0x12, data },
    }),
  ]),
  row(
    'an echo with data, where echo is granted',
    (data) => [ipFrame({ source: WS.v4, destination: OUT.git, payload: { kind: 'echo', data } })],
    true,
  ),
  row('an echo with data', (data) => [
    ipFrame({ source: WS.v4, destination: OUT.registry, payload: { kind: 'echo', data } }),
  ]),
  row('an echo answer with data', (data) => [
    ipFrame({ source: WS.v4, destination: OUT.unlisted, payload: { kind: 'echo', reply: true, data } }),
  ]),
  row('ICMP error about no flow', (mark) => {
    const about = ipPacket({
      ...{ source: OUT.git, destination: WS.v4 },
      payload: { kind: 'udp', from: 5000, to: 41000, data: mark },
    })
    const body = new Uint8Array(4 + about.length)
    body.set(about, 4)
    return [ipFrame({ source: WS.v4, destination: OUT.git, payload: { kind: 'icmp', type: 3, code: 3, body } })]
  }),
  tunnel('iodine to a resolver outside', OUT.unlisted, 10),
  tunnel('iodine to the gateway', WS.gateway4, 10),
  tunnel('dns2tcp to a resolver outside', OUT.unlisted, 16),
  tunnel('dns2tcp to a granted address', OUT.git, 16),
  tunnel('a tunnel over IPv6', OUT.unlisted6, 16),
  tunnel("a tunnel to the mediator's own resolver", UPLINK.out.v4, 16),
  tunnel("a tunnel to the mediator's own resolver, IPv6", UPLINK.out.v6, 16),
  tunnel("a question in the node's name", UPLINK.out.v4, 1, UPLINK.node.v4),
]

/** Attempts on the node's neighbour table; the MAC must never stand there. */
export const POISON: readonly { readonly name: string; readonly frame: Uint8Array }[] = [
  {
    name: 'ARP: the workspace claims another MAC',
    frame: arpFrame({ sourceMac: FORGED_MAC, senderIp: WS.v4, targetIp: WS.gateway4 }),
  },
  {
    name: 'ARP: another MAC in the message alone',
    frame: arpFrame({ senderMac: FORGED_MAC, senderIp: WS.v4, targetIp: WS.gateway4 }),
  },
  {
    name: "ARP: an answer in the gateway's name",
    frame: arpFrame({ sourceMac: FORGED_MAC, operation: 2, senderIp: WS.gateway4, targetIp: WS.gateway4 }),
  },
  {
    name: 'neighbour discovery: another MAC',
    frame: ipFrame({
      ...{ sourceMac: FORGED_MAC, source: WS.v6, destination: WS.gateway6, hopLimit: 255 },
      payload: { kind: 'icmp', type: 135, body: neighbourBody(WS.gateway6, [[1, FORGED_MAC]]) },
    }),
  },
]
export const POISON_MAC = FORGED_MAC
