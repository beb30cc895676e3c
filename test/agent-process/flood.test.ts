// A flood of refused packets at a real agent, the file of bench/ run short: every packet that the kernel refused stands in the journal,
// in an event or in the count of those that were kept back, on both backends; none passed. How fast it was is no test's business.

import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'

labSuite('a flood of refused packets', () => {
  it.each(['ebpf', 'nftables'])('is in the trail to the last packet: %s', { timeout: 240_000 }, (backend) => {
    const words = ['-n', process.execPath, repositoryPath('scripts/bench.mjs'), '--tell', 'flood.mjs']
    const told = execFileSync('unshare', words, {
      encoding: 'utf8',
      env: { ...process.env, BENCH_BACKEND: backend, FLOOD_MS: '50' },
    })
    const { figure, rows, series } = JSON.parse(told) as {
      figure: string
      rows: string[]
      series: { name: string; samples: number[] }[]
    }
    expect(figure).toMatch(/ [\d,]+\/s; 0 unaccounted, 0 lost, 0 let through, 0 never came to the fence$/)
    const counts = (what: string): number[] => {
      const row = rows.find((one) => one.includes(`, ${what}: `)) ?? ''
      return (row.slice(row.indexOf(': ')).match(/-?[\d,]+/g) ?? []).map((text) => Number(text.replaceAll(',', '')))
    }
    const [[sent = 0], [inEvents = 0, events = 0], [keptBack = 0]] = [
      counts('sent'),
      counts('in the trail'),
      counts('counted as kept back'),
    ]
    expect(['unaccounted', 'lost by the journal', 'let through'].map(counts)).toEqual([[0], [0], [0]])
    // Folded, and most of it kept back: a workspace cannot drown the trail.
    expect(inEvents).toBeGreaterThan(events)
    expect(keptBack).toBeGreaterThan(inEvents)
    expect(inEvents + keptBack).toBeLessThanOrEqual(sent)
    expect(series.map(({ name, samples }) => [name, samples.length])).toEqual([
      [`${backend}, refused packets a second`, 5],
      [`${backend}, the agent's share of a processor meanwhile`, 5],
    ])
  })
})
