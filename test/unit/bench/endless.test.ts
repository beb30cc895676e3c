// What a run does with a probe that finds no end in its time, and with a scene that says something of some variants alone; nothing is
// measured.

import { expect, it, vi } from 'vitest'
import { benchFault } from '../../../src/bench/errors.js'
import type * as generators from '../../../src/bench/generators.js'
import type { Scene } from '../../../src/bench/matrix.js'
import { runMatrix } from '../../../src/bench/run.js'
import type { Variant } from '../../../src/bench/variants/variant.js'

const asked: string[] = []
vi.mock('../../../src/bench/generators.js', async (original) => ({
  ...(await original<typeof generators>()),
  measure: (_path: unknown, _setting: unknown, probe: { question: string; flows: number; ms: number }) => {
    if (probe.question === 'flows') {
      asked.push(`${probe.flows}`)
      if (probe.flows === 7) return Promise.reject(benchFault('BENCH_TIME', { ms: probe.ms, stood: 3 }))
    }
    return Promise.resolve({ value: 1, commands: ['sluice-load flows'] })
  },
}))

it('asks once for what has no end, and of nobody whom a scene leaves out', { timeout: 120_000 }, async () => {
  const probe = (flows: number): Scene['probes'][number] => ({ question: 'flows', family: 'ipv4', flows, ms: 1_000 })
  const scene: Scene = { grants: 10, workspaces: 1, rounds: 3, probes: [probe(7), probe(5)], only: ['one'] }
  const variant = (name: string): Variant => ({
    name,
    say: name,
    role: 'fence',
    emulated: false,
    absent: () => Promise.resolve(undefined),
    put: () => Promise.resolve({ lift: () => Promise.resolve() }),
  })
  const remarks: string[] = []
  const values: string[] = []
  const path = { client: [], pinned: [], address: () => '', port: 0 }
  await runMatrix(path, [variant('one'), variant('other')], {
    scenes: [scene],
    seed: 1,
    budgetMs: 600_000,
    signal: new AbortController().signal,
    raw: ({ variant: name, flows }) => values.push(`${name} ${flows}`),
    progress: () => undefined,
    remark: (say) => remarks.push(say),
    refused: () => undefined,
    clock: () => 0,
  })
  expect(asked).toEqual(['7', '5', '5', '5'])
  expect(values).toEqual(['one 5', 'one 5', 'one 5'])
  expect(remarks).toEqual([
    'flows of one failed at least once: 1000 ms were over when 3 connections stood, and there was room for more',
  ])
})
