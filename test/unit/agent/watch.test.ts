// Watching: refusals folded into facts with their policy and workspace, counters that moved, and an end when asked.

import { describe, expect, it } from 'vitest'
import { Ears } from '../../../src/agent/ears.js'
import { apply } from '../../../src/agent/enforce.js'
import type { AgentNode } from '../../../src/agent/node.js'
import { watch } from '../../../src/agent/watch.js'
import type { Fact } from '../../../src/audit/fact.js'
import type { Denial, DenialBatch, GrantCounter, Observed } from '../../../src/backends/backend.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import { digestOfText } from '../../../src/base/digest.js'
import type { Plan } from '../../../src/plan/model.js'
import { ALPHA, MAIL, makeNode, memoryAs, NOW, offer, WEB } from './fixture.js'

class Reporting extends MemoryDriver {
  deliver: ((batch: DenialBatch) => void) | undefined
  counters: readonly GrantCounter[] = []
  unsubscribed = 0
  override denials(deliver: (batch: DenialBatch) => void): Promise<() => Promise<void>> {
    this.deliver = deliver
    return Promise.resolve(() => {
      this.unsubscribed++
      return Promise.resolve()
    })
  }
  override async observe(): Promise<Observed> {
    return { ...(await super.observe()), counters: this.counters }
  }
}

const denial = (destination: string): Denial => ({
  atMs: NOW + 10,
  workspace: ALPHA,
  direction: 'from',
  reason: 'no-grant',
  protocol: 6,
  source: '10.9.0.2',
  sourcePort: 40_000,
  destination,
  destinationPort: 80,
  generation: 1,
})

/** The next watch has its ears open, or has taken them over, and goes by what is on record. */
function watched(node: AgentNode): { readonly node: AgentNode; readonly begun: Promise<void> } {
  let begin: () => void
  const begun = new Promise<void>((done) => {
    begin = done
  })
  let loads = 0
  // The first look is for what is watched; from the second on the ears are open and another generation is noticed.
  const load = (): ReturnType<AgentNode['store']['load']> => {
    loads++
    if (loads === 2) begin()
    return node.store.load()
  }
  return { node: { ...node, store: Object.create(node.store, { load: { value: load } }) as AgentNode['store'] }, begun }
}

describe('watching', () => {
  it('folds refusals into facts with workspace and policy, and puts them into the trail', async () => {
    const driver = new Reporting()
    const node = makeNode([memoryAs('memory', ['veth'], driver)])
    await apply(node, await offer())
    node.facts.length = 0
    const told: Fact[] = []
    const stop = new AbortController()
    const seen = watched(node)
    const watching = watch(seen.node, new Ears(), stop.signal, (facts) => told.push(...facts))
    await seen.begun
    driver.deliver?.({ denials: [denial('1.1.1.1'), denial('1.1.1.1'), denial('2.2.2.2')], lost: 7 })
    stop.abort()
    expect(await watching).toBe('stopped')
    expect(told).toMatchObject([
      { kind: 'audit-lost', lost: 7 },
      { kind: 'flow-denied', count: 2, policy: { generation: 1, bundleId: 'sample' }, workspace: { interface: 'ws0' } },
      { kind: 'flow-denied', count: 1, flow: { direction: 'egress', destination: '2.2.2.2', destinationPort: 80 } },
    ])
    expect(node.facts).toEqual(told)
    expect(driver.unsubscribed).toBe(1)
  })

  it('tells allowed traffic from counters that moved, with the clause', async () => {
    const driver = new Reporting()
    const node = makeNode([memoryAs('memory', ['veth'], driver)])
    const { plan } = await apply(node, await offer({ egress: [WEB, MAIL] }))
    const grants = plan.workspaces[0]?.network.egress.map((grant) => grant.id) ?? []
    const count = (packets: bigint): GrantCounter[] =>
      grants.map((grant, i) => ({ workspace: ALPHA, grant, packets: i === 0 ? packets : 5n, bytes: packets * 100n }))
    driver.counters = count(3n)
    const told: Fact[] = []
    const stop = new AbortController()
    const seen = watched(node)
    const watching = watch(seen.node, new Ears(), stop.signal, (facts) => told.push(...facts))
    await seen.begun
    driver.counters = count(10n)
    stop.abort()
    await watching
    expect(told).toMatchObject([
      { kind: 'flow-allowed', traffic: { packets: 7, bytes: 700 }, grant: grants[0], flow: { source: '10.9.0.2' } },
    ])
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({ clauseName: expect.stringMatching(/^rule-\d$/) as string })
  })

  it('tells once of an observation that ended while nobody watched', async () => {
    const node = makeNode([memoryAs('memory', ['veth'], new Reporting())])
    const { plan } = await apply(node, await offer())
    const observe = { clause: digestOfText('observe'), untilMs: NOW + 5_000, names: [] }
    const workspaces = plan.workspaces.map((entry) => ({ ...entry, network: { ...entry.network, observe } }))
    const observing = { ...plan, workspaces } as Plan
    const store = Object.create(node.store, { loadPlan: { value: () => observing } }) as AgentNode['store']
    const watchOnce = async (): Promise<string[]> => {
      const told: Fact[] = []
      const stop = new AbortController()
      const seen = watched({ ...node, store })
      const watching = watch(seen.node, new Ears(), stop.signal, (facts) => told.push(...facts))
      await seen.begun
      stop.abort()
      await watching
      return told.map(({ kind }) => kind)
    }
    expect(await watchOnce()).toEqual([])
    node.now += 60_000
    expect(await watchOnce()).toEqual(['observe-ended'])
    expect(await watchOnce()).toEqual([])
  })

  it('ends when another generation is on record', async () => {
    const node = makeNode([memoryAs('memory', ['veth'], new Reporting())])
    await apply(node, await offer())
    const seen = watched(node)
    const watching = watch(seen.node, new Ears(), new AbortController().signal, () => undefined)
    await seen.begun
    await apply(node, await offer({ revision: 2n, egress: [MAIL] }))
    expect(await watching).toBe('generation-changed')
  })

  it('listens on from one generation to the next, and knows whose policy refused what is told late', async () => {
    const driver = new Reporting()
    const node = makeNode([memoryAs('memory', ['veth'], driver)])
    await apply(node, await offer())
    const ears = new Ears()
    const told: Fact[] = []
    const stop = new AbortController()
    const watchOn = async () => {
      const seen = watched(node)
      const end = watch(seen.node, ears, stop.signal, (facts) => told.push(...facts))
      await seen.begun
      return { end }
    }
    const first = await watchOn()
    await apply(node, await offer({ revision: 2n, egress: [MAIL] }))
    expect(await first.end).toBe('generation-changed')
    expect(driver.unsubscribed).toBe(0)
    // Between two watches, when nobody looks.
    driver.deliver?.({ denials: [denial('3.3.3.3')], lost: 0 })
    const second = await watchOn()
    stop.abort()
    expect(await second.end).toBe('stopped')
    expect(told).toMatchObject([{ kind: 'flow-denied', policy: { generation: 1 }, flow: { destination: '3.3.3.3' } }])
    expect(driver.unsubscribed).toBe(1)
  })

  it('lets go of a backend that is no longer there, and of a half that could not be heard', async () => {
    const [gone, stays] = [new Reporting(), new Reporting()]
    const ears = new Ears()
    await ears.open([gone, stays])
    await ears.open([stays])
    expect([gone.unsubscribed, stays.unsubscribed]).toEqual([1, 0])
    const deaf = Object.assign(new Reporting(), { fileDenials: () => Promise.reject(new Error('no daemon')) })
    await expect(ears.open([stays, deaf])).rejects.toThrow('no daemon')
    expect([deaf.unsubscribed, stays.unsubscribed]).toEqual([1, 0])
    await ears.close()
    expect(stays.unsubscribed).toBe(1)
  })
})
