// `bpf-lsm` on a kernel that has BPF LSM: the driver itself, in a guest with Debian's cloud kernel, on a cgroup. Forty ways to run what
// the policy does not list, tried by root of user and mount namespaces of its own: none succeeds, all are in what the driver
// reports. Then the life of the guard, and random files beside the oracle. One guest plays it all, and after it the same for the files of a
// volume: some ninety ways to read what is hidden or to change what may only be read, and random trees beside `evaluateFile`.
//
// Out of scope, and no part of the list: code that a listed program loads by itself (LD_PRELOAD, ptrace of a sibling, a listed
// interpreter that is handed a script as an argument): what may run is the program, and not what it reads.

import { beforeAll, describe, expect, it } from 'vitest'
import { play } from '../support/exec/guest.js'

const MINUTES = 60_000
/** EXEC_ROUNDS=2000 plays more, FILE_ROUNDS=20000 too. */
const ROUNDS = Number(process.env.EXEC_ROUNDS ?? 40)
const FILE_ROUNDS = Number(process.env.FILE_ROUNDS ?? 600)
const SEED = Number(process.env.EXEC_SEED ?? 20_261_121)

// biome-ignore lint/suspicious/noExplicitAny: one line of JSON, each part looked into by the test that asked for it.
let said: any
// biome-ignore lint/suspicious/noExplicitAny: as above.
let files: any

describe('on a kernel with BPF LSM', () => {
  beforeAll(async () => {
    ;[said, files] = await play(
      [
        ['player', SEED, ROUNDS],
        ['file-player', SEED, FILE_ROUNDS],
      ],
      20 * MINUTES,
    )
  }, 21 * MINUTES)

  it('judges no program before a plan, and reads back what is live', () => {
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
    const [listed, ways] = [results.slice(0, 4), results.slice(4)]
    expect(listed.map(([name, result]) => `${name} ${result}`)).toEqual([
      'listed ran',
      'listed_pinned ran',
      'listed_by_link ran',
      'listed_by_handler ran',
    ])
    expect(ways.length).toBeGreaterThanOrEqual(40)
    expect(ways.filter(([, result]) => result !== 'refused')).toEqual([])
  })

  it('would have let each of them run where nobody judges', () => {
    const results: string[][] = said.unjudged.map((line: string) => line.split(' '))
    expect(results.map(([name]) => name)).toEqual(said.escapes.map((line: string) => line.split(' ')[0]))
    expect(results.filter(([, result]) => result !== 'ran')).toEqual([])
  })

  it('tells of every one of them', () => {
    const told = new Set(said.heard.map(([, name]: [boolean, string]) => name))
    const ways: string[] = said.escapes.slice(4).map((line: string) => line.split(' ')[0]?.slice(0, 15))
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
      moved: [true, false, true],
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
    expect(said.uninstalled).toEqual(['the guard of executables and files'])
    expect(said.after).toEqual({ ran: true, pins: false, left: false })
  })

  /** Who refuses where the guard is not asked: the kernel's own rules come first. */
  const BY_KERNEL: readonly string[] = ['protect_for_writing', 'new_device', 'by_handle_as_user']
  const clause = (letter: string): string => `sha256:${letter.repeat(64)}`

  it('judges no file before a plan, and says where it hangs', () => {
    expect(files.capabilities).toMatchObject({ usable: true, storage: true, storageSlots: ['cgroup'] })
    expect(files.before).toEqual({ live: null, reads: true })
    expect(files.firstStage).toEqual({ live: null, reads: true })
    expect(files.observed).toMatchObject({
      live: { generation: 1, planDigest: clause('d') },
      drift: [],
      volumes: [
        { name: 'folding', state: 'serving', mount: '/fold/volume' },
        { name: 'work', state: 'serving', mount: '/srv/ws/volume' },
      ],
    })
    const [anchor] = files.anchors
    expect(anchor.hooks.length).toBeGreaterThanOrEqual(25)
    expect(anchor.hooks.every(({ owner }: { owner: { tag: string } }) => /^[0-9a-f]{16}$/.test(owner.tag))).toBe(true)
    expect(anchor.objects).toContainEqual({ kind: 'mount', name: 'work', id: files.observed.volumes[1].device })
  })

  it('would have let each way by what a process has where nobody judges, but for one that the kernel refuses', () => {
    const results: string[][] = files.unjudged.map((line: string) => line.split(' '))
    expect(results.map(([name]) => name)).toEqual(files.held.map((line: string) => line.split(' ')[0]))
    expect(results.filter(([, result]) => result !== 'got').map(([name]) => name)).toEqual(['by_handle_as_user'])
  })

  it('lets be done with files what the rules allow, and none of some hundred and twenty ways to do something else', () => {
    const split = (lines: readonly string[]) => lines.map((line) => line.split(' '))
    const [names, held] = [split(files.escapes), split(files.held)]
    const got = (...allowed: string[]) => allowed.map((way) => `may_${way} got`)
    const said = (lines: string[][]) => lines.map(([name, result]) => `${name} ${result}`)
    expect(said(names.slice(0, 8))).toEqual(
      got('read', 'list', 'write', 'move', 'link', 'map', 'name_the_unnamed', 'elsewhere'),
    )
    expect(said(held.filter(([name]) => name?.startsWith('may_')))).toEqual(
      got('connect', 'send', 'by_ring', 'by_32_bits', 'beside_folding'),
    )
    const ways = [...names, ...held].filter(([name]) => !name?.startsWith('may_'))
    expect(ways.length).toBeGreaterThanOrEqual(120)
    expect(ways.filter(([, result]) => result !== 'refused')).toEqual([])
    expect(files.untouched).toEqual({
      main: 'int main;\n',
      project: ['.secrets', 'ear', 'ear-d', 'main.c', 'out'],
      keys: false,
      above: ['brought', 'free', 'theirs', 'volume', 'w'],
    })
  })

  it('tells of each of them, with its clause, but for what the kernel itself refuses', () => {
    const told = new Set(files.heard.map((event: unknown[]) => event[6]))
    const untold = [...files.escapes, ...files.held]
      .map((line: string) => line.split(' '))
      .filter(([name, , , pid]) => !name?.startsWith('may_') && !told.has(Number(pid)))
    expect(untold.map(([name]) => name)).toEqual(BY_KERNEL)
    expect(files.heard.every(([own]: [boolean]) => own)).toBe(true)
    expect(files.lost).toBe(0)
    const seen = (operation: string, path: string) =>
      files.heard.find((event: unknown[]) => event[2] === operation && event[4] === path)?.slice(1, 6)
    expect(seen('open', '/project/.secrets/token')).toEqual([
      ...['work', 'open', 'denied', '/project/.secrets/token', clause('b')],
    ])
    expect(seen('open-write', '/project/main.c')).toEqual([
      ...['work', 'open-write', 'read-only', '/project/main.c', clause('a')],
    ])
    expect(seen('open', '/elsewhere/notes')).toEqual(['work', 'open', 'no-rule', '/elsewhere/notes', null])
    expect(seen('open-write', '/project/ear')).toEqual(['work', 'open-write', 'read-only', '/project/ear', clause('a')])
    expect(seen('open', '/Docs/Token')).toEqual(['folding', 'open', 'bad-path', '/Docs/Token', null])
  })

  it('holds flags and what is open, stands without an agent, is replaced while it judges, refuses what it cannot hold', () => {
    expect(files.life).toEqual({
      granted: [true, false],
      quarantined: [false, ['spiffe://example.org/workspace/dev/ws0']],
      lifted: true,
      openBefore: 'got',
      openAfterNarrowing: 'not',
      withoutAgent: [false, true],
      adopted: 2,
      replaced: [
        false,
        false,
        ['spiffe://example.org/workspace/dev/ws0: the volume work is not the directory /srv/ws/volume that is judged'],
      ],
      putBack: [true, []],
      rebuilt: [0, true, 0],
      expired: [false, 'expired'],
      unfenced: true,
      byLink: expect.stringContaining('cannot be held: a link leads there'),
      noFolder: expect.stringContaining('cannot be held: ENOENT'),
      mountInside: expect.stringContaining('/srv/ws/volume/elsewhere is mounted inside it'),
      longName: expect.stringContaining('which is too long'),
    })
  })

  it('decides as the oracle does about random trees, links and operations, by whatever way they are reached', () => {
    expect(files.random.differing).toEqual([])
    expect(files.random.count).toBe(0)
    for (const many of ['allowed', 'denied', 'exact', 'done'])
      expect([many, files.random[many]]).toEqual([many, expect.any(Number)])
    expect(files.random.done).toBeGreaterThan(FILE_ROUNDS / 20)
    expect(files.random.exact).toBeGreaterThan(FILE_ROUNDS / 10)
  })

  it('leaves nothing behind of files either', () => {
    expect(files.uninstalled).toEqual(['the guard of executables and files'])
    expect(files.after).toEqual({ reads: true, pins: false })
  })
})
