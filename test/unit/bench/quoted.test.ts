// The figures of the README: what is quoted says where it is from and how it is made again, and a run that nobody can stand by says so.

import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { BEGIN, END, MOST, quoted, reservations } from '../../../src/bench/quoted.js'
import type { Results } from '../../../src/bench/results.js'
import { richResults } from '../../support/bench/rich.js'

const rich = richResults()
const sound: Results = {
  ...rich,
  run: { ...rich.run, kind: 'full', commit: 'a'.repeat(40), dirty: false, complete: true },
  machine: { ...rich.machine, loadBefore: 0.1, loadAfter: 1, stolen: 0 },
}

describe('quoted figures', () => {
  it('have a commit, a machine, and a command each', () => {
    const text = quoted(sound)
    const [begin, measured, , head, rule, ...rest] = text.split('\n')
    expect([begin, rest.pop()]).toEqual([BEGIN, END])
    expect(measured).toContain(`Measured at commit \`${'a'.repeat(40)}\` on ${sound.machine.cpus} x `)
    expect([head, rule]).toEqual(['| promise | target | measured | verdict |', '|---|---|---|---|'])
    const rows = rest.filter((line) => line.startsWith('|'))
    expect(rows).toHaveLength(sound.promises.length)
    for (const row of rows)
      expect(row).toMatch(/^\| .+ \| .+ \| .+ \| (\*\*met\*\*|missed|within noise|too noisy|not measured) \|$/)
    expect(text).toContain('| quarantine to last byte, in process | p99 &lt;= 5 ms | p99 0.227 ms | **met** |')
    const again = rest.filter((line) => line.startsWith('- '))
    for (const line of again)
      expect(line).toMatch(
        /^- `(npx sluice bench --only [a-z-]+|([A-Z_]+=\S+ )*node scripts\/bench\.mjs [a-z-]+|npx vitest run test\/[a-z/-]+\.test\.ts)`: .+$/,
      )
    // Each promise stands behind one command, and a command that makes many stands there once.
    const named = again.flatMap((line) => line.slice(line.indexOf('`: ') + 3).split('; '))
    expect(named.sort()).toEqual(rows.map((row) => row.split(' | ')[0]?.slice(2)).sort())
    expect(new Set(again.map((line) => line.split('`')[1])).size).toBe(again.length)
  })

  it('are short: all that was found stands in the report, and what an earlier build said at length is cut', () => {
    const figure = `ebpf: ${'p50 0.26 ms, p99 3.70 ms; '.repeat(9)}`
    const long = { ...sound, promises: sound.promises.map((one) => ({ ...one, say: figure, target: figure, figure })) }
    const rows = quoted(long)
      .split('\n')
      .filter((line) => /^\| (?!promise)/.test(line))
    expect(rows).toHaveLength(sound.promises.length)
    for (const row of rows) {
      const [, promise = '', target = '', measured = ''] = row.split(' | ').map((part) => part.replace(/^\| /, ''))
      expect(target).toMatch(/^ebpf: p50 .+\S…$/)
      for (const part of [promise, target, measured]) expect(part.length).toBeLessThanOrEqual(MOST)
    }
    expect(quoted(sound)).not.toContain('to the last byte: p50')
  })

  it('are provisional where somebody would be wrong to stand by them', () => {
    expect(reservations(sound)).toEqual([])
    const busy: Results = {
      ...sound,
      run: { ...sound.run, kind: 'only', dirty: true, complete: false, why: 'no time was left for 10 grants' },
      machine: { ...sound.machine, loadBefore: 9, loadAfter: 1_000, stolen: 0.2 },
    }
    expect(reservations(busy)).toEqual([
      'the tree had changes that are in no commit',
      'the run is not complete: no time was left for 10 grants',
      `the machine was busy before it began: 9.00 of ${sound.machine.cpus} processors were at work`,
      `the machine was busy beside it when it ended, with a load of 1,000 on ${sound.machine.cpus} processors`,
      "the hypervisor gave 20.0 % of the processors' time to others",
      'it is a part of a run',
    ])
    expect(quoted(busy).split('\n')[1]).toMatch(/^\*\*Provisional\*\*: the tree had changes/)
  })

  it('are text, whatever a machine or a bench calls itself', () => {
    const hostile = quoted({
      ...sound,
      machine: { ...sound.machine, cpu: 'a | b\n<script>' },
      promises: sound.promises.map((one) => ({ ...one, say: '| x `y` [z](w)' })),
    })
    expect(hostile).not.toContain('<script>')
    for (const row of hostile.split('\n').filter((line) => line.startsWith('|'))) expect(row.split('|')).toHaveLength(6)
    for (const line of hostile.split('\n').filter((line) => line.startsWith('- ')))
      expect(line).not.toMatch(/\[z\]|`y`/)
  })

  it('of the README are such a table, and every command names what is there', () => {
    const page = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
    const block = page.slice(page.indexOf(BEGIN), page.indexOf(END))
    expect(block).toMatch(
      /\nMeasured at commit `[0-9a-f]{40}` on \d+ x .+, Linux .+, \d{4}-\d\d-\d\d, by `npx sluice bench/,
    )
    const rows = block.split('\n').filter((line) => /^\| (?!promise)/.test(line))
    expect(rows.length).toBeGreaterThan(3)
    for (const row of rows) {
      const cells = row.split(' | ').map((part) => part.replace(/&lt;/g, '<').replace(/^\| | \|$/g, ''))
      expect([row, cells.length]).toEqual([row, 4])
      expect(cells.filter((part) => part.length > MOST)).toEqual([])
    }
    const again = block.split('\n').filter((line) => line.startsWith('- '))
    expect(again.length).toBeGreaterThan(3)
    for (const row of again) {
      const file = /^- `(?:[A-Z_]+=\S+ )*node scripts\/bench\.mjs ([a-z-]+)`: /.exec(row)?.[1]
      if (file === undefined)
        expect(row).toMatch(/^- `npx (sluice bench (--quick )?--only [a-z-]+|vitest run test\/[a-z/-]+\.test\.ts)`: /)
      else expect([file, existsSync(new URL(`../../../bench/${file}.mjs`, import.meta.url))]).toEqual([file, true])
    }
  })
})
