// The eBPF fence against `evaluate`, through BPF_PROG_TEST_RUN: the loaded program judges generated frames while plans and flags
// change under it. Needs root. Frames that the kernel will not take from a test are counted, not believed; the live veth suite
// sends their like.

import koffi from 'koffi'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { EbpfDriver } from '../../src/backends/ebpf/driver.js'
import { Fence } from '../../src/backends/ebpf/fence.js'
import { openOf } from '../../src/backends/ebpf/generation.js'
import { LEARNED_CLAUSES, STRUCTS, viewOf } from '../../src/backends/ebpf/layout.js'
import { lower } from '../../src/backends/ebpf/lower.js'
import { grantIdAt } from '../../src/backends/ebpf/render.js'
import { sliceFor } from '../../src/plan/codec.js'
import { grantsOf } from '../../src/plan/grants.js'
import type { FenceService, LearnedGrant, Plan, SessionPeer } from '../../src/plan/model.js'
import type { Packet } from '../../src/plan/packet.js'
import { EXACT_ENV } from '../../src/plan/state.js'
import { judge, TC_PASS, TC_REDIRECT, TC_SHOT } from '../support/ebpf/judge.js'
import { ip, seclude } from '../support/ebpf/seclusion.js'
import { labSuite } from '../support/lab/suite.js'
import { WS } from '../support/plans.js'
import { observing, withObserve } from './observing.js'
import { type Contestant, contest, NOW_MS } from './run.js'
import { asking, sessionScenario } from './sessions.js'

/** Judges with the driver's own fence: a second handle on the same pins. */
class Ebpf implements Contestant {
  readonly name = 'ebpf'
  private generation = 0
  private grants: DataView = new DataView(new ArrayBuffer(0))
  private plan: Plan | undefined

  /** How much later it is for the fence than on the clock. */
  private aheadMs = 0
  private learnt = false

  constructor(
    private driver: EbpfDriver,
    private readonly fence: Fence,
    private readonly ifindex: number,
    private readonly other: number,
  ) {}

  async begin(plan: Plan): Promise<void> {
    this.aheadMs = 0
    // Nothing of the last scenario lives on: what was learnt ends with its clauses ...
    if (this.learnt) await this.change(nameless(plan))
    this.learnt = false
    await this.change(plan)
    await this.driver.sessions(WS, [])
    // ... and a flag cuts every flow.
    await this.driver.flag(WS, 'quarantined', true)
    await this.driver.flag(WS, 'quarantined', false)
    await this.driver.flag(WS, 'suspended', false)
  }
  async change(plan: Plan): Promise<void> {
    const program = lower(sliceFor(this.onClock(plan), 'memory', ++this.generation))
    this.grants = viewOf(program.grants.values)
    this.plan = plan
    await this.driver.commit(await this.driver.stage(program))
  }
  /** The scenario's clock and this one are apart. */
  private onClock(plan: Plan): Plan {
    const later = Date.now() - NOW_MS - this.aheadMs
    const observe = plan.workspaces[0]?.network.observe
    return observe ? withObserve(plan, { ...observe, untilMs: observe.untilMs + later }) : plan
  }
  flag(flag: 'quarantined' | 'suspended', on: boolean): Promise<void> {
    return this.driver.flag(WS, flag, on)
  }
  async learn(grant: LearnedGrant, ttlMs: number): Promise<void> {
    const { generation } = this
    this.learnt = true
    await this.driver.learn(generation, [{ ...grant, generation, expiresAtMs: Date.now() + ttlMs }])
  }
  async sessions(peers: readonly SessionPeer[]): Promise<void> {
    const later = Date.now() - NOW_MS - this.aheadMs
    await this.driver.sessions(
      WS,
      peers.map((one) => ({ ...one, expiresAtMs: one.expiresAtMs + later })),
    )
  }
  /** The kernel's clock cannot be put forward, so what it has written down is put back. */
  async pass(ms: number): Promise<boolean> {
    const { native } = this.fence
    if (native.bootNs() < BigInt(this.aheadMs + ms + 1000) * 1_000_000n) return false
    this.aheadMs += ms
    vi.setSystemTime(Date.now() + ms)
    await this.driver.observe()
    age(this.fence, ms)
    // As the sweep of every second does: what is over is gone.
    await this.driver.observe()
    return true
  }
  async restart(): Promise<void> {
    await this.driver.close()
    this.driver = await EbpfDriver.open({ attachInterfaces: [], stateDirectory: '' })
  }
  end(): Promise<unknown> {
    return this.driver.uninstall()
  }
  /** The verdict word has no room for the clause of a learned grant. */
  spoken(expected: string): string {
    return expected.replace(/ sha256:\w+ -$/, ' - -')
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
    const grant = network && grantsOf(network).find((one) => one.id === id)
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

const nameless = (plan: Plan): Plan => ({
  ...plan,
  workspaces: plan.workspaces.map((at) => ({ ...at, network: { ...at.network, names: [] } })),
})

const library = koffi.load('libbpf.so.1')
const mapById = library.func('int bpf_map_get_fd_by_id(uint32_t id)')

/** Subtracts from every time that the kernel keeps: when a flow was last seen, when a learned grant ends. */
function age(fence: Fence, ms: number): void {
  const { native } = fence
  const shift = (map: number, keySize: number, valueSize: number, offsets: readonly number[]): void => {
    const keys = Buffer.alloc(4096 * keySize)
    const values = Buffer.alloc(4096 * valueSize)
    const count = native.call('dumping', 'mapDump', map, keys, values, 4096, keySize, valueSize)
    for (let i = 0; i < count; i++)
      for (const offset of offsets) {
        const at = i * valueSize + offset
        const then = values.readBigUInt64LE(at)
        if (then > 0n) values.writeBigUInt64LE(then - BigInt(ms) * 1_000_000n, at)
      }
    native.call('writing', 'mapWrite', map, keys, values, count, keySize, valueSize)
  }
  const workspaces = openOf(fence, Number(fence.word() & 1n), 'workspaces')
  if (workspaces === undefined) throw new Error('no generation is live')
  shift(workspaces, 4, STRUCTS.fence_workspace.size, [STRUCTS.fence_workspace.fields.observe_ns])
  native.ask('close', workspaces)
  // The suite's only workspace has the first number.
  const first = Buffer.from(Uint32Array.of(1).buffer)
  const id = Buffer.alloc(4)
  native.call('finding the table of flows', 'mapRead', fence.map('flows'), first, id)
  const table = Number(mapById(id.readUInt32LE()))
  shift(table, STRUCTS.fence_flow_key.size, STRUCTS.fence_flow.size, [STRUCTS.fence_flow.fields.last_ns])
  native.ask('close', table)
  const { size, fields } = STRUCTS.fence_learned
  const ends = Array.from({ length: LEARNED_CLAUSES }, (_, i) => fields.expires_ns + 8 * i)
  shift(fence.map('learned'), STRUCTS.fence_learned_key.size, size, ends)
  const session = STRUCTS.fence_session
  shift(fence.map('sessions'), STRUCTS.fence_session_key.size, session.size, [session.fields.expires_ns])
}

labSuite('conformance: ebpf', () => {
  let contestant: Ebpf
  let fence: Fence

  beforeAll(async () => {
    seclude()
    ip('link', 'add', 'ws0', 'type', 'veth', 'peer', 'name', 'peer0')
    vi.useFakeTimers({ toFake: ['Date'] })
    const driver = await EbpfDriver.open({ attachInterfaces: [], stateDirectory: '' })
    fence = Fence.open()
    const [index, other] = ['ws0', 'peer0'].map((name) => fence.native.ask('ifindex', name)) as [number, number]
    contestant = new Ebpf(driver, fence, index, other)
  })
  afterAll(async () => {
    fence?.close()
    await contestant?.end()
    vi.useRealTimers()
  })

  it('says what evaluate says', async () => {
    const tally = await contest(contestant, 1500, EXACT_ENV, dressed)
    expect(tally.disagreements).toBe(0)
    expect(tally.allowed / tally.cases).toBeGreaterThan(0.05)
    // The kernel takes nearly every frame that is not cut short.
    expect(tally.unasked / tally.cases).toBeLessThan(0.1)
  }, 7_200_000)

  it('says what evaluate says while workspaces are observed, and after', async () => {
    const tally = await contest(contestant, 900, EXACT_ENV, (plan) => observing(dressed(plan)))
    expect(tally.disagreements).toBe(0)
    expect(tally.allowed / tally.cases).toBeGreaterThan(0.15)
  }, 7_200_000)

  it('says what evaluate says while sessions open, close and end', async () => {
    const tally = await contest(contestant, 500, EXACT_ENV, (plan) => asking(dressed(plan)), sessionScenario)
    expect(tally.disagreements).toBe(0)
    expect(tally.allowed / tally.cases).toBeGreaterThan(0.1)
    expect(tally.sessions).toBeGreaterThan(40)
  }, 7_200_000)
})
