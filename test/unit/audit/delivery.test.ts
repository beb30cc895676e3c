// What a sink gets: everything, in order, at least once, whatever fails in between; and what is said when it cannot.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { addsUp, readCursor } from '../../../src/audit/sinks/cursor.js'
import type { SinkPlace } from '../../../src/audit/sinks/sink.js'
import { placeOf } from '../../../src/audit/sinks/spool.js'
import { cursorFile, deadFile } from '../../../src/audit/sinks/terms.js'
import { linesIn, putLines, SEALING } from './rig.js'
import { Receiver, Spooled, until, upTo } from './sink-rig.js'

let spooled: Spooled
let receiver: Receiver
beforeEach(() => {
  spooled = new Spooled()
  receiver = new Receiver()
})
afterEach(() => spooled.close())

const held = () => readCursor(cursorFile(spooled.directory, 'siem'))

describe('a sink that works', () => {
  it('gets what was there, what is written, and the same octets', async () => {
    await spooled.write(3)
    const { status, end } = spooled.deliver(receiver.open)
    await until('the first three', () => status().sequence === 3)
    await spooled.write(1_200)
    await until('the rest', () => status().sequence === 1_203)
    await end()
    expect(receiver.sequences).toEqual(upTo(1_203))
    expect(receiver.got.map(({ text }) => text)).toEqual(linesIn(spooled.path))
    expect(receiver.batches).toBeLessThan(20)
    expect(status()).toMatchObject({ state: 'stopped', lag: 0, delivered: 1_203, dead: 0, discarded: 0 })
    expect(held()).toMatchObject({ from: 0, sequence: 1_203, delivered: 1_203 })
    expect(spooled.told).toEqual([])
  })

  it('follows the journal over segments that close while it reads, and goes on where it was after a restart', async () => {
    await spooled.write(40)
    const first = spooled.deliver(receiver.open)
    await until('forty', () => first.status().sequence === 40)
    await spooled.rotate()
    await spooled.write(10)
    await until('the journal', () => first.status().lag === 0)
    await first.end()
    await spooled.rotate()
    await spooled.write(25)
    const second = spooled.deliver(receiver.open)
    await until('the rest', () => second.status().lag === 0)
    const last = spooled.mark.read()?.sequence ?? 0
    expect(receiver.got.map(({ sequence }) => sequence)).toEqual(upTo(last))
    expect(second.status().delivered).toBe(last)
  })

  it('gets nothing that is not durable yet', async () => {
    await spooled.write(5)
    const whole = spooled.mark.read()
    await spooled.write(5)
    const newest = spooled.mark.read()
    if (!whole || !newest) throw new Error('no mark')
    spooled.mark.write(whole)
    const { status } = spooled.deliver(receiver.open)
    await until('five', () => status().sequence === 5 && status().state === 'waiting')
    expect(receiver.sequences).toEqual(upTo(5))
    spooled.mark.write(newest)
    await until('ten', () => status().sequence === 10)
  })
})

describe('a sink that says what it has', () => {
  const saying = (last: () => SinkPlace | undefined) => async () => ({
    ...(await receiver.open()),
    last: () => Promise.resolve(last()),
  })
  const placed = (sequence: number) => placeOf(linesIn(spooled.path)[sequence - 1] ?? '') ?? expect.fail('no event')

  it('is believed where the journal has that very event: nothing up to it comes again', async () => {
    await spooled.write(30)
    const { status } = spooled.deliver(saying(() => placed(20)))
    await until('all', () => status().lag === 0)
    expect(receiver.sequences).toEqual(upTo(30, 21))
    expect(status()).toMatchObject({ delivered: 30 })
    expect(status().error).toBeUndefined()
  })

  it.each([
    ['a number that the journal has not reached', () => ({ ...placed(20), sequence: 1e9 })],
    ['another event under the number', () => ({ ...placed(20), sequence: 25 })],
  ])('is not believed with %s, and says so', async (_what, last) => {
    await spooled.write(30)
    const { status } = spooled.deliver(saying(last))
    await until('all', () => status().lag === 0)
    await spooled.write(5)
    await until('more', () => status().sequence === 35)
    expect(receiver.sequences).toEqual(upTo(35))
    expect(status().error).toMatch(/^its last event is .* which the journal does not have/)
  })

  it('of another chain leaves nothing out, and is no error', async () => {
    await spooled.write(30)
    const other = '0'.repeat(8) + placed(20).chain.slice(8)
    const { status } = spooled.deliver(saying(() => ({ ...placed(20), chain: other })))
    await until('all', () => status().lag === 0)
    expect(receiver.sequences).toEqual(upTo(30))
    expect(status().error).toBeUndefined()
  })
})

describe('a sink that fails', () => {
  it('half of the time: all is there, once after deduplication, in order, and nothing is told', async () => {
    let turn = 0
    receiver.decide = () => (['take-and-fail', 'fail', 'take', 'take'] as const)[turn++ % 4] ?? 'take'
    await spooled.write(2_000)
    const { status } = spooled.deliver(receiver.open, { terms: { maxEvents: 50 } })
    await until('all', () => status().sequence === 2_000)
    expect(receiver.sequences).toEqual(upTo(2_000))
    expect(receiver.got.length).toBeGreaterThan(2_000)
    expect(status()).toMatchObject({ delivered: 2_000, discarded: 0, dead: 0 })
    expect(status().failures).toBeGreaterThan(20)
    expect(receiver.opened).toBe(status().failures + 1)
    expect(spooled.told).toEqual([])
  })

  it('for a while: told once when it begins and once when it ends', async () => {
    receiver.decide = () => 'fail'
    await spooled.write(7)
    const { status } = spooled.deliver(receiver.open)
    await until('failures', () => status().failures > 3)
    expect(spooled.told).toEqual([])
    expect(status()).toMatchObject({ state: 'failing', sequence: 0, lag: 7 })
    expect(status().error).toBe('the sink "siem" takes no events now: HTTP 503')
    spooled.nowMs += 50
    await until('the outage', () => spooled.told.length > 0)
    spooled.nowMs += 500
    const before = status().failures
    await until('more failures', () => status().failures > before + 3)
    receiver.decide = () => 'take'
    await until('the end', () => status().sequence === 7)
    await until('the word', () => spooled.told.length > 1)
    const counts = { sink: 'siem', type: 'test', discarded: 0, dead: 0 }
    expect(spooled.told).toEqual([
      {
        ...{ kind: 'sink-failing', ...counts, sequence: 0, lag: 7, elapsedMs: 50, atMs: 1_000_050 },
        why: 'the sink "siem" takes no events now: HTTP 503',
      },
      { kind: 'sink-recovered', ...counts, sequence: 7, lag: 0, elapsedMs: 550, why: '', atMs: 1_000_550 },
    ])
    expect(status().error).toBeUndefined()
  })

  it('for longer than the agent runs: what was told as begun is told as ended', async () => {
    receiver.decide = () => 'fail'
    await spooled.write(3)
    const first = spooled.deliver(receiver.open)
    await until('a failure', () => first.status().failures > 0)
    spooled.nowMs += 50
    await until('the outage', () => spooled.told.length > 0)
    await first.end()
    expect(held()?.failingSinceMs).toBe(1_000_000)
    spooled.nowMs += 1_000
    receiver.decide = () => 'take'
    const second = spooled.deliver(receiver.open)
    await until('the end', () => spooled.told.length > 1)
    expect(spooled.told.map(({ kind }) => kind)).toEqual(['sink-failing', 'sink-recovered'])
    expect(spooled.told[1]).toMatchObject({ elapsedMs: 1_050 })
    await until('the word is kept', () => held()?.failingSinceMs === undefined)
    await second.end()
  })

  it('while the journal retires segments: what is gone is counted and told at once, and the rest arrives', async () => {
    receiver.decide = () => 'fail'
    const sealing = { ...SEALING, segmentBytes: 1 << 16, keepBytes: 1 << 17 }
    await spooled.write(10, { sealing })
    const { status } = spooled.deliver(receiver.open, { terms: { maxEvents: 5 } })
    await until('a failure', () => status().failures > 0)
    for (let n = 0; n < 20; n++) await spooled.write(50)
    await until('the loss', () => status().discarded > 0)
    receiver.decide = () => 'take'
    await until('the rest', () => status().lag === 0)
    const lost = status().discarded
    const last = spooled.mark.read()?.sequence ?? 0
    // The batch that was in hand is delivered, though its segment is gone.
    expect(receiver.sequences).toEqual([...upTo(5), ...upTo(last, lost + 6)])
    expect(status()).toMatchObject({ delivered: last - lost, discarded: lost })
    const told = spooled.told.filter((fact) => fact.kind === 'audit-lost')
    expect(told.reduce((sum, fact) => sum + fact.lost, 0)).toBe(lost)
    expect(told[0]).toMatchObject({ cause: 'undelivered', sink: 'siem' })
  })

  it('keeps the first event that it must deliver, also when it never worked', async () => {
    receiver.decide = () => 'fail'
    const first = spooled.deliver(receiver.open)
    await until('the cursor', () => held() !== undefined)
    await first.end('now')
    const sealing = { ...SEALING, segmentBytes: 1 << 14, keepBytes: 1 << 14 }
    for (let n = 0; n < 10; n++) await spooled.write(20, { sealing })
    receiver.decide = () => 'take'
    const second = spooled.deliver(receiver.open)
    await until('what is left', () => second.status().lag === 0)
    const last = spooled.mark.read()?.sequence ?? 0
    expect(second.status().discarded).toBeGreaterThan(0)
    expect(second.status().delivered + second.status().discarded).toBe(last)
  })

  it('is no reason for a new sink to miss what came before it: that is none of its events', async () => {
    const sealing = { ...SEALING, segmentBytes: 1 << 14, keepBytes: 1 << 14 }
    for (let n = 0; n < 10; n++) await spooled.write(20, { sealing })
    const { status } = spooled.deliver(receiver.open)
    await until('what is left', () => status().lag === 0)
    expect(status().discarded).toBe(0)
    expect(held()?.from).toBeGreaterThan(0)
    expect(spooled.told).toEqual([])
  })
})

describe('a journal that was changed', () => {
  it('an event that is no event any more is counted as gone, and the others arrive', async () => {
    await spooled.write(10)
    putLines(
      spooled.path,
      linesIn(spooled.path).map((line, i) => (i === 3 ? line.replace('"sequence":4', '"sequence":x') : line)),
    )
    const { status } = spooled.deliver(receiver.open)
    await until('all', () => status().sequence === 10)
    expect(receiver.sequences).toEqual(upTo(10).filter((at) => at !== 4))
    expect(status()).toMatchObject({ delivered: 9, discarded: 1 })
    expect(spooled.told).toEqual([
      { kind: 'audit-lost', cause: 'undelivered', lost: 1, sink: 'siem', atMs: spooled.nowMs },
    ])
  })

  it('another journal in its place is delivered from its beginning', async () => {
    await spooled.write(30)
    const first = spooled.deliver(receiver.open)
    await until('thirty', () => first.status().sequence === 30)
    await first.end()
    const other = new Spooled()
    try {
      await other.write(12)
      rmSync(spooled.path)
      renameSync(other.path, spooled.path)
      const point = other.mark.read()
      if (point) spooled.mark.write(point)
    } finally {
      await other.close()
    }
    const second = spooled.deliver(receiver.open)
    await until('the others', () => second.status().sequence === 12 && second.status().state === 'waiting')
    expect(receiver.got.slice(30).map(({ sequence }) => sequence)).toEqual(upTo(12))
    expect(second.status()).toMatchObject({ delivered: 12, discarded: 0 })
  })
})

describe('events that a receiver refuses', () => {
  const poison = new Set([3, 77, 78, 500])

  it('stand alone in the end, are kept with the reason, and do not hold up the others', async () => {
    receiver.decide = (lines) => (lines.some(({ sequence }) => poison.has(sequence)) ? 'refuse' : 'take')
    await spooled.write(600)
    const { status, end } = spooled.deliver(receiver.open)
    await until('all', () => status().lag === 0)
    await end()
    expect(receiver.got.map(({ sequence }) => sequence)).toEqual(upTo(600).filter((at) => !poison.has(at)))
    expect(status()).toMatchObject({ delivered: 596, dead: 4 })
    const letters = linesIn(deadFile(spooled.directory, 'siem')).map(
      (line) => JSON.parse(line) as { why: string; at_ms: number; event: { metadata: { sequence: number } } },
    )
    expect(letters.map(({ event }) => event.metadata.sequence)).toEqual([...poison])
    expect(letters[0]).toMatchObject({ why: 'the sink "siem" refuses these events: HTTP 400', at_ms: 1_000_000 })
  })

  it('stop the sink rather than disappear when there is no room for them', async () => {
    receiver.decide = () => 'refuse'
    await spooled.write(30)
    const { status } = spooled.deliver(receiver.open, { terms: { deadBytes: 4_096 } })
    await until('the standstill', () => status().state === 'failing')
    expect(status().error).toBe(
      'the sink "siem" takes no events now: its file of dead letters is full: the sink "siem" refuses these events: HTTP 400',
    )
    const { dead, sequence } = status()
    expect(dead).toBe(linesIn(deadFile(spooled.directory, 'siem')).length)
    expect(sequence).toBe(dead)
    receiver.decide = () => 'take'
    await until('the rest', () => status().lag === 0)
    expect(status()).toMatchObject({ dead, delivered: 30 - dead })
  })
})

describe('a filter', () => {
  it('leaves events out, and they are accounted for', async () => {
    await spooled.write(100)
    const select = (text: string): string | undefined => (/"sequence":\d*[02468],/.test(text) ? text : undefined)
    const { status } = spooled.deliver(receiver.open, { select })
    await until('all', () => status().lag === 0)
    expect(receiver.sequences).toEqual(upTo(100).filter((at) => at % 2 === 0))
    expect(status()).toMatchObject({ delivered: 50, leftOut: 50 })
    const cursor = held()
    expect(cursor && addsUp(cursor)).toBe(true)
  })
})

describe('the cursor', () => {
  it('is not guessed when it is damaged: the sink stands still and says so', async () => {
    await spooled.write(5)
    const first = spooled.deliver(receiver.open)
    await until('all', () => first.status().lag === 0)
    await first.end()
    const file = cursorFile(spooled.directory, 'siem')
    writeFileSync(file, readFileSync(file, 'utf8').replace('"delivered":5', '"delivered":4'))
    const second = spooled.deliver(receiver.open)
    await until('the failure', () => second.status().state === 'failing')
    expect(second.status().error).toBe(`${JSON.stringify(file)} is no cursor of a sink`)
  })
})
