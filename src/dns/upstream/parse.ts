// The list `dns.upstreams` of agent.yaml: the resolvers that the mediator may ask, by preference. An item is an address, or a mapping
// when there is more to say:
//
//   - dot://192.0.2.1#dns.example          DNS over TLS: the certificate must be for this name (RFC 8310 section 8.1)
//   - { url: dot://192.0.2.1, pins: [...] } without a name: the key itself must be one of these (RFC 7858 section 4.2)
//   - tcp://192.0.2.1:5353   - udp://[2001:db8::1]
//
// Addresses only: a resolver that must be resolved first is none. No credential, no path, no second way to write a thing.

import { decodeBase64 } from '../../base/bytes.js'
import { formatIp, parseIp } from '../../base/ip.js'
import type { Note } from '../../base/note.js'
import { quote } from '../../base/quote.js'
import { reservedRow } from '../../base/reserved.js'
import { nearest } from '../../base/suggest.js'
import type { YamlNode } from '../../base/yaml.js'

export type UpstreamTransport = 'udp' | 'tcp' | 'dot'

export interface UpstreamAddress {
  readonly transport: UpstreamTransport
  /** Canonical text. */
  readonly address: string
  readonly port: number
  /** dot: the name that the certificate must have; also sent as the server name. */
  readonly name?: string
  /** dot: base64 of SHA-256 of the key's SubjectPublicKeyInfo; any of them. With a name both must be right. */
  readonly pins: readonly string[]
  /** dot: the file with the CAs to trust in place of those that Node brings, as it was written. */
  readonly caFile?: string
}

export interface UpstreamsResult {
  /** Present exactly when no note is an error. */
  readonly upstreams?: readonly UpstreamAddress[]
  readonly notes: readonly Note[]
}

const PORTS = { udp: 53, tcp: 53, dot: 853 } as const satisfies Record<UpstreamTransport, number>
const KEYS = ['url', 'pins', 'ca_file'] as const
export const MAX_UPSTREAMS = 8
const MAX_PINS = 8

/** As events, faults and metrics name it: `dot://192.0.2.1#dns.example`. The port is left out where it is the usual one. */
export function printUpstream({ transport, address, port, name }: UpstreamAddress): string {
  const host = address.includes(':') ? `[${address}]` : address
  return `${transport}://${host}${port === PORTS[transport] ? '' : `:${port}`}${name === undefined ? '' : `#${name}`}`
}

/** Nobody between can change what it says: the other end proves itself, or is this machine's own loopback. */
export function isAuthenticated({ transport, address }: Pick<UpstreamAddress, 'transport' | 'address'>): boolean {
  const ip = parseIp(address)
  return transport === 'dot' || (ip !== undefined && reservedRow(ip)?.why === 'loopback')
}

/** `TRANSPORT://ADDRESS[:PORT][#NAME]`, or a sentence about what is wrong with it. */
export function parseUpstreamUrl(text: string): UpstreamAddress | string {
  const match = /^([a-z]+):\/\/(?:\[([0-9a-fA-F:.]+)\]|([^[\]:#/]+))(?::(\d{1,5}))?(?:#(.*))?$/.exec(text)
  if (!match)
    return 'expected udp://ADDRESS, tcp://ADDRESS or dot://ADDRESS#NAME, with :PORT behind the address if needed'
  const [, scheme = '', bracketed, plain, portText, name] = match
  if (!Object.hasOwn(PORTS, scheme)) {
    const near = nearest(scheme, Object.keys(PORTS))
    return `${quote(scheme)} is none of udp, tcp and dot${near === undefined ? '' : `; did you mean ${near}?`}`
  }
  const transport = scheme as UpstreamTransport
  const ip = parseIp(bracketed ?? plain ?? '')
  if (!ip || (bracketed === undefined) === (ip.family === 6))
    return `${quote(bracketed ?? plain ?? '')} is no address (IPv6 stands in brackets; a name would have to be resolved first)`
  const port = portText === undefined ? PORTS[transport] : Number(portText)
  if (port < 1 || port > 65_535 || portText?.startsWith('0')) return `${portText} is no port`
  if (name !== undefined && transport !== 'dot') return `only dot has a name to check; ${transport} proves nothing`
  if (name !== undefined && !isHostName(name)) return `${quote(name)} is no host name`
  return {
    transport,
    address: formatIp(ip),
    port,
    pins: [],
    ...(name === undefined ? {} : { name: name.toLowerCase() }),
  }
}

const isHostName = (name: string): boolean =>
  name.length <= 253 && /^[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*$/.test(name) && !/^[\d.]+$/.test(name)

/** Reads the list. `file` names the document and `path` the node in it, for the notes. All findings at once; never throws. */
export function parseUpstreams(node: YamlNode, file: string, path: string): UpstreamsResult {
  const notes: Note[] = []
  const note = (at: YamlNode, where: string, say: string, code = 'bad-value', suggestion?: string): undefined => {
    const more = suggestion === undefined ? {} : { suggestion }
    notes.push({ code, severity: 'error', file, line: at.line, column: at.column, path: where, say, ...more })
    return undefined
  }
  if (node.kind !== 'seq' || node.items.length === 0 || node.items.length > MAX_UPSTREAMS) {
    note(node, path, `expected a list of one to ${MAX_UPSTREAMS} resolvers`)
    return { notes }
  }
  const upstreams: UpstreamAddress[] = []
  for (const [i, item] of node.items.entries()) {
    const where = `${path}[${i}]`
    const read = readItem(item, where, note)
    if (!read) continue
    if (upstreams.some((other) => printUpstream(other) === printUpstream(read))) note(item, where, 'it is listed twice')
    upstreams.push(read)
  }
  return notes.length > 0 ? { notes } : { upstreams, notes }
}

type Noting = (at: YamlNode, where: string, say: string, code?: string, suggestion?: string) => undefined

function readItem(item: YamlNode, where: string, note: Noting): UpstreamAddress | undefined {
  if (item.kind === 'seq') return note(item, where, 'expected an address, or a mapping with url')
  const fields = new Map<string, YamlNode>(item.kind === 'scalar' ? [['url', item]] : [])
  for (const { key, value } of item.kind === 'map' ? item.entries : []) {
    if ((KEYS as readonly string[]).includes(key)) fields.set(key, value)
    else {
      const near = nearest(key, KEYS)
      const hint = near === undefined ? '' : `; did you mean ${near}?`
      note(value, `${where}.${key}`, `unknown key ${quote(key)}${hint}`, 'unknown-key', near)
    }
  }
  const url = fields.get('url')
  const text = url && textOf(url)
  if (!url || text === undefined)
    return note(url ?? item, where, 'the address is missing: url: dot://ADDRESS#NAME', 'missing-key')
  const address = parseUpstreamUrl(text)
  if (typeof address === 'string') return note(url, where, address)
  const pinsNode = fields.get('pins')
  const pins = pinsNode === undefined ? [] : readPins(pinsNode, `${where}.pins`, note)
  const caNode = fields.get('ca_file')
  const caFile = caNode && textOf(caNode)
  if (caNode && (caFile === undefined || caFile.includes('\0')))
    return note(caNode, `${where}.ca_file`, 'expected a path')
  if (!pins) return undefined
  if (address.transport !== 'dot' && (pinsNode ?? caNode))
    return note(item, where, `pins and ca_file belong to dot; ${address.transport} proves nothing`)
  if (address.transport === 'dot' && address.name === undefined && pins.length === 0)
    return note(url, where, 'whom to expect is missing: dot://ADDRESS#NAME, or pins')
  if (address.name === undefined && caNode)
    return note(
      caNode,
      `${where}.ca_file`,
      'without a name the certificate is judged by its key alone: leave ca_file out',
    )
  return { ...address, pins, ...(caFile === undefined ? {} : { caFile }) }
}

function readPins(node: YamlNode, where: string, note: Noting): readonly string[] | undefined {
  if (node.kind !== 'seq' || node.items.length === 0 || node.items.length > MAX_PINS)
    return note(node, where, `expected a list of one to ${MAX_PINS} pins`)
  const pins: string[] = []
  for (const item of node.items) {
    const pin = textOf(item)
    if (pin === undefined || decodeBase64(pin)?.length !== 32)
      return note(item, where, 'expected base64 of the SHA-256 of a SubjectPublicKeyInfo (44 characters)')
    pins.push(pin)
  }
  return pins
}

const textOf = (node: YamlNode): string | undefined =>
  node.kind === 'scalar' && typeof node.value === 'string' && node.value !== '' ? node.value : undefined
