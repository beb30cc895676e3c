// Gates of RFC 9411 where they are shown: what failed stands beside a rate that is too noisy as well, and of too few nothing is said to
// have passed.

import { describe, expect, it } from 'vitest'
import { buildReport } from '../../../src/bench/report/build.js'
import { failedGates, untoldGates } from '../../../src/bench/report/gates.js'
import type { Gate } from '../../../src/bench/results.js'
import { printResults } from '../../../src/bench/terminal.js'
import { richResults } from '../../support/bench/rich.js'

const failed: Gate = { name: 'failed-transactions', limit: 1e-5, value: 0.002, of: 500_000, state: 'failed' }
const few: Gate = { name: 'unexpected-resets', limit: 1e-5, value: 0, of: 26_497, state: 'too-few' }
const passed: Gate = { name: 'failed-transactions', limit: 1e-5, value: 0, of: 300_000, state: 'passed' }

describe('gates', () => {
  it('are told where they failed, or too few were tried', () => {
    expect(failedGates([failed, few, passed])).toEqual(['failed transactions 0.200 %, limit 0.00100 %'])
    expect(untoldGates([failed, few, passed])).toBe('unexpected resets: too few to tell (26,497)')
    expect([failedGates([passed]), untoldGates([passed])]).toEqual([[], undefined])
  })

  it('stand beside a rate that is too noisy, on the terminal and in the report', () => {
    const results = richResults()
    const [first] = results.measurements.filter(({ question }) => question === 'tcp-crr')
    if (first === undefined) throw new Error('no connections')
    const cells = first.cells.map((cell) => ({
      ...cell,
      figure: { kind: 'noisy' as const, why: 'wide', middle: 5_000, low: 2_000, high: 9_000 },
      gates: [failed, few],
    }))
    const one = { ...results, measurements: [{ ...first, cells }] }
    const text = printResults(one, (_, part) => part)
    expect(text).toContain('  failed: Sluice eBPF: failed transactions 0.200 %, limit 0.00100 %\n')
    expect(text).toContain('  unexpected resets: too few to tell (26,497)\n')
    const [section] = buildReport(one).sections
    const cell = section?.tables[0]?.rows.find(({ look }) => look === 'ebpf')?.cells[1]
    expect(cell).toMatchObject({ text: 'too noisy', tone: 'bad' })
    expect(cell?.asides).toEqual(
      expect.arrayContaining([
        '2,000 to 9,000 seen',
        'failed transactions 0.200 %, limit 0.00100 %',
        'unexpected resets: too few to tell (26,497)',
      ]),
    )
  })
})
