// Addresses that the mediator learns, on the software BlueField: what opens, what goes on after a grant ran out, what ends with
// it, what a change of plan keeps, and what is refused for want of room.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DocaDriver } from '../../../src/backends/doca-flow/driver.js'
import { lower } from '../../../src/backends/doca-flow/lower.js'
import { type DocaProgram, LEARNED_ROOM } from '../../../src/backends/doca-flow/program.js'
import { sliceFor } from '../../../src/plan/codec.js'
import type { LearnedGrant, Plan } from '../../../src/plan/model.js'
import { NAMES } from '../../conformance/generator.js'
import { naming } from '../../conformance/lives.js'
import { BlueField } from '../../support/doca/bluefield.js'
import { ipFrame } from '../../support/frames.js'
import { ENTRY, egress, GATEWAY_MAC, planOf, WS, WS_MAC } from '../../support/plans.js'

const RULE = NAMES[0]
const withNames = (plan: Plan): Plan => ({
  ...plan,
  workspaces: plan.workspaces.map((at) => ({ ...at, network: { ...at.network, names: [...NAMES] } })),
})
const PLAIN = planOf([egress('web', ['93.184.216.34'], 'tcp', ['443'])])
const NAMED = withNames(PLAIN)
const programOf = (plan: Plan, generation: number): DocaProgram =>
  lower({ ...sliceFor(plan, 'memory', generation), workspaces: plan.workspaces })

const START = 1_000_000
const PEER = '45.76.10.20'
const packet = (back: boolean, kind: 'tcp' | 'udp', flags: number, peer = PEER): Uint8Array =>
  ipFrame({
    source: back ? peer : '10.9.0.2',
    destination: back ? '10.9.0.2' : peer,
    sourceMac: back ? GATEWAY_MAC : WS_MAC,
    destinationMac: back ? WS_MAC : GATEWAY_MAC,
    payload: { kind, from: back ? 8443 : 40_000, to: back ? 40_000 : 8443, flags },
  })

describe('doca-flow: learned addresses', () => {
  const card = BlueField.load()
  let driver: DocaDriver
  let nowMs: number

  beforeEach(async () => {
    nowMs = START
    card.topology([ENTRY.slot.interface])
    driver = await DocaDriver.open({ attachInterfaces: [], stateDirectory: '' }, () => nowMs)
    await make(NAMED, 1)
  })
  afterEach(async () => {
    await driver.close()
    expect(card.state()).toMatchObject({ pipes: 0, entries: 0, pending: 0, counters: 0, violations: 0 })
  })

  const make = async (plan: Plan, generation: number): Promise<void> =>
    driver.commit(await driver.stage(programOf(plan, generation)))
  const grant = (more: Partial<LearnedGrant> = {}): LearnedGrant => ({
    workspace: WS,
    clause: RULE?.clause ?? 'sha256:',
    name: 'one.example',
    protocol: 'tcp',
    address: PEER,
    port: 8443,
    generation: 1,
    expiresAtMs: START + 60_000,
    ...more,
  })
  const passes = (frame: Uint8Array, port = 1): boolean => card.inject(port, frame).kind === 'port'
  /** First packet, packet of a connection, answer. */
  const tcp = (): boolean[] => [
    passes(packet(false, 'tcp', 0x02)),
    passes(packet(false, 'tcp', 0x10)),
    passes(packet(true, 'tcp', 0x12), 0),
  ]
  const udp = (): boolean[] => [passes(packet(false, 'udp', 0)), passes(packet(true, 'udp', 0), 0)]

  it('opens an address for its port, and takes nothing under a generation that is gone', async () => {
    expect(tcp()).toEqual([false, false, false])
    expect(await driver.learn(0, [grant()])).toBe(false)
    expect(await driver.learn(1, [grant()])).toBe(true)
    expect(tcp()).toEqual([true, true, true])
    expect(udp()).toEqual([false, false])
    expect(passes(packet(true, 'tcp', 0x02), 0)).toBe(false)
    expect((await driver.observe()).live?.learned).toEqual([grant()])
  })

  it('begins nothing by a grant that ran out; TCP goes on, UDP ends', async () => {
    await driver.learn(1, [grant(), grant({ protocol: 'udp' })])
    expect(udp()).toEqual([true, true])
    nowMs += 60_000
    driver.expire()
    expect(tcp()).toEqual([false, true, true])
    expect(udp()).toEqual([false, false])
    expect((await driver.observe()).live?.learned).toEqual([])
    await driver.learn(1, [grant({ expiresAtMs: nowMs + 1 })])
    expect(tcp()).toEqual([true, true, true])
  })

  it('runs out by itself', async () => {
    nowMs = Date.now()
    const soon = await DocaDriver.open({ attachInterfaces: [], stateDirectory: '' }, Date.now)
    await driver.close()
    driver = soon
    await make(NAMED, 1)
    await driver.learn(1, [grant({ expiresAtMs: Date.now() + 200 })])
    await expect.poll(() => passes(packet(false, 'tcp', 0x02)), { timeout: 20_000 }).toBe(false)
  })

  it('ends what is taken back, and keeps the longer of two grants', async () => {
    await driver.learn(1, [grant(), grant({ expiresAtMs: START + 1 })])
    nowMs += 2
    driver.expire()
    expect(tcp()).toEqual([true, true, true])
    await driver.learn(1, [grant({ expiresAtMs: 0 })])
    expect(tcp()).toEqual([false, false, false])
  })

  it('carries over to a plan with the same clause, and forgets with the clause', async () => {
    await driver.learn(1, [grant()])
    const staged = await driver.stage(programOf(withNames(planOf([])), 2))
    // Between stage and commit: in force at once, and after the switch.
    await driver.learn(1, [grant({ protocol: 'udp' })])
    expect([...tcp(), ...udp()]).toEqual([true, true, true, true, true])
    await driver.commit(staged)
    expect([...tcp(), ...udp()]).toEqual([true, true, true, true, true])
    expect((await driver.observe()).live?.learned.map(({ generation }) => generation)).toEqual([2, 2])
    await make(naming(PLAIN, []), 3)
    expect([...tcp(), ...udp()]).toEqual([false, false, false, false, false])
    await make(NAMED, 4)
    expect([...tcp(), ...udp()]).toEqual([false, false, false, false, false])
  })

  it('opens no reserved address, whatever was learnt', async () => {
    await driver.learn(1, [grant({ address: '10.50.0.7' }), grant({ address: '169.254.169.254' })])
    expect(passes(packet(false, 'tcp', 0x02, '10.50.0.7'))).toBe(false)
    expect(passes(packet(false, 'tcp', 0x02, '169.254.169.254'))).toBe(false)
  })

  it('has room for so many; what ran out gives way, and what did not is refused whole', async () => {
    const many = (count: number, from: number, expiresAtMs: number): LearnedGrant[] =>
      Array.from({ length: count }, (_, i) =>
        grant({ address: `45.${80 + ((from + i) >> 8)}.${(from + i) & 255}.1`, expiresAtMs }),
      )
    await driver.learn(1, many(LEARNED_ROOM, 0, START + 1))
    nowMs += 1
    await driver.learn(1, many(LEARNED_ROOM, LEARNED_ROOM, START + 1000))
    await expect(driver.learn(1, [grant()])).rejects.toMatchObject({
      code: 'DOCA_CAPACITY',
      message: `the plan needs ${LEARNED_ROOM + 1} learned addresses for ${WS} on the device, and ${LEARNED_ROOM} are there`,
    })
    expect(tcp()).toEqual([false, false, false])
    expect((await driver.observe()).live?.learned).toHaveLength(LEARNED_ROOM)
  })
})
