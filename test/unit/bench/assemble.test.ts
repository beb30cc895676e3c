// From repetitions to cells: ratios are of rounds that both were measured in, latencies without coordinated omission, costs by what was
// carried, and the gates of RFC 9411; then the verdicts about the promises.

import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { assemble, idOf, type Raw } from '../../../src/bench/assemble.js'
import { FULL_FILES } from '../../../src/bench/budget.js'
import { bucketOf } from '../../../src/bench/histogram.js'
import { judgePromises } from '../../../src/bench/promises.js'
import type { BenchSeen } from '../../../src/bench/results.js'
import { VARIANTS } from '../../support/bench/runs.js'

const terms = { confidence: 0.95, seed: 1 }
const raw = (variant: string, round: number, value: number, more: Partial<Raw> = {}): Raw => ({
  question: 'tcp-crr',
  family: 'ipv4',
  flows: 8,
  grants: 100_000,
  workspaces: 1,
  variant,
  round,
  position: 0,
  value,
  commands: ['sluice-load crr 45.0.0.1'],
  ...more,
})
const rounds = [0, 1, 2, 3, 4]
const ID = 'tcp-crr flows=8 family=ipv4 grants=100000 workspaces=1 by=sluice-load'

describe('assemble', () => {
  it('compares rounds with rounds, and leaves out those that one of them lacks', () => {
    const raws = [
      ...rounds.map((round) => raw('none', round, 1_000 + round * 100)),
      ...rounds.map((round) => raw('ebpf', round, 0.9 * (1_000 + round * 100))),
      raw('ebpf', 5, 1),
    ]
    const [measurement] = assemble(raws, VARIANTS, terms)
    expect(measurement).toMatchObject({
      id: ID,
      unit: 'connections/s',
      better: 'higher',
      commands: ['sluice-load crr 45.0.0.1'],
    })
    const [none, ebpf] = measurement?.cells ?? []
    expect(none).toMatchObject({ variant: 'none', ratios: [], gates: [] })
    const [ratio] = ebpf?.ratios ?? []
    expect(ratio).toMatchObject({ to: 'none', figure: { kind: 'value', of: 5 } })
    if (ratio?.figure.kind === 'value')
      for (const value of [ratio.figure.low, ratio.figure.middle, ratio.figure.high]) expect(value).toBeCloseTo(0.9, 12)
    expect(ebpf?.repetitions).toHaveLength(6)
  })

  it('gives no number for fewer than five repetitions', () => {
    const [measurement] = assemble([raw('none', 0, 1)], VARIANTS, terms)
    expect(measurement?.cells[0]?.figure).toEqual({ kind: 'none', why: '1 repetition, and 5 are needed' })
  })

  it('fills closed loops up by their own median, and takes paced ones as they are', () => {
    const latency = [
      [bucketOf(1_000), 100],
      [bucketOf(1_000_000), 1],
    ] as const
    const of = (paced: boolean) =>
      assemble(
        rounds.map((round) => raw('none', round, 1, { latency, paced })),
        VARIANTS,
        terms,
      )[0]?.cells[0]?.latency
    expect(of(true)).toMatchObject({ corrected: true, count: 505 })
    expect(of(false)?.count).toBe(505)
    const at = (latencies: ReturnType<typeof of>, percent: number): number =>
      latencies?.percentiles.find((one) => one.percent === percent)?.microseconds ?? Number.NaN
    expect(at(of(true), 90)).toBeCloseTo(1, 1)
    expect(at(of(false), 90)).toBeGreaterThan(500)
  })

  it('names what made them, and for how long, so that nothing else has the same name', () => {
    const ids = [
      raw('none', 0, 1, { question: 'tcp-stream', ms: 600, commands: ['taskset -c 1 sluice-load stream 45.0.0.1'] }),
      raw('none', 0, 1, { question: 'tcp-stream', ms: 1_000, commands: ['iperf3 -J', 'iperf3 -s'] }),
      raw('none', 0, 1, { question: 'stage', commands: [] }),
    ].map(idOf)
    const of = 'flows=8 family=ipv4 grants=100000 workspaces=1'
    expect(ids).toEqual([`tcp-stream ${of} ms=600 by=sluice-load`, `tcp-stream ${of} ms=1000 by=iperf3`, `stage ${of}`])
  })

  it('tells a percentile of all requests only where twenty were slower', () => {
    const of = (count: number) =>
      assemble(
        rounds.map((round) => raw('none', round, 1, { latency: [[bucketOf(1_000), count / 5]], paced: true })),
        VARIANTS,
        terms,
      )[0]?.cells[0]?.latency?.percentiles.map(({ percent }) => percent)
    expect(of(195)).toEqual([100])
    expect(of(200)).toEqual([90, 100])
    expect(of(19_995)).toEqual([90, 100])
    expect(of(20_000)).toEqual([90, 99.9, 100])
    expect(of(199_995)).toEqual([90, 99.9, 100])
    expect(of(200_000)).toEqual([90, 99.9, 99.99, 100])
  })

  it('divides CPU time by what was carried', () => {
    const raws = rounds.flatMap((round) => [
      raw('none', round, 5_000, { cpuSeconds: 0.5 * (round + 1), work: 2.5 }),
      raw('ebpf', round, 5_000, { cpuSeconds: 0.6 * (round + 1), work: 2.5 }),
    ])
    const even = raws.map((one) => (one.variant === 'none' ? { ...one, cpuSeconds: 0.5 } : one))
    const [none, ebpf] = assemble(even, VARIANTS, terms)[0]?.cells ?? []
    expect(none?.cost).toEqual({
      cpuSecondsPerThousandTransactions: { kind: 'value', middle: 0.2, low: 0.2, high: 0.2, spread: 0, of: 5 },
    })
    expect(ebpf?.cost?.ofBaseline).toMatchObject({ kind: 'noisy' })
    // Of rounds that grew dearer for both alike the cost is too noisy, and the ratio is not.
    const [, grown] = assemble(raws, VARIANTS, terms)[0]?.cells ?? []
    expect(grown?.cost).toMatchObject({ cpuSecondsPerThousandTransactions: { kind: 'noisy' } })
    expect(grown?.cost?.ofBaseline).toMatchObject({ kind: 'value', of: 5 })
    expect(grown?.cost?.ofBaseline?.kind === 'value' && grown.cost.ofBaseline.middle).toBeCloseTo(1.2)
  })

  it('holds the gates of RFC 9411', () => {
    const more = { tried: 200_000, failed: 1, resets: 0, deviation: 0.07, ms: 10_000 }
    expect(
      assemble(
        rounds.map((round) => raw('none', round, 1, more)),
        VARIANTS,
        terms,
      )[0]?.cells[0]?.gates,
    ).toEqual([
      { name: 'failed-transactions', limit: 1e-5, value: 5e-6, of: 1_000_000, state: 'passed' },
      { name: 'unexpected-resets', limit: 1e-5, value: 0, of: 1_000_000, state: 'passed' },
      { name: 'sustain-deviation', limit: 0.05, value: 0.07, state: 'failed' },
    ])
    const short = rounds.map((round) => raw('none', round, 1, { ...more, ms: 500 }))
    expect(assemble(short, VARIANTS, terms)[0]?.cells[0]?.gates.map(({ name }) => name)).toEqual([
      'failed-transactions',
      'unexpected-resets',
    ])
    const lost = rounds.map((round) => raw('none', round, 1, { question: 'packets', tried: 1_000, failed: 1 }))
    expect(assemble(lost, VARIANTS, terms)[0]?.cells[0]?.gates).toEqual([
      { name: 'lost-packets', limit: 1e-5, value: 0.001, of: 5_000, state: 'failed' },
    ])
    const none = (tried: number) =>
      assemble(
        rounds.map((round) => raw('none', round, 1, { tried, failed: 0 })),
        VARIANTS,
        terms,
      )[0]?.cells[0]?.gates
    expect(none(59_999)).toMatchObject([{ value: 0, of: 299_995, state: 'too-few' }])
    expect(none(60_000)).toMatchObject([{ value: 0, of: 300_000, state: 'passed' }])
    const uneven = rounds.map((round) =>
      raw('none', round, 1, { deviation: round === 3 ? 0.06 : 0.01, ms: 10_000, tried: 0 }),
    )
    expect(assemble(uneven, VARIANTS, terms)[0]?.cells[0]?.gates).toEqual([
      { name: 'sustain-deviation', limit: 0.05, value: 0.06, state: 'failed' },
    ])
  })
})

describe('judgePromises', () => {
  const ofRatio = (share: number, noise = 0) =>
    assemble(
      rounds.flatMap((round) => [
        raw('empty', round, 1_000),
        raw('ebpf', round, 1_000 * (share + noise * (round - 2))),
      ]),
      VARIANTS,
      terms,
    )
  const verdict = (share: number, noise = 0) =>
    judgePromises(ofRatio(share, noise), [], VARIANTS).find(({ id }) => id === 'connections-ebpf')

  it('are held, broken, or too noisy to tell', () => {
    expect(verdict(0.95)).toMatchObject({ verdict: 'met', figure: '0.950 (0.950 to 0.950)', from: `measurement ${ID}` })
    expect(verdict(0.85)).toMatchObject({ verdict: 'not-met', target: '>= 0.9' })
    expect(verdict(0.95, 0.2)).toMatchObject({
      verdict: 'too-noisy',
      figure: expect.stringMatching(/^0\.550 to 1\.350 seen, an interval of 42 % on one side/),
    })
    expect(judgePromises([], [], VARIANTS)[0]).toMatchObject({
      verdict: 'not-measured',
      figure: 'this run did not measure it',
    })
  })

  it('are within noise where the interval has the target inside, and broken where all of it is beyond, however wide', () => {
    expect(verdict(0.91, 0.01)).toMatchObject({ verdict: 'within-noise', figure: '0.910 (0.890 to 0.930)' })
    expect(verdict(0.89, 0.01)).toMatchObject({ verdict: 'within-noise' })
    expect(verdict(0.5, 0.15)).toMatchObject({
      verdict: 'not-met',
      figure: expect.stringMatching(/^0\.200 to 0\.800 seen, /),
      against: { value: { kind: 'noisy' } },
    })
    expect(verdict(2, 0.4)).toMatchObject({ verdict: 'too-noisy' })
  })

  it('are never held where transactions failed beyond the gate', () => {
    const lossy = (failed: number, noise = 0) =>
      judgePromises(
        ofRatio(0.95, noise).map((one) => ({
          ...one,
          cells: one.cells.map((cell) => ({
            ...cell,
            gates: [
              {
                ...{ name: 'failed-transactions' as const, limit: 1e-5, value: failed, of: 1_000_000 },
                state: failed < 1e-5 ? ('passed' as const) : ('failed' as const),
              },
            ],
          })),
        })),
        [],
        VARIANTS,
      ).find(({ id }) => id === 'connections-ebpf')
    expect(lossy(5e-6)).toMatchObject({ verdict: 'met' })
    expect(lossy(0.002)).toMatchObject({
      verdict: 'not-met',
      figure: '0.950 (0.950 to 0.950); failed-transactions 0.20 %',
    })
    expect(lossy(0.002, 0.02)).toMatchObject({ verdict: 'not-met' })
  })

  it('name what the run did not measure, and what measures it', () => {
    const absent = judgePromises([], [], VARIANTS).filter(({ verdict }) => verdict === 'not-measured')
    const froms = absent.map(({ from }) => from)
    expect(froms).toEqual(expect.arrayContaining(['bench quarantine', 'bench revocation']))
    for (const from of froms) {
      const [kind, name = ''] = from.split(' ')
      const file = kind === 'bench' ? `bench/${name}.mjs` : name
      if (kind !== 'measurement')
        expect([file, existsSync(new URL(`../../../${file}`, import.meta.url))]).toEqual([file, true])
    }
    const full = FULL_FILES.map(({ name }) => `bench ${name}`)
    expect(full).toEqual(expect.arrayContaining(froms.filter((from) => from.startsWith('bench '))))
  })

  it('come from files of bench/ as those say them', () => {
    const seen: BenchSeen = {
      name: 'learn',
      promise: 'eBPF: add one learned grant',
      target: '<= 20 us',
      state: 'done',
      figure: '11.8 us (median)',
      rows: ['one learned grant: median 11.8 us'],
      met: true,
      emulated: false,
      command: 'node scripts/bench.mjs learn',
      tookSeconds: 3,
      series: [],
    }
    const of = (bench: BenchSeen) => judgePromises([], [bench], VARIANTS).find(({ from }) => from === 'bench learn')
    expect(of(seen)).toMatchObject({ verdict: 'met', figure: '11.8 us (median)', rows: seen.rows, target: '<= 20 us' })
    const { figure: _figure, rows: _rows, met: _met, ...rest } = seen
    // Of an earlier build, which had all of it in the figure.
    expect(of({ ...rest, figure: 'median 11.8 us, p99 70 us', met: true })).not.toHaveProperty('rows')
    const skipped: BenchSeen = { ...rest, state: 'skipped', why: 'no time was left' }
    expect(of(skipped)).toMatchObject({ verdict: 'not-measured', figure: 'no time was left' })
  })
})
