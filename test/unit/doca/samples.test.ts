// Refused packets as the trail gets them, from the software BlueField: which are shown and under which reason, what a bucket keeps
// back and a full queue loses, and that every one of them is accounted for.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Denial } from '../../../src/backends/backend.js'
import { DocaDriver } from '../../../src/backends/doca-flow/driver.js'
import { lower } from '../../../src/backends/doca-flow/lower.js'
import { sliceFor } from '../../../src/plan/codec.js'
import { BlueField } from '../../support/doca/bluefield.js'
import { type FrameSpec, ipFrame } from '../../support/frames.js'
import { ENTRY, egress, GATEWAY_MAC, planOf, WS, WS_MAC } from '../../support/plans.js'

const PLAN = planOf([
  egress('web', ['93.184.216.34'], 'tcp', ['443']),
  egress('range', ['45.76.0.0/16'], 'tcp', ['80-90']),
])
const frame = (destination: string, port: number, more: Partial<FrameSpec> = {}): Uint8Array =>
  ipFrame({
    source: destination.includes(':') ? 'fd09:0:0:1::2' : '10.9.0.2',
    destination,
    sourceMac: WS_MAC,
    destinationMac: GATEWAY_MAC,
    payload: { kind: 'tcp', from: 40_000, to: port, flags: 2 },
    ...more,
  })

describe('doca-flow: refused packets', () => {
  const card = BlueField.load()
  let driver: DocaDriver
  let stop: () => Promise<void>
  let denials: Denial[]
  let lost: number

  beforeEach(async () => {
    denials = []
    lost = 0
    card.topology([ENTRY.slot.interface])
    driver = await DocaDriver.open({ attachInterfaces: [], stateDirectory: '' })
    await driver.commit(await driver.stage(lower({ ...sliceFor(PLAN, 'memory', 3), workspaces: PLAN.workspaces })))
    stop = await driver.denials((batch) => {
      denials.push(...batch.denials)
      lost += batch.lost
    })
  })
  afterEach(async () => {
    await stop()
    await driver.close()
    expect(card.state()).toMatchObject({ pipes: 0, entries: 0, pending: 0, counters: 0, violations: 0 })
  })
  const told = (count: number): Promise<void> =>
    expect
      .poll(() => denials.length + lost, { timeout: 20_000 })
      .toBeGreaterThanOrEqual(count)
      .then(() => undefined)

  it('says who wanted what, and why not', async () => {
    expect(card.inject(1, frame('93.184.216.34', 22)).kind).toBe('queue')
    await told(1)
    expect(denials).toEqual([
      {
        atMs: expect.any(Number),
        workspace: WS,
        direction: 'from',
        reason: 'no-grant',
        protocol: 6,
        source: '10.9.0.2',
        destination: '93.184.216.34',
        sourcePort: 40_000,
        destinationPort: 22,
        generation: 3,
      },
    ])
  })

  it('names reasons as the plan means them, in both directions and families', async () => {
    const cases: [Uint8Array, number, string][] = [
      [frame('45.76.10.10', 91), 1, 'no-grant'],
      [frame('10.50.0.7', 443), 1, 'reserved'],
      [frame('169.254.169.254', 80), 1, 'never'],
      [frame('8.8.8.8', 853), 1, 'dns'],
      [frame('8.8.8.8', 6443), 1, 'control-port'],
      [frame('2a05:9:9::10', 443), 1, 'no-grant'],
      [frame('8.8.8.8', 0, { payload: { kind: 'echo', reply: false, identifier: 7 } }), 1, 'no-grant'],
      [frame('8.8.8.8', 0, { payload: { kind: 'echo', reply: true, identifier: 7 } }), 1, 'no-flow'],
      [frame('10.9.0.2', 22, { source: '8.8.8.8', sourceMac: GATEWAY_MAC, destinationMac: WS_MAC }), 0, 'no-flow'],
    ]
    for (const [bytes, port] of cases) expect(card.inject(port, bytes).kind).toBe('queue')
    await told(cases.length)
    expect(denials.map(({ reason }) => reason)).toEqual(cases.map(([, , reason]) => reason))
    expect(denials.map(({ direction }) => direction)).toEqual([...Array<string>(8).fill('from'), 'to'])
  })

  it('shows nothing whose sender is not sure, and nothing that passes', async () => {
    expect(card.inject(1, frame('8.8.8.8', 80, { source: '10.9.0.77' })).kind).toBe('dropped')
    expect(card.inject(1, frame('8.8.8.8', 80, { sourceMac: GATEWAY_MAC })).kind).toBe('dropped')
    expect(card.inject(1, frame('8.8.8.8', 80, { vlan: 7 })).kind).toBe('dropped')
    expect(card.inject(1, frame('93.184.216.34', 443)).kind).toBe('port')
    card.inject(1, frame('8.8.8.8', 81))
    await told(1)
    expect(denials.map(({ destinationPort }) => destinationPort)).toEqual([81])
  })

  it('accounts for every packet of a flood: a bucket for the workspace, a bounded queue, and a count of the rest', async () => {
    for (let i = 0; i < 3000; i++) card.inject(1, frame('8.8.8.8', 1000 + (i & 1023)))
    // The card's counters show what they were up to a second ago.
    card.advance(1500)
    await told(3000)
    expect(denials.length + lost).toBe(3000)
    // A burst, and what trickles in while it is told.
    expect(denials.length).toBeGreaterThanOrEqual(100)
    expect(denials.length).toBeLessThan(1000)
    const { drops } = await driver.observe()
    expect(drops['no-grant']).toBe(3000n)
  })
})
