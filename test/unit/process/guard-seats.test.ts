// The driver of bpf-lsm over maps that are tables of this process: whose number is whose while a commit is cut short between the names and the
// switch. That the kernel looks up just these keys is test/guest's to show.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { GuardDriver } from '../../../src/backends/bpf-lsm/driver.js'
import { FLAG, programKey, STRUCTS, tenantKey } from '../../../src/backends/bpf-lsm/layout.js'
import type { GuardProgram } from '../../../src/backends/bpf-lsm/program.js'
import { cgroupKey } from '../../../src/backends/tracing/cgroups.js'
import { kernelDevice } from '../../../src/backends/tracing/devices.js'
import type { Native } from '../../../src/backends/tracing/native.js'
import { digestOfText } from '../../../src/base/digest.js'

const CGROUPS: Readonly<Record<string, bigint>> = { a: 101n, b: 102n, c: 103n }
vi.mock('../../../src/backends/tracing/cgroups.js', async (original) => ({
  ...(await original<object>()),
  cgroupId: (path: string) => CGROUPS[path],
}))

let folder: string
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'sluice-seats-')))
  writeFileSync(join(folder, 'guard.bpf.o'), 'a build')
  for (const name of ['cat', 'ls']) writeFileSync(join(folder, name), name)
  vi.stubEnv('SLUICE_NATIVE_DIR', folder)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true, force: true })
})

/** Maps by name, rows by key in hex. Links and programs are files. */
class Tables {
  readonly rows = new Map<string, Map<string, Buffer>>()
  /** What a switch meets. */
  broken = false
  private readonly names: string[] = []

  bpffs = (): string => join(folder, 'bpf')
  bootNs = (): bigint => 1_000n
  refused = (what: string): Error => new Error(what)
  call(what: string, name: string, ...words: never[]): number {
    if (this.broken && what === 'switching') throw new Error('no')
    const answer = this.ask(name, ...words)
    if (answer < 0) throw new Error(what)
    return answer
  }
  ask(name: string, ...words: never[]): number {
    const [one, key, value] = words as unknown as [string, Buffer, Buffer]
    const table = this.table(this.names[Number(one)] ?? '')
    if (name === 'load') writeFileSync(join(String(value), 'guard_exec'), '')
    if (name === 'attach') writeFileSync(String(key), '')
    if (name === 'get') return this.names.push(basename(one)) - 1
    if (name === 'write') table.set(key.toString('hex'), Buffer.from(value))
    if (name === 'remove') return table.delete(key.toString('hex')) ? 0 : -2
    if (name === 'read') {
      const row = table.get(key.toString('hex'))
      // An array has every row.
      if (!row) return this.names[Number(one)] === 'guard_flags' ? -2 : 0
      row.copy(value)
    }
    if (name !== 'dump') return 0
    for (const [i, row] of [...table.keys()].entries()) key.write(row, (i * row.length) / 2, 'hex')
    return table.size
  }
  table(name: string): Map<string, Buffer> {
    const table = this.rows.get(name) ?? new Map<string, Buffer>()
    this.rows.set(name, table)
    return table
  }
}

/** As the kernel asks: by the live side, and by the number that the cgroup has there. */
function runs(tables: Tables, cgroup: bigint, name: string): boolean {
  const state = tables.table('guard_state').get('00000000')
  const side = state?.readUInt32LE(STRUCTS.guard_state.fields.side) ?? 0
  const number = tables.table('guard_tenants').get(tenantKey(side, cgroup).toString('hex'))?.readUInt32LE() ?? 0
  const { dev, ino, size, ctimeNs } = statSync(join(folder, name), { bigint: true })
  const identity = { device: kernelDevice(dev), inode: ino, size, changedNs: ctimeNs }
  return tables.table('guard_programs').has(programKey(side, number, identity).toString('hex'))
}
const barred = (tables: Tables, cgroup: bigint): number =>
  tables.table('guard_flags').get(cgroupKey(cgroup).toString('hex'))?.readUInt32LE() ?? 0

const idOf = (name: string): string => `spiffe://example.org/${name}`
/** What each of these workspaces may run. */
const program = (generation: number, lists: Readonly<Record<string, string>>): GuardProgram => ({
  ...{ generation, planDigest: digestOfText(`plan ${generation}`), deadlineMs: Date.now() + 3_600_000 },
  workspaces: Object.entries(lists).map(([name, file]) => ({
    ...{ workspace: idOf(name), cgroup: name, allow: [{ path: join(folder, file) }], volumes: [] },
    onExpiry: 'hold' as const,
  })),
})
const open = (tables: Tables): GuardDriver => {
  const driver = new GuardDriver({ attachInterfaces: [], stateDirectory: join(folder, 'state') })
  Object.assign(driver, { native: tables as unknown as Native })
  return driver
}
const live = async (driver: GuardDriver, wanted: GuardProgram): Promise<void> =>
  driver.commit(await driver.stage(wanted))
/** The names are on record, and the kernel does not switch. */
const cutShort = async (driver: GuardDriver, tables: Tables, wanted: GuardProgram): Promise<void> => {
  tables.broken = true
  await expect(live(driver, wanted)).rejects.toThrow('no')
  tables.broken = false
}

describe('a commit that was cut short before the switch', () => {
  it.each(['by a kill', 'by the kernel'])('leaves each number with whom the kernel means by it: %s', async (how) => {
    const tables = new Tables()
    let driver = open(tables)
    await live(driver, program(1, { b: 'cat' }))
    await cutShort(driver, tables, program(2, { a: 'ls', b: 'cat' }))
    if (how === 'by a kill') driver = open(tables)
    const seen = await driver.observe()
    expect(seen.live).toMatchObject({ generation: 1, workspaces: [idOf('b')] })
    expect(seen.drift).toEqual([])
    expect([runs(tables, 102n, 'cat'), runs(tables, 102n, 'ls')]).toEqual([true, false])
    await live(driver, program(2, { a: 'ls', b: 'cat' }))
    expect((await driver.observe()).live?.workspaces).toEqual([idOf('a'), idOf('b')])
    const may = [101n, 102n].map((cgroup) => [runs(tables, cgroup, 'cat'), runs(tables, cgroup, 'ls')])
    expect(may).toEqual([
      [false, true],
      [true, false],
    ])
  })

  it('still takes quarantines of a workspace that it was to drop, and of one that it was to bring', async () => {
    const tables = new Tables()
    await live(open(tables), program(1, { a: 'cat', b: 'cat' }))
    await cutShort(open(tables), tables, program(2, { b: 'cat', c: 'cat' }))
    const driver = open(tables)
    for (const name of ['a', 'c']) await driver.flag(idOf(name), 'quarantined', true)
    expect([101n, 102n, 103n].map((cgroup) => barred(tables, cgroup))).toEqual([FLAG.quarantined, 0, FLAG.quarantined])
    expect((await driver.observe()).live?.quarantined).toEqual([idOf('a')])
    await driver.flag(idOf('a'), 'quarantined', false)
    expect(barred(tables, 101n)).toBe(0)
  })

  it('leaves a cgroup to whom it is judged as when the next plan seats somebody else in it', async () => {
    const tables = new Tables()
    await live(open(tables), program(1, { a: 'cat' }))
    const { workspaces, ...next } = program(2, { a: 'cat' })
    const moved = workspaces.map((one) => ({ ...one, workspace: idOf('other') }))
    await cutShort(open(tables), tables, { ...next, workspaces: moved })
    const driver = open(tables)
    await driver.flag(idOf('a'), 'quarantined', true)
    await driver.flag(idOf('other'), 'quarantined', false)
    expect(barred(tables, 101n)).toBe(FLAG.quarantined)
  })
})

describe('names', () => {
  it('of a plan that is over take no flags', async () => {
    const tables = new Tables()
    const driver = open(tables)
    await live(driver, program(1, { a: 'cat', b: 'cat' }))
    await live(driver, program(2, { b: 'cat' }))
    await driver.flag(idOf('a'), 'quarantined', true)
    expect(barred(tables, 101n)).toBe(0)
    // It waits where the workspace is about to appear.
    const staged = await driver.stage(program(3, { a: 'cat', c: 'cat' }))
    expect(barred(tables, 101n)).toBe(FLAG.quarantined)
    await driver.flag(idOf('c'), 'quarantined', true)
    expect(barred(tables, 103n)).toBe(FLAG.quarantined)
    await driver.commit(staged)
    expect((await driver.observe()).live?.quarantined).toEqual([idOf('a'), idOf('c')])
  })

  it('that are not those of what is judged are a finding, and change nothing', async () => {
    const tables = new Tables()
    await live(open(tables), program(1, { b: 'cat' }))
    const before = [...tables.table('guard_programs').keys()]
    rmSync(join(folder, 'state'), { recursive: true })
    mkdirSync(join(folder, 'state'))
    // As an earlier release wrote them: without the turn.
    const seat = { ...program(1, { b: 'ls' }).workspaces[0], cgroupId: '102', number: 1 }
    const file = { seats: [seat], hung: { places: {} }, flags: {} }
    writeFileSync(join(folder, 'state', 'guard.json'), JSON.stringify(file))
    const driver = open(tables)
    const seen = await driver.observe()
    expect(seen.drift).toEqual(['the names of the plan that is judged by are not on record'])
    expect([...tables.table('guard_programs').keys()]).toEqual(before)
    await driver.flag(idOf('b'), 'quarantined', true)
    expect(barred(tables, 102n)).toBe(FLAG.quarantined)
  })
})

describe('flags', () => {
  it('have rows for whom they are set, and for nobody who left', async () => {
    const tables = new Tables()
    const driver = open(tables)
    const flagged = (): string[] => [...tables.table('guard_flags').keys()].sort()
    const rowOf = (cgroup: bigint): string => cgroupKey(cgroup).toString('hex')
    await live(driver, program(1, { a: 'cat', b: 'cat' }))
    for (const name of ['a', 'b']) await driver.flag(idOf(name), 'quarantined', true)
    await driver.flag(idOf('b'), 'suspended', true)
    await driver.flag(idOf('a'), 'quarantined', false)
    await driver.flag(idOf('a'), 'suspended', false)
    expect(flagged()).toEqual([rowOf(102n)])
    await driver.flag(idOf('a'), 'quarantined', true)
    // Who leaves keeps it as long as a side judges; who stays keeps it.
    for (const generation of [2, 3]) await live(driver, program(generation, { b: 'cat' }))
    expect(flagged()).toEqual([rowOf(101n), rowOf(102n)].sort())
    await live(driver, program(4, { b: 'cat' }))
    expect(flagged()).toEqual([rowOf(102n)])
    expect((await driver.observe()).live).toMatchObject({ quarantined: [idOf('b')], suspended: [idOf('b')] })
    // It is on record, and back with the workspace.
    await live(driver, program(5, { a: 'cat', b: 'cat' }))
    expect(barred(tables, 101n)).toBe(FLAG.quarantined)
  })

  it('close what a full disk cannot write down, and open nothing that it cannot', async () => {
    const tables = new Tables()
    const driver = open(tables)
    await live(driver, program(1, { a: 'cat', b: 'cat' }))
    await driver.flag(idOf('b'), 'quarantined', true)
    // Where the new file would be written something else is in the way, for root too.
    mkdirSync(join(folder, 'state', 'guard.json.new'))
    const refused = (name: string, on: boolean) =>
      expect(Promise.resolve().then(() => driver.flag(idOf(name), 'quarantined', on))).rejects.toMatchObject({
        ...{ code: 'LSM_STATE', reaction: 'retry' },
        cause: expect.objectContaining({ code: 'EISDIR' }),
      })
    await refused('a', true)
    await refused('b', false)
    expect([101n, 102n].map((cgroup) => barred(tables, cgroup))).toEqual([FLAG.quarantined, FLAG.quarantined])
    expect((await driver.observe()).live?.quarantined).toEqual([idOf('a'), idOf('b')])
    // Another flag that comes and goes when there is room again takes nothing with it.
    rmSync(join(folder, 'state', 'guard.json.new'), { recursive: true })
    for (const on of [true, false]) await driver.flag(idOf('a'), 'suspended', on)
    expect(barred(tables, 101n)).toBe(FLAG.quarantined)
  })
})
