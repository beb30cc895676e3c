// The program of one generation as text for people, golden files and audit: what each map will hold, in words. Deterministic;
// every row of every map is there, so two programs with the same text do the same.

import { formatInstant } from '../../base/instant.js'
import { formatIp } from '../../base/ip.js'
import { formatPorts } from '../../base/ports.js'
import { grantId } from '../../plan/grants.js'
import type { GrantId } from '../../plan/model.js'
import type { Protocol } from '../../policy/model.js'
import { type ExactGrant, entriesOf } from './buckets.js'
import { addressAt, DIRECTION, GRANT_ROW, KIND, KIND_V6, PREFIX_BITS, PROTOCOL, STRUCTS, viewOf } from './layout.js'
import type { EbpfProgram } from './program.js'

const nameOf = (table: Readonly<Record<string, number>>, number: number): string =>
  Object.keys(table).find((name) => table[name] === number) ?? String(number)

export function render(program: EbpfProgram): string {
  const lines = [
    `ebpf fence, generation ${program.generation}`,
    `plan ${program.planDigest}`,
    '',
    ...program.workspaces.map(
      (one, index) =>
        `workspace ${index} ${one.workspace} at ${one.kind} ${one.interface}${one.suspendsOnExpiry ? ', ends with the bundle' : ''}${one.observedUntilMs === undefined ? '' : `, observed until ${formatInstant(one.observedUntilMs)}`}`,
    ),
    '',
    ...exactLines(program),
    '',
    `prefixes: ${program.prefixes.count}, with ${program.ranges.count} port ranges behind them`,
    ...prefixLines(program).sort(),
  ]
  return `${lines.join('\n')}\n`
}

/** The id that the plan gave a grant, from its row. */
export function grantIdAt(rows: DataView, number: number): GrantId {
  const { size, fields } = GRANT_ROW
  const at = number * size
  const family = rows.getUint8(at + fields.family) === 6 ? 6 : 4
  const prefix = `${formatIp(addressAt(rows, at + fields.address, family))}/${rows.getUint8(at + fields.length)}`
  const ports =
    rows.getUint8(at + fields.ported) === 0
      ? null
      : { from: rows.getUint16(at + fields.from, true), to: rows.getUint16(at + fields.to, true) }
  const direction = nameOf(DIRECTION, rows.getUint8(at + fields.direction)) as 'egress' | 'ingress'
  return grantId(direction, nameOf(PROTOCOL, rows.getUint8(at + fields.protocol)) as Protocol, prefix, ports)
}

function exactLines(program: EbpfProgram): string[] {
  const lines = [...entriesOf(program.exact), ...factsOf(program)].map(({ key }) => exactLine(key)).sort()
  return [`exact: ${lines.length} entries`, ...lines]
}

function* factsOf({ facts }: EbpfProgram): Generator<Pick<ExactGrant, 'key'>> {
  const { size } = STRUCTS.fence_exact_key
  for (let i = 0; i < facts.count; i++) yield { key: viewOf(facts.keys.subarray(i * size, (i + 1) * size)) }
}

function exactLine(key: DataView): string {
  const { fields } = STRUCTS.fence_exact_key
  const tag = key.getUint8(fields.kind)
  const kind = nameOf(KIND, tag & ~KIND_V6)
  const index = key.getUint32(fields.index, true)
  if (kind === 'clause') {
    const octets = Array.from({ length: 16 }, (_, i) => key.getUint8(fields.address + i))
    return `  ${index} clause ${octets.map((octet) => octet.toString(16).padStart(2, '0')).join('')}`
  }
  const address = formatIp(addressAt(key, fields.address, (tag & KIND_V6) !== 0 ? 6 : 4))
  if (kind === 'own' || kind === 'gateway') return `  ${index} ${kind} ${address}`
  const protocol = nameOf(PROTOCOL, key.getUint8(fields.protocol))
  const port = key.getUint16(fields.port, true)
  return `  ${index} ${kind} ${protocol} ${address}${protocol === 'icmp-echo' ? '' : ` port ${port}`}`
}

function prefixLines(program: EbpfProgram): string[] {
  const keys = viewOf(program.prefixes.keys)
  const values = viewOf(program.prefixes.values)
  const at = STRUCTS.fence_prefix_key
  const row = STRUCTS.fence_prefix
  return Array.from({ length: program.prefixes.count }, (_, i) => {
    const key = i * at.size
    const value = i * row.size
    const family = keys.getUint8(key + at.fields.family) === 6 ? 6 : 4
    const length = keys.getUint32(key + at.fields.bits, true) - PREFIX_BITS
    const any = rangesOf(
      program,
      values.getUint32(value + row.fields.any_first, true),
      values.getUint32(value + row.fields.any_count, true),
    )
    const open = rangesOf(
      program,
      values.getUint32(value + row.fields.open_first, true),
      values.getUint32(value + row.fields.open_count, true),
    )
    const up = values.getUint32(value + row.fields.up, true)
    return [
      `  ${keys.getUint32(key + at.fields.index, true)}`,
      nameOf(DIRECTION, keys.getUint8(key + at.fields.direction)),
      nameOf(PROTOCOL, keys.getUint8(key + at.fields.protocol)),
      `${formatIp(addressAt(keys, key + at.fields.address, family))}/${length}`,
      `ports ${any}`,
      open === '' ? 'public addresses only' : open === any ? 'opens' : `opens ports ${open}`,
      ...(up === 0 ? [] : [`inside /${up - PREFIX_BITS}`]),
    ].join(' ')
  })
}

function rangesOf(program: EbpfProgram, first: number, count: number): string {
  const rows = viewOf(program.ranges.values)
  const { size, fields } = STRUCTS.fence_range
  return Array.from({ length: count }, (_, i) => {
    const at = (first + i) * size
    return formatPorts({ from: rows.getUint16(at + fields.from, true), to: rows.getUint16(at + fields.to, true) })
  }).join(',')
}
