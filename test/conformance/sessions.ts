// Sessions of the access broker laid into the scenarios of the common generator: plans with grants that ask for one, and peers
// that come before, while and after theirs is open: closed, ended by time, opened again, two at once, with changes of plan,
// flags and restarts in between.

import fc from 'fast-check'
import { digestOfText } from '../../src/base/digest.js'
import { parsePorts } from '../../src/base/ports.js'
import { planDigest } from '../../src/plan/codec.js'
import { grantId } from '../../src/plan/grants.js'
import type { Grant, Plan } from '../../src/plan/model.js'
import type { Protocol } from '../../src/policy/model.js'
import { ipFrame, type Payload } from '../support/frames.js'
import { GATEWAY_MAC, WS_MAC } from '../support/plans.js'
import { LOCAL4, LOCAL6, type LongScenario, type LongStep, longScenario } from './generator.js'

const asks = (protocol: Protocol, prefix: string, port?: string): Grant => {
  const ports = port === undefined ? null : (parsePorts(port) ?? null)
  const clause = digestOfText(`session ${protocol} ${prefix} ${port}`)
  return {
    id: grantId('ingress', protocol, prefix, ports),
    direction: 'ingress',
    protocol,
    prefix,
    ports,
    opens: false,
    clauses: [clause],
  }
}
const ASKING: readonly Grant[] = [
  asks('tcp', '45.76.10.0/24', '22'),
  asks('udp', '45.76.10.10/32', '8080'),
  asks('tcp', '2a05:9:9::/48', '1-65535'),
  asks('icmp-echo', '45.76.0.0/16'),
  asks('tcp', '10.60.0.1/32', '22-8080'),
]

/** Which grants ask for a session follows from the plan itself, so that a scenario that shrinks stays what it is. */
export const asking = (plan: Plan): Plan => {
  const mask = Number.parseInt(planDigest(plan).slice(7, 9), 16)
  return {
    ...plan,
    workspaces: plan.workspaces.map((at) => {
      // Half of what is open to its sources asks too, in one plan of two; the other may open what this one closes.
      const moved = mask % 2 === 0 ? at.network.ingress.filter((_, i) => i % 2 === 0) : []
      const ingress = at.network.ingress.filter((one) => !moved.includes(one))
      const own = ASKING.filter((_, i) => ((mask >> (i % 4)) & 3) !== 0)
      const distinct = new Map([...moved, ...own].map((one) => [one.id, one]))
      for (const { id } of ingress) distinct.delete(id)
      const sessions = [...distinct.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
      return { ...at, network: { ...at.network, ingress, ...(sessions.length > 0 ? { sessions } : {}) } }
    }),
  }
}

const PEERS = ['45.76.10.10', '45.76.10.20', '45.76.11.1', '10.60.0.1', '2a05:9:9::10', '2a05:9:9:1::1'] as const
const LIFETIMES = [70_000, 220_000] as const
const PASSING = [50_000, 200_000, 400_000] as const

type Sessions = Extract<LongStep, { kind: 'sessions' }>
const list = (peers: readonly string[], ttlMs: number): Sessions => ({
  kind: 'sessions',
  peers: peers.map((peer) => ({ peer, ttlMs })),
})

/** A peer comes, with and without a session, and what began is spoken again after something happened. */
const stay: fc.Arbitrary<readonly LongStep[]> = fc
  .record({
    peer: fc.constantFrom(...PEERS),
    other: fc.constantFrom(...PEERS),
    kind: fc.constantFrom('tcp' as const, 'tcp' as const, 'udp' as const, 'echo' as const),
    port: fc.constantFrom(22, 22, 8080, 40_000),
    ttlMs: fc.constantFrom(...LIFETIMES),
    before: fc.boolean(),
    ends: fc.array(
      fc.constantFrom('close', 'other', 'both', 'longer', 'shorter', 'time', 'plan', 'restart', 'quarantined'),
      { minLength: 1, maxLength: 3 },
    ),
    index: fc.nat(2),
    passing: fc.constantFrom(...PASSING),
    again: fc.boolean(),
  })
  .map(({ peer, other, kind, port, ttlMs, before, ends, index, passing, again }) => {
    const open = list([peer], ttlMs)
    const endings: Readonly<Record<(typeof ends)[number], readonly LongStep[]>> = {
      close: [list([], ttlMs)],
      other: [list([other], ttlMs)],
      both: [list([peer, other], ttlMs)],
      longer: [list([peer], 220_000)],
      shorter: [list([peer], 70_000)],
      time: [{ kind: 'time', ms: passing }],
      plan: [{ kind: 'plan', index }],
      restart: [{ kind: 'restart' }],
      quarantined: [
        { kind: 'flag', flag: 'quarantined', on: true },
        { kind: 'flag', flag: 'quarantined', on: false },
      ],
    }
    const come = packet(peer, kind, port, true, 0x02)
    const goOn = [packet(peer, kind, port, true, 0x10), packet(peer, kind, port, false, 0x10)]
    return [
      ...(before ? [come] : []),
      open,
      come,
      packet(peer, kind, port, false, 0x12),
      ...ends.flatMap((end) => [...endings[end], ...goOn]),
      ...(again ? [open, ...goOn, come] : [come]),
    ]
  })

function packet(peer: string, kind: 'tcp' | 'udp' | 'echo', port: number, inwards: boolean, flags: number): LongStep {
  const local = peer.includes(':') ? LOCAL6 : LOCAL4
  const [from, to] = inwards ? [50_000, port] : [port, 50_000]
  const payload: Payload =
    kind === 'echo'
      ? { kind, reply: !inwards, identifier: 7 }
      : kind === 'tcp'
        ? { kind, from, to, flags }
        : { kind, from, to }
  const ends = inwards
    ? { source: peer, destination: local, sourceMac: GATEWAY_MAC, destinationMac: WS_MAC }
    : { source: local, destination: peer, sourceMac: WS_MAC, destinationMac: GATEWAY_MAC }
  return { kind: 'packet', direction: inwards ? 'to' : 'from', frame: ipFrame({ ...ends, payload }) }
}

/** A scenario of the common generator with stays between its steps. */
export const sessionScenario: fc.Arbitrary<LongScenario> = fc
  .tuple(longScenario(8), fc.array(fc.tuple(fc.nat(60), stay), { minLength: 2, maxLength: 5 }))
  .map(([{ plans, steps }, stays]) => ({
    plans,
    steps: stays.reduce<readonly LongStep[]>((all, [at, more]) => {
      const where = at % (all.length + 1)
      return [...all.slice(0, where), ...more, ...all.slice(where)]
    }, steps),
  }))
