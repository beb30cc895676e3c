// Who may ask: every reason for which an agent's records carry nothing, from signed octets in a folder and in the question to the
// answer; versions that go back, also after a restart; keys that are trusted no more; questions that name nobody.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Decider } from '../../../src/agent/decider.js'
import { apply } from '../../../src/agent/enforce.js'
import { REGISTRATIONS } from '../../../src/agent/registrations.js'
import { Revoked } from '../../../src/agent/revoked.js'
import type { JsonObject } from '../../../src/bundle/statement.js'
import { AUTHORITY_REASONS, type AuthorityReason } from '../../../src/decide/authority.js'
import {
  agentKeyOf,
  childHop,
  delegated,
  ISSUER,
  inQuestion,
  keyOf,
  REGISTRY,
  registered,
  registration,
  rootHop,
  rootWith,
  SPONSOR,
} from '../../support/decide/records.js'
import { ALPHA, BETA, makeNode, NOW, offer, type TestNode, UNTIL } from './fixture.js'

const WEB_AT = 'tcp://93.184.216.34:443'
const LEAD = 'agent-lead'
const AIDE = 'agent-aide'
const OTHERS = [keyOf('author', 'a'), keyOf('release', 'r'), keyOf('inventory', 'i')]

interface Rig {
  readonly node: TestNode
  readonly folder: string
  /** Puts a record into the folder; the next question sees it. */
  readonly put: (name: string, signed: Uint8Array) => void
  readonly ask: (who?: string, chain?: readonly Uint8Array[]) => Promise<string>
  readonly refused: () => string[]
  /** As after a restart of the agent. */
  readonly restart: () => void
  /** From now on the root has these keys of the roles that matter here. */
  readonly trust: (own: Parameters<typeof rootWith>[2]) => void
}

async function rig(required = false): Promise<Rig> {
  const base = makeNode()
  await apply(base, await offer())
  const folder = join(base.store.directory, '..', 'registrations')
  mkdirSync(folder)
  let node: TestNode = {
    ...base,
    ...rootWith(OTHERS, UNTIL),
    config: { ...base.config, decisions: { registrations: folder, required } },
  }
  const open = () =>
    new Decider(
      () => Promise.resolve(node),
      () => 0,
    )
  let decider = open()
  return {
    node: base,
    folder,
    put: (name, signed) => {
      writeFileSync(join(folder, `${name}.jws.json`), signed)
    },
    ask: async (who, chain) => {
      await decider.refresh()
      const text = JSON.stringify({
        action: { resource: WEB_AT },
        ...(who === undefined ? {} : { agent_registration: { agent_id: who } }),
        ...(chain === undefined ? {} : { delegation: chain.map(inQuestion) }),
      })
      const { decision } = await decider.answer({ workspace: ALPHA, text, audience: '', nonce: '' })
      const more = decision.obligations.map((one) => ` [${Object.values(one).join(' ')}]`)
      return `${decision.decision} ${decision.reason}${more.join('')}`
    },
    refused: () => base.facts.flatMap((fact) => (fact.kind === 'bundle-refused' ? [fact.code] : [])),
    restart: () => {
      decider = open()
    },
    trust: (own) => {
      node = { ...node, ...rootWith(OTHERS, UNTIL, own) }
    },
  }
}

const registrationOf = (agent: string, more: JsonObject = {}) => registered(registration(agent, NOW, [ALPHA], more))

/** Lead and aide are registered, and the sponsor's task went from one to the other. */
async function chained(more: { readonly root?: JsonObject; readonly child?: JsonObject } = {}) {
  const at = await rig()
  at.put('lead', await registrationOf(LEAD))
  at.put('aide', await registrationOf(AIDE))
  const root = await delegated(rootHop(LEAD, NOW, more.root))
  const child = await delegated(childHop(LEAD, AIDE, root, NOW, more.child), agentKeyOf(LEAD))
  return { at, root, child }
}
const asked = async (more: Parameters<typeof chained>[0] = {}): Promise<string> => {
  const { at, root, child } = await chained(more)
  return at.ask(AIDE, [root, child])
}
const alone = async (more: JsonObject): Promise<string> => {
  const at = await rig()
  at.put('lead', await registrationOf(LEAD, more))
  return at.ask(LEAD, [await delegated(rootHop(LEAD, NOW))])
}
const SOON = new Date(NOW + 60_000).toISOString()

/** How each reason comes about; every one of them is told to the caller. */
const CASES: Readonly<Record<AuthorityReason, () => Promise<string>>> = {
  unregistered: async () => (await rig()).ask(LEAD, [await delegated(rootHop(LEAD, NOW))]),
  'rolled-back': async () => {
    const { at, root, child } = await chained()
    expect(await at.ask(AIDE, [root, child])).toBe('allow grant')
    expect(await at.ask(LEAD, [root])).toBe('allow grant')
    // Somebody who may say so has seen a newer record than this node.
    new Revoked(at.node.store.directory).add({ versions: new Map([[`${ISSUER} record-of-${LEAD}`, 2]]) })
    // Nor does what the old record's keys sign, or was handed on under it, carry anybody else.
    expect(await at.ask(AIDE, [root, child])).toBe('deny untrusted-issuer')
    return at.ask(LEAD, [root])
  },
  'agent-pending': () => alone({ lifecycle_state: 'pending' }),
  'agent-suspended': () => alone({ lifecycle_state: 'suspended' }),
  'agent-revoked': async () => {
    const { at, root } = await chained()
    expect(await alone({ lifecycle_state: 'revoked' })).toBe('deny agent-revoked')
    new Revoked(at.node.store.directory).add({ agents: [LEAD] })
    return at.ask(LEAD, [root])
  },
  'registration-expired': async () => {
    const { at, root } = await chained()
    at.node.now = NOW + 3_600_000
    return at.ask(LEAD, [root])
  },
  'other-workspace': () => alone({ workspaces: [BETA] }),
  'no-root': async () => {
    const { at, child } = await chained()
    expect(await at.ask(AIDE, [child])).toBe('deny untrusted-issuer')
    expect(await at.ask(AIDE, [])).toBe('deny no-root')
    return at.ask(AIDE)
  },
  'broken-chain': async () => {
    const { at, root } = await chained()
    const other = await delegated(rootHop(LEAD, NOW, { delegation_id: 'd-other' }))
    const child = await delegated(childHop(LEAD, AIDE, other, NOW), agentKeyOf(LEAD))
    return at.ask(AIDE, [root, child])
  },
  'untrusted-issuer': async () => {
    const { at, root } = await chained()
    // Signed by somebody else's key, in the name of nobody who may, by an agent that nobody registered.
    expect(await at.ask(LEAD, [await delegated(rootHop(LEAD, NOW), keyOf('delegation', 'stranger'))])).toBe(
      'deny untrusted-issuer',
    )
    expect(await asked({ root: { issuer: 'user:mallory' } })).toBe('deny untrusted-issuer')
    const stray = await delegated(childHop('agent-x', AIDE, root, NOW), agentKeyOf('agent-x'))
    expect(await at.ask(AIDE, [root, stray])).toBe('deny untrusted-issuer')
    const forged = await delegated(childHop(LEAD, AIDE, root, NOW), agentKeyOf(AIDE))
    return at.ask(AIDE, [root, forged])
  },
  'delegation-revoked': async () => {
    const { at, root, child } = await chained()
    expect(await at.ask(AIDE, [root, child])).toBe('allow grant')
    // Who handed it on was suspended meanwhile.
    at.put('lead', await registrationOf(LEAD, { record_version: 2, lifecycle_state: 'suspended' }))
    expect(await at.ask(AIDE, [root, child])).toBe('deny delegation-revoked')
    at.put('lead', await registrationOf(LEAD, { record_version: 3 }))
    expect(await at.ask(AIDE, [root, child])).toBe('allow grant')
    new Revoked(at.node.store.directory).add({ delegations: [{ issuer: SPONSOR, delegationId: 'd-root' }] })
    at.restart()
    return at.ask(AIDE, [root, child])
  },
  'delegation-expired': async () => {
    const { at, root, child } = await chained({ root: { expires_at: SOON } })
    at.node.now = NOW + 60_000
    return at.ask(AIDE, [root, child])
  },
  'not-narrower': () => asked({ child: { authorizations: [{ kind: 'connect' }] } }),
  'too-deep': async () => {
    const { at, root } = await chained()
    expect(await asked({ root: { max_depth: 0 }, child: { max_depth: 0 } })).toBe('deny too-deep')
    return at.ask(LEAD, Array<Uint8Array>(17).fill(root))
  },
  'other-actor': async () => {
    const { at, root } = await chained()
    return at.ask(AIDE, [root])
  },
}

describe('an agent that asks', () => {
  it.each(AUTHORITY_REASONS)('is denied: %s', async (reason) => {
    expect(await CASES[reason]()).toBe(`deny ${reason}`)
  })

  it('may do what every hop permits and the policy allows, and is told who it is', async () => {
    const { at, root, child } = await chained({ child: { review: true } })
    expect(await at.ask(LEAD, [root])).toBe('allow grant')
    expect(await at.ask(AIDE, [root, child])).toBe('allow grant [review delegation]')
    expect(
      await asked({ root: { authorizations: [{ kind: 'connect', ports: [80] }] }, child: { authorizations: [] } }),
    ).toBe('deny not-delegated')
    expect(await at.ask()).toBe('allow grant')
  })

  it('has to be named where the configuration says so', async () => {
    const at = await rig(true)
    expect(await at.ask()).toBe('deny unregistered')
    at.put('lead', await registrationOf(LEAD))
    expect(await at.ask(LEAD, [await delegated(rootHop(LEAD, NOW))])).toBe('allow grant')
    expect(await at.ask()).toBe('deny unregistered')
  })

  it('is known after a restart, and after its file is gone', async () => {
    const { at, root } = await chained()
    expect(await at.ask(LEAD, [root])).toBe('allow grant')
    rmSync(at.folder, { recursive: true })
    mkdirSync(at.folder)
    at.restart()
    expect(await at.ask(LEAD, [root])).toBe('allow grant')
  })

  it('is unknown once the key that registered it is trusted no more, and known again with it', async () => {
    const { at, root } = await chained()
    expect(await at.ask(LEAD, [root])).toBe('allow grant')
    at.trust([keyOf('registration', 'registry-2'), keyOf('delegation', 'bridge-2')])
    expect(await at.ask(LEAD, [root])).toBe('deny unregistered')
    // The file lies there still, and is not what the new root would take.
    expect(at.refused()).toEqual(['BUNDLE_THRESHOLD', 'BUNDLE_THRESHOLD'])
    at.trust([REGISTRY, keyOf('delegation', 'bridge-2')])
    expect(await at.ask(LEAD, [root])).toBe('deny untrusted-issuer')
  })
})

describe('a registration record', () => {
  it('that is older than what was seen is refused, told once, and changes nothing; also after a restart and a loss', async () => {
    const { at, root } = await chained()
    const old = await registrationOf(LEAD)
    at.put('lead', await registrationOf(LEAD, { record_version: 2, lifecycle_state: 'suspended' }))
    expect(await at.ask(LEAD, [root])).toBe('deny agent-suspended')
    at.put('lead', old)
    expect(await at.ask(LEAD, [root])).toBe('deny agent-suspended')
    expect(await at.ask(LEAD, [root])).toBe('deny agent-suspended')
    expect(at.refused()).toEqual(['AGENT_REGISTRATION_ROLLBACK'])
    const [told] = at.node.facts.filter(({ kind }) => kind === 'bundle-refused')
    expect(told).toMatchObject({
      attack: true,
      say: `the registration record "${ISSUER} record-of-${LEAD}" has version 1, and 2 was seen before`,
    })
    at.restart()
    expect(await at.ask(LEAD, [root])).toBe('deny agent-suspended')
    rmSync(join(at.node.store.directory, REGISTRATIONS))
    at.restart()
    expect(await at.ask(LEAD, [root])).toBe('deny unregistered')
    at.put('lead', await registrationOf(LEAD, { record_version: 3 }))
    expect(await at.ask(LEAD, [root])).toBe('allow grant')
  })

  it('is refused with another content under its version, and beside another of the same agent', async () => {
    const { at, root } = await chained()
    expect(await at.ask(LEAD, [root])).toBe('allow grant')
    at.put('lead', await registrationOf(LEAD, { workspaces: [ALPHA, BETA] }))
    at.put('twin', await registrationOf(LEAD, { record_id: 'twin' }))
    expect(await at.ask(LEAD, [root])).toBe('allow grant')
    expect(at.refused()).toEqual(['AGENT_REGISTRATION_TWICE', 'AGENT_REGISTRATION_TWICE'])
  })

  it('is refused when nobody who may has signed it, or it is none', async () => {
    const { at, root } = await chained()
    at.put('lead', await registered(registration(LEAD, NOW, [ALPHA]), keyOf('registration', 'stranger')))
    at.put('none', new TextEncoder().encode('{}\n'))
    at.put('long', new Uint8Array(65_537))
    expect(await at.ask(LEAD, [root])).toBe('deny unregistered')
    expect(at.refused().sort()).toEqual(['AGENT_CONFIG_READ', 'BUNDLE_STATEMENT', 'BUNDLE_THRESHOLD'])
  })

  it('that is kept and damaged answers nobody who names an agent', async () => {
    const { at, root } = await chained()
    expect(await at.ask(LEAD, [root])).toBe('allow grant')
    writeFileSync(join(at.node.store.directory, REGISTRATIONS), '{}')
    at.restart()
    await expect(at.ask(LEAD, [root])).rejects.toMatchObject({ code: 'AGENT_STORE_DAMAGED' })
  })
})

it('a root that cannot be read refuses no record, and vouches for none', async () => {
  const { at, root } = await chained()
  expect(await at.ask(LEAD, [root])).toBe('allow grant')
  const { NO_TRUST } = await import('../../../src/bundle/root.js')
  const decider = new Decider(
    () =>
      Promise.resolve({
        ...at.node,
        trust: NO_TRUST,
        config: { ...at.node.config, decisions: { registrations: at.folder, required: true } },
      }),
    () => 0,
  )
  await decider.refresh()
  expect(at.refused()).toEqual([])
  const text = JSON.stringify({ action: { resource: WEB_AT }, agent_registration: { agent_id: LEAD } })
  const { decision } = await decider.answer({ workspace: ALPHA, text, audience: '', nonce: '' })
  expect(decision).toMatchObject({ decision: 'deny', reason: 'unregistered' })
})
