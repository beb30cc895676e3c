// What a report makes of a distribution: percentiles of waiting times that may be too noisy, the reference that a share is of, and the slow
// end of what a file of bench/ measured, by the name that it deserves.

import { describe, expect, it } from 'vitest'
import { seriesOf } from '../../../src/bench/outside.js'
import { rangesOf } from '../../../src/bench/report/benches.js'
import { buildReport } from '../../../src/bench/report/build.js'
import { shareOf } from '../../../src/bench/report/figures.js'
import { amount } from '../../../src/bench/report/number.js'
import type { Figure } from '../../../src/bench/results.js'
import { richResults } from '../../support/bench/rich.js'
import { repositoryPath } from '../../support/lab/repository.js'

const { tail } = (await import(repositoryPath('bench/said/tail.mjs'))) as {
  tail: (values: readonly number[]) => { name: string; value: number }
}

describe('plots and tables', () => {
  it('have a p50 and a p99 as figures of repetitions, too noisy where they are, and no percentile of too few requests', () => {
    const results = richResults()
    const loud: Figure = { kind: 'noisy', why: 'wide', middle: 450, low: 200, high: 900 }
    const few = {
      ...results,
      measurements: results.measurements.map((one) => ({
        ...one,
        cells: one.cells.map((cell) =>
          cell.latency ? { ...cell, latency: { ...cell.latency, count: 19_999, p99: loud } } : cell,
        ),
      })),
    }
    const { plots, tables } = buildReport(few).sections.find(({ id }) => id === 'crr') ?? { plots: [], tables: [] }
    const curve = plots.find(({ plot }) => plot.id.startsWith('plot-crr-latency'))?.plot
    expect(curve?.x.ticks.map(({ name }) => name)).toEqual(['50 %', '90 %', '99 %', 'max'])
    const [first] = curve?.series ?? []
    expect([first?.values[2], first?.low[2], first?.noisy[2], first?.texts[2]]).toEqual([null, null, true, 'too noisy'])
    expect([first?.noisy[0], first?.low[0] === null]).toEqual([false, false])
    const table = tables.find(({ caption }) => caption.startsWith('Waiting time'))
    expect(table?.head).toEqual(['Variant', '50 %', '90 %', '99 %', 'max', 'requests'])
    expect(table?.rows[0]?.cells.slice(1, 4)).toEqual([
      { text: '145', asides: ['143 to 146, spread 0.600 %'] },
      { text: '203' },
      { text: 'too noisy', asides: ['200 to 900 seen', 'wide'], tone: 'noisy' },
    ])
  })

  it('compare what lives in chains with empty chains, everything else with an empty program, and nothing with the other', () => {
    const results = richResults()
    const [first] = results.measurements
    const of = (variant: string, without = '') => {
      const cell = first?.cells.find((one) => one.variant === variant)
      if (cell === undefined) throw new Error(`no cell of ${variant}`)
      const ratios = cell.ratios.filter(({ to }) => to !== without)
      return shareOf(results, { ...cell, ratios }, 'reference')?.to
    }
    expect(['nftables', 'hand', 'ipset', 'ebpf', 'doca-flow'].map((name) => of(name))).toEqual([
      'empty-chains',
      'empty-chains',
      'empty-chains',
      'empty',
      'empty',
    ])
    expect([of('hand', 'empty-chains'), of('ebpf', 'empty')]).toEqual([undefined, undefined])
  })
})

describe('a slow end', () => {
  const told = (count: number) => {
    const samples = Array.from({ length: count }, (_, i) => i + 1)
    const [bench] = richResults().benches
    if (bench === undefined) throw new Error('no bench')
    const series = [seriesOf({ name: 'ebpf', unit: 'ms', better: 'lower', limit: 7, samples })]
    return { series, row: rangesOf([{ ...bench, series }])[0]?.rows[0] }
  }

  it('is a p99 of a hundred and more, as the file calls it, and the longest of fewer', () => {
    for (const [count, name, value] of [
      [5, 'longest (of 5)', 5],
      [99, 'longest (of 99)', 99],
      [100, 'p99', 99],
      [200, 'p99', 198],
    ] as const) {
      const { series, row } = told(count)
      expect(tail(Array.from({ length: count }, (_, i) => i + 1))).toEqual({ name, value })
      expect(row?.text).toBe(`p50 ${amount((count + 1) / 2)}, ${name} ${amount(value)}`)
      expect([row?.p99, row?.max, row?.promised]).toEqual([name === 'p99' ? value : null, count, 7])
      expect(series[0]?.quantiles.some(({ percent }) => percent === 99)).toBe(count >= 100)
    }
  })
})
