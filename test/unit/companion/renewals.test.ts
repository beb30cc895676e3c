// `max_image_age`: which workspaces are due by the age of their image, as a pure decision; and what the companion makes of it over a world in
// memory: one at a time, to the newest image that is fresh itself, never of what was taken away, and said once where it cannot.

import { beforeEach, describe, expect, it } from 'vitest'
import type { Profile } from '../../../src/companion/lifecycle/profile.js'
import { emptyRecord, type WorkspaceRecord } from '../../../src/companion/lifecycle/record.js'
import { type Due, dueOf, type Shelf, shelfKey } from '../../../src/companion/lifecycle/renewal.js'
import { Renewals } from '../../../src/companion/renewals.js'
import { ask, askKill, type Booted, boot, fresh, profileOf, World, WS } from '../../support/companion/world.js'

const DAY = 86_400_000
const NOW = 1_000 * DAY
const built = (...pairs: readonly (readonly [string, number])[]): Shelf => ({
  builtAtMs: new Map(pairs.map(([image, days]) => [image, NOW - days * DAY])),
  // As the list has them: the last of each name.
  newest: new Map(pairs.map(([image]) => [image.split('@')[0] ?? '', image])),
})
const REQUEST = { requestId: 'r', digest: 'sha256:0', change: 'stop', by: '', reason: '' } as const
const DEBT = { step: 'detach', sinceMs: 1, request: REQUEST } as const
const OLD = 'base@1 was built at 1972-09-01T00:00:00.000Z, longer ago than max_image_age'

describe('due', () => {
  const record = (more: Partial<WorkspaceRecord> = {}): WorkspaceRecord => ({
    ...emptyRecord(WS),
    ...{ profile: profileOf(), state: 'running', image: 'base@1', incarnation: 1 },
    ...more,
  })
  const due = (records: readonly WorkspaceRecord[], shelf: Shelf): readonly Due[] =>
    dueOf(records, shelf, { nowMs: NOW, maxAgeMs: 7 * DAY })

  it.each<[string, Shelf, readonly Omit<Due, 'workspace'>[]]>([
    ['an image of that age is not', built(['base@1', 7], ['base@2', 1]), []],
    ['an older one is', built(['base@1', 26], ['base@2', 1]), [{ why: OLD, to: 'base@2' }]],
    ['an older one waits where none is newer', built(['base@1', 26]), [{ why: OLD }]],
    ['an older one waits where the newest is too old', built(['base@1', 26], ['base@2', 8]), [{ why: OLD }]],
    ['an older one waits where only another name is fresh', built(['base@1', 26], ['other@9', 1]), [{ why: OLD }]],
    [
      'one that left the list is',
      built(['base@2', 1]),
      [{ why: 'base@1 is not in the list of images any more', to: 'base@2' }],
    ],
  ])('%s', (_name, shelf, wanted) => {
    expect(due([record()], shelf)).toEqual(wanted.map((one) => ({ workspace: WS, ...one })))
  })

  it('are renewed to the newest of the profile that their network takes, whatever else the name has', () => {
    const shelf = built(['base@1', 26], ['base@2', 2], ['base@3', 1])
    const newest = new Map([...shelf.newest, [shelfKey('base', 'gpu'), 'base@2']])
    const takes = ({ network }: Profile) => (network === 'ws0' ? 'gpu' : 'desktop')
    const of = (network: string) =>
      dueOf(
        [record({ profile: profileOf(WS, { network }) })],
        { ...shelf, newest },
        { nowMs: NOW, maxAgeMs: 7 * DAY, takes },
      )
    expect(of('ws0')).toEqual([{ workspace: WS, why: OLD, to: 'base@2' }])
    expect(of('ws1')).toEqual([{ workspace: WS, why: OLD }])
  })

  it('are those that run or are stopped, and have nothing under way or owed, in the order of their names', () => {
    const doing = { requestId: 'r', digest: 'sha256:0', change: 'stop', by: '', reason: '', from: 'running', atMs: 0 }
    const records = [
      record({ workspace: `${WS}b`, state: 'stopped' }),
      record({ workspace: `${WS}a` }),
      record({ workspace: `${WS}c`, state: 'killed' }),
      record({ workspace: `${WS}d`, state: 'revoked' }),
      record({ workspace: `${WS}e`, owed: [DEBT] }),
      record({ workspace: `${WS}f`, doing: { ...doing, step: null } as WorkspaceRecord['doing'] }),
      record({ workspace: `${WS}g`, profile: null, state: 'absent' }),
      record({ workspace: `${WS}h`, state: 'stopped', image: '' }),
    ]
    const found = due(records, built(['base@1', 26], ['base@2', 1]))
    expect(found.map(({ workspace }) => workspace)).toEqual([`${WS}a`, `${WS}b`])
  })
})

describe('the companion', () => {
  let world: World
  let at: Booted
  let said: string[]
  let nowMs: number
  let shelf: () => Promise<Shelf>
  let renewals: Renewals
  const images = () => [WS, `${WS}2`].map((workspace) => at.lifecycle.host.store.get(workspace)?.image)
  const rebakes = () =>
    at.told.flatMap((one) =>
      one.kind === 'changed' && one.answer.change === 'rebake'
        ? [`${one.record.workspace} by ${one.by}: ${one.reason}${one.answer.failure ? ', failed' : ''}`]
        : [],
    )
  beforeEach(async () => {
    world = new World()
    at = await boot(world)
    said = []
    nowMs = NOW
    shelf = () => Promise.resolve(built(['base@1', 26], ['base@2', 1]))
    renewals = new Renewals({
      ...{ lifecycle: at.lifecycle, maxAgeMs: 7 * DAY, nowMs: () => nowMs, shelf: () => shelf() },
      tell: (why, workspace) => said.push(`${workspace ?? 'list'}: ${why}`),
    })
    for (const workspace of [WS, `${WS}2`]) {
      await ask(at, 'create', fresh(), workspace)
      await ask(at, 'start', fresh(), workspace)
    }
    world.image = 'base@2'
  })

  it('rebakes one at a time, says why in the trail, and lets what is fresh be', async () => {
    await renewals.look()
    expect(images()).toEqual(['base@2', 'base@1'])
    await renewals.look()
    expect(images()).toEqual(['base@2', 'base@2'])
    expect(rebakes()).toEqual([`${WS} by companion: ${OLD}`, `${WS}2 by companion: ${OLD}`])
    expect(at.lifecycle.known(WS)).toMatchObject({ state: 'running', incarnation: 2, lease: 2 })
    const before = world.done.length
    await renewals.look()
    expect([world.done.length, said, world.violations]).toEqual([before, [], []])
  })

  it('looks no second time while a rebake is under way, and a kill does not wait for it', async () => {
    let go = (): void => undefined
    world.held.set(
      'halt',
      new Promise((resolve) => {
        go = resolve
      }),
    )
    const first = renewals.look()
    await expect.poll(() => at.lifecycle.underWay(WS)?.change).toBe('rebake')
    await renewals.look()
    expect(at.lifecycle.underWay(`${WS}2`)).toBeUndefined()
    const killing = askKill(at)
    await expect.poll(() => world.quarantined.has(WS)).toBe(true)
    go()
    await killing
    await first
    expect(at.lifecycle.known(WS)).toMatchObject({ state: 'killed', image: 'base@1' })
    expect(world.left().filter((one) => one.includes(`${WS}#`))).toEqual([`layer ${WS}#1`])
    world.held.clear()
    await renewals.look()
    expect(images()).toEqual(['base@1', 'base@2'])
  })

  it('says once what it waits for, and what is wrong with the list', async () => {
    shelf = () => Promise.resolve(built(['base@1', 26]))
    await renewals.look()
    await renewals.look()
    expect(said.splice(0)).toEqual([
      `${WS}: ${OLD}, and there is no newer one`,
      `${WS}2: ${OLD}, and there is no newer one`,
    ])
    shelf = () => Promise.reject(new Error('no disk'))
    await renewals.look()
    await renewals.look()
    expect(said).toEqual(['list: no disk'])
    expect(images()).toEqual(['base@1', 'base@1'])
  })

  it('tries what failed again after a while, and goes on with the others', async () => {
    world.broken.set('layer', 'MACHINE_IMAGE')
    await renewals.look()
    world.broken.clear()
    expect(rebakes()).toEqual([`${WS} by companion: ${OLD}, failed`])
    expect(at.lifecycle.known(WS)).toMatchObject({ state: 'stopped', image: 'base@1', owed: [] })
    await renewals.look()
    await renewals.look()
    expect(images()).toEqual(['base@1', 'base@2'])
    nowMs += 600_000
    await renewals.look()
    expect(images()).toEqual(['base@2', 'base@2'])
    expect(said).toEqual([])
  })
})
