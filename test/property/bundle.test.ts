// Laws of the bundle folder: one flipped bit anywhere is refused; nothing but a Fault is ever thrown, whatever comes in;
// what is signed verifies; what is packed unpacks.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readBundleArchive, writeBundleArchive } from '../../src/agent/transports/archive.js'
import { Parcel } from '../../src/agent/transports/parcel.js'
import { unpackTar } from '../../src/agent/transports/tar.js'
import { concat, equalBytes, utf8 } from '../../src/base/bytes.js'
import { Fault } from '../../src/base/fault.js'
import { verifyCompactJws } from '../../src/bundle/compact-jws.js'
import { inspectBundle } from '../../src/bundle/inspect.js'
import { parseInstant } from '../../src/bundle/instant.js'
import { readJwks } from '../../src/bundle/jwk.js'
import { readApfPublicKey, readPrivateKey, signerOf, writePrivateKey } from '../../src/bundle/key-file.js'
import { parseManifest, writeManifest } from '../../src/bundle/manifest.js'
import type { BundleBytes } from '../../src/bundle/model.js'
import { parseTrustRoot, writeTrustRoot } from '../../src/bundle/root.js'
import { decomposeYaml } from '../../src/bundle/sigil/decompose.js'
import { preVerify, type SigilForm, verifySigil } from '../../src/bundle/sigil/verify.js'
import { signSigil } from '../../src/bundle/sign.js'
import { readEnvelope } from '../../src/bundle/statement.js'
import { verifyBundle } from '../../src/bundle/verify.js'
import { CONTEXT, KEYS, MANIFEST_TERMS, makeBundle, ROOT, TRUST } from '../unit/bundle/fixture.js'
import { tar } from '../unit/bundle/tarball.js'

const good = await makeBundle()

/** The verified bundle, or the code of the Fault; anything else that is thrown fails the test. */
async function outcome(bytes: BundleBytes) {
  try {
    return await verifyBundle(bytes, TRUST, CONTEXT)
  } catch (error) {
    if (!(error instanceof Fault) || error.reaction === 'bug') throw error
    return error.code
  }
}
function onlyFaults(run: () => unknown): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof Fault)) throw error
  }
}
const changed = (bytes: Uint8Array, at: number, value: (old: number) => number): Uint8Array => {
  const copy = new Uint8Array(bytes)
  copy[at] = value(copy[at] ?? 0)
  return copy
}
/** Every part of the bundle, and the bundle with that part replaced. */
const PARTS: readonly (readonly [string, Uint8Array, (bytes: Uint8Array) => BundleBytes])[] = [
  ['manifest', good.manifest, (manifest) => ({ ...good, manifest })],
  ['release', good.release, (release) => ({ ...good, release })],
  ...[...good.members].map(
    ([path, content]) =>
      [
        path,
        content,
        (bytes: Uint8Array) => ({ ...good, members: new Map([...good.members, [path, bytes]]) }),
      ] as const,
  ),
]

describe('one changed octet', () => {
  for (const [name, bytes, replaced] of PARTS)
    it(`every octet of ${name}, one bit flipped: refused`, async () => {
      for (let at = 0; at < bytes.length; at++) {
        const code = await outcome(replaced(changed(bytes, at, (old) => old ^ (1 << (at % 8)))))
        expect([at, typeof code]).toEqual([at, 'string'])
      }
    })
  it('any other octet anywhere: refused', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...PARTS),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async ([, bytes, replaced], where, by) => {
          const at = where % bytes.length
          expect(typeof (await outcome(replaced(changed(bytes, at, (old) => (old + by) & 255))))).toBe('string')
        },
      ),
      { numRuns: 600 },
    )
  })
  it('cut off anywhere: refused', async () => {
    for (const [name, bytes, replaced] of PARTS)
      for (let length = bytes.length - 1; length >= 0; length -= 7) {
        expect([name, length, typeof (await outcome(replaced(bytes.subarray(0, length))))]).toEqual([
          name,
          length,
          'string',
        ])
      }
  })
})

describe('nothing but a Fault', () => {
  const seeds = [
    good.manifest,
    good.release,
    utf8(writePrivateKey(KEYS.author)),
    writeTrustRoot(ROOT),
    tar([{ name: 'bundle.yaml' }]),
  ]
  /** Noise, and good documents with pieces cut, repeated and overwritten. */
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 600 }),
    fc.string({ unit: 'binary', maxLength: 300 }).map(utf8),
    fc
      .tuple(fc.constantFrom(...seeds), fc.nat(), fc.nat({ max: 64 }), fc.uint8Array({ maxLength: 24 }))
      .map(([seed, at, cut, extra]) => {
        const from = at % (seed.length + 1)
        return concat([seed.subarray(0, from), extra, seed.subarray(Math.min(seed.length, from + cut))])
      }),
  )
  const readers: Readonly<Record<string, (bytes: Uint8Array) => unknown>> = {
    parseManifest: (bytes) => parseManifest(bytes),
    decomposeYaml: (bytes) => decomposeYaml(bytes),
    preVerify: (bytes) => [preVerify('yaml', bytes), preVerify('protobuf', bytes)],
    readEnvelope: (bytes) => readEnvelope(bytes, 'release'),
    parseTrustRoot: (bytes) => parseTrustRoot(bytes),
    readPrivateKey: (bytes) => readPrivateKey(bytes),
    readApfPublicKey: (bytes) => readApfPublicKey(bytes, 'k'),
    unpackTar: (bytes) => unpackTar(bytes, new Parcel()),
    inspectBundle: (bytes) => inspectBundle({ manifest: bytes, release: bytes, members: new Map() }),
    parseInstant: (bytes) => parseInstant(String.fromCharCode(...bytes)),
  }
  for (const [name, read] of Object.entries(readers))
    it(name, () =>
      fc.assert(
        fc.property(hostile, (bytes) => onlyFaults(() => read(bytes))),
        { numRuns: 500 },
      ),
    )
  it('verifyBundle', () =>
    fc.assert(
      fc.asyncProperty(hostile, hostile, async (manifest, release) => {
        const result = await outcome({ manifest, release, members: good.members })
        expect(typeof result === 'string' || equalBytes(release, good.release)).toBe(true)
      }),
      { numRuns: 300 },
    ))
  it('readBundleArchive and verifyCompactJws', () =>
    fc.assert(
      fc.asyncProperty(hostile, async (bytes) => {
        const keys = readJwks({ kty: 'oct', alg: 'HS256', k: 'A'.repeat(43) })
        for (const promise of [
          readBundleArchive(bytes),
          verifyCompactJws(new TextDecoder().decode(bytes), keys, ['HS256']),
        ])
          await expect(promise).rejects.toBeInstanceOf(Fault)
      }),
      { numRuns: 300 },
    ))
})

describe('there and back', () => {
  const segment = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,12}$/)
  const members = fc
    .uniqueArray(segment, { maxLength: 8 })
    .chain((names) =>
      fc.tuple(...names.map((name) => fc.tuple(fc.constant(`m/${name}`), fc.uint8Array({ maxLength: 2000 })))),
    )
    .map((entries) => new Map<string, Uint8Array>(entries))
  it('what is signed verifies, directly and through an archive', () =>
    fc.assert(
      fc.asyncProperty(members, async (content) => {
        const bytes = await makeBundle({ members: content })
        const packed = await readBundleArchive(await writeBundleArchive(bytes))
        for (const delivered of [bytes, packed])
          expect((await verifyBundle(delivered, TRUST, CONTEXT)).members.size).toBe(content.size)
        for (const [path, octets] of content)
          expect(equalBytes(packed.members.get(path) ?? utf8('absent'), octets)).toBe(true)
      }),
      { numRuns: 60 },
    ))
  it('a manifest reads back, whatever its description', () =>
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (description) => {
        const manifest = { ...MANIFEST_TERMS, description, members: [] }
        expect(parseManifest(writeManifest(manifest)).manifest).toEqual(manifest)
      }),
    ))
  it('any UTF-8 payload that ends a line comes back from its signed form, markers and all', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('---', '...', 'a: 1', '', '--- ', '---\r'), { maxLength: 8 }),
        async (lines) => {
          const payload = utf8(lines.map((line) => `${line}\n`).join(''))
          const result = verifySigil(
            preVerify('yaml' satisfies SigilForm, await signSigil(payload, signerOf(KEYS.author))),
            {
              resolve: () => KEYS.author.public,
              algorithms: ['Ed25519'],
            },
          )
          expect(result).toEqual({ state: 'Verified', payload })
        },
      ),
      { numRuns: 100 },
    ))
})
