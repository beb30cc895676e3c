// A backend that is lost while the node runs (failure table): its workspaces stay where they are, nothing is placed on a weaker
// one, what the others carry goes on, and it is said once and again when it is back. And the same on the software BlueField,
// where a reset takes everything: nothing passes until the loop has built it anew.

import { describe, expect, it } from 'vitest'
import { tendAll } from '../../../src/agent/admit.js'
import { apply } from '../../../src/agent/enforce.js'
import { tend } from '../../../src/agent/freshness.js'
import { fenceAll } from '../../../src/agent/last-resort.js'
import { Loop, type LoopLine } from '../../../src/agent/loop.js'
import { quarantine } from '../../../src/agent/quarantine.js'
import { status } from '../../../src/agent/status.js'
import type { OpenBackend } from '../../../src/agent/transaction.js'
import type { Observed, Staged } from '../../../src/backends/backend.js'
import { DocaDriver } from '../../../src/backends/doca-flow/driver.js'
import { docaFlowBackend } from '../../../src/backends/doca-flow/index.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import type { Capabilities } from '../../../src/plan/capabilities.js'
import { BlueField } from '../../support/doca/bluefield.js'
import { ipFrame } from '../../support/frames.js'
import { ALPHA, BETA, MAIL, makeNode, memoryAs, offer, type TestNode, UNTIL, WEB } from './fixture.js'

/** A backend whose library, kernel or device can be taken away and given back. */
class Mortal extends MemoryDriver {
  gone = false
  private readonly there = <T>(act: () => Promise<T>): Promise<T> =>
    this.gone ? Promise.reject(new TypeError('the device does not answer')) : act()
  override observe = (): Promise<Observed> => this.there(() => super.observe())
  override stage = (program: Parameters<MemoryDriver['stage']>[0]): Promise<Staged> =>
    this.there(() => super.stage(program))
  override flag = (...args: Parameters<MemoryDriver['flag']>): Promise<void> => this.there(() => super.flag(...args))
}

function rig(slots: readonly (readonly ['veth' | 'tap', ...('veth' | 'tap')[]])[] = [['veth'], ['veth', 'tap']]) {
  const card = new Mortal()
  const host = new MemoryDriver()
  const node = makeNode([memoryAs('doca-flow', slots[0] ?? [], card), memoryAs('nftables', slots[1] ?? [], host)])
  return { node, card, host }
}

describe('a backend that is lost', () => {
  it('keeps its workspaces: a bundle that comes meanwhile is put off, and the other backend gets none of them', async () => {
    const { node, card, host } = rig()
    await apply(node, await offer())
    card.gone = true
    await expect(apply(node, await offer({ revision: 2n, egress: [MAIL] }))).rejects.toMatchObject({
      code: 'AGENT_BACKEND_LOST',
      reaction: 'retry',
      message: 'the backend doca-flow cannot be asked what is live',
    })
    expect((await host.observe()).live).toBeNull()
    expect(node.store.load()).toMatchObject({ live: { generation: 1, backends: ['doca-flow'] }, refused: [] })
    card.gone = false
    await apply(node, await offer({ revision: 2n, egress: [MAIL] }))
    expect([(await card.observe()).live?.generation, (await host.observe()).live]).toEqual([2, null])
  })

  it('that answers and takes nothing is not passed over either', async () => {
    const { node, card, host } = rig()
    await apply(node, await offer())
    const { stage } = card
    card.stage = () => Promise.reject(new TypeError('it takes nothing'))
    await expect(apply(node, await offer({ revision: 2n, egress: [MAIL] }))).rejects.toMatchObject({
      code: 'AGENT_ACTIVATION_FAILED',
      message: 'the backend doca-flow failed at stage; nothing was switched, and what was live stays live',
    })
    expect((await host.observe()).live).toBeNull()
    card.stage = stage
  })

  it('is said by status, with the reason, and nothing of it is called active', async () => {
    const { node, card } = rig()
    await apply(node, await offer({ workspaces: [ALPHA, BETA] }))
    expect((await status(node)).state).toBe('active')
    card.gone = true
    expect(await status(node)).toMatchObject({
      state: 'lost',
      drift: ['doca-flow: the backend doca-flow cannot be asked what is live: the device does not answer'],
      live: { generation: 1 },
    })
  })

  it('does not keep the other workspaces from being suspended, quarantined and fenced as a last resort', async () => {
    const { node, card, host } = rig()
    await apply(node, await offer({ workspaces: [ALPHA, BETA] }))
    card.gone = true
    const command = { kind: 'quarantine-set', workspace: BETA, reason: 'x', by: 'user:test', commandId: 'c' } as const
    expect(await quarantine(node, command)).toMatchObject({ changed: true, attached: true })
    await expect(fenceAll(node, [ALPHA, BETA], 'why', [])).rejects.toThrow('the device does not answer')
    expect(node.store.quarantines().map(({ workspace }) => workspace)).toEqual([ALPHA, BETA])
    node.now = UNTIL
    await expect(tend(node)).rejects.toThrow('the device does not answer')
    expect((await host.observe()).live).toMatchObject({ quarantined: [BETA], suspended: [BETA] })
  })

  it('whose quarantine is due again keeps nobody else from being suspended, nor another quarantine from coming back', async () => {
    const { node, card, host } = rig()
    await apply(node, await offer({ workspaces: [ALPHA, BETA] }))
    const lifts = [ALPHA, BETA].map((workspace) => ({
      ...{ workspace, quarantine: `cmd-${workspace}`, reason: 'leak', by: 'user:test', untilMs: UNTIL - 1 },
    }))
    node.store.saveTrustMemory({ ...node.store.trustMemory(), lifts })
    node.now = UNTIL
    card.gone = true
    await expect(tendAll(node)).rejects.toThrow('the device does not answer')
    expect((await host.observe()).live).toMatchObject({ quarantined: [BETA], suspended: [BETA] })
    expect(node.store.trustMemory().lifts).toMatchObject([{ workspace: ALPHA }])
    card.gone = false
    expect(await tendAll(node)).toMatchObject({ relocked: [ALPHA], suspended: [ALPHA] })
    expect(node.store.trustMemory().lifts).toEqual([])
  })
})

/** The loop over a node, with a clock that the test moves. */
function run(node: TestNode) {
  const lines: LoopLine[] = []
  const ending = new AbortController()
  let clock = 0
  let wake: () => void = () => undefined
  const sleep = (_ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
  const loop = new Loop({
    node: () => Promise.resolve(node),
    monotonicMs: () => clock,
    sleep,
    commandId: () => 'cmd-loop',
    tell: (line) => lines.push(line),
  })
  const served = loop.serve(ending.signal)
  const until = async (what: () => boolean): Promise<void> => {
    for (let tries = 0; !what(); tries++) {
      if (tries > 5_000) throw new Error('waited in vain')
      clock += 100
      wake()
      await new Promise((resolve) => setTimeout(resolve, 0))
    }
  }
  const end = async (): Promise<void> => {
    ending.abort()
    wake()
    await served
  }
  return { lines, loop, until, end, clock: () => clock }
}

describe('the loop', () => {
  it('tells a loss once, asks less and less often, and tells that it is whole again', async () => {
    const { node, card } = rig()
    await apply(node, await offer())
    const { lines, loop, until, end, clock } = run(node)
    await until(() => loop.counters().sweeps >= 2)
    card.gone = true
    const asked: number[] = []
    let failures = 0
    await until(() => {
      const now = loop.counters().failures
      if (now > failures) asked.push(clock())
      failures = now
      return asked.length >= 12
    })
    expect(node.facts.filter(({ kind }) => kind.startsWith('drift-'))).toMatchObject([
      {
        kind: 'drift-found',
        findings: ['the backend doca-flow cannot be asked what is live: the device does not answer'],
        policy: { generation: 1 },
      },
    ])
    expect(lines.some(({ kind }) => kind === 'whole')).toBe(false)
    card.gone = false
    await until(() => lines.some(({ kind }) => kind === 'whole'))
    await end()
    expect(node.facts.at(-1)).toMatchObject({
      kind: 'drift-repaired',
      policy: { generation: 1 },
      replaced: { generation: 1 },
    })
    expect(loop.counters().repairs).toBe(0)
    const sweeps = lines.filter((line) => line.kind === 'failed' && line.during === 'sweep').length
    // Every 5 s it would have been asked far more often.
    expect(sweeps).toBeLessThan(12)
  })

  it('rebuilds what a reset of the device took; nothing passes meanwhile, and nothing moves to the host', async () => {
    const card = BlueField.load()
    card.topology(['ws0'])
    const driver = await DocaDriver.open({ attachInterfaces: [], stateDirectory: '' })
    // Without tracked connections, so that the card alone says what passes.
    const probed = await driver.probe()
    const probes = probed.probes.filter(({ feature }) => feature !== 'tracking')
    const capabilities: Capabilities = { ...docaFlowBackend.capabilities({ ...probed, probes }), slots: ['veth'] }
    const doca: OpenBackend = { backend: docaFlowBackend, driver, capabilities }
    const host = new MemoryDriver()
    const node = makeNode([doca, memoryAs('nftables', ['veth', 'tap'], host)])
    const frame = ipFrame({
      source: '10.9.0.2',
      destination: WEB.cidr.split('/')[0] ?? '',
      sourceMac: '02:00:00:00:00:02',
      destinationMac: '02:00:00:00:00:01',
      payload: { kind: 'tcp', from: 40_000, to: WEB.port, flags: 2 },
    })
    const passes = (): boolean => {
      try {
        return card.inject(1, frame).kind === 'port'
      } catch {
        // The port is not started: nothing of it passes.
        return false
      }
    }
    await apply(node, await offer())
    expect(passes()).toBe(true)
    const { loop, until, end } = run(node)
    await until(() => loop.counters().sweeps >= 1)
    card.fault('reset', 0)
    expect(passes()).toBe(false)
    expect(await status(node)).toMatchObject({ state: 'drifted' })
    await until(() => loop.counters().repairs >= 1)
    expect(passes()).toBe(true)
    expect((await status(node)).state).toBe('active')
    expect((await host.observe()).live).toBeNull()
    expect(await driver.inspect()).toMatchObject([
      {
        workspace: ALPHA,
        emulated: true,
        generation: 2,
        hooks: [{ hook: 'from port', on: 'ws0#1' }, { hook: 'to address' }],
      },
    ])
    await end()
    await driver.close()
  })
})
