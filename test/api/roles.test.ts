// Every method by every role, over real mutual TLS: what the table allows is answered, everything else is refused with the
// same words, and the agent behind hears of nothing that was refused.

import { status } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { METHOD_NAMES, type MethodName } from '../../src/api/methods.js'
import { ACCESS, maySpeakOf, ROLES, type Role, rolesOf } from '../../src/api/roles.js'
import { IDS, Scene, STRANGER, WS } from './scene.js'

const REQUESTS: { readonly [M in MethodName]: object } = {
  'Enforcement/GetStatus': {},
  'Enforcement/GetPlan': {},
  'Enforcement/Explain': { workspace: WS, packet: 'tcp 10.9.1.2:4000 > 93.184.216.34:443' },
  'Enforcement/Quarantine': { workspace: WS, reason: 'incident' },
  'Enforcement/Lift': { workspace: WS, reason: 'mended' },
  'Enforcement/CheckDrift': {},
  'Workspaces/Attach': { workspace: WS, kind: 1, interface: 'ws0', leaseGeneration: 4 },
  'Workspaces/Detach': { workspace: WS, leaseGeneration: 4 },
  'Workspaces/ListAttachments': {},
  'Sessions/OpenSession': { workspace: WS, sessionId: 's-1', user: 'ana', peer: '10.60.0.1', lifetimeMs: 60_000 },
  'Sessions/CloseSession': { workspace: WS, sessionId: 's-1' },
  'Sessions/ListSessions': {},
  'Decision/CheckFlow': { workspace: WS, protocol: 1, destination: '93.184.216.34', destinationPort: 443 },
  'Decision/CheckAction': { workspace: WS, question: Buffer.from('{}') },
  'Evidence/MakeEvidence': { nonce: new Uint8Array(16), audience: 'fleet.example/dev' },
  'Audit/GetTrail': {},
  'Audit/StreamEvents': { afterSequence: 4 },
}

let scene: Scene
beforeAll(async () => {
  scene = await Scene.open()
})
afterAll(() => scene.close())

/** `ok`, or the code and the fault. */
async function outcome(id: string, name: MethodName): Promise<string> {
  scene.monotonicMs += 60_000
  const client = scene.client(id)
  try {
    if (name === 'Audit/StreamEvents') {
      let count = 0
      for await (const { sequence } of client.events(4, new AbortController().signal)) count += sequence
      return count === 5 + 6 + 7 ? 'ok' : `lost events: ${count}`
    }
    await client.call(name, REQUESTS[name])
    return 'ok'
  } catch (error) {
    const { code, metadata } = error as { code: number; metadata: { get(key: string): string[] } }
    return `${status[code] ?? ''} ${metadata.get('sluice-code')[0] ?? ''}`
  }
}

describe.each([...ROLES, 'nobody'] as const)('%s', (role) => {
  it.each(METHOD_NAMES)('%s', async (name) => {
    const before = scene.asked.length
    const refused = scene.refused.length
    const allowed = role !== 'nobody' && ACCESS[name].includes(role)
    const expected = allowed ? 'ok' : 'PERMISSION_DENIED API_DENIED'
    expect(await outcome(role === 'nobody' ? STRANGER : IDS[role], name)).toBe(expected)
    expect(scene.asked.length - before).toBe(expected === 'ok' ? 1 : 0)
    const told = expected === 'ok' ? [] : [`${role === 'nobody' ? STRANGER : IDS[role]} ${name}`]
    expect(scene.refused.slice(refused)).toEqual(told)
  })
})

it('the least that each role needs, and no more', () => {
  const of = (role: Role) => METHOD_NAMES.filter((name) => ACCESS[name].includes(role))
  expect(of('runtime')).toEqual(['Decision/CheckFlow', 'Decision/CheckAction'])
  // A companion narrows: it never lifts, and sees no plan.
  expect(METHOD_NAMES.filter((name) => !of('companion').includes(name))).toEqual([
    'Enforcement/GetPlan',
    'Enforcement/Lift',
    'Enforcement/CheckDrift',
  ])
  expect(of('auditor').filter((name) => /Quarantine|Lift|Attach$|Detach$/.test(name))).toEqual([])
})

it('a runtime asks about its own workspace alone', async () => {
  const client = scene.client(IDS.runtime)
  scene.monotonicMs += 60_000
  const other = 'spiffe://fleet.example/ws/ws01'
  const flow = { protocol: 1, destination: '93.184.216.34', destinationPort: 443 }
  await expect(client.call('Decision/CheckFlow', { workspace: other, ...flow })).rejects.toMatchObject({
    code: status.PERMISSION_DENIED,
    details: `API_DENIED: ${IDS.runtime} may not ask for ${other}`,
  })
  expect(await client.call('Decision/CheckFlow', { workspace: WS, ...flow })).toMatchObject({ reason: 'no-grant' })
  const question = Buffer.from('{"action":{}}')
  await expect(client.call('Decision/CheckAction', { workspace: other, question })).rejects.toMatchObject({
    code: status.PERMISSION_DENIED,
    details: `API_DENIED: ${IDS.runtime} may not ask for ${other}`,
  })
  expect(await client.call('Decision/CheckAction', { workspace: WS, question })).toMatchObject({
    allowed: true,
    reason: 'rule',
    place: 'sandbox.yaml rules[0]',
    obligations: [{ kind: 'address-within', values: ['45.0.0.0/8'] }],
    generation: 7,
  })
  expect(scene.asked.at(-1)).toBe(`action ${WS} {"action":{}} for  0`)
})

it('identities match a role exactly, or below a path', () => {
  const callers = {
    operator: ['spiffe://a.example/op/*'],
    companion: ['spiffe://a.example/c'],
    runtime: [],
    auditor: [],
    broker: [],
  }
  expect(rolesOf('spiffe://a.example/op/ann', callers)).toEqual(['operator'])
  for (const id of [
    'spiffe://a.example/op',
    'spiffe://a.example/op/',
    'spiffe://a.example/opx/ann',
    'spiffe://b.example/op/ann',
  ])
    expect([id, rolesOf(id, callers)]).toEqual([id, []])
  expect(rolesOf('spiffe://a.example/c/x', callers)).toEqual([])
  const runtime = (id: string) => ({ id, roles: ['runtime' as const] })
  expect(maySpeakOf(runtime(WS), WS)).toBe(true)
  expect(maySpeakOf(runtime(`${WS}x`), WS)).toBe(false)
})
