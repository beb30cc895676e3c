// Observe mode, sentence by sentence: what it lets through, everything that it does not, how it ends, and how far ahead it may.

import { describe, expect, it } from 'vitest'
import { docaCapabilities } from '../../../src/backends/doca-flow/capabilities.js'
import { checkPlan } from '../../../src/plan/check.js'
import { evaluate } from '../../../src/plan/evaluate.js'
import { explain, parsePacketQuestion } from '../../../src/plan/explain.js'
import { carryOver, withFlag } from '../../../src/plan/flow.js'
import type { Plan } from '../../../src/plan/model.js'
import { rulesFor } from '../../../src/plan/names.js'
import { OBSERVE_LIMIT_MS } from '../../../src/plan/observe.js'
import { type Packet, readFrame } from '../../../src/plan/packet.js'
import { EMPTY_STATE, EXACT_ENV, type State } from '../../../src/plan/state.js'
import { type FrameSpec, ipFrame, type Payload } from '../../support/frames.js'
import { compile, egress, GATEWAY_MAC, MEMORY, observe, planOf, policy, WS, WS_MAC } from '../../support/plans.js'

const UNTIL = 2_000_000
const NOW = UNTIL - 1
const GRANTED = egress('web', ['93.184.216.34'], 'tcp', ['443'])
const PLAN = planOf([GRANTED, observe(UNTIL)])
const V4 = '10.9.0.2'
const ELSEWHERE = '45.76.10.10'

const out = (destination: string, payload: Payload, more: Partial<FrameSpec> = {}): Packet =>
  readFrame(ipFrame({ source: V4, destination, payload, ...more }), 'from')
const syn = (destination: string, to: number): Packet => out(destination, { kind: 'tcp', from: 40000, to, flags: 0x02 })
const ack = (destination: string, to: number): Packet => out(destination, { kind: 'tcp', from: 40000, to, flags: 0x10 })
const back = (source: string, from: number): Packet =>
  readFrame(
    ipFrame({
      source,
      destination: V4,
      sourceMac: GATEWAY_MAC,
      destinationMac: WS_MAC,
      payload: { kind: 'tcp', from, to: 40000, flags: 0x12 },
    }),
    'to',
  )

/** Puts packets one after another; the verdict of the last, as text. */
function last(packets: readonly Packet[], plan: Plan = PLAN, nowMs = NOW, from: State = EMPTY_STATE): string {
  let state = from
  let said = ''
  for (const packet of packets) {
    const outcome = evaluate(plan, state, WS, packet, nowMs, EXACT_ENV)
    state = outcome.state
    const { verdict } = outcome
    said =
      verdict.kind === 'allow'
        ? `allow ${verdict.reason}${verdict.instead ? ` instead of ${verdict.instead}` : ''}`
        : `drop ${verdict.reason}`
  }
  return said
}
const stateAfter = (packets: readonly Packet[], nowMs = NOW): State =>
  packets.reduce((state, packet) => evaluate(PLAN, state, WS, packet, nowMs, EXACT_ENV).state, EMPTY_STATE)

describe('observe lets through', () => {
  const rows: readonly (readonly [string, readonly Packet[], string])[] = [
    ['a first packet that nothing grants', [syn(ELSEWHERE, 443)], 'allow observed instead of no-grant'],
    ['a datagram', [out(ELSEWHERE, { kind: 'udp', from: 1, to: 514 })], 'allow observed instead of no-grant'],
    ['a ping', [out(ELSEWHERE, { kind: 'echo', reply: false, identifier: 7 })], 'allow observed instead of no-grant'],
    ['its answer', [syn(ELSEWHERE, 443), back(ELSEWHERE, 443)], 'allow egress-reply'],
    ['what follows', [syn(ELSEWHERE, 443), back(ELSEWHERE, 443), ack(ELSEWHERE, 443)], 'allow flow'],
    ['what is granted, by its grant', [syn('93.184.216.34', 443)], 'allow static-grant'],
  ]
  for (const [name, packets, expected] of rows) it(name, () => expect(last(packets)).toBe(expected))
})

describe('observe relaxes nothing else', () => {
  const rows: readonly (readonly [string, readonly Packet[], string])[] = [
    [
      'a source that is not its own',
      [out(ELSEWHERE, { kind: 'udp', from: 1, to: 2 }, { source: '10.9.0.3' })],
      'drop spoof',
    ],
    ['a private address', [syn('10.50.0.7', 443)], 'drop reserved'],
    ['the metadata service', [syn('169.254.169.254', 80)], 'drop never'],
    ['multicast', [out('224.0.0.5', { kind: 'udp', from: 1, to: 2 })], 'drop never'],
    ['another resolver', [out('8.8.8.8', { kind: 'udp', from: 1, to: 53 })], 'drop dns'],
    ['DNS over TLS', [syn('8.8.8.8', 853)], 'drop dns'],
    ['a control-plane port', [syn(ELSEWHERE, 6443)], 'drop control-port'],
    ['the middle of a connection', [ack(ELSEWHERE, 443)], 'drop no-grant'],
    ['another protocol', [out(ELSEWHERE, { kind: 'raw', protocol: 47, data: new Uint8Array(24) })], 'drop no-grant'],
    [
      'who comes from outside',
      [
        readFrame(
          ipFrame({
            source: ELSEWHERE,
            destination: V4,
            sourceMac: GATEWAY_MAC,
            destinationMac: WS_MAC,
            payload: { kind: 'tcp', from: 1, to: 22, flags: 2 },
          }),
          'to',
        ),
      ],
      'drop no-flow',
    ],
    [
      'a fragment',
      [out(ELSEWHERE, { kind: 'udp', from: 1, to: 2 }, { fragment: { more: true, offset: 0 } })],
      'drop fragment',
    ],
    ['an ICMP error', [out(ELSEWHERE, { kind: 'icmp', type: 3, code: 1, body: new Uint8Array(8) })], 'drop icmp-error'],
  ]
  for (const [name, packets, expected] of rows) it(name, () => expect(last(packets)).toBe(expected))

  it('quarantine and suspension are stronger', () => {
    expect(last([syn(ELSEWHERE, 443)], PLAN, NOW, withFlag(EMPTY_STATE, 'quarantined', WS, true))).toBe(
      'drop quarantined',
    )
    expect(last([syn(ELSEWHERE, 443)], PLAN, NOW, withFlag(EMPTY_STATE, 'suspended', WS, true))).toBe('drop suspended')
  })
})

describe('observe ends', () => {
  it('by itself, at its time', () => {
    expect(last([syn(ELSEWHERE, 443)], PLAN, UNTIL)).toBe('drop no-grant')
  })

  it('for what it let through, both ways, and for a tuple that begins again', () => {
    const begun = stateAfter([syn(ELSEWHERE, 443), back(ELSEWHERE, 443)])
    for (const packet of [ack(ELSEWHERE, 443), syn(ELSEWHERE, 443)])
      expect(last([packet], PLAN, UNTIL, begun)).toBe('drop no-grant')
    expect(last([back(ELSEWHERE, 443)], PLAN, UNTIL, begun)).toBe('drop no-flow')
  })

  it('and nothing of it comes back under another end', () => {
    const begun = stateAfter([syn(ELSEWHERE, 443), back(ELSEWHERE, 443)])
    const longer = planOf([GRANTED, observe(UNTIL + 1000)])
    const state = carryOver(begun, longer, 2)
    expect(state.flows.size).toBe(0)
    expect(last([ack(ELSEWHERE, 443)], longer, NOW, state)).toBe('drop no-grant')
  })

  it('without a cut where the next plan grants what was observed', () => {
    const begun = stateAfter([syn(ELSEWHERE, 443), back(ELSEWHERE, 443)])
    const granted = planOf([egress('seen', [ELSEWHERE], 'tcp', ['443'])])
    expect(last([ack(ELSEWHERE, 443)], granted, UNTIL, carryOver(begun, granted, 2))).toBe('allow flow')
  })

  it('but not at a change of plan that keeps the clause', () => {
    const begun = stateAfter([syn(ELSEWHERE, 443), back(ELSEWHERE, 443)])
    const more = planOf([GRANTED, egress('more', ['45.76.10.20'], 'tcp', ['22']), observe(UNTIL)])
    expect(last([ack(ELSEWHERE, 443)], more, NOW, carryOver(begun, more, 2))).toBe('allow flow')
  })
})

describe('a clause observe', () => {
  it('ends at most seven days after the bundle begins to hold', () => {
    expect(compile([policy([observe(OBSERVE_LIMIT_MS)])]).notes.filter(({ severity }) => severity === 'error')).toEqual(
      [],
    )
    expect(compile([policy([observe(OBSERVE_LIMIT_MS + 1)])]).notes).toContainEqual({
      code: 'observe-too-long',
      severity: 'error',
      file: 'fence.yaml',
      line: 8,
      column: 0,
      path: 'observe.until',
      say: '"1970-01-08T00:00:00.001Z" is more than seven days after the bundle begins to hold; at the latest 1970-01-08T00:00:00Z',
    })
  })

  it('is refused by a backend that cannot end it by itself', () => {
    const doca = {
      ...docaCapabilities({ backend: 'doca-flow', trustDomain: 'host', probes: [] }),
      usable: true,
      slots: ['veth' as const],
    }
    const { plan, notes } = compile([policy([observe(UNTIL)])], { ...doca, names: false })
    expect(plan).toBeUndefined()
    expect(notes.map(({ code, say }) => `${code}: ${say}`)).toEqual([
      'clause-unenforceable: "observe": doca-flow cannot let through and report what nothing grants; remove observe, or use a node with nftables or ebpf',
    ])
  })

  it('is said of the plan, of its guarantees and of a packet', () => {
    expect(checkPlan(PLAN).map(({ code, say }) => `${code}: ${say}`)).toEqual([
      'not-denied: what nothing grants is let through and reported until 1970-01-01T00:33:20Z (observe)',
    ])
    expect(PLAN.guarantees.map(({ name, why }) => `${name}: ${why}`)).toContain(
      'observe: memory, until 1970-01-01T00:33:20Z: what nothing grants passes and is reported',
    )
    const told = explain(
      PLAN,
      EMPTY_STATE,
      WS,
      parsePacketQuestion(`tcp ${V4}:40000 > ${ELSEWHERE}:443`),
      NOW,
      EXACT_ENV,
    )
    expect(told.say).toBe(
      'let through and reported, because the workspace is observed until 1970-01-01T00:33:20Z; then denied: no clause grants this destination, protocol and port',
    )
    expect(told.ways[0]).toBe(
      'add to egress of the FencePolicy: { name: NAME, cidrs: [45.76.10.10/32], protocol: tcp, ports: [443] }',
    )
  })

  it('names what the mediator resolves meanwhile, without granting anything', () => {
    const named = planOf([observe(UNTIL, ['api.example.com', '*.cdn.example.com'])], {}, { ...MEMORY, names: true })
    const [at] = named.workspaces
    expect(at && rulesFor(at.network, 'x.cdn.example.com').map(({ ports }) => ports)).toEqual([[]])
    expect(at && rulesFor(at.network, 'other.example.com')).toEqual([])
    expect(at?.network.names).toEqual([])
  })

  it('needs a mediator for its names', () => {
    expect(compile([policy([observe(UNTIL, ['api.example.com'])])]).notes.map(({ code }) => code)).toContain(
      'clause-unenforceable',
    )
  })
})
