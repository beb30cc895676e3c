// The journal on a disk that is really full again and again: a small file system, filled by somebody else at any moment of
// writing, closing, sealing and retiring, asked several times while it is full, and freed again. What is left must verify, and
// no event may be lost while the queue has room.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openJournal } from '../../src/audit/journal.js'
import { verifyJournal } from '../../src/audit/verify.js'
import { FACTS } from '../support/facts.js'
import { CHECKED, memoryMark, OPTIONS, pathIn, SEALING } from '../unit/audit/rig.js'

const ROUNDS = Number(process.env.JOURNAL_FULL_ROUNDS ?? 60)

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-full-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder])
})
afterEach(() => {
  execFileSync('umount', ['-l', folder])
  rmSync(folder, { recursive: true })
})

it('verifies after a disk was full at any step', { timeout: 120_000 }, async () => {
  const path = pathIn(folder)
  const filler = join(folder, 'filler')
  const mark = memoryMark()
  const sealing = { ...SEALING, segmentBytes: 48 << 10, keepBytes: 256 << 10 }
  const journal = await openJournal(path, { ...OPTIONS, sealing, mark })
  const emit = (events: number): void => {
    for (let n = 0; n < events; n++) journal.emit(FACTS['bundle-activated'])
  }
  let refused = 0
  for (let round = 0; round < ROUNDS; round++) {
    emit(5 + (round % 23))
    if (round % 2 === 0) await journal.flush()
    expect(() => {
      writeFileSync(filler, Buffer.alloc(2 << 20))
    }).toThrow('ENOSPC')
    emit(1 + (round % 41))
    for (let asked = 0; asked < 4; asked++) if (!(await journal.flush())) refused++
    rmSync(filler)
    emit(round % 7)
    expect(await journal.flush()).toBe(true)
    const point = mark.read()
    const seen = await verifyJournal(path, { ...CHECKED, ...(point ? { mark: point } : {}) })
    expect(seen.findings, `round ${round}`).toEqual([])
  }
  expect(refused).toBeGreaterThan(ROUNDS)
  expect((await journal.close()).lost).toBe(0)
})
