// What is left of a run whose process died: what it measured, without what it had refused until then. And what makes a run one that is
// not complete: its matrix, or its files.

import { describe, expect, it } from 'vitest'
import type { BenchSeen } from '../../../src/bench/results.js'
import type { Ran } from '../../../src/bench/run.js'
import { printResults } from '../../../src/bench/terminal.js'
import { named, ofRun, resultsOf } from '../../../src/bin/bench.js'

const QUIET = { loadBefore: 0, loadAfter: 0, stolen: 0 }

const raw = (variant: string) => ({
  question: 'packets' as const,
  family: 'ipv4' as const,
  ...{ flows: 1, grants: 10, workspaces: 1, variant, round: 0, position: 0, value: 1, commands: [] },
})

it('has no figures of a variant that was refused before the process died, and says why', () => {
  const raws = ['none', 'ebpf', 'nftables'].map(raw)
  const variants = named(raws, new Map([['ebpf', 'it lets everything through']]))
  expect(variants.map(({ name, state, why }) => [name, state, why])).toEqual([
    ['none', 'measured', undefined],
    ['nftables', 'measured', undefined],
    ['ebpf', 'refused', 'it lets everything through'],
  ])
  expect(ofRun(raws, variants).map(({ variant }) => variant)).toEqual(['none', 'nftables'])
})

describe('a run is not complete', () => {
  const file = (name: string, why: string): BenchSeen => ({
    ...{ name, promise: '', target: '', state: 'skipped', why, emulated: false, series: [], tookSeconds: 0 },
    command: `node scripts/bench.mjs ${name}`,
  })
  const of = (ran: Ran, ...benches: readonly BenchSeen[]) => {
    const found = { raws: [], ran, remarks: [], benches, tookSeconds: 1, startedAtMs: 0, version: '0.1.0' }
    const chosen = { kind: 'full' as const, scenes: [], budgetMs: 3_600_000 }
    const results = resultsOf({ seed: 1, command: 'sluice bench' }, chosen, found, QUIET)
    const { complete, why } = results.run
    expect(printResults(results, (_, text) => text).includes('This run is not complete')).toBe(!complete)
    return [complete, why]
  }
  const whole: Ran = { variants: [], complete: true }

  it('when a file found no time, or was interrupted', () => {
    expect(of(whole)).toEqual([true, undefined])
    expect(of(whole, file('dns', 'this installation has no folder bench/'))).toEqual([true, undefined])
    expect(of(whole, file('dns', 'no time was left'), file('sinks', 'no time was left'))).toEqual([
      false,
      'no time was left for bench/dns, bench/sinks',
    ])
    expect(of(whole, file('dns', 'it was interrupted'))).toEqual([
      false,
      'it was interrupted before the end of bench/dns',
    ])
  })

  it('for both reasons, when there are two', () => {
    const late: Ran = { ...whole, complete: false, why: 'no time was left for 10 grants' }
    expect(of(late, file('dns', 'no time was left'))).toEqual([
      false,
      'no time was left for 10 grants; no time was left for bench/dns',
    ])
    const stopped: Ran = { ...whole, complete: false, why: 'it was interrupted' }
    expect(of(stopped, file('dns', 'it was interrupted'))).toEqual([
      false,
      'it was interrupted before the end of bench/dns',
    ])
  })
})
