// Folding: exact counts, bounded memory, and the same facts for the same input.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FactOf } from '../../../src/audit/fact.js'
import {
  DESTINATIONS,
  EMPTY_FOLD,
  type FoldContext,
  foldDenials,
  type RefusedBatch,
  type RefusedPacket,
} from '../../../src/audit/fold.js'
import type { DenialBatch } from '../../../src/backends/backend.js'
import { POLICY, WORKSPACE } from '../../support/facts.js'

const CONTEXT: FoldContext = {
  backend: 'nftables',
  policies: new Map([[31, POLICY]]),
  workspaces: new Map([[WORKSPACE.workspace, WORKSPACE]]),
}
const packet = (over: Partial<RefusedPacket> = {}): RefusedPacket => ({
  atMs: 1_000,
  workspace: WORKSPACE.workspace,
  direction: 'from',
  reason: 'no-grant',
  protocol: 6,
  source: '10.9.0.2',
  sourcePort: 40_000,
  destination: '93.184.216.34',
  destinationPort: 22,
  generation: 31,
  ...over,
})
const batch = (...denials: RefusedPacket[]): RefusedBatch => ({ denials, lost: 0 })
const denied = (facts: readonly { kind: string }[]): FactOf<'flow-denied'>[] =>
  facts.filter((fact): fact is FactOf<'flow-denied'> => fact.kind === 'flow-denied')

test("a backend's batch of denials is accepted as it is", () => {
  const fromBackend: DenialBatch = { denials: [{ ...packet(), reason: 'no-grant' }], lost: 0 }
  expect(foldDenials(EMPTY_FOLD, fromBackend, Number.POSITIVE_INFINITY, CONTEXT).facts.length).toBe(1)
})

describe('windows', () => {
  test('like refusals of one second are one fact, once the second is over', () => {
    const packets = [packet(), packet({ atMs: 1_400, sourcePort: 40_001 }), packet({ atMs: 1_999 })]
    const open = foldDenials(EMPTY_FOLD, batch(...packets), 1_999, CONTEXT)
    expect(open.facts).toEqual([])
    const closed = foldDenials(open.state, batch(), 2_000, CONTEXT)
    expect(closed.facts).toEqual([
      {
        kind: 'flow-denied',
        atMs: 1_999,
        firstAtMs: 1_000,
        policy: POLICY,
        workspace: WORKSPACE,
        flow: {
          direction: 'egress',
          protocol: 6,
          source: '10.9.0.2',
          sourcePort: 40_000,
          destination: '93.184.216.34',
          destinationPort: 22,
        },
        reason: 'no-grant',
        backend: 'nftables',
        refusal: 'reset',
        count: 3,
      },
    ])
    expect(closed.state.entries.size).toBe(0)
    expect(closed.state.widths.size).toBe(0)
  })

  test('the next second is another fact', () => {
    const { facts } = foldDenials(EMPTY_FOLD, batch(packet(), packet({ atMs: 2_000 })), 3_000, CONTEXT)
    expect(denied(facts).map((fact) => [fact.firstAtMs, fact.count])).toEqual([
      [1_000, 1],
      [2_000, 1],
    ])
  })

  test.each([
    ['workspace', { workspace: 'spiffe://acme.example/ws/other' }],
    ['reason', { reason: 'reserved' }],
    ['destination', { destination: '93.184.216.35' }],
    ['port', { destinationPort: 23 }],
    ['protocol', { protocol: 17 }],
    ['direction', { direction: 'to' as const }],
    ['generation', { generation: 30 }],
  ])('another %s is another fact', (_name, over) => {
    const { facts } = foldDenials(EMPTY_FOLD, batch(packet(), packet(over)), 2_000, CONTEXT)
    expect(denied(facts).map((fact) => fact.count)).toEqual([1, 1])
  })

  test('the state that came in is not changed', () => {
    const open = foldDenials(EMPTY_FOLD, batch(packet()), 1_000, CONTEXT).state
    foldDenials(open, batch(packet(), packet({ destinationPort: 23 })), 5_000, CONTEXT)
    expect(open.entries.size).toBe(1)
    expect([...open.entries.values()][0]?.count).toBe(1)
  })
})

describe('how it was refused', () => {
  test.each(['quarantined', 'suspended', 'spoof', 'fragment', 'malformed', 'link-layer', 'noise', 'not-attached'])(
    '%s is silent',
    (reason) => {
      const { facts } = foldDenials(EMPTY_FOLD, batch(packet({ reason })), 2_000, CONTEXT)
      expect(denied(facts).map((fact) => fact.refusal)).toEqual(['dropped'])
    },
  )
  test.each(['no-grant', 'no-flow', 'reserved', 'never', 'dns', 'control-port'])('%s is answered', (reason) => {
    const { facts } = foldDenials(EMPTY_FOLD, batch(packet({ reason })), 2_000, CONTEXT)
    expect(denied(facts).map((fact) => fact.refusal)).toEqual(['reset'])
  })
  test('towards the workspace nothing is answered', () => {
    const { facts } = foldDenials(EMPTY_FOLD, batch(packet({ direction: 'to' })), 2_000, CONTEXT)
    expect(denied(facts).map((fact) => [fact.refusal, fact.flow.direction])).toEqual([['dropped', 'ingress']])
  })
})

describe('bounds', () => {
  const scan = (destinations: number): RefusedPacket[] =>
    Array.from({ length: destinations }, (_, i) => packet({ destination: `45.76.${i >> 8}.${i & 255}` }))

  test('at the limit every destination has its fact; beyond it one mixed fact counts the rest', () => {
    expect(denied(foldDenials(EMPTY_FOLD, batch(...scan(DESTINATIONS)), 2_000, CONTEXT).facts).length).toBe(64)
    const open = foldDenials(EMPTY_FOLD, batch(...scan(1_000)), 1_000, CONTEXT)
    expect(open.state.entries.size).toBe(DESTINATIONS + 1)
    const facts = denied(foldDenials(open.state, batch(), 2_000, CONTEXT).facts)
    expect(facts.filter((fact) => fact.mixed).map((fact) => [fact.count, fact.flow.destination])).toEqual([
      [1_000 - DESTINATIONS, '45.76.0.64'],
    ])
  })

  test('a full workspace does not touch another', () => {
    const other = packet({ workspace: 'spiffe://acme.example/ws/other' })
    const facts = denied(foldDenials(EMPTY_FOLD, batch(...scan(1_000), other), 2_000, CONTEXT).facts)
    expect(facts.filter((fact) => fact.workspace.workspace === other.workspace).map((fact) => fact.mixed)).toEqual([
      undefined,
    ])
  })
})

test('an unknown workspace or generation is told without what is not known', () => {
  const { facts } = foldDenials(EMPTY_FOLD, batch(packet({ workspace: 'ws9', generation: 0 })), 2_000, CONTEXT)
  expect(facts).toMatchObject([{ workspace: { workspace: 'ws9', attachmentId: '', interface: '' } }])
  expect(facts[0]).not.toHaveProperty('policy')
})

test('what the backend could not report is a fact', () => {
  const { facts } = foldDenials(EMPTY_FOLD, { denials: [], lost: 9 }, 2_000, CONTEXT)
  expect(facts).toEqual([{ kind: 'audit-lost', cause: 'unreported', lost: 9, atMs: 2_000 }])
})

test('no packet is lost or counted twice, however the batches are cut', () => {
  const any = fc.record({
    atMs: fc.integer({ min: 0, max: 5_000 }),
    reason: fc.constantFrom('no-grant', 'spoof', 'reserved'),
    destination: fc.ipV4(),
    destinationPort: fc.integer({ min: 0, max: 65_535 }),
  })
  fc.assert(
    fc.property(fc.array(fc.array(any, { maxLength: 200 })), (batches) => {
      let state = EMPTY_FOLD
      const counts = new Map<string, number>()
      const tally = (facts: readonly { kind: string }[]): void => {
        for (const fact of denied(facts)) counts.set(fact.reason, (counts.get(fact.reason) ?? 0) + fact.count)
      }
      for (const [i, packets] of batches.entries()) {
        const step = foldDenials(state, batch(...packets.map(packet)), i * 1_000, CONTEXT)
        state = step.state
        tally(step.facts)
      }
      const end = foldDenials(state, batch(), Number.POSITIVE_INFINITY, CONTEXT)
      tally(end.facts)
      expect(end.state.entries.size).toBe(0)
      const expected = new Map<string, number>()
      for (const { reason } of batches.flat()) expected.set(reason, (expected.get(reason) ?? 0) + 1)
      expect(counts).toEqual(expected)
    }),
    { numRuns: 200 },
  )
})
