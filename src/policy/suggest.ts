// What was seen of a workspace that was observed -> the smallest SandboxPolicy (OpenShell's schema) that allows it, as text for a
// person to read, with what each rule rests on. By name where the workspace had asked for the address under one, by address
// otherwise; ports exact. Deterministic: the same rows in any order give the same text. What the schema has no words for, or
// what is left out on purpose, stands in comments with its reason.
// untrusted: names and addresses are the workspace's; what is no name or address makes no rule.

import { formatInstant } from '../base/instant.js'
import { formatIp, parseIp } from '../base/ip.js'
import { quote } from '../base/quote.js'
import { addressClass } from '../base/reserved.js'
import { parseHost } from './host-pattern.js'

/** Flows to one destination that passed although nothing grants them. */
export interface SeenTraffic {
  /** IANA protocol number. */
  readonly protocol: number
  readonly destination: string
  readonly port?: number
  readonly begun: number
  readonly answered: number
  readonly firstAtMs: number
  readonly lastAtMs: number
  /** Several destinations, of which this is the first: nothing can be said of the others. */
  readonly mixed?: boolean
}
/** An answer that the mediator gave. */
export interface SeenName {
  readonly name: string
  readonly addresses: readonly string[]
  readonly atMs: number
}
export interface SuggestInput {
  readonly workspace: string
  readonly traffic: readonly SeenTraffic[]
  readonly names: readonly SeenName[]
  /** Names that were asked for and refused, with how often. */
  readonly refused: ReadonlyMap<string, number>
  /** Leave out what was never answered. */
  readonly answeredOnly: boolean
}
export interface Suggestion {
  readonly text: string
  readonly rules: readonly { readonly host: string; readonly ports: readonly number[]; readonly connections: number }[]
  /** Sentences: what is not in the policy, and why. */
  readonly left: readonly string[]
}

interface Need {
  readonly host: string
  readonly byName: boolean
  readonly protocol: 'tcp' | 'udp' | 'icmp-echo'
  readonly addresses: Set<string>
  readonly ports: Set<number>
  begun: number
  answered: number
  firstAtMs: number
  lastAtMs: number
}

const PROTOCOLS: ReadonlyMap<number, Need['protocol']> = new Map([
  [1, 'icmp-echo'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmp-echo'],
])

export function suggestPolicy(input: SuggestInput): Suggestion {
  const left: string[] = []
  const needs = new Map<string, Need>()
  for (const row of [...input.traffic].sort(byWhen)) collect(row, input, needs, left)
  const sorted = [...needs.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  const tcp = sorted.filter(({ protocol }) => protocol === 'tcp')
  const others = sorted.filter(({ protocol }) => protocol !== 'tcp')
  for (const need of others)
    left.push(`${need.protocol} to ${whereOf(need)}: the schema has no words for it; the FencePolicy has, see below`)
  for (const [name, count] of [...input.refused].sort(([a], [b]) => (a < b ? -1 : 1)))
    left.push(
      `the name ${plain(name)} was asked for ${times(count)} and refused; list it under observe.names to learn what it is for`,
    )
  const distinct = [...new Set(left)]
  return {
    text: [...head(input, distinct), ...rulesOf(tcp), ...fenceLines(others), ''].join('\n'),
    rules: tcp.map(({ host, ports, begun }) => ({ host, ports: sortedPorts(ports), connections: begun })),
    left: distinct,
  }
}

const byWhen = (a: SeenTraffic, b: SeenTraffic): number =>
  a.firstAtMs - b.firstAtMs ||
  (`${a.destination} ${a.protocol} ${a.port}` < `${b.destination} ${b.protocol} ${b.port}` ? -1 : 1)

function collect(row: SeenTraffic, input: SuggestInput, needs: Map<string, Need>, left: string[]): void {
  const ip = parseIp(row.destination)
  const protocol = PROTOCOLS.get(row.protocol)
  if (row.mixed) {
    left.push(
      `${times(row.begun)} to more destinations at once than were told apart, around ${formatInstant(row.firstAtMs)}`,
    )
    return
  }
  // A backend lets none of these through; a journal that says so is not to be believed.
  if (!ip || !protocol || addressClass(ip) !== 'public' || (protocol !== 'icmp-echo') !== (row.port !== undefined)) {
    left.push(`${plain(row.destination)}, protocol ${row.protocol}: not something that observing lets through`)
    return
  }
  const address = formatIp(ip)
  const name = nameOf(address, row, input.names)
  const host = name ?? address
  const key = `${host} ${protocol}`
  const need = needs.get(key) ?? {
    ...{ host, byName: name !== undefined, protocol, addresses: new Set<string>(), ports: new Set<number>() },
    ...{ begun: 0, answered: 0, firstAtMs: row.firstAtMs, lastAtMs: row.lastAtMs },
  }
  if (input.answeredOnly && !isAnswered(row, input, host)) {
    left.push(`${protocol} to ${host}${row.port === undefined ? '' : ` port ${row.port}`}: begun and never answered`)
    return
  }
  need.addresses.add(address)
  if (row.port !== undefined) need.ports.add(row.port)
  need.begun += row.begun
  need.answered += row.answered
  need.firstAtMs = Math.min(need.firstAtMs, row.firstAtMs)
  need.lastAtMs = Math.max(need.lastAtMs, row.lastAtMs)
  needs.set(key, need)
}

/** An answer may be told in another second than the beginning. */
const isAnswered = (row: SeenTraffic, { traffic, names }: SuggestInput, host: string): boolean =>
  traffic.some(
    (one) =>
      one.answered > 0 &&
      one.protocol === row.protocol &&
      one.port === row.port &&
      (one.destination === row.destination || nameOf(one.destination, one, names) === host),
  )

/** The answer is told before the connection begins, but to the second in which either is folded. */
const TOLD_MS = 2_000

/** The last name that was answered with this address before; of several at one moment the first in order. */
function nameOf(address: string, row: SeenTraffic, names: readonly SeenName[]): string | undefined {
  const before = names.filter(
    ({ name, addresses, atMs }) =>
      atMs <= row.lastAtMs + TOLD_MS && addresses.includes(address) && parseHost(name).kind === 'name',
  )
  const best = before.sort((a, b) => b.atMs - a.atMs || (a.name < b.name ? -1 : 1))[0]
  return best?.name
}

const keyOf = (need: Need): string => `${need.byName ? 0 : 1} ${need.host} ${need.protocol}`
const sortedPorts = (ports: ReadonlySet<number>): number[] => [...ports].sort((a, b) => a - b)
const times = (count: number): string => (count === 1 ? 'once' : `${count} times`)
const plain = (text: string): string => quote(text, 200)
const whereOf = ({ host, ports }: Need): string =>
  `${host}${ports.size === 0 ? '' : ` port ${sortedPorts(ports).join(', ')}`}`

function head(input: SuggestInput, left: readonly string[]): string[] {
  return [
    `# Suggested from what ${plain(input.workspace)} did while it was observed, and from nothing else. Read it before you sign it:`,
    '# whatever the workspace should not have done is in here as well. What its present policy grants is not.',
    ...(left.length === 0 ? [] : ['#', '# Left out:', ...left.map((line) => `# - ${line}`)]),
    'version: 1',
  ]
}

function rulesOf(needs: readonly Need[]): string[] {
  if (needs.length === 0) return ['network_policies: {}']
  const taken = new Set<string>()
  return [
    'network_policies:',
    ...needs.flatMap((need) => {
      const { host, byName, begun, answered, firstAtMs, lastAtMs, addresses } = need
      const seen = `${formatInstant(firstAtMs)} to ${formatInstant(lastAtMs)}`
      return [
        `  ${ruleKey(host, taken)}:`,
        `    # ${begun} connections, ${answered} of them answered, ${seen}${byName ? `; ${[...addresses].sort().join(', ')}` : '; no name was asked for'}.`,
        '    endpoints:',
        `      - host: ${JSON.stringify(host)}`,
        `        ports: [${sortedPorts(need.ports).join(', ')}]`,
        // A native connection needs a name; an address goes without.
        ...(byName ? ['        protocol: tcp'] : []),
        '    binaries:',
        '      # The fence does not see programs; name the one that needs this.',
        '      - path: "/**"',
      ]
    }),
  ]
}

/** A word of letters, digits and underscores, once each; never one that is reserved for gateways. */
function ruleKey(host: string, taken: Set<string>): string {
  const word = `to_${host.replace(/[^a-z0-9]+/g, '_').replace(/_$/, '')}`
  let key = word
  for (let n = 2; taken.has(key); n++) key = `${word}_${n}`
  taken.add(key)
  return key
}

function fenceLines(needs: readonly Need[]): string[] {
  if (needs.length === 0) return []
  return [
    '# For the FencePolicy beside this one:',
    '# egress:',
    ...needs.map((need, i) => {
      const to = need.byName
        ? `hosts: [${JSON.stringify(need.host)}]`
        : `cidrs: [${JSON.stringify(`${need.host}/${need.host.includes(':') ? 128 : 32}`)}]`
      const ports = need.ports.size === 0 ? '' : `, ports: [${sortedPorts(need.ports).join(', ')}]`
      return `#   - { name: seen-${i + 1}, ${to}, protocol: ${need.protocol}${ports} }`
    }),
  ]
}
