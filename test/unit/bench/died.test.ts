// What is left of a run whose process died: what it measured, without what it had refused until then. And what makes a run one that is
// not complete: its matrix, or its files. And what the time that is left at the end of a whole run adds to it.

import { describe, expect, it } from 'vitest'
import { FULL, QUICK, type Scene } from '../../../src/bench/matrix.js'
import type { BenchSeen } from '../../../src/bench/results.js'
import type { Ran } from '../../../src/bench/run.js'
import { printResults } from '../../../src/bench/terminal.js'
import { type Gathered, goesOn, named, ofRun, resultsOf, withFurther } from '../../../src/bin/bench.js'

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

describe('further rounds', () => {
  const scene = FULL.find(({ further }) => further) as Scene
  const { grants, workspaces, rounds } = scene
  const at = (round: number, variant = 'none') => ({ ...raw(variant), grants, workspaces, round })
  const seen = (...names: readonly string[]): Ran => ({ variants: named(names.map(raw), new Map()), complete: true })
  const gathered = (...more: readonly ReturnType<typeof at>[]): Gathered => ({
    raws: more,
    ran: seen('none', 'ebpf'),
    remarks: ['a remark'],
  })
  const whole = gathered(at(rounds - 1))

  it('are of the scene that most promises are of, where a whole run has all that it asks', () => {
    expect(grants).toBe(100_000)
    expect(goesOn({ kind: 'full', scenes: FULL }, whole)).toBe(scene)
    expect(goesOn({ kind: 'only', scenes: FULL }, whole)).toBeUndefined()
    expect(goesOn({ kind: 'quick', scenes: QUICK }, whole)).toBeUndefined()
    const late = { ...whole, ran: { ...whole.ran, complete: false, why: 'no time was left for 0 grants' } }
    expect(goesOn({ kind: 'full', scenes: FULL }, late)).toBeUndefined()
    // It ended with five.
    expect(goesOn({ kind: 'full', scenes: FULL }, gathered(at(4)))).toBeUndefined()
  })

  it('are added to what was measured, and how they end is a remark', () => {
    const more: Gathered = { ...gathered(at(rounds), at(rounds, 'ebpf')), remarks: ['a remark', 'another'] }
    const both = withFurther(whole, more)
    expect(both.raws.map(({ round }) => round)).toEqual([rounds - 1, rounds, rounds])
    expect([both.ran.complete, both.remarks]).toEqual([true, ['a remark', 'another']])
    const cut = withFurther(whole, { ...more, ran: { ...more.ran, complete: false, why: 'it was interrupted' } })
    expect([cut.raws.length, cut.ran.complete]).toEqual([3, true])
    expect(cut.remarks).toEqual(['a remark', 'another', 'further rounds ended early: it was interrupted'])
    const none = withFurther(whole, 'this is not root')
    expect(none).toEqual({ ...whole, remarks: ['a remark', 'there were no further rounds: this is not root'] })
  })

  it('take back what was measured of a variant that they find to mean something else', () => {
    const variants = named([raw('none')], new Map([['ebpf', 'it lets everything through']]))
    const more = { ...gathered(at(rounds)), ran: { variants, complete: true } }
    const both = withFurther(gathered(at(rounds - 1), at(rounds - 1, 'ebpf')), more)
    expect(both.raws.map(({ variant }) => variant)).toEqual(['none', 'none'])
    expect(both.ran.variants.map(({ name, state }) => [name, state])).toEqual([
      ['none', 'measured'],
      ['ebpf', 'refused'],
    ])
    expect(both.remarks).toContain('ebpf was refused in further rounds, and has no figures: it lets everything through')
  })

  it('take nothing back where what judges nothing means something else: the ground is broken', () => {
    const variants = named([], new Map([['none', 'nothing comes through']]))
    const both = withFurther(whole, { ...gathered(), ran: { variants, complete: true } })
    expect(both).toEqual({
      ...whole,
      remarks: ['a remark', 'there were no further rounds: none: nothing comes through'],
    })
  })
})
