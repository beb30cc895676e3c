// The eBPF fence against `evaluate`, through BPF_PROG_TEST_RUN: the loaded program judges generated frames while plans and flags
// change under it. Needs root. Frames that the kernel will not take from a test are counted, not believed; the live veth suite
// sends their like.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { EbpfDriver } from '../../src/backends/ebpf/driver.js'
import { Fence } from '../../src/backends/ebpf/fence.js'
import { viewOf } from '../../src/backends/ebpf/layout.js'
import { lower } from '../../src/backends/ebpf/lower.js'
import { grantIdAt } from '../../src/backends/ebpf/render.js'
import { sliceFor } from '../../src/plan/codec.js'
import type { FenceService, Plan } from '../../src/plan/model.js'
import type { Packet } from '../../src/plan/packet.js'
import { EXACT_ENV } from '../../src/plan/state.js'
import { judge, TC_PASS, TC_REDIRECT, TC_SHOT } from '../support/ebpf/judge.js'
import { ip, seclude } from '../support/ebpf/seclusion.js'
import { labSuite } from '../support/lab/suite.js'
import { WS } from '../support/plans.js'
import { type Contestant, contest } from './run.js'

/** Judges with the driver's own fence: a second handle on the same pins. */
class Ebpf implements Contestant {
  readonly name = 'ebpf'
  private generation = 0
  private grants: DataView = new DataView(new ArrayBuffer(0))
  private plan: Plan | undefined

  constructor(
    private readonly driver: EbpfDriver,
    private readonly fence: Fence,
    private readonly ifindex: number,
    private readonly other: number,
  ) {}

  async begin(plan: Plan): Promise<void> {
    await this.change(plan)
    // Nothing of the last scenario lives on: a flag cuts every flow.
    await this.driver.flag(WS, 'quarantined', true)
    await this.driver.flag(WS, 'quarantined', false)
    await this.driver.flag(WS, 'suspended', false)
  }
  async change(plan: Plan): Promise<void> {
    const program = lower(sliceFor(plan, 'memory', ++this.generation))
    this.grants = viewOf(program.grants.values)
    this.plan = plan
    await this.driver.commit(await this.driver.stage(program))
  }
  flag(flag: 'quarantined' | 'suspended', on: boolean): Promise<void> {
    return this.driver.flag(WS, flag, on)
  }
  judge(frame: Uint8Array<ArrayBuffer>, packet: Packet): string | undefined {
    const ingress = packet.direction === 'from' ? this.ifindex : packet.origin === 'fence' ? 0 : this.other
    const judged = judge(this.fence, frame, { direction: packet.direction, ifindex: this.ifindex, ingress })
    if (!judged) return undefined
    if (judged.said.startsWith('drop')) {
      // A drop is a drop whatever the word says; a refusal may be an answer on its way back.
      const answered = judged.action === TC_REDIRECT && !judged.said.endsWith('silent')
      return judged.action === TC_SHOT || answered ? judged.said : `${judged.said} but action ${judged.action}`
    }
    if (judged.action !== TC_PASS) return `${judged.said} but action ${judged.action}`
    if (judged.grant < 0) return `${judged.said} - -`
    const id = grantIdAt(this.grants, judged.grant)
    const network = this.plan?.workspaces[0]?.network
    const grant = [...(network?.egress ?? []), ...(network?.ingress ?? [])].find((one) => one.id === id)
    return `${judged.said} ${grant?.clauses[0]} ${id}`
  }
}

/** The generator's plans with two services of the fence among the peers, so that steps 4 and 5 meet. */
const dressed = (plan: Plan): Plan => ({
  ...plan,
  workspaces: plan.workspaces.map((at) => ({ ...at, network: { ...at.network, services: SERVICES } })),
})
const SERVICES: readonly FenceService[] = [
  { name: 'dns', address: '10.60.0.1', protocol: 'udp', port: 54 },
  { name: 'dns', address: '45.76.10.10', protocol: 'tcp', port: 22 },
  { name: 'decision', address: '2a05:9:9::10', protocol: 'tcp', port: 443 },
]

labSuite('conformance: ebpf', () => {
  let driver: EbpfDriver
  let fence: Fence

  beforeAll(async () => {
    seclude()
    ip('link', 'add', 'ws0', 'type', 'veth', 'peer', 'name', 'peer0')
    driver = await EbpfDriver.open({ attachInterfaces: [], stateDirectory: '' })
    fence = Fence.open()
  })
  afterAll(async () => {
    fence?.close()
    await driver?.uninstall()
  })

  it('says what evaluate says', async () => {
    const index = fence.native.ask('ifindex', 'ws0')
    const other = fence.native.ask('ifindex', 'peer0')
    const tally = await contest(new Ebpf(driver, fence, index, other), 1500, EXACT_ENV, dressed)
    expect(tally.disagreements).toBe(0)
    expect(tally.allowed / tally.cases).toBeGreaterThan(0.05)
    // The kernel takes nearly every frame that is not cut short.
    expect(tally.unasked / tally.cases).toBeLessThan(0.1)
  }, 7_200_000)
})
