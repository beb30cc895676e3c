// One bundle over two domains: traffic on `memory`, files on vaultfs. Both switch or neither does, a quarantine is one flag of
// both, and a daemon that was killed is drift that the next apply repairs.

import { randomBytes } from 'node:crypto'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { CanarySeen } from '../../src/agent/canary.js'
import { Ears } from '../../src/agent/ears.js'
import { apply } from '../../src/agent/enforce.js'
import { lacking, makeEvidence, type StorageSeen, verifyEvidence } from '../../src/agent/evidence.js'
import { AGENT_PUBLIC_KEY, agentSigner } from '../../src/agent/key.js'
import type { AgentNode } from '../../src/agent/node.js'
import { quarantine } from '../../src/agent/quarantine.js'
import { verifyReceipt } from '../../src/agent/receipt.js'
import { readAgentKeys } from '../../src/agent/signed.js'
import { status } from '../../src/agent/status.js'
import { type OpenBackend, switchOrder } from '../../src/agent/transaction.js'
import { watch } from '../../src/agent/watch.js'
import type { Fact } from '../../src/audit/fact.js'
import type { Staged } from '../../src/backends/backend.js'
import { MemoryDriver } from '../../src/backends/memory/driver.js'
import { vaultfsCapabilities } from '../../src/backends/vaultfs/capabilities.js'
import { vaultfsBackend } from '../../src/backends/vaultfs/index.js'
import { digestOf } from '../../src/base/digest.js'
import type { Fault } from '../../src/base/fault.js'
import { sliceFor } from '../../src/plan/codec.js'
import { diffPlans, renderDiff } from '../../src/plan/diff.js'
import type { BackendName, PlanSlice } from '../../src/plan/model.js'
import { cannotServe, daemonOf, until } from '../support/vault/served.js'
import { ALPHA, MAIL, makeNode, memoryAs, offer, WEB } from '../unit/agent/fixture.js'

/** The bundles of the fixture end at a fixed date, and the daemon goes by the machine's clock. */
const FAR_MS = Date.UTC(2100, 0, 1)

const after: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const step of after.splice(0).reverse()) await step()
})

async function scene() {
  const directory = mkdtempSync(join(tmpdir(), 'sv-'))
  after.push(() => rmSync(directory, { recursive: true, force: true }))
  const [source, mount, state] = ['source', 'mount', 'state'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  mkdirSync(join(source, 'project/out'), { recursive: true })
  writeFileSync(join(source, 'project/main.c'), 'int main;\n')
  const driver = await vaultfsBackend.open({ attachInterfaces: [], stateDirectory: state })
  after.push(() => driver.uninstall())
  const backend = {
    ...vaultfsBackend,
    lower: (slice: PlanSlice) => vaultfsBackend.lower({ ...slice, source: { ...slice.source, expiresAtMs: FAR_MS } }),
  }
  const files = { backend, driver, capabilities: vaultfsCapabilities(await driver.probe()) } as OpenBackend
  const traffic = new MemoryDriver()
  const node = makeNode([memoryAs('memory', ['veth', 'tap'], traffic), files])
  const volumes = `    volumes: [{ name: work, source: ${source}, mount: ${mount} }]\n`
  const bundle = (revision: bigint, rules: string, more: Parameters<typeof offer>[0] = {}) =>
    offer({ revision, volumes, extra: `storage: { volumes: [{ name: work, ${rules} }] }\n`, ...more })
  return { directory, source, mount, state, driver, traffic, node, bundle }
}

const READ = 'read_only: [/project]'
const BOTH = 'read_only: [/project], read_write: [/project/out]'

const canaryOf = (backend: BackendName): CanarySeen => ({
  backend,
  atMs: 0,
  reachableUnfenced: true,
  defaultDeny: { refused: true, countedDrops: 1 },
  install: { connected: true, elapsedMs: 3 },
  revoke: { refused: true, cutMs: 4 },
  controllerLoss: { killed: true, refused: true },
  interfaces: ['eth0'],
})

function outcome(action: () => unknown): string {
  try {
    action()
    return 'ok'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}

describe.skipIf(cannotServe)('one policy over traffic and files', () => {
  it('is live in both, with a guarantee for each clause', async () => {
    const { node, mount, bundle, traffic, driver } = await scene()
    const applied = await apply(node, await bundle(1n, BOTH))
    expect(applied.plan.guarantees.map(({ name, level, why }) => `${name}: ${level}, ${why}`)).toEqual([
      'work: enforced, vaultfs',
      'work: enforced, vaultfs',
      'rule-0: enforced, memory',
    ])
    const seen = await Promise.all([traffic.observe(), driver.observe()])
    for (const { live } of seen)
      expect(live).toMatchObject({ generation: 1, planDigest: applied.planDigest, workspaces: [ALPHA] })
    expect((await status(node)).state).toBe('active')
    expect(node.facts.map((fact) => (fact.kind === 'bundle-activated' ? fact.backend : fact.kind))).toEqual([
      'bundle-verified',
      'memory',
      'vaultfs',
    ])
    expect(readFileSync(join(mount, 'project/main.c'), 'utf8')).toBe('int main;\n')
    expect((await apply(node, await bundle(1n, BOTH))).decision).toEqual({ kind: 'keep', generation: 1 })
  })

  it('refuses a clause about a volume that the inventory does not give', async () => {
    const { node, bundle, driver } = await scene()
    const refused = await apply(node, await bundle(1n, READ, { volumes: '' })).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'PLAN_REFUSED' })
    expect((refused as Fault).notes.map(({ say }) => say)).toEqual([
      '"work": the inventory gives the workspace no volume "work"; add it there, or remove the clause',
    ])
    expect((await driver.observe()).live).toBeNull()
  })

  it('holds what filesystem_policy says about a volume, and leaves the rest to the runtime', async () => {
    const { node, mount, source } = await scene()
    const volumes = `    volumes: [{ name: work, source: ${source}, mount: ${mount}, at: /sandbox/work }]\n`
    const sandbox = [
      'version: 1',
      'filesystem_policy:',
      '  read_only: [/usr, /sandbox/work/project]',
      '  read_write: [/sandbox/work/project/out]',
      'landlock: { compatibility: hard_requirement }',
      'network_policies: {}',
      '',
    ].join('\n')
    const extra = 'sandboxPolicy: { path: sandbox.yaml }\n'
    const refused = await apply(node, await offer({ volumes, sandbox, extra })).catch((error: unknown) => error)
    expect((refused as Fault).notes.map(({ code, say }) => `${code} ${say}`)).toEqual([
      'dimension-not-delegated "filesystem_policy.read_only", filesystem: the fence cannot see read_only of /usr and would admit every path that is on no volume; add `filesystem` to delegate, or remove read_only of /usr',
      'dimension-not-delegated "landlock.hard_requirement", filesystem: the fence cannot see landlock.hard_requirement and would admit a workspace without Landlock; add `filesystem` to delegate, or remove landlock.hard_requirement',
    ])
    const delegating = await offer({ revision: 2n, volumes, sandbox, extra: `${extra}delegate: [filesystem]\n` })
    const { plan } = await apply(node, delegating)
    expect(
      plan.guarantees
        .filter(({ origin }) => origin.startsWith('sandbox.yaml'))
        .map(({ name, level, dimension, why }) => `${name}: ${level} ${dimension ?? '-'}, ${why}`),
    ).toEqual([
      'filesystem_policy.read_only: enforced -, vaultfs: /sandbox/work/project is work:/project',
      'filesystem_policy.read_only: delegated filesystem, read_only of /usr left to the runtime inside the workspace; the fence admits every path that is on no volume',
      'filesystem_policy.read_write: enforced -, vaultfs: /sandbox/work/project/out is work:/project/out',
      'landlock.hard_requirement: delegated filesystem, landlock.hard_requirement left to the runtime inside the workspace; the fence admits a workspace without Landlock',
    ])
    expect(readFileSync(join(mount, 'project/main.c'), 'utf8')).toBe('int main;\n')
    expect(outcome(() => writeFileSync(join(mount, 'project/main.c'), 'x'))).toBe('EROFS')
    expect(outcome(() => writeFileSync(join(mount, 'project/out/a'), 'x'))).toBe('ok')
    expect(outcome(() => writeFileSync(join(mount, 'other'), 'x'))).toBe('EACCES')
  })

  it('narrows files before it widens traffic, and widens files last', async () => {
    const { node, bundle } = await scene()
    const one = await apply(node, await bundle(1n, BOTH))
    const two = await apply(node, await bundle(2n, READ, { egress: [WEB, MAIL] }))
    const numbered = ({ plan, planDigest: digest, generation }: typeof one) => ({
      ...{ plan, digest, generation },
      backends: ['memory', 'vaultfs'] as const,
    })
    expect(switchOrder(numbered(one), numbered(two))).toEqual(['vaultfs', 'memory'])
    expect(switchOrder(numbered(two), numbered(one))).toEqual(['memory', 'vaultfs'])
    expect(renderDiff(diffPlans(one.plan, two.plan))).toBe(
      [
        `~ workspace ${ALPHA}`,
        '  - read-write work:/project/out (vaultfs)',
        '  + egress tcp 93.184.216.35/32 25',
        '',
      ].join('\n'),
    )
  })

  it('goes back in both when one of them cannot switch', async () => {
    const { node, mount, bundle, traffic, driver } = await scene()
    await apply(node, await bundle(1n, READ))
    const commit = driver.commit.bind(driver)
    driver.commit = async (staged: Staged) => {
      if (staged.generation === 2) throw new TypeError('the daemon says no')
      await commit(staged)
    }
    const failed = await apply(node, await bundle(2n, BOTH, { egress: [MAIL] })).catch((error: unknown) => error)
    expect(failed).toMatchObject({ code: 'AGENT_ACTIVATION_FAILED' })
    expect((await traffic.observe()).live?.generation).toBe(1)
    expect((await driver.observe()).live?.generation).toBe(1)
    expect(outcome(() => writeFileSync(join(mount, 'project/out/a'), 'x'))).toBe('EROFS')
  })

  it('is quarantined as one', async () => {
    const { node, mount, bundle, traffic, driver } = await scene()
    await apply(node, await bundle(1n, BOTH))
    const command = { commandId: 'q', by: 'user:test', workspace: ALPHA, reason: 'test' }
    await quarantine(node, { ...command, kind: 'quarantine-set' })
    expect((await traffic.observe()).live?.quarantined).toEqual([ALPHA])
    expect((await driver.observe()).live?.quarantined).toEqual([ALPHA])
    expect(outcome(() => readdirSync(mount))).toBe('EACCES')
    await apply(node, await bundle(2n, READ))
    expect(outcome(() => readdirSync(mount))).toBe('EACCES')
    await quarantine(node, { ...command, kind: 'quarantine-lift' })
    expect(readdirSync(mount)).toEqual(['project'])
  })

  it('shows its volumes: in the status, in evidence and in receipts, read back', async () => {
    const { node: plain, mount, bundle, state } = await scene()
    const node: AgentNode = { ...plain, signer: agentSigner(plain.store.directory, (length) => randomBytes(length)) }
    const { plan, generation } = await apply(node, await bundle(1n, BOTH))
    const held = openSync(join(mount, 'project/main.c'), 'r')
    after.push(() => closeSync(held))
    const shown = { name: 'work', backend: 'vaultfs', mount, rules: 2, state: 'serving', openFiles: 1 }
    expect((await status(node)).workspaces.map(({ volumes }) => volumes)).toEqual([[shown]])

    const asked = { audience: 'spiffe://fleet.example/verifier', nonce: 'ab'.repeat(16), nowMs: node.nowMs() }
    const terms = { ...asked, release: '0.1.0', canary: (backend: BackendName) => Promise.resolve(canaryOf(backend)) }
    const token = await makeEvidence(node, terms)
    const keys = readAgentKeys(readFileSync(join(node.store.directory, AGENT_PUBLIC_KEY)), 'keys')
    const { evidence } = await verifyEvidence(token, keys, asked)
    const mountId = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .find((line) => line.split(' ')[4] === mount)
      ?.split(' ')
    const { table } = vaultfsBackend.lower({
      ...sliceFor(plan, 'vaultfs', generation),
      source: { ...plan.source, expiresAtMs: FAR_MS },
    })
    expect(evidence.attachments[0]?.storage).toMatchObject({
      ...{ backend: 'vaultfs', present: true, generation, planDigest: evidence.planDigest, volumes: ['work'] },
      anchor: {
        emulated: false,
        generation,
        hooks: [{ hook: 'fuse', on: `${mount}#${mountId?.[0]}`, owner: { kind: 'rules', digest: digestOf(table) } }],
        objects: [{ kind: 'mount', name: 'work', id: mountId?.[2] }],
      },
    })
    const { attachments } = evidence
    const without = (change: object) => ({
      ...evidence,
      attachments: attachments.map((at) => ({ ...at, storage: { ...(at.storage as StorageSeen), ...change } })),
    })
    expect([
      lacking(without({ generation: 7 }), 'default_deny_egress'),
      lacking(without({ anchor: null }), 'default_deny_egress'),
      lacking(without({ volumes: ['other'] }), 'default_deny_egress'),
    ]).toEqual([
      `${ALPHA} was not read back under generation 1`,
      `${ALPHA}: its backend knows no place where its fence hangs`,
      `${ALPHA}: its volume other has no mount`,
    ])

    const command = { commandId: 'q', by: 'user:test', workspace: ALPHA, reason: 'test' }
    const fenced = await quarantine(node, { ...command, kind: 'quarantine-set' })
    const receipt = await verifyReceipt(fenced.receipt ?? '', keys)
    expect(receipt).toMatchObject({ backends: ['memory', 'vaultfs'] })
    expect(receipt.volumes).toEqual([{ name: 'work', mountId: Number(mountId?.[0]), denied: true, openFiles: 1 }])
    expect(outcome(() => readSync(held, Buffer.alloc(1), 0, 1, 0))).toBe('EACCES')
    const lifted = await quarantine(node, { ...command, kind: 'quarantine-lift' })
    expect((await verifyReceipt(lifted.receipt ?? '', keys)).volumes).toMatchObject([{ denied: false }])

    process.kill(daemonOf(state), 'SIGKILL')
    await until('the daemon to be gone', async () => (await status(node)).state === 'drifted')
    expect((await status(node)).workspaces[0]?.volumes).toMatchObject([{ state: 'absent' }])
  })

  it('tells the trail what was refused, with the clause', async () => {
    const { node, mount, bundle } = await scene()
    const { plan } = await apply(node, await bundle(1n, READ))
    const ended = new AbortController()
    const seen: Fact[] = []
    const ears = new Ears()
    const watching = watch(node, ears, ended.signal, (facts) => seen.push(...facts))
    outcome(() => writeFileSync(join(mount, 'project/main.c'), 'x'))
    const told = () => seen.find((fact) => fact.kind === 'file-denied')
    await until('the fact', () => told() !== undefined)
    ended.abort()
    expect(await watching).toBe('stopped')
    expect(told()).toMatchObject({
      ...{ workspace: { workspace: ALPHA }, backend: 'vaultfs', volume: 'work', operation: 'open-write' },
      ...{
        path: '/project/main.c',
        reason: 'read-only',
        uid: 0,
        count: 1,
        policy: { generation: 1, bundleId: 'sample' },
      },
      clause: plan.workspaces[0]?.storage?.volumes[0]?.rules[0]?.clauses[0],
    })
    expect(node.facts).toContain(told())
  })

  it('finds that the daemon was killed, and serves again', async () => {
    const { node, mount, state, bundle, driver } = await scene()
    await apply(node, await bundle(1n, BOTH))
    process.kill(daemonOf(state), 'SIGKILL')
    await until('the daemon to be gone', async () => (await driver.observe()).live === null)
    expect(await status(node)).toMatchObject({ state: 'drifted', drift: ['vaultfs: nothing is live'] })
    expect(outcome(() => readdirSync(mount))).toBe('ENOTCONN')
    expect((await apply(node, await bundle(1n, BOTH))).decision).toMatchObject({ kind: 'repair', generation: 2 })
    expect(readdirSync(mount)).toEqual(['project'])
    expect((await status(node)).state).toBe('active')
  })
})
