// Volumes whose policy leaves open files alone (`open_files: until-closed`): the kernel reads and writes the file below by itself, an
// open is judged as everywhere, and what is open outlives whatever happens after, which `observe` says.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, readSync, unlinkSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { lower } from '../../src/vault/lower.js'
import { cannotLend, type Served, serve, suiteUnless, until } from '../support/vault/served.js'
import { sliceOf, volume } from '../support/vault/slices.js'

const LASTS = { openFiles: 'until-closed' } as const
let at: Served | undefined
afterEach(async () => {
  await at?.close()
  at = undefined
})

const read = (fd: number, from = 0): string => {
  const buffer = Buffer.alloc(64)
  return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, from))
}
/** What a program has said so far, and how it ended once everything of that was read. */
function listen(child: ChildProcess) {
  let text = ''
  child.stdout?.on('data', (more: Buffer) => {
    text += more.toString()
  })
  return { said: () => text, ended: new Promise((done) => child.once('close', (code, signal) => done(signal ?? code))) }
}
const seen = async (served: Served) => (await served.driver.observe()).volumes?.[0]

suiteUnless(cannotLend, 'what is open on a volume until it is closed', () => {
  it('is read and written by the kernel, and ends with its release', async () => {
    at = await serve(['read-write /'], LASTS)
    writeFileSync(join(at.source, 'a'), 'below')
    const [first, second] = [openSync(join(at.mount, 'a'), 'r+'), openSync(join(at.mount, 'a'), 'r')]
    expect(read(second)).toBe('below')
    writeSync(first, 'above')
    expect(readFileSync(join(at.source, 'a'), 'utf8')).toBe('above')
    // A cache of the volume's own would not know.
    writeFileSync(join(at.source, 'a'), 'other')
    expect(read(second)).toBe('other')
    expect(await seen(at)).toMatchObject({ openFiles: 2, lasting: 2 })
    closeSync(first)
    expect(read(second)).toBe('other')
    closeSync(second)
    const served = at
    await until('released', async () => (await seen(served))?.openFiles === 0)
    expect(await seen(at)).toMatchObject({ openFiles: 0, lasting: 0 })
    expect(await seen(at)).not.toHaveProperty('left')
    expect(readFileSync(join(at.mount, 'a'), 'utf8')).toBe('other')
  })

  it('outlives a quarantine, a plan without its rule and the daemon, and nothing else is opened meanwhile', async () => {
    at = await serve(['read-write /'], LASTS)
    const { mount, source, quarantine, apply, driver, pid } = at
    writeFileSync(join(source, 'a'), 'first')
    const fd = openSync(join(mount, 'a'), 'r+')
    const mapped = spawn('python3', ['-u', '-c', MAPPED, join(mount, 'a')], { stdio: ['pipe', 'pipe', 'inherit'] })
    const { said, ended } = listen(mapped)
    await until('the mapping', () => said() === 'first\n')
    await quarantine(true)
    expect(read(fd)).toBe('first')
    writeSync(fd, 'again', 0)
    expect(() => openSync(join(mount, 'a'), 'r')).toThrow('EACCES')
    expect((await driver.observe()).volumes?.[0]).toMatchObject({ openFiles: 2, lasting: 2 })
    await quarantine(false)
    await apply([])
    expect(() => openSync(join(mount, 'a'), 'r')).toThrow('EACCES')
    expect(read(fd)).toBe('again')
    process.kill(pid(), 'SIGKILL')
    await until('the daemon to be gone', async () => (await driver.observe()).live === null)
    expect(() => openSync(join(mount, 'a'), 'r')).toThrow('ENOTCONN')
    writeSync(fd, 'third', 0)
    mapped.stdin.write('\n')
    expect(await ended).toBe(0)
    expect(said()).toBe('first\nthird\n')
    expect(readFileSync(join(source, 'a'), 'utf8')).toBe('third')
    // The next daemon counts nothing of it, and does not say that everything is refused.
    await apply(['read-write /'])
    await quarantine(true)
    expect(await seen(at)).toMatchObject({ openFiles: 0, lasting: 0, left: true })
    expect(read(fd)).toBe('third')
    closeSync(fd)
  })

  it('is judged in what the kernel does not do by itself', async () => {
    at = await serve(['read-write /'], LASTS)
    const { mount, source, quarantine } = at
    writeFileSync(join(source, 'a'), 'first')
    const program = ['python3', '-c', LENGTHEN, join(mount, 'a')] as const
    const child = spawn('nice', program, { stdio: ['pipe', 'pipe', 'inherit'] })
    const { said, ended } = listen(child)
    await until('the file to be open', () => said() === 'open\n')
    await quarantine(true)
    child.stdin.write('\n')
    expect(await ended).toBe(0)
    expect(said()).toBe('open\nftruncate 13\nfallocate 13\nfchmod 13\npwrite 5\n')
    await quarantine(false)
    expect(readFileSync(join(source, 'a'), 'utf8')).toBe('write')
  })

  it('goes on with a file that is removed, and what is made in its place is another', async () => {
    at = await serve(['read-write /'], LASTS)
    const path = join(at.mount, 'a')
    writeFileSync(path, 'first')
    const old = openSync(path, 'r')
    unlinkSync(path)
    writeFileSync(path, 'second')
    expect([read(old), readFileSync(path, 'utf8')]).toEqual(['first', 'second'])
    closeSync(old)
  })

  it('judges every octet again when the policy says so: the volume is served anew, and what was open before it is not touched', async () => {
    at = await serve(['read-write /'], LASTS)
    const { mount, source, driver, quarantine } = at
    writeFileSync(join(source, 'a'), 'first')
    const before = openSync(join(mount, 'a'), 'r')
    await driver.commit(await driver.stage(lower(sliceOf([volume(['read-write /'], { source, mount })], 9))))
    const after = openSync(join(mount, 'a'), 'r')
    expect([read(before), read(after)]).toEqual(['first', 'first'])
    expect(await seen(at)).toMatchObject({ openFiles: 1, lasting: 0 })
    await quarantine(true)
    expect(() => read(after)).toThrow('EACCES')
    expect(await seen(at)).toMatchObject({ lasting: 0, left: true })
    expect(read(before)).toBe('first')
    closeSync(before)
    closeSync(after)
  })

  it('is judged like any other where the kernel cannot take it: a source that lies on other file systems', async () => {
    at = await serve(['read-write /'], LASTS)
    const { directory, mount, driver, quarantine } = at
    const [lower_, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => join(directory, name))
    for (const path of [lower_, upper, work, merged]) mkdirSync(path ?? '')
    const options = `lowerdir=${lower_},upperdir=${upper},workdir=${work}`
    execFileSync('mount', ['-t', 'overlay', '-o', options, 'overlay', merged ?? ''])
    try {
      writeFileSync(join(merged ?? '', 'a'), 'first')
      const table = sliceOf([volume(['read-write /'], { source: merged ?? '', mount, ...LASTS })], 9)
      await driver.commit(await driver.stage(lower(table)))
      const fd = openSync(join(mount, 'a'), 'r')
      expect(read(fd)).toBe('first')
      expect(await seen(at)).toMatchObject({ openFiles: 1, lasting: 0 })
      await quarantine(true)
      expect(() => read(fd)).toThrow('EACCES')
      closeSync(fd)
      await driver.uninstall()
    } finally {
      execFileSync('umount', ['-l', merged ?? ''])
    }
  })
})

const MAPPED = `
import mmap, sys
with open(sys.argv[1], 'rb') as file:
    seen = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    print(seen[0:5].decode())
    sys.stdin.readline()
    print(seen[0:5].decode())
`

const LENGTHEN = `
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
print('open', flush=True)
sys.stdin.readline()
for name, call in (('ftruncate', lambda: os.ftruncate(fd, 9)), ('fallocate', lambda: os.posix_fallocate(fd, 0, 9000)),
                   ('fchmod', lambda: os.fchmod(fd, 0o777)), ('pwrite', lambda: os.pwrite(fd, b'write', 0))):
    try:
        print(name, call())
    except OSError as error:
        print(name, error.errno)
`
