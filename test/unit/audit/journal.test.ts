// The journal: sequence numbers that go on after a restart, torn tails that are cut and told, disks that refuse.

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type JournalFile, openFile } from '../../../src/audit/file.js'
import { type Journal, type JournalOptions, openJournal } from '../../../src/audit/journal.js'
import type { OcsfEvent } from '../../../src/audit/ocsf/event.js'
import { Fault } from '../../../src/base/fault.js'
import { CONTEXT, FACTS, NOW } from '../../support/facts.js'

const OPTIONS: JournalOptions = {
  product: CONTEXT.product,
  reporter: CONTEXT.reporter,
  nowMs: () => NOW,
  random: (length) => randomBytes(length),
  retryMs: 5,
}
const DENIED = FACTS['flow-denied']

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-journal-'))
  path = join(folder, 'events.ndjson')
})
afterEach(() => rm(folder, { recursive: true }))

const lines = async (file = path): Promise<OcsfEvent[]> => {
  const text = await readFile(file, 'utf8')
  if (text === '') return []
  expect(text.endsWith('\n')).toBe(true)
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as OcsfEvent)
}
const sequences = (events: readonly OcsfEvent[]): unknown[] => events.map((event) => event.metadata.sequence)
const faultOf = (attempt: Promise<unknown>): Promise<Fault> =>
  attempt.then(
    () => expect.fail('it was opened'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(Fault)
      return error as Fault
    },
  )

/** A file whose next operations fail as told; everything else goes to the real one. */
async function failing(plan: {
  write?: () => Error | undefined
  sync?: () => Error | undefined
  cut?: () => Error | undefined
}) {
  const real = await openFile(path)
  const file: JournalFile = {
    ...real,
    write: async (offset, bytes) => {
      const error = plan.write?.()
      // Half of it arrives, as on a disk that fills up.
      if (error) await real.write(offset, bytes.subarray(0, Math.floor(bytes.length / 2)))
      if (error) throw error
      await real.write(offset, bytes)
    },
    sync: async () => {
      const error = plan.sync?.()
      if (error) throw error
      await real.sync()
    },
    truncate: async (length) => {
      const error = plan.cut?.()
      if (error) throw error
      await real.truncate(length)
    },
  }
  return file
}
const enospc = (): Error => Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

describe('writing', () => {
  test('one event a line, in order', async () => {
    const journal = await openJournal(path, OPTIONS)
    journal.emit(DENIED)
    journal.emit(FACTS['bundle-refused'], 'corr-1')
    expect(await journal.flush()).toBe(true)
    const given = await lines()
    expect(given.map((event) => event.type_uid)).toEqual([400101, 300401, 200401])
    expect(sequences(given)).toEqual([1, 2, 3])
    expect(given.map((event) => event.metadata.correlation_uid)).toEqual([undefined, 'corr-1', 'corr-1'])
    expect(new Set(given.map((event) => event.metadata.uid)).size).toBe(3)
    expect(await journal.close()).toEqual({ sequence: 3, written: 3, lost: 0, queued: 0, tornBytes: 0 })
  })

  test('the file is for its owner only', async () => {
    await (await openJournal(path, OPTIONS)).close()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  test('one sync for all that is emitted in one turn', async () => {
    let syncs = 0
    const count = {
      sync: () => {
        syncs++
        return undefined
      },
    }
    const journal = await openJournal(path, { ...OPTIONS, openFile: () => failing(count) })
    for (let i = 0; i < 100; i++) journal.emit(DENIED)
    await journal.flush()
    expect([syncs, (await lines()).length]).toEqual([1, 100])
    await journal.close()
  })

  test('sync never: written, not synced', async () => {
    let syncs = 0
    const count = {
      sync: () => {
        syncs++
        return undefined
      },
    }
    const journal = await openJournal(path, { ...OPTIONS, sync: 'never', openFile: () => failing(count) })
    journal.emit(DENIED)
    await journal.close()
    expect([syncs, (await lines()).length]).toEqual([0, 1])
  })

  test('after close an event is counted as lost, and nothing is thrown', async () => {
    const journal = await openJournal(path, OPTIONS)
    await journal.close()
    journal.emit(DENIED)
    expect(journal.status()).toMatchObject({ written: 0, lost: 1, sequence: 0 })
    expect(await journal.close()).toMatchObject({ written: 0, lost: 0 })
    expect(await lines()).toEqual([])
  })
})

describe('restart', () => {
  const write = async (count: number): Promise<void> => {
    const journal = await openJournal(path, OPTIONS)
    for (let i = 0; i < count; i++) journal.emit(DENIED)
    await journal.close()
  }

  test('the sequence goes on', async () => {
    await write(2)
    await write(3)
    expect(sequences(await lines())).toEqual([1, 2, 3, 4, 5])
  })

  test('a torn line is cut, counted and told, wherever it was torn', async () => {
    await write(2)
    const whole = await readFile(path)
    const last = whole.subarray(whole.indexOf(0x0a) + 1)
    for (const cut of [1, 10, 11, Math.floor(last.length / 2), last.length - 1]) {
      await writeFile(path, Buffer.concat([whole, last.subarray(0, cut)]))
      const journal = await openJournal(path, OPTIONS)
      expect((await journal.close()).tornBytes).toBe(cut)
      const events = await lines()
      expect(sequences(events)).toEqual([1, 2, 3])
      expect(events[2]).toMatchObject({ type_uid: 100899, unmapped: { cause: 'torn-tail', lost: cut } })
    }
  })

  test.each([
    ['the very first line', Buffer.from('{"action_id":40')],
    ['less than its first word', Buffer.from('{"ac')],
    ['zeros that a crash left', Buffer.alloc(4096)],
  ])('torn in %s', async (_name, bytes) => {
    await writeFile(path, bytes)
    const journal = await openJournal(path, OPTIONS)
    await journal.close()
    expect(await lines()).toMatchObject([{ unmapped: { cause: 'torn-tail', lost: bytes.length } }])
  })

  test('the whole lines before a torn one are never touched', async () => {
    await write(50)
    const before = await readFile(path)
    await appendFile(path, '{"action_id":2,"activ')
    await (await openJournal(path, OPTIONS)).close()
    expect((await readFile(path)).subarray(0, before.length).equals(before)).toBe(true)
  })

  test.each([
    ['some text', 'it holds no line of an event'],
    ['root:x:0:0\n', 'its last line is not JSON'],
    ['{"metadata":{"sequence":"7"}}\n', 'its last line is no link of a chain'],
    ['[]\n', 'its last line is no link of a chain'],
    [Buffer.from([0, 1, 2, 0]), 'it holds no line of an event'],
    [Buffer.from([0xff, 0x0a]), 'its last line is not UTF-8'],
  ])('a file of somebody else is refused and left as it is: %j', async (content, why) => {
    await writeFile(path, content)
    const fault = await faultOf(openJournal(path, OPTIONS))
    expect([fault.code, fault.message]).toEqual(['AUDIT_JOURNAL_FOREIGN', `"${path}" is not a journal of ours: ${why}`])
    expect((await readFile(path)).equals(Buffer.from(content as string))).toBe(true)
  })

  test('a path that cannot be opened', async () => {
    const fault = await faultOf(openJournal(join(folder, 'no', 'events'), OPTIONS))
    expect([fault.code, fault.reaction]).toEqual(['AUDIT_JOURNAL_UNAVAILABLE', 'retry'])
    expect(fault.cause).toMatchObject({ code: 'ENOENT' })
  })
})

describe('a disk that refuses', () => {
  const open = async (plan: Parameters<typeof failing>[0], more: Partial<JournalOptions> = {}): Promise<Journal> =>
    openJournal(path, { ...OPTIONS, openFile: () => failing(plan), ...more })

  test('full for a while: nothing is lost, nothing is torn, nothing stops', async () => {
    let full = true
    const journal = await open({ write: () => (full ? enospc() : undefined) })
    journal.emit(DENIED)
    expect(await journal.flush()).toBe(false)
    journal.emit(DENIED)
    expect(journal.status()).toMatchObject({ queued: 2, written: 0, lost: 0, failure: { code: 'ENOSPC' } })
    expect(await lines()).toEqual([])
    full = false
    await until(() => journal.status().written === 2)
    expect(journal.status()).not.toHaveProperty('failure')
    await journal.close()
    expect(sequences(await lines())).toEqual([1, 2])
  })

  test('full for longer than the queue holds: how much is missing is told', async () => {
    let full = true
    const journal = await open({ write: () => (full ? enospc() : undefined) }, { maxQueueBytes: 4_096 })
    for (let i = 0; i < 20; i++) journal.emit(DENIED)
    const { queued, lost } = journal.status()
    expect(queued + lost).toBe(20)
    expect(lost).toBeGreaterThan(0)
    await journal.flush()
    full = false
    expect(await journal.flush()).toBe(true)
    await journal.close()
    const events = await lines()
    expect(sequences(events)).toEqual(Array.from({ length: queued + 1 }, (_, i) => i + 1))
    expect(events.at(-1)).toMatchObject({ type_uid: 100899, unmapped: { cause: 'unwritten', lost } })
  })

  test('a failed sync writes the batch again', async () => {
    let failures = 2
    const journal = await open({ sync: () => (failures-- > 0 ? new Error('input/output error') : undefined) })
    journal.emit(DENIED)
    expect(await journal.flush()).toBe(false)
    await until(() => journal.status().written === 1)
    await journal.close()
    expect(sequences(await lines())).toEqual([1])
  })

  test('a cut that fails too is overwritten by the next attempt', async () => {
    let bad = true
    const journal = await open({ write: () => (bad ? enospc() : undefined), cut: () => (bad ? enospc() : undefined) })
    journal.emit(DENIED)
    expect(await journal.flush()).toBe(false)
    bad = false
    expect(await journal.flush()).toBe(true)
    await journal.close()
    expect(sequences(await lines())).toEqual([1])
  })

  test('still full at close: counted as lost, and the file ends in a whole line', async () => {
    let full = false
    const journal = await open({ write: () => (full ? enospc() : undefined) })
    journal.emit(DENIED)
    await journal.flush()
    full = true
    journal.emit(DENIED)
    expect(await journal.close()).toMatchObject({ sequence: 1, written: 1, lost: 1, queued: 0 })
    expect(sequences(await lines())).toEqual([1])
  })

  test('a real file system that is full', async (context) => {
    const mount = join(folder, 'small')
    const mounted = spawnSync('sh', ['-c', `mkdir ${mount} && mount -t tmpfs -o size=16k none ${mount}`])
    if (mounted.status !== 0) context.skip('mounting a small tmpfs needs root')
    try {
      const file = join(mount, 'events.ndjson')
      const journal = await openJournal(file, OPTIONS)
      for (let i = 0; i < 100; i++) journal.emit(DENIED)
      expect(await journal.flush()).toBe(false)
      expect(journal.status().failure).toMatchObject({ code: 'ENOSPC' })
      expect(await lines(file)).toEqual([])
      spawnSync('mount', ['-o', 'remount,size=1m', mount])
      await until(() => journal.status().queued === 0)
      await journal.close()
      expect(sequences(await lines(file))).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
    } finally {
      spawnSync('umount', [mount])
    }
    expect(existsSync(join(mount, 'events.ndjson'))).toBe(false)
  })
})
