// What a receiver has against what the journal has: each way in which they can differ is found and named.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { events } from '../../../src/audit/query.js'
import { eventsIn, reconcile } from '../../../src/audit/sinks/reconcile.js'
import { linesIn, putLines } from './rig.js'
import { Spooled } from './sink-rig.js'

let spooled: Spooled
beforeEach(async () => {
  spooled = new Spooled()
  await spooled.write(100)
})
afterEach(() => spooled.close())

async function* journal(from = 1, wanted: (sequence: number) => boolean = () => true) {
  for await (const { event, sequence } of events(spooled.path))
    if (sequence >= from) yield { sequence, uid: String(event.metadata.uid), wanted: wanted(sequence) }
}
async function* until(last: number) {
  for await (const event of journal()) if (event.sequence <= last) yield event
}
async function held(lines: readonly string[], through = 100, more: Partial<Parameters<typeof against>[0]> = {}) {
  return against({ lines, through, ...more })
}
async function against(terms: {
  readonly lines: readonly string[]
  readonly through: number
  readonly from?: number
  readonly dead?: ReadonlySet<number>
  readonly wanted?: (sequence: number) => boolean
  readonly brought?: boolean
  /** How far the journal is when it is looked at first. */
  readonly first?: number
}) {
  const file = join(spooled.folder, 'received.ndjson')
  putLines(file, terms.lines)
  let unreadable = 0
  const arrivals = eventsIn([file], () => {
    unreadable++
  })
  const { from, wanted, through, dead = new Set(), brought = false, first } = terms
  let looks = 0
  const look = () => (looks++ === 0 && first !== undefined ? until(first) : journal(from, wanted))
  const found = await reconcile(look, arrivals, { through, dead, brought })
  return { ...found, unreadable }
}
const lines = (): string[] => linesIn(spooled.path)
const GOOD = { first: 1, last: 100, matched: 100, repeated: 0, missing: 0, missingRanges: [] }
const NONE = { newer: 0, unlooked: 0, foreign: 0, older: 0, outOfOrder: 0, unreadable: 0 }

describe('a receiver that has everything', () => {
  it('agrees', async () => {
    expect(await held(lines())).toEqual({ ...GOOD, ...NONE })
  })
  it('agrees in the shape of Splunk too', async () => {
    expect(await held(lines().map((line) => `{"time":1.0,"host":"n","event":${line}}`))).toEqual({ ...GOOD, ...NONE })
  })
  it('may have some of it twice', async () => {
    const twice = [...lines().slice(0, 60), ...lines().slice(40)]
    expect(await held(twice)).toEqual({ ...GOOD, ...NONE, repeated: 20 })
  })
  it('may have what was journalled while the journal was looked at, as far as the journal has it then', async () => {
    const more = { first: 90 }
    const found = { ...GOOD, ...NONE, last: 90, matched: 90, newer: 10 }
    expect(await held(lines(), 90, more)).toEqual(found)
    const changed = lines().map((line, i) =>
      i === 94 ? line.replace(/("sequence":95,"uid":")[0-9a-f]{8}/, '$100000000') : line,
    )
    expect(await held(changed, 90, more)).toEqual({ ...found, newer: 9, foreign: 1 })
  })
  it('may have been asked before the last were delivered; what has nothing of it may not', async () => {
    const some = lines().filter((_, i) => i < 70 && i !== 4)
    const ranges = [[5, 5] as const]
    const found = { ...GOOD, ...NONE, matched: 69, missing: 1, missingRanges: ranges, unlooked: 30 }
    expect(await held(some, 100, { brought: true })).toEqual(found)
    expect(await held(some, 100)).toMatchObject({ missing: 31, unlooked: 0 })
    expect(await held([], 100, { brought: true })).toMatchObject({ missing: 100, unlooked: 0 })
  })
  it('may be behind what was journalled', async () => {
    expect(await held(lines().slice(0, 70), 70)).toEqual({ ...GOOD, ...NONE, matched: 70 })
  })
})

describe('a difference', () => {
  it('events that are missing, by number', async () => {
    const some = lines().filter((_, i) => i !== 4 && !(i >= 49 && i < 52))
    const ranges = [[5, 5] as const, [50, 52] as const]
    expect(await held(some)).toEqual({ ...GOOD, ...NONE, matched: 96, missing: 4, missingRanges: ranges })
  })
  it('events that were refused and kept, or not wanted, are not missing', async () => {
    const some = lines().filter((_, i) => i !== 4 && i % 10 !== 9)
    const found = await held(some, 100, { dead: new Set([5]), wanted: (sequence) => sequence % 10 !== 0 })
    expect(found).toMatchObject({ matched: 89, missing: 0, foreign: 0 })
  })
  it('an event of another id under a known number is foreign, and the right one is missing', async () => {
    const changed = lines().map((line, i) =>
      i === 9 ? line.replace(/("sequence":10,"uid":")[0-9a-f]{8}/, '$100000000') : line,
    )
    expect(await held(changed)).toMatchObject({ matched: 99, foreign: 1, missing: 1, missingRanges: [[10, 10]] })
  })
  it('an event that the journal does not have yet is foreign', async () => {
    expect(await held([...lines(), (lines()[0] ?? '').replace('"sequence":1,', '"sequence":101,')])).toMatchObject({
      matched: 100,
      foreign: 1,
    })
  })
  it('another order', async () => {
    const [first = '', second = '', ...rest] = lines()
    expect(await held([second, first, ...rest])).toEqual({ ...GOOD, ...NONE, outOfOrder: 1 })
  })
  it('lines that are no events, and a torn one', async () => {
    const file = join(spooled.folder, 'torn.ndjson')
    writeFileSync(file, `${lines().join('\n')}\nhello\n${lines()[3]?.slice(0, 300)}`)
    let unreadable = 0
    const arrivals = eventsIn([file], () => {
      unreadable++
    })
    expect(await reconcile(journal, arrivals, { through: 100 })).toMatchObject({ matched: 100, missing: 0 })
    expect(unreadable).toBe(2)
  })
  it('what the journal has retired is counted apart', async () => {
    const found = await held(lines(), 100, { from: 41 })
    expect(found).toEqual({ ...GOOD, ...NONE, first: 41, matched: 60, older: 40 })
  })
})
