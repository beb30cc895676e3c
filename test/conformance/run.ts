// The runner of the conformance suites: plays generated scenarios against one backend and against `evaluate`, packet by
// packet, and counts. A case is one packet judged by both. What a backend cannot be asked (a frame that the kernel will not
// take from a test) is counted apart and is never agreement. fast-check shrinks the first disagreement.
//
// CONFORMANCE_CASES sets how many cases a suite plays, CONFORMANCE_SEED where the generator begins.

import fc from 'fast-check'
import { evaluate } from '../../src/plan/evaluate.js'
import { carryOver, withFlag } from '../../src/plan/flow.js'
import type { LearnedGrant, Plan, SessionPeer } from '../../src/plan/model.js'
import { type Packet, readFrame } from '../../src/plan/packet.js'
import { endSessions, withSessions } from '../../src/plan/sessions.js'
import { EMPTY_STATE, type Env, EXACT_ENV, type State, type Verdict } from '../../src/plan/state.js'
import { WS } from '../support/plans.js'
import { type LongScenario, type LongStep, longScenario, NAMES } from './generator.js'

/** One backend under judgement. `judge` gives undefined when it cannot be asked about this frame. */
export interface Contestant {
  readonly name: string
  /** Forgets everything, then makes the plan live. */
  begin(plan: Plan): Promise<void>
  change(plan: Plan, generation: number): Promise<void>
  flag(flag: 'quarantined' | 'suspended', on: boolean): Promise<void>
  judge(frame: Uint8Array<ArrayBuffer>, packet: Packet): Promise<string | undefined> | string | undefined
  /** Of `expected`, what this backend has words for. */
  spoken?(expected: string): string
  /** The rest is left out of the scenario for whoever cannot do it. `expiresAtMs` is on the scenario's clock. */
  learn?(grant: LearnedGrant, ttlMs: number): Promise<void>
  /** Lets time pass; false when it cannot, here and now. */
  pass?(ms: number): Promise<boolean>
  restart?(): Promise<void>
  /** All the peers with a session, until when on the scenario's clock. */
  sessions?(peers: readonly SessionPeer[]): Promise<void>
}

export interface Disagreement {
  readonly step: number
  readonly packet: Packet
  readonly expected: string
  readonly got: string
}

export interface Tally {
  readonly backend: string
  scenarios: number
  /** Packets that both judged. */
  cases: number
  /** Frames that the backend could not be asked about. */
  unasked: number
  allowed: number
  /** Learned grants, steps of time and restarts that were played. */
  learned: number
  passed: number
  restarts: number
  /** Lists of open sessions that were played. */
  sessions: number
  disagreements: number
  readonly seed: number
}

/** A verdict as text that is compared: everything that `evaluate` says. */
export const said = (verdict: Verdict): string =>
  verdict.kind === 'allow'
    ? `allow ${verdict.reason} ${verdict.clause ?? '-'} ${verdict.grant ?? '-'}`
    : `drop ${verdict.reason} ${verdict.refusal}`

/** When a scenario begins. */
export const NOW_MS = 1_000_000

const packetOf = (step: LongStep & { kind: 'packet' }, origin: Packet['origin']): Packet =>
  readFrame(step.frame, step.direction, origin)

/** Plays one scenario; gives the first disagreement. `origin` is who sends what goes towards the workspace. */
export async function play(
  contestant: Contestant,
  { plans, steps }: LongScenario,
  tally: Tally,
  origin: Packet['origin'] = 'network',
  env: Env = EXACT_ENV,
): Promise<Disagreement | undefined> {
  let plan = plans[0] as Plan
  let state: State = EMPTY_STATE
  let generation = 1
  let nowMs = NOW_MS
  tally.scenarios++
  await contestant.begin(plan)
  for (const [at, step] of steps.entries()) {
    if (step.kind === 'plan') {
      plan = plans[step.index % plans.length] as Plan
      generation++
      state = carryOver(state, plan, generation)
      await contestant.change(plan, generation)
    } else if (step.kind === 'flag') {
      state = withFlag(state, step.flag, WS, step.on)
      await contestant.flag(step.flag, step.on)
    } else if (step.kind === 'learn') {
      const rule = NAMES[step.clause]
      // A resolver answers for live clauses only.
      if (!contestant.learn || !rule || !plan.workspaces[0]?.network.names.includes(rule)) continue
      const { protocol, address, port, ttlMs } = step
      const { clause, pattern: name } = rule
      const expiresAtMs = nowMs + ttlMs
      const grant = { workspace: WS, clause, name, protocol, address, port, generation, expiresAtMs }
      state = { ...state, learned: [...state.learned, grant] }
      await contestant.learn(grant, ttlMs)
      tally.learned++
    } else if (step.kind === 'time') {
      if (!(await contestant.pass?.(step.ms))) continue
      nowMs += step.ms
      state = endSessions(state, plan, nowMs)
      tally.passed++
    } else if (step.kind === 'sessions') {
      if (!contestant.sessions) continue
      const peers = step.peers.map(({ peer, ttlMs }) => ({ workspace: WS, peer, expiresAtMs: nowMs + ttlMs }))
      state = withSessions(state, plan, WS, peers, nowMs)
      await contestant.sessions(peers)
      tally.sessions++
    } else if (step.kind === 'restart') {
      if (!contestant.restart) continue
      await contestant.restart()
      tally.restarts++
    } else {
      const packet = packetOf(step, step.direction === 'to' ? origin : 'network')
      const got = await contestant.judge(step.frame, packet)
      if (got === undefined) {
        // Not asked: the state of both stays as it was.
        tally.unasked++
        continue
      }
      const outcome = evaluate(plan, state, WS, packet, nowMs, env)
      state = outcome.state
      tally.cases++
      if (outcome.verdict.kind === 'allow') tally.allowed++
      const whole = said(outcome.verdict)
      const expected = contestant.spoken?.(whole) ?? whole
      if (got !== expected) return { step: at, packet, expected, got }
    }
  }
  return undefined
}

const setting = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise)

/**
 * Plays at least `cases` cases (CONFORMANCE_CASES overrides), a quarter of them with the fence as sender towards the
 * workspace. `dress` puts into each plan what the generator does not. Throws with the counter-example.
 */
export async function contest(
  contestant: Contestant,
  cases: number,
  env: Env = EXACT_ENV,
  dress: (plan: Plan) => Plan = (plan) => plan,
  scenarios: fc.Arbitrary<LongScenario> = longScenario(24),
): Promise<Tally> {
  const wanted = setting('CONFORMANCE_CASES', cases)
  const seed = setting('CONFORMANCE_SEED', 20_261_121)
  const tally: Tally = {
    backend: contestant.name,
    scenarios: 0,
    cases: 0,
    unasked: 0,
    allowed: 0,
    learned: 0,
    passed: 0,
    restarts: 0,
    sessions: 0,
    disagreements: 0,
    seed,
  }
  for (let round = 0; tally.cases < wanted; round++) {
    const property = fc.asyncProperty(scenarios, fc.nat(3), async (one, sender) => {
      const scene = { ...one, plans: one.plans.map(dress) }
      const found = await play(contestant, scene, tally, sender === 0 ? 'fence' : 'network', env)
      if (!found) return
      tally.disagreements++
      throw new Error(`step ${found.step}: evaluate says "${found.expected}", ${contestant.name} says "${found.got}"`)
    })
    await fc.assert(property, { seed: seed + round, numRuns: Math.min(100, Math.ceil((wanted - tally.cases) / 25)) })
  }
  console.log(report(tally))
  return tally
}

export const report = (tally: Tally): string =>
  `${tally.backend}: ${tally.cases} cases, ${tally.disagreements} disagreements (${tally.allowed} allowed, ${tally.scenarios} scenarios, ${tally.learned} learned grants, ${tally.passed} steps of time, ${tally.restarts} restarts, ${tally.sessions} lists of sessions, ${tally.unasked} frames not askable, seed ${tally.seed})`
