// The program of one generation as text for people, golden files and audit: every pipe and every entry in words, so that two
// programs with the same text do the same.

import { formatIp } from '../../base/ip.js'
import { type DocaProgram, demandOf, type Entry, FIELDS, type FieldName, type Forward, type Pipe } from './program.js'

export function render(program: DocaProgram): string {
  const { pipes, entries, counters, rules } = demandOf(program.workspaces)
  const lines = [
    `doca-flow fence, generation ${program.generation}`,
    `plan ${program.planDigest}`,
    `${pipes} pipes, ${entries} entries (${rules} of them ACL rules), ${counters} counters`,
  ]
  for (const at of program.workspaces) {
    lines.push(
      '',
      `workspace ${at.workspace} at ${at.vuid}${at.suspendsOnExpiry ? ', ends with the bundle' : ''}`,
      `  from: pipe ${at.from}`,
      ...at.addresses4.map((address) => `  to ${value('ip4Source', address)}: pipe ${at.to4}`),
      ...at.addresses6.map((address) => `  to ${value('ip6Source', address)}: pipe ${at.to6}`),
      ...(at.begins ? Object.entries(at.begins).map(([way, to]) => `  begins ${way}: ${forward(to)}`) : []),
      ...at.pipes.flatMap((pipe, number) => pipeLines(pipe, number)),
    )
  }
  return `${lines.join('\n')}\n`
}

function pipeLines(pipe: Pipe, number: number): string[] {
  const shared = pipe.fields.flatMap(({ field, value: octets }) => (octets ? [`${field} ${value(field, octets)}`] : []))
  const where = shared.length === 0 ? '' : `, where ${shared.join(', ')}`
  return [
    `  pipe ${number} "${pipe.name}" ${pipe.kind}${pipe.transport === 'none' ? '' : ` ${pipe.transport}`}${where}, else ${forward(pipe.miss)}`,
    ...pipe.entries.map((entry) => `    ${entryText(pipe, entry)}`),
    ...(pipe.learns
      ? [
          `    up to ${pipe.learns.room} learned addresses -> ${forward(pipe.learns.out)}${pipe.learns.expired ? ', expired ones too' : ''}`,
        ]
      : []),
  ]
}

function entryText(pipe: Pipe, entry: Entry): string {
  let at = 0
  const said = pipe.fields
    .filter((field) => field.value === undefined)
    .map(({ field, mask: shared }) => {
      const { octets } = FIELDS[field]
      const key = entry.key.subarray(at, at + octets)
      const mask = entry.mask?.subarray(at, at + octets)
      at += octets
      if (!mask)
        return `${field} ${value(field, key)}${shared.every((octet) => octet === 255) ? '' : `/${hex(shared)}`}`
      if (field !== 'sourcePort' && field !== 'destinationPort') return `${field} ${value(field, key)}/${bits(mask)}`
      return mask.every((octet) => octet === 0) ? `${field} any` : `${field} ${value(field, key)}-${value(field, mask)}`
    })
  const meta = pipe.zoned ? ', zone' : pipe.setsMeta ? `, meta ${entry.meta ?? 0}` : ''
  const priority = entry.priority === undefined ? '' : `${entry.priority}: `
  return `${priority}${said.join(', ')} -> ${forward(entry.forward)}${meta}${entry.grant ? `  ${entry.grant}` : ''}`
}

const forward = (to: Forward): string => (to.kind === 'pipe' ? `pipe ${to.pipe}` : to.kind)

function value(field: FieldName, octets: Uint8Array): string {
  const number = octets.reduce((sum, octet) => sum * 256n + BigInt(octet), 0n)
  if (field.startsWith('ip4S') || field.startsWith('ip4D')) return formatIp({ family: 4, value: number })
  if (field.startsWith('ip6S') || field.startsWith('ip6D')) return formatIp({ family: 6, value: number })
  if (field === 'ethSource') return [...octets].map((octet) => octet.toString(16).padStart(2, '0')).join(':')
  return field === 'etherType' || field === 'ip4Version' || field === 'tcpFlags' ? hex(octets) : String(number)
}

const hex = (octets: Uint8Array): string =>
  `0x${[...octets].map((octet) => octet.toString(16).padStart(2, '0')).join('')}`

const bits = (mask: Uint8Array): number =>
  mask.reduce((sum, octet) => sum + octet.toString(2).replaceAll('0', '').length, 0)
