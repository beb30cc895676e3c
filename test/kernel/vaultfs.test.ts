// vaultfs through real mounts: what a rule allows and denies, and what a change of plan, a flag, a deadline and the death of the
// daemon do to files that are open, mapped or cached.

import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import type { FileDenied } from '../../src/backends/backend.js'
import { lower } from '../../src/vault/lower.js'
import { SOURCE, WS } from '../support/plans.js'
import { mapped } from '../support/vault/mapped.js'
import { cannotServe, type Served, serve, until } from '../support/vault/served.js'
import { sliceOf, volume } from '../support/vault/slices.js'

const RULES = ['read-only /project', 'read-write /project/out', 'deny /project/.secrets']

let at: Served | undefined
afterEach(async () => {
  await at?.close()
  at = undefined
})

/** A tree with something at every kind of rule. */
async function project(rules: readonly string[] = RULES): Promise<Served> {
  at = await serve(rules)
  const { source } = at
  mkdirSync(join(source, 'project/out'), { recursive: true })
  mkdirSync(join(source, 'project/.secrets'))
  mkdirSync(join(source, 'elsewhere'))
  writeFileSync(join(source, 'project/main.c'), 'int main;\n')
  writeFileSync(join(source, 'project/.secrets/key'), 'secret\n')
  writeFileSync(join(source, 'elsewhere/other'), 'other\n')
  return at
}

/** Makes and removes a file until it is told that there is none to ask, and says when it is at it. */
const BUSY = `import os, sys
for i in range(10**9):
    os.close(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY))
    os.unlink(sys.argv[1])
    if i == 1500: print('going', flush=True)`

/** The error of an operation, or `ok`. */
function outcome(action: () => unknown): string {
  try {
    action()
    return 'ok'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}

describe.skipIf(cannotServe)('vaultfs', () => {
  it('allows what a rule allows, denies the rest, and says each with its clause', async () => {
    const { mount, refused } = await project()
    const here = (path: string): string => join(mount, path)
    expect(readFileSync(here('project/main.c'), 'utf8')).toBe('int main;\n')
    writeFileSync(here('project/out/a'), 'one')
    renameSync(here('project/out/a'), here('project/out/b'))
    expect(readFileSync(here('project/out/b'), 'utf8')).toBe('one')
    expect(readdirSync(mount)).toEqual(['project'])
    expect(readdirSync(here('project')).sort()).toEqual(['main.c', 'out'])
    const tried = {
      write: outcome(() => writeFileSync(here('project/main.c'), 'x')),
      create: outcome(() => writeFileSync(here('project/new'), 'x')),
      link: outcome(() => linkSync(here('project/main.c'), here('project/out/m'))),
      secret: outcome(() => readFileSync(here('project/.secrets/key'))),
      absent: outcome(() => readFileSync(here('project/.secrets/nothing'))),
      elsewhere: outcome(() => readFileSync(here('elsewhere/other'))),
      anchor: outcome(() => renameSync(here('project/out'), here('project/out2'))),
    }
    expect(tried).toEqual({
      write: 'EROFS',
      create: 'EROFS',
      link: 'EROFS',
      secret: 'EACCES',
      absent: 'EACCES',
      elsewhere: 'EACCES',
      anchor: 'EACCES',
    })
    const seen = await refused()
    expect(seen.map(({ operation, path, reason }) => `${operation} ${path}: ${reason}`)).toEqual(
      expect.arrayContaining([
        'open-write /project/main.c: read-only',
        'create /project/new: read-only',
        'link-from /project/main.c: read-only',
        'lookup /project/.secrets: denied',
        'lookup /elsewhere: no-rule',
        'rename-from /project/out: anchored',
      ]),
    )
    for (const one of seen) expect(one).toMatchObject({ workspace: WS, volume: 'work', uid: 0, generation: 1 })
    expect(seen.filter(({ reason }) => reason !== 'no-rule').every(({ clause }) => clause !== undefined)).toBe(true)
  })

  it('shows what is live, by generation and digest', async () => {
    const { driver, source, mount } = await project()
    const slice = sliceOf([volume(['read-only /'], { source, mount })], 7)
    await driver.commit(await driver.stage(lower(slice)))
    const { live, drift } = await driver.observe()
    expect(live).toEqual({
      generation: 7,
      planDigest: slice.planDigest,
      workspaces: [WS],
      quarantined: [],
      suspended: [],
      learned: [],
    })
    expect(drift).toEqual([])
    await expect(driver.commit({ generation: 8, planDigest: slice.planDigest })).rejects.toMatchObject({
      code: 'VAULTFS_REFUSED',
      message: 'switching the volumes: generation 8 is not what was staged last (ECANCELED)',
    })
  })

  it('takes back what is open, cached and mapped when a rule goes', async () => {
    const { mount, apply } = await project()
    const file = join(mount, 'project/main.c')
    const fd = openSync(file, 'r')
    const buffer = Buffer.alloc(16)
    expect(readSync(fd, buffer, 0, 16, 0)).toBe(10)
    const reader = await mapped(file)
    await apply(['read-write /project/out'])
    expect(outcome(() => readSync(fd, buffer, 0, 16, 0))).toBe('EACCES')
    expect(outcome(() => statSync(file))).toBe('EACCES')
    expect(await reader.again()).toBe('SIGBUS')
    closeSync(fd)
  })

  it('keeps what stays allowed open across a change', async () => {
    const { mount, source, apply } = await project()
    const fd = openSync(join(mount, 'project/out/log'), 'w')
    writeSync(fd, 'before ')
    await apply([...RULES, 'read-only /elsewhere'])
    writeSync(fd, 'after')
    closeSync(fd)
    expect(readFileSync(join(source, 'project/out/log'), 'utf8')).toBe('before after')
    expect(readFileSync(join(mount, 'elsewhere/other'), 'utf8')).toBe('other\n')
  })

  it('denies everything in quarantine, also what is open, until it is lifted', async () => {
    const { mount, driver, quarantine, refused } = await project()
    const fd = openSync(join(mount, 'project/out/log'), 'w+')
    writeSync(fd, 'before')
    await quarantine(true)
    expect(outcome(() => writeSync(fd, 'x'))).toBe('EACCES')
    expect(outcome(() => readSync(fd, Buffer.alloc(4), 0, 4, 0))).toBe('EACCES')
    expect(outcome(() => readdirSync(mount))).toBe('EACCES')
    expect(outcome(() => lstatSync(join(mount, 'project')))).toBe('EACCES')
    expect((await driver.observe()).live?.quarantined).toEqual([WS])
    expect(new Set((await refused()).map(({ reason }) => reason))).toEqual(new Set(['quarantined']))
    await quarantine(false)
    writeSync(fd, ' after', 6)
    closeSync(fd)
    expect(readFileSync(join(mount, 'project/out/log'), 'utf8')).toBe('before after')
  })

  it('keeps a quarantine over changes of plan and over the death of the daemon', async () => {
    const { mount, driver, quarantine, apply, pid } = await project()
    await quarantine(true)
    await apply(['read-write /'])
    expect(outcome(() => readdirSync(mount))).toBe('EACCES')
    process.kill(pid(), 'SIGKILL')
    await until('the daemon to be gone', async () => (await driver.observe()).live === null)
    await apply(['read-write /'])
    expect((await driver.observe()).live?.quarantined).toEqual([WS])
    expect(outcome(() => readdirSync(mount))).toBe('EACCES')
  })

  it('waits with a flag for a workspace that it serves nothing to yet', async () => {
    const { driver, mount, source } = await project([])
    await driver.flag('spiffe://example.org/workspace/other', 'suspended', true)
    const slice = sliceOf([volume(['read-only /'], { source, mount })], 9)
    const workspaces = slice.workspaces.map((entry) => ({
      ...entry,
      workspace: 'spiffe://example.org/workspace/other',
    }))
    await driver.commit(await driver.stage(lower({ ...slice, workspaces })))
    expect(outcome(() => readdirSync(mount))).toBe('EACCES')
    await driver.flag('spiffe://example.org/workspace/other', 'suspended', false)
    expect(readdirSync(mount)).toContain('project')
  })

  it('denies everything from the deadline on, by itself, unless the policy holds', async () => {
    const { mount, driver, source } = await project()
    const file = join(mount, 'project/main.c')
    const timed = (untilMs: number, onExpiry: 'suspend' | 'hold', generation: number) => {
      const slice = sliceOf([volume(RULES, { source, mount })], generation)
      const workspaces = slice.workspaces.map((entry) => ({ ...entry, onExpiry }))
      return lower({ ...slice, workspaces, source: { ...SOURCE, expiresAtMs: untilMs } })
    }
    await driver.commit(await driver.stage(timed(Date.now() + 1_500, 'suspend', 11)))
    const fd = openSync(file, 'r')
    await until('the deadline', () => outcome(() => readSync(fd, Buffer.alloc(4), 0, 4, 0)) === 'EACCES')
    expect(outcome(() => readFileSync(file))).toBe('EACCES')
    await driver.commit(await driver.stage(timed(Date.now() - 1_000, 'hold', 12)))
    expect(readFileSync(file, 'utf8')).toBe('int main;\n')
    closeSync(fd)
  })

  it('serves nothing after SIGKILL: errors and no waiting, and again after the next commit', async () => {
    const { mount, source, driver, apply, pid } = await project()
    const fd = openSync(join(mount, 'project/out/data'), 'w')
    for (let i = 0; i < 200; i++) writeSync(fd, `${String(i).padStart(9, '0')}\n`)
    const gone = new Promise<void>((done) => {
      const stop = driver.watch(() => {
        stop()
        done()
      })
      setTimeout(() => process.kill(pid(), 'SIGKILL'), 50)
    })
    await gone
    expect(['ENOTCONN', 'ECONNABORTED', 'EIO']).toContain(outcome(() => writeSync(fd, 'x')))
    expect(outcome(() => readdirSync(mount))).toBe('ENOTCONN')
    closeSync(fd)
    // What write(2) answered is there, whole.
    const lines = readFileSync(join(source, 'project/out/data'), 'utf8').split('\n')
    expect(lines.slice(0, 200)).toEqual(Array.from({ length: 200 }, (_, i) => String(i).padStart(9, '0')))
    expect((await driver.observe()).live).toBeNull()
    await apply(RULES)
    expect(readFileSync(join(mount, 'project/main.c'), 'utf8')).toBe('int main;\n')
    expect((await driver.observe()).drift).toEqual([])
  })

  it('finds a mount that somebody took away, and puts it back', async () => {
    const { mount, driver, apply } = await project()
    execFileSync('umount', ['-l', mount])
    expect((await driver.observe()).drift).toEqual([`the volume work of ${WS} is not served at its mount`])
    await apply(RULES)
    expect((await driver.observe()).drift).toEqual([])
    expect(readFileSync(join(mount, 'project/main.c'), 'utf8')).toBe('int main;\n')
  })

  it('stops when its mount was taken away and a file of it is still open', async () => {
    const { mount, driver, pid } = await project()
    const daemon = pid()
    const fd = openSync(join(mount, 'project/main.c'), 'r')
    execFileSync('umount', ['-l', mount])
    const patience = new AbortController()
    const late = sleep(30_000, 'it waits', { signal: patience.signal }).catch(() => 'it waits no more')
    const stopped = driver.uninstall().then(() => 'stopped')
    const outcome = await Promise.race([stopped, late])
    patience.abort()
    if (outcome !== 'stopped') process.kill(daemon, 'SIGKILL')
    await stopped
    closeSync(fd)
    expect(outcome).toBe('stopped')
  }, 60_000)

  it('moves to another source in one commit, and away from a volume that is planned no more', async () => {
    const { mount, directory, driver } = await project()
    const other = join(directory, 'other')
    mkdirSync(other)
    writeFileSync(join(other, 'here'), 'other source')
    await driver.commit(await driver.stage(lower(sliceOf([volume(['read-only /'], { source: other, mount })], 2))))
    expect(readdirSync(mount)).toEqual(['here'])
    await driver.commit(await driver.stage(lower(sliceOf([], 3))))
    expect(readdirSync(mount)).toEqual([])
    expect((await driver.observe()).live).toMatchObject({ generation: 3, workspaces: [] })
  })

  it('leaves everything as it was when something staged cannot be served', async () => {
    const { mount, source, directory, driver } = await project()
    symlinkSync(source, join(directory, 'link'))
    const second = { name: 'x', mount: join(directory, 'second') }
    for (const [bad, why] of [
      [join(directory, 'nothing'), /No such file or directory \(EIO\)/],
      [join(directory, 'link'), /Too many levels of symbolic links/],
      [join(source, 'project/main.c'), /Not a directory/],
    ] as const) {
      const slice = sliceOf([volume(['read-write /'], { source, mount }), volume([], { ...second, source: bad })], 5)
      await expect(driver.stage(lower(slice))).rejects.toMatchObject({
        code: 'VAULTFS_REFUSED',
        message: expect.stringMatching(why),
      })
    }
    expect((await driver.observe()).live?.generation).toBe(1)
    expect(outcome(() => writeFileSync(join(mount, 'project/main.c'), 'x'))).toBe('EROFS')
  })

  it('shows nothing of what is staged before it is committed', async () => {
    const { mount, source, directory, driver } = await project()
    const second = join(directory, 'second')
    const slice = sliceOf(
      [volume(['read-write /'], { source, mount }), volume(['read-only /'], { name: 'x', source, mount: second })],
      5,
    )
    const staged = await driver.stage(lower(slice))
    expect(outcome(() => readdirSync(second))).toBe('EACCES')
    expect(outcome(() => writeFileSync(join(mount, 'project/main.c'), 'x'))).toBe('EROFS')
    await driver.discard(staged)
    expect(readdirSync(second)).toEqual([])
    expect((await driver.observe()).live?.generation).toBe(1)
  })

  it('counts every refusal: alike ones as one, and what it could not show', async () => {
    const { mount, driver } = await project()
    for (let i = 0; i < 300; i++) outcome(() => openSync(join(mount, 'project/.secrets'), 'r'))
    for (let i = 0; i < 600; i++) outcome(() => openSync(join(mount, `nothing${i}`), 'r'))
    const shown: FileDenied[] = []
    let lost = 0
    const stop = await driver.fileDenials((batch) => {
      shown.push(...batch.denials)
      lost += batch.lost
    })
    await stop()
    const { drops } = await driver.observe()
    expect(shown[0]).toMatchObject({ path: '/project/.secrets', count: Number(drops['file-denied']) })
    expect(drops['file-denied']).toBeGreaterThanOrEqual(300n)
    expect(shown.length).toBeGreaterThanOrEqual(256)
    expect(lost).toBeGreaterThan(0)
    expect(BigInt(shown.reduce((sum, { count }) => sum + count, lost))).toBe(
      (drops['file-denied'] ?? 0n) + (drops['file-no-rule'] ?? 0n),
    )
  })

  it.each(Array.from({ length: 8 }, (_, i) => i))(
    'stops in the middle of requests, and nobody waits for one (%i)',
    async () => {
      at = await serve(['read-write /'])
      const { mount, driver, pid } = at
      const daemon = pid()
      const clients = ['a', 'b'].map((name) =>
        spawn('python3', ['-c', BUSY, join(mount, name)], { stdio: ['ignore', 'pipe', 'ignore'] }),
      )
      const said = clients.map(() => '')
      for (const [i, client] of clients.entries())
        client.stdout.on('data', (text: Buffer) => (said[i] += text.toString()))
      const ends = clients.map((client) => once(client, 'close'))
      await until('requests', () => said.every((text) => text.includes('going')))
      const stopped = driver.uninstall()
      const patience = new AbortController()
      const waited = sleep(30_000, 'it waits', { signal: patience.signal }).catch(() => 'it waits no more')
      const outcome = await Promise.race([stopped.then(() => 'stopped'), waited])
      patience.abort()
      if (outcome !== 'stopped') process.kill(daemon, 'SIGKILL')
      await stopped
      for (const client of clients) client.kill('SIGKILL')
      await Promise.all(ends)
      expect(outcome).toBe('stopped')
    },
    60_000,
  )

  it('answers while eight requests wait for a file system below that does not', async () => {
    const run = promisify(execFile)
    const below = await project(['read-write /'])
    const files = Array.from({ length: 8 }, (_, i) => `project/slow${i}`)
    for (const file of files) writeFileSync(join(below.source, file), `${file}\n`)
    const above = await serve(['read-only /project'], { source: below.mount })
    const tasks = `/proc/${above.pid()}/task`
    // In a call to a file, and neither at the device nor at rest: openat2 and fstat, by their numbers on x86-64 and arm64.
    const callOf = (task: string) => {
      try {
        return readFileSync(`${tasks}/${task}/syscall`, 'utf8')
      } catch {
        return '' // a connection of the control socket that has just ended
      }
    }
    const waiting = () => readdirSync(tasks).filter((task) => /^(437|262|79|80) /.test(callOf(task)))
    // Whoever asks first for a name that the kernel does not know is waited for there.
    statSync(join(above.mount, 'project'))
    process.kill(below.pid(), 'SIGSTOP')
    let answered = 0
    const read = files.map((file) =>
      run('cat', [join(above.mount, file)]).then(({ stdout }) => {
        answered++
        return stdout
      }),
    )
    try {
      await until('eight requests wait below', () => waiting().length === files.length)
      // What is denied is known without looking below.
      const denied = await run('cat', [join(above.mount, 'elsewhere/other')], { timeout: 30_000 }).catch(String)
      expect(denied).toContain('Permission denied')
      expect(answered).toBe(0)
    } finally {
      process.kill(below.pid(), 'SIGCONT')
      const texts = await Promise.all(read)
      await above.close()
      expect(texts).toEqual(files.map((file) => `${file}\n`))
    }
  }, 120_000)

  it('takes everything away', async () => {
    const { driver, mount } = await project()
    expect(await driver.uninstall()).toEqual(['the volumes of 1 workspaces, and the daemon that served them'])
    expect(readdirSync(mount)).toEqual([])
    expect((await driver.observe()).live).toBeNull()
    expect(await driver.uninstall()).toEqual([])
    rmSync(mount, { recursive: true })
    expect(existsSync(mount)).toBe(false)
  })
})
