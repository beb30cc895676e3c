// The directory and archive transports: round trips, limits, and one test for each trick that a tar archive or a
// directory can play.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { readBundleArchive, writeBundleArchive } from '../../../src/agent/transports/archive.js'
import { readBundleDirectory } from '../../../src/agent/transports/directory.js'
import { ENTRY_LIMIT } from '../../../src/agent/transports/parcel.js'
import { readBundle } from '../../../src/agent/transports/read.js'
import { utf8 } from '../../../src/base/bytes.js'
import { Fault } from '../../../src/base/fault.js'
import { LIMITS } from '../../../src/base/limits.js'
import type { BundleBytes } from '../../../src/bundle/model.js'
import { verifyBundle } from '../../../src/bundle/verify.js'
import { CONTEXT, MEMBERS, makeBundle, TRUST } from './fixture.js'
import { file, noise, paxRecord, type TarEntry, tar, tgz } from './tarball.js'

const scratch = mkdtempSync(join(tmpdir(), 'sluice-transport-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
let count = 0
function folder(bundle: BundleBytes): string {
  const path = join(scratch, String(count++))
  mkdirSync(path)
  writeFileSync(join(path, 'bundle.yaml'), bundle.manifest)
  if (bundle.release) writeFileSync(join(path, 'release.jws.json'), bundle.release)
  for (const [name, content] of bundle.members) {
    mkdirSync(join(path, name, '..'), { recursive: true })
    writeFileSync(join(path, name), content)
  }
  return path
}
async function refusal(promise: Promise<unknown>): Promise<{ code: string; say: string }> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof Fault)) throw new Error(`expected a Fault, got ${String(error)}`)
  return { code: error.code, say: error.message }
}
const good = await makeBundle()
const MANIFEST = file('bundle.yaml')

describe('round trips', () => {
  it('a directory on disk verifies', async () => {
    const bytes = await readBundle(folder(good))
    expect((await verifyBundle(bytes, TRUST, CONTEXT)).members).toEqual(MEMBERS)
  })
  it('an archive on disk verifies, and the writer is deterministic', async () => {
    const archive = await writeBundleArchive(good)
    expect(await writeBundleArchive({ ...good, members: new Map([...good.members].reverse()) })).toEqual(archive)
    const path = join(scratch, 'bundle.tgz')
    writeFileSync(path, archive)
    expect((await verifyBundle(await readBundle(path), TRUST, CONTEXT)).members).toEqual(MEMBERS)
  })
  it('reads what GNU tar packs in its own, ustar and pax formats', async () => {
    const path = folder(good)
    for (const format of ['gnu', 'ustar', 'pax']) {
      const archive = execFileSync('tar', [
        '-cz',
        `--format=${format}`,
        '-C',
        path,
        'bundle.yaml',
        'release.jws.json',
        'fence.yaml',
        'policies',
      ])
      expect((await readBundleArchive(archive)).members).toEqual(MEMBERS)
    }
  })
  it('GNU tar reads what we pack', async () => {
    const listing = execFileSync('tar', ['-tz'], { input: await writeBundleArchive(good), encoding: 'utf8' })
    expect(listing.trim().split('\n')).toEqual([
      'bundle.yaml',
      'release.jws.json',
      'fence.yaml',
      'policies/sandbox.yaml',
    ])
  })
})

describe('directory', () => {
  it('nothing there, a socket, no manifest', async () => {
    expect((await refusal(readBundle(join(scratch, 'absent')))).code).toBe('TRANSPORT_NOT_FOUND')
    expect(await refusal(readBundle('/dev/null'))).toEqual({
      code: 'TRANSPORT_KIND',
      say: '"/dev/null" is neither a directory nor a regular file',
    })
    const empty = join(scratch, 'empty')
    mkdirSync(empty)
    expect(await refusal(readBundle(empty))).toEqual({
      code: 'TRANSPORT_NO_MANIFEST',
      say: 'there is no bundle.yaml at the top',
    })
  })
  it('symbolic links, to files and to folders', async () => {
    const path = folder(good)
    symlinkSync('/etc/hostname', join(path, 'link.yaml'))
    expect(await refusal(readBundle(path))).toEqual({
      code: 'TRANSPORT_ENTRY',
      say: '"link.yaml" cannot be part of a bundle: it is a symbolic link',
    })
    const other = folder(good)
    symlinkSync('/etc', join(other, 'policies', 'etc'))
    expect((await refusal(readBundle(other))).say).toBe(
      '"policies/etc" cannot be part of a bundle: it is a symbolic link',
    )
  })
  it('a FIFO does not hold the reader up, and a socket is refused', async () => {
    const path = folder(good)
    execFileSync('mkfifo', [join(path, 'pipe')])
    expect((await refusal(readBundle(path))).say).toBe('"pipe" cannot be part of a bundle: it is not a regular file')
    const other = folder(good)
    const server = createServer().listen(join(other, 'socket'))
    await new Promise((resolve) => server.once('listening', resolve))
    expect((await refusal(readBundle(other))).say).toBe('"socket" cannot be part of a bundle: it is not a regular file')
    server.close()
  })
  it('names outside the charset, and names that are not UTF-8', async () => {
    const path = folder(good)
    writeFileSync(join(path, 'caf\u00e9.yaml'), '')
    expect((await refusal(readBundle(path))).code).toBe('TRANSPORT_ENTRY')
    const other = folder(good)
    writeFileSync(Buffer.concat([Buffer.from(`${other}/`), Buffer.from([0xff, 0xfe])]), '')
    expect((await refusal(readBundle(other))).say).toContain('it holds a character outside')
  })
  it('names that collide under case folding', async () => {
    const path = folder(good)
    writeFileSync(join(path, 'FENCE.yaml'), '')
    expect((await refusal(readBundleDirectory(path))).say).toBe(
      '"fence.yaml" cannot be part of a bundle: another file has the same path, or one that differs only in case',
    )
  })
  it('a file over the limit is refused by its size, one at the limit is read', async () => {
    const path = folder(good)
    writeFileSync(join(path, 'big'), new Uint8Array(LIMITS.memberBytes))
    expect((await readBundle(path)).members.get('big')?.length).toBe(LIMITS.memberBytes)
    writeFileSync(join(path, 'big'), new Uint8Array(LIMITS.memberBytes + 1))
    expect(await refusal(readBundle(path))).toEqual({
      code: 'TRANSPORT_TOO_LARGE',
      say: 'big is larger than 4194304 octets',
    })
  })
  it('more entries than a bundle may have', async () => {
    const path = folder({ manifest: utf8('x'), members: new Map() })
    for (let i = 1; i < ENTRY_LIMIT; i++) writeFileSync(join(path, `f${i}`), '')
    expect((await readBundle(path)).members.size).toBe(ENTRY_LIMIT - 1)
    writeFileSync(join(path, 'one-more'), '')
    expect(await refusal(readBundle(path))).toEqual({
      code: 'TRANSPORT_TOO_MANY',
      say: 'there are more than 2050 files and folders',
    })
  })
  it('folders deeper than 16 segments', async () => {
    const deep = Array.from({ length: 15 }, () => 'd').join('/')
    const path = folder({ manifest: utf8('x'), members: new Map([[`${deep}/f`, utf8('y')]]) })
    expect((await readBundle(path)).members.size).toBe(1)
    mkdirSync(join(path, deep, 'e'))
    writeFileSync(join(path, deep, 'e', 'f'), '')
    expect((await refusal(readBundle(path))).say).toContain('it has more than 16 segments')
  })
})

describe('tar tricks', () => {
  const refuses = async (entries: readonly TarEntry[], code: string, say: string, end?: Uint8Array) =>
    expect(await refusal(readBundleArchive(tgz([MANIFEST, ...entries], end)))).toEqual({ code, say })
  const entry = (name: string, why: string) => `"${name}" cannot be part of a bundle: ${why}`
  const named: readonly (readonly [string, string, string])[] = [
    ['absolute path', '/etc/passwd', 'it is absolute'],
    ['.. segment', 'a/../../b', 'it has a ".." segment'],
    ['. segment', './a', 'it has a "." segment'],
    ['empty segment', 'a//b', 'it has an empty segment'],
    ['empty name', '', 'it is empty'],
    ['backslash', 'a\\\\b', 'it holds a backslash'],
    [
      'not ASCII (NFC and NFD forms cannot collide)',
      'caf\u00e9',
      'it holds a character outside A-Z a-z 0-9 . _ - + = @ ,',
    ],
    ['space', 'a b', 'it holds a character outside A-Z a-z 0-9 . _ - + = @ ,'],
  ]
  for (const [title, name, why] of named)
    it(title, async () => refuses([file(name.replace('\\\\', '\\'))], 'TRANSPORT_ENTRY', entry(name, why)))
  const typed: readonly (readonly [string, string, string])[] = [
    ['hard link', '1', 'it is a hard link'],
    ['symbolic link', '2', 'it is a symbolic link'],
    ['character device', '3', 'it is a character device'],
    ['block device', '4', 'it is a block device'],
    ['FIFO', '6', 'it is a FIFO'],
    ['contiguous file', '7', 'it is of an unknown type'],
    ['GNU long name', 'L', 'it uses a GNU long name'],
    ['GNU long link', 'K', 'it uses a GNU long name'],
    ['sparse file', 'S', 'it is a sparse file'],
  ]
  for (const [title, type, why] of typed)
    it(title, async () => refuses([{ name: 'm', type, link: 'bundle.yaml' }], 'TRANSPORT_ENTRY', entry('m', why)))
  it('duplicate name', () =>
    refuses(
      [file('m'), file('m')],
      'TRANSPORT_ENTRY',
      entry('m', 'another file has the same path, or one that differs only in case'),
    ))
  it('names that differ in case', () =>
    refuses(
      [file('m'), file('M')],
      'TRANSPORT_ENTRY',
      entry('M', 'another file has the same path, or one that differs only in case'),
    ))
  it('folders that differ in case', () =>
    refuses(
      [file('d/a'), file('D/b')],
      'TRANSPORT_ENTRY',
      entry('D/b', 'its folder differs from another one only in case'),
    ))
  it('a file used as a folder, both ways round', async () => {
    await refuses([file('m'), file('m/n')], 'TRANSPORT_ENTRY', entry('m/n', 'it lies below a file'))
    await refuses([file('m/n'), file('m')], 'TRANSPORT_ENTRY', entry('m', 'a folder has the same path'))
    await refuses([file('m'), { name: 'm/', type: '5' }], 'TRANSPORT_ENTRY', entry('m', 'a file has the same path'))
  })
  it('a second manifest', () =>
    refuses(
      [MANIFEST],
      'TRANSPORT_ENTRY',
      entry('bundle.yaml', 'another file has the same path, or one that differs only in case'),
    ))
  it('a name hidden behind a NUL', () =>
    refuses(
      [{ name: Buffer.from('a\0b') }],
      'TRANSPORT_ARCHIVE',
      'the archive is malformed: a name goes on after a NUL',
    ))
  it('a name that is not UTF-8', () =>
    refuses([{ name: Buffer.from([0xff]) }], 'TRANSPORT_ARCHIVE', 'the archive is malformed: a name is not UTF-8'))
  it('an absolute path through the prefix field', () =>
    refuses([{ name: 'passwd', prefix: '/etc' }], 'TRANSPORT_ENTRY', entry('/etc/passwd', 'it is absolute')))
  it('PAX overrides of path, size and link; a harmless record passes', async () => {
    const pax = (key: string, value: string): TarEntry => ({
      name: 'PaxHeaders/m',
      type: 'x',
      content: paxRecord(key, value),
    })
    for (const key of ['path', 'size', 'linkpath', 'GNU.sparse.name', 'hdrcharset'])
      await refuses(
        [pax(key, '1'), file('m')],
        'TRANSPORT_ENTRY',
        entry('PaxHeaders/m', `it has a PAX override of ${key}`),
      )
    const global: TarEntry = { name: 'g', type: 'g', content: paxRecord('path', 'other') }
    await refuses([global, file('m')], 'TRANSPORT_ENTRY', entry('g', 'it has a PAX override of path'))
    const bytes = await readBundleArchive(tgz([MANIFEST, pax('mtime', '12.5'), file('m')]))
    expect([...bytes.members.keys()]).toEqual(['m'])
  })
  it('a PAX record with a wrong length', async () => {
    for (const content of [utf8('8 path=m\n'), utf8('99 mtime=1\n'), utf8('mtime=1\n'), utf8('11 mtime=1x')])
      await refuses(
        [{ name: 'p', type: 'x', content }],
        'TRANSPORT_ARCHIVE',
        'the archive is malformed: a PAX record is malformed',
      )
  })
  it('data after the end', async () => {
    const end = new Uint8Array(2048)
    end[1536] = 1
    await refuses([], 'TRANSPORT_ARCHIVE', 'the archive is malformed: there is data after the end', end)
    await refuses(
      [],
      'TRANSPORT_ARCHIVE',
      'the archive is malformed: there is data after the end',
      Buffer.concat([new Uint8Array(1024), tar([file('m')])]),
    )
  })
  it('no end, half an end, half a block', async () => {
    const missing = 'the archive is malformed: the end marker is missing'
    await refuses([], 'TRANSPORT_ARCHIVE', missing, new Uint8Array(0))
    await refuses([], 'TRANSPORT_ARCHIVE', missing, new Uint8Array(512))
    await refuses(
      [],
      'TRANSPORT_ARCHIVE',
      'the archive is malformed: it is cut off within a block',
      new Uint8Array(1000),
    )
  })
  it('padding records after the end pass, as GNU tar writes them', async () => {
    expect((await readBundleArchive(tgz([file('bundle.yaml', noise(500))], new Uint8Array(10_240)))).members.size).toBe(
      0,
    )
  })
  it('a size that is longer than the archive, negative or not octal', async () => {
    const size = (sizeField: string): TarEntry => ({ name: 'm', sizeField })
    await refuses([size('00000200000\0')], 'TRANSPORT_ARCHIVE', 'the archive is malformed: it is cut off within a file')
    for (const field of ['-0000000001\0', '0000000000x\0', '\x80\0\0\0\0\0\0\0\0\0\0\0', '            '])
      await refuses([size(field)], 'TRANSPORT_ARCHIVE', 'the archive is malformed: a size is not an octal number')
  })
  it('a member over its limit is refused before it is unpacked', () =>
    refuses([{ name: 'm', sizeField: '00020000001\0' }], 'TRANSPORT_TOO_LARGE', 'm is larger than 4194304 octets'))
  it('a wrong checksum, an unknown magic, data in the padding, a file with a link', async () => {
    const no = (why: string) => ['TRANSPORT_ARCHIVE', `the archive is malformed: ${why}`] as const
    await refuses([{ ...file('m'), checksum: 1 }], ...no('a header checksum is wrong'))
    await refuses([{ ...file('m'), magic: 'posix\x0000' }], ...no('a header is neither ustar nor GNU'))
    await refuses([{ ...file('m'), padding: 7 }], ...no('there is data in the padding'))
    await refuses([{ ...file('m'), link: 'bundle.yaml' }], ...no('a file names a link target'))
    await refuses([{ name: 'd/', type: '5', content: utf8('x') }], ...no('a folder has content'))
    await refuses([{ ...file('m'), magic: 'ustar  \0', prefix: 'x' }], ...no('a GNU header uses its extension area'))
  })
  it('more entries than a bundle may have', async () => {
    const many = (length: number) => Array.from({ length }, (_, i) => ({ name: `f${i}` }))
    // Every entry costs 512 octets of zeros, so the ratio would speak first without something that does not compress.
    const dust = file('noise', noise(40_000))
    const at = await readBundleArchive(tgz([MANIFEST, dust, ...many(ENTRY_LIMIT - 2)]))
    expect(at.members.size).toBe(ENTRY_LIMIT - 1)
    await refuses([dust, ...many(ENTRY_LIMIT - 1)], 'TRANSPORT_TOO_MANY', 'there are more than 2050 files and folders')
  })
})

describe('gzip tricks', () => {
  const archive = tar([MANIFEST])
  const whole = gzipSync(archive)
  const say = async (bytes: Uint8Array) => (await refusal(readBundleArchive(bytes))).say
  it('a second member', async () => {
    const after = 'the archive is malformed: there is data after the end of the gzip member'
    expect(await say(Buffer.concat([whole, gzipSync(tar([file('m')]))]))).toBe(after)
    expect(await say(Buffer.concat([whole, gzipSync('')]))).toBe(after)
  })
  it('trailing octets', async () => {
    expect(await say(Buffer.concat([whole, Buffer.from([0])]))).toContain('data after the end of the gzip member')
  })
  it('cut off, at every length', async () => {
    for (let length = 0; length < whole.length; length++)
      expect((await refusal(readBundleArchive(whole.subarray(0, length)))).code).toBe('TRANSPORT_ARCHIVE')
  })
  it('a wrong checksum or length', async () => {
    for (const at of [whole.length - 1, whole.length - 5]) {
      const bad = Buffer.from(whole)
      bad[at] = (bad[at] ?? 0) ^ 1
      expect(await say(bad)).toBe('the archive is malformed: the gzip checksum is wrong')
    }
  })
  it('header fields: a name passes, extra fields do not', async () => {
    const body = whole.subarray(10)
    const header = (flags: number, ...rest: Uint8Array[]) =>
      Buffer.concat([Buffer.from([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3]), ...rest, body])
    expect((await readBundleArchive(header(8, Buffer.from('b.tar\0')))).members.size).toBe(0)
    expect((await readBundleArchive(header(24, Buffer.from('b.tar\0'), Buffer.from('note\0')))).members.size).toBe(0)
    expect(await say(header(4, Buffer.from([1, 0, 9])))).toContain('flags other than name and comment')
    expect(await say(header(8))).toContain('malformed')
  })
  it('not gzip at all', async () => {
    expect(await say(utf8('PK\x03\x04 and so on, long enough'))).toBe('the archive is malformed: it is not gzip')
  })
  it('a bomb: the ratio at the limit and one past it', async () => {
    const incompressible = noise(3000)
    const pad = (length: number) => tgz([MANIFEST, file('n', incompressible), file('z', new Uint8Array(length))])
    const ratioOf = (bytes: Uint8Array, length: number) =>
      tar([MANIFEST, file('n', incompressible), file('z', new Uint8Array(length))]).length / bytes.length
    let length = 150_000
    while (ratioOf(pad(length), length) <= LIMITS.archiveRatio) length += 512
    expect((await readBundleArchive(pad(length - 512))).members.size).toBe(2)
    expect(await refusal(readBundleArchive(pad(length)))).toEqual({
      code: 'TRANSPORT_RATIO',
      say: 'the archive unpacks to more than 100 times its size',
    })
  })
  it('an archive at its size limit is unpacked, one octet more is not', async () => {
    const at = new Uint8Array(LIMITS.archiveBytes)
    expect((await refusal(readBundleArchive(at))).code).toBe('TRANSPORT_ARCHIVE')
    const past = new Uint8Array(LIMITS.archiveBytes + 1)
    expect(await refusal(readBundleArchive(past))).toEqual({
      code: 'TRANSPORT_TOO_LARGE',
      say: 'the archive is larger than 8388608 octets',
    })
    const path = join(scratch, 'large.tgz')
    writeFileSync(path, past)
    expect((await refusal(readBundle(path))).code).toBe('TRANSPORT_TOO_LARGE')
  })
  it('an archive that unpacks to more than the bundle limit', async () => {
    const entries = [
      MANIFEST,
      file('n', noise(400_000)),
      ...Array.from({ length: 8 }, (_, i) => file(`z${i}`, new Uint8Array(LIMITS.memberBytes - 512))),
    ]
    expect(await refusal(readBundleArchive(tgz(entries)))).toEqual({
      code: 'TRANSPORT_TOO_LARGE',
      say: 'the unpacked archive is larger than 33554432 octets',
    })
  })
})
