// Two runs side by side: a tenth slower is found, nothing is found where nothing changed, however busy the machine was.

import { describe, expect, it } from 'vitest'
import { compareResults } from '../../../src/bench/compare.js'
import type { BenchSeen, Results } from '../../../src/bench/results.js'
import { drawnRun } from '../../support/bench/runs.js'

const slow = (variant: string, question: string, by: number) => (name: string, asked: string) =>
  name === variant && asked === question ? 1 - by : 1
const found = (before: Results, after: Results): string[] =>
  compareResults(before, after)
    .rows.filter(({ verdict }) => verdict === 'slower' || verdict === 'faster')
    .map(({ verdict, variant, from }) => `${variant} ${verdict} ${from.split(' ')[1]}`)

describe('compareResults', () => {
  it('finds what is a tenth slower, and nothing else, in 6 pairs of runs', () => {
    const grants = [1_000, 100_000]
    for (let seed = 1; seed <= 6; seed++) {
      const before = drawnRun({ seed, grants })
      const after = drawnRun({ seed: seed + 1_000, grants, rate: slow('ebpf', 'tcp-crr', 0.1) })
      expect([seed, found(before, after)]).toEqual([seed, ['ebpf slower tcp-crr', 'ebpf slower tcp-crr']])
    }
  })

  it('is silent on nothing: 6 pairs of runs, a machine that is a quarter busier now and then', () => {
    for (let seed = 1; seed <= 6; seed++) {
      const before = drawnRun({ seed, weather: 0.3, grants: [10, 1_000, 100_000] })
      const after = drawnRun({ seed: seed + 2_000, weather: 0.3, grants: [10, 1_000, 100_000] })
      const { slower, rows } = compareResults(before, after)
      expect([seed, slower]).toEqual([seed, 0])
      expect(rows.filter(({ what }) => what.startsWith('share')).length).toBe(3 * 4 * 4)
    }
  })

  it('of two runs of the same most intervals have something in common', () => {
    let agreeing = 0
    let ratios = 0
    for (let seed = 1; seed <= 20; seed++) {
      const compared = compareResults(drawnRun({ seed }), drawnRun({ seed: seed + 3_000 }))
      agreeing += compared.agreeing
      ratios += compared.ratios
    }
    expect(ratios).toBe(20 * 16)
    expect(agreeing / ratios).toBeGreaterThan(0.97)
  })

  it('takes a tenth more of what is measured in rates for faster', () => {
    const after = drawnRun({ seed: 2, rate: slow('nftables', 'packets', -0.12) })
    expect(found(drawnRun({ seed: 1 }), after)).toEqual(['nftables faster packets'])
  })

  it('says that it cannot tell where rounds differ by more than a change would', () => {
    const { rows, slower } = compareResults(drawnRun({ seed: 1, noise: 0.9 }), drawnRun({ seed: 2, noise: 0.9 }))
    expect(slower).toBe(0)
    expect(rows.some(({ verdict }) => verdict === 'too-noisy')).toBe(true)
  })

  describe.each([5, 9])('of %d rounds whose intervals reach 1 to 9 %% on either side', (rounds) => {
    it.each([0.02, 0.06, 0.1])('never takes a tenth less for the same, with noise %d', (noise) => {
      const seen = new Set<string>()
      for (let seed = 1; seed <= 3; seed++) {
        const before = drawnRun({ seed, rounds, noise })
        const after = drawnRun({ seed: seed + 5_000, rounds, noise, rate: slow('ebpf', 'tcp-crr', 0.1) })
        const { rows, says, noisy, slower, suspected, counted } = compareResults(before, after)
        const planted = rows.find(({ variant, from }) => variant === 'ebpf' && from.includes('tcp-crr'))
        seen.add(planted?.verdict ?? 'not compared')
        const head = slower === 0 ? 'nothing got slower' : `${slower} slower`
        const doubted = suspected === 0 ? '' : `, ${suspected} suspected of being slower`
        expect(says).toBe(`${head}; ${noisy} of ${counted} too noisy to tell${doubted}`)
      }
      for (const verdict of seen) expect(['slower', 'too-noisy']).toContain(verdict)
      if (noise === 0.02) expect([...seen]).toEqual(['slower'])
    })
  })

  it('says how many it could not tell, and that they are not the same', () => {
    const { says, noisy, counted, remarks } = compareResults(
      drawnRun({ seed: 1, noise: 0.9 }),
      drawnRun({ seed: 2, noise: 0.9 }),
    )
    expect([noisy, counted]).toEqual([8, 8])
    expect(says).toBe('nothing got slower; 8 of 8 too noisy to tell')
    expect(remarks).toContain('too noisy to tell is not the same: in 8 of 8 a tenth and more could be hidden')
  })

  it('finds what takes more of the processors, however fast they are', () => {
    const costly = (results: Results, of: (variant: string) => number): Results => ({
      ...results,
      measurements: results.measurements.map((one) => ({
        ...one,
        cells: one.cells.map((cell) => ({
          ...cell,
          cost: { cpuSecondsPerGbit: cell.figure },
          repetitions: cell.repetitions.map((each) => ({
            ...each,
            cpuSeconds: of(cell.variant),
            work: 10,
          })),
        })),
      })),
    })
    const before = costly(drawnRun({ seed: 1 }), () => 1)
    const found = (after: Results): string[] =>
      compareResults(before, after)
        .rows.filter(({ verdict }) => verdict !== 'same')
        .map(({ what, variant, verdict }) => `${variant} ${verdict}: ${what}`)
    expect(found(costly(drawnRun({ seed: 2 }), () => 2))).toEqual([])
    expect(found(costly(drawnRun({ seed: 2 }), (variant) => (variant === 'ebpf' ? 1.3 : 1)))).toEqual(
      Array(4).fill('ebpf slower: CPU, share of nothing attached'),
    )
  })

  it('does not take one program for another, nor half a second for a second', () => {
    const after = drawnRun({ seed: 2, rate: slow('ebpf', 'tcp-stream', 0.5) })
    const measurements = after.measurements.map((one) =>
      one.question === 'tcp-stream' ? { ...one, id: `${one.id} ms=600 by=sluice-load` } : one,
    )
    const { slower, remarks } = compareResults(drawnRun({ seed: 1 }), { ...after, measurements })
    expect(slower).toBe(0)
    expect(remarks).toContain('1 were measured by another program or for another time, and are not compared')
  })

  it('counts only what is ours', () => {
    const { slower, rows } = compareResults(
      drawnRun({ seed: 1 }),
      drawnRun({ seed: 2, rate: slow('hand', 'tcp-crr', 0.2) }),
    )
    expect(slower).toBe(0)
    expect(rows.find(({ verdict }) => verdict === 'slower')).toMatchObject({ variant: 'hand', counts: false })
  })

  describe('takes for slower what of ours the second run has not', () => {
    const before = drawnRun({ seed: 1 })
    const without = (results: Results, name: string): Results['measurements'] =>
      results.measurements.map((one) => ({ ...one, cells: one.cells.filter(({ variant }) => variant !== name) }))
    const gone = (after: Results, first: Results = before) =>
      compareResults(first, after).rows.flatMap(({ gone, counts, verdict, variant, from }) =>
        gone === undefined || !counts ? [] : [`${variant ?? from} ${verdict}: ${gone}`],
      )
    const drawn = drawnRun({ seed: 2 })

    it('because it was refused', () => {
      const why = 'tcp 45.0.0.2 port 7000, which nothing grants, was answered'
      const variants = drawn.variants.map((one) =>
        one.name === 'ebpf' ? { ...one, state: 'refused' as const, why } : one,
      )
      const after = { ...drawn, variants, measurements: without(drawn, 'ebpf') }
      expect(gone(after)).toEqual(Array(4).fill(`ebpf slower: ${why}`))
      expect(compareResults(before, after).slower).toBe(4)
      // What one would write by hand decides nothing.
      expect(gone({ ...drawn, measurements: without(drawn, 'hand') })).toEqual([])
    })

    it('because the run ended before it, or its repetitions failed', () => {
      const run = { ...drawn.run, complete: false, why: 'the process that measures ended' }
      expect(gone({ ...drawn, run, measurements: drawn.measurements.slice(1) })).toEqual([
        'nftables slower: the process that measures ended',
        'ebpf slower: the process that measures ended',
      ])
      const measurements = drawn.measurements.map((one, i) => ({
        ...one,
        cells: one.cells.map((cell) =>
          i === 0 && cell.variant === 'ebpf' ? { ...cell, repetitions: cell.repetitions.slice(0, 2) } : cell,
        ),
      }))
      expect(gone({ ...drawn, measurements })).toEqual(['ebpf slower: 2 in the second run, and 5 are needed'])
    })

    it('because nothing comes through any more', () => {
      const dead = drawnRun({ seed: 2, rate: slow('ebpf', 'packets', 1) })
      expect(found(before, dead)).toEqual(['ebpf slower packets'])
    })

    it('and not what it was not asked for', () => {
      const run = { ...drawn.run, kind: 'only' as const, command: 'sluice bench --only nftables --seed 2' }
      const variants = drawn.variants.filter(({ name }) => name !== 'ebpf')
      const after = { ...drawn, run, variants, measurements: without(drawn, 'ebpf').slice(1) }
      expect(gone(after)).toEqual([])
      expect(compareResults(before, after).remarks).toEqual(['1 measurements are in the first alone'])
    })
  })

  describe('does not say that nothing got slower', () => {
    const [before, after] = [drawnRun({ seed: 1 }), drawnRun({ seed: 2 })]
    const otherwise = (results: Results, which: (at: number) => boolean): Results => ({
      ...results,
      measurements: results.measurements.map((one, at) =>
        which(at) ? { ...one, id: `${one.id} ms=600 by=sluice-load` } : one,
      ),
    })
    const apart = (first: Results, second: Results) => {
      const { apart: why, says, slower } = compareResults(first, second)
      expect(slower).toBe(0)
      if (why !== undefined) expect(says).toBe(why)
      return why
    }

    it('where less than half of the traffic is the same', () => {
      expect(
        apart(
          before,
          otherwise(after, () => true),
        ),
      ).toBe('of 4 and 4 measurements of traffic 0 are in both')
      expect(
        apart(
          before,
          otherwise(after, (at) => at > 0),
        ),
      ).toBe('of 4 and 4 measurements of traffic 1 are in both')
      expect(
        apart(
          before,
          otherwise(after, (at) => at > 1),
        ),
      ).toBeUndefined()
    })

    it('where only loading is, which every run has', () => {
      const loading = (results: Results): Results => ({
        ...results,
        measurements: results.measurements.map((one, at) =>
          at === 0 ? { ...one, id: 'stage flows=0', question: 'stage' as const } : one,
        ),
      })
      const other = otherwise(loading(after), (at) => at > 0)
      expect(compareResults(loading(before), other).counted).toBeGreaterThan(0)
      expect(apart(loading(before), other)).toBe('of 3 and 3 measurements of traffic 0 are in both')
    })

    it('where nothing of ours is, or other machines leave nothing', () => {
      const byHand = (results: Results): Results => ({
        ...results,
        measurements: results.measurements.map((one) => ({
          ...one,
          cells: one.cells.filter(({ variant }) => variant === 'none' || variant === 'hand'),
        })),
      })
      const said = 'of 4 and 4 measurements of traffic 4 are in both'
      expect(apart(byHand(before), byHand(after))).toBe(`nothing of ours can be compared; ${said}`)
      const bare = (results: Results): Results => ({
        ...results,
        measurements: results.measurements.map((one) => ({
          ...one,
          cells: one.cells.filter(({ variant }) => variant === 'ebpf'),
        })),
      })
      expect(apart(bare(before), bare(after))).toBeUndefined()
      const elsewhere = { ...bare(after), machine: { ...after.machine, kernel: '6.1.0' } }
      expect(apart(bare(before), elsewhere)).toBe(`nothing of ours can be compared between these machines; ${said}`)
    })

    it('but what did get slower, and what was asked for of more', () => {
      const slowed = otherwise(drawnRun({ seed: 2, rate: slow('ebpf', 'tcp-stream', 0.2) }), (at) => at > 0)
      expect(compareResults(before, slowed)).toMatchObject({ slower: 1, says: expect.stringMatching(/^1 slower; /) })
      expect(compareResults(before, slowed).apart).toBeUndefined()
      const run = { ...after.run, kind: 'only' as const, command: 'sluice bench --only tcp-stream --seed 1' }
      expect(apart(before, { ...after, run, measurements: after.measurements.slice(0, 1) })).toBeUndefined()
    })
  })

  it('compares series of bench/ on the same machine only', () => {
    const bench = (milliseconds: number): BenchSeen => ({
      name: 'quarantine',
      promise: 'quarantine',
      target: 'p99 <= 5 ms',
      state: 'done',
      figure: '',
      met: true,
      emulated: false,
      command: 'node scripts/bench.mjs quarantine',
      tookSeconds: 1,
      series: [
        {
          name: 'eBPF',
          unit: 'ms',
          better: 'lower',
          count: 50,
          quantiles: [],
          samples: Array.from({ length: 50 }, (_, i) => milliseconds * (1 + (i % 7) / 100)),
        },
      ],
    })
    const [before, after] = [drawnRun({ seed: 1, benches: [bench(1)] }), drawnRun({ seed: 2, benches: [bench(1.5)] })]
    expect(compareResults(before, after).rows.filter(({ verdict }) => verdict === 'slower')).toMatchObject([
      { from: 'bench quarantine', what: 'median', better: 'lower', counts: true },
    ])
    const failed = { ...bench(1), state: 'failed' as const, why: 'Error: no fence', series: [] }
    for (const [benches, gone] of [
      [[failed], 'Error: no fence'],
      [[], 'it is not in the second run'],
    ] as const)
      expect(
        compareResults(before, { ...after, benches }).rows.filter(({ verdict }) => verdict === 'slower'),
      ).toMatchObject([{ from: 'bench quarantine', gone, counts: true }])
    const missed = { ...bench(1.5), met: false, figure: '5.1 ms' }
    expect(compareResults(before, { ...after, benches: [missed] }).rows.filter(({ gone }) => gone)).toMatchObject([
      { what: 'promise', verdict: 'slower', counts: true, gone: 'it held before, and now: 5.1 ms' },
    ])
    // By a hair, on the very same samples: a remark.
    const hair = compareResults(before, { ...after, benches: [{ ...bench(1), met: false, figure: '5.1 ms' }] })
    expect([hair.slower, hair.remarks]).toEqual([
      0,
      ['quarantine: held before and not now (5.1 ms), though nothing of that file got slower beyond noise'],
    ])
    // A tenth of a file's own is found where it is quiet, and nothing below it is called the same where it is not.
    const verdictOf = (first: number, second: BenchSeen): string | undefined =>
      compareResults(drawnRun({ seed: 1, benches: [bench(first)] }), { ...after, benches: [second] }).rows.find(
        ({ what }) => what === 'median',
      )?.verdict
    expect(verdictOf(1, bench(1.1))).toBe('slower')
    expect(verdictOf(1, bench(1))).toBe('same')
    const unmeasured = { ...failed, state: 'failed' as const, why: 'Error: no fence' }
    const silent = { ...bench(1), series: [] }
    expect(compareResults(drawnRun({ seed: 1, benches: [silent] }), { ...after, benches: [unmeasured] }).slower).toBe(1)
    const elsewhere = { ...after, machine: { ...after.machine, kernel: '6.1.0' } }
    expect(compareResults(before, elsewhere)).toMatchObject({
      slower: 0,
      remarks: ['the machines differ (kernel 6.18.0 and 6.1.0): only shares of nothing attached are compared'],
    })
  })

  it('takes another name for another machine, and tells of other memory', () => {
    const [before, after] = [drawnRun({ seed: 1 }), drawnRun({ seed: 2 })]
    const told = (machine: Partial<Results['machine']>): readonly string[] =>
      compareResults(before, { ...after, machine: { ...after.machine, ...machine } }).remarks
    expect(told({ name: 'other.example' })).toEqual([
      'the machines differ (name bench.example and other.example): only shares of nothing attached are compared',
    ])
    expect(told({ memoryMiB: 1_000 })).toEqual(['the memory differs: 4096 and 1000 MiB'])
    expect(told({ memoryMiB: 4_000 })).toEqual([])
  })
})
