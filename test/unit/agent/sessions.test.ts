// Sessions of the access broker in the agent: what opens one, what refuses it, and everything that ends it; that record and fence
// agree on the narrower of the two after a crash, a restart or somebody else's hand.

import { describe, expect, it } from 'vitest'
import { attach, detach } from '../../../src/agent/attach.js'
import { apply } from '../../../src/agent/enforce.js'
import { NODE_FILES } from '../../../src/agent/files.js'
import { tend } from '../../../src/agent/freshness.js'
import { quarantine } from '../../../src/agent/quarantine.js'
import {
  type BrokerSession,
  decodeSessions,
  encodeSessions,
  SESSIONS_MOST,
  withSessions,
} from '../../../src/agent/session-record.js'
import { mappedSessions, sessionMeant } from '../../../src/agent/session-subjects.js'
import { closeSession, openSession } from '../../../src/agent/sessions.js'
import { status } from '../../../src/agent/status.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import { utf8 } from '../../../src/base/bytes.js'
import type { Json } from '../../../src/base/canonical.js'
import { readFrame } from '../../../src/plan/packet.js'
import { EXACT_ENV } from '../../../src/plan/state.js'
import { identityOf, readSubject } from '../../../src/plan/subject.js'
import { judge } from '../../../src/revocation/match.js'
import type { SecurityEvent } from '../../../src/revocation/model.js'
import { ipFrame } from '../../support/frames.js'
import { ALPHA, makeNode, memoryAs, offer, type TestNode } from './fixture.js'

const HOUR_MS = 3_600_000
const PEER = '10.60.0.1'
const INGRESS = 'ingress:\n  - { name: broker, from: [10.60.0.0/24], protocol: tcp, ports: [22], session: required }\n'

/** As a test double of a disk: writes of this file fail while it is set. */
const disk = (): { files: typeof NODE_FILES; full: boolean } => {
  const self = {
    full: false,
    files: {
      ...NODE_FILES,
      writeSynced: (path: string, bytes: Uint8Array) => {
        if (self.full && path.includes('sessions.json')) throw new Error('no space')
        NODE_FILES.writeSynced(path, bytes)
      },
    },
  }
  return self
}

async function scene(extra = INGRESS, link?: string) {
  const held: { node?: TestNode } = {}
  const driver = new MemoryDriver(() => held.node?.now ?? 0)
  const store = disk()
  const node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)], store.files)
  held.node = node
  await apply(node, await offer({ extra, ...(link === undefined ? {} : { link }) }))
  node.facts.length = 0
  const open = (
    sessionId: string,
    more: { peer?: string; user?: string; lifetimeMs?: number; workspace?: string } = {},
  ) =>
    openSession(node, {
      ...{ kind: 'session-open', commandId: 'cmd-2', by: 'spiffe://fleet.example/broker/b1', workspace: ALPHA },
      ...{ sessionId, user: 'ana', peer: PEER, lifetimeMs: HOUR_MS },
      ...more,
    })
  const close = (sessionId: string) =>
    closeSession(node, { kind: 'session-close', commandId: 'cmd-3', by: 'user:ann', workspace: ALPHA, sessionId })
  const lets = (peer = PEER): boolean => {
    const frame = ipFrame({
      source: peer,
      destination: '10.9.0.2',
      sourceMac: '02:00:00:00:00:01',
      destinationMac: '02:00:00:00:00:02',
      payload: { kind: 'tcp', from: 50_000 + (node.now % 1000), to: 22, flags: 0x02 },
    })
    return driver.judge(ALPHA, readFrame(frame, 'to'), node.now, EXACT_ENV).kind === 'allow'
  }
  const told = () =>
    node.facts.splice(0).flatMap((fact) => {
      if (fact.kind === 'session-opened') return [`opened ${fact.sessionId} by ${fact.by}`]
      return fact.kind === 'session-ended' ? [`${fact.reason} ${fact.sessionId} by ${fact.by}`] : []
    })
  return { node, driver, store, open, close, lets, told }
}

const refusal = (act: Promise<unknown>): Promise<string> =>
  act.then(
    () => 'accepted',
    (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
  )

describe('opening a session', () => {
  it('lets its one peer in, and tells so', async () => {
    const { node, open, lets, told } = await scene()
    expect(lets()).toBe(false)
    const done = await open('s-1')
    expect(done).toMatchObject({
      changed: true,
      generation: 1,
      grants: ['ingress/tcp/10.60.0.0/24/22'],
      session: { sessionId: 's-1', user: 'ana', peer: PEER, expiresAtMs: node.now + HOUR_MS },
    })
    expect([lets(), lets('10.60.0.2')]).toEqual([true, false])
    expect(told()).toEqual(['opened s-1 by spiffe://fleet.example/broker/b1'])
    expect((await status(node)).sessions).toMatchObject([{ workspace: ALPHA, sessionId: 's-1', peer: PEER }])
  })

  it('changes nothing when it is asked for again, and has one meaning for each id', async () => {
    const { node, open, close, told } = await scene()
    const first = await open('s-1')
    node.now += 5_000
    expect(await open('s-1', { lifetimeMs: 2 * HOUR_MS })).toMatchObject({ changed: false, session: first.session })
    expect(told()).toEqual(['opened s-1 by spiffe://fleet.example/broker/b1'])
    expect(await refusal(open('s-1', { user: 'bob' }))).toMatch(/^AGENT_SESSION_TAKEN: /)
    expect(await refusal(open('s-1', { peer: '10.60.0.2' }))).toMatch(/^AGENT_SESSION_TAKEN: /)
    await close('s-1')
    expect(await refusal(open('s-1'))).toBe(
      `AGENT_SESSION_OVER: the session "s-1" of ${ALPHA} is over (closed), and is not opened again`,
    )
  })

  it('is refused where no signed clause lets the peer in, and where the workspace may have nobody', async () => {
    const { node, open, lets } = await scene()
    const say = (why: string) => `AGENT_SESSION_REFUSED: the session "s" of ${ALPHA} is not opened: ${why}`
    expect(await refusal(open('s', { peer: '10.61.0.1' }))).toBe(
      say('no signed ingress clause with a session lets 10.61.0.1 in'),
    )
    expect(await refusal(open('s', { peer: '10.60.0.0/24' }))).toBe(say('its peer is no address'))
    expect(await refusal(open('s', { lifetimeMs: 999 }))).toBe(say('it may last from 1000 to 86400000 ms'))
    expect(await refusal(open('s', { lifetimeMs: 86_400_001 }))).toBe(say('it may last from 1000 to 86400000 ms'))
    expect(await refusal(open('s', { workspace: 'spiffe://fleet.example/ws/none' }))).toMatch(
      /^AGENT_WORKSPACE_UNKNOWN/,
    )
    await detach(node, { kind: 'detach', commandId: 'cmd-4', by: 'user:ann', workspace: ALPHA })
    expect(await refusal(open('s'))).toBe(say('it is not attached'))
    await quarantine(node, { kind: 'quarantine-set', commandId: 'c', by: 'user:ann', workspace: ALPHA, reason: 'x' })
    expect(await refusal(open('s'))).toBe(say('it is in quarantine'))
    expect(lets()).toBe(false)
    const without = await scene('ingress:\n  - { name: open, from: [10.60.0.0/24], protocol: tcp, ports: [22] }\n')
    expect(await refusal(without.open('s'))).toBe(say(`no signed ingress clause with a session lets ${PEER} in`))
  })

  it('is not open when it could not be put on record, or the fence did not take it', async () => {
    const { driver, store, open, lets, node } = await scene()
    store.full = true
    expect(await refusal(open('s-1'))).toMatch(/^AGENT_STORE_WRITE: /)
    expect(lets()).toBe(false)
    store.full = false
    const put = driver.sessions.bind(driver)
    driver.sessions = () => Promise.reject(new Error('the kernel says no'))
    expect(await refusal(open('s-2'))).toMatch(/^AGENT_SESSION_FAILED: .* could not be opened/)
    driver.sessions = put
    expect(node.store.sessions()).toMatchObject([{ sessionId: 's-2', ended: { reason: 'failed' } }])
    expect(await refusal(open('s-2'))).toMatch(/^AGENT_SESSION_OVER: /)
  })

  it('is not called closed by an agent that cannot ask who carries it', async () => {
    const { open, close, lets, node } = await scene()
    await open('s-1')
    ;(node.backends as Map<string, unknown>).clear()
    expect(await refusal(close('s-1'))).toMatch(/^AGENT_SESSION_FAILED: .* could not be closed/)
    expect([lets(), node.store.sessions()]).toMatchObject([true, [{ sessionId: 's-1' }]])
    expect(node.store.sessions()[0]?.ended).toBeUndefined()
  })

  it('may be asked for again under its id when the fence was as before', async () => {
    const { driver, open, lets } = await scene()
    const put = driver.sessions.bind(driver)
    driver.sessions = () => {
      driver.sessions = put
      return Promise.reject(new Error('the kernel says no'))
    }
    expect(await refusal(open('s-1'))).toMatch(/^AGENT_SESSION_FAILED: .* could not be opened/)
    expect(lets()).toBe(false)
    expect([(await open('s-1')).changed, lets()]).toEqual([true, true])
  })

  it('says of none that it is open which is not', async () => {
    const { driver, open, lets, told, node } = await scene()
    await open('s-1')
    await driver.sessions(ALPHA, [])
    expect(await refusal(open('s-1'))).toMatch(/^AGENT_SESSION_OVER: .* is over \(lost\)/)
    await open('s-2', { lifetimeMs: 60_000 })
    node.now += 60_000
    expect(await refusal(open('s-2'))).toMatch(/^AGENT_SESSION_OVER: .* is over \(expired\)/)
    expect([lets(), told().filter((line) => !line.startsWith('opened'))]).toEqual([
      false,
      ['lost s-1 by sluice', 'expired s-2 by sluice'],
    ])
  })

  it('is refused by a clock that was set back', async () => {
    const { open, node } = await scene()
    await tend(node)
    node.now -= 2 * HOUR_MS
    expect(await refusal(open('s-1'))).toMatch(/^AGENT_CLOCK_BACK: /)
  })

  it('has an end to how many there may be', async () => {
    const { open } = await scene()
    for (let i = 0; i < SESSIONS_MOST.workspace; i++) await open(`s-${i}`)
    expect(await refusal(open('one-more'))).toMatch(/^AGENT_SESSIONS_FULL: /)
  })
})

describe('the end of a session', () => {
  it('comes with its close, and the peer stays while another has it', async () => {
    const { open, close, lets, told } = await scene()
    await open('s-1')
    await open('s-2', { user: 'bob' })
    expect(await close('s-1')).toMatchObject({ changed: true, session: { ended: { reason: 'closed' } } })
    expect(lets()).toBe(true)
    await close('s-2')
    expect(lets()).toBe(false)
    expect(await close('s-2')).toMatchObject({ changed: false })
    expect(await refusal(close('s-3'))).toMatch(/^AGENT_SESSION_UNKNOWN: /)
    expect(told().slice(2)).toEqual(['closed s-1 by user:ann', 'closed s-2 by user:ann'])
  })

  it('comes with its time, in the fence with or without an agent', async () => {
    const { node, open, lets, told } = await scene()
    await open('s-1', { lifetimeMs: 60_000 })
    await open('s-2', { lifetimeMs: 120_000 })
    node.now += 60_000
    await tend(node)
    expect([lets(), told().at(-1)]).toEqual([true, 'expired s-1 by sluice'])
    node.now += 60_000
    expect(lets()).toBe(false)
    await tend(node)
    expect(told()).toEqual(['expired s-2 by sluice'])
  })

  it.each(['quarantine', 'detach', 'attach', 'policy'] as const)('comes with: %s', async (how) => {
    // Every machine has it.
    const link = 'lo'
    const { node, open, lets, told } = await scene(INGRESS, link)
    await open('s-1')
    const by = { commandId: 'cmd-9', by: 'user:ann', workspace: ALPHA }
    if (how === 'quarantine') {
      await quarantine(node, { kind: 'quarantine-set', ...by, reason: 'x' })
      expect(lets()).toBe(false)
      await quarantine(node, { kind: 'quarantine-lift', ...by, reason: 'x' })
    } else if (how === 'policy') {
      await apply(node, await offer({ link, revision: 2n, extra: INGRESS.replace('10.60.0.0/24', '10.61.0.0/24') }))
      await tend(node)
      await apply(node, await offer({ link, revision: 3n, extra: INGRESS }))
    } else if (how === 'detach') await detach(node, { kind: 'detach', ...by })
    else await attach(node, { kind: 'attach', ...by, slot: {}, leaseGeneration: 2 })
    await tend(node)
    const reason = { quarantine: 'quarantined', policy: 'policy', detach: 'detached', attach: 'detached' }[how]
    expect([told().slice(1), lets()]).toEqual([[`${reason} s-1 by sluice`], false])
  })

  it('is what becomes of whatever only the record or only the fence has', async () => {
    const { node, driver, open, lets, told } = await scene()
    await open('s-1')
    told()
    // Its tables were flushed, or a crash came before the fence had it: nothing is put back.
    await driver.sessions(ALPHA, [])
    await tend(node)
    expect([told(), lets()]).toEqual([['lost s-1 by sluice'], false])
    // Somebody opened what nobody asked for, and made longer what somebody did.
    await driver.sessions(ALPHA, [{ workspace: ALPHA, peer: PEER, expiresAtMs: node.now + HOUR_MS }])
    expect(lets()).toBe(true)
    await tend(node)
    expect([told(), lets()]).toEqual([[], false])
    await open('s-2', { lifetimeMs: 60_000 })
    await driver.sessions(ALPHA, [{ workspace: ALPHA, peer: PEER, expiresAtMs: node.now + HOUR_MS }])
    await tend(node)
    node.now += 60_000
    expect(lets()).toBe(false)
  })

  it('does not wait for a disk that is full, and is not undone by it', async () => {
    const { store, open, close, lets, node } = await scene()
    await open('s-1')
    store.full = true
    expect(await refusal(close('s-1'))).toMatch(/^AGENT_STORE_WRITE: /)
    expect(lets()).toBe(false)
    store.full = false
    await tend(node)
    expect([node.store.sessions()[0]?.ended?.reason, lets()]).toEqual(['lost', false])
  })

  it.each(['open', 'close'] as const)(
    'is not undone by the next %s, which comes before anybody looks',
    async (next) => {
      const { store, open, close, lets, node } = await scene()
      await open('s-1', { peer: '10.60.0.2' })
      await open('s-2')
      await open('s-3')
      store.full = true
      expect(await refusal(close('s-1'))).toMatch(/^AGENT_STORE_WRITE: /)
      store.full = false
      await (next === 'open' ? open('s-4') : close('s-3'))
      expect([lets('10.60.0.2'), lets()]).toEqual([false, true])
      await tend(node)
      expect(node.store.sessions().find(({ sessionId }) => sessionId === 's-1')?.ended?.reason).toBe('lost')
    },
  )

  it('is not put off by another of its peer', async () => {
    const { store, open, close, lets, node } = await scene()
    await open('long', { lifetimeMs: 2 * HOUR_MS })
    await open('short')
    store.full = true
    expect(await refusal(close('long'))).toMatch(/^AGENT_STORE_WRITE: /)
    store.full = false
    await open('other', { peer: '10.60.0.2', lifetimeMs: 2 * HOUR_MS })
    node.now += HOUR_MS
    expect([lets(), lets('10.60.0.2')]).toEqual([false, true])
  })
})

describe('a session that a security event speaks of', () => {
  const event = (subject: Json) => {
    const read = readSubject(subject)
    if (typeof read === 'string') throw new Error(read)
    return read
  }
  const IDP = { reaction: { riskLevel: 'HIGH', credentialChange: 'alarm' }, criticalMembers: [] } as const
  const REVOKED = { name: 'session-revoked', payload: {} } as unknown as SecurityEvent

  it('is meant by its id alone, while it is open', async () => {
    const { node, open, close } = await scene()
    const workspace = { workspace: ALPHA, subjects: { user: [identityOf('opaque', 'ana')] } }
    const fenced = (subject: Json) =>
      judge(REVOKED, event(subject), [workspace, ...mappedSessions(node.store.sessions())], IDP).deeds.fence
    await open('s-1')
    await open('s-2')
    const name = `${ALPHA}#session=s-1`
    expect(fenced({ format: 'opaque', id: 's-1' })).toEqual([name])
    expect(fenced({ format: 'complex', session: { format: 'opaque', id: 's-1' } })).toEqual([name])
    // Whoever names a user as well means all that is theirs, as ever.
    expect(
      fenced({ format: 'complex', user: { format: 'opaque', id: 'ana' }, session: { format: 'opaque', id: 's-1' } }),
    ).toEqual([ALPHA, name])
    expect(fenced({ format: 'opaque', id: 'ana' })).toEqual([ALPHA])
    await close('s-1')
    expect(fenced({ format: 'opaque', id: 's-1' })).toEqual([])
    expect([sessionMeant(name), sessionMeant(ALPHA)]).toEqual([{ workspace: ALPHA, sessionId: 's-1' }, undefined])
  })

  it('ends as revoked, in the name of the stream', async () => {
    const { node, open, lets, told } = await scene()
    await open('s-1')
    told()
    const command = { commandId: 'set-1', by: 'stream:idp', workspace: ALPHA, sessionId: 's-1', revoked: true as const }
    await closeSession(node, { kind: 'session-close', ...command })
    expect([lets(), told()]).toEqual([false, ['revoked s-1 by stream:idp']])
  })
})

describe('the record of sessions', () => {
  it('makes room with what ended first, and last with what was revoked', () => {
    const at = (i: number, reason?: 'closed' | 'revoked'): BrokerSession => ({
      ...{
        workspace: ALPHA,
        sessionId: `s-${i}`,
        user: 'ana',
        peer: PEER,
        by: 'b',
        openedAtMs: i,
        expiresAtMs: HOUR_MS,
      },
      ...(reason ? { ended: { reason, atMs: i } } : {}),
    })
    const most = SESSIONS_MOST.ended
    const full = Array.from({ length: most }, (_, i) => at(i, i === 0 ? 'revoked' : 'closed'))
    const next = withSessions([at(-1), ...full], [at(most, 'closed'), at(most + 1, 'closed')], most + 1)
    expect(next).toHaveLength(most + 1)
    expect(next.slice(0, 3).map(({ sessionId }) => sessionId)).toEqual(['s--1', 's-0', 's-3'])
    // What is as old as a session may be is forgotten without need.
    expect(withSessions(next, [], most + 1 + 86_400_000)).toEqual([at(-1)])
  })

  it('is read back as it was written, and refuses what was not', async () => {
    const { node, open, close } = await scene()
    await open('s-1')
    await open('s-2')
    await close('s-1')
    const list = node.store.sessions()
    expect(decodeSessions(utf8(encodeSessions(list)))).toEqual(list)
    expect(() => decodeSessions(utf8(encodeSessions(list).replace('closed', 'opened')))).toThrow(
      'its digest does not match its content',
    )
  })
})
