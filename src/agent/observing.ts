// Who is observed, for the trail and for people: what changes at an activation, whose end has come, and what is said of a workspace
// while it lasts. The end itself is in the data plane; nothing here is waited for.

import type { ObserveChange } from '../audit/fact-observe.js'
import type { Plan, WorkspaceId } from '../plan/model.js'
import { policyContext, workspaceContext } from './context.js'
import type { Activation } from './record.js'

/** Until when each workspace is observed by this plan; those whose end has come are left out. */
export const observedUntil = (plan: Plan | undefined, nowMs: number): ReadonlyMap<WorkspaceId, number> =>
  new Map(
    (plan?.workspaces ?? []).flatMap(({ workspace, network }) =>
      network.observe && nowMs < network.observe.untilMs ? [[workspace, network.observe.untilMs] as const] : [],
    ),
  )

/** What an activation changes. A workspace under the same clause as before goes on, and nothing is told of it. */
export function observeChanges(
  before: Plan | undefined,
  after: Plan,
  activation: Activation,
  nowMs: number,
): readonly ObserveChange[] {
  const clauseIn = (plan: Plan | undefined, workspace: WorkspaceId): string | undefined =>
    plan?.workspaces.find((entry) => entry.workspace === workspace)?.network.observe?.clause
  const [was, is] = [observedUntil(before, nowMs), observedUntil(after, nowMs)]
  const policy = policyContext(activation)
  const changed = (workspace: WorkspaceId): boolean => clauseIn(before, workspace) !== clauseIn(after, workspace)
  const ended = [...was].filter(([workspace]) => changed(workspace))
  const begun = [...is].filter(([workspace]) => changed(workspace))
  return [
    ...ended.map(
      ([workspace, untilMs]): ObserveChange => ({
        ...{ kind: 'observe-ended', atMs: nowMs, policy, untilMs, reason: 'replaced' },
        workspace: workspaceContext(before ?? after, workspace),
      }),
    ),
    ...begun.map(
      ([workspace, untilMs]): ObserveChange => ({
        ...{ kind: 'observe-begun', atMs: nowMs, policy, untilMs, reason: 'activated' },
        workspace: workspaceContext(after, workspace),
      }),
    ),
  ]
}

/** Whose end came after `sinceMs`, up to now. */
export const observeEnds = (
  plan: Plan | undefined,
  live: Activation,
  sinceMs: number,
  nowMs: number,
): readonly ObserveChange[] =>
  (plan?.workspaces ?? []).flatMap(({ workspace, network: { observe } }): ObserveChange[] =>
    plan && observe && sinceMs < observe.untilMs && observe.untilMs <= nowMs
      ? [
          {
            ...{ kind: 'observe-ended', atMs: nowMs, policy: policyContext(live), untilMs: observe.untilMs },
            ...{ reason: 'time', workspace: workspaceContext(plan, workspace) },
          },
        ]
      : [],
  )

/** The plan as the mediator is to read it now: names of observing are those of a clause that has not ended. */
export const withoutEnded = (plan: Plan, nowMs: number): Plan =>
  plan.workspaces.every(({ network }) => !network.observe || nowMs < network.observe.untilMs)
    ? plan
    : {
        ...plan,
        workspaces: plan.workspaces.map((entry) => {
          const { observe, ...network } = entry.network
          return observe && nowMs < observe.untilMs ? entry : { ...entry, network }
        }),
      }
