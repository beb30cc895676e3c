// What becomes of a question before anybody is asked: pure, in the order in which it is judged. Only what comes out as
// `forward` is ever put to an upstream, rebuilt from the canonical name, so that nothing of the workspace's own octets
// leaves (requirements 5, 7, 8, 11 and 20 of the egress sheet).

import type { NameRule, Plan, WorkspacePlan } from '../plan/model.js'
import { pinsOf, rulesFor } from '../plan/names.js'
import { type Budgets, budgetKey } from './budget.js'
import type { QuestionType } from './model.js'
import { canonicalName } from './names.js'
import { isResolverName } from './resolvers.js'

/** Why a question is refused. A closed list: events, counters and explanations use these words and no others. */
export const REFUSALS = [
  'nothing-live',
  'unknown-client',
  'quarantined',
  'suspended',
  'type',
  'bad-name',
  'not-granted',
  'public-resolver',
  'budget',
] as const
export type QuestionRefusal = (typeof REFUSALS)[number]

/** What stands now: the plan on record with its flags. */
export interface Standing {
  readonly generation: number
  readonly plan: Plan
  readonly quarantined: ReadonlySet<string>
  readonly suspended: ReadonlySet<string>
}

/** untrusted: name and type. `workspace` is what the server told from the two addresses of the packet. */
export interface Asked {
  readonly workspace: string | undefined
  readonly name: string
  readonly type: string
}

export type Admission =
  | { readonly kind: 'refused'; readonly why: QuestionRefusal; readonly name?: string }
  /** The name exists here and has nothing of this type: SVCB and HTTPS, so that no keys of hidden names are learnt. */
  | { readonly kind: 'nodata'; readonly name: string }
  | { readonly kind: 'pinned'; readonly name: string; readonly addresses: readonly string[] }
  | {
      readonly kind: 'forward'
      readonly at: WorkspacePlan
      readonly name: string
      readonly type: QuestionType
      readonly rules: readonly NameRule[]
      /** Wildcards whose budget this name is charged to before anybody is asked; empty when it was known to each already. */
      readonly charges: readonly string[]
    }

/** Types that get an empty answer for a granted name; the library names those that it does not know by number. */
const EMPTY_TYPES: ReadonlySet<string> = new Set(['SVCB', 'HTTPS', 'UNKNOWN_64', 'UNKNOWN_65'])
const isForwarded = (type: string): type is QuestionType => type === 'A' || type === 'AAAA'

export function admit(standing: Standing | undefined, asked: Asked, budgets: Budgets): Admission {
  const refused = (why: QuestionRefusal, name?: string): Admission => ({
    kind: 'refused',
    why,
    ...(name === undefined ? {} : { name }),
  })
  if (!standing) return refused('nothing-live')
  const { workspace } = asked
  const at = standing.plan.workspaces.find((entry) => entry.workspace === workspace)
  if (workspace === undefined || !at?.network.dns) return refused('unknown-client')
  if (standing.quarantined.has(workspace)) return refused('quarantined')
  if (standing.suspended.has(workspace)) return refused('suspended')
  if (!isForwarded(asked.type) && !EMPTY_TYPES.has(asked.type)) return refused('type')
  const name = canonicalName(asked.name)
  if (name === undefined) return refused('bad-name')
  const pins = pinsOf(at.network, name)
  if (pins) {
    if (!isForwarded(asked.type)) return { kind: 'nodata', name }
    const six = asked.type === 'AAAA'
    return { kind: 'pinned', name, addresses: pins.filter((address) => address.includes(':') === six) }
  }
  const matching = rulesFor(at.network, name)
  if (matching.length === 0) return refused('not-granted', name)
  const open = isResolverName(name) ? matching.filter((rule) => !rule.wildcard) : matching
  if (open.length === 0) return refused('public-resolver', name)
  const rules = open.filter((rule) => !rule.wildcard || budgets.admits(workspace, budgetKey(rule), name))
  if (rules.length === 0) return refused('budget', name)
  // An empty answer costs no budget: nobody is asked.
  if (!isForwarded(asked.type)) return { kind: 'nodata', name }
  const charges = rules
    .filter((rule) => rule.wildcard)
    .map(budgetKey)
    .filter((key) => !budgets.knows(workspace, key, name))
  return { kind: 'forward', at, name, type: asked.type, rules, charges: [...new Set(charges)] }
}
