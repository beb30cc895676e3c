// Which two processors traffic runs on.

import { describe, expect, it } from 'vitest'
import { listed, pairOf, pinned } from '../../../src/bench/processors.js'

const alone = (processor: number): number[] => [processor]

describe('the processors of the two sides', () => {
  it('are read as the kernel writes them', () => {
    expect(listed('0-1\n')).toEqual([0, 1])
    expect(listed('0,2-4,7')).toEqual([0, 2, 3, 4, 7])
    expect(listed('')).toEqual([])
  })

  it('are the last two, the client on the last', () => {
    expect(pairOf([0, 1], alone)).toEqual({ client: 1, server: 0 })
    expect(pairOf([0, 1, 2, 3], alone)).toEqual({ client: 3, server: 2 })
  })

  it('are not two threads of one core, unless there is no other', () => {
    const threads = (processor: number): number[] => (processor < 2 ? [0, 1] : [2, 3])
    expect(pairOf([0, 1, 2, 3], threads)).toEqual({ client: 3, server: 1 })
    expect(pairOf([0, 1], threads)).toEqual({ client: 1, server: 0 })
  })

  it('are left alone where there is only one', () => {
    expect(pairOf([5], alone)).toBeUndefined()
    expect([pinned(undefined), pinned(3)]).toEqual([[], ['taskset', '-c', '3']])
  })
})
