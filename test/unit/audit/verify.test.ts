// Verifying: an untouched journal holds, and each way to tamper with one is found, with file, line and sequence.

import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ChainPoint, readLink } from '../../../src/audit/chain.js'
import { hashOctets } from '../../../src/audit/file.js'
import { readSeal, signSeal } from '../../../src/audit/seal.js'
import { sealPath, segmentPath } from '../../../src/audit/segment.js'
import { selection } from '../../../src/audit/sinks/select.js'
import { type Finding, verifyJournal } from '../../../src/audit/verify.js'
import { decodeBase64url } from '../../../src/base/bytes.js'
import { generateKey, signerOf } from '../../../src/bundle/key-file.js'
import { CHECKED, linesIn, OPTIONS, pathIn, putLines, SEALING, writeSegments } from './rig.js'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-verify-'))
  path = pathIn(folder)
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const places = (findings: readonly Finding[]): string[] =>
  findings.map(({ kind, file, line, sequence }) => `${kind} ${basename(file)}:${line} #${sequence}`)
const found = async (mark?: ChainPoint): Promise<string[]> =>
  places((await verifyJournal(path, { ...CHECKED, ...(mark ? { mark } : {}) })).findings)
const pointOf = (line: string): ChainPoint => readLink(line, hashOctets) as ChainPoint

/** A line whose text was changed and whose fingerprint was made anew: what somebody without the key can do. */
function forged(line: string, change: (text: string) => string): string {
  const own = /"fingerprint":\{"algorithm_id":3,"value":"([0-9a-f]{64})"\}/
  const changed = change(line)
  const bare = changed.replace(new RegExp(`,${own.source}`), '')
  return changed.replace(own, `"fingerprint":{"algorithm_id":3,"value":"${hashOctets(bare)}"}`)
}
/** As `forged`, and every line after it is chained anew. */
function forgedOn(lines: readonly string[], at: number, change: (text: string) => string): string[] {
  const out = [...lines]
  out[at] = forged(lines[at] ?? '', change)
  for (let i = at + 1; i < out.length; i++) {
    const { fingerprint } = pointOf(out[i - 1] ?? '')
    out[i] = forged(out[i] ?? '', (text) =>
      text.replace(/("prev_event":\{"fingerprint":\{"algorithm_id":3,"value":")[0-9a-f]{64}/, `$1${fingerprint}`),
    )
  }
  return out
}
const softer = (text: string): string => text.replace(/"severity_id":[0-9]/, '"severity_id":0')

test('an untouched journal of three segments holds', async () => {
  await writeSegments(path, [5, 4, 3])
  expect(await verifyJournal(path, CHECKED)).toEqual({
    events: 14, // 5, 1 about the closing and 4, 1 and 3
    segments: 2,
    sealed: 2,
    sealsChecked: true,
    firstSequence: 1,
    lastSequence: 14,
    sealedThrough: 10,
    redacted: 0,
    intact: true,
    findings: [],
    furtherFindings: 0,
  })
})

test("a sink's copy that members were kept back from: in order, and it says that nothing holds what they say", async () => {
  await writeSegments(path, [6])
  const keep = selection({ redact: ['dst_endpoint.ip'] })
  const lines = linesIn(path)
  putLines(
    path,
    lines.map((line) => keep(line) ?? ''),
  )
  expect(linesIn(path)[0]).toContain('"redacted":["dst_endpoint.ip"]')
  expect(await verifyJournal(path, { redacted: true })).toMatchObject({ redacted: 6, intact: true, findings: [] })
  // Nobody hides a change behind that mark in a journal that is not said to be such a copy.
  const { findings, intact } = await verifyJournal(path)
  expect([intact, findings.length, findings[0]?.kind]).toEqual([false, 6, 'edited'])
  expect(findings[0]?.say).toBe(
    'the line is not the one that its fingerprint was made of; it says that members were kept back from a sink (--redacted)',
  )
  putLines(
    path,
    lines.filter((_, i) => i !== 3).map((line) => keep(line) ?? ''),
  )
  expect(places((await verifyJournal(path, { redacted: true })).findings)).toEqual([
    'events-missing events.ndjson:4 #5',
  ])
})

test('no journal at all is an empty one, unless the mark knows better', async () => {
  expect(await verifyJournal(path, CHECKED)).toMatchObject({ events: 0, intact: true })
  await writeSegments(path, [2])
  const mark = pointOf(linesIn(path)[1] ?? '')
  rmSync(path)
  expect(await found(mark)).toEqual(['end-missing events.ndjson:0 #2'])
})

test('without a key the report says that no signature was checked', async () => {
  await writeSegments(path, [2, 1])
  expect(await verifyJournal(path)).toMatchObject({ sealsChecked: false, sealed: 1, sealedThrough: 0, intact: true })
})

type Tampering = readonly [name: string, tamper: (segment: string) => void, expected: readonly string[]]
const edit = (file: string, change: (lines: string[]) => readonly string[]): void => {
  putLines(file, change(linesIn(file)))
}
const at = (lines: string[], index: number): string => lines[index] ?? ''

describe('tampering', () => {
  // Three segments: 1 has events 1 to 5, 2 has 6 to 10, and 11 to 14 are in the live one.
  const ROWS: readonly Tampering[] = [
    [
      'a character of a line',
      (file) => edit(file, (l) => l.with(2, softer(at(l, 2)))),
      ['edited events.ndjson.00000002:3 #8'],
    ],
    [
      'white space',
      (file) => edit(file, (l) => l.with(1, at(l, 1).replace('{', '{ '))),
      ['edited events.ndjson.00000002:2 #7', 'seal-differs events.ndjson.00000002:5 #10'],
    ],
    [
      'the own fingerprint',
      (file) => edit(file, (l) => l.with(1, at(l, 1).replace(/("fingerprint":\{"algorithm_id":3,"value":")./, '$1z'))),
      ['unreadable events.ndjson.00000002:2 #7'],
    ],
    [
      'the sequence number',
      (file) => edit(file, (l) => l.with(1, at(l, 1).replace('"sequence":7', '"sequence":9'))),
      ['edited events.ndjson.00000002:2 #9'],
    ],
    [
      'a line replaced and its fingerprint made anew',
      (file) => edit(file, (l) => l.with(1, forged(at(l, 1), softer))),
      ['predecessor-differs events.ndjson.00000002:3 #8'],
    ],
    [
      'the rest of a segment chained anew',
      (file) => edit(file, (l) => forgedOn(l, 1, softer)),
      ['seal-differs events.ndjson.00000002:5 #10', 'predecessor-differs events.ndjson:1 #11'],
    ],
    [
      'a line taken out',
      (file) => edit(file, (l) => l.toSpliced(2, 1)),
      ['events-missing events.ndjson.00000002:3 #9', 'seal-differs events.ndjson.00000002:4 #10'],
    ],
    [
      'the first line taken out',
      (file) => edit(file, (l) => l.slice(1)),
      ['events-missing events.ndjson.00000002:1 #7', 'seal-differs events.ndjson.00000002:4 #10'],
    ],
    [
      'the last line taken out',
      (file) => edit(file, (l) => l.slice(0, -1)),
      ['seal-differs events.ndjson.00000002:4 #9', 'events-missing events.ndjson:1 #11'],
    ],
    [
      'a line put in twice',
      (file) => edit(file, (l) => l.toSpliced(3, 0, at(l, 1))),
      ['out-of-order events.ndjson.00000002:4 #7', 'seal-differs events.ndjson.00000002:6 #10'],
    ],
    [
      'a line put in that is none',
      (file) => edit(file, (l) => l.toSpliced(3, 0, 'hello')),
      ['unreadable events.ndjson.00000002:4 #9', 'seal-differs events.ndjson.00000002:6 #10'],
    ],
    [
      'two lines changed over',
      (file) => edit(file, (l) => l.with(1, at(l, 2)).with(2, at(l, 1))),
      ['events-missing events.ndjson.00000002:2 #8', 'events-missing events.ndjson.00000002:4 #9'],
    ],
    [
      'half a line at the end',
      (file) => writeFileSync(file, readFileSync(file).subarray(0, -20)),
      [
        'unreadable events.ndjson.00000002:5 #10',
        'seal-differs events.ndjson.00000002:5 #9',
        'events-missing events.ndjson:1 #11',
      ],
    ],
    [
      'the segment taken away',
      (file) => rmSync(file),
      ['events-missing events.ndjson:1 #11', 'segment-missing events.ndjson.00000002:0 #0'],
    ],
    [
      'segment and seal taken away',
      (file) => {
        for (const name of [file, sealPath(path, 2)]) rmSync(name)
      },
      ['events-missing events.ndjson:1 #11'],
    ],
    [
      'the first segment taken away',
      () => {
        for (const name of [segmentPath(path, 1), sealPath(path, 1)]) rmSync(name)
      },
      ['segment-missing events.ndjson.00000001:0 #0'],
    ],
    ['the seal taken away', () => rmSync(sealPath(path, 2)), ['seal-missing events.ndjson.00000002.seal:0 #10']],
    [
      'the seal of another segment',
      () => writeFileSync(sealPath(path, 2), readFileSync(sealPath(path, 1))),
      ['seal-differs events.ndjson.00000002:5 #10'],
    ],
    [
      'an octet of the seal',
      () =>
        writeFileSync(sealPath(path, 2), readFileSync(sealPath(path, 2), 'latin1').replace(/.{9}\n$/, 'AAAAAAAAA\n')),
      ['seal-invalid events.ndjson.00000002.seal:0 #10'],
    ],
    [
      'two segments changed over',
      (file) => {
        renameSync(file, `${file}.x`)
        renameSync(segmentPath(path, 1), file)
        renameSync(`${file}.x`, segmentPath(path, 1))
      },
      [
        'events-missing events.ndjson.00000001:1 #6',
        'seal-differs events.ndjson.00000001:5 #10',
        'out-of-order events.ndjson.00000002:1 #1',
        'seal-differs events.ndjson.00000002:5 #5',
        'events-missing events.ndjson:1 #11',
      ],
    ],
  ]
  test.each(ROWS)('%s', async (_name, tamper, expected) => {
    await writeSegments(path, [5, 4, 3])
    tamper(segmentPath(path, 2))
    expect(await found()).toEqual(expected)
    expect((await verifyJournal(path, CHECKED)).intact).toBe(false)
  })

  test('a segment chained anew and sealed with a key that nobody trusts', async () => {
    await writeSegments(path, [5, 4, 3])
    edit(segmentPath(path, 2), (l) => forgedOn(l, 1, softer))
    const payload = decodeBase64url(readFileSync(sealPath(path, 2), 'utf8').split('.')[1] ?? '')
    const seal = readSeal(payload as Uint8Array)
    if (!seal) expect.fail('the journal wrote no seal')
    const last = pointOf(linesIn(segmentPath(path, 2)).at(-1) ?? '')
    const other = signerOf(generateKey({ role: 'agent' }, OPTIONS.random))
    const signer = { ...other, kid: SEALING.signer.kid }
    writeFileSync(sealPath(path, 2), await signSeal({ ...seal, fingerprint: last.fingerprint }, signer))
    expect(await found()).toContain('seal-invalid events.ndjson.00000002.seal:0 #10')
  })

  test('the end of the live segment chained anew: no seal reaches there, and the mark tells it', async () => {
    await writeSegments(path, [2, 3])
    const mark = pointOf(linesIn(path).at(-1) ?? '')
    edit(path, (l) => forgedOn(l, 1, softer))
    expect(await found()).toEqual([])
    expect(await found(mark)).toEqual(['mark-differs events.ndjson:4 #6'])
  })

  test('lines cut off at the end: the mark tells it', async () => {
    await writeSegments(path, [2, 3])
    const mark = pointOf(linesIn(path).at(-1) ?? '')
    edit(path, (l) => l.slice(0, -2))
    expect(await found(mark)).toEqual(['end-missing events.ndjson:0 #6'])
  })

  test('a journal of another node in its place', async () => {
    await writeSegments(path, [3])
    const mark = pointOf(linesIn(path).at(-1) ?? '')
    rmSync(path)
    await writeSegments(path, [3])
    expect(await found(mark)).toEqual(['mark-differs events.ndjson:3 #3'])
  })

  test('half a line at the end of the live segment is a crash: told, and not held against it', async () => {
    await writeSegments(path, [3])
    writeFileSync(path, readFileSync(path).subarray(0, -20))
    const report = await verifyJournal(path, CHECKED)
    expect([places(report.findings), report.intact]).toEqual([['torn events.ndjson:3 #3'], true])
  })

  test('a hundred findings are listed, and the rest is counted', async () => {
    await writeSegments(path, [150])
    edit(path, (l) => l.map(softer))
    const { findings, furtherFindings } = await verifyJournal(path, CHECKED)
    expect([findings.length, furtherFindings]).toEqual([100, 50])
  })
})

test('what retention took away is not missing', async () => {
  const sealing = { ...SEALING, keepBytes: 1 }
  await writeSegments(path, [3, 3, 3, 3], { sealing })
  expect(existsSync(segmentPath(path, 1))).toBe(false)
  expect(await verifyJournal(path, CHECKED)).toMatchObject({ intact: true, findings: [], segments: 1 })
})

test('any single edit of any octet is found, at its line', async () => {
  await writeSegments(path, [20], { sealing: SEALING })
  const whole = readFileSync(path)
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: whole.length - 2 }),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom('flip', 'cut', 'insert'),
      async (place, mask, how) => {
        const was = whole[place] ?? 0
        const head = whole.subarray(0, place)
        const tail = whole.subarray(how === 'insert' ? place : place + 1)
        const octet = how === 'insert' ? Buffer.from([mask]) : Buffer.from(how === 'cut' ? [] : [was ^ mask])
        writeFileSync(path, Buffer.concat([head, octet, tail]))
        const line = head.toString('latin1').split('\n').length
        const { findings, intact } = await verifyJournal(path, CHECKED)
        expect(intact).toBe(false)
        // An octet at the joint of two lines belongs to either.
        const joint = was === 0x0a ? [line, line + 1] : [line]
        expect(joint).toContain(findings[0]?.line)
      },
    ),
    { numRuns: 300 },
  )
})

test('what cannot be read is an error, not an empty journal', async () => {
  await expect(verifyJournal(folder, CHECKED)).rejects.toMatchObject({ code: 'EISDIR' })
})
