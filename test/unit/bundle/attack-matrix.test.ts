// The attack matrix of bundle trust, one test for each row that a bundle on its way can be attacked by, through a
// transport: the attacker owns the disk or the archive, and gets nothing. Rows about the store and the clock floor are
// held where those live. Each test says what the attacker changed and the code that answers.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { writeBundleArchive } from '../../../src/agent/transports/archive.js'
import { readBundle } from '../../../src/agent/transports/read.js'
import { base64url, concat, utf8 } from '../../../src/base/bytes.js'
import { canonicalize, type Json } from '../../../src/base/canonical.js'
import { Fault } from '../../../src/base/fault.js'
import { quote } from '../../../src/base/quote.js'
import { signerOf } from '../../../src/bundle/key-file.js'
import type { BundleBytes, HeldMark, TrustRoot } from '../../../src/bundle/model.js'
import { decomposeYaml } from '../../../src/bundle/sigil/decompose.js'
import { makeRelease, signRelease, signSigil } from '../../../src/bundle/sign.js'
import { verifyBundle } from '../../../src/bundle/verify.js'
import {
  CONTEXT,
  entry,
  KEYS,
  keyOf,
  MEMBERS,
  makeBundle,
  RELEASE_TERMS,
  ROOT,
  TRUST,
  trustWith,
  UNTIL,
} from './fixture.js'
import { file, tar, tgz } from './tarball.js'

const scratch = mkdtempSync(join(tmpdir(), 'sluice-matrix-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
let count = 0
/** A bundle directory, or an archive when octets are given. */
function place(bundle: BundleBytes | Uint8Array): string {
  const path = join(scratch, String(count++))
  if (bundle instanceof Uint8Array) {
    writeFileSync(path, bundle)
    return path
  }
  const files = new Map([['bundle.yaml', bundle.manifest], ...bundle.members])
  if (bundle.release) files.set('release.jws.json', bundle.release)
  for (const [name, content] of files) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(path, name), content)
  }
  return path
}
interface Node {
  readonly trust?: TrustRoot
  readonly held?: HeldMark
  readonly nowMs?: number
  readonly audience?: string
  readonly channel?: string
}
async function answer(where: string | BundleBytes | Uint8Array, node: Node = {}): Promise<string> {
  const { trust = TRUST, ...context } = node
  try {
    await verifyBundle(await readBundle(typeof where === 'string' ? where : place(where)), trust, {
      ...CONTEXT,
      ...context,
    })
    return 'verified'
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    expect(error.reaction).toBe('reject')
    return error.code
  }
}
const good = await makeBundle()
const { mark } = await verifyBundle(good, TRUST, CONTEXT)
const payload = (bundle: BundleBytes): Uint8Array => {
  const parts = decomposeYaml(bundle.manifest)
  if (parts.outcome !== 'Ok') throw new Error(parts.why)
  return parts.payload
}

describe('attack matrix', () => {
  it('nothing changed: verified, from a directory and from an archive', async () => {
    expect(await answer(good)).toBe('verified')
    expect(await answer(await writeBundleArchive(good))).toBe('verified')
  })
  it('arbitrary install', async () => {
    const stranger = await makeBundle({
      author: keyOf('author', 'x'),
      releasers: [keyOf('release', 'y'), keyOf('release', 'z')],
    })
    expect(await answer(stranger)).toBe('BUNDLE_SIGNER_UNKNOWN')
    expect(await answer(await makeBundle({ releasers: [keyOf('release', 'y'), keyOf('release', 'z')] }))).toBe(
      'BUNDLE_THRESHOLD',
    )
  })
  it('signature stripped', async () => {
    expect(await answer({ ...good, manifest: payload(good) })).toBe('BUNDLE_UNSIGNED')
    expect(await answer({ manifest: good.manifest, members: good.members })).toBe('BUNDLE_RELEASE_MISSING')
    const emptied = utf8(
      `${canonicalize({ ...(JSON.parse(new TextDecoder().decode(good.release)) as Record<string, Json>), signatures: [] })}\n`,
    )
    expect(await answer({ ...good, release: emptied })).toBe('BUNDLE_THRESHOLD')
  })
  it('rollback', async () => {
    expect(await answer(good, { held: { ...mark, policyRevision: 8n } })).toBe('BUNDLE_COUNTER_REGRESSION')
    const again = await makeBundle({ release: { policyRevision: 9n } })
    expect(
      await answer(again, { held: { ...mark, policyRevision: 8n, payloadDigest: `sha256:${'1'.repeat(64)}` } }),
    ).toBe('verified')
  })
  it('equivocation: same revision, other content', async () => {
    const other = await makeBundle({ manifest: { description: 'other' } })
    expect(await answer(other, { held: mark })).toBe('BUNDLE_COUNTER_CONTENT_MISMATCH')
    const resigned = await makeBundle({ releasers: [KEYS.release1, KEYS.release3] })
    expect(await answer(resigned, { held: mark })).toBe('verified')
  })
  it('indefinite freeze: what expired is refused', async () => {
    expect(await answer(good, { trust: trustWith({ expiresAtMs: UNTIL + 1 }), nowMs: UNTIL })).toBe('BUNDLE_EXPIRED')
    expect(await answer(good, { nowMs: UNTIL })).toBe('BUNDLE_ROOT_EXPIRED')
  })
  it('fast-forward', async () => {
    const last = await makeBundle({ release: { policyRevision: 2n ** 64n - 1n } })
    expect(await answer(last, { held: mark })).toBe('BUNDLE_COUNTER_JUMP')
    const burnt = { ...mark, policyRevision: 2n ** 64n - 1n }
    const recovered = await makeBundle({ release: { epoch: 2, policyRevision: 1n } })
    expect(await answer(recovered, { held: burnt, trust: trustWith({ epoch: 2 }) })).toBe('verified')
    expect(await answer(recovered, { held: burnt })).toBe('BUNDLE_EPOCH')
  })
  it('mix-and-match', async () => {
    const other = await makeBundle({
      manifest: { description: 'other' },
      members: new Map([...MEMBERS, ['fence.yaml', utf8('other')]]),
    })
    expect(await answer({ ...good, release: other.release })).toBe('BUNDLE_RELEASE_MISMATCH')
    expect(await answer({ ...good, members: other.members })).toBe('BUNDLE_MEMBER_SIZE')
    expect(await answer({ ...good, members: new Map([...MEMBERS, ['more', utf8('')]]) })).toBe('BUNDLE_MEMBER_UNLISTED')
    expect(await answer({ ...good, members: new Map([...MEMBERS].slice(1)) })).toBe('BUNDLE_MEMBER_MISSING')
  })
  it('wrong target', async () => {
    expect(await answer(good, { audience: 'fleet-z' })).toBe('BUNDLE_AUDIENCE')
    expect(await answer(good, { channel: 'canary' })).toBe('BUNDLE_CHANNEL')
  })
  it('key compromise: one release key is not enough, and a revoked one is none', async () => {
    expect(await answer(await makeBundle({ releasers: [KEYS.release1] }))).toBe('BUNDLE_THRESHOLD')
    const keys = new Map([
      ...[...ROOT.keys].filter(([kid]) => kid !== 'release-1'),
      entry(keyOf('release', 'release-4')),
    ])
    const revoked = [base64url(KEYS.release1.public.bytes)]
    expect(await answer(good, { trust: trustWith({ version: 2, keys, revoked }) })).toBe('BUNDLE_THRESHOLD')
  })
  it('one key counted twice', async () => {
    const { payload: body, signatures } = JSON.parse(
      new TextDecoder().decode((await makeBundle({ releasers: [KEYS.release1] })).release),
    ) as {
      payload: string
      signatures: readonly Json[]
    }
    const release = utf8(`${canonicalize({ payload: body, signatures: [...signatures, ...signatures] })}\n`)
    expect(await answer({ ...good, release })).toBe('BUNDLE_THRESHOLD')
    const alias = { ...KEYS.release1, kid: 'release-9' }
    expect(() => trustWith({ keys: new Map([...ROOT.keys, entry(alias)]) })).toThrow('are the same public key')
  })
  it('endless data, decompression bomb', async () => {
    expect(await answer({ ...good, members: new Map([['big', new Uint8Array(4_194_305)]]) })).toBe(
      'TRANSPORT_TOO_LARGE',
    )
    expect(await answer(gzipSync(new Uint8Array(1 << 20)))).toBe('TRANSPORT_RATIO')
    expect(await answer(new Uint8Array((8 << 20) + 1))).toBe('TRANSPORT_TOO_LARGE')
  })
  it('tar tricks: see transports.test.ts; here that one of them hides behind valid signatures in vain', async () => {
    const files = [
      file('bundle.yaml', good.manifest),
      file('release.jws.json', good.release),
      ...[...MEMBERS].map(([name, content]) => file(name, content)),
    ]
    expect(await answer(tgz(files))).toBe('verified')
    expect(await answer(tgz([...files, { name: 'x', type: '2', link: '/etc/passwd' }]))).toBe('TRANSPORT_ENTRY')
    expect(await answer(concat([tgz(files), gzipSync(tar([file('x')]))]))).toBe('TRANSPORT_ARCHIVE')
  })
  /** A release signed properly except for its headers. */
  async function withHeader(change: Record<string, Json>): Promise<BundleBytes> {
    const statement = JSON.parse(new TextDecoder().decode(good.release)) as { payload: string }
    const signatures: Json[] = []
    for (const pair of [KEYS.release1, KEYS.release3]) {
      const typ = 'application/vnd.sluice.release+json'
      const head = base64url(utf8(canonicalize({ alg: 'Ed25519', kid: pair.kid, typ, ...change })))
      signatures.push({
        protected: head,
        signature: base64url(await signerOf(pair).sign(utf8(`${head}.${statement.payload}`))),
      })
    }
    return { ...good, release: utf8(`${canonicalize({ payload: statement.payload, signatures })}\n`) }
  }
  it('algorithm confusion, none, HMAC with a public key', async () => {
    expect(await answer(await withHeader({}))).toBe('verified')
    for (const alg of ['none', 'HS256', 'ES256'])
      expect(await answer(await withHeader({ alg }))).toBe('BUNDLE_STATEMENT_ALGORITHM')
  })
  it('kid injection, jku, x5u, jwk, embedded keys', async () => {
    expect(await answer(await withHeader({ kid: '../../../root.json' }))).toBe('BUNDLE_THRESHOLD')
    for (const member of ['jku', 'x5u', 'x5c', 'jwk'])
      expect(await answer(await withHeader({ [member]: 'x' }))).toBe('BUNDLE_STATEMENT')
  })
  it('crit and b64 confusion', async () => {
    expect(await answer(await withHeader({ b64: false }))).toBe('BUNDLE_STATEMENT')
    expect(await answer(await withHeader({ b64: false, crit: ['b64'] }))).toBe('BUNDLE_STATEMENT')
  })
  it('duplicate keys, BOM, bad UTF-8, lone surrogates, number precision, in a manifest that an author signed', async () => {
    const spoil = async (from: string, to: string) => {
      const manifest = await signSigil(
        utf8(new TextDecoder().decode(payload(good)).replace(from, to)),
        signerOf(KEYS.author),
      )
      return answer({ ...good, manifest })
    }
    expect(await spoil('kind:', 'kind: PolicyBundle\nkind:')).toBe('BUNDLE_MANIFEST')
    expect(await spoil('policy_revision: 7', 'policy_revision: 9007199254740993.0')).toBe('BUNDLE_MANIFEST')
    expect(await spoil('"coding-agent"', '"\\ud800"')).toBe('BUNDLE_MANIFEST')
    expect(await spoil('"fence.yaml"', '"cafe\u0301.yaml"')).toBe('BUNDLE_MANIFEST')
    expect(await answer({ ...good, manifest: concat([new Uint8Array([0xef, 0xbb, 0xbf]), good.manifest]) })).toBe(
      'BUNDLE_MALFORMED',
    )
    expect(await answer({ ...good, manifest: concat([new Uint8Array([0xff]), good.manifest]) })).toBe(
      'BUNDLE_MALFORMED',
    )
  })
  it('YAML alias bomb, tags, merge keys, yes and no, sexagesimal', async () => {
    const spoil = async (line: string) => {
      const manifest = await signSigil(concat([payload(good), utf8(line)]), signerOf(KEYS.author))
      return answer({ ...good, manifest })
    }
    expect(await spoil('metadata: &a [*a, *a]\n')).toBe('BUNDLE_MANIFEST')
    expect(await spoil('metadata: !!map {}\n')).toBe('BUNDLE_MANIFEST')
    expect(await spoil('metadata: {<<: {a: 1}}\n')).toBe('BUNDLE_MANIFEST')
    expect(await spoil(`metadata: ${'{a: '.repeat(40)}1${'}'.repeat(40)}\n`)).toBe('BUNDLE_MANIFEST')
    expect(await spoil('metadata: yes\n')).toBe('BUNDLE_MANIFEST')
    expect(await spoil('metadata: {clock: 1:30:00}\n')).toBe('BUNDLE_RELEASE_MISMATCH')
  })
  it('parser differential, nested or re-signed payload', async () => {
    const resigned = await signSigil(good.manifest, signerOf(KEYS.author))
    expect(await answer({ ...good, manifest: resigned })).toBe('BUNDLE_MANIFEST')
    const appended = concat([good.manifest, utf8('---\n'), good.manifest])
    expect(await answer({ ...good, manifest: appended })).toBe('BUNDLE_SIGNATURE')
  })
  it('signature malleability: S + L is no signature, and identity is the payload', async () => {
    const L = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n
    const text = new TextDecoder().decode(good.manifest)
    const written = /signature: (\S+)/.exec(text)?.[1] ?? ''
    const octets = Buffer.from(written, 'base64url')
    let s = BigInt(`0x${Buffer.from(octets.subarray(32)).reverse().toString('hex')}`) + L
    for (let i = 32; i < 64; i++, s >>= 8n) octets[i] = Number(s & 255n)
    const moved = utf8(text.replace(written, octets.toString('base64url')))
    expect(await answer({ ...good, manifest: moved })).toBe('BUNDLE_MALFORMED')
    const twice = await makeBundle({ author: KEYS.authorP256 })
    expect(payload(twice)).toEqual(payload(good))
  })
  it('cross-protocol reuse', async () => {
    expect(await answer(await withHeader({ typ: 'application/vnd.sluice.inventory+json' }))).toBe(
      'BUNDLE_STATEMENT_TYPE',
    )
  })
  it('clock set back', async () => {
    expect(await answer(good, { nowMs: 0 })).toBe('BUNDLE_NOT_YET_VALID')
  })
  it('TOCTOU on files: a link in the place of a member', async () => {
    const path = place(good)
    rmSync(join(path, 'fence.yaml'))
    symlinkSync(join(path, 'bundle.yaml'), join(path, 'fence.yaml'))
    expect(await answer(path)).toBe('TRANSPORT_ENTRY')
  })
  it('downgrade of the format version', async () => {
    const older = utf8(
      new TextDecoder().decode(good.manifest).replace('YamlSigilSignature.v1alpha1', 'YamlSigilSignature.v0'),
    )
    expect(await answer({ ...good, manifest: older })).toBe('BUNDLE_MALFORMED')
    const release = makeRelease(good.manifest, MEMBERS, RELEASE_TERMS)
    const signed = new TextDecoder().decode(await signRelease(release, signerOf(KEYS.release1)))
    expect(await answer({ ...good, release: utf8(signed.replace('"payload"', '"payload_v0"')) })).toBe(
      'BUNDLE_STATEMENT',
    )
  })
  it('hostile names in logs', async () => {
    const hostile = `evil\u001b[2J\u202e${'x'.repeat(500)}`
    const error = await verifyBundle({ ...good, members: new Map([[hostile, utf8('')]]) }, TRUST, CONTEXT).catch(
      (thrown: unknown) => thrown,
    )
    expect(error).toMatchObject({ code: 'BUNDLE_MEMBER_UNLISTED' })
    const { message } = error as Fault
    expect(message).toContain(quote(hostile))
    expect(message).toMatch(/^[ -~]+$/)
    expect(message.length).toBeLessThan(200)
  })
})
