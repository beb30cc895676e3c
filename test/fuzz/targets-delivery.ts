// Fuzz targets: what transports take apart before anything is verified: archives, compressed data, registry manifests. No path
// that is refused elsewhere, no octet that was not delivered, the same data as zlib's.

import { gunzipSync, gzipSync } from 'node:zlib'
import { gunzip } from '../../src/agent/transports/gzip.js'
import { ARTIFACT, readArtifact, readIndex, writeIndex } from '../../src/agent/transports/oci-model.js'
import { Parcel } from '../../src/agent/transports/parcel.js'
import { unpackTar } from '../../src/agent/transports/tar.js'
import { concat, equalBytes, utf8 } from '../../src/base/bytes.js'
import { digestOf } from '../../src/base/digest.js'
import { LIMITS } from '../../src/base/limits.js'
import { refusePath } from '../../src/bundle/path.js'
import { file, paxRecord, tar } from '../unit/bundle/tarball.js'
import type { Target } from './engine.js'
import { hold, orFault, orFaultLater } from './laws.js'

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

export const archive: Target = {
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

export const gzip: Target = {
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

export const oci: Target = {
  name: 'oci',
  seeds: () =>
    Promise.resolve([
      writeIndex([{ mediaType: 'a/b', digest: digestOf(utf8('')), size: 0, annotations: { a: 'b' } }]),
      utf8(
        `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"${ARTIFACT.bundle}","layers":[]}`,
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
