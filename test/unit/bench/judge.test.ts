// When a change counts among many rows: seldom where nothing changed, however many there are; what only its own interval shows is
// suspected; and nothing is called the same in which a tenth would be missed.

import { describe, expect, it } from 'vitest'
import { type Draft, judgeAll, LEAST_CHANGE, quotientOf, quotientOfEnds } from '../../../src/bench/judge.js'
import { chance, studentQuantile } from '../../../src/bench/statistics.js'

type Random = () => number

/** Five repetitions with two speeds, as streams have them, and now and then one far off. */
const repeated = (random: Random, noise: number): number[] =>
  Array.from({ length: 5 }, () => {
    const speed = random() < 0.4 ? 1 - 2 * noise : 1
    const far = random() < 0.05 ? 1 - 6 * noise : 1
    return speed * far * (1 + noise * (random() + random() + random() - 1.5))
  })

const draft = (before: readonly number[], after: readonly number[], more: Partial<Draft> = {}): Draft => ({
  before: 1,
  after: 1,
  estimate: quotientOf(before, after, 1),
  better: 'higher',
  least: LEAST_CHANGE.known,
  together: false,
  counts: true,
  ...more,
})

describe('judgeAll', () => {
  it('finds nothing in 40 comparisons of 60 rows in which nothing changed, and suspects some', () => {
    const random = chance(11)
    let [wrong, suspected] = [0, 0]
    for (let i = 0; i < 40; i++) {
      const drafts = Array.from({ length: 60 }, (_, n) =>
        draft(repeated(random, 0.05), repeated(random, 0.05), { like: `measurement ${n % 12}` }),
      )
      const judged = judgeAll(drafts)
      if (judged.some(({ verdict }) => verdict === 'slower' || verdict === 'faster')) wrong++
      suspected += judged.filter((row) => row.suspected !== undefined).length
    }
    expect(wrong).toBeLessThanOrEqual(1)
    // Each of them gave exit 1 when every row was judged alone.
    expect(suspected).toBeGreaterThan(4)
  })

  it('asks more of a row the more there are, and less where many of them moved', () => {
    const still = [1, 1.01, 0.99, 1.02, 0.98]
    const moved = still.map((value) => value * 0.92)
    const first = (fallen: number, others: number, counts = true) =>
      judgeAll([
        ...Array.from({ length: fallen }, () => draft(still, moved)),
        ...Array.from({ length: others }, () => draft(still, still, { counts })),
      ])[0]
    expect(first(1, 0)).toMatchObject({ verdict: 'slower' })
    expect(first(1, 300)).toMatchObject({ verdict: 'too-noisy', suspected: 'slower' })
    expect(first(150, 150)).toMatchObject({ verdict: 'slower' })
    // What is not ours is judged as well, and makes it no harder.
    expect(first(1, 300, false)).toMatchObject({ verdict: 'slower' })
  })

  it('does not believe five that are close together by luck, where all others of the measurement are not', () => {
    const random = chance(5)
    const lucky = draft([1, 1, 1.001, 1, 1], [0.9, 0.9, 0.901, 0.9, 0.9], { like: 'a' })
    const others = Array.from({ length: 5 }, () => draft(repeated(random, 0.1), repeated(random, 0.1), { like: 'a' }))
    expect(judgeAll([lucky])[0]?.verdict).toBe('slower')
    expect(judgeAll([lucky, ...others])[0]).toMatchObject({ verdict: 'too-noisy', suspected: 'slower' })
  })

  it('calls nothing the same in which a tenth would not be found', () => {
    const ends = (reach: number, by: number) =>
      judgeAll([
        {
          ...draft([1], [1]),
          estimate: quotientOfEnds(
            { middle: 1, low: 1 - reach, high: 1 + reach },
            { middle: by, low: by * (1 - reach), high: by * (1 + reach) },
            8,
          ),
          better: 'lower',
          drift: 1.005,
        },
      ])[0]?.verdict
    for (const reach of [0.005, 0.01, 0.02, 0.04, 0.08]) {
      const [still, tenth] = [ends(reach, 1), ends(reach, 1.12)]
      expect([reach, still, tenth]).not.toEqual([reach, 'same', 'too-noisy'])
      expect([reach, tenth]).not.toEqual([reach, 'same'])
      if (reach <= 0.01) expect([reach, still, tenth]).toEqual([reach, 'same', 'slower'])
      if (reach >= 0.04) expect([reach, still]).toEqual([reach, 'too-noisy'])
    }
  })

  it('has nothing to say of the same where the least change is more than a tenth', () => {
    const still = [1, 1, 1, 1, 1]
    expect(judgeAll([draft(still, still, { least: LEAST_CHANGE.unknown })])[0]?.verdict).toBe('too-noisy')
  })
})

// Tables of the distribution, to three decimals.
describe('studentQuantile', () => {
  it.each([
    [0.025, 4, 2.776],
    [0.025, 5, 2.571],
    [0.005, 8, 3.355],
    [0.0005, 9, 4.781],
    [0.025, 1, 12.706],
    [0.025, 2, 4.303],
    [0.001, 500, 3.107],
  ])('leaves %d above it with %d degrees of freedom', (tail, freedom, t) => {
    expect(studentQuantile(tail, freedom)).toBeCloseTo(t, 3)
  })
})
