// How much is planted where a comparison is put to the test: of drawn rates, so that what the rules really cost is known.

import { describe, expect, it } from 'vitest'
import { chance } from '../../../src/bench/statistics.js'
import { plantedTenth } from '../../support/bench/planted.js'

/** Rates of rounds that are fast and slow for both, where each of `rules` costs a packet a thousandth of what it costs. */
function rounds(noise: number, cost = 0.001): { plain: number[]; heavy: number[] } {
  const random = chance(7)
  const around = (): number => 1 + noise * (2 * random() - 1)
  const [plain, heavy]: [number[], number[]] = [[], []]
  for (let i = 0; i < 15; i++) {
    const machine = around()
    plain.push(1e6 * machine * around())
    heavy.push((1e6 * machine * around()) / (1 + 1_000 * cost))
  }
  return { plain, heavy }
}

describe('plantedTenth', () => {
  it.each([0.01, 0.03, 0.06])('leaves nine tenths where rates move by %d', (noise) => {
    const { plain, heavy } = rounds(noise)
    const { rules, left } = plantedTenth(plain, heavy, 1_000)
    const really = 1 / (1 + rules * 0.001)
    expect(really).toBeGreaterThan(0.88)
    expect(really).toBeLessThan(0.92)
    expect(left.middle).toBeCloseTo(0.9)
    expect(left.low).toBeLessThanOrEqual(0.9)
    expect(left.high).toBeGreaterThanOrEqual(0.9)
  })

  it('plants nothing where rates move by more than what is looked for', () => {
    const { plain, heavy } = rounds(0.6)
    expect(() => plantedTenth(plain, heavy, 1_000)).toThrow(
      /^this machine is too noisy to plant anything: 1000 rules make it [\d.]+ times as slow \([\d.]+ to [\d.]+\)$/,
    )
  })

  it('plants nothing where the rules cost nothing', () => {
    const { plain, heavy } = rounds(0.03, 0)
    expect(() => plantedTenth(plain, heavy, 1_000)).toThrow('too noisy to plant anything')
  })

  it('takes rounds of both, and as many of each', () => {
    expect(() => plantedTenth([], [], 1_000)).toThrow('not the same')
    expect(() => plantedTenth([1, 2], [1], 1_000)).toThrow('not the same')
  })
})
