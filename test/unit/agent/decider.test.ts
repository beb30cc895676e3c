// Questions about actions on a node that holds a bundle: answered under what is live now, with the flags of now, and refused
// where there is nothing to answer from.

import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Decider } from '../../../src/agent/decider.js'
import { verifyDecision } from '../../../src/agent/decision.js'
import { apply } from '../../../src/agent/enforce.js'
import { POLICIES } from '../../../src/agent/held-policies.js'
import { agentKey } from '../../../src/agent/key.js'
import { quarantine } from '../../../src/agent/quarantine.js'
import { readAgentKeys } from '../../../src/agent/signed.js'
import { utf8 } from '../../../src/base/bytes.js'
import { signerOf } from '../../../src/bundle/key-file.js'
import { ALPHA, BETA, MAIL, makeNode, NOW, offer, type TestNode, WEB } from './fixture.js'

const AUDIENCE = 'fleet.example/gateway'
const connect = (to: string) => JSON.stringify({ action: { resource: `tcp://${to}` } })
const exec = (path: string) => JSON.stringify({ action: { resource: `exec://${path}` } })
const WEB_AT = '93.184.216.34:443'

/** A decider whose clock the test moves; it starts anew, as after a restart. */
function deciding(node: TestNode) {
  const clock = { ms: 0 }
  const decider = new Decider(
    () => Promise.resolve(node),
    () => clock.ms,
  )
  const ask = async (text: string, workspace = ALPHA): Promise<string> => {
    const { decision } = await decider.answer({ workspace, text, audience: '', nonce: '' })
    return `${decision.decision} ${decision.reason}`
  }
  return { clock, decider, ask }
}
const policyFiles = (node: TestNode) => readdirSync(join(node.store.directory, POLICIES))
const command = (kind: 'quarantine-set' | 'quarantine-lift') =>
  ({ kind, commandId: kind, by: 'user:test', workspace: ALPHA, reason: 'r' }) as const

describe('a decider', () => {
  it('answers by the bundle that is live, and by the next one at once', async () => {
    const node = makeNode()
    await apply(node, await offer({ extra: 'delegate: [process]\n', egress: [WEB] }))
    const { ask } = deciding(node)
    expect(await ask(connect(WEB_AT))).toBe('allow grant')
    expect(await ask(connect('93.184.216.35:25'))).toBe('deny no-grant')
    expect(await ask(exec('/usr/bin/git'))).toBe('deny no-rule')
    expect(await ask(connect(WEB_AT), BETA)).toBe('deny unknown-workspace')
    await apply(node, await offer({ revision: 2n, egress: [MAIL] }))
    expect(await ask(connect(WEB_AT))).toBe('deny no-grant')
    expect(await ask(connect('93.184.216.35:25'))).toBe('allow grant')
    // Of the plan that is live, and of no other.
    expect(policyFiles(node)).toHaveLength(1)
  })

  it('sees a quarantine in the next question, and its lift', async () => {
    const node = makeNode()
    await apply(node, await offer())
    const { ask, clock } = deciding(node)
    expect(await ask(connect(WEB_AT))).toBe('allow grant')
    await quarantine(node, command('quarantine-set'))
    expect(await ask(connect(WEB_AT))).toBe('deny quarantined')
    await quarantine(node, command('quarantine-lift'))
    clock.ms += 101
    expect(await ask(connect(WEB_AT))).toBe('allow grant')
  })

  it('sees a suspended workspace when it looks again', async () => {
    const node = makeNode()
    await apply(node, await offer())
    const { ask, clock } = deciding(node)
    expect(await ask(connect(WEB_AT))).toBe('allow grant')
    await node.backends.get('memory')?.driver.flag(ALPHA, 'suspended', true)
    clock.ms += 101
    expect(await ask(connect(WEB_AT))).toBe('deny suspended')
  })

  it('denies when the bundle has expired', async () => {
    const node = makeNode()
    await apply(node, await offer())
    const { ask } = deciding(node)
    node.now = Date.UTC(2027, 0, 1)
    expect(await ask(connect(WEB_AT))).toBe('deny expired')
  })

  it('answers after a restart from what is kept, and refuses where that is damaged or gone', async () => {
    const node = makeNode()
    await apply(node, await offer())
    expect(await deciding(node).ask(connect(WEB_AT))).toBe('allow grant')
    const [name = ''] = policyFiles(node)
    const file = join(node.store.directory, POLICIES, name)
    writeFileSync(file, '{}')
    await expect(deciding(node).ask(connect(WEB_AT))).rejects.toMatchObject({
      code: 'AGENT_DECISION_NONE',
      message: 'this node cannot decide about actions: the kept policies are damaged',
    })
    await apply(node, await offer())
    expect(await deciding(node).ask(connect(WEB_AT))).toBe('allow grant')
  })

  it('refuses a question that cannot be read, and a node where nothing was ever live', async () => {
    const node = makeNode()
    const { ask } = deciding(node)
    await expect(ask(connect(WEB_AT))).rejects.toMatchObject({ code: 'AGENT_NOTHING_LIVE' })
    await expect(ask('{}')).rejects.toMatchObject({
      code: 'AGENT_QUESTION',
      message: 'the question cannot be read: action is not an object',
    })
  })

  it('asks for a review of writes that the policy marks, and signs that it does', async () => {
    const bare = makeNode()
    await apply(bare, await offer({ extra: 'review: [requests]\n' }))
    const pair = agentKey(bare.store.directory, (length) => new Uint8Array(length).fill(9))
    const { decider } = deciding({ ...bare, signer: signerOf(pair) })
    const ask = (method: string) => {
      const text = JSON.stringify({ action: { method, resource: 'https://93.184.216.34/v1/items' } })
      return decider.answer({ workspace: ALPHA, text, audience: AUDIENCE, nonce: '00' })
    }
    expect((await ask('GET')).decision).toMatchObject({ decision: 'allow', obligations: [] })
    const { decision, attestation } = await ask('POST')
    const obligations = [{ kind: 'review', of: 'requests' }]
    expect(decision).toMatchObject({ decision: 'allow', reason: 'grant', obligations })
    const key = {
      role: 'agent',
      alg: pair.public.alg,
      public_key: Buffer.from(pair.public.bytes).toString('base64url'),
    }
    const keys = readAgentKeys(utf8(JSON.stringify({ [pair.kid]: key })), 'keys')
    expect(await verifyDecision(attestation, keys, { audience: AUDIENCE, nowMs: NOW })).toMatchObject({ obligations })
  })

  it('keeps to what is live when a bundle has a member of a kind that nothing here evaluates', async () => {
    const node = makeNode()
    await apply(node, await offer())
    const refused = await offer({
      revision: 2n,
      egress: [MAIL],
      members: { 'cedar.yaml': 'kind: CedarPolicy\napiVersion: x/v1\n' },
    })
    await expect(apply(node, refused)).rejects.toMatchObject({
      code: 'PLAN_POLICY_INVALID',
      notes: [expect.objectContaining({ code: 'unknown-kind', file: 'cedar.yaml' })],
    })
    expect(await deciding(node).ask(connect(WEB_AT))).toBe('allow grant')
    expect(await deciding(node).ask(connect('93.184.216.35:25'))).toBe('deny no-grant')
  })

  it('signs its answer for an audience, and leaves it unsigned for nobody', async () => {
    const bare = makeNode()
    await apply(bare, await offer())
    const pair = agentKey(bare.store.directory, (length) => new Uint8Array(length).fill(9))
    const { decider } = deciding({ ...bare, signer: signerOf(pair) })
    const asked = { workspace: ALPHA, text: connect(WEB_AT), nonce: 'ab'.repeat(16) }
    const { attestation, program } = await decider.answer({ ...asked, audience: AUDIENCE })
    const entry = {
      role: 'agent',
      alg: pair.public.alg,
      public_key: Buffer.from(pair.public.bytes).toString('base64url'),
    }
    const keys = readAgentKeys(utf8(JSON.stringify({ [pair.kid]: entry })), 'keys')
    expect(
      await verifyDecision(attestation, keys, { audience: AUDIENCE, nowMs: NOW, nonce: asked.nonce }),
    ).toMatchObject({
      workspace: ALPHA,
      decision: 'allow',
      generation: program.generation,
      bundleDigest: program.bundleDigest,
    })
    expect((await decider.answer({ ...asked, audience: '' })).attestation).toBe('')
  })
})
