// A live segment that was damaged between two writings: an edit is kept aside and said as tampering, a crash is cut and said as
// one, and after either the trail goes on. What was on the disk when the mark was made stays there, octet for octet.

import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readLink } from '../../../src/audit/chain.js'
import { hashOctets } from '../../../src/audit/file.js'
import { openJournal } from '../../../src/audit/journal.js'
import type { OcsfEvent } from '../../../src/audit/ocsf/event.js'
import { segmentPath } from '../../../src/audit/segment.js'
import { verifyJournal } from '../../../src/audit/verify.js'
import { FACTS } from '../../support/facts.js'
import { CHECKED, linesIn, memoryMark, OPTIONS, pathIn, putLines, writeSegments } from './rig.js'

let folder: string
let path: string
let mark: ReturnType<typeof memoryMark>
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-damage-'))
  path = pathIn(folder)
  mark = memoryMark()
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const eventsIn = (file: string): OcsfEvent[] => linesIn(file).map((line) => JSON.parse(line) as OcsfEvent)
const softer = (text: string): string => text.replace(/"severity_id":[0-9]/, '"severity_id":0')
const last = (lines: readonly string[]): string => lines.at(-1) ?? ''
const edit = (file: string, change: (lines: string[]) => string[]): void => putLines(file, change(linesIn(file)))
const forged = (line: string): string => {
  const own = /,"fingerprint":\{"algorithm_id":3,"value":"([0-9a-f]{64})"\}/
  const changed = softer(line)
  return changed.replace(own, (all, old: string) => all.replace(old, hashOctets(changed.replace(own, ''))))
}
const verified = async () => {
  const known = mark.read()
  const { findings, ...rest } = await verifyJournal(path, { ...CHECKED, ...(known ? { mark: known } : {}) })
  return { ...rest, found: findings.map(({ kind, file, line }) => `${kind} ${file.slice(path.length)}:${line}`) }
}

describe('an edit', () => {
  test.each([
    [
      'of the last line',
      (l: string[]) => l.with(-1, softer(last(l))),
      { line: 5, sequence: 5 },
      ['edited .00000001:5'],
    ],
    [
      'of the last line and one before',
      (l: string[]) => l.with(1, softer(l[1] ?? '')).with(-1, softer(last(l))),
      { line: 2, sequence: 2 },
      ['edited .00000001:2', 'edited .00000001:5'],
    ],
    [
      'that left a line of nothing',
      (l: string[]) => l.with(-1, 'hello'),
      { line: 5, sequence: 0 },
      ['unreadable .00000001:5'],
    ],
    [
      'that put a line after the last',
      (l: string[]) => [...l, 'hello'],
      { line: 6, sequence: 0 },
      ['unreadable .00000001:6'],
    ],
    [
      'that chained the last line anew',
      (l: string[]) => l.with(-1, forged(last(l))),
      { line: 5, sequence: 5 },
      ['predecessor-differs :1'],
    ],
    [
      'that left nothing of it',
      () => ['nothing', 'at all'],
      { line: 1, sequence: 0 },
      ['unreadable .00000001:1', 'unreadable .00000001:2'],
    ],
  ])('%s: kept aside as it is, said with the line, and the trail goes on', async (_name, change, where, found) => {
    await writeSegments(path, [5], { mark })
    const before = mark.read()
    edit(path, change)
    const kept = readFileSync(path)
    await writeSegments(path, [2], { mark })
    expect(readFileSync(segmentPath(path, 1)).equals(kept)).toBe(true)
    const events = eventsIn(path)
    expect(events.map((event) => event.status_code)).toEqual(['journal.damaged', 'no-grant', 'no-grant'])
    expect(events.map((event) => event.metadata.sequence)).toEqual([6, 7, 8])
    expect(events[0]).toMatchObject({ severity_id: 5, unmapped: { segment: 1, ...where } })
    expect(readLink(linesIn(path)[0] ?? '', hashOctets)?.before).toEqual({
      uid: before?.uid,
      fingerprint: before?.fingerprint,
    })
    const report = await verified()
    expect(report.intact).toBe(false)
    for (const one of [...found, 'seal-missing .00000001.seal:0']) expect(report.found).toContain(one)
    expect(report.found).toHaveLength(found.length + 1)
  })

  test('is never sealed later, and what follows it is', async () => {
    await writeSegments(path, [3], { mark })
    edit(path, (l) => l.with(-1, softer(last(l))))
    await writeSegments(path, [2, 2, 1], { mark })
    const report = await verified()
    expect(report).toMatchObject({ segments: 3, sealed: 2, lastSequence: 11 })
    expect(report.found).toEqual(['edited .00000001:3', 'seal-missing .00000001.seal:0'])
  })

  test('without a mark: the chain goes on from the last event that is as it was written', async () => {
    await writeSegments(path, [3])
    edit(path, (l) => l.with(-1, softer(last(l))))
    await writeSegments(path, [1])
    expect(eventsIn(path).map((event) => [event.status_code, event.metadata.sequence])).toEqual([
      ['journal.damaged', 3],
      ['no-grant', 4],
    ])
    const { findings } = await verifyJournal(path, CHECKED)
    expect(findings.map(({ kind }) => kind)).toContain('edited')
  })

  test('under a writer that is open: found with the next batch', async () => {
    const journal = await openJournal(path, { ...OPTIONS, mark })
    journal.emit(FACTS['flow-denied'])
    await journal.flush()
    appendFileSync(path, 'hello\n')
    journal.emit(FACTS['flow-denied'])
    expect(await journal.flush()).toBe(true)
    expect(await journal.close()).toMatchObject({ lost: 0, written: 3 })
    expect(eventsIn(path).map((event) => event.status_code)).toEqual(['journal.damaged', 'no-grant'])
  })

  test('and a crash right after it was set aside: told at the next opening', async () => {
    await writeSegments(path, [3], { mark })
    edit(path, (l) => l.with(-1, softer(last(l))))
    renameSync(path, segmentPath(path, 1))
    await writeSegments(path, [1], { mark })
    expect(eventsIn(path).filter((event) => event.status_code === 'journal.damaged')).toHaveLength(1)
    expect((await verified()).found).toContain('edited .00000001:3')
  })
})

describe('half a line', () => {
  test('after what the mark names is a crash: cut, counted, and nothing is wrong', async () => {
    await writeSegments(path, [3], { mark })
    appendFileSync(path, last(linesIn(path)).slice(0, 100))
    await writeSegments(path, [1], { mark })
    expect(eventsIn(path).map((event) => event.status_code)).toEqual([
      'no-grant',
      'no-grant',
      'no-grant',
      'torn-tail',
      'no-grant',
    ])
    expect(await verified()).toMatchObject({ intact: true, found: [] })
  })

  test.each([
    ['of what the mark names', (bytes: Buffer) => bytes.subarray(0, bytes.length - 40)],
    [
      'that a zero makes of it',
      (bytes: Buffer) => Buffer.concat([bytes.subarray(0, -200), Buffer.alloc(1), bytes.subarray(-199)]),
    ],
  ])('%s is no crash: kept, and not cut', async (_name, change) => {
    await writeSegments(path, [3], { mark })
    const damaged = change(readFileSync(path))
    writeFileSync(path, damaged)
    await writeSegments(path, [1], { mark })
    expect(readFileSync(segmentPath(path, 1)).equals(damaged)).toBe(true)
    expect(eventsIn(path).map((event) => [event.status_code, event.metadata.sequence])).toEqual([
      ['journal.damaged', 4],
      ['no-grant', 5],
    ])
    expect((await verified()).found).toContain('unreadable .00000001:3')
  })
})
