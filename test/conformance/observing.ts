// Plans of the common generator with a section `observe` in some of them: which, follows from the plan itself, so that a scenario
// that shrinks stays what it is. Two ends, so that a change of plan may keep the clause, end it, or begin another.

import { digestOfText } from '../../src/base/digest.js'
import { planDigest } from '../../src/plan/codec.js'
import { carryOver } from '../../src/plan/flow.js'
import type { Observation, Plan } from '../../src/plan/model.js'
import type { State } from '../../src/plan/state.js'
import { NOW_MS } from './run.js'

export const observation = (untilMs: number): Observation => ({
  clause: digestOfText(`observe ${untilMs}`),
  untilMs,
  names: [],
})

export const withObserve = (plan: Plan, observe: Observation | undefined): Plan => ({
  ...plan,
  workspaces: plan.workspaces.map((at) => {
    const { observe: _, ...network } = at.network
    return { ...at, network: observe ? { ...network, observe } : network }
  }),
})

/** Ends between the sums of the generator's steps of time, with seconds to spare; the other never comes. */
const ENDS = [NOW_MS + 235_000, NOW_MS + 100_000_000] as const

/** One plan in four observes nothing, one until the first end, two until the second. */
export const observing = (plan: Plan, ends: readonly [number, number] = ENDS): Plan => {
  const which = Number.parseInt(planDigest(plan).slice(7, 8), 16) % 4
  const untilMs = ends[which === 1 ? 0 : 1]
  return withObserve(plan, which === 0 ? undefined : observation(untilMs))
}

/** Plan and state as if nothing had been observed; what began so and is granted now stays, as it does when observing ends. */
export function unobserved(plan: Plan, state: State): readonly [Plan, State] {
  const enforcing = withObserve(plan, undefined)
  return [enforcing, carryOver(state, enforcing, 2)]
}
