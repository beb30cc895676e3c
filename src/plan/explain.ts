// Which clause allowed a packet, or why nothing did and what would. Takes the question as text, puts it to `evaluate` as a
// first packet of a flow, and says the answer in terms of the documents: never a second opinion of its own.

import { formatInstant } from '../base/instant.js'
import { formatIp, type Ip, inPrefix, parseIp, parsePrefix } from '../base/ip.js'
import { formatPorts, isPort } from '../base/ports.js'
import { printRow, reservedRow } from '../base/reserved.js'
import type { Protocol } from '../policy/model.js'
import { printGrant } from './diff.js'
import { planFault } from './errors.js'
import { evaluate } from './evaluate.js'
import { grantsOf } from './grants.js'
import { grantIndex } from './lookup.js'
import type { Grant, Guarantee, Plan, WorkspaceId, WorkspacePlan } from './model.js'
import { type Packet, SYN, TCP, UDP } from './packet.js'
import type { Env, State, Verdict } from './state.js'

export interface PacketQuestion {
  readonly protocol: Protocol
  readonly source: Ip
  readonly sourcePort: number
  readonly destination: Ip
  readonly destinationPort: number
}

const QUESTION = /^\s*(tcp|udp|icmp-echo|icmp)\s+(\S+)\s*(?:>|->)\s*(\S+)\s*$/

/** `tcp 10.9.0.2:40000 > 93.184.216.34:443`; IPv6 in brackets; `icmp-echo A > B`. Throws PLAN_QUESTION_INVALID. */
export function parsePacketQuestion(text: string): PacketQuestion {
  const refuse = (why: string): never => {
    throw planFault('PLAN_QUESTION_INVALID', { text, why })
  }
  const match = QUESTION.exec(text)
  if (!match) return refuse('not of the form PROTOCOL SOURCE > DESTINATION')
  const protocol: Protocol = match[1] === 'tcp' || match[1] === 'udp' ? match[1] : 'icmp-echo'
  const read = (end: string): { ip: Ip; port: number } => {
    const split = /^\[([^\]]+)\]:(\d+)$/.exec(end) ?? /^([^:[\]]+):(\d+)$/.exec(end)
    const bare = protocol === 'icmp-echo' ? end.replace(/^\[(.*)\]$/, '$1') : undefined
    const ip = parseIp(bare ?? split?.[1] ?? '')
    const port = protocol === 'icmp-echo' ? 1 : Number(split?.[2])
    if (!ip) return refuse(`${JSON.stringify(end)} is not an address${protocol === 'icmp-echo' ? '' : ' with a port'}`)
    if (!isPort(port)) return refuse(`${JSON.stringify(end)} has no port from 1 to 65535`)
    return { ip, port }
  }
  const source = read(match[2] ?? '')
  const destination = read(match[3] ?? '')
  if (source.ip.family !== destination.ip.family) return refuse('the two addresses are of different families')
  return {
    protocol,
    source: source.ip,
    sourcePort: source.port,
    destination: destination.ip,
    destinationPort: destination.port,
  }
}

export interface Explanation {
  readonly workspace: WorkspaceId
  readonly direction: 'from' | 'to'
  readonly verdict: Verdict
  /** One sentence. */
  readonly say: string
  /** The clause that allowed it, with its place. */
  readonly clause?: { readonly id: string; readonly name: string; readonly origin: string }
  readonly grant?: Grant
  /** What would allow it, nearest first; empty when nothing may. */
  readonly ways: readonly string[]
}

/** Answers for a first packet. The direction follows from whose address the workspace has. */
export function explain(
  plan: Plan,
  state: State,
  workspace: WorkspaceId,
  question: PacketQuestion,
  nowMs: number,
  env: Env,
): Explanation {
  const at = plan.workspaces.find((entry) => entry.workspace === workspace)
  const direction = at?.slot.addresses.includes(formatIp(question.destination)) ? 'to' : 'from'
  const packet = packetOf(question, direction, at)
  const { verdict } = evaluate(plan, state, workspace, packet, nowMs, env)
  if (verdict.kind === 'allow') {
    const grant = at && grantsOf(at.network).find((one) => one.id === verdict.grant)
    const clause = clauseOf(plan.guarantees, workspace, verdict.clause)
    if (verdict.reason === 'observed' && verdict.instead) {
      const refused = { kind: 'drop', reason: verdict.instead, refusal: 'silent' } as const
      const until = formatInstant(at?.network.observe?.untilMs ?? 0)
      const say = `let through and reported, because the workspace is observed until ${until}; then ${whyNot(refused, question, at)}`
      const ways = waysOut(refused, question, direction, at)
      return { workspace, direction, verdict, say, ...(clause ? { clause } : {}), ways }
    }
    return {
      workspace,
      direction,
      verdict,
      say: clause ? `allowed by ${clause.name} (${clause.origin})` : `allowed: ${verdict.reason}`,
      ...(clause ? { clause } : {}),
      ...(grant ? { grant } : {}),
      ways: [],
    }
  }
  return {
    workspace,
    direction,
    verdict,
    say: whyNot(verdict, question, at),
    ways: waysOut(verdict, question, direction, at),
  }
}

function packetOf(question: PacketQuestion, direction: 'from' | 'to', at: WorkspacePlan | undefined): Packet {
  const { source, destination, sourcePort, destinationPort, protocol } = question
  const transport =
    protocol === 'icmp-echo'
      ? ({ kind: 'echo', reply: false, identifier: 1 } as const)
      : protocol === 'tcp'
        ? ({ kind: 'tcp', sourcePort, destinationPort, flags: SYN } as const)
        : ({ kind: 'udp', sourcePort, destinationPort } as const)
  const number = protocol === 'tcp' ? TCP : protocol === 'udp' ? UDP : source.family === 4 ? 1 : 58
  const [own, gateway] = [at?.slot.mac ?? '', at?.slot.gateway.mac ?? '']
  return {
    direction,
    origin: 'network',
    link: {
      source: direction === 'from' ? own : gateway,
      destination: direction === 'from' ? gateway : own,
      etherType: source.family === 4 ? 0x0800 : 0x86dd,
    },
    body: { kind: 'ip', source, destination, hopLimit: 64, protocol: number, transport },
  }
}

function clauseOf(
  guarantees: readonly Guarantee[],
  workspace: WorkspaceId,
  id: string | undefined,
): Explanation['clause'] {
  const row = guarantees.find((guarantee) => guarantee.workspace === workspace && guarantee.clause === id)
  return row && { id: row.clause, name: row.name, origin: row.origin }
}

function whyNot(verdict: Verdict & { kind: 'drop' }, question: PacketQuestion, at: WorkspacePlan | undefined): string {
  const row = reservedRow(question.destination)
  switch (verdict.reason) {
    case 'quarantined':
      return 'denied: the workspace is quarantined, which is stronger than every grant'
    case 'suspended':
      return 'denied: the workspace is suspended, because its bundle expired or went stale'
    case 'not-attached':
      return 'denied: this plan does not know the workspace'
    case 'spoof':
      return `denied: ${formatIp(question.source)} is not an address of the workspace (${at?.slot.addresses.join(', ') ?? 'none'})`
    case 'never':
      return `denied: ${formatIp(question.destination)} lies in ${row ? printRow(row) : 'a range'} that nothing may open`
    case 'reserved':
      return `denied: ${formatIp(question.destination)} lies in ${row ? printRow(row) : 'a reserved range'}, and no grant inside that range names it`
    case 'dns':
      return `denied: port ${question.destinationPort} is another resolver; names are asked of the fence's own`
    case 'control-port':
      return `denied: port ${question.destinationPort} is a control-plane port, which opens only by its number`
    case 'no-flow':
      return asksForSession(question, at)
        ? `denied: ${formatIp(question.source)} has no session open, and the ingress clause asks for one`
        : 'denied: no live flow, and no ingress grant'
    case 'no-grant':
      return 'denied: no clause grants this destination, protocol and port'
    default:
      return `denied: ${verdict.reason}`
  }
}

function waysOut(
  verdict: Verdict & { kind: 'drop' },
  question: PacketQuestion,
  direction: 'from' | 'to',
  at: WorkspacePlan | undefined,
): string[] {
  if (verdict.reason === 'quarantined') return ['an operator lifts it: sluice quarantine lift WORKSPACE --reason TEXT']
  if (verdict.reason === 'suspended') return ['publish and apply a bundle that is valid now']
  if (verdict.reason === 'not-attached') return ['add the workspace to the signed inventory and apply again']
  if (!at || verdict.reason === 'spoof' || verdict.reason === 'never') return []
  const peer = direction === 'from' ? question.destination : question.source
  const ports = question.protocol === 'icmp-echo' ? '' : `, ports: [${question.destinationPort}]`
  const near = [...(direction === 'from' ? at.network.egress : at.network.ingress)]
    .filter((grant) => isNear(grant, peer))
    .slice(0, 3)
    .map((grant) => `granted nearby: ${printGrant(grant)}`)
  const named = at.network.names
    .filter((rule) => rule.protocol === question.protocol && rule.ports.some((range) => contains(range, question)))
    .slice(0, 3)
    .map(
      (rule) =>
        `if it is an address of ${rule.pattern}: pin it under dns.pins (${rule.ports.map(formatPorts).join(',')})`,
    )
  const entry =
    direction === 'from'
      ? `add to egress of the FencePolicy: { name: NAME, cidrs: [${formatIp(peer)}/${peer.family === 4 ? 32 : 128}], protocol: ${question.protocol}${ports} }`
      : `add to ingress of the FencePolicy: { name: NAME, from: [${formatIp(peer)}/${peer.family === 4 ? 32 : 128}], protocol: ${question.protocol}${ports} }`
  const session = asksForSession(question, at)
    ? ['the access broker opens a session: sluice workspace session open']
    : []
  return [...session, ...near, ...named, entry]
}

/** Is this what an ingress grant would allow, had its peer a session? */
const asksForSession = (question: PacketQuestion, at: WorkspacePlan | undefined): boolean =>
  at?.slot.addresses.includes(formatIp(question.destination)) === true &&
  grantIndex(at).find('session', question.protocol, question.source, question.destinationPort, false) !== undefined

const contains = (range: { from: number; to: number }, question: PacketQuestion): boolean =>
  question.destinationPort >= range.from && question.destinationPort <= range.to

/** Same peer with another port or protocol. */
function isNear(grant: Grant, peer: Ip): boolean {
  const prefix = parsePrefix(grant.prefix)?.prefix
  return prefix !== undefined && prefix.length > 0 && inPrefix(peer, prefix)
}
