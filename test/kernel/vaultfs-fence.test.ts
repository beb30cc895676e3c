// What nothing may hold up or put off: a flag while a stage cannot go on, a deadline while somebody sets the clock, and a quarantine
// for a file that was removed and is still mapped.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { Daemon, daemonPath } from '../../src/backends/vaultfs/daemon.js'
import type { PlanSlice } from '../../src/plan/model.js'
import { lower } from '../../src/vault/lower.js'
import { SOURCE, WS } from '../support/plans.js'
import { mapped } from '../support/vault/mapped.js'
import { cannotServe, type Served, serve, until } from '../support/vault/served.js'
import { sliceOf, volume } from '../support/vault/slices.js'

const after: (() => unknown)[] = []
afterEach(async () => {
  for (const step of after.splice(0).reverse()) await step()
})

async function served(rules: readonly string[]): Promise<Served> {
  const at = await serve(rules)
  after.push(() => at.close())
  return at
}

/** The error of reading a file, or what it says. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}

/** Whether a thread is in openat2, which has one number everywhere. */
const opens = (task: string): boolean => read(join(task, 'syscall')).startsWith('437 ')

/** The clocks of what it is loaded into stand as far off as the file CLOCKS says, in seconds: of the day, and since the start. */
const OFF = `
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now)
{
    const char *path = getenv("CLOCKS");
    FILE *file = path != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_BOOTTIME) ? fopen(path, "re") : NULL;
    long real = 0, boot = 0;
    int error = (int)syscall(SYS_clock_gettime, clock, now);

    if (file != NULL) {
        if (fscanf(file, "%ld %ld", &real, &boot) == 2)
            now->tv_sec += clock == CLOCK_REALTIME ? real : boot;
        fclose(file);
    }
    return error;
}
`

/** A daemon of its own, whose clocks can be set. */
async function timed(): Promise<{
  readonly set: (real: number, boot: number) => void
  readonly file: string
  readonly apply: (slice: (source: string, mount: string) => PlanSlice) => Promise<void>
}> {
  const directory = mkdtempSync(join(tmpdir(), 'sv-'))
  const [source, mount, state, clocks] = ['source', 'mount', 'state', 'clocks'].map((name) =>
    join(directory, name),
  ) as [string, string, string, string]
  for (const one of [source, mount, state]) mkdirSync(one)
  writeFileSync(join(source, 'file'), 'here')
  writeFileSync(join(directory, 'off.c'), OFF)
  writeFileSync(clocks, '0 0')
  const library = join(directory, 'off.so')
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, join(directory, 'off.c')])
  const child = spawn(daemonPath(), [state], {
    env: { ...process.env, LD_PRELOAD: library, CLOCKS: clocks },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  after.push(async () => {
    child.kill('SIGTERM')
    await ended
    rmSync(directory, { recursive: true, force: true })
  })
  await once(child.stdout, 'data')
  const daemon = new Daemon(state)
  return {
    set: (real, boot) => writeFileSync(clocks, `${real} ${boot}`),
    file: join(mount, 'file'),
    apply: async (slice) => {
      const { generation, table } = lower(slice(source, mount))
      expect(await daemon.ask('a table', `stage ${table.length}`, table)).toBe('')
      expect(await daemon.ask('switching', `commit ${generation}`)).toBe('')
    },
  }
}

const ending =
  (generation: number, expiresAtMs: number) =>
  (source: string, mount: string): PlanSlice =>
    sliceOf([volume(['read-only /'], { source, mount })], generation, { source: { ...SOURCE, expiresAtMs } })

describe.skipIf(cannotServe)('vaultfs holds', () => {
  it('a flag while a stage waits for its source', async () => {
    const other = await served(['read-write /'])
    const at = await served(['read-write /'])
    mkdirSync(join(other.source, 'slow'))
    // A source that lies behind a daemon that does not answer: opening it takes as long as that is so.
    const stopped = other.pid()
    process.kill(stopped, 'SIGSTOP')
    const go = (): unknown => process.kill(stopped, 'SIGCONT')
    after.push(go)
    const slow = { name: 'x', source: join(other.mount, 'slow'), mount: join(at.directory, 'second') }
    const slice = sliceOf([volume(['read-write /'], { source: at.source, mount: at.mount }), volume([], slow)], 5)
    let staged = false
    const staging = at.driver.stage(lower(slice)).finally(() => {
      staged = true
    })
    const tasks = `/proc/${at.pid()}/task`
    await until('the stage to wait', () => readdirSync(tasks).some((one) => opens(join(tasks, one))))
    await at.quarantine(true)
    expect((await at.driver.observe()).live?.quarantined).toEqual([WS])
    expect(staged).toBe(false)
    go()
    await staging
  }, 120_000)

  it('a deadline while somebody sets the clock back, and after the same plan is committed again', async () => {
    const { set, file, apply } = await timed()
    const deadline = Date.now() + 600_000
    await apply(ending(1, deadline))
    set(-3_600, 0)
    expect(read(file)).toBe('here')
    set(-3_600, 601)
    await until('the deadline', () => read(file) === 'EACCES')
    await apply(ending(2, deadline))
    expect(read(file)).toBe('EACCES')
    await apply(ending(3, Date.now() + 600_000))
    expect(read(file)).toBe('here')
  }, 120_000)

  it('what was removed and is mapped in quarantine, as what still has a name', async () => {
    const { mount, quarantine } = await served(['read-write /'])
    const file = join(mount, 'gone')
    writeFileSync(file, 'int main;\n')
    const reader = await mapped(file)
    after.push(reader.kill)
    unlinkSync(file)
    await quarantine(true)
    expect(await reader.again()).toBe('SIGBUS')
  }, 120_000)
})
