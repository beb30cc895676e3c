// The export of the companion: every event of every agent arrives, in order, whatever breaks on the way; what does not hold
// together is told with its numbers, once, and hides nothing else.

import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listSegments } from '../../../src/audit/segment.js'
import { readCursor } from '../../../src/audit/sinks/cursor.js'
import { verifyJournal } from '../../../src/audit/verify.js'
import { readRecord } from '../../../src/companion/export-record.js'
import { linesIn, putLines } from '../audit/rig.js'
import { until } from '../audit/sink-rig.js'
import { Agent, Exported } from './export-rig.js'

let exported: Exported
beforeEach(() => {
  exported = new Exported()
})
afterEach(() => exported.close())

const copyOf = (agent: string): string => join(exported.directory, agent, 'events.ndjson')

describe('several agents', () => {
  it('are pulled and delivered side by side, octet for octet, and go on while they write', async () => {
    const [a, b] = [exported.agent('a'), exported.agent('b')]
    await a.write(300)
    await b.write(120)
    exported.start()
    await exported.delivered('a')
    await exported.delivered('b')
    await a.write(200)
    await exported.delivered('a')
    expect(exported.received('a')).toEqual(a.lines)
    expect(exported.received('b')).toEqual(b.lines)
    expect(exported.received('a')).toHaveLength(500)
    expect(exported.told).toEqual([])
    const status = exported.status('a')
    expect(status).toMatchObject({ journalled: 500, pulled: 500, missing: 0, findings: 0, failures: 0 })
    expect(status.sinks).toMatchObject([{ name: 'archive', sequence: 500, delivered: 500, discarded: 0, lag: 0 }])
    expect(await verifyJournal(copyOf('a'))).toMatchObject({ events: 500, firstSequence: 1, intact: true })
  })

  it('one that had retired a part before anybody asked: counting begins with what there is, and nothing is told', async () => {
    const agent = exported.agent('a')
    await agent.write(20)
    await agent.rotate()
    await agent.write(5)
    for (const { path, sealPath } of listSegments(agent.path)) for (const file of [path, sealPath]) rmSync(file)
    exported.start()
    await exported.delivered('a')
    expect(exported.status('a')).toMatchObject({ pulled: 26, missing: 0, findings: 0 })
    expect(exported.status('a').sinks).toMatchObject([{ sequence: 26, delivered: 6, discarded: 0 }])
    expect(readRecord(join(exported.directory, 'a', 'trail.json'))?.epochs).toMatchObject([{ from: 20 }])
    expect(exported.told).toEqual([])
  })

  it('one that is down does not hold the other up, and comes later', async () => {
    const [a, b] = [exported.agent('a'), exported.agent('b')]
    a.up = false
    await a.write(10)
    await b.write(10)
    exported.start()
    await exported.delivered('b')
    await until('failures', () => exported.status('a').failures > 2)
    expect(exported.status('a')).toMatchObject({ state: 'failing', pulled: 0, error: 'connection refused' })
    a.up = true
    await exported.delivered('a')
    expect(exported.status('a').error).toBeUndefined()
    expect(exported.received('a')).toEqual(a.lines)
  })

  it('may not share a place in a sink', () => {
    exported.agent('a')
    exported.agent('b')
    exported.sinks = [exported.file('archive', { path: join(exported.folder, 'all.ndjson') })]
    expect(() => exported.start()).toThrow(
      'the sink "archive" would get the events of several nodes at one place: path does not say {agent}',
    )
  })
})

describe('a stream that breaks', () => {
  it('every few lines: all is there, once, in order, and nothing is told', async () => {
    const agent = exported.agent('a')
    await agent.write(1_000)
    let sent = 0
    agent.send = (line) => (++sent % 37 === 0 ? undefined : line)
    exported.start()
    await exported.delivered('a')
    expect(exported.received('a')).toEqual(agent.lines)
    expect(agent.connections).toBeGreaterThan(20)
    expect(exported.told).toEqual([])
  })

  it('goes on after a restart of the companion where it was, over segments that the agent closed', async () => {
    const agent = exported.agent('a')
    await agent.write(40)
    exported.start()
    await exported.delivered('a')
    await exported.stop()
    await agent.rotate()
    await agent.write(25)
    const before = agent.connections
    exported.start()
    await exported.delivered('a')
    expect(agent.connections).toBe(before + 1)
    const { pulled, sinks } = exported.status('a')
    expect(pulled).toBe(66)
    expect(sinks).toMatchObject([{ delivered: 66, discarded: 0 }])
    const received = exported.received('a').map((line) => /"sequence":(\d+)/.exec(line)?.[1])
    expect(received).toEqual(Array.from({ length: 66 }, (_, i) => String(i + 1)))
    expect(exported.told).toEqual([])
  })

  it('a torn end of the copy is cut and pulled again', async () => {
    const agent = exported.agent('a')
    await agent.write(30)
    exported.start()
    await exported.delivered('a')
    await exported.stop()
    const path = copyOf('a')
    truncateSync(path, statSync(path).size - 100)
    await agent.write(5)
    exported.start()
    await exported.delivered('a')
    expect(linesIn(path)).toEqual(agent.lines)
    expect(exported.received('a')).toEqual(agent.lines)
    expect(exported.told).toEqual([])
  })
})

describe('what does not hold together', () => {
  const chain = () => exported.agent('a').mark.read()?.chain ?? ''
  const finding = (found: string, fromSequence: number, toSequence = fromSequence) => ({
    ...{ kind: 'trail-broken', atMs: exported.nowMs, node: 'spiffe://acme.example/node/a' },
    ...{ found, chain: chain(), fromSequence, toSequence },
  })

  it('events that are left out: told with their range, counted for the sinks, and the rest goes on', async () => {
    const agent = exported.agent('a')
    await agent.write(20)
    agent.send = (line) => (/"sequence":(?:8|9|10),/.test(line) ? '' : line)
    // An empty line is no event; a sender that leaves them out altogether is the next case.
    exported.start()
    await until('the rest', () => exported.status('a').pulled === 20)
    expect(exported.broken.map(({ found, fromSequence, toSequence }) => [found, fromSequence, toSequence])).toEqual([
      ['unreadable', 8, 8],
      ['events-missing', 8, 10],
    ])
    await until('the sink', () => exported.status('a').sinks[0]?.lag === 0)
    expect(exported.status('a')).toMatchObject({ missing: 3, findings: 2 })
    expect(exported.status('a').sinks).toMatchObject([{ delivered: 17, discarded: 3 }])
  })

  it('a line that was changed: told, and kept and delivered as it came', async () => {
    const agent = exported.agent('a')
    await agent.write(10)
    agent.send = (line) => (line.includes('"sequence":4,') ? line.replace('"severity_id":', '"severity_id":1') : line)
    exported.start()
    await exported.delivered('a')
    expect(exported.broken).toEqual([finding('edited', 4)])
    expect(exported.received('a')).toHaveLength(10)
    expect(exported.received('a')[3]).toContain('"severity_id":1')
    expect(await verifyJournal(copyOf('a'))).toMatchObject({ intact: false, findings: [{ kind: 'edited', line: 4 }] })
  })

  it('a last event that was changed afterwards: found when the stream is taken up again, told once', async () => {
    const agent = exported.agent('a')
    await agent.write(12)
    exported.start()
    await exported.delivered('a')
    await exported.stop()
    await agent.close()
    putLines(
      agent.path,
      linesIn(agent.path).map((line, i) => (i === 11 ? line.replace('"time":', '"time":1') : line)),
    )
    for (const _ of [1, 2]) {
      exported.start()
      await until('a connection', () => exported.broken.length > 0)
      await exported.stop()
    }
    expect(exported.broken).toEqual([finding('edited', 12)])
    const [aside = ''] = linesIn(join(exported.directory, 'a', 'aside.ndjson'))
    const { octets, ...kept } = JSON.parse(aside) as { octets: string }
    expect(kept).toEqual({ at_ms: exported.nowMs, found: 'edited', chain: chain(), sequence: 12 })
    expect(Buffer.from(octets, 'base64').toString('latin1')).toBe(linesIn(agent.path)[11])
    expect(exported.received('a')).toHaveLength(12)
  })

  it('another event under a number that was pulled: told as a fork, and what follows goes on', async () => {
    const agent = exported.agent('a')
    await agent.write(10)
    exported.start()
    await exported.delivered('a')
    await exported.stop()
    const point = agent.mark.read()
    await agent.putBack(7)
    await agent.write(9)
    exported.start()
    await exported.delivered('a')
    const hash = expect.stringMatching(/^[0-9a-f]{64}$/) as string
    expect(exported.broken).toEqual([{ ...finding('forked', 10), expected: point?.fingerprint, came: hash }])
    expect(exported.received('a').slice(10)).toEqual(agent.lines.slice(10))
    expect(linesIn(join(exported.directory, 'a', 'aside.ndjson'))).toHaveLength(1)
  })

  it('a journal that ends before what was pulled: told, and all that is written then is kept', async () => {
    const agent = exported.agent('a')
    await agent.write(10)
    exported.start()
    await exported.delivered('a')
    await exported.stop()
    const held = agent.mark.read()
    await agent.putBack(6)
    await agent.write(2)
    exported.start()
    await until('the word', () => exported.broken.length > 0)
    expect(exported.broken[0]).toEqual({ ...finding('cut', 9, 10), expected: held?.fingerprint })
    await agent.write(4)
    await exported.delivered('a')
    expect(exported.broken.map(({ found, fromSequence }) => [found, fromSequence])).toEqual([
      ['cut', 9],
      ['forked', 9],
      ['forked', 10],
    ])
    expect(linesIn(join(exported.directory, 'a', 'aside.ndjson'))).toHaveLength(2)
    expect(exported.received('a').slice(10)).toEqual(agent.lines.slice(10))
  })

  it('another journal in its place: told, pulled from its beginning, and both epochs stay accounted for', async () => {
    const agent = exported.agent('a')
    await agent.write(30)
    exported.start()
    await exported.delivered('a')
    const first = agent.mark.read()
    await exported.stop()
    await agent.replace()
    await agent.write(12)
    exported.start()
    await exported.delivered('a')
    expect(exported.broken).toMatchObject([
      { found: 'replaced', chain: first?.chain, fromSequence: 30, expected: first?.fingerprint },
    ])
    expect(exported.received('a').slice(30)).toEqual(agent.lines)
    expect(readRecord(join(exported.directory, 'a', 'trail.json'))?.epochs).toEqual([
      { chain: first?.chain, from: 0, through: 30 },
      { chain: chain(), from: 0, through: 0 },
    ])
    expect(readCursor(join(exported.directory, 'a', 'sinks', 'archive.cursor.json'))).toMatchObject({
      ...{ chain: chain(), delivered: 12, sequence: 12 },
      earlier: [{ chain: first?.chain, from: 0, sequence: 30, delivered: 30, discarded: 0 }],
    })
  })

  it('a journal of another node: nothing is pulled', async () => {
    const other = new Agent('x', exported.folder)
    await other.write(3)
    exported.agent('a')
    exported.start({ connect: () => other.connect() })
    await until('a failure', () => exported.status('a').failures > 0)
    expect(exported.status('a')).toMatchObject({
      state: 'failing',
      pulled: 0,
      error: 'the agent "a" writes the trail of "spiffe://acme.example/node/x", not of "spiffe://acme.example/node/a"',
    })
    await other.close()
  })

  it('a copy that was taken away: told, pulled again, and no sink gets anything twice', async () => {
    const agent = exported.agent('a')
    await agent.write(15)
    exported.start()
    await exported.delivered('a')
    await exported.stop()
    rmSync(copyOf('a'))
    exported.start()
    await exported.delivered('a')
    expect(exported.broken).toEqual([finding('copy-damaged', 1, 15)])
    expect(exported.received('a')).toEqual(agent.lines)
  })

  it('a record that is damaged is not guessed', async () => {
    const agent = exported.agent('a')
    await agent.write(5)
    agent.send = (line) => (line.includes('"sequence":2,') ? 'x' : line)
    exported.start()
    await until('all', () => exported.status('a').pulled === 5)
    await exported.stop()
    const file = join(exported.directory, 'a', 'trail.json')
    writeFileSync(file, readFileSync(file, 'utf8').replace('"chain"', '"chian"'))
    exported.start()
    await until('the failure', () => exported.status('a').failures > 0)
    expect(exported.status('a').error).toBe(`${JSON.stringify(file)} is no record of a pulled trail`)
  })
})

describe('a copy that is full', () => {
  it('holds the pull until sinks have taken its oldest part; nothing is dropped', async () => {
    const agent = exported.agent('a')
    await agent.write(2_000)
    exported.spoolBytes = 1 << 20
    const blocked = join(exported.folder, 'archive')
    writeFileSync(blocked, 'a file where the folder of the sink belongs')
    exported.start()
    await until('a full copy', () => exported.status('a').state === 'full')
    const { pulled, octets } = exported.status('a')
    expect(pulled).toBeLessThan(2_000)
    expect(octets).toBeLessThan(3 << 20)
    expect(exported.status('a').sinks).toMatchObject([{ state: 'failing', delivered: 0 }])
    rmSync(blocked)
    await exported.delivered('a')
    expect(exported.received('a')).toEqual(agent.lines)
    expect(exported.status('a').octets).toBeLessThan(3 << 20)
    expect(exported.broken).toEqual([])
  })
})
