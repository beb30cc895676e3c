// The identity of a clause: the digest of its normalized form. Name, origin and the wording of losses stay out, so that
// renaming a rule, moving it, or editing around it changes nothing; what it grants and what it loses stay in (design
// section 3).

import { canonicalize, type Json } from '../base/canonical.js'
import { digestOfText } from '../base/digest.js'
import { formatPorts } from '../base/ports.js'
import type { Clause, ClauseId, Target } from './model.js'

/** Part of the digested text, so that another normal form can never give the same ids. */
const FORMAT = 'sluice-clause/1'

/** A clause before it has its id. */
export type Draft = Clause extends infer C ? (C extends Clause ? Omit<C, 'id'> : never) : never

export const identify = (draft: Draft): Clause => ({ ...draft, id: clauseId(draft) })

export function clauseId(draft: Draft): ClauseId {
  const losses = draft.losses.map(({ dimension, what }) => ({ dimension, what }))
  return digestOfText(canonicalize({ format: FORMAT, kind: draft.kind, losses, ...content(draft) }))
}

function content(draft: Draft): { readonly [key: string]: Json } {
  switch (draft.kind) {
    case 'egress':
      return { protocol: draft.protocol, to: draft.to.map(targetJson), ports: draft.ports.map(formatPorts) }
    case 'ingress':
      return {
        ...{ protocol: draft.protocol, from: draft.from, ports: draft.ports.map(formatPorts) },
        ...(draft.session === undefined ? {} : { session: draft.session }),
      }
    case 'observe':
      return { untilMs: draft.untilMs, names: draft.names }
    case 'quota':
      return { limit: draft.limit, value: draft.value }
    case 'storage':
      return {
        ...{ access: draft.access, paths: draft.paths, volume: draft.volume ?? null },
        ...(draft.openFiles === undefined ? {} : { openFiles: draft.openFiles }),
      }
    case 'process':
      return { rule: draft.rule, values: draft.values, reaction: draft.reaction }
    case 'runtime':
      return {}
  }
}

const targetJson = (target: Target): Json =>
  target.kind === 'prefix'
    ? { prefix: target.prefix }
    : { pattern: target.pattern, wildcard: target.wildcard, within: target.within ?? null }

/** One of each id, sorted by id; of equal clauses the first one written keeps its name and place. */
export function distinct(clauses: readonly Clause[]): Clause[] {
  const byId = new Map<ClauseId, Clause>()
  for (const clause of clauses) if (!byId.has(clause.id)) byId.set(clause.id, clause)
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}
