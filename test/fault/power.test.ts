// The store and a loss of power: after a crash at every operation, with every disk that may be found afterwards, what is held is
// the old state or the new one, plans that the state names are there, and no quarantine is forgotten.

import { isDeepStrictEqual } from 'node:util'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { type Activation, type AgentState, EMPTY_AGENT_STATE, type Quarantine } from '../../src/agent/record.js'
import { recoverState } from '../../src/agent/recover.js'
import { Store } from '../../src/agent/store.js'
import { EMPTY_TRUST_MEMORY } from '../../src/agent/trust-memory.js'
import { decodeUtf8, utf8 } from '../../src/base/bytes.js'
import { type Digest, digestOf } from '../../src/base/digest.js'
import { Fault } from '../../src/base/fault.js'
import { encodePlan } from '../../src/plan/codec.js'
import { egress, planOf, SOURCE } from '../support/plans.js'
import { Disk } from './disk.js'

const held = vi.hoisted(() => ({
  disk: undefined as unknown as { fs: Record<string, (...given: never[]) => unknown> },
}))
vi.mock('node:fs', () => {
  const names = ['openSync', 'writeSync', 'fsyncSync', 'closeSync', 'renameSync', 'mkdirSync', 'rmSync']
  // The disk knows no times: a stamp of a file is never the same twice, and nothing is held in memory.
  const all = [...names, 'readFileSync', 'existsSync', 'readdirSync', 'statSync']
  return Object.fromEntries(all.map((name) => [name, (...given: never[]) => held.disk.fs[name]?.(...given)]))
})

const DIRECTORY = '/var/lib/sluice'
const use = (disk: Disk): Store => {
  held.disk = disk
  return new Store(DIRECTORY)
}
const encoded = (name: string, to: string) => {
  const bytes = encodePlan(planOf([egress(name, [to], 'tcp', ['443'])]))
  return { bytes, digest: digestOf(bytes) }
}
const [one, two] = [encoded('a', '93.184.216.34'), encoded('b', '93.184.216.35')]
const activation = (planDigest: Digest, generation: number): Activation => ({
  generation,
  planDigest,
  backends: ['memory'],
  source: SOURCE,
  decidedAtMs: 1,
})
const mark = { epoch: 1, revision: '1', digest: one.digest }
const OLD: AgentState = { ...EMPTY_AGENT_STATE, lastGeneration: 1, mark, live: activation(one.digest, 1) }
const INTENDED: AgentState = {
  ...OLD,
  lastGeneration: 2,
  mark: { ...mark, revision: '2' },
  next: activation(two.digest, 2),
}
const NEW: AgentState = { ...INTENDED, live: activation(two.digest, 2), next: null }
const quarantine = (workspace: string): Quarantine => ({
  workspace,
  reason: 'leak',
  by: 'user:a',
  commandId: 'c',
  atMs: 1,
})
const [Q, R] = [quarantine('spiffe://fleet.example/ws/a'), quarantine('spiffe://fleet.example/ws/b')]

/** A node with a live plan, a quarantine and a trust memory. */
function settled(): Disk {
  const disk = new Disk()
  const store = use(disk)
  store.create()
  store.saveQuarantines([Q])
  store.saveTrustMemory(EMPTY_TRUST_MEMORY)
  store.savePlan(one.bytes, one.digest)
  store.save(OLD)
  return disk
}

/** Cuts the power at every operation of `act` in turn; `look` sees every disk that may be found. Gives how many it saw. */
function crash(prepare: () => Disk, act: (store: Store, disk: Disk) => void, look: (store: Store) => void): number {
  let seen = 0
  for (let done = false, at = 0; !done; at++) {
    const disk = prepare()
    const store = use(disk)
    disk.powerUntil = disk.operations + at
    try {
      act(store, disk)
      done = true
    } catch (error) {
      // The store says so with its own code; what is neither is a defect of the test.
      if (!(error instanceof Fault && error.code === 'AGENT_STORE_WRITE') && !String(error).includes('power is gone'))
        throw error
    }
    for (const found of disk.afterCrash()) {
      seen++
      look(use(found))
    }
  }
  return seen
}
const codeOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
  return 'no fault'
}

describe('a loss of power', () => {
  it('while a plan goes live: the old state, the intent or the new state, each with its plans', () => {
    const found = new Set<string>()
    const seen = crash(
      settled,
      (store) => {
        store.savePlan(two.bytes, two.digest)
        store.save(INTENDED)
        store.save(NEW)
        store.prunePlans(NEW)
      },
      (store) => {
        const state = store.load()
        const [name] = Object.entries({ OLD, INTENDED, NEW }).find(([, value]) => isDeepStrictEqual(value, state)) ?? []
        found.add(name ?? 'something else')
        for (const at of [state.live, state.next]) if (at) expect(store.loadPlan(at.planDigest)).toBeDefined()
        expect(store.quarantines()).toEqual([Q])
        expect(store.trustMemory()).toEqual(EMPTY_TRUST_MEMORY)
      },
    )
    expect(found).toEqual(new Set(['OLD', 'INTENDED', 'NEW']))
    expect(seen).toBeGreaterThan(100)
  })
  it('while a quarantine is recorded: without it or with it', () => {
    const found = new Set<number>()
    crash(
      settled,
      (store) => store.saveQuarantines([Q, R]),
      (store) => {
        expect([[Q], [Q, R]]).toContainEqual(store.quarantines())
        found.add(store.quarantines().length)
        expect(store.load()).toEqual(OLD)
      },
    )
    expect(found).toEqual(new Set([1, 2]))
  })
  it('while the trust memory is written: the old one or the new one', () => {
    const next = { ...EMPTY_TRUST_MEMORY, clockFloorMs: 7, rootVersion: 2 }
    crash(
      settled,
      (store) => store.saveTrustMemory(next),
      (store) => expect([EMPTY_TRUST_MEMORY, next]).toContainEqual(store.trustMemory()),
    )
  })
  it('while a store is made: none, of which one can be made, or an empty one', () => {
    const found = new Set<boolean>()
    crash(
      () => new Disk(),
      (store) => store.create(),
      (store) => {
        found.add(store.exists())
        if (!store.exists()) store.create()
        expect([store.load(), store.quarantines()]).toEqual([EMPTY_AGENT_STATE, []])
      },
    )
    expect(found).toEqual(new Set([true, false]))
  })
  it('while a lost state is recovered: refused still, or begun anew; the quarantines are never lost', () => {
    const found = new Set<string>()
    crash(
      () => {
        const disk = settled()
        disk.fs.rmSync(`${DIRECTORY}/state.json`)
        disk.fs.fsyncSync(disk.fs.openSync(DIRECTORY, 'r'))
        return disk
      },
      () => recoverState(DIRECTORY, 1_000),
      (store) => {
        const code = codeOf(() => store.load())
        found.add(code)
        if (code !== 'no fault') expect(recoverState(DIRECTORY, 2_000).quarantines).toBe(1)
        expect([store.load(), store.quarantines()]).toEqual([EMPTY_AGENT_STATE, [Q]])
      },
    )
    expect(found).toEqual(new Set(['AGENT_STORE_DAMAGED', 'no fault']))
  })
})

describe('the disk of these tests', () => {
  beforeEach(() => use(new Disk()))
  const write = (disk: Disk, path: string, text: string, sync: boolean): void => {
    const handle = disk.fs.openSync(path, 'w')
    const bytes = utf8(text)
    for (let at = 0; at < bytes.length; ) at += disk.fs.writeSync(handle, bytes, at)
    if (sync) disk.fs.fsyncSync(handle)
  }
  const sync = (disk: Disk): void => disk.fs.fsyncSync(disk.fs.openSync('/', 'r'))
  const contents = (disk: Disk, path: string): unknown[] =>
    [...disk.afterCrash()].map((found) =>
      found.fs.existsSync(path) ? decodeUtf8(found.fs.readFileSync(path)) : 'none',
    )
  const started = (): Disk => {
    const disk = new Disk()
    write(disk, '/a', 'old!', true)
    sync(disk)
    return disk
  }
  it('keeps what was synced', () => expect(new Set(contents(started(), '/a'))).toEqual(new Set(['old!'])))
  it('loses data in a file that is overwritten in place', () => {
    const disk = started()
    write(disk, '/a', 'new!', false)
    expect(new Set(contents(disk, '/a'))).toEqual(new Set(['old!', '', 'ne', 'new!']))
  })
  it('shows a half written file after a rename without fsync', () => {
    const disk = started()
    write(disk, '/b', 'new!', false)
    disk.fs.renameSync('/b', '/a')
    sync(disk)
    expect(new Set(contents(disk, '/a'))).toEqual(new Set(['', 'ne', 'new!']))
  })
  it('forgets a rename whose directory was not synced', () => {
    const disk = started()
    write(disk, '/b', 'new!', true)
    disk.fs.renameSync('/b', '/a')
    expect(new Set(contents(disk, '/a'))).toEqual(new Set(['old!', 'new!']))
  })
})
