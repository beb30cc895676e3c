// Grants as set elements. Exact grants (one address, one port) go to hash sets; the rest to interval sets, in which nft 1.0.6
// refuses elements that overlap: they are spread over layers, each free of overlaps, so that every grant keeps its own
// element and its own counter. Addresses are printed as literals only: nft would resolve a name.

import { comparePrefix, formatIp, formatPrefix, isHost, type Prefix, parsePrefix, prefixRange } from '../../base/ip.js'
import { formatPorts, type PortRange } from '../../base/ports.js'
import { NEVER, prefixClass, RESERVED, type ReservedRange } from '../../base/reserved.js'
import type { Grant } from '../../plan/model.js'
import { nftablesFault } from './errors.js'

/** An interface name in quotes. Throws NFT_INTERFACE_NAME for what could be read as anything else. */
export function interfaceName(name: string): string {
  if (!/^[A-Za-z0-9_.-]{1,15}$/.test(name)) throw nftablesFault('NFT_INTERFACE_NAME', { interface: name })
  return `"${name}"`
}

export interface Located {
  readonly grant: Grant
  readonly prefix: Prefix
}

/** Parsed prefixes; grants of addresses that nothing may open are left out (design section 5, step 6). */
export function locate(grants: readonly Grant[]): Located[] {
  const located: Located[] = []
  for (const grant of grants) {
    const prefix = parsePrefix(grant.prefix)?.prefix
    if (!prefix) throw new TypeError(`the plan holds a bad prefix: ${grant.prefix}`)
    if (grant.direction === 'ingress' || prefixClass(prefix) !== 'never') located.push({ grant, prefix })
  }
  return located.sort((a, b) => comparePrefix(a.prefix, b.prefix))
}

/** One address and one port: found by hash. */
export const isExact = ({ grant, prefix }: Located): boolean =>
  isHost(prefix) && grant.ports !== null && grant.ports.from === grant.ports.to

/** Lies in a reserved range: judged apart, so that 0.0.0.0/0 never opens one. */
export const isReserved = ({ prefix }: Located): boolean => prefixClass(prefix) === 'opens'

const printPrefix = (prefix: Prefix): string => (isHost(prefix) ? formatIp(prefix) : formatPrefix(prefix))

/** `45.76.10.0/24 . tcp . 8000-8100`, or the prefix alone for icmp-echo. */
export function elementOf({ grant, prefix }: Located): string {
  if (grant.ports === null) return printPrefix(prefix)
  return `${printPrefix(prefix)} . ${grant.protocol} . ${formatPorts(grant.ports)}`
}

interface Layer {
  readonly members: Located[]
  /** Members whose prefixes may still contain what comes. */
  open: Located[]
}

/**
 * Spreads grants, sorted by prefix, over as few layers as first fit finds. Prefixes nest or are apart, so only the ones that
 * contain the present one can overlap it: those are kept on a stack for each layer.
 */
export function layersOf(located: readonly Located[]): Located[][] {
  const layers: Layer[] = []
  for (const one of located) {
    let layer: Layer | undefined = layers.find((candidate) => {
      candidate.open = candidate.open.filter((outer) => prefixRange(outer.prefix).last >= one.prefix.value)
      return !candidate.open.some((outer) => collides(outer, one))
    })
    if (!layer) {
      layer = { members: [], open: [] }
      layers.push(layer)
    }
    layer.members.push(one)
    layer.open.push(one)
  }
  return layers.map((layer) => layer.members)
}

const ANY: PortRange = { from: 0, to: 65535 }

/** The prefixes overlap already: do the protocols and ports? */
function collides(a: Located, b: Located): boolean {
  if (a.grant.protocol !== b.grant.protocol) return false
  const [p, q] = [a.grant.ports ?? ANY, b.grant.ports ?? ANY]
  return p.from <= q.to && q.from <= p.to
}

/** The rows of a table of reserved addresses as disjoint intervals of one family. */
export function intervalsOf(rows: readonly ReservedRange[], family: 4 | 6): string[] {
  const ranges = rows
    .map((row) => row.range)
    .filter((range) => range.family === family)
    .sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))
  const merged: { first: bigint; last: bigint }[] = []
  for (const range of ranges) {
    const last = merged.at(-1)
    if (last && range.first <= last.last + 1n) {
      if (range.last > last.last) last.last = range.last
    } else merged.push({ first: range.first, last: range.last })
  }
  return merged.map(({ first, last }) =>
    first === last
      ? formatIp({ family, value: first })
      : `${formatIp({ family, value: first })}-${formatIp({ family, value: last })}`,
  )
}

export const neverIntervals = (family: 4 | 6): string[] => intervalsOf(NEVER, family)
export const reservedIntervals = (family: 4 | 6): string[] => intervalsOf(RESERVED, family)
