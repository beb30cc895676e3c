// verifyBundle and verifyInventory: the good case in full, and each refusal with its exact code and message.

import { describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/base/bytes.js'
import { digestOf } from '../../../src/base/digest.js'
import { Fault } from '../../../src/base/fault.js'
import { LIMITS } from '../../../src/base/limits.js'
import { signerOf } from '../../../src/bundle/key-file.js'
import type { BundleBytes, HeldMark } from '../../../src/bundle/model.js'
import { decomposeYaml } from '../../../src/bundle/sigil/decompose.js'
import {
  coSign,
  makeManifest,
  makeRelease,
  signInventory,
  signManifest,
  signRelease,
  signSigil,
} from '../../../src/bundle/sign.js'
import { verifyBundle, verifyInventory } from '../../../src/bundle/verify.js'
import {
  CONTEXT,
  entry,
  FROM,
  KEYS,
  keyOf,
  MANIFEST_TERMS,
  MEMBERS,
  makeBundle,
  NOW,
  RELEASE_TERMS,
  ROOT,
  TRUST,
  trustWith,
  UNTIL,
} from './fixture.js'

const refusal = async (promise: Promise<unknown>): Promise<{ code: string; say: string }> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof Fault)) throw new Error(`expected a Fault, got ${String(error)}`)
  return { code: error.code, say: error.message }
}
const refused = async (bytes: BundleBytes, context: Partial<Parameters<typeof verifyBundle>[2]> = {}, trust = TRUST) =>
  refusal(verifyBundle(bytes, trust, { ...CONTEXT, ...context }))

describe('a good bundle', () => {
  it('verifies, and says everything that later steps need', async () => {
    const bytes = await makeBundle()
    const verified = await verifyBundle(bytes, TRUST, CONTEXT)
    const parts = decomposeYaml(bytes.manifest)
    if (parts.outcome !== 'Ok') throw new Error(parts.why)
    const digest = digestOf(parts.payload)
    expect(verified.digest).toBe(digest)
    expect(verified.manifest).toMatchObject({
      id: 'coding-agent',
      description: 'a coding agent: "quoted"',
      policyRevision: 7n,
    })
    expect(verified.signers).toEqual(['author-1', 'release-1', 'release-2'])
    expect(verified.source).toEqual({
      bundleId: 'coding-agent',
      bundleDigest: digest,
      policyRevision: '7',
      epoch: 1,
      channel: 'stable',
      audience: 'fleet-a',
      notBeforeMs: FROM,
      expiresAtMs: UNTIL,
    })
    expect(verified.mark).toEqual({ epoch: 1, policyRevision: 7n, payloadDigest: digest })
    expect([...verified.members.keys()]).toEqual(['fence.yaml', 'policies/sandbox.yaml'])
    expect(verified.notes).toEqual([])
  })

  it('is private: changing the delivered octets afterwards changes nothing', async () => {
    const made = await makeBundle({ members: new Map([['a.yaml', utf8('a: 1\n')]]) })
    // As Buffers, whose slice() is a view.
    const members = new Map([...made.members].map(([path, content]) => [path, Buffer.from(content)]))
    const bytes = { manifest: Buffer.from(made.manifest), release: Buffer.from(made.release), members }
    const promise = verifyBundle(bytes, TRUST, CONTEXT)
    bytes.members.get('a.yaml')?.fill(0)
    bytes.manifest.fill(0)
    bytes.release.fill(0)
    const verified = await promise
    expect(verified.members.get('a.yaml')).toEqual(utf8('a: 1\n'))
  })

  it('verifies with a P-256 author key, and with no members at all', async () => {
    const bytes = await makeBundle({ author: KEYS.authorP256, members: new Map() })
    const verified = await verifyBundle(bytes, TRUST, CONTEXT)
    expect(verified.signers[0]).toBe('author-p256')
    expect(verified.members.size).toBe(0)
  })

  it('takes the narrower window of manifest and release', async () => {
    const bytes = await makeBundle({ manifest: { expiresAtMs: NOW + 5000 }, release: { notBeforeMs: NOW - 5000 } })
    const { source } = await verifyBundle(bytes, TRUST, CONTEXT)
    expect([source.notBeforeMs, source.expiresAtMs]).toEqual([NOW - 5000, NOW + 5000])
  })

  it('counts the release revision, not the informative one of the manifest', async () => {
    const bytes = await makeBundle({ manifest: { policyRevision: 3n }, release: { policyRevision: 9n } })
    expect((await verifyBundle(bytes, TRUST, CONTEXT)).mark.policyRevision).toBe(9n)
  })
})

describe('the author signature', () => {
  it('stripped signature', async () => {
    const bytes = await makeBundle()
    const parts = decomposeYaml(bytes.manifest)
    if (parts.outcome !== 'Ok') throw new Error(parts.why)
    expect(await refused({ ...bytes, manifest: parts.payload })).toEqual({
      code: 'BUNDLE_UNSIGNED',
      say: 'the manifest carries no signature document',
    })
  })
  it('unknown signer', async () => {
    expect(await refused(await makeBundle({ author: keyOf('author', 'stranger') }))).toEqual({
      code: 'BUNDLE_SIGNER_UNKNOWN',
      say: 'the manifest names key "stranger", which is not an author key of the trust root',
    })
  })
  it('another key under a known id', async () => {
    const imposter = { ...keyOf('author', 'other-seed'), kid: 'author-1' }
    expect(await refused(await makeBundle({ author: imposter }))).toEqual({
      code: 'BUNDLE_SIGNATURE',
      say: 'the signature of the manifest by key "author-1" is wrong',
    })
  })
  it('a release key does not make an author', async () => {
    const author = { ...KEYS.release1, role: 'author' as const }
    expect((await refused(await makeBundle({ author }))).code).toBe('BUNDLE_SIGNER_UNKNOWN')
  })
  it('an algorithm that no author key has', async () => {
    const keys = new Map([...ROOT.keys].filter(([kid]) => kid !== 'author-p256'))
    const bytes = await makeBundle({ author: KEYS.authorP256 })
    expect(await refused(bytes, {}, trustWith({ keys }))).toEqual({
      code: 'BUNDLE_ALGORITHM',
      say: 'the manifest is signed with ES256, which this node does not accept',
    })
  })
  it('without a key id every author key is tried', async () => {
    const bytes = await makeBundle()
    const anonymous = utf8(new TextDecoder().decode(bytes.manifest).replace(/keyid: .*\n/, ''))
    expect((await verifyBundle({ ...bytes, manifest: anonymous }, TRUST, CONTEXT)).signers[0]).toBe('author-1')
    const stranger = await makeBundle({ author: keyOf('author', 'stranger') })
    const unnamed = utf8(new TextDecoder().decode(stranger.manifest).replace(/keyid: .*\n/, ''))
    expect(await refused({ ...stranger, manifest: unnamed })).toEqual({
      code: 'BUNDLE_SIGNER_UNKNOWN',
      say: 'no author key of the trust root made the signature of the manifest',
    })
  })
  it('a nested signed artifact as payload', async () => {
    const inner = (await makeBundle()).manifest
    const manifest = await signSigil(inner, signerOf(KEYS.author))
    const bytes = await makeBundle()
    const error = await verifyBundle({ ...bytes, manifest }, TRUST, CONTEXT).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'BUNDLE_MANIFEST' })
    expect((error as Fault).notes.map((note) => note.code)).toContain('several-documents')
  })
})

describe('the release', () => {
  it('missing', async () => {
    const { manifest, members } = await makeBundle()
    expect((await refused({ manifest, members })).code).toBe('BUNDLE_RELEASE_MISSING')
  })
  it('below the threshold', async () => {
    expect(await refused(await makeBundle({ releasers: [KEYS.release1] }))).toEqual({
      code: 'BUNDLE_THRESHOLD',
      say: 'the release has 1 good signatures of distinct release keys and needs 2',
    })
  })
  it('one key counted once, however often it signs', async () => {
    const bytes = await makeBundle({ releasers: [KEYS.release1, KEYS.release1] })
    const file = JSON.parse(new TextDecoder().decode(bytes.release)) as { payload: string; signatures: unknown[] }
    const doubled = { payload: file.payload, signatures: [...file.signatures, ...file.signatures] }
    const release = utf8(`${JSON.stringify(doubled)}\n`)
    expect((await refused({ ...bytes, release })).say).toBe(
      'the release has 1 good signatures of distinct release keys and needs 2',
    )
  })
  it('signatures of unknown keys count for nothing', async () => {
    const releasers = [KEYS.release1, keyOf('release', 'stranger')]
    expect((await refused(await makeBundle({ releasers }))).code).toBe('BUNDLE_THRESHOLD')
    const three = await makeBundle({ releasers: [...releasers, KEYS.release3] })
    expect((await verifyBundle(three, TRUST, CONTEXT)).signers).toEqual(['author-1', 'release-1', 'release-3'])
  })
  it('a wrong signature under a known key refuses, even with the threshold met by others', async () => {
    const imposter = { ...keyOf('release', 'other-seed'), kid: 'release-3' }
    const bytes = await makeBundle({ releasers: [KEYS.release1, KEYS.release2, imposter] })
    expect(await refused(bytes)).toEqual({
      code: 'BUNDLE_SIGNATURE',
      say: 'the signature of the release by key "release-3" is wrong',
    })
  })
  it('a key of another role does not count', async () => {
    const author = { ...KEYS.author, role: 'release' as const }
    expect((await refused(await makeBundle({ releasers: [KEYS.release1, author] }))).code).toBe('BUNDLE_THRESHOLD')
  })
  it('of more members than the manifest has, each of them right', async () => {
    const { manifest, members } = await makeBundle()
    const right = makeRelease(manifest, members, RELEASE_TERMS)
    const surplus = { path: 'zzz.yaml', size: 1, sha256: '0'.repeat(64) }
    const statement = { ...right, members: [...right.members, surplus] }
    let release: Uint8Array | undefined
    for (const pair of [KEYS.release1, KEYS.release2]) release = await signRelease(statement, signerOf(pair), release)
    expect(await refused({ manifest, members, ...(release ? { release } : {}) })).toMatchObject({
      code: 'BUNDLE_RELEASE_MISMATCH',
      say: expect.stringContaining('the number of members'),
    })
  })
  it('of another bundle (mix-and-match)', async () => {
    const one = await makeBundle()
    const other = await makeBundle({ manifest: { description: 'another' } })
    expect(await refused({ ...one, release: other.release })).toEqual({
      code: 'BUNDLE_RELEASE_MISMATCH',
      say: 'the release is for another bundle: the manifest digest differs',
    })
    const renamed = await makeBundle({ manifest: { id: 'another' } })
    expect((await refused({ ...one, release: renamed.release })).say).toContain('the bundle id')
  })
  it('wrong audience', async () => {
    expect(await refused(await makeBundle(), { audience: 'fleet-c' })).toEqual({
      code: 'BUNDLE_AUDIENCE',
      say: 'the release is for "fleet-a", "fleet-b", not for "fleet-c"',
    })
  })
  it('wrong channel', async () => {
    expect(await refused(await makeBundle(), { channel: 'canary' })).toEqual({
      code: 'BUNDLE_CHANNEL',
      say: 'the release is on channel "stable", not on "canary"',
    })
  })
  it('releases a second signer can add to without the bundle', async () => {
    const bytes = await makeBundle({ releasers: [KEYS.release1] })
    const release = await coSign('release', bytes.release, signerOf(KEYS.release3))
    expect((await verifyBundle({ ...bytes, release }, TRUST, CONTEXT)).signers).toEqual([
      'author-1',
      'release-1',
      'release-3',
    ])
  })
})

describe('the counter', () => {
  const digest = async () => (await verifyBundle(await makeBundle(), TRUST, CONTEXT)).digest
  const held = async (change: Partial<HeldMark>): Promise<{ held: HeldMark }> => ({
    held: { epoch: 1, policyRevision: 7n, payloadDigest: await digest(), ...change },
  })
  it('same revision, same content: a restart', async () => {
    await expect(verifyBundle(await makeBundle(), TRUST, { ...CONTEXT, ...(await held({})) })).resolves.toBeDefined()
  })
  it('same revision, other content', async () => {
    expect(await refused(await makeBundle(), await held({ payloadDigest: `sha256:${'0'.repeat(64)}` }))).toEqual({
      code: 'BUNDLE_COUNTER_CONTENT_MISMATCH',
      say: 'the release has revision 7, which is held with other content (counter_content_mismatch)',
    })
  })
  it('lower revision', async () => {
    expect(await refused(await makeBundle(), await held({ policyRevision: 8n }))).toEqual({
      code: 'BUNDLE_COUNTER_REGRESSION',
      say: 'the release has revision 7 and 8 is held already (counter_regression)',
    })
  })
  it('a jump at the limit and one past it', async () => {
    const held = { epoch: 1, policyRevision: 7n, payloadDigest: await digest() }
    const at = await makeBundle({ release: { policyRevision: 7n + LIMITS.revisionJump } })
    await expect(verifyBundle(at, TRUST, { ...CONTEXT, held })).resolves.toBeDefined()
    const past = await makeBundle({ release: { policyRevision: 8n + LIMITS.revisionJump } })
    expect(await refused(past, { held })).toEqual({
      code: 'BUNDLE_COUNTER_JUMP',
      say: 'the release goes from revision 7 to 1000008; one step is at most 1000000 (counter_jump)',
    })
  })
  it('a new root epoch restarts the count, in one direction', async () => {
    const trust = trustWith({ version: 2, epoch: 2 })
    const bytes = await makeBundle({ release: { epoch: 2, policyRevision: 1n } })
    const burnt = { epoch: 1, policyRevision: 2n ** 64n - 1n, payloadDigest: await digest() }
    await expect(verifyBundle(bytes, trust, { ...CONTEXT, held: burnt })).resolves.toBeDefined()
    expect(await refused(bytes, { held: burnt })).toEqual({
      code: 'BUNDLE_EPOCH',
      say: 'the release is of epoch 2 and the trust root of epoch 1',
    })
    const later = { epoch: 3, policyRevision: 1n, payloadDigest: await digest() }
    expect((await refused(bytes, { held: later }, trust)).say).toBe(
      'the release has revision 1 and 1 of epoch 3 is held already (counter_regression)',
    )
  })
})

describe('time', () => {
  it('first and last millisecond of the window', async () => {
    const bytes = await makeBundle()
    const trust = trustWith({ expiresAtMs: UNTIL + 1 })
    for (const nowMs of [FROM, UNTIL - 1])
      await expect(verifyBundle(bytes, trust, { ...CONTEXT, nowMs })).resolves.toBeDefined()
    expect(await refused(bytes, { nowMs: FROM - 1 }, trust)).toEqual({
      code: 'BUNDLE_NOT_YET_VALID',
      say: 'the manifest holds from 2026-01-01T00:00:00.000Z; it is 2025-12-31T23:59:59.999Z',
    })
    expect(await refused(bytes, { nowMs: UNTIL }, trust)).toEqual({
      code: 'BUNDLE_EXPIRED',
      say: 'the manifest expired at 2027-01-01T00:00:00.000Z; it is 2027-01-01T00:00:00.000Z',
    })
  })
  it('a release that expired before its manifest', async () => {
    expect((await refused(await makeBundle({ release: { expiresAtMs: NOW } }))).say).toContain('the release expired')
  })
  it('an expired root admits nothing new', async () => {
    expect(await refused(await makeBundle(), { nowMs: UNTIL })).toEqual({
      code: 'BUNDLE_ROOT_EXPIRED',
      say: 'trust root 1 expired at 2027-01-01T00:00:00.000Z; it is 2027-01-01T00:00:00.000Z',
    })
  })
})

describe('members', () => {
  const without = (path: string) => new Map([...MEMBERS].filter(([name]) => name !== path))
  it('missing, unlisted, changed, longer', async () => {
    const bytes = await makeBundle()
    expect(await refused({ ...bytes, members: without('fence.yaml') })).toEqual({
      code: 'BUNDLE_MEMBER_MISSING',
      say: 'the member "fence.yaml" is missing',
    })
    expect(await refused({ ...bytes, members: new Map([...MEMBERS, ['extra.yaml', utf8('')]]) })).toEqual({
      code: 'BUNDLE_MEMBER_UNLISTED',
      say: 'the file "extra.yaml" is not a member of this bundle',
    })
    const sandbox = utf8('version: 2\n')
    expect(await refused({ ...bytes, members: new Map([...MEMBERS, ['policies/sandbox.yaml', sandbox]]) })).toEqual({
      code: 'BUNDLE_MEMBER_DIGEST',
      say: 'the member "policies/sandbox.yaml" is not the one that was signed: its SHA-256 differs',
    })
    const longer = utf8('version: 10\n')
    expect(await refused({ ...bytes, members: new Map([...MEMBERS, ['policies/sandbox.yaml', longer]]) })).toEqual({
      code: 'BUNDLE_MEMBER_SIZE',
      say: 'the member "policies/sandbox.yaml" has 12 octets and the release says 11',
    })
  })
})

describe('sizes, at the limit and one past it', () => {
  const good = makeBundle()
  const tooLarge = (what: string, size: number, limit: number) => ({
    code: 'BUNDLE_TOO_LARGE',
    say: `${what} has ${size} octets; the limit is ${limit}`,
  })
  it('manifest', async () => {
    const at = await refused({ ...(await good), manifest: new Uint8Array(LIMITS.manifestBytes) })
    expect(at.code).toBe('BUNDLE_UNSIGNED')
    const past = await refused({ ...(await good), manifest: new Uint8Array(LIMITS.manifestBytes + 1) })
    expect(past).toEqual(tooLarge('the manifest', 1_048_577, 1_048_576))
  })
  it('release', async () => {
    const at = await refused({ ...(await good), release: new Uint8Array(LIMITS.envelopeBytes) })
    expect(at.code).toBe('BUNDLE_STATEMENT')
    const past = await refused({ ...(await good), release: new Uint8Array(LIMITS.envelopeBytes + 1) })
    expect(past).toEqual(tooLarge('the release', 1_048_577, 1_048_576))
  })
  it('one member', async () => {
    const at = await makeBundle({ members: new Map([['a', new Uint8Array(LIMITS.memberBytes)]]) })
    await expect(verifyBundle(at, TRUST, CONTEXT)).resolves.toBeDefined()
    const past = await refused({ ...at, members: new Map([['a', new Uint8Array(LIMITS.memberBytes + 1)]]) })
    expect(past).toEqual(tooLarge('a member', 4_194_305, 4_194_304))
  })
  it('all members together', async () => {
    const block = new Uint8Array(LIMITS.memberBytes)
    const members = new Map(Array.from({ length: 8 }, (_, i) => [`m${i}`, block]))
    expect((await refused({ ...(await good), members })).code).toBe('BUNDLE_MEMBER_UNLISTED')
    members.set('one-more', new Uint8Array(1))
    expect(await refused({ ...(await good), members })).toEqual(tooLarge('the bundle', 33_554_433, 33_554_432))
  })
  it('number of members', async () => {
    const many = (count: number) => new Map(Array.from({ length: count }, (_, i) => [`m${i}`, utf8(String(i))]))
    const at = await makeBundle({ members: many(LIMITS.members) })
    await expect(verifyBundle(at, TRUST, CONTEXT)).resolves.toBeDefined()
    expect(await refused({ ...at, members: many(LIMITS.members + 1) })).toEqual({
      code: 'BUNDLE_TOO_MANY',
      say: 'there are 1025 members; the limit is 1024',
    })
  })
})

describe('the inventory', () => {
  const yaml = utf8('audience: fleet-a\nworkspaces: []\n')
  const terms = { audience: 'fleet-a', epoch: 1, revision: 4n }
  const signed = (change: Partial<typeof terms> = {}) =>
    signInventory(yaml, { ...terms, ...change }, signerOf(KEYS.inventory))
  const context = { nowMs: NOW, audience: 'fleet-a' }
  it('verifies and binds its octets', async () => {
    const verified = await verifyInventory(yaml, await signed(), TRUST, context)
    expect(verified).toMatchObject({
      audience: 'fleet-a',
      revision: '4',
      signers: ['inventory-1'],
      digest: digestOf(yaml),
    })
    expect(verified.bytes).toEqual(yaml)
  })
  it('refuses every change', async () => {
    const jws = await signed()
    const changed = yaml.slice()
    changed[0] = 0x62
    expect(await refusal(verifyInventory(changed, jws, TRUST, context))).toEqual({
      code: 'BUNDLE_INVENTORY_MISMATCH',
      say: 'the inventory is not the one that was signed: its SHA-256 differs',
    })
    expect((await refusal(verifyInventory(utf8('x'), jws, TRUST, context))).say).toContain('its size differs')
    const other = await signed({ audience: 'fleet-b' })
    expect(await refusal(verifyInventory(yaml, other, TRUST, context))).toEqual({
      code: 'BUNDLE_AUDIENCE',
      say: 'the inventory is for "fleet-b", not for "fleet-a"',
    })
  })
  it('counts like a bundle', async () => {
    const held = { epoch: 1, revision: 4n, digest: digestOf(yaml) }
    await expect(verifyInventory(yaml, await signed(), TRUST, { ...context, held })).resolves.toBeDefined()
    const older = verifyInventory(yaml, await signed({ revision: 3n }), TRUST, { ...context, held })
    expect((await refusal(older)).code).toBe('BUNDLE_COUNTER_REGRESSION')
    const equivocated = { ...held, digest: digestOf(utf8('other')) }
    const same = verifyInventory(yaml, await signed(), TRUST, { ...context, held: equivocated })
    expect((await refusal(same)).code).toBe('BUNDLE_COUNTER_CONTENT_MISMATCH')
  })
  it('a release key cannot sign one, and a release is not an inventory statement', async () => {
    const wrong = signInventory(yaml, terms, signerOf(KEYS.release1))
    expect(await refusal(wrong)).toEqual({
      code: 'BUNDLE_KEY',
      say: 'the key "release-1" cannot be used: its role is release, and inventory is needed',
    })
    const { release } = await makeBundle()
    expect((await refusal(verifyInventory(yaml, release, TRUST, context))).say).toBe(
      'the signed inventory statement is malformed: the format is not sluice-inventory/1',
    )
  })
})

describe('signing refuses what verifying would', () => {
  it('members that differ from the manifest', async () => {
    const { manifest } = await makeBundle()
    const changed = new Map([...MEMBERS, ['fence.yaml', utf8('x')]])
    expect(() => makeRelease(manifest, changed, RELEASE_TERMS)).toThrow('is not the one that was signed')
    expect(() => makeRelease(manifest, new Map(), RELEASE_TERMS)).toThrow('the member "fence.yaml" is missing')
  })
  it('an empty window, a bad id, a bad path', async () => {
    expect(() => makeManifest({ ...MANIFEST_TERMS, expiresAtMs: FROM }, MEMBERS)).toThrow(
      'not an acceptable PolicyBundle',
    )
    expect(() => makeManifest({ ...MANIFEST_TERMS, id: ' x' }, MEMBERS)).toThrow('not an acceptable PolicyBundle')
    expect(() => makeManifest(MANIFEST_TERMS, new Map([['../a', utf8('')]]))).toThrow('not an acceptable PolicyBundle')
  })
  it('a statement other than the one in the file', async () => {
    const { manifest, members, release } = await makeBundle({ releasers: [KEYS.release1] })
    const other = makeRelease(manifest, members, { ...RELEASE_TERMS, policyRevision: 8n })
    expect(await refusal(signRelease(other, signerOf(KEYS.release2), release))).toEqual({
      code: 'BUNDLE_STATEMENT',
      say: 'the signed release is malformed: the file holds another statement; begin a new one',
    })
  })
  it('a payload that is not a manifest', async () => {
    expect((await refusal(signManifest(utf8('a: 1\n'), signerOf(KEYS.author)))).code).toBe('BUNDLE_MANIFEST')
  })
  it('the same key signs once, the newer signature staying', async () => {
    const bytes = await makeBundle({ releasers: [KEYS.release1, KEYS.release1, KEYS.release2] })
    const file = JSON.parse(new TextDecoder().decode(bytes.release)) as { signatures: unknown[] }
    expect(file.signatures).toHaveLength(2)
  })
})

describe('the root names keys by entry', () => {
  it('a revoked key no longer signs', async () => {
    const keys = new Map([...ROOT.keys].filter(([kid]) => kid !== 'release-2'))
    const trust = trustWith({ version: 2, keys: new Map([...keys, entry(keyOf('release', 'release-4'))]) })
    expect((await refused(await makeBundle(), {}, trust)).code).toBe('BUNDLE_THRESHOLD')
  })
})
