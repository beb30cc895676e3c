// Asking the journal: filters, resuming after a number, and following what is written while somebody reads.

import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Fact } from '../../../src/audit/fact.js'
import { openJournal } from '../../../src/audit/journal.js'
import { type EventFilter, events, followEvents } from '../../../src/audit/query.js'
import { FACTS, NOW, WORKSPACE } from '../../support/facts.js'
import { OPTIONS, pathIn } from './rig.js'

let folder: string
let path: string
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-query-'))
  path = pathIn(folder)
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const OTHER = { ...WORKSPACE, workspace: 'spiffe://acme.example/ws/"quoted" é' }
const SAID: readonly Fact[] = [
  { ...FACTS['flow-denied'], atMs: NOW }, // 1
  { ...FACTS['flow-allowed'], atMs: NOW + 1_000 }, // 2
  { ...FACTS['flow-denied'], atMs: NOW + 2_000, workspace: OTHER }, // 3
  { ...FACTS['quarantine-set'], atMs: NOW + 3_000 }, // 4 and 5
  { ...FACTS.finding, atMs: NOW + 4_000 }, // 6
  { ...FACTS.finding, atMs: NOW + 5_000, finding: 'denial-burst', workspace: OTHER }, // 7
]
const write = async (): Promise<void> => {
  const journal = await openJournal(path, OPTIONS)
  for (const [i, fact] of SAID.entries()) {
    journal.emit(fact)
    if (i === 1) await journal.rotate() // its event is number 3, and moves the rest on by one
  }
  await journal.close()
}
const numbers = async (filter: EventFilter): Promise<number[]> => {
  const out: number[] = []
  for await (const { sequence } of events(path, filter)) out.push(sequence)
  return out
}

describe('filters', () => {
  const allowed = FACTS['flow-allowed']
  test.each<[string, EventFilter, readonly number[]]>([
    ['none', {}, [1, 2, 3, 4, 5, 6, 7, 8]],
    ['a workspace', { workspace: WORKSPACE.workspace }, [1, 2, 5, 6, 7]],
    ['a workspace whose name needs escapes', { workspace: OTHER.workspace }, [4, 8]],
    ['a workspace that is only a part of one', { workspace: 'spiffe://acme.example/ws' }, []],
    ['a clause by its identity', { clause: allowed.clause }, [2]],
    ['a clause by its name', { clause: allowed.clauseName }, [2]],
    ['since', { sinceMs: NOW + 2_000 }, [4, 5, 6, 7, 8]],
    ['until', { untilMs: NOW + 1_000 }, [1, 3]],
    ['dispositions', { dispositions: [1, 4] }, [2, 5, 7, 8]],
    ['classes', { classes: [1008, 7004] }, [3, 5]],
    ['kinds of findings', { findings: ['denial-burst', 'lifecycle-rate'] }, [8]],
    ['findings of a workspace', { findings: ['dns-entropy'], workspace: WORKSPACE.workspace }, [7]],
    ['a word that is in the text and no kind', { findings: ['quarantine'] }, []],
    ['after a number in a closed segment', { after: 1 }, [2, 3, 4, 5, 6, 7, 8]],
    ['after a number in the live one', { after: 4 }, [5, 6, 7, 8]],
    ['several', { classes: [4001], workspace: WORKSPACE.workspace, sinceMs: NOW + 1 }, [2]],
  ])('%s', async (_name, filter, expected) => {
    await write()
    expect(await numbers(filter)).toEqual(expected)
  })
})

test('an event comes as it stands in the file', async () => {
  await write()
  for await (const { text, event } of events(path)) expect(JSON.parse(text)).toEqual(event)
})

test('what is no event is left out and counted; half a line is not there yet', async () => {
  await write()
  appendFileSync(path, 'hello\n{"a":1}\n{"half')
  let unreadable = 0
  const seen: number[] = []
  for await (const { sequence } of events(path, {}, () => unreadable++)) seen.push(sequence)
  expect([seen, unreadable]).toEqual([[1, 2, 3, 4, 5, 6, 7, 8], 2])
})

test('following goes on over appends and closed segments, each event once', async () => {
  const journal = await openJournal(path, OPTIONS)
  journal.emit(FACTS['flow-denied'])
  await journal.flush()
  const stop = new AbortController()
  const seen: number[] = []
  const reading = (async () => {
    for await (const { sequence } of followEvents(path, { classes: [4001] }, stop.signal, 2)) {
      seen.push(sequence)
      if (seen.length === 6) stop.abort()
    }
  })()
  for (let i = 0; i < 5; i++) {
    journal.emit(FACTS['flow-denied'])
    if (i % 2 === 0) await journal.rotate()
    await journal.flush()
  }
  await reading
  expect(seen).toEqual([1, 2, 4, 5, 7, 8])
  await journal.close()
})

test('following a journal that is not there yet', async () => {
  const stop = new AbortController()
  const reading = (async () => {
    for await (const { sequence } of followEvents(path, {}, stop.signal, 2)) {
      stop.abort()
      return sequence
    }
    return 0
  })()
  await write()
  expect(await reading).toBe(1)
})
