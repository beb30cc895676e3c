// Receipts: what a quarantine and a lift leave in writing, and how a reader finds out that one was changed.

import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { apply } from '../../src/agent/enforce.js'
import { AGENT_KEY, AGENT_PUBLIC_KEY, agentKey, agentSigner } from '../../src/agent/key.js'
import type { AgentNode } from '../../src/agent/node.js'
import { quarantine } from '../../src/agent/quarantine.js'
import { RECEIPT_TYPE, verifyReceipt } from '../../src/agent/receipt.js'
import { readAgentKeys } from '../../src/agent/signed.js'
import { SEAL_TYPE, signCompact } from '../../src/audit/seal.js'
import type { Cut, Observed } from '../../src/backends/backend.js'
import { MemoryDriver } from '../../src/backends/memory/driver.js'
import { base64url, utf8 } from '../../src/base/bytes.js'
import { digestOfText } from '../../src/base/digest.js'
import { Fault } from '../../src/base/fault.js'
import { generateKey, signerOf } from '../../src/bundle/key-file.js'
import { ALPHA, BETA, makeNode, memoryAs, NOW, offer, type TestNode } from '../unit/agent/fixture.js'

const random = (length: number): Uint8Array => randomBytes(length)
const signed = (node: TestNode): AgentNode & Pick<TestNode, 'facts'> => ({
  ...node,
  signer: agentSigner(node.store.directory, random),
})
const keysOf = (node: AgentNode) =>
  readAgentKeys(readFileSync(join(node.store.directory, AGENT_PUBLIC_KEY)), AGENT_PUBLIC_KEY)
const command = (kind: 'quarantine-set' | 'quarantine-lift') =>
  ({ kind, workspace: ALPHA, reason: 'incident 4711', by: 'user:ops', commandId: 'cmd-1/../x' }) as const
const codeOf = (attempt: Promise<unknown>): Promise<string> =>
  attempt.then(
    () => 'accepted',
    (error: unknown) => (error instanceof Fault ? error.code : String(error)),
  )

describe('a receipt', () => {
  it('says what was asked, done and read back, and the trail has its digest', async () => {
    const node = signed(makeNode())
    const { planDigest } = await apply(node, await offer())
    const { receipt = '' } = await quarantine(node, command('quarantine-set'))
    expect(await verifyReceipt(receipt, keysOf(node))).toEqual({
      format: 'sluice-receipt/1',
      node: node.config.node,
      action: 'quarantine-set',
      workspace: ALPHA,
      attachmentId: 'ws0',
      interface: 'ws0',
      leaseGeneration: 0,
      commandId: 'cmd-1/../x',
      by: 'user:ops',
      reason: 'incident 4711',
      askedAtMs: NOW,
      fencedAtMs: NOW,
      elapsedMs: 0,
      quietFromMs: NOW,
      drainedPackets: 0,
      flowsCut: 0,
      unknown: { lastByteAtMs: 'memory: no flow was live' },
      generation: 1,
      planDigest,
      bundleDigest: node.store.load().live?.source.bundleDigest,
      backends: ['memory'],
    })
    expect(node.facts.at(-1)).toMatchObject({ kind: 'quarantine-set', receipt: digestOfText(receipt) })
  })

  it('is kept in the state directory, a file each, whatever the command is called', async () => {
    const node = signed(makeNode())
    await apply(node, await offer())
    const set = await quarantine(node, command('quarantine-set'))
    const lifted = await quarantine(node, command('quarantine-lift'))
    const folder = join(node.store.directory, 'receipts')
    const names = readdirSync(folder).sort()
    expect(names).toHaveLength(2)
    for (const name of names) expect(name).toMatch(/^\d{15}-quarantine-(set|lift)-[0-9a-f]{16}\.jws$/)
    const kept = names.map((name) => readFileSync(join(folder, name), 'utf8'))
    expect(new Set(kept)).toEqual(new Set([set.receipt, lifted.receipt]))
    expect(await verifyReceipt(lifted.receipt ?? '', keysOf(node))).toMatchObject({
      action: 'quarantine-lift',
      quietFromMs: null,
      unknown: { flowsCut: 'a lift cuts nothing', lastByteAtMs: 'a lift cuts nothing' },
    })
  })

  it('is one of each workspace that one command fences in one millisecond', async () => {
    const node = signed(makeNode())
    await apply(node, await offer({ workspaces: [ALPHA, BETA] }))
    for (const workspace of [ALPHA, BETA]) await quarantine(node, { ...command('quarantine-set'), workspace })
    expect(readdirSync(join(node.store.directory, 'receipts'))).toHaveLength(2)
  })

  it('says how many flows were cut and when the last of their packets passed, as far as its backends know', async () => {
    class Busy extends MemoryDriver {
      override cut(): Promise<Cut> {
        return Promise.resolve({ flows: 3, lastPacketAtMs: NOW - 7 })
      }
    }
    const node = signed(makeNode([memoryAs('memory', ['veth', 'tap'], new Busy())]))
    await apply(node, await offer())
    const { receipt = '' } = await quarantine(node, command('quarantine-set'))
    expect(await verifyReceipt(receipt, keysOf(node))).toMatchObject({
      flowsCut: 3,
      lastByteAtMs: NOW - 7,
      unknown: {},
    })
  })

  it('of a workspace that is nowhere says that nothing was cut', async () => {
    const node = signed(makeNode())
    await apply(node, await offer())
    const nowhere = { ...command('quarantine-set'), workspace: 'spiffe://fleet.example/ws/nowhere' }
    const { receipt = '' } = await quarantine(node, nowhere)
    const read = await verifyReceipt(receipt, keysOf(node))
    const why = 'nothing here carries the workspace'
    expect(read).toMatchObject({ backends: [], unknown: { flowsCut: why, lastByteAtMs: why } })
    expect(Object.keys(read)).not.toEqual(expect.arrayContaining(['flowsCut']))
  })

  it('waits until the queues are drained', async () => {
    /** Packets that were under way still come through for a while after the flag. */
    class Draining extends MemoryDriver {
      left = 3
      override async observe(): Promise<Observed> {
        const seen = await super.observe()
        const packets = 100n - BigInt(this.left)
        if (seen.live?.quarantined.includes(ALPHA) && this.left > 0) this.left--
        return { ...seen, counters: [{ workspace: ALPHA, grant: 'g-1', packets, bytes: 0n }] }
      }
    }
    const node = signed(makeNode([memoryAs('memory', ['veth', 'tap'], new Draining())]))
    await apply(node, await offer())
    const { receipt = '' } = await quarantine(node, command('quarantine-set'))
    expect(await verifyReceipt(receipt, keysOf(node))).toMatchObject({ drainedPackets: 3, quietFromMs: NOW })
  })

  it('does not keep a workspace open when it cannot be made', async () => {
    const node = signed(makeNode())
    await apply(node, await offer())
    writeFileSync(join(node.store.directory, 'receipts'), 'a file where the folder should be')
    const done = await quarantine(node, command('quarantine-set'))
    expect(done).toMatchObject({ changed: true, attached: true })
    expect(done).not.toHaveProperty('receipt')
    expect((await node.backends.get('memory')?.driver.observe())?.live?.quarantined).toEqual([ALPHA])
    expect(node.facts.at(-1)).not.toHaveProperty('receipt')
  })

  it('is not given by a node without a key', async () => {
    const node = makeNode()
    await apply(node, await offer())
    expect(await quarantine(node, command('quarantine-set'))).not.toHaveProperty('receipt')
  })
})

describe('reading one', () => {
  const receiptOf = async () => {
    const node = signed(makeNode())
    await apply(node, await offer())
    const { receipt = '' } = await quarantine(node, command('quarantine-set'))
    return { receipt, node, keys: keysOf(node) }
  }
  it('refuses every change of a character', async () => {
    const { receipt, keys } = await receiptOf()
    const text = receipt.trimEnd()
    for (let i = 0; i < text.length; i += 7) {
      const changed = text.slice(0, i) + (text[i] === 'A' ? 'B' : 'A') + text.slice(i + 1)
      expect(await codeOf(verifyReceipt(changed, keys))).toMatch(/^BUNDLE_JWS|AGENT_SIGNED_TYPE$/)
    }
  })

  it('refuses a key that nobody trusts, under the same id', async () => {
    const { receipt, node } = await receiptOf()
    const { kid } = agentKey(node.store.directory, random)
    const other = generateKey({ role: 'agent', kid }, random)
    const entry = { role: 'agent', alg: 'Ed25519', public_key: base64url(other.public.bytes) }
    const keys = readAgentKeys(utf8(JSON.stringify({ [kid]: entry })), 'keys')
    expect(await codeOf(verifyReceipt(receipt, keys))).toBe('BUNDLE_JWS')
  })

  it.each<[string, string, string, string]>([
    ['a seal of the same key', SEAL_TYPE, '{}', 'AGENT_SIGNED_TYPE'],
    ['another format', RECEIPT_TYPE, '{"format":"sluice-receipt/2"}', 'AGENT_RECEIPT'],
    ['members left out', RECEIPT_TYPE, '{"format":"sluice-receipt/1"}', 'AGENT_RECEIPT'],
    ['no JSON', RECEIPT_TYPE, 'hello', 'AGENT_RECEIPT'],
  ])('refuses %s', async (_name, typ, payload, code) => {
    const { node, keys } = await receiptOf()
    const signer = signerOf(agentKey(node.store.directory, random))
    expect(await codeOf(verifyReceipt(await signCompact(typ, utf8(payload), signer), keys))).toBe(code)
  })
})

describe("the agent's key", () => {
  it('is made once, for its owner alone, with its public half beside it', () => {
    const { directory } = makeNode().store
    const pair = agentKey(directory, random)
    expect(agentKey(directory, random).secret).toEqual(pair.secret)
    expect(readAgentKeys(readFileSync(join(directory, AGENT_PUBLIC_KEY)), 'keys')).toMatchObject([{ kid: pair.kid }])
  })

  it('is never replaced when it is damaged', () => {
    const { directory } = makeNode().store
    writeFileSync(join(directory, AGENT_KEY), 'half a k')
    expect(() => agentKey(directory, random)).toThrow(
      expect.objectContaining({ code: 'AGENT_STORE_DAMAGED' }) as unknown,
    )
    expect(readFileSync(join(directory, AGENT_KEY), 'utf8')).toBe('half a k')
  })

  it.each([
    ['not JSON', '{', 'it is not strict JSON'],
    ['no keys', '{}', 'it has no key'],
    ['a list', '[]', 'it is not an object of key ids'],
    [
      'another role',
      '{"a":{"role":"release","alg":"Ed25519","public_key":"AAAA"}}',
      'the key a has not the role agent, a known algorithm and a public key',
    ],
  ])('is not read from a file with %s', (_name, text, why) => {
    expect(() => readAgentKeys(utf8(text), 'agent.pub.json')).toThrow(`agent.pub.json has no keys of agents: ${why}`)
  })
})
