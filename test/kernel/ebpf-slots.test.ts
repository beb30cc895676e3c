// The other places where the fence hangs: a tap, whose answers must be right without any offload, and a port of a bridge; and
// the clsact hook of kernels that have no tcx. Each in a network namespace of this process. Needs root.

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { EbpfDriver } from '../../src/backends/ebpf/driver.js'
import { Fence } from '../../src/backends/ebpf/fence.js'
import { STRUCTS } from '../../src/backends/ebpf/layout.js'
import { lower } from '../../src/backends/ebpf/lower.js'
import { Native } from '../../src/backends/ebpf/native.js'
import { sliceFor } from '../../src/plan/codec.js'
import type { Slot } from '../../src/plan/inventory.js'
import type { Plan } from '../../src/plan/model.js'
import { ip, seclude } from '../support/ebpf/seclusion.js'
import { Tap } from '../support/ebpf/tap.js'
import { arpFrame, checksum, type FrameSpec, ipFrame, type Payload } from '../support/frames.js'
import { labSuite } from '../support/lab/suite.js'
import { compile, ENTRY, egress, MEMORY, policy, WS, WS_MAC } from '../support/plans.js'

const WAIT = { timeout: 60_000, interval: 100 }
const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
const WEB = '93.184.216.34'
const WEB6 = '2a05:9:9::10'

function planAt(slot: Partial<Slot>): Plan {
  const entry = { ...ENTRY, slot: { ...ENTRY.slot, ...slot } }
  const { plan } = compile([policy([egress('web', [WEB, WEB6], 'tcp', ['443'])])], MEMORY, [entry])
  if (!plan) throw new Error('no plan')
  return plan
}

const word = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)

/** The sum over the transport and its pseudo header; 0 when the checksum is right. */
function transportSum(frame: Uint8Array): number {
  const v6 = word(frame, 12) === 0x86dd
  const at = v6 ? 54 : 34
  const protocol = frame[v6 ? 20 : 23] ?? 0
  const body = frame.subarray(at, v6 ? 54 + word(frame, 18) : 14 + word(frame, 16))
  const ends = frame.subarray(v6 ? 22 : 26, at)
  const pseudo = protocol === 1 ? [] : [...ends, 0, 0, body.length >> 8, body.length & 255, 0, 0, 0, protocol]
  return checksum(Uint8Array.from([...pseudo, ...body]))
}

const isFor = (frame: Uint8Array, mac: string): boolean =>
  [...frame.subarray(0, 6)].map((octet) => octet.toString(16).padStart(2, '0')).join(':') === mac

/** Frames for the workspace: `count` of them, and any that follow at once. The node's own multicast is nobody's business. */
async function arriving(tap: Tap, count: number, mac = WS_MAC): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = []
  const take = (): number => frames.push(...tap.received().filter((frame) => isFor(frame, mac)))
  for (let i = 0; i < 100 && take() < count; i++) await wait(10)
  await wait(40)
  take()
  return frames
}

const spec = (destination: string, payload: Payload): FrameSpec => ({
  source: destination.includes(':') ? 'fd09:0:0:1::2' : '10.9.0.2',
  destination,
  payload,
})

labSuite('ebpf at other slots', () => {
  let driver: EbpfDriver
  let gatewayMac: string
  beforeAll(async () => {
    seclude()
    ip('link', 'set', 'lo', 'up')
    driver = await EbpfDriver.open({ attachInterfaces: [], stateDirectory: '' })
  })
  afterAll(async () => {
    await driver?.uninstall()
  })

  describe('a tap', () => {
    let tap: Tap
    beforeAll(async () => {
      tap = Tap.open('tap9')
      ip('link', 'set', 'tap9', 'up')
      gatewayMac = /link\/ether (\S+)/.exec(ip('link', 'show', 'tap9'))?.[1] ?? ''
      const plan = planAt({ kind: 'tap', interface: 'tap9', gateway: { ...ENTRY.slot.gateway, mac: gatewayMac } })
      await driver.commit(await driver.stage(lower(sliceFor(plan, 'memory', 1))))
      await wait(50)
      tap.received()
    })
    afterAll(() => {
      tap.close()
    })

    const ask = async (frame: FrameSpec): Promise<Uint8Array> => {
      tap.send(ipFrame({ sourceMac: WS_MAC, destinationMac: gatewayMac, ...frame }))
      const [answer, ...more] = await arriving(tap, 1)
      expect(more).toEqual([])
      return answer ?? new Uint8Array(0)
    }

    it.each(['8.8.8.8', '2606:4700::1'])(
      'answers a SYN to %s with a reset that a client accepts',
      async (destination) => {
        const v6 = destination.includes(':')
        const l4 = v6 ? 54 : 34
        const reset = await ask(spec(destination, { kind: 'tcp', from: 40_000, to: 443, data: new Uint8Array(3) }))
        expect(reset.length).toBe(l4 + 20)
        expect([word(reset, l4), word(reset, l4 + 2)]).toEqual([443, 40_000])
        // RST and ACK; the number is that of the SYN, the SYN itself and three octets later.
        expect(reset[l4 + 13]).toBe(0x14)
        expect(word(reset, l4 + 8) * 65_536 + word(reset, l4 + 10)).toBe(1004)
        expect(transportSum(reset)).toBe(0)
        if (!v6) expect(checksum(reset.subarray(14, 34))).toBe(0)
        // Whoever completes it once more changes nothing.
        const again = Uint8Array.from(reset)
        const sum = checksum(again.subarray(l4))
        again.set([sum >> 8, sum & 255], l4 + 16)
        expect([...again]).toEqual([...reset])
      },
    )

    it('takes the number of a reset from the acknowledgement', async () => {
      const reset = await ask(spec('8.8.8.8', { kind: 'tcp', from: 40_000, to: 443, flags: 0x10 }))
      expect(reset[47]).toBe(0x04)
      expect(transportSum(reset)).toBe(0)
    })

    it.each(['8.8.8.8', '2606:4700::1'])(
      'answers a datagram to %s with an ICMP error about it',
      async (destination) => {
        const v6 = destination.includes(':')
        const l4 = v6 ? 54 : 34
        const error = await ask(spec(destination, { kind: 'udp', from: 40_000, to: 443, data: new Uint8Array(64) }))
        expect([error[l4], error[l4 + 1]]).toEqual(v6 ? [1, 1] : [3, 13])
        expect(transportSum(error)).toBe(0)
        const quoted = error.subarray(l4 + 8)
        expect([word(quoted, v6 ? 40 : 20), word(quoted, v6 ? 42 : 22)]).toEqual([40_000, 443])
      },
    )

    it('does not answer for long', async () => {
      const frame = ipFrame({
        sourceMac: WS_MAC,
        destinationMac: gatewayMac,
        ...spec('8.8.8.8', { kind: 'tcp', from: 1, to: 443 }),
      })
      const began = performance.now()
      let sent = 0
      for (; performance.now() - began < 700; sent++) tap.send(frame)
      await wait(50)
      const answered = tap.received().length
      const { drops } = await driver.observe()
      expect(sent).toBeGreaterThan(5000)
      // A thousand at once, then two thousand a second; what did not fit into the tap's queue was answered all the same.
      expect(answered).toBeLessThan(4000)
      expect(drops['refusals-unsent']).toBeGreaterThan(BigInt(sent - 4000))
      await wait(700)
    })

    it('lets ARP for the gateway through, and nothing that pretends', async () => {
      const before = (await driver.observe()).drops['link-layer'] ?? 0n
      tap.send(arpFrame({ senderIp: '10.9.0.2', targetIp: '10.9.0.1' }))
      tap.send(arpFrame({ senderIp: '10.9.0.3', targetIp: '10.9.0.1' }))
      await wait(30)
      expect(((await driver.observe()).drops['link-layer'] ?? 0n) - before).toBe(1n)
    })
  })

  it('a tap that is not there keeps no plan from being live, comes fenced, and may go again', async () => {
    const plan = planAt({ kind: 'tap', interface: 'tap7', gateway: { ...ENTRY.slot.gateway, mac: gatewayMac } })
    const put = async (generation: number) => {
      await driver.commit(await driver.stage(lower(sliceFor(plan, 'memory', generation))))
      const { live, drift } = await driver.observe()
      return [live?.workspaces, drift]
    }
    expect(await put(2)).toEqual([[WS], []])
    const tap = Tap.open('tap7')
    ip('link', 'set', 'tap7', 'address', gatewayMac, 'up')
    await vi.waitFor(async () => expect((await driver.observe()).drift).toEqual([]), WAIT)
    // Whoever is refused with a reset was judged by the workspace's own record.
    const syn = spec('8.8.8.8', { kind: 'tcp', from: 40_000, to: 443 })
    await vi.waitFor(() => {
      tap.send(ipFrame({ sourceMac: WS_MAC, destinationMac: gatewayMac, ...syn }))
      const answers = tap.received().filter((frame) => isFor(frame, WS_MAC))
      expect(answers.map((frame) => frame[47])).toContain(0x14)
    }, WAIT)
    tap.close()
    await vi.waitFor(async () => {
      expect((await driver.observe()).drift).toEqual([`tap7, the slot of ${WS}, is gone`])
    }, WAIT)
    expect(await put(3)).toEqual([[WS], []])
    // One that comes while the next generation is being made is fenced by it at once.
    const staged = await driver.stage(lower(sliceFor(plan, 'memory', 4)))
    const again = Tap.open('tap7')
    ip('link', 'set', 'tap7', 'address', gatewayMac, 'up')
    await driver.commit(staged)
    expect((await driver.observe()).drift).toEqual([])
    again.close()
  })

  it('a flag that somebody took out of the kernel is not shown', async () => {
    await driver.flag(WS, 'quarantined', true)
    expect((await driver.flagged())?.quarantined).toEqual([WS])
    const { size } = STRUCTS.fence_tenant
    const fence = Fence.open(Native.open())
    fence.native.call('wiping', 'arrayWrite', fence.map('tenants'), 0, Buffer.alloc(16 * size), 16, size)
    fence.close()
    expect((await driver.flagged())?.quarantined).toEqual([])
    expect((await driver.observe()).live?.quarantined).toEqual([])
    await driver.flag(WS, 'quarantined', true)
    expect((await driver.flagged())?.quarantined).toEqual([WS])
    await driver.flag(WS, 'quarantined', false)
  })

  describe('a port of a bridge', () => {
    it('judges frames between ports, which never reach the node itself', async () => {
      ip('link', 'add', 'br9', 'type', 'bridge')
      ip('link', 'set', 'br9', 'up')
      const [workspace, far] = ['port1', 'port2'].map((name) => {
        const tap = Tap.open(name)
        ip('link', 'set', name, 'master', 'br9', 'up')
        return tap
      }) as [Tap, Tap]
      const plan = planAt({ kind: 'bridge-port', interface: 'port1' })
      await driver.commit(await driver.stage(lower(sliceFor(plan, 'memory', 5))))
      const { live, drift } = await driver.observe()
      expect([live?.workspaces, drift]).toEqual([[WS], []])
      await wait(200)
      const gatewayMac = '02:00:00:00:09:01'
      const toGateway = (destination: string) =>
        ipFrame({ sourceMac: WS_MAC, ...spec(destination, { kind: 'tcp', from: 40_000, to: 443 }) })
      const fromGateway = (source: string) =>
        ipFrame({
          source,
          destination: '10.9.0.2',
          sourceMac: gatewayMac,
          destinationMac: WS_MAC,
          payload: { kind: 'tcp', from: 443, to: 40_000, flags: 0x12 },
        })
      workspace.received()
      far.received()
      workspace.send(toGateway(WEB))
      expect(await arriving(far, 1, gatewayMac)).toEqual([toGateway(WEB)])
      workspace.send(toGateway('8.8.8.8'))
      expect((await arriving(workspace, 1)).map((frame) => frame[47])).toEqual([0x14])
      expect(await arriving(far, 0, gatewayMac)).toEqual([])
      far.send(fromGateway('8.8.8.8'))
      far.send(fromGateway(WEB))
      expect(await arriving(workspace, 1)).toEqual([fromGateway(WEB)])
      workspace.close()
      far.close()
    })
  })

  describe('an interface that is made anew', () => {
    it('is fenced again under its new number', async () => {
      const make = (): Tap => {
        const tap = Tap.open('tap8')
        ip('link', 'set', 'tap8', 'up')
        return tap
      }
      const old = make()
      const plan = planAt({ kind: 'tap', interface: 'tap8' })
      await driver.commit(await driver.stage(lower(sliceFor(plan, 'memory', 3))))
      expect((await driver.observe()).drift).toEqual([])
      old.close()
      const tap = make()
      for (let i = 0; i < 200 && (await driver.observe()).drift.length > 0; i++) await wait(10)
      expect((await driver.observe()).drift).toEqual([])
      tap.send(ipFrame({ sourceMac: WS_MAC, ...spec('8.8.8.8', { kind: 'tcp', from: 40_000, to: 443 }) }))
      expect((await arriving(tap, 1)).map((frame) => frame[47])).toEqual([0x14])
      tap.close()
    })
  })

  describe('clsact', () => {
    it('carries a whole plan where the kernel has no tcx', async () => {
      const { call } = Native.prototype
      const spy = vi.spyOn(Native.prototype, 'call').mockImplementation(function (this: Native, what, name, ...args) {
        return call.apply(this, [what, name, ...(name === 'attach' ? [...args.slice(0, 4), 2] : args)])
      })
      const tap = Tap.open('tap6')
      ip('link', 'set', 'tap6', 'up')
      const plan = planAt({ kind: 'tap', interface: 'tap6' })
      await driver.commit(await driver.stage(lower(sliceFor(plan, 'memory', 4))))
      spy.mockRestore()
      const index = Number(/^(\d+):/.exec(ip('link', 'show', 'tap6'))?.[1])
      const fence = Fence.open()
      expect(fence.links().filter((name) => name.startsWith(`${index}-`))).toEqual([])
      expect([0, 1].map((egress) => fence.native.ask('clsactProgram', index, egress) > 0)).toEqual([true, true])
      fence.close()
      const { live, drift } = await driver.observe()
      expect([live?.generation, drift]).toEqual([4, []])
      tap.received()
      tap.send(ipFrame({ sourceMac: WS_MAC, ...spec('8.8.8.8', { kind: 'tcp', from: 40_000, to: 443 }) }))
      expect((await arriving(tap, 1)).map((frame) => frame[47])).toEqual([0x14])
      // A new agent finds it where it is, and hangs nothing beside it.
      await driver.close()
      driver = await EbpfDriver.open({ attachInterfaces: [], stateDirectory: '' })
      await driver.commit(await driver.stage(lower(sliceFor(plan, 'memory', 5))))
      expect(
        Fence.open()
          .links()
          .filter((name) => name.startsWith(`${index}-`)),
      ).toEqual([])
      expect((await driver.observe()).drift).toEqual([])
      tap.close()
    })

    it('takes the place of tcx, is found again, and is taken away', () => {
      const fence = Fence.open()
      const { native } = fence
      ip('link', 'add', 'old0', 'type', 'veth', 'peer', 'name', 'old1')
      const index = native.ask('ifindex', 'old0')
      const program = fence.program('fence_from')
      expect(native.call('attaching', 'attach', program, index, 0, `${fence.pins}/links/none`, 2)).toBe(2)
      const info = Buffer.alloc(16)
      native.call('asking', 'programInfo', program, info)
      expect(native.ask('clsactProgram', index, 0)).toBe(info.readUInt32LE(8))
      expect(native.ask('clsactProgram', index, 1)).toBe(0)
      native.call('detaching', 'detachClsact', index, 0)
      expect(native.ask('clsactProgram', index, 0)).toBe(0)
      fence.close()
    })
  })
})
