// Segments: closing by size and age, sealing, retention, what a crash between any two steps leaves behind, and several
// writers of one journal.

import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openJournal } from '../../../src/audit/journal.js'
import type { OcsfEvent } from '../../../src/audit/ocsf/event.js'
import { unverifiedSeal } from '../../../src/audit/seal.js'
import { filesOfJournal, sealPath, segmentPath } from '../../../src/audit/segment.js'
import { verifyJournal } from '../../../src/audit/verify.js'
import { FACTS, NOW } from '../../support/facts.js'
import { CHECKED, linesIn, memoryMark, OPTIONS, pathIn, SEALING, writeSegments } from './rig.js'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-segments-'))
  path = pathIn(folder)
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})
const eventsIn = (file: string): OcsfEvent[] => linesIn(file).map((line) => JSON.parse(line) as OcsfEvent)
const codes = (file = path): unknown[] => eventsIn(file).map((event) => event.status_code)
const DENIED = FACTS['flow-denied']

describe('closing', () => {
  test('by size, between two batches', async () => {
    const journal = await openJournal(path, { ...OPTIONS, sealing: { ...SEALING, segmentBytes: 5_000 } })
    for (let i = 0; i < 12; i++) {
      journal.emit(DENIED)
      await journal.flush()
    }
    await journal.close()
    const closed = readdirSync(folder).filter((name) => /\d$/.test(name))
    expect(closed.length).toBeGreaterThan(1)
    for (const name of closed) expect(statSync(join(folder, name)).size).toBeGreaterThanOrEqual(5_000)
    expect(await verifyJournal(path, CHECKED)).toMatchObject({ intact: true, sealed: closed.length })
  })

  test('by the age of the first event, also of one that an earlier process wrote', async () => {
    await writeSegments(path, [2])
    const later = { ...OPTIONS, nowMs: () => NOW + SEALING.segmentMs - 1 }
    const young = await openJournal(path, later)
    young.emit(DENIED)
    await young.close()
    expect(existsSync(segmentPath(path, 1))).toBe(false)
    const old = await openJournal(path, { ...OPTIONS, nowMs: () => NOW + SEALING.segmentMs })
    old.emit(DENIED)
    await old.close()
    expect(linesIn(segmentPath(path, 1))).toHaveLength(3)
    expect(codes()).toEqual(['journal.closed', 'no-grant'])
  })

  test('the seal says what the segment holds, and the next segment begins by saying so', async () => {
    await writeSegments(path, [3, 1])
    const [closed] = eventsIn(path)
    const seal = unverifiedSeal(readFileSync(sealPath(path, 1), 'utf8'))
    expect(seal).toMatchObject({
      node: SEALING.node,
      segment: 1,
      events: 3,
      octets: statSync(segmentPath(path, 1)).size,
      firstSequence: 1,
      lastSequence: 3,
      follows: null,
      sealedAtMs: NOW,
    })
    expect(closed).toMatchObject({
      type_uid: 100805,
      unmapped: { segment: 1, events: 3, first_sequence: 1, last_sequence: 3, fingerprint: seal?.fingerprint },
    })
    for (const file of filesOfJournal(path)) expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  test('an empty journal is not closed, and without a key none is', async () => {
    const journal = await openJournal(path, OPTIONS)
    expect(await journal.rotate()).toBeUndefined()
    await journal.close()
    const { sealing: _, ...without } = OPTIONS
    const keyless = await openJournal(path, without)
    keyless.emit(DENIED)
    expect(await keyless.rotate()).toBeUndefined()
    await keyless.close()
    expect(readdirSync(folder)).toEqual(['events.ndjson'])
  })

  test('a key that cannot be used puts it off, and the trail goes on', async () => {
    const broken = {
      get kid(): string {
        throw new TypeError('the key is gone')
      },
      alg: 'Ed25519',
      sign: async () => new Uint8Array(0),
    }
    const sealing = { ...SEALING, segmentBytes: 1, signer: broken }
    const journal = await openJournal(path, { ...OPTIONS, sealing })
    for (let i = 0; i < 3; i++) {
      journal.emit(DENIED)
      expect(await journal.flush()).toBe(true)
    }
    expect(await journal.close()).toMatchObject({ written: 3, lost: 0, keyFailure: { message: 'the key is gone' } })
    expect(linesIn(path)).toHaveLength(3)
  })

  test('a segment that was changed is not sealed: the trail says where', async () => {
    await writeSegments(path, [5])
    writeFileSync(path, readFileSync(path, 'latin1').replace('"count":12', '"count":13'), 'latin1')
    const journal = await openJournal(path, OPTIONS)
    expect(await journal.rotate()).toEqual({ segment: 1, damaged: { line: 1, sequence: 1 } })
    await journal.close()
    expect(existsSync(sealPath(path, 1))).toBe(false)
    expect(eventsIn(path)[0]).toMatchObject({ type_uid: 200401, severity_id: 5, unmapped: { segment: 1, line: 1 } })
  })
})

describe('keeping', () => {
  test('beyond the size: told first, then gone, the newest closed one stays', async () => {
    await writeSegments(path, [3, 3, 3], { sealing: { ...SEALING, keepBytes: 1 } })
    expect(readdirSync(folder).sort()).toEqual([
      'events.ndjson',
      'events.ndjson.00000002',
      'events.ndjson.00000002.seal',
    ])
    expect(eventsIn(path).find((event) => event.status_code === 'journal.retired')).toMatchObject({
      type_uid: 100802,
      unmapped: { from_segment: 1, to_segment: 1, last_sequence: 3 },
    })
    expect(await verifyJournal(path, CHECKED)).toMatchObject({ intact: true, firstSequence: 4 })
  })

  test('beyond the age', async () => {
    await writeSegments(path, [1, 1, 1])
    const nowMs = () => Date.now() + 10 * 86_400_000
    const journal = await openJournal(path, { ...OPTIONS, nowMs, sealing: { ...SEALING, keepMs: 86_400_000 } })
    await journal.rotate()
    await journal.close()
    expect(readdirSync(folder).filter((name) => name.endsWith('.seal'))).toEqual(['events.ndjson.00000003.seal'])
    expect((await verifyJournal(path, CHECKED)).intact).toBe(true)
  })
})

describe('a crash', () => {
  const seal = () => sealPath(path, 2)
  const STATES: readonly (readonly [string, () => void, sealed: number])[] = [
    ['after the segment got its name', () => rmSync(seal()), 2],
    ['while the seal was written', () => renameSync(seal(), `${seal()}.new`), 2],
    ['before the next segment was made', () => undefined, 2],
    ['before anything was in the next segment', () => writeFileSync(path, ''), 2],
    ['during the first line of the next segment', () => writeFileSync(path, '{"action_id":2,"activ'), 2],
    ['while a retired segment was removed', () => rmSync(segmentPath(path, 1)), 1],
  ]
  test.each(STATES)('%s', async (name, leave, sealed) => {
    await writeSegments(path, [3, 2, 0])
    rmSync(path)
    leave()
    const journal = await openJournal(path, OPTIONS)
    journal.emit(DENIED)
    await journal.close()
    expect(codes()).toContain('journal.closed')
    expect(codes().filter((code) => code === 'journal.closed')).toHaveLength(1)
    const report = await verifyJournal(path, CHECKED)
    expect(report).toMatchObject({ lastSequence: name.includes('first line') ? 9 : 8, sealed })
    // Nobody told that the first one would go, so that row stands for somebody who took it away as well.
    expect(report.findings.map(({ kind }) => kind)).toEqual(name.includes('retired') ? ['segment-missing'] : [])
  })

  test('a segment is never sealed again once the next one was begun', async () => {
    await writeSegments(path, [3, 2])
    rmSync(sealPath(path, 1))
    const journal = await openJournal(path, OPTIONS)
    journal.emit(DENIED)
    await journal.close()
    expect(existsSync(sealPath(path, 1))).toBe(false)
    expect((await verifyJournal(path, CHECKED)).findings.map(({ kind }) => kind)).toEqual(['seal-missing'])
  })

  test('zeros where pages never arrived go, with all that follows them', async () => {
    await writeSegments(path, [4])
    const whole = readFileSync(path)
    const third = whole.indexOf(0x0a, whole.indexOf(0x0a) + 1) + 1
    writeFileSync(path, Buffer.concat([whole.subarray(0, third), Buffer.alloc(300), whole.subarray(third + 300)]))
    const journal = await openJournal(path, OPTIONS)
    await journal.close()
    expect(journal.status().tornBytes).toBe(whole.length - third)
    expect(codes()).toEqual(['no-grant', 'no-grant', 'torn-tail'])
    expect((await verifyJournal(path, CHECKED)).intact).toBe(true)
  })
})

test('a journal that was taken away does not begin anew unseen', async () => {
  const mark = memoryMark()
  await writeSegments(path, [5], { mark })
  for (const file of filesOfJournal(path)) rmSync(file)
  await writeSegments(path, [1], { mark })
  expect(eventsIn(path)[0]).toMatchObject({ metadata: { sequence: 6 }, unmapped: { cause: 'removed', lost: 5 } })
  expect((await verifyJournal(path, CHECKED)).findings).toMatchObject([
    { kind: 'events-missing', line: 1, sequence: 6 },
  ])
})

test('two writers take turns: one chain, every event once', async () => {
  let held = Promise.resolve()
  const exclusive = async () => {
    const before = held
    let release: () => void = () => undefined
    held = new Promise((resolve) => {
      release = resolve
    })
    await before
    return release
  }
  const terms = { ...OPTIONS, exclusive, sealing: { ...SEALING, segmentBytes: 20_000 } }
  const writers = await Promise.all([openJournal(path, terms), openJournal(path, terms), openJournal(path, terms)])
  for (let turn = 0; turn < 30; turn++) {
    for (const [i, writer] of writers.entries())
      for (let n = 0; n <= i; n++) writer.emit(DENIED, `turn-${turn}-${i}-${n}`)
    if (turn % 3 === 0) await Promise.all(writers.map((writer) => writer.flush()))
    if (turn === 15) await writers[1]?.rotate()
  }
  const ends = await Promise.all(writers.map((writer) => writer.close()))
  expect(ends.map(({ lost }) => lost)).toEqual([0, 0, 0])
  const report = await verifyJournal(path, CHECKED)
  expect(report).toMatchObject({ intact: true, events: ends.reduce((sum, { written }) => sum + written, 0) })
  const files = filesOfJournal(path).filter((file) => !file.endsWith('.seal'))
  const turns = files.flatMap(eventsIn).flatMap(({ metadata }) => metadata.correlation_uid ?? [])
  expect([turns.length, new Set(turns).size]).toEqual([180, 180])
})
