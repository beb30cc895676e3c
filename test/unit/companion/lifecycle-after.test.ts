// What comes after its time in the life of a workspace: steps that end when nobody waits for them any more, writes that fail when another
// operation has taken the place, and what is owed and told later.

import { beforeEach, describe, expect, it } from 'vitest'
import { ask, askKill, type Booted, boot, World, WS } from '../../support/companion/world.js'

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
})
