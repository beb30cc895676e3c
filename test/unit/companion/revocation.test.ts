// Security events at the companion: whose workspaces they mean, and what becomes of those. The receiver is the agent's own (its tests are
// in test/unit/revocation and test/agent-process); here is what the companion adds.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { beforeEach, expect, it } from 'vitest'
import { revocationMetrics } from '../../../src/agent/metrics-revocation.js'
import { revokeAt } from '../../../src/bin/companion-deeds.js'
import { listenForRevocations } from '../../../src/bin/companion-revocation.js'
import { mappedOf } from '../../../src/bin/companion-subjects.js'
import type { Surroundings } from '../../../src/bin/node.js'
import type { CompanionConfig } from '../../../src/companion/config.js'
import { readSubject, type Subject } from '../../../src/plan/subject.js'
import { meantBy } from '../../../src/revocation/match.js'
import { askKill, type Booted, boot, profileOf, World, WS } from '../../support/companion/world.js'

const ISSUER = 'https://idp.example.com/'
const two = `${WS}2`
let world: World
let at: Booted
beforeEach(async () => {
  world = new World()
  at = await boot(world)
  for (const profile of [
    profileOf(WS, { user: 'jane@example.com', session: 's-1' }),
    profileOf(two, { user: 'joe' }),
  ]) {
    const { workspace } = profile
    await at.lifecycle.operate({
      requestId: `make-${workspace}`,
      change: 'create',
      workspace,
      profile,
      by: 'user:t',
      reason: '',
    })
    await at.lifecycle.operate({ requestId: `run-${workspace}`, change: 'start', workspace, by: 'user:t', reason: '' })
  }
})

const subject = (value: Parameters<typeof readSubject>[0]): Subject => {
  const read = readSubject(value)
  if (typeof read === 'string') throw new Error(read)
  return read
}
const meant = (value: Parameters<typeof readSubject>[0]) =>
  meantBy(subject(value), mappedOf(at.lifecycle, [ISSUER])).map(({ workspace }) => workspace)

it.each([
  [{ format: 'email', email: 'jane@example.com' }, [WS]],
  [{ format: 'iss_sub', iss: ISSUER, sub: 'joe' }, [two]],
  [{ format: 'iss_sub', iss: 'https://other.example.com/', sub: 'joe' }, []],
  [{ format: 'complex', session: { format: 'opaque', id: 's-1' } }, [WS]],
  [{ format: 'complex', device: { format: 'uri', uri: two } }, [two]],
  [{ format: 'complex', user: { format: 'opaque', id: 'joe' }, session: { format: 'opaque', id: 's-1' } }, [two]],
])('%j means %j', (value, workspaces) => {
  expect(meant(value)).toEqual(workspaces)
})

it('revokes what is meant: fenced, its sessions closed, its machine ended; once for one event', async () => {
  await revokeAt(at.lifecycle, WS, 'stream:idp', 'session-revoked', 'set-1')
  await revokeAt(at.lifecycle, WS, 'stream:idp', 'session-revoked', 'set-1')
  expect([...world.quarantined]).toEqual([WS])
  await at.lifecycle.idle()
  expect(world.sessionsClosed).toEqual([WS])
  expect(at.lifecycle.known(WS).state).toBe('revoked')
  expect(at.lifecycle.known(two).state).toBe('running')
  await revokeAt(at.lifecycle, two, 'stream:idp', 'session-revoked', 'set-1')
  await at.lifecycle.idle()
  expect(at.lifecycle.known(two).state).toBe('revoked')
})

it('is not done while the fence is not: the event comes again, and is done then', async () => {
  world.broken.set('quarantine', 'API_LOST')
  await expect(revokeAt(at.lifecycle, WS, 'stream:idp', 'x', 'set-2')).rejects.toMatchObject({ code: 'WORKSPACE_OWED' })
  await at.lifecycle.idle()
  expect(world.left()).not.toContain(`machine ${WS}#1 running`)
  await expect(revokeAt(at.lifecycle, WS, 'stream:idp', 'x', 'set-2')).rejects.toMatchObject({ code: 'WORKSPACE_OWED' })
  world.broken.clear()
  await at.lifecycle.look()
  await revokeAt(at.lifecycle, WS, 'stream:idp', 'x', 'set-2')
  expect([...world.quarantined]).toEqual([WS])
})

it('has nothing to do in a workspace that is being killed', async () => {
  let letGo: () => void = () => undefined
  world.held.set(
    'quarantine',
    new Promise((resolve) => {
      letGo = resolve
    }),
  )
  const killing = at.lifecycle.operate({ requestId: 'kill-1', change: 'kill', workspace: WS, by: 'user:t', reason: '' })
  const revoking = revokeAt(at.lifecycle, WS, 'stream:idp', 'x', 'set-3')
  letGo()
  await revoking
  expect([...world.quarantined]).toEqual([WS])
  await killing
  expect(at.lifecycle.known(WS).state).toBe('killed')
})

it('is done when it is fenced: the machine that shuts down holds up nobody, and the revoke goes on', async () => {
  let letGo: () => void = () => undefined
  world.held.set(
    'halt',
    new Promise((resolve) => {
      letGo = resolve
    }),
  )
  await revokeAt(at.lifecycle, WS, 'stream:idp', 'x', 'set-4')
  expect([...world.quarantined]).toEqual([WS])
  expect(world.left()).toContain(`machine ${WS}#1 running`)
  // The same event once more, while it goes on.
  await revokeAt(at.lifecycle, WS, 'stream:idp', 'x', 'set-4')
  letGo()
  await at.lifecycle.idle()
  expect(at.lifecycle.known(WS)).toMatchObject({ state: 'revoked', owed: [] })
  expect(world.done.filter((name) => name === 'quarantine')).toHaveLength(1)
})

it('whose place a kill takes is done when that one has fenced', async () => {
  const held: (() => void)[] = []
  world.held.set(
    'quarantine',
    new Promise((resolve) => {
      held.push(resolve)
    }),
  )
  const revoking = revokeAt(at.lifecycle, WS, 'stream:idp', 'x', 'set-5')
  while (at.lifecycle.underWay(WS)?.change !== 'revoke') await new Promise(setImmediate)
  const killing = at.lifecycle.operate({ requestId: 'kill-2', change: 'kill', workspace: WS, by: 'user:t', reason: '' })
  for (const letGo of held) letGo()
  await revoking
  expect([...world.quarantined]).toEqual([WS])
  await killing
  expect(at.lifecycle.known(WS).state).toBe('killed')
})

it('whose memory is damaged are said not to be heard, until they are; the kill switch is there all the while', async () => {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'sluice-ear-'))
  const memory = join(stateDirectory, 'revocation', 'streams.json')
  mkdirSync(join(memory, '..'))
  writeFileSync(memory, 'half a fi')
  const { lifecycle, pass } = at
  const { clock } = lifecycle.host.ports
  const events: string[] = []
  const around = { nowMs: clock.nowMs, random: (length: number) => new Uint8Array(length) } as unknown as Surroundings
  const streams = [{ name: 'idp', kind: 'push', issuer: ISSUER, audience: ['us'], keys: 'none.json', events: [] }]
  const config = {
    stateDirectory,
    revocation: { streams, silence: 'alarm', latencyMs: 5_000 },
  } as unknown as CompanionConfig
  const registry = new Registry()
  const broker = { sessions: () => Promise.resolve([]), closeSession: () => Promise.reject(new Error('none is open')) }
  const place = {
    around,
    kills: at.kills,
    broker,
    clock,
    emit: () => Promise.resolve(),
    metrics: revocationMetrics(registry),
  }
  const ear = listenForRevocations(config, {
    ...place,
    say: ({ event, detail }) => events.push(`${event} ${String(detail.why)}`),
  })
  try {
    for (let i = 0; i < 3; i++) {
      await new Promise(setImmediate)
      pass(1_000)
    }
    expect(events).toEqual([expect.stringContaining('is damaged or was changed by hand')])
    expect(ear?.status()).toEqual([
      {
        ...{ name: 'idp', kind: 'push', standing: 'unheard', heardAtMs: 0, taken: 0, refused: 0 },
        error: expect.stringContaining('is damaged or was changed by hand') as string,
      },
    ])
    const metrics = await registry.metrics()
    expect(metrics).toContain('sluice_revocation_stream_heard{stream="idp"} 0')
    expect(metrics).toContain('sluice_revocation_declared_seconds 5')
    await askKill(at)
    expect([...world.quarantined]).toEqual([WS])
  } finally {
    await ear?.stop()
    rmSync(stateDirectory, { recursive: true, force: true })
  }
})
