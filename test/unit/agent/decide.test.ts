// Decisions as a table: what the agent does about what it has on record and what it sees. No effect is needed to ask.

import { describe, expect, it } from 'vitest'
import {
  agreement,
  decideActivation,
  decideOffer,
  decideUnfinished,
  intend,
  isAttack,
  rememberRefusal,
  settled,
  undone,
  withoutQuarantine,
  withQuarantine,
} from '../../../src/agent/decide.js'
import { AGENT_FAULTS, agentFault } from '../../../src/agent/errors.js'
import {
  type Activation,
  type AgentState,
  EMPTY_AGENT_STATE,
  type Quarantine,
  REFUSED_KEPT,
} from '../../../src/agent/record.js'
import type { Observed } from '../../../src/backends/backend.js'
import { type Digest, digestOfText } from '../../../src/base/digest.js'
import { BUNDLE_FAULTS, bundleFault } from '../../../src/bundle/errors.js'
import type { BackendName, Plan } from '../../../src/plan/model.js'
import { ENTRY, SOURCE, WS } from '../../support/plans.js'

const A = digestOfText('a')
const B = digestOfText('b')
const activation = (
  generation: number,
  planDigest: Digest,
  backends: readonly BackendName[] = ['nftables'],
): Activation => ({
  generation,
  planDigest,
  backends,
  source: SOURCE,
  decidedAtMs: 0,
})
const PLAN = { workspaces: [{ workspace: WS, backend: 'nftables', slot: ENTRY.slot }] } as unknown as Plan
const NOTHING: Observed = { live: null, drift: [], counters: [], drops: {} }
const seen = (
  generation: number,
  planDigest: Digest,
  workspaces: readonly string[] = [WS],
  drift: readonly string[] = [],
): Observed => ({
  ...NOTHING,
  live: { generation, planDigest, workspaces, quarantined: [], suspended: [], learned: [] },
  drift,
})
const state = (change: Partial<AgentState>): AgentState => ({ ...EMPTY_AGENT_STATE, ...change })
const live = (...entries: [BackendName, Observed][]) => new Map(entries)

describe('agreement of what is live with what should be', () => {
  const rows: readonly (readonly [string, Observed, string, readonly string[]])[] = [
    ['the same generation of the same plan', seen(3, A), 'as-planned', []],
    ['nothing', NOTHING, 'absent', []],
    ['an older generation', seen(2, A), 'drifted', ['nftables: generation 2 is live, not 3']],
    ['another plan', seen(3, B), 'drifted', [`nftables: plan ${B} is live, not ${A}`]],
    ['a workspace missing', seen(3, A, []), 'drifted', [`nftables: ${WS} is not attached`]],
    [
      'a workspace too many',
      seen(3, A, [WS, 'spiffe://x/y']),
      'drifted',
      ['nftables: spiffe://x/y is attached and not planned'],
    ],
    ['a finding of the backend', seen(3, A, [WS], ['set x is empty']), 'drifted', ['nftables: set x is empty']],
  ]
  for (const [name, observed, kind, drift] of rows)
    it(`${name}: ${kind}`, () => {
      const found = agreement(activation(3, A), PLAN, live(['nftables', observed]))
      expect(found.kind).toBe(kind)
      expect(found.kind === 'drifted' ? found.drift : []).toEqual(drift)
    })

  it('is drift, not absence, when one backend of two shows nothing', () => {
    const two = activation(3, A, ['ebpf', 'nftables'])
    const found = agreement(two, PLAN, live(['ebpf', NOTHING], ['nftables', seen(3, A)]))
    expect(found).toEqual({ kind: 'drifted', drift: ['ebpf: nothing is live'] })
  })

  it('is absence when the backend is not even open', () => {
    expect(agreement(activation(3, A), PLAN, live()).kind).toBe('absent')
  })
})

describe('what to do with a plan', () => {
  const held = state({ lastGeneration: 7, live: activation(5, A) })
  it('a new generation, never one that was given out before', () => {
    expect(decideActivation(EMPTY_AGENT_STATE, A, undefined)).toEqual({ kind: 'replace', generation: 1 })
    expect(decideActivation(held, B, { kind: 'as-planned' })).toEqual({ kind: 'replace', generation: 8 })
  })
  it('nothing, the same again, or all of it anew, by what is live', () => {
    expect(decideActivation(held, A, { kind: 'as-planned' })).toEqual({ kind: 'keep', generation: 5 })
    expect(decideActivation(held, A, { kind: 'absent' })).toEqual({ kind: 'restore', generation: 5 })
    expect(decideActivation(held, A, { kind: 'drifted', drift: ['x'] })).toEqual({
      kind: 'repair',
      generation: 8,
      drift: ['x'],
    })
  })
})

describe('an apply that was cut short', () => {
  const marks = {
    bundle: { epoch: 1, revision: '2', digest: B },
    inventory: { epoch: 1, revision: '1', digest: A },
  }
  const before = state({ lastGeneration: 1, live: activation(1, A) })
  const intended = intend(before, activation(2, B), marks)

  it('has mark and intent in one state', () => {
    expect(intended).toMatchObject({
      lastGeneration: 2,
      mark: marks.bundle,
      live: { generation: 1 },
      next: { generation: 2 },
    })
  })
  it('counts when the switch happened everywhere', () => {
    expect(decideUnfinished(intended, PLAN, live(['nftables', seen(2, B)]))).toEqual(settled(intended))
    expect(settled(intended)).toMatchObject({ live: { generation: 2 }, next: null })
  })
  it('counts with findings of the backend about itself: they are repaired towards what is there', () => {
    const drifted = { ...seen(2, B), drift: ['generation 2 is live, and 1 was put there'] }
    expect(decideUnfinished(intended, PLAN, live(['nftables', drifted]))).toEqual(settled(intended))
  })
  it('does not count otherwise, and the mark stays', () => {
    for (const observed of [NOTHING, seen(1, A), seen(2, B, [])])
      expect(decideUnfinished(intended, PLAN, live(['nftables', observed]))).toEqual(undone(intended))
    expect(undone(intended)).toMatchObject({
      live: { generation: 1 },
      next: null,
      mark: marks.bundle,
      lastGeneration: 2,
    })
  })
})

describe('refusals', () => {
  const refused = bundleFault('BUNDLE_MEMBER_MISSING', { path: 'x' })
  it('are remembered once, the newest kept', () => {
    const twice = rememberRefusal(rememberRefusal(EMPTY_AGENT_STATE, A, refused, 1), A, refused, 2)
    expect(twice.refused).toEqual([{ digest: A, code: 'BUNDLE_MEMBER_MISSING', atMs: 2 }])
    let full = EMPTY_AGENT_STATE
    for (let i = 0; i <= REFUSED_KEPT; i++) full = rememberRefusal(full, digestOfText(String(i)), refused, i)
    expect(full.refused).toHaveLength(REFUSED_KEPT)
    expect(full.refused[0]?.digest).toBe(digestOfText('1'))
  })
  it('that end by themselves, or are not the bytes’ fault, are not', () => {
    const passing = [
      bundleFault('BUNDLE_NOT_YET_VALID', { what: 'x', notBeforeMs: 1, nowMs: 0 }),
      bundleFault('BUNDLE_EXPIRED', { what: 'x', expiresAtMs: 1, nowMs: 2 }),
      agentFault('AGENT_STORE_WRITE', { file: 'x' }),
      agentFault('AGENT_REFUSED_BEFORE', { digest: A, code: 'X' }),
    ]
    for (const fault of passing) expect(rememberRefusal(EMPTY_AGENT_STATE, A, fault, 1)).toBe(EMPTY_AGENT_STATE)
  })
  it('are not asked about again, except by an operator', () => {
    const known = rememberRefusal(EMPTY_AGENT_STATE, A, refused, 1)
    expect(() => decideOffer(known, A, false)).toThrow(
      `this very bundle (${A}) was refused before, as BUNDLE_MEMBER_MISSING`,
    )
    expect(() => decideOffer(known, A, true)).not.toThrow()
    expect(() => decideOffer(known, B, false)).not.toThrow()
  })
  it('name only codes that exist as attacks', () => {
    const attacks = [...Object.keys(BUNDLE_FAULTS), ...Object.keys(AGENT_FAULTS)].filter(isAttack)
    expect(attacks).toContain('BUNDLE_COUNTER_REGRESSION')
    expect(attacks).not.toContain('BUNDLE_EXPIRED')
    expect(attacks).toHaveLength(21)
  })
})

describe('quarantines', () => {
  const one = (workspace: string, reason = 'x'): Quarantine => ({
    workspace,
    reason,
    by: 'user:a',
    commandId: 'c',
    atMs: 1,
  })
  it('keep the first of a workspace, sorted', () => {
    const list = [one('b'), one('a'), one('b', 'later')].reduce<readonly Quarantine[]>(withQuarantine, [])
    expect(list.map((entry) => [entry.workspace, entry.reason])).toEqual([
      ['a', 'x'],
      ['b', 'x'],
    ])
  })
  it('cannot be lifted when there is none', () => {
    expect(withoutQuarantine([one('a'), one('b')], 'a')).toEqual([one('b')])
    expect(() => withoutQuarantine([one('a')], 'b')).toThrow('the workspace b is not in quarantine')
  })
})
