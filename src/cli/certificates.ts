// Certificates as authorities hand them out: files of PEM blocks (RFC 7468), for enrolment in a trust root. What is in them is
// judged by the bundle folder; here they only become octets.

import { decodeBase64, decodeUtf8 } from '../base/bytes.js'
import { bundleFault } from '../bundle/errors.js'
import { readFile } from './files.js'
import type { Host } from './host.js'

const BLOCK = /-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END CERTIFICATE-----/g

/** The certificates of a file in their order; text around the blocks is left aside. Throws BUNDLE_KEY. */
export function readPemCertificates(host: Host, path: string): readonly Uint8Array[] {
  const text = decodeUtf8(readFile(host, path, 'certificate')) ?? ''
  const found = [...text.matchAll(BLOCK)].map(([, body = '']) => decodeBase64(body.replace(/\s/g, '')))
  if (found.length === 0 || found.includes(undefined))
    throw bundleFault('BUNDLE_KEY', { name: path, why: 'it holds no CERTIFICATE blocks in PEM' })
  return found.filter((octets) => octets !== undefined)
}
