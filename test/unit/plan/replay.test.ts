// Seen traffic put to two plans: what is cut, opened and only observed, in whatever order it was seen.

import { describe, expect, it } from 'vitest'
import { digestOfText } from '../../../src/base/digest.js'
import type { Plan } from '../../../src/plan/model.js'
import { renderReplay, replay, type SeenFlow } from '../../../src/plan/replay.js'
import { egress, observe, planOf, WS } from '../../support/plans.js'

const NOW = 1_000
const flow = (destination: string, port: number, count = 1): SeenFlow => ({
  ...{ workspace: WS, protocol: 'tcp', source: '10.9.0.2', destination, port, count },
})
const WEB = egress('web', ['93.184.216.34'], 'tcp', ['443'])
const GIT = egress('git', ['45.76.10.10'], 'tcp', ['22'])
const SEEN = [
  flow('93.184.216.34', 443, 3),
  flow('45.76.10.10', 22),
  flow('8.8.8.8', 443),
  flow('93.184.216.34', 443, 2),
]
const moves = (before: Plan, after: Plan): string[] =>
  replay(before, after, SEEN, [], NOW).moved.map(
    ({ change, destination, count }) => `${change} ${destination} ${count}`,
  )

describe('replay', () => {
  it('says what a plan would cut and what it would open, by clause', () => {
    const told = replay(planOf([WEB]), planOf([GIT]), SEEN, [], NOW)
    expect(told.unchanged).toBe(1)
    expect(renderReplay(told)).toBe(
      `seen traffic: 2 destinations change, 1 connections do not
  + opened ${WS} tcp 45.76.10.10 port 22, seen once: allowed by git (fence.yaml:1)
  - cut ${WS} tcp 93.184.216.34 port 443, seen 5 times: allowed by web (fence.yaml:1); then denied: no clause grants this destination, protocol and port
`,
    )
  })

  it('tells what is only observed from what is granted', () => {
    const [observed, enforcing] = [planOf([WEB, observe(2_000)]), planOf([WEB])]
    expect(moves(enforcing, observed)).toEqual(['observed 45.76.10.10 1', 'observed 8.8.8.8 1'])
    expect(moves(observed, enforcing)).toEqual(['cut 45.76.10.10 1', 'cut 8.8.8.8 1'])
    expect(moves(observed, planOf([WEB, GIT]))).toEqual(['opened 45.76.10.10 1', 'cut 8.8.8.8 1'])
    expect(moves(observed, observed)).toEqual([])
  })

  it('judges a name by what it was answered with', () => {
    const rule = {
      ...{ clause: digestOfText('n'), pattern: 'git.example.com', wildcard: false, protocol: 'tcp' as const },
      ...{ ports: [{ from: 22, to: 22 }], within: [] },
    }
    const plain = planOf([WEB])
    const named: Plan = {
      ...plain,
      workspaces: plain.workspaces.map((at) => ({ ...at, network: { ...at.network, names: [rule] } })),
    }
    const names = [{ workspace: WS, name: 'git.example.com', addresses: ['45.76.10.10'] }]
    expect(replay(named, plain, SEEN, names, NOW).moved).toMatchObject([{ change: 'cut', destination: '45.76.10.10' }])
    expect(replay(named, plain, SEEN, [], NOW).moved).toEqual([])
  })
})
