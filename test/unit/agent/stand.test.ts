// What stands before a bundle is judged: a node that holds none is closed, whatever is offered; a plan on record that is gone
// is put back; and nothing of this gets in the way of a good bundle.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { admit } from '../../../src/agent/admit.js'
import { apply } from '../../../src/agent/enforce.js'
import { quarantine } from '../../../src/agent/quarantine.js'
import { recoverState } from '../../../src/agent/recover.js'
import { stand } from '../../../src/agent/stand.js'
import { status } from '../../../src/agent/status.js'
import type { OpenBackend } from '../../../src/agent/transaction.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import { checkPlan } from '../../../src/plan/check.js'
import { readFrame } from '../../../src/plan/packet.js'
import { EXACT_ENV } from '../../../src/plan/state.js'
import { ipFrame } from '../../support/frames.js'
import { ALPHA, BETA, makeNode, memoryAs, NOW, offer, STRANGER, type TestNode } from './fixture.js'

const codeOf = (act: Promise<unknown>) =>
  act.then(
    () => 'accepted',
    (error: { code: string }) => error.code,
  )
const FRAME = ipFrame({
  source: '10.9.0.2',
  destination: '93.184.216.34',
  sourceMac: '02:00:00:00:00:02',
  destinationMac: '02:00:00:00:00:01',
  payload: { kind: 'tcp', from: 40_000, to: 443, flags: 2 },
})
/** What becomes of a first packet to what the policies of these tests grant. */
const verdict = (driver: MemoryDriver) => driver.judge(ALPHA, readFrame(FRAME, 'from'), NOW, EXACT_ENV)
const one = (): { driver: MemoryDriver; node: TestNode } => {
  const driver = new MemoryDriver()
  return { driver, node: makeNode([memoryAs('memory', ['veth', 'tap'], driver)]) }
}

describe('a node that holds no bundle', () => {
  it.each([
    ['BUNDLE_THRESHOLD', { releaseKey: STRANGER }],
    ['PLAN_POLICY_INVALID', { extra: 'egres: []\n' }],
    [
      'BUNDLE_MEMBER_SIZE',
      { tamper: (bytes) => ({ ...bytes, members: new Map([['fence.yaml', new Uint8Array(1)]]) }) },
    ],
  ] as const satisfies readonly (readonly [string, Parameters<typeof offer>[0]])[])(
    'is closed by its inventory when the first bundle is refused: %s',
    async (code, change) => {
      const { driver, node } = one()
      expect(await codeOf(admit(node, await offer(change)))).toBe(code)
      expect(node.facts.map((fact) => fact.kind).filter((kind) => kind !== 'bundle-verified')).toEqual([
        'bundle-activated',
        'bundle-refused',
      ])
      const seen = await status(node)
      expect(seen).toMatchObject({ state: 'closed', live: { generation: 1, source: { policyRevision: '0' } } })
      expect(seen.workspaces).toMatchObject([{ workspace: ALPHA, policy: null, grants: 0 }])
      expect(verdict(driver)).toMatchObject({ kind: 'drop', reason: 'no-grant' })
      // The mark of bundles is untouched: any revision may be the first.
      expect(node.store.load()).toMatchObject({ mark: null, inventoryMark: { revision: '1' } })
    },
  )

  it('opens for the first good bundle, which replaces the closed plan', async () => {
    const { driver, node } = one()
    await codeOf(admit(node, await offer({ releaseKey: STRANGER })))
    const applied = await admit(node, await offer())
    expect(applied).toMatchObject({ generation: 2, decision: { kind: 'replace' }, previous: { generation: 1 } })
    expect(verdict(driver)).toMatchObject({ kind: 'allow' })
    expect(node.facts.at(-1)).toMatchObject({
      kind: 'bundle-activated',
      replaced: { policyRevision: '0', generation: 1 },
    })
  })

  it('follows a newer inventory while it is closed, and is not committed again for the same one', async () => {
    const { node } = one()
    const { inventory } = await offer()
    expect(await stand(node, inventory)).toBe('closed')
    expect(await stand(node, inventory)).toBe('as-it-was')
    expect(await stand(node)).toBe('as-it-was')
    const newer = await offer({ workspaces: [ALPHA, BETA], inventoryRevision: 2 })
    expect(await stand(node, newer.inventory)).toBe('closed')
    expect((await status(node)).workspaces.map((entry) => entry.workspace)).toEqual([ALPHA, BETA])
    // An older inventory is a replay: it does not take a workspace out.
    expect(await stand(node, inventory)).toBe('as-it-was')
    expect((await status(node)).workspaces).toHaveLength(2)
  })

  it('closes what only fenced traffic may use when the inventory does not verify', async () => {
    const { driver, node } = one()
    const closing = Object.assign(node, { config: { ...node.config, attachInterfaces: ['ws*'] } })
    const wrong = await offer()
    const inventory = { ...wrong.inventory, yaml: new Uint8Array(3) }
    expect(await codeOf(admit(closing, { ...wrong, inventory }))).toBe('BUNDLE_INVENTORY_MISMATCH')
    expect((await driver.observe()).live).toMatchObject({ generation: 1, workspaces: [] })
    expect(await status(closing)).toMatchObject({ state: 'closed' })
    // First closed by the inventory that verifies, then open for the bundle.
    expect((await admit(closing, await offer())).generation).toBe(3)
  })

  it('has nothing to close without an inventory and without such interfaces', async () => {
    const { node } = one()
    expect(await stand(node)).toBe('open')
    expect(node.store.load()).toMatchObject({ live: null, lastGeneration: 0 })
  })

  it('says so when no backend here can close anything, and then refuses the bundle', async () => {
    const open = memoryAs('memory', ['veth'], new MemoryDriver())
    const useless: OpenBackend = { ...open, capabilities: { ...open.capabilities, usable: false, why: 'no module' } }
    const node = makeNode([useless])
    expect(await stand(node, (await offer()).inventory)).toBe('open')
    expect(await codeOf(admit(node, await offer()))).toBe('PLAN_REFUSED')
  })

  it('closes by the interfaces when the workspaces cannot be attached, and tells why', async () => {
    class Narrow extends MemoryDriver {
      override stage(program: Parameters<MemoryDriver['stage']>[0]) {
        return program.workspaces.length > 0 ? Promise.reject(new Error('bridged')) : super.stage(program)
      }
    }
    const driver = new Narrow()
    const node = makeNode([memoryAs('memory', ['veth'], driver)])
    const closing = Object.assign(node, { config: { ...node.config, attachInterfaces: ['ws*'] } })
    expect(await stand(closing, (await offer()).inventory)).toBe('closed')
    expect(node.facts.at(0)).toMatchObject({ kind: 'bundle-refused', code: 'AGENT_ACTIVATION_FAILED' })
    expect((await driver.observe()).live?.workspaces).toEqual([])
  })

  it('makes a plan that checks, in every part', async () => {
    const { node } = one()
    await stand(node, (await offer()).inventory)
    const { live } = node.store.load()
    const plan = node.store.loadPlan(live?.planDigest ?? 'sha256:')
    expect(checkPlan(plan).filter((note) => note.severity === 'error')).toEqual([])
    expect(plan.source).toMatchObject({ audience: 'fleet.example/dev', channel: 'stable', inventoryRevision: '1' })
  })
})

describe('a plan on record that is gone from the kernel', () => {
  it('is back before a bundle is judged, and stays when that is refused', async () => {
    const { driver, node } = one()
    await admit(node, await offer())
    await driver.uninstall()
    expect(await codeOf(admit(node, await offer({ revision: 2n, releaseKey: STRANGER })))).toBe('BUNDLE_THRESHOLD')
    expect(await status(node)).toMatchObject({ state: 'active', live: { generation: 2 } })
    expect(verdict(driver)).toMatchObject({ kind: 'allow' })
  })

  it('is told as restored when the same bundle comes', async () => {
    const { driver, node } = one()
    await admit(node, await offer())
    await driver.uninstall()
    expect((await admit(node, await offer())).decision).toEqual({ kind: 'restore', generation: 2 })
  })

  it('is told as back, and not as refused, when nobody can look at it then', async () => {
    const { driver, node } = one()
    await admit(node, await offer())
    await driver.uninstall()
    const told = node.facts.length
    const { observe, commit } = driver
    driver.commit = async (staged) => {
      await commit.call(driver, staged)
      driver.observe = () => Promise.reject(new TypeError('it does not answer'))
    }
    expect(await stand(node)).toBe('restored')
    Object.assign(driver, { observe, commit })
    expect(node.facts.slice(told)).toMatchObject([
      { kind: 'bundle-activated', unseen: 'the backend memory cannot be asked what is live: it does not answer' },
    ])
    expect((await status(node)).state).toBe('active')
  })

  it('comes back with its quarantines', async () => {
    const { driver, node } = one()
    await admit(node, await offer())
    await quarantine(node, { kind: 'quarantine-set', workspace: ALPHA, reason: 'x', by: 'user:test', commandId: 'c' })
    await driver.uninstall()
    expect(await stand(node)).toBe('restored')
    expect(verdict(driver)).toMatchObject({ kind: 'drop', reason: 'quarantined' })
  })
})

describe('a state that was begun anew', () => {
  it('leaves what the kernel has, and goes on above its numbers', async () => {
    const { driver, node } = one()
    await admit(node, await offer())
    await admit(node, await offer({ revision: 2n }))
    recoverState(node.store.directory, NOW)
    expect(await stand(node, (await offer()).inventory)).toBe('as-it-was')
    expect(verdict(driver)).toMatchObject({ kind: 'allow' })
    expect((await apply(node, await offer())).generation).toBe(4)
  })
})

describe('a record of sessions that cannot be read', () => {
  it('is set aside with the rest, and nobody has one then', async () => {
    const { driver, node } = one()
    await admit(node, await offer())
    await driver.sessions(ALPHA, [{ workspace: ALPHA, peer: '10.60.0.1', expiresAtMs: Number.MAX_SAFE_INTEGER }])
    writeFileSync(join(node.store.directory, 'sessions.json'), '{')
    expect(() => node.store.sessions()).toThrow()
    recoverState(node.store.directory, NOW)
    await admit(node, await offer())
    expect([node.store.sessions(), (await driver.observe()).live?.sessions]).toEqual([[], []])
  })
})

describe('quarantine without a plan, or without a state that can be read', () => {
  const command = (kind: 'quarantine-set' | 'quarantine-lift', workspace: string) =>
    ({ kind, workspace, reason: 'incident', by: 'user:test', commandId: 'cmd-2' }) as const

  it('of a workspace that no plan knows is on record, and in force when it appears', async () => {
    const { driver, node } = one()
    expect(await quarantine(node, command('quarantine-set', BETA))).toMatchObject({
      attached: false,
      changed: true,
      generation: 0,
    })
    expect(node.facts.at(-1)).toMatchObject({ kind: 'quarantine-set', workspace: { workspace: BETA, interface: '' } })
    await admit(node, await offer())
    expect((await driver.observe()).live?.quarantined).toEqual([])
    await admit(node, await offer({ workspaces: [ALPHA, BETA], inventoryRevision: 2 }))
    expect((await driver.observe()).live?.quarantined).toEqual([BETA])
    expect(await quarantine(node, command('quarantine-lift', BETA))).toMatchObject({ attached: true, changed: true })
    expect((await driver.observe()).live?.quarantined).toEqual([])
  })

  it('is lifted from the record when the workspace is gone', async () => {
    const { node } = one()
    await quarantine(node, command('quarantine-set', BETA))
    expect(await quarantine(node, command('quarantine-lift', BETA))).toMatchObject({ attached: false, changed: true })
    expect(node.store.quarantines()).toEqual([])
    expect(await codeOf(quarantine(node, command('quarantine-lift', BETA)))).toBe('AGENT_NOT_QUARANTINED')
  })

  it('lifts a flag that only the kernel knows', async () => {
    const { driver, node } = one()
    await admit(node, await offer())
    await driver.flag(ALPHA, 'quarantined', true)
    expect(await quarantine(node, command('quarantine-lift', ALPHA))).toMatchObject({ attached: true, changed: false })
    expect((await driver.observe()).live?.quarantined).toEqual([])
    expect(node.facts.at(-1)).toMatchObject({ kind: 'quarantine-lifted' })
  })

  it('fences by what the kernel has when state.json is damaged, records it, and says what is wrong', async () => {
    const { driver, node } = one()
    await admit(node, await offer())
    const file = join(node.store.directory, 'state.json')
    writeFileSync(file, readFileSync(file).subarray(1))
    const done = await quarantine(node, command('quarantine-set', ALPHA))
    expect(done).toMatchObject({ attached: true, changed: true, generation: 0 })
    expect(done.damage).toContain('state.json is damaged or was changed by hand')
    expect((await driver.observe()).live?.quarantined).toEqual([ALPHA])
    expect(node.store.quarantines()).toMatchObject([{ workspace: ALPHA, reason: 'incident' }])
    expect(await codeOf(quarantine(node, command('quarantine-lift', ALPHA)))).toBe('AGENT_STORE_DAMAGED')
  })

  it('fences on every backend that can, and records it, when one of them fails', async () => {
    const [lost, other] = [new MemoryDriver(), new MemoryDriver()]
    const node = makeNode([memoryAs('nftables', ['veth', 'tap'], lost), memoryAs('ebpf', ['veth', 'tap'], other)])
    const stage = lost.stage.bind(lost)
    lost.stage = async (slice) => {
      await other.commit(await other.stage(slice))
      return stage(slice)
    }
    await admit(node, await offer())
    // The record does not say who carries it, and both kernels do.
    writeFileSync(join(node.store.directory, 'state.json'), '{}')
    const failure = new TypeError('no disk')
    lost.flag = () => Promise.reject(failure)
    await expect(quarantine(node, command('quarantine-set', ALPHA))).rejects.toBe(failure)
    expect((await other.observe()).live?.quarantined).toEqual([ALPHA])
    expect(node.store.quarantines()).toMatchObject([{ workspace: ALPHA, reason: 'incident' }])
    expect(node.facts.at(-1)).toMatchObject({ kind: 'quarantine-set' })
  })

  it('fences when the list is damaged too, and fails, because nothing remembers it', async () => {
    const { driver, node } = one()
    await admit(node, await offer())
    for (const name of ['state.json', 'quarantines.json']) writeFileSync(join(node.store.directory, name), '{}')
    await expect(quarantine(node, command('quarantine-set', ALPHA))).rejects.toMatchObject({
      code: 'AGENT_FENCED_UNRECORDED',
      cause: { code: 'AGENT_STORE_DAMAGED' },
    })
    expect((await driver.observe()).live?.quarantined).toEqual([ALPHA])
    expect(node.facts.at(-1)).toMatchObject({ kind: 'quarantine-set' })
  })
})
