// Which files the guard of executables lists, without a kernel: random files, links, moves of files and directories, changed lists and
// processes that take up what another left. After each look a file may run exactly where the oracle says so of one of its names.
//
// The map of the kernel is a set of keys here; that the kernel looks up just this key is test/guest's to show.

import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Identity, programKey, STRUCTS } from '../../src/backends/bpf-lsm/layout.js'
import { Programs } from '../../src/backends/bpf-lsm/programs.js'
import { kernelDevice } from '../../src/backends/tracing/devices.js'
import { digestOf as digestOfBytes, digestOfText } from '../../src/base/digest.js'
import { evaluateProcess } from '../../src/plan/evaluate-process.js'
import type { Executable } from '../../src/plan/model.js'

/** GUARD_ROUNDS=200000 plays more, GUARD_SEED another stretch. */
const ROUNDS = Number(process.env.GUARD_ROUNDS ?? 600)
const SEED = Number(process.env.GUARD_SEED ?? 20_261_121)
/** No two of one length: without the wait for a tick, size tells what was written within one. */
const CONTENTS = ['ok', 'not', 'else', 'other', 'longer'] as const
const [NUMBER, SETTLED_LATER_MS] = [1, 3_600_000]

let folder: string
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'sluice-listed-')))
  // Content counts when the tick that stamped the file has passed: here it always has.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + SETTLED_LATER_MS })
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(folder, { recursive: true, force: true })
})

/** The rows of both sides. */
class Rows {
  readonly keys = new Map<string, Buffer>()
  putProgram(side: number, tenant: number, identity: Identity): void {
    const key = programKey(side, tenant, identity)
    this.keys.set(key.toString('hex'), key)
  }
  removeProgram(key: Buffer): void {
    this.keys.delete(key.toString('hex'))
  }
  programs(side: number): readonly Buffer[] {
    return [...this.keys.values()].filter((key) => key.readUInt32LE(STRUCTS.guard_program.fields.side) === side)
  }
  has(side: number, path: string): boolean {
    const { dev, ino, size, ctimeNs } = statSync(path, { bigint: true })
    const identity = { device: kernelDevice(dev), inode: ino, size, changedNs: ctimeNs }
    return this.keys.has(programKey(side, NUMBER, identity).toString('hex'))
  }
}

const digestOf = (path: string) => digestOfBytes(readFileSync(path))

describe('programs that are listed', () => {
  it(`are those of the oracle after each of ${ROUNDS} changes`, { timeout: 600_000 }, () => {
    let state = SEED
    const random = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return (state >>> 8) % below
    }
    const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T
    const names = ['', 'x/', 'y/'].flatMap((at) => ['a', 'b', 'c', 'd'].map((name) => join(folder, `${at}${name}`)))
    for (const name of ['x', 'y']) mkdirSync(join(folder, name))
    const rows = new Rows()
    let [programs, side, allow]: [Programs, number, readonly Executable[]] = [new Programs(), 0, []]
    const list = (): void => {
      side = 1 - side
      for (const key of rows.programs(side)) rows.removeProgram(key)
      programs.forget(side)
      const there = names.filter((name) => existsSync(name) && lstatSync(name).isFile())
      allow = [
        ...names.filter(() => random(4) === 0).map((path) => ({ path })),
        ...there.filter(() => random(3) === 0).map((path) => ({ path, digest: digestOf(path) })),
      ]
      programs.allow(rows, side, { number: NUMBER, allow })
    }
    const LIST = 7
    const changes: readonly (() => void)[] = [
      () => {
        const path = pick(names)
        rmSync(path, { force: true })
        writeFileSync(path, pick(CONTENTS))
      },
      () => rmSync(pick(names), { force: true }),
      () => {
        const [from, to] = [pick(names), pick(names)]
        if (existsSync(from) && !existsSync(to) && realpathSync(from) !== to) {
          rmSync(to, { force: true })
          linkSync(realpathSync(from), to)
        }
      },
      () => {
        const [from, to] = [pick(names), pick(names)]
        if (from === to) return
        rmSync(to, { force: true })
        symlinkSync(from, to)
      },
      () => {
        const [from, to] = [pick(names), pick(names)]
        if (from !== to && existsSync(from)) renameSync(from, to)
      },
      () => {
        const path = pick(names)
        if (existsSync(path)) writeFileSync(path, pick(CONTENTS))
      },
      () => {
        // Nothing about the files themselves changes.
        renameSync(join(folder, 'x'), join(folder, 'z'))
        renameSync(join(folder, 'y'), join(folder, 'x'))
        renameSync(join(folder, 'z'), join(folder, 'y'))
      },
      list,
      () => {
        // What changes while nobody looks is found by whoever looks next.
        programs = new Programs()
        for (let i = 0; i < 3; i++) changes[random(LIST)]?.()
      },
    ]
    const differing: string[] = []
    const tally = { allow: 0, deny: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      const change = random(changes.length)
      changes[change]?.()
      programs.refresh(rows, side, [{ number: NUMBER, allow }])
      const files = names.filter((name) => existsSync(name))
      for (const path of files) {
        const { ino } = statSync(path)
        const twins = files.filter((name) => realpathSync(name) === name && statSync(name).ino === ino)
        const slice = { exec: { clause: digestOfText('clause'), reaction: 'observe' as const, allow } }
        const expected = twins.some(
          (name) =>
            evaluateProcess(
              slice,
              { quarantined: false, suspended: false },
              { path: name, digest: digestOf(name), memoryOnly: false },
            ).kind === 'allow',
        )
        tally[expected ? 'allow' : 'deny']++
        if (rows.has(side, path) !== expected)
          differing.push(
            `round ${round}, change ${change}: ${path.slice(folder.length)} should ${expected ? '' : 'not '}run`,
          )
      }
      // What stands for nothing has no row.
      expect(rows.programs(side).length).toBeLessThanOrEqual(readdirSync(folder, { recursive: true }).length)
    }
    expect(differing).toEqual([])
    expect(tally.allow).toBeGreaterThan(ROUNDS / 4)
    expect(tally.deny).toBeGreaterThan(ROUNDS / 4)
  })
})
