// Copies of what a machine boots from: over what an earlier machine left, whole or not at all, and without keeping anybody else waiting.

import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { VerifiedFile } from '../../../src/companion/drivers/driver.js'
import { copyVerified } from '../../../src/companion/drivers/verified.js'

/** Several chunks. */
const BYTES = (4 << 20) + 5
let directory: string
let file: VerifiedFile
let to: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-verified-'))
  const bytes = Buffer.alloc(BYTES, 'kernel')
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as const
  file = { path: join(directory, 'signed'), digest, bytes: BYTES }
  to = join(directory, 'kernel')
  writeFileSync(file.path, bytes)
})
afterEach(() => {
  rmSync(directory, { recursive: true })
})

it('is a copy over what an earlier machine left, for reading only', async () => {
  writeFileSync(to, 'an earlier one')
  writeFileSync(`${to}.new`, 'one that ended in the middle')
  await copyVerified(file, to)
  expect(readFileSync(to).equals(readFileSync(file.path))).toBe(true)
  expect(statSync(to).mode & 0o777).toBe(0o444)
  expect(readdirSync(directory).sort()).toEqual(['kernel', 'signed'])
})

it('lets others work between any two chunks, and ends between them when nobody wants it', async () => {
  let turns = 0
  let isOver = false
  const turn = (): void => {
    turns++
    if (!isOver) setImmediate(turn)
  }
  turn()
  const seen: number[] = []
  const stop = (): void => {
    seen.push(turns)
    if (seen.length === 4) throw new TypeError('it was killed meanwhile')
  }
  await expect(copyVerified(file, to, stop)).rejects.toThrow('it was killed meanwhile')
  isOver = true
  const [first = 0, second = 0, third = 0, fourth = 0] = seen
  expect([first < second, second < third, third < fourth]).toEqual([true, true, true])
  expect(readdirSync(directory)).not.toContain('kernel')
})
