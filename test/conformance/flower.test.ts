// The backend `tc-flower` against `evaluate`, frame by frame, in software on a kernel that has cls_flower (a guest, emulated): the
// driver loads plans, real frames are sent through the filters, and each is seen at the other end or counted as refused. Neighbour
// discovery, whose inside no filter reads, is left to the stack of whoever enforces: counted apart, as are frames too short to send.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { flowerCapabilities } from '../../src/backends/tc-flower/capabilities.js'
import { hex } from '../../src/base/bytes.js'
import { sliceFor } from '../../src/plan/codec.js'
import { evaluate } from '../../src/plan/evaluate.js'
import { carryOver, withFlag, withLearned } from '../../src/plan/flow.js'
import type { Plan, PlanSlice } from '../../src/plan/model.js'
import { type Packet, readFrame } from '../../src/plan/packet.js'
import { EMPTY_STATE, type Env, type State, type Verdict } from '../../src/plan/state.js'
import {
  type Fates,
  nameOfNumber,
  numbered,
  type Operation,
  type PlayedFrame,
  playScene,
} from '../support/flower/scene.js'
import { egress, ingress, planOf, WS } from '../support/plans.js'
import { type LongScenario, type LongStep, longScenario, NAMES } from './generator.js'
import { meetings } from './meetings.js'
import { NOW_MS, said } from './run.js'

const declared = flowerCapabilities({ backend: 'tc-flower', trustDomain: 'host', probes: [] })
const { replies, icmpErrors, flowState, unsound } = declared
const ENV: Env = { linkLayer: true, replies, icmpErrors, flowState, ...(unsound ? { unsound } : {}) }

/** The generator's plans are placed on `memory`, which does not change what they grant. */
const sliceOf = (plan: Plan, generation: number): PlanSlice => ({
  ...sliceFor(plan, 'memory', generation),
  workspaces: plan.workspaces,
})

/** Neighbour discovery from the workspace that could be for the gateway. */
const isNeighbourly = ({ body }: Packet): boolean => {
  const seen = body.kind === 'unreadable' && body.glimpsed ? body.glimpsed : body
  return seen.kind === 'ip'
    ? seen.transport.kind === 'neighbour' || (body.kind === 'unreadable' && seen.protocol === 58)
    : seen.kind === 'unreadable' && seen.protocol === 58
}

interface Asked {
  readonly name: string
  readonly packet: Packet
  readonly verdict: Verdict
}

/** Operations, and for each batch of frames what evaluate says of them. */
class Script {
  readonly operations: Operation[] = [{ op: 'open', flower: { software: true } }]
  readonly asked = new Map<number, readonly Asked[]>()
  frames = 0
  scenarios = 0
  private generation = 0
  private number = 0
  private nowMs = NOW_MS
  private batch: { readonly played: PlayedFrame; readonly asked: Asked }[] = []

  add({ plans, steps }: LongScenario): void {
    let plan = plans[0] as Plan
    let state: State = EMPTY_STATE
    this.scenarios++
    for (const flag of ['quarantined', 'suspended'] as const) this.say({ op: 'flag', workspace: WS, flag, on: false })
    // Learned grants end with their clauses, and this plan has none.
    this.make({ ...plan, workspaces: plan.workspaces.map((at) => ({ ...at, network: { ...at.network, names: [] } })) })
    this.make(plan)
    for (const step of steps) {
      if (step.kind === 'plan') {
        plan = plans[step.index % plans.length] as Plan
        state = carryOver(state, plan, this.make(plan))
      } else if (step.kind === 'flag') {
        state = withFlag(state, step.flag, WS, step.on)
        this.say({ op: 'flag', workspace: WS, flag: step.flag, on: step.on })
      } else if (step.kind === 'learn') {
        const rule = NAMES[step.clause]
        if (!rule || !plan.workspaces[0]?.network.names.includes(rule)) continue
        const { protocol, address, port, ttlMs } = step
        const { clause, pattern: name } = rule
        const { generation } = this
        const grant = {
          workspace: WS,
          clause,
          name,
          protocol,
          address,
          port,
          generation,
          expiresAtMs: this.nowMs + ttlMs,
        }
        state = withLearned(state, [grant])
        this.say({ op: 'learn', generation, grants: [grant] })
      } else if (step.kind === 'time') {
        this.nowMs += step.ms
        this.say({ op: 'clock', nowMs: this.nowMs })
      } else if (step.kind === 'restart') this.say({ op: 'restart', flower: { software: true } })
      else if (step.kind === 'packet' && step.frame.length >= 15) this.ask(plan, state, step.frame, step.direction)
    }
    this.flush()
  }

  /** Frames of one plan as it is placed for hardware, with everything in software. */
  shape(plan: Plan, steps: readonly LongStep[]): void {
    this.scenarios++
    this.say({ op: 'shape', slice: sliceOf(plan, ++this.generation) })
    for (const step of steps) {
      // What is for the stack of the switch's own processor shows at neither end.
      if (step.kind !== 'packet' || step.frame.length < 15) continue
      const packet = readFrame(step.frame, step.direction)
      if (packet.link?.etherType !== 0x0806 && !isNeighbourly(packet))
        this.ask(plan, EMPTY_STATE, step.frame, step.direction)
    }
    this.flush()
  }

  private ask(plan: Plan, state: State, bare: Uint8Array, direction: 'from' | 'to'): void {
    const number = ++this.number
    const frame = numbered(bare, number)
    const packet = readFrame(frame, direction)
    const { verdict } = evaluate(plan, state, WS, packet, this.nowMs, ENV)
    this.frames++
    this.batch.push({
      played: { from: direction === 'from' ? 'vm0' : 'out0', hex: hex(frame) },
      asked: { name: nameOfNumber(number), packet, verdict },
    })
  }

  private make(plan: Plan): number {
    this.generation++
    this.say({ op: 'live', slice: sliceOf(plan, this.generation) })
    return this.generation
  }

  private say(operation: Operation): void {
    this.flush()
    this.operations.push(operation)
  }

  private flush(): void {
    if (this.batch.length === 0) return
    this.asked.set(
      this.operations.length,
      this.batch.map(({ asked }) => asked),
    )
    this.operations.push({ op: 'frames', frames: this.batch.map(({ played }) => played) })
    this.batch = []
  }
}

interface Tally {
  cases: number
  allowed: number
  left: number
}

function judge(batch: readonly Asked[], { passed, refused, changed }: Fates, tally: Tally): void {
  const through = new Set(passed)
  expect(passed.length + refused, 'each frame is seen or counted').toBe(batch.length)
  expect(changed, 'no frame is changed on its way').toBe(0)
  for (const { name, packet, verdict } of batch) {
    const went = through.has(name)
    const allowed = verdict.kind === 'allow'
    if (went !== allowed && packet.direction === 'from' && isNeighbourly(packet)) {
      tally.left++
      continue
    }
    if (went !== allowed)
      throw new Error(
        `evaluate says "${said(verdict)}", and the frame ${went ? 'passed' : 'did not'}: ${JSON.stringify(packet, (_, v: unknown) => (typeof v === 'bigint' ? v.toString(16) : v))}`,
      )
    tally.cases++
    if (allowed) tally.allowed++
  }
}

const seed = Number(process.env.CONFORMANCE_SEED ?? 20_261_121)
const wanted = Number(process.env.CONFORMANCE_FRAMES ?? 300)
const scenarios: fc.Arbitrary<LongScenario> = fc.oneof(
  { weight: 2, arbitrary: longScenario(24) },
  { weight: 1, arbitrary: meetings(12) },
)

async function judgeAll(script: Script): Promise<Tally> {
  const answers = await playScene(script.operations, 3_000_000)
  const tally: Tally = { cases: 0, allowed: 0, left: 0 }
  for (const [i, answer] of answers.entries()) {
    expect(answer.say, JSON.stringify(script.operations[i]).slice(0, 300)).toBeUndefined()
    const batch = script.asked.get(i)
    if (batch) judge(batch, answer.ok as Fates, tally)
  }
  console.log(
    `tc-flower: ${tally.cases} frames, 0 disagreements (${tally.allowed} allowed, ${script.scenarios} scenarios, ${tally.left} left to the stack, seed ${seed}, in software on an emulated machine)`,
  )
  expect(tally.cases + tally.left).toBe(script.frames)
  // A generator whose packets were all refused would prove nothing.
  expect(tally.allowed / tally.cases).toBeGreaterThan(0.05)
  return tally
}

describe('conformance: tc-flower', () => {
  it('passes what evaluate allows, and nothing else', { timeout: 3_600_000 }, async () => {
    const script = new Script()
    for (let round = 0; script.frames < wanted; round++)
      for (const one of fc.sample(scenarios, { seed: seed + round, numRuns: 5 })) script.add(one)
    await judgeAll(script)
  })
  it('does so by redirection, as it is placed for hardware', { timeout: 3_600_000 }, async () => {
    const script = new Script()
    // One plan a guest: the filters are put there once, with no driver to change them. It grants what conversations are about.
    script.shape(
      planOf([
        egress('web', ['93.184.216.34', '45.76.0.0/16', '2a05:9:9::/48'], 'tcp', ['443', '80', '8000-8100']),
        egress('any', ['0.0.0.0/0', '::/0'], 'udp', ['54', '443', '80']),
        egress('lan', ['10.50.0.0/24', 'fd50::/16'], 'tcp', ['443', '22']),
        egress('ping', ['93.184.216.34', '2a05:9:9::10'], 'icmp-echo'),
        ingress('ssh', ['45.76.10.0/24', '10.60.0.1/32', '2a05:9:9::/48'], 'tcp', ['22', '8080']),
        ingress('knock', ['0.0.0.0/0'], 'icmp-echo', []),
      ]),
      fc.sample(scenarios, { seed, numRuns: 20 }).flatMap((one) => one.steps),
    )
    await judgeAll(script)
  })
})
