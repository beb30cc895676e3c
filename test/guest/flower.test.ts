// The life of a `tc-flower` fence on a kernel that has cls_flower, in software and emulated: what stands when nothing is live, a
// change of generation under traffic, a quarantine, names that are learnt and run out, an agent that ends and another that takes
// up what it left, interfaces that are made anew, somebody else's filters, a stage that fails, and nothing left behind. One guest
// plays it all, in the order of the tests.

import { beforeAll, describe, expect, it } from 'vitest'
import type { Observed } from '../../src/backends/backend.js'
import { hex } from '../../src/base/bytes.js'
import { digestOfText } from '../../src/base/digest.js'
import { sliceFor } from '../../src/plan/codec.js'
import type { LearnedGrant, NameRule, Plan, PlanSlice } from '../../src/plan/model.js'
import {
  type Answer,
  type Fates,
  numbered,
  type Operation,
  type PlayedFrame,
  playScene,
} from '../support/flower/scene.js'
import { arpFrame, ipFrame, ipPacket, type Payload } from '../support/frames.js'
import { egress, GATEWAY_MAC, planOf, WS, WS_MAC } from '../support/plans.js'

const MINUTES = 60_000
const SOFTWARE = { software: true } as const
const [LOCAL, LOCAL6, WEB, WEB6] = ['10.9.0.2', 'fd09:0:0:1::2', '93.184.216.34', '2a05:9:9::10']
const NOW_MS = 1_000_000

/** The plans are placed on `memory`, which does not change what they grant. */
const sliceOf = (plan: Plan, generation: number): PlanSlice => ({
  ...sliceFor(plan, 'memory', generation),
  workspaces: plan.workspaces,
})
const WEB_ONLY = planOf([egress('web', [WEB, WEB6], 'tcp', ['443'])])
const WIDER = planOf([egress('web', [WEB, WEB6], 'tcp', ['443']), egress('more', [WEB], 'tcp', ['8443'])])
const RULE: NameRule = {
  clause: digestOfText('name'),
  pattern: 'one.example',
  wildcard: false,
  protocol: 'tcp',
  ports: [{ from: 443, to: 443 }],
  within: [],
}
const NAMED: Plan = {
  ...WEB_ONLY,
  workspaces: WEB_ONLY.workspaces.map((at) => ({ ...at, network: { ...at.network, names: [RULE] } })),
}
const lesson = (address: string, protocol: 'tcp' | 'udp', generation: number, expiresAtMs: number): LearnedGrant => ({
  ...{ workspace: WS, clause: RULE.clause, name: RULE.pattern, protocol, address, port: 443 },
  ...{ generation, expiresAtMs },
})

let number = 0
const SYN = 0x02
const ACK = 0x10
const played = (from: PlayedFrame['from'], frame: Uint8Array): PlayedFrame => ({
  from,
  hex: hex(numbered(frame, ++number)),
})
const tcp = (to: number, flags: number): Payload => ({ kind: 'tcp', from: 40_000, to, flags })
function sent(destination: string, payload: Payload, more: object = {}): PlayedFrame {
  const source = destination.includes(':') ? LOCAL6 : LOCAL
  return played(
    'vm0',
    ipFrame({ source, destination, sourceMac: WS_MAC, destinationMac: GATEWAY_MAC, payload, ...more }),
  )
}
function received(source: string, payload: Payload): PlayedFrame {
  const destination = source.includes(':') ? LOCAL6 : LOCAL
  return played('out0', ipFrame({ source, destination, sourceMac: GATEWAY_MAC, destinationMac: WS_MAC, payload }))
}
const answer = (port: number, flags = 0x12): Payload => ({ kind: 'tcp', from: port, to: 40_000, flags })
const probe = (port = 443): PlayedFrame => sent(WEB, tcp(port, SYN))

/** What is played, and how a test finds its answers. */
const operations: Operation[] = []
let answers: readonly Answer[] = []
function plays(...more: readonly Operation[]): () => readonly Answer[] {
  const from = operations.length
  operations.push(...more)
  return () => answers.slice(from, from + more.length)
}
const frames = (...list: readonly PlayedFrame[]): Operation => ({ op: 'frames', frames: list })
/** Whether each frame of a batch passed. */
const fates = (index: number): boolean[] => {
  const operation = operations[index]
  if (operation?.op !== 'frames' && operation?.op !== 'change') throw new Error(`no frames at ${index}`)
  const { passed } = ok(answers[index]) as Fates
  return operation.frames.map((frame) => passed.includes(frame.hex.slice(-6)))
}
const ok = (got: Answer | undefined): unknown => {
  expect(got?.say).toBeUndefined()
  return got?.ok
}
const seen = (got: Answer | undefined): Observed => ok(got) as Observed
const place = (): number => operations.length

const opening = place()
const opened = plays(
  { op: 'open', flower: SOFTWARE },
  { op: 'probe' },
  { op: 'stage', slice: sliceOf(WEB_ONLY, 1) },
  frames(probe()),
  { op: 'discard' },
  frames(probe()),
  { op: 'live', slice: sliceOf(WEB_ONLY, 2) },
  frames(probe(), probe(80), sent(WEB6, tcp(443, SYN)), received(WEB, answer(443)), received(WEB, answer(443, SYN))),
  { op: 'observe' },
  { op: 'inspect' },
)

const insides: readonly Uint8Array[] = [
  ipPacket({ source: LOCAL, destination: WEB, payload: tcp(443, SYN) }),
  ipPacket({ source: LOCAL6, destination: WEB6, payload: tcp(443, SYN) }),
]
const tunnels = place()
plays(
  frames(
    ...insides.flatMap((inside, i) =>
      [WEB, WEB6].flatMap((destination) => [
        sent(destination, { kind: 'raw', protocol: i === 0 ? 4 : 41, data: inside }),
        sent(destination, {
          kind: 'raw',
          protocol: 47,
          data: Uint8Array.of(0, 0, i === 0 ? 0x08 : 0x86, i === 0 ? 0 : 0xdd, ...inside),
        }),
      ]),
    ),
  ),
)

const links = place()
plays(
  frames(
    played('vm0', arpFrame({ operation: 1, senderIp: LOCAL, targetIp: '10.9.0.1', senderMac: WS_MAC })),
    played('vm0', arpFrame({ operation: 1, senderIp: '10.9.0.3', targetIp: '10.9.0.1', senderMac: WS_MAC })),
    played('vm0', arpFrame({ operation: 1, senderIp: LOCAL, targetIp: '8.8.8.8', senderMac: WS_MAC })),
    sent(WEB, tcp(443, SYN), { sourceMac: '02:00:00:00:09:ff' }),
    sent(WEB, tcp(443, SYN), { source: '10.9.0.3' }),
    sent(WEB, tcp(443, SYN), { vlan: 7 }),
    sent(WEB, tcp(443, SYN), { fragment: { more: true, offset: 0 } }),
    // Declared: what stands between the header and its transport is not seen.
    sent(WEB, tcp(443, SYN), { options: Uint8Array.of(7, 4, 4, 0) }),
    sent(WEB6, tcp(443, SYN), { extensions: [60] }),
    sent(WEB, tcp(80, SYN), { options: Uint8Array.of(7, 4, 4, 0) }),
  ),
)

const BURST = 400
const burst = [...Array.from({ length: BURST }, (_, i) => (i % 2 === 0 ? probe(443) : probe(22))), probe(443)]
const changing = place()
const changed = plays(
  {
    op: 'change',
    slices: [3, 4, 5, 6].map((generation) => sliceOf(generation % 2 === 0 ? WEB_ONLY : WIDER, generation)),
    frames: burst,
  },
  { op: 'observe' },
)

const flagged = (on: boolean, flag: 'quarantined' | 'suspended' = 'quarantined'): Operation => ({
  op: 'flag',
  workspace: WS,
  flag,
  on,
})
const quarantine = place()
const quarantined = plays(
  flagged(true),
  frames(
    probe(),
    received(WEB, answer(443)),
    played('vm0', arpFrame({ operation: 1, senderIp: LOCAL, targetIp: '10.9.0.1', senderMac: WS_MAC })),
  ),
  { op: 'observe' },
  // Above every generation, and with another flag beside it.
  { op: 'live', slice: sliceOf(WIDER, 7) },
  flagged(true, 'suspended'),
  flagged(false),
  frames(probe()),
  { op: 'restart', flower: SOFTWARE },
  { op: 'observe' },
  flagged(false, 'suspended'),
  frames(probe()),
  { op: 'flag', workspace: 'spiffe://example.org/workspace/dev/later', flag: 'quarantined', on: true },
  { op: 'observe' },
)

const [LEARNT, LEARNT6, RESERVED] = ['8.8.8.8', '2606:4700::1', '10.50.1.7']
const out = (address: string, flags: number): PlayedFrame => sent(address, tcp(443, flags))
const datagram = (address: string): PlayedFrame => sent(address, { kind: 'udp', from: 40_000, to: 443 })
const learning = place()
const learned = plays(
  { op: 'live', slice: sliceOf(NAMED, 8) },
  { op: 'learn', generation: 7, grants: [lesson(LEARNT, 'tcp', 7, NOW_MS + 60_000)] },
  frames(out(LEARNT, SYN)),
  {
    op: 'learn',
    generation: 8,
    grants: [
      ...[LEARNT, LEARNT6, RESERVED].map((address) => lesson(address, 'tcp', 8, NOW_MS + 60_000)),
      lesson(LEARNT, 'udp', 8, NOW_MS + 60_000),
    ],
  },
  frames(
    ...[out(LEARNT, SYN), received(LEARNT, answer(443)), out(LEARNT6, SYN), out(RESERVED, SYN), datagram(LEARNT)],
    sent(LEARNT, tcp(80, SYN)),
  ),
  // Another generation with the clause, and another agent: what was learnt is carried over.
  { op: 'live', slice: sliceOf(NAMED, 9) },
  { op: 'restart', flower: SOFTWARE },
  { op: 'observe' },
  frames(out(LEARNT, SYN), out(LEARNT6, SYN), datagram(LEARNT)),
  // Run out: begins nothing, and what TCP it began goes on.
  { op: 'clock', nowMs: NOW_MS + 60_001 },
  frames(out(LEARNT, SYN), out(LEARNT, ACK), received(LEARNT, answer(443, ACK)), datagram(LEARNT)),
  { op: 'observe' },
  // The clause is gone, and everything with it.
  { op: 'live', slice: sliceOf(WEB_ONLY, 10) },
  frames(out(LEARNT, ACK), probe()),
)

const damaged = plays(
  { op: 'tc', line: 'filter add dev ws0 ingress prio 1 protocol all chain 0 handle 9 flower action pass' },
  { op: 'observe' },
  { op: 'tc', line: 'filter del dev ws0 ingress prio 1 protocol all chain 0 handle 9 flower' },
  { op: 'observe' },
  // One of the two turns is live.
  ...[9, 17].map(
    (chain): Operation => ({ op: 'tc', line: `filter del dev ws0 ingress chain ${chain} prio 8 protocol ip flower` }),
  ),
  { op: 'observe' },
  { op: 'live', slice: sliceOf(WEB_ONLY, 11) },
  { op: 'observe' },
  // The slot goes and comes back with nothing on it.
  { op: 'ip', line: 'link delete ws0' },
  { op: 'observe' },
  { op: 'live', slice: sliceOf(WEB_ONLY, 12) },
  { op: 'watch' },
  { op: 'ip', line: 'link add ws0 type veth peer name vm1' },
  { op: 'closed' },
  { op: 'observe' },
  { op: 'live', slice: sliceOf(WEB_ONLY, 12) },
  { op: 'observe' },
)

const refused = plays(
  // No hardware is here: what asks for it is refused, and what is live stays live.
  { op: 'restart', flower: { software: false, uplink: 'up0' } },
  { op: 'probe' },
  { op: 'live', slice: sliceOf(WEB_ONLY, 13) },
  { op: 'restart', flower: { software: false, uplink: 'none0' } },
  { op: 'live', slice: sliceOf(WEB_ONLY, 13) },
  { op: 'restart', flower: SOFTWARE },
  { op: 'observe' },
  { op: 'tc', line: '-j qdisc show dev up0' },
)

const ending = plays(
  { op: 'live', slice: sliceOf({ ...WEB_ONLY, workspaces: [] }, 14) },
  { op: 'observe' },
  { op: 'tc', line: '-j filter show dev ws0 ingress' },
  { op: 'uninstall' },
  { op: 'observe' },
  ...['ws0', 'up0', 'br0'].map((name): Operation => ({ op: 'tc', line: `-j qdisc show dev ${name}` })),
  { op: 'uninstall' },
)

describe('tc-flower in a guest', () => {
  beforeAll(async () => {
    answers = await playScene(operations, 8 * MINUTES)
  }, 9 * MINUTES)

  it('asks the kernel what it can do', () => {
    const [open, probed] = opened()
    ok(open)
    const { probes } = ok(probed) as { probes: { feature: string; answer: string }[] }
    expect(probes.map(({ feature, answer: said }) => `${feature} ${said}`)).toEqual([
      'library yes',
      'classifier yes',
      'offload yes',
      'hardware no',
    ])
  })
  it('closes what attach_interfaces names before there is a plan, and keeps it closed when a stage is discarded', () => {
    expect(fates(opening + 3)).toEqual([false])
    expect(fates(opening + 5)).toEqual([false])
  })
  it('lets through what is granted and its answers, of both families', () => {
    expect(fates(opening + 7)).toEqual([true, false, true, true, false])
  })
  it('reads back what is live, with counts by grant and by reason', () => {
    const { live, drift, counters, drops } = seen(opened()[8])
    expect(drift).toEqual([])
    expect(live).toMatchObject({ generation: 2, workspaces: [WS], planDigest: sliceOf(WEB_ONLY, 2).planDigest })
    expect(counters.find(({ grant }) => grant === `egress/tcp/${WEB}/32/443`)).toMatchObject({ packets: 2 })
    expect(drops).toMatchObject({ 'no-grant': 1, 'no-flow': 1 })
  })
  it('says where it hangs', () => {
    const [anchor] = ok(opened()[9]) as {
      generation: number
      emulated: boolean
      hooks: { hook: string; on: string }[]
    }[]
    expect(anchor).toMatchObject({ workspace: WS, generation: 2, emulated: false })
    expect(anchor?.hooks.map(({ hook, on }) => `${hook} ${on.split('#')[0]}`)).toEqual([
      'clsact/ingress ws0',
      'clsact/egress ws0',
    ])
  })
  it('refuses tunnels, whatever they carry', () => {
    expect(fates(tunnels)).toEqual(Array.from({ length: 8 }, () => false))
  })
  it('judges the link layer, sources and fragments; of options it sees what stands behind them', () => {
    expect(fates(links)).toEqual([true, false, false, false, false, false, false, true, true, false])
  })
  it('changes generations under traffic: what stays granted passes, what never was does not', () => {
    const got = fates(changing)
    expect(got).toEqual(burst.map((_, i) => i % 2 === 0))
    expect(seen(changed()[1])).toMatchObject({ drift: [], live: { generation: 6 } })
  })
  it('quarantines both directions and ARP above every generation, over a restart, until it is lifted', () => {
    expect(fates(quarantine + 1)).toEqual([false, false, false])
    expect(seen(quarantined()[2])).toMatchObject({ drift: [], live: { quarantined: [WS], suspended: [] } })
    expect(fates(quarantine + 6)).toEqual([false])
    expect(seen(quarantined()[8])).toMatchObject({
      drift: [],
      live: { quarantined: [], suspended: [WS], generation: 7 },
    })
    expect(fates(quarantine + 10)).toEqual([true])
    expect(seen(quarantined()[12]).live?.quarantined).toEqual(['spiffe://example.org/workspace/dev/later'])
  })
  it('takes learned grants of the generation that is live, and no other', () => {
    expect(ok(learned()[1])).toBe(false)
    expect(fates(learning + 2)).toEqual([false])
    expect(ok(learned()[3])).toBe(true)
    expect(fates(learning + 4)).toEqual([true, true, true, false, true, false])
  })
  it('carries them over a change of plan and of agent, with their ends', () => {
    const { live, drift } = seen(learned()[7])
    expect(drift).toEqual([])
    expect(
      live?.learned
        .map(({ address, protocol, expiresAtMs, clause }) => [address, protocol, expiresAtMs, clause])
        .sort(),
    ).toEqual(
      [
        [LEARNT6, 'tcp', NOW_MS + 60_000, RULE.clause],
        [LEARNT, 'tcp', NOW_MS + 60_000, RULE.clause],
        [LEARNT, 'udp', NOW_MS + 60_000, RULE.clause],
      ].sort(),
    )
    expect(fates(learning + 8)).toEqual([true, true, true])
  })
  it('lets what ran out begin nothing, and what it began go on until its clause goes', () => {
    expect(fates(learning + 10)).toEqual([false, true, true, false])
    expect(seen(learned()[11]).live?.learned).toEqual([])
    expect(fates(learning + 13)).toEqual([false, true])
  })
  it("tells of somebody else's filter, and of filters that went", () => {
    const [, foreign, , clean, , , gone, , repaired] = damaged()
    expect(seen(foreign).drift).toEqual(['ws0 from: a filter of somebody else decides at priority 1'])
    expect(seen(clean).drift).toEqual([])
    expect(seen(gone).drift).toEqual(['ws0 from: the filters are not those that were put there'])
    expect(seen(repaired)).toMatchObject({ drift: [], live: { generation: 11 } })
  })
  it('tells of a slot that went, refuses a plan for it, and closes it as soon as it is back, and fences it again', () => {
    const [absent, failed, , , closed, open, again, fenced] = damaged().slice(10)
    expect(seen(absent)).toMatchObject({
      drift: [`the interface ws0 of ${WS}, or the uplink, is gone`],
      live: { workspaces: [] },
    })
    expect(failed).toMatchObject({ failed: 'FLOWER_SLOT_ABSENT' })
    expect(seen(open).live?.workspaces).toEqual([])
    expect(ok(closed)).toMatchObject({ news: 1 })
    expect(seen(open).drift).toContain('ws0 from: generation none is switched on, not 11')
    ok(again)
    expect(seen(fenced)).toMatchObject({ drift: [], live: { generation: 12, workspaces: [WS] } })
  })
  it('refuses a stage that hardware does not take, never falls back to software, and leaves what is live', () => {
    const [, probed, failed, , absent, , after, uplink] = refused()
    expect(JSON.stringify(ok(probed))).toContain('up0 is no port of a switch in switchdev mode')
    expect(failed).toMatchObject({ failed: 'FLOWER_NOT_OFFLOADED' })
    expect(absent).toMatchObject({ failed: 'FLOWER_UPLINK_ABSENT' })
    expect(seen(after)).toMatchObject({ drift: [], live: { generation: 12 } })
    expect(ok(uplink)).not.toContain('clsact')
  })
  it('keeps the interface of a workspace that is gone closed, and leaves nothing behind when it is uninstalled', () => {
    const [made, live, left, removed, nothing, ws0, up0, br0, again] = ending()
    ok(made)
    expect(seen(live)).toMatchObject({ drift: [], live: { generation: 14, workspaces: [] } })
    expect(ok(left)).toContain('"drop"')
    expect(ok(removed)).toEqual(['filters on ws0'])
    expect(seen(nothing).live).toBeNull()
    for (const one of [ws0, up0, br0]) expect(ok(one)).not.toContain('clsact')
    expect(ok(again)).toEqual([])
  })
})
