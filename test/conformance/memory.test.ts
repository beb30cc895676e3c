// The backend `memory` against `evaluate`, and what `evaluate` itself promises whatever the plan: an allowed packet names a
// live clause or one of the fence's own reasons, the order of clauses never matters, a quarantined workspace is silent.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MemoryDriver } from '../../src/backends/memory/driver.js'
import { sliceFor } from '../../src/plan/codec.js'
import { evaluate } from '../../src/plan/evaluate.js'
import { carryOver, withFlag } from '../../src/plan/flow.js'
import type { LearnedGrant, Plan, SessionPeer } from '../../src/plan/model.js'
import { type Packet, readFrame } from '../../src/plan/packet.js'
import { EMPTY_STATE, EXACT_ENV, type State } from '../../src/plan/state.js'
import { egress, planOf, WS } from '../support/plans.js'
import { type Scenario, scenario } from './generator.js'
import { observation, observing, unobserved, withObserve } from './observing.js'
import { type Contestant, contest, NOW_MS, play, said, type Tally } from './run.js'
import { asking, sessionScenario } from './sessions.js'

class Memory implements Contestant {
  readonly name: string = 'memory'
  private nowMs = NOW_MS
  protected driver = new MemoryDriver(() => this.nowMs)
  private generation = 0

  async begin(plan: Plan): Promise<void> {
    this.driver = new MemoryDriver(() => this.nowMs)
    this.nowMs = NOW_MS
    await this.change(plan, 1)
  }
  async change(plan: Plan, generation: number): Promise<void> {
    this.generation = generation
    await this.driver.commit(await this.driver.stage(sliceFor(plan, 'memory', generation)))
  }
  flag(flag: 'quarantined' | 'suspended', on: boolean): Promise<void> {
    return this.driver.flag(WS, flag, on)
  }
  judge(_frame: Uint8Array<ArrayBuffer>, packet: Packet): string {
    return said(this.driver.judge(WS, packet, this.nowMs, EXACT_ENV))
  }
  async learn(grant: LearnedGrant): Promise<void> {
    await this.driver.learn(this.generation, [grant])
  }
  async sessions(peers: readonly SessionPeer[]): Promise<void> {
    await this.driver.sessions(WS, peers)
  }
  pass(ms: number): Promise<boolean> {
    this.nowMs += ms
    return Promise.resolve(true)
  }
}

/** A backend with one fault: it forgets to cut at a change of plan. The suite must find it. */
class Forgetful extends Memory {
  override readonly name = 'forgetful'
  override async change(plan: Plan, generation: number): Promise<void> {
    if (generation === 1) await super.change(plan, generation)
  }
}

/** A backend whose sessions never end by themselves. The suite must find it. */
class Timeless extends Memory {
  override readonly name = 'timeless'
  override sessions(peers: readonly SessionPeer[]): Promise<void> {
    return super.sessions(peers.map((one) => ({ ...one, expiresAtMs: Number.MAX_SAFE_INTEGER })))
  }
}

/** Plays a scenario on `evaluate` alone and shows every step to `look`. */
function walk(
  { plans, steps }: Scenario,
  look: (plan: Plan, state: State, packet: Packet) => State,
  reorder: (plan: Plan) => Plan = (plan) => plan,
): void {
  let plan = reorder(plans[0] as Plan)
  let state: State = EMPTY_STATE
  for (const step of steps) {
    if (step.kind === 'plan') {
      plan = reorder(plans[step.index % plans.length] as Plan)
      state = carryOver(state, plan, 2)
    } else if (step.kind === 'flag') state = withFlag(state, step.flag, WS, step.on)
    else state = look(plan, state, readFrame(step.frame, step.direction))
  }
}

const OWN_REASONS: ReadonlySet<string> = new Set(['service', 'neighbour'])

const reversed = (plan: Plan): Plan => ({
  ...plan,
  workspaces: plan.workspaces.map((at) => ({
    ...at,
    network: {
      ...at.network,
      egress: [...at.network.egress].reverse(),
      ingress: [...at.network.ingress].reverse(),
      names: [...at.network.names].reverse(),
    },
  })),
})

describe('conformance: memory', () => {
  it('says what evaluate says', async () => {
    const tally = await contest(new Memory(), 20_000)
    expect(tally).toMatchObject({ disagreements: 0, unasked: 0 })
    expect(tally.cases).toBeGreaterThanOrEqual(20_000)
    // A generator whose packets were all refused would prove nothing.
    expect(tally.allowed / tally.cases).toBeGreaterThan(0.05)
  }, 7_200_000)

  it('says what evaluate says while workspaces are observed, and after', async () => {
    const tally = await contest(new Memory(), 20_000, EXACT_ENV, observing)
    expect(tally).toMatchObject({ disagreements: 0, unasked: 0 })
    expect(tally.allowed / tally.cases).toBeGreaterThan(0.15)
  }, 7_200_000)

  it('says what evaluate says while sessions open, close and end', async () => {
    const tally = await contest(new Memory(), 6_000, EXACT_ENV, asking, sessionScenario)
    expect(tally).toMatchObject({ disagreements: 0, unasked: 0 })
    // Visits that a session let in, and not only what the other clauses grant.
    expect(tally.allowed / tally.cases).toBeGreaterThan(0.15)
    expect(tally.sessions).toBeGreaterThan(500)
  }, 7_200_000)

  it('finds a backend that ends no session', async () => {
    await expect(contest(new Timeless(), 10_000, EXACT_ENV, asking, sessionScenario)).rejects.toThrow(/Property failed/)
  })

  it('finds a backend that does not cut', async () => {
    await expect(contest(new Forgetful(), 20_000)).rejects.toThrow(/Property failed/)
  })

  it('counts a frame that could not be asked about, and does not count it as agreement', async () => {
    const tally: Tally = {
      backend: '',
      scenarios: 0,
      cases: 0,
      unasked: 0,
      allowed: 0,
      learned: 0,
      passed: 0,
      restarts: 0,
      sessions: 0,
      disagreements: 0,
      seed: 0,
    }
    const mute = Object.assign(new Memory(), { judge: () => undefined })
    const plan = planOf([egress('web', ['93.184.216.34'], 'tcp', ['443'])])
    const step = { kind: 'packet', direction: 'from', frame: new Uint8Array(14) } as const
    expect(await play(mute, { plans: [plan], steps: [step, step] }, tally)).toBeUndefined()
    expect(tally).toMatchObject({ cases: 0, unasked: 2 })
  })
})

describe('evaluate', () => {
  it('allows only with a live clause, or by a reason of its own', () => {
    fc.assert(
      fc.property(scenario(20), (one) => {
        walk(one, (plan, state, packet) => {
          const outcome = evaluate(plan, state, WS, packet, NOW_MS, EXACT_ENV)
          if (outcome.verdict.kind === 'allow' && !OWN_REASONS.has(outcome.verdict.reason)) {
            const { clause, grant } = outcome.verdict
            const network = plan.workspaces[0]?.network
            const named = [...(network?.egress ?? []), ...(network?.ingress ?? [])].find((held) => held.id === grant)
            expect(named?.clauses).toContain(clause)
          }
          return outcome.state
        })
      }),
      { numRuns: 300 },
    )
  })

  it('gives the same verdicts whatever the order of grants', () => {
    fc.assert(
      fc.property(scenario(20), (one) => {
        const verdicts = (reorder: (plan: Plan) => Plan): string[] => {
          const list: string[] = []
          walk(
            one,
            (plan, state, packet) => {
              const outcome = evaluate(plan, state, WS, packet, NOW_MS, EXACT_ENV)
              list.push(said(outcome.verdict))
              return outcome.state
            },
            reorder,
          )
          return list
        }
        expect(verdicts(reversed)).toEqual(verdicts((plan) => plan))
      }),
      { numRuns: 200 },
    )
  })

  it('lets nothing pass while a flag stands, and no flow live on after it', () => {
    fc.assert(
      fc.property(scenario(20), (one) => {
        walk(one, (plan, state, packet) => {
          const fenced = withFlag(state, 'quarantined', WS, true)
          expect(said(evaluate(plan, fenced, WS, packet, NOW_MS, EXACT_ENV).verdict)).toBe('drop quarantined silent')
          expect(fenced.flows.size).toBe(0)
          return evaluate(plan, state, WS, packet, NOW_MS, EXACT_ENV).state
        })
      }),
      { numRuns: 200 },
    )
  })

  it('relaxes the last refusal of what leaves a workspace, and no other, while it observes', () => {
    const seen = new Map<string, number>()
    const observe = observation(NOW_MS + 1)
    fc.assert(
      fc.property(scenario(20), (one) => {
        walk(
          one,
          (plan, state, packet) => {
            const observed = evaluate(plan, state, WS, packet, NOW_MS, EXACT_ENV)
            const plain = evaluate(...unobserved(plan, state), WS, packet, NOW_MS, EXACT_ENV)
            if (said(observed.verdict) !== said(plain.verdict)) {
              if (observed.verdict.kind === 'drop') throw new Error(`refused while observed: ${said(plain.verdict)}`)
              const { reason, clause, instead } = observed.verdict
              expect(clause).toBe(observe.clause)
              const from = packet.direction === 'from'
              expect(from ? ['observed', 'flow'] : ['egress-reply', 'icmp-error']).toContain(reason)
              // What goes out passes in the place of that refusal alone; what comes back was asked for.
              if (from) expect(plain.verdict.reason).toBe('no-grant')
              if (reason === 'observed') expect(instead).toBe('no-grant')
              seen.set(reason, (seen.get(reason) ?? 0) + 1)
            }
            return observed.state
          },
          (plan) => withObserve(plan, observe),
        )
      }),
      { numRuns: 400 },
    )
    // Otherwise nothing was tried.
    for (const reason of ['observed', 'flow', 'egress-reply']) expect(seen.get(reason)).toBeGreaterThan(20)
  })

  it('is after the end of observing what it is without', () => {
    let ended = 0
    const observe = observation(NOW_MS + 1)
    fc.assert(
      fc.property(scenario(20), (one) => {
        walk(
          one,
          (plan, state, packet) => {
            const after = evaluate(plan, state, WS, packet, NOW_MS + 1, EXACT_ENV)
            const plain = evaluate(...unobserved(plan, state), WS, packet, NOW_MS + 1, EXACT_ENV)
            expect(said(after.verdict)).toBe(said(plain.verdict))
            if (state.flows.size > unobserved(plan, state)[1].flows.size) ended++
            return evaluate(plan, state, WS, packet, NOW_MS, EXACT_ENV).state
          },
          (plan) => withObserve(plan, observe),
        )
      }),
      { numRuns: 400 },
    )
    expect(ended).toBeGreaterThan(100)
  })

  it('creates a flow only with an allowed packet', () => {
    fc.assert(
      fc.property(scenario(20), (one) => {
        walk(one, (plan, state, packet) => {
          const outcome = evaluate(plan, state, WS, packet, NOW_MS, EXACT_ENV)
          if (outcome.state.flows.size > state.flows.size) expect(outcome.verdict.kind).toBe('allow')
          return outcome.state
        })
      }),
      { numRuns: 200 },
    )
  })
})
