// The format of a store: what this release brings forward, what it refuses, the way back, and a crash at every file operation
// on the way. The next release is this one with one more step, which writes the state in a form that this one cannot read.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { NODE_FILES, type StateFiles } from '../../../src/agent/files.js'
import { FLOOR } from '../../../src/agent/floor.js'
import { RECEIPTS } from '../../../src/agent/receipt.js'
import { STATE_FORMAT, seal, unseal } from '../../../src/agent/record.js'
import { RevocationMemory } from '../../../src/agent/revocation-memory.js'
import { SINKS_DIRECTORY } from '../../../src/agent/sinks.js'
import { Store } from '../../../src/agent/store.js'
import {
  admitStore,
  COPIES,
  migrateStore,
  STORE,
  STORE_FILES,
  STORE_FOLDERS,
  STORE_FORMAT,
  storeStanding,
} from '../../../src/agent/store-format.js'
import { STEPS, type Step } from '../../../src/agent/store-steps.js'
import { TRAIL_STATE } from '../../../src/agent/trail.js'
import { utf8 } from '../../../src/base/bytes.js'
import { Fault } from '../../../src/base/fault.js'
import { STATE_NAMES } from '../../../src/bin/node.js'
import { ALPHA, scratchDirectory } from './fixture.js'

const NEXT_STATE = 'sluice-state/next'
const resealed = (from: string, to: string) => (name: string, bytes: Uint8Array) =>
  name === 'state.json' ? utf8(seal(to, unseal(bytes, from))) : bytes
const NEXT: readonly Step[] = [
  ...STEPS,
  {
    say: 'the state in another form',
    forward: resealed(STATE_FORMAT, NEXT_STATE),
    back: resealed(NEXT_STATE, STATE_FORMAT),
  },
]
const NEWEST = STORE_FORMAT + 1
const QUARANTINE = { workspace: ALPHA, reason: 'x', by: 'user:test', commandId: 'c', atMs: 1 }

/** Every file below a directory, by its name, without copies. */
function contents(directory: string, below = ''): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of readdirSync(join(directory, below))) {
    const path = join(below, name)
    if (name === 'copies') continue
    if (statSync(join(directory, path)).isDirectory()) Object.assign(found, contents(directory, path))
    else found[path] = readFileSync(join(directory, path), 'utf8')
  }
  return found
}
const foldersIn = (directory: string, below = ''): readonly string[] =>
  readdirSync(join(directory, below), { withFileTypes: true }).flatMap((entry) => {
    const path = join(below, entry.name)
    return entry.isDirectory() ? [path, ...foldersIn(directory, path)] : []
  })
const said = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    if (error instanceof Fault) return `${error.code}: ${error.message}`
    throw error
  }
  return 'no fault'
}

/** What a state directory holds beside the records of the store: formats of their own, and locks. */
const BESIDE: ReadonlySet<string> = new Set([
  ...[STORE, COPIES, FLOOR, SINKS_DIRECTORY, RECEIPTS, ...TRAIL_STATE, 'backends'],
  ...['agent.sock', 'apply.lock', 'events.lock', 'mediate.lock', 'quarantine.lock'],
])

let directory: string
beforeEach(() => {
  directory = scratchDirectory()
  new Store(directory).create({ list: [QUARANTINE], lifts: [] })
  // One of each, and the folders that their owners make.
  new RevocationMemory(directory, () => 1).record('idp')
  for (const name of STATE_NAMES.filter((one) => !BESIDE.has(one)))
    if (!name.endsWith('.json')) mkdirSync(join(directory, name), { recursive: true })
    else if (!existsSync(join(directory, name))) writeFileSync(join(directory, name), '{"one":1}')
  for (const folder of foldersIn(directory)) writeFileSync(join(directory, folder, 'a.json'), '{"of":1}')
  writeFileSync(join(directory, 'agent.key'), 'not a record')
})

describe('a store', () => {
  it('that is new has the format of this release, and is left as it is', () => {
    expect(storeStanding(directory)).toEqual({ format: STORE_FORMAT })
    const before = contents(directory)
    expect(admitStore(directory, join(directory, 'lock'))).toBeUndefined()
    expect(contents(directory)).toEqual(before)
  })

  it('that is not there is nobody’s affair', () => {
    rmSync(directory, { recursive: true })
    expect(storeStanding(directory)).toBeUndefined()
    expect(admitStore(directory, join(directory, 'lock'))).toBeUndefined()
  })

  it('of an older release is brought forward under the lock, with a copy of how it was', () => {
    rmSync(join(directory, STORE))
    expect(storeStanding(directory)).toEqual({ format: 1 })
    const before = contents(directory)
    // Whoever only looks changes nothing.
    expect(admitStore(directory)).toBeUndefined()
    expect(contents(directory)).toEqual(before)
    const copy = join(directory, 'copies', 'format-1')
    expect(admitStore(directory, join(directory, 'lock'))).toEqual({ from: 1, to: STORE_FORMAT, copy })
    expect(storeStanding(directory)).toEqual({ format: STORE_FORMAT })
    const { 'agent.key': _key, ...records } = before
    expect(contents(copy)).toEqual(records)
    expect(new Store(directory).quarantines()).toEqual([QUARANTINE])
  })

  it('of a newer release is refused, and nothing is changed', () => {
    migrateStore(directory, NEWEST, NEXT)
    const before = contents(directory)
    const refusal = `AGENT_STORE_NEWER: the state in ${directory} is of a newer release: it has format ${NEWEST}, and this one reads formats up to ${STORE_FORMAT}`
    expect(said(() => admitStore(directory, join(directory, 'lock')))).toBe(refusal)
    expect(said(() => admitStore(directory))).toBe(refusal)
    expect(said(() => migrateStore(directory, 1))).toBe(refusal)
    expect(contents(directory)).toEqual(before)
  })

  it('on its way to a newer release is refused as one of it', () => {
    writeFileSync(join(directory, STORE), `{"becoming":${NEWEST},"format":${STORE_FORMAT},"product":"sluice-store"}\n`)
    expect(said(() => admitStore(directory))).toMatch(/^AGENT_STORE_NEWER: .* it has format 3, /)
  })

  it.each([
    '',
    '{}',
    '[]',
    '{"format":2}',
    '{"format":"2","product":"sluice-store"}',
    '{"format":0,"product":"sluice-store"}',
    '{"becoming":"x","format":2,"product":"sluice-store"}',
  ])('with the note %j is damaged', (text) => {
    writeFileSync(join(directory, STORE), text)
    expect(said(() => admitStore(directory))).toMatch(/^AGENT_STORE_DAMAGED: /)
  })
})

it('every record of a state directory is converted, or is said to have a format of its own', () => {
  const records: readonly string[] = [...STORE_FILES, ...STORE_FOLDERS]
  expect(STATE_NAMES.filter((name) => !BESIDE.has(name) && !records.includes(name))).toEqual([])
  expect(foldersIn(directory).filter((folder) => !records.includes(folder))).toEqual([])
  const seen = new Set<string>()
  const next = (name: string, bytes: Uint8Array) => {
    seen.add(name)
    return bytes
  }
  migrateStore(directory, NEWEST, [...STEPS, { say: 'looks', forward: next, back: next }])
  const { 'agent.key': _key, [STORE]: _store, ...rest } = contents(directory)
  expect([...seen].sort()).toEqual(Object.keys(rest).sort())
})

describe('back', () => {
  it('loses nothing that was decided meanwhile, and an older release reads it', () => {
    migrateStore(directory, NEWEST, NEXT)
    expect(said(() => new Store(directory).load())).toMatch(/^AGENT_STORE_FORMAT: /)
    const later = { ...QUARANTINE, commandId: 'later', workspace: 'spiffe://fleet.example/ws/later' }
    new Store(directory).saveQuarantines([QUARANTINE, later])
    expect(migrateStore(directory, STORE_FORMAT, NEXT)).toMatchObject({ from: NEWEST, to: STORE_FORMAT })
    expect(admitStore(directory)).toBeUndefined()
    expect(new Store(directory).quarantines()).toEqual([QUARANTINE, later])
    expect(new Store(directory).load().lastGeneration).toBe(0)
  })

  it('there and back gives the same octets', () => {
    const before = contents(directory)
    migrateStore(directory, NEWEST, NEXT)
    expect(contents(directory)['state.json']).not.toBe(before['state.json'])
    migrateStore(directory, STORE_FORMAT, NEXT)
    expect(contents(directory)).toEqual(before)
    migrateStore(directory, 1)
    migrateStore(directory, STORE_FORMAT)
    expect(contents(directory)).toEqual(before)
  })

  it('has no way to what nobody knows', () => {
    expect(said(() => migrateStore(directory, 0))).toMatch(
      /^AGENT_STORE_NO_WAY: there is no way from store format 2 to 0: /,
    )
    expect(said(() => migrateStore(directory, 9))).toMatch(/^AGENT_STORE_NO_WAY: .* knows formats 1 to 2$/)
  })
})

describe('a crash', () => {
  class Crash extends Error {}
  /** Nothing is synced: the crashes are of this process, and a disk would take minutes. */
  const FAST: StateFiles = { ...NODE_FILES, writeSynced: writeFileSync, syncDirectory: () => undefined }
  /** Files that die at the n-th operation that changes the disk, and at every one after it. */
  const dying = (after: number): StateFiles => {
    let left = after
    const counted =
      <A extends unknown[]>(operation: (...given: A) => void) =>
      (...given: A): void => {
        if (left-- <= 0) throw new Crash()
        operation(...given)
      }
    return {
      ...FAST,
      makeDirectory: counted(FAST.makeDirectory),
      writeSynced: counted(FAST.writeSynced),
      rename: counted(FAST.rename),
      syncDirectory: counted(FAST.syncDirectory),
      remove: counted(FAST.remove),
    }
  }

  it.each([
    ['forward', STORE_FORMAT, NEWEST],
    ['back', NEWEST, STORE_FORMAT],
  ] as const)('at any file operation on the way %s is made good by the next try', (_way, from, to) => {
    const snapshot = (): Record<string, string> =>
      Object.fromEntries(Object.entries(contents(directory)).filter(([name]) => !name.endsWith('.new')))
    const settle = (format: number) => {
      migrateStore(directory, format, NEXT, FAST)
      for (const name of readdirSync(directory)) if (name.endsWith('.new')) rmSync(join(directory, name))
    }
    settle(to)
    const wanted = snapshot()
    settle(from)
    const original = snapshot()
    let crashes = 0
    for (let after = 0; ; after++) {
      try {
        migrateStore(directory, to, NEXT, dying(after))
        break
      } catch (error) {
        if (!(error instanceof Crash)) throw error
        crashes++
      }
      // An older release sees a whole store of its own, or refuses.
      if (from === STORE_FORMAT && said(() => admitStore(directory)) === 'no fault') new Store(directory).load()
      migrateStore(directory, to, NEXT, FAST)
      settle(to)
      expect(snapshot()).toEqual(wanted)
      settle(from)
      expect(snapshot()).toEqual(original)
    }
    expect(crashes).toBeGreaterThan(20)
    expect(snapshot()).toEqual(wanted)
  })

  it('is undone by whoever asks for the format that it came from', () => {
    const before = contents(directory)
    for (let after = 0; after < 60; after++) {
      try {
        migrateStore(directory, NEWEST, NEXT, dying(after))
      } catch (error) {
        if (!(error instanceof Crash)) throw error
      }
      migrateStore(directory, STORE_FORMAT, NEXT, FAST)
      const now = Object.fromEntries(Object.entries(contents(directory)).filter(([name]) => !name.endsWith('.new')))
      expect(now).toEqual(before)
    }
  })
})
