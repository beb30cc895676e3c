// What comes after its time in the life of a workspace: steps that end when nobody waits for them any more, writes that fail when another
// operation has taken the place, and what is owed and told later.

import { beforeEach, describe, expect, it } from 'vitest'
import { type KillTarget, kill } from '../../../src/companion/lifecycle/kill.js'
import type { Told } from '../../../src/companion/lifecycle/lifecycle.js'
import { ask, askKill, type Booted, boot, fresh, inTime, World, WS } from '../../support/companion/world.js'

let world: World
let at: Booted
beforeEach(async () => {
  world = new World()
  at = await boot(world)
})
const record = () => at.lifecycle.host.store.get(WS)
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
}
/** Holds an effect until the function that it gives is called. */
const hold = (effect: string): (() => void) => {
  let letGo: () => void = () => undefined
  world.held.set(
    effect,
    new Promise((resolve) => {
      letGo = resolve
    }),
  )
  return () => {
    world.held.delete(effect)
    letGo()
  }
}

describe('an operation that is over', () => {
  it('writes nothing more: a layer that is made after its time leaves the record of the workspace that was made again', async () => {
    const letGo = hold('layer')
    const first = ask(at, 'create').catch((error: unknown) => error)
    while (record()?.doing?.step !== 'layer') await new Promise(setImmediate)
    await turns()
    at.pass(900_000)
    expect(await first).toMatchObject({ code: 'WORKSPACE_STEP' })
    world.held.clear()
    await ask(at, 'create')
    const made = record()
    expect(made).toMatchObject({ state: 'stopped', image: 'base@1' })
    letGo()
    await turns()
    expect(record()).toEqual(made)
  })

  it('whose record could not be written puts nothing back when a kill has taken its place', async () => {
    await ask(at, 'create')
    const letGo = hold('write')
    const start = ask(at, 'start').catch((error: unknown) => error)
    await turns()
    const killing = askKill(at)
    await turns()
    world.broken.set('write', 'ENOSPC')
    letGo()
    await start
    expect(record()?.doing?.change ?? record()?.state).toMatch(/^kill(ed)?$/)
    world.broken.clear()
    await killing
    expect(record()?.state).toBe('killed')
  })
})

describe('a record that is damaged', () => {
  it('keeps its file and its disk, and nobody else from anything; it can be killed, and nothing more', async () => {
    const two = `${WS}2`
    await ask(at, 'create')
    const [file = ''] = [...world.disk.keys()]
    await ask(at, 'create', undefined, two)
    const damaged = new TextEncoder().encode('{"body":{}}')
    world.disk.set(file, damaged)
    at = await boot(world)
    expect([...at.lifecycle.host.store.damaged.keys()]).toEqual([file])
    await ask(at, 'start', undefined, two)
    await at.lifecycle.look()
    for (const change of ['create', 'start'] as const)
      await expect(ask(at, change)).rejects.toMatchObject({ code: 'COMPANION_STORE' })
    expect((await askKill(at)).report.workspaces[0]).toMatchObject({ workspace: WS, owed: [] })
    expect([...world.quarantined]).toEqual([WS])
    for (let look = 0; look < 3; look++) await at.lifecycle.look()
    expect(world.disk.get(file)).toBe(damaged)
    expect(world.layers).toContain(`${WS}#1`)
    expect(at.lifecycle.known(two).state).toBe('running')
    // Its file is moved away.
    world.disk.delete(file)
    at = await boot(world)
    for (let look = 0; look < 3; look++) await at.lifecycle.look()
    expect(world.layers).toContain(`${WS}#1`)
  })

  const damage = async (how: (text: string) => string): Promise<string> => {
    await ask(at, 'create')
    await ask(at, 'start')
    const [file = ''] = [...world.disk.keys()]
    const text = new TextDecoder().decode(world.disk.get(file))
    world.disk.set(file, new TextEncoder().encode(how(text)))
    at = await boot(world)
    return file
  }
  const killAll = (target: KillTarget = { kind: 'everything' }) =>
    kill(at.kills, { requestId: fresh(), target, ...BY_TEST })

  it.each([
    ['its file says so', (text: string) => text.replace('"lease":1', '"lease":2'), undefined],
    ['the agent knows it', () => 'half a fi', undefined],
    ['the machines know it', () => '', 'fence.look'],
  ])('is meant by a kill of everything, and of any user, where %s', async (_why, how, broken) => {
    await damage(how)
    if (broken !== undefined) world.broken.set(broken, 'API_LOST')
    const { report } = await killAll({ kind: 'user', user: 'somebody' })
    expect(report.workspaces).toMatchObject([{ workspace: WS, unrecorded: expect.stringMatching(/./) }])
    expect([...world.quarantined]).toEqual([WS])
    expect(report.partial).toBe(broken !== undefined)
    world.broken.clear()
    await at.lifecycle.look()
    expect(world.left()).toEqual([`layer ${WS}#1`])
  })

  it('is a row of such a kill that was not done, where nobody knows whose it is', async () => {
    const file = await damage(() => '')
    for (const name of ['fence.look', 'machine.look']) world.broken.set(name, 'API_LOST')
    const { report } = await killAll()
    const steps = [{ step: 'fence', outcome: 'failed', why: expect.stringContaining(file) }]
    expect(report).toMatchObject({
      partial: true,
      workspaces: [{ workspace: `record:${file}`, fencedAtMs: null, steps }],
    })
  })
})

const up = async (): Promise<void> => {
  await ask(at, 'create')
  await ask(at, 'start')
}
type Changed = Extract<Told, { kind: 'changed' }>
/** What was told of operations since the test began to look. */
const changes = (): readonly Changed[] => at.told.filter((one): one is Changed => one.kind === 'changed')
const said = ({ answer, by, reason }: Changed) => ({
  ...{ request: answer.requestId, change: answer.change, by, reason, owed: answer.owed },
  steps: answer.steps.map(({ step, outcome }) => `${step} ${outcome}`),
})
const BY_TEST = { by: 'user:test', reason: 'a test' }

describe('a host that cannot be seen', () => {
  it('keeps no fence that is owed waiting, nor a machine whose slot the agent has given up', async () => {
    const two = `${WS}2`
    for (const workspace of [WS, two]) {
      await ask(at, 'create', undefined, workspace)
      await ask(at, 'start', undefined, workspace)
    }
    world.broken.set('quarantine', 'API_LOST')
    await askKill(at)
    world.broken.clear()
    world.broken.set('machine.look', 'EIO')
    world.attached.delete(two)
    await at.lifecycle.look()
    expect([...world.quarantined]).toEqual([WS])
    expect(record()).toMatchObject({ state: 'killed', owed: [] })
    expect(at.lifecycle.known(two).state).toBe('stopped')
    expect([...world.machines]).toEqual([])
  })
})

describe('what is owed', () => {
  it('is done and told in the name of the request that it belongs to, with the receipt of the agent', async () => {
    await up()
    at.told.length = 0
    world.broken.set('quarantine', 'API_LOST')
    const id = fresh()
    const first = await askKill(at, id)
    expect(changes().map(said)).toMatchObject([{ request: id, change: 'kill', owed: ['fence'] }])
    for (let look = 0; look < 3; look++) await at.lifecycle.look()
    // What fails again is no news.
    expect(changes()).toHaveLength(1)
    const asked: string[] = []
    const { fence } = at.lifecycle.host.ports
    const { quarantine } = fence
    fence.quarantine = (workspace, reason) => {
      asked.push(reason)
      return quarantine(workspace, reason)
    }
    world.broken.clear()
    at.pass(60_000)
    await at.lifecycle.look()
    const [, later, ...more] = changes()
    expect(more).toEqual([])
    expect(later && said(later)).toEqual({ request: id, change: 'kill', ...BY_TEST, owed: [], steps: ['fence done'] })
    expect(later?.answer.steps[0]?.receipt).toBe('agent-receipt')
    expect(later?.answer.steps[0]?.atMs).toBeGreaterThanOrEqual((later?.owedSinceMs ?? Number.NaN) + 60_000)
    expect(asked).toEqual(['a test'])
    // Whoever asks again gets the answer that there was.
    expect(await askKill(at, id)).toEqual(first)
    expect(asked).toHaveLength(1)
  })

  it('is told step by step, as each is done', async () => {
    await up()
    world.broken.set('quarantine', 'API_LOST').set('sessions', 'WORKSPACE_SESSIONS')
    const id = fresh()
    await askKill(at, id)
    at.told.length = 0
    world.broken.delete('quarantine')
    await at.lifecycle.look()
    world.broken.clear()
    await at.lifecycle.look()
    await at.lifecycle.look()
    expect(changes().map(said)).toEqual([
      { request: id, change: 'kill', ...BY_TEST, owed: ['sessions'], steps: ['fence done', 'sessions failed'] },
      { request: id, change: 'kill', ...BY_TEST, owed: [], steps: ['sessions done'] },
    ])
  })

  it('of two requests is told to each, and a fence goes before everything; a restart changes nothing of it', async () => {
    await up()
    world.broken.set('detach', 'API_LOST')
    const stop = fresh()
    await ask(at, 'stop', stop)
    world.broken.delete('detach')
    world.broken.set('quarantine', 'API_LOST')
    // Its own detach is done, and with it that of the stop.
    world.broken.set('sessions', 'WORKSPACE_SESSIONS')
    const revoke = fresh()
    await ask(at, 'revoke', revoke)
    expect(at.lifecycle.known(WS).owed.map(({ step }) => step)).toEqual(['fence', 'sessions'])
    world.broken.set('end', 'MACHINE_ALIVE')
    world.broken.delete('quarantine')
    const kill = fresh()
    await askKill(at, kill)
    expect(at.lifecycle.known(WS).owed.map(({ step, request }) => [step, request.requestId])).toEqual([
      ['end', kill],
      ['sessions', kill],
    ])
    at = await boot(world)
    world.broken.clear()
    world.done.length = 0
    await at.lifecycle.look()
    expect(changes().map(said)).toEqual([
      { request: kill, change: 'kill', ...BY_TEST, owed: [], steps: ['end done', 'sessions done'] },
    ])
  })

  it('gets a fence first, whoever it is owed to', async () => {
    await up()
    world.broken.set('detach', 'API_LOST')
    await ask(at, 'stop')
    const record = at.lifecycle.known(WS)
    const request = {
      requestId: 'r-0',
      digest: record.answers[0]?.digest ?? 'sha256:',
      change: 'kill',
      ...BY_TEST,
    } as const
    await at.lifecycle.host.store.put({ ...record, owed: [...record.owed, { step: 'fence', sinceMs: 1, request }] })
    world.broken.clear()
    world.done.length = 0
    await at.lifecycle.look()
    expect(world.done.filter((name) => name === 'quarantine' || name === 'detach')).toEqual(['quarantine', 'detach'])
    expect(
      changes()
        .slice(-2)
        .map(({ answer }) => [answer.change, answer.owed]),
    ).toEqual([
      ['kill', ['detach']],
      ['stop', []],
    ])
    expect(at.lifecycle.known(WS).owed).toEqual([])
  })

  it('is left to a kill that takes its place, and asked for again gives what that one did', async () => {
    await up()
    world.broken.set('sessions', 'WORKSPACE_SESSIONS')
    await ask(at, 'revoke')
    world.broken.clear()
    const letGo = hold('sessions')
    const looking = at.lifecycle.look()
    while (!at.lifecycle.underWay(WS)) await new Promise(setImmediate)
    const id = fresh()
    const killing = askKill(at, id)
    await turns()
    letGo()
    const { report } = await killing
    await looking
    expect(report.workspaces[0]).toMatchObject({ state: 'killed', owed: [] })
    expect(at.lifecycle.known(WS)).toMatchObject({ state: 'killed', owed: [], doing: null })
    expect(at.lifecycle.known(WS).answers.every(({ requestId }) => requestId !== '')).toBe(true)
  })

  it.each(['kill', 'revoke'] as const)('and was done before a %s takes its place is told', async (word) => {
    await up()
    world.broken.set('quarantine', 'API_LOST').set('sessions', 'WORKSPACE_SESSIONS')
    const owing = fresh()
    await ask(at, 'revoke', owing)
    world.broken.clear()
    at.told.length = 0
    const letGo = hold('sessions')
    const looking = at.lifecycle.look()
    while (!at.told.some((one) => one.kind === 'step' && one.done.step === 'fence')) await new Promise(setImmediate)
    const id = fresh()
    const taking = word === 'kill' ? askKill(at, id) : ask(at, 'revoke', id)
    await turns()
    letGo()
    await Promise.all([taking, looking])
    const [paid, ...more] = changes()
    expect(paid && said(paid)).toEqual({
      ...{ request: owing, change: 'revoke', ...BY_TEST, owed: ['sessions'], steps: ['fence done'] },
    })
    expect(paid).toMatchObject({ owedSinceMs: expect.any(Number) as number })
    expect(more.map(({ answer }) => answer.requestId)).toEqual([id])
    expect(at.lifecycle.known(WS).owed).toEqual([])
  })
})

describe('an operation whose place was taken', () => {
  it.each(['kill', 'revoke'] as const)('by a %s is told as well, in the name of whoever asked for it', async (word) => {
    await ask(at, 'create')
    const letGo = hold('attach')
    at.told.length = 0
    const id = fresh()
    const start = ask(at, 'start', id).catch((error: unknown) => error)
    while (!world.done.includes('prepare')) await new Promise(setImmediate)
    const taking = word === 'kill' ? askKill(at) : ask(at, 'revoke')
    await turns()
    letGo()
    await taking
    expect(await start).toMatchObject({ code: 'WORKSPACE_PREEMPTED' })
    expect(changes().map(({ answer }) => [answer.change, answer.failure?.code])).toEqual([
      ['start', 'WORKSPACE_PREEMPTED'],
      [word, undefined],
    ])
    const [first] = changes()
    expect(first && said(first)).toMatchObject({ request: id, ...BY_TEST, steps: ['released done', 'prepare done'] })
  })
})

describe('a disk that does not take what was done', () => {
  it('and refuses keeps no revoke from its fence; it is told once, and stands in the answer', async () => {
    await up()
    world.broken.set('write', 'ENOSPC')
    at.told.length = 0
    const answer = await ask(at, 'revoke')
    const why = expect.stringMatching(/^cannot write [0-9a-f]{32}\.json: ENOSPC$/)
    expect(answer).toMatchObject({ state: 'revoked', owed: [], unrecorded: why })
    expect([[...world.quarantined], world.sessionsClosed, world.left()]).toEqual([[WS], [WS], [`layer ${WS}#1`]])
    expect(at.told.filter(({ kind }) => kind === 'unrecorded')).toEqual([{ kind: 'unrecorded', workspace: WS, why }])
  })

  it('and hangs keeps no revoke from its fence, nor its answer for long', async () => {
    await up()
    world.held.set('write', new Promise(() => undefined))
    const revoking = ask(at, 'revoke')
    while (!world.done.includes('unplug')) await new Promise(setImmediate)
    expect([...world.quarantined]).toEqual([WS])
    const unrecorded = 'the disk did not take it within 5000 ms'
    expect(await inTime(at, revoking)).toMatchObject({ state: 'revoked', owed: [], unrecorded })
  })

  it('keeps a start from its first effect', async () => {
    await ask(at, 'create')
    const before = world.done.length
    world.broken.set('write', 'ENOSPC')
    await expect(ask(at, 'start')).rejects.toMatchObject({ code: 'COMPANION_STORE_WRITE' })
    expect(world.done.length).toBe(before)
  })
})
