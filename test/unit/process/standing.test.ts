// Listening to what comes with a later plan, and on after a failure.

import { describe, expect, it } from 'vitest'
import { standing } from '../../../src/backends/tracing/standing.js'

describe('a standing subscription', () => {
  it('begins when there is something to listen to, and again after every failure', async () => {
    const failures: (() => void)[] = []
    let [looks, stopped] = [0, 0]
    const stop = standing((failed) => {
      looks++
      if (looks < 3) return undefined
      if (looks === 4) throw new Error('the kernel says no')
      failures.push(failed)
      return () => {
        stopped++
        return Promise.resolve()
      }
    }, 1)
    await expect.poll(() => failures.length, { timeout: 30_000 }).toBe(1)
    expect(looks).toBe(3)
    failures[0]?.()
    await expect.poll(() => failures.length, { timeout: 30_000 }).toBe(2)
    expect([looks, stopped]).toEqual([5, 0])
    await stop()
    expect(stopped).toBe(1)
    failures[1]?.()
    await stop()
    expect([looks, failures.length]).toEqual([5, 2])
  })

  it('throws what the first look throws, and ends while it waits', async () => {
    expect(() =>
      standing(() => {
        throw new Error('the kernel says no')
      }),
    ).toThrow('the kernel says no')
    await standing(() => undefined)()
  })
})
