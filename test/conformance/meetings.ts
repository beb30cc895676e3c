// Conversations that meet a grant: at its first and last address and port, and one beside them, in both directions, with a change
// of plan in the middle. Random packets rarely stand on an edge; these always do, so that most of what is played in a
// suite with real frames is about the difference between allowed and not.

import fc from 'fast-check'
import { formatIp, type Ip, parsePrefix, prefixRange } from '../../src/base/ip.js'
import type { Grant, Plan } from '../../src/plan/model.js'
import { ipFrame, type Payload } from '../support/frames.js'
import { GATEWAY_MAC, WS_MAC } from '../support/plans.js'
import { LOCAL4, LOCAL6, plans, type Scenario, type Step } from './generator.js'

/** Which edge of a range, and whether one beyond it. */
type Edge = 'first' | 'last' | 'before' | 'after'
const edge = fc.constantFrom<Edge>('first', 'first', 'last', 'last', 'before', 'after')

interface Meeting {
  readonly grant: number
  readonly address: Edge
  readonly port: Edge
  readonly other: number
  readonly changes: readonly number[]
}

const meeting: fc.Arbitrary<Meeting> = fc.record({
  grant: fc.nat(30),
  address: edge,
  port: edge,
  other: fc.constantFrom(40_000, 40_001, 50_000),
  changes: fc.array(fc.nat(2), { maxLength: 2 }),
})

function at(first: bigint, last: bigint, where: Edge): bigint {
  return where === 'first' ? first : where === 'last' ? last : where === 'before' ? first - 1n : last + 1n
}

/** Within the family, whatever the edge asks for; never the unspecified address, which no stack can answer. */
function peerOf(grant: Grant, where: Edge): Ip {
  const prefix = parsePrefix(grant.prefix)?.prefix
  if (!prefix) throw new Error(`no prefix: ${grant.prefix}`)
  const { first, last } = prefixRange(prefix)
  const highest = (1n << (prefix.family === 4 ? 32n : 128n)) - 1n
  const value = at(first, last, where)
  return { family: prefix.family, value: value < 1n ? 1n : value > highest ? highest : value }
}

function portOf(grant: Grant, where: Edge): number {
  const range = grant.ports ?? { from: 1, to: 65_535 }
  return Math.min(65_535, Math.max(1, Number(at(BigInt(range.from), BigInt(range.to), where))))
}

function stepsOf(plan: Plan, { grant: index, address, port, other, changes }: Meeting): readonly Step[] {
  const network = plan.workspaces[0]?.network
  const grants = [...(network?.egress ?? []), ...(network?.ingress ?? [])]
  const grant = grants[index % Math.max(1, grants.length)]
  if (!grant) return []
  const peer = peerOf(grant, address)
  const granted = portOf(grant, port)
  const end = peer.family === 6 ? LOCAL6 : LOCAL4
  const [local, remote] = grant.direction === 'egress' ? [other, granted] : [granted, other]
  const payload = (outward: boolean, first: boolean, flags: number): Payload => {
    if (grant.protocol === 'icmp-echo') return { kind: 'echo', reply: !first, identifier: 77 }
    const [from, to] = outward ? [local, remote] : [remote, local]
    return grant.protocol === 'tcp' ? { kind: 'tcp', from, to, flags } : { kind: 'udp', from, to }
  }
  const step = (outward: boolean, first: boolean, flags: number): Step => ({
    kind: 'packet',
    direction: outward ? 'from' : 'to',
    frame: ipFrame({
      source: outward ? end : formatIp(peer),
      destination: outward ? formatIp(peer) : end,
      sourceMac: outward ? WS_MAC : GATEWAY_MAC,
      destinationMac: outward ? GATEWAY_MAC : WS_MAC,
      payload: payload(outward, first, flags),
    }),
  })
  // The side that the grant lets begin, then the other.
  const begins = grant.direction === 'egress'
  const change = changes.map((one): Step => ({ kind: 'plan', index: one }))
  return [
    step(begins, true, 0x02),
    step(!begins, false, 0x12),
    step(begins, true, 0x10),
    ...change,
    step(begins, true, 0x10),
    step(!begins, false, 0x10),
  ]
}

/** Begins with `plans[0]` live; every conversation meets one of its grants. */
export const meetings = (length: number): fc.Arbitrary<Scenario> =>
  fc
    .tuple(plans, fc.array(meeting, { minLength: 1, maxLength: length }))
    .map(([list, meets]) => ({ plans: list, steps: meets.flatMap((one) => stepsOf(list[0] as Plan, one)) }))
