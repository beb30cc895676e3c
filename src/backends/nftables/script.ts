// Programs as nft text. One script is one transaction: all of it or nothing. A load is cut into pieces of a bounded number of
// elements, so that a flag never waits behind a long one (about 1 us an element).

import {
  ARP_SETS,
  arpChains,
  BRIDGE_COUNTERS,
  BRIDGE_SETS,
  bridgeChains,
  NETDEV_CHAINS,
  NETDEV_COUNTERS,
  NETDEV_SETS,
} from './linklayer.js'
import {
  type NftChain,
  type NftProgram,
  type NftSet,
  type NftWorkspace,
  namePrefix,
  SHARED_SETS,
  type SharedSet,
} from './program.js'
import { HOOKS, INET_COUNTERS, INET_SETS, inetChains, type ScaffoldSet, TABLE } from './scaffold.js'

export const PIECE_ELEMENTS = 500

const FAMILIES = ['inet', 'netdev', 'arp', 'bridge'] as const
export type TableFamily = (typeof FAMILIES)[number]
export const TABLE_FAMILIES: readonly TableFamily[] = FAMILIES
/** Those that hold flags; `bridge` lets nothing pass, flagged or not. */
export const FLAG_FAMILIES = ['inet', 'netdev', 'arp'] as const satisfies readonly TableFamily[]

const inTable = (family: TableFamily, name: string): string => `${family} ${TABLE} ${name}`

export const addElements = (family: TableFamily, name: string, elements: readonly string[]): string =>
  elements.length === 0 ? '' : `add element ${inTable(family, name)} { ${numbered(elements.join(', '))} }\n`

/** nft would look each protocol up by getprotobyname(3): slow for a load, and not for two threads at once. */
const numbered = (text: string): string => text.replaceAll(' . tcp . ', ' . 6 . ').replaceAll(' . udp . ', ' . 17 . ')

/** Rules with `%` replaced by the prefix of the workspace's names. */
const filled = (rule: string, prefix: string): string => rule.replaceAll('%', prefix)

function chainLines(family: TableFamily, chains: readonly NftChain[], prefix = ''): string {
  let text = ''
  for (const chain of chains) text += `add chain ${inTable(family, prefix + chain.name)}\n`
  // A second load of the same chain replaces its rules.
  for (const chain of chains) text += `flush chain ${inTable(family, prefix + chain.name)}\n`
  for (const chain of chains)
    for (const rule of chain.rules) text += `add rule ${inTable(family, prefix + chain.name)} ${filled(rule, prefix)}\n`
  return text
}

function setLines(family: TableFamily, sets: readonly ScaffoldSet[]): string {
  let text = ''
  for (const { kind, name, body } of sets) text += `add ${kind} ${inTable(family, name)} { ${body} }\n`
  for (const { name, elements } of sets) text += addElements(family, name, elements)
  return text
}

const counterLines = (family: TableFamily, counters: readonly string[]): string =>
  counters.map((name) => `add counter ${inTable(family, name)}\n`).join('')

/** Tables, sets, counters and plain chains: in nobody's way until a hook jumps into them. May be loaded over itself. */
export const scaffoldScript = (patterns: readonly string[]): string =>
  FAMILIES.map((family) => `add table ${family} ${TABLE}\n`).join('') +
  counterLines('inet', INET_COUNTERS) +
  counterLines('netdev', NETDEV_COUNTERS) +
  counterLines('bridge', BRIDGE_COUNTERS) +
  setLines('inet', INET_SETS) +
  setLines('netdev', NETDEV_SETS) +
  setLines('arp', ARP_SETS) +
  setLines('bridge', BRIDGE_SETS) +
  chainLines('inet', inetChains(patterns)) +
  chainLines('netdev', NETDEV_CHAINS) +
  chainLines('arp', arpChains(patterns)) +
  chainLines('bridge', bridgeChains(patterns))

/** The base chains: from here on packets are judged. */
export const hookScript = (): string =>
  HOOKS.map(
    ({ family, chain, hook, priority, rules }) =>
      `add chain ${inTable(family, chain)} { type filter hook ${hook} priority ${priority}; policy accept; }\n` +
      `flush chain ${inTable(family, chain)}\nadd rule ${inTable(family, chain)} ${rules}\n`,
  ).join('')

export const linkChain = (name: string): string => `l2_${name.replaceAll('-', '_-')}`

/** The link layer of one interface, which must exist. */
export const linkScript = (name: string): string =>
  `add chain ${inTable('netdev', linkChain(name))} { type filter hook ingress device "${name}" priority -500; policy drop; }\n` +
  `flush chain ${inTable('netdev', linkChain(name))}\nadd rule ${inTable('netdev', linkChain(name))} goto link\n`

export const dropChain = (family: TableFamily, name: string): string =>
  `flush chain ${inTable(family, name)}\ndelete chain ${inTable(family, name)}\n`

export const dropSet = (family: TableFamily, name: string): string => `delete set ${inTable(family, name)}\n`

/** A set of exact keys never grows: with its size the kernel takes a table of that size instead of one that it resizes. */
const setDeclaration = (prefix: string, { name, type, interval, counter, elements }: NftSet): string =>
  `add set ${inTable('inet', prefix + name)} { type ${type};${interval ? ' flags interval;' : ` size ${elements.length};`}${counter ? ' counter;' : ''} }\n`

/** A part of a load, one transaction: text for nft, or keys of a set that an earlier part has made. */
export type Piece =
  | { readonly script: string }
  /** A part of the elements `of` a set. */
  | { readonly set: string; readonly elements: readonly string[]; readonly of: readonly string[] }

/** The objects of every workspace under names of their own, reached by nothing yet; sets before the chains that use them. */
export function* loadPieces(program: NftProgram, tag: string): Generator<Piece> {
  let script = ''
  let weight = 0
  for (const [index, workspace] of program.workspaces.entries()) {
    const prefix = namePrefix(index, program.generation, tag)
    for (const set of workspace.sets) {
      script += setDeclaration(prefix, set)
      weight += 8
      if (isBulk(set)) {
        yield { script }
        script = ''
        weight = 0
        for (let at = 0; at < set.elements.length; at += PIECE_ELEMENTS)
          yield { set: prefix + set.name, elements: set.elements.slice(at, at + PIECE_ELEMENTS), of: set.elements }
        continue
      }
      // A set with ranges is loaded in one piece: each further transaction would cost its whole size again.
      script += addElements('inet', prefix + set.name, set.elements)
      weight += set.elements.length
    }
    script += chainLines('inet', workspace.chains, prefix)
    weight += workspace.chains.length * 16
    if (weight >= PIECE_ELEMENTS) {
      yield { script }
      script = ''
      weight = 0
    }
  }
  if (script !== '') yield { script }
}

/** Exact addresses, protocols and ports, so many that nft's way is the slower one. */
const isBulk = ({ interval, type, elements }: NftSet): boolean =>
  !interval && type.includes(' . ') && elements.length >= BULK_ELEMENTS
const BULK_ELEMENTS = 32

/** Elements of a shared set with the names of this generation filled in. */
export const sharedElements = (program: NftProgram, name: SharedSet, tag: string): string[] =>
  program.shared[name].map((element) =>
    element.replace(/%(\d+):/, (_, index) => namePrefix(Number(index), program.generation, tag)),
  )

/** The switch: what is attached where, which chains judge it, until when, and the numbers that say what this is. */
export function switchScript(program: NftProgram, tag: string, nowMs: number): string {
  let text = ''
  const replace = (family: TableFamily, name: string, elements: readonly string[]): void => {
    text += `flush set ${inTable(family, name)}\n${addElements(family, name, elements)}`
  }
  for (const name of SHARED_SETS) {
    const elements = sharedElements(program, name, tag)
    if (!name.endsWith('_ws')) replace('inet', name, elements)
    else text += `flush map ${inTable('inet', name)}\n${addElements('inet', name, elements)}`
  }
  const byName = ({ interface: name }: NftWorkspace): string[] => [`"${name}"`]
  replace('inet', 'live', liveElements(program, nowMs, byName))
  replace('inet', 'observing', observingElements(program, nowMs))
  for (const six of [false, true]) {
    const byAddress = ({ addresses }: NftWorkspace): string[] => addresses.filter((one) => one.includes(':') === six)
    replace('inet', six ? 'live6' : 'live4', liveElements(program, nowMs, byAddress))
  }
  replace('inet', 'gen', [`${program.generation} comment "${program.planDigest}"`])
  replace('netdev', 'arp_ok', program.arp)
  const names = program.workspaces.map(({ interface: name }) => `"${name}"`)
  replace('arp', 'attached', names)
  replace('bridge', 'attached', names)
  return text
}

/** Where what nothing grants passes, and until when; an end in the past leaves its workspace out. */
const observingElements = (program: NftProgram, nowMs: number): string[] =>
  program.workspaces.flatMap(({ interface: name, observe }) => {
    const leftMs = observe ? Math.floor(observe.untilMs - nowMs) : 0
    return leftMs > 0 ? [`"${name}" timeout ${durationOf(leftMs)}`] : []
  })

/** Who is not suspended, and until when; a deadline in the past leaves its workspace out. */
const liveElements = (
  program: NftProgram,
  nowMs: number,
  keysOf: (workspace: NftWorkspace) => readonly string[],
): string[] =>
  program.workspaces.flatMap((workspace) => {
    const { deadlineMs } = workspace
    if (deadlineMs === null) return keysOf(workspace)
    const leftMs = Math.floor(deadlineMs - nowMs)
    return leftMs > 0 ? keysOf(workspace).map((key) => `${key} timeout ${durationOf(leftMs)}`) : []
  })

/**
 * A timeout as nft reads it: whole units, because it refuses fractions, and days apart from milliseconds, because it
 * refuses large numbers of one unit. At most a hundred years.
 */
export function durationOf(ms: number): string {
  const whole = Math.min(Math.max(1, Math.floor(ms)), 36_500 * DAY_MS)
  return `${Math.floor(whole / DAY_MS)}d${Math.floor((whole % DAY_MS) / 1000)}s${whole % 1000}ms`
}
const DAY_MS = 86_400_000
