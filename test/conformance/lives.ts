// What happens to a fence besides packets, plans and flags: names are learnt, learnt grants run out, the driver dies and comes
// back. Laid into the scenarios of the common generator for suites that stand on a real clock. Each name has addresses of its
// own, so that no two clauses ever hold the same key.

import fc from 'fast-check'
import { digestOfText } from '../../src/base/digest.js'
import type { LearnedGrant, NameRule, Plan } from '../../src/plan/model.js'
import { ipFrame, type Payload } from '../support/frames.js'
import { GATEWAY_MAC, WS, WS_MAC } from '../support/plans.js'
import { LOCAL4, LOCAL6, type Scenario, type Step } from './generator.js'

/** A name of each protocol and family, by itself and beside the other; public addresses, and a reserved one that never opens. */
export const NAMES = [
  { pattern: 'one.example', protocol: 'tcp', port: 443, addresses: ['45.76.10.20', '10.50.0.7'] },
  { pattern: 'two.example', protocol: 'udp', port: 443, addresses: ['2a05:9:9::11'] },
] as const
type Name = (typeof NAMES)[number]

export type Life =
  | Step
  /** `name` is learnt under the plan that is live; a brief grant ends before the next step but one. */
  | { readonly kind: 'learn'; readonly name: number; readonly brief: boolean }
  /** All the peers that have a session open; brief ones end as brief grants do. */
  | { readonly kind: 'sessions'; readonly peers: readonly { readonly peer: string; readonly brief: boolean }[] }
  /** Time passes until every brief grant has run out. */
  | { readonly kind: 'pass' }
  /** The driver's process ends as it is, and another takes its place. */
  | { readonly kind: 'restart' }

export interface Living {
  readonly plans: readonly Plan[]
  readonly steps: readonly Life[]
}

const ruleOf = ({ pattern, protocol, port }: Name): NameRule => ({
  clause: digestOfText(`name ${pattern}`),
  pattern,
  wildcard: false,
  protocol,
  ports: [{ from: port, to: port }],
  within: [],
})

/** The same plan with these names in it. */
export const naming = (plan: Plan, names: readonly Name[]): Plan => ({
  ...plan,
  workspaces: plan.workspaces.map((one) => ({ ...one, network: { ...one.network, names: names.map(ruleOf) } })),
})

/** The grants that learning a name gives, if the plan has its clause. */
export function grantsOf(plan: Plan, name: number, generation: number, expiresAtMs: number): readonly LearnedGrant[] {
  const { pattern, protocol, port, addresses } = NAMES[name % NAMES.length] as Name
  const rule = plan.workspaces[0]?.network.names.find((one) => one.pattern === pattern)
  if (!rule) return []
  return addresses.map((address) => ({
    workspace: WS,
    clause: rule.clause,
    name: pattern,
    protocol,
    address,
    port,
    generation,
    expiresAtMs,
  }))
}

/** A packet of a conversation with a learnt address. */
function talk({ protocol, port, addresses }: Name, which: number, back: boolean, flags: number): Step {
  const peer = addresses[which % addresses.length] ?? ''
  const local = peer.includes(':') ? LOCAL6 : LOCAL4
  const [from, to] = back ? [port, 41_000] : [41_000, port]
  return {
    kind: 'packet',
    direction: back ? 'to' : 'from',
    frame: ipFrame({
      source: back ? peer : local,
      destination: back ? local : peer,
      sourceMac: back ? GATEWAY_MAC : WS_MAC,
      destinationMac: back ? WS_MAC : GATEWAY_MAC,
      payload: { kind: protocol, from, to, flags },
    }),
  }
}

/** Learnt, used, and then one of the things that end it, before and after which both ends speak again. */
const learning: fc.Arbitrary<readonly Life[]> = fc
  .record({
    name: fc.nat(NAMES.length - 1),
    which: fc.nat(1),
    brief: fc.boolean(),
    before: fc.boolean(),
    end: fc.constantFrom('pass', 'plan', 'plans', 'quarantined', 'suspended', 'restart', 'again'),
    index: fc.nat(2),
  })
  .map(({ name, which, brief, before, end, index }) => {
    const one = NAMES[name] as Name
    const speak: readonly Life[] = [talk(one, which, false, 0x02), talk(one, which, true, 0x12)]
    const goOn: readonly Life[] = [talk(one, which, false, 0x10), talk(one, which, true, 0x10)]
    const learn: Life = { kind: 'learn', name, brief }
    const endings: Readonly<Record<typeof end, readonly Life[]>> = {
      pass: [{ kind: 'pass' }],
      plan: [{ kind: 'plan', index }],
      plans: [
        { kind: 'plan', index: index + 1 },
        { kind: 'plan', index },
      ],
      quarantined: [
        { kind: 'flag', flag: 'quarantined', on: true },
        ...goOn,
        { kind: 'flag', flag: 'quarantined', on: false },
      ],
      suspended: [
        { kind: 'flag', flag: 'suspended', on: true },
        { kind: 'flag', flag: 'suspended', on: false },
      ],
      restart: [{ kind: 'restart' }],
      again: [{ kind: 'learn', name, brief: !brief }],
    }
    return [...(before ? speak : []), learn, ...speak, ...endings[end], ...goOn, ...speak]
  })

/** What comes in and what answers, to and from one port of the workspace. */
const visit = (peer: string, port: number, kind: 'tcp' | 'udp', inwards: boolean, flags: number): Step => {
  const local = peer.includes(':') ? LOCAL6 : LOCAL4
  const payload: Payload = inwards ? { kind, from: 50_000, to: port, flags } : { kind, from: port, to: 50_000, flags }
  const [source, destination] = inwards ? [peer, local] : [local, peer]
  const [sourceMac, destinationMac] = inwards ? [GATEWAY_MAC, WS_MAC] : [WS_MAC, GATEWAY_MAC]
  return {
    kind: 'packet',
    direction: inwards ? 'to' : 'from',
    frame: ipFrame({ source, destination, sourceMac, destinationMac, payload }),
  }
}

const VISITORS = ['45.76.10.10', '45.76.10.20', '10.60.0.1', '2a05:9:9::10'] as const
/** What grants of sessions.ts let in, and one that none does. */
const VISITS = [
  ['45.76.10.10', 'tcp', 22],
  ['45.76.10.20', 'tcp', 22],
  ['45.76.10.10', 'udp', 8080],
  ['10.60.0.1', 'tcp', 8080],
  ['2a05:9:9::10', 'tcp', 22],
  ['10.60.0.1', 'udp', 22],
] as const

/** A peer comes before, while and after its session is open. */
const staying: fc.Arbitrary<readonly Life[]> = fc
  .record({
    which: fc.nat(VISITS.length - 1),
    other: fc.constantFrom(...VISITORS),
    // On a busy machine a brief one is over before anybody comes: most are not.
    brief: fc.constantFrom(false, false, false, true),
    before: fc.boolean(),
    end: fc.constantFrom('close', 'other', 'both', 'pass', 'plan', 'quarantined', 'restart'),
    again: fc.boolean(),
    index: fc.nat(2),
  })
  .map(({ which, other, brief, before, end, again, index }) => {
    const [peer, kind, port] = VISITS[which] as (typeof VISITS)[number]
    const open: Life = { kind: 'sessions', peers: [{ peer, brief }] }
    const come = visit(peer, port, kind, true, 0x02)
    const goOn: readonly Life[] = [visit(peer, port, kind, false, 0x10), visit(peer, port, kind, true, 0x10)]
    const endings: Readonly<Record<typeof end, readonly Life[]>> = {
      close: [{ kind: 'sessions', peers: [] }],
      other: [{ kind: 'sessions', peers: [{ peer: other, brief: false }] }],
      // What ends soon is not made longer: which of two clocks saw its end first is nobody's promise.
      both: brief
        ? [{ kind: 'pass' }]
        : [{ kind: 'sessions', peers: [other, peer].map((one) => ({ peer: one, brief: false })) }],
      pass: [{ kind: 'pass' }],
      plan: [{ kind: 'plan', index }],
      quarantined: [
        { kind: 'flag', flag: 'quarantined', on: true },
        { kind: 'flag', flag: 'quarantined', on: false },
      ],
      restart: [{ kind: 'restart' }],
    }
    return [
      ...(before ? [come] : []),
      open,
      come,
      visit(peer, port, kind, false, 0x12),
      ...endings[end],
      ...goOn,
      { kind: 'pass' },
      ...(again ? [open, ...goOn, come] : [come]),
      { kind: 'pass' },
      { kind: 'sessions', peers: [] },
    ]
  })

/** Visits by sessions in the place of names. */
export const visited = (of: fc.Arbitrary<Scenario>, most: number): fc.Arbitrary<Living> =>
  fc
    .record({ scene: of, stays: fc.array(fc.tuple(fc.nat(1000), staying), { minLength: 1, maxLength: most }) })
    .map(({ scene, stays }) => {
      const steps: Life[] = [...scene.steps]
      for (const [at, stay] of stays) steps.splice(at % (steps.length + 1), 0, ...stay)
      return { plans: scene.plans, steps }
    })

/** A scenario in which two of three plans know names, with lessons between its steps. */
export const living = (of: fc.Arbitrary<Scenario>, lessons: number): fc.Arbitrary<Living> =>
  fc
    .record({
      scene: of,
      known: fc.array(fc.constantFrom([0], [1], [0, 1], []), { minLength: 3, maxLength: 3 }),
      taught: fc.array(fc.tuple(fc.nat(1000), learning), { maxLength: lessons }),
    })
    .map(({ scene, known, taught }) => {
      const plans = scene.plans.map((plan, i) =>
        naming(
          plan,
          (known[i % known.length] ?? []).map((n) => NAMES[n]),
        ),
      )
      const steps: Life[] = [...scene.steps]
      for (const [at, lesson] of taught) steps.splice(at % (steps.length + 1), 0, ...lesson)
      return { plans, steps }
    })
