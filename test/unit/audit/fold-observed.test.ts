// Observed flows folded into facts: exact counts, a bound on what one workspace can make, the same facts for the same values.

import { describe, expect, it } from 'vitest'
import { DESTINATIONS } from '../../../src/audit/fold.js'
import { foldObserved, type SeenFlow } from '../../../src/audit/fold-observed.js'
import { POLICY, WORKSPACE } from '../../support/facts.js'

const CONTEXT = {
  backend: 'ebpf',
  policies: new Map([[31, POLICY]]),
  workspaces: new Map([[WORKSPACE.workspace, WORKSPACE]]),
}
const flow = (atMs: number, more: Partial<SeenFlow> = {}): SeenFlow => ({
  atMs,
  workspace: WORKSPACE.workspace,
  reason: 'no-grant',
  protocol: 6,
  source: '10.9.0.2',
  sourcePort: 40_000,
  destination: '45.76.10.10',
  destinationPort: 443,
  generation: 31,
  answered: false,
  ...more,
})

describe('foldObserved', () => {
  it('makes one fact a second and destination, with what began and what was answered', () => {
    const { state, facts } = foldObserved(
      new Map(),
      [flow(100), flow(150, { answered: true }), flow(900, { sourcePort: 40_001 }), flow(950, { destinationPort: 22 })],
      1_000,
      CONTEXT,
    )
    expect(state.size).toBe(0)
    expect(facts).toEqual([
      {
        kind: 'flow-observed',
        atMs: 900,
        firstAtMs: 100,
        policy: POLICY,
        workspace: WORKSPACE,
        flow: {
          direction: 'egress',
          protocol: 6,
          source: '10.9.0.2',
          sourcePort: 40_000,
          destination: '45.76.10.10',
          destinationPort: 443,
        },
        reason: 'no-grant',
        backend: 'ebpf',
        count: 3,
        begun: 2,
        answered: 1,
      },
      expect.objectContaining({
        count: 1,
        begun: 1,
        answered: 0,
        flow: expect.objectContaining({ destinationPort: 22 }),
      }),
    ])
  })

  it('keeps a window open until it is over', () => {
    const first = foldObserved(new Map(), [flow(100)], 999, CONTEXT)
    expect([first.facts.length, first.state.size]).toEqual([0, 1])
    expect(foldObserved(first.state, [flow(500)], 1_000, CONTEXT).facts).toMatchObject([{ begun: 2 }])
  })

  it('puts together what goes to too many destinations, and counts all of it', () => {
    const many = Array.from({ length: DESTINATIONS + 30 }, (_, i) => flow(100, { destinationPort: 1_000 + i }))
    const { facts } = foldObserved(new Map(), many, 1_000, CONTEXT)
    expect(facts.length).toBe(DESTINATIONS + 1)
    expect(facts.filter(({ mixed }) => mixed)).toMatchObject([{ count: 30 }])
  })
})
