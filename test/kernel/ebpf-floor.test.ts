// What holds between the moment when somebody makes an interface anew and the moment when the fence hangs on it: the floor drops
// what comes by it and what goes to it, whether or not an agent runs; and a running agent hears of it from the kernel. Also
// what one workspace cannot do to another: take its flows' room. Needs root.

import { createSocket, type Socket } from 'node:dgram'
import { existsSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { EbpfDriver } from '../../src/backends/ebpf/driver.js'
import { Fence, pinsOf } from '../../src/backends/ebpf/fence.js'
import { flowsFor } from '../../src/backends/ebpf/flows.js'
import { FENCE_LAYOUT } from '../../src/backends/ebpf/layout.js'
import { lower } from '../../src/backends/ebpf/lower.js'
import { Native } from '../../src/backends/ebpf/native.js'
import { pruneNamespaces } from '../../src/backends/ebpf/prune.js'
import { watchInterfaces } from '../../src/backends/ebpf/watch.js'
import { sliceFor } from '../../src/plan/codec.js'
import type { Slot } from '../../src/plan/inventory.js'
import type { Plan } from '../../src/plan/model.js'
import { judge } from '../support/ebpf/judge.js'
import { ip, remember, seclude } from '../support/ebpf/seclusion.js'
import { Tap } from '../support/ebpf/tap.js'
import { ipFrame } from '../support/frames.js'
import { labSuite } from '../support/lab/suite.js'
import { compile, ENTRY, egress, MEMORY, policy, WS_MAC } from '../support/plans.js'

const WEB = '93.184.216.34'
const OTHER = 'spiffe://example.org/workspace/dev/ws1'
const OPTIONS = { attachInterfaces: ['tap8*'], stateDirectory: '' }

/** Both workspaces may ask the node itself, and the web. */
function planOf(...slots: readonly Partial<Slot>[]): Plan {
  const entries = slots.map((slot, i) => ({
    workspace: i === 0 ? ENTRY.workspace : OTHER,
    slot: { ...ENTRY.slot, kind: 'tap' as const, ...slot },
  }))
  const rule = policy([egress('ask', [WEB, '10.9.0.1/32'], 'udp', ['5000'])], {
    appliesTo: entries.map((one) => one.workspace),
  })
  const { plan, notes } = compile([rule], MEMORY, entries)
  if (!plan) throw new Error(notes.map((note) => note.say).join('\n'))
  return plan
}

async function until(what: () => boolean | Promise<boolean>): Promise<boolean> {
  for (let i = 0; i < 400; i++) {
    if (await what()) return true
    await new Promise((done) => setTimeout(done, 10))
  }
  return false
}

labSuite('ebpf: the floor', () => {
  let driver: EbpfDriver
  let server: Socket
  let heard: string[] = []
  const apply = async (plan: Plan, generation: number): Promise<void> =>
    driver.commit(await driver.stage(lower(sliceFor(plan, 'memory', generation))))
  /** A tap that leads to the node: 10.9.0.1 answers there. */
  const make = (name: string): { tap: Tap; mac: string } => {
    const tap = Tap.open(name)
    ip('link', 'set', name, 'up')
    ip('address', 'add', '10.9.0.1/24', 'dev', name)
    ip('neighbour', 'add', '10.9.0.2', 'lladdr', WS_MAC, 'dev', name)
    return { tap, mac: /link\/ether (\S+)/.exec(ip('link', 'show', name))?.[1] ?? '' }
  }
  const say = (at: { tap: Tap; mac: string }, text: string): void =>
    at.tap.send(
      ipFrame({
        source: '10.9.0.2',
        destination: '10.9.0.1',
        sourceMac: WS_MAC,
        destinationMac: at.mac,
        payload: { kind: 'udp', from: 40_000, to: 5000, data: new TextEncoder().encode(text) },
      }),
    )
  const hears = (text: string): Promise<boolean> => until(() => heard.includes(text))
  /** Says it, and something on an interface that is nobody's slot: what was first would have come by then. */
  async function isSilent(at: { tap: Tap; mac: string }, text: string): Promise<boolean> {
    ip('address', 'del', '10.9.0.1/24', 'dev', at.tap.name)
    ip('address', 'add', '10.9.0.1/32', 'dev', 'lo')
    for (let i = 0; i < 5; i++) say(at, text)
    const free = make('free9')
    say(free, `after ${text}`)
    const came = await hears(`after ${text}`)
    free.tap.close()
    ip('address', 'del', '10.9.0.1/32', 'dev', 'lo')
    ip('address', 'add', '10.9.0.1/24', 'dev', at.tap.name)
    return came && !heard.includes(text)
  }

  beforeAll(async () => {
    seclude()
    ip('link', 'set', 'lo', 'up')
    for (const name of ['all', 'default']) writeFileSync(`/proc/sys/net/ipv4/conf/${name}/rp_filter`, '0')
    driver = await EbpfDriver.open(OPTIONS)
    server = createSocket('udp4', (message) => heard.push(message.toString()))
    await new Promise<void>((done) => server.bind(5000, '0.0.0.0', done))
  })
  afterAll(async () => {
    server?.close()
    await driver?.uninstall()
  })

  it('closes an interface that is made anew while no agent runs', async () => {
    const first = make('slot1')
    await apply(planOf({ interface: 'slot1', gateway: { ...ENTRY.slot.gateway, mac: first.mac } }), 1)
    say(first, 'fenced')
    expect(await hears('fenced')).toBe(true)
    await driver.close()
    say(first, 'without an agent')
    expect(await hears('without an agent')).toBe(true)
    first.tap.close()
    const second = make('slot1')
    expect(await isSilent(second, 'in the gap')).toBe(true)
    // Nor does anything go there.
    second.tap.received()
    server.send('answer', 6000, '10.9.0.2')
    expect(await isSilent(second, 'still')).toBe(true)
    expect(second.tap.received().filter((frame) => frame[12] === 8 && frame[13] === 0 && frame[23] === 17)).toEqual([])
    driver = await EbpfDriver.open(OPTIONS)
    expect((await driver.observe()).drift).toEqual([])
    say(second, 'fenced again')
    expect(await hears('fenced again')).toBe(true)
    second.tap.close()
  })

  it('closes what has a name that only slots have, and opens nothing else', async () => {
    heard = []
    await driver.close()
    const pattern = make('tap80')
    const other = make('tap7')
    ip('address', 'del', '10.9.0.1/24', 'dev', 'tap7')
    expect(await isSilent(pattern, 'by its beginning')).toBe(true)
    say(other, 'another name')
    expect(await hears('another name')).toBe(true)
    driver = await EbpfDriver.open(OPTIONS)
    for (const one of [pattern, other]) one.tap.close()
  })

  it('is what closes it: without the name the packet arrives', async () => {
    heard = []
    await driver.close()
    const fence = Fence.open()
    const key = Buffer.alloc(20)
    key.writeUInt32LE(6 * 8)
    key.write('slot1', 4, 'latin1')
    fence.native.call('forgetting the name', 'mapDelete', fence.map('names'), key)
    const at = make('slot1')
    say(at, 'through the hole')
    expect(await hears('through the hole')).toBe(true)
    at.tap.close()
    fence.close()
    driver = await EbpfDriver.open(OPTIONS)
  })

  it('hears from the kernel of an interface that is made anew', async () => {
    const at = make('slot1')
    await apply(planOf({ interface: 'slot1', gateway: { ...ENTRY.slot.gateway, mac: at.mac } }), 2)
    let told = 0
    const stop = driver.watch(() => told++)
    at.tap.close()
    const again = make('slot1')
    expect(await until(async () => (await driver.observe()).drift.length === 0)).toBe(true)
    expect(told).toBeGreaterThan(0)
    stop()
    let changes = 0
    const { native } = Fence.open()
    const end = watchInterfaces(native, () => changes++)
    ip('link', 'add', 'dummy9', 'type', 'veth', 'peer', 'name', 'dummy8')
    expect(await until(() => changes > 0)).toBe(true)
    ip('link', 'del', 'dummy9')
    end()
    again.tap.close()
  })

  it('leaves one workspace its flows whatever another opens', async () => {
    const one = make('slot1')
    const two = make('slot2')
    ip('address', 'del', '10.9.0.1/24', 'dev', 'slot2')
    await apply(
      planOf(
        { interface: 'slot1' },
        { interface: 'slot2', mac: '02:00:00:00:19:02', addresses: ['10.19.0.2'], gateway: ENTRY.slot.gateway },
      ),
      3,
    )
    const fence = Fence.open()
    const frame = (from: number, address: string, mac: string, peer: string) =>
      ipFrame({
        source: address,
        destination: peer,
        sourceMac: mac,
        destinationMac: one.mac,
        payload: { kind: 'udp', from, to: 5000 },
      })
    const ask = (name: string, bytes: Uint8Array): string | undefined =>
      judge(fence, bytes, { direction: 'from', ifindex: fence.native.ask('ifindex', name) })?.said
    const said = new Map<string | undefined, number>()
    const many = flowsFor(2)
    for (let i = 0; i < many + 100; i++) {
      const answer = ask('slot1', frame(1 + (i % 65_000), '10.9.0.2', WS_MAC, i < 65_000 ? WEB : '10.9.0.1'))
      said.set(answer, (said.get(answer) ?? 0) + 1)
    }
    expect([...said.keys()].sort()).toEqual(['allow static-grant', 'drop no-flow icmp-prohibited'])
    // The kernel may let a CPU have a few more.
    expect(Math.abs((said.get('allow static-grant') ?? 0) - many)).toBeLessThan(64)
    expect(ask('slot2', frame(40_000, '10.19.0.2', '02:00:00:00:19:02', WEB))).toBe('allow static-grant')
    expect((await driver.observe()).drops['flows-full']).toBeGreaterThan(0n)
    fence.close()
    for (const at of [one, two]) at.tap.close()
  }, 60_000)

  it('takes away what is pinned for a network namespace that is gone, and leaves one that lives', async () => {
    const here = remember()
    seclude()
    const passing = await EbpfDriver.open(OPTIONS)
    const tap = Tap.open('tap88')
    const fence = Fence.open()
    const base = fence.pins.replace(/\/v\d+$/, '')
    fence.close()
    const { live } = await passing.observe()
    expect(live).toBeNull()
    await passing.commit(await passing.stage(lower(sliceFor(planOf({ interface: 'tap88' }), 'memory', 1))))
    await passing.close()
    tap.close()
    // The namespace lives as long as this thread is in it, although the fence hangs on nothing any more.
    const native = Native.open()
    const own = (await opened()).base
    expect(own).toBe(base)
    here()
    const home = await opened()
    // Its end takes the kernel a moment.
    expect(
      await until(() => {
        pruneNamespaces(native, home.base)
        return !existsSync(base)
      }),
    ).toBe(true)
    expect(existsSync(`${home.base}/v${FENCE_LAYOUT}/maps/live`)).toBe(true)
  })

  async function opened(): Promise<{ base: string }> {
    const one = await EbpfDriver.open(OPTIONS)
    await one.close()
    return { base: pinsOf(Native.open()).replace(/\/v\d+$/, '') }
  }
})
