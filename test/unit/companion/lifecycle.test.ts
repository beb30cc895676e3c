// The life of a workspace over a world in memory: what each operation leaves behind, what a failing step takes back and says, request
// ids, what is owed and done later, and kills that wait for nobody.

import { beforeEach, describe, expect, it } from 'vitest'
import { Fault } from '../../../src/base/fault.js'
import { kill } from '../../../src/companion/lifecycle/kill.js'
import { owedSteps } from '../../../src/companion/lifecycle/record.js'
import { ask, askKill, type Booted, boot, fresh, profileOf, World, WS } from '../../support/companion/world.js'

let world: World
let at: Booted
beforeEach(async () => {
  world = new World()
  at = await boot(world)
})

const faultOf = async (done: Promise<unknown>): Promise<Fault> => {
  const error = await done.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof Fault)) throw new Error(`no fault: ${String(error)}`)
  return error
}
const stateOf = (workspace = WS): string | undefined => at.lifecycle.host.store.get(workspace)?.state
const up = async (workspace = WS): Promise<void> => {
  await ask(at, 'create', fresh(), workspace)
  await ask(at, 'start', fresh(), workspace)
}
const RUNNING = [`attached ${WS}`, `interface ${WS}`, `layer ${WS}#1`, `machine ${WS}#1 running`]

describe('a life', () => {
  it('from create to delete leaves nothing behind, and runs only behind a proved fence', async () => {
    await ask(at, 'create')
    expect(world.left()).toEqual([`layer ${WS}#1`])
    const started = await ask(at, 'start')
    expect(started.steps.map(({ step }) => step)).toEqual([
      'released',
      'prepare',
      'attach',
      'policy',
      'evidence',
      'run',
    ])
    expect(started.steps.map(({ what }) => what)).toEqual([
      undefined,
      undefined,
      'att-1',
      'p',
      'sha256:evidence',
      undefined,
    ])
    expect(world.left()).toEqual(RUNNING)
    world.image = 'base@2'
    await ask(at, 'rebake')
    expect(at.lifecycle.known(WS)).toMatchObject({ state: 'running', incarnation: 2, image: 'base@2', lease: 2 })
    expect(world.left()).toEqual([`attached ${WS}`, `interface ${WS}`, `layer ${WS}#2`, `machine ${WS}#2 running`])
    await ask(at, 'stop')
    expect(world.left()).toEqual([`layer ${WS}#2`])
    expect([...world.quarantined]).toEqual([])
    await ask(at, 'delete')
    expect(world.left()).toEqual([])
    expect(at.lifecycle.all()).toEqual([])
    expect(world.violations).toEqual([])
    // Made again it has a machine of another name, and a lease above every one before.
    await up()
    expect(at.lifecycle.known(WS)).toMatchObject({ incarnation: 3, lease: 3 })
  })

  it('is refused what its state does not allow, before anything is changed', async () => {
    expect((await faultOf(ask(at, 'start'))).code).toBe('WORKSPACE_UNKNOWN')
    await up()
    const before = world.done.length
    expect((await faultOf(ask(at, 'create'))).code).toBe('WORKSPACE_EXISTS')
    expect((await faultOf(ask(at, 'delete'))).message).toBe(`the workspace ${WS} runs`)
    expect(world.done.length).toBe(before)
    await ask(at, 'revoke')
    expect((await faultOf(ask(at, 'rebake'))).message).toBe(`the workspace ${WS} is revoked`)
  })

  it('after a revoke or a kill begins again only when an operator lifted the quarantine at the agent', async () => {
    await up()
    await ask(at, 'revoke')
    expect([stateOf(), [...world.quarantined], world.sessionsClosed]).toEqual(['revoked', [WS], [WS]])
    const fault = await faultOf(ask(at, 'start'))
    expect(fault).toMatchObject({ code: 'WORKSPACE_STEP', reaction: 'reject' })
    expect(fault.message).toBe(`start of ${WS} failed at released; it is revoked again`)
    expect((fault.cause as Error).message).toBe(`WORKSPACE_QUARANTINED: the workspace ${WS} is in quarantine`)
    expect(stateOf()).toBe('revoked')
    world.quarantined.delete(WS)
    await ask(at, 'start')
    expect(stateOf()).toBe('running')
  })

  it('waits for its first policy where its profile says so, and no longer than that', async () => {
    await ask(at, 'create')
    world.policy = ''
    const fault = await faultOf(ask(at, 'start'))
    expect((fault.cause as Error).message).toBe(
      'WORKSPACE_STEP_LATE: policy was not done within 1000 ms: no policy applies to it',
    )
    expect(world.left()).toEqual([`layer ${WS}#1`])
    const second = `${WS}2`
    await at.lifecycle.operate({
      ...{ requestId: fresh(), change: 'create', workspace: second, by: 'user:test', reason: '' },
      profile: profileOf(second, { policy: 'baseline' }),
    })
    await ask(at, 'start', fresh(), second)
    expect(stateOf(second)).toBe('running')
  })

  it('does not run under the policy of another channel', async () => {
    await ask(at, 'create')
    world.channel = 'canary'
    const fault = await faultOf(ask(at, 'start'))
    expect((fault.cause as Error).message).toBe(
      'WORKSPACE_CHANNEL: the policy that is live is of channel canary, not stable',
    )
  })
})

describe('a step that fails', () => {
  it.each([
    ['prepare', 'prepare'],
    ['attach', 'attach'],
    ['fence.look', 'released'],
    ['prove', 'evidence'],
    ['run', 'run'],
  ])('%s: is named, and everything is taken back', async (effect, step) => {
    await ask(at, 'create')
    world.broken.set(effect, 'AGENT_BUSY')
    const fault = await faultOf(ask(at, 'start'))
    expect(fault.message).toBe(`start of ${WS} failed at ${step}; it is stopped again`)
    expect((fault.cause as Error).message).toBe('AGENT_BUSY: AGENT_BUSY')
    expect(world.left()).toEqual([`layer ${WS}#1`])
    expect(at.lifecycle.known(WS)).toMatchObject({ state: 'stopped', owed: [], doing: null })
    world.broken.clear()
    await ask(at, 'start')
    expect(world.left()).toContain(`machine ${WS}#1 running`)
    expect(world.violations).toEqual([])
  })

  it('while taking back is owed, keeps the workspace from starting, and is done later', async () => {
    await ask(at, 'create')
    world.broken.set('run', 'MACHINE_SILENT').set('detach', 'API_LOST')
    await faultOf(ask(at, 'start'))
    expect(owedSteps(at.lifecycle.known(WS))).toEqual(['detach'])
    expect(await faultOf(ask(at, 'start'))).toMatchObject({ code: 'WORKSPACE_OWED', reaction: 'retry' })
    await at.lifecycle.look()
    expect(owedSteps(at.lifecycle.known(WS))).toEqual(['detach'])
    world.broken.clear()
    await at.lifecycle.look()
    expect(at.lifecycle.known(WS).owed).toEqual([])
    expect(world.left()).toEqual([`layer ${WS}#1`])
  })

  it('of a stop does not keep the others from being done', async () => {
    await up()
    world.broken.set('detach', 'API_LOST')
    const answer = await ask(at, 'stop')
    expect(answer).toMatchObject({ state: 'stopped', owed: ['detach'] })
    expect(world.left()).toEqual([`attached ${WS}`, `layer ${WS}#1`])
    world.broken.clear()
    await at.lifecycle.look()
    expect(world.left()).toEqual([`layer ${WS}#1`])
  })

  it('of a disk that refuses ends what can be taken back before its effect', async () => {
    await ask(at, 'create')
    world.broken.set('write', 'ENOSPC')
    const fault = await faultOf(ask(at, 'start'))
    expect(fault.code).toBe('COMPANION_STORE_WRITE')
    expect(world.left()).toEqual([`layer ${WS}#1`])
  })
})

describe('a request id', () => {
  it('gives the same answer again, and does nothing twice', async () => {
    const id = fresh()
    const first = await ask(at, 'create', id)
    const effects = world.done.length
    expect(await ask(at, 'create', id)).toEqual(first)
    expect(world.done.length).toBe(effects)
  })

  it('gives the same fault again, also after a restart', async () => {
    await ask(at, 'create')
    world.broken.set('attach', 'AGENT_LEASE_STALE')
    const id = fresh()
    const first = await faultOf(ask(at, 'start', id))
    world.broken.clear()
    at = await boot(world)
    const again = await faultOf(ask(at, 'start', id))
    expect([again.code, again.message, (again.cause as Error).message]).toEqual([
      first.code,
      first.message,
      (first.cause as Error).message,
    ])
    expect(stateOf()).toBe('stopped')
  })

  it('joins what is under way', async () => {
    const id = fresh()
    const [one, two] = await Promise.all([ask(at, 'create', id), ask(at, 'create', id)])
    expect(two).toEqual(one)
    expect(world.done.filter((name) => name === 'layer')).toHaveLength(1)
  })

  it('stands for one thing only: another operation, workspace or profile is refused', async () => {
    const id = fresh()
    await ask(at, 'create', id)
    expect((await faultOf(ask(at, 'start', id))).code).toBe('WORKSPACE_REQUEST')
    expect((await faultOf(ask(at, 'create', id, `${WS}2`))).code).toBe('WORKSPACE_REQUEST')
    expect((await faultOf(askKill(at, id))).code).toBe('WORKSPACE_REQUEST')
    const other = profileOf(WS, { cpus: 2 })
    const asked = {
      requestId: id,
      change: 'create',
      workspace: WS,
      profile: other,
      by: 'user:test',
      reason: '',
    } as const
    expect((await faultOf(at.lifecycle.operate(asked))).code).toBe('WORKSPACE_REQUEST')
  })

  it('of a second operation finds the workspace busy', async () => {
    await ask(at, 'create')
    const start = ask(at, 'start')
    expect(await faultOf(ask(at, 'stop'))).toMatchObject({ code: 'WORKSPACE_BUSY', reaction: 'retry' })
    await start
  })
})

describe('a look', () => {
  it('ends a machine that has lost its slot, its place in the plan or its plan', async () => {
    await up()
    world.attached.delete(WS)
    expect(await at.lifecycle.look()).toEqual([
      { kind: 'reclaim', workspace: WS, why: 'it does not hold its slot any more' },
    ])
    expect([stateOf(), world.left()]).toEqual(['stopped', [`layer ${WS}#1`]])
  })

  it('gives a repair its time before it takes an agent at its word that nothing is fenced', async () => {
    await up()
    world.state = 'absent'
    expect(await at.lifecycle.look()).toEqual([])
    at.pass(9_000)
    expect(await at.lifecycle.look()).toEqual([])
    at.pass(1_000)
    expect(await at.lifecycle.look()).toEqual([{ kind: 'reclaim', workspace: WS, why: 'the agent says absent' }])
    expect(world.left()).toEqual([`layer ${WS}#1`])
  })

  it('takes an agent at its word also when it does not answer now and then', async () => {
    await up()
    world.state = 'absent'
    const found: string[] = []
    for (let second = 0; second < 10; second++) {
      if (second % 8 === 7) world.broken.set('fence.look', 'API_LOST')
      else world.broken.clear()
      found.push(...(await at.lifecycle.look()).map(({ kind }) => kind))
      at.pass(1_000)
    }
    expect(found).toEqual([])
    expect(await at.lifecycle.look()).toEqual([{ kind: 'reclaim', workspace: WS, why: 'the agent says absent' }])
    expect(world.left()).toEqual([`layer ${WS}#1`])
  })

  it('leaves everything as it is while the agent does not answer, and says so once', async () => {
    await up()
    world.broken.set('fence.look', 'API_LOST')
    for (let i = 0; i < 3; i++) expect(await at.lifecycle.look()).toEqual([])
    expect(world.left()).toEqual(RUNNING)
    world.broken.clear()
    await at.lifecycle.look()
    expect(at.told.filter(({ kind }) => kind === 'unseen' || kind === 'seen').map(({ kind }) => kind)).toEqual([
      'unseen',
      'seen',
    ])
  })

  it('takes away what nobody asked for: machines and interfaces of nobody, other layers of its own, and slots of a stopped one', async () => {
    await ask(at, 'create')
    world.machines.set(`${WS}9#4`, 'prepared')
    world.layers.add(`${WS}#7`).add(`${WS}8#1`).add(`${WS}9#4`)
    world.interfaces.add(`${WS}7`)
    await at.lifecycle.look()
    expect(await at.lifecycle.look()).toEqual([])
    // The disks of somebody, whose record may be lost: told once, and left.
    expect(world.left()).toEqual([`layer ${WS}#1`, `layer ${WS}8#1`, `layer ${WS}9#4`])
    expect(at.told.filter(({ kind }) => kind === 'left')).toEqual(
      [`${WS}8`, `${WS}9`].map((workspace) => ({ kind: 'left', workspace })),
    )
  })

  it('finds a machine that is gone', async () => {
    await up()
    world.machines.clear()
    expect(await at.lifecycle.look()).toEqual([{ kind: 'reclaim', workspace: WS, why: 'its machine is gone' }])
    expect([stateOf(), world.left()]).toEqual(['stopped', [`layer ${WS}#1`]])
  })
})

describe('the kill switch', () => {
  it('fences every workspace before it ends the first machine, and closes sessions last', async () => {
    for (const workspace of [WS, `${WS}2`, `${WS}3`]) await up(workspace)
    world.done.length = 0
    const { report } = await kill(at.kills, {
      requestId: fresh(),
      target: { kind: 'everything' },
      by: 'user:ops',
      reason: 'incident',
    })
    const order = world.done.filter((name) => ['quarantine', 'end', 'sessions', 'detach'].includes(name))
    expect(order).toEqual(['quarantine', 'end', 'sessions', 'detach'].flatMap((name) => [name, name, name]))
    expect(report.partial).toBe(false)
    expect(report.workspaces.map(({ workspace, state }) => [workspace, state])).toEqual(
      [WS, `${WS}2`, `${WS}3`].map((workspace) => [workspace, 'killed']),
    )
    for (const { fencedAtMs, steps } of report.workspaces) {
      expect(fencedAtMs).toBeGreaterThanOrEqual(report.askedAtMs)
      expect(steps[0]).toMatchObject({ step: 'fence', outcome: 'done', receipt: 'agent-receipt' })
    }
    expect(world.left()).toEqual([WS, `${WS}2`, `${WS}3`].map((workspace) => `layer ${workspace}#1`))
  })

  it('takes a user or an image', async () => {
    await up()
    const two = `${WS}2`
    const profile = profileOf(two, { user: 'joe', image: 'other' })
    await at.lifecycle.operate({
      requestId: fresh(),
      change: 'create',
      workspace: two,
      profile,
      by: 'user:t',
      reason: '',
    })
    const asked = { by: 'user:ops', reason: '' }
    const byUser = await kill(at.kills, { requestId: fresh(), target: { kind: 'user', user: 'jane' }, ...asked })
    expect(byUser.report.workspaces.map(({ workspace }) => workspace)).toEqual([WS])
    const byImage = await kill(at.kills, { requestId: fresh(), target: { kind: 'image', image: 'other' }, ...asked })
    expect(byImage.report.workspaces.map(({ workspace }) => workspace)).toEqual([two])
  })

  it.each([
    ['the agent', 'quarantine', 'fence'],
    ['the machine', 'end', 'end'],
    ['the broker', 'sessions', 'sessions'],
  ])('goes on when %s is gone, says what was not done, and does it later', async (_what, effect, step) => {
    await up()
    world.broken.set(effect, 'API_LOST')
    const { report } = await askKill(at)
    expect(report.partial).toBe(true)
    const [killed] = report.workspaces
    expect(killed).toMatchObject({ state: 'killed', owed: [step] })
    expect(killed?.steps.map(({ step: name, outcome }) => `${name} ${outcome}`)).toEqual(
      ['fence', 'end', 'sessions', 'detach', 'unplug'].map((name) => `${name} ${name === step ? 'failed' : 'done'}`),
    )
    if (step === 'fence') expect(killed?.fencedAtMs).toBeNull()
    expect((await faultOf(ask(at, 'start'))).code).toBe('WORKSPACE_OWED')
    world.broken.clear()
    await at.lifecycle.look()
    expect([at.lifecycle.known(WS).owed, [...world.quarantined], world.sessionsClosed]).toEqual([[], [WS], [WS]])
    expect(world.left()).toEqual([`layer ${WS}#1`])
  })

  it('does not wait for a fence that does not answer', async () => {
    await up()
    world.held.set('quarantine', new Promise(() => undefined))
    let isOver = false
    const done = askKill(at).finally(() => {
      isOver = true
    })
    let endedMs: number | undefined
    for (let ms = 0; !isOver; ms += 1_000) {
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
      if (world.done.includes('end')) endedMs ??= ms
      at.pass(1_000)
    }
    expect(endedMs).toBe(5_000)
    const { report } = await done
    expect(report.workspaces[0]).toMatchObject({ fencedAtMs: null, owed: ['fence'] })
    expect(report.workspaces[0]?.steps[0]).toMatchObject({ step: 'fence', outcome: 'late' })
  })

  it.each(['prepare', 'attach', 'prove', 'run'])(
    'ends a start that is at %s, and nothing comes up after it',
    async (effect) => {
      await ask(at, 'create')
      let letGo: () => void = () => undefined
      world.held.set(
        effect,
        new Promise((resolve) => {
          letGo = resolve
        }),
      )
      const id = fresh()
      const start = faultOf(ask(at, 'start', id))
      const reached = { prepare: 'fence.look', attach: 'prepare', prove: 'attach', run: 'prove' }[effect] ?? ''
      while (!world.done.includes(reached)) await new Promise(setImmediate)
      const killing = askKill(at)
      expect(await start).toMatchObject({ code: 'WORKSPACE_PREEMPTED', message: `start of ${WS} was ended by a kill` })
      // What was under way comes to its end after the machine was ended.
      while (!world.done.includes('sessions')) await new Promise(setImmediate)
      letGo()
      const { report } = await killing
      expect(report.workspaces[0]).toMatchObject({ state: 'killed', owed: [] })
      expect(world.left()).toEqual([`layer ${WS}#1`])
      expect(world.violations).toEqual([])
      expect((await faultOf(ask(at, 'start', id))).code).toBe('WORKSPACE_PREEMPTED')
    },
  )

  it('fences a workspace that nobody knows here', async () => {
    const { report } = await askKill(at)
    expect(report.workspaces[0]).toMatchObject({ workspace: WS, state: 'absent', owed: [] })
    expect([...world.quarantined]).toEqual([WS])
  })

  it('gives the same report for the same request, also after a restart, and joins one that is under way', async () => {
    await up()
    const id = fresh()
    const [one, two] = await Promise.all([askKill(at, id), askKill(at, fresh())])
    expect(two.report.workspaces[0]?.steps).toEqual(one.report.workspaces[0]?.steps)
    expect(world.done.filter((name) => name === 'quarantine')).toHaveLength(1)
    at = await boot(world)
    expect(await askKill(at, id)).toEqual(one)
    expect(world.done.filter((name) => name === 'quarantine')).toHaveLength(1)
  })

  it('works when the disk refuses', async () => {
    await up()
    world.broken.set('write', 'ENOSPC')
    const { report } = await askKill(at)
    expect(report.workspaces[0]).toMatchObject({ state: 'killed', owed: [] })
    expect([...world.quarantined]).toEqual([WS])
    expect(world.left()).toEqual([`layer ${WS}#1`])
  })
})
