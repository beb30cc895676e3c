// One bundle from bytes to a live plan, and everything that must not change when it is refused or fails half way.

import { describe, expect, it } from 'vitest'
import { apply } from '../../../src/agent/enforce.js'
import { tend } from '../../../src/agent/freshness.js'
import { repair } from '../../../src/agent/loop-repair.js'
import { quarantine } from '../../../src/agent/quarantine.js'
import { status } from '../../../src/agent/status.js'
import type { OpenBackend } from '../../../src/agent/transaction.js'
import type { Observed, Staged } from '../../../src/backends/backend.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import { utf8 } from '../../../src/base/bytes.js'
import { Fault } from '../../../src/base/fault.js'
import type { PlanSlice } from '../../../src/plan/model.js'
import { ALPHA, BETA, MAIL, makeNode, memoryAs, NOW, offer, STRANGER, type TestNode, WEB } from './fixture.js'

const codeOf = async (action: Promise<unknown>): Promise<string> => {
  try {
    await action
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
  return 'accepted'
}
const liveOf = async (node: TestNode) => {
  const seen = await status(node)
  return { state: seen.state, generation: seen.live?.generation, revision: seen.live?.source.policyRevision }
}

describe('apply', () => {
  it('activates a first bundle as generation 1 and tells the trail', async () => {
    const node = makeNode()
    const applied = await apply(node, await offer())
    expect(applied.decision).toEqual({ kind: 'replace', generation: 1 })
    expect(applied.signers).toEqual(['author-1', 'release-1'])
    expect(node.facts.map((fact) => fact.kind)).toEqual(['bundle-verified', 'bundle-activated'])
    expect(await liveOf(node)).toEqual({ state: 'active', generation: 1, revision: '1' })
    expect(node.store.load().mark).toMatchObject({ epoch: 1, revision: '1' })
  })

  it('keeps the generation when the same bundle comes again, and reads back what is live', async () => {
    const node = makeNode()
    const first = await apply(node, await offer())
    const again = await apply(node, await offer())
    expect(again.decision).toEqual({ kind: 'keep', generation: 1 })
    expect(again.planDigest).toBe(first.planDigest)
    expect(node.facts.filter((fact) => fact.kind === 'bundle-activated')).toHaveLength(1)
  })

  it('puts the same generation back when nothing of it is there any more', async () => {
    const driver = new MemoryDriver()
    const node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)])
    await apply(node, await offer())
    await driver.uninstall()
    expect(await liveOf(node)).toMatchObject({ state: 'absent', generation: 1 })
    expect((await apply(node, await offer())).decision).toEqual({ kind: 'restore', generation: 1 })
    expect(await liveOf(node)).toMatchObject({ state: 'active', generation: 1 })
  })

  it('replaces everything under a new number when something else changed what is live', async () => {
    const driver = new MemoryDriver()
    const node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)])
    const { plan, planDigest } = await apply(node, await offer())
    const foreign: PlanSlice = { generation: 9, planDigest, source: plan.source, workspaces: [] }
    await driver.commit(await driver.stage(foreign))
    expect((await status(node)).drift).toEqual([
      'memory: generation 9 is live, not 1',
      `memory: ${ALPHA} is not attached`,
    ])
    const { decision } = await apply(node, await offer())
    // Past every number that the kernel has seen: backends refuse to go back.
    expect(decision).toMatchObject({ kind: 'repair', generation: 10 })
    expect(await liveOf(node)).toMatchObject({ state: 'active', generation: 10 })
  })

  it('makes a new generation of a higher revision and names the one that it replaced', async () => {
    const node = makeNode()
    await apply(node, await offer())
    const applied = await apply(node, await offer({ revision: 2n, egress: [WEB, MAIL] }))
    expect(applied).toMatchObject({ generation: 2, previous: { generation: 1 } })
    const activated = node.facts.filter((fact) => fact.kind === 'bundle-activated')
    expect(activated.at(-1)).toMatchObject({
      policy: { generation: 2 },
      replaced: { generation: 1 },
      backend: 'memory',
    })
  })

  it('makes a new generation when only the inventory changed', async () => {
    const node = makeNode()
    await apply(node, await offer())
    const applied = await apply(node, await offer({ workspaces: [ALPHA, BETA], inventoryRevision: 2 }))
    expect(applied.generation).toBe(2)
    expect(applied.plan.workspaces.map((entry) => entry.workspace)).toEqual([ALPHA, BETA])
  })

  it('forgets plans that the state names no more', async () => {
    const node = makeNode()
    const first = await apply(node, await offer())
    await apply(node, await offer({ revision: 2n, egress: [MAIL] }))
    expect(() => node.store.loadPlan(first.planDigest)).toThrow(/the file is missing/)
  })
})

describe('a refused bundle', () => {
  const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 100 ? byte ^ 1 : byte))
  const member = (text: string) => new Map([['fence.yaml', utf8(text)]])
  const cases = [
    [
      'BUNDLE_MEMBER_DIGEST',
      { tamper: (b) => ({ ...b, members: new Map([...b.members].map(([p, c]) => [p, flipped(c)])) }) },
    ],
    ['BUNDLE_MEMBER_SIZE', { tamper: (b) => ({ ...b, members: member('x: 1\n') }) }],
    ['BUNDLE_SIGNATURE', { tamper: (b) => ({ ...b, manifest: flipped(b.manifest) }) }],
    ['BUNDLE_THRESHOLD', { releaseKey: STRANGER }],
    ['BUNDLE_NOT_YET_VALID', { notBeforeMs: NOW + 1 }],
    ['PLAN_POLICY_INVALID', { extra: 'egres: []\n' }],
    ['PLAN_INVENTORY_INVALID', { statementRevision: 3n }],
    ['PLAN_REFUSED', { extra: 'require_domain: dpu-restricted\n' }],
  ] as const satisfies readonly (readonly [string, Parameters<typeof offer>[0]])[]
  for (const [code, change] of cases)
    it(`${code} leaves what is live untouched`, async () => {
      const node = makeNode()
      await apply(node, await offer())
      const before = node.store.load()
      expect(await codeOf(apply(node, await offer({ revision: 2n, ...change })))).toBe(code)
      expect(await liveOf(node)).toEqual({ state: 'active', generation: 1, revision: '1' })
      expect({ ...node.store.load(), refused: [] }).toEqual({ ...before, refused: [] })
      const refused = node.facts.at(-1)
      expect(refused).toMatchObject({ kind: 'bundle-refused', code, held: { generation: 1 } })
    })

  it('an older revision is refused, also after a newer one failed to activate', async () => {
    const driver = new Failing('commit')
    const node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)])
    driver.failing = false
    await apply(node, await offer({ revision: 5n }))
    expect(await codeOf(apply(node, await offer({ revision: 4n })))).toBe('BUNDLE_COUNTER_REGRESSION')
    driver.failing = true
    expect(await codeOf(apply(node, await offer({ revision: 6n, egress: [MAIL] })))).toBe('AGENT_ACTIVATION_FAILED')
    expect(await codeOf(apply(node, await offer({ revision: 5n })))).toBe('BUNDLE_COUNTER_REGRESSION')
    expect(await liveOf(node)).toEqual({ state: 'active', generation: 1, revision: '5' })
  })

  it('marks forgery as an attack and an author mistake as none', async () => {
    const node = makeNode()
    await codeOf(apply(node, await offer({ releaseKey: STRANGER })))
    await codeOf(apply(node, await offer({ extra: 'egres: []\n' })))
    const refusals = node.facts.filter((fact) => fact.kind === 'bundle-refused')
    expect(refusals.map((fact) => fact.attack)).toEqual([true, false])
    expect(refusals[0]).toMatchObject({ offered: { bundleId: 'sample', policyRevision: '1' } })
    expect(refusals[0]).not.toHaveProperty('held')
  })

  it('is not judged twice, unless an operator insists', async () => {
    const node = makeNode()
    const bad = { releaseKey: STRANGER }
    expect(await codeOf(apply(node, await offer(bad)))).toBe('BUNDLE_THRESHOLD')
    expect(await codeOf(apply(node, await offer(bad)))).toBe('AGENT_REFUSED_BEFORE')
    expect(await codeOf(apply(node, await offer({ ...bad, retry: true })))).toBe('BUNDLE_THRESHOLD')
    expect(node.store.load().refused).toHaveLength(1)
  })

  it('that was only early is judged again', async () => {
    const node = makeNode()
    const early = { notBeforeMs: NOW + 1_000 }
    expect(await codeOf(apply(node, await offer(early)))).toBe('BUNDLE_NOT_YET_VALID')
    node.now = NOW + 2_000
    expect(await codeOf(apply(node, await offer(early)))).toBe('accepted')
  })

  it('whose transport fails is told to the trail', async () => {
    const node = makeNode()
    const command = await offer()
    const broken = {
      ...command,
      fetch: () =>
        Promise.reject(new Fault('TRANSPORT_NO_MANIFEST', { reaction: 'reject', say: () => 'none', remedy: '' }, {})),
    }
    expect(await codeOf(apply(node, broken))).toBe('TRANSPORT_NO_MANIFEST')
    expect(node.facts).toMatchObject([{ kind: 'bundle-refused', code: 'TRANSPORT_NO_MANIFEST', offered: {} }])
    expect(node.store.load().refused).toEqual([])
  })
})

/** A memory backend that refuses one step. */
class Failing extends MemoryDriver {
  failing = true
  constructor(private readonly step: 'stage' | 'commit') {
    super()
  }
  override stage(program: PlanSlice): Promise<Staged> {
    return this.failing && this.step === 'stage' ? Promise.reject(new Error('no room')) : super.stage(program)
  }
  override commit(staged: Staged): Promise<void> {
    return this.failing && this.step === 'commit' ? Promise.reject(new Error('no room')) : super.commit(staged)
  }
}

describe('an activation that fails half way', () => {
  const two = (veth: MemoryDriver, tap: MemoryDriver): OpenBackend[] => [
    memoryAs('nftables', ['veth'], veth),
    memoryAs('ebpf', ['tap'], tap),
  ]

  it('stages everywhere before it switches anywhere', async () => {
    const [good, bad] = [new MemoryDriver(), new Failing('stage')]
    const node = makeNode(two(good, bad))
    expect(await codeOf(apply(node, await offer({ workspaces: [ALPHA, BETA] })))).toBe('AGENT_ACTIVATION_FAILED')
    expect((await good.observe()).live).toBeNull()
    expect(node.store.load()).toMatchObject({ mark: null, live: null, next: null })
  })

  for (const [name, order] of [
    ['the first switch', (bad: MemoryDriver, good: MemoryDriver) => two(good, bad)],
    ['the last switch', (bad: MemoryDriver, good: MemoryDriver) => two(bad, good)],
  ] as const)
    it(`goes back to the old plan on every backend when ${name} fails`, async () => {
      const [good, bad] = [new MemoryDriver(), new Failing('commit')]
      bad.failing = false
      const node = makeNode(order(bad, good))
      await apply(node, await offer({ workspaces: [ALPHA, BETA] }))
      bad.failing = true
      const next = { revision: 2n, egress: [MAIL], workspaces: [ALPHA, BETA] }
      expect(await codeOf(apply(node, await offer(next)))).toBe('AGENT_ACTIVATION_FAILED')
      expect((await good.observe()).live?.generation).toBe(1)
      expect((await bad.observe()).live?.generation).toBe(1)
      expect(await liveOf(node)).toEqual({ state: 'active', generation: 1, revision: '1' })
      expect(node.store.load()).toMatchObject({ next: null, mark: { revision: '2' }, lastGeneration: 2 })
      bad.failing = false
      expect((await apply(node, await offer(next))).generation).toBe(3)
    })

  it.each([
    [
      'AGENT_NOT_LIVE',
      (seen: Observed): Observed => ({ ...seen, live: seen.live && { ...seen.live, workspaces: [] } }),
    ],
    [
      'AGENT_BACKEND_LOST',
      () => {
        throw new TypeError('it does not answer')
      },
    ],
  ])('does not give back what was revoked when the look after the switch ends in %s', async (code, shown) => {
    const driver = new MemoryDriver()
    const node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)])
    const observe = driver.observe.bind(driver)
    await apply(node, await offer({ egress: [WEB, MAIL] }))
    driver.observe = async () => {
      const seen = await observe()
      return seen.live?.generation === 2 ? shown(seen) : seen
    }
    const told = node.facts.length
    expect(await codeOf(apply(node, await offer({ revision: 2n, egress: [MAIL] })))).toBe(code)
    // The trail refuses nothing that is in force, and says what nobody saw; the record and the next offer agree.
    expect(node.facts.slice(told)).toMatchObject([
      { kind: 'bundle-verified' },
      {
        kind: 'bundle-activated',
        policy: { policyRevision: '2', generation: 2 },
        replaced: { policyRevision: '1' },
        unseen: expect.stringMatching(
          code === 'AGENT_NOT_LIVE' ? /^after the commit the backend memory shows/ : /: it does not answer$/,
        ) as string,
      },
    ])
    expect(node.store.load()).toMatchObject({ live: { generation: 2 }, next: null, refused: [] })
    // As the loop does it, before the backend answers as it should and after.
    await codeOf(repair(node))
    driver.observe = observe
    await repair(node)
    expect(await liveOf(node)).toMatchObject({ state: 'active', revision: '2' })
    expect(node.facts.flatMap((fact) => (fact.kind === 'drift-repaired' ? [fact.policy.policyRevision] : []))).toEqual(
      code === 'AGENT_NOT_LIVE' ? ['2'] : [],
    )
  })

  it('quarantines what it cannot take back, durably', async () => {
    const [good, bad] = [new MemoryDriver(), new Failing('commit')]
    const node = makeNode(two(bad, good))
    // ebpf (good) switches first by name; there is no earlier plan to go back to.
    expect(await codeOf(apply(node, await offer({ workspaces: [ALPHA, BETA] })))).toBe('AGENT_ACTIVATION_FAILED')
    expect((await good.observe()).live?.quarantined).toEqual([BETA])
    expect(node.store.quarantines()).toMatchObject([{ workspace: BETA, by: 'sluice' }])
  })
})

describe('quarantine', () => {
  const command = (kind: 'quarantine-set' | 'quarantine-lift', workspace = ALPHA) =>
    ({ kind, workspace, reason: 'incident', by: 'user:test', commandId: 'cmd-2' }) as const

  it('is in force, on record and in the trail, and survives an apply', async () => {
    const driver = new MemoryDriver()
    const node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)])
    await apply(node, await offer())
    expect(await quarantine(node, command('quarantine-set'))).toMatchObject({ changed: true, generation: 1 })
    expect((await status(node)).workspaces[0]?.flags).toEqual(['quarantined'])
    expect(node.facts.at(-1)).toMatchObject({
      kind: 'quarantine-set',
      workspace: { workspace: ALPHA, interface: 'ws0' },
      reason: 'incident',
      by: 'user:test',
    })
    await driver.uninstall()
    await apply(node, await offer())
    expect((await driver.observe()).live?.quarantined).toEqual([ALPHA])
  })

  it('that is asked for while its workspace moves to another backend is in force where it was and where it comes to', async () => {
    let asked: () => Promise<unknown> = () => Promise.resolve()
    const seen: (readonly string[] | undefined)[] = []
    class Target extends MemoryDriver {
      override async commit(staged: Staged): Promise<void> {
        await asked()
        await super.commit(staged)
        // Before the activation looks at the record again.
        seen.push((await this.observe()).live?.quarantined)
      }
    }
    const [from, to] = [new MemoryDriver(), new Target()]
    const node = makeNode([memoryAs('nftables', ['veth'], from), memoryAs('ebpf', ['veth'], to)])
    await apply(node, await offer())
    expect((await from.observe()).live?.workspaces).toEqual([ALPHA])
    asked = async () => {
      asked = () => Promise.resolve()
      await quarantine(node, command('quarantine-set'))
      expect((await from.observe()).live?.quarantined).toEqual([ALPHA])
    }
    await apply({ ...node, order: ['ebpf', 'nftables'] }, await offer({ revision: 2n }))
    expect(seen).toEqual([[ALPHA]])
    expect(node.store.load().live?.backends).toEqual(['ebpf'])
    await quarantine(node, command('quarantine-lift'))
    expect((await to.observe()).live?.quarantined).toEqual([])
  })

  it('that somebody took away in the kernel is not claimed, and is set again and told as drift', async () => {
    const driver = new MemoryDriver()
    const node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)])
    await apply(node, await offer({ workspaces: [ALPHA, BETA] }))
    await quarantine(node, command('quarantine-set'))
    await tend(node)
    expect(node.facts.at(-1)?.kind).toBe('quarantine-set')
    await driver.flag(ALPHA, 'quarantined', false)
    const finding = `memory: ${ALPHA} is in quarantine on record and is not fenced`
    const seen = await status(node)
    expect(seen).toMatchObject({ state: 'drifted', drift: [finding], quarantines: [{ workspace: ALPHA }] })
    expect(seen.workspaces[0]?.flags).toEqual([])
    await tend(node)
    expect((await driver.observe()).live?.quarantined).toEqual([ALPHA])
    expect(node.facts.slice(-2)).toMatchObject([
      { kind: 'drift-found', findings: [finding] },
      { kind: 'drift-repaired', policy: { generation: 1 } },
    ])
    expect(await status(node)).toMatchObject({
      state: 'active',
      drift: [],
      workspaces: [{ flags: ['quarantined'] }, {}],
    })
    const told = node.facts.length
    await tend(node)
    await quarantine(node, command('quarantine-lift'))
    await tend(node)
    expect((await driver.observe()).live?.quarantined).toEqual([])
    expect(node.facts.slice(told).map((fact) => fact.kind)).toEqual(['quarantine-lifted'])
  })

  it('set again changes nothing on record and fences again', async () => {
    const driver = new MemoryDriver()
    const node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)])
    await apply(node, await offer())
    await quarantine(node, command('quarantine-set'))
    await driver.flag(ALPHA, 'quarantined', false)
    expect(await quarantine(node, { ...command('quarantine-set'), reason: 'another' })).toMatchObject({
      changed: false,
    })
    expect((await driver.observe()).live?.quarantined).toEqual([ALPHA])
    expect(node.store.quarantines()).toMatchObject([{ reason: 'incident' }])
  })

  it('is lifted from kernel and record', async () => {
    const node = makeNode()
    await apply(node, await offer())
    await quarantine(node, command('quarantine-set'))
    await quarantine(node, command('quarantine-lift'))
    expect((await status(node)).workspaces[0]?.flags).toEqual([])
    expect(node.store.quarantines()).toEqual([])
    expect(node.facts.at(-1)).toMatchObject({ kind: 'quarantine-lifted' })
  })

  it('refuses what it cannot mean', async () => {
    const node = makeNode()
    await apply(node, await offer())
    for (const none of ['alpha', 'spiffe://fleet.example/ws/*', 'spiffe://fleet.example/ws/../x'])
      expect(await codeOf(quarantine(node, command('quarantine-set', none)))).toBe('AGENT_WORKSPACE_UNKNOWN')
    expect(node.store.quarantines()).toEqual([])
    expect(await codeOf(quarantine(node, command('quarantine-lift')))).toBe('AGENT_NOT_QUARANTINED')
  })
})
