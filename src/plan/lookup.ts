// Finds the grant of a tuple: exact grants by hash, prefixes by length, port ranges behind the prefix. Built once for each
// workspace plan and kept beside it; the plan itself stays plain data.

import { type Family, familyBits, type Ip, parsePrefix, prefixMask } from '../base/ip.js'
import type { Protocol } from '../policy/model.js'
import type { Grant, WorkspacePlan } from './model.js'

/** `session`: ingress that counts only for the peer of an open session. */
type Direction = Grant['direction'] | 'session'

class PrefixTable {
  /** Longest first, so that the first hit is the most specific. */
  private readonly lengths: number[] = []
  private readonly byLength = new Map<number, Map<bigint, Grant[]>>()

  constructor(private readonly family: Family) {}

  add(value: bigint, length: number, grant: Grant): void {
    let table = this.byLength.get(length)
    if (!table) {
      table = new Map()
      this.byLength.set(length, table)
      this.lengths.push(length)
      this.lengths.sort((a, b) => b - a)
    }
    const grants = table.get(value)
    if (grants) grants.push(grant)
    else table.set(value, [grant])
  }

  find(address: bigint, port: number, onlyOpening: boolean): Grant | undefined {
    for (const length of this.lengths) {
      const grants = this.byLength.get(length)?.get(address & prefixMask(this.family, length))
      let best: Grant | undefined
      for (const grant of grants ?? []) {
        if (onlyOpening && !grant.opens) continue
        if (grant.ports && (port < grant.ports.from || port > grant.ports.to)) continue
        if (!best || narrower(grant, best)) best = grant
      }
      if (best) return best
    }
    return undefined
  }
}

/** Of two grants of one prefix, the one with fewer ports; then the smaller id, so that order never matters. */
function narrower(a: Grant, b: Grant): boolean {
  const width = (grant: Grant): number => (grant.ports ? grant.ports.to - grant.ports.from : 0)
  return width(a) !== width(b) ? width(a) < width(b) : a.id < b.id
}

export class GrantIndex {
  private readonly tables = new Map<string, PrefixTable>()

  constructor(plan: WorkspacePlan) {
    const { egress, ingress, sessions = [] } = plan.network
    for (const grant of [...egress, ...ingress]) this.add(grant.direction, grant)
    for (const grant of sessions) this.add('session', grant)
  }

  private add(direction: Direction, grant: Grant): void {
    const prefix = parsePrefix(grant.prefix)?.prefix
    if (!prefix) throw new TypeError(`plan holds a bad prefix: ${grant.prefix}`)
    const key = tableKey(direction, grant.protocol, prefix.family)
    let table = this.tables.get(key)
    if (!table) {
      table = new PrefixTable(prefix.family)
      this.tables.set(key, table)
    }
    table.add(prefix.value, prefix.length, grant)
  }

  /** The grant that allows (direction, protocol, peer, port); the most specific of several. */
  find(direction: Direction, protocol: Protocol, peer: Ip, port: number, onlyOpening: boolean): Grant | undefined {
    return this.tables.get(tableKey(direction, protocol, peer.family))?.find(peer.value, port, onlyOpening)
  }
}

const tableKey = (direction: Direction, protocol: Protocol, family: Family): string =>
  `${direction} ${protocol} ${familyBits(family)}`

const indexes = new WeakMap<WorkspacePlan, GrantIndex>()

export function grantIndex(plan: WorkspacePlan): GrantIndex {
  let index = indexes.get(plan)
  if (!index) {
    index = new GrantIndex(plan)
    indexes.set(plan, index)
  }
  return index
}
