// Certificate revocation lists (RFC 5280 section 5): complete lists of one authority, fresh at the instant of judging. Gives
// the serial numbers that are revoked; text says why octets are not such a list.
//
// Refused: partial, indirect and delta lists (they say so by critical extensions), a list without an end. Lists come as a file
// of PEM blocks beside the trust root; nothing is ever fetched from an address inside a certificate.

import { decodeBase64, decodeUtf8, hex } from '../../base/bytes.js'
import { LIMITS } from '../../base/limits.js'
import { readExtensions } from './certificate.js'
import { type Der, dotted, parseTime, readDer, TAG } from './der.js'
import { AUTHORITY_ALGORITHMS } from './profile.js'

export interface RevocationList {
  readonly bytes: Uint8Array
  /** As `Certificate.issuer`. */
  readonly issuer: string
  readonly thisUpdateMs: number
  readonly nextUpdateMs: number
  /** In hex. */
  readonly revoked: ReadonlySet<string>
}

const MAX_NODES = 400_000
const EXTENSIONS = 0xa0

export function readRevocationList(bytes: Uint8Array): RevocationList | string {
  if (bytes.length > LIMITS.crlBytes) return `it has ${bytes.length} octets; the limit is ${LIMITS.crlBytes}`
  const der = readDer(bytes, MAX_NODES)
  if (typeof der === 'string') return der
  const [body, outer, signature, ...rest] = der.children
  if (!body || !outer || signature?.tag !== TAG.bitString || rest.length > 0) return 'it is not a revocation list'
  const [version, inner, issuer, from, until, ...more] = body.children
  if (version?.tag !== TAG.integer || version.content[0] !== 1) return 'it is not of version 2'
  if (!inner || !issuer || hex(inner.bytes) !== hex(outer.bytes)) return 'its two signature algorithms differ'
  const algorithm = dotted(outer.children[0]?.content ?? new Uint8Array(0))
  if (!AUTHORITY_ALGORITHMS.has(algorithm)) return `it is signed with ${algorithm}, which is not accepted`
  const thisUpdateMs = from && parseTime(from.tag, from.content)
  const nextUpdateMs = until && parseTime(until.tag, until.content)
  if (thisUpdateMs === undefined || nextUpdateMs === undefined)
    return 'it does not say from when and until when it holds'
  const entries = more[0]?.tag === TAG.sequence ? more[0] : undefined
  const own = entries === undefined ? more[0] : more[1]
  if (more.length > (entries === undefined ? 1 : 2) || own?.tag !== EXTENSIONS) return 'it has no extensions'
  const critical = refuseCritical(own.children[0])
  if (critical !== undefined) return critical
  const revoked = readEntries(entries)
  if (typeof revoked === 'string') return revoked
  return { bytes, issuer: hex(issuer.bytes), thisUpdateMs, nextUpdateMs, revoked }
}

/** Critical extensions are those of lists that are not the whole truth about their issuer. */
function refuseCritical(list: Der | undefined): string | undefined {
  const extensions = readExtensions(list)
  if (typeof extensions === 'string') return extensions
  for (const [id, { critical }] of extensions)
    if (critical) return `it has the critical extension ${id}: partial, indirect and delta lists are not accepted`
  return undefined
}

function readEntries(list: Der | undefined): Set<string> | string {
  const revoked = new Set<string>()
  for (const { children } of list?.children ?? []) {
    const [serial, date, extensions] = children
    if (serial?.tag !== TAG.integer || date === undefined) return 'an entry is malformed'
    const critical = extensions === undefined ? undefined : refuseCritical(extensions)
    if (critical !== undefined) return critical
    revoked.add(hex(serial.content))
  }
  return revoked
}

const BLOCK = /-----BEGIN X509 CRL-----\n((?:[A-Za-z0-9+/=]{1,76}\n)+)-----END X509 CRL-----\n?/y

/** The lists of a file of PEM blocks (RFC 7468 section 6), with nothing between them but empty lines. */
export function readCrlFile(file: Uint8Array): readonly RevocationList[] | string {
  if (file.length > 2 * LIMITS.crlBytes)
    return `the file has ${file.length} octets; the limit is ${2 * LIMITS.crlBytes}`
  const text = decodeUtf8(file)?.replaceAll('\r\n', '\n')
  if (text === undefined) return 'the file is not UTF-8'
  const lists: RevocationList[] = []
  for (let at = 0; at < text.length; ) {
    if (text[at] === '\n') {
      at++
      continue
    }
    BLOCK.lastIndex = at
    const body = BLOCK.exec(text)?.[1]
    const octets = body === undefined ? undefined : decodeBase64(body.replaceAll('\n', ''))
    if (octets === undefined) return 'the file is not a list of X509 CRL blocks in PEM'
    const list = readRevocationList(octets)
    if (typeof list === 'string') return list
    if (lists.push(list) > LIMITS.crls) return `the file has more than ${LIMITS.crls} lists`
    at = BLOCK.lastIndex
  }
  return lists
}
