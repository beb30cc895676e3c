// The backend `doca-flow` against `evaluate`, frame by frame, on the software BlueField: plans are lowered to pipes, loaded
// through the shim, and the emulator walks them. What the hardware cannot read (the inside of ARP and neighbour discovery) it
// leaves to the Arm: such a frame must arrive there or nowhere, never on the wire, and is counted apart.
//
// In both shapes: answers known by the reversed grant, and connections tracked by the card, where the agent is asked about first
// packets. Plays CONFORMANCE_CASES in each.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { docaCapabilities } from '../../src/backends/doca-flow/capabilities.js'
import { DocaDriver } from '../../src/backends/doca-flow/driver.js'
import { lower } from '../../src/backends/doca-flow/lower.js'
import type { Answer } from '../../src/plan/capabilities.js'
import { sliceFor } from '../../src/plan/codec.js'
import { evaluate } from '../../src/plan/evaluate.js'
import { carryOver, withFlag, withLearned } from '../../src/plan/flow.js'
import type { LearnedGrant, Plan } from '../../src/plan/model.js'
import { type Packet, readFrame } from '../../src/plan/packet.js'
import { EMPTY_STATE, type Env, type State, type Verdict } from '../../src/plan/state.js'
import { BlueField, type Fate } from '../support/doca/bluefield.js'
import { ENTRY, planOf, WS } from '../support/plans.js'
import { type LongScenario, type LongStep, longScenario, NAMES } from './generator.js'
import { meetings } from './meetings.js'
import { NOW_MS, said } from './run.js'

const envOf = (answer: Answer): Env => {
  const probes = [{ feature: 'tracking', answer, why: '' }]
  const { replies, icmpErrors, flowState } = docaCapabilities({ backend: 'doca-flow', trustDomain: 'host', probes })
  return { linkLayer: true, replies, icmpErrors, flowState }
}

/** The generator's plans are placed on `memory`, which does not change what they grant. */
const programOf = (plan: Plan, generation: number, tracked: boolean) =>
  lower({
    ...sliceFor(plan, 'memory', generation),
    workspaces: plan.workspaces.map((at) => (tracked ? { ...at, flows: 'device' } : at)),
  })

/** Neighbour traffic with the workspace's own MAC. */
const isNeighbourly = ({ body, link }: Packet): boolean =>
  link?.etherType === 0x0806 ||
  (body.kind === 'ip' && body.transport.kind === 'neighbour') ||
  (body.kind === 'unreadable' && body.why === 'bad-length' && body.protocol === 58)

function agrees(verdict: Verdict, fate: Fate, packet: Packet): 'yes' | 'no' | 'arm' {
  const out = packet.direction === 'from' ? 0 : 1
  if (fate.kind === 'port') return verdict.kind === 'allow' && fate.port === out ? 'yes' : 'no'
  if (fate.kind === 'kernel') return isNeighbourly(packet) ? 'arm' : 'no'
  // What is refused may be shown to the agent; nothing of it goes on.
  if (fate.kind !== 'dropped' && fate.kind !== 'queue') return 'no'
  return verdict.kind === 'drop' ? 'yes' : 'no'
}

interface Tally {
  cases: number
  allowed: number
  arm: number
  scenarios: number
}

describe.each([
  { shape: 'reversed grants', tracked: false, env: envOf('no') },
  { shape: 'tracked connections', tracked: true, env: envOf('yes') },
])('conformance: doca-flow, $shape', ({ shape, tracked, env }) => {
  const card = BlueField.load()
  let driver: DocaDriver
  let generation = 0
  let nowMs = NOW_MS
  /** Where the agent sent first packets on. */
  let sent: Fate[] = []

  const open = async (): Promise<void> => {
    driver = await DocaDriver.open(
      { attachInterfaces: [], stateDirectory: '' },
      () => nowMs,
      (vuid, frame) => sent.push({ kind: 'port', port: vuid === null ? 0 : 1, frame: Buffer.from(frame) }) > 0,
    )
  }

  /** What became of a frame, once the agent has looked at what it was shown. */
  function fateOf(port: number, frame: Uint8Array): Fate {
    const fate = card.inject(port, frame)
    if (!tracked || fate.kind !== 'queue') return fate
    sent = []
    driver.track()
    return sent[0] ?? fate
  }
  beforeAll(async () => {
    card.topology([ENTRY.slot.interface])
    await open()
  })
  afterAll(() => driver.close())

  const make = async (plan: Plan): Promise<void> => {
    generation++
    await driver.commit(await driver.stage(programOf(plan, generation, tracked)))
  }

  /** The answer of a resolver, if the plan has its clause. */
  function lesson(plan: Plan, step: LongStep & { kind: 'learn' }): LearnedGrant[] {
    const { protocol, address, port, ttlMs } = step
    const rule = plan.workspaces[0]?.network.names.find(({ clause }) => clause === NAMES[step.clause]?.clause)
    if (!rule) return []
    const { clause, pattern: name } = rule
    return [{ workspace: WS, clause, name, protocol, address, port, generation, expiresAtMs: nowMs + ttlMs }]
  }

  async function play({ plans, steps }: LongScenario, tally: Tally): Promise<void> {
    let plan = plans[0] as Plan
    let state: State = EMPTY_STATE
    // What an earlier scenario taught is forgotten with its clauses.
    await make(planOf([]))
    await driver.flag(WS, 'quarantined', false)
    await driver.flag(WS, 'suspended', false)
    await make(plan)
    tally.scenarios++
    for (const [at, step] of steps.entries()) {
      if (step.kind === 'plan') {
        plan = plans[step.index % plans.length] as Plan
        state = carryOver(state, plan, generation)
        await make(plan)
      } else if (step.kind === 'flag') {
        state = withFlag(state, step.flag, WS, step.on)
        await driver.flag(WS, step.flag, step.on)
      } else if (step.kind === 'time') {
        nowMs += step.ms
        card.advance(step.ms)
        driver.expire()
        driver.track()
      } else if (step.kind === 'learn') {
        const grants = lesson(plan, step)
        state = withLearned(state, grants)
        expect(await driver.learn(generation, grants)).toBe(true)
      } else if (step.kind === 'restart') {
        await driver.close()
        await open()
        await make(plan)
        // Whoever starts an agent sets its flags, and its mediator teaches it what it remembers.
        for (const flag of ['quarantined', 'suspended'] as const) await driver.flag(WS, flag, state[flag].has(WS))
        const learned = state.learned.map((grant) => ({ ...grant, generation }))
        // Connections end with the process that holds the card.
        state = { ...state, learned, flows: new Map() }
        await driver.learn(generation, learned)
      } else if (step.kind === 'packet') {
        const packet = readFrame(step.frame, step.direction)
        const { verdict, state: after } = evaluate(plan, state, WS, packet, nowMs, env)
        state = after
        const fate = fateOf(step.direction === 'from' ? 1 : 0, step.frame)
        const judged = agrees(verdict, fate, packet)
        if (judged === 'no')
          throw new Error(`step ${at}: evaluate says "${said(verdict)}", the card "${fate.kind} ${fate.port}"`)
        if (judged === 'arm') tally.arm++
        else tally.cases++
        if (fate.kind === 'port') {
          tally.allowed++
          if (!fate.frame.equals(step.frame)) throw new Error(`step ${at}: the frame was changed`)
        }
      }
    }
  }

  it('forwards what evaluate allows, and nothing else', { timeout: 3_600_000 }, async () => {
    const wanted = Number(process.env.CONFORMANCE_CASES ?? 20_000)
    const seed = Number(process.env.CONFORMANCE_SEED ?? 20_261_121)
    const tally: Tally = { cases: 0, allowed: 0, arm: 0, scenarios: 0 }
    const scenarios = fc.oneof({ weight: 2, arbitrary: longScenario(24) }, { weight: 1, arbitrary: meetings(12) })
    for (let round = 0; tally.cases < wanted; round++)
      await fc.assert(
        fc.asyncProperty(scenarios, (one) => play(one, tally)),
        { seed: seed + round, numRuns: Math.min(100, Math.ceil((wanted - tally.cases) / 25)) },
      )
    console.log(
      `doca-flow, ${shape}: ${tally.cases} cases, 0 disagreements (${tally.allowed} allowed, ${tally.scenarios} scenarios, ${tally.arm} frames left to the Arm, seed ${seed}, emulated)`,
    )
    expect(tally.cases).toBeGreaterThanOrEqual(wanted)
    // A generator whose packets were all refused would prove nothing.
    expect(tally.allowed / tally.cases).toBeGreaterThan(0.05)
    // No packet was forwarded to a pipe that was gone, and nothing was left behind.
    expect(card.state()).toMatchObject({ violations: 0, pending: 0 })
  })
})
