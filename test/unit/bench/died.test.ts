// What is left of a run whose process died: what it measured, without what it had refused until then.

import { expect, it } from 'vitest'
import { named, ofRun } from '../../../src/bin/bench.js'

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
