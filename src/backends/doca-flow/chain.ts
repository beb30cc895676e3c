// Pipes are numbered as they are made, deepest first. What this gives is how grants of one direction become pipes: exact ones
// in a basic pipe, then prefixes by longest match, and behind a prefix its ports: single ones in a basic pipe keyed by the
// prefix's number, ranges in an ACL.

import { familyBits } from '../../base/ip.js'
import type { Protocol } from '../../policy/model.js'
import { lookupOf, type Node, type Placed } from './nodes.js'
import { addressOctets, joined, maskOctets, ones, u16, u32 } from './octets.js'
import {
  DROP,
  type Entry,
  FIELDS,
  type FieldName,
  type Forward,
  LEARNED_ROOM,
  type MatchField,
  type Pipe,
} from './program.js'

export class Chain {
  readonly pipes: Pipe[] = []

  add(pipe: Omit<Pipe, 'setsMeta' | 'counted'> & Partial<Pick<Pipe, 'setsMeta' | 'counted'>>): Forward {
    this.pipes.push({ setsMeta: false, counted: true, ...pipe })
    return { kind: 'pipe', pipe: this.pipes.length - 1 }
  }
}

/** Every entry says this field, in full or under `mask`. */
export const each = (field: FieldName, mask: Uint8Array = ones(FIELDS[field].octets)): MatchField => ({ field, mask })
/** All entries share this value. */
export const fixed = (field: FieldName, value: Uint8Array): MatchField => ({ field, value, mask: ones(value.length) })

/**
 * Neighbour solicitations and advertisements, for the Arm to judge and answer. RFC 4861 section 7.1: hop limit 255 proves that
 * they were not forwarded. Every entry says it, since a pipe cannot: all ones in a pipe's match is what entries say.
 */
export const neighbourFields = (): MatchField[] => [each('ip6Hops'), each('icmpType')]
export const NEIGHBOUR_KEYS: readonly Uint8Array[] = [135, 136].map((type) => Uint8Array.of(255, type))

export interface Question {
  readonly name: string
  readonly family: 4 | 6
  readonly protocol: Protocol
  /** Whose address and whose port the grants are about. */
  readonly address: 'source' | 'destination'
  readonly port: 'source' | 'destination'
  readonly grants: readonly Placed[]
  /** Reserved addresses have to be opened. */
  readonly classes: boolean
  readonly out: Forward
  readonly miss: Forward
}

/** In front of what `question` asks: addresses that the mediator learns. `expired`: those that have run out count too. */
export function askLearned(
  chain: Chain,
  question: Pick<Question, 'name' | 'family' | 'address' | 'port' | 'out' | 'miss'> & {
    readonly protocol: 'tcp' | 'udp'
  },
  expired: boolean,
): Forward {
  const { name, family, protocol, out, miss } = question
  return chain.add({
    name: `${name} learned`,
    kind: 'basic',
    transport: protocol,
    fields: [each(addressField(question)), each(portField(question))],
    miss,
    // Where a hit goes is the driver's to write into each entry: to the same place as a static grant.
    entries: [],
    learns: { protocol, family, expired, room: LEARNED_ROOM, out },
  })
}

const addressField = ({ family, address }: Pick<Question, 'family' | 'address'>): FieldName =>
  family === 4
    ? address === 'source'
      ? 'ip4Source'
      : 'ip4Destination'
    : address === 'source'
      ? 'ip6Source'
      : 'ip6Destination'

/** Where a packet goes to be asked whether a grant allows it; `miss` itself when there is no grant to ask. */
export function ask(chain: Chain, question: Question): Forward {
  const { family, protocol } = question
  const grants = question.grants.filter(({ grant }) => grant.protocol === protocol)
  const { exact, nodes } = lookupOf(grants, family, question.classes)
  const behind = nodes.some(({ segments }) => segments.length > 0) ? prefixes(chain, question, nodes) : question.miss
  if (exact.length === 0) return behind
  const ported = protocol !== 'icmp-echo'
  return chain.add({
    name: `${question.name} exact`,
    kind: 'basic',
    transport: ported ? protocol : 'none',
    fields: [each(addressField(question)), ...(ported ? [each(portField(question))] : [])],
    miss: behind,
    entries: exact.map(
      ({ prefix, port, grant }): Entry => ({
        key: port === null ? addressOctets(prefix) : joined(addressOctets(prefix), u16(port)),
        forward: question.out,
        grant: grant.id,
      }),
    ),
  })
}

const portField = (question: Pick<Question, 'port'>): FieldName =>
  question.port === 'source' ? 'sourcePort' : 'destinationPort'

const isSingle = ({ segments }: Node): boolean => segments.every(({ from, to }) => from === to)

function prefixes(chain: Chain, question: Question, nodes: readonly Node[]): Forward {
  const ported = question.protocol !== 'icmp-echo'
  const numbered = nodes.map((node, i) => ({ node, number: i + 1 }))
  const open = numbered.filter(({ node }) => node.segments.length > 0)
  const single = ported ? open.filter(({ node }) => isSingle(node)) : []
  const ranged = ported ? open.filter(({ node }) => !isSingle(node)) : []
  const ports = single.length === 0 ? DROP : singlePorts(chain, question, single)
  const acl = ranged.length === 0 ? DROP : rules(chain, question, ranged)
  const whole = familyBits(question.family)
  return chain.add({
    name: `${question.name} prefixes`,
    kind: 'lpm',
    transport: 'none',
    fields: [each(addressField(question))],
    setsMeta: single.length > 0,
    miss: question.miss,
    entries: numbered.map(({ node, number }): Entry => {
      const allowed = node.segments[0]
      const forward = !allowed ? question.miss : !ported ? question.out : isSingle(node) ? ports : acl
      return {
        key: addressOctets(node.prefix),
        mask: maskOctets(question.family, Math.min(node.prefix.length, whole)),
        forward,
        meta: number,
        ...(allowed && !ported ? { grant: allowed.grant.id } : {}),
      }
    }),
  })
}

interface Numbered {
  readonly node: Node
  readonly number: number
}

function singlePorts(chain: Chain, question: Question, nodes: readonly Numbered[]): Forward {
  if (question.protocol === 'icmp-echo') throw new TypeError('echo has no ports')
  return chain.add({
    name: `${question.name} ports`,
    kind: 'basic',
    transport: question.protocol,
    fields: [each('meta'), each(portField(question))],
    miss: question.miss,
    entries: nodes.flatMap(({ node, number }) =>
      node.segments.map(
        ({ from, grant }): Entry => ({
          key: joined(u32(number), u16(from)),
          forward: question.out,
          grant: grant.id,
        }),
      ),
    ),
  })
}

/** Longer prefixes first, and behind each its own refusal, so that no shorter one decides for it. */
function rules(chain: Chain, question: Question, nodes: readonly Numbered[]): Forward {
  if (question.protocol === 'icmp-echo') throw new TypeError('echo has no ports')
  const { family } = question
  return chain.add({
    name: `${question.name} ranges`,
    kind: 'acl',
    transport: question.protocol,
    fields: [each(addressField(question)), each(portField(question))],
    // An ACL counts for the whole pipe or not at all.
    counted: true,
    miss: question.miss,
    entries: nodes.flatMap(({ node }) => {
      const priority = 2 * (familyBits(family) - node.prefix.length)
      const address = addressOctets(node.prefix)
      const mask = maskOctets(family, node.prefix.length)
      return [
        // The range is from the key's port to the mask's.
        ...node.segments.map(
          ({ from, to, grant }): Entry => ({
            key: joined(address, u16(from)),
            mask: joined(mask, u16(to)),
            forward: question.out,
            priority,
            grant: grant.id,
          }),
        ),
        {
          key: joined(address, u16(0)),
          mask: joined(mask, u16(0)),
          forward: question.miss,
          priority: priority + 1,
        },
      ]
    }),
  })
}
