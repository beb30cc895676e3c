// The agent with its files on `doca-vault`: one bundle over traffic and a volume that the emulated card serves, its guarantees, status,
// refusals in the trail, the receipt of a quarantine, and what the next process does after this one.

import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { apply } from '../../src/agent/enforce.js'
import { AGENT_PUBLIC_KEY, agentSigner } from '../../src/agent/key.js'
import type { AgentNode } from '../../src/agent/node.js'
import { quarantine } from '../../src/agent/quarantine.js'
import { verifyReceipt } from '../../src/agent/receipt.js'
import { readAgentKeys } from '../../src/agent/signed.js'
import { status } from '../../src/agent/status.js'
import type { OpenBackend } from '../../src/agent/transaction.js'
import { docaVaultBackend } from '../../src/backends/doca-vault/index.js'
import { MemoryDriver } from '../../src/backends/memory/driver.js'
import type { PlanSlice } from '../../src/plan/model.js'
import { buildShim, EmulatedCard } from '../support/vault/card.js'
import { names, PCI, ROOT, VUID, words } from '../support/vault/guest.js'
import { ALPHA, makeNode, memoryAs, offer } from '../unit/agent/fixture.js'

const cannot = process.getuid?.() !== 0 && 'this needs root'
/** The bundles of the fixture end at a fixed date, and the shim goes by the machine's clock. */
const FAR_MS = Date.UTC(2100, 0, 1)
const [EACCES, EROFS] = [13, 30] as const

beforeAll(buildShim)

const after: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const step of after.splice(0).reverse()) await step()
})

async function scene() {
  const directory = mkdtempSync(join(tmpdir(), 'sv-'))
  after.push(() => rmSync(directory, { recursive: true, force: true }))
  const [source, state] = [join(directory, 'source'), join(directory, 'state')]
  mkdirSync(source)
  writeFileSync(join(source, 'f'), 'data')
  const card = new EmulatedCard([VUID])
  after.push(() => {
    expect(card.violations()).toEqual([])
  })
  const traffic = new MemoryDriver()
  /** As the agent opens it. */
  const open = async () => {
    const driver = await docaVaultBackend.open({ attachInterfaces: [], stateDirectory: state, vault: { card: PCI } })
    after.push(() => driver.close())
    const backend = {
      ...docaVaultBackend,
      lower: (slice: PlanSlice) =>
        docaVaultBackend.lower({ ...slice, source: { ...slice.source, expiresAtMs: FAR_MS } }),
    }
    const capabilities = docaVaultBackend.capabilities(await driver.probe())
    return { driver, files: { backend, driver, capabilities } as OpenBackend }
  }
  const bundle = (revision: bigint, rules: string, by = `, function: { vuid: ${VUID}, tag: work }`) =>
    offer({
      revision,
      volumes: `    volumes: [{ name: work, source: ${source}, mount: ${join(directory, 'mount')}${by} }]\n`,
      extra: `storage: { volumes: [{ name: work, ${rules} }] }\n`,
    })
  const { driver, files } = await open()
  const plain = makeNode([memoryAs('memory', ['veth', 'tap'], traffic), files])
  const node: AgentNode = { ...plain, signer: agentSigner(plain.store.directory, (length) => randomBytes(length)) }
  const lookup = (name: string) => card.ask('lookup', ROOT, { given: names(name) })
  return { card, node, driver, bundle, open, traffic, lookup }
}

describe.skipIf(cannot)('the agent with volumes on a card', () => {
  it('is live, says what holds each clause, and refuses a volume without a function', async () => {
    const { node, bundle, card, lookup } = await scene()
    const refused = await apply(node, await bundle(1n, 'read_only: [/]', '')).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'PLAN_REFUSED' })
    const applied = await apply(node, await bundle(1n, 'read_only: [/], deny: [/secret]'))
    const what =
      "our authorizer behind DevEmu virtio-fs, not NVIDIA's DOCA Vault, which has no published interface; emulated"
    expect(applied.plan.guarantees.map(({ name, level, why }) => `${name}: ${level}, ${why}`)).toEqual([
      `work: enforced, doca-vault: ${what}`,
      `work: enforced, doca-vault: ${what}`,
      'rule-0: enforced, memory',
    ])
    expect(await status(node)).toMatchObject({
      state: 'active',
      workspaces: [{ volumes: [{ name: 'work', backend: 'doca-vault', rules: 2, state: 'serving', openFiles: 0 }] }],
    })
    const opened = await lookup('f')
    expect(opened.errno).toBe(0)
    expect((await card.ask('open', opened.body.readBigUInt64LE(0), { arg: words(1, 0) })).errno).toBe(EROFS)
    expect((await lookup('secret')).errno).toBe(EACCES)
  })

  it('gives a receipt of a quarantine that reached what was open', async () => {
    const { node, bundle, card, lookup } = await scene()
    await apply(node, await bundle(1n, 'read_only: [/]'))
    const file = (await lookup('f')).body.readBigUInt64LE(0)
    const fh = (await card.ask('open', file, { arg: words(0, 0) })).body.readBigUInt64LE(0)
    const read = () => card.ask('read', file, { arg: words(fh, 0n, 9, 0, 0n, 0, 0), room: 9 })
    expect((await read()).data.toString()).toBe('data')
    const command = { commandId: 'q', by: 'user:test', workspace: ALPHA, reason: 'test' }
    const fenced = await quarantine(node, { ...command, kind: 'quarantine-set' })
    const keys = readAgentKeys(readFileSync(join(node.store.directory, AGENT_PUBLIC_KEY)), 'keys')
    const receipt = await verifyReceipt(fenced.receipt ?? '', keys)
    expect(receipt.backends).toEqual(['doca-vault', 'memory'])
    expect(receipt.volumes).toEqual([{ name: 'work', mountId: 0, denied: true, openFiles: 1 }])
    expect((await read()).errno).toBe(EACCES)
  })

  it('serves nothing when the process that served is gone, and again when the plan is committed', async () => {
    const { node, driver, bundle, open, traffic, lookup } = await scene()
    await apply(node, await bundle(1n, 'read_only: [/]'))
    await driver.close()
    expect((await lookup('f')).status).not.toBe(0)
    expect(await status(node)).toMatchObject({ state: 'drifted', drift: ['doca-vault: nothing is live'] })
    const { files } = await open()
    const backends = [memoryAs('memory', ['veth', 'tap'], traffic), files]
    const next = { ...node, backends: new Map(backends.map((one) => [one.backend.name, one])) }
    await apply(next, await bundle(2n, 'read_only: [/]'))
    expect((await lookup('f')).errno).toBe(0)
    expect((await status(next)).state).toBe('active')
  })
})
