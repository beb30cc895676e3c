// Observe mode: until when the final default deny of a workspace is relaxed, and how far ahead that may lie. Gives what the
// plan carries of the clause, and a note where its end is refused. Nothing else of a policy is touched by it: every other
// refusal stands, and `evaluate` says which one it is.

import { formatInstant } from '../base/instant.js'
import type { Note } from '../base/note.js'
import { quote } from '../base/quote.js'
import type { ObserveClause, Policy } from '../policy/model.js'
import type { NameRule, NetworkSlice, Observation } from './model.js'

/** Issue 8: "an end time of at most seven days", from when the bundle begins to hold. */
export const OBSERVE_LIMIT_MS = 7 * 86_400_000

const clauseOf = (policy: Policy | undefined): ObserveClause | undefined =>
  policy?.clauses.find((clause) => clause.kind === 'observe')

/** What the plan of a workspace says of it; undefined where its policy has no such clause. */
export function observationOf(policy: Policy | undefined): Observation | undefined {
  const clause = clauseOf(policy)
  return clause && { clause: clause.id, untilMs: clause.untilMs, names: clause.names }
}

/** An error for each policy whose end lies too far ahead. An end that has passed is none: nothing is observed then. */
export const tooLong = (policies: readonly Policy[], notBeforeMs: number): Note[] =>
  policies.flatMap((policy) => {
    const clause = clauseOf(policy)
    if (!clause || clause.untilMs <= notBeforeMs + OBSERVE_LIMIT_MS) return []
    const { file, line, path } = clause.origin
    const latest = formatInstant(notBeforeMs + OBSERVE_LIMIT_MS)
    const say = `${quote(formatInstant(clause.untilMs))} is more than seven days after the bundle begins to hold; at the latest ${latest}`
    return [{ code: 'observe-too-long', severity: 'error' as const, file, line, column: 0, path, say }]
  })

/** Is what nothing grants let through now? `nowMs` is the clock of the plan's other ends. */
export const isObserved = (network: NetworkSlice, nowMs: number): boolean =>
  network.observe !== undefined && nowMs < network.observe.untilMs

/** The names that are resolved meanwhile, as rules without ports: an answer of theirs opens nothing. */
export const observedNames = ({ observe }: NetworkSlice): readonly NameRule[] =>
  (observe?.names ?? []).map((pattern) => ({
    clause: observe?.clause ?? 'sha256:',
    pattern,
    wildcard: pattern.includes('*'),
    protocol: 'tcp',
    ports: [],
    within: [],
  }))
