// Which security event tokens are taken, and with which error code of RFC 8935 each other one is refused: a table, and then every
// octet of a good one, changed.

import fc from 'fast-check'
import { base64url as b64 } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import type { JwsKey } from '../../../src/bundle/jwk.js'
import { EVENTS } from '../../../src/revocation/events.js'
import { readKeys } from '../../../src/revocation/keys.js'
import type { StreamTerms } from '../../../src/revocation/model.js'
import { isRefusal, readSet, SET_AHEAD_MS, SET_OLDEST_MS } from '../../../src/revocation/set.js'
import {
  AUDIENCE,
  type Claims,
  claimsOf,
  type Desk,
  ISSUER,
  JANE,
  jwksOf,
  makeDesk,
  SESSION_REVOKED,
  signSet,
  streamOf,
} from '../../support/revocation/transmitter.js'

const NOW = 1_775_014_138_000
const SECONDS = NOW / 1_000
const STREAM = streamOf()

let desk: Desk
let second: Desk
let foreign: Desk
let keys: readonly JwsKey[]
beforeAll(async () => {
  ;[desk, second, foreign] = await Promise.all([makeDesk(), makeDesk('k2', 'ES256'), makeDesk('k1')])
  keys = readKeys(new TextEncoder().encode(jwksOf(desk, second)), 'idp.jwks.json')
})

const judge = async (token: string, stream: StreamTerms = STREAM, known = keys): Promise<string> => {
  const read = await readSet(token, stream, known, { nowMs: NOW, from: '192.0.2.1' })
  return isRefusal(read) ? `${read.err}: ${read.description}` : `taken: ${read.name ?? 'unknown type'}`
}
const event = (name: keyof typeof EVENTS, payload: Claims = {}): Claims => ({ events: { [EVENTS[name].uri]: payload } })
const CHANGE = { credential_type: 'fido2-platform', change_type: 'revoke' }
const COMPLIANCE = { previous_status: 'compliant', current_status: 'not-compliant' }
const RISK = { principal: 'USER', current_level: 'HIGH' }

/** What differs from a good one, and what becomes of it. */
const CLAIMS: readonly (readonly [name: string, differs: Claims, verdict: string])[] = [
  ['session-revoked', {}, 'taken: session-revoked'],
  ['several audiences, one of them ours', { aud: ['https://else.example', AUDIENCE] }, 'taken: session-revoked'],
  ['unknown claims beside it', { txn: '8675309', toe: 12, vendor: { a: 1 } }, 'taken: session-revoked'],
  ['a fraction of a second', { iat: SECONDS - 0.25 }, 'taken: session-revoked'],
  ['as old as it may be', { iat: SECONDS - SET_OLDEST_MS / 1_000 }, 'taken: session-revoked'],
  ['as far ahead as it may be', { iat: SECONDS + SET_AHEAD_MS / 1_000 }, 'taken: session-revoked'],
  ['credential-change', event('credential-change', CHANGE), 'taken: credential-change'],
  [
    'a credential type of their own',
    event('credential-change', { ...CHANGE, credential_type: 'badge' }),
    'taken: credential-change',
  ],
  ['device-compliance-change', event('device-compliance-change', COMPLIANCE), 'taken: device-compliance-change'],
  ['risk-level-change', event('risk-level-change', RISK), 'taken: risk-level-change'],
  [
    'verification',
    { ...event('verification', { state: 'abc' }), sub_id: { format: 'opaque', id: 's-1' } },
    'taken: verification',
  ],
  [
    'stream-updated',
    { ...event('stream-updated', { status: 'paused' }), sub_id: { format: 'opaque', id: 's-1' } },
    'taken: stream-updated',
  ],
  [
    'delegation-revoked',
    event('delegation-revoked', { delegation_issuer: 'https://broker.example', delegation_id: 'd-1' }),
    'taken: delegation-revoked',
  ],
  ['workspace-killed', event('workspace-killed'), 'taken: workspace-killed'],
  ['a type that is not ours', { events: { 'https://vendor.example/event/other': { any: 1 } } }, 'taken: unknown type'],
  [
    'reasons and a time',
    event('session-revoked', { event_timestamp: 1, initiating_entity: 'admin', reason_admin: { en: 'left' } }),
    'taken: session-revoked',
  ],
  ...(
    [
      { format: 'email', email: 'Jane@Example.com' },
      { format: 'account', uri: 'acct:jane@example.com' },
      { format: 'did', url: 'did:example:123' },
      { format: 'phone_number', phone_number: '+12065550100' },
      { format: 'uri', uri: 'https://user.example/jane' },
      { format: 'jwt_id', iss: ISSUER, jti: 't-1' },
      { format: 'saml_assertion_id', issuer: ISSUER, assertion_id: 'a-1' },
      { format: 'opaque', id: 'x' },
      { format: 'aliases', identifiers: [JANE, { format: 'email', email: 'jane@example.com' }] },
      {
        format: 'complex',
        user: JANE,
        device: { format: 'opaque', id: 'ws-1' },
        session: { format: 'opaque', id: 's' },
      },
      { format: 'complex', tenant: { format: 'opaque', id: 't-1' } },
      { format: 'ip-addresses', 'ip-addresses': ['192.0.2.7'] },
    ] as const
  ).map((sub_id) => [`a subject ${sub_id.format}`, { sub_id }, 'taken: session-revoked'] as const),

  ['no issuer', { iss: undefined }, 'invalid_request: iss is missing'],
  ['another issuer', { iss: 'https://idp.example.com' }, 'invalid_issuer: iss is not the issuer of this stream'],
  ['no audience', { aud: undefined }, 'invalid_audience: aud does not name this receiver'],
  ['another audience', { aud: `${AUDIENCE}/` }, 'invalid_audience: aud does not name this receiver'],
  ['an empty audience', { aud: [] }, 'invalid_audience: aud does not name this receiver'],
  ['a sub', { sub: 'jane' }, 'invalid_request: sub must not be in a SET'],
  ['an exp', { exp: SECONDS + 60 }, 'invalid_request: exp must not be in a SET'],
  ['no jti', { jti: undefined }, 'invalid_request: jti must be a text of 1 to 256 characters'],
  ['an endless jti', { jti: 'j'.repeat(257) }, 'invalid_request: jti must be a text of 1 to 256 characters'],
  ['no iat', { iat: undefined }, 'invalid_request: iat must be a number of seconds'],
  ['an iat in words', { iat: String(SECONDS) }, 'invalid_request: iat must be a number of seconds'],
  ['too old', { iat: SECONDS - SET_OLDEST_MS / 1_000 - 1 }, 'invalid_request: iat is too long ago'],
  ['in the future', { iat: SECONDS + SET_AHEAD_MS / 1_000 + 1 }, 'invalid_request: iat is in the future'],
  ['no subject', { sub_id: undefined }, 'invalid_request: sub_id: a subject is an object with a format'],
  ['a subject in words', { sub_id: 'jane' }, 'invalid_request: sub_id: a subject is an object with a format'],
  [
    'a subject with more than its format',
    { sub_id: { ...JANE, email: 'j' } },
    'invalid_request: sub_id: iss_sub has no member "email"',
  ],
  [
    'a subject with less',
    { sub_id: { format: 'iss_sub', iss: ISSUER } },
    'invalid_request: sub_id: iss_sub needs sub, a text of 1 to 1024 characters',
  ],
  [
    'aliases within aliases',
    { sub_id: { format: 'aliases', identifiers: [{ format: 'aliases', identifiers: [JANE] }] } },
    'invalid_request: sub_id: aliases does not stand inside a subject',
  ],
  ['no aliases', { sub_id: { format: 'aliases', identifiers: [] } }, 'invalid_request: sub_id: aliases are 1 to 32'],
  [
    'a complex subject of nothing',
    { sub_id: { format: 'complex' } },
    'invalid_request: sub_id: a complex subject has 1 to 32 members',
  ],
  [
    'complex within complex',
    { sub_id: { format: 'complex', user: { format: 'complex', user: JANE } } },
    'invalid_request: sub_id: its member "user": complex does not stand inside a subject',
  ],
  ['no events', { events: undefined }, 'invalid_request: events must have exactly one member'],
  ['no event', { events: {} }, 'invalid_request: events must have exactly one member'],
  [
    'two events',
    { events: { [SESSION_REVOKED]: {}, [EVENTS['workspace-killed'].uri]: {} } },
    'invalid_request: events must have exactly one member',
  ],
  [
    'an event that is no object',
    { events: { [SESSION_REVOKED]: null } },
    'invalid_request: the event must be an object',
  ],
  [
    'a change of nothing',
    event('credential-change', { change_type: 'revoke' }),
    'invalid_request: credential-change: credential_type must be a text',
  ],
  [
    'a change that is none',
    event('credential-change', { ...CHANGE, change_type: 'lost' }),
    'invalid_request: credential-change: change_type must be one of create, revoke, update, delete',
  ],
  [
    'a status that is none',
    event('device-compliance-change', { ...COMPLIANCE, current_status: 'perhaps' }),
    'invalid_request: device-compliance-change: current_status must be one of compliant, not-compliant',
  ],
  [
    'a level that is none',
    event('risk-level-change', { ...RISK, current_level: 'high' }),
    'invalid_request: risk-level-change: current_level must be one of LOW, MEDIUM, HIGH',
  ],
  [
    'a risk of nobody',
    event('risk-level-change', { current_level: 'HIGH' }),
    'invalid_request: risk-level-change: principal must be a text',
  ],
  [
    'a stream status that is none',
    event('stream-updated', { status: 'gone' }),
    'invalid_request: stream-updated: status must be one of enabled, paused, disabled',
  ],
  [
    'a delegation without a name',
    event('delegation-revoked', { delegation_issuer: 'x' }),
    'invalid_request: delegation-revoked: delegation_id must be a text',
  ],
  [
    'a time in words',
    event('session-revoked', { event_timestamp: 'now' }),
    'invalid_request: session-revoked: event_timestamp must be a number of seconds',
  ],
  [
    'an entity that is none',
    event('session-revoked', { initiating_entity: 'god' }),
    'invalid_request: session-revoked: initiating_entity must be one of admin, user, policy, system',
  ],
  [
    'a reason without a language',
    event('session-revoked', { reason_admin: 'left' }),
    'invalid_request: session-revoked: reason_admin must be texts by language',
  ],
]

describe('a security event token', () => {
  it.each(CLAIMS)('%s', async (_name, differs, verdict) => {
    expect(await judge(await signSet(desk, claimsOf(NOW, differs)))).toBe(verdict)
  })

  const NO_KEY = 'invalid_key: no key of this issuer verifies the signature'
  const HEADERS: readonly (readonly [string, () => Promise<string>, string])[] = [
    ['another key of the set', () => signSet(second, claimsOf(NOW)), 'taken: session-revoked'],
    ['a key of somebody else under our kid', () => signSet(foreign, claimsOf(NOW)), NO_KEY],
    ['a kid that nobody has', () => signSet(desk, claimsOf(NOW), { kid: 'k9' }), NO_KEY],
    ['no kid, where there are two keys', () => signSet(desk, claimsOf(NOW), { kid: undefined }), NO_KEY],
    ['a kid of another algorithm', () => signSet(second, claimsOf(NOW), { kid: 'k1' }), NO_KEY],
    ['typ JWT', () => signSet(desk, claimsOf(NOW), { typ: 'JWT' }), 'invalid_request: its typ is not secevent+jwt'],
    ['no typ', () => signSet(desk, claimsOf(NOW), { typ: undefined }), 'invalid_request: its typ is not secevent+jwt'],
    [
      'typ as a media type',
      () => signSet(desk, claimsOf(NOW), { typ: 'application/secevent+jwt' }),
      'invalid_request: its typ is not secevent+jwt',
    ],
    [
      'a key in its header',
      () => signSet(desk, claimsOf(NOW), { jwk: desk.jwk }),
      'invalid_request: its header has "jwk"',
    ],
    [
      'an address of keys in its header',
      () => signSet(desk, claimsOf(NOW), { jku: 'https://idp.example.com/jwks' }),
      'invalid_request: its header has "jku"',
    ],
  ]
  it.each(HEADERS)('%s', async (_name, token, verdict) => {
    expect(await judge(await token())).toBe(verdict)
  })

  it('under an algorithm that the stream may not use, or under none', async () => {
    const only = streamOf({ algorithms: ['ES256'] })
    const token = await signSet(desk, claimsOf(NOW))
    expect(await judge(token, only)).toBe('invalid_key: its algorithm is not one that this stream may use')
    const [, payload] = token.split('.')
    for (const alg of ['none', 'HS256', 'rs256']) {
      const header = b64.encode(JSON.stringify({ alg, kid: 'k1', typ: 'secevent+jwt' }))
      expect(await judge(`${header}.${payload}.AAAA`)).toBe(
        'invalid_key: its algorithm is not one that this stream may use',
      )
    }
  })

  it('of a type that this stream may not send; what is about the stream itself may always come', async () => {
    const narrow = streamOf({ events: ['risk-level-change'] })
    expect(await judge(await signSet(desk, claimsOf(NOW)), narrow)).toBe(
      'access_denied: this stream may not send session-revoked',
    )
    expect(await judge(await signSet(desk, claimsOf(NOW, event('verification'))), narrow)).toBe('taken: verification')
  })

  it.each([
    ['nothing', ''],
    ['two segments', 'e30.e30'],
    ['four segments', 'e30.e30.e30.e30'],
    ['padding', 'e30=.e30.e30'],
    ['a header that is no object', `${b64.encode('[]')}.e30.e30`],
    ['a header with a key twice', `${b64.encode('{"alg":"RS256","alg":"RS256"}')}.e30.e30`],
    ['JSON, as other receivers take it', '{"iss":"https://idp.example.com/"}'],
    ['more than it may be', `e30.${'A'.repeat(70_000)}.e30`],
  ])('that is %s', async (_name, token) => {
    expect(await judge(token)).toMatch(/^invalid_request: /)
  })

  it('with a member twice in its payload, although it is signed', async () => {
    const good = JSON.stringify(claimsOf(NOW))
    const { CompactSign } = await import('jose')
    const twice = new TextEncoder().encode(good.replace('{', '{"iss":"https://else.example/",'))
    const token = await new CompactSign(twice)
      .setProtectedHeader({ alg: 'RS256', kid: 'k1', typ: 'secevent+jwt' })
      .sign(desk.key)
    expect(await judge(token)).toBe('invalid_request: the payload is not a strict JSON object')
  })

  it('with any one octet changed, taken away or put in is refused', async () => {
    const token = await signSet(desk, claimsOf(NOW))
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.='
    const spot = fc.nat({ max: token.length - 1 })
    const letter = fc.constantFrom(...alphabet.split(''))
    const change = fc.oneof(
      fc.tuple(spot, letter).map(([at, by]) => token.slice(0, at) + by + token.slice(at + 1)),
      spot.map((at) => token.slice(0, at) + token.slice(at + 1)),
      fc.tuple(spot, letter).map(([at, by]) => token.slice(0, at) + by + token.slice(at)),
    )
    await fc.assert(
      fc.asyncProperty(change, async (changed) => {
        fc.pre(changed !== token)
        expect(await judge(changed)).toMatch(/^invalid_(request|key): /)
      }),
      { numRuns: 400 },
    )
  })

  it('whatever is signed, an answer comes and nothing is thrown', async () => {
    const value = fc.jsonValue({ maxDepth: 2 })
    const name = fc.constantFrom('iss', 'aud', 'jti', 'iat', 'sub_id', 'events', 'sub', 'exp', '__proto__')
    await fc.assert(
      fc.asyncProperty(name, value, async (claim, strange) => {
        const token = await signSet(second, { ...claimsOf(NOW), [claim]: strange })
        expect(await judge(token)).toMatch(/^(taken|invalid_request|invalid_issuer|invalid_audience): /)
      }),
      { numRuns: 150 },
    )
  })
})

describe('the keys of a transmitter', () => {
  const read = (text: string) => () => readKeys(new TextEncoder().encode(text), 'k.json')
  it.each([
    ['no JSON', 'no', 'it is not strict JSON'],
    ['no keys', '{"keys":[]}', 'a set has 1 to 16 keys'],
    [
      'a secret',
      JSON.stringify({ keys: [{ kty: 'oct', alg: 'HS256', k: 'A'.repeat(43), kid: 's' }] }),
      'a key is for HS256',
    ],
    ['a key without an algorithm', '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}', 'no signature algorithm'],
  ])('with %s verify nothing', (_name, text, why) => {
    expect(read(text)).toThrow(
      expect.objectContaining({ code: 'REVOCATION_KEYS', message: expect.stringContaining(why) }),
    )
  })

  it('shorter than 2,048 bits are refused', () => {
    const short = { kty: 'RSA', alg: 'RS256', kid: 'k', n: '-'.repeat(168), e: 'AQAB' }
    expect(read(JSON.stringify({ keys: [short] }))).toThrow(/bits/)
  })
})
