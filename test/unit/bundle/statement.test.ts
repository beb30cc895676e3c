// The JWS envelope under attack: one test for each row of the attack matrix that is about envelopes and headers. Every
// forged envelope here is signed with real release keys, so that nothing but the named defect can be the reason.

import { describe, expect, it } from 'vitest'
import { base64url, utf8 } from '../../../src/base/bytes.js'
import { canonicalize, type Json } from '../../../src/base/canonical.js'
import { Fault } from '../../../src/base/fault.js'
import { LIMITS } from '../../../src/base/limits.js'
import { type KeyPair, signerOf } from '../../../src/bundle/key-file.js'
import { parseRelease, releaseStatement } from '../../../src/bundle/release.js'
import { makeRelease } from '../../../src/bundle/sign.js'
import { type JsonObject, readEnvelope, requireThreshold, STATEMENTS } from '../../../src/bundle/statement.js'
import { KEYS, MEMBERS, makeBundle, RELEASE_TERMS, TRUST } from './fixture.js'

const { manifest } = await makeBundle()
const STATEMENT = releaseStatement(makeRelease(manifest, MEMBERS, RELEASE_TERMS))
const { typ } = STATEMENTS.release
const header = (pair: KeyPair): JsonObject => ({ alg: pair.public.alg, kid: pair.kid, typ })

interface Forgery {
  readonly payload?: string
  /** The protected header of each signature, as JSON text. */
  readonly headers?: readonly string[]
  readonly signers?: readonly KeyPair[]
  /** Changes each signature object after it was made. */
  readonly entry?: (entry: { protected: string; signature: string }) => JsonObject
  readonly file?: (file: JsonObject) => string
}
async function forge(forgery: Forgery): Promise<Uint8Array> {
  const signers = forgery.signers ?? [KEYS.release1, KEYS.release2]
  const payload = base64url(utf8(forgery.payload ?? canonicalize(STATEMENT)))
  const signatures: Json[] = []
  for (const [i, pair] of signers.entries()) {
    const head = base64url(utf8(forgery.headers?.[i] ?? canonicalize(header(pair))))
    const signature = base64url(await signerOf(pair).sign(utf8(`${head}.${payload}`)))
    const entry = { protected: head, signature }
    signatures.push(forgery.entry?.(entry) ?? entry)
  }
  const file = { payload, signatures }
  return utf8(forgery.file?.(file) ?? `${canonicalize(file)}\n`)
}
async function outcome(forgery: Forgery | Uint8Array, threshold = 2): Promise<string> {
  const bytes = forgery instanceof Uint8Array ? forgery : await forge(forgery)
  try {
    const envelope = readEnvelope(bytes, 'release')
    const signers = await requireThreshold(envelope, TRUST.keys, threshold)
    parseRelease(envelope.statement)
    return signers.join(' ')
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return `${error.code}: ${error.message}`
  }
}
const malformed = (why: string) => `BUNDLE_STATEMENT: the signed release is malformed: ${why}`
const headerOf = (change: Record<string, Json | undefined>, pair: KeyPair = KEYS.release1) =>
  canonicalize({ ...header(pair), ...change })
const one = (text: string): Forgery => ({ signers: [KEYS.release1], headers: [text] })

describe('headers', () => {
  it('the good case', async () => expect(await outcome({})).toBe('release-1 release-2'))
  it('algorithm confusion: none, HMAC, another curve', async () => {
    for (const alg of ['none', 'NONE', 'HS256', 'ES256', 'EdDSA', 'RS256', ''])
      expect(await outcome(one(headerOf({ alg })))).toBe(
        `BUNDLE_STATEMENT_ALGORITHM: a signature of the release says algorithm "${alg}", and key "release-1" has another`,
      )
  })
  it('kid injection: unknown kids count for nothing, whatever they hold', async () => {
    for (const kid of ['../../etc/passwd', '__proto__', 'constructor', "' or 1=1", 'k'.repeat(3000)])
      expect(await outcome(one(headerOf({ kid })))).toContain('BUNDLE_THRESHOLD: the release has 0 good signatures')
  })
  it('jku, x5u, x5c, jwk and any other member', async () => {
    for (const member of ['jku', 'x5u', 'x5c', 'jwk', 'x5t', 'cty', 'nonce', 'b64', 'crit'])
      expect(await outcome(one(headerOf({ [member]: 'x' })))).toBe(
        malformed('a protected header has exactly alg, kid and typ'),
      )
  })
  it('crit and b64 in their right form', async () => {
    expect(await outcome(one(headerOf({ b64: false, crit: ['b64'] })))).toBe(
      malformed('a protected header has exactly alg, kid and typ'),
    )
  })
  it('alg or kid missing, or not text', async () => {
    expect(await outcome(one(headerOf({ alg: undefined })))).toBe(
      malformed('a protected header has exactly alg, kid and typ'),
    )
    expect(await outcome(one(headerOf({ alg: ['Ed25519'] })))).toBe(malformed('alg, kid or typ is not text'))
    expect(await outcome(one(headerOf({ kid: 1 })))).toBe(malformed('alg, kid or typ is not text'))
    expect(await outcome(one(headerOf({ typ: {} })))).toBe(malformed('alg, kid or typ is not text'))
  })
  it('duplicate header keys', async () => {
    const text = `{"alg":"none","alg":"Ed25519","kid":"release-1","typ":"${typ}"}`
    expect(await outcome(one(text))).toBe(malformed('duplicate key at line 1 column 15 (alg)'))
  })
  it('cross-protocol reuse: a signature for another type', async () => {
    for (const other of [STATEMENTS.inventory.typ, STATEMENTS.root.typ, 'JWT', typ.toUpperCase()])
      expect(await outcome(one(headerOf({ typ: other })))).toBe(
        `BUNDLE_STATEMENT_TYPE: a signature of the release is for another type, "${other}"`,
      )
  })
  it('a protected header at its limit and one past it', async () => {
    const kid = (length: number) => headerOf({ kid: 'k'.repeat(length - headerOf({ kid: '' }).length) })
    expect(await outcome(one(kid(LIMITS.protectedHeaderBytes)))).toContain('BUNDLE_THRESHOLD')
    expect(await outcome(one(kid(LIMITS.protectedHeaderBytes + 1)))).toBe(
      'BUNDLE_TOO_LARGE: a protected header has 4097 octets; the limit is 4096',
    )
  })
  it('an unprotected header', async () => {
    const entry = (made: { protected: string; signature: string }) => ({ ...made, header: { alg: 'Ed25519' } })
    expect(await outcome({ entry })).toBe(malformed('a signature has exactly protected and signature'))
  })
})

describe('segments', () => {
  it('padding, spaces, another alphabet and trailing bits in a signature', async () => {
    for (const spoil of [
      (s: string) => `${s}==`,
      (s: string) => `${s} `,
      (s: string) => `+${s.slice(1)}`,
      (s: string) => `${s.slice(0, -1)}${s.endsWith('B') ? 'D' : 'B'}`,
    ])
      expect(await outcome({ entry: (made) => ({ ...made, signature: spoil(made.signature) }) })).toBe(
        malformed('a signature is not base64url without padding'),
      )
  })
  it('padding in header and payload', async () => {
    expect(await outcome({ entry: (made) => ({ ...made, protected: `${made.protected}=` }) })).toBe(
      malformed('a protected header is not base64url without padding'),
    )
    const file = (made: JsonObject) => `${canonicalize({ ...made, payload: `${String(made.payload)}=` })}\n`
    expect(await outcome({ file })).toBe(malformed('the payload is not base64url without padding'))
  })
  it('an empty or short signature', async () => {
    for (const signature of ['', 'AAAA'])
      expect(await outcome({ entry: (made) => ({ ...made, signature }) })).toBe(
        'BUNDLE_SIGNATURE: the signature of the release by key "release-1" is wrong',
      )
  })
})

describe('the file', () => {
  it('one spelling only: white space, key order, escapes, no line feed', async () => {
    const why = malformed('the file is not canonical JSON with one line feed after it')
    expect(await outcome({ file: (made) => `${JSON.stringify(made, null, 1)}\n` })).toBe(why)
    expect(await outcome({ file: (made) => canonicalize(made) })).toBe(why)
    expect(await outcome({ file: (made) => `${canonicalize(made)}\n\n` })).toBe(why)
    expect(await outcome({ file: (made) => `${canonicalize(made).replace('"payload"', '"\\u0070ayload"')}\n` })).toBe(
      why,
    )
  })
  it('duplicate keys, more members, trailing data, not UTF-8', async () => {
    expect(await outcome({ file: (made) => canonicalize(made).replace('{', '{"payload":"",') })).toContain(
      'duplicate key',
    )
    expect(await outcome({ file: (made) => `${canonicalize({ ...made, header: {} })}\n` })).toBe(
      malformed('exactly payload and signatures are expected'),
    )
    expect(await outcome({ file: (made) => `${canonicalize(made)}{}` })).toContain(
      'trailing characters after the value',
    )
    expect(await outcome(new Uint8Array([0xff]))).toBe(malformed('it is not UTF-8'))
    expect(await outcome(utf8('\ufeff{}'))).toBe(malformed('it is not UTF-8'))
    expect(await outcome(utf8('null\n'))).toBe(malformed('exactly payload and signatures are expected'))
  })
  it('signatures at their limit and one past it', async () => {
    const many = (length: number) => ({
      signers: Array.from({ length }, (_, i) => (i % 2 === 0 ? KEYS.release1 : KEYS.release2)),
    })
    expect(await outcome(many(LIMITS.envelopeSignatures))).toBe('release-1 release-2')
    expect(await outcome(many(LIMITS.envelopeSignatures + 1))).toBe(
      'BUNDLE_TOO_MANY: there are 17 signatures of the release; the limit is 16',
    )
  })
  it('no signatures at all', async () => {
    expect(await outcome({ signers: [] })).toContain('BUNDLE_THRESHOLD: the release has 0 good signatures')
  })
  it('a threshold of nothing is never met', async () => {
    expect(await outcome({ signers: [] }, 0)).toContain('BUNDLE_THRESHOLD')
  })
})

describe('the statement', () => {
  const payload = (change: Record<string, Json | undefined>) =>
    outcome({ payload: canonicalize({ ...STATEMENT, ...change }) })
  const because: readonly (readonly [string, Record<string, Json | undefined>, string])[] = [
    ['downgrade of the format version', { format: 'sluice-release/0' }, 'the format is not sluice-release/1'],
    [
      'an unknown member',
      { note: 'x' },
      'exactly audience, bundle_digest, bundle_id, channel, epoch, expires_at, format, members, not_before, policy_revision are expected',
    ],
    [
      'a missing member',
      { channel: undefined },
      'exactly audience, bundle_digest, bundle_id, channel, epoch, expires_at, format, members, not_before, policy_revision are expected',
    ],
    ['a revision as a number', { policy_revision: 7 }, 'policy_revision is not a string of digits from 1 to 2^64-1'],
    ['revision 0', { policy_revision: '0' }, 'policy_revision is not a string of digits from 1 to 2^64-1'],
    [
      'a revision with a leading zero',
      { policy_revision: '07' },
      'policy_revision is not a string of digits from 1 to 2^64-1',
    ],
    [
      'a revision of 2^64',
      { policy_revision: '18446744073709551616' },
      'policy_revision is not a string of digits from 1 to 2^64-1',
    ],
    ['an epoch with a fraction', { epoch: 1.5 }, 'epoch is not a whole number'],
    ['an epoch below zero', { epoch: -1 }, 'epoch is not a whole number'],
    ['a time without an offset', { not_before: '2026-01-01T00:00:00' }, 'not_before is not an RFC 3339 time'],
    ['an empty window', { expires_at: STATEMENT.not_before }, 'expires_at must be later than not_before'],
    ['no audience', { audience: [] }, 'audience is not a list of 1 to 1024 names'],
    ['an audience twice', { audience: ['a', 'a'] }, 'audience names one twice'],
    ['a channel with a control character', { channel: 'a\u0007' }, 'channel is "a\\u{7}"'],
    [
      'a digest in capitals',
      { bundle_digest: `sha256:${'A'.repeat(64)}` },
      `bundle_digest is "sha256:${'A'.repeat(64)}"`,
    ],
    [
      'a member with more members',
      { members: [{ path: 'a', sha256: '0'.repeat(64), size: 1, mode: 7 }] },
      'a member has exactly path, sha256 and size',
    ],
  ]
  for (const [name, change, why] of because) it(name, async () => expect(await payload(change)).toBe(malformed(why)))
  it('the largest revision', async () =>
    expect(await payload({ policy_revision: '18446744073709551615' })).toBe('release-1 release-2'))
  it('a path that leaves the bundle, and paths that collide', async () => {
    const member = (path: string) => ({ path, sha256: '0'.repeat(64), size: 1 })
    expect(await payload({ members: [member('../a')] })).toBe(
      'BUNDLE_MEMBER_PATH: "../a" is not an acceptable member path: it has a ".." segment',
    )
    expect(await payload({ members: [member('a'), member('A')] })).toBe(
      'BUNDLE_MEMBER_PATH: "A" is not an acceptable member path: another file has the same path, or one that differs only in case',
    )
    expect(await payload({ members: [member('bundle.yaml')] })).toContain('the name is reserved')
  })
  it('not canonical, duplicate keys, lone surrogates, numbers that round, deep nesting', async () => {
    const spelled = (text: string) => outcome({ payload: text })
    expect(await spelled(JSON.stringify(STATEMENT, null, 1))).toBe(
      malformed('the statement is not canonical JSON (RFC 8785)'),
    )
    expect(await spelled(canonicalize(STATEMENT).replace('{', '{"epoch":1,'))).toContain('duplicate key')
    expect(await spelled('{"format":"\\ud800"}')).toContain('string holds a lone surrogate')
    expect(await spelled('{"epoch":9007199254740993}')).toContain('number cannot be held exactly')
    expect(await spelled('{"epoch":1e400}')).toContain('number cannot be held exactly')
    expect(await spelled('['.repeat(40))).toContain('nested deeper than 32')
    expect(await spelled('[]')).toBe(malformed('the statement is not an object'))
    expect(await spelled('{"__proto__":{"format":"sluice-release/1"}}')).toBe(
      malformed('the format is not sluice-release/1'),
    )
  })
})
