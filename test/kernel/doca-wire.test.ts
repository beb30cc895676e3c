// The backend `doca-flow` on cables: the software BlueField between two namespaces, generated frames sent at one end and
// watched for at the other. A frame that is always allowed follows every batch, and since cables keep the order, whatever was
// not seen before it was dropped. CONFORMANCE_WIRE sets how many frames are judged. Everything here is emulated.

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { docaCapabilities } from '../../src/backends/doca-flow/capabilities.js'
import { DocaDriver } from '../../src/backends/doca-flow/driver.js'
import { lower } from '../../src/backends/doca-flow/lower.js'
import { sliceFor } from '../../src/plan/codec.js'
import { evaluate } from '../../src/plan/evaluate.js'
import type { Plan } from '../../src/plan/model.js'
import { readFrame } from '../../src/plan/packet.js'
import { EMPTY_STATE, type Env } from '../../src/plan/state.js'
import { type Scenario, type Step, scenario } from '../conformance/generator.js'
import { meetings } from '../conformance/meetings.js'
import { NOW_MS } from '../conformance/run.js'
import { BlueField } from '../support/doca/bluefield.js'
import { layCables } from '../support/doca/cables.js'
import { ipFrame } from '../support/frames.js'
import { labSuite } from '../support/lab/suite.js'
import { Sender, Sniffer } from '../support/lab/wire.js'
import { GATEWAY_MAC, WS, WS_MAC } from '../support/plans.js'

const { replies, icmpErrors, flowState } = docaCapabilities({ backend: 'doca-flow', trustDomain: 'host', probes: [] })
const ENV: Env = { linkLayer: true, replies, icmpErrors, flowState }

const MARK = { address: '45.99.99.99', port: 9999 }
const clause = `sha256:${'0'.repeat(64)}` as const

/** With the grant of the frame that follows every batch. */
const marked = (plan: Plan): Plan => ({
  ...plan,
  workspaces: plan.workspaces.map((at) => ({
    ...at,
    network: {
      ...at.network,
      egress: [
        ...at.network.egress,
        {
          id: `egress/udp/${MARK.address}/32/${MARK.port}`,
          direction: 'egress',
          protocol: 'udp',
          prefix: `${MARK.address}/32`,
          ports: { from: MARK.port, to: MARK.port },
          opens: false,
          clauses: [clause],
        },
      ],
    },
  })),
})

function mark(direction: 'from' | 'to', number: number): Uint8Array<ArrayBuffer> {
  const outward = direction === 'from'
  const local = 1024 + (number % 60_000)
  return ipFrame({
    source: outward ? '10.9.0.2' : MARK.address,
    destination: outward ? MARK.address : '10.9.0.2',
    sourceMac: outward ? WS_MAC : GATEWAY_MAC,
    destinationMac: outward ? GATEWAY_MAC : WS_MAC,
    payload: { kind: 'udp', from: outward ? local : MARK.port, to: outward ? MARK.port : local },
  })
}

type PacketStep = Step & { readonly kind: 'packet' }

/** A plan, and frames of one direction that are judged by it. */
interface Batch {
  readonly plan: Plan
  readonly direction: 'from' | 'to'
  readonly frames: readonly PacketStep['frame'][]
}

function batchesOf({ plans, steps }: Scenario): Batch[] {
  const batches: { plan: Plan; direction: 'from' | 'to'; frames: PacketStep['frame'][] }[] = []
  let plan = plans[0] as Plan
  for (const step of steps) {
    if (step.kind === 'plan') plan = plans[step.index % plans.length] as Plan
    // A kernel sends nothing shorter than a header.
    else if (step.kind === 'packet' && step.frame.length > 14) {
      const last = batches.at(-1)
      if (last?.plan === plan && last.direction === step.direction) last.frames.push(step.frame)
      else batches.push({ plan, direction: step.direction, frames: [step.frame] })
    }
  }
  return batches
}

labSuite('doca-flow on cables', () => {
  it('passes what evaluate allows, unchanged, and nothing else', { timeout: 1_200_000 }, async () => {
    const wanted = Number(process.env.CONFORMANCE_WIRE ?? 2_000)
    const card = BlueField.load()
    const cables = layCables(false)
    const closing: (() => Promise<void>)[] = []
    try {
      card.describe(cables.topology)
      const driver = await DocaDriver.open({ attachInterfaces: [], stateDirectory: '' })
      closing.push(() => driver.close())
      const ends = {
        from: { sender: await Sender.start(cables.ws, 'eth0'), sniffer: await Sniffer.start(cables.out, 'eth0') },
        to: { sender: await Sender.start(cables.out, 'eth0'), sniffer: await Sniffer.start(cables.ws, 'eth0') },
      }
      for (const { sender, sniffer } of Object.values(ends))
        closing.push(
          () => sender.close(),
          () => sniffer.close(),
        )
      const tally = { frames: 0, passed: 0, generations: 0, marks: 0 }
      let live: Plan | undefined

      const judge = async ({ plan, direction, frames }: Batch): Promise<void> => {
        const dressed = marked(plan)
        if (live !== plan) {
          tally.generations++
          const slice = sliceFor(dressed, 'memory', tally.generations)
          await driver.commit(await driver.stage(lower({ ...slice, workspaces: dressed.workspaces })))
          live = plan
        }
        const { sender, sniffer } = ends[direction]
        const last = mark(direction, ++tally.marks)
        sniffer.frames.length = 0
        await sender.send([...frames, last])
        const seen = (): Buffer[] =>
          sniffer.frames.filter(({ way }) => way === 'in').map(({ bytes }) => Buffer.from(bytes))
        await expect.poll(() => seen().some((one) => one.equals(last)), { timeout: 20_000, interval: 1 }).toBe(true)
        const expected = frames.filter((frame) => {
          const packet = readFrame(frame, direction)
          const { verdict } = evaluate(dressed, EMPTY_STATE, WS, packet, NOW_MS, ENV)
          // Neighbours end at the Arm.
          return verdict.kind === 'allow' && verdict.reason !== 'neighbour'
        })
        expect(seen()).toEqual([...expected, last].map((frame) => Buffer.from(frame)))
        tally.frames += frames.length
        tally.passed += expected.length
      }

      const seed = Number(process.env.CONFORMANCE_SEED ?? 20_261_121)
      const scenarios = fc.oneof(scenario(24), meetings(12))
      for (let round = 0; tally.frames < wanted; round++)
        for (const one of fc.sample(scenarios, { seed: seed + round, numRuns: 20 }))
          for (const batch of batchesOf(one)) await judge(batch)
      console.log(
        `doca-flow on cables: ${tally.frames} frames, 0 disagreements (${tally.passed} passed, ${tally.generations} generations, seed ${seed}, emulated)`,
      )
      expect(tally.passed / tally.frames).toBeGreaterThan(0.05)
      expect(card.state()).toMatchObject({ violations: 0, pending: 0 })
    } finally {
      for (const end of closing.reverse()) await end()
      cables.close()
    }
  })
})
