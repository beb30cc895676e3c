// Records of workspaces: their one byte form, what is refused, profiles, and the real files under them.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readProfile } from '../../../src/companion/lifecycle/profile.js'
import {
  decodeRecord,
  emptyRecord,
  encodeRecord,
  type WorkspaceRecord,
} from '../../../src/companion/lifecycle/record.js'
import { RecordStore, recordFiles } from '../../../src/companion/lifecycle/store.js'
import { profileOf, WS } from '../../support/companion/world.js'

const record: WorkspaceRecord = { ...emptyRecord(WS), profile: profileOf(), state: 'stopped', incarnation: 3, lease: 9 }
const octets = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('a record', () => {
  it('comes back as it was written', () => {
    const request = { requestId: 'r', digest: 'sha256:0', change: 'kill', by: 'user:t', reason: 'why' } as const
    const owing: WorkspaceRecord = { ...record, owed: [{ step: 'fence', sinceMs: 12, request }] }
    for (const one of [record, owing]) expect(decodeRecord(octets(encodeRecord(one)))).toEqual(one)
  })

  it.each([
    ['half of it', encodeRecord(record).slice(0, 200), /^.+$/],
    ['a changed octet', encodeRecord(record).replace('"lease":9', '"lease":8'), /^its digest is not that of its body$/],
    [
      'another format',
      encodeRecord(record).replace('workspace/1', 'workspace/2'),
      /^its format is not sluice-workspace\/1$/,
    ],
    [
      'a word of a later release',
      encodeRecord({ ...record, state: 'asleep' as never }),
      /^it has a word that this release/,
    ],
    [
      'a step that is owed to nobody',
      encodeRecord({ ...record, owed: ['fence'] as never }),
      /^it has a word that this/,
    ],
    [
      'a profile that nobody may have',
      encodeRecord({ ...record, profile: profileOf(WS, { cpus: 0 }) }),
      /cpus must be/,
    ],
  ])('%s is refused', (_what, text, why) => {
    expect(decodeRecord(octets(text))).toMatch(why)
  })
})

describe('a profile', () => {
  it.each([
    ['workspace', 'ws-one', 'workspace must be the SPIFFE URI of a workspace'],
    ['user', '', 'user must be the name of one user'],
    ['cpus', 1.5, 'cpus must be a whole number from 1 to 256'],
    ['memoryMiB', 32, 'memoryMiB must be MiB, from 64 to 4194304'],
    ['network', 'a b', 'network must be the name of a network of companion.yaml'],
    ['device', 'a b', 'device must be a name, or nothing'],
    ['policy', 'none', 'policy must be wait-initial or baseline'],
    ['volumes', ['a', 'a'], 'volumes must be at most 16 different names of volumes'],
  ])('with a wrong %s is refused', (name, value, why) => {
    expect(() => readProfile({ ...profileOf(), [name]: value })).toThrow(`this profile cannot be given: ${why}`)
  })

  it('keeps nothing that it does not know', () => {
    expect(readProfile({ ...profileOf(), extra: 1 })).toEqual(profileOf())
    // A request that was made before there were devices stands for the same one.
    expect(Object.keys(readProfile({ ...profileOf(), device: '' }))).not.toContain('device')
    expect(readProfile({ ...profileOf(), device: 'd-1' })).toEqual(profileOf(WS, { device: 'd-1' }))
  })
})

describe('the files', () => {
  let directory: string
  beforeEach(() => {
    directory = join(mkdtempSync(join(tmpdir(), 'sluice-records-')), 'workspaces')
  })
  afterEach(() => {
    rmSync(join(directory, '..'), { recursive: true, force: true })
  })

  it('hold what was put, for their owner alone, with nothing left beside them', async () => {
    const store = await RecordStore.open(await recordFiles(directory))
    await Promise.all([store.put({ ...record, lease: 10 }), store.put({ ...record, lease: 11 })])
    const [name = '', ...more] = readdirSync(directory)
    expect(more).toEqual([])
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600)
    expect((await RecordStore.open(await recordFiles(directory))).get(WS)?.lease).toBe(11)
  })

  it('that a crash left half written are passed over, and damaged ones held apart', async () => {
    const store = await RecordStore.open(await recordFiles(directory))
    await store.put(record)
    const [name = ''] = readdirSync(directory)
    writeFileSync(join(directory, `${name}.new`), 'half')
    await expect(RecordStore.open(await recordFiles(directory))).resolves.toBeDefined()
    const text = readFileSync(join(directory, name), 'utf8')
    writeFileSync(join(directory, name), text.slice(0, -20))
    const damaged = await RecordStore.open(await recordFiles(directory))
    expect([damaged.all(), [...damaged.damaged.keys()]]).toEqual([[], [name]])
    expect(() => {
      damaged.sound(WS)
    }).toThrow(name)
    writeFileSync(join(directory, 'a.json'), text)
    rmSync(join(directory, name))
    const misnamed = await RecordStore.open(await recordFiles(directory))
    expect([...misnamed.damaged]).toEqual([['a.json', `it is of ${WS}`]])
  })

  it('of workspaces that were deleted go, the oldest first', { timeout: 600_000 }, async () => {
    const store = await RecordStore.open(await recordFiles(directory))
    for (let i = 0; i < 260; i++) await store.put(emptyRecord(`${WS}-${i}`))
    expect(readdirSync(directory)).toHaveLength(256)
    expect(store.get(`${WS}-3`)).toBeUndefined()
    expect(store.get(`${WS}-4`)).toBeDefined()
    expect(existsSync(directory)).toBe(true)
  })
})
