// The durable store: a crash at any file operation leaves the old state or the new one, a disk that refuses stops the
// command before the switch, and anything that was not written by the store is a fault.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { apply } from '../../../src/agent/enforce.js'
import { NODE_FILES, type StateFiles } from '../../../src/agent/files.js'
import { loadMapped } from '../../../src/agent/held-inventory.js'
import { loadPolicies } from '../../../src/agent/held-policies.js'
import { quarantine } from '../../../src/agent/quarantine.js'
import { EMPTY_AGENT_STATE, encodeState } from '../../../src/agent/record.js'
import { status } from '../../../src/agent/status.js'
import { Store } from '../../../src/agent/store.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import { Fault } from '../../../src/base/fault.js'
import { ALPHA, MAIL, makeNode, memoryAs, offer, scratchDirectory, type TestNode, WEB } from './fixture.js'

const codeOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
  return 'no fault'
}

describe('the list of sessions', () => {
  it('is not read again by whoever wrote it, until another has', () => {
    const node = makeNode()
    let reads = 0
    const read = (path: string) => {
      reads++
      return NODE_FILES.read(path)
    }
    const files = { ...NODE_FILES, read }
    const store = new Store(node.store.directory, files)
    const session = {
      ...{ workspace: ALPHA, sessionId: 's-1', user: 'ana', peer: '10.60.0.1', by: 'b', openedAtMs: 1, expiresAtMs: 2 },
    }
    store.saveSessions([session])
    expect([store.sessions(), reads]).toEqual([[session], 0])
    node.store.saveSessions([])
    expect(store.sessions()).toEqual([])
    rmSync(join(node.store.directory, 'sessions.json'))
    expect(store.sessions()).toEqual([])
  })
})

class Crash extends Error {}

/** Files that die at the n-th operation that changes the disk, and at every one after it. */
function dyingFiles(): StateFiles & { left: number; seen: number } {
  const files = {
    left: Number.POSITIVE_INFINITY,
    seen: 0,
    ...NODE_FILES,
  }
  const counted =
    <A extends unknown[]>(operation: (...given: A) => void) =>
    (...given: A): void => {
      files.seen++
      if (files.left <= 0) throw new Crash('the machine went down')
      files.left--
      operation(...given)
    }
  files.writeSynced = counted(NODE_FILES.writeSynced)
  files.rename = counted(NODE_FILES.rename)
  files.syncDirectory = counted(NODE_FILES.syncDirectory)
  files.remove = counted(NODE_FILES.remove)
  return files
}

/** The same kernel and directory with a fresh process. */
const restarted = (node: TestNode): TestNode =>
  Object.assign(Object.create(Object.getPrototypeOf(node) as object) as TestNode, node, {
    store: new Store(node.store.directory),
    facts: [],
  })

describe('a crash during apply', () => {
  it('at any file operation restarts to the old plan or the new one', async () => {
    let finished = false
    const outcomes = new Set<number | undefined>()
    for (let operations = 0; !finished; operations++) {
      const files = dyingFiles()
      const node = makeNode([memoryAs('memory', ['veth'], new MemoryDriver())], files)
      await apply(node, await offer())
      files.left = operations
      const next = await offer({ revision: 2n, egress: [WEB, MAIL] })
      finished = await apply(node, next).then(
        () => true,
        () => false,
      )
      const after = restarted(node)
      const seen = await status(after)
      // Whatever is on record reads back, and it is one of the two plans.
      expect(['1', '2']).toContain(seen.live?.source.policyRevision)
      outcomes.add(seen.live?.generation)
      // The kernel holds one whole plan as well, and the next apply brings the two together.
      expect([1, 2]).toContain((await node.backends.get('memory')?.driver.observe())?.live?.generation)
      await apply(after, { ...next, retry: true })
      expect(await status(after)).toMatchObject({ state: 'active', live: { source: { policyRevision: '2' } } })
      expect(after.store.load().next).toBeNull()
    }
    expect(outcomes).toEqual(new Set([1, 2]))
  })

  it('between the switch and the last write counts the switch', async () => {
    const files = dyingFiles()
    const driver = new MemoryDriver()
    const node = makeNode([memoryAs('memory', ['veth'], driver)], files)
    const commit = driver.commit.bind(driver)
    driver.commit = async (staged) => {
      await commit(staged)
      files.left = 0
    }
    await expect(apply(node, await offer())).rejects.toThrow('cannot write')
    expect(node.facts.map(({ kind }) => kind)).toEqual(['bundle-verified', 'bundle-activated'])
    expect(node.facts[1]).toMatchObject({ unseen: expect.stringMatching(/cannot write/) as string })
    const after = restarted(node)
    expect(after.store.load()).toMatchObject({ live: null, next: { generation: 1 } })
    expect(await status(after)).toMatchObject({ state: 'active', unfinished: true, live: { generation: 1 } })
    driver.commit = commit
    expect((await apply(after, await offer())).decision).toEqual({ kind: 'keep', generation: 1 })
    expect(after.store.load()).toMatchObject({ live: { generation: 1 }, next: null })
  })

  it('between the switch and the last write leaves what belongs to the plan that is on record', async () => {
    const files = dyingFiles()
    const driver = new MemoryDriver()
    const node = makeNode([memoryAs('memory', ['veth'], driver)], files)
    const { planDigest } = await apply(node, await offer())
    const commit = driver.commit.bind(driver)
    driver.commit = async (staged) => {
      await commit(staged)
      files.left = 0
    }
    await expect(apply(node, await offer({ revision: 2n, egress: [MAIL] }))).rejects.toThrow('cannot write')
    expect(restarted(node).store.load()).toMatchObject({ live: { planDigest }, next: { generation: 2 } })
    expect(loadPolicies(node.store.directory, planDigest)).toHaveLength(1)
    expect(loadMapped(node.store.directory, planDigest)).toBeDefined()
  })

  it('before the switch leaves the mark, so that the old bundle does not come back', async () => {
    const driver = new MemoryDriver()
    const node = makeNode([memoryAs('memory', ['veth'], driver)])
    await apply(node, await offer())
    driver.commit = () => Promise.reject(new Crash('the machine went down'))
    await expect(apply(node, await offer({ revision: 2n, egress: [MAIL] }))).rejects.toThrow(/failed at commit/)
    const after = restarted(node)
    expect(after.store.load()).toMatchObject({ mark: { revision: '2' }, live: { generation: 1 } })
    await expect(apply(after, await offer())).rejects.toMatchObject({ code: 'BUNDLE_COUNTER_REGRESSION' })
  })
})

describe('a disk that refuses', () => {
  it('stops the apply before the switch', async () => {
    const files = dyingFiles()
    const node = makeNode([memoryAs('memory', ['veth'], new MemoryDriver())], files)
    await apply(node, await offer())
    files.left = 0
    await expect(apply(node, await offer({ revision: 2n, egress: [MAIL] }))).rejects.toMatchObject({
      code: 'AGENT_STORE_WRITE',
      reaction: 'retry',
    })
    expect(await status(restarted(node))).toMatchObject({ state: 'active', live: { generation: 1 } })
  })

  it('keeps the fence of a quarantine and fails the command', async () => {
    const files = dyingFiles()
    const driver = new MemoryDriver()
    const node = makeNode([memoryAs('memory', ['veth'], driver)], files)
    await apply(node, await offer())
    const command = { workspace: ALPHA, reason: 'x', by: 'user:test', commandId: 'c' }
    files.left = 0
    await expect(quarantine(node, { ...command, kind: 'quarantine-set' })).rejects.toMatchObject({
      code: 'AGENT_FENCED_UNRECORDED',
      cause: { code: 'AGENT_STORE_WRITE' },
    })
    expect((await driver.observe()).live?.quarantined).toEqual([ALPHA])
  })

  it('does not lift what it cannot record', async () => {
    const files = dyingFiles()
    const driver = new MemoryDriver()
    const node = makeNode([memoryAs('memory', ['veth'], driver)], files)
    await apply(node, await offer())
    const command = { workspace: ALPHA, reason: 'x', by: 'user:test', commandId: 'c' }
    await quarantine(node, { ...command, kind: 'quarantine-set' })
    files.left = 0
    await expect(quarantine(node, { ...command, kind: 'quarantine-lift' })).rejects.toMatchObject({
      code: 'AGENT_STORE_WRITE',
    })
    expect((await driver.observe()).live?.quarantined).toEqual([ALPHA])
    expect(restarted(node).store.quarantines()).toHaveLength(1)
  })
})

describe('what is in the directory', () => {
  const fresh = (): Store => {
    const store = new Store(join(scratchDirectory(), 'state'))
    store.create()
    return store
  }
  const state = (store: Store): string => join(store.directory, 'state.json')

  it('reads back what was written', () => {
    const store = fresh()
    expect(store.load()).toEqual(EMPTY_AGENT_STATE)
    expect(store.quarantines()).toEqual([])
  })

  it('is not made twice', () => {
    const store = fresh()
    expect(codeOf(() => store.create())).toBe('AGENT_STORE_EXISTS')
  })

  it('is missing on a node that never held anything, which is not taken for an empty one', () => {
    expect(codeOf(() => new Store(join(scratchDirectory(), 'none')).load())).toBe('AGENT_STORE_MISSING')
  })

  it('is damaged when one of its files is gone', () => {
    const store = fresh()
    rmSync(state(store))
    expect(codeOf(() => store.load())).toBe('AGENT_STORE_DAMAGED')
    const other = fresh()
    rmSync(join(other.directory, 'quarantines.json'))
    expect(codeOf(() => other.quarantines())).toBe('AGENT_STORE_DAMAGED')
  })

  const spoiled: readonly (readonly [string, (text: string) => string, string, RegExp])[] = [
    ['cut off', (text) => text.slice(0, -20), 'AGENT_STORE_DAMAGED', /is damaged or was changed by hand/],
    ['empty', () => '', 'AGENT_STORE_DAMAGED', /the text ends too early|not a JSON value/],
    [
      'edited by hand',
      (text) => text.replace('"lastGeneration":0', '"lastGeneration":7'),
      'AGENT_STORE_DAMAGED',
      /digest does not match/,
    ],
    [
      'of another format',
      (text) => text.replace('sluice-state/1', 'sluice-state/2'),
      'AGENT_STORE_FORMAT',
      /sluice-state\/2/,
    ],
    ['not an object', () => '[]', 'AGENT_STORE_DAMAGED', /not an object/],
    ['with a duplicate key', (text) => text.replace('{', '{"format":"x",'), 'AGENT_STORE_DAMAGED', /duplicate key/],
  ]
  for (const [name, spoil, code, say] of spoiled)
    it(`is refused when ${name}`, () => {
      const store = fresh()
      writeFileSync(state(store), spoil(readFileSync(state(store), 'utf8')))
      expect(codeOf(() => store.load())).toBe(code)
      expect(() => store.load()).toThrow(say)
    })

  it('is refused when the digest is right and the shape is not', () => {
    const store = fresh()
    const wrong = { ...EMPTY_AGENT_STATE, lastGeneration: -1 }
    writeFileSync(state(store), encodeState(wrong))
    expect(() => store.load()).toThrow('state.lastGeneration is not a count')
  })

  it('refuses a plan that is not the one of its name', async () => {
    const node = makeNode()
    const { planDigest } = await apply(node, await offer())
    const file = join(node.store.directory, 'plans', `${planDigest.slice(7)}.json`)
    writeFileSync(file, readFileSync(file, 'utf8').replace('443', '444'))
    expect(codeOf(() => node.store.loadPlan(planDigest))).toBe('AGENT_STORE_DAMAGED')
    await expect(status(node)).rejects.toMatchObject({ code: 'AGENT_STORE_DAMAGED', reaction: 'bug' })
  })

  it('keeps plans out of reach of everybody else', async () => {
    const node = makeNode()
    await apply(node, await offer())
    const { statSync } = await import('node:fs')
    expect(statSync(state(node.store)).mode & 0o777).toBe(0o600)
    expect(statSync(node.store.directory).mode & 0o777).toBe(0o700)
  })
})

describe('a plan that was read', () => {
  const planFileOf = (node: TestNode, digest: string): string =>
    join(node.store.directory, 'plans', `${digest.slice('sha256:'.length)}.json`)

  it('is not read again while its file is as it was, and is when anything about the file changes', async () => {
    let reads = 0
    const files: StateFiles = {
      ...NODE_FILES,
      read: (path) => {
        if (path.includes('/plans/')) reads++
        return NODE_FILES.read(path)
      },
    }
    const node = makeNode(undefined, files)
    const { planDigest } = await apply(node, await offer())
    const first = node.store.loadPlan(planDigest)
    const before = reads
    expect(node.store.loadPlan(planDigest)).toBe(first)
    expect(reads).toBe(before)
    // The same octets, put there anew.
    const file = planFileOf(node, planDigest)
    const bytes = readFileSync(file)
    rmSync(file)
    writeFileSync(file, bytes)
    expect(node.store.loadPlan(planDigest)).toEqual(first)
    expect(reads).toBe(before + 1)
    writeFileSync(file, bytes.subarray(1))
    expect(codeOf(() => node.store.loadPlan(planDigest))).toBe('AGENT_STORE_DAMAGED')
    rmSync(file)
    expect(codeOf(() => node.store.loadPlan(planDigest))).toBe('AGENT_STORE_DAMAGED')
  })
})
