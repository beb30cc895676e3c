// Ingress that asks for a session, sentence by sentence: closed without one, open to one peer alone, and how it ends.

import { describe, expect, it } from 'vitest'
import { docaCapabilities } from '../../../src/backends/doca-flow/capabilities.js'
import { flowerCapabilities } from '../../../src/backends/tc-flower/capabilities.js'
import { parseIp } from '../../../src/base/ip.js'
import { checkPlan } from '../../../src/plan/check.js'
import { decodePlan, encodePlan, planDigest } from '../../../src/plan/codec.js'
import { applyDiff, diffPlans, renderDiff } from '../../../src/plan/diff.js'
import { evaluate } from '../../../src/plan/evaluate.js'
import { explain, parsePacketQuestion } from '../../../src/plan/explain.js'
import { carryOver } from '../../../src/plan/flow.js'
import type { Plan, WorkspacePlan } from '../../../src/plan/model.js'
import { type Packet, readFrame } from '../../../src/plan/packet.js'
import { endSessions, sessionOpens, withSessions } from '../../../src/plan/sessions.js'
import { EMPTY_STATE, EXACT_ENV, type State } from '../../../src/plan/state.js'
import { ipFrame } from '../../support/frames.js'
import { compile, GATEWAY_MAC, ingress, MEMORY, planOf, policy, WS, WS_MAC } from '../../support/plans.js'

const SSH = ingress('broker', ['10.60.0.0/24'], 'tcp', ['22'], 'required')
const PLAN = planOf([SSH])
const AT = PLAN.workspaces[0] as WorkspacePlan
const NOW = 1_000_000
const ONE = '10.60.0.1'
const TWO = '10.60.0.2'
const V4 = '10.9.0.2'

const come = (source: string, flags: number, port = 22): Packet =>
  readFrame(
    ipFrame({
      source,
      destination: V4,
      sourceMac: GATEWAY_MAC,
      destinationMac: WS_MAC,
      payload: { kind: 'tcp', from: 50_000, to: port, flags },
    }),
    'to',
  )
const answer = (destination: string): Packet =>
  readFrame(ipFrame({ source: V4, destination, payload: { kind: 'tcp', from: 22, to: 50_000, flags: 0x12 } }), 'from')

const opened = (state: State, peers: Readonly<Record<string, number>>, nowMs = NOW, plan: Plan = PLAN): State => {
  const list = Object.entries(peers).map(([peer, expiresAtMs]) => ({ workspace: WS, peer, expiresAtMs }))
  return withSessions(state, plan, WS, list, nowMs)
}
const judge = (state: State, packet: Packet, nowMs = NOW, plan: Plan = PLAN): readonly [string, State] => {
  const { verdict, state: next } = evaluate(plan, state, WS, packet, nowMs, EXACT_ENV)
  return [verdict.kind === 'allow' ? `allow ${verdict.reason}` : `drop ${verdict.reason}`, next]
}
/** A connection from this peer, begun. */
const connected = (state: State, peer = ONE): State => {
  const [said, next] = judge(state, come(peer, 0x02))
  expect(said).toBe('allow ingress-grant')
  return next
}

describe('ingress that asks for a session', () => {
  it('is closed without one, and names the clause with one', () => {
    expect(judge(EMPTY_STATE, come(ONE, 0x02))[0]).toBe('drop no-flow')
    const { verdict } = evaluate(PLAN, opened(EMPTY_STATE, { [ONE]: NOW + 1 }), WS, come(ONE, 0x02), NOW, EXACT_ENV)
    expect(verdict).toEqual({
      kind: 'allow',
      reason: 'ingress-grant',
      clause: SSH.id,
      grant: 'ingress/tcp/10.60.0.0/24/22',
    })
  })

  it('opens to the peer of the session, and to nobody beside it', () => {
    const state = opened(EMPTY_STATE, { [ONE]: NOW + 1 })
    expect(judge(state, come(TWO, 0x02))[0]).toBe('drop no-flow')
    expect(judge(state, come(ONE, 0x02, 23))[0]).toBe('drop no-flow')
    expect(judge(opened(EMPTY_STATE, { '45.76.10.10': NOW + 1 }), come('45.76.10.10', 0x02))[0]).toBe('drop no-flow')
    expect([ONE, '10.60.1.1', 'fd60::1'].map((text) => sessionOpens(AT, parseIp(text) as never).length)).toEqual([
      1, 0, 0,
    ])
  })

  it('ends at its time for what goes on as well, in both directions', () => {
    const state = connected(opened(EMPTY_STATE, { [ONE]: NOW + 10 }))
    expect(judge(state, answer(ONE), NOW + 9)[0]).toBe('allow ingress-reply')
    expect(judge(state, come(ONE, 0x10), NOW + 9)[0]).toBe('allow flow')
    expect(judge(state, answer(ONE), NOW + 10)[0]).toBe('drop reserved')
    expect(judge(state, come(ONE, 0x10), NOW + 10)[0]).toBe('drop no-flow')
  })

  it('is not revived by a session that comes later', () => {
    const closed = opened(connected(opened(EMPTY_STATE, { [ONE]: NOW + 10 })), {})
    expect(closed.flows.size).toBe(0)
    const over = connected(opened(EMPTY_STATE, { [ONE]: NOW + 10 }))
    const again = opened(over, { [ONE]: NOW + 100 }, NOW + 11)
    expect(judge(again, come(ONE, 0x10), NOW + 12)[0]).toBe('drop no-flow')
    expect(judge(again, come(ONE, 0x02), NOW + 12)[0]).toBe('allow ingress-grant')
  })

  it('goes on while another session has the peer', () => {
    const state = opened(connected(opened(EMPTY_STATE, { [ONE]: NOW + 10 })), { [ONE]: NOW + 50, [TWO]: NOW + 50 })
    expect(judge(state, come(ONE, 0x10), NOW + 20)[0]).toBe('allow flow')
  })

  it('goes on under a plan that still asks for a session there, and under one that grants it without', () => {
    const state = connected(opened(EMPTY_STATE, { [ONE]: NOW + 10 }))
    const wider = planOf([ingress('broker', ['10.60.0.0/16'], 'tcp', ['22'], 'required')])
    const [said, next] = judge(carryOver(state, wider, 2), come(ONE, 0x10), NOW + 1, wider)
    expect([said, next.sessions.length]).toEqual(['allow flow', 1])
    const plain = planOf([ingress('broker', ['10.60.0.0/24'], 'tcp', ['22'])])
    expect(judge(carryOver(state, plain, 2), come(ONE, 0x10), NOW + 20, plain)[0]).toBe('allow flow')
    const other = planOf([ingress('other', ['10.60.0.0/24'], 'tcp', ['80'], 'required')])
    expect(carryOver(state, other, 2).flows.size).toBe(0)
  })

  it('is over for a workspace that no plan has any more', () => {
    const state = opened(EMPTY_STATE, { [ONE]: NOW + 10 })
    expect(carryOver(state, { ...PLAN, workspaces: [] }, 2).sessions).toEqual([])
    const both = connected(opened(EMPTY_STATE, { [ONE]: NOW + 10 }))
    expect(endSessions(both, PLAN, NOW + 9).flows.size).toBe(1)
    expect(endSessions(both, PLAN, NOW + 10).flows.size).toBe(0)
  })
})

describe('a plan with such clauses', () => {
  it('keeps their grants apart from those that need none, and is read back as it was', () => {
    const plain = ingress('probe', ['10.60.0.9/32'], 'tcp', ['22', '9100'])
    const plan = planOf([SSH, plain, ingress('same', ['10.60.0.9/32'], 'tcp', ['22'], 'required')])
    const { network } = plan.workspaces[0] as WorkspacePlan
    expect(network.ingress.map(({ id }) => id)).toEqual([
      'ingress/tcp/10.60.0.9/32/22',
      'ingress/tcp/10.60.0.9/32/9100',
    ])
    // What is open anyway needs no session.
    expect(network.sessions?.map(({ id }) => id)).toEqual(['ingress/tcp/10.60.0.0/24/22'])
    expect(checkPlan(plan)).toEqual([])
    expect(decodePlan(encodePlan(plan), planDigest(plan))).toEqual(plan)
    expect(planOf([plain]).workspaces[0]?.network).not.toHaveProperty('sessions')
  })

  it('is refused where the backend cannot end a grant with its session', () => {
    for (const capabilities of [docaCapabilities, flowerCapabilities]) {
      const offer = capabilities({ backend: 'doca-flow', trustDomain: 'host', probes: [] })
      expect(offer.sessions).toBeUndefined()
    }
    const { sessions: _, ...without } = MEMORY
    const { plan, notes } = compile([policy([SSH])], without)
    expect(plan).toBeUndefined()
    expect(notes.map(({ code, say }) => `${code}: ${say}`)).toEqual([
      'clause-unenforceable: "broker": memory cannot end an ingress grant with its session; remove session, or use a node with nftables or ebpf',
    ])
    expect(compile([policy([SSH])]).guarantees[0]).toMatchObject({
      level: 'enforced',
      why: 'memory; only while the peer has a session open',
    })
  })

  it('differs from others in words of its own, and a diff replays', () => {
    const before = planOf([ingress('broker', ['10.60.0.0/24'], 'tcp', ['22'])])
    const diff = diffPlans(before, PLAN)
    expect(renderDiff(diff)).toBe(
      `~ workspace ${WS}\n  - ingress tcp 10.60.0.0/24 22  (its live flows are cut)\n  + ingress tcp 10.60.0.0/24 22 with a session\n`,
    )
    expect(applyDiff(before, diff)).toEqual(PLAN)
    expect(applyDiff(PLAN, diffPlans(PLAN, before))).toEqual(before)
  })

  it('says in explanations that a session is what is missing', () => {
    const question = parsePacketQuestion(`tcp ${ONE}:50000 > ${V4}:22`)
    const closed = explain(PLAN, EMPTY_STATE, WS, question, NOW, EXACT_ENV)
    expect(closed.say).toBe(`denied: ${ONE} has no session open, and the ingress clause asks for one`)
    expect(closed.ways[0]).toBe('the access broker opens a session: sluice workspace session open')
    const state = opened(EMPTY_STATE, { [ONE]: NOW + 1 })
    expect(explain(PLAN, state, WS, question, NOW, EXACT_ENV).say).toBe('allowed by broker (fence.yaml:1)')
  })
})
