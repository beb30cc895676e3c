// Time and freshness on a node: what is refused, what is suspended and resumed, and that neither a clock that goes back nor
// a lost file buys anything.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { admit } from '../../../src/agent/admit.js'
import { holdsUntil } from '../../../src/agent/deadline.js'
import { confirm, tend } from '../../../src/agent/freshness.js'
import { repair } from '../../../src/agent/loop-repair.js'
import { stand } from '../../../src/agent/stand.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import { digestOf } from '../../../src/base/digest.js'
import { signFreshness } from '../../../src/bundle/freshness.js'
import { generateKey, signerOf } from '../../../src/bundle/key-file.js'
import type { KeyRole } from '../../../src/bundle/model.js'
import { confirmationOf, readRelease } from '../../../src/bundle/publish.js'
import { NO_TRUST, parseTrustRoot, writeTrustRoot } from '../../../src/bundle/root.js'
import type { PlanSlice } from '../../../src/plan/model.js'
import { makeNode, memoryAs, NOW, type Offer, offer, type TestNode } from './fixture.js'

const HOUR = 3_600_000
const FRESH = generateKey({ role: 'freshness', kid: 'freshness-1' }, (length) => new Uint8Array(length).fill(7))

/** A node whose root asks for freshness. */
function strictNode(): TestNode {
  const node = makeNode()
  const { trust } = node
  const bytes = writeTrustRoot({
    ...trust,
    keys: new Map([...trust.keys, [FRESH.kid, { kid: FRESH.kid, role: FRESH.role, key: FRESH.public }]]),
    thresholds: new Map<KeyRole, number>([...trust.thresholds, ['freshness', 1]]),
  })
  return Object.assign(node, { trust: parseTrustRoot(bytes), trustDigest: digestOf(bytes) })
}

/** The statement for what `given` offers. */
async function statementFor(given: Offer, issuedAtMs: number, lifetimeMs = HOUR): Promise<Uint8Array> {
  const { release } = await (await offer(given)).fetch()
  if (release === undefined) return expect.fail('the offer has no release')
  return signFreshness(confirmationOf(readRelease(release), issuedAtMs, lifetimeMs), signerOf(FRESH))
}
const live = (node: TestNode) => node.store.load().live?.source ?? expect.fail('nothing is live')
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: { code: string }) => error.code,
  )
const suspendedOf = async (node: TestNode) =>
  (await node.backends.get('memory')?.driver.observe())?.live?.suspended.length ?? -1
const kinds = (node: TestNode) => node.facts.map((fact) => fact.kind)

describe('a root that cannot be read', () => {
  const rootless = (node: TestNode): TestNode => Object.assign(node, { trust: NO_TRUST })

  test('does not make what is stale good again, nor what is fresh stale', async () => {
    const node = strictNode()
    await admit(node, await offer(), await statementFor({}, NOW))
    rootless(node)
    expect(holdsUntil(node, live(node))).toBe(NOW + HOUR)
    node.now = NOW + HOUR - 1
    expect(await tend(node)).toEqual({ suspended: [], resumed: [] })
    node.now = NOW + HOUR
    expect((await tend(node)).suspended).toHaveLength(1)
    expect(await suspendedOf(node)).toBe(1)
  })

  test('asks for no statement where none was ever held, and for none of the version that was followed', async () => {
    const node = makeNode()
    await admit(node, await offer())
    rootless(node)
    expect(holdsUntil(node, live(node))).toBe(live(node).expiresAtMs)
    expect(await tend(node)).toEqual({ suspended: [], resumed: [] })
  })
})

describe('admitting', () => {
  test('without a statement, with one, and with one for a newer bundle', async () => {
    const node = strictNode()
    expect(await codeOf(admit(node, await offer()))).toBe('BUNDLE_STALE')
    expect((await admit(node, await offer(), await statementFor({}, NOW))).generation).toBe(2)
    await confirm(node, await statementFor({ revision: 2n }, NOW + 1_000))
    expect(await codeOf(admit(node, await offer()))).toBe('BUNDLE_SUPERSEDED')
    expect((await admit(node, await offer({ revision: 2n }))).generation).toBe(3)
  })

  test('a root without freshness keys asks for none', async () => {
    expect((await admit(makeNode(), await offer())).generation).toBe(2)
  })

  test('staleness is not held against the bytes', async () => {
    const node = strictNode()
    await codeOf(admit(node, await offer()))
    expect(node.store.load().refused).toEqual([])
  })

  test('a statement that was replaced is refused as a replay, and raises a finding', async () => {
    const node = strictNode()
    const old = await statementFor({}, NOW)
    await confirm(node, await statementFor({}, NOW + 1_000))
    expect(await codeOf(confirm(node, old))).toBe('BUNDLE_REPLAYED')
    expect(node.facts.at(-1)).toMatchObject({ kind: 'bundle-refused', code: 'BUNDLE_REPLAYED', attack: true })
  })

  test.each([
    ['of another revision that is lower', { revision: 1n }, 2_000, HOUR, 'BUNDLE_COUNTER_REGRESSION'],
    ['that is not valid yet', { revision: 2n }, 300_001, HOUR, 'BUNDLE_NOT_YET_VALID'],
    ['at the tolerance', { revision: 2n }, 300_000, HOUR, 'accepted'],
    ['that has expired', { revision: 2n }, -HOUR, HOUR, 'BUNDLE_REPLAYED'],
  ] as const)('a statement %s', async (_what, given, offsetMs, lifetimeMs, code) => {
    const node = strictNode()
    await confirm(node, await statementFor({ revision: 2n }, NOW - 1_000))
    expect(await codeOf(confirm(node, await statementFor(given, NOW + offsetMs, lifetimeMs)))).toBe(code)
  })

  test('a statement by a key of another role', async () => {
    const node = strictNode()
    const other = generateKey({ role: 'freshness', kid: 'freshness-2' }, (length) => new Uint8Array(length).fill(9))
    const { release } = await (await offer()).fetch()
    const fresh = confirmationOf(readRelease(release ?? new Uint8Array(0)), NOW, HOUR)
    expect(await codeOf(confirm(node, await signFreshness(fresh, signerOf(other))))).toBe('BUNDLE_THRESHOLD')
  })

  test('no statement may hold for more than seven days', async () => {
    expect(await codeOf(statementFor({}, NOW, 7 * 24 * HOUR))).toBe('accepted')
    expect(await codeOf(statementFor({}, NOW, 7 * 24 * HOUR + 1_000))).toBe('BUNDLE_STATEMENT')
  })
})

describe('tending', () => {
  test('a stale statement suspends, a new one resumes; both are told once', async () => {
    const node = strictNode()
    await admit(node, await offer(), await statementFor({}, NOW))
    node.now = NOW + HOUR - 1
    expect(await tend(node)).toEqual({ suspended: [], resumed: [] })
    node.now = NOW + HOUR
    expect((await tend(node)).suspended).toHaveLength(1)
    expect(await tend(node)).toEqual({ suspended: [], resumed: [] })
    expect(await suspendedOf(node)).toBe(1)
    expect(node.facts.at(-1)).toMatchObject({ kind: 'workspace-suspended', reason: 'stale' })
    await confirm(node, await statementFor({}, NOW + HOUR))
    expect((await tend(node)).resumed).toHaveLength(1)
    expect(await suspendedOf(node)).toBe(0)
    expect(kinds(node).filter((kind) => kind.startsWith('workspace-'))).toEqual([
      'workspace-suspended',
      'workspace-resumed',
    ])
  })

  test('expiry of the active bundle suspends, also without freshness keys', async () => {
    const node = makeNode()
    await admit(node, await offer())
    node.now = node.store.load().live?.source.expiresAtMs ?? 0
    expect((await tend(node)).suspended).toHaveLength(1)
    expect(node.facts.at(-1)).toMatchObject({ kind: 'workspace-suspended', reason: 'expired' })
  })

  test('on_expiry: hold is not suspended', async () => {
    const node = makeNode()
    await admit(node, await offer({ extra: 'on_expiry: hold\n' }))
    node.now = node.store.load().live?.source.expiresAtMs ?? 0
    expect(await tend(node)).toEqual({ suspended: [], resumed: [] })
  })

  test('a statement for a newer bundle leaves the old one unconfirmed: it is suspended until the newer one is there', async () => {
    const node = strictNode()
    await admit(node, await offer(), await statementFor({}, NOW))
    await confirm(node, await statementFor({ revision: 2n }, NOW + 1_000))
    expect((await tend(node)).suspended).toHaveLength(1)
    await admit(node, await offer({ revision: 2n }))
    expect(await suspendedOf(node)).toBe(0)
  })

  test('a refused bundle does not keep what is stale from being suspended', async () => {
    const node = strictNode()
    await admit(node, await offer(), await statementFor({}, NOW))
    node.now = NOW + HOUR
    expect(await codeOf(admit(node, await offer()))).toBe('BUNDLE_STALE')
    expect(await suspendedOf(node)).toBe(1)
  })
})

describe('a root that was rolled back', () => {
  const forget = (node: TestNode): void => {
    node.store.saveTrustMemory({ ...node.store.trustMemory(), rootVersion: node.trust.version + 1 })
  }
  test('keeps neither expiry nor the limit of the statement from being judged, and a repair is one', async () => {
    const node = strictNode()
    await admit(node, await offer(), await statementFor({}, NOW))
    forget(node)
    Object.assign(node, { backends: makeNode().backends, now: NOW + HOUR - 1 })
    expect((await repair(node)).kind).toBe('restored')
    expect(await suspendedOf(node)).toBe(0)
    node.now = NOW + HOUR
    expect((await tend(node)).suspended).toHaveLength(1)
    expect(await suspendedOf(node)).toBe(1)
  })

  test('refuses a bundle, and what has lapsed is suspended all the same', async () => {
    const node = makeNode()
    await admit(node, await offer())
    forget(node)
    node.now = live(node).expiresAtMs
    expect(await codeOf(admit(node, await offer({ revision: 2n })))).toBe('AGENT_ROOT_ROLLED_BACK')
    expect(await suspendedOf(node)).toBe(1)
  })
})

describe('the clock', () => {
  test('back by the tolerance is taken for the time that was seen; by more, nothing is accepted or resumed', async () => {
    const node = strictNode()
    await admit(node, await offer(), await statementFor({}, NOW))
    node.now = NOW + HOUR
    await tend(node)
    node.now = NOW + HOUR - 300_000
    // Still stale: the statement would hold by this clock, and does not by the time that was reached.
    expect(await tend(node)).toEqual({ suspended: [], resumed: [] })
    expect(await suspendedOf(node)).toBe(1)
    node.now -= 1
    expect(await tend(node)).toEqual({ suspended: [], resumed: [] })
    expect(await suspendedOf(node)).toBe(1)
    expect(await codeOf(admit(node, await offer({ revision: 2n })))).toBe('AGENT_CLOCK_BACK')
    expect(node.facts.at(-1)).toMatchObject({ kind: 'bundle-refused', code: 'AGENT_CLOCK_BACK', attack: true })
    expect(node.store.load().live?.generation).toBe(2)
  })

  test('that is years back after a boot gives no plan more time than it has by the latest time that was reached', async () => {
    const staged: PlanSlice[] = []
    class Seen extends MemoryDriver {
      override stage(program: PlanSlice) {
        staged.push(program)
        return super.stage(program)
      }
    }
    const boot = (node: TestNode): void => {
      Object.assign(node, { backends: new Map([['memory', memoryAs('memory', ['veth', 'tap'], new Seen())]]) })
      node.now = NOW - 20 * 365 * 24 * HOUR
    }
    const node = makeNode()
    const endMs = NOW + 10 * HOUR
    await admit(
      node,
      await offer({ notBeforeMs: NOW, extra: `observe: { until: "${new Date(endMs).toISOString()}" }\n` }),
    )
    const { expiresAtMs } = live(node)
    node.now = NOW + HOUR
    await tend(node)
    boot(node)
    expect(await stand(node)).toBe('restored')
    const [slice] = staged
    expect((slice?.source.expiresAtMs ?? 0) - node.now).toBe(expiresAtMs - (NOW + HOUR))
    expect((slice?.workspaces[0]?.network.observe?.untilMs ?? 0) - node.now).toBe(9 * HOUR)
    expect(await tend(node)).toEqual({ suspended: [], resumed: [] })
    node.now = expiresAtMs
    await tend(node)
    boot(node)
    expect(await stand(node)).toBe('restored')
    expect(staged.at(-1)?.source.expiresAtMs).toBe(node.now)
    expect((await tend(node)).suspended).toHaveLength(1)
    expect(node.facts.at(-1)).toMatchObject({ kind: 'workspace-suspended', reason: 'expired' })
  })

  test('the floor outlives the run and is bound to the state: a lost file is damage', async () => {
    const node = makeNode()
    await admit(node, await offer())
    expect(node.store.trustMemory()).toMatchObject({ clockFloorMs: NOW, rootVersion: 1 })
    rmSync(join(node.store.directory, 'trust.json'))
    expect(await codeOf(admit(node, await offer({ revision: 2n })))).toBe('AGENT_STORE_DAMAGED')
  })
})

test('a root older than one that was followed is refused', async () => {
  const node = makeNode()
  const bytes = writeTrustRoot({ ...node.trust, version: 2 })
  const newer: TestNode = { ...node, trust: parseTrustRoot(bytes), trustDigest: digestOf(bytes) }
  await admit(newer, await offer())
  expect(await codeOf(admit(node, await offer({ revision: 2n })))).toBe('AGENT_ROOT_ROLLED_BACK')
})
