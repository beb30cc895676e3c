// The kill switch over a world in memory, where the disk hangs or is damaged, and where there is much to kill.

import { beforeEach, describe, expect, it } from 'vitest'
import { kill } from '../../../src/companion/lifecycle/kill.js'
import { ask, askKill, type Booted, boot, fresh, inTime, World, WS } from '../../support/companion/world.js'

let world: World
let at: Booted
beforeEach(async () => {
  world = new World()
  at = await boot(world)
})

const up = async (workspace = WS): Promise<void> => {
  await ask(at, 'create', fresh(), workspace)
  await ask(at, 'start', fresh(), workspace)
}

describe('a kill', () => {
  it('works when the disk hangs: no fence waits for it, and the answer not long', async () => {
    await up()
    for (const effect of ['read', 'write']) world.held.set(effect, new Promise(() => undefined))
    const killing = askKill(at)
    while (!world.done.includes('unplug')) await new Promise(setImmediate)
    const { report } = await inTime(at, killing)
    expect(report.workspaces[0]).toMatchObject({ state: 'killed', owed: [] })
    expect(report.elapsedMs).toBeLessThan(15_000)
    const why = 'the disk did not take it within 5000 ms'
    expect(at.told.filter(({ kind }) => kind === 'unrecorded')).toEqual([{ kind: 'unrecorded', workspace: WS, why }])
    expect(report.workspaces[0]?.unrecorded).toBe(why)
    expect(world.left()).toEqual([`layer ${WS}#1`])
  })

  it('says in its report that there was no broker to tell, which is no part that was not done', async () => {
    world.toldNobody = 'there is no broker'
    await up()
    const { report } = await askKill(at)
    expect(report.partial).toBe(false)
    const sessions = report.workspaces[0]?.steps.find(({ step }) => step === 'sessions')
    expect(sessions).toMatchObject({ outcome: 'done', what: 'there is no broker' })
  })

  it.each([
    ['is damaged', '{"digest"', undefined],
    ['is of another request', '{"digest":"sha256:00"}', 'WORKSPACE_REQUEST'],
  ])('is asked for again, and its receipt %s', async (_what, text, code) => {
    await up()
    const id = fresh()
    const first = await askKill(at, id)
    for (const name of world.receipts.keys()) world.receipts.set(name, new TextEncoder().encode(text))
    if (code !== undefined) await expect(askKill(at, id)).rejects.toMatchObject({ code })
    else expect((await askKill(at, id)).report.workspaces).toEqual(first.report.workspaces)
    expect(world.done.filter((name) => name === 'quarantine')).toHaveLength(1)
  })

  it('that was carried out takes nothing that was made since', async () => {
    await up()
    const asked = { requestId: fresh(), target: { kind: 'everything' }, by: 'user:ops', reason: '' } as const
    const first = await kill(at.kills, asked)
    await up(`${WS}2`)
    expect(await kill(at.kills, asked)).toEqual(first)
    expect(at.lifecycle.known(`${WS}2`).state).toBe('running')
  })

  it('asks for every fence at once, and lets no machine wait for a batch', async () => {
    const all = Array.from({ length: 40 }, (_, i) => `${WS}${i + 100}`)
    for (const workspace of all) await ask(at, 'create', fresh(), workspace)
    let asked = 0
    const { fence } = at.lifecycle.host.ports
    const { quarantine } = fence
    fence.quarantine = (workspace, reason) => {
      asked += 1
      return quarantine(workspace, reason)
    }
    let letGo: () => void = () => undefined
    world.held.set(
      'quarantine',
      new Promise((resolve) => {
        letGo = resolve
      }),
    )
    const done = kill(at.kills, { requestId: fresh(), target: { kind: 'everything' }, by: 'user:ops', reason: '' })
    await expect.poll(() => asked).toBe(40)
    letGo()
    expect((await done).report.partial).toBe(false)
    expect(world.done.filter((name) => name === 'end')).toHaveLength(40)
  })
})
