// Grants of one direction as the filters of one chain: what nothing opens, what opens a reserved range, reserved ranges, and then
// everything else, in that order (design section 5, step 6). A reserved range that no granted prefix reaches into needs no
// filter: what matches nothing is refused as it is.

import { type Family, overlaps, type Prefix, parsePrefix, prefixRange } from '../../base/ip.js'
import { NEVER, RESERVED, type ReservedRange } from '../../base/reserved.js'
import type { Grant } from '../../plan/model.js'
import { portBlocks } from './ports.js'
import { type Action, type Filter, type Masked, type Match, PRIORITY, SIXTH } from './program.js'

/** A grant with its prefix read, and its place in the workspace's list. */
export interface Placed {
  readonly grant: Grant
  readonly prefix: Prefix
  readonly ordinal: number
}

export const placeGrants = (grants: readonly Grant[], first: number): Placed[] =>
  grants.map((grant, i) => {
    const prefix = parsePrefix(grant.prefix)?.prefix
    if (!prefix) throw new TypeError(`plan holds a bad prefix: ${grant.prefix}`)
    return { grant, prefix, ordinal: first + i }
  })

export interface Question {
  readonly grants: readonly Placed[]
  /** Whose address and port the grants are about. */
  readonly address: 'source' | 'destination'
  readonly port: 'sourcePort' | 'destinationPort'
  /** What is asked of echo: requests where a grant is read as it stands, replies where it is read reversed. */
  readonly echo: 'request' | 'reply'
  /** What becomes of peers that nothing opens, and of reserved ones that no grant opens. Absent: peers are not destinations. */
  readonly closed?: { readonly never: Action; readonly reserved: Action }
}

const NUMBER = { tcp: 6, udp: 17 } as const
const ECHO = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const
const ICMP = { 4: 1, 6: 58 } as const

export const familyOf = (family: Family): { readonly etherType: 'ip' | 'ipv6'; readonly shift: number } =>
  family === 4 ? { etherType: 'ip', shift: 0 } : { etherType: 'ipv6', shift: SIXTH }

export function grantFilters(question: Question): Filter[] {
  const filters = [4, 6].flatMap((family) => ofFamily(question, family as Family))
  const seen = new Set<string>()
  // Two grants that meet in one block are one filter, of the more specific of the two.
  return filters.filter(({ priority, match }) => {
    const key = `${priority} ${keyOf(match)}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

const keyOf = ({ source, destination, sourcePort, destinationPort, protocol, icmpType }: Match): string =>
  [source, destination]
    .map((prefix) => (prefix ? `${prefix.value}/${prefix.length}` : ''))
    .concat([sourcePort, destinationPort].map((port) => (port ? `${port.value}/${port.mask}` : '')))
    .concat(`${protocol ?? ''}`, `${icmpType ?? ''}`)
    .join(' ')

function ofFamily(question: Question, family: Family): Filter[] {
  const { closed } = question
  const { etherType, shift } = familyOf(family)
  const mine = question.grants.filter(({ prefix }) => prefix.family === family).sort(moreSpecificFirst)
  const opening = closed ? mine.filter(({ grant }) => grant.opens) : []
  const plain = closed ? mine.filter(({ grant }) => !grant.opens) : mine
  const shut = (rows: readonly ReservedRange[], reach: readonly Placed[], priority: number, action: Action): Filter[] =>
    rows
      .filter(({ prefix, range }) => prefix.family === family && reach.some((one) => reaches(one.prefix, range)))
      .map(({ prefix }) => ({
        priority: priority + shift,
        match: { etherType, [question.address]: prefix },
        action,
      }))
  return [
    ...(closed ? shut(NEVER, mine, PRIORITY.never, closed.never) : []),
    ...opening.flatMap((placed) => allow(question, placed, PRIORITY.opens + shift)),
    ...(closed ? shut(RESERVED, plain, PRIORITY.reserved, closed.reserved) : []),
    ...plain.flatMap((placed) => allow(question, placed, PRIORITY.granted + shift)),
  ]
}

const reaches = (prefix: Prefix, range: ReservedRange['range']): boolean => overlaps(prefixRange(prefix), range)

/** Filters of one priority are asked by mask, in the order in which a mask first came: as plan/lookup.ts chooses. */
function moreSpecificFirst(a: Placed, b: Placed): number {
  const width = ({ grant }: Placed): number => (grant.ports ? grant.ports.to - grant.ports.from : 0)
  return b.prefix.length - a.prefix.length || width(a) - width(b) || (a.grant.id < b.grant.id ? -1 : 1)
}

function allow(question: Question, { grant, prefix, ordinal }: Placed, priority: number): Filter[] {
  const { etherType } = familyOf(prefix.family)
  const about = { etherType, [question.address]: prefix }
  const row = (match: Match): Filter => ({ priority, match, action: { kind: 'out' }, grant: ordinal })
  if (grant.protocol === 'icmp-echo' || grant.ports === null)
    return [row({ ...about, protocol: ICMP[prefix.family], icmpType: ECHO[prefix.family][question.echo] })]
  const protocol = NUMBER[grant.protocol]
  return portBlocks(grant.ports).map((block: Masked | undefined) =>
    row({ ...about, protocol, ...(block ? { [question.port]: block } : {}) }),
  )
}
