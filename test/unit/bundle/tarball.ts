// Writes tar archives header by header, wrong ones above all: what no library would write, an attacker does.

import { gzipSync } from 'node:zlib'

export interface TarEntry {
  readonly name: string | Uint8Array
  readonly content?: Uint8Array
  /** '0' file, '5' folder, '2' symbolic link, 'x' PAX, 'L' GNU long name, and so on. */
  readonly type?: string
  readonly prefix?: string
  readonly link?: string
  /** The size field as written, when it is to differ from the content's. */
  readonly sizeField?: string
  readonly magic?: string
  readonly checksum?: number
  readonly padding?: number
}

const text = (value: string): Uint8Array => Buffer.from(value, 'utf8')

/** A regular file; its content does not matter unless it is given. */
export const file = (name: string, content: Uint8Array = text('x')): TarEntry => ({ name, content })

export function tarEntry(entry: TarEntry): Uint8Array {
  const content = entry.content ?? new Uint8Array(0)
  const header = new Uint8Array(512)
  header.set(typeof entry.name === 'string' ? text(entry.name) : entry.name, 0)
  header.set(text('0000644\0'), 100)
  header.set(text('0000000\0'), 108)
  header.set(text('0000000\0'), 116)
  header.set(text(entry.sizeField ?? `${content.length.toString(8).padStart(11, '0')}\0`), 124)
  header.set(text('00000000000\0'), 136)
  header.set(text('        '), 148)
  header.set(text(entry.type ?? '0'), 156)
  header.set(text(entry.link ?? ''), 157)
  header.set(text(entry.magic ?? 'ustar\x0000'), 257)
  header.set(text(entry.prefix ?? ''), 345)
  const sum = entry.checksum ?? header.reduce((total, byte) => total + byte, 0)
  header.set(text(`${sum.toString(8).padStart(6, '0')}\0 `), 148)
  const padded = new Uint8Array(Math.ceil(content.length / 512) * 512).fill(entry.padding ?? 0)
  padded.set(content)
  return Buffer.concat([header, padded])
}

/** The archive with its end marker of two zero blocks, or what is given instead. */
export const tar = (entries: readonly TarEntry[], end: Uint8Array = new Uint8Array(1024)): Uint8Array =>
  Buffer.concat([...entries.map(tarEntry), end])

export const tgz = (entries: readonly TarEntry[], end?: Uint8Array): Uint8Array => gzipSync(tar(entries, end))

/** A PAX record with its own length in front. */
export function paxRecord(key: string, value: string): Uint8Array {
  const body = ` ${key}=${value}\n`
  let length = body.length + 1
  while (String(length).length + body.length !== length) length = String(length).length + body.length
  return text(`${length}${body}`)
}

/** Octets that do not compress, always the same. */
export function noise(length: number): Uint8Array {
  let x = 1
  return Uint8Array.from({ length }, () => {
    x = (Math.imul(x, 1_103_515_245) + 12_345) & 0x7fffffff
    return x >> 16
  })
}
