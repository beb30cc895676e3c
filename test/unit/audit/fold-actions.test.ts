// Denied actions folded: counts are exact, a second is a fact, a flood is a few, and what nobody knows shares one.

import { describe, expect, it } from 'vitest'
import { ActionFold, type DeniedAction, TRACES, WIDTH } from '../../../src/audit/fold-actions.js'
import { POLICY, WORKSPACE } from '../../support/facts.js'

const AT = 1_800_000_000_000
const denied = (more: Partial<DeniedAction> = {}): DeniedAction => ({
  atMs: AT,
  policy: POLICY,
  workspace: WORKSPACE,
  action: 'request',
  operation: 'GET',
  resource: '//a.example:443/',
  reason: 'no-grant',
  traceIds: [],
  ...more,
})
const total = (facts: readonly { readonly count: number }[]) => facts.reduce((sum, { count }) => sum + count, 0)

describe('denied actions', () => {
  it('that are alike are one a second, with the first trace ids', () => {
    const fold = new ActionFold()
    for (let n = 0; n < 20; n++) fold.add(denied({ atMs: AT + n, traceIds: [`t${n % 12}`] }), true)
    expect(fold.due(AT + 999)).toEqual([])
    const traceIds = Array.from({ length: TRACES }, (_, n) => `t${n}`)
    expect(fold.due(AT + 1_000)).toEqual([
      { kind: 'action-denied', ...denied({ atMs: AT + 19, traceIds }), count: 20, firstAtMs: AT },
    ])
    expect(fold.due(Number.POSITIVE_INFINITY)).toEqual([])
  })

  it('that differ stay apart, in the order of their first', () => {
    const fold = new ActionFold()
    const different = [{ reason: 'binary' }, { operation: 'POST' }, { agent: 'a' }, { action: 'connect' as const }]
    for (const [n, more] of different.entries()) fold.add(denied({ ...more, atMs: AT + n }), true)
    expect(fold.due(AT + 1_000).map(({ firstAtMs }) => firstAtMs)).toEqual([AT, AT + 1, AT + 2, AT + 3])
  })

  it('of a flood are bounded for each workspace and reason, and none is lost from the count', () => {
    const fold = new ActionFold()
    for (let n = 0; n < 5_000; n++) fold.add(denied({ resource: `//${n}.example:443/` }), true)
    fold.add(denied({ workspace: { ...WORKSPACE, workspace: 'spiffe://acme.example/ws/other' } }), true)
    const facts = fold.due(AT + 1_000)
    expect(facts).toHaveLength(WIDTH + 2)
    expect(total(facts)).toBe(5_001)
    expect(facts.filter(({ mixed }) => mixed)).toMatchObject([
      { count: 5_000 - WIDTH, resource: `//${WIDTH}.example:443/` },
    ])
    // The next second begins anew.
    fold.add(denied({ atMs: AT + 1_000 }), true)
    expect(fold.due(AT + 2_000)).toHaveLength(1)
  })

  it('of workspaces that nobody knows are one', () => {
    const fold = new ActionFold()
    for (let n = 0; n < 100; n++)
      fold.add(
        denied({ reason: 'unknown-workspace', workspace: { ...WORKSPACE, workspace: `spiffe://x.example/${n}` } }),
        false,
      )
    expect(fold.due(AT + 1_000)).toMatchObject([{ count: 100, workspace: { workspace: 'spiffe://x.example/0' } }])
  })
})
