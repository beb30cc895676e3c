// Grants of one direction, protocol and family as what hardware can look up: exact addresses with one port, and prefixes, of
// which a longest-prefix table finds exactly one. Since it never goes on to a shorter prefix, each prefix here holds what it
// inherits from those around it, and reserved and forbidden ranges are prefixes of their own that inherit nothing that does
// not open them. The result finds what plan/lookup.ts finds.

import { type Family, familyBits, type Prefix, parsePrefix, prefixMask } from '../../base/ip.js'
import { NEVER, prefixClass, RESERVED } from '../../base/reserved.js'
import type { Grant } from '../../plan/model.js'
import { type PortClaim, segmentsOf } from '../../plan/segments.js'

export interface Exact {
  readonly prefix: Prefix
  /** null: the protocol has no ports. */
  readonly port: number | null
  readonly grant: Grant
}

/** Disjoint and sorted; empty: nothing is allowed there. */
export type Segment = PortClaim<Grant>

export interface Node {
  readonly prefix: Prefix
  readonly segments: readonly Segment[]
}

export interface Lookup {
  readonly exact: readonly Exact[]
  readonly nodes: readonly Node[]
}

/** A grant with its prefix read, and what that prefix is among the reserved ranges: done once, asked many times. */
export interface Placed {
  readonly prefix: Prefix
  readonly grant: Grant
  readonly where: ReturnType<typeof prefixClass>
}

export const placeGrants = (grants: readonly Grant[]): Placed[] =>
  grants.map((grant) => {
    const prefix = parsePrefix(grant.prefix)?.prefix
    if (!prefix) throw new TypeError(`plan holds a bad prefix: ${grant.prefix}`)
    return { prefix, grant, where: prefixClass(prefix) }
  })

/** `classes`: peers are destinations, so that reserved addresses have to be opened (design section 5, step 6). */
export function lookupOf(grants: readonly Placed[], family: Family, classes: boolean): Lookup {
  const exact: Exact[] = []
  const wide: Placed[] = []
  for (const placed of grants) {
    const { prefix, grant, where } = placed
    if (prefix.family !== family) continue
    const single = grant.ports === null || grant.ports.from === grant.ports.to
    if (prefix.length < familyBits(family) || !single) wide.push(placed)
    else if (!classes || where === 'public' || (where === 'opens' && grant.opens))
      exact.push({ prefix, port: grant.ports?.from ?? null, grant })
  }
  return { exact, nodes: nodesOf(wide, family, classes) }
}

const keyOf = (length: number, value: bigint): string => `${length} ${value}`

function nodesOf(wide: readonly Placed[], family: Family, classes: boolean): Node[] {
  const held = new Map<string, Placed[]>()
  const prefixes = new Map<string, Prefix>()
  for (const placed of wide) {
    const key = keyOf(placed.prefix.length, placed.prefix.value)
    prefixes.set(key, placed.prefix)
    const there = held.get(key)
    if (there) there.push(placed)
    else held.set(key, [placed])
  }
  const lengths = [...new Set(wide.map((placed) => placed.prefix.length))].sort((a, b) => b - a)
  const around = (prefix: Prefix): Placed[] =>
    lengths
      .filter((length) => length <= prefix.length)
      .flatMap((length) => held.get(keyOf(length, prefix.value & prefixMask(family, length))) ?? [])
  // A range that no grant covers is refused by the miss, as everything else is.
  if (classes)
    for (const { prefix } of [...NEVER, ...RESERVED])
      if (prefix.family === family && around(prefix).length > 0)
        prefixes.set(keyOf(prefix.length, prefix.value), prefix)
  return [...prefixes.values()]
    .map((prefix): Node => {
      const where = classes ? prefixClass(prefix) : 'public'
      const apply = where === 'never' ? [] : around(prefix).filter(({ grant }) => where === 'public' || grant.opens)
      return { prefix, segments: segmentsOf(apply.map(claimOf), better) }
    })
    .sort((a, b) => b.prefix.length - a.prefix.length || (a.prefix.value < b.prefix.value ? -1 : 1))
}

interface Claim extends Segment {
  readonly length: number
}

/** The longer prefix, then the fewer ports, then the smaller id: as plan/lookup.ts chooses. */
const better = (a: Claim, b: Claim): number =>
  b.length - a.length || a.to - a.from - (b.to - b.from) || (a.grant.id < b.grant.id ? -1 : 1)

const claimOf = ({ prefix, grant }: Placed): Claim => ({
  from: grant.ports?.from ?? 0,
  to: grant.ports?.to ?? 65_535,
  grant,
  length: prefix.length,
})
