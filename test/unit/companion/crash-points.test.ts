// The companion ended before and after every one of its effects (writes of records, calls of the driver, the agent and the broker), in
// every operation from every state it is for, and once more at every effect of the recovery. Whatever the point: nothing is left that
// nobody asked for, no CPU runs without a proved fence at any moment, what was accepted comes to its end, and the same request then
// gives one answer.

import { describe, expect, it } from 'vitest'
import type { WorkspaceState } from '../../../src/companion/lifecycle/operations.js'
import { ask, askKill, type Booted, boot, World, WS } from '../../support/companion/world.js'

type Word = 'create' | 'start' | 'stop' | 'rebake' | 'revoke' | 'delete' | 'kill'
const perform = (at: Booted, word: Word, id: string): Promise<unknown> =>
  word === 'kill' ? askKill(at, id) : ask(at, word, id)

/** What was done before, the operation, and the states that it may leave: as it was, or as it should be. */
const CASES: readonly (readonly [before: readonly Word[], word: Word, from: WorkspaceState, to: WorkspaceState])[] = [
  [[], 'create', 'absent', 'stopped'],
  [['create'], 'start', 'stopped', 'running'],
  [['create', 'start'], 'stop', 'running', 'stopped'],
  [['create'], 'rebake', 'stopped', 'stopped'],
  [['create', 'start'], 'rebake', 'running', 'running'],
  [['create', 'start'], 'revoke', 'running', 'revoked'],
  [['create'], 'revoke', 'stopped', 'revoked'],
  [['create', 'start'], 'kill', 'running', 'killed'],
  [['create'], 'kill', 'stopped', 'killed'],
  [['create', 'start', 'stop'], 'delete', 'stopped', 'absent'],
  [['create', 'start', 'kill'], 'delete', 'killed', 'absent'],
]

/** Every effect of a recovery takes 20 s; by default every twelfth of them, begun elsewhere each time. */
const STRIDE = process.env.SLUICE_CRASH_POINTS === 'all' ? 1 : 12

/** On a machine with much else to do. */
const PATIENT = 900_000

async function prepared(before: readonly Word[]): Promise<{ readonly world: World; readonly at: Booted }> {
  const world = new World()
  const at = await boot(world)
  for (const [i, word] of before.entries()) await perform(at, word, `before-${i}`)
  return { world, at }
}

/** Runs it until it is done or the companion is dead. */
async function untilDead(at: Booted, word: Word, id: string): Promise<'done' | 'dead'> {
  return Promise.race([perform(at, word, id).then(() => 'done' as const), at.death])
}

async function recovered(world: World, crashIn = Number.POSITIVE_INFINITY): Promise<Booted | 'dead'> {
  const at = await boot(world)
  at.crashIn(crashIn)
  const whole = async (): Promise<Booted> => {
    await at.lifecycle.resume()
    for (let look = 0; look < 8 && (await at.lifecycle.look()).length > 0; look++);
    return at
  }
  return Promise.race([whole(), at.death])
}

function settled(world: World, at: Booted, states: readonly WorkspaceState[], where: string): void {
  const record = at.lifecycle.host.store.get(WS)
  const state = record?.state ?? 'absent'
  expect(states, where).toContain(state)
  expect(record?.doing ?? null, where).toBeNull()
  expect(record?.owed ?? [], where).toEqual([])
  const n = record?.incarnation ?? 0
  const runs = state === 'running' ? [`attached ${WS}`, `interface ${WS}`, `machine ${WS}#${n} running`] : []
  const layer = state === 'absent' ? [] : [`layer ${WS}#${n}`]
  expect(world.left(), where).toEqual([...runs, ...layer].sort())
  if (state === 'killed' || state === 'revoked') expect([...world.quarantined], where).toEqual([WS])
  if (state === 'running') expect(record?.lease, where).toBe(world.attached.get(WS)?.lease)
  expect(world.violations, where).toEqual([])
}

describe.each(CASES)('after %j: %s', (before, word, from, to) => {
  it('ended at every effect, it is taken up again', { timeout: PATIENT }, async () => {
    let points = 0
    for (let n = 1; ; n++) {
      const { world, at } = await prepared(before)
      at.crashIn(n)
      if ((await untilDead(at, word, 'id')) === 'done') break
      points++
      const again = await recovered(world)
      if (again === 'dead') throw new Error('it ends by itself')
      settled(world, again, [from, to], `${word} ended at effect ${n}`)
      // Asked for again under the same id it is done, once.
      await perform(again, word, 'id')
      settled(world, again, [to], `${word} ended at effect ${n}, asked for again`)
    }
    // At least its record before and after, and an effect between, each with two sides.
    expect(points).toBeGreaterThanOrEqual(6)
  })

  it('ended at every effect, and again at every effect of the recovery', { timeout: PATIENT }, async () => {
    let points = 0
    for (let n = 1, alive = true; alive; n++)
      for (let m = 1 + (n % STRIDE); ; m += STRIDE) {
        const { world, at } = await prepared(before)
        at.crashIn(n)
        if ((await untilDead(at, word, 'id')) === 'done') {
          alive = false
          break
        }
        const first = await recovered(world, m)
        if (first !== 'dead') break
        points++
        const again = await recovered(world)
        if (again === 'dead') throw new Error('it ends by itself')
        settled(world, again, [from, to], `${word} ended at effect ${n}, and at effect ${m} of the recovery`)
      }
    expect(points).toBeGreaterThanOrEqual(12 / STRIDE)
  })
})
