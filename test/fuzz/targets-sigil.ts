// Fuzz targets: the signed artifact (YamlSigil, both forms) and the manifest in it. Nothing that was not signed is verified, and
// an accepted manifest reads back as itself.

import { decodeUtf8, equalBytes, utf8 } from '../../src/base/bytes.js'
import { LIMITS } from '../../src/base/limits.js'
import { readYaml } from '../../src/base/yaml.js'
import { signerOf } from '../../src/bundle/key-file.js'
import { parseManifest, writeManifest } from '../../src/bundle/manifest.js'
import { MANIFEST_FILE } from '../../src/bundle/model.js'
import { decomposeYaml } from '../../src/bundle/sigil/decompose.js'
import { preVerify, type SigilForm, verifySigil } from '../../src/bundle/sigil/verify.js'
import { makeManifest, signSigil } from '../../src/bundle/sign.js'
import { KEYS, MANIFEST_TERMS, MEMBERS } from '../unit/bundle/fixture.js'
import type { Target } from './engine.js'
import { hold, show } from './laws.js'

const goodPayloads = [makeManifest(MANIFEST_TERMS, MEMBERS), utf8('')]
const signed = await Promise.all(goodPayloads.map((payload) => signSigil(payload, signerOf(KEYS.author))))
const byP256 = await signSigil(goodPayloads[0] ?? utf8(''), signerOf(KEYS.authorP256))

export const envelope: Target = {
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

export const manifest: Target = {
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
