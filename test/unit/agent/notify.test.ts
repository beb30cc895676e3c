// Signs of life: only from a loop that goes round and has no command that hangs, and not more often than the watchdog asks;
// datagrams as sd_notify(3) has them; a process that nobody supervises says nothing.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Loop } from '../../../src/agent/loop.js'
import { openServiceManager, type ServiceManager, signOfLife } from '../../../src/agent/notify.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import { ALPHA, makeNode, memoryAs, offer, UNTIL } from './fixture.js'

const from = (values: Readonly<Record<string, string>>) => (name: string) => values[name]

describe('signs of life', () => {
  let now: number
  let sent: string[]
  let stuck: number[]
  let turned: (oldestMs: number) => void
  beforeEach(() => {
    now = 0
    sent = []
    stuck = []
    const manager: ServiceManager = {
      notify: (...lines) => sent.push(...lines),
      watchdogMs: 8_000,
      close: () => undefined,
    }
    turned = signOfLife(
      manager,
      () => now,
      (ageMs) => stuck.push(ageMs),
    )
  })

  it('are given a quarter of the time apart, however often the loop goes round', () => {
    for (; now < 6_000; now += 100) turned(0)
    expect(sent).toEqual(['WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1'])
  })

  it('end while a command has been under way for longer than the watchdog waits, and it is said once', () => {
    turned(7_999)
    now = 3_000
    turned(8_000)
    now = 6_000
    turned(11_000)
    expect(sent).toEqual(['WATCHDOG=1'])
    expect(stuck).toEqual([8_000])
    turned(0)
    expect(sent).toEqual(['WATCHDOG=1', 'WATCHDOG=1'])
  })

  it('are not given where nobody watches', () => {
    const silent = { notify: (...lines: string[]) => sent.push(...lines), close: () => undefined }
    signOfLife(
      silent,
      () => now,
      () => undefined,
    )(0)
    expect(sent).toEqual([])
  })

  /** A loop on a node in memory, whose clock is `now`, and whose pauses end at once. */
  const looping = (driver: MemoryDriver) => {
    const node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)])
    const ending = new AbortController()
    const loop = new Loop({
      node: () => Promise.resolve(node),
      monotonicMs: () => now,
      sleep: () =>
        new Promise((resolve) => {
          setImmediate(() => {
            now += 500
            resolve()
          })
        }),
      commandId: () => 'cmd',
      turned,
      tell: () => undefined,
    })
    return { loop, ending, served: loop.serve(ending.signal) }
  }
  const rounds = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
  }

  it('go on while the loop goes round, and end when a look at what is live never comes back', async () => {
    const driver = new MemoryDriver()
    const { loop, ending, served } = looping(driver)
    await loop.run<'apply'>(await offer())
    await rounds(200)
    expect(sent.length).toBeGreaterThan(5)
    let release: () => void = () => undefined
    const observe = driver.observe.bind(driver)
    driver.observe = async () => {
      await new Promise<void>((resolve) => {
        release = resolve
      })
      return observe()
    }
    await rounds(200)
    const before = sent.length
    await rounds(500)
    // The process lives and timers run; only the loop waits.
    expect(sent.length).toBe(before)
    driver.observe = observe
    release()
    ending.abort()
    await served
  })

  it('end as well when a quarantine never comes back, although the loop goes round beside it', async () => {
    const driver = new MemoryDriver()
    const { loop, ending, served } = looping(driver)
    await loop.run<'apply'>(await offer())
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const flag = driver.flag.bind(driver)
    driver.flag = async (...given) => {
      await held
      return flag(...given)
    }
    const set = { kind: 'quarantine-set', workspace: ALPHA, reason: 'x', by: 'user:test', commandId: 'q' } as const
    const waiting = loop.run<'quarantine-set'>(set)
    for (let i = 0; stuck.length === 0 && i < 5_000; i++) await rounds(1)
    expect(stuck).toHaveLength(1)
    const before = sent.length
    await rounds(200)
    expect(sent.length).toBe(before)
    driver.flag = flag
    release()
    await waiting
    ending.abort()
    await served
    expect(now).toBeLessThan(UNTIL)
  })
})

describe('datagrams', () => {
  let directory: string
  let receiver: ChildProcess | undefined
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'sluice-notify-'))
  })
  afterEach(() => {
    receiver?.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  })
  /** Datagrams at `address`, in Python's form of an address; resolves when it listens. */
  const receive = async (address: string): Promise<AsyncIterableIterator<string>> => {
    const program = `
import socket, json
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(${address})
print("listens", flush=True)
while True: print(json.dumps(s.recv(65536).decode()), flush=True)`
    receiver = spawn('python3', ['-c', program], { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = createInterface({ input: receiver.stdout as NonNullable<typeof receiver.stdout> })[
      Symbol.asyncIterator
    ]()
    expect((await lines.next()).value).toBe('listens')
    return lines
  }

  it.each(['a path', 'an abstract name'])('reach %s, a line a state', async (kind) => {
    const path = join(directory, 'notify')
    const abstract = kind !== 'a path'
    const lines = await receive(JSON.stringify(path).replace(/^"/, abstract ? '"\\0' : '"'))
    const environment = from({ NOTIFY_SOCKET: abstract ? `@${path}` : path })
    const manager = openServiceManager(environment, 7)
    manager?.notify('READY=1', 'STATUS=two\nlines')
    expect(JSON.parse((await lines.next()).value)).toBe('READY=1\nSTATUS=two lines')
    manager?.close()
    manager?.notify('STOPPING=1')
    const other = openServiceManager(environment, 7)
    other?.notify('STATUS=after')
    expect(JSON.parse((await lines.next()).value)).toBe('STATUS=after')
    other?.close()
  })

  it('that nobody takes are lost without a word', () => {
    const manager = openServiceManager(from({ NOTIFY_SOCKET: join(directory, 'nobody') }), 7)
    expect(() => manager?.notify('READY=1')).not.toThrow()
    manager?.close()
  })

  it.each([
    [{}, undefined],
    [{ WATCHDOG_USEC: '30000000' }, 30_000],
    [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }, 30_000],
    [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }, undefined],
    [{ WATCHDOG_USEC: '0' }, undefined],
    [{ WATCHDOG_USEC: '-1' }, undefined],
    [{ WATCHDOG_USEC: 'soon' }, undefined],
  ])('%j leaves a watchdog of %s ms', (values, expected) => {
    const manager = openServiceManager(from({ NOTIFY_SOCKET: join(directory, 'n'), ...values }), 7)
    expect(manager).toBeDefined()
    expect(manager?.watchdogMs).toBe(expected)
    manager?.close()
  })

  it.each([undefined, '', 'relative', 'vsock:2:1234', '@', '/', `/${'x'.repeat(107)}`])(
    'NOTIFY_SOCKET %s is nobody',
    (named) => {
      expect(openServiceManager(from(named === undefined ? {} : { NOTIFY_SOCKET: named }), 7)).toBeUndefined()
    },
  )
})
