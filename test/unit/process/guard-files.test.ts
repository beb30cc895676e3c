// The files half of bpf-lsm without a kernel that has it: the words and keys that both sides share, trees of rules, where a volume lies,
// what becomes of refusals, and which workspaces it is given.

import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { guardCapabilities } from '../../../src/backends/bpf-lsm/capabilities.js'
import { fileDenialsOf } from '../../../src/backends/bpf-lsm/events.js'
import type { Guard } from '../../../src/backends/bpf-lsm/guard.js'
import { nameKey, rootKey, STRUCTS } from '../../../src/backends/bpf-lsm/layout.js'
import { lower } from '../../../src/backends/bpf-lsm/lower.js'
import { foldsCase, meet, mountsOf, placeOf, samePlace, type VolumePlace } from '../../../src/backends/bpf-lsm/place.js'
import { render } from '../../../src/backends/bpf-lsm/render.js'
import { treeOf } from '../../../src/backends/bpf-lsm/tree.js'
import { seenVolumes, strayed, Volumes } from '../../../src/backends/bpf-lsm/volumes.js'
import { digestOfText } from '../../../src/base/digest.js'
import { FILE_DENIALS } from '../../../src/plan/evaluate-file.js'
import { FILE_OPERATION_NAMES } from '../../../src/plan/file-operations.js'
import type { FileAccess, FileRule } from '../../../src/plan/model.js'
import { placeStorage } from '../../../src/plan/storage.js'
import { repositoryPath } from '../../support/lab/repository.js'
import { ENTRY, planOf, SOURCE } from '../../support/plans.js'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})
const scratch = (): string => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sluice-files-')))
  folders.push(folder)
  return folder
}
const CLAUSE = digestOfText('clause')
const rule = (path: string, access: FileAccess): FileRule => ({ path, access, clauses: [digestOfText(path + access)] })

describe('what both sides share', () => {
  const members = (name: string): string[] => {
    const text = readFileSync(repositoryPath('src/native/bpf/guard_words.h'), 'utf8')
    const body = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(text)?.[1] ?? ''
    return [...body.matchAll(/FILE_(\w+)/g)].map(([, word = '']) => word.toLowerCase().replaceAll('_', '-'))
  }
  it('is the list of operations, and that of reasons, in the same order', () => {
    expect(members('file_op')).toEqual([...FILE_OPERATION_NAMES.map((name) => `op-${name}`), 'ops'])
    expect(members('file_verdict')).toEqual(['allow', ...FILE_DENIALS, 'verdicts'])
  })
  it('writes keys where they belong', () => {
    expect(rootKey(1, 7, 0x800001, 258n).toString('hex')).toBe(
      '0201000000000000' + '01008000' + '01000000' + '07000000' + '00000000',
    )
    expect(nameKey(1, 9, 'out').toString('hex')).toBe(`01000000${'09000000'}${'6f7574'.padEnd(256, '0')}`)
  })
})

describe('a tree of rules', () => {
  it('has a node for each path that rules speak of or that leads there', () => {
    const rules = [
      rule('/', 'read-only'),
      rule('/a/b', 'read-write'),
      rule('/a/b', 'deny'),
      rule('/a/c', 'read-write'),
      rule('/z/k', 'deny'),
    ]
    const { root, below, clauses, tooLong } = treeOf(rules, 5)
    expect(root).toEqual({ number: 5, rights: 2, leads: true })
    expect(below.map(({ above, number, name, rights, leads }) => [above, number, name, rights, leads])).toEqual([
      [5, 6, 'a', 0, true],
      [6, 7, 'b', 5, false],
      [6, 8, 'c', 4, true],
      [5, 9, 'z', 0, false],
      [9, 10, 'k', 1, false],
    ])
    expect(clauses).toEqual({
      5: { 'read-only': digestOfText('/read-only') },
      7: { 'read-write': digestOfText('/a/bread-write'), deny: digestOfText('/a/bdeny') },
      8: { 'read-write': digestOfText('/a/cread-write') },
      10: { deny: digestOfText('/z/kdeny') },
    })
    expect(tooLong).toEqual([])
  })
  it('names what is too long in octets, and is one node where there are no rules', () => {
    const long = 'é'.repeat(64)
    expect(treeOf([rule(`/${long}`, 'deny'), rule(`/${'n'.repeat(127)}`, 'deny')], 1).tooLong).toEqual([long])
    expect(treeOf([], 1)).toMatchObject({ root: { number: 1, rights: 0, leads: false }, below: [] })
  })
})

describe('where a volume lies', () => {
  it('is its directory by number, and the entry that leads there', () => {
    const folder = scratch()
    mkdirSync(join(folder, 'work'))
    const place = placeOf(join(folder, 'work'))
    if ('why' in place) throw new Error(place.why)
    expect(place).toMatchObject({
      inode: String(statSync(join(folder, 'work'), { bigint: true }).ino),
      above: { inode: String(statSync(folder, { bigint: true }).ino), name: 'work' },
    })
    expect(samePlace(place, { ...place, mountId: 0 })).toBe(true)
    expect(samePlace(place, { ...place, inode: '0' })).toBe(false)
  })
  it('is nowhere through a link, at a file, or where nothing is', () => {
    const folder = scratch()
    mkdirSync(join(folder, 'work'))
    symlinkSync('work', join(folder, 'link'))
    writeFileSync(join(folder, 'file'), '')
    expect(placeOf(join(folder, 'link'))).toEqual({ why: 'a link leads there; name the directory itself' })
    expect(placeOf(join(folder, 'file'))).toEqual({ why: 'it is no directory' })
    expect(placeOf(join(folder, 'none'))).toEqual({ why: 'ENOENT' })
  })
  it('is on no file system that folds case', () => {
    expect([0x4d44, 0xff534d42, 0xff534d42 - 2 ** 32].map(foldsCase)).toEqual([true, true, true])
    expect([0xef53, 0x01021994].map(foldsCase)).toEqual([false, false])
  })
  it('is not where something is mounted inside it', (context) => {
    const inner = mountsOf(readFileSync('/proc/self/mountinfo', 'utf8')).find(({ at }) => at.lastIndexOf('/') > 0)
    if (inner === undefined) return context.skip('needs a mount below a directory that is not the root')
    expect(placeOf(dirname(inner.at))).toEqual({ why: expect.stringMatching(/is mounted inside it|several trees/) })
  })
  it('reads mounts with blanks in their names', () => {
    const line = '36 35 98:1048575 /mnt1 /mnt/a\\040b rw,noatime master:1 - ext3 /dev/root rw'
    expect(mountsOf(`${line}\n`)).toEqual([
      { id: 36, device: ((98 << 20) | 1048575) >>> 0, at: '/mnt/a b', root: '/mnt1' },
    ])
  })
  it('meets another, whatever mount it is named by', () => {
    const place = (within: string, inode: string, above?: string): VolumePlace => ({
      ...{ device: 1, mountId: 1, within, inode },
      ...(above === undefined ? {} : { above: { inode: above, name: 'v' } }),
    })
    const work = place('/srv/a', '5', '2')
    const met = [place('/srv/a', '5'), place('/srv/a/deep/er', '9', '8'), place('/', '2'), place('/other', '7', '5')]
    expect(met.map((other) => [meet(work, other), meet(other, work)])).toEqual(met.map(() => [true, true]))
    const apart = [place('/srv/ab', '6', '2'), { ...work, device: 2 }]
    expect(apart.map((other) => meet(work, other))).toEqual([false, false])
    const written: number[] = []
    const guard = { putRoot: (...row: number[]) => written.push(row.length), putName: () => undefined }
    const source = scratch()
    const volumes = ['work', 'again'].map((name) => ({ name, source, rules: [] }))
    const seat = { workspace: 'spiffe://example.org/a', cgroup: 'a', allow: [], onExpiry: 'hold' as const, volumes }
    expect(() => new Volumes(guard as unknown as Guard, 0).hang(seat, 1)).toThrow(/meets the volume work/)
    expect(written).toHaveLength(3)
    const others = new Volumes(guard as unknown as Guard, 0)
    for (const tenant of [1, 2]) others.hang({ ...seat, volumes: volumes.slice(0, 1) }, tenant)
  })
  it('says when another directory lies there', () => {
    const folder = scratch()
    const source = join(folder, 'work')
    mkdirSync(source)
    const volumes = [{ name: 'work', source, rules: [] }]
    const seat = { workspace: 'spiffe://example.org/a', cgroup: 'a', allow: [], onExpiry: 'hold' as const, volumes }
    const place = placeOf(source)
    if ('why' in place) throw new Error(place.why)
    const places = { 'spiffe://example.org/a work': place }
    expect(strayed(seat, places)).toEqual([])
    expect(seenVolumes(seat, places, false)).toMatchObject([{ name: 'work', state: 'serving', mount: source }])
    expect(seenVolumes(seat, places, true)).toMatchObject([{ state: 'expired' }])
    mkdirSync(join(folder, 'other'))
    const other = { 'spiffe://example.org/a work': { ...place, inode: '1' } }
    expect(strayed(seat, other)).toEqual([
      `spiffe://example.org/a: the volume work is not the directory ${source} that is judged`,
    ])
    expect(seenVolumes(seat, other, false)).toMatchObject([{ state: 'gone' }])
    rmSync(source, { recursive: true })
    expect(strayed(seat, places)).toEqual([`spiffe://example.org/a: the volume work at ${source}: ENOENT`])
  })
})

describe('a refusal', () => {
  const { size, fields } = STRUCTS.guard_file_event
  const event = (more: Partial<Record<'cgroup' | 'verdict' | 'node' | 'turn' | 'pid' | 'at', number>>): Buffer => {
    const octets = Buffer.alloc(size)
    octets.writeBigUInt64LE(BigInt(more.at ?? 5_000_000_000), fields.at_ns)
    octets.writeBigUInt64LE(BigInt(more.cgroup ?? 70), fields.cgroup)
    octets.writeUInt32LE(more.pid ?? 9, fields.pid)
    octets.writeUInt32LE(1_000, fields.uid)
    octets.writeUInt32LE(1, fields.volume)
    octets.writeUInt32LE(FILE_OPERATION_NAMES.indexOf('open-write'), fields.operation)
    octets.writeUInt32LE(more.verdict ?? FILE_DENIALS.indexOf('read-only') + 1, fields.verdict)
    octets.writeUInt32LE(more.node ?? 3, fields.node)
    octets.writeUInt32LE(1, fields.right)
    octets.writeUInt32LE(more.turn ?? 7, fields.turn)
    octets.write('/project/main.c', fields.path)
    return octets
  }
  const OLDER = digestOfText('older')
  const volumes = (...names: string[]) => ({ 'spiffe://example.org/a': names })
  const judged = [
    { turn: 7, generation: 4, clauses: { 3: { 'read-only': CLAUSE } }, volumes: volumes('work') },
    { turn: 6, generation: 3, clauses: { 3: { 'read-only': OLDER } }, volumes: volumes('home') },
  ]
  const read = (...events: readonly Buffer[]) =>
    fileDenialsOf(events, new Map([[70n, 'spiffe://example.org/a']]), judged, { ms: 1_000_000, ns: 7_000_000_000n })

  it('names its volume, its path and the clause, once for those that say the same', () => {
    const { denials, unnamed } = read(event({}), event({ at: 6_000_000_000 }), event({ cgroup: 71 }))
    expect(unnamed).toBe(1)
    expect(denials).toEqual([
      {
        ...{ workspace: 'spiffe://example.org/a', volume: 'work', operation: 'open-write', reason: 'read-only' },
        ...{ path: '/project/main.c', clause: CLAUSE, generation: 4, uid: 1_000, pid: 9, count: 2, atMs: 998_000 },
      },
    ])
  })
  it('is told apart by its process, up to a flood', () => {
    const pids = (many: number) => Array.from({ length: many }, (_, i) => event({ pid: 100 + i }))
    expect(read(...pids(3)).denials.map(({ pid, count }) => [pid, count])).toEqual([
      [100, 1],
      [101, 1],
      [102, 1],
    ])
    const { denials } = read(...pids(100), event({ pid: 100 }))
    expect(denials).toHaveLength(65)
    expect([denials[0]?.count, denials.at(-1)?.count]).toEqual([2, 36])
  })
  it('is of the plan that judged, also when it is told of late', () => {
    const { denials } = read(event({ turn: 6 }), event({ turn: 5 }), event({ node: 0 }))
    expect(denials.map(({ generation, volume, clause }) => [generation, volume, clause])).toEqual([
      [3, 'home', OLDER],
      [0, '', undefined],
      [4, 'work', undefined],
    ])
  })
  it('of an unknown kind is nobody’s', () => {
    expect(read(event({ verdict: 99 }))).toEqual({ denials: [], unnamed: 1 })
  })
})

describe('what it is given', () => {
  const probes = ['library', 'lsm', 'btf', 'cgroup', 'files'].map((feature) => ({
    ...{ feature, answer: 'yes' as const, why: 'is there' },
  }))
  const offer = guardCapabilities({ backend: 'bpf-lsm', trustDomain: 'host', probes })
  const entry = (kind: 'cgroup' | 'veth') => ({ ...ENTRY, slot: { ...ENTRY.slot, kind } })
  it('is workspaces in cgroups, where the kernel judges files at all', () => {
    const placed = (kind: 'cgroup' | 'veth', capabilities = offer) =>
      placeStorage(entry(kind), undefined, [capabilities], ['bpf-lsm'])?.backend
    expect([placed('cgroup'), placed('veth')]).toEqual(['bpf-lsm', undefined])
    const old = guardCapabilities({ backend: 'bpf-lsm', trustDomain: 'host', probes: probes.slice(0, 4) })
    expect([old.usable, placed('cgroup', old)]).toEqual([true, undefined])
  })
  it('is lowered with its rules, and printed', () => {
    const [workspace] = planOf([]).workspaces
    if (!workspace) throw new Error('no workspace')
    const rules = [rule('/project', 'read-only')]
    const program = lower({
      ...{ generation: 3, planDigest: CLAUSE, source: SOURCE },
      workspaces: [
        {
          ...workspace,
          slot: { ...workspace.slot, kind: 'cgroup', interface: 'ws0' },
          storage: {
            ...{ backend: 'bpf-lsm', domain: 'host' },
            volumes: [{ name: 'work', source: '/srv/work', mount: '/run/work', rules }],
          },
        },
      ],
    })
    expect(program.workspaces).toEqual([
      {
        ...{ workspace: workspace.workspace, cgroup: 'ws0', onExpiry: 'suspend', allow: undefined },
        volumes: [{ name: 'work', source: '/srv/work', rules }],
      },
    ])
    expect(render(program)).toContain('  volume work at /srv/work\n    read-only work:/project\n')
  })
})
