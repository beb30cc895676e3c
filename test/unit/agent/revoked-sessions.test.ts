// Security events about sessions of the access broker, from the receiver of an agent to the fence: one that is open is closed and its
// workspace left alone, and one that comes later is not opened at all.

import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleepFor } from 'node:timers/promises'
import { Registry } from 'prom-client'
import { afterEach, expect, it } from 'vitest'
import type { RevocationConfig } from '../../../src/agent/config-revocation.js'
import { Loop } from '../../../src/agent/loop.js'
import { revocationMetrics } from '../../../src/agent/metrics-revocation.js'
import { RevocationMemory } from '../../../src/agent/revocation-memory.js'
import { isSessionIdRevoked, REVOKED_SESSIONS, revokeSessionIds } from '../../../src/agent/revoked-sessions.js'
import type { Fact } from '../../../src/audit/fact.js'
import { takenSignalDrafts } from '../../../src/audit/ocsf/revocation.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import type { Json } from '../../../src/base/canonical.js'
import type { Surroundings } from '../../../src/bin/node.js'
import { type HostedRevocation, hostRevocation } from '../../../src/bin/revocation.js'
import { EVENTS } from '../../../src/revocation/events.js'
import { keyOf } from '../../../src/revocation/receiver.js'
import { ALPHA, makeNode, memoryAs, offer, scratchDirectory, type TestNode } from './fixture.js'

const HOUR_MS = 3_600_000
const INGRESS = 'ingress:\n  - { name: broker, from: [10.60.0.0/24], protocol: tcp, ports: [22], session: required }\n'
const IDP: RevocationConfig['streams'][number] = {
  ...{ name: 'idp', kind: 'push', issuer: 'i', audience: ['a'], keys: 'none', algorithms: ['ES256'], events: [] },
  ...{ criticalMembers: [], riskLevel: 'high', credentialChange: 'alarm', silenceMs: 60_000 },
}
const hosted: HostedRevocation[] = []
afterEach(async () => {
  for (const one of hosted.splice(0)) await one.stop()
})

async function scene() {
  const held: { node?: TestNode } = {}
  const driver = new MemoryDriver(() => held.node?.now ?? 0)
  const node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)])
  held.node = node
  const loop = new Loop({
    node: () => Promise.resolve(node),
    monotonicMs: () => performance.now(),
    sleep: () => Promise.resolve(),
    commandId: () => 'cmd-loop',
    tell: () => undefined,
  })
  await loop.run<'apply'>(await offer({ extra: INGRESS }))
  const open = (sessionId: string) =>
    loop.run<'session-open'>({
      ...{ kind: 'session-open', commandId: 'cmd-2', by: 'broker', workspace: ALPHA, sessionId },
      ...{ user: 'ana', peer: '10.60.0.1', lifetimeMs: HOUR_MS },
    })
  const told: Fact[] = []
  /** As one that an earlier run took and did not do: a receiver begins with it. */
  const revoke = async (subId: Json): Promise<void> => {
    const event = {
      ...{ stream: 'idp', issuer: 'i', jti: 'j', iatMs: node.now, subId, type: EVENTS['session-revoked'].uri },
      ...{ payload: {}, receivedAtMs: node.now, from: '192.0.2.1' },
    }
    new RevocationMemory(node.store.directory, () => node.now).pend(keyOf(event), event)
    const config: RevocationConfig = { latencyMs: 5_000, silence: 'alarm', streams: [IDP] }
    const around = { nowMs: () => node.now, random: (length: number) => new Uint8Array(length) }
    hosted.push(
      await hostRevocation(config, {
        ...{ around: around as unknown as Surroundings, store: node.store, loop },
        emit: async (facts) => {
          told.push(...facts)
        },
        ...{ monotonicMs: () => performance.now(), say: () => undefined, metrics: revocationMetrics(new Registry()) },
        sleep: (ms, wake) => sleepFor(ms, undefined, { signal: wake }).catch(() => undefined),
      }),
    )
  }
  return { node, driver, open, revoke, told }
}

it('an open one is closed, and its workspace is no further fenced', async () => {
  const { node, driver, open, revoke, told } = await scene()
  await open('s-1')
  await open('s-2')
  await revoke({ format: 'opaque', id: 's-1' })
  const ends = new Map(node.store.sessions().map(({ sessionId, ended }) => [sessionId, ended?.reason]))
  expect([ends.get('s-1'), ends.get('s-2')]).toEqual(['revoked', undefined])
  expect([node.store.quarantines(), (await driver.observe()).live?.quarantined]).toEqual([[], []])
  expect(told).toMatchObject([{ outcome: 'closed', workspaces: [], sessions: [`${ALPHA}#session=s-1`] }])
  const [asked] = told.flatMap((fact) => (fact.kind === 'signal-taken' ? takenSignalDrafts(fact) : []))
  expect(asked?.members).toMatchObject({
    status_code: 'signal.closed',
    resources: [{ uid: `${ALPHA}#session=s-1`, type: 'session' }],
  })
  expect(node.facts.flatMap((fact) => (fact.kind === 'session-ended' ? [`${fact.reason} by ${fact.by}`] : []))).toEqual(
    ['revoked by stream:idp'],
  )
})

it.each([
  { format: 'opaque', id: 's-1' },
  { format: 'complex', user: { format: 'opaque', id: 'ana' }, session: { format: 'uri', uri: 's-1' } },
])('one that is not open yet is never opened: %j', async (subject) => {
  const { node, open, revoke } = await scene()
  await revoke(subject)
  await expect(open('s-1')).rejects.toMatchObject({ code: 'AGENT_SESSION_OVER' })
  expect((await open('s-2')).changed).toBe(true)
  node.now += 24 * HOUR_MS - 1
  await expect(open('s-1')).rejects.toMatchObject({ code: 'AGENT_SESSION_OVER' })
  expect(node.store.sessions().map(({ sessionId }) => sessionId)).toEqual(['s-2'])
})

it('a record of sessions that cannot be read keeps no workspace from being fenced', async () => {
  const { node, driver, revoke } = await scene()
  writeFileSync(join(node.store.directory, 'sessions.json'), '{')
  await revoke({ format: 'opaque', id: ALPHA })
  expect((await driver.observe()).live?.quarantined).toEqual([ALPHA])
})

it('as many ids are remembered as there is room for, the latest of them, and none twice', () => {
  const directory = scratchDirectory()
  for (const [at, id] of ['a', 'b', 'b', 'c'].entries()) revokeSessionIds(directory, [id], 1_000 + at, undefined, 2)
  expect(readdirSync(join(directory, REVOKED_SESSIONS))).toHaveLength(2)
  expect(['a', 'b', 'c'].map((id) => isSessionIdRevoked(directory, id, 2_000))).toEqual([false, true, true])
  revokeSessionIds(directory, ['d'], 1_003 + 24 * HOUR_MS)
  expect(readdirSync(join(directory, REVOKED_SESSIONS))).toHaveLength(1)
})

it('nothing is opened where nobody can say what was revoked', async () => {
  const { node, open } = await scene()
  const path = join(node.store.directory, REVOKED_SESSIONS)
  writeFileSync(path, '')
  await expect(open('s-1')).rejects.toMatchObject({ code: 'AGENT_STORE_DAMAGED' })
  rmSync(path)
  expect((await open('s-1')).changed).toBe(true)
})
