// The gate of RFC 9411 on a load that is sustained: a full run has a stream that it is told of, cut into seconds.

import { expect, it } from 'vitest'
import { assemble } from '../../../src/bench/assemble.js'
import { LEAST_REPETITIONS } from '../../../src/bench/figure.js'
import { deviationOf, intervalsOf } from '../../../src/bench/generators.js'
import { FULL } from '../../../src/bench/matrix.js'
import { groupsOf } from '../../../src/bench/report/columns.js'
import { VARIANTS } from '../../support/bench/runs.js'

it('is cut into tenths where it is long, and into fifths of its seconds where it is not', () => {
  expect(intervalsOf(10_000)).toEqual({ seconds: 10, each: 1, whole: 10 })
  expect(intervalsOf(1_000)).toEqual({ seconds: 1, each: 0.2, whole: 5 })
  expect(intervalsOf(3_000)).toEqual({ seconds: 3, each: 0.2, whole: 15 })
})

it('deviates by its furthest tenth, whichever way', () => {
  expect(deviationOf([90, 105, 105, 100])).toBeCloseTo(0.1)
  expect(deviationOf([110, 95, 95, 100])).toBeCloseTo(0.1)
  expect(deviationOf([0, 0])).toBe(0)
})

it('has its gate in a full run, a name and a place of its own', () => {
  const raws = FULL.filter(({ grants }) => grants === 1_000).flatMap(({ grants, workspaces, rounds, probes }) =>
    probes
      .filter(({ question, flows, family }) => question === 'tcp-stream' && flows === 1 && family === 'ipv4')
      .flatMap(({ question, flows, family, ms }) =>
        Array.from({ length: rounds }, (_, round) => ({
          ...{ question, flows, family, ms, grants, workspaces, round, position: 0, value: 1 },
          variant: 'ebpf',
          deviation: 0.02,
          commands: ['iperf3 -J'],
        })),
      ),
  )
  const measurements = assemble(raws, VARIANTS, { confidence: 0.95, seed: 1 }).filter((one) => one.workspaces === 1)
  const sustained = measurements.filter(({ cells }) => cells[0]?.gates.some(({ name }) => name === 'sustain-deviation'))
  expect(sustained.map(({ say, grants }) => `${say}, ${grants}`)).toEqual([
    'TCP stream of 10 seconds, 1 flow, IPv4, 1000',
  ])
  const [cell] = sustained[0]?.cells ?? []
  expect(cell?.gates).toEqual([{ name: 'sustain-deviation', limit: 0.05, value: 0.02, state: 'passed' }])
  expect(cell?.repetitions.length).toBeGreaterThanOrEqual(LEAST_REPETITIONS)
  expect(new Set(measurements.map(({ say }) => say)).size).toBe(measurements.length)
  // Two values of one variant in one place of a plot would be read as one.
  for (const { columns } of groupsOf(measurements)) {
    const places = columns.map(({ at }) => at)
    expect(new Set(places).size).toBe(places.length)
  }
})
