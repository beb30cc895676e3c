// From the plan's slice to the maps of one generation. Exact grants (one address, one port) go to buckets; everything else to
// prefixes with port ranges behind them, each prefix naming the next shorter one that covers it, so that the kernel finds
// what plan/lookup.ts finds: the longest prefix with a grant for the port.
//
// Total over what the capabilities admit. A grant that opens nothing (a reserved or forbidden address) is left out here, as
// `evaluate` leaves it out there.

import { familyBits, linkLocalOf, type Prefix, parseIp, parsePrefix, prefixMask } from '../../base/ip.js'
import { addressClass } from '../../base/reserved.js'
import type { Grant, PlanSlice, WorkspacePlan } from '../../plan/model.js'
import { bucketsOf, type ExactGrant } from './buckets.js'
import {
  clauseOctets,
  DIRECTION,
  GRANT_ROW,
  HAS,
  KIND,
  KIND_V6,
  PREFIX_BITS,
  PROTOCOL,
  putAddress,
  putMac,
  STRUCTS,
  viewOf,
} from './layout.js'
import type { EbpfProgram, EbpfWorkspace, Table } from './program.js'
import { type PortGrant, type PortSegment, segmentsOf } from './ranges.js'

export function lower(slice: PlanSlice): EbpfProgram {
  const exact: ExactGrant[] = []
  const facts = new Block(STRUCTS.fence_exact_key.size, 4)
  const prefixes = new Block(STRUCTS.fence_prefix_key.size, STRUCTS.fence_prefix.size)
  const ranges: PortSegment[] = []
  const grants: Grant[] = []
  const owners: number[] = []
  const workspaces = slice.workspaces.map((at, index): EbpfWorkspace => {
    const nodes = new Map<string, Node>()
    for (const grant of [...at.network.egress, ...at.network.ingress]) {
      const number = grants.push(grant) - 1
      owners.push(index)
      place(grant, number, index, exact, nodes)
    }
    for (const grant of at.network.sessions ?? []) {
      const number = grants.push(grant) - 1
      owners.push(index)
      nodeOf(nodes, 'session', grant, prefixOf(grant)).grants.push({ grant, number })
    }
    writeNodes(nodes, index, prefixes, ranges)
    writeFacts(at, index, facts)
    return {
      workspace: at.workspace,
      kind: at.slot.kind,
      interface: at.slot.interface,
      suspendsOnExpiry: at.onExpiry === 'suspend',
      ...(at.network.observe ? { observedUntilMs: at.network.observe.untilMs } : {}),
      clauses: [...new Set<string>(at.network.names.map((rule) => rule.clause))].sort(),
      record: recordOf(at, index),
    }
  })
  const { over, ...buckets } = bucketsOf(exact)
  for (const { key, grant } of over) {
    const row = facts.add()
    for (let i = 0; i < STRUCTS.fence_exact_key.size; i++) row.key.setUint8(i, key.getUint8(i))
    row.value.setUint32(0, grant + 1, true)
  }
  for (const { record } of workspaces) {
    const { exact4_mask, exact6_mask } = STRUCTS.fence_workspace.fields
    viewOf(record).setUint32(exact4_mask, buckets.mask4, true)
    viewOf(record).setUint32(exact6_mask, buckets.mask6, true)
  }
  return {
    generation: slice.generation,
    planDigest: slice.planDigest,
    expiresAtMs: slice.source.expiresAtMs,
    workspaces,
    exact: buckets,
    facts: facts.table(),
    prefixes: prefixes.table(),
    ranges: { values: rangeRows(ranges), count: ranges.length },
    grants: { values: grantRows(grants, owners), count: grants.length },
  }
}

/** Keys and values that grow together. */
class Block {
  private keys: Uint8Array
  private values: Uint8Array
  private count = 0

  constructor(
    private readonly keySize: number,
    private readonly valueSize: number,
    capacity = 64,
  ) {
    this.keys = new Uint8Array(capacity * keySize)
    this.values = new Uint8Array(capacity * valueSize)
  }

  /** Room for one more; both are zero. */
  add(): { readonly key: DataView; readonly value: DataView } {
    if ((this.count + 1) * this.keySize > this.keys.length) {
      this.keys = grown(this.keys)
      this.values = grown(this.values)
    }
    const at = this.count++
    return {
      key: new DataView(this.keys.buffer, at * this.keySize, this.keySize),
      value: new DataView(this.values.buffer, at * this.valueSize, this.valueSize),
    }
  }

  table(): Table {
    return {
      keys: this.keys.slice(0, this.count * this.keySize),
      values: this.values.slice(0, this.count * this.valueSize),
      count: this.count,
    }
  }
}

function grown(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length * 2)
  out.set(bytes)
  return out
}

/** One prefix of one workspace, direction and protocol, with its grants. */
interface Node {
  readonly direction: number
  readonly protocol: number
  readonly prefix: Prefix
  readonly grants: { readonly grant: Grant; readonly number: number }[]
}

function place(grant: Grant, number: number, index: number, exact: ExactGrant[], nodes: Map<string, Node>): void {
  const prefix = prefixOf(grant)
  const single = grant.ports === null ? grant.protocol === 'icmp-echo' : grant.ports.from === grant.ports.to
  if (
    single &&
    prefix.length === familyBits(prefix.family) &&
    (grant.ports === null || grant.protocol !== 'icmp-echo')
  ) {
    const where = grant.direction === 'egress' ? addressClass(prefix) : 'public'
    if (where === 'never' || (where === 'reserved' && !grant.opens)) return
    const key = new DataView(new ArrayBuffer(STRUCTS.fence_exact_key.size))
    putKey(key, index, prefix, KIND[grant.direction], grant.ports?.from ?? 0, PROTOCOL[grant.protocol])
    exact.push({ key, grant: number })
    return
  }
  nodeOf(nodes, grant.direction, grant, prefix).grants.push({ grant, number })
}

function prefixOf(grant: Grant): Prefix {
  const prefix = parsePrefix(grant.prefix)?.prefix
  if (!prefix) throw new TypeError(`plan holds a bad prefix: ${grant.prefix}`)
  return prefix
}

function nodeOf(nodes: Map<string, Node>, direction: keyof typeof DIRECTION, grant: Grant, prefix: Prefix): Node {
  const key = `${direction} ${grant.protocol} ${prefix.family} ${prefix.length} ${prefix.value}`
  let node = nodes.get(key)
  if (!node) {
    node = { direction: DIRECTION[direction], protocol: PROTOCOL[grant.protocol], prefix, grants: [] }
    nodes.set(key, node)
  }
  return node
}

function putKey(
  key: DataView,
  index: number,
  address: { readonly family: 4 | 6; readonly value: bigint } | Uint8Array,
  kind: number,
  port: number,
  protocol: number,
): void {
  const { fields } = STRUCTS.fence_exact_key
  if (address instanceof Uint8Array) for (const [i, octet] of address.entries()) key.setUint8(fields.address + i, octet)
  else putAddress(key, fields.address, address)
  const v6 = !(address instanceof Uint8Array) && address.family === 6
  key.setUint32(fields.index, index, true)
  key.setUint16(fields.port, port, true)
  key.setUint8(fields.protocol, protocol)
  key.setUint8(fields.kind, v6 ? kind | KIND_V6 : kind)
}

function writeNodes(nodes: ReadonlyMap<string, Node>, index: number, prefixes: Block, ranges: PortSegment[]): void {
  const lengths = new Map<string, Set<number>>()
  const setOf = (node: Node): string => `${node.direction} ${node.protocol} ${node.prefix.family}`
  const held = new Set<string>()
  const name = (set: string, length: number, value: bigint): string => `${set} ${length} ${value}`
  for (const node of nodes.values()) {
    const set = setOf(node)
    const known = lengths.get(set) ?? new Set()
    known.add(node.prefix.length)
    lengths.set(set, known)
    held.add(name(set, node.prefix.length, node.prefix.value))
  }
  const sorted = new Map([...lengths].map(([set, known]) => [set, [...known].sort((a, b) => b - a)]))
  for (const node of nodes.values()) {
    const { prefix } = node
    const set = setOf(node)
    const up = sorted
      .get(set)
      ?.find(
        (length) =>
          length < prefix.length && held.has(name(set, length, prefix.value & prefixMask(prefix.family, length))),
      )
    const any = append(ranges, segmentsOf(node.grants.map(portGrant)))
    const opening = node.grants.filter((one) => one.grant.opens)
    const open = opening.length === node.grants.length ? any : append(ranges, segmentsOf(opening.map(portGrant)))
    const { key, value } = prefixes.add()
    const at = STRUCTS.fence_prefix_key.fields
    key.setUint32(at.bits, PREFIX_BITS + prefix.length, true)
    key.setUint32(at.index, index, true)
    key.setUint8(at.direction, node.direction)
    key.setUint8(at.protocol, node.protocol)
    key.setUint8(at.family, prefix.family)
    putAddress(key, at.address, prefix)
    const row = STRUCTS.fence_prefix.fields
    value.setUint32(row.any_first, any.first, true)
    value.setUint32(row.any_count, any.count, true)
    value.setUint32(row.open_first, open.first, true)
    value.setUint32(row.open_count, open.count, true)
    value.setUint32(row.up, up === undefined ? 0 : PREFIX_BITS + up, true)
  }
}

const portGrant = ({ grant, number }: Node['grants'][number]): PortGrant => ({
  from: grant.ports?.from ?? 0,
  to: grant.ports?.to ?? 65_535,
  grant: number,
  id: grant.id,
})

function append(ranges: PortSegment[], more: readonly PortSegment[]): { first: number; count: number } {
  const first = ranges.length
  for (const segment of more) ranges.push(segment)
  return { first, count: more.length }
}

/** What is not a grant and is found by hash too: own addresses, the gateway's, services, live clauses. */
function writeFacts(at: WorkspacePlan, index: number, facts: Block): void {
  const fact = (of: Parameters<typeof putKey>[2], kind: number, port: number, protocol: number): void => {
    const { key, value } = facts.add()
    putKey(key, index, of, kind, port, protocol)
    value.setUint32(0, 1, true)
  }
  const put = (text: string, kind: number, port = 0, protocol = 0): void => {
    const ip = parseIp(text)
    if (ip) fact(ip, kind, port, protocol)
  }
  for (const address of at.slot.addresses) put(address, KIND.own)
  for (const address of at.slot.gateway.addresses) put(address, KIND.gateway)
  for (const service of at.network.services)
    put(service.address, KIND.service, service.port, PROTOCOL[service.protocol])
  for (const clause of new Set(at.network.names.map((rule) => rule.clause)))
    fact(clauseOctets(clause), KIND.clause, 0, 0)
}

const MS = 1_000_000n

function recordOf(at: WorkspacePlan, index: number): Uint8Array {
  const record = new Uint8Array(STRUCTS.fence_workspace.size)
  const view = viewOf(record)
  const { fields } = STRUCTS.fence_workspace
  const { slot, network } = at
  const v4 = slot.addresses.find((address) => !address.includes(':'))
  const v6 = slot.addresses.find((address) => address.includes(':'))
  let flags = 0
  view.setUint32(fields.index, index, true)
  view.setBigUint64(fields.tcp_ns, BigInt(network.idle.tcpMs) * MS, true)
  view.setBigUint64(fields.udp_ns, BigInt(network.idle.udpMs) * MS, true)
  view.setBigUint64(fields.icmp_ns, BigInt(network.idle.icmpMs) * MS, true)
  for (const [address, field, flag] of [
    [v4, fields.v4, HAS.v4],
    [v6, fields.v6, HAS.v6],
  ] as const) {
    const ip = address === undefined ? undefined : parseIp(address)
    if (!ip) continue
    putAddress(view, field, ip)
    flags |= flag
  }
  if (slot.mac !== '') {
    flags |= HAS.linkLayer
    putMac(record, fields.mac, slot.mac)
    if (v6 !== undefined) {
      flags |= HAS.linkLocal
      putAddress(view, fields.link_local, linkLocalOf(slot.mac))
    }
  }
  if (slot.gateway.mac !== '') {
    putMac(record, fields.gateway_mac, slot.gateway.mac)
    putAddress(view, fields.gateway_link_local, linkLocalOf(slot.gateway.mac))
  }
  if (network.services.length > 0) flags |= HAS.services
  if (network.sessions !== undefined) flags |= HAS.sessions
  view.setUint32(fields.flags, flags, true)
  if (network.observe) record.set(clauseOctets(network.observe.clause), fields.observe)
  return record
}

function rangeRows(ranges: readonly PortSegment[]): Uint8Array {
  const { size, fields } = STRUCTS.fence_range
  const rows = new Uint8Array(ranges.length * size)
  const view = viewOf(rows)
  for (const [i, range] of ranges.entries()) {
    view.setUint16(i * size + fields.from, range.from, true)
    view.setUint16(i * size + fields.to, range.to, true)
    view.setUint32(i * size + fields.grant, range.grant, true)
  }
  return rows
}

function grantRows(grants: readonly Grant[], owners: readonly number[]): Uint8Array {
  const { size, fields } = GRANT_ROW
  const rows = new Uint8Array(grants.length * size)
  const view = viewOf(rows)
  for (const [i, grant] of grants.entries()) {
    const prefix = parsePrefix(grant.prefix)?.prefix
    if (!prefix) continue
    const at = i * size
    putAddress(view, at + fields.address, prefix)
    view.setUint16(at + fields.from, grant.ports?.from ?? 0, true)
    view.setUint16(at + fields.to, grant.ports?.to ?? 0, true)
    view.setUint8(at + fields.length, prefix.length)
    view.setUint8(at + fields.direction, DIRECTION[grant.direction])
    view.setUint8(at + fields.protocol, PROTOCOL[grant.protocol])
    view.setUint8(at + fields.family, prefix.family)
    view.setUint8(at + fields.ported, grant.ports === null ? 0 : 1)
    view.setUint16(at + fields.owner, owners[i] ?? 0, true)
  }
  return rows
}
