// What root in a machine asks of names, as a table: the names of its policy through the node's mediator, names of nobody's policy, and
// tunnels in every shape that a question has room for. A row says what it is answered and, where the mediator may ask its own
// resolver because of it, for which name; what else arrives at that resolver is a leak, and so is an octet that the mediator did not
// write. The rows are carried out in this order: what is connected to after a question was closed before it.

import { decode } from 'dns-packet'
import { encodeQuery } from '../../src/dns/upstream/query.js'
import { OUT, UPLINK, WS } from '../support/lab/addresses.js'
import { connected, PINS, refused, tcp, unanswered } from './fence-rows.js'

export interface NameRow {
  readonly name: string
  readonly line: string
  /** Of what a line `dns` is answered: the code and every address, or why there is no answer. */
  readonly expect: RegExp
  /** Type and name of the question that leaves the node for it. */
  readonly asks?: string
}

/** Section of agent.yaml: a wildcard admits as many names as this. */
const BUDGET = 4
export const RESOLVING = `dns: {upstreams: ["udp://${UPLINK.out.v4}"], wildcard_names: ${BUDGET}}\n`

/** The document's rules for names that are resolved, and the signed addresses of those that are not. */
export const NAMES = `  - {name: model, hosts: [inference.lab.example], protocol: tcp, ports: [443]}
  - {name: six, hosts: [v6only.lab.example], protocol: tcp, ports: [8080]}
  - {name: inside, hosts: [database.lab.example, metadata.lab.example], protocol: tcp, ports: [22, 80]}
  - {name: one-label, hosts: ["*.wild.lab.example"], protocol: tcp, ports: [8080]}
  - {name: any-label, hosts: ["**.sink.live.example"], protocol: tcp, ports: [80]}
dns:
  pins:
${Object.entries(PINS)
  .map(([name, addresses]) => `    ${name}: ${JSON.stringify(addresses)}\n`)
  .join('')}# Names of the laboratory lead to pinned addresses too.
delegate: [shared-address]
`
/** What learned names open. */
export const NAMES_MAY_PASS: readonly string[] = [
  ...[`6 ${OUT.inference} 443`, `6 ${OUT.git6} 8080`, `6 ${OUT.registry} 8080`, `6 ${OUT.registry} 80`],
]

const TYPE = {
  A: 1,
  CNAME: 5,
  NULL: 10,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  HTTPS: 65,
  PRIVATE: 65_399,
  ANY: 255,
} as const
const CHAOS = 3
const UPDATE = 0x2800
const RECURSION_DESIRED = 0x0100
const u16 = (value: number): readonly number[] => [value >> 8, value & 255]

interface Asked {
  readonly type?: keyof typeof TYPE
  readonly class?: number
  readonly flags?: number
  /** An OPT record with this in an option of nobody's (RFC 6891 section 6.1.2, local use). */
  readonly option?: string
  /** After everything that the header counts. */
  readonly trailing?: string
}

/** A question as no library would write it, in hex; RFC 1035 section 4.1. */
export function question(labels: readonly (string | Uint8Array)[], asked: Asked = {}): string {
  const octets = labels.map((label) => Buffer.from(label))
  const data = Buffer.from(asked.option ?? '')
  const option = [...u16(65_001), ...u16(data.length), ...data]
  const opt =
    asked.option === undefined ? [] : [0, ...u16(41), ...u16(1232), 0, 0, 0, 0, ...u16(option.length), ...option]
  return Buffer.from([
    ...u16(0x5a5a),
    ...u16(asked.flags ?? RECURSION_DESIRED),
    ...[...u16(1), ...u16(0), ...u16(0), ...u16(opt.length === 0 ? 0 : 1)],
    ...octets.flatMap((label) => [label.length, ...label]),
    ...[0, ...u16(TYPE[asked.type ?? 'A']), ...u16(asked.class ?? 1)],
    ...[...opt, ...Buffer.from(asked.trailing ?? '')],
  ]).toString('hex')
}

interface Told {
  readonly asks?: string
  readonly at?: string
  readonly way?: 'udp' | 'tcp'
}
/** An answer that depends on the mediator's resolver may take a loaded machine more than one question. */
const TRIES = 20

const row = (
  name: string,
  hex: string,
  expect: string,
  { asks, at = WS.gateway4, way = 'udp' }: Told = {},
): NameRow => ({
  ...{ name, expect: new RegExp(`^(?:${expect})$`) },
  line: `dns ${name} ${at} ${way} ${hex} ${expect.startsWith('NOERROR') ? TRIES : 1}`,
  ...(asks === undefined ? {} : { asks }),
})
const found = (...addresses: readonly string[]): string => ['NOERROR', ...addresses].join(' ')

/** A name of the policy, asked by its plain question. */
const granted = (name: string, host: string, type: 'A' | 'AAAA', address: string, told: Told = {}): NameRow =>
  row(name, question(host.split('.'), { type }), found(address), { asks: `${type} ${host}`, ...told })
/** One that has signed addresses: nobody is asked. */
const pinned = (name: string, host: string, type: 'A' | 'AAAA', address: string): NameRow =>
  row(name, question(host.split('.'), { type }), found(address))
const refusedName = (name: string, host: string, asked: Asked = {}, told: Told = {}): NameRow =>
  row(name, question(host.split('.'), asked), 'REFUSED', told)

/** Octets of the workspace in as many and as long labels as a name has room for: RFC 1035 section 2.3.4. */
const secret = (turn: number, zone: string): string => {
  const hex = Buffer.from(`secret of the workspace, part ${turn}; `.repeat(4)).toString('hex')
  const room = 253 - zone.length - 1
  return `${(hex.match(/.{1,63}/g) ?? []).join('.').slice(0, room - 1)}x.${zone}`
}
const WILD = 'wild.lab.example'
const SINK = 'sink.live.example'
/** Carried by what the mediator must not hand on. */
const CARGO = 'cargo-of-the-workspace'
/** Within the budget. An answer for such a name is larger than a datagram without EDNS may be. */
const tunnel = (name: string, turn: number): NameRow => {
  const host = secret(turn, SINK)
  const way = turn % 2 === 0 ? 'udp' : 'tcp'
  return row(name, question(host.split('.'), { option: CARGO }), found(OUT.registry), { asks: `A ${host}`, way })
}

export const NAME_ROWS: readonly NameRow[] = [
  pinned('pinned', 'git.example', 'A', OUT.git),
  pinned('pinned-six', 'git.example', 'AAAA', OUT.git6),
  pinned('pinned-registry', 'registry.example', 'A', OUT.registry),
  pinned('pinned-private', 'warehouse.corp.example', 'A', OUT.database),
  tcp('before-its-name', OUT.inference, 443, refused),
  granted('name', 'inference.lab.example', 'A', OUT.inference),
  tcp('after-its-name', OUT.inference, 443, connected),
  tcp('another-port-of-it', OUT.inference, 80, refused),
  tcp('before-its-name-six', OUT.git6, 8080, refused),
  granted('name-six', 'v6only.lab.example', 'AAAA', OUT.git6, { at: WS.gateway6 }),
  tcp('after-its-name-six', OUT.git6, 8080, connected),
  // The same again, with something in it that is none of the question.
  row('an-option', question(['inference', 'lab', 'example'], { option: CARGO }), found(OUT.inference)),
  row('letters', question(['iNfErEnCe', 'LAB', 'eXaMpLe']), found(OUT.inference), { way: 'tcp' }),
  row(
    'more-than-a-question',
    question(['inference', 'lab', 'example'], { trailing: CARGO }),
    `FORMERR|${found(OUT.inference)}`,
  ),
  refusedName('not-granted', 'unlisted.lab.example'),
  refusedName('not-granted-six', 'unlisted.lab.example', { type: 'AAAA' }, { at: WS.gateway6 }),
  refusedName('not-granted-stream', 'unlisted.lab.example', {}, { way: 'tcp' }),
  tcp('after-a-refused-name', OUT.unlisted, 443, refused),
  tcp('after-a-refused-name-six', OUT.unlisted6, 443, refused),
  // What an answer may never open, whoever grants the name.
  row('private', question(['database', 'lab', 'example']), 'SERVFAIL', { asks: 'A database.lab.example' }),
  tcp('after-a-private-name', OUT.database, 22, refused),
  row('metadata-name', question(['metadata', 'lab', 'example']), 'SERVFAIL', { asks: 'A metadata.lab.example' }),
  tcp('after-a-metadata-name', OUT.metadata, 80, refused),
  tcp('before-the-wildcard', OUT.registry, 8080, refused),
  granted('wildcard', `one.${WILD}`, 'A', OUT.registry),
  tcp('after-the-wildcard', OUT.registry, 8080, connected),
  refusedName('wildcard-itself', WILD),
  refusedName('wildcard-many-labels', `two.labels.${WILD}`),
  refusedName('wildcard-longest', secret(0, WILD)),
  // Under the wildcard, in types that carry more than an address, as iodine, dns2tcp and dnscat2 ask them.
  ...(['TXT', 'NULL', 'CNAME', 'MX', 'SRV', 'ANY', 'PRIVATE'] as const).map((type) =>
    refusedName(`tunnel-${type}`, `${CARGO}.${WILD}`, { type }),
  ),
  row('tunnel-HTTPS', question([CARGO, 'wild', 'lab', 'example'], { type: 'HTTPS' }), found()),
  refusedName('tunnel-CHAOS', `${CARGO}.${WILD}`, { type: 'TXT', class: CHAOS }),
  row('an-update', question([CARGO, 'wild', 'lab', 'example'], { flags: UPDATE }), 'NOTIMP'),
  row('no-letters', question([Uint8Array.of(1, 128, 200, 255), 'wild', 'lab', 'example']), 'REFUSED|FORMERR'),
  row('a-dot-in-a-label', question([`${CARGO}.x`, 'wild', 'lab', 'example']), 'FORMERR'),
  // A tunnel of as much as fits: what a wildcard admits is its budget of names, and not one more.
  tcp('before-the-tunnel', OUT.registry, 80, refused),
  ...Array.from({ length: BUDGET }, (_, i) => tunnel(`tunnel-${i}`, i)),
  tcp('after-the-tunnel', OUT.registry, 80, connected),
  ...Array.from({ length: BUDGET }, (_, i) =>
    refusedName(`tunnel-over-${i}`, secret(BUDGET + i, SINK), {}, { way: i % 2 === 0 ? 'udp' : 'tcp' }),
  ),
  refusedName('tunnel-over-six', secret(2 * BUDGET, SINK), { type: 'AAAA' }, { at: WS.gateway6 }),
  tunnel('tunnel-known', 0),
  // Past the mediator: its own resolver, which answers whoever reaches it, and what speaks DNS by other means.
  ...[UPLINK.out.v4, UPLINK.out.v6].map((at, i) =>
    row(`direct-${i}`, question([CARGO, 'live', 'example'], { type: 'TXT' }), 'reset|prohibited', { at, way: 'tcp' }),
  ),
  { name: 'direct-datagram', line: `udp direct-datagram ${UPLINK.out.v4} 53 1`, expect: unanswered },
  tcp('direct-tls', UPLINK.out.v4, 853, refused),
  tcp('direct-tls-six', UPLINK.out.v6, 853, refused),
  tcp('direct-tls-served', UPLINK.out.v4, 8853, refused),
  tcp('direct-https', UPLINK.out.v4, 443, refused),
  { name: 'direct-quic', line: `udp direct-quic ${UPLINK.out.v4} 853 1`, expect: unanswered },
  tcp('gateway-tls', WS.gateway4, 853, refused),
  tcp('gateway-https', WS.gateway4, 443, refused),
]

/** Until the mediator answers what needs nobody's answer. */
export const MEDIATES = `known ${WS.gateway4} ${question(['git', 'example'])}`

/** A reply in hex as its code and addresses; what is no reply as it is. */
export function replyOf(said: string): string {
  if (!/^(?:[0-9a-f]{2}){12,}$/.test(said)) return said
  const { answers = [], ...packet } = decode(Buffer.from(said, 'hex'))
  const { rcode } = packet as unknown as { rcode: string }
  return [rcode, ...answers.map((answer) => ('data' in answer ? String(answer.data) : answer.type))].join(' ')
}

/** Type and name of a question that the mediator put to its resolver; undefined for octets that it does not write. */
export function mediatorsQuestion(payload: Uint8Array): string | undefined {
  try {
    const { id = 0, questions: [asked] = [] } = decode(Buffer.from(payload))
    if (asked?.type !== 'A' && asked?.type !== 'AAAA') return undefined
    const written = encodeQuery({ id, name: asked.name, type: asked.type })
    return Buffer.compare(written, payload) === 0 ? `${asked.type} ${asked.name.toLowerCase()}` : undefined
  } catch {
    return undefined // nothing that can be read as a message
  }
}
export const MEDIATOR_MAY_ASK: ReadonlySet<string> = new Set(NAME_ROWS.flatMap(({ asks }) => asks ?? []))
