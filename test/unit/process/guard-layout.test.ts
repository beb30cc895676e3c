// The maps of the guard of executables and of the sensor of programs: the offsets that the agent writes to are those of the headers, a device has the kernel's number, and
// what cannot be known for certain lets nothing run.

import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { guardCapabilities } from '../../../src/backends/bpf-lsm/capabilities.js'
import { activitiesOf } from '../../../src/backends/bpf-lsm/events.js'
import { identityOf } from '../../../src/backends/bpf-lsm/files.js'
import { programKey, STRUCTS, tenantKey } from '../../../src/backends/bpf-lsm/layout.js'
import { lower } from '../../../src/backends/bpf-lsm/lower.js'
import { render } from '../../../src/backends/bpf-lsm/render.js'
import { STRUCTS as SENSOR_STRUCTS } from '../../../src/backends/exec-sensor/layout.js'
import { kernelDevice } from '../../../src/backends/tracing/devices.js'
import { digestOfText } from '../../../src/base/digest.js'
import { repositoryPath } from '../../support/lab/repository.js'
import { planOf, SOURCE } from '../../support/plans.js'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})
const scratch = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-guard-'))
  folders.push(folder)
  return folder
}

describe('layout', () => {
  it.each([
    ['guard.h', STRUCTS],
    ['sensor.h', SENSOR_STRUCTS],
  ])('is that of %s', (header, structs) => {
    const folder = scratch()
    const rows = Object.entries(structs).flatMap(([name, { size, fields }]) => [
      `_Static_assert(sizeof(struct ${name}) == ${size}, "${name}");`,
      ...Object.entries(fields).map(
        ([field, at]) => `_Static_assert(offsetof(struct ${name}, ${field}) == ${at}, "${name}.${field}");`,
      ),
    ])
    const source = join(folder, 'layout.c')
    const compile = (lines: readonly string[]): string => {
      const includes = ['#include <stddef.h>', '#include <linux/types.h>', `#include "${header}"`]
      writeFileSync(source, [...includes, ...lines, ''].join('\n'))
      const words = ['-fsyntax-only', `-I${repositoryPath('src/native/bpf')}`, source]
      return execFileSync('cc', words, { encoding: 'utf8', stdio: 'pipe' })
    }
    expect(compile(rows)).toBe('')
    const [first = ''] = Object.keys(structs)
    expect(() => compile([`_Static_assert(sizeof(struct ${first}) == 1, "no");`])).toThrow()
  })
  it('writes keys where they belong', () => {
    const key = programKey(1, 7, { device: 0x800001, inode: 5n, size: 9n, changedNs: 3_000_000_004n })
    expect(key.toString('hex')).toBe(
      '0500000000000000' + '0900000000000000' + '0300000000000000' + '04000000' + '01008000' + '01000000' + '07000000',
    )
    expect(tenantKey(1, 258n).toString('hex')).toBe('0201000000000000' + '01000000' + '00000000')
  })
  it('numbers devices as the kernel does: twelve bits, and twenty', () => {
    const wide = (major: bigint, minor: bigint): bigint =>
      ((major & 0xfffn) << 8n) | (minor & 0xffn) | ((minor & ~0xffn) << 12n) | ((major & ~0xfffn) << 32n)
    for (const [major, minor] of [
      [8n, 1n],
      [0n, 27n],
      [259n, 1_048_575n],
      [4_095n, 256n],
    ] as const)
      expect(kernelDevice(wide(major, minor))).toBe(Number((major << 20n) | minor))
  })
})

describe('what a path stands for', () => {
  const LATER = Date.now() + 60_000
  it('is a file, known by number, size and change', () => {
    const file = join(scratch(), 'a')
    writeFileSync(file, 'abc')
    const { ino, ctimeNs } = statSync(file, { bigint: true })
    expect(identityOf({ path: file }, LATER)).toMatchObject({ inode: ino, size: 3n, changedNs: ctimeNs })
    expect(identityOf({ path: file, digest: digestOfText('abc') }, LATER)).toBeDefined()
    expect(identityOf({ path: file, digest: digestOfText('abd') }, LATER)).toBeUndefined()
    // The tick of the clock has not passed: it may change again and look the same.
    expect(identityOf({ path: file, digest: digestOfText('abc') }, Number(ctimeNs / 1_000_000n))).toBeUndefined()
  })
  it('is not read again where only who rules this node may write, and always elsewhere', () => {
    const file = join(scratch(), 'a')
    writeFileSync(file, 'abc', { mode: 0o644 })
    const known = identityOf({ path: file }, LATER)
    // The content that was looked for is another: who reads it finds out.
    const other = { path: file, digest: digestOfText('abd') }
    expect(identityOf(other, LATER, known)).toEqual(known)
    expect(identityOf(other, LATER)).toBeUndefined()
    chmodSync(file, 0o666)
    expect(identityOf(other, LATER, identityOf({ path: file }, LATER))).toBeUndefined()
  })
  it('is nothing where there is more content than is looked at, however long it would take', () => {
    const file = join(scratch(), 'a')
    writeFileSync(file, 'abc')
    truncateSync(file, 2 ** 42)
    expect(identityOf({ path: file, digest: digestOfText('abc') }, LATER)).toBeUndefined()
    // Without a digest nobody asks what is in there.
    expect(identityOf({ path: file }, LATER)).toBeDefined()
  })
  it('is another after it was changed, whatever its times are put back to', () => {
    const file = join(scratch(), 'a')
    writeFileSync(file, 'abc')
    const before = statSync(file)
    const first = identityOf({ path: file }, LATER)
    appendFileSync(file, 'd')
    utimesSync(file, before.atime, before.mtime)
    expect(identityOf({ path: file }, LATER)).not.toEqual(first)
  })
  it('is nothing through a link, for a folder, or where nothing is', () => {
    const folder = scratch()
    writeFileSync(join(folder, 'a'), '')
    symlinkSync('a', join(folder, 'link'))
    linkSync(join(folder, 'a'), join(folder, 'hard'))
    expect(identityOf({ path: join(folder, 'link') }, LATER)).toBeUndefined()
    expect(identityOf({ path: folder }, LATER)).toBeUndefined()
    expect(identityOf({ path: join(folder, 'none') }, LATER)).toBeUndefined()
    expect(identityOf({ path: join(folder, 'hard') }, LATER)).toEqual(identityOf({ path: join(folder, 'a') }, LATER))
  })
})

describe('what a refusal says', () => {
  it('is of the workspace of its cgroup, at the time it was, and what nobody owns is counted', () => {
    const { size, fields } = STRUCTS.guard_event
    const records = Buffer.alloc(3 * size)
    const put = (i: number, cgroup: bigint, tenant: number): void => {
      records.writeBigUInt64LE(5_000_000_000n, i * size + fields.at_ns)
      records.writeBigUInt64LE(cgroup, i * size + fields.cgroup)
      records.writeUInt32LE(tenant, i * size + fields.tenant)
      records.write('/bin/x', i * size + fields.path)
    }
    // The numbers of an older plan: they say nothing.
    put(0, 70n, 2)
    put(1, 80n, 1)
    put(2, 90n, 1)
    const named = new Map([
      [70n, 'spiffe://example.org/a'],
      [80n, 'spiffe://example.org/b'],
    ])
    const { activities, unnamed } = activitiesOf(
      [0, 1, 2].map((i) => records.subarray(i * size, (i + 1) * size)),
      named,
      { ms: 1_000_000, ns: 7_000_000_000n },
    )
    expect(activities.map(({ workspace, record }) => [workspace, record.atMs])).toEqual([
      ['spiffe://example.org/a', 998_000],
      ['spiffe://example.org/b', 998_000],
    ])
    expect(unnamed).toBe(1)
  })
})

describe('the pure half', () => {
  it('is usable only where everything answered yes', () => {
    const probes = ['library', 'lsm', 'btf', 'cgroup'].map((feature) => ({
      feature,
      answer: 'yes' as const,
      why: 'is there',
    }))
    const of = (list: typeof probes) => guardCapabilities({ backend: 'bpf-lsm', trustDomain: 'host', probes: list })
    expect(of(probes).usable).toBe(true)
    for (const { feature } of probes) {
      const { usable, why } = of(probes.filter((one) => one.feature !== feature))
      expect([usable, why]).toEqual([false, `${feature}: nobody asked`])
    }
  })
  it('lowers what it blocks, and prints it', () => {
    const [entry] = planOf([]).workspaces
    if (!entry) throw new Error('no workspace')
    const clause = digestOfText('exec')
    const allow = [{ path: '/usr/bin/git', digest: digestOfText('git') }, { path: '/usr/bin/node' }]
    const carrier = { backend: 'bpf-lsm', domain: 'host' } as const
    const guarded = {
      ...entry,
      slot: { ...entry.slot, kind: 'cgroup' as const, interface: 'ws0' },
      process: { blocks: carrier, exec: { clause, reaction: 'kill' as const, allow } },
    }
    const elsewhere = { ...entry, workspace: 'spiffe://example.org/other', process: { detects: carrier } }
    const program = lower({ generation: 3, planDigest: clause, source: SOURCE, workspaces: [guarded, elsewhere] })
    expect(program.workspaces).toEqual([
      { workspace: entry.workspace, cgroup: 'ws0', onExpiry: 'suspend', allow, volumes: [] },
    ])
    expect(render(program)).toBe(
      `generation 3 ${clause}, until ${SOURCE.expiresAtMs}\n${entry.workspace} in ws0 (on expiry: suspend)\n  exec /usr/bin/git ${digestOfText('git')}\n  exec /usr/bin/node\n`,
    )
  })
})
