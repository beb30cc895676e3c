// Journalled, pulled and delivered held against each other: what agrees, and each way in which it can fail to.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AgentReconciled, reconcileExport } from '../../../src/companion/export-reconcile.js'
import { linesIn, putLines } from '../audit/rig.js'
import { until } from '../audit/sink-rig.js'
import { Exported } from './export-rig.js'

let exported: Exported
beforeEach(() => {
  exported = new Exported()
})
afterEach(() => exported.close())

const path = (...names: string[]): string => join(exported.folder, ...names)
async function reconciled(): Promise<AgentReconciled> {
  const { directory, sinks, spoolBytes } = exported
  const { name, node } = exported.agent('a')
  const ask = () => exported.agent('a').connect().head()
  const [found] = await reconcileExport({ directory, sinks, spoolBytes, agents: [{ name, node }] }, ask)
  if (!found) throw new TypeError('nothing was reconciled')
  return found
}
/** An export of `events`, all of them delivered. */
async function delivered(events: number): Promise<void> {
  await exported.agent('a').write(events)
  exported.start()
  await exported.delivered('a')
  await exported.stop()
}

describe('what agrees', () => {
  it('everything delivered', async () => {
    await delivered(120)
    const found = await reconciled()
    expect(found).toMatchObject({ agrees: true, findings: [] })
    expect(found.firstMissing).toBeUndefined()
    const [epoch] = found.epochs
    const counts = { from: 0, journalled: 120, through: 120, pulled: 120, wrong: [] }
    expect(epoch).toMatchObject({ ...counts, copied: { events: 120, first: 1, last: 120 } })
    const held = { place: '1 file', matched: 120, missing: 0, missingRanges: [], foreign: 0, repeated: 0 }
    expect(epoch?.sinks).toMatchObject([{ name: 'archive', delivered: 120, pending: 0, discarded: 0, held }])
  })

  it('what is not pulled or not delivered yet', async () => {
    await delivered(20)
    await exported.agent('a').write(7)
    expect((await reconciled()).epochs).toMatchObject([{ journalled: 27, through: 20, pulled: 20, wrong: [] }])
    exported.sinks = [exported.file('archive'), exported.file('late', { path: '/dev/full' })]
    exported.start()
    await until('the pull', () => exported.status('a').pulled === 27)
    await until('the archive', () => exported.status('a').sinks[0]?.lag === 0)
    await exported.stop()
    exported.sinks = [exported.file('archive'), exported.file('late')]
    const found = await reconciled()
    expect(found.agrees).toBe(true)
    expect(found.epochs[0]?.sinks).toMatchObject([
      { name: 'archive', delivered: 27, pending: 0 },
      { name: 'late', delivered: 0, pending: 27 },
    ])
  })

  it('when the agent cannot be asked, which is said', async () => {
    await delivered(3)
    exported.agent('a').up = false
    expect(await reconciled()).toMatchObject({
      ...{ agrees: true, unasked: 'connection refused', epochs: [{ journalled: null, through: 3 }] },
    })
  })

  it('two epochs, each with its own numbers', async () => {
    await delivered(9)
    await exported.agent('a').replace()
    await delivered(4)
    const found = await reconciled()
    const counts = found.epochs.map(({ journalled, through, pulled, sinks, wrong }) => [
      ...[journalled, through, pulled, sinks[0]?.delivered, sinks[0]?.held?.matched, wrong.length],
    ])
    expect(counts).toEqual([
      [null, 9, 9, 9, 9, 0],
      [4, 4, 4, 4, 4, 0],
    ])
    // That the journal was replaced is nothing that agrees.
    expect(found.agrees).toBe(false)
    expect(found.findings).toMatchObject([{ found: 'replaced', fromSequence: 9 }])
  })
})

describe('what does not', () => {
  it('events that the receiver does not have: the first range is named', async () => {
    await delivered(50)
    const file = path('archive', 'a.ndjson')
    putLines(
      file,
      linesIn(file).filter((_, i) => (i < 19 || i > 22) && i !== 40),
    )
    const found = await reconciled()
    const chain = exported.agent('a').mark.read()?.chain
    expect(found).toMatchObject({ agrees: false, firstMissing: [chain, 20, 23] })
    expect(found.epochs[0]?.wrong).toEqual(['archive does not have 5 events, the first of them 20 to 23'])
  })

  it('events that the receiver has and nobody journalled', async () => {
    await delivered(5)
    const file = path('archive', 'a.ndjson')
    putLines(
      file,
      linesIn(file).map((line, i) => (i === 2 ? line.replace(/"uid":"0/, '"uid":"1') : line)),
    )
    expect((await reconciled()).epochs[0]?.wrong).toEqual([
      'archive does not have 1 events, the first of them 3',
      'archive has 1 events that are not of the trail',
    ])
  })

  it('a copy that was changed', async () => {
    await delivered(8)
    const file = join(exported.directory, 'a', 'events.ndjson')
    putLines(
      file,
      linesIn(file).map((line, i) => (i === 5 ? line.replace('"severity_id":', '"severity_id":1') : line)),
    )
    expect(await reconciled()).toMatchObject({
      agrees: false,
      epochs: [{ wrong: ['event 6 of the copy was changed'] }],
    })
    putLines(
      file,
      linesIn(file).filter((_, i) => i !== 5),
    )
    const { wrong = [] } = (await reconciled()).epochs[0] ?? {}
    expect(wrong).toContain('event 7 of the copy does not follow event 5')
  })

  it('a cursor that was turned on, and events that the agent no longer has', async () => {
    await delivered(8)
    const cursor = join(exported.directory, 'a', 'sinks', 'archive.cursor.json')
    const held = readFileSync(cursor, 'utf8')
      .replace('"sequence":8', '"sequence":9')
      .replace('"delivered":8', '"delivered":9')
    writeFileSync(cursor, held)
    const { wrong } = (await reconciled()).epochs[0] ?? {}
    expect(wrong).toEqual(['events 9 to 9 are not in the journal of the agent any more'])
  })

  it('events that were never there to be pulled: named as they were found', async () => {
    const agent = exported.agent('a')
    agent.send = (line) => (/"sequence":(?:4|5),/.test(line) ? 'no event' : line)
    await agent.write(10)
    exported.start()
    await until('all', () => exported.status('a').pulled === 10 && exported.status('a').sinks[0]?.lag === 0)
    await exported.stop()
    const found = await reconciled()
    expect(found).toMatchObject({ agrees: false, firstMissing: [agent.mark.read()?.chain, 4, 4] })
    expect(found.epochs).toMatchObject([{ through: 10, pulled: 8, wrong: [] }])
    expect(found.epochs[0]?.sinks).toMatchObject([{ delivered: 8, discarded: 2, held: { matched: 8, missing: 0 } }])
  })
})
