// The driver of `doca-flow` on the software BlueField: what a change, a flag, a fault and a lost device do to packets. A fence
// that fails must leave the old one standing or nothing passing.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DocaDriver } from '../../../src/backends/doca-flow/driver.js'
import { lower } from '../../../src/backends/doca-flow/lower.js'
import type { DocaProgram } from '../../../src/backends/doca-flow/program.js'
import { sliceFor } from '../../../src/plan/codec.js'
import type { Plan } from '../../../src/plan/model.js'
import { BlueField } from '../../support/doca/bluefield.js'
import { ipFrame } from '../../support/frames.js'
import { ENTRY, egress, GATEWAY_MAC, planOf, WS, WS_MAC } from '../../support/plans.js'

const ONE = planOf([egress('web', ['93.184.216.34'], 'tcp', ['443'])])
const TWO = planOf([egress('git', ['45.76.10.10'], 'tcp', ['8000-8100'])])
const programOf = (plan: Plan, generation: number): DocaProgram =>
  lower({ ...sliceFor(plan, 'memory', generation), workspaces: plan.workspaces })

const frame = (destination: string, to: number): Uint8Array =>
  ipFrame({
    source: '10.9.0.2',
    destination,
    sourceMac: WS_MAC,
    destinationMac: GATEWAY_MAC,
    payload: { kind: 'tcp', from: 40_000, to, flags: 2 },
  })
const WEB = frame('93.184.216.34', 443)
const GIT = frame('45.76.10.10', 8050)

describe('doca-flow: driver', () => {
  const card = BlueField.load()
  let driver: DocaDriver

  beforeEach(async () => {
    card.topology([ENTRY.slot.interface, 'ws1'])
    driver = await DocaDriver.open({ attachInterfaces: [], stateDirectory: '' })
  })
  afterEach(async () => {
    card.fault('late', 0)
    card.fault('entry', 0)
    card.fault('pipe', 0)
    await driver.close()
    expect(card.state()).toMatchObject({ pipes: 0, entries: 0, pending: 0, counters: 0, violations: 0 })
  })

  const make = async (plan: Plan, generation: number): Promise<void> =>
    driver.commit(await driver.stage(programOf(plan, generation)))
  const passes = (): string =>
    [WEB, GIT].map((one) => (card.inject(1, one).kind === 'port' ? 'pass' : 'drop')).join(' ')

  it('is closed when it opens, unreached while it stages, and switched by a commit', async () => {
    const first = await driver.stage(programOf(ONE, 1))
    expect(passes()).toBe('drop drop')
    expect((await driver.observe()).live).toBeNull()
    await driver.commit(first)
    expect(passes()).toBe('pass drop')
    const second = await driver.stage(programOf(TWO, 2))
    expect(passes()).toBe('pass drop')
    await driver.commit(second)
    expect(passes()).toBe('drop pass')
    expect((await driver.observe()).live).toMatchObject({ generation: 2, workspaces: [WS], quarantined: [] })
  })

  it('takes a discarded stage away, and refuses to commit what was not staged last', async () => {
    await make(ONE, 1)
    const before = card.state()
    const staged = await driver.stage(programOf(TWO, 2))
    expect(card.state().pipes).toBeGreaterThan(before.pipes)
    await driver.discard(staged)
    expect(card.state()).toEqual(before)
    await expect(driver.commit(staged)).rejects.toMatchObject({ code: 'DOCA_STALE_STAGE' })
    expect(passes()).toBe('pass drop')
  })

  it('leaves the live fence alone when the device refuses any one entry of the next', async () => {
    await make(ONE, 1)
    const before = card.state()
    const program = programOf(TWO, 2)
    const entries = program.workspaces.flatMap(({ pipes }) => pipes.flatMap((pipe) => pipe.entries)).length
    for (let n = 1; n <= entries; n++) {
      card.fault('entry', n)
      await expect(driver.stage(program)).rejects.toMatchObject({ code: 'DOCA_DEVICE', reaction: 'retry' })
      expect(card.state()).toEqual(before)
      expect(passes()).toBe('pass drop')
    }
    for (let n = 1; n <= (program.workspaces[0]?.pipes.length ?? 0); n++) {
      card.fault('pipe', n)
      await expect(driver.stage(program)).rejects.toMatchObject({ code: 'DOCA_DEVICE' })
      expect(card.state()).toEqual(before)
    }
    await make(TWO, 3)
    expect(passes()).toBe('drop pass')
  })

  it('waits for completions that are late', async () => {
    card.fault('late', 40)
    await make(ONE, 1)
    expect(passes()).toBe('pass drop')
  })

  it('closes a workspace under either flag, whatever is committed meanwhile, and opens it when both are lifted', async () => {
    await driver.flag(WS, 'quarantined', true)
    await make(ONE, 1)
    expect(passes()).toBe('drop drop')
    await driver.flag(WS, 'suspended', true)
    await driver.flag(WS, 'quarantined', false)
    await make(TWO, 2)
    expect(passes()).toBe('drop drop')
    expect((await driver.observe()).live).toMatchObject({ quarantined: [], suspended: [WS] })
    await driver.flag(WS, 'suspended', false)
    expect(passes()).toBe('drop pass')
    await driver.flag(WS, 'quarantined', true)
    expect(passes()).toBe('drop drop')
    expect(card.inject(1, frame('1.2.3.4', 1)).kind).toBe('dropped')
  })

  it('a quarantine that the device did not carry out is not done when it is asked for again, until it is', async () => {
    await make(ONE, 1)
    expect(passes()).toBe('pass drop')
    for (let attempt = 0; attempt < 2; attempt++) {
      card.fault('entry', 1)
      await expect(driver.flag(WS, 'quarantined', true)).rejects.toMatchObject({ code: 'DOCA_DEVICE' })
    }
    card.fault('entry', 0)
    await driver.flag(WS, 'quarantined', true)
    expect(passes()).toBe('drop drop')
    await driver.flag(WS, 'quarantined', false)
    expect(passes()).toBe('pass drop')
  })

  it('counts by grant, across generations, and says why packets fell', async () => {
    await make(ONE, 1)
    for (let i = 0; i < 3; i++) card.inject(1, WEB)
    card.inject(1, GIT)
    card.inject(1, ipFrame({ source: '10.9.0.9', destination: '1.2.3.4', payload: { kind: 'udp', from: 1, to: 2 } }))
    card.advance(1000)
    await make(planOf([egress('web', ['93.184.216.34'], 'tcp', ['443', '444'])]), 2)
    card.inject(1, WEB)
    card.advance(1000)
    const { counters, drops, drift } = await driver.observe()
    expect(drift).toEqual([])
    expect(counters.find(({ grant }) => grant === 'egress/tcp/93.184.216.34/32/443')).toMatchObject({
      workspace: WS,
      packets: 4n,
      bytes: BigInt(4 * WEB.length),
    })
    expect(drops).toMatchObject({ 'no-grant': 1n, spoof: 1n, 'link-layer': 0n })
  })

  it('says that a reset device holds nothing, lets nothing pass, and comes back with the next commit', async () => {
    await make(ONE, 1)
    card.fault('reset', 0)
    expect(passes()).toBe('drop drop')
    expect((await driver.observe()).drift).toEqual(['entries of the fence are gone from the device'])
    await make(ONE, 2)
    expect(passes()).toBe('pass drop')
    expect((await driver.observe()).drift).toEqual([])
  })

  it('refuses a slot that the card does not have', async () => {
    const [at] = programOf(ONE, 1).workspaces
    const program = { ...programOf(ONE, 1), workspaces: at ? [{ ...at, vuid: 'MT0X' }] : [] }
    await expect(driver.stage(program)).rejects.toThrow(`no representor has the VUID "MT0X", the slot of "${WS}"`)
  })

  it('lets go of everything when it is uninstalled', async () => {
    await make(ONE, 1)
    expect(await driver.uninstall()).toEqual(['pipes of 1 workspaces'])
    expect(card.state()).toMatchObject({ pipes: 0, entries: 0 })
  })
})
