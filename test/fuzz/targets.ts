// What is fuzzed: every parser that reads octets which somebody delivered. Each target knows good inputs, words of its format,
// and rules that hold for every input: nothing but a Fault of the caller's table is thrown, nothing that was not signed is
// verified, and what is accepted reads back as itself.

import { gunzipSync, gzipSync } from 'node:zlib'
import { gunzip } from '../../src/agent/transports/gzip.js'
import { readArtifact, readIndex, writeIndex } from '../../src/agent/transports/oci-model.js'
import { Parcel } from '../../src/agent/transports/parcel.js'
import { unpackTar } from '../../src/agent/transports/tar.js'
import { base64url, concat, decodeUtf8, equalBytes, utf8 } from '../../src/base/bytes.js'
import { canonicalize, type Json } from '../../src/base/canonical.js'
import { digestOf } from '../../src/base/digest.js'
import { Fault } from '../../src/base/fault.js'
import { JsonError, parseJson } from '../../src/base/json.js'
import { LIMITS } from '../../src/base/limits.js'
import { readYaml } from '../../src/base/yaml.js'
import { parseBreakglass } from '../../src/bundle/breakglass.js'
import { verifyCompactJws } from '../../src/bundle/compact-jws.js'
import { parseFreshness } from '../../src/bundle/freshness.js'
import { readJwks } from '../../src/bundle/jwk.js'
import { readApfPublicKey, readPrivateKey, signerOf, writePrivateKey } from '../../src/bundle/key-file.js'
import { parseManifest, writeManifest } from '../../src/bundle/manifest.js'
import { MANIFEST_FILE } from '../../src/bundle/model.js'
import { refusePath } from '../../src/bundle/path.js'
import { parseInventoryStatement, parseRelease } from '../../src/bundle/release.js'
import { parseTrustRoot, rootDocument, writeTrustRoot } from '../../src/bundle/root.js'
import { decomposeYaml } from '../../src/bundle/sigil/decompose.js'
import { preVerify, type SigilForm, verifySigil } from '../../src/bundle/sigil/verify.js'
import { makeManifest, signSigil } from '../../src/bundle/sign.js'
import {
  claimedSigners,
  goodSigners,
  readEnvelope,
  STATEMENTS,
  type StatementKind,
} from '../../src/bundle/statement.js'
import { KEYS, MANIFEST_TERMS, MEMBERS, makeBundle, ROOT, TRUST } from '../unit/bundle/fixture.js'
import { file, paxRecord, tar } from '../unit/bundle/tarball.js'
import type { Target } from './engine.js'

/** Runs `read`; a Fault that refuses the input gives undefined, anything else is a finding. */
function orFault<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof Fault && error.reaction === 'reject') return undefined
    throw error
  }
}
async function orFaultLater<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof Fault && error.reaction === 'reject') return undefined
    throw error
  }
}
function hold(rule: boolean, what: string): void {
  if (!rule) throw new Error(`broken: ${what}`)
}
const show = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part))

const good = await makeBundle()
const goodPayloads = [makeManifest(MANIFEST_TERMS, MEMBERS), utf8('')]
const signed = await Promise.all(goodPayloads.map((payload) => signSigil(payload, signerOf(KEYS.author))))
const byP256 = await signSigil(goodPayloads[0] ?? utf8(''), signerOf(KEYS.authorP256))

const envelope: Target = {
  name: 'envelope',
  seeds: () => Promise.resolve([...signed, byP256, utf8('a: 1\n---\nschema: x\n'), utf8('\x0a\x00\x12\x02\x08\x01')]),
  words: [
    '---\n',
    '---\r\n',
    '---',
    '...\n',
    '\ufeff',
    'schema: ',
    'alg: ',
    'keyid: ',
    'signature: ',
    '&a ',
    '*a',
    '!!str ',
  ].concat([
    'YamlSigilSignature.v1alpha1',
    'ECDSA_SECP256R1_SHA256_RAW_RS64',
    '"',
    "'",
    '|\n ',
    '<<: ',
    '%YAML 1.2\n',
    '? ',
    '{',
    '}',
    '# x',
  ]),
  run: (bytes) => {
    const parts = decomposeYaml(bytes)
    if (parts.outcome === 'Ok') {
      const marker = bytes.subarray(parts.payload.length, bytes.length - parts.carrier.length)
      hold(['---\n', '---\r\n'].includes(decodeUtf8(marker) ?? ''), 'payload, marker and carrier are the artifact')
      hold(decomposeYaml(parts.carrier).outcome !== 'Ok', 'no marker stands in the carrier')
    }
    for (const form of ['yaml', 'protobuf'] satisfies SigilForm[]) {
      const pre = preVerify(form, bytes)
      if (pre.outcome !== 'Ok') continue
      const key = pre.alg === 'ES256' ? KEYS.authorP256.public : KEYS.author.public
      const result = verifySigil(pre, { resolve: () => key, algorithms: ['Ed25519', 'ES256'] })
      if (result.state === 'Verified')
        hold(
          goodPayloads.some((payload) => equalBytes(payload, result.payload)),
          'only what was signed is verified',
        )
    }
  },
}

const manifest: Target = {
  name: 'manifest',
  seeds: () =>
    Promise.resolve([
      ...goodPayloads,
      makeManifest({ ...MANIFEST_TERMS, description: 'é "quoted" \\ text' }, new Map()),
      utf8(
        'apiVersion: x\nmetadata: {a: [1, 2.5, ~, true], "b": |-\n  text\n  more\n}\nmanifest:\n- {path: a, sha256: b}\n',
      ),
    ]),
  words: [
    'path: ',
    'sha256: ',
    'manifest:\n',
    'metadata:',
    '- ',
    '&a ',
    '*a',
    '!!str ',
    '<<: *a',
    '0x1f',
    '1e9',
    '.inf',
    '~',
    'yes',
    '2001-02-03',
  ].concat([
    '\t',
    ': ',
    ', ',
    '[',
    ']',
    '{',
    '}',
    '|-\n',
    '>+\n',
    '"\\u',
    "''",
    '#',
    '? ',
    '%TAG',
    '\u2028',
    '\u0000',
    '\ufeff',
    '18446744073709551616',
  ]),
  run: (bytes) => {
    const read = parseManifest(bytes)
    hold(
      (read.manifest === undefined) === read.notes.some((note) => note.severity === 'error'),
      'refused with a reason',
    )
    for (const { line, column, say } of read.notes)
      hold(line >= 0 && column >= 0 && say !== '', 'a note says where and what')
    if (read.manifest === undefined) return
    const again = parseManifest(writeManifest(read.manifest))
    hold(show(again.manifest) === show(read.manifest), 'what was accepted reads back as itself')
    hold(
      readYaml(bytes, MANIFEST_FILE, { bytes: LIMITS.manifestBytes, nodes: LIMITS.smallDocumentNodes }).root?.kind ===
        'map',
      'the document is one mapping',
    )
  },
}

const BLOCK = 512
/** Whole blocks, and every block that looks like a header gets its checksum. */
function repairTar(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil(bytes.length / BLOCK) * BLOCK)
  out.set(bytes)
  for (let at = 0; at < out.length; at += BLOCK) {
    const header = out.subarray(at, at + BLOCK)
    if (header[257] !== 0x75) continue
    header.fill(0x20, 148, 156)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.set(utf8(`${sum.toString(8).padStart(6, '0')}\0 `), 148)
  }
  return out
}

const archive: Target = {
  name: 'archive',
  seeds: () =>
    Promise.resolve([
      tar([file('bundle.yaml'), file('policies/a.yaml', utf8('a: 1\n'))]),
      tar([{ name: 'd/', type: '5' }, file('d/x'), file('bundle.yaml')]),
      tar([{ name: 'h', type: 'x', content: paxRecord('mtime', '1.5') }, file('bundle.yaml')]),
      tar([{ name: 'm', prefix: 'p/q', content: utf8('x') }, file('release.jws.json'), file('bundle.yaml')]),
      tar([]),
    ]),
  words: [
    'ustar\0',
    '00',
    'ustar  \0',
    '../',
    './',
    '/',
    '\\',
    'bundle.yaml',
    '00000000000\0',
    '77777777777\0',
    '00000001000\0',
    '\u0080',
  ].concat(['5', 'x', 'g', 'L', '2', '1', '3', '11 path=a\n', '12 size=1\n\n', 'A', 'ä', 'a\u0308', '\0']),
  repair: repairTar,
  run: (bytes) => {
    const delivered = orFault(() => {
      const parcel = new Parcel()
      unpackTar(bytes, parcel)
      return parcel.deliver()
    })
    if (delivered === undefined) return
    hold(delivered.members.size <= LIMITS.members * 2, 'no more members than allowed')
    let total = delivered.manifest.length + (delivered.release?.length ?? 0)
    const folded = new Set<string>()
    for (const [path, content] of delivered.members) {
      hold(refusePath(path) === undefined, 'no path that is refused elsewhere')
      folded.add(path.normalize('NFC').toLowerCase())
      total += content.length
    }
    hold(folded.size === delivered.members.size, 'no two members that some file system holds for one')
    hold(total <= bytes.length, 'no octet that was not in the archive')
  },
}

const gzip: Target = {
  name: 'gzip',
  seeds: () =>
    Promise.resolve([
      gzipSync(utf8('hello hello hello hello')),
      gzipSync(new Uint8Array(300), { level: 0 }),
      gzipSync(tar([file('bundle.yaml')])),
      concat([
        new Uint8Array([0x1f, 0x8b, 8, 0x18, 0, 0, 0, 0, 0, 3]),
        utf8('name\0comment\0'),
        gzipSync(utf8('x')).subarray(10),
      ]),
    ]),
  words: ['\u001f', '\0', '\u0008', '\u0018', '\u0004', '\u0002', '\u0003\0'],
  run: async (bytes) => {
    const output = await orFaultLater(() => gunzip(bytes))
    if (output !== undefined) hold(equalBytes(output, gunzipSync(bytes)), 'the same octets as zlib gives')
  },
}

const json: Target = {
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
    hold(
      show(parseJson(canonicalize(value))) === show(JSON.parse(canonicalize(value))),
      'its canonical form is accepted',
    )
  },
}

const KINDS = Object.keys(STATEMENTS) as StatementKind[]
const PARSERS: Readonly<Partial<Record<StatementKind, (statement: never) => unknown>>> = {
  release: parseRelease,
  inventory: parseInventoryStatement,
  freshness: parseFreshness,
  breakglass: parseBreakglass,
}
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

const statement: Target = {
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

const jws: Target = {
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

const root: Target = {
  name: 'root',
  seeds: () => Promise.resolve([writeTrustRoot(ROOT), utf8(canonicalize(rootDocument(ROOT) as Json))]),
  words: [
    '"keys":{',
    '"roles":{',
    '"revoked":[]',
    '"threshold":0',
    '"threshold":1',
    '"role":"root"',
    '"alg":"ES256"',
    'author-1',
    'release-2',
    'A'.repeat(43),
    ',',
    '{}',
    '"epoch":1e1',
  ],
  run: (bytes) => {
    const read = orFault(() => parseTrustRoot(bytes))
    if (read !== undefined)
      hold(
        show(rootDocument(parseTrustRoot(writeTrustRoot(read)))) === show(rootDocument(read)),
        'it reads back as itself',
      )
  },
}

const keyFile: Target = {
  name: 'key-file',
  seeds: () =>
    Promise.resolve([
      ...[KEYS.author, KEYS.authorP256].map((pair) => utf8(writePrivateKey(pair))),
      utf8(`# a comment\ned25519:${Buffer.from(KEYS.author.public.bytes).toString('base64')}\n`),
    ]),
  words: [
    '-----BEGIN PRIVATE KEY-----\n',
    '-----END PRIVATE KEY-----\n',
    'kid: ',
    'role: ',
    'alg: ',
    'ed25519:',
    '\n',
    '\r\n',
    '=',
    'MFkwEwYHKoZIzj0CAQYI',
  ],
  run: (bytes) => {
    orFault(() => readPrivateKey(bytes))
    orFault(() => readApfPublicKey(bytes, 'k'))
  },
}

const artifactType = 'application/vnd.sluice.bundle.v1'
const oci: Target = {
  name: 'oci',
  seeds: () =>
    Promise.resolve([
      writeIndex([{ mediaType: 'a/b', digest: digestOf(utf8('')), size: 0, annotations: { a: 'b' } }]),
      utf8(
        `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"${artifactType}","layers":[]}`,
      ),
    ]),
  words: [
    '"layers":[',
    '"subject":',
    '"size":-1',
    '"size":1.5',
    '"digest":"sha512:',
    '"annotations":{',
    '__proto__',
    'null',
    '{}',
    '[]',
    ',',
  ],
  run: (bytes) => {
    const read = orFault(() => readIndex(bytes, 'h.example'))
    for (const { size, digest } of read ?? [])
      hold(size >= 0 && digest.length === 71, 'a descriptor has size and digest')
    orFault(() => readArtifact(bytes, 'bundle', 'h.example'))
  },
}

export const TARGETS: readonly Target[] = [envelope, manifest, archive, gzip, json, statement, jws, root, keyFile, oci]
