// Whom a subject means, and what each event asks for: the rules of SSF 1.0 section 3.2 over three workspaces, and the bounds within
// which an operator may choose.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { identityOf, readSubject, type Subject } from '../../../src/plan/subject.js'
import { EVENTS, type EventName } from '../../../src/revocation/events.js'
import { judge, meantBy } from '../../../src/revocation/match.js'
import type { Mapped, SecurityEvent } from '../../../src/revocation/model.js'
import { ISSUER, JANE, streamOf } from '../../support/revocation/transmitter.js'

const BOB = { format: 'email', email: 'bob@example.com' }
const opaque = (id: string) => ({ format: 'opaque', id })
const subjectOf = (value: object): Subject => {
  const read = readSubject(value as never)
  if (typeof read === 'string') throw new Error(read)
  return read
}
const ids = (...values: readonly object[]): string[] =>
  values.flatMap((value) => {
    const read = subjectOf(value)
    return read.kind === 'simple' ? [...read.identities] : []
  })
const ONE = 'spiffe://fleet.example/ws/one'
const TWO = 'spiffe://fleet.example/ws/two'
const BARE = 'spiffe://fleet.example/ws/bare'
const MAPPED: readonly Mapped[] = [
  { workspace: ONE, subjects: { user: ids(JANE), device: ids(opaque('d-1')), tenant: ids(opaque('t')) } },
  { workspace: TWO, subjects: { user: ids(BOB, JANE), session: ids(opaque('s-2')), tenant: ids(opaque('t')) } },
  { workspace: BARE, subjects: {} },
]
const meant = (value: object) => meantBy(subjectOf(value), MAPPED).map(({ workspace }) => workspace.slice(-3))
const complex = (members: object) => ({ format: 'complex', ...members })

describe('a subject means', () => {
  it.each([
    ['whoever has it under any member', JANE, ['one', 'two']],
    ['an address of mail in any letters', { format: 'email', email: 'BOB@example.com' }, ['two']],
    ['a device by the name of the inventory', opaque('d-1'), ['one']],
    ['a workspace by its own id', { format: 'uri', uri: BARE }, ['are']],
    ['a workspace by its own id, as an opaque name', opaque(ONE), ['one']],
    ['any of its aliases', { format: 'aliases', identifiers: [opaque('nobody'), BOB] }, ['two']],
    ['nobody who is not identical', { ...JANE, sub: 'Jane' }, []],
    ['nobody of another issuer', { ...JANE, iss: 'https://idp.example.com' }, []],
    ['nobody in a format that is not known', { format: 'ip-addresses', 'ip-addresses': ['192.0.2.7'] }, []],
    ['every one that lacks what it adds', complex({ user: JANE, session: opaque('s-9') }), ['one']],
    ['the one whose members agree, and who lacks one', complex({ user: JANE, session: opaque('s-2') }), ['one', 'two']],
    ['a device by its workspace id, whatever other device is listed', complex({ device: opaque(ONE) }), ['one']],
    ['nobody whose device is another', complex({ user: JANE, device: opaque('laptop') }), ['two']],
    ['a whole tenant', complex({ tenant: opaque('t') }), ['one', 'two']],
    ['nobody who shares no member', complex({ group: opaque('g') }), []],
    ['whom its known members mean, beside members of their own', complex({ user: BOB, badge: opaque('7') }), ['two']],
    ['nobody by members of their own', complex({ badge: opaque('d-1') }), []],
  ])('%s', (_name, subject, expected) => {
    expect(meant(subject)).toEqual(expected)
  })

  it('the more it leaves open, the more: dropping a member that is shared with others never frees anybody', () => {
    const members = {
      user: fc.constantFrom(JANE, BOB),
      device: fc.constantFrom(opaque('d-1'), opaque(ONE), opaque('laptop')),
      session: fc.constantFrom(opaque('s-2'), opaque('s-9')),
      tenant: fc.constant(opaque('t')),
    }
    fc.assert(
      fc.property(fc.record(members), fc.constantFrom('user', 'device', 'session'), (full, dropped) => {
        const { [dropped]: _gone, ...rest } = full
        const wide = meant(complex(rest))
        for (const workspace of meant(complex(full))) expect(wide).toContain(workspace)
      }),
    )
  })
})

const event = (
  name: EventName | undefined,
  payload: SecurityEvent['payload'],
  subId: object = JANE,
): SecurityEvent => ({
  stream: 'idp',
  issuer: ISSUER,
  jti: 'j',
  iatMs: 0,
  subId: subId as never,
  type: name === undefined ? 'https://vendor.example/x' : EVENTS[name].uri,
  ...(name === undefined ? {} : { name }),
  payload,
  receivedAtMs: 0,
  from: '192.0.2.1',
})
const outcome = (at: SecurityEvent, terms = streamOf()) => {
  const subject = readSubject(at.subId)
  if (typeof subject === 'string') throw new Error(subject)
  const { outcome: word, deeds } = judge(at, subject, MAPPED, terms)
  return [word, deeds.fence.length, deeds.agents.length + deeds.delegations.length]
}

describe('an event asks for', () => {
  const change = (change_type: string) => ({ credential_type: 'app', change_type })
  const status = (current_status: string) => ({ previous_status: 'compliant', current_status })
  const risk = (current_level: string, previous_level?: string) => ({
    principal: 'USER',
    current_level,
    ...(previous_level === undefined ? {} : { previous_level }),
  })
  const lenient = streamOf({ reaction: { riskLevel: 'HIGH', credentialChange: 'alarm' } })
  const strict = streamOf({ reaction: { riskLevel: 'LOW', credentialChange: 'quarantine' } })
  it.each([
    ['session-revoked', event('session-revoked', {}), ['fenced', 2, 0], ['fenced', 2, 0]],
    ['workspace-killed', event('workspace-killed', {}), ['fenced', 2, 0], ['fenced', 2, 0]],
    [
      'a device that does not comply',
      event('device-compliance-change', status('not-compliant')),
      ['fenced', 2, 0],
      ['fenced', 2, 0],
    ],
    ['a device that does', event('device-compliance-change', status('compliant')), ['noted', 0, 0], ['noted', 0, 0]],
    [
      'a credential that was revoked',
      event('credential-change', change('revoke')),
      ['alarmed', 0, 0],
      ['fenced', 2, 0],
    ],
    [
      'a credential that was deleted',
      event('credential-change', change('delete')),
      ['alarmed', 0, 0],
      ['fenced', 2, 0],
    ],
    ['a new credential', event('credential-change', change('create')), ['noted', 0, 0], ['noted', 0, 0]],
    ['high risk', event('risk-level-change', risk('HIGH')), ['fenced', 2, 0], ['fenced', 2, 0]],
    ['more risk', event('risk-level-change', risk('MEDIUM', 'LOW')), ['alarmed', 0, 0], ['fenced', 2, 0]],
    ['less risk', event('risk-level-change', risk('MEDIUM', 'HIGH')), ['noted', 0, 0], ['fenced', 2, 0]],
    [
      'a delegation',
      event('delegation-revoked', { delegation_issuer: 'b', delegation_id: 'd' }),
      ['revoked', 0, 1],
      ['revoked', 0, 1],
    ],
    [
      'an agent',
      event('session-revoked', {}, complex({ application: opaque('agent-7') })),
      ['revoked', 0, 1],
      ['revoked', 0, 1],
    ],
    [
      'an agent of somebody',
      event('session-revoked', {}, complex({ application: opaque('a'), user: JANE })),
      ['fenced', 2, 0],
      ['fenced', 2, 0],
    ],
    [
      'a subject that nobody here is',
      event('session-revoked', {}, opaque('nobody')),
      ['unmapped', 0, 0],
      ['unmapped', 0, 0],
    ],
    ['a type of somebody else', event(undefined, {}), ['unknown', 0, 0], ['unknown', 0, 0]],
    ['verification', event('verification', {}, opaque('s-2')), ['stream', 0, 0], ['stream', 0, 0]],
  ])('%s: as leniently and as strictly as may be', (_name, at, least, most) => {
    expect([outcome(at, lenient), outcome(at, strict)]).toEqual([least, most])
  })

  it('nothing where a critical member of the subject is not understood', () => {
    const at = event('session-revoked', {}, complex({ user: JANE, badge: opaque('7') }))
    expect(outcome(at)).toEqual(['fenced', 2, 0])
    expect(outcome(at, streamOf({ criticalMembers: ['badge'] }))).toEqual(['discarded', 0, 0])
    expect(outcome(at, streamOf({ criticalMembers: ['user'] }))).toEqual(['fenced', 2, 0])
  })

  it('an agent by the id that it is registered with', () => {
    const at = event('session-revoked', {}, complex({ application: { format: 'uri', uri: 'urn:agent:7' } }))
    expect(judge(at, subjectOf(at.subId as object), [], streamOf()).deeds.agents).toEqual(['urn:agent:7'])
    expect(identityOf('uri', 'x')).toBe('{"format":"uri","uri":"x"}')
  })
})
