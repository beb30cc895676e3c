// Data through a volume: what fio writes it reads back, through the mount and from the bare directory, by every engine that
// takes another way into the kernel; so it is for random operations through several descriptors at once; and what was answered before
// the daemon was killed is there, whole.

import { execFile, spawn } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { repositoryPath } from '../support/lab/repository.js'
import { cannotLend, cannotServe, type Served, serve } from '../support/vault/served.js'

const FSX = repositoryPath('test/support/vault/fsx.py')
/** VAULT_FSX sets how many seeds, and ten times as many operations go with more than the default. */
const SEEDS = Array.from({ length: Number(process.env.VAULT_FSX ?? 3) }, (_, i) => i + 1)
const OPERATIONS = process.env.VAULT_FSX === undefined ? 2_000 : 20_000
/** VAULT_KILLS sets how many times the daemon is killed in the middle of random operations. */
const KILLS = Array.from({ length: Number(process.env.VAULT_KILLS ?? 3) }, (_, i) => i + 1)

/** ECONNABORTED and ENOTCONN are what the kernel says of a server that is gone, EIO of pages that it cannot take out of its cache any
 * more, and EFAULT of a page that it cannot get. */
const GONE: readonly string[] = ['5', '103', '107']
const REFUSALS: Readonly<Record<string, readonly string[]>> = { store: [...GONE, '14'] }

/** A write that nobody answered may be there up to a page: the kernel ends a write(2) between two pages when its process is killed,
 * whoever it writes for. What was answered, and every page, is whole. */
const PARTLY: ReadonlySet<string> = new Set(['write', 'append', 'copy'])
const PAGE = 4096

function howFar(before: Buffer, after: Buffer, found: Buffer): 'before' | 'after' | 'partly' | 'torn' {
  if (found.equals(before)) return 'before'
  if (found.equals(after)) return 'after'
  for (let done = 0; done < after.length; done += PAGE) {
    const then = Buffer.concat([after.subarray(0, done), before.subarray(done)])
    if (found.equals(then)) return 'partly'
  }
  return 'torn'
}

let at: Served | undefined
afterEach(async () => {
  await at?.close()
  at = undefined
})

const fio = (directory: string, words: readonly string[]) =>
  promisify(execFile)('nice', ['fio', '--name=job', `--filename=${join(directory, 'data')}`, '--size=16M', ...words], {
    maxBuffer: 1 << 26,
  })

/** Copies the first file to the second until nothing is left; prints how much each call said that it did. */
const COPY = `
import os, sys
source, target = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
while done := os.copy_file_range(source, target, 1 << 30): print(done)`

/** Open files are judged, or handed to the kernel. */
const WAYS = [
  ['until-revoked', {}],
  ['until-closed', { openFiles: 'until-closed' }],
] as const

describe.skipIf(cannotServe).each(WAYS)('data through a volume (%s)', (_, terms) => {
  it.each([
    ['written in order', ['--rw=write', '--bs=128k', '--ioengine=psync']],
    ['written anywhere', ['--rw=randwrite', '--bs=4k', '--ioengine=psync']],
    ['in blocks of any size', ['--rw=randwrite', '--bsrange=512-64k', '--ioengine=psync']],
    ['written in vectors', ['--rw=randwrite', '--bs=8k', '--ioengine=pvsync']],
    ['past the cache', ['--rw=randwrite', '--bs=4k', '--ioengine=psync', '--direct=1']],
    ['through a mapping', ['--rw=randwrite', '--bs=4k', '--ioengine=mmap']],
    ['from several threads', ['--rw=randwrite', '--bs=4k', '--ioengine=libaio', '--iodepth=16', '--direct=1']],
    ['read and written at once', ['--rw=randrw', '--bs=4k', '--ioengine=psync', '--fsync=64']],
  ])(
    '%s is what is read',
    async (_, words) => {
      expect(existsSync('/usr/bin/fio'), 'fio is missing; run scripts/setup.sh tests').toBe(true)
      at = await serve(['read-write /'], terms)
      const verified = ['--verify=crc32c', '--verify_state_save=0', '--verify_fatal=1', '--randseed=7']
      await fio(at.mount, [...words, ...verified, '--do_verify=1'])
      await fio(at.source, [...words, ...verified, '--verify_only=1'])
      expect(await at.refused()).toEqual([])
    },
    60_000,
  )

  it.each(SEEDS)(
    'is what several descriptors made of it together, through cache, past it and mapped (seed %i)',
    async (seed) => {
      at = await serve(['read-write /'], terms)
      const [file, kept] = [join(at.mount, 'fsx'), join(at.directory, 'kept')]
      const said = await promisify(execFile)('python3', [FSX, file, kept, String(OPERATIONS), String(seed)])
      const lines = said.stdout.trim().split('\n')
      expect(lines.slice(-1)).toEqual([String(OPERATIONS - 1)])
      expect(readFileSync(join(at.source, 'fsx')).equals(readFileSync(`${kept}.after`))).toBe(true)
      expect(await at.refused()).toEqual([])
    },
    120_000,
  )

  it.each(KILLS)(
    'is before or after the operation that was under way when the daemon was killed (seed %i)',
    async (seed) => {
      at = await serve(['read-write /'], terms)
      const { mount, source, directory, pid } = at
      const kept = join(directory, 'kept')
      const child = spawn('python3', [FSX, join(mount, 'fsx'), kept, '1000000', String(seed)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const ended = new Promise((done) => child.once('exit', (code, signal) => done(signal ?? code)))
      const told: string[] = []
      for await (const line of createInterface({ input: child.stdout }))
        if (told.push(line) === 50 + ((seed * 97) % 400)) process.kill(pid(), 'SIGKILL')
      const left = await ended
      expect(told.filter((line) => line.startsWith('torn'))).toEqual([])
      expect(left).toBe(0)
      const [, errno, operation = ''] = told.at(-1)?.split(' ') ?? []
      expect(REFUSALS[operation] ?? GONE, told.at(-1)).toContain(errno)
      const [before, after] = [readFileSync(`${kept}.before`), readFileSync(`${kept}.after`)]
      const found = howFar(before, after, readFileSync(join(source, 'fsx')))
      expect(PARTLY.has(operation) ? ['before', 'after', 'partly'] : ['before', 'after'], operation).toContain(found)
    },
    120_000,
  )

  it.each([
    ['through the volume', 'mount', constants.O_WRONLY],
    ['through the volume', 'mount', constants.O_RDWR],
    ['from outside', 'source', constants.O_WRONLY],
    ['from outside', 'source', constants.O_RDWR],
  ] as const)(
    'takes setuid away that was set %s while the file was open to be written (%s, flags %i)',
    async (_, where, flags) => {
      at = await serve(['read-write /'], terms)
      const file = join(at.mount, 'tool')
      const written = openSync(file, constants.O_CREAT | flags, 0o755)
      chmodSync(join(at[where], 'tool'), 0o6755)
      expect(statSync(join(at.source, 'tool')).mode & 0o7777).toBe(0o6755)
      writeSync(written, 'x')
      closeSync(written)
      expect(statSync(join(at.source, 'tool')).mode & 0o7777).toBe(0o755)
    },
  )

  it('is copied whole, in pieces that are never long enough for a flag to wait', async () => {
    at = await serve(['read-write /'], terms)
    const octets = Buffer.alloc((9 << 20) + 5, 'a line of what is copied\n')
    writeFileSync(join(at.source, 'from'), octets)
    const [from, to] = [join(at.mount, 'from'), join(at.mount, 'to')]
    const { stdout } = await promisify(execFile)('python3', ['-c', COPY, from, to])
    expect(Math.max(...stdout.trim().split('\n').map(Number))).toBeLessThanOrEqual(4 << 20)
    expect(readFileSync(join(at.source, 'to')).equals(octets)).toBe(true)
    expect(await at.refused()).toEqual([])
  }, 60_000)

  it.each([1, 2, 3])(
    'that was answered before the daemon was killed is there, whole (%i)',
    async () => {
      at = await serve(['read-write /'], terms)
      const { mount, source, pid } = at
      const program = repositoryPath('test/support/vault/writer.py')
      const lent = 'openFiles' in terms && !cannotLend
      // More than can be written until this process has heard of 200, however late that is.
      const count = lent ? '4000' : '1000000'
      const child = spawn('python3', [program, join(mount, 'blocks'), count], { stdio: ['ignore', 'pipe', 'inherit'] })
      let answered = -1
      let last = ''
      for await (const line of createInterface({ input: child.stdout })) {
        if (line === 'done' || line.startsWith('refused')) {
          last = line
          continue
        }
        answered = Number(line)
        if (answered === 200) process.kill(pid(), 'SIGKILL')
      }
      // An error, and no waiting. What the kernel was handed goes on without the daemon.
      expect(lent ? ['done'] : GONE.map((errno) => `refused ${errno}`)).toContain(last)
      expect(answered).toBeGreaterThanOrEqual(200)
      const octets = readFileSync(join(source, 'blocks'))
      const torn: number[] = []
      for (let i = 0; i * 4096 < octets.length; i++) {
        const expected = Buffer.alloc(8)
        expected.writeBigUInt64LE(BigInt(i))
        const block = octets.subarray(i * 4096, (i + 1) * 4096)
        if (!block.equals(Buffer.alloc(4096, expected))) torn.push(i)
      }
      expect(torn).toEqual([])
      expect(octets.length / 4096).toBeGreaterThanOrEqual(answered + 1)
    },
    60_000,
  )
})
