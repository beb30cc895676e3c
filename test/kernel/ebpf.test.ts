// The eBPF fence on real veth pairs: what a client sees of each verdict, what survives what, and what the kernel says afterwards.
// Needs root. Refusals are tried with checksum offload on and off, because a refusal is made from the refused packet.

import { existsSync, renameSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Denial } from '../../src/backends/backend.js'
import { Fence, pinsOf } from '../../src/backends/ebpf/fence.js'
import { STRUCTS } from '../../src/backends/ebpf/layout.js'
import { Native } from '../../src/backends/ebpf/native.js'
import { digestOfText } from '../../src/base/digest.js'
import type { NameRule } from '../../src/plan/model.js'
import { labPlan, ONE, openScene, type Scene, TWO } from '../support/ebpf/scene.js'
import { ipFrame } from '../support/frames.js'
import { OUT, UPLINK, WS } from '../support/lab/addresses.js'
import { labSuite } from '../support/lab/suite.js'
import { egress, ingress } from '../support/plans.js'

const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

const CLAUSES = [
  egress('git', [OUT.git, OUT.git6], 'tcp', ['443', '8000-8050']),
  egress('git-udp', [OUT.git, OUT.git6], 'udp', ['5000']),
  egress('ping', [OUT.git, OUT.git6], 'icmp-echo'),
  egress('database', ['10.50.0.0/24'], 'tcp', ['5432']),
  ingress('broker', [`${OUT.broker}/32`], 'tcp', ['22']),
]

labSuite('ebpf on a veth', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await openScene()
    await scene.lab.ws.serveTcpEcho([22])
  })
  afterAll(async () => {
    await scene?.close()
  })

  it('closes every interface of its patterns before there is a plan', async () => {
    expect(await scene.lab.ws.tcp({ host: OUT.git, port: 443, timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    expect((await scene.driver.observe()).live).toBeNull()
  })

  it('lets through what is granted', async () => {
    await scene.apply(labPlan(CLAUSES))
    const { ws, out } = scene.lab
    for (const host of [OUT.git, OUT.git6]) {
      expect(await ws.httpGet({ host, port: 443 }), host).toMatchObject({ outcome: 'answered', status: 200 })
      expect(await ws.tcp({ host, port: 8000, say: 'hello' }), host).toMatchObject({ outcome: 'connected' })
      expect(await ws.udp({ host, port: 5000 }), host).toMatchObject({ outcome: 'answered' })
      expect((await scene.lab.ping('ws', host)).outcome, host).toBe('answered')
    }
    expect(await ws.tcp({ host: OUT.database, port: 5432, say: 'x' })).toMatchObject({ outcome: 'connected' })
    expect(await out.tcp({ host: WS.v4, port: 22, say: 'hi', localAddress: OUT.broker })).toMatchObject({
      outcome: 'connected',
    })
  })

  for (const offload of ['on', 'off'])
    it(`refuses the rest so that a client fails at once, checksum offload ${offload}`, async () => {
      const switched = await scene.lab.exec('ws', ['ethtool', '-K', WS.inside, 'tx', offload])
      const node = await scene.lab.exec('node', ['ethtool', '-K', WS.slot, 'tx', offload])
      expect([switched.status, node.status]).toEqual([0, 0])
      const { ws } = scene.lab
      const refused = { host: OUT.unlisted, timeoutMs: 1500 }
      for (const at of [
        { host: OUT.git, port: 8051 },
        { ...refused, port: 443 },
        { host: OUT.git6, port: 80 },
        { host: OUT.unlisted6, port: 443 },
        { host: OUT.metadata, port: 80 },
        { host: OUT.testNet, port: 443 },
        { host: OUT.uniqueLocal6, port: 443 },
      ]) {
        const result = await ws.tcp({ timeoutMs: 1500, ...at })
        expect(result, `${at.host} ${at.port}`).toMatchObject({ outcome: 'reset', code: 'ECONNREFUSED' })
        expect(result.tookMs).toBeLessThan(500)
      }
      for (const host of [OUT.unlisted, OUT.git6, OUT.unlisted6]) {
        const result = await ws.udp({ host, port: 5001, timeoutMs: 1500 })
        expect(result, host).toMatchObject({ outcome: 'prohibited' })
        expect(result.tookMs).toBeLessThan(500)
      }
      expect((await scene.lab.ping('ws', OUT.unlisted)).outcome).toBe('prohibited')
      expect(await scene.lab.out.tcp({ host: WS.v4, port: 22, timeoutMs: 300, localAddress: OUT.git })).toMatchObject({
        outcome: 'timeout',
      })
    })

  it('cuts what lost its grant, leaves the rest alone, and revives nothing', async () => {
    const kept = egress('kept', [OUT.registry], 'tcp', ['443'])
    const cut = egress('cut', [OUT.inference], 'tcp', ['443'])
    await scene.apply(labPlan([kept, cut]))
    const { ws } = scene.lab
    const one = await ws.download({ host: OUT.registry, port: 443, rate: 500_000 })
    const two = await ws.download({ host: OUT.inference, port: 443, rate: 500_000 })
    await wait(200)
    const before = await ws.tcpCounters()
    await scene.apply(labPlan([kept]))
    const at = Date.now()
    await wait(300)
    const [alive, gone] = await ws.downloads([one.number, two.number])
    expect(alive?.state).toBe('open')
    expect((gone?.lastByteMs ?? 0) - at).toBeLessThan(20)
    await scene.apply(labPlan([kept, cut]))
    await wait(300)
    const [stillAlive, stillGone] = await ws.downloads([one.number, two.number])
    expect(stillAlive?.bytes).toBeGreaterThan(alive?.bytes ?? 0)
    expect(stillGone?.bytes).toBe(gone?.bytes)
    expect(await ws.tcp({ host: OUT.inference, port: 443 })).toMatchObject({ outcome: 'connected' })
    await ws.stopDownload([one.number, two.number])
    expect((await ws.tcpCounters()).TCPTimeouts - before.TCPTimeouts).toBeLessThanOrEqual(2)
  })

  it('quarantines with one write, whatever the plan, and lifts it', async () => {
    await scene.apply(labPlan(CLAUSES))
    const { ws, ws2 } = scene.lab
    const flow = await ws.download({ host: OUT.git, port: 443, rate: 2_000_000 })
    await wait(100)
    const at = performance.timeOrigin + performance.now()
    await scene.driver.flag(ONE, 'quarantined', true)
    await wait(200)
    const [seen] = await ws.downloads([flow.number])
    expect((seen?.lastByteMs ?? 0) - at).toBeLessThan(10)
    expect(await ws.tcp({ host: OUT.git, port: 443, timeoutMs: 200 })).toMatchObject({ outcome: 'timeout' })
    expect(await ws2.tcp({ host: OUT.git, port: 443 })).toMatchObject({ outcome: 'connected' })
    await scene.apply(labPlan([egress('other', [OUT.git], 'tcp', ['443'])]))
    expect(await ws.tcp({ host: OUT.git, port: 443, timeoutMs: 200 })).toMatchObject({ outcome: 'timeout' })
    expect((await scene.driver.observe()).live?.quarantined).toEqual([ONE])
    await scene.driver.flag(ONE, 'quarantined', false)
    expect(await ws.tcp({ host: OUT.git, port: 443 })).toMatchObject({ outcome: 'connected' })
    const [after] = await ws.downloads([flow.number])
    expect(after?.bytes).toBe(seen?.bytes)
    await ws.stopDownload([flow.number])
  })

  it('stands while no agent runs, and the next agent carries on', async () => {
    const plan = labPlan(CLAUSES)
    const generation = await scene.apply(plan)
    const { ws } = scene.lab
    const flow = await ws.download({ host: OUT.git, port: 443, rate: 500_000 })
    const before = await scene.driver.observe()
    await scene.driver.close()
    expect(await ws.tcp({ host: OUT.git, port: 443 })).toMatchObject({ outcome: 'connected' })
    expect(await ws.tcp({ host: OUT.unlisted, port: 443 })).toMatchObject({ outcome: 'reset' })
    await scene.restart()
    const after = await scene.driver.observe()
    expect(after.live).toMatchObject({ generation, planDigest: before.live?.planDigest, workspaces: [ONE, TWO] })
    expect(after.drift).toEqual([])
    const [seen] = await ws.downloads([flow.number])
    await wait(200)
    const [later] = await ws.downloads([flow.number])
    expect(later?.bytes).toBeGreaterThan(seen?.bytes ?? 0)
    await ws.stopDownload([flow.number])
  })

  it('takes a newer program into every attachment without a gap, and the flows with it', async () => {
    const generation = await scene.apply(labPlan(CLAUSES))
    const { ws } = scene.lab
    const flow = await ws.download({ host: OUT.git, port: 443, rate: 500_000 })
    const programs = (fence: Fence): number[] =>
      fence.links().map((name) => {
        const link = fence.native.call('opening', 'get', `${fence.pins}/links/${name}`)
        const program = Buffer.alloc(4)
        fence.native.call('asking', 'linkInfo', link, Buffer.alloc(4), program)
        fence.native.ask('close', link)
        return program.readUInt32LE()
      })
    const fence = Fence.open()
    const before = programs(fence)
    // As if another build of the program had been loaded.
    const { size, fields } = STRUCTS.fence_about
    const about = Buffer.alloc(size)
    fence.native.call('reading', 'mapRead', fence.map('about'), Buffer.alloc(4), about)
    about.fill(7, fields.object_digest)
    fence.native.call('writing', 'arrayWrite', fence.map('about'), 0, about, 1, size)
    await scene.restart()
    const after = programs(fence)
    fence.close()
    // Two interfaces in two directions, and the floor of two families at two hooks.
    expect(after).toHaveLength(8)
    expect(after.filter((id) => before.includes(id))).toEqual([])
    expect((await scene.driver.observe()).live?.generation).toBe(generation)
    const [seen] = await ws.downloads([flow.number])
    await wait(200)
    const [later] = await ws.downloads([flow.number])
    expect(later?.bytes).toBeGreaterThan(seen?.bytes ?? 0)
    await ws.stopDownload([flow.number])
  })

  it('replaces a fence of another layout with no moment of openness', async () => {
    await scene.apply(labPlan(CLAUSES))
    const { ws } = scene.lab
    await scene.driver.close()
    const pins = pinsOf(Native.open())
    const old = `${pins.slice(0, pins.lastIndexOf('/'))}/v0`
    renameSync(pins, old)
    let open = 0
    let asked = 0
    let running = true
    const knock = (async () => {
      for (; running; asked++) {
        const { outcome } = await ws.tcp({ host: OUT.unlisted, port: 443, timeoutMs: 100 })
        if (outcome === 'connected') open++
      }
    })()
    await scene.restart()
    expect((await scene.driver.observe()).live).toBeNull()
    await wait(150)
    await scene.apply(labPlan(CLAUSES))
    await scene.driver.observe()
    await wait(150)
    running = false
    await knock
    expect(existsSync(old)).toBe(false)
    expect([open, asked > 2]).toEqual([0, true])
    expect(await ws.tcp({ host: OUT.git, port: 443 })).toMatchObject({ outcome: 'connected' })
  })

  it('learns a grant of a live clause, and forgets it with the clause', async () => {
    const clause = digestOfText('a name')
    const rule: NameRule = {
      clause,
      pattern: 'api.example',
      wildcard: false,
      protocol: 'tcp',
      ports: [{ from: 443, to: 443 }],
      within: [],
    }
    const generation = await scene.apply(labPlan([], { names: [rule] }))
    const { ws } = scene.lab
    const at = { host: OUT.unlisted, port: 443 }
    expect(await ws.tcp(at)).toMatchObject({ outcome: 'reset' })
    const grant = {
      workspace: ONE,
      clause,
      name: 'api.example',
      protocol: 'tcp' as const,
      address: OUT.unlisted,
      port: 443,
      generation,
      expiresAtMs: Date.now() + 60_000,
    }
    expect(await scene.driver.learn(generation - 1, [grant])).toBe(false)
    expect(await ws.tcp(at)).toMatchObject({ outcome: 'reset' })
    expect(await scene.driver.learn(generation, [grant])).toBe(true)
    expect(await ws.tcp(at)).toMatchObject({ outcome: 'connected' })
    await scene.restart()
    expect((await scene.driver.observe()).live?.learned).toEqual([grant])
    const flow = await ws.download({ ...at, rate: 200_000 })
    const next = await scene.apply(labPlan([egress('more', [OUT.git], 'tcp', ['443'])], { names: [rule] }))
    expect((await scene.driver.observe()).live?.learned).toEqual([{ ...grant, generation: next }])
    expect(await ws.tcp(at)).toMatchObject({ outcome: 'connected' })
    await scene.apply(labPlan([]))
    expect((await scene.driver.observe()).live?.learned).toEqual([])
    await scene.apply(labPlan([], { names: [rule] }))
    expect(await ws.tcp(at)).toMatchObject({ outcome: 'reset' })
    const [gone] = await ws.downloads([flow.number])
    await wait(150)
    const [later] = await ws.downloads([flow.number])
    expect(later?.bytes).toBe(gone?.bytes)
    await ws.stopDownload([flow.number])
  })

  it('keeps the deadline with no agent', async () => {
    await scene.apply(labPlan(CLAUSES, { expiresAtMs: Date.now() + 700 }))
    const { ws } = scene.lab
    expect(await ws.tcp({ host: OUT.git, port: 443 })).toMatchObject({ outcome: 'connected' })
    const flow = await ws.download({ host: OUT.git, port: 443, rate: 500_000 })
    await scene.driver.close()
    await wait(900)
    expect(await ws.tcp({ host: OUT.git, port: 443, timeoutMs: 200 })).toMatchObject({ outcome: 'timeout' })
    const [cut] = await ws.downloads([flow.number])
    await scene.restart()
    await scene.apply(labPlan(CLAUSES))
    await wait(300)
    expect((await ws.downloads([flow.number]))[0]?.bytes).toBe(cut?.bytes)
    expect(await ws.tcp({ host: OUT.git, port: 443 })).toMatchObject({ outcome: 'connected' })
    await ws.stopDownload([flow.number])
  })

  it('reports what it refused, with the workspace and the reason', async () => {
    await scene.apply(labPlan(CLAUSES))
    const denials: Denial[] = []
    // What was refused before anybody listened is delivered first.
    const from = Date.now()
    const stop = await scene.driver.denials((batch) =>
      denials.push(...batch.denials.filter((one) => one.atMs > from - 5)),
    )
    await scene.lab.ws.tcp({ host: OUT.unlisted, port: 443, localPort: 43210 })
    await scene.lab.ws.udp({ host: OUT.metadata, port: 53, timeoutMs: 200 })
    const sender = await scene.lab.sender('ws', WS.inside)
    await sender.send([
      ipFrame({
        source: '10.9.0.3',
        destination: OUT.git,
        sourceMac: WS.mac,
        destinationMac: WS.gatewayMac,
        payload: { kind: 'tcp', from: 40000, to: 443 },
      }),
    ])
    await sender.close()
    await wait(200)
    await stop()
    const { generation } = (await scene.driver.observe()).live ?? { generation: 0 }
    expect(denials.find((one) => one.sourcePort === 43210)).toMatchObject({
      workspace: ONE,
      direction: 'from',
      reason: 'no-grant',
      protocol: 6,
      source: WS.v4,
      destination: OUT.unlisted,
      destinationPort: 443,
      generation,
    })
    expect(denials.find((one) => one.destination === OUT.metadata)).toMatchObject({ reason: 'never', protocol: 17 })
    expect(denials.find((one) => one.source === '10.9.0.3')).toMatchObject({ reason: 'spoof', workspace: ONE })
    for (const one of denials) expect(one.atMs).toBeLessThan(Date.now() + 5)
  })

  for (const offload of ['on', 'off'])
    it(`judges a stream whole and in pieces, segmentation offload ${offload}`, async () => {
      const { lab } = scene
      for (const [namespace, name] of [
        ['ws', WS.inside],
        ['node', WS.slot],
        ['node', UPLINK.node.interface],
        ['out', UPLINK.out.interface],
      ] as const) {
        const features = ['tso', 'gso', 'gro'].flatMap((feature) => [feature, offload])
        expect((await lab.exec(namespace, ['ethtool', '-K', name, ...features])).status).toBe(0)
      }
      await scene.apply(labPlan(CLAUSES))
      const counted = async (): Promise<{ bytes: bigint; packets: bigint }> =>
        (await scene.driver.observe()).counters.find((one) => one.grant === `egress/tcp/${OUT.git}/32/443`) ?? {
          bytes: 0n,
          packets: 0n,
        }
      // The last second of a flow before this one may be counted under the new plan.
      const before = await counted()
      const flow = await lab.ws.download({ host: OUT.git, port: 443, rate: 50_000_000 })
      const bytesOf = async () => {
        const { bytes, packets } = await counted()
        return { bytes: bytes - before.bytes, packets: packets - before.packets }
      }
      for (let i = 0; i < 400 && (await bytesOf()).bytes < 5_000_000n; i++) await wait(10)
      const { bytes, packets } = await bytesOf()
      expect(bytes).toBeGreaterThan(5_000_000n)
      const [seen] = await lab.ws.downloads([flow.number])
      expect(seen?.state).toBe('open')
      // Acknowledgements of the workspace are in it too, so a mean above one frame is the work of large packets.
      const mean = Number(bytes / packets)
      if (offload === 'on') expect(mean).toBeGreaterThan(1514)
      else expect(mean).toBeLessThanOrEqual(1514)
      await lab.ws.stopDownload([flow.number])
    })

  it('counts every grant', async () => {
    await scene.apply(labPlan(CLAUSES))
    await scene.lab.ws.udp({ host: OUT.git, port: 5000 })
    const { counters } = await scene.driver.observe()
    const udp = counters.find((one) => one.grant === `egress/udp/${OUT.git}/32/5000`)
    expect(udp).toMatchObject({ workspace: ONE, packets: 2n })
    expect(udp?.bytes).toBeGreaterThan(80n)
  })
})
