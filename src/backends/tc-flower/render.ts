// The program of one generation as text for people, golden files and audit: every chain and every filter in words, so that two
// programs with the same text do the same.

import { formatPrefix } from '../../base/ip.js'
import {
  type Action,
  type Chain,
  type FlowerProgram,
  type FlowerWorkspace,
  filtersOf,
  type Masked,
  type Match,
} from './program.js'

export function render(program: FlowerProgram): string {
  const total = program.workspaces.reduce((sum, at) => sum + filtersOf(at), 0)
  const lines = [
    `tc-flower fence, generation ${program.generation}`,
    `plan ${program.planDigest}`,
    `${total} filters`,
    ...program.workspaces.flatMap(workspaceLines),
  ]
  return `${lines.join('\n')}\n`
}

function workspaceLines(at: FlowerWorkspace): string[] {
  return [
    '',
    `workspace ${at.workspace} at ${at.interface}${at.suspendsOnExpiry ? ', ends with the bundle' : ''}`,
    ...[...at.from, ...at.to, at.own].flatMap((chain) => chainLines(chain, at)),
    ...at.bands.map(
      ({ side, chain, tcp, udp }) => `  learned addresses: ${side} chain ${chain}, tcp ${tcp}, udp ${udp}`,
    ),
  ]
}

const chainLines = (chain: Chain, at: FlowerWorkspace): string[] => [
  `  chain ${chain.number} "${chain.name}", else drop ${chain.otherwise}`,
  ...chain.filters.map(({ priority, match, action, grant, only }) => {
    const note = grant === undefined ? '' : `  ${at.grants[grant] ?? ''}`
    return `    ${priority}: ${matchText(match)} -> ${actionText(action)}${only ? ` (${only})` : ''}${note}`
  }),
]

const actionText = (action: Action): string => {
  if (action.kind === 'goto') return `chain ${action.chain}`
  return action.kind === 'drop' ? `drop ${action.reason}` : action.kind
}

function matchText(match: Match): string {
  const { source, destination, protocol, icmpType, hopLimit, fragment, arp } = match
  const said: readonly (readonly [string, string | undefined])[] = [
    ['', match.etherType],
    ['src_mac', match.sourceMac],
    ['dst_mac', match.destinationMac],
    ['src_ip', source && formatPrefix(source)],
    ['dst_ip', destination && formatPrefix(destination)],
    ['ip_proto', protocol?.toString()],
    ['src_port', masked(match.sourcePort)],
    ['dst_port', masked(match.destinationPort)],
    ['tcp_flags', masked(match.tcpFlags)],
    ['icmp_type', icmpType?.toString()],
    ['ttl', hopLimit?.toString()],
    ['', fragment === undefined ? undefined : fragment ? 'frag' : 'nofrag'],
    ['arp_sha', arp?.senderMac],
    ['arp_sip', arp && formatPrefix(arp.sender)],
    ['arp_tip', arp?.target && formatPrefix(arp.target)],
  ]
  const text = said.flatMap(([name, value]) => (value === undefined ? [] : [name === '' ? value : `${name} ${value}`]))
  return text.length === 0 ? 'everything' : text.join(' ')
}

const masked = (value: Masked | undefined): string | undefined =>
  value && (value.mask === 0xffff ? `${value.value}` : `${value.value}/0x${value.mask.toString(16)}`)
