// Programs that stand without an agent, with folders in the place of the kernel's: what does not hang is never taken for what does.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Native } from '../../../src/backends/tracing/native.js'
import { Pinned } from '../../../src/backends/tracing/pinned.js'

const OBJECT = { name: 'guard_files' }
const PROGRAMS = ['guard_file_open', 'guard_mmap_file']
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-pinned-'))
  writeFileSync(join(folder, 'guard_files.bpf.o'), 'a build')
  vi.stubEnv('SLUICE_NATIVE_DIR', folder)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true, force: true })
})

/** Loads by writing a file for each program, and hangs by writing a file where the link is pinned. */
class Folders {
  loads = 0
  bpffs(): string {
    return join(folder, 'bpf')
  }
  ask(name: string, ...words: unknown[]): number {
    if (name !== 'load') return 0
    this.loads++
    for (const program of PROGRAMS) writeFileSync(join(String(words[2]), program), '')
    return 0
  }
  call(_what: string, name: string, ...words: unknown[]): number {
    if (name === 'attach') writeFileSync(String(words[1]), '')
    return 0
  }
}
const pins = (name: string): string => join(folder, 'bpf/sluice/guard-1', name)
const make = (): { native: Folders; pinned: Pinned } => {
  const native = new Folders()
  return { native, pinned: new Pinned(native as unknown as Native, 'sluice/guard-1') }
}

describe('pinned programs', () => {
  it('hang once for a build, and again when one of their links is gone', () => {
    const { native, pinned } = make()
    expect(pinned.missing(OBJECT.name)).toEqual([OBJECT.name])
    pinned.raise(OBJECT)
    pinned.raise(OBJECT)
    expect([native.loads, pinned.missing(OBJECT.name)]).toEqual([1, []])
    rmSync(pins('links/guard_mmap_file'))
    expect(pinned.missing(OBJECT.name)).toEqual(['guard_mmap_file'])
    pinned.raise(OBJECT)
    expect([native.loads, readdirSync(pins('links')).sort()]).toEqual([2, PROGRAMS])
    rmSync(pins('links'), { recursive: true })
    expect([pinned.stands(), pinned.missing(OBJECT.name)]).toEqual([false, PROGRAMS])
    pinned.raise(OBJECT)
    expect([native.loads, pinned.missing(OBJECT.name)]).toEqual([3, []])
  })

  it('hang after a crash that left half a record', () => {
    const { native, pinned } = make()
    mkdirSync(pins('builds'), { recursive: true })
    symlinkSync('half', pins('builds/new'))
    pinned.raise(OBJECT)
    pinned.raise(OBJECT)
    expect([native.loads, pinned.missing(OBJECT.name)]).toEqual([1, []])
  })

  it('are not on record any more when the first of them is taken away', () => {
    const { pinned } = make()
    pinned.raise(OBJECT)
    // A folder where a link should be cannot be unlinked: the removal ends in the middle.
    mkdirSync(pins('links/in-the-way'))
    expect(() => pinned.remove()).toThrow()
    expect([existsSync(pins('builds')), pinned.missing(OBJECT.name)]).toEqual([false, [OBJECT.name]])
  })
})
