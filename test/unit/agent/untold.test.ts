// A node that dies between a fence, or a lift, and its event: what is on record is told once, whatever dies when. The journal is a real
// one; a death is a process that does nothing more, at a file operation or where it should have told.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { apply } from '../../../src/agent/enforce.js'
import { NODE_FILES, type StateFiles } from '../../../src/agent/files.js'
import { withLastResort } from '../../../src/agent/last-resort.js'
import { fence, quarantine } from '../../../src/agent/quarantine.js'
import { issueReceipt } from '../../../src/agent/receipt.js'
import { seal } from '../../../src/agent/record.js'
import { stand } from '../../../src/agent/stand.js'
import { status } from '../../../src/agent/status.js'
import { Store } from '../../../src/agent/store.js'
import { openTrail } from '../../../src/agent/trail.js'
import { events } from '../../../src/audit/query.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import { utf8 } from '../../../src/base/bytes.js'
import { sha256 } from '../../../src/base/digest.js'
import { generateKey, signerOf } from '../../../src/bundle/key-file.js'
import { ALPHA, BETA, makeNode, memoryAs, NOW, offer, type TestNode } from './fixture.js'

const command = (kind: 'quarantine-set' | 'quarantine-lift', commandId = 'cmd-2', workspace = ALPHA) =>
  ({ kind, workspace, reason: 'incident', by: 'user:test', commandId }) as const

let octets = 0
const random = (length: number) => sha256(utf8(String(octets++))).slice(0, length)

/** The same kernel, directory and journal with a fresh process. */
function life(node: TestNode, files: StateFiles = NODE_FILES): TestNode {
  const trail = openTrail(node.config.eventsFile, join(node.store.directory, 'events.lock'), {
    product: { name: 'sluice', version: '0' },
    reporter: { uid: 'n1', hostname: 'h' },
    nowMs: () => node.now,
    random,
  })
  const { emit, keep } = trail
  return { ...node, store: new Store(node.store.directory, files), emit, keep }
}

interface Seen {
  readonly activity_id: number
  readonly time: number
  readonly unmapped: Readonly<Record<string, unknown>>
}

/** What the trail says was done: a word each, with the command and whether it came late. */
async function told({ config }: TestNode): Promise<string[]> {
  const out: string[] = []
  for await (const { event } of events(config.eventsFile, { classes: [7004] })) {
    const { activity_id, unmapped, time } = event as unknown as Seen
    const late = unmapped.told_late === true ? ` late of ${time - NOW}` : ''
    out.push(
      `${activity_id === 1 ? 'set' : 'lifted'} ${String((event as { command_uid?: string }).command_uid)}${late}`,
    )
  }
  return out
}

async function begun(): Promise<{ driver: MemoryDriver; node: TestNode }> {
  const driver = new MemoryDriver()
  const node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)])
  await apply(node, await offer({ workspaces: [ALPHA, BETA] }))
  return { driver, node }
}

class Crash extends Error {}

/** A lift, cmd-3, whose process dies when it is on record and before it let anybody out. */
async function cutShort(node: TestNode, driver: MemoryDriver): Promise<void> {
  const flag = driver.flag.bind(driver)
  driver.flag = () => Promise.reject(new Crash('the machine went down'))
  await expect(fence(life(node), command('quarantine-lift', 'cmd-3'))).rejects.toThrow(Crash)
  driver.flag = flag
}

/** Files that die at the n-th operation that changes the disk, and at every one after it. */
function dyingAfter(operations: number): StateFiles & { left: number } {
  const files = { ...NODE_FILES, left: operations }
  const counted =
    <A extends unknown[]>(operation: (...given: A) => void) =>
    (...given: A): void => {
      if (files.left-- <= 0) throw new Crash('the machine went down')
      operation(...given)
    }
  files.writeSynced = counted(NODE_FILES.writeSynced)
  files.rename = counted(NODE_FILES.rename)
  files.syncDirectory = counted(NODE_FILES.syncDirectory)
  return files
}

describe('a death between a fence and its event', () => {
  it('loses no event: it is told when the node stands again, once, as late', async () => {
    const { node } = await begun()
    await fence(life(node), command('quarantine-set'))
    expect(await told(node)).toEqual([])
    node.now = NOW + 60_000
    for (let again = 0; again < 3; again++) await stand(life(node))
    expect(await told(node)).toEqual(['set cmd-2 late of 0'])
    expect(life(node).store.quarantines()).toEqual([
      { workspace: ALPHA, reason: 'incident', by: 'user:test', commandId: 'cmd-2', atMs: NOW },
    ])
  })

  it('and another before the late one is told, or before it is known to be on disk, changes nothing', async () => {
    const { node } = await begun()
    await fence(life(node), command('quarantine-set'))
    await stand({ ...life(node), keep: () => Promise.resolve(() => Promise.resolve('waits')) })
    expect(await told(node)).toEqual([])
    const second = life(node)
    const unasked = () => Promise.resolve('waits' as const)
    await stand({ ...second, keep: (facts) => second.emit(facts).then(() => unasked) })
    expect(await told(node)).toEqual(['set cmd-2 late of 0'])
    expect(life(node).store.quarantines()).toMatchObject([{ untoldMs: 0 }])
    await stand(life(node))
    expect(await told(node)).toEqual(['set cmd-2 late of 0'])
    expect(life(node).store.quarantines()[0]).not.toHaveProperty('untoldMs')
  })

  it('is told with the receipt, where that was made before it', async () => {
    const { node } = await begun()
    const signer = signerOf(
      generateKey({ role: 'release', kid: 'n1' }, (length) => sha256(utf8('n1')).slice(0, length)),
    )
    const first = { ...life(node), signer }
    await fence(first, command('quarantine-set'))
    const done = { carriers: [], askedAtMs: NOW, fencedAtMs: NOW }
    const receipt = await issueReceipt(first, command('quarantine-set'), done)
    await stand(life(node))
    expect(readFileSync(node.config.eventsFile, 'utf8')).toContain(`"receipt":"${receipt?.digest}"`)
  })

  it('of which there is nothing to tell stays silent: what was told, and what an older release wrote', async () => {
    const { node } = await begun()
    await quarantine(life(node), command('quarantine-set'))
    await stand(life(node))
    expect(await told(node)).toEqual(['set cmd-2'])
    const { kind, ...entry } = command('quarantine-set', 'cmd-old', BETA)
    const old = seal('sluice-quarantines/1', [{ ...entry, atMs: NOW }])
    writeFileSync(join(node.store.directory, 'quarantines.json'), old)
    await stand(life(node))
    expect(await told(node)).toEqual(['set cmd-2'])
    expect(life(node).store.quarantineRecord()).toEqual({ list: [{ ...entry, atMs: NOW }], lifts: [] })
  })

  it('does not make a process tell late what another part of it is about to tell', async () => {
    const { node } = await begun()
    const one = life(node)
    const { told: tell } = await fence(one, command('quarantine-set'))
    await stand(one)
    expect(await told(node)).toEqual([])
    await tell()
    await stand(one)
    expect(await told(node)).toEqual(['set cmd-2'])
    expect(one.store.quarantines()[0]).not.toHaveProperty('untoldMs')
  })

  it('shows in no status', async () => {
    const { node } = await begun()
    const one = life(node)
    await fence(one, command('quarantine-set'))
    expect((await status(one)).quarantines[0]).not.toHaveProperty('untoldMs')
  })
})

describe('a death at any file operation', () => {
  it('of a quarantine leaves one event for what is on record, and none or one for what is not', async () => {
    const ends = new Set<string>()
    for (let operations = 0, finished = false; !finished; operations++) {
      const { node } = await begun()
      const files = dyingAfter(operations)
      await quarantine(life(node, files), command('quarantine-set')).catch(() => undefined)
      finished = files.left >= 0
      for (let again = 0; again < 2; again++) await stand(life(node))
      const seen = await told(node)
      const isRecorded = life(node).store.quarantines().length > 0
      ends.add(`${isRecorded ? 'recorded' : 'not recorded'}: ${seen.map((one) => one.split(' ')[0]).join(', ')}`)
    }
    // What the disk refused was told as fenced all the same.
    expect(ends).toEqual(new Set(['not recorded: set', 'recorded: set']))
  })

  it('of a lift likewise', async () => {
    const ends = new Set<string>()
    for (let operations = 0, finished = false; !finished; operations++) {
      const { node, driver } = await begun()
      await quarantine(life(node), command('quarantine-set'))
      const files = dyingAfter(operations)
      await quarantine(life(node, files), command('quarantine-lift', 'cmd-3')).catch(() => undefined)
      finished = files.left >= 0
      for (let again = 0; again < 2; again++) await stand(life(node))
      const fenced = (await driver.observe()).live?.quarantined.includes(ALPHA)
      ends.add(`${fenced ? 'fenced' : 'open'}: ${(await told(node)).map((one) => one.split(' ')[0]).join(', ')}`)
    }
    expect(ends).toEqual(new Set(['fenced: set', 'open: set, lifted']))
  })
})

describe('a death between a lift and its event', () => {
  it('loses neither it nor the event of what it lifted', async () => {
    const { node, driver } = await begun()
    const one = life(node)
    await fence(one, command('quarantine-set'))
    await fence(one, command('quarantine-lift', 'cmd-3'))
    expect((await driver.observe()).live?.quarantined).toEqual([])
    expect(one.store.quarantines()).toEqual([])
    for (let again = 0; again < 3; again++) await stand(life(node))
    expect(await told(node)).toEqual(['set cmd-2 late of 0', 'lifted cmd-3 late of 0'])
    expect(one.store.quarantineRecord()).toEqual({ list: [], lifts: [] })
  })

  it('before it let anybody out is none: the one that does is told in its place', async () => {
    const { node, driver } = await begun()
    await quarantine(life(node), command('quarantine-set'))
    await cutShort(node, driver)
    await stand(life(node))
    expect((await driver.observe()).live?.quarantined).toEqual([ALPHA])
    expect(await told(node)).toEqual(['set cmd-2'])
    await quarantine(life(node), command('quarantine-lift', 'cmd-4'))
    await stand(life(node))
    expect((await driver.observe()).live?.quarantined).toEqual([])
    expect(await told(node)).toEqual(['set cmd-2', 'lifted cmd-4'])
  })

  it('before it let anybody out is none either when somebody fences again: it is never told', async () => {
    for (const isTold of [true, false]) {
      const { node, driver } = await begun()
      await (isTold ? quarantine : fence)(life(node), command('quarantine-set'))
      await cutShort(node, driver)
      await quarantine(life(node), command('quarantine-set', 'cmd-4'))
      for (let again = 0; again < 2; again++) await stand(life(node))
      expect((await driver.observe()).live?.quarantined).toEqual([ALPHA])
      expect((await told(node)).sort()).toEqual([isTold ? 'set cmd-2' : 'set cmd-2 late of 0', 'set cmd-4'])
      expect(life(node).store.quarantineRecord().lifts).toEqual([])
    }
  })

  it('that the kernel refused is none either, and one that it carried out stays one whoever fences again', async () => {
    const { node, driver } = await begun()
    const one = life(node)
    await quarantine(one, command('quarantine-set'))
    const flag = driver.flag.bind(driver)
    driver.flag = () => Promise.reject(new Crash('cut'))
    await expect(quarantine(one, command('quarantine-lift', 'cmd-3'))).rejects.toThrow(Crash)
    driver.flag = flag
    await quarantine(one, command('quarantine-set', 'cmd-4'))
    await stand(one)
    expect(await told(node)).toEqual(['set cmd-2', 'set cmd-4'])
    await fence(life(node), command('quarantine-lift', 'cmd-5'))
    await quarantine(one, command('quarantine-set', 'cmd-6'))
    await stand(life(node))
    expect((await told(node)).sort()).toEqual(['lifted cmd-5 late of 0', 'set cmd-2', 'set cmd-4', 'set cmd-6'])
  })

  it('is told of the first of two, and both quarantines and lifts of one workspace stand in their order', async () => {
    const { node } = await begun()
    for (const [at, kind] of (
      ['quarantine-set', 'quarantine-lift', 'quarantine-set', 'quarantine-lift'] as const
    ).entries()) {
      node.now = NOW + at
      await fence(life(node), command(kind, `cmd-${at}`))
    }
    await stand(life(node))
    const words = ['set cmd-0 late of 0', 'lifted cmd-1 late of 1', 'set cmd-2 late of 2', 'lifted cmd-3 late of 3']
    expect(await told(node)).toEqual(words)
  })
})

it('what may have been lost is looked for in the journal, and keeps no mark of what came after it', async () => {
  const { node } = await begun()
  const one = life(node)
  const { emit, keep } = one
  // The first got lost, of the second nobody knows.
  const kinds: string[] = []
  const losing: TestNode = {
    ...one,
    keep: async (facts) => {
      kinds.push(...facts.map(({ kind }) => kind))
      if (kinds.length === 2) await emit(facts)
      return kinds.length > 2 && keep ? keep(facts) : () => Promise.resolve('lost')
    },
  }
  await quarantine(losing, command('quarantine-set', 'cmd-1'))
  await quarantine(losing, command('quarantine-set', 'cmd-2', BETA))
  expect(await told(node)).toEqual(['set cmd-2'])
  await stand(losing)
  expect(await told(node)).toEqual(['set cmd-2', 'set cmd-1 late of 0'])
  for (const entry of one.store.quarantines()) expect(entry).not.toHaveProperty('untoldMs')
})

it('a fence of last resort after a lift that let nobody out leaves that untold', async () => {
  const { node, driver } = await begun()
  await quarantine(life(node), command('quarantine-set'))
  await cutShort(node, driver)
  await withLastResort(life(node), (fenceAll) => fenceAll([ALPHA], 'rolling back failed'))
  await stand(life(node))
  expect(await told(node)).toEqual(['set cmd-2', 'set activation-failed'])
})
