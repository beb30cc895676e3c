// Events that cannot be done for everybody yet, on a real directory: what is kept is acknowledged, makes nobody deaf and is not tried
// over and over; what is refused stays refused; and the time at which a stream was heard survives a clock that was wrong.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { NODE_FILES } from '../../../src/agent/files.js'
import { RevocationMemory, readStreams } from '../../../src/agent/revocation-memory.js'
import type { Fault } from '../../../src/base/fault.js'
import { identityOf } from '../../../src/plan/subject.js'
import { revocationFault } from '../../../src/revocation/errors.js'
import { EVENTS } from '../../../src/revocation/events.js'
import { readKeys } from '../../../src/revocation/keys.js'
import type { Mapped } from '../../../src/revocation/model.js'
import { Receiver, type ReceiverHost, type Told } from '../../../src/revocation/receiver.js'
import { standingOf } from '../../../src/revocation/silence.js'
import { claimsOf, type Desk, jwksOf, makeDesk, signSet, streamOf } from '../../support/revocation/transmitter.js'

const NOW = 1_775_014_138_000
const DAY = 86_400_000
const jane = { format: 'opaque', id: 'jane' }
const joe = { format: 'opaque', id: 'joe' }
const of = (name: string, user: string): Mapped => ({
  workspace: `spiffe://fleet.example/ws/${name}`,
  subjects: { user: [user] },
})
const JANE = identityOf('opaque', 'jane')
const JOE = identityOf('opaque', 'joe')

let directory: string
let desk: Desk
let nowMs: number
let mapped: readonly Mapped[]
let unnamed: Fault | undefined
let isBroken: boolean
let seen: string[]
let told: Told[]
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-kept-'))
  desk ??= await makeDesk('k1', 'ES256')
  nowMs = NOW
  mapped = [of('joe', JOE)]
  unnamed = undefined
  isBroken = false
  seen = []
  told = []
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

function open(more: Partial<ReceiverHost> = {}, files = NODE_FILES) {
  const memory = new RevocationMemory(directory, () => nowMs, files)
  const receiver = new Receiver({
    memory,
    nowMs: () => nowMs,
    keys: () => readKeys(new TextEncoder().encode(jwksOf(desk)), 'k.json'),
    mapped: () => mapped,
    fence: (workspace) => {
      seen.push(`fence ${workspace.slice(-4)}`)
      return isBroken ? Promise.reject(new Error('the agent is lost')) : Promise.resolve()
    },
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
    fencedBy: () => [],
    revokeSessionIds: (ids) => void seen.push(`ids ${ids.join(' ')}`),
    sessions: () => {
      seen.push('sessions')
      return Promise.resolve([])
    },
    unnamed: () => unnamed,
    expects: () => false,
    tell: (one) => void told.push(one),
    ...more,
  })
  return {
    memory,
    resume: () => receiver.resume([streamOf()]),
    send: async (claims: Parameters<typeof claimsOf>[1]) => {
      const token = await signSet(desk, claimsOf(nowMs, claims))
      const reply = await receiver.receive(streamOf(), token, '192.0.2.1')
      if (reply.kind === 'refused') return reply.refusal.err
      return reply.kind === 'taken' && reply.again ? 'again' : reply.kind
    },
  }
}
const inFolder = (folder: string): number => readdirSync(join(directory, 'revocation', folder)).length
const standing = () => {
  const record = readStreams(directory).get('idp')
  return record && standingOf(record, 60_000, nowMs)
}
const damaged = (files: string): Fault => revocationFault('REVOCATION_RECORDS', { files })

it('that may mean whom nobody can name is acknowledged, heard and kept, and done when somebody can', async () => {
  unnamed = damaged('a.json')
  const ear = open()
  ear.memory.record('idp')
  nowMs += 60_001
  expect(standing()).toBe('silent')
  expect(await ear.send({ jti: 'jane', sub_id: jane })).toBe('taken')
  expect([standing(), told.map(({ kind }) => kind), inFolder('inbox')]).toEqual(['heard', ['failed'], 1])
  expect([await ear.send({ jti: 'jane', sub_id: jane }), inFolder('done')]).toEqual(['again', 0])
  expect(await ear.send({ jti: 'joe', sub_id: joe })).toBe('taken')
  expect(seen.splice(0)).toEqual(expect.arrayContaining(['fence /joe', 'ids joe', 'sessions']))
  // Nothing is looked at again while the same records are damaged, and nobody is meant who came since.
  mapped = [of('joe', JOE), of('next', JANE)]
  nowMs += 60_000
  expect([await ear.resume(), seen]).toEqual([2, []])
  // Another run knows no more.
  mapped = [of('joe', JOE)]
  expect([await open().resume(), inFolder('inbox')]).toEqual([2, 2])
  unnamed = undefined
  mapped = [of('joe', JOE), of('jane', JANE)]
  seen = []
  expect([await ear.resume(), seen.includes('fence jane'), inFolder('inbox'), inFolder('done')]).toEqual([
    0,
    true,
    0,
    2,
  ])
  expect(await ear.send({ jti: 'jane', sub_id: jane })).toBe('again')
})

it('whose fence failed a moment ago is not tried again for a transmitter that never tires of it', async () => {
  isBroken = true
  const ear = open()
  expect(await ear.send({ sub_id: joe })).toBe('unavailable')
  seen = []
  expect([await ear.send({ sub_id: joe }), seen]).toEqual(['unavailable', []])
  isBroken = false
  nowMs += 1_000
  expect([await ear.send({ sub_id: joe }), seen[0]]).toEqual(['taken', 'fence /joe'])
})

it('that an inbox has no room for opens no session all the same, and is not acknowledged', async () => {
  const full = Array.from({ length: 1_000 }, (_, i) => `${'1'.padStart(15, '0')}-${String(i).padStart(32, '0')}.json`)
  const ear = open({}, { ...NODE_FILES, list: (path) => (path.endsWith('inbox') ? full : NODE_FILES.list(path)) })
  unnamed = damaged('a.json')
  expect([await ear.send({ sub_id: joe }), seen]).toEqual(['unavailable', expect.arrayContaining(['ids joe'])])
})

it('that an earlier release kept and none here can do is refused, however often it comes', async () => {
  const delegation = { [EVENTS['delegation-revoked'].uri]: { delegation_issuer: 'b', delegation_id: 'd' } }
  const event = { jti: 'd', sub_id: joe, events: delegation }
  const revoke = (): never => {
    throw new Error('killed')
  }
  expect([await open({ revoke }).send(event), inFolder('inbox')]).toEqual(['unavailable', 1])
  const ear = open()
  expect([await ear.resume(), inFolder('inbox')]).toEqual([0, 0])
  expect([await ear.send(event), await open().send(event)]).toEqual(['access_denied', 'access_denied'])
})

it('is heard again after a clock that was ahead, and not by what was held back', async () => {
  nowMs = NOW + DAY
  const ear = open()
  ear.memory.record('idp')
  nowMs = NOW
  expect(standing()).toBe('silent')
  expect([await ear.send({ jti: 'old', iat: (NOW - 61_000) / 1_000, sub_id: joe }), standing()]).toEqual([
    'taken',
    'silent',
  ])
  expect([await ear.send({ jti: 'new', sub_id: joe }), standing()]).toEqual(['taken', 'heard'])
})
