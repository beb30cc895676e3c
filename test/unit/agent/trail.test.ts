// The trail of a running agent while its journal cannot be opened: facts wait in memory, in their order and no more than a bound, and
// when it can, it says how many are missing.

import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openTrail, type Trail } from '../../../src/agent/trail.js'
import type { Fact } from '../../../src/audit/fact.js'
import { NOW, scratchDirectory } from './fixture.js'

interface Line {
  readonly unmapped?: Readonly<Record<string, unknown>>
  readonly message?: string
}

/** A trail whose path is a directory until `free` is called. */
function blocked(): { readonly trail: Trail; readonly free: () => void; readonly lines: () => readonly Line[] } {
  const directory = scratchDirectory()
  const path = join(directory, 'events.ndjson')
  mkdirSync(path)
  const trail = openTrail(path, join(directory, 'events.lock'), {
    product: { name: 'sluice', version: '0' },
    reporter: { hostname: 'n1', uid: 'spiffe://fleet.example/node/n1' },
    nowMs: () => NOW,
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    delivery: 'queued',
  })
  const lines = () =>
    existsSync(path)
      ? readFileSync(path, 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Line)
      : []
  return { trail, free: () => rmdirSync(path), lines }
}
const lost = (n: number): Fact => ({ kind: 'audit-lost', cause: 'unreported', lost: n, atMs: NOW })

describe('a journal that cannot be opened', () => {
  it('gets what was told meanwhile, in order, when it can be', async () => {
    const { trail, free, lines } = blocked()
    await trail.emit([lost(11)])
    await trail.emit([lost(12)])
    expect(trail.unwritten()).toMatch(/^2 event\(s\) are missing from /)
    free()
    await Promise.all([trail.emit([lost(13)]), trail.emit([lost(14)])])
    await trail.close()
    expect(trail.unwritten()).toBeUndefined()
    expect(lines().map((line) => /\b1[1-4]\b/.exec(JSON.stringify(line.message))?.[0])).toEqual([
      '11',
      '12',
      '13',
      '14',
    ])
  })

  it('that is opened at the end only has them too', async () => {
    const { trail, free, lines } = blocked()
    await trail.emit([lost(11)])
    free()
    await trail.close()
    expect(lines()).toHaveLength(1)
  })

  it('has on disk what was to be kept when it says so, and not before', async () => {
    const { trail, free, lines } = blocked()
    const isKept = await trail.keep([lost(11)])
    expect(await isKept()).toBe('waits')
    free()
    expect(await isKept()).toBe('waits')
    await trail.emit([lost(12)])
    expect(await isKept()).toBe('there')
    expect(lines().length).toBeGreaterThan(0)
    expect(await (await trail.keep([lost(13)]))()).toBe('there')
    await trail.close()
    // What comes after the end is never there.
    expect(await (await trail.keep([lost(14)]))()).toBe('waits')
  })

  it('says so of what was to be kept where something did not fit, and not of what comes then', async () => {
    const { trail, free } = blocked()
    const isKept = await trail.keep([lost(11)])
    await trail.emit(Array.from({ length: 5_000 }, () => lost(1)))
    expect(await isKept()).toBe('waits')
    free()
    // Still one too many.
    await trail.emit([lost(12)])
    expect(await isKept()).toBe('lost')
    const isNextKept = await trail.keep([lost(13)])
    expect(await isNextKept()).toBe('there')
    await trail.close()
  })

  it('is told how many did not fit', async () => {
    const { trail, free, lines } = blocked()
    await trail.emit(Array.from({ length: 5_000 }, () => lost(11)))
    free()
    await trail.emit([lost(12)])
    await trail.close()
    expect(lines()).toHaveLength(4_096 + 1)
    // The one that came when it was full and the 904 before it.
    expect(JSON.stringify(lines().at(-1))).toContain('905')
    expect(trail.unwritten()).toMatch(/^905 event\(s\) are missing from /)
  })
})
