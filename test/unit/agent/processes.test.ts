// What programs did, and what follows: every reaction of a batch is carried out, one that failed is owed, and a guest's word about
// whose program it was cuts nobody off.

import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { apply } from '../../../src/agent/enforce.js'
import { agentFault } from '../../../src/agent/errors.js'
import type { AgentNode } from '../../../src/agent/node.js'
import { Owed } from '../../../src/agent/owed.js'
import { watchProcesses } from '../../../src/agent/processes.js'
import type { ActivityBatch } from '../../../src/backends/backend.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import { digestOfText } from '../../../src/base/digest.js'
import { Fault } from '../../../src/base/fault.js'
import type { Plan } from '../../../src/plan/model.js'
import { ALPHA, BETA, makeNode, memoryAs, NOW, offer } from './fixture.js'

class Sensor extends MemoryDriver {
  deliver: ((batch: ActivityBatch) => Promise<void>) | undefined
  activities(deliver: (batch: ActivityBatch) => Promise<void>): Promise<() => Promise<void>> {
    this.deliver = deliver
    return Promise.resolve(() => Promise.resolve())
  }
}

const activity = (workspace: string, boundBy?: 'interfaces'): ActivityBatch['activities'][number] => ({
  ...{ workspace, ...(boundBy ? { boundBy } : {}) },
  record: {
    ...{ activity: 'reverse-shell', said: 'reverse shell', atMs: NOW },
    workload: { macs: [], addresses: [] },
  },
})

/** A node whose plan suspects reverse shells, and what was fenced there. */
async function watched(fence: (workspace: string) => Promise<string>) {
  const driver = new Sensor()
  const node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)])
  const { plan } = await apply(node, await offer({ workspaces: [ALPHA, BETA] }))
  const activities = { clause: digestOfText('acts'), reaction: 'quarantine', kinds: ['reverse-shell'] } as const
  const suspecting: Plan = {
    ...plan,
    workspaces: plan.workspaces.map((entry) => ({ ...entry, process: { activities } })),
  }
  const store = Object.create(node.store, { loadPlan: { value: () => suspecting } }) as AgentNode['store']
  const over = new AbortController()
  const effects = { fence, end: () => Promise.resolve('elsewhere' as const), seen: () => undefined }
  const running = watchProcesses({ ...node, store }, effects, over.signal)
  await sleep(20)
  node.facts.length = 0
  const findings = () => node.facts.flatMap((fact) => (fact.kind === 'finding' ? [fact] : []))
  const stop = () => {
    over.abort()
    return running
  }
  return { node, driver, findings, stop }
}

describe('reacting', () => {
  it('goes on to the next after one that failed, tells that, and tries it again', async () => {
    const fenced: string[] = []
    let broken = true
    const { node, driver, findings, stop } = await watched((workspace) => {
      if (workspace === ALPHA && broken) return Promise.reject(agentFault('AGENT_KILL', { group: 'none' }))
      fenced.push(workspace)
      return Promise.resolve('command')
    })
    const taken = driver.deliver?.({ activities: [activity(ALPHA), activity(BETA)], lost: 0 })
    await expect(taken).rejects.toThrow(Fault)
    expect(fenced).toEqual([BETA])
    expect(findings().map(({ workspace, outcome }) => [workspace?.workspace, outcome])).toEqual([
      [ALPHA, 'failed'],
      [BETA, 'done'],
    ])
    broken = false
    node.now += 1_000
    await expect.poll(() => fenced, { timeout: 3_000 }).toEqual([BETA, ALPHA])
    await expect.poll(() => findings().at(-1), { timeout: 3_000 }).toMatchObject({ news: 'updated', outcome: 'done' })
    await stop()
  })

  it('only tells of what a guest says is another', async () => {
    const fenced: string[] = []
    const { driver, findings, stop } = await watched((workspace) => {
      fenced.push(workspace)
      return Promise.resolve('command')
    })
    await driver.deliver?.({ activities: [activity(ALPHA, 'interfaces')], lost: 0 })
    expect(findings()).toMatchObject([{ reaction: 'observe', outcome: 'observed' }])
    expect(fenced).toEqual([])
    await stop()
  })
})

describe('what is owed', () => {
  it('comes due after longer and longer, and is given up', () => {
    const owed = new Owed<string>()
    const waits: number[] = []
    let nowMs = 0
    owed.add('a', 'fence', nowMs)
    for (;;) {
      const fromMs = nowMs
      while (owed.due(nowMs).length === 0 && nowMs - fromMs <= 100_000) nowMs += 500
      if (owed.due(nowMs).length === 0) break
      waits.push(nowMs - fromMs)
      owed.add('a', 'fence', nowMs)
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000])
    owed.add('b', 'fence', nowMs)
    owed.done('b')
    expect(owed.due(nowMs + 100_000)).toEqual([])
  })
})
