// The companion, the agent, machines, a receiver and nats-servers killed (SIGKILL) at moments that nobody chose, over operations of the
// whole life of workspaces: the programs as they are released, real QEMU, real taps, and the trail on its way to three sinks at once.
// Whatever dies: when it is back, what was asked for is so or is refused with a reason; no tap, layer, process, group or tenure is left
// that nobody asked for; no machine runs without its fence, and nothing that was not granted is ever seen behind the uplink; every
// operation that came to an end is in the trail, and every event of it is in every sink, in its order. SLUICE_CHAOS says how many
// operations; SLUICE_CHAOS_SEED repeats a run.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { listSegments } from '../../src/audit/segment.js'
import { causeChain } from '../../src/base/fault.js'
import type { TrailReconciled } from '../../src/cli/host-companion.js'
import { machineId } from '../../src/companion/machines.js'
import { hasNats } from '../sinks/nats-server.js'
import { hold } from '../support/companion/arrived.js'
import { FORBIDDEN, LabHost, SINK, sourceOf, workspaceOf } from '../support/companion/lab-host.js'
import { liveFence } from '../support/companion/live-fence.js'
import { linesIn, Receivers } from '../support/companion/receivers.js'
import { UPLINK } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import type { Sniffer } from '../support/lab/wire.js'

const SIZE = 3
/** The six of a default run draw a victim of each kind; a machine only where one runs by then. */
const COUNT = Number(process.env.SLUICE_CHAOS ?? 6)
const SEED = Number(process.env.SLUICE_CHAOS_SEED ?? 20_263_408)
const IS_LONG = process.env.SLUICE_CHAOS !== undefined
/** A healthy machine needs none of it. */
const PATIENCE_MS = 240_000

/** mulberry32: the same moments for the same seed, as far as a machine repeats itself. */
function chance(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const NEXT = {
  absent: ['create'],
  stopped: ['start', 'start', 'start', 'rebake', 'delete', 'kill'],
  running: ['stop', 'rebake', 'revoke', 'kill', 'kill'],
  revoked: ['start', 'delete'],
  killed: ['start', 'start', 'delete'],
} as const
type Word = (typeof NEXT)[keyof typeof NEXT][number]
const VICTIMS = ['companion', 'companion', 'agent', 'machine', 'machine', 'receiver', 'server', 'nobody'] as const
type Victim = (typeof VICTIMS)[number]
/** Nothing that a workspace needs is dead then, and what is asked for is done. */
const BESIDE: ReadonlySet<Victim> = new Set(['receiver', 'server', 'nobody'])
/** From so many operations on, the luck of a few does not matter. */
const MANY = 25
const ALL = 100
/** What may be refused, or end half way, because something else was dead at that moment. */
const PASSING = new Set([
  ...['API_LOST', 'COMPANION_AGENT', 'WORKSPACE_STEP', 'WORKSPACE_OWED', 'WORKSPACE_BUSY', 'WORKSPACE_UNKNOWN'],
  ...['WORKSPACE_TAKEN_AWAY', 'WORKSPACE_EXISTS', 'WORKSPACE_RUNS', 'partial'],
])

const filesOf = (journal: string): readonly string[] => [...listSegments(journal).map(({ path }) => path), journal]
const same = (one: readonly string[], other: readonly string[]): boolean =>
  JSON.stringify(one) === JSON.stringify(other)

/** Asks until it is so; what was found wrong last is the reason otherwise. */
async function until(what: string, wrong: () => Promise<string | undefined>): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; ; await sleep(50)) {
    const found = await wrong()
    if (found === undefined) return
    if (Date.now() > end) throw new Error(`waited in vain for ${what}: ${found}`)
  }
}

labSuite('a host whose parts die', () => {
  if (!hasNats()) {
    it('needs nats-server', (context) => context.skip('nats-server is not installed'))
    return
  }
  let lab: Lab
  let host: LabHost
  let receivers: Receivers
  let uplink: Sniffer
  beforeAll(async () => {
    lab = await openLab()
    uplink = await lab.sniff('out', UPLINK.out.interface)
    host = await LabHost.open(lab, SIZE, {
      machines: 'qemu',
      more: async (folder, exported) => {
        receivers = await Receivers.open(lab.namespace('node'), folder)
        return receivers.section(exported)
      },
    })
  }, 600_000)
  afterAll(async () => {
    await host?.close()
    await receivers?.close()
    await lab?.close()
  }, 600_000)

  const listed = async () => new Map((await host.list()).map((one) => [one.profile.workspace, one]))
  /** Slots of workspaces that a kill or a revoke came to its end of, and nobody lifted it since. */
  const quarantined = new Set<string>()

  /** Process ids of agents that were killed. */
  const agents = new Set<number>()
  const canaries = (): readonly string[] =>
    readdirSync('/run/netns').filter((name) => agents.has(Number(/^slc-(\d+)-/.exec(name)?.[1])))

  /** What is not as the companion says; undefined: nothing. */
  const unsettled = async (): Promise<string | undefined> => {
    if (!(await host.reachesAgent())) return 'the companion does not reach the agent'
    const all = [...(await listed()).values()]
    const running = all.filter(({ state }) => state === 'running')
    const whole = all.every(
      ({ owed, doing, machine, state }) =>
        owed.length === 0 && doing === '' && (state === 'running') === (machine === 'running'),
    )
    const { taps, layers, attached } = await host.left()
    const { processes, groups, folders } = host.emulated()
    const names = running.map(({ profile }) => profile.workspace).sort()
    const counted = [taps, processes, groups, folders].every(({ length }) => length === running.length)
    const fence = await liveFence(lab)
    const isFenced =
      fence.denies &&
      same(fence.open, taps) &&
      taps.every((tap) => fence.hooked.includes(tap)) &&
      [...quarantined].every((tap) => fence.quarantined.includes(tap))
    if (
      whole &&
      counted &&
      layers.length === all.length &&
      same(attached, names) &&
      isFenced &&
      canaries().length === 0
    )
      return undefined
    return JSON.stringify({
      all,
      taps,
      layers,
      attached,
      processes,
      groups,
      folders,
      fence,
      canaries: canaries(),
      quarantined: [...quarantined],
    })
  }

  it('is whole when they are back, and has lost no event', { timeout: 7_200_000 }, async () => {
    const draw = chance(SEED)
    const pick = <T>(list: readonly T[]): T => list[Math.floor(draw() * list.length)] as T
    const deaths: Record<Victim, number> = { companion: 0, agent: 0, machine: 0, receiver: 0, server: 0, nobody: 0 }
    const done: Partial<Record<Word, number>> = {}
    /** How long it took when nothing died, for moments within it. */
    const took: Partial<Record<Word, number>> = {}
    const ended: string[] = []
    /** How often a kill or a revoke was done of a workspace that was in no quarantine before. */
    const fenced = new Map<string, number>()
    /** Those of the receivers that are dead, and before which operation each comes back. */
    const dead = new Map<'http' | number, number>()
    for (let i = 0; i < COUNT; i++) {
      for (const [which, back] of dead)
        if (back <= i) {
          await receivers.start(which)
          dead.delete(which)
        }
      const n = Math.floor(draw() * SIZE)
      const workspace = workspaceOf(n)
      const state = ((await listed()).get(workspace)?.state ?? 'absent') as keyof typeof NEXT
      const word = pick<Word>(NEXT[state])
      // A quarantine outlives its workspace: who is deleted and made again is quarantined still.
      if (word === 'start') {
        await host.lift(n)
        quarantined.delete(`tap${n}`)
      }
      const wasFree = !(await liveFence(lab)).quarantined.includes(`tap${n}`)
      const id = `chaos-${SEED}-${i}`
      let why = ''
      const ask = () =>
        (word === 'kill' ? host.kill(n, id).then(({ partial }) => partial) : host.change(word, n, id)).then(
          (gave) => (gave === true ? 'partial' : 'done'),
          (error: unknown) => {
            why = causeChain(error).join(': ')
            return (error as { readonly code?: string }).code ?? why
          },
        )
      const begunAt = performance.now()
      const outcome = ask()
      const wanted = pick(VICTIMS)
      await sleep(draw() * (took[word] ?? 1_500))
      const prey = pick(host.emulators())
      const victim = wanted === 'machine' && !prey ? 'nobody' : wanted
      deaths[victim]++
      if (victim === 'companion') {
        await host.crash()
        await host.start()
      } else if (victim === 'agent') {
        agents.add(host.agent.pid)
        await host.agent.kill()
        host.agent.start()
        await host.agent.told('active')
      } else if (victim === 'machine' && prey) process.kill(prey.pid, 'SIGKILL')
      else if (victim === 'receiver') {
        await receivers.kill('http')
        dead.set('http', i + 1 + Math.floor(draw() * 3))
      } else if (victim === 'server') {
        // One at a time: two of three are a cluster.
        for (const which of dead.keys()) if (which !== 'http') await receivers.start(which)
        const which = Math.floor(draw() * receivers.servers)
        await receivers.kill(which)
        dead.set(which, i + 1 + Math.floor(draw() * 3))
      }
      const said = await outcome
      if (said === 'done' && BESIDE.has(victim)) took[word] = performance.now() - begunAt
      const isBeside =
        BESIDE.has(victim) || (victim === 'machine' && !prey?.id.startsWith(machineId(workspace, 0).slice(0, -1)))
      const what = `operation ${i}: ${word} of ${workspace}, ${state}, with ${victim} dead`
      if (said !== 'done') expect(PASSING, `${what}: ${why}`).toContain(said)
      if (isBeside) expect(said, `${what}: ${why}`).toBe('done')
      // Whoever was cut off asks again under the same id, and gets the one answer that there is.
      let again = said
      await until(`the answer to ${id}`, async () => {
        if (again === 'API_LOST' || (said === 'API_LOST' && again === 'WORKSPACE_BUSY')) again = await ask()
        return again === 'API_LOST' || (said === 'API_LOST' && again === 'WORKSPACE_BUSY') ? again : undefined
      })
      if (again === 'done') {
        ended.push(id)
        done[word] = (done[word] ?? 0) + 1
        if (word === 'kill' || word === 'revoke') {
          quarantined.add(`tap${n}`)
          fenced.set(workspace, (fenced.get(workspace) ?? 0) + Number(wasFree))
        }
      }
      await until(`the host to settle after ${what}: ${again}`, unsettled)
      if (IS_LONG && (i + 1) % 25 === 0) console.log(`${i + 1} operations, ${ended.length} done`)
    }
    await goesOn()
    const trail = readFileSync(host.path('host/events.ndjson'), 'utf8')
    for (const id of ended) expect(trail, `${id} in the trail`).toContain(id)
    // Told late where the agent was killed between the fence and its telling.
    await until('every fence in the trail of the agent', () => {
      const lines = linesIn(filesOf(host.path('events.ndjson')))
      const found = [...fenced].map(([workspace, least]) => ({
        ...{ workspace, least },
        told: lines.filter((line) => line.includes(`"quarantine of ${workspace}"`)).length,
      }))
      return Promise.resolve(found.every(({ told, least }) => told >= least) ? undefined : JSON.stringify(found))
    })
    for (const which of dead.keys()) await receivers.start(which)
    const sinks = await delivered()
    // What refuses everything has lost nothing either.
    if (COUNT >= MANY) expect(ended.length).toBeGreaterThanOrEqual(COUNT / 2)
    if (COUNT >= ALL) expect(Object.keys(done).sort()).toEqual([...new Set(Object.values(NEXT).flat())].sort())
    if (IS_LONG)
      console.log(
        `${COUNT} operations, ${ended.length} done ${JSON.stringify(done)}; killed ${JSON.stringify(deaths)}; ${JSON.stringify(sinks)}; ${seen().length} datagrams behind the uplink`,
      )
  })

  /** Sources and destinations of what came out of the node. */
  const seen = (): readonly string[] =>
    uplink.frames.flatMap(({ bytes }) =>
      bytes[12] === 8 && bytes[13] === 0
        ? [`${bytes.subarray(26, 30).join('.')} ${bytes.subarray(30, 34).join('.')}`]
        : [],
    )

  /** A machine runs after it all and sends what it is granted; what it is not granted none ever sent. */
  async function goesOn(): Promise<void> {
    const state = (await listed()).get(workspaceOf(0))?.state
    if (state === undefined) await host.change('create', 0)
    await host.lift(0)
    quarantined.delete('tap0')
    if (state !== 'running') await host.change('start', 0)
    const before = seen().length
    await until('a machine to send', () =>
      Promise.resolve(
        seen()
          .slice(before)
          .includes(`${sourceOf(0)} ${SINK}`)
          ? undefined
          : 'nothing came',
      ),
    )
    await until('the host to settle at the end', unsettled)
    expect(seen().filter((ends) => ends.endsWith(` ${FORBIDDEN}`))).toEqual([])
  }

  /** Waits until every event of both trails is in every sink, and holds what is there against the journals. */
  async function delivered() {
    await until('everything to be delivered', async () => {
      const { json } = await host.agent.ask('audit', 'reconcile', '--companion', host.path('companion.yaml'))
      const trails = [...(json.agents ?? []), json.own] as readonly (TrailReconciled | undefined)[]
      const isWhole = (trail: TrailReconciled | undefined): boolean => {
        const newest = trail?.epochs.at(-1)
        return (
          trail?.agrees === true &&
          newest?.journalled === newest?.through &&
          trail.epochs.length > 0 &&
          trail.epochs.every(({ through, from, sinks }) =>
            sinks.every(({ delivered, pending }) => delivered === through - from && pending === 0),
          )
        )
      }
      return trails.length === 2 && trails.every(isWhole) ? undefined : JSON.stringify(json)
    })
    const counts: Record<string, { readonly events: number; readonly again: number }> = {}
    for (const [name, path, keys] of [
      ['n1', host.path('events.ndjson'), host.path('state/agent.pub.json')],
      ['companion', host.path('host/events.ndjson'), host.path('host/agent.pub.json')],
    ] as const) {
      // A companion has a key once it has signed something.
      const trust = existsSync(keys) ? ['--trust', keys] : []
      const verified = await host.agent.ask('audit', 'verify', path, ...trust)
      expect(verified.exit, JSON.stringify(verified.json)).toBe(0)
      const files = filesOf(path)
      const journalled = linesIn(files).length
      await until(`all of ${name} in every sink`, async () => {
        const arrived = await receivers.arrived(name)
        const journal = linesIn(files)
        for (const [sink, lines] of Object.entries(arrived)) {
          const { events, again, wrong } = hold(journal, lines)
          expect(wrong, `${name} in ${sink}`).toEqual([])
          counts[`${name}/${sink}`] = { events, again }
          if (events < journalled) return `${sink} has ${events} of ${journalled}`
        }
        return undefined
      })
    }
    return counts
  }
})
