// What a commit leaves to be done: done again after a failure, by whoever needs it, once for all who wait.

import { expect, it } from 'vitest'
import { Tail } from '../../../src/backends/ebpf/tail.js'

/** Fails as often as it is told to. */
function failing(times: number) {
  const seen = { runs: 0 }
  const work = async (): Promise<void> => {
    await Promise.resolve()
    if (seen.runs++ < times) throw new TypeError('no memory')
  }
  return { seen, work }
}

it('is over at once where nothing was left, and once when it is done', async () => {
  const tail = new Tail()
  await tail.over()
  const { seen, work } = failing(0)
  tail.follow(work)
  await Promise.all([tail.over(), tail.over()])
  await tail.over()
  expect(seen.runs).toBe(1)
})

it('that failed is done again, once for all who wait', async () => {
  const tail = new Tail()
  const { seen, work } = failing(1)
  tail.follow(work)
  await Promise.all([tail.over(), tail.over(), tail.over()])
  await tail.over()
  expect(seen.runs).toBe(2)
})

it('that fails again is heard, and the next who waits tries once more', async () => {
  const tail = new Tail()
  const { seen, work } = failing(2)
  tail.follow(work)
  const both = await Promise.allSettled([tail.over(), tail.over()])
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await tail.over()
  expect(seen.runs).toBe(3)
})
