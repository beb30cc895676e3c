// Small runs of the bench on real variants: each is looked at and measured, one that does not fence is refused, and a run that is
// stopped or killed leaves nothing behind. Nothing is said of the figures; what `bench compare` makes of a planted tenth is shown with
// SLUICE_BENCH_PROOF=1, on a machine with nothing else to do, in about six minutes (README.md of bench/). Needs root, a build and iperf3.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { assemble, type Raw } from '../../src/bench/assemble.js'
import { compareResults } from '../../src/bench/compare.js'
import { HOSTS, type Probe, type Scene } from '../../src/bench/matrix.js'
import { readResults } from '../../src/bench/read.js'
import type { Results, VariantSeen } from '../../src/bench/results.js'
import { measureHosts, serveBench } from '../../src/bin/bench-hosts.js'
import { composeHost, processSurface } from '../../src/bin/host.js'
import { runCli } from '../../src/cli/main.js'
import { childrenOf, measured, type Told } from '../support/bench/measured.js'
import { plantedTenth } from '../support/bench/planted.js'
import { drawnRun } from '../support/bench/runs.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'

const NAMES = ['none', 'empty', 'empty-chains', 'hand', 'nftables', 'ebpf']
const probe = (question: Probe['question'], flows: number, ms: number, more: Partial<Probe> = {}): Probe => ({
  question,
  family: 'ipv4',
  flows,
  ms,
  ...more,
})
const SMALL: Scene = {
  grants: 10,
  workspaces: 2,
  rounds: 1,
  probes: [
    probe('tcp-stream', 2, 100),
    probe('tcp-rr', 1, 60, { paced: 500 }),
    probe('tcp-crr', 4, 60, { family: 'ipv6' }),
    probe('packets', 20_000, 20),
    probe('flows', 50, 20_000),
  ],
}

/** What a run told, as the file that it would have left. */
function fileOf({ raws, ran }: Told): Results {
  const variants = ran?.variants ?? []
  const own = raws.filter(({ variant }) => variants.some(({ name, state }) => name === variant && state === 'measured'))
  const measurements = assemble(own, variants, { confidence: 0.95, seed: 1 })
  return readResults(JSON.stringify({ ...drawnRun({ seed: 1 }), variants, measurements, promises: [] }), 'small.json')
}

/** What has ended and was not collected yet (a zombie) is not there either: its new parent may take its time. */
const there = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.startsWith('Z') === false
  } catch {
    return false
  }
}
const gone = async (pid: number): Promise<void> => {
  while (there(pid)) await new Promise((resolve) => setTimeout(resolve, 50))
}

labSuite('the bench', () => {
  it('measures every variant, and refuses one that lets through what nothing grants', async () => {
    const told = await measured({ scenes: [SMALL], names: [...NAMES, 'hollow'], seed: 1 })
    expect(told.status).toBe(0)
    const { variants, complete } = told.ran ?? { variants: [], complete: false }
    const state = (one: VariantSeen): string => `${one.name} ${one.state}${one.why === undefined ? '' : `: ${one.why}`}`
    expect(variants.map(state)).toEqual([
      ...NAMES.map((name) => `${name} measured`),
      'hollow refused: tcp 45.0.0.2 port 7000, which nothing grants, was answered',
    ])
    expect(complete).toBe(true)
    const { measurements } = fileOf(told)
    expect(measurements.map(({ question }) => question).sort()).toEqual(
      ['flows', 'kernel-memory', 'packets', 'stage', 'tcp-crr', 'tcp-rr', 'tcp-stream'].sort(),
    )
    for (const { question, cells, commands } of measurements) {
      expect([question, commands]).not.toEqual([question, []])
      const loaded = question === 'stage' || question === 'kernel-memory'
      expect(cells.map(({ variant }) => variant)).toEqual(loaded ? ['hand', 'nftables', 'ebpf'] : NAMES)
      for (const { repetitions, figure } of cells) {
        expect(repetitions).toHaveLength(1)
        expect(figure).toEqual({ kind: 'none', why: '1 repetition, and 5 are needed' })
      }
    }
    const standing = told.raws.filter(({ question }) => question === 'flows')
    expect(standing.map(({ value }) => value)).toEqual(NAMES.map(() => 50))
    const positions = told.raws.filter(({ question }) => question === 'flows').map(({ position }) => position)
    expect(positions).toEqual([...positions].sort())
  })

  it('tells how long HTTP requests take, in parts of a millisecond', async () => {
    const scene = { ...SMALL, workspaces: 1, probes: [probe('http', 2, 1_000)] }
    const told = await measured({ scenes: [scene], names: ['none'], seed: 1 })
    expect(told.remarks).toEqual([])
    const raws = told.raws.filter(({ question }) => question === 'http')
    expect(raws).toMatchObject([{ variant: 'none', failed: 0 }])
    const [{ value = 0, tried = 0, latency = [], paced } = {}] = raws
    expect(value).toBeGreaterThan(0)
    // What waited when the time was over is among them; nothing was on a clock, so that they are filled up.
    const counted = latency.reduce((sum, [, count]) => sum + count, 0)
    expect(counted).toBeGreaterThanOrEqual(tried)
    expect(counted).toBeLessThanOrEqual(tried + 2)
    expect(paced).toBeUndefined()
    expect(fileOf(told).measurements.find(({ question }) => question === 'http')).toMatchObject({
      id: expect.stringContaining('by=autocannon') as string,
      cells: [{ latency: { corrected: true } }],
    })
  })

  it('measures the software BlueField as what it is, and has its cables back afterwards', async () => {
    execFileSync('make', ['-s', '-f', 'doca-shims/Makefile'], { stdio: 'inherit' })
    const scene = { ...SMALL, workspaces: 1, rounds: 3, probes: [probe('flows', 20, 20_000)] }
    const told = await measured({ scenes: [scene], names: ['doca-flow', 'none'], seed: 1 })
    expect(told.remarks).toEqual([])
    expect(told.ran?.variants).toMatchObject([
      { name: 'doca-flow', emulated: true, state: 'measured' },
      { name: 'none', emulated: false, state: 'measured' },
    ])
    const measuredOf = (name: string): Raw[] =>
      told.raws.filter(({ variant, question }) => variant === name && question === 'flows')
    for (const name of ['doca-flow', 'none']) {
      expect(measuredOf(name).map(({ value }) => value)).toEqual([20, 20, 20])
    }
    // One of them came after a visit to the card.
    expect(new Set(measuredOf('none').map(({ position }) => position)).size).toBe(2)
  })

  it('stops when it is told to, and gives what it has', async () => {
    const scenes = [{ ...SMALL, rounds: 1_000 }]
    const told = await measured({ scenes, names: ['none'], seed: 1 }, (line, child) => {
      if (line.kind === 'raw') child.stdin?.end()
    })
    expect(told.ran).toMatchObject({ complete: false, why: 'it was interrupted' })
    expect(told.raws.length).toBeGreaterThan(0)
  })

  it('leaves no process behind when it is killed', async () => {
    const scenes = [{ ...SMALL, rounds: 1_000 }]
    const started = new Set<number>()
    const told = await measured({ scenes, names: ['none'], seed: 1 }, (line, child) => {
      if (line.kind !== 'raw' || child.pid === undefined) return
      for (const pid of childrenOf(child.pid)) started.add(pid)
      child.kill('SIGKILL')
    })
    expect(told.ran).toBeUndefined()
    expect(started.size).toBeGreaterThanOrEqual(4)
    for (const pid of started) await gone(pid)
  })

  it('refuses a name of nothing', async () => {
    let text = ''
    const write = (more: string): void => {
      text += more
    }
    const host = composeHost({ ...processSurface(), colour: false, write, writeError: write })
    expect(await runCli(['bench', '--only', 'ebpf,nonsense'], host)).toBe(2)
    expect(text).toMatch(/^BENCH_NOTHING: nothing that is called "nonsense" is measured; there are none, empty, /)
  })
})

describe('the bench between hosts', () => {
  // Below the range of outgoing ports: who asks for a port of that range on its own address may be given that very one, and be
  // connected to itself.
  const port = 10_000 + (process.pid % 20_000)
  const request = {
    quick: true,
    only: [],
    seed: 1,
    command: 'sluice bench --client 127.0.0.1',
    client: { address: '127.0.0.1', port, label: 'path' },
    signal: new AbortController().signal,
    progress: () => undefined,
  }
  const served = async (peer: string, during: () => Promise<void>): Promise<void> => {
    const stop = new AbortController()
    let over: Promise<void> | undefined
    await new Promise<void>((ready, failed) => {
      over = serveBench({ address: '127.0.0.1', port, peer, signal: stop.signal, ready })
      over.catch(failed)
    })
    await during().finally(() => {
      stop.abort()
    })
    await over
  }

  it('says that nobody answers, or that somebody answers others only', async () => {
    const refused = { code: 'BENCH_PEER', message: `nobody answers the bench at 127.0.0.1 from port ${port} on` }
    await expect(measureHosts(request, '0.1.0', Date.now)).rejects.toMatchObject(refused)
    await served('127.0.0.9', async () => {
      await expect(measureHosts(request, '0.1.0', Date.now)).rejects.toMatchObject(refused)
    })
  })

  it('measures what stands between, until it is told to stop', async () => {
    await served('127.0.0.1', async () => {
      const stop = new AbortController()
      let said = 0
      const progress = (): void => {
        // The first visit is under way.
        if (++said === 1) stop.abort()
      }
      const results = await measureHosts({ ...request, signal: stop.signal, progress }, '0.1.0', Date.now)
      expect(results.run).toMatchObject({ kind: 'hosts', complete: false, why: 'it was interrupted' })
      expect(results.variants).toMatchObject([{ name: 'path', role: 'fence', state: 'measured' }])
    })
  })

  it('does not answer on an address that this machine has not', async () => {
    const asked = { address: '45.0.0.1', port, peer: '45.0.0.2', signal: request.signal, ready: () => undefined }
    await expect(serveBench(asked)).rejects.toMatchObject({ code: 'BENCH_GROUND' })
  })

  it('answers nobody when no peer is named', async () => {
    let text = ''
    const write = (more: string): void => {
      text += more
    }
    const host = composeHost({ ...processSurface(), colour: false, write, writeError: write })
    expect(await runCli(['bench', '--server', '127.0.0.1'], host)).toBe(2)
    expect(text).toMatch(/^CLI_BENCH_PEER: nobody is named whom the bench at 127\.0\.0\.1 may answer\n/)
  })
})

labSuite('two machines', () => {
  const on = (pid: number, ...words: string[]): string[] => ['nsenter', '-t', String(pid), '-n', '--', ...words]
  const run = (words: string[]): string => {
    const [file = '', ...rest] = words
    return execFileSync(file, rest, { encoding: 'utf8' })
  }

  /** Has one answer, the other measure, and gives the results that it leaves, and its report. */
  async function measuredBetween(words: readonly string[], during: (client: ChildProcess, server: number) => unknown) {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-hosts-'))
    const holders: ChildProcess[] = []
    const host = async (): Promise<number> => {
      const holder = spawn('unshare', ['-n', 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
      holders.push(holder)
      holder.stdin.write('there\n')
      await once(holder.stdout, 'data')
      return holder.pid ?? 0
    }
    const sluice = (pid: number, ...words: string[]): ChildProcess => {
      const [file = '', ...rest] = on(pid, process.execPath, repositoryPath('dist/bin/sluice.js'), 'bench', ...words)
      return spawn(file, rest, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
    }
    const [one, other] = [await host(), await host()]
    let server: ChildProcess | undefined
    let client: ChildProcess | undefined
    try {
      run(on(one, 'ip', 'link', 'add', 'net0', 'type', 'veth', 'peer', 'name', 'net0', 'netns', String(other)))
      for (const [pid, address] of [
        [one, '10.77.0.1'],
        [other, '10.77.0.2'],
      ] as const) {
        run(on(pid, 'ip', 'address', 'add', `${address}/24`, 'dev', 'net0'))
        run(on(pid, 'ip', 'link', 'set', 'net0', 'up'))
      }
      server = sluice(other, '--server', '10.77.0.2', '--peer', '10.77.0.1')
      const served = once(server, 'exit')
      // It says so when it answers, and may end instead.
      const said = once(server.stderr ?? server, 'data').then(() => 'answers')
      expect(await Promise.race([said, served])).toBe('answers')
      client = sluice(one, '--client', '10.77.0.2', '--quick', '--out', 'out', ...words)
      const ended = once(client, 'exit')
      await during(client, other)
      expect(await ended).toEqual([0, null])
      server.kill('SIGINT')
      expect(await served).toEqual([0, null])
      const results = readResults(readFileSync(join(folder, 'out/results.json'), 'utf8'), 'results.json')
      return { results, report: readFileSync(join(folder, 'out/report.html'), 'utf8') }
    } finally {
      client?.kill('SIGKILL')
      server?.kill('SIGKILL')
      for (const holder of holders) holder.stdin?.end()
      rmSync(folder, { recursive: true, force: true })
    }
  }

  it('measure what stands between them by the command line, and leave a report when they are interrupted', async () => {
    const { results, report } = await measuredBetween([], async (client, server) => {
      const octets = (): number => Number(/net0:\s*(\d+)/.exec(run(on(server, 'cat', '/proc/net/dev')))?.[1])
      // A stream is under way.
      while (octets() < 50_000_000 && client.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 100))
      client.kill('SIGINT')
    })
    expect(results.run).toMatchObject({ kind: 'hosts', complete: false, why: 'it was interrupted' })
    expect(results.run.command).toBe('sluice bench --quick --client 10.77.0.2 --port 7000 --label path --seed 1')
    expect(results.variants).toMatchObject([{ name: 'path', role: 'fence', state: 'measured' }])
    expect(report).toContain('This run is not complete')
  }, 480_000)

  it('come to an end, and call what stands between them what they were told', async () => {
    const { results } = await measuredBetween(['--label', 'doca-card'], () => undefined)
    expect(results.run.remarks).toBeUndefined()
    expect(results.run).toMatchObject({ kind: 'hosts', complete: true })
    expect(results.variants).toMatchObject([{ name: 'doca-card', role: 'fence', emulated: false, state: 'measured' }])
    const asked = HOSTS.probes.map(({ question, flows }) => `${question} ${flows}`)
    expect(results.measurements.map(({ question, flows }) => `${question} ${flows}`)).toEqual(asked)
    for (const { id, cells } of results.measurements) {
      const rates = cells.flatMap(({ repetitions }) => repetitions.map(({ value }) => value > 0))
      expect([id, cells.map(({ variant }) => variant), rates]).toEqual([id, ['doca-card'], new Array(5).fill(true)])
    }
  }, 480_000)
})

const PROOF: Scene = {
  grants: 1_000,
  workspaces: 1,
  rounds: 11,
  probes: [probe('packets', 1_000, 300), probe('tcp-crr', 8, 500), probe('tcp-rr', 1, 300)],
}
/** So many leave about half of a rate. */
const MANY_RULES = 1_000
const CALIBRATION: Scene = { ...PROOF, rounds: 25, probes: PROOF.probes.slice(0, 1) }

if (process.env.SLUICE_BENCH_PROOF)
  labSuite('bench compare', () => {
    const names = ['none', 'empty', 'ebpf', 'hand']
    const run = async (rules = 0): Promise<Results> => {
      const plant = rules > 0 ? { plant: { ebpf: { in: 'ebpf', rules } } } : {}
      return fileOf(await measured({ scenes: [PROOF], names, seed: 1, ...plant }))
    }

    it('finds a planted tenth, and nothing where nothing is', { timeout: 1_800_000 }, async () => {
      const { raws } = await measured({
        scenes: [CALIBRATION],
        names: ['ebpf', 'heavy'],
        seed: 1,
        plant: { heavy: { in: 'ebpf', rules: MANY_RULES } },
      })
      // Rounds come one after the other, and each has both.
      const rates = (name: string): number[] =>
        raws.flatMap(({ variant, question, value }) => (variant === name && question === 'packets' ? [value] : []))
      const { rules, left } = plantedTenth(rates('ebpf'), rates('heavy'), MANY_RULES)
      console.log(
        `${rules} rules leave ${left.middle.toFixed(3)} of packets (${left.low.toFixed(3)} to ${left.high.toFixed(3)})`,
      )
      const [before, again, slowed] = [await run(), await run(), await run(rules)]
      const same = compareResults(before, again)
      console.log(`of the same: ${same.slower} slower, intervals agree in ${same.agreeing} of ${same.ratios} ratios`)
      expect(same.slower).toBe(0)
      // Of intervals of 95 % one may be beside the other by chance.
      expect(same.ratios).toBe(PROOF.probes.length * (names.length - 1))
      expect(same.ratios - same.agreeing).toBeLessThanOrEqual(1)
      const { rows } = compareResults(again, slowed)
      const found = rows.filter(({ verdict, counts }) => verdict === 'slower' && counts)
      for (const { from, quotient } of found)
        console.log(`${rules} rules planted: ${from} ${quotient.middle.toFixed(3)}`)
      expect(found.map(({ from }) => from.split(' ')[1])).toContain('packets')
      expect(rows.filter(({ variant, verdict }) => variant !== 'ebpf' && verdict === 'slower')).toEqual([])
    })
  })
