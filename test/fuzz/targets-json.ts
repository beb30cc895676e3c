// Fuzz targets: strict JSON, signed statements in it, and compact tokens. What is accepted is what JSON.parse reads, and only
// the very statement or token that was signed has signers.

import { base64url, decodeUtf8, utf8 } from '../../src/base/bytes.js'
import { canonicalize, type Json } from '../../src/base/canonical.js'
import { JsonError, parseJson } from '../../src/base/json.js'
import { parseBreakglass } from '../../src/bundle/breakglass.js'
import { verifyCompactJws } from '../../src/bundle/compact-jws.js'
import { parseFreshness } from '../../src/bundle/freshness.js'
import { readJwks } from '../../src/bundle/jwk.js'
import { signerOf } from '../../src/bundle/key-file.js'
import { parseInventoryStatement, parseRelease } from '../../src/bundle/release.js'
import {
  claimedSigners,
  goodSigners,
  readEnvelope,
  STATEMENTS,
  type StatementKind,
} from '../../src/bundle/statement.js'
import { KEYS, makeBundle, TRUST } from '../unit/bundle/fixture.js'
import type { Target } from './engine.js'
import { hold, orFault, orFaultLater, show } from './laws.js'

const KINDS = Object.keys(STATEMENTS) as StatementKind[]
const PARSERS: Readonly<Partial<Record<StatementKind, (statement: never) => unknown>>> = {
  release: parseRelease,
  inventory: parseInventoryStatement,
  freshness: parseFreshness,
  breakglass: parseBreakglass,
}
const good = await makeBundle()
const goodEnvelope = readEnvelope(good.release, 'release')
const releaseText = canonicalize(goodEnvelope.statement)

/** Text that is JSON becomes the payload of an envelope with a real signature, of another statement; the rest goes in as it is. */
function wrapped(bytes: Uint8Array): Uint8Array {
  const text = decodeUtf8(bytes)
  if (text === undefined || !text.startsWith('{"')) return bytes
  try {
    const payload = base64url(utf8(canonicalize(parseJson(text))))
    const signatures = goodEnvelope.signatures.map((entry) => ({
      protected: entry.protected,
      signature: entry.signature,
    }))
    return utf8(`${canonicalize({ payload, signatures })}\n`)
  } catch (error) {
    if (error instanceof JsonError) return bytes
    throw error
  }
}

export const statement: Target = {
  name: 'statement',
  seeds: () =>
    Promise.resolve([
      good.release,
      utf8(releaseText),
      utf8(
        `{"audience":"fleet-a","epoch":1,"format":"sluice-inventory/1","revision":"1","sha256":"${'0'.repeat(64)}","size":1}`,
      ),
      utf8(
        '{"format":"sluice-freshness/1","audience":["a"],"channel":"stable","epoch":1,"issued_at":"2026-01-01T00:00:00Z"}',
      ),
      utf8('{"format":"sluice-breakglass/1","action":"quarantine","workspace":"spiffe://a.example/w","reason":"x"}'),
    ]),
  words: [
    '"',
    ',',
    ':',
    '{',
    '}',
    '[',
    ']',
    '\\u00e9',
    '"policy_revision":"18446744073709551615"',
    '"epoch":0',
    'sluice-release/1',
    '2026-01-01T00:00:00Z',
    '"../x"',
  ].concat([
    ...KINDS.map((kind) => STATEMENTS[kind].format),
    '"size":-1',
    '"members":[]',
    '"payload"',
    '"signatures"',
    'null',
  ]),
  run: async (bytes) => {
    const octets = wrapped(bytes)
    for (const kind of KINDS) {
      const read = orFault(() => readEnvelope(octets, kind))
      if (read === undefined) continue
      orFault(() => claimedSigners(read))
      const parse = PARSERS[kind]
      if (parse) orFault(() => parse(read.statement as never))
      const signers = await orFaultLater(() => goodSigners(read, TRUST.keys))
      if (signers && signers.length > 0) hold(read.payload === goodEnvelope.payload, 'only what was signed has signers')
    }
  },
}

const jwks = readJwks({
  keys: [
    { kty: 'oct', alg: 'HS256', kid: 'h', k: base64url(new Uint8Array(32).fill(7)) },
    { kty: 'oct', alg: 'HS512', kid: 'i', k: base64url(new Uint8Array(64).fill(9)) },
  ],
})
const edKeys = readJwks({
  kty: 'OKP',
  crv: 'Ed25519',
  alg: 'Ed25519',
  kid: 'e',
  x: base64url(KEYS.author.public.bytes),
})
const edHead = base64url(utf8('{"alg":"Ed25519","kid":"e"}'))
const edBody = base64url(utf8('{"iss":"a"}'))
const edToken = `${edHead}.${edBody}.${base64url(await signerOf(KEYS.author).sign(utf8(`${edHead}.${edBody}`)))}`

export const jws: Target = {
  name: 'jws',
  seeds: () =>
    Promise.resolve([
      utf8(edToken),
      utf8('{"alg":"Ed25519","kid":"e","typ":"JWT"}'),
      utf8('{"alg":"none"}'),
      utf8('a.b.c'),
    ]),
  words: [
    '.',
    '=',
    '"alg":"none"',
    '"alg":"HS256"',
    '"crit":["b64"]',
    '"b64":false',
    '"jwk":{}',
    '"kid":"h"',
    '"kid":"e"',
    '{',
    '}',
    ',',
    ' ',
    '"x5c":[]',
    '\\u0061lg',
  ],
  run: async (bytes) => {
    const text = decodeUtf8(bytes)
    if (text === undefined) return
    // A header in the clear is put into a token, so that mutations of it need not survive base64url.
    const token = text.startsWith('{') ? `${base64url(bytes)}.${edBody}.${edToken.split('.')[2]}` : text
    for (const [keys, allowed] of [
      [edKeys, ['Ed25519']],
      [jwks, ['HS256', 'HS512']],
    ] as const)
      if ((await orFaultLater(() => verifyCompactJws(token, keys, allowed))) !== undefined)
        hold(token === edToken, 'only the token that was signed is verified')
  },
}

const holdsLargeInteger = (value: Json): boolean =>
  typeof value === 'number'
    ? Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 1e21
    : value !== null &&
      typeof value === 'object' &&
      Object.values(value).some((member) => holdsLargeInteger(member as Json))

function refusesJson(text: string): boolean {
  try {
    parseJson(text)
    return false
  } catch (error) {
    if (error instanceof JsonError) return true
    throw error
  }
}

export const json: Target = {
  name: 'json',
  seeds: () =>
    Promise.resolve(
      [
        '{"a":[1,-2.5e3,true,false,null,"\\u00e9\\n"],"":{}}',
        '[[[[]]]]',
        '"\\ud83d\\ude00"',
        '0',
        ' {"__proto__": 1} ',
      ].map(utf8),
    ),
  words: [
    '"',
    '\\u',
    '\\ud800',
    '\\udc00',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '-0',
    '1e400',
    '9007199254740993',
    '0.',
    'true',
    '\u0000',
    '\ufeff',
    '"a":1,"a":1',
  ],
  run: (bytes) => {
    const text = decodeUtf8(bytes)
    if (text === undefined) return
    let value: Json
    try {
      value = parseJson(text)
    } catch (error) {
      if (error instanceof JsonError) return
      throw error
    }
    hold(show(value) === show(JSON.parse(text)), 'what is accepted is what JSON.parse reads')
    const canonical = canonicalize(value)
    // 2.5e20 is read as the double that it says it is; its canonical form is written as an integer, and that is refused.
    if (!holdsLargeInteger(value))
      hold(show(parseJson(canonical)) === show(JSON.parse(canonical)), 'its canonical form is accepted')
    else hold(refusesJson(canonical), 'an integer that a double cannot hold exactly is refused')
  },
}
