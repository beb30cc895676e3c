// What somebody needs who wants the figures again: the command of each measurement, loading included, the ruleset that all is compared
// with, and the versions of what made them.

import { expect, it } from 'vitest'
import { machine } from '../../../src/bench/machine.js'
import { readResults } from '../../../src/bench/read.js'
import { buildReport } from '../../../src/bench/report/build.js'
import { runMatrix } from '../../../src/bench/run.js'
import type { Variant } from '../../../src/bench/variants/variant.js'
import { resultsOf } from '../../../src/bin/bench.js'

const QUIET = { loadBefore: 0, loadAfter: 0, stolen: 0 }
const PATH = { client: [], pinned: [], address: () => '', port: 0 }

const hand = (state: 'measured' | 'absent') => ({
  ...{ name: 'hand', say: 'by hand', emulated: false, state },
  role: 'peer' as const,
})
const resultsWith = (state: 'measured' | 'absent') =>
  resultsOf(
    { seed: 1, command: 'sluice bench' },
    { kind: 'full', scenes: [], budgetMs: 3_600_000 },
    {
      ...{ raws: [], remarks: [], benches: [], tookSeconds: 1, startedAtMs: 0, version: '0.1.0' },
      ran: { variants: [hand(state)], complete: true },
    },
    QUIET,
  )

it('is the command that loaded a policy, and what its memory was read with', { timeout: 120_000 }, async () => {
  const variant: Variant = {
    ...{ name: 'hand', say: 'by hand', role: 'peer', emulated: false },
    absent: () => Promise.resolve(undefined),
    put: () =>
      Promise.resolve({ stageMs: 1, kernelMiB: 2, commands: ['nft -f - < hand.nft'], lift: () => Promise.resolve() }),
  }
  const told: unknown[] = []
  await runMatrix(PATH, [variant], {
    scenes: [{ grants: 10, workspaces: 1, rounds: 1, probes: [] }],
    seed: 1,
    budgetMs: 600_000,
    signal: new AbortController().signal,
    raw: ({ question, commands }) => told.push([question, commands]),
    progress: () => undefined,
    remark: () => undefined,
    refused: () => undefined,
    clock: () => 0,
  })
  expect(told).toEqual([
    ['stage', ['nft -f - < hand.nft']],
    ['kernel-memory', ['nft -f - < hand.nft', "grep -E '^(Slab|Percpu|VmallocUsed):' /proc/meminfo"]],
  ])
})

it('is the ruleset by hand, in results and report, where it was measured', () => {
  const results = readResults(JSON.stringify(resultsWith('measured')), 'results.json')
  const { hand: text = '' } = results.policy
  expect(text).toMatch(/^table inet hand \{\n/)
  for (const part of [
    'ct state established,related accept',
    '45.1.0.0 . udp . 443',
    '2600:45:1::4 . udp . 443',
    '@grants6',
  ])
    expect(text).toContain(part)
  expect(buildReport(results).commands).toContainEqual({ what: 'hand.nft, for 10 grants', line: text })
  expect(resultsWith('absent').policy.hand).toBeUndefined()
})

it('is a version of every program and package, and never a word', () => {
  const { versions } = machine()
  for (const [name, version] of Object.entries(versions))
    expect([name, version]).toEqual([name, expect.stringMatching(/^\d+\.\d/)])
  expect(Object.keys(versions)).toEqual(
    expect.arrayContaining(['node', 'autocannon', 'casbin', '@cedar-policy/cedar-wasm']),
  )
  expect(resultsWith('absent').machine.versions).toEqual(versions)
})
