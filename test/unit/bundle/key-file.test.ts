// Key files: written, read back, read by OpenSSL, and every way to spoil one. Public keys of APF trust roots.

import { execFileSync } from 'node:child_process'
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { base64url, utf8 } from '../../../src/base/bytes.js'
import { Fault } from '../../../src/base/fault.js'
import {
  generateKey,
  readApfPublicKey,
  readPrivateKey,
  signerOf,
  writeApfPublicKey,
  writePrivateKey,
} from '../../../src/bundle/key-file.js'
import { checkSignature, type KeyAlg } from '../../../src/bundle/keys.js'
import { KEYS } from './fixture.js'

const ALGS: readonly KeyAlg[] = ['Ed25519', 'ES256']
const refusal = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof Fault) return `${error.code}: ${error.message}`
    throw error
  }
  return 'accepted'
}
const no = (why: string) => `BUNDLE_KEY_FILE: this is not a key file of ours: ${why}`

describe('private keys', () => {
  for (const alg of ALGS)
    it(`${alg}: generated, written, read back, and it signs`, async () => {
      const pair = generateKey({ role: 'release', alg }, randomBytes)
      expect(pair.kid).toMatch(/^release-[0-9a-f]{8}$/)
      const read = readPrivateKey(utf8(writePrivateKey(pair)))
      expect(read).toEqual(pair)
      const signature = await signerOf(read).sign(utf8('message'))
      expect(checkSignature(pair.public, utf8('message'), signature)).toBe('good')
      expect(checkSignature(pair.public, utf8('massage'), signature)).toBe('wrong')
    })
  for (const [alg, pair] of [
    ['Ed25519', KEYS.author],
    ['ES256', KEYS.release2],
  ] as const)
    it(`${alg}: OpenSSL reads the PEM block, and derives the same public key`, () => {
      const pem = writePrivateKey(pair)
      const jwk = createPublicKey(createPrivateKey(pem.slice(pem.indexOf('-----')))).export({ format: 'jwk' })
      const { bytes } = pair.public
      expect(jwk.x).toBe(base64url(alg === 'Ed25519' ? bytes : bytes.slice(1, 33)))
      expect(() => execFileSync('openssl', ['pkey', '-noout', '-check'], { input: pem, stdio: 'pipe' })).not.toThrow()
    })
  it('reads the longer P-256 form that OpenSSL writes', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
    const pair = readPrivateKey(utf8(`Sluice private key\nkid: k\nrole: author\nalg: ES256\n${pem}`))
    expect(base64url(pair.secret)).toBe(privateKey.export({ format: 'jwk' }).d)
  })
  const good = writePrivateKey(KEYS.author)
  const spoilt: readonly (readonly [string, string, string])[] = [
    [
      'a bare PEM block',
      good.slice(good.indexOf('-----')),
      'the lines are not kid, role, alg and one PRIVATE KEY block',
    ],
    ['text after the block', `${good}x\n`, 'the lines are not kid, role, alg and one PRIVATE KEY block'],
    [
      'a public key block',
      good.replaceAll('PRIVATE', 'PUBLIC'),
      'the lines are not kid, role, alg and one PRIVATE KEY block',
    ],
    ['a bad kid', good.replace('author-1', '../x'), 'kid has letters, digits and . _ -, at most 64'],
    ['a bad role', good.replace('role: author', 'role: admin'), 'role is not one of the known roles'],
    ['a bad alg', good.replace('alg: Ed25519', 'alg: RS256'), 'alg is neither Ed25519 nor ES256'],
    ['the other alg', good.replace('alg: Ed25519', 'alg: ES256'), 'the block is not a PKCS#8 key of ES256'],
    ['broken base64', good.replace('MC4C', 'MC4C='), 'the block is not base64'],
  ]
  for (const [name, text, why] of spoilt)
    it(name, () => expect(refusal(() => readPrivateKey(utf8(text)))).toBe(no(why)))
  it('a P-256 scalar of zero', () => {
    const zero = writePrivateKey({ ...KEYS.release2, secret: new Uint8Array(32) })
    expect(refusal(() => readPrivateKey(utf8(zero)))).toBe(no('the block is not a PKCS#8 key of ES256'))
  })
  it('octets that are no scalar are drawn again', () => {
    const draws = [new Uint8Array(32), new Uint8Array(32).fill(0xff), new Uint8Array(32).fill(7)]
    expect(generateKey({ role: 'author', alg: 'ES256' }, () => draws.shift() ?? new Uint8Array(0)).secret[0]).toBe(7)
  })
  it('messages hold nothing of the key', () => {
    const secret = good.split('\n').find((line) => line.startsWith('MC4C')) ?? 'missing'
    for (const [, text] of spoilt) expect(refusal(() => readPrivateKey(utf8(text)))).not.toContain(secret.slice(8))
  })
})

describe('public keys of APF trust roots', () => {
  it('reads back the Ed25519 line that it writes, with comments', () => {
    const line = writeApfPublicKey(KEYS.author.public)
    expect(line).toMatch(/^ed25519:[A-Za-z0-9+/]{43}=\n$/)
    expect(readApfPublicKey(utf8(`# a comment\n${line}`), 'apf-dev')).toEqual(KEYS.author.public)
  })
  it('reads a P-256 SPKI from PEM', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = readApfPublicKey(utf8(publicKey.export({ format: 'pem', type: 'spki' }) as string), 'k')
    expect(key.alg).toBe('ES256')
    expect(base64url(key.bytes.slice(1, 33))).toBe(publicKey.export({ format: 'jwk' }).x)
  })
  it('refuses others', () => {
    const line = writeApfPublicKey(KEYS.author.public)
    const expected = no('exactly one line ed25519:<base64> is expected')
    for (const text of ['', line + line, line.replace('ed25519', 'rsa'), line.replace('=', '')])
      expect(refusal(() => readApfPublicKey(utf8(text), 'k'))).toBe(expected)
    const { publicKey } = generateKeyPairSync('ed25519')
    const pem = publicKey.export({ format: 'pem', type: 'spki' }) as string
    expect(refusal(() => readApfPublicKey(utf8(pem), 'k'))).toBe(no('the PEM block is not a P-256 public key'))
    const small = `ed25519:${'A'.repeat(43)}=\n`
    expect(refusal(() => readApfPublicKey(utf8(small), 'k'))).toBe(
      'BUNDLE_KEY: the key "k" cannot be used: it is a small-order point',
    )
  })
})
