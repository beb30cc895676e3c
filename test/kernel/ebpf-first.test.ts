// The first generations of a node: one without any workspace closes what may only carry fenced traffic, and a flag that is set
// for a workspace nobody has attached yet waits for it, through a restart of the agent too. Needs root.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { EbpfDriver } from '../../src/backends/ebpf/driver.js'
import { Fence } from '../../src/backends/ebpf/fence.js'
import { lower } from '../../src/backends/ebpf/lower.js'
import { sliceFor } from '../../src/plan/codec.js'
import type { Plan } from '../../src/plan/model.js'
import { judge, TC_SHOT } from '../support/ebpf/judge.js'
import { ip, seclude } from '../support/ebpf/seclusion.js'
import { ipFrame } from '../support/frames.js'
import { labSuite } from '../support/lab/suite.js'
import { egress, GATEWAY_MAC, planOf, WS, WS_MAC } from '../support/plans.js'

const WEB = '93.184.216.34'
const OPTIONS = { attachInterfaces: ['ws*'], stateDirectory: '' }
const FULL = planOf([egress('web', [WEB], 'udp', ['443'])])
const EMPTY: Plan = { ...FULL, workspaces: [] }
const FRAME = ipFrame({
  source: '10.9.0.2',
  destination: WEB,
  sourceMac: WS_MAC,
  destinationMac: GATEWAY_MAC,
  payload: { kind: 'udp', from: 40_000, to: 443 },
})

labSuite('ebpf before the first workspace', () => {
  let driver: EbpfDriver
  let fence: Fence
  const apply = async (plan: Plan, generation: number): Promise<void> =>
    driver.commit(await driver.stage(lower(sliceFor(plan, 'memory', generation))))
  const asked = (): string | undefined =>
    judge(fence, FRAME, { direction: 'from', ifindex: fence.native.ask('ifindex', 'ws0') })?.said

  beforeAll(async () => {
    seclude()
    ip('link', 'add', 'ws0', 'type', 'veth', 'peer', 'name', 'peer0')
    driver = await EbpfDriver.open(OPTIONS)
    fence = Fence.open()
  })
  afterAll(async () => {
    fence?.close()
    await driver?.uninstall()
  })

  it('makes a plan without workspaces live, which closes the interfaces of its patterns', async () => {
    await apply(EMPTY, 1)
    const { live, drift, counters } = await driver.observe()
    expect([live?.generation, live?.workspaces, live?.planDigest]).toEqual([
      1,
      [],
      sliceFor(EMPTY, 'memory', 1).planDigest,
    ])
    expect([drift, counters]).toEqual([[], []])
    expect(asked()).toBe('drop not-attached silent')
    // One that comes later is closed by the next generation at the latest.
    ip('link', 'add', 'ws1', 'type', 'veth', 'peer', 'name', 'peer1')
    await apply(EMPTY, 2)
    expect((await driver.observe()).drift).toEqual([])
    const index = fence.native.ask('ifindex', 'ws1')
    expect(judge(fence, FRAME, { direction: 'from', ifindex: index })?.action).toBe(TC_SHOT)
  })

  it('keeps a quarantine for a workspace that comes later', async () => {
    await driver.flag(WS, 'quarantined', true)
    expect((await driver.observe()).live?.quarantined).toEqual([WS])
    await driver.close()
    driver = await EbpfDriver.open(OPTIONS)
    await apply(EMPTY, 3)
    expect((await driver.observe()).live?.quarantined).toEqual([WS])
    await apply(FULL, 4)
    expect((await driver.observe()).live?.workspaces).toEqual([WS])
    expect(asked()).toBe('drop quarantined silent')
    await driver.flag(WS, 'quarantined', false)
    expect(asked()).toBe('allow static-grant')
    await apply(EMPTY, 5)
    expect(asked()).toBe('drop not-attached silent')
  })
})
