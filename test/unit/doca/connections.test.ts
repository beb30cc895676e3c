// Tracked connections of `doca-flow` on the software BlueField: who may begin one, what passes as part of one, and what ends it.
// Packets that begin a connection come to the agent, which the tests let look with `track`.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { docaCapabilities } from '../../../src/backends/doca-flow/capabilities.js'
import { DocaDriver } from '../../../src/backends/doca-flow/driver.js'
import { lower } from '../../../src/backends/doca-flow/lower.js'
import type { DocaProgram } from '../../../src/backends/doca-flow/program.js'
import { render } from '../../../src/backends/doca-flow/render.js'
import { CONNECTIONS } from '../../../src/backends/doca-flow/room.js'
import { sliceFor } from '../../../src/plan/codec.js'
import type { Plan, WorkspacePlan } from '../../../src/plan/model.js'
import { BlueField } from '../../support/doca/bluefield.js'
import { ipFrame } from '../../support/frames.js'
import { ENTRY, egress, GATEWAY_MAC, ingress, planOf, WS, WS_MAC } from '../../support/plans.js'

const PEER = '93.184.216.34'
const OTHER = 'spiffe://example.org/workspace/dev/ws1'
const OTHER_MAC = '02:00:00:00:09:03'
const SYN = 0x02
const ACK = 0x10

const tracked = (plan: Plan): Plan => ({
  ...plan,
  workspaces: plan.workspaces.map((at): WorkspacePlan => ({ ...at, flows: 'device' })),
})
const programOf = (plan: Plan, generation: number): DocaProgram =>
  lower({ ...sliceFor(plan, 'memory', generation), workspaces: plan.workspaces })

const WEB = tracked(planOf([egress('web', [PEER], 'tcp', ['443'])]))
const DNS = tracked(planOf([egress('ntp', [PEER], 'udp', ['123'])]))
const BOTH = tracked(planOf([egress('web', [PEER], 'tcp', ['443']), egress('ntp', [PEER], 'udp', ['123'])]))
const SSH = tracked(planOf([ingress('ssh', ['45.76.10.0/24'], 'tcp', ['22'])]))

/** Two workspaces of one card: the first may reach the second, which lets nobody in. */
const PAIR: Plan = {
  ...WEB,
  workspaces: [
    ...tracked(planOf([egress('over', ['45.76.10.3'], 'tcp', ['443'])])).workspaces,
    ...WEB.workspaces.map((at) => ({
      ...at,
      workspace: OTHER,
      slot: { ...at.slot, interface: 'ws1', mac: OTHER_MAC, addresses: ['45.76.10.3'] },
      network: { ...at.network, egress: [] },
    })),
  ],
}

const out = (flags: number, protocol: 'tcp' | 'udp' = 'tcp', from = 40_000, to = PEER): Uint8Array =>
  ipFrame({
    source: '10.9.0.2',
    destination: to,
    sourceMac: WS_MAC,
    destinationMac: GATEWAY_MAC,
    payload: { kind: protocol, from, to: protocol === 'tcp' ? 443 : 123, flags },
  })
const back = (flags: number, protocol: 'tcp' | 'udp' = 'tcp', to = 40_000): Uint8Array =>
  ipFrame({
    source: PEER,
    destination: '10.9.0.2',
    sourceMac: GATEWAY_MAC,
    destinationMac: WS_MAC,
    payload: { kind: protocol, from: protocol === 'tcp' ? 443 : 123, to, flags },
  })

describe('doca-flow: tracked connections', () => {
  const card = BlueField.load()
  let driver: DocaDriver
  let nowMs = 1_000_000
  /** What went on, by where. */
  let sent: { readonly to: string | null; readonly frame: Buffer }[] = []
  let takes = true

  beforeEach(async () => {
    card.topology([ENTRY.slot.interface, 'ws1'])
    sent = []
    takes = true
    driver = await DocaDriver.open(
      { attachInterfaces: [], stateDirectory: '' },
      () => nowMs,
      (to, frame) => {
        if (takes) sent.push({ to, frame: Buffer.from(frame) })
        return takes
      },
    )
  })
  afterEach(async () => {
    card.fault('entry', 0)
    card.fault('late', 0)
    await driver.close()
    expect(card.state()).toMatchObject({ pipes: 0, entries: 0, pending: 0, counters: 0, violations: 0 })
  })

  const make = async (plan: Plan, generation: number): Promise<void> =>
    driver.commit(await driver.stage(programOf(plan, generation)))
  /** `hardware`: without anybody's help; `agent`: sent on; `none`: nowhere. */
  const passes = (port: number, frame: Uint8Array): 'hardware' | 'agent' | 'none' => {
    const before = sent.length
    const fate = card.inject(port, frame)
    if (fate.kind === 'queue') driver.track()
    if (sent.length > before) return 'agent'
    return fate.kind === 'port' ? 'hardware' : 'none'
  }
  const pass = (ms: number): void => {
    nowMs += ms
    card.advance(ms)
    driver.track()
  }

  it('lets answers in only for what the workspace began, and carries the rest in hardware', async () => {
    await make(WEB, 1)
    expect(passes(0, back(SYN | ACK))).toBe('none')
    expect(passes(1, out(ACK))).toBe('none')
    expect(passes(1, out(SYN))).toBe('agent')
    expect(sent).toEqual([{ to: null, frame: Buffer.from(out(SYN)) }])
    expect(passes(0, back(SYN | ACK))).toBe('hardware')
    expect(passes(1, out(ACK))).toBe('hardware')
    // The granted peer from the granted port, to a port that asked for nothing.
    expect(passes(0, back(SYN | ACK, 'tcp', 22))).toBe('none')
    expect(passes(0, back(ACK, 'tcp', 40_001))).toBe('none')
  })

  it('lets in who may come, and sends the first packet to the representor', async () => {
    await make(SSH, 1)
    const knock = (flags: number, source = '45.76.10.9'): Uint8Array =>
      ipFrame({
        source,
        destination: '10.9.0.2',
        sourceMac: GATEWAY_MAC,
        destinationMac: WS_MAC,
        payload: { kind: 'tcp', from: 50_000, to: 22, flags },
      })
    expect(passes(0, knock(SYN, '45.76.11.9'))).toBe('none')
    expect(passes(0, knock(ACK))).toBe('none')
    expect(passes(0, knock(SYN))).toBe('agent')
    expect(sent.map(({ to }) => to)).toEqual(['ws0'])
    expect(passes(0, knock(ACK))).toBe('hardware')
  })

  it('adds one connection for several first packets, and sends all of them on', async () => {
    await make(DNS, 1)
    for (let i = 0; i < 3; i++) expect(card.inject(1, out(0, 'udp')).kind).toBe('queue')
    const { entries } = card.state()
    driver.track()
    expect(sent).toHaveLength(3)
    expect(card.state().entries).toBe(entries + 1)
  })

  it('cuts what a new plan does not grant, keeps its neighbour, and revives nothing', async () => {
    await make(BOTH, 1)
    expect([passes(1, out(SYN)), passes(1, out(0, 'udp'))]).toEqual(['agent', 'agent'])
    await make(DNS, 2)
    expect([passes(1, out(ACK)), passes(0, back(ACK))]).toEqual(['none', 'none'])
    expect([passes(1, out(0, 'udp')), passes(0, back(0, 'udp'))]).toEqual(['hardware', 'hardware'])
    await make(BOTH, 3)
    expect([passes(1, out(ACK)), passes(0, back(ACK))]).toEqual(['none', 'none'])
    expect(passes(1, out(SYN))).toBe('agent')
  })

  it('judges what waited for the agent by the plan that is live when it looks', async () => {
    await make(WEB, 1)
    expect(card.inject(1, out(SYN)).kind).toBe('queue')
    await make(DNS, 2)
    driver.track()
    expect(sent).toEqual([])
    expect(passes(1, out(ACK))).toBe('none')
  })

  it('a change that cannot cut says so with the new plan live, and cuts when the device lets it', async () => {
    await make(WEB, 1)
    expect(passes(1, out(SYN))).toBe('agent')
    const staged = await driver.stage(programOf(DNS, 2))
    // Four parents change: its port, its two addresses, and the way out of IPv4; the fifth operation removes the connection.
    card.fault('entry', 5)
    await expect(driver.commit(staged)).rejects.toMatchObject({ code: 'DOCA_DEVICE' })
    expect((await driver.observe()).live).toMatchObject({ generation: 2 })
    expect(passes(1, out(ACK))).toBe('hardware')
    pass(1_000)
    expect(passes(1, out(ACK))).toBe('none')
    expect(passes(1, out(0, 'udp'))).toBe('agent')
  })

  it('a flag ends every connection for good, and what waited goes nowhere', async () => {
    await make(WEB, 1)
    expect(passes(1, out(SYN))).toBe('agent')
    expect(passes(1, out(SYN, 'tcp', 40_001))).toBe('agent')
    expect(card.inject(1, out(SYN, 'tcp', 40_002)).kind).toBe('queue')
    await driver.flag(WS, 'quarantined', true)
    expect(await driver.cut(WS)).toMatchObject({ flows: 2 })
    driver.track()
    expect(sent).toHaveLength(2)
    expect([passes(1, out(ACK)), passes(0, back(ACK))]).toEqual(['none', 'none'])
    await driver.flag(WS, 'quarantined', false)
    expect([passes(1, out(ACK)), passes(0, back(ACK))]).toEqual(['none', 'none'])
    expect(passes(1, out(SYN))).toBe('agent')
  })

  it('a connection that nothing passes for too long is over', async () => {
    await make(DNS, 1)
    const { udpMs } = DNS.workspaces[0]?.network.idle ?? { udpMs: 0 }
    expect(passes(1, out(0, 'udp'))).toBe('agent')
    pass(udpMs - 5_000)
    expect(passes(0, back(0, 'udp'))).toBe('hardware')
    pass(udpMs - 5_000)
    expect(passes(0, back(0, 'udp'))).toBe('hardware')
    pass(udpMs + 5_000)
    expect(passes(0, back(0, 'udp'))).toBe('none')
  })

  it('a connection of one workspace is none of its neighbour on the card', async () => {
    await make(PAIR, 1)
    const over = out(SYN, 'tcp', 40_000, '45.76.10.3')
    expect(passes(1, over)).toBe('agent')
    expect(passes(1, out(ACK, 'tcp', 40_000, '45.76.10.3'))).toBe('hardware')
    // The same packet, as it comes back from the wire for the other workspace, which grants nobody.
    expect(passes(0, over)).toBe('none')
    expect(passes(0, out(ACK, 'tcp', 40_000, '45.76.10.3'))).toBe('none')
  })

  it('what cannot be added or sent goes nowhere and is counted, and leaves no connection that nobody knows', async () => {
    await make(WEB, 1)
    card.fault('entry', 1)
    expect(() => passes(1, out(SYN))).toThrow(expect.objectContaining({ code: 'DOCA_DEVICE' }))
    expect(sent).toEqual([])
    expect(passes(1, out(ACK))).toBe('none')
    takes = false
    expect(passes(1, out(SYN))).toBe('none')
    expect((await driver.observe()).drops['no-flow']).toBeGreaterThanOrEqual(1n)
    // The connection is there; what the client sends again passes.
    takes = true
    expect(passes(1, out(SYN))).toBe('hardware')
  })

  it('counts what connections carry under their grants, also after they ended', async () => {
    await make(WEB, 1)
    expect(passes(1, out(SYN))).toBe('agent')
    for (let i = 0; i < 4; i++) expect(passes(0, back(ACK))).toBe('hardware')
    card.advance(1_100)
    const packets = async (): Promise<bigint | undefined> =>
      (await driver.observe()).counters.find(({ grant }) => grant === `egress/tcp/${PEER}/32/443`)?.packets
    expect(await packets()).toBe(5n)
    await driver.flag(WS, 'suspended', true)
    expect(await packets()).toBe(5n)
  })

  it('names: a learned address begins connections while it lasts, and they outlive it', async () => {
    const clause = `sha256:${'1'.repeat(64)}` as const
    const rule = { clause, pattern: 'a.example', wildcard: false, protocol: 'udp' as const, ports: [], within: [] }
    const named = (rules: readonly (typeof rule)[]): Plan => ({
      ...DNS,
      workspaces: DNS.workspaces.map((at) => ({ ...at, network: { ...at.network, egress: [], names: rules } })),
    })
    await make(named([rule]), 1)
    expect(passes(1, out(0, 'udp'))).toBe('none')
    const grant = { workspace: WS, clause, name: 'a.example', protocol: 'udp' as const, address: PEER, port: 123 }
    expect(await driver.learn(1, [{ ...grant, generation: 1, expiresAtMs: nowMs + 10_000 }])).toBe(true)
    expect(passes(1, out(0, 'udp'))).toBe('agent')
    pass(20_000)
    driver.expire()
    expect([passes(1, out(0, 'udp')), passes(0, back(0, 'udp'))]).toEqual(['hardware', 'hardware'])
    expect(passes(1, out(0, 'udp', 40_001))).toBe('none')
    await make(named([]), 2)
    expect([passes(1, out(0, 'udp')), passes(0, back(0, 'udp'))]).toEqual(['none', 'none'])
  })

  it('a device that is opened anew knows no connection', async () => {
    await make(WEB, 1)
    expect(passes(1, out(SYN))).toBe('agent')
    card.fault('reset', 0)
    await make(WEB, 2)
    expect(passes(1, out(ACK))).toBe('none')
    expect(passes(1, out(SYN))).toBe('agent')
  })

  it('is what the release and the device can, unless it is switched off', async () => {
    const flowState = async (): Promise<string> => docaCapabilities(await driver.probe()).flowState
    expect(await flowState()).toBe('ports')
    card.limit('tracking', 0)
    expect(await flowState()).toBe('none')
    // A plan from before that asks for what is gone closes nothing that was open, and opens nothing.
    await expect(driver.stage(programOf(WEB, 1))).rejects.toMatchObject({
      code: 'DOCA_DEVICE',
      message: expect.stringContaining('tracking connections failed: this device tracks none'),
    })
    card.limit('tracking', 1)
    process.env.SLUICE_DOCA_TRACKING = 'off'
    try {
      expect(await flowState()).toBe('none')
    } finally {
      process.env.SLUICE_DOCA_TRACKING = undefined
      delete process.env.SLUICE_DOCA_TRACKING
    }
    expect(CONNECTIONS).toBe(65_536)
  })

  it('as text', () => {
    const text = render(programOf(WEB, 7))
    expect(text).toContain('begins from4: pipe')
    expect(text).toContain('begins to4: refuse')
    expect(text).toContain('ip4Source 10.9.0.2, l4 1, ip4Protocol 6 -> track, zone')
    expect(text).toContain(`ip4Destination ${PEER}, destinationPort 443 -> begins-from  egress/tcp/${PEER}/32/443`)
  })
})
