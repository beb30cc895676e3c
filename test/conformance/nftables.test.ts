// nftables against `evaluate`, with real frames in namespaces: the scenarios of the common generator (plans that change, flags,
// conversations, forged and broken frames), conversations on the edges of grants, names that are learnt and run out, and the
// driver's death; each frame is sent from one end and looked for at the other. A frame that the fence lets through although `evaluate` does not is never tolerated; nor is a refused first packet. What the backend declares
// (`flowState: conntrack`) shows as later segments of a TCP connection that conntrack finds out of order: they are counted
// as stricter, and bounded.
//
// CONFORMANCE_CASES and CONFORMANCE_SEED as in run.ts.

import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { sliceFor } from '../../src/plan/codec.js'
import { evaluate } from '../../src/plan/evaluate.js'
import { carryOver, withFlag } from '../../src/plan/flow.js'
import type { LearnedGrant, Plan, SessionPeer } from '../../src/plan/model.js'
import { type Packet, readFrame } from '../../src/plan/packet.js'
import { withSessions } from '../../src/plan/sessions.js'
import { EMPTY_STATE, type Env, type State, type Verdict } from '../../src/plan/state.js'
import { ipFrame } from '../support/frames.js'
import { WS as LAB, WS2 } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { NftHarness, stateDirectory } from '../support/nftables/harness.js'
import { egress, planOf, WS } from '../support/plans.js'
import { type Step, scenario } from './generator.js'
import { grantsOf, type Living, living, naming, visited } from './lives.js'
import { meetings } from './meetings.js'
import { observing } from './observing.js'
import { said } from './run.js'
import { asking } from './sessions.js'
import { askable, type Fate, isUnrouted, mayVanish, Wire, warm } from './wire.js'

const ENV: Env = { linkLayer: true, replies: 'stateful', icmpErrors: 'lagging', flowState: 'conntrack' }

interface Tally {
  cases: number
  passed: number
  /** Refused although `evaluate` allows a later segment of a live TCP connection. */
  stricter: number
  /** The same verdict, counted under another reason. */
  otherReason: Map<string, number>
  vanished: number
  unasked: number
  scenarios: number
  learnt: number
  ranOut: number
  restarts: number
  sessions: number
}

const newTally = (): Tally => ({
  cases: 0,
  passed: 0,
  stricter: 0,
  otherReason: new Map(),
  vanished: 0,
  unasked: 0,
  scenarios: 0,
  learnt: 0,
  ranOut: 0,
  restarts: 0,
  sessions: 0,
})

type Comparison = 'same' | 'stricter' | 'other-reason' | 'different'

function compare(verdict: Verdict, fate: Fate, packet: Packet): Comparison {
  if (verdict.kind === 'allow') {
    // Neighbour discovery ends at the node: it passed when nothing was counted.
    if (verdict.reason === 'neighbour') return fate.kind === 'vanished' ? 'same' : 'different'
    if (fate.kind === 'passed') return 'same'
    const later = ['flow', 'egress-reply', 'ingress-reply'].includes(verdict.reason)
    const tcp = packet.body.kind === 'ip' && packet.body.transport.kind === 'tcp'
    return later && tcp && fate.kind === 'dropped' ? 'stricter' : 'different'
  }
  if (fate.kind === 'passed') return 'different'
  // Only what the kernel itself throws away or keeps may show nowhere.
  if (fate.kind === 'vanished') return mayVanish(packet, verdict) ? 'same' : 'different'
  // A destination that no router knows: the frame may turn round at the node and be refused on its way back, and nobody can
  // answer in its name. That it is refused is what both must say.
  if (packet.body.kind === 'ip' && isUnrouted(packet.body.destination)) return 'same'
  // An ICMP answer may be kept back by the rate limit; any other answer than the right one is wrong.
  if (fate.answer !== 'silent' && fate.answer !== verdict.refusal) return 'different'
  if (verdict.refusal === 'tcp-reset' && fate.answer === 'silent') return 'different'
  return fate.reason === verdict.reason ? 'same' : 'other-reason'
}

const BRIEF_MS = 400
const MARGIN_MS = 60
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

/** A name learnt again takes the place of what it gave before. */
const replaces = (grants: readonly LearnedGrant[], old: LearnedGrant): boolean =>
  grants.some(({ clause, address, port }) => clause === old.clause && address === old.address && port === old.port)

const describeFate = (fate: Fate): string =>
  fate.kind === 'dropped' ? `dropped ${fate.reason} ${fate.answer}` : fate.kind

labSuite('conformance: nftables, with frames on the wire', () => {
  let lab: Lab
  let nft: NftHarness
  let wire: Wire
  const state = stateDirectory()
  let generation = 0

  beforeAll(async () => {
    lab = await openLab()
    await warm(lab)
    // The other slot is in no plan; whatever its stack says by itself would be counted among the cases.
    for (const [role, device] of [
      ['ws2', WS2.inside],
      ['node', WS2.slot],
    ] as const)
      await lab.exec(role, ['ip', 'link', 'set', device, 'down'])
    nft = await NftHarness.start(lab.namespace('node'), state.path)
    wire = await Wire.open(lab, async () => nft.drops())
  })
  afterAll(async () => {
    await nft?.end()
    await lab?.close()
    state.remove()
  })

  const makeLive = async (plan: Plan): Promise<void> => nft.apply(sliceFor(plan, 'memory', ++generation))

  /** Grants that end soon: no frame is judged so near to an end that two clocks could differ about it. */
  let ends: { readonly ms: number; readonly lateMs: number; readonly session?: true }[] = []
  let taught = false
  /** True when a session ended. */
  const clear = async (all: boolean): Promise<boolean> => {
    const near = ends.filter(({ ms }) => all || ms - MARGIN_MS < Date.now())
    for (const { ms, lateMs } of near) while (Date.now() <= ms + lateMs + MARGIN_MS) await pause(5)
    ends = ends.filter((one) => !near.includes(one))
    return near.some(({ session }) => session)
  }

  /** Plays one scenario on the wire and on `evaluate`. Gives the first difference as text. */
  async function play({ plans, steps }: Living, tally: Tally, live = makeLive): Promise<string | undefined> {
    let plan = plans[0] as Plan
    let known: State = EMPTY_STATE
    ends = []
    /** Peers of sessions that are not brief. */
    let lasting: readonly SessionPeer[] = []
    // As an agent does within a second: what a session let in is destroyed when it is over.
    const tend = async (): Promise<void> => {
      known = withSessions(known, plan, WS, lasting, Date.now())
      await nft.sessions(WS, lasting)
      await wire.settle()
    }
    // What an earlier scenario learnt goes with its clauses.
    if (taught) await live(naming(plan, []))
    taught = false
    tally.scenarios++
    await live(plan)
    for (const flag of ['quarantined', 'suspended'] as const) await nft.flag(WS, flag, false)
    await lab.exec('node', ['conntrack', '-F'])
    await wire.settle()
    for (const [at, step] of steps.entries()) {
      if (step.kind === 'plan') {
        plan = plans[step.index % plans.length] as Plan
        known = carryOver(known, plan, at)
        await live(plan)
        await wire.settle()
      } else if (step.kind === 'flag') {
        known = withFlag(known, step.flag, WS, step.on)
        await nft.flag(WS, step.flag, step.on)
        await wire.settle()
      } else if (step.kind === 'learn') {
        const expiresAtMs = Date.now() + (step.brief ? BRIEF_MS : 600_000)
        const grants = grantsOf(plan, step.name, generation, expiresAtMs)
        if (grants.length === 0) continue
        const began = performance.now()
        if (!(await nft.learn(generation, grants))) return `step ${at}: the driver did not learn`
        known = { ...known, learned: [...known.learned.filter((one) => !replaces(grants, one)), ...grants] }
        // A lifetime begins when the kernel takes the element, which on a busy machine is later than it was counted.
        if (step.brief) ends.push({ ms: expiresAtMs, lateMs: performance.now() - began })
        taught = true
        tally.learnt++
      } else if (step.kind === 'sessions') {
        const expiresAtMs = { brief: Date.now() + BRIEF_MS, long: Date.now() + 600_000 }
        const peers = step.peers.map(({ peer, brief }) => ({
          ...{ workspace: WS, peer, expiresAtMs: brief ? expiresAtMs.brief : expiresAtMs.long },
        }))
        const began = performance.now()
        known = withSessions(known, plan, WS, peers, Date.now())
        if (!(await nft.sessions(WS, peers))) return `step ${at}: the driver did not open sessions`
        if (step.peers.some(({ brief }) => brief))
          ends.push({ ms: expiresAtMs.brief, lateMs: performance.now() - began, session: true })
        lasting = peers.filter((one) => one.expiresAtMs !== expiresAtMs.brief)
        await wire.settle()
        tally.sessions++
      } else if (step.kind === 'pass') {
        tally.ranOut += ends.length
        if (await clear(true)) await tend()
      } else if (step.kind === 'restart') {
        await nft.end()
        nft = await NftHarness.start(lab.namespace('node'), state.path)
        tally.restarts++
      } else {
        const packet = readFrame(step.frame, step.direction)
        if (await clear(false)) await tend()
        if (!askable(step.frame, packet)) {
          tally.unasked++
          continue
        }
        const outcome = evaluate(plan, known, WS, packet, Date.now(), ENV)
        const fate = await wire.send(step.frame, packet, outcome.verdict)
        known = outcome.state
        const compared = compare(outcome.verdict, fate, packet)
        const text = `evaluate says "${said(outcome.verdict)}", the wire "${describeFate(fate)}"`
        tally.cases++
        if (fate.kind === 'passed') tally.passed++
        if (fate.kind === 'vanished') tally.vanished++
        if (compared === 'stricter') tally.stricter++
        if (compared === 'other-reason') tally.otherReason.set(text, (tally.otherReason.get(text) ?? 0) + 1)
        if (compared === 'different')
          return `step ${at} of ${steps.length}: ${text}: ${JSON.stringify(packet, printable)}`
      }
    }
    return undefined
  }

  const seed = Number(process.env.CONFORMANCE_SEED ?? 20_261_121)
  const wanted = Number(process.env.CONFORMANCE_CASES ?? 600)

  /** Whatever the plans are dressed with. */
  async function agree(
    wanted: number,
    dress: (plan: Plan) => Plan = (plan) => plan,
    scenes: fc.Arbitrary<Living> = fc.oneof(living(scenario(20), 3), living(meetings(8), 2)),
  ): Promise<Tally> {
    const tally = newTally()
    for (let round = 0; tally.cases < wanted; round++) {
      const property = fc.asyncProperty(scenes, async (one) => {
        const found = await play({ ...one, plans: one.plans.map(dress) }, tally)
        if (found !== undefined) throw new Error(found)
      })
      const numRuns = Math.max(1, Math.min(30, Math.ceil((wanted - tally.cases) / 20)))
      const outcome = await fc.check(property, { seed: seed + round, numRuns, endOnFailure: true })
      if (outcome.counterexample) {
        const why = outcome.errorInstance instanceof Error ? outcome.errorInstance.message : ''
        throw new Error(
          `seed ${seed + round}, path ${outcome.counterexamplePath}\n${why}\n${describeScenario(outcome.counterexample[0])}`,
        )
      }
    }
    console.log(
      `nftables: ${tally.cases} frames in ${tally.scenarios} scenarios, ${tally.passed} passed, ${tally.stricter} stricter, ` +
        `${tally.vanished} not taken by the kernel, ${tally.unasked} not askable, ${tally.learnt} names learnt, ` +
        `${tally.ranOut} ran out, ${tally.sessions} lists of sessions, ${tally.restarts} restarts of the driver, seed ${seed}`,
    )
    for (const [text, count] of tally.otherReason) console.log(`other reason (${count}): ${text}`)
    expect(tally.stricter / tally.cases).toBeLessThan(0.05)
    expect([...tally.otherReason.keys()]).toEqual([])
    return tally
  }

  it(`agrees on ${wanted} frames`, { timeout: 3_600_000 }, async () => {
    const tally = await agree(wanted)
    expect(tally.passed / tally.cases).toBeGreaterThan(0.15)
  })

  it(`agrees on ${wanted / 2} frames of workspaces that are observed`, { timeout: 3_600_000 }, async () => {
    const tally = await agree(wanted / 2, (plan) => observing(plan, [Date.UTC(2100, 0), Date.UTC(2100, 1)]))
    expect(tally.passed / tally.cases).toBeGreaterThan(0.25)
  })

  it(`agrees on ${wanted / 4} frames while sessions open, close and end`, { timeout: 3_600_000 }, async () => {
    const tally = await agree(wanted / 4, asking, visited(scenario(4), 3))
    // Whoever comes while a session that is not brief is open; how many more depends on the machine.
    expect(tally.passed).toBeGreaterThan(5)
    expect(tally.sessions).toBeGreaterThan(10)
  })

  it('finds a fence that grants more than the plan', async () => {
    const wide = planOf([egress('all', ['0.0.0.0/0'], 'tcp', ['1-65535'])])
    const narrow = planOf([egress('one', ['45.76.10.10'], 'tcp', ['443'])])
    const syn = (destination: string): Step => ({
      kind: 'packet',
      direction: 'from',
      frame: ipFrame({ source: LAB.v4, destination, payload: { kind: 'tcp', from: 40_000, to: 443 } }),
    })
    const one: Living = { plans: [narrow], steps: [syn('45.76.10.10'), syn('93.184.216.34')] }
    expect(await play(one, newTally())).toBeUndefined()
    expect(await play(one, newTally(), () => makeLive(wide))).toMatch(
      /^step 1 of 2: evaluate says "drop no-grant tcp-reset", the wire "passed"/,
    )
  })
})

/** A counter-example as a person reads it: the grants of each plan, then the steps. */
function describeScenario({ plans, steps }: Living): string {
  const grants = plans.map(({ workspaces }, i) => {
    const { egress = [], ingress = [], sessions = [], names = [] } = workspaces[0]?.network ?? {}
    const said = [
      ...[...egress, ...ingress].map((grant) => grant.id),
      ...sessions.map((grant) => `${grant.id} with a session`),
      ...names.map(({ pattern }) => pattern),
    ]
    return `plan ${i}: ${said.join(', ') || 'nothing'}`
  })
  const lines = steps.map((step, i) => {
    if (step.kind === 'plan') return `step ${i}: plan ${step.index % plans.length}`
    if (step.kind === 'flag') return `step ${i}: ${step.flag} ${step.on ? 'set' : 'lifted'}`
    if (step.kind === 'sessions')
      return `step ${i}: sessions of ${step.peers.map(({ peer, brief }) => peer + (brief ? ', briefly' : '')).join('; ') || 'nobody'}`
    if (step.kind === 'learn') return `step ${i}: learn ${step.name}${step.brief ? ', briefly' : ''}`
    if (step.kind !== 'packet') return `step ${i}: ${step.kind}`
    return `step ${i}: ${step.direction} ${Buffer.from(step.frame).toString('hex')}`
  })
  return [...grants, ...lines].join('\n')
}

const printable = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString(16) : value)
