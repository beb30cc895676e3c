// Break-glass on a node: it can narrow, it can lift one quarantine for an hour, and nothing else; every use is told.

import { describe, expect, test } from 'vitest'
import { admit } from '../../../src/agent/admit.js'
import { breakGlass, relock } from '../../../src/agent/breakglass.js'
import { quarantine } from '../../../src/agent/quarantine.js'
import { digestOf } from '../../../src/base/digest.js'
import { type Breakglass, signBreakglass } from '../../../src/bundle/breakglass.js'
import { generateKey, signerOf } from '../../../src/bundle/key-file.js'
import type { KeyRole } from '../../../src/bundle/model.js'
import { parseTrustRoot, writeTrustRoot } from '../../../src/bundle/root.js'
import { ALPHA, BETA, makeNode, NOW, offer, type TestNode } from './fixture.js'

const HOUR = 3_600_000
const [ONE, TWO] = ['breakglass-1', 'breakglass-2'].map((kid, i) =>
  generateKey({ role: 'breakglass', kid }, (length) => new Uint8Array(length).fill(20 + i)),
) as [ReturnType<typeof generateKey>, ReturnType<typeof generateKey>]

async function started(): Promise<TestNode> {
  const node = makeNode()
  const { trust } = node
  const bytes = writeTrustRoot({
    ...trust,
    keys: new Map([
      ...trust.keys,
      ...[ONE, TWO].map((k) => [k.kid, { kid: k.kid, role: k.role, key: k.public }] as const),
    ]),
    thresholds: new Map<KeyRole, number>([...trust.thresholds, ['breakglass', 2]]),
  })
  Object.assign(node, { trust: parseTrustRoot(bytes), trustDigest: digestOf(bytes) })
  await admit(node, await offer())
  return node
}

type Change = Partial<Omit<Breakglass, 'action'>> & { readonly quarantine?: string }
async function order(action: Breakglass['action'], change: Change = {}, keys = [ONE, TWO]): Promise<Uint8Array> {
  const common = {
    audience: 'fleet.example/dev',
    epoch: 1,
    workspace: ALPHA,
    reason: 'incident 4711',
    issuedAtMs: NOW,
    expiresAtMs: NOW + HOUR,
  }
  const lift = action === 'lift' ? { quarantine: 'cmd-q' } : {}
  const made = { action, ...common, ...lift, ...change } as Breakglass
  let file: Uint8Array | undefined
  for (const key of keys) file = await signBreakglass(made, signerOf(key), file)
  return file ?? expect.fail('no key')
}
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: { code: string }) => error.code,
  )
const fence = (node: TestNode, commandId = 'cmd-q') =>
  quarantine(node, { kind: 'quarantine-set', workspace: ALPHA, reason: 'leak', by: 'user:ops', commandId })
const quarantined = async (node: TestNode) =>
  (await node.backends.get('memory')?.driver.observe())?.live?.quarantined.length ?? -1

describe('narrowing', () => {
  test('quarantines, durably, and says so as a Critical event first', async () => {
    const node = await started()
    const before = node.facts.length
    expect(await breakGlass(node, await order('quarantine'))).toMatchObject({ workspace: ALPHA, changed: true })
    expect(node.facts.slice(before).map((fact) => fact.kind)).toEqual(['breakglass-used', 'quarantine-set'])
    expect(node.facts[before]).toMatchObject({ action: 'quarantine', signers: ['breakglass-1', 'breakglass-2'] })
    expect(node.store.quarantines()).toMatchObject([{ workspace: ALPHA, by: 'breakglass-1, breakglass-2' }])
    node.now = NOW + 10 * HOUR
    expect(await relock(node)).toEqual([])
    expect(await quarantined(node)).toBe(1)
  })
})

describe('lifting', () => {
  test('opens the quarantine that it names, and it is back when the time is over', async () => {
    const node = await started()
    await fence(node)
    await breakGlass(node, await order('lift'))
    expect([await quarantined(node), node.store.quarantines()]).toEqual([0, []])
    node.now = NOW + HOUR - 1
    expect(await relock(node)).toEqual([])
    node.now = NOW + HOUR
    expect(await relock(node)).toEqual([ALPHA])
    expect(await quarantined(node)).toBe(1)
    expect(node.store.quarantines()).toMatchObject([{ workspace: ALPHA, reason: 'leak', by: 'user:ops' }])
    expect(node.store.trustMemory().lifts).toEqual([])
  })

  test('never a later quarantine: a replay within the hour is refused', async () => {
    const node = await started()
    await fence(node)
    const lift = await order('lift')
    await breakGlass(node, lift)
    await fence(node, 'cmd-later')
    expect(await codeOf(breakGlass(node, lift))).toBe('AGENT_NOT_QUARANTINED')
    expect(await quarantined(node)).toBe(1)
  })

  test('a clock that went back ends it', async () => {
    const node = await started()
    await fence(node)
    await breakGlass(node, await order('lift'))
    node.now = NOW - 300_001
    expect(await relock(node)).toEqual([ALPHA])
    expect(await quarantined(node)).toBe(1)
  })

  test('applying a bundle relocks on the way', async () => {
    const node = await started()
    await fence(node)
    await breakGlass(node, await order('lift'))
    node.now = NOW + HOUR
    await admit(node, await offer({ revision: 2n }))
    expect(await quarantined(node)).toBe(1)
  })
})

describe('what is refused, and changes nothing', () => {
  test.each([
    ['one signature of two', () => order('lift', {}, [ONE]), 'BUNDLE_THRESHOLD'],
    ['one key twice', () => order('lift', {}, [ONE, ONE]), 'BUNDLE_THRESHOLD'],
    ['another audience', () => order('lift', { audience: 'fleet.example/prod' }), 'BUNDLE_AUDIENCE'],
    ['another epoch', () => order('lift', { epoch: 2 }), 'BUNDLE_EPOCH'],
    ['another quarantine', () => order('lift', { quarantine: 'cmd-other' }), 'AGENT_NOT_QUARANTINED'],
    ['another workspace', () => order('lift', { workspace: BETA }), 'AGENT_NOT_QUARANTINED'],
    ['longer than an hour', () => order('lift', { expiresAtMs: NOW + HOUR + 1_000 }), 'BUNDLE_STATEMENT'],
    ['expired', () => order('lift', { issuedAtMs: NOW - HOUR, expiresAtMs: NOW }), 'BUNDLE_EXPIRED'],
    ['from the future', () => order('lift', { issuedAtMs: NOW + 301_000 }), 'BUNDLE_NOT_YET_VALID'],
    ['a reason that hides text', () => order('lift', { reason: 'a\u202eb' }), 'BUNDLE_STATEMENT'],
    ['any other action', () => order('grant' as never), 'BUNDLE_STATEMENT'],
  ])('%s', async (_what, make, code) => {
    const node = await started()
    await fence(node)
    const before = node.facts.length
    let made = false
    const carried = make().then((statement) => {
      made = true
      return breakGlass(node, statement)
    })
    expect(await codeOf(carried)).toBe(code)
    expect(await quarantined(node)).toBe(1)
    // The refusal is told, and nothing else happened; what cannot even be signed never comes to a node.
    const told = node.facts.slice(before).map((fact) => [fact.kind, fact.kind === 'bundle-refused' ? fact.code : ''])
    expect(told).toEqual(made ? [['bundle-refused', code]] : [])
    expect(node.store.trustMemory().lifts).toEqual([])
  })
})
