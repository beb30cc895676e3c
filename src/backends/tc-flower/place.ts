// Where the filters of a workspace lie in the kernel. In software both hooks are those of the slot's own interface, and what is
// allowed passes on to the stack behind it. In hardware only what comes in at a port is offloaded: what comes from the workspace
// is judged at its representor and redirected to the uplink, what goes to it is judged at the uplink and redirected to the
// representor, and the representor's own egress, which is software and sees what the switch's processor sends, lets through
// nothing but that processor's own ARP, neighbour discovery and services.
//
// In chain 0 of each hook: a flag (PRIO.flag), the switch to a generation, and a refusal that is never taken away. Generations
// take turns in two sets of chains.

import type { Digest } from '../../base/digest.js'
import { type Cookie, switchMark } from './cookie.js'
import type { Action, Chain, Filter, FlowerWorkspace, Match } from './program.js'
import type { At, Hook, Place, Rule, RuleAction } from './rule.js'

/** `uplink` is absent in software. */
export interface Ports {
  readonly slot: number
  readonly uplink?: number
  /** Tells the workspaces behind one uplink apart; from 0. */
  readonly number: number
}

export const PRIO = { flag: 1, switch: 2, last: 0xf000 } as const
/** Chains of one generation at one hook. */
const SPAN = 8
export type Turn = 0 | 1

/** One hook that a workspace is judged at. */
export interface Station {
  readonly side: 'from' | 'to' | 'own'
  readonly ifindex: number
  readonly hook: Hook
  /** What picks the workspace's packets out of chain 0; nothing where the interface is its own. */
  readonly pick: Match
  readonly handle: number
  /** First chain of the first turn. */
  readonly base: number
}

export function stationsOf({ slot, uplink, number }: Ports, mac: string): readonly Station[] {
  const own = { pick: {}, handle: 1, base: SPAN }
  const from: Station = { side: 'from', ifindex: slot, hook: 'ingress', ...own }
  if (uplink === undefined) return [from, { side: 'to', ifindex: slot, hook: 'egress', ...own }]
  const to: Station = {
    side: 'to',
    ifindex: uplink,
    hook: 'ingress',
    pick: { destinationMac: mac },
    handle: number + 1,
    base: SPAN * (1 + 2 * (number + 1)),
  }
  const outside: Station = { side: 'own', ifindex: slot, hook: 'egress', ...own }
  // Nobody's packets are picked out of the uplink for an interface without a workspace.
  return mac === '' ? [from, outside] : [from, to, outside]
}

export const chainAt = (station: Station, turn: Turn, number: number): number => station.base + turn * SPAN + number
export const chainsOf = (station: Station, turn: Turn): number[] => [1, 2, 3].map((n) => chainAt(station, turn, n))

/** Filters that hardware has to take as well lie in both; the enforcing side's own traffic is software's alone. */
export const placeOf = (station: Station, ports: Ports): Place =>
  ports.uplink === undefined || station.side === 'own' ? 'software' : 'both'

export function lastRule(station: Station, ports: Ports): Rule {
  return {
    ...atChain(station, 0),
    priority: PRIO.last,
    handle: station.handle,
    match: station.pick,
    action: { kind: 'drop' },
    place: placeOf(station, ports),
    cookie: { kind: 'drop', reason: 'not-attached' },
  }
}

export const switchRule = (
  station: Station,
  ports: Ports,
  turn: Turn,
  { generation, planDigest }: { readonly generation: number; readonly planDigest: Digest },
): Rule => ({
  ...lastRule(station, ports),
  priority: PRIO.switch,
  action: { kind: 'goto', chain: chainAt(station, turn, 1) },
  cookie: { kind: 'switch', generation, digest: switchMark(planDigest) },
})

export const flagRule = (
  station: Station,
  ports: Ports,
  flags: { quarantined: boolean; suspended: boolean },
): Rule => ({
  ...lastRule(station, ports),
  priority: PRIO.flag,
  cookie: { kind: 'flag', ...flags },
})

const atChain = ({ ifindex, hook }: Station, chain: number): At => ({ ifindex, hook, chain })

/** The refusals that each chain of a turn ends in: first in, and never taken away while the interface is fenced. */
export const chainEnds = (station: Station, ports: Ports, turn: Turn, chains: readonly Chain[]): Rule[] =>
  chainsOf(station, turn).map((chain, i) => ({
    ...lastRule(station, ports),
    ...atChain(station, chain),
    handle: 1,
    match: {},
    cookie: { kind: 'drop', reason: chains.find(({ number }) => number === i + 1)?.otherwise ?? 'no-grant' },
  }))

/** The chains of a program as they belong to a station. In software the slot's egress sees own traffic as well. */
export function programOf(at: FlowerWorkspace, station: Station, ports: Ports): readonly Chain[] {
  if (station.side === 'own') return [at.own]
  if (station.side === 'from') return at.from
  if (ports.uplink !== undefined) return at.to
  return at.to.map((chain, i) => (i === 0 ? { ...chain, filters: [...at.own.filters, ...chain.filters] } : chain))
}

/** Everything of one workspace at one station, refusals apart. Handles count along each priority. */
export function rulesOf(at: FlowerWorkspace, station: Station, ports: Ports, turn: Turn): Rule[] {
  const hardware = placeOf(station, ports) !== 'software'
  return programOf(at, station, ports).flatMap((chain) => {
    const counted = new Map<number, number>()
    return chain.filters
      .filter(({ only }) => only !== 'hardware' || hardware)
      .map((filter): Rule => {
        const handle = (counted.get(filter.priority) ?? 0) + 1
        counted.set(filter.priority, handle)
        return {
          ...atChain(station, chainAt(station, turn, chain.number)),
          priority: filter.priority,
          handle,
          match: filter.match,
          action: actionOf(filter.action, station, ports, turn),
          place: hardware ? inSwitch(filter) : 'software',
          cookie: cookieOf(filter),
        }
      })
  })
}

/** What is let out goes by hardware or not at all; what is handed to software has to be known there too. */
const inSwitch = ({ action, only }: Filter): Place => only ?? (action.kind === 'out' ? 'hardware' : 'both')

export function actionOf(action: Action, station: Station, ports: Ports, turn: Turn): RuleAction {
  if (action.kind === 'goto') return { kind: 'goto', chain: chainAt(station, turn, action.chain) }
  if (action.kind === 'drop') return { kind: 'drop' }
  if (action.kind === 'kernel' || ports.uplink === undefined) return { kind: 'pass' }
  return { kind: 'redirect', ifindex: station.side === 'from' ? ports.uplink : ports.slot }
}

function cookieOf({ action, grant }: Filter): Cookie {
  if (grant !== undefined) return { kind: 'grant', ordinal: grant }
  return action.kind === 'drop' ? { kind: 'drop', reason: action.reason } : { kind: 'plain' }
}
