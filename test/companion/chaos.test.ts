// The companion, the agent and machines killed (SIGKILL) at moments that nobody chose, over operations of the whole life of workspaces
// with the real agent and real taps. Whatever dies: when it is back, what was asked for is so or is refused with a reason, nothing is left
// that nobody asked for, no machine runs without its slot, and every operation that came to an end is in the trail. SLUICE_CHAOS says how
// many operations; SLUICE_CHAOS_SEED repeats a run.

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { until } from '../support/agent/running.js'
import { LabHost, workspaceOf } from '../support/companion/lab-host.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'

const SIZE = 3
const COUNT = Number(process.env.SLUICE_CHAOS ?? 6)
const SEED = Number(process.env.SLUICE_CHAOS_SEED ?? 20_261_121)

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
/** What may be refused, or end half way, because something else was dead at that moment. */
const PASSING = new Set([
  ...['API_LOST', 'COMPANION_AGENT', 'WORKSPACE_STEP', 'WORKSPACE_OWED', 'WORKSPACE_BUSY', 'WORKSPACE_UNKNOWN'],
  ...['WORKSPACE_TAKEN_AWAY', 'WORKSPACE_EXISTS', 'WORKSPACE_RUNS'],
])

labSuite('a host whose parts die', () => {
  let lab: Lab
  let host: LabHost
  beforeAll(async () => {
    lab = await openLab()
    host = await LabHost.open(lab, SIZE)
  }, 600_000)
  afterAll(async () => {
    await host?.close()
    await lab?.close()
  }, 600_000)

  const listed = async () => new Map((await host.list()).map((one) => [one.profile.workspace, one]))
  /** Everything is as the companion says, and stays so for two looks. */
  const settled = async () => {
    await until('the host to settle', async () => {
      const all = [...(await listed()).values()]
      const running = all.filter(({ state }) => state === 'running')
      const { taps, pushers, layers, attached } = await host.left()
      return (
        all.every(
          ({ owed, doing, machine, state }) =>
            owed.length === 0 && doing === '' && (state === 'running') === (machine === 'running'),
        ) &&
        pushers.length === running.length &&
        taps.length === running.length &&
        layers.length === all.length &&
        JSON.stringify(attached) === JSON.stringify(running.map(({ profile }) => profile.workspace).sort())
      )
    }).catch(async (error: unknown) => {
      const state = JSON.stringify({ left: await host.left(), listed: [...(await listed()).values()] })
      throw new Error(
        `${error instanceof Error ? error.message : ''}: ${state}\n${host.lines
          .slice(-20)
          .map((line) => JSON.stringify(line))
          .join('\n')}`,
      )
    })
  }

  it('is whole when they are back', { timeout: 7_200_000 }, async () => {
    const draw = chance(SEED)
    const pick = <T>(list: readonly T[]): T => list[Math.floor(draw() * list.length)] as T
    const deaths = { companion: 0, agent: 0, machine: 0 }
    const ended: string[] = []
    for (let i = 0; i < COUNT; i++) {
      const n = Math.floor(draw() * SIZE)
      const state = ((await listed()).get(workspaceOf(n))?.state ?? 'absent') as keyof typeof NEXT
      const word = pick<(typeof NEXT)[keyof typeof NEXT][number]>(NEXT[state])
      if (word === 'start' && (state === 'revoked' || state === 'killed')) await host.lift(n)
      const id = `chaos-${SEED}-${i}`
      const ask = () =>
        (word === 'kill' ? host.kill(n, id) : host.change(word, n, id)).then(
          () => 'done',
          (error: { readonly code?: string }) => error.code ?? String(error),
        )
      const outcome = ask()
      const victim = pick(['companion', 'companion', 'agent', 'machine', 'nobody'] as const)
      await sleep(draw() * 1_500)
      if (victim !== 'nobody') deaths[victim]++
      if (victim === 'companion') {
        await host.crash()
        await host.start()
      } else if (victim === 'agent') {
        await host.agent.kill()
        host.agent.start()
        await host.agent.told('active')
      } else if (victim === 'machine') {
        const [process_] = host.pushers()
        if (process_) process.kill(process_.pid, 'SIGKILL')
      }
      const said = await outcome
      if (said !== 'done') expect(PASSING, `${i}: ${word} of ${n} with ${victim} dead: ${said}`).toContain(said)
      // Whoever was cut off asks again under the same id, and gets the one answer that there is.
      const again =
        said === 'API_LOST'
          ? await until(`the answer to ${id}`, async () => {
              const now = await ask()
              return now === 'API_LOST' || now === 'WORKSPACE_BUSY' ? undefined : now
            })
          : said
      if (again === 'done') ended.push(id)
      await settled()
    }
    const trail = readFileSync(host.path('host/events.ndjson'), 'utf8')
    for (const id of ended) expect(trail, `${id} in the trail`).toContain(id)
    const keys = host.path('host/agent.pub.json')
    const { exit } = await host.agent.ask('audit', 'verify', host.path('host/events.ndjson'), '--trust', keys)
    expect(exit).toBe(0)
    if (process.env.SLUICE_CHAOS !== undefined)
      console.log(`${COUNT} operations, ${ended.length} done; killed ${JSON.stringify(deaths)}`)
  })
})
