// `bpf-lsm` on a kernel that has BPF LSM: the driver itself, in a guest with Debian's cloud kernel, on a cgroup. Forty ways to run what
// the policy does not list, tried by root of user and mount namespaces of its own: none succeeds, all are in what the driver
// reports. Then the life of the guard, and random files beside the oracle. One guest plays it all.
//
// Out of scope, and no part of the list: code that a listed program loads by itself (LD_PRELOAD, ptrace of a sibling, a listed
// interpreter that is handed a script as an argument): what may run is the program, and not what it reads.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { runInGuest } from '../support/guest/guest.js'
import { repositoryPath } from '../support/lab/repository.js'

const MINUTES = 60_000
/** EXEC_ROUNDS=2000 plays more. */
const ROUNDS = Number(process.env.EXEC_ROUNDS ?? 40)
const SEED = 20_261_121

function program(source: string, name: string, ...words: readonly string[]): string {
  const [from, to] = [repositoryPath(`test/support/exec/${source}`), repositoryPath(`build/test/${name}`)]
  if (existsSync(to) && statSync(to).mtimeMs >= statSync(from).mtimeMs) return to
  mkdirSync(repositoryPath('build/test'), { recursive: true })
  const folder = mkdtempSync(join(tmpdir(), 'sluice-exec-'))
  const fresh = join(folder, name)
  execFileSync('cc', ['-O1', '-Wall', '-Wextra', '-Werror', '-static', '-pthread', ...words, '-o', fresh, from])
  execFileSync('cp', [fresh, `${to}.${process.pid}`])
  renameSync(`${to}.${process.pid}`, to)
  rmSync(folder, { recursive: true })
  return to
}

// biome-ignore lint/suspicious/noExplicitAny: one line of JSON, each part looked into by the test that asked for it.
let said: any

describe('what may run in a cgroup, on a kernel with BPF LSM', () => {
  beforeAll(async () => {
    const modules = (name: string) => ({
      from: repositoryPath(`node_modules/${name}`),
      to: `/opt/sluice/node_modules/${name}`,
    })
    const native = (name: string) => ({
      from: repositoryPath(`build/native/${name}`),
      to: `/opt/sluice/build/native/${name}`,
    })
    const {
      code,
      output,
      console: kernel,
    } = await runInGuest({
      command: `${process.execPath} /opt/player.mjs ${SEED} ${ROUNDS}`,
      kernelWords: ['lsm=landlock,bpf'],
      modules: ['overlay', 'binfmt_misc'],
      programs: [process.execPath, repositoryPath('build/native/libsluice_ebpf.so')],
      files: [
        { from: repositoryPath('dist'), to: '/opt/sluice/dist' },
        { from: repositoryPath('package.json'), to: '/opt/sluice/package.json' },
        ...['libsluice_ebpf.so', 'guard.bpf.o'].map(native),
        ...['koffi', '@koromix', '@noble/hashes'].map(modules),
        { from: repositoryPath('test/support/exec/player.mjs'), to: '/opt/player.mjs' },
        { from: program('escapes.c', 'escapes'), to: '/opt/escapes' },
        { from: program('marker.c', 'marker-ok', '-DNAME="ok"'), to: '/opt/ok' },
        { from: program('marker.c', 'marker-evil', '-DNAME="evil"'), to: '/opt/evil' },
      ],
      memoryMiB: 1536,
      timeoutMs: 8 * MINUTES,
    })
    const line = output.split('\n').find((one) => one.startsWith('{'))
    if (code !== 0 || line === undefined)
      throw new Error(`exit ${code}\n${output.slice(-4_000)}\n${kernel.slice(-1_500)}`)
    said = JSON.parse(line)
  }, 9 * MINUTES)

  it('judges nobody before a plan, and reads back what is live', () => {
    expect(said.capabilities).toMatchObject({ usable: true, process: { exec: 'blocks', slots: ['cgroup'] } })
    expect(said.before).toEqual({ live: null, ran: true })
    expect(said.firstStage).toEqual({ live: null, ran: true })
    expect(said.observed).toMatchObject({
      live: { generation: 1, planDigest: `sha256:${'d'.repeat(64)}`, workspaces: [expect.any(String)] },
      drift: [],
    })
  })

  it('lets run what is listed, and none of forty ways to run something else', () => {
    const results: string[][] = said.escapes.map((line: string) => line.split(' '))
    const [listed, ways] = [results.slice(0, 3), results.slice(3)]
    expect(listed.map(([name, result]) => `${name} ${result}`)).toEqual([
      'listed ran',
      'listed_pinned ran',
      'listed_by_link ran',
    ])
    expect(ways.length).toBeGreaterThanOrEqual(40)
    expect(ways.filter(([, result]) => result !== 'refused')).toEqual([])
  })

  it('tells of every one of them', () => {
    const told = new Set(said.heard.map(([, name]: [boolean, string]) => name))
    const ways: string[] = said.escapes.slice(3).map((line: string) => line.split(' ')[0]?.slice(0, 15))
    expect(ways.filter((name) => !told.has(name))).toEqual([])
    expect(said.heard.every(([own]: [boolean]) => own)).toBe(true)
    expect(said.failure).toBeUndefined()
    expect(said.counts['exec-unreported']).toBe(0)
  })

  it('holds flags over plans, stands without an agent, switches at once, and ends with the plan', () => {
    expect(said.life).toEqual({
      granted: [true, true, false, false],
      quarantined: [false, ['spiffe://example.org/workspace/dev/ws0']],
      stillQuarantined: false,
      lifted: true,
      withoutAgent: [true, false],
      adopted: 3,
      // Another file under a listed path waits for the next look.
      replaced: false,
      seen: true,
      pinned: true,
      onlyStaged: true,
      unrestricted: true,
      empty: false,
      expired: false,
      stale: 'LSM_STALE_STAGE',
    })
  })

  it('decides as the oracle does about random files and links', () => {
    expect(said.random.differing).toEqual([])
    expect(said.random.ran + said.random.refused).toBeGreaterThan(ROUNDS / 2)
    expect(said.random.ran).toBeGreaterThan(0)
    expect(said.random.refused).toBeGreaterThan(0)
  })

  it('leaves nothing behind', () => {
    expect(said.uninstalled).toEqual(['the guard of executables'])
    expect(said.after).toEqual({ ran: true, pins: false, left: false })
  })
})
