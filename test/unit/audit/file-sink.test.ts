// The sink `file`: whole batches, files that rotate, and agreement with the cursor after a crash.

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FileSinkTerms, openFileSink, rotatedFiles } from '../../../src/audit/sinks/file-sink.js'
import { cursorFile } from '../../../src/audit/sinks/terms.js'
import { linesIn } from './rig.js'
import { Spooled, until, upTo } from './sink-rig.js'

let spooled: Spooled
let path: string
beforeEach(() => {
  spooled = new Spooled()
  path = join(spooled.folder, 'out', 'events.ndjson')
})
afterEach(() => spooled.close())

const terms = (more: Partial<FileSinkTerms> = {}): FileSinkTerms => ({
  ...{ path, rotateBytes: 1 << 20, rotateMs: 1e12, keepFiles: 100, sync: 'never', nowMs: () => spooled.nowMs },
  ...more,
})
const deliver = (more: Partial<FileSinkTerms> = {}, batch = 10) =>
  spooled.deliver(() => openFileSink(terms(more)), { terms: { maxEvents: batch } })
const sequencesIn = (file: string): number[] =>
  linesIn(file).map((line) => (JSON.parse(line) as { metadata: { sequence: number } }).metadata.sequence)
const everything = (): number[] => [...rotatedFiles(path).map((at) => at.path), path].flatMap(sequencesIn)

describe('the file', () => {
  it('has the lines of the journal, octet for octet', async () => {
    await spooled.write(55)
    const { status, end } = deliver()
    await until('all', () => status().lag === 0)
    await end()
    expect(readFileSync(path)).toEqual(readFileSync(spooled.path))
  })

  it('rotates by size, keeps the newest, and loses nothing that it keeps', async () => {
    await spooled.write(400)
    const { status, end } = deliver({ rotateBytes: 20_000, keepFiles: 3 })
    await until('all', () => status().lag === 0)
    await end()
    const files = rotatedFiles(path)
    expect(files.length).toBe(3)
    expect(files[0]?.number).toBeGreaterThan(1)
    const kept = everything()
    expect(kept).toEqual(upTo(400, kept[0]))
  })

  it('rotates by age', async () => {
    await spooled.write(5)
    const { status } = deliver({ rotateMs: 60_000 })
    await until('five', () => status().sequence === 5)
    spooled.nowMs += 60_000
    await spooled.write(5)
    await until('ten', () => status().sequence === 10)
    expect(rotatedFiles(path).map(({ path: file }) => sequencesIn(file))).toEqual([upTo(5)])
    expect(sequencesIn(path)).toEqual(upTo(10, 6))
  })
})

describe('after a crash', () => {
  const fill = async (): Promise<string> => {
    await spooled.write(30)
    const { status, end } = deliver()
    // Not the number 30: where there is more, a batch later it is passed, and a look may come too late to see it.
    await until('all', () => status().lag === 0)
    await end()
    return readFileSync(cursorFile(spooled.directory, 'siem'), 'utf8')
  }
  const resume = async () => {
    const { status, end } = deliver()
    await until('all', () => status().lag === 0)
    await end()
    return status()
  }

  it('between the file and the cursor: nothing is there twice, and the counts agree', async () => {
    await spooled.write(10)
    const { status, end } = deliver()
    await until('ten', () => status().lag === 0)
    await end()
    const older = readFileSync(cursorFile(spooled.directory, 'siem'), 'utf8')
    await fill()
    writeFileSync(cursorFile(spooled.directory, 'siem'), older)
    await spooled.write(5)
    expect(await resume()).toMatchObject({ sequence: 45, delivered: 45 })
    expect(sequencesIn(path)).toEqual(upTo(45))
  })

  it('in the middle of a batch: the torn end goes, and its events come again', async () => {
    await fill()
    const next = readFileSync(path, 'utf8').split('\n')[0] ?? ''
    appendFileSync(path, next.slice(0, 200))
    await spooled.write(5)
    await resume()
    expect(sequencesIn(path)).toEqual(upTo(35))
  })

  it('right after a rotation: the rotated file says how far it is', async () => {
    const cursor = await fill()
    rmSync(cursorFile(spooled.directory, 'siem'))
    renameSync(path, `${path}.00000001`)
    await resume()
    expect(existsSync(path)).toBe(true)
    expect(readFileSync(path, 'utf8')).toBe('')
    expect(readFileSync(cursorFile(spooled.directory, 'siem'), 'utf8')).toBe(cursor)
  })
})

describe('a disk that refuses', () => {
  it('when it is full: says so, and goes on when there is room', async () => {
    await spooled.write(12)
    mkdirSync(dirname(path), { recursive: true })
    symlinkSync('/dev/full', path)
    const { status } = deliver()
    await until('failures', () => status().failures > 2)
    expect(status()).toMatchObject({ state: 'failing', sequence: 0 })
    expect(status().error).toMatch(/^ENOSPC/)
    rmSync(path)
    await until('all', () => status().lag === 0)
    expect(sequencesIn(path)).toEqual(upTo(12))
  })

  it('keeps the sink waiting, and nothing is torn or missing afterwards', async () => {
    await spooled.write(12)
    // A directory in place of the file: neither opened nor written.
    mkdirSync(path, { recursive: true })
    const { status } = deliver()
    await until('failures', () => status().failures > 2)
    expect(status()).toMatchObject({ state: 'failing', sequence: 0 })
    expect(status().error).toMatch(/^EISDIR/)
    rmSync(path, { recursive: true })
    await until('all', () => status().lag === 0)
    expect(sequencesIn(path)).toEqual(upTo(12))
  })
})
