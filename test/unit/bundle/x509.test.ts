// X.509 chains of policy signers: a good one vouches for its key; each other one is refused with its reason. Then what a chain
// does to a trust root: it adds a condition to a key, never takes one away.

import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { base64url, utf8 } from '../../../src/base/bytes.js'
import { LIMITS } from '../../../src/base/limits.js'
import type { TrustRoot } from '../../../src/bundle/model.js'
import { nextRoot } from '../../../src/bundle/publish-root.js'
import { parseTrustRoot, rootDocument, writeTrustRoot } from '../../../src/bundle/root.js'
import { verifyBundle } from '../../../src/bundle/verify.js'
import { readCertificate } from '../../../src/bundle/x509/certificate.js'
import { readChain, refuseChain } from '../../../src/bundle/x509/chain.js'
import { readCrlFile } from '../../../src/bundle/x509/crl.js'
import { crlFileOf, withChains } from '../../../src/bundle/x509/enrol.js'
import { POLICY_SIGNING } from '../../../src/bundle/x509/profile.js'
import {
  type Authority,
  authority,
  constraints,
  crlFile,
  extension,
  type ListTerms,
  permittedHost,
  purposes,
  revocationList,
  SHA1,
  seq,
  signerCertificate,
  type Terms,
  USAGE,
  uriName,
  usage,
} from '../../support/pki.js'
import { CONTEXT, KEYS, makeBundle, NOW, ROOT } from './fixture.js'

const URI = 'spiffe://acme.example/signer/1'
const pair = KEYS.author
const at = { nowMs: NOW }

interface Case {
  readonly top?: Partial<Terms>
  readonly middle?: Partial<Terms>
  readonly leaf?: Partial<Terms>
  readonly list?: Partial<ListTerms>
  readonly topList?: Partial<ListTerms>
  readonly uri?: string
  readonly issuer?: (made: { top: Authority; middle: Authority }) => Authority
  readonly rsaBits?: number
  /** What is presented, when it is to differ from leaf and middle. */
  readonly chain?: (good: readonly Uint8Array[], made: { top: Authority; middle: Authority }) => readonly Uint8Array[]
  readonly lists?: (good: readonly Uint8Array[]) => readonly Uint8Array[]
}

async function verdict(one: Case): Promise<string> {
  const top = authority('top', { ...at, ...one.top })
  const middle = authority('middle', { ...at, ...one.middle }, top, one.rsaBits)
  const made = { top, middle }
  const leaf = signerCertificate(pair, { ...at, ...one.leaf }, one.issuer?.(made) ?? middle)
  const good = [leaf, middle.certificate]
  const chain = readChain(one.chain?.(good, made) ?? good, pair.public, one.uri)
  const anchor = readCertificate(top.certificate)
  if (typeof anchor === 'string') throw new Error(anchor)
  if (typeof chain === 'string') return chain
  const both = [revocationList(middle, { ...at, ...one.list }), revocationList(top, { ...at, ...one.topList })]
  const lists = readCrlFile(crlFile(...(one.lists?.(both) ?? both)))
  if (typeof lists === 'string') return lists
  return (await refuseChain(chain, { anchors: [anchor], purpose: POLICY_SIGNING }, lists, NOW)) ?? 'good'
}

const cases: Readonly<Record<string, readonly [Case, string]>> = {
  good: [{}, 'good'],
  'good, with a name': [{ leaf: { changed: [uriName(URI)] }, uri: URI }, 'good'],
  'good, without an intermediate': [{ issuer: ({ top }) => top, chain: ([leaf]) => [leaf as Uint8Array] }, 'good'],
  'good, path length just enough': [{ top: { changed: [constraints(true, 1)] } }, 'good'],
  'good, an unknown extension that is not critical': [
    { leaf: { changed: [extension('1.3.6.1.4.1.99999.1', false, seq())] } },
    'good',
  ],
  'another name': [
    { leaf: { changed: [uriName('spiffe://acme.example/signer/2')] }, uri: URI },
    `certificate 1 does not carry the name ${URI}`,
  ],
  'no name': [{ uri: URI }, `certificate 1 does not carry the name ${URI}`],
  'an intermediate that is no authority': [
    { middle: { changed: [constraints(false)] } },
    'certificate 2 is not the certificate of an authority',
  ],
  'an intermediate without basic constraints': [
    { middle: { without: ['2.5.29.19'] } },
    'certificate 2 is not the certificate of an authority',
  ],
  'an intermediate whose constraints are not critical': [
    { middle: { changed: [constraints(true, undefined, false)] } },
    'certificate 2 has basic constraints that are not critical',
  ],
  'an intermediate that may not sign certificates': [
    { middle: { changed: [usage(0x02)] } },
    'certificate 2 may not sign certificates',
  ],
  'an intermediate that may not sign lists': [
    { middle: { changed: [usage(USAGE.certifiesOnly)] } },
    'certificate 2 may not sign revocation lists',
  ],
  'an intermediate for other purposes': [
    { middle: { changed: [purposes('1.3.6.1.5.5.7.3.1')] } },
    `certificate 2 may not issue for policy signing (${POLICY_SIGNING})`,
  ],
  'an intermediate with a short RSA key': [{ rsaBits: 1_024 }, 'certificate 2 has an RSA key of 1024 bits'],
  expired: [{ leaf: { untilMs: NOW - 1_000 } }, 'certificate 1 has expired'],
  'valid until this second': [{ leaf: { untilMs: NOW } }, 'good'],
  'not valid yet': [{ leaf: { fromMs: NOW + 1_000 } }, 'certificate 1 is not valid yet'],
  'an intermediate that expired': [{ middle: { untilMs: NOW - 1_000 } }, 'certificate 2 has expired'],
  'an anchor that expired': [{ top: { untilMs: NOW - 1_000 } }, 'its anchor has expired'],
  'for web servers': [
    { leaf: { changed: [purposes('1.3.6.1.5.5.7.3.1')] } },
    `certificate 1 is not for policy signing (${POLICY_SIGNING})`,
  ],
  'for any purpose': [
    { leaf: { changed: [purposes('2.5.29.37.0')] } },
    `certificate 1 is not for policy signing (${POLICY_SIGNING})`,
  ],
  'for policy signing and code signing': [
    { leaf: { changed: [purposes(POLICY_SIGNING, '1.3.6.1.5.5.7.3.3')] } },
    'certificate 1 is for other purposes too',
  ],
  'without purposes': [
    { leaf: { without: ['2.5.29.37'] } },
    `certificate 1 is not for policy signing (${POLICY_SIGNING})`,
  ],
  'without a key usage': [{ leaf: { without: ['2.5.29.15'] } }, 'certificate 1 is not for digital signatures'],
  'a signer that is an authority': [
    { leaf: { changed: [constraints(true)] } },
    'certificate 1 is the certificate of an authority',
  ],
  'a signer that may sign certificates': [
    { leaf: { changed: [usage(USAGE.signs | USAGE.certifies)] } },
    'certificate 1 may sign certificates',
  ],
  'path length': [
    { top: { changed: [constraints(true, 0)] } },
    'its anchor allows 0 authorities below it, and there are 1',
  ],
  'an unknown critical extension': [
    { leaf: { changed: [extension('1.3.6.1.4.1.99999.1', true, seq())] } },
    'certificate 1 has the critical extension 1.3.6.1.4.1.99999.1, which is not known here',
  ],
  'an unknown critical extension of an authority': [
    { middle: { changed: [extension('1.3.6.1.4.1.99999.1', true, seq())] } },
    'certificate 2 has the critical extension 1.3.6.1.4.1.99999.1, which is not known here',
  ],
  'an extension twice': [{ leaf: { twice: true } }, 'certificate 1: extension 2.5.29.19 stands twice'],
  'a negative serial number': [
    { leaf: { serial: '80' } },
    'certificate 1: its serial number is not a positive number of at most 20 octets',
  ],
  'serial number zero': [
    { leaf: { serial: '00' } },
    'certificate 1: its serial number is not a positive number of at most 20 octets',
  ],
  'a serial number of 20 octets': [{ leaf: { serial: `01${'00'.repeat(19)}` } }, 'good'],
  'a serial number of 21 octets': [
    { leaf: { serial: `01${'00'.repeat(20)}` } },
    'certificate 1: its serial number is not a positive number of at most 20 octets',
  ],
  'signed with SHA-1': [
    { leaf: { scheme: SHA1 } },
    'certificate 1 is signed with 1.2.840.10045.4.1, which is not accepted',
  ],
  'another algorithm inside than outside': [
    { leaf: { inner: SHA1.algorithm } },
    'certificate 1: its two signature algorithms differ',
  ],
  'version 1': [{ leaf: { version: 0 } }, 'certificate 1: it is not of version 3'],
  'outside the names that an authority may issue': [
    { middle: { changed: [permittedHost('other.example')] }, leaf: { changed: [uriName(URI)] }, uri: URI },
    'its path is not valid: Failed to meet "permitted sub-trees" name constraint',
  ],
  'inside the names that an authority may issue': [
    { middle: { changed: [permittedHost('acme.example')] }, leaf: { changed: [uriName(URI)] }, uri: URI },
    'good',
  ],
  revoked: [{ leaf: { serial: '01020304' }, list: { revoked: ['05', '01020304'] } }, 'certificate 1 is revoked'],
  'an intermediate that is revoked': [
    { middle: { serial: '0a' }, topList: { revoked: ['0a'] } },
    'certificate 2 is revoked',
  ],
  'another certificate is revoked': [{ leaf: { serial: '01020304' }, list: { revoked: ['01020305'] } }, 'good'],
  'no list': [
    { lists: ([, top]) => [top as Uint8Array] },
    'certificate 1 has an issuer without a revocation list here',
  ],
  'no list of the anchor': [
    { lists: ([middle]) => [middle as Uint8Array] },
    'certificate 2 has an issuer without a revocation list here',
  ],
  'a stale list': [{ list: { untilMs: NOW } }, 'certificate 1 has an issuer whose revocation list is stale'],
  'a list of tomorrow': [
    { list: { fromMs: NOW + 1_000, untilMs: NOW + 2_000 } },
    'certificate 1 has an issuer whose revocation list is stale',
  ],
  'a list without an end': [{ list: { untilMs: null } }, 'it does not say from when and until when it holds'],
  'a list of some of its certificates': [
    { list: { changed: [extension('2.5.29.28', true, seq())] } },
    'it has the critical extension 2.5.29.28: partial, indirect and delta lists are not accepted',
  ],
  'a list with certificates of others': [
    { list: { revoked: ['05'], entry: [extension('2.5.29.29', true, seq())] } },
    'it has the critical extension 2.5.29.29: partial, indirect and delta lists are not accepted',
  ],
  'octets after the end': [
    { chain: ([leaf, middle]) => [Buffer.concat([leaf as Uint8Array, Buffer.from([0])]), middle as Uint8Array] },
    'certificate 1: there are octets after the end',
  ],
  'a length in more octets than needed': [
    { chain: ([leaf, middle]) => [longer(leaf as Uint8Array), middle as Uint8Array] },
    'certificate 1: a length is not minimal',
  ],
  'too long a chain': [
    { chain: ([leaf, middle]) => [leaf, middle, middle, middle, middle] as Uint8Array[] },
    'it has 5 certificates; 1 to 4 are allowed',
  ],
  empty: [{ chain: () => [] }, 'it has 0 certificates; 1 to 4 are allowed'],
  'for another key': [
    { chain: ([, middle], made) => [signerCertificate(KEYS.release1, at, made.middle), middle as Uint8Array] },
    'its first certificate is for another key',
  ],
  'in the wrong order': [
    { chain: ([leaf, middle]) => [middle, leaf] as Uint8Array[] },
    'its first certificate is for another key',
  ],
  'without its intermediate': [
    { chain: ([leaf]) => [leaf as Uint8Array] },
    'its last certificate is issued by no anchor of the trust root',
  ],
  'with the anchor in it': [
    { chain: ([leaf, middle], made) => [leaf, middle, made.top.certificate] as Uint8Array[] },
    'its path is not the one given',
  ],
  'under an authority of the same name': [
    { chain: ([leaf], made) => [leaf, authority('middle', at, made.top).certificate] as Uint8Array[] },
    expect.stringMatching(/^(a revocation list is not signed by its issuer|its path is not valid: )/),
  ],
}

/** The outer length written with one octet more. */
function longer(bytes: Uint8Array): Uint8Array {
  const count = (bytes[1] ?? 0) & 0x7f
  return Buffer.concat([Buffer.from([0x30, 0x81 + count, 0]), bytes.subarray(2)])
}

describe('a chain', () => {
  for (const [title, [one, expected]] of Object.entries(cases))
    it(title, async () => expect(await verdict(one)).toEqual(expected))
  it('whose signature was made by another authority', async () => {
    const [top, other] = [authority('top', at), authority('top', at)]
    const middle = authority('middle', at, other)
    const chain = readChain([signerCertificate(pair, at, middle), middle.certificate], pair.public, undefined)
    const anchor = readCertificate(top.certificate)
    const lists = readCrlFile(crlFile(revocationList(middle, at), revocationList(top, at)))
    if (typeof chain === 'string' || typeof anchor === 'string' || typeof lists === 'string') throw new Error('setup')
    const why = await refuseChain(chain, { anchors: [anchor], purpose: POLICY_SIGNING }, lists, NOW)
    expect(why).toMatch(/^its path is not valid: /)
  })
  it('with a list that somebody else signed', async () => {
    const stranger = authority('stranger', at)
    expect(await verdict({ list: { signedBy: stranger } })).toBe('a revocation list is not signed by its issuer')
  })
  it('holds certificates of 16 KiB, and not of one octet more', () => {
    const octets = (length: number) =>
      Buffer.concat([Buffer.from([0x04, 0x82, length >> 8, length & 255]), new Uint8Array(length)])
    const limit = LIMITS.certificateBytes
    expect(readCertificate(octets(limit - 4))).toBe('it is not a certificate')
    expect(readCertificate(octets(limit - 3))).toBe('it has 16385 octets; the limit is 16384')
  })
  it('is read by us as by the platform', () => {
    const top = authority('top', at)
    const leaf = signerCertificate(pair, { ...at, serial: '01020304' }, top)
    const [ours, theirs] = [readCertificate(leaf), new X509Certificate(leaf)]
    if (typeof ours === 'string') throw new Error(ours)
    expect(ours.serial).toBe(theirs.serialNumber.toLowerCase())
    expect([ours.notBeforeMs, ours.notAfterMs]).toEqual([Date.parse(theirs.validFrom), Date.parse(theirs.validTo)])
    expect(theirs.checkIssued(new X509Certificate(top.certificate))).toBe(true)
    expect(theirs.keyUsage).toEqual([POLICY_SIGNING])
  })
})

describe('a file of revocation lists', () => {
  const list = revocationList(authority('top', at), at)
  const read = (text: string) => readCrlFile(utf8(text))
  const good = Buffer.from(crlFile(list)).toString()
  it('is a list of blocks', () => {
    expect(read('')).toEqual([])
    expect(readCrlFile(crlFile(list, list))).toHaveLength(2)
    expect(read(good.replaceAll('\n', '\r\n'))).toHaveLength(1)
  })
  const wrong = 'the file is not a list of X509 CRL blocks in PEM'
  for (const [title, text, why] of [
    ['text between blocks', `x\n${good}`, wrong],
    ['another kind of block', good.replaceAll('X509 CRL', 'CERTIFICATE'), wrong],
    ['cut off', good.slice(0, -30), wrong],
    ['not base64', good.replace(/=*\n-----END/, '*\n-----END'), wrong],
    ['more than 16 lists', good.repeat(LIMITS.crls + 1), 'the file has more than 16 lists'],
    ['not a list', good.replace(/\n[\s\S]*\n-----END/, '\nMAA=\n-----END'), 'it is not a revocation list'],
  ] as const)
    it(title, () => expect(read(text)).toBe(why))
  it('is not UTF-8', () => expect(readCrlFile(new Uint8Array([0xff]))).toBe('the file is not UTF-8'))
})

describe('a trust root with certificates', () => {
  const top = authority('top', at)
  const middle = authority('middle', at, top)
  const serial = '0badcafe'
  const leaf = signerCertificate(KEYS.release1, { ...at, serial, changed: [uriName(URI)] }, middle)
  const x509 = { anchors: [base64url(top.certificate)], purpose: POLICY_SIGNING }
  const chained = { chain: [leaf, middle.certificate].map((bytes) => base64url(bytes)), uri: URI }
  const crls = crlFile(revocationList(middle, at), revocationList(top, at))
  type Mutable = Record<string, unknown>
  const document = (kid = 'release-1', own: unknown = chained, whole: unknown = x509): Mutable => {
    const made = JSON.parse(JSON.stringify(rootDocument(ROOT))) as { keys: Record<string, Mutable> } & Mutable
    const keys = { ...made.keys, [kid]: { ...made.keys[kid], x509: own } }
    return { ...made, keys, ...(whole === null ? {} : { x509: whole }) }
  }
  const read = (value: Mutable): TrustRoot => parseTrustRoot(utf8(JSON.stringify(value)))
  const codeOf = async (trust: TrustRoot, releasers = [KEYS.release1, KEYS.release2]): Promise<unknown> =>
    verifyBundle(await makeBundle({ releasers }), trust, CONTEXT).then(
      ({ signers }) => signers,
      (error: unknown) => String(error),
    )
  const doubt = (why: string) => `Fault: key "release-1" does not count: its certificate chain does not hold (${why})`

  it('reads back what it writes, chains and all', () => {
    const trust = read(document())
    expect(rootDocument(parseTrustRoot(writeTrustRoot(trust)))).toEqual(document())
    expect(rootDocument(nextRoot(trust, {}) as TrustRoot)).toEqual({ ...document(), version: 2 })
  })
  it('does not count the key before the chain was judged', async () => {
    expect(await codeOf(read(document()))).toBe(doubt('it was not checked'))
  })
  it('counts it afterwards', async () => {
    const trust = await withChains(read(document()), { nowMs: NOW, crls })
    expect(await codeOf(trust)).toEqual(['author-1', 'release-1', 'release-2'])
  })
  it('goes on without the key where enough others signed', async () => {
    const trust = await withChains(read(document()), { nowMs: NOW })
    expect(await codeOf(trust, [KEYS.release1, KEYS.release2, KEYS.release3])).toEqual([
      'author-1',
      'release-2',
      'release-3',
    ])
  })
  it('never lowers the threshold: a good chain is one key', async () => {
    const trust = await withChains(read(document()), { nowMs: NOW, crls })
    expect(await codeOf(trust, [KEYS.release1])).toBe(
      'Fault: the release has 1 good signatures of distinct release keys and needs 2',
    )
  })
  const judged: readonly (readonly [string, Uint8Array | undefined, number, string])[] = [
    ['without lists', undefined, NOW, 'certificate 1 has an issuer without a revocation list here'],
    [
      'revoked',
      crlFile(revocationList(middle, { ...at, revoked: [serial] }), revocationList(top, at)),
      NOW,
      'certificate 1 is revoked',
    ],
    ['later', crls, NOW + 2 * 86_400_000, 'certificate 1 has an issuer whose revocation list is stale'],
    ['much later', crls, NOW + 20 * 86_400_000, 'certificate 1 has expired'],
    [
      'with lists that cannot be read',
      utf8('x'),
      NOW,
      'the revocation lists cannot be used: the file is not a list of X509 CRL blocks in PEM',
    ],
  ]
  for (const [title, lists, nowMs, why] of judged)
    it(`does not count the key ${title}`, async () => {
      const trust = await withChains(read(document()), { nowMs, ...(lists === undefined ? {} : { crls: lists }) })
      expect(await codeOf(trust)).toBe(doubt(why))
    })
  it('forgets an old judgement when it judges anew', async () => {
    const once = await withChains(read(document()), { nowMs: NOW })
    expect((await withChains(once, { nowMs: NOW, crls })).keys.get('release-1')?.doubt).toBeUndefined()
  })
  it('holds for the author as well', async () => {
    const own = { chain: [base64url(signerCertificate(KEYS.author, at, top))] }
    const trust = read(document('author-1', own))
    expect(await codeOf(trust)).toBe(
      'Fault: key "author-1" does not count: its certificate chain does not hold (it was not checked)',
    )
    expect(await codeOf(await withChains(trust, { nowMs: NOW, crls }))).toEqual(['author-1', 'release-1', 'release-2'])
  })
  it('keeps its lists beside it', () => {
    expect(crlFileOf('/etc/sluice/root.json')).toBe('/etc/sluice/root.crls.pem')
  })
  const refusals: readonly (readonly [string, Mutable, string])[] = [
    [
      'a chain without anchors',
      document('release-1', chained, null),
      'key release-1 has a certificate chain, and the root has no x509 anchors',
    ],
    [
      'a chain on a root key',
      document('root-1', { chain: [base64url(leaf)] }),
      'key root-1 has role root, whose keys carry no certificates',
    ],
    [
      'a chain for another key',
      document('release-3'),
      'the certificate chain of key release-3 is not acceptable: its first certificate is for another key',
    ],
    [
      'an unknown member',
      document('release-1', { ...chained, ocsp: true }),
      'x509 of key release-1 has chain, and uri or not',
    ],
    [
      'a name that is no URI',
      document('release-1', { ...chained, uri: 'signer' }),
      'the uri of key release-1 is not one',
    ],
    [
      'a chain that is not base64url',
      document('release-1', { chain: ['MII='] }),
      'chain holds something that is not base64url without padding',
    ],
    ['an empty chain', document('release-1', { chain: [] }), 'chain is not a list of 1 to 4 certificates'],
    [
      'the purpose of web servers',
      document('release-1', chained, { ...x509, purpose: '1.3.6.1.5.5.7.3.1' }),
      'the purpose of x509 is not an identifier of policy signing alone',
    ],
    [
      'a purpose that is no identifier',
      document('release-1', chained, { ...x509, purpose: 'policy' }),
      'the purpose of x509 is not an identifier of policy signing alone',
    ],
    [
      'no anchors',
      document('release-1', chained, { ...x509, anchors: [] }),
      'anchors is not a list of 1 to 8 certificates',
    ],
    [
      'two anchors of one name',
      document('release-1', chained, {
        ...x509,
        anchors: [top, authority('top', at)].map(({ certificate }) => base64url(certificate)),
      }),
      'two anchors have the same name',
    ],
    [
      'an anchor that is no certificate',
      document('release-1', chained, { ...x509, anchors: ['MAA'] }),
      'an anchor: it is not a certificate',
    ],
    [
      'another member of x509',
      document('release-1', chained, { ...x509, crls: [] }),
      'x509 has exactly anchors and purpose',
    ],
  ]
  for (const [title, value, why] of refusals)
    it(`refuses ${title}`, () => expect(() => read(value)).toThrow(`the trust root is not acceptable: ${why}`))
})
