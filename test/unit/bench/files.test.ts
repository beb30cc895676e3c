// The files of bench/ by what they say: a p99 only of enough, and each promise in the words that a run has which did not measure it; and
// by their names, of which a wrong one runs nothing.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { QUICK_FILES } from '../../../src/bench/budget.js'
import { judgePromises } from '../../../src/bench/promises.js'
import { VARIANTS } from '../../support/bench/runs.js'
import { repositoryPath } from '../../support/lab/repository.js'

const { tail } = (await import(repositoryPath('bench/said/tail.mjs'))) as {
  readonly tail: (values: readonly number[]) => { readonly name: string; readonly value: number }
}
const { digits, ends, named, slowName } = (await import(repositoryPath('bench/said/short.mjs'))) as {
  readonly digits: (value: number) => string
  readonly ends: (seen: readonly (readonly [string, readonly number[]])[], unit: string) => string
  readonly named: (name: string) => string
  readonly slowName: (...lists: readonly (readonly number[])[]) => string
}
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => count - i)

describe('the slow end', () => {
  it('is the longest, by that name, of fewer than a hundred', () => {
    expect(tail(upTo(1))).toEqual({ name: 'longest (of 1)', value: 1 })
    expect(tail(upTo(99))).toEqual({ name: 'longest (of 99)', value: 99 })
  })

  it('is a p99 that one of a hundred may exceed, of more', () => {
    expect(tail(upTo(100))).toEqual({ name: 'p99', value: 99 })
    expect(tail(upTo(1_000))).toEqual({ name: 'p99', value: 990 })
  })
})

describe('a figure in short', () => {
  it.each([
    [0.004, '0.00'],
    [3.7, '3.70'],
    [9.996, '10.0'],
    [37.22, '37.2'],
    [99.96, '100'],
    [1_366.4, '1,366'],
    [-0.121, '-0.12'],
  ])('of %d is %s', (value, text) => expect(digits(value)).toBe(text))

  it('has the middle and the slow end of each backend, by its name', () => {
    const [many, few] = [upTo(200), [4, 1, 3, 2]]
    expect(
      ends(
        [
          ['ebpf', many],
          ['nftables', upTo(100)],
        ],
        'ms',
      ),
    ).toBe('eBPF 101 / 198 ms, nftables 50.5 / 99.0 ms (p50 / p99)')
    expect(ends([['', few]], 'us')).toBe('2.50 / 4.00 us (p50 / longest)')
    expect([slowName(few), slowName(few, many), slowName(many)]).toEqual(['longest', 'p99 or longest', 'p99'])
    expect([named('nftables over gRPC'), named('ebpf'), named('bare')]).toEqual(['nftables over gRPC', 'eBPF', 'bare'])
  })

  it('is given by every file beside all that it found', () => {
    const files = readdirSync(repositoryPath('bench')).filter((name) => name.endsWith('.mjs'))
    expect(files.length).toBeGreaterThan(10)
    const read = (name: string): string => readFileSync(repositoryPath(`bench/${name}`), 'utf8')
    const without = files.filter((name) => {
      const own = read(name)
      const text = own.includes('return told(') ? read('quarantine/told.mjs') : own
      return !/\bfigure\b/.test(text) || !/\brows\b[,:]/.test(text)
    })
    expect(without).toEqual([])
  })
})

describe('what a run did not measure', () => {
  const judged = judgePromises([], [], VARIANTS)

  it.each(['dataplane', 'quarantine', 'quarantine-grpc', 'journal', 'agent', 'attach', 'nftables', 'agent-memory'])(
    'stands there as bench/%s.mjs says it',
    (name) => {
      const promise = judged.find(({ from }) => from === `bench ${name}`)
      const text = readFileSync(repositoryPath(`bench/${name}.mjs`), 'utf8')
      expect(text).toContain(`'${promise?.say}'`)
      expect(text).toContain(`export const target = '${promise?.target}'`)
    },
  )

  it('is not met by what it did measure: a quarantine in process is none over gRPC', () => {
    const [process, grpc] = ['quarantine', 'quarantine-grpc'].map((name) => `bench ${name}`)
    const seen = {
      promise: 'p',
      target: 't',
      figure: 'f',
      rows: [],
      met: true,
      emulated: false,
      command: 'c',
      series: [],
    }
    const quick = QUICK_FILES.map(({ name }) => ({ ...seen, name, state: 'done' as const, tookSeconds: 1 }))
    const verdicts = new Map(judgePromises([], quick, VARIANTS).map(({ from, verdict }) => [from, verdict]))
    expect([verdicts.get(process ?? ''), verdicts.get(grpc ?? '')]).toEqual(['met', 'not-measured'])
  })

  it('has one answer to what a fence leaves of a rate: of the matrix', () => {
    const { say, target } = judged.find(({ from }) => from === 'bench nftables') ?? {}
    expect(`${say} ${target}`).not.toMatch(/throughput|empty/)
  })
})

describe('a name that no file has', () => {
  const asked = (...names: string[]) =>
    spawnSync(process.execPath, [repositoryPath('scripts/bench.mjs'), ...names], { encoding: 'utf8' })

  it('is wrong usage that names the nearest one and all there are, and nothing is run', () => {
    // The first one is right, and is not run either.
    const { status, stdout, stderr } = asked('journal', 'quarantin')
    expect([status, stdout]).toEqual([64, ''])
    expect(stderr).toMatch(
      /^bench: there is no "quarantin"; did you mean "quarantine"\?\nusage: node scripts\/bench\.mjs \[NAME\.\.\.\], of agent, .*, learn, .*, verify\n$/,
    )
  })

  it('is told without a guess where nothing is near', () => {
    const { status, stderr } = asked('nonsense')
    expect(status).toBe(64)
    expect(stderr).toContain('bench: there is no "nonsense"\nusage: ')
  })
})
