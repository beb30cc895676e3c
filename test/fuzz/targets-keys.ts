// Fuzz targets: trust roots, key files, certificates and revocation lists. What is accepted reads back as itself; what is read
// out of a certificate is what the platform reads.

import { X509Certificate } from 'node:crypto'
import { concat, equalBytes, utf8 } from '../../src/base/bytes.js'
import { canonicalize, type Json } from '../../src/base/canonical.js'
import { readApfPublicKey, readPrivateKey, writePrivateKey } from '../../src/bundle/key-file.js'
import { parseTrustRoot, rootDocument, writeTrustRoot } from '../../src/bundle/root.js'
import { readCertificate } from '../../src/bundle/x509/certificate.js'
import { readCrlFile, readRevocationList } from '../../src/bundle/x509/crl.js'
import { type Der, readDer } from '../../src/bundle/x509/der.js'
import { KEYS, ROOT } from '../unit/bundle/fixture.js'
import type { Target } from './engine.js'
import { hold, orFault, show } from './laws.js'

export const root: Target = {
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

export const keyFile: Target = {
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

const encode = (value: Der): Uint8Array => {
  const content = (value.tag & 0x20) === 0 ? value.content : concat(value.children.map(encode))
  const { length } = content
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return concat([new Uint8Array([value.tag, ...head]), content])
}

/** Whole certificates and lists come from the corpus: making them anew would make every run another one. */
export const certificate: Target = {
  name: 'certificate',
  seeds: () =>
    Promise.resolve([
      new Uint8Array([0x30, 0x09, 0x02, 0x01, 0x05, 0x01, 0x01, 0xff, 0x06, 0x01, 0x2a]),
      utf8('-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n'),
    ]),
  words: [
    '\u0030\u0000',
    '\u0031\u0000',
    '\u0001\u0001\u0000',
    '\u0002\u0001\u0000',
    '\u0005\u0000',
    '\u0017\r260101000000Z',
  ].concat([
    '\u0018\u000f20500101000000Z',
    '-----BEGIN X509 CRL-----\n',
    '-----END X509 CRL-----\n',
    '\u0003\u0002\u0007',
    '\u0006\u0003U\u001d\u0013',
  ]),
  run: (bytes) => {
    const der = readDer(bytes, 2_000)
    if (typeof der !== 'string') hold(equalBytes(encode(der), bytes), 'what is read is its own encoding')
    const read = readCertificate(bytes)
    readRevocationList(bytes)
    readCrlFile(bytes)
    if (typeof read === 'string') return
    hold(Number.isSafeInteger(read.notBeforeMs), 'it has a time from which it is valid')
    let theirs: X509Certificate
    try {
      theirs = new X509Certificate(bytes)
    } catch {
      // The platform reads more of the inside than we do, and may refuse it: nothing to compare then.
      return
    }
    hold(BigInt(`0x${theirs.serialNumber}`) === BigInt(`0x${read.serial}`), 'the serial number')
    hold(Date.parse(theirs.validTo) === read.notAfterMs, 'the time until which it is valid')
  },
}
