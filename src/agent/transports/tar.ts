// A tar archive, read strictly: regular files and folders in POSIX ustar or GNU headers, and nothing else. Libraries help
// archives along (long names, sparse files, overrides, concatenation); each kind of help is a second meaning for the same
// octets, and a second meaning is an attack (bundle-trust sheet section 6, "tar and zip tricks").
//
// Layout: POSIX.1-2017, pax, "ustar Interchange Format".

import { decodeUtf8 } from '../../base/bytes.js'
import { transportFault } from './errors.js'
import type { Parcel } from './parcel.js'

const BLOCK = 512
const REFUSED: Readonly<Record<string, string>> = {
  '1': 'it is a hard link',
  '2': 'it is a symbolic link',
  '3': 'it is a character device',
  '4': 'it is a block device',
  '6': 'it is a FIFO',
  K: 'it uses a GNU long name',
  L: 'it uses a GNU long name',
  S: 'it is a sparse file',
}
/** PAX records that cannot change what a member is; every other one is refused. */
const HARMLESS = ['atime', 'ctime', 'mtime', 'uid', 'gid', 'uname', 'gname', 'comment']

const malformed = (why: string) => transportFault('TRANSPORT_ARCHIVE', { why })

/** Walks the whole archive and puts every file into the parcel. Throws TRANSPORT_*. */
export function unpackTar(archive: Uint8Array, parcel: Parcel): void {
  if (archive.length % BLOCK !== 0) throw malformed('it is cut off within a block')
  let at = 0
  for (;;) {
    const header = archive.subarray(at, at + BLOCK)
    if (header.length === 0) throw malformed('the end marker is missing')
    if (isZero(header)) break
    at += BLOCK + readEntry(header, archive.subarray(at + BLOCK), parcel)
  }
  if (archive.length - at < 2 * BLOCK) throw malformed('the end marker is missing')
  if (!isZero(archive.subarray(at))) throw malformed('there is data after the end')
}

/** One entry; returns the octets that its content takes, padding included. */
function readEntry(header: Uint8Array, rest: Uint8Array, parcel: Parcel): number {
  const magic = String.fromCharCode(...header.subarray(257, 265))
  if (magic !== 'ustar\x0000' && magic !== 'ustar  \0') throw malformed('a header is neither ustar nor GNU')
  requireChecksum(header)
  const path = readPath(header, magic === 'ustar\x0000')
  const size = octal(header, 124, 12, 'size')
  const padded = Math.ceil(size / BLOCK) * BLOCK
  const type = String.fromCharCode(header[156] ?? 0)
  const refused = REFUSED[type]
  if (refused !== undefined) throw transportFault('TRANSPORT_ENTRY', { path, why: refused })
  if (type === '5') {
    if (size !== 0) throw malformed('a folder has content')
    parcel.folder(path.replace(/\/$/, ''))
    return 0
  }
  if (type !== '0' && type !== '\0' && type !== 'x' && type !== 'g')
    throw transportFault('TRANSPORT_ENTRY', { path, why: 'it is of an unknown type' })
  if (!isZero(header.subarray(157, 257))) throw malformed('a file names a link target')
  // The claim comes first: it holds the limits, and costs nothing.
  if (type === '0' || type === '\0') parcel.file(path, size)
  if (padded > rest.length) throw malformed('it is cut off within a file')
  if (!isZero(rest.subarray(size, padded))) throw malformed('there is data in the padding')
  const content = rest.subarray(0, size)
  if (type === 'x' || type === 'g') requireHarmless(content, path)
  else parcel.put(path, new Uint8Array(content))
  return padded
}

/** The sum of the header's octets, with the checksum field counted as spaces. */
function requireChecksum(header: Uint8Array): void {
  let sum = 0
  for (const [i, byte] of header.entries()) sum += i >= 148 && i < 156 ? 0x20 : byte
  if (sum !== octal(header, 148, 8, 'checksum')) throw malformed('a header checksum is wrong')
}

/** Digits between optional spaces, ended by NUL or space. The GNU base-256 form is refused. */
function octal(header: Uint8Array, offset: number, length: number, what: string): number {
  const match = /^ *([0-7]+)[ \0]*$/.exec(String.fromCharCode(...header.subarray(offset, offset + length)))
  if (!match) throw malformed(`a ${what} is not an octal number`)
  return Number.parseInt(match[1] ?? '', 8)
}

/** Name and, in ustar, prefix. What follows the first NUL of a field must be NUL: no hidden second name. */
function readPath(header: Uint8Array, ustar: boolean): string {
  const name = field(header.subarray(0, 100))
  if (!ustar) {
    if (!isZero(header.subarray(345, 500))) throw malformed('a GNU header uses its extension area')
    return name
  }
  const prefix = field(header.subarray(345, 500))
  return prefix === '' ? name : `${prefix}/${name}`
}

function field(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  const used = end < 0 ? bytes : bytes.subarray(0, end)
  if (end >= 0 && !isZero(bytes.subarray(end))) throw malformed('a name goes on after a NUL')
  const text = decodeUtf8(used)
  if (text === undefined) throw malformed('a name is not UTF-8')
  return text
}

/** PAX records: `LENGTH KEY=VALUE\n`, LENGTH counting all of it. */
function requireHarmless(content: Uint8Array, path: string): void {
  let at = 0
  while (at < content.length) {
    const space = content.indexOf(0x20, at)
    const digits = decodeUtf8(content.subarray(at, space)) ?? ''
    const length = /^[1-9]\d{0,5}$/.test(digits) ? Number(digits) : 0
    const record = decodeUtf8(content.subarray(space + 1, at + length))
    const match = /^([^=]+)=[\s\S]*\n$/.exec(record ?? '')
    if (space < 0 || !match || at + length > content.length) throw malformed('a PAX record is malformed')
    const key = match[1] ?? ''
    if (!HARMLESS.includes(key))
      throw transportFault('TRANSPORT_ENTRY', { path, why: `it has a PAX override of ${key.slice(0, 40)}` })
    at += length
  }
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0)
