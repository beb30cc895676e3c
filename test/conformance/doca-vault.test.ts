// Volumes behind DevEmu virtio-fs on the emulated card, against evaluateFile: random rules, and every operation of the protocol on
// paths that rules speak of or not. Then what a guest's kernel may say that is not so, what it changes while it is copied, the
// order of requests, and what happens to open files when rules change. DOCA_VAULT_SCENES sets how many sets of rules.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { evaluateFile } from '../../src/plan/evaluate-file.js'
import type { FileOperation } from '../../src/plan/file-operations.js'
import { lower } from '../../src/vault/lower.js'
import { readEvents } from '../../src/vault/readback.js'
import { repositoryPath } from '../support/lab/repository.js'
import { WS } from '../support/plans.js'
import {
  type Answered,
  buildGuest,
  entriesOf,
  FUSE,
  Guest,
  names,
  PCI,
  ROOT,
  VUID,
  words,
} from '../support/vault/guest.js'
import { ON_ENTRY, ON_NODE, setattr } from '../support/vault/plays.js'
import { sliceOf, volume } from '../support/vault/slices.js'

const SCENES = Number(process.env.DOCA_VAULT_SCENES ?? 40)
const [EACCES, EROFS, ESTALE, EBADF, EINVAL, ENOENT] = [13, 30, 116, 9, 22, 2] as const
const isRoot = process.getuid?.() === 0

let program = ''
const after: (() => Promise<unknown> | unknown)[] = []
beforeAll(() => {
  program = buildGuest()
}, 240_000)
afterEach(async () => {
  for (const step of after.splice(0).reverse()) await step()
})

async function card(rules: readonly string[], places: readonly string[] = [VUID]) {
  const directory = mkdtempSync(join(tmpdir(), 'sv-'))
  after.push(() => rmSync(directory, { recursive: true, force: true }))
  const [source, state] = ['source', 'state'].map((name) => join(directory, name)) as [string, string]
  mkdirSync(source)
  mkdirSync(state)
  const guest = new Guest([program], directory)
  // Whatever a test did: nothing that a device would not take, nothing that a sanitizer saw, nothing left.
  after.push(async () => {
    expect(await guest.end()).toBe('')
  })
  expect(await guest.say(`card ${PCI} ${VUID},OTHER`)).toBe('0')
  expect(await guest.say(`open ${state}`)).toBe('0 ')
  for (const [i, vuid] of places.entries())
    expect(await guest.say(`place ${WS} ${i === 0 ? 'work' : `v${i}`} ${PCI} ${vuid} tag${i}`)).toBe('0')
  let generation = 0
  const apply = async (lines: readonly string[]): Promise<void> => {
    generation++
    const { table } = lower(sliceOf([volume(lines, { source })], generation))
    expect(await guest.stage(table)).toBe('0 ')
    expect(await guest.say(`commit ${generation}`)).toBe('0 ')
  }
  const refused = async () => readEvents((await guest.list('events')).join('\n')).denials
  after.push(async () => {
    expect(await guest.list('violations')).toEqual([])
    expect(await guest.say('close')).toBe('0')
  })
  await apply(rules)
  return { guest, source, apply, refused }
}

const nodeOf = (answer: Answered): bigint => answer.body.readBigUInt64LE(0)

/** Looks a path up, name by name; the node, or the error. */
async function walk(guest: Guest, path: string): Promise<{ readonly node: bigint; readonly errno: number }> {
  let node = ROOT
  for (const name of path.split('/').filter((part) => part !== '')) {
    const found = await guest.ask('lookup', node, { given: names(name) })
    if (found.errno !== 0) return { node: 0n, errno: found.errno }
    node = nodeOf(found)
  }
  return { node, errno: 0 }
}

const above = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/'
const leaf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

const path = fc
  .array(fc.constantFrom('a', 'b'), { maxLength: 2 })
  .chain((parts) => fc.constantFrom('a', 'b', 'f').map((last) => `/${[...parts, last].join('/')}`))
const rule = fc
  .tuple(fc.constantFrom('read-only', 'read-write', 'read-write', 'deny'), path)
  .map((pair) => pair.join(' '))

describe.skipIf(!isRoot)('virtio-fs of an emulated card', () => {
  it(`decides as evaluateFile: ${SCENES} sets of rules, each operation on each path`, async () => {
    const seen = { allow: 0, deny: 0, told: 0 }
    const { guest, source, apply, refused } = await card(['read-only /'])
    const scene = fc.tuple(
      fc.uniqueArray(rule, { minLength: 1, maxLength: 6 }),
      fc.uniqueArray(path, { minLength: 6, maxLength: 10 }),
    )
    for (const [rules, paths] of fc.sample(scene, { seed: 11, numRuns: SCENES })) {
      for (const name of ['a', 'b', 'f']) rmSync(join(source, name), { recursive: true, force: true })
      for (const one of ['a/a', 'a/b', 'b/a', 'b/b']) mkdirSync(join(source, one), { recursive: true })
      for (const one of ['f', 'a/f', 'b/f', 'a/a/f', 'b/b/f']) writeFileSync(join(source, one), 'x')
      await apply(rules)
      const slice = { backend: 'vaultfs' as const, domain: 'host' as const, volumes: [volume(rules)] }
      const judge = (operation: FileOperation, at: string) =>
        evaluateFile(slice, { quarantined: false, suspended: false }, { volume: 'work', operation, path: at })
      /** The first refusal on the way to a path, itself included. */
      const onTheWay = (at: string) =>
        at
          .split('/')
          .slice(1)
          .map((_, i, parts) => judge('lookup', `/${parts.slice(0, i + 1).join('/')}`))
          .find((verdict) => verdict.kind === 'deny')
      const check = async (what: string, answered: number, verdict: ReturnType<typeof judge>): Promise<void> => {
        seen[verdict.kind]++
        if (verdict.kind === 'deny') {
          expect(answered, what).toBe(verdict.error === 'EROFS' ? EROFS : EACCES)
          const told = await refused()
          if (told.length === 0) return // the bucket of events is empty for a moment
          seen.told++
          expect(told.at(-1), what).toMatchObject({ volume: 'work', reason: verdict.reason, uid: 0, pid: 1234 })
          expect(told.at(-1)?.clause, what).toBe(verdict.clause)
        } else expect([EACCES, EROFS], what).not.toContain(answered)
      }
      for (const at of paths) {
        const way = onTheWay(at)
        const found = await walk(guest, at)
        if (way) await check(`lookup ${at} under ${rules.join(', ')}`, found.errno, way)
        if (found.errno === 0) {
          const isFile = leaf(at) === 'f'
          for (const [operation, kind, play] of ON_NODE)
            if (kind === 'any' || (kind === 'file') === isFile)
              await check(
                `${operation} ${at} under ${rules.join(', ')}`,
                (await play(guest, found.node, 0n, '')).errno,
                judge(operation, at),
              )
        }
        const parent = await walk(guest, above(at))
        if (parent.errno !== 0) await refused()
        if (parent.errno === 0)
          for (const [operation, play] of ON_ENTRY)
            await check(
              `${operation} ${at} under ${rules.join(', ')}`,
              (await play(guest, 0n, parent.node, leaf(at))).errno,
              judge(operation, at),
            )
      }
    }
    expect(Math.min(seen.allow, seen.deny, seen.told)).toBeGreaterThan(SCENES * 10)
  }, 240_000)

  it('answers nothing that a guest may remember', async () => {
    const { guest, source } = await card(['read-write /'])
    writeFileSync(join(source, 'f'), 'x')
    const found = await guest.ask('lookup', ROOT, { given: names('f') })
    expect([16, 24].map((at) => found.body.readBigUInt64LE(at))).toEqual([0n, 0n])
    const shown = await guest.ask('getattr', nodeOf(found), { arg: words(0, 0, 0n) })
    expect(shown.body.readBigUInt64LE(0)).toBe(0n)
    const opened = await guest.ask('open', nodeOf(found), { arg: words(0, 0) })
    expect(opened.body.readUInt32LE(8)).toBe(1) // direct IO, and no cache that is kept
    expect((await guest.ask('lookup', ROOT, { given: names('gone') })).errno).toBe(ENOENT)
    expect(await guest.say(`tag ${VUID}`)).toBe('tag0')
  })

  it('carries data in pieces, and names that may be seen', async () => {
    const { guest, source } = await card(['read-write /', 'deny /hidden'])
    const octets = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251))
    writeFileSync(join(source, 'f'), octets)
    writeFileSync(join(source, 'hidden'), '')
    symlinkSync('/some/where', join(source, 'link'))
    const { node } = await walk(guest, '/f')
    const opened = await guest.ask('open', node, { arg: words(2, 0) })
    const fh = opened.body.readBigUInt64LE(0)
    const read = (offset: bigint, size: number, pieces = 1) =>
      guest.ask('read', node, { arg: words(fh, offset, size, 0, 0n, 0, 0), room: size, pieces })
    expect((await read(0n, 100_000, 3)).data.equals(octets)).toBe(true)
    expect((await read(90_000n, 65_536, 4)).data.equals(octets.subarray(90_000))).toBe(true)
    const written = await guest.ask('write', node, { arg: words(fh, 10n, 4, 0, 0n, 0, 0), given: Buffer.from('DPU!') })
    expect([written.errno, written.body.readUInt32LE(0)]).toEqual([0, 4])
    expect(readFileSync(join(source, 'f')).toString('latin1', 10, 14)).toBe('DPU!')
    const listing = await guest.ask('opendir', ROOT, { arg: words(0, 0) })
    const listed = await guest.ask('readdir', ROOT, {
      arg: words(listing.body.readBigUInt64LE(0), 0n, 4096, 0, 0n, 0, 0),
      room: 4096,
    })
    expect(entriesOf(listed.data).sort()).toEqual(['.', '..', 'f', 'link'])
    const link = await walk(guest, '/link')
    expect((await guest.ask('readlink', link.node, { room: 4096 })).data.toString()).toBe('/some/where')
    expect((await guest.ask('release', node, { arg: words(fh, 0, 0, 0n) })).errno).toBe(0)
    expect((await read(0n, 1)).errno).toBe(EBADF)
  })

  it('believes no number, no name and no length of a guest', async () => {
    const { guest, source, refused } = await card(['read-write /', 'deny /secret'])
    mkdirSync(join(source, 'd'))
    writeFileSync(join(source, 'd/f'), 'x')
    mkdirSync(join(source, 'secret'))
    const { node } = await walk(guest, '/d')
    for (const number of [0n, 2n, node + 1n, node + (1n << 32n), 0x7fff_ffff_ffffn, 0xffff_ffff_ffff_ffffn])
      expect((await guest.ask('getattr', number, { arg: words(0, 0, 0n) })).errno, String(number)).toBe(ESTALE)
    const file = await walk(guest, '/d/f')
    for (const fh of [0n, 2n, node, file.node, 0xffff_ffff_0000_0002n]) {
      const read = await guest.ask('read', file.node, { arg: words(fh, 0n, 9, 0, 0n, 0, 0), room: 9 })
      expect(read.errno, String(fh)).toBe(EBADF)
    }
    const opened = await guest.ask('open', file.node, { arg: words(0, 0) })
    const fh = opened.body.readBigUInt64LE(0)
    // Another node's, and a directory's.
    expect((await guest.ask('read', node, { arg: words(fh, 0n, 9, 0, 0n, 0, 0), room: 9 })).errno).toBe(EBADF)
    expect((await guest.ask('readdir', file.node, { arg: words(fh, 0n, 9, 0, 0n, 0, 0), room: 9 })).errno).toBe(EBADF)
    // A write of more than came.
    const short = { arg: words(fh, 0n, 4096, 0, 0n, 0, 0), given: Buffer.from('xx') }
    expect((await guest.ask('write', file.node, short)).errno).toBe(EINVAL)
    for (const given of [Buffer.from('f'), Buffer.alloc(0), Buffer.from('\0')])
      expect((await guest.ask('lookup', node, { given })).errno).toBe(EINVAL)
    expect((await guest.ask('rename', node, { arg: words(ROOT), given: names('f') })).errno).toBe(EINVAL)
    expect((await guest.ask('rename', node, { arg: words(77n), given: names('f', 'g') })).errno).toBe(ESTALE)
    for (const name of ['..', '.', 'd/../secret', '/secret', '../source/secret'])
      expect((await guest.ask('lookup', node, { given: names(name) })).errno, name).toBe(EACCES)
    expect((await refused()).at(-1)).toMatchObject({ operation: 'open-handle', reason: 'never' })
    // Given back more often than it was given out: then it is nobody's, and nothing else is touched.
    await guest.ask('forget', node, { arg: words(1_000_000n) })
    await guest.ask('forget', node, { arg: words(1n) })
    await guest.ask('forget', ROOT, { arg: words(9n) })
    expect((await guest.ask('getattr', node, { arg: words(0, 0, 0n) })).errno).toBe(ESTALE)
    expect((await guest.ask('getattr', file.node, { arg: words(0, 0, 0n) })).errno).toBe(0)
    expect((await walk(guest, '/d/f')).errno).toBe(0)
  })

  it('judges what it copied, once, whatever the guest writes there meanwhile', async () => {
    const { guest, source } = await card(['read-write /', 'deny /secret'])
    writeFileSync(join(source, 'allowed'), '')
    writeFileSync(join(source, 'secret!'), '')
    const swapped = await guest.ask('lookup', ROOT, { given: names('allowed'), later: names('secret!') })
    expect(swapped.errno).toBe(0)
    const gone = await guest.ask('unlink', ROOT, { given: names('secret!'), later: names('allowed') })
    expect(gone.errno).toBe(0)
    expect((await walk(guest, '/allowed')).errno).toBe(0)
    expect((await walk(guest, '/secret!')).errno).toBe(ENOENT)
  })

  it('keeps the order of requests while copies are under way', async () => {
    const { guest, source } = await card(['read-write /'])
    writeFileSync(join(source, 'one'), 'first')
    const { node } = await walk(guest, '/one')
    await guest.say('hold 1')
    await guest.send('rename', ROOT, { arg: words(ROOT), given: names('one', 'two') })
    await guest.send('setattr', node, { arg: setattr(1, 0o640) })
    await guest.send('lookup', ROOT, { given: names('one') })
    await guest.send('lookup', ROOT, { given: names('two') })
    await guest.say('hold 0')
    const errors: number[] = []
    for (let i = 0; i < 4; i++) errors.push((await guest.wait()).errno)
    expect(errors).toEqual([0, 0, ENOENT, 0])
  })

  it('fails one request when its copy fails, and goes on', async () => {
    const { guest, source } = await card(['read-write /'])
    writeFileSync(join(source, 'f'), 'x'.repeat(5000))
    const { node } = await walk(guest, '/f')
    await guest.say('fail 1')
    expect((await guest.ask('lookup', ROOT, { given: names('f') })).status).not.toBe(0)
    const fh = (await guest.ask('open', node, { arg: words(0, 0) })).body.readBigUInt64LE(0)
    const read = () => guest.ask('read', node, { arg: words(fh, 0n, 5000, 0, 0n, 0, 0), room: 5000, pieces: 2 })
    await guest.say('fail 2')
    expect((await read()).status).not.toBe(0)
    expect((await read()).data.length).toBe(5000)
    expect((await guest.ask('lookup', ROOT, { given: names('f') })).errno).toBe(0)
  })

  it('takes from open files what a new generation or a flag takes', async () => {
    const { guest, source, apply, refused } = await card(['read-write /'])
    writeFileSync(join(source, 'f'), 'data')
    const { node } = await walk(guest, '/f')
    const fh = (await guest.ask('open', node, { arg: words(2, 0) })).body.readBigUInt64LE(0)
    const read = () => guest.ask('read', node, { arg: words(fh, 0n, 9, 0, 0n, 0, 0), room: 9 })
    const write = () => guest.ask('write', node, { arg: words(fh, 0n, 1, 0, 0n, 0, 0), given: Buffer.from('D') })
    expect([(await read()).errno, (await write()).errno]).toEqual([0, 0])
    await apply(['read-only /'])
    expect([(await read()).errno, (await write()).errno]).toEqual([0, EROFS])
    await apply(['read-only /other'])
    expect([(await read()).errno, (await write()).errno]).toEqual([EACCES, EACCES])
    await apply(['read-write /'])
    expect(await guest.say(`flag ${WS} quarantined 1`)).toBe('0')
    expect([(await read()).errno, (await guest.ask('lookup', ROOT, { given: names('f') })).errno]).toEqual([
      EACCES,
      EACCES,
    ])
    expect((await refused()).at(-1)).toMatchObject({ reason: 'quarantined' })
    expect(await guest.say(`flag ${WS} quarantined 0`)).toBe('0')
    expect((await read()).data.toString()).toBe('Data')
  })

  it('has a handler for every operation that DevEmu offers, and no other', async () => {
    const { guest } = await card(['read-write /'])
    const greeted = await guest.ask('init', 0n, { arg: words(7, 38, 0, 0xffff_ffff) })
    expect([greeted.errno, greeted.body.readUInt32LE(0)]).toEqual([0, 7])
    for (const op of [
      'statfs',
      'flush',
      'syncfs',
      'destroy',
      'fsync',
      'fallocate',
      'ioctl',
      'listxattr',
      'removexattr',
    ] as const)
      await guest.ask(op, ROOT, { arg: Buffer.alloc(40), given: names('user.none'), room: 4096 })
    expect(await guest.list('violations')).toEqual([])
    expect((await guest.ask('lseek', ROOT)).errno).toBe(38)
    expect(await guest.list('violations')).toEqual([`no handler for opcode ${FUSE.lseek}`])
  })

  it('stages nothing on a function that is not there, or serves another volume, and can be asked again', async () => {
    const { guest, source } = await card(['read-only /'])
    const second = volume(['read-only /'], { source, name: 'v1', mount: '/run/view/v1' })
    const both = (generation: number) =>
      guest.stage(lower(sliceOf([second, volume(['read-only /'], { source })], generation)).table)
    expect(await both(2)).toBe(`-5 no function serves the volume v1 of ${WS}`)
    expect(await guest.say(`place ${WS} v1 ${PCI} NOWHERE tag1`)).toBe('0')
    expect(await both(2)).toBe(`-5 the function NOWHERE of ${PCI}: NOT_FOUND`)
    expect(await guest.say(`place ${WS} v1 ${PCI} ${VUID} tag1`)).toBe('0')
    expect(await both(2)).toBe(`-5 the function ${VUID} of ${PCI}: IN_USE`)
    expect(await guest.say(`place ${WS} v1 ${PCI} OTHER ${'t'.repeat(21)}`)).toBe('-22')
    expect(await guest.say(`place ${WS} v1 ${PCI} OTHER tag1`)).toBe('0')
    expect(await both(2)).toBe('0 ')
    // Staged, it denies everything; committed, it serves.
    const look = () => guest.ask('getattr', ROOT, { arg: words(0, 0, 0n), vuid: 'OTHER' })
    expect((await look()).errno).toBe(EACCES)
    expect(await guest.say('commit 3')).toMatch(/^-125 generation 3 is not what was staged last/)
    expect(await guest.say('commit 2')).toBe('0 ')
    expect((await look()).errno).toBe(0)
    expect((await guest.list('observe')).filter((line) => line.startsWith('volume '))).toHaveLength(2)
    // Taken out of the plan, its function is given back.
    expect(await guest.stage(lower(sliceOf([second], 3)).table)).toBe('0 ')
    expect(await guest.say('commit 3')).toBe('0 ')
    expect((await guest.ask('getattr', ROOT, { arg: words(0, 0, 0n) })).status).not.toBe(0)
  })

  it('is the same on the processor of a DPU', async (context) => {
    try {
      execFileSync('sh', ['-c', 'command -v aarch64-linux-gnu-gcc && command -v qemu-aarch64-static'], {
        stdio: 'ignore',
      })
    } catch {
      return context.skip('no cross compiler or no qemu-user here: scripts/setup.sh tests')
    }
    const make = ['-s', '-f', 'doca-shims/vault/Makefile', repositoryPath('build/doca/arm64/vault')]
    execFileSync('make', make, { cwd: repositoryPath('.'), stdio: ['ignore', 'ignore', 'inherit'] })
    const emulator = ['qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu', repositoryPath('build/doca/arm64/vault')]
    const directory = mkdtempSync(join(tmpdir(), 'sv-'))
    after.push(() => rmSync(directory, { recursive: true, force: true }))
    writeFileSync(join(directory, 'f'), 'from an Arm')
    const guest = new Guest(emulator, directory)
    for (const line of [`card ${PCI} ${VUID}`, `open ${directory}`, `place ${WS} work ${PCI} ${VUID} tag`])
      expect((await guest.say(line)).trim(), line).toBe('0')
    const staged = await guest.stage(lower(sliceOf([volume(['read-only /'], { source: directory })])).table)
    if (staged === `-5 the source ${directory}: Function not implemented`) {
      // qemu-user before 9.2 knows no openat2: then nothing is served, rather than by a weaker call.
      expect((await guest.ask('lookup', ROOT, { given: names('f') })).status).not.toBe(0)
    } else {
      expect(staged).toBe('0 ')
      expect(await guest.say('commit 1')).toBe('0 ')
      const { node } = await walk(guest, '/f')
      const fh = (await guest.ask('open', node, { arg: words(0, 0) })).body.readBigUInt64LE(0)
      const read = await guest.ask('read', node, { arg: words(fh, 0n, 64, 0, 0n, 0, 0), room: 64, pieces: 2 })
      expect(read.data.toString()).toBe('from an Arm')
      expect((await guest.ask('open', node, { arg: words(1, 0) })).errno).toBe(EROFS)
    }
    expect(await guest.say('close')).toBe('0')
    expect(await guest.end()).toBe('')
  }, 120_000)
})
