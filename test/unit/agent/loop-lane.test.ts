// Lanes: order, exclusion, the limit, and the end.

import { describe, expect, it } from 'vitest'
import { Lane } from '../../../src/agent/loop-lane.js'

const gate = () => {
  let open: () => void = () => undefined
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open: () => open() }
}

describe('a lane', () => {
  it('runs one action at a time, in order, and goes on after one that fails', async () => {
    const lane = new Lane('work')
    const said: string[] = []
    const hold = gate()
    const first = lane.run(async () => {
      said.push('first begins')
      await hold.passed
      said.push('first ends')
      throw new TypeError('first failed')
    })
    const second = lane.run(() => Promise.resolve(said.push('second')))
    await Promise.resolve()
    expect([said, lane.waiting]).toEqual([['first begins'], 1])
    hold.open()
    await expect(first).rejects.toThrow('first failed')
    await second
    expect(said).toEqual(['first begins', 'first ends', 'second'])
    expect(await lane.run(() => Promise.resolve('later'))).toBe('later')
  })

  it('refuses what would wait behind too many', async () => {
    const lane = new Lane('work', 2)
    const hold = gate()
    const running = [lane.run(() => hold.passed), lane.run(() => hold.passed), lane.run(() => hold.passed)]
    await expect(lane.run(() => hold.passed)).rejects.toMatchObject({
      code: 'AGENT_QUEUE_FULL',
      message: '2 commands wait already (work)',
    })
    hold.open()
    await Promise.all(running)
  })

  it('lets what is first go before whatever waits, in its own order, and also where it is full', async () => {
    const lane = new Lane('work', 1)
    const hold = gate()
    const said: string[] = []
    const say = (what: string) => () => Promise.resolve(said.push(what))
    const running = [lane.run(() => hold.passed), lane.run(say('waits'))]
    await expect(lane.run(say('refused'))).rejects.toMatchObject({ code: 'AGENT_QUEUE_FULL' })
    running.push(lane.run(say('first'), true), lane.run(say('second'), true))
    hold.open()
    await Promise.all(running)
    expect(said).toEqual(['first', 'second', 'waits'])
  })

  it('ends after what runs, and refuses what waits and what comes', async () => {
    const lane = new Lane('work')
    const hold = gate()
    let ended = false
    const running = lane.run(async () => {
      await hold.passed
      ended = true
    })
    const waiting = lane.run(() => Promise.reject(new TypeError('must not run')))
    const closed = lane.close()
    await expect(waiting).rejects.toMatchObject({ code: 'AGENT_STOPPING' })
    await expect(lane.run(() => hold.passed)).rejects.toMatchObject({ code: 'AGENT_STOPPING' })
    expect(ended).toBe(false)
    hold.open()
    await closed
    await running
    expect(ended).toBe(true)
    await lane.close()
  })
})
