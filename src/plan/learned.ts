// Learned grants as a backend holds them, whatever it makes of them: what an answer adds, what a plan carries over, what has run
// out. The same rules as `withLearned` and `carryOver` of flow.ts, kept by workspace so that a change costs what it changes.

import type { ClauseId } from '../policy/model.js'
import type { LearnedGrant, WorkspaceId } from './model.js'

/** What a learned grant opens; several clauses may have learnt it. */
export const tupleOf = ({ protocol, address, port }: LearnedGrant): string => `${protocol} ${address} ${port}`
const keyOf = (grant: LearnedGrant): string => `${grant.clause} ${tupleOf(grant)}`

/** By clause and tuple. */
export type Taught = Map<string, LearnedGrant>
/** The clauses of a workspace whose addresses are learnt; undefined: it is not live. */
export type ClausesOf = (workspace: WorkspaceId) => readonly ClauseId[] | undefined

export class LearnedGrants {
  private readonly held = new Map<WorkspaceId, Taught>()

  /**
   * Of grants of one clause and tuple the longest counts; one that expires at 0 takes it away; one of a clause that is not live
   * is passed over. `bound` takes away what a workspace has no room for, or throws: then nothing is taken in.
   */
  add(
    clausesOf: ClausesOf,
    grants: readonly LearnedGrant[],
    bound: (taught: Taught, workspace: WorkspaceId) => void,
  ): void {
    const changed = new Map<WorkspaceId, Taught>()
    for (const grant of grants) {
      const { workspace } = grant
      if (!clausesOf(workspace)?.includes(grant.clause)) continue
      const taught = changed.get(workspace) ?? new Map(this.held.get(workspace))
      changed.set(workspace, taught)
      const key = keyOf(grant)
      if (grant.expiresAtMs <= 0) taught.delete(key)
      else if ((taught.get(key)?.expiresAtMs ?? 0) <= grant.expiresAtMs) taught.set(key, grant)
    }
    for (const [workspace, taught] of changed) bound(taught, workspace)
    for (const [workspace, taught] of changed) this.held.set(workspace, taught)
  }

  /** Under a new plan: grants of clauses that live on, named with its generation. */
  carry(clausesOf: ClausesOf, generation: number): void {
    for (const [workspace, taught] of this.held) {
      const clauses = clausesOf(workspace) ?? []
      for (const [key, grant] of taught)
        if (clauses.includes(grant.clause)) taught.set(key, { ...grant, generation })
        else taught.delete(key)
    }
  }

  /** All of a workspace, run out or not. */
  of(workspace: WorkspaceId): readonly LearnedGrant[] {
    return [...(this.held.get(workspace)?.values() ?? [])]
  }

  /** Those that have not run out. */
  list(nowMs: number): readonly LearnedGrant[] {
    return [...this.held.values()]
      .flatMap((taught) => [...taught.values()])
      .filter(({ expiresAtMs }) => expiresAtMs > nowMs)
  }

  /** When the next one runs out; undefined when none will. */
  nextExpiryMs(nowMs: number): number | undefined {
    let next: number | undefined
    for (const { expiresAtMs } of this.list(nowMs)) if (next === undefined || expiresAtMs < next) next = expiresAtMs
    return next
  }
}
