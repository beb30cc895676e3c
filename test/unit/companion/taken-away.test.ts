// What an event takes away at a companion, through its whole ear: users, devices and open sessions that it names, workspaces whose record is
// damaged, the kill switch of somebody else; and what a companion cannot take back, which is refused. Each event is one that an earlier
// run kept and did not do: an ear begins with it.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { agentFault } from '../../../src/agent/errors.js'
import { revocationMetrics } from '../../../src/agent/metrics-revocation.js'
import { RevocationMemory } from '../../../src/agent/revocation-memory.js'
import { revokeSessionIds } from '../../../src/agent/revoked-sessions.js'
import type { Fact } from '../../../src/audit/fact.js'
import { toOcsf } from '../../../src/audit/ocsf/map.js'
import type { Json } from '../../../src/base/canonical.js'
import { killAt } from '../../../src/bin/companion-deeds.js'
import { listenForRevocations } from '../../../src/bin/companion-revocation.js'
import { requireHeard, requireOpenable } from '../../../src/bin/companion-silence.js'
import type { Surroundings } from '../../../src/bin/node.js'
import { brokerDesk } from '../../../src/companion/broker-desk.js'
import type { CompanionConfig } from '../../../src/companion/config.js'
import { EVENTS, type EventName } from '../../../src/revocation/events.js'
import { keyOf } from '../../../src/revocation/receiver.js'
import { ask, askKill, type Booted, boot, profileOf, World, WS } from '../../support/companion/world.js'
import { CONTEXT } from '../../support/facts.js'

const TWO = `${WS}2`
const PATIENT = { timeout: 60_000 }
let world: World
let at: Booted
let stateDirectory: string
let config: CompanionConfig
let open: { workspace: string; sessionId: string }[]
let lost: boolean
let told: Fact[]
const ears: { stop: () => Promise<void> }[] = []

beforeEach(async () => {
  stateDirectory = mkdtempSync(join(tmpdir(), 'sluice-taken-'))
  const stream = { name: 'idp', kind: 'push', issuer: 'i', audience: ['us'], keys: 'none.json', events: [] }
  const streams = [{ ...stream, criticalMembers: [], riskLevel: 'high', credentialChange: 'alarm', silenceMs: 60_000 }]
  config = {
    stateDirectory,
    revocation: { streams, silence: 'deny', latencyMs: 5_000 },
  } as unknown as CompanionConfig
  world = new World()
  open = []
  lost = false
  told = []
  at = await boot(world)
  await make(WS, { user: 'jane', device: 'laptop-7f3a' })
  await make(TWO, { user: 'joe', network: 'ws1' })
})
afterEach(async () => {
  for (const ear of ears.splice(0)) await ear.stop()
  rmSync(stateDirectory, { recursive: true, force: true })
})

async function make(workspace: string, more: Parameters<typeof profileOf>[1]): Promise<void> {
  const about = { workspace, by: 'user:t', reason: '' }
  const profile = profileOf(workspace, more)
  await at.lifecycle.operate({ ...about, requestId: `make-${workspace}`, change: 'create', profile })
  await at.lifecycle.operate({ ...about, requestId: `run-${workspace}`, change: 'start' })
}

/** The agent's sessions, as its client gives them. */
const client = {
  call: async (name: string, { workspace, sessionId }: { workspace: string; sessionId: string }) => {
    if (lost) throw new Error('nobody answers')
    if (name === 'Sessions/ListSessions') return { sessions: open }
    if (name === 'Sessions/OpenSession') open.push({ workspace, sessionId })
    else open = open.filter((one) => one.sessionId !== sessionId)
    return { session: { workspace, sessionId }, grants: [], changed: true, elapsedMs: 1 }
  },
} as unknown as Parameters<typeof brokerDesk>[0]['client']
const nowMs = () => at.lifecycle.host.ports.clock.nowMs()
const desk = () => brokerDesk({ client, mayOpen: (asked) => requireOpenable(config, asked, nowMs()) })
const opening = (sessionId: string) =>
  desk().openSession({ workspace: WS, sessionId, user: 'jane', peer: '10.0.0.1', lifetimeMs: 60_000 })

/** On return the ear has tried it. */
async function send(name: EventName, subId: Json, payload: Readonly<Record<string, Json>> = {}): Promise<void> {
  const event = {
    ...{ stream: 'idp', issuer: 'i', jti: 'j', iatMs: nowMs(), subId, type: EVENTS[name].uri, name },
    ...{ payload, receivedAtMs: nowMs(), from: '192.0.2.1' },
  }
  new RevocationMemory(stateDirectory, nowMs).pend(keyOf(event), event)
  const said: string[] = []
  const ear = listenForRevocations(config, {
    around: { nowMs, random: (length: number) => new Uint8Array(length) } as unknown as Surroundings,
    ...{ kills: at.kills, broker: desk(), clock: at.lifecycle.host.ports.clock },
    emit: async (facts) => {
      told.push(...facts)
    },
    say: ({ event: word, detail }) => said.push(`${word} ${String(detail.why)}`),
    metrics: revocationMetrics(new Registry()),
  })
  if (ear) ears.push(ear)
  await vi.waitFor(
    () => expect(told.length + said.filter((line) => line.startsWith('revocation-failed')).length).toBeGreaterThan(0),
    PATIENT,
  )
}
const left = () => readdirSync(join(stateDirectory, 'revocation', 'inbox')).length
const opaque = (id: string) => ({ format: 'opaque', id })

it('the device of a profile, in whatever form: its workspace', PATIENT, async () => {
  const subject = { format: 'complex', device: { format: 'iss_sub', iss: 'i', sub: 'laptop-7f3a' } }
  await send('device-compliance-change', subject, { previous_status: 'compliant', current_status: 'not-compliant' })
  expect(told).toMatchObject([{ kind: 'signal-taken', outcome: 'fenced', workspaces: [WS] }])
  expect([...world.quarantined]).toEqual([WS])
})

it('an open session: that one is closed, its workspace goes on, and its id opens nothing again', PATIENT, async () => {
  await opening('bk-1')
  await opening('bk-2')
  await send('session-revoked', { format: 'complex', session: opaque('bk-1') })
  expect(told).toMatchObject([{ outcome: 'closed', workspaces: [], sessions: [`${WS}#session=bk-1`] }])
  expect([open.map(({ sessionId }) => sessionId), [...world.quarantined]]).toEqual([['bk-2'], []])
  await expect(opening('bk-1')).rejects.toMatchObject({ code: 'AGENT_SESSION_OVER' })
})

it('a session that is opened in that moment: it is closed again', async () => {
  let asked = 0
  const judged = brokerDesk({
    client,
    mayOpen: () => {
      if (++asked === 2) throw new Error('it was revoked')
    },
  })
  const given = { workspace: WS, sessionId: 'bk-1', user: 'jane', peer: '10.0.0.1', lifetimeMs: 60_000 }
  await expect(judged.openSession(given)).rejects.toThrow('it was revoked')
  expect(open).toEqual([])
})

describe('an open that the agent does after its caller gave it up', () => {
  const given = { workspace: WS, sessionId: 'bk-1', user: 'jane', peer: '10.0.0.1', lifetimeMs: 60_000 }
  const over = { code: 'AGENT_SESSION_OVER' }
  const deskWith = (opens: () => Promise<unknown>) => {
    const call = (name: string, asked: typeof given) =>
      name === 'Sessions/OpenSession' ? opens() : client.call(name as never, asked as never)
    const judged = {
      mayOpen: (asked: Pick<typeof given, 'workspace' | 'sessionId'>) => requireOpenable(config, asked, nowMs()),
    }
    return brokerDesk({ client: { call } as unknown as typeof client, ...judged })
  }
  const revoke = () => revokeSessionIds(stateDirectory, ['bk-1'], nowMs())

  it('is closed by the one that gave it up', async () => {
    const late = deskWith(() => {
      revoke()
      open.push(given)
      return Promise.reject(new Error('deadline'))
    })
    await expect(late.openSession(given)).rejects.toMatchObject(over)
    expect(open).toEqual([])
  })

  it('is closed when it is asked for again, and when it was open already', async () => {
    revoke()
    open.push(given)
    await expect(opening('bk-1')).rejects.toMatchObject(over)
    expect(open).toEqual([])
  })

  it('is closed when the answer calls it an old one', async () => {
    const again = deskWith(() => {
      revoke()
      open.push(given)
      return Promise.resolve({ session: given, grants: [], changed: false, elapsedMs: 1 })
    })
    await expect(again.openSession(given)).rejects.toMatchObject(over)
    expect(open).toEqual([])
  })

  it('is asked for once more where nobody can say that it is closed; one that is unknown is', async () => {
    revoke()
    lost = true
    await expect(opening('bk-1')).rejects.toThrow('nobody answers')
    const call = () => Promise.reject(agentFault('AGENT_SESSION_UNKNOWN', { workspace: WS, session: 'bk-1' }))
    const none = brokerDesk({
      client: { call },
      mayOpen: (asked) => requireOpenable(config, asked, nowMs()),
    })
    await expect(none.openSession(given)).rejects.toMatchObject(over)
  })

  it('is closed by the ear, when it begins and later', PATIENT, async () => {
    await send('session-revoked', { format: 'complex', session: opaque('bk-1') })
    const other = { ...given, sessionId: 'bk-2' }
    open.push(given, other)
    await vi.waitFor(() => {
      at.pass(5_000)
      expect(open).toEqual([other])
    }, PATIENT)
    for (const ear of ears.splice(0)) await ear.stop()
    open.push(given)
    await send('session-revoked', { format: 'complex', session: opaque('bk-9') })
    await vi.waitFor(() => expect(open).toEqual([other]), PATIENT)
  })
})

it('what may be a session while the agent cannot be asked: fenced, and not acknowledged', PATIENT, async () => {
  lost = true
  await send('session-revoked', opaque('jane'))
  expect([[...world.quarantined], told, left()]).toEqual([[WS], [], 1])
})

it('what is killed elsewhere: killed here, machine and all, with a report', PATIENT, async () => {
  await send('workspace-killed', { format: 'uri', uri: WS })
  expect(told).toMatchObject([{ outcome: 'fenced', workspaces: [WS] }])
  await at.lifecycle.idle()
  expect(at.lifecycle.known(WS).state).toBe('killed')
  await vi.waitFor(() => expect(world.receipts.size).toBe(1), PATIENT)
})

it('a kill whose fence is not there is no kill yet', async () => {
  world.broken.set('quarantine', 'API_LOST')
  const killing = () => killAt(at.kills, WS, 'stream:idp', 'x', 'set-1')
  await expect(killing()).rejects.toMatchObject({ code: 'WORKSPACE_OWED' })
  world.broken.clear()
  await at.lifecycle.idle()
  await at.lifecycle.look()
  await killing()
  expect([...world.quarantined]).toEqual([WS])
})

it.each([
  ['delegation-revoked', { format: 'opaque', id: 'x' }, { delegation_issuer: 'i', delegation_id: 'd' }],
  ['session-revoked', { format: 'complex', application: { format: 'opaque', id: 'agent-7' } }, {}],
] as const)('what only an agent can take back is refused: %s', PATIENT, async (name, subject, payload) => {
  await send(name, subject, payload)
  expect(told).toMatchObject([{ kind: 'signal-refused', code: 'access_denied' }])
  expect(left()).toBe(0)
})

it('a user who may be in a damaged record: whoever is known is fenced, and the event waits', PATIENT, async () => {
  const [name = ''] = [...world.disk].find(([, bytes]) => Buffer.from(bytes).includes(`"${TWO}"`)) ?? []
  world.disk.set(
    name,
    Buffer.from(
      Buffer.from(world.disk.get(name) ?? [])
        .toString()
        .replace('"joe"', '"jo"'),
    ),
  )
  at = await boot(world)
  await send('session-revoked', opaque('jane'))
  expect([[...world.quarantined], told, left()]).toEqual([[WS], [], 1])
  await send('session-revoked', opaque('joe'))
  expect([told, left()]).toEqual([[], 2])
  // By its own name it is known all the same.
  await send('session-revoked', { format: 'uri', uri: TWO })
  await vi.waitFor(() => expect([...world.quarantined]).toEqual([WS, TWO]), PATIENT)
})

it('nothing begins while a stream is silent, and what runs goes on', PATIENT, async () => {
  at = await boot(world, { mayStart: () => requireHeard(config, nowMs()) })
  await ask(at, 'stop', 's-1', TWO)
  const memory = new RevocationMemory(stateDirectory, nowMs)
  memory.record('idp')
  await ask(at, 'start', 's-2', TWO)
  await ask(at, 'stop', 's-3', TWO)
  at.pass(60_001)
  const silent = { code: 'WORKSPACE_SILENT' }
  await expect(ask(at, 'start', 's-4', TWO)).rejects.toMatchObject(silent)
  await expect(ask(at, 'rebake', 's-5', WS)).rejects.toMatchObject(silent)
  await expect(opening('bk-1')).rejects.toMatchObject(silent)
  expect(world.left()).toContain(`machine ${WS}#1 running`)
  expect([open, [...world.quarantined]]).toEqual([[], []])
  // What rests may be made anew, and whatever narrows is done.
  await ask(at, 'rebake', 's-6', TWO)
  memory.heard('idp', nowMs())
  await ask(at, 'start', 's-7', TWO)
  await opening('bk-1')
  at.pass(60_001)
  await askKill(at)
  expect([...world.quarantined]).toEqual([WS])
})

it('a start that a crash ended is not begun again while a stream is silent', PATIENT, async () => {
  await ask(at, 'stop', 's-1', TWO)
  at.crashIn(12)
  void ask(at, 'start', 's-2', TWO)
  await at.death
  at = await boot(world, {
    mayStart: () => {
      throw new Error('silent')
    },
  })
  await at.lifecycle.resume()
  expect(at.lifecycle.known(TWO).state).toBe('stopped')
  expect(world.left()).not.toContain(`machine ${TWO}#1 running`)
})

it('the silence of a stream is told with what is done about it', PATIENT, async () => {
  await send('verification', opaque('s'))
  at.pass(60_001)
  await vi.waitFor(() => {
    at.pass(1_000)
    expect(told.map(({ kind }) => kind)).toContain('stream-silent')
  }, PATIENT)
  const silent = told.find(({ kind }) => kind === 'stream-silent')
  expect(silent).toMatchObject({ denies: false, refuses: 'starts' })
  const [event] = silent ? toOcsf(silent, CONTEXT) : []
  // Allowed, Detected: what runs has its traffic.
  expect(event).toMatchObject({ action_id: 1, disposition_id: 15, unmapped: { refuses: 'starts' } })
  expect(event?.message).toContain('nothing is started, and what runs goes on')
})
