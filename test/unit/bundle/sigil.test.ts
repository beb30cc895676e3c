// The YamlSigil verifier: decomposition, the signature document, the protobuf form, every state and every caller fault.

import { describe, expect, it } from 'vitest'
import { base64url, concat, utf8 } from '../../../src/base/bytes.js'
import { Fault } from '../../../src/base/fault.js'
import { LIMITS } from '../../../src/base/limits.js'
import { signerOf } from '../../../src/bundle/key-file.js'
import { composeYaml, writeCarrier } from '../../../src/bundle/sigil/compose.js'
import { decomposeYaml } from '../../../src/bundle/sigil/decompose.js'
import { readCarrier } from '../../../src/bundle/sigil/metadata.js'
import { decomposeProtobuf, readSubmessage } from '../../../src/bundle/sigil/protobuf.js'
import { type PreVerified, preVerify, type SigilForm, verifySigil } from '../../../src/bundle/sigil/verify.js'
import { signSigil } from '../../../src/bundle/sign.js'
import { KEYS } from './fixture.js'

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const policy = { resolve: () => KEYS.author.public, algorithms: ['Ed25519', 'ES256'] } as const
const SIGNATURE = base64url(new Uint8Array(64))
const carrier = (lines: string) => utf8(`${lines}\n`)
const FIELDS = `schema: YamlSigilSignature.v1alpha1\nalg: ED25519_PUREEDDSA_RAW_RS64_CANONICAL`
const why = (bytes: Uint8Array) => {
  const read = readCarrier(bytes)
  return read.ok ? 'ok' : read.why
}

describe('decomposition', () => {
  const cases: readonly (readonly [string, string, string, string])[] = [
    ['marker at the start', '---\nc', '', 'c'],
    ['LF marker', 'a\n---\nc', 'a\n', 'c'],
    ['CRLF marker', 'a\r\n---\r\nc', 'a\r\n', 'c'],
    ['the last of several', '---\na\n---\nb\n---\nc', '---\na\n---\nb\n', 'c'],
    ['an indented one is none', 'a\n---\nb\n ---\nc', 'a\n', 'b\n ---\nc'],
    ['one with a comment is none', 'a\n---\nb\n--- # x\nc', 'a\n', 'b\n--- # x\nc'],
    ['one with a trailing space is none', 'a\n---\nb\n--- \nc', 'a\n', 'b\n--- \nc'],
    ['one at the end without a line feed is none', 'a\n---\nb\n---', 'a\n', 'b\n---'],
    ['a carriage return alone ends nothing', 'a\n---\nb\n---\rc', 'a\n', 'b\n---\rc'],
    ['four dashes are none', 'a\n---\nb\n----\nc', 'a\n', 'b\n----\nc'],
    ['after a carriage return alone a line does not start', 'a\n---\nb\r---\nc', 'a\n', 'b\r---\nc'],
  ]
  for (const [name, artifact, payload, rest] of cases)
    it(name, () => {
      const parts = decomposeYaml(utf8(artifact))
      expect(parts.outcome === 'Ok' && [text(parts.payload), text(parts.carrier)]).toEqual([payload, rest])
    })
  const outcomes: readonly (readonly [string, Uint8Array, string])[] = [
    ['empty input', utf8(''), 'Unsigned'],
    ['no marker', utf8('a: 1\n'), 'Unsigned'],
    ['too short for one', utf8('--'), 'Unsigned'],
    ['nothing after it', utf8('a\n---\n'), 'MalformedAttemptedSigned'],
    ['a byte order mark', concat([new Uint8Array([0xef, 0xbb, 0xbf]), utf8('a\n')]), 'MalformedAttemptedSigned'],
    ['an overlong form', concat([new Uint8Array([0xc0, 0xaf]), utf8('\n')]), 'MalformedAttemptedSigned'],
    ['an encoded surrogate', concat([new Uint8Array([0xed, 0xa0, 0x80]), utf8('\n')]), 'MalformedAttemptedSigned'],
  ]
  for (const [name, artifact, outcome] of outcomes)
    it(name, () => expect(decomposeYaml(artifact).outcome).toBe(outcome))
})

describe('the signature document', () => {
  it('is read in any order of keys', () => {
    expect(why(carrier(`signature: ${SIGNATURE}\nkeyid: k\n${FIELDS}`))).toBe('ok')
  })
  const refused: readonly (readonly [string, string, string])[] = [
    ['an unknown key', `${FIELDS}\nextra: 1\nsignature: ${SIGNATURE}`, 'unknown key "extra"'],
    ['a missing signature', FIELDS, 'signature is missing'],
    ['a missing alg', `schema: YamlSigilSignature.v1alpha1\nsignature: ${SIGNATURE}`, 'alg is missing'],
    [
      'a later schema',
      `schema: YamlSigilSignature.v1\nalg: x\nsignature: ${SIGNATURE}`,
      'schema is "YamlSigilSignature.v1"',
    ],
    [
      'the protobuf spelling of alg',
      `schema: YamlSigilSignature.v1alpha1\nalg: ALGORITHM_ED25519\nsignature: ${SIGNATURE}`,
      'alg is "ALGORITHM_ED25519"',
    ],
    ['a number as keyid', `${FIELDS}\nkeyid: 12\nsignature: ${SIGNATURE}`, 'keyid is not a string'],
    ['a boolean as signature', `${FIELDS}\nsignature: true`, 'signature is not a string'],
    ['an empty keyid', `${FIELDS}\nkeyid: ""\nsignature: ${SIGNATURE}`, 'keyid has 0 octets; 1 to 1024 are allowed'],
    ['padding', `${FIELDS}\nsignature: ${SIGNATURE}==`, 'signature is not base64url without padding'],
    ['an alias', `${FIELDS}\nkeyid: &a k\nsignature: *a`, 'anchors and aliases are not accepted; write the value out'],
    ['a tag', `${FIELDS}\nkeyid: !!str k\nsignature: ${SIGNATURE}`, 'tags (!, !!str) are not accepted; remove it'],
    ['a merge key', `<<: {}\n${FIELDS}\nsignature: ${SIGNATURE}`, 'merge keys are not accepted; write the members out'],
    ['a list', '- a', 'it is not a mapping'],
    ['a comment only', '# nothing', 'the document is empty; a mapping is expected'],
  ]
  for (const [name, document, expected] of refused) it(name, () => expect(why(carrier(document))).toBe(expected))
  it('16,384 octets, and one more', () => {
    const body = `${FIELDS}\nsignature: ${SIGNATURE}\n#`
    const filled = (length: number) => utf8(body + 'x'.repeat(length - body.length))
    expect(why(filled(LIMITS.carrierBytes))).toBe('ok')
    expect(why(filled(LIMITS.carrierBytes + 1))).toBe('the document has 16385 bytes; the limit is 16384')
  })
  it('a keyid of 1,024 octets, and one more', () => {
    const keyed = (length: number) => carrier(`${FIELDS}\nkeyid: ${'k'.repeat(length)}\nsignature: ${SIGNATURE}`)
    expect(why(keyed(LIMITS.keyIdBytes))).toBe('ok')
    expect(why(keyed(LIMITS.keyIdBytes + 1))).toBe('keyid has 1025 octets; 1 to 1024 are allowed')
  })
})

describe('the protobuf form', () => {
  const inner = (...parts: number[]) => new Uint8Array(parts)
  it('reads what it should', () => {
    const message = concat([inner(0x08, 1, 0x12, 1, 0x6b, 0x1a, 2), inner(9, 9)])
    const artifact = concat([inner(0x0a, 1, 0x70, 0x12, message.length), message])
    const parts = decomposeProtobuf(artifact)
    expect(parts.outcome === 'Ok' && text(parts.payload)).toBe('p')
    expect(readSubmessage(message)).toEqual({
      ok: true,
      metadata: { alg: 'Ed25519', keyid: 'k', signature: inner(9, 9) },
    })
  })
  it('no signature message is Unsigned, nothing at all too', () => {
    expect(decomposeProtobuf(inner(0x0a, 1, 0x70)).outcome).toBe('Unsigned')
    expect(decomposeProtobuf(inner()).outcome).toBe('Unsigned')
  })
  const refused: readonly (readonly [string, readonly number[], string])[] = [
    ['an unknown field', [0x08, 1, 0x20, 1], 'field 4 with wire type 0 is not part of the message'],
    ['a group', [0x0b], 'field 1 with wire type 3 is not part of the message'],
    ['wire type 6', [0x0e], 'field 1 with wire type 6 is not part of the message'],
    ['alg with wire type 2', [0x0a, 1, 1], 'field 1 with wire type 2 is not part of the message'],
    ['alg twice', [0x08, 1, 0x08, 2], 'field 1 stands twice'],
    ['alg above 32 bits', [0x08, 0x81, 0x80, 0x80, 0x80, 0x10], 'alg is 4294967297'],
    ['an empty keyid', [0x08, 1, 0x12, 0], 'keyid has 0 octets; 1 to 1024 are allowed'],
    ['a keyid that is not UTF-8', [0x08, 1, 0x12, 1, 0xff], 'keyid is not UTF-8'],
    ['a cut varint', [0x08, 0x80], 'a varint is cut off'],
  ]
  for (const [name, bytes, expected] of refused)
    it(name, () => expect(readSubmessage(inner(...bytes))).toEqual({ ok: false, why: expected }))
})

describe('states and caller faults', () => {
  const signed = () => signSigil(utf8('a: 1\n'), signerOf(KEYS.author))
  it('Verified gives exactly the payload, in both algorithms, and for an empty payload', async () => {
    for (const payload of ['a: 1\n', ''])
      for (const pair of [KEYS.author, KEYS.authorP256]) {
        const pre = preVerify('yaml', await signSigil(utf8(payload), signerOf(pair)))
        expect(verifySigil(pre, { ...policy, resolve: () => pair.public })).toEqual({
          state: 'Verified',
          payload: utf8(payload),
        })
      }
  })
  it('SignedButFailedVerification for another key', async () => {
    const result = verifySigil(preVerify('yaml', await signed()), { ...policy, resolve: () => KEYS.release1.public })
    expect(result).toEqual({
      state: 'SignedButFailedVerification',
      why: 'the signature does not fit payload and key',
    })
  })
  it('an empty signature is malformed before its algorithm is looked at', () => {
    const artifact = utf8(`a: 1\n---\n${FIELDS}\nsignature: ""\n`)
    const result = verifySigil(preVerify('yaml', artifact), { ...policy, algorithms: ['ES256'] })
    expect(result).toEqual({ state: 'MalformedAttemptedSigned', why: 'the signature is empty' })
  })
  it('no state but Verified carries a payload', async () => {
    const artifacts = [
      utf8(''),
      utf8('a\n'),
      utf8('a\n---\n'),
      utf8('a\n---\nb: 1\n'),
      utf8(`a\n---\n${FIELDS}\nsignature: ${SIGNATURE}\n`),
    ]
    for (const artifact of artifacts)
      expect(verifySigil(preVerify('yaml', artifact), policy)).not.toHaveProperty('payload')
  })
  const code = (run: () => unknown) => {
    try {
      run()
    } catch (error) {
      return error instanceof Fault ? `${error.code}: ${error.message}` : String(error)
    }
    return 'nothing'
  }
  it('each caller fault', async () => {
    const pre = preVerify('yaml', await signed())
    expect(code(() => preVerify('json' as SigilForm, utf8('')))).toBe(
      'BUNDLE_SIGIL_FORM: InvalidOrUnsupportedForm: "json"',
    )
    expect(code(() => verifySigil(pre, { ...policy, parameters: new Uint8Array(1) }))).toBe(
      'BUNDLE_SIGIL_PARAMETERS: InvalidAlgorithmParameters: Ed25519 takes none',
    )
    expect(code(() => verifySigil(pre, { ...policy, algorithms: [] }))).toBe(
      'BUNDLE_SIGIL_POLICY: TrustPolicyConfigurationError: the list of algorithms is empty or names an unknown one',
    )
    expect(code(() => verifySigil(pre, { ...policy, resolve: () => KEYS.authorP256.public }))).toBe(
      'BUNDLE_SIGIL_KEY: KeyResolutionFailure: the key is for ES256, not Ed25519',
    )
    const copy: PreVerified = { ...pre }
    expect(code(() => verifySigil(copy, policy))).toBe(
      'BUNDLE_SIGIL_PRE_VERIFY: InvalidPreVerifyResult: this was not made by preVerify, or was not Ok',
    )
  })
})

describe('composition', () => {
  const code = (run: () => unknown) => {
    try {
      run()
    } catch (error) {
      return error instanceof Fault ? error.message : String(error)
    }
    return 'nothing'
  }
  const good = writeCarrier('Ed25519', 'k', new Uint8Array(64))
  it('writes what APF writes', () => {
    expect(text(composeYaml(utf8('a: 1\n'), good))).toBe(`a: 1\n---\n${FIELDS}\nkeyid: k\nsignature: ${SIGNATURE}\n`)
  })
  it('key ids that YAML would read as something else are quoted', () => {
    for (const keyid of ['true', 'null', '1e5', '0x10', 'Yes', '~', 'a: b', '# c', '-', '"']) {
      const read = readCarrier(writeCarrier('Ed25519', keyid, new Uint8Array(64)))
      expect(read.ok && read.metadata.keyid).toBe(keyid)
    }
  })
  it('refuses what could not be read back', () => {
    expect(code(() => composeYaml(utf8('a: 1'), good))).toContain('the payload does not end with a line feed')
    expect(code(() => composeYaml(new Uint8Array([0xff, 10]), good))).toContain('the payload is not UTF-8')
    expect(code(() => composeYaml(utf8('a\n'), utf8('x')))).toContain('it is not a mapping')
    expect(code(() => composeYaml(utf8('a\n'), concat([utf8('---\n'), good])))).toContain('it holds a marker line')
    expect(code(() => writeCarrier('Ed25519', 'a\nb', new Uint8Array(64)))).toContain('keyid holds a line break')
  })
})
