// Journalled, pulled and delivered held against each other: what agrees, and each way in which it can fail to.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Receivers, reconcileExport, type TrailReconciled } from '../../../src/companion/export-reconcile.js'
import { reconcileOwn } from '../../../src/companion/export-reconcile-own.js'
import { linesIn, putLines } from '../audit/rig.js'
import { until } from '../audit/sink-rig.js'
import { Exported } from './export-rig.js'

let exported: Exported
beforeEach(() => {
  exported = new Exported()
})
afterEach(() => exported.close())

const path = (...names: string[]): string => join(exported.folder, ...names)
async function reconciled({ sinks = exported.sinks, brought = [] }: Partial<Receivers> = {}): Promise<TrailReconciled> {
  const { directory } = exported
  const { name, node } = exported.agent('a')
  const ask = () => exported.agent('a').connect().head()
  const [found] = await reconcileExport({ directory, sinks, brought, agents: [{ name, node }] }, ask)
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

  it('what a receiver says that it has, brought as files', async () => {
    await delivered(30)
    const chain = exported.agent('a').mark.read()?.chain
    const file = path('brought.ndjson')
    const lines = exported.received('a')
    // As from a receiver that several agents share, and got some events again.
    putLines(file, [...lines, ...lines.slice(0, 3)])
    const held = { place: '1 file', matched: 30, repeated: 3, missing: 0 }
    expect(await reconciled({ brought: [file] })).toMatchObject({ agrees: true, epochs: [{ sinks: [{ held }] }] })
    putLines(file, lines.slice(1))
    expect(await reconciled({ brought: [file] })).toMatchObject({
      ...{ agrees: false, broken: true, firstMissing: [chain, 1, 1] },
      epochs: [{ wrong: ['archive does not have 1 events, the first of them 1'] }],
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

describe('what nobody knows, or nobody has', () => {
  it('an agent that cannot be asked: not known, and no loss', async () => {
    await delivered(3)
    exported.agent('a').up = false
    expect(await reconciled()).toMatchObject({
      ...{ agrees: false, broken: false, unasked: 'connection refused', epochs: [{ journalled: null, through: 3 }] },
    })
    const file = path('archive', 'a.ndjson')
    putLines(file, linesIn(file).slice(1))
    expect(await reconciled()).toMatchObject({ agrees: false, broken: true, unasked: 'connection refused' })
  })

  it('a journal of which nothing was ever pulled', async () => {
    expect(await reconciled()).toMatchObject({ agrees: true, epochs: [] })
    await exported.agent('a').write(5)
    const { chain = '' } = exported.agent('a').mark.read() ?? {}
    const { agrees, broken, epochs, wrong } = await reconciled()
    expect({ agrees, broken, epochs }).toEqual({ agrees: false, broken: true, epochs: [] })
    expect(wrong).toEqual([
      `the agent has journalled 5 events of the chain ${chain}, and none of them was ever pulled: see that the companion runs and reaches the agent (sluice_export_pull_failing)`,
    ])
  })

  it('a chain that is new since the last pull, and a journal that is empty since', async () => {
    await delivered(4)
    await exported.agent('a').replace()
    const empty = await reconciled()
    expect(empty).toMatchObject({ agrees: false, broken: true, epochs: [{ wrong: [] }] })
    expect(empty.wrong).toEqual([expect.stringMatching(/^the journal of the agent is empty, and 4 events were pulled/)])
    await exported.agent('a').write(2)
    const found = await reconciled()
    expect(found).toMatchObject({ agrees: false, broken: true, epochs: [{ journalled: null, wrong: [] }] })
    expect(found.wrong).toEqual([
      expect.stringMatching(/^the agent has journalled 2 events of the chain .* none of them was ever pulled/),
    ])
  })

  it('events that the agent itself says it lost', async () => {
    await delivered(4)
    const { directory, sinks } = exported
    const { name, node, connect } = exported.agent('a')
    const ask = async () => ({ ...(await connect().head()), lost: 7 })
    const [found] = await reconcileExport({ directory, sinks, agents: [{ name, node }] }, ask)
    expect(found).toMatchObject({ agrees: false, broken: true, epochs: [{ wrong: [] }] })
    expect(found?.wrong).toEqual([
      expect.stringMatching(/^the agent lost 7 events since it started, .* audit-lost .* look for space/),
    ])
  })
})

describe('a record of the pulled trail that is not there any more', () => {
  const record = (): string => join(exported.directory, 'a', 'trail.json')

  it('agrees with nothing until it is made again, and then says what it said', async () => {
    await delivered(9)
    const before = await reconciled()
    rmSync(record())
    const lost = await reconciled()
    expect(lost).toMatchObject({ agrees: false, broken: true, epochs: [] })
    expect(lost.wrong).toEqual([
      expect.stringMatching(
        /^the copy .*\/events\.ndjson has 9 events \(1 to 9\) of the chain .* trail\.json .* knows nothing: a companion/,
      ),
    ])
    await exported.agent('a').write(2)
    exported.start()
    await exported.delivered('a')
    await exported.stop()
    const after = await reconciled()
    expect(after).toMatchObject({ agrees: true, findings: [], epochs: [{ from: 0, through: 11, pulled: 11 }] })
    expect(after.epochs[0]?.chain).toBe(before.epochs[0]?.chain)
    expect(exported.broken).toEqual([])
  })

  it('is made again with each epoch, and with what the copy shows to be wrong', async () => {
    const agent = exported.agent('a')
    agent.send = (line) => (/"sequence":(?:4|5),/.test(line) ? 'no event' : line)
    await agent.write(10)
    exported.start()
    await exported.delivered('a')
    await exported.stop()
    agent.send = (line) => line
    await agent.replace()
    await delivered(3)
    const before = await reconciled()
    expect(before.epochs).toMatchObject([
      { through: 10, pulled: 8, wrong: [] },
      { through: 3, pulled: 3 },
    ])
    rmSync(record())
    await delivered(1)
    const { epochs, findings } = await reconciled()
    expect(epochs).toMatchObject([
      { chain: before.epochs[0]?.chain, from: 0, through: 10, pulled: 8, wrong: [] },
      { chain: before.epochs[1]?.chain, from: 0, through: 4, pulled: 4, wrong: [] },
    ])
    const kept = before.findings.filter(({ found }) => found !== 'unreadable')
    expect(findings).toEqual(expect.arrayContaining(kept))
  })

  it('and a copy that is not there either: the cursors still know the chains', async () => {
    await delivered(6)
    rmSync(record())
    rmSync(join(exported.directory, 'a', 'events.ndjson'))
    await delivered(1)
    expect(await reconciled()).toMatchObject({
      ...{ agrees: false, broken: true, findings: [{ found: 'copy-damaged', fromSequence: 1, toSequence: 6 }] },
      epochs: [{ from: 0, journalled: 7, through: 7 }],
    })
  })
})

describe("the companion's own trail", () => {
  const own = async () => {
    const { name, node, path: eventsFile, mark } = exported.agent('companion')
    const { directory, sinks } = exported
    return reconcileOwn({ directory, sinks }, { name, node, eventsFile, mark: () => mark.read() })
  }
  /** Written and delivered by this export as its own. */
  async function ownDelivered(events: number): Promise<void> {
    const companion = exported.agent('companion')
    await companion.write(events)
    const { name, node, path: eventsFile, mark } = companion
    exported.start({ own: { name, node, eventsFile, durable: () => mark.read()?.sequence ?? 0 } })
    await until('the own trail', () => exported.running?.status().own?.sinks[0]?.sequence === mark.read()?.sequence)
    await exported.stop()
  }

  it('agrees: journalled, delivered, and there at the receiver', async () => {
    expect(await own()).toMatchObject({ agrees: true, epochs: [] })
    await ownDelivered(9)
    const found = await own()
    expect(found).toMatchObject({ name: 'companion', agrees: true, broken: false, wrong: [] })
    expect(found.epochs).toMatchObject([{ from: 0, journalled: 9, through: 9, wrong: [] }])
    expect(found.epochs[0]?.sinks).toMatchObject([{ name: 'archive', delivered: 9, pending: 0, held: { matched: 9 } }])
    await exported.agent('companion').write(2)
    expect(await own()).toMatchObject({
      agrees: true,
      epochs: [{ journalled: 11, sinks: [{ delivered: 9, pending: 2 }] }],
    })
  })

  it('what the receiver does not have, and what is gone from the journal', async () => {
    await ownDelivered(9)
    const file = path('archive', 'companion.ndjson')
    const [journal, archive] = [linesIn(exported.agent('companion').path), linesIn(file)]
    putLines(
      file,
      archive.filter((_, i) => i !== 3 && i !== 4),
    )
    expect(await own()).toMatchObject({
      ...{ agrees: false, broken: true, firstMissing: [exported.agent('companion').mark.read()?.chain, 4, 5] },
      epochs: [{ wrong: ['archive does not have 2 events, the first of them 4 to 5'] }],
    })
    putLines(file, archive)
    putLines(exported.agent('companion').path, journal.slice(0, 6))
    const { broken, epochs } = await own()
    expect(broken).toBe(true)
    expect(epochs[0]?.wrong).toContain('events 7 to 9 are not in the journal of the companion any more')
    putLines(
      exported.agent('companion').path,
      journal.filter((_, i) => i !== 4),
    )
    expect((await own()).epochs[0]?.wrong).toContain('event 6 of the journal does not follow event 4')
  })

  it('a journal that was taken away with its mark: the cursors know it', async () => {
    await ownDelivered(9)
    const { path: journal, mark } = exported.agent('companion')
    const { chain } = mark.read() ?? {}
    rmSync(journal)
    const { name, node } = exported.agent('companion')
    const { directory, sinks } = exported
    const found = await reconcileOwn({ directory, sinks }, { name, node, eventsFile: journal, mark: () => undefined })
    expect(found).toMatchObject({ agrees: false, broken: true, epochs: [{ chain, from: 0, through: 9 }] })
    expect(found.epochs[0]?.wrong).toContain('events 1 to 9 are not in the journal of the companion any more')
  })
})
