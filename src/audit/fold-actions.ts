// Denied actions in, facts out: like denials of one second become one fact with an exact count, as refused packets do (fold.ts),
// so that an agent that asks in a loop costs a little of the trail and no more. Pure but for what it remembers: times come in.
//
// A workspace has at most `WIDTH` open entries of its own a second, and beyond those one mixed entry for each reason. Workspaces
// that nobody knows share theirs, because whoever asks can make up as many names as they like.

import type { ActionDenied } from './fact-actions.js'

export type DeniedAction = Omit<ActionDenied, 'kind' | 'count' | 'firstAtMs' | 'mixed'>

interface Entry {
  readonly windowEndMs: number
  fact: ActionDenied
}

const WINDOW_MS = 1_000
export const WIDTH = 16
/** Trace ids that a fact keeps. */
export const TRACES = 8

export class ActionFold {
  private readonly open = new Map<string, Entry>()
  private readonly widths = new Map<string, number>()

  add(denied: DeniedAction, isKnown: boolean): void {
    const { atMs, workspace, policy, reason, action, operation, resource, agent } = denied
    const windowEndMs = (Math.floor(atMs / WINDOW_MS) + 1) * WINDOW_MS
    const wide = `${windowEndMs} ${isKnown ? workspace.workspace : ''}`
    const common = `${wide} ${policy.generation} ${reason}`
    const own = JSON.stringify([common, action, operation, resource, agent])
    const width = this.widths.get(wide) ?? 0
    const mixed = !isKnown || (!this.open.has(own) && width >= WIDTH)
    const key = mixed ? common : own
    const entry = this.open.get(key)
    if (entry) {
      entry.fact = joined(entry.fact, denied, mixed)
      return
    }
    if (!mixed) this.widths.set(wide, width + 1)
    this.open.set(key, { windowEndMs, fact: { kind: 'action-denied', ...denied, count: 1, firstAtMs: atMs } })
  }

  /** What was folded in windows that are over; Infinity closes all. In the order of their first denial. */
  due(nowMs: number): readonly ActionDenied[] {
    const facts: ActionDenied[] = []
    for (const [key, { windowEndMs, fact }] of this.open) {
      if (windowEndMs > nowMs) continue
      this.open.delete(key)
      facts.push(fact)
    }
    for (const wide of this.widths.keys()) if (Number.parseInt(wide, 10) <= nowMs) this.widths.delete(wide)
    return facts.sort((a, b) => a.firstAtMs - b.firstAtMs)
  }
}

function joined(
  fact: ActionDenied,
  { atMs, traceIds, resource, operation }: DeniedAction,
  mixed: boolean,
): ActionDenied {
  const more = traceIds.filter((id) => !fact.traceIds.includes(id))
  const differs = resource !== fact.resource || operation !== fact.operation
  return {
    ...fact,
    atMs: Math.max(fact.atMs, atMs),
    firstAtMs: Math.min(fact.firstAtMs, atMs),
    traceIds: more.length === 0 ? fact.traceIds : [...fact.traceIds, ...more].slice(0, TRACES),
    count: fact.count + 1,
    ...(mixed && differs ? { mixed: true as const } : {}),
  }
}
