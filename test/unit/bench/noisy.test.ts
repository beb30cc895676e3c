// What a comparison says on a machine like most: a tenth less of a whole variant is found where no rate says so alone, what stands alone
// has to change by more than the machine did, and intervals too noisy for a figure count among those that agree.

import { describe, expect, it } from 'vitest'
import { compareResults } from '../../../src/bench/compare.js'
import type { BenchSeen, Results } from '../../../src/bench/results.js'
import { drawnRun } from '../../support/bench/runs.js'

const slow = (variant: string, question: string, by: number) => (name: string, asked: string) =>
  name === variant && asked === question ? 1 - by : 1

describe('compareResults on a noisy machine', () => {
  // A deviation of a tenth from round to round, which is what two shared processors have in an hour: hardly a rate is told alone.
  it('finds a variant that is a tenth slower throughout where no rate says so alone, and nothing where it is not', () => {
    const terms = {
      noise: 0.2,
      rounds: 5,
      grants: Array.from({ length: 10 }, (_, i) => 10 * 2 ** i),
    }
    const before = drawnRun({ ...terms, seed: 1 })
    const together = (after: Results) =>
      compareResults(before, after)
        .rows.filter(({ from, say, counts }) => from.startsWith('variant') && say.startsWith('every rate') && counts)
        .map(({ variant, verdict, say }) => `${variant} ${verdict}: ${say}`)
    expect(together(drawnRun({ ...terms, seed: 3 }))).toEqual([
      expect.stringMatching(/^nftables (same|too-noisy): every rate, 40 together$/),
      expect.stringMatching(/^ebpf (same|too-noisy): every rate, 40 together$/),
    ])
    const after = drawnRun({ ...terms, seed: 2, rate: (name) => (name === 'ebpf' ? 0.9 : 1) })
    expect(together(after)).toContainEqual('ebpf slower: every rate, 40 together')
    const { rows } = compareResults(before, after)
    const alone = rows.filter(({ from, variant }) => from.startsWith('measurement') && variant === 'ebpf')
    expect(alone.filter(({ verdict }) => verdict === 'too-noisy').length).toBeGreaterThan(alone.length / 2)
    expect(rows.filter(({ verdict, variant, counts }) => verdict === 'slower' && counts && variant !== 'ebpf')).toEqual(
      [],
    )
  })

  it('judges together what was asked often enough, and rates alone', () => {
    const grants = [10, 100, 1_000, 10_000, 100_000]
    const after = drawnRun({ seed: 2, grants, rate: slow('ebpf', 'packets', 0.1) })
    const together = compareResults(drawnRun({ seed: 1, grants }), after).rows.filter(
      ({ from, variant }) => from.startsWith('variant') && variant === 'ebpf',
    )
    expect(together.map(({ say, verdict }) => `${say}: ${verdict}`)).toEqual([
      expect.stringMatching(/^every rate, 20 together: /),
      'tcp-stream, 5 together: same',
      'tcp-crr, 5 together: same',
      'packets, 5 together: slower',
      'tcp-rr, 5 together: same',
    ])
    expect(
      compareResults(drawnRun({ seed: 1 }), drawnRun({ seed: 2 })).rows.filter(({ from }) =>
        from.startsWith('variant'),
      ),
    ).toEqual([])
  })

  it('of intervals that are too noisy for a figure says as well whether they have something in common', () => {
    const seen = compareResults(drawnRun({ seed: 1, noise: 0.9 }), drawnRun({ seed: 2, noise: 0.9 }))
    expect(seen.ratios).toBe(16)
    expect(seen.agreeing).toBeGreaterThan(14)
    const apart = drawnRun({ seed: 2, noise: 0.9, rate: (name) => (name === 'none' ? 1 : 0.1) })
    expect(compareResults(drawnRun({ seed: 1, noise: 0.9 }), apart).agreeing).toBeLessThan(4)
  })

  it('asks more of what stands alone where the machine treated what is not ours otherwise, and of what was measured in turns does not', () => {
    const bench = (unit: string, value: number): BenchSeen => ({
      name: 'storage',
      promise: 'storage',
      target: '',
      state: 'done',
      figure: '',
      met: true,
      emulated: false,
      command: 'node scripts/bench.mjs storage',
      tookSeconds: 1,
      series: [
        {
          name: 'a volume',
          unit,
          better: 'higher',
          count: 9,
          quantiles: [],
          samples: Array.from({ length: 9 }, (_, i) => value * (1 + (i % 3) / 1_000)),
        },
      ],
    })
    const told = (unit: string, by: number, machine: number) => {
      const benches = [bench(unit, by)]
      const after = drawnRun({ seed: 2, rate: () => machine, benches })
      const { rows, remarks } = compareResults(drawnRun({ seed: 1, benches: [bench(unit, 1)] }), after)
      const drifted = remarks.some((remark) => remark.startsWith('what is not ours changed by up to '))
      expect(drifted).toBe(machine !== 1)
      return rows.find(({ from }) => from.startsWith('bench'))?.verdict
    }
    expect(told('MB/s', 0.75, 1)).toBe('slower')
    expect(told('MB/s', 0.75, 0.7)).toBe('too-noisy')
    expect(told('MB/s', 0.9, 1)).toBe('slower')
    expect(told('MB/s', 0.9, 0.9)).toBe('too-noisy')
    expect(told('ratio', 0.9, 1)).toBe('slower')
    expect(told('ratio', 0.9, 0.7)).toBe('slower')
  })
})
