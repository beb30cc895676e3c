// Learned grants as backends hold them: the same as the plain values of plan/flow.ts say, and a bound that refuses takes nothing in.

import { describe, expect, it } from 'vitest'
import { carryOver, withLearned } from '../../../src/plan/flow.js'
import { LearnedGrants } from '../../../src/plan/learned.js'
import type { LearnedGrant, NameRule, Plan } from '../../../src/plan/model.js'
import { EMPTY_STATE, type State } from '../../../src/plan/state.js'
import { planOf, WS } from '../../support/plans.js'

const ONE = `sha256:${'1'.repeat(64)}` as const
const TWO = `sha256:${'2'.repeat(64)}` as const
const named = (clauses: readonly LearnedGrant['clause'][]): Plan => {
  const plan = planOf([])
  const names = clauses.map(
    (clause): NameRule => ({ clause, pattern: 'a.example', wildcard: false, protocol: 'tcp', ports: [], within: [] }),
  )
  return { ...plan, workspaces: plan.workspaces.map((at) => ({ ...at, network: { ...at.network, names } })) }
}
const grant = (clause: LearnedGrant['clause'], last: number, expiresAtMs: number): LearnedGrant => ({
  workspace: WS,
  clause,
  name: 'a.example',
  protocol: 'tcp',
  address: `45.76.10.${last}`,
  port: 443,
  generation: 1,
  expiresAtMs,
})
const clausesOf = (clauses: readonly LearnedGrant['clause'][]) => (workspace: string) =>
  workspace === WS ? clauses : undefined
const everything = (): void => undefined

describe('plan: learned grants', () => {
  it('holds what withLearned and carryOver say', () => {
    const held = new LearnedGrants()
    let state: State = EMPTY_STATE
    const steps = [
      [grant(ONE, 1, 100), grant(TWO, 1, 300), grant(ONE, 2, 500)],
      [grant(ONE, 1, 50), grant(ONE, 2, 700)],
      [grant(TWO, 1, 0)],
      [grant(ONE, 1, 200), grant(ONE, 3, 900)],
    ]
    for (const grants of steps) {
      held.add(clausesOf([ONE, TWO]), grants, everything)
      state = withLearned(state, grants)
      expect(held.of(WS)).toEqual(state.learned)
    }
    held.add(clausesOf([ONE]), [grant(TWO, 9, 900)], everything)
    expect(held.of(WS)).toEqual(state.learned)
    held.carry(clausesOf([ONE]), 2)
    expect(held.of(WS)).toEqual(carryOver(state, named([ONE]), 2).learned)
    expect(held.of(WS)).toHaveLength(3)
    held.carry(() => undefined, 3)
    expect(held.of(WS)).toEqual([])
  })

  it('lists what has not run out, and says when the next does', () => {
    const held = new LearnedGrants()
    expect(held.nextExpiryMs(0)).toBeUndefined()
    held.add(clausesOf([ONE]), [grant(ONE, 1, 300), grant(ONE, 2, 100), grant(ONE, 3, 200)], everything)
    expect(held.list(100).map(({ expiresAtMs }) => expiresAtMs)).toEqual([300, 200])
    expect([0, 100, 200, 300].map((now) => held.nextExpiryMs(now))).toEqual([100, 200, 300, undefined])
    expect(held.of(WS)).toHaveLength(3)
  })

  it('a bound takes away, or refuses the whole of it', () => {
    const held = new LearnedGrants()
    held.add(clausesOf([ONE]), [grant(ONE, 1, 100), grant(ONE, 2, 200)], (taught, workspace) => {
      expect(workspace).toBe(WS)
      for (const [key, { expiresAtMs }] of taught) if (expiresAtMs === 100) taught.delete(key)
    })
    expect(held.of(WS).map(({ address }) => address)).toEqual(['45.76.10.2'])
    const refuse = (): never => {
      throw new RangeError('no room')
    }
    expect(() => held.add(clausesOf([ONE]), [grant(ONE, 3, 300)], refuse)).toThrow('no room')
    expect(held.of(WS).map(({ address }) => address)).toEqual(['45.76.10.2'])
  })
})
