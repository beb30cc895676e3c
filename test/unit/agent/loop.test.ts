// The loop on a node in memory: commands in their turn, quarantines beside them, drift found and put right, and the end.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { agentFault } from '../../../src/agent/errors.js'
import { Loop, type LoopLine } from '../../../src/agent/loop.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import { ALPHA, makeNode, memoryAs, offer, type TestNode, UNTIL } from './fixture.js'

const ID = ALPHA
let node: TestNode
let driver: MemoryDriver
let loop: Loop
let lines: LoopLine[]
let ending: AbortController
let served: Promise<void> | undefined
/** Ends the pause that the loop is in. */
let wake: () => void
let clock: number
/** Whether the trust root can be read. */
let rooted: boolean

beforeEach(() => {
  driver = new MemoryDriver()
  node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)])
  lines = []
  ending = new AbortController()
  served = undefined
  clock = 0
  rooted = true
  wake = () => undefined
  loop = new Loop({
    node: (fencing = false) =>
      rooted || fencing
        ? Promise.resolve(node)
        : Promise.reject(agentFault('AGENT_CONFIG_READ', { what: 'trust root', file: 'root.json' })),
    monotonicMs: () => clock,
    sleep: (_ms, signal) =>
      new Promise((resolve) => {
        wake = () => {
          signal.removeEventListener('abort', wake)
          resolve()
        }
        if (signal.aborted) resolve()
        else signal.addEventListener('abort', wake)
      }),
    commandId: () => 'cmd-loop',
    tell: (line) => lines.push(line),
  })
})
afterEach(async () => {
  ending.abort()
  wake()
  await served
})
const quarantine = { kind: 'quarantine-set', workspace: ID, reason: 'x', by: 'user:test', commandId: 'cmd-q' } as const
const turn = async (ms: number): Promise<void> => {
  clock += ms
  wake()
  await new Promise((resolve) => setTimeout(resolve, 0))
}
const until = async (what: () => boolean): Promise<void> => {
  for (let tries = 0; !what(); tries++) {
    if (tries > 2_000) throw new Error('waited in vain')
    await turn(100)
  }
}

describe('commands', () => {
  it('run in their turn, and a quarantine does not wait for them', async () => {
    await loop.run<'apply'>(await offer())
    let arrived: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      arrived = resolve
    })
    const next = await offer({ revision: 2n })
    const order: string[] = []
    const slow = loop
      .run<'apply'>({ ...next, fetch: () => held.then(() => next.fetch()) })
      .then(() => order.push('apply'))
    const behind = loop.run<'tend'>({ kind: 'tend', by: 'user:test', commandId: 'c' }).then(() => order.push('tend'))
    expect(await loop.run<'quarantine-set'>(quarantine)).toMatchObject({ changed: true, attached: true })
    expect((await driver.observe()).live?.quarantined).toEqual([ID])
    expect([order, loop.counters().waiting]).toEqual([[], { work: 1, fence: 0 }])
    arrived()
    await Promise.all([slow, behind])
    expect(order).toEqual(['apply', 'tend'])
    expect((await driver.observe()).live?.quarantined).toEqual([ID])
  })

  it('that fence again are told after the lift that came before', async () => {
    await loop.run<'apply'>(await offer())
    const told: string[] = []
    let lifting: () => void = () => undefined
    const isLifting = new Promise<void>((resolve) => {
      lifting = resolve
    })
    let free: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      free = resolve
    })
    node = {
      ...node,
      emit: async (facts) => {
        for (const { kind } of facts) {
          if (kind === 'quarantine-lifted') {
            lifting()
            await held
          }
          told.push(kind)
        }
      },
    }
    await loop.run<'quarantine-set'>(quarantine)
    const lifted = loop.run<'quarantine-lift'>({ ...quarantine, kind: 'quarantine-lift', commandId: 'cmd-l' })
    await isLifting
    const again = await loop.fenceNow({ ...quarantine, commandId: 'cmd-r' })
    expect((await driver.observe()).live?.quarantined).toEqual([ID])
    // Whatever would be told before it.
    for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setTimeout(resolve, 0))
    free()
    await Promise.all([lifted, again.told])
    expect(told).toEqual(['quarantine-set', 'quarantine-lifted', 'quarantine-set'])
  })

  it('that close a revoked session go before what waits', async () => {
    await loop.run<'apply'>(await offer())
    let arrived: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      arrived = resolve
    })
    const next = await offer({ revision: 2n })
    const order: string[] = []
    const running = loop.run<'apply'>({ ...next, fetch: () => held.then(() => next.fetch()) })
    const by = { by: 'stream:idp', commandId: 'c', workspace: ID, sessionId: 's-1' }
    const waiting = [
      loop.run<'tend'>({ kind: 'tend', by: 'user:test', commandId: 'c' }).then(() => order.push('tend')),
      // Nobody opened it; its turn is what counts.
      loop.run<'session-close'>({ kind: 'session-close', ...by }).catch(() => order.push('closed')),
      loop.run<'session-close'>({ kind: 'session-close', ...by, revoked: true }).catch(() => order.push('revoked')),
    ]
    arrived()
    await Promise.all([running, ...waiting])
    expect(order).toEqual(['revoked', 'tend', 'closed'])
  })

  it('that are refused are told with who asked, and the next one runs', async () => {
    const bad = await offer({ extra: 'quotas: {live_connections: 3}\n' })
    await expect(loop.run<'apply'>(bad)).rejects.toMatchObject({ code: 'PLAN_REFUSED' })
    await expect(
      loop.run<'quarantine-lift'>({ ...quarantine, kind: 'quarantine-lift', workspace: ID }),
    ).rejects.toMatchObject({ code: 'AGENT_NOT_QUARANTINED' })
    expect(lines.at(-1)).toMatchObject({ kind: 'carried', command: 'quarantine-lift', by: 'user:test', failed: true })
  })
})

describe('a trust root that cannot be read', () => {
  it('stops whatever is judged by it, and no quarantine', async () => {
    await loop.run<'apply'>(await offer())
    rooted = false
    await expect(loop.run<'apply'>(await offer({ revision: 2n }))).rejects.toMatchObject({ code: 'AGENT_CONFIG_READ' })
    expect(await loop.run<'quarantine-set'>(quarantine)).toMatchObject({ changed: true, attached: true })
    expect((await driver.observe()).live?.quarantined).toEqual([ID])
    await expect(loop.run<'quarantine-lift'>({ ...quarantine, kind: 'quarantine-lift' })).rejects.toMatchObject({
      code: 'AGENT_CONFIG_READ',
    })
  })
})

describe('a trust root that cannot be read, and drift', () => {
  it('is put right all the same: what is on record was judged before', async () => {
    await loop.run<'apply'>(await offer())
    const generation = node.store.load().live?.generation
    rooted = false
    served = loop.serve(ending.signal)
    await driver.uninstall()
    await until(() => loop.counters().repairs === 1)
    expect((await driver.observe()).live).toMatchObject({ generation, suspended: [] })
    expect([loop.counters().failures, lines.filter(({ kind }) => kind === 'failed')]).toEqual([0, []])
  })

  it('time goes on: what expires is suspended, and a detach is not refused', async () => {
    await loop.run<'apply'>(await offer())
    rooted = false
    served = loop.serve(ending.signal)
    node.now = UNTIL
    const end = async () => (await driver.observe()).live?.suspended.length
    for (let tries = 0; (await end()) !== 1; tries++) {
      if (tries > 2_000) throw new Error('waited in vain')
      await turn(100)
    }
    const made = { by: 'user:test', commandId: 'cmd-d', workspace: ID }
    expect(await loop.run<'detach'>({ kind: 'detach', ...made })).toMatchObject({ tenure: { attached: false } })
  })
})

describe('drift', () => {
  it('is not what a node has that holds nothing: with its first plan it is whole, which is told once', async () => {
    served = loop.serve(ending.signal)
    await until(() => loop.counters().sweeps >= 2)
    const told = () => lines.filter(({ kind }) => kind === 'whole').length
    expect(told()).toBe(0)
    await loop.run<'apply'>(await offer())
    const { sweeps } = loop.counters()
    await until(() => loop.counters().sweeps >= sweeps + 3)
    expect(told()).toBe(1)
  })

  it('is found by the sweep, put right, told twice and counted; and nothing is done while there is none', async () => {
    await loop.run<'apply'>(await offer())
    const generation = node.store.load().live?.generation
    served = loop.serve(ending.signal)
    await until(() => loop.counters().sweeps >= 3)
    expect(loop.counters().repairs).toBe(0)
    await driver.uninstall()
    await until(() => loop.counters().repairs === 1)
    expect((await driver.observe()).live?.generation).toBe(generation)
    expect(node.facts.filter(({ kind }) => kind.startsWith('drift-'))).toMatchObject([
      { kind: 'drift-found', findings: ['nothing is live'], live: [{ backend: 'memory', generation: null }] },
      { kind: 'drift-repaired', policy: { generation }, replaced: { generation } },
    ])
  })

  it('that cannot be put right is tried again, and a quarantine still works', async () => {
    await loop.run<'apply'>(await offer())
    served = loop.serve(ending.signal)
    const { stage } = driver
    driver.stage = () => Promise.reject(new TypeError('the kernel says no'))
    await driver.uninstall()
    await until(() => loop.counters().failures >= 3)
    expect(lines.find((line) => line.kind === 'failed')).toMatchObject({
      during: 'repair',
      error: { code: 'AGENT_ACTIVATION_FAILED' },
    })
    expect(await loop.run<'quarantine-set'>(quarantine)).toMatchObject({ changed: true })
    driver.stage = stage
    await until(() => loop.counters().repairs === 1)
    expect((await driver.observe()).live?.quarantined).toEqual([ID])
  })

  it('of a workspace that is detached ends with it detached', async () => {
    await loop.run<'apply'>(await offer())
    const made = { by: 'user:test', commandId: 'cmd-d', workspace: ID }
    const { tenure } = await loop.run<'detach'>({ kind: 'detach', ...made })
    expect(tenure).toMatchObject({ attached: false, leaseGeneration: 1 })
    await expect(loop.run<'detach'>({ kind: 'detach', ...made })).rejects.toMatchObject({ code: 'AGENT_NOT_ATTACHED' })
    await driver.uninstall()
    await loop.run<'repair'>({ kind: 'repair', by: 'sluice', commandId: 'c' })
    expect((await driver.observe()).live?.suspended).toEqual([ID])
    await loop.run<'apply'>(await offer({ revision: 2n }))
    expect((await driver.observe()).live?.suspended).toEqual([ID])
    await expect(
      loop.run<'attach'>({ kind: 'attach', ...made, slot: { kind: 'tap', interface: 'other0' } }),
    ).rejects.toMatchObject({ code: 'AGENT_SLOT_MISMATCH' })
    await expect(loop.run<'attach'>({ kind: 'attach', ...made, slot: {}, leaseGeneration: 1 })).rejects.toMatchObject({
      code: 'AGENT_LEASE_STALE',
      message: `lease 1 of ${ID} is not the newest: 1 is`,
    })
  })
})

it('keeps a workspace denied whose first attach failed half way', async () => {
  served = loop.serve(ending.signal)
  await loop.run<'apply'>(await offer())
  expect((await driver.observe()).live?.suspended).toEqual([])
  const attach = { kind: 'attach', by: 'user:test', commandId: 'cmd-a', workspace: ID } as const
  await expect(loop.run<'attach'>({ ...attach, slot: {}, netns: 'sluice-no-such' })).rejects.toMatchObject({
    code: 'AGENT_ATTACH_FAILED',
  })
  await loop.run<'repair'>({ kind: 'repair', by: 'sluice', commandId: 'c' })
  await loop.run<'apply'>(await offer({ revision: 2n }))
  expect((await driver.observe()).live?.suspended).toEqual([ID])
})

it('ends after the command that runs, and refuses what comes later', async () => {
  served = loop.serve(ending.signal)
  await loop.run<'apply'>(await offer())
  ending.abort()
  await served
  await expect(loop.run<'apply'>(await offer({ revision: 2n }))).rejects.toMatchObject({ code: 'AGENT_STOPPING' })
  await expect(loop.run<'quarantine-set'>(quarantine)).rejects.toMatchObject({ code: 'AGENT_STOPPING' })
})
