// What must hold whatever happens to the agent: killed at random moments of changes of plan, nothing passes that neither the old
// nor the new plan allows; changes leave no handle, pin or memory behind; a damaged frame is dropped for the reason that
// `evaluate` gives. Needs root, and the compiled sources for the process that is killed. EBPF_KILL_CHANGES and EBPF_APPLIES set
// how many changes are made: 500 and 1000 for a record.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Denial } from '../../src/backends/backend.js'
import { pinsOf } from '../../src/backends/ebpf/fence.js'
import { Native } from '../../src/backends/ebpf/native.js'
import { sliceFor } from '../../src/plan/codec.js'
import { evaluate } from '../../src/plan/evaluate.js'
import { readFrame } from '../../src/plan/packet.js'
import { EMPTY_STATE, EXACT_ENV } from '../../src/plan/state.js'
import { labPlan, ONE, openScene, type Scene } from '../support/ebpf/scene.js'
import { ipFrame } from '../support/frames.js'
import { OUT, UPLINK, WS } from '../support/lab/addresses.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'
import { egress } from '../support/plans.js'

const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
const udp = (name: string, address: string) => egress(name, [address], 'udp', ['5000'])

const frame = (destination: string, more: object = {}): Uint8Array<ArrayBuffer> =>
  ipFrame({
    source: WS.v4,
    destination,
    sourceMac: WS.mac,
    destinationMac: WS.gatewayMac,
    payload: { kind: 'udp', from: 40_000, to: 5000 },
    ...more,
  })

/** Which destinations each plan allows: always one, now another, now a third, never the fourth. */
const ALLOWS = [[OUT.git, OUT.registry], [OUT.git], [OUT.git, OUT.inference]] as const
const PLANS = ALLOWS.map((list) => labPlan(list.map((address) => udp(address, address))))

labSuite('the eBPF fence holds', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await openScene()
  })
  afterAll(async () => {
    await scene?.close()
  })

  it('drops frames that a test run cannot carry, for the reason that evaluate gives', async () => {
    const plan = labPlan([udp('git', OUT.git)])
    await scene.apply(plan)
    const whole = frame(OUT.git)
    const v6 = ipFrame({
      source: WS.v6,
      destination: OUT.git6,
      sourceMac: WS.mac,
      destinationMac: WS.gatewayMac,
      payload: { kind: 'tcp', from: 40_000, to: 443 },
    })
    const frames = [
      ...[14, 15, 20, 33, 34, 38, 41].map((length) => whole.slice(0, length)),
      ...[14, 40, 53, 54, 60, 73].map((length) => v6.slice(0, length)),
    ]
    // Events rather than counters: the node's own stack talks towards the workspace meanwhile.
    const heard: Denial[] = []
    const stop = await scene.driver.denials((batch) => heard.push(...batch.denials))
    await wait(100)
    heard.length = 0
    const sender = await scene.lab.sender('ws', WS.inside)
    const sniffer = await scene.lab.sniff('node', UPLINK.node.interface)
    await sender.send(frames)
    await sniffer.settle()
    await wait(100)
    await stop()
    const passed = sniffer.frames.filter((seen) => seen.bytes.subarray(26, 30).join('.') === WS.v4)
    expect(passed).toEqual([])
    await Promise.all([sender.close(), sniffer.close()])
    const expected = frames.map((one) => {
      const { verdict } = evaluate(plan, EMPTY_STATE, ONE, readFrame(one, 'from'), 0, EXACT_ENV)
      return verdict.kind === 'drop' ? verdict.reason : 'allowed'
    })
    const reasons = heard.filter((one) => one.direction === 'from' && one.workspace === ONE).map((one) => one.reason)
    expect(reasons.sort()).toEqual(expected.sort())
  })

  // A map of the kernel is held by a descriptor, a pin, or a slot of an outer map, of which there are two: the first two are
  // counted, so nothing can be left that is not seen.
  it('leaves nothing behind after many changes of plan', async () => {
    const applies = Number(process.env.EBPF_APPLIES ?? 200)
    const descriptors = (): number => readdirSync('/proc/self/fd').length
    const pinned = (path: string): number =>
      readdirSync(path, { withFileTypes: true }).reduce(
        (sum, entry) => sum + (entry.isDirectory() ? pinned(`${path}/${entry.name}`) : 1),
        0,
      )
    const pins = pinsOf(Native.open())
    const round = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) await scene.apply(PLANS[i % PLANS.length] as (typeof PLANS)[number])
      await scene.driver.observe()
    }
    await round(30)
    const start = { descriptors: descriptors(), pinned: pinned(pins), resident: process.memoryUsage().rss }
    await round(applies)
    expect(pinned(pins)).toBe(start.pinned)
    expect(descriptors()).toBeLessThanOrEqual(start.descriptors + 2)
    const grown = process.memoryUsage().rss - start.resident
    console.log(
      `${applies} changes of plan: ${(grown / 2 ** 20).toFixed(1)} MiB more, ${start.pinned} pins before and after`,
    )
    expect(grown).toBeLessThan(96 << 20)
  }, 1_200_000)

  it('never lets through what neither plan allows, with the agent killed at any moment', async (context) => {
    if (!existsSync(repositoryPath('dist/backends/ebpf/index.js'))) context.skip('make build has not been run')
    const changes = Number(process.env.EBPF_KILL_CHANGES ?? 60)
    const folder = mkdtempSync(join(tmpdir(), 'slu-ebpf-'))
    const file = join(folder, 'slices.json')
    writeFileSync(file, JSON.stringify(PLANS.map((plan) => sliceFor(plan, 'memory', 1))))
    await scene.driver.close()
    const sender = await scene.lab.sender('ws', WS.inside)
    const sniffer = await scene.lab.sniff('out', UPLINK.out.interface, 64)
    /** From `at` on, these plans may be live. */
    const epochs: { at: number; plans: number[] }[] = []
    let last = 0
    const begin = 10_000
    let first = begin
    let kills = 0
    let running = true
    const destinations = [OUT.git, OUT.registry, OUT.inference, OUT.unlisted].map((address) => frame(address))
    const traffic = (async () => {
      while (running) {
        await sender.send(destinations)
        await wait(1)
      }
    })()
    const run = async (): Promise<void> => {
      const child: ChildProcess = spawn(
        process.execPath,
        [repositoryPath('test/support/ebpf/applier.mjs'), file, String(first)],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
      let left = 1 + Math.floor(Math.random() * 12)
      lines.on('line', (line) => {
        const [at, word, n] = line.split(' ')
        const plan = Number(n)
        if (word === 'live') {
          epochs.push({ at: Number(at), plans: [plan] })
          last = plan
          if (--left <= 0) setTimeout(() => child.kill('SIGKILL'), Math.random() * 60)
        } else epochs.push({ at: Number(at), plans: [last, plan] })
      })
      await new Promise((done) => child.once('close', done))
      kills++
    }
    while (last < begin + changes) {
      await run()
      // A child that ended before its first change leaves the count where it was.
      first = Math.max(begin, last + 1)
    }
    running = false
    await traffic
    await sniffer.settle()
    await Promise.all([sender.close(), sniffer.close()])
    rmSync(folder, { recursive: true, force: true })
    await scene.restart()

    // What stood before the first change was numbered by somebody else.
    const known = epochs.find((epoch) => epoch.plans.every((plan) => plan >= begin))?.at ?? Number.POSITIVE_INFINITY
    let judged = 0
    const wrong: string[] = []
    for (const seen of sniffer.frames) {
      if (seen.way !== 'in' || seen.atMs < known + 5) continue
      const destination = [...seen.bytes.subarray(30, 34)].join('.')
      if (!destinations.some((_, i) => [OUT.git, OUT.registry, OUT.inference, OUT.unlisted][i] === destination))
        continue
      judged++
      // A packet may have passed the fence a little before it is seen here.
      const plans = epochs.filter(
        (epoch, i) => epoch.at <= seen.atMs + 1 && (epochs[i + 1]?.at ?? Number.POSITIVE_INFINITY) >= seen.atMs - 20,
      )
      const allowed = plans.flatMap((epoch) => epoch.plans).flatMap((plan) => [...(ALLOWS[plan % 3] ?? [])] as string[])
      if (!allowed.includes(destination)) wrong.push(`${destination} at ${seen.atMs} under ${JSON.stringify(plans)}`)
    }
    console.log(
      `killed ${kills} times in ${last - begin} changes; ${judged} packets seen outside, ${wrong.length} wrong`,
    )
    expect(wrong).toEqual([])
    expect(judged).toBeGreaterThan(changes)
    expect(kills).toBeGreaterThan(changes / 100)
  }, 1_800_000)
})
