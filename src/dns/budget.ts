// How many different names a workspace may ask under one wildcard: each new one could carry data out in its labels, whether
// or not it exists, so every name counts, once, for as long as its clause lives (requirement 5 of the egress sheet). The
// count is the upper bound of what a label tunnel can move, and is reported.

import type { NameRule, WorkspaceId } from '../plan/model.js'
import { entropyBits, freePart } from './names.js'

/** A budget belongs to one pattern of one clause: editing the clause starts a new one. */
export const budgetKey = (rule: Pick<NameRule, 'clause' | 'pattern'>): string => `${rule.clause} ${rule.pattern}`

export interface Spent {
  readonly workspace: WorkspaceId
  /** `budgetKey` of the rule. */
  readonly key: string
  readonly names: readonly string[]
}

/** What left the node in labels under one wildcard so far. */
export interface LabelReport {
  readonly workspace: WorkspaceId
  readonly clause: string
  readonly pattern: string
  readonly names: number
  readonly limit: number
  /** Octets of the free parts of those names, each sent once: the bound of what labels can have carried. */
  readonly octets: number
  /** The same by the entropy of their characters, in bits. */
  readonly bits: number
}

export class Budgets {
  private readonly spent = new Map<string, { workspace: WorkspaceId; key: string; names: Set<string> }>()

  constructor(
    readonly limit: number,
    before: readonly Spent[] = [],
  ) {
    for (const { workspace, key, names } of before)
      this.spent.set(`${workspace} ${key}`, { workspace, key, names: new Set(names) })
  }

  knows(workspace: WorkspaceId, key: string, name: string): boolean {
    return this.spent.get(`${workspace} ${key}`)?.names.has(name) ?? false
  }

  admits(workspace: WorkspaceId, key: string, name: string): boolean {
    const names = this.spent.get(`${workspace} ${key}`)?.names
    return !names || names.has(name) || names.size < this.limit
  }

  charge(workspace: WorkspaceId, key: string, name: string): void {
    const at = `${workspace} ${key}`
    const held = this.spent.get(at) ?? { workspace, key, names: new Set() }
    held.names.add(name)
    this.spent.set(at, held)
  }

  /** Forgets the budgets of rules that are not in the plan any more. True when one was. */
  retain(live: (workspace: WorkspaceId, key: string) => boolean): boolean {
    let dropped = false
    for (const [at, { workspace, key }] of this.spent)
      if (!live(workspace, key)) {
        this.spent.delete(at)
        dropped = true
      }
    return dropped
  }

  list(): Spent[] {
    return [...this.spent.values()].map(({ workspace, key, names }) => ({ workspace, key, names: [...names] }))
  }

  report(): LabelReport[] {
    return [...this.spent.values()].map(({ workspace, key, names }) => {
      const [clause = '', pattern = ''] = key.split(' ')
      const free = [...names].map((name) => freePart(pattern, name))
      return {
        workspace,
        clause,
        pattern,
        names: names.size,
        limit: this.limit,
        octets: free.reduce((sum, part) => sum + part.length, 0),
        bits: Math.ceil(free.reduce((sum, part) => sum + entropyBits(part), 0)),
      }
    })
  }
}
