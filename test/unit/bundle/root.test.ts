// The trust root: what is refused at enrolment, and rotation from N to N+1.

import { describe, expect, it } from 'vitest'
import { base64url, utf8 } from '../../../src/base/bytes.js'
import { Fault } from '../../../src/base/fault.js'
import { LIMITS } from '../../../src/base/limits.js'
import { signerOf } from '../../../src/bundle/key-file.js'
import type { KeyRole } from '../../../src/bundle/model.js'
import {
  parseTrustRoot,
  type RootFields,
  requireLiveRoot,
  rootDocument,
  rotateRoot,
  thresholdOf,
  writeTrustRoot,
} from '../../../src/bundle/root.js'
import { coSign, signRoot } from '../../../src/bundle/sign.js'
import { entry, KEYS, keyOf, makeBundle, ROOT, TRUST, UNTIL } from './fixture.js'

type Mutable = Record<string, unknown>
const document = (): Mutable => JSON.parse(JSON.stringify(rootDocument(ROOT))) as Mutable
const refusal = (value: unknown): string => {
  try {
    parseTrustRoot(value instanceof Uint8Array ? value : utf8(JSON.stringify(value)))
  } catch (error) {
    if (error instanceof Fault) return `${error.code}: ${error.message}`
    throw error
  }
  return 'accepted'
}
const no = (why: string) => `BUNDLE_ROOT: the trust root is not acceptable: ${why}`
const withKeys = (change: Mutable) => {
  const base = document()
  return { ...base, keys: { ...(base.keys as Mutable), ...change } }
}

describe('enrolment', () => {
  it('reads back what it writes', () => {
    expect(rootDocument(parseTrustRoot(writeTrustRoot(ROOT)))).toEqual(rootDocument(ROOT))
    expect(thresholdOf(TRUST, 'release')).toBe(2)
    expect(thresholdOf(TRUST, 'breakglass')).toBe(Number.POSITIVE_INFINITY)
  })
  const publicKey = base64url(KEYS.author.public.bytes)
  const key = (change: Mutable) => ({
    role: 'release',
    alg: 'Ed25519',
    public_key: base64url(keyOf('release', 'spare').public.bytes),
    ...change,
  })
  const small = base64url(new Uint8Array(32).fill(1, 0, 1))
  const cases: readonly (readonly [string, unknown, string])[] = [
    ['a spare key is fine', withKeys({ spare: key({}) }), 'accepted'],
    [
      'the same public key under two ids',
      withKeys({ spare: key({ public_key: publicKey }) }),
      no('author-1 and spare are the same public key; a key has one id and one role'),
    ],
    [
      'a small-order key',
      withKeys({ spare: key({ public_key: small }) }),
      'BUNDLE_KEY: the key "spare" cannot be used: it is a small-order point',
    ],
    [
      'a key that is no point',
      withKeys({ spare: key({ public_key: base64url(new Uint8Array(32).fill(0xff)) }) }),
      'BUNDLE_KEY: the key "spare" cannot be used: it is not a canonically encoded point',
    ],
    [
      'a P-256 key that is not on the curve',
      withKeys({ spare: key({ alg: 'ES256', public_key: base64url(new Uint8Array(65).fill(4)) }) }),
      'BUNDLE_KEY: the key "spare" cannot be used: it is not an uncompressed point of P-256',
    ],
    [
      'an Ed25519 key called ES256',
      withKeys({ spare: key({ alg: 'ES256' }) }),
      'BUNDLE_KEY: the key "spare" cannot be used: it has 32 octets and a key of ES256 has 65',
    ],
    [
      'an unknown algorithm',
      withKeys({ spare: key({ alg: 'RS256' }) }),
      no('key spare has an algorithm other than Ed25519 and ES256'),
    ],
    [
      'an unknown role',
      withKeys({ spare: key({ role: 'admin' }) }),
      no(
        'key spare has no role of author, release, inventory, freshness, breakglass, root, agent, registration, delegation, image',
      ),
    ],
    [
      'a role without a threshold',
      withKeys({ spare: key({ role: 'freshness' }) }),
      no('key spare has role freshness, which has no threshold'),
    ],
    [
      'a key with more members',
      withKeys({ spare: key({ x5c: [] }) }),
      no('key spare has exactly alg, public_key and role'),
    ],
    [
      'a public key with padding',
      withKeys({ spare: key({ public_key: `${publicKey}=` }) }),
      no('the public key of spare is not base64url without padding'),
    ],
    [
      'a key id with a slash',
      withKeys({ 'a/b': key({}) }),
      no('"a/b" is not a key id (letters, digits and . _ -, at most 64)'),
    ],
    [
      'a key id of 65 characters',
      withKeys({ ['k'.repeat(65)]: key({}) }),
      no(`"${'k'.repeat(65)}" is not a key id (letters, digits and . _ -, at most 64)`),
    ],
    ['a revoked key', { ...document(), revoked: [publicKey] }, no('key author-1 is revoked')],
    [
      'a revocation of nothing',
      { ...document(), revoked: ['='] },
      no('revoked names something that is not a public key'),
    ],
    [
      'a threshold above the number of keys',
      {
        ...document(),
        roles: {
          author: { threshold: 1 },
          release: { threshold: 4 },
          inventory: { threshold: 1 },
          root: { threshold: 2 },
        },
      },
      no('role release needs 4 keys and has 3'),
    ],
    [
      'a threshold of zero',
      {
        ...document(),
        roles: {
          author: { threshold: 1 },
          release: { threshold: 0 },
          inventory: { threshold: 1 },
          root: { threshold: 2 },
        },
      },
      no('the threshold of release is not a whole number from 1'),
    ],
    [
      'an author threshold above one',
      {
        ...document(),
        roles: {
          author: { threshold: 2 },
          release: { threshold: 2 },
          inventory: { threshold: 1 },
          root: { threshold: 2 },
        },
      },
      no('the threshold of author is always 1; use release for more'),
    ],
    [
      'a role that must be there',
      { ...document(), roles: { author: { threshold: 1 }, release: { threshold: 2 }, root: { threshold: 2 } } },
      no('role inventory is missing'),
    ],
    ['another format', { ...document(), format: 'sluice-root/2' }, no('the format is not sluice-root/1')],
    [
      'an unknown member',
      { ...document(), comment: '' },
      no('exactly epoch, expires_at, format, keys, roles, version are expected'),
    ],
    ['version 0', { ...document(), version: 0 }, no('version is not a whole number from 1')],
    [
      'a version as a large double',
      utf8(JSON.stringify(document()).replace('"version":1', '"version":1e300')),
      no('version is not a whole number from 1'),
    ],
    ['a day without an hour', { ...document(), expires_at: '2027-01-01' }, no('expires_at is not an RFC 3339 time')],
    ['not JSON', utf8('{'), no('expected a member name in double quotes at line 1 column 2')],
    ['not UTF-8', new Uint8Array([0xff]), no('it is not UTF-8')],
  ]
  for (const [name, value, expected] of cases) it(name, () => expect(refusal(value)).toBe(expected))
  it('duplicate keys', () => {
    const text = JSON.stringify(document()).replace('{', '{"version":1,')
    const column = text.indexOf('"version"', 2) + 1
    expect(refusal(utf8(text))).toBe(no(`duplicate key at line 1 column ${column} (version)`))
  })
  it('64 KiB, and one octet more', () => {
    const text = JSON.stringify(document())
    expect(refusal(utf8(text + ' '.repeat(LIMITS.rootBytes - text.length)))).toBe('accepted')
    expect(refusal(utf8(text + ' '.repeat(LIMITS.rootBytes - text.length + 1)))).toBe(
      'BUNDLE_TOO_LARGE: the trust root has 65537 octets; the limit is 65536',
    )
  })
  it('expires at its instant', () => {
    expect(() => requireLiveRoot(TRUST, UNTIL - 1)).not.toThrow()
    expect(() => requireLiveRoot(TRUST, UNTIL)).toThrow('trust root 1 expired')
  })
})

describe('rotation (TUF 5.3)', () => {
  const fresh = keyOf('root', 'root-3')
  const NEXT: RootFields = { ...ROOT, version: 2 }
  const REPLACED: RootFields = {
    ...NEXT,
    keys: new Map([...[...ROOT.keys].filter(([kid]) => kid !== 'root-2'), entry(fresh)]),
    revoked: [base64url(KEYS.root2.public.bytes)],
  }
  const signedBy = async (root: RootFields, ...pairs: (typeof fresh)[]): Promise<Uint8Array> => {
    let file: Uint8Array | undefined
    for (const pair of pairs)
      file = file === undefined ? await signRoot(root, signerOf(pair)) : await coSign('root', file, signerOf(pair))
    if (file === undefined) throw new Error('at least one key')
    return file
  }
  const refused = async (file: Uint8Array | Promise<Uint8Array>, from = TRUST) => {
    const error = await rotateRoot(from, await file).catch((thrown: unknown) => thrown)
    return error instanceof Fault ? `${error.code}: ${error.message}` : 'accepted'
  }
  it('needs the thresholds of both roots', async () => {
    const next = await rotateRoot(TRUST, await signedBy(REPLACED, KEYS.root1, KEYS.root2, fresh))
    expect(next.version).toBe(2)
    expect([...next.keys.keys()]).toContain('root-3')
    const missing = 'BUNDLE_THRESHOLD: the root has 1 good signatures of distinct root keys and needs 2'
    expect(await refused(signedBy(REPLACED, KEYS.root1, fresh))).toBe(missing)
    expect(await refused(signedBy(REPLACED, KEYS.root1, KEYS.root2))).toBe(missing)
  })
  it('one step at a time, never back', async () => {
    const sign = (version: number) => signedBy({ ...ROOT, version }, KEYS.root1, KEYS.root2)
    for (const version of [1, 3, 1000])
      expect(await refused(sign(version))).toBe(
        `BUNDLE_ROOT_VERSION: the root has version ${version}; the next one is 2`,
      )
  })
  it('an epoch goes up or stays', async () => {
    const second = await rotateRoot(TRUST, await signedBy({ ...NEXT, epoch: 5 }, KEYS.root1, KEYS.root2))
    expect(second.epoch).toBe(5)
    const back = signedBy({ ...NEXT, version: 3, epoch: 4 }, KEYS.root1, KEYS.root2)
    expect(await refused(back, second)).toBe('BUNDLE_EPOCH: the new root is of epoch 4 and the trust root of epoch 5')
  })
  it('a revocation cannot be taken back', async () => {
    const second = await rotateRoot(TRUST, await signedBy(REPLACED, KEYS.root1, KEYS.root2, fresh))
    const third = { ...REPLACED, version: 3, revoked: [] }
    expect(await refused(signedBy(third, KEYS.root1, fresh), second)).toContain(
      'BUNDLE_ROOT: the trust root is not acceptable: it no longer revokes',
    )
    const again = { ...REPLACED, version: 3, keys: new Map([...REPLACED.keys, entry(KEYS.root2)]) }
    expect(await refused(signedBy(again, KEYS.root1, fresh), second)).toBe(no('key root-2 is revoked'))
  })
  it('a root that nobody may rotate', async () => {
    const keys = new Map([...ROOT.keys].filter(([, { role }]) => role !== 'root'))
    const thresholds = new Map([...ROOT.thresholds].filter(([role]) => role !== 'root'))
    const fixed = parseTrustRoot(writeTrustRoot({ ...ROOT, keys, thresholds }))
    expect(await refused(signedBy(NEXT, KEYS.root1, KEYS.root2), fixed)).toContain('BUNDLE_THRESHOLD')
  })
  it('release keys cannot rotate, and a release is not a root', async () => {
    const pretended = { ...KEYS.release1, role: 'root' as KeyRole }
    expect(await refused(signedBy(NEXT, pretended, KEYS.root1))).toContain('BUNDLE_THRESHOLD')
    expect(await refused((await makeBundle()).release)).toBe(
      'BUNDLE_STATEMENT: the signed root is malformed: the format is not sluice-root/1',
    )
  })
})
