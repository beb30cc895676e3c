// From a verified bundle to its plan, as data in and data out, so that a large one can be compiled on a thread of its own
// (bin/compiler.ts): for as long as that takes, quarantines and answers would wait for it here. What the loop does by its clock waits
// for the bundle all the same: it shares a lane with it. Refusals are values, because an error loses its class between threads;
// enforce.ts makes them faults.

import { hasErrors, type Note } from '../base/note.js'
import { quote } from '../base/quote.js'
import type { VerifiedInventory } from '../bundle/model.js'
import type { Capabilities } from '../plan/capabilities.js'
import type { Needs } from '../plan/capacity.js'
import { checkPlan } from '../plan/check.js'
import { encodePlan } from '../plan/codec.js'
import { compilePlan } from '../plan/compile.js'
import type { Inventory } from '../plan/inventory.js'
import { dnsServices } from '../plan/mediation.js'
import type { BackendName, Guarantee, Plan, PlanSource } from '../plan/model.js'
import { parseInventory } from '../plan/parse-inventory.js'
import { normalizePolicies } from '../policy/normalize.js'

export type Slots = Pick<VerifiedInventory, 'bytes' | 'audience' | 'revision'>

/** Everything that the plan depends on. Only what can be copied to another thread. */
export interface Compiling {
  /** Verified. */
  readonly members: ReadonlyMap<string, Uint8Array>
  readonly source: PlanSource
  /** Verified, and the file's name for messages. */
  readonly slots: Slots
  readonly inventoryFile: string
  readonly capabilities: readonly Capabilities[]
  readonly order: readonly BackendName[]
  /** Backends that say what a plan needs of them. */
  readonly needing: readonly BackendName[]
  /** A DNS mediator runs. */
  readonly mediated: boolean
}

export type Compiled =
  /** `plan` is absent where it was compiled elsewhere: then it is in `encoded` only. */
  | { readonly kind: 'plan'; readonly encoded: Uint8Array; readonly plan?: Plan; readonly notes: readonly Note[] }
  | { readonly kind: 'bad-policies' | 'bad-inventory' | 'bad-plan'; readonly notes: readonly Note[] }
  | { readonly kind: 'refused'; readonly notes: readonly Note[]; readonly guarantees: readonly Guarantee[] }

export function compileBundle(given: Compiling, needs: Needs): Compiled {
  const { members, source, slots, inventoryFile, capabilities, order, mediated } = given
  const read = normalizePolicies(members)
  if (!read.policies) return { kind: 'bad-policies', notes: read.notes }
  const { inventory, notes } = readInventory(slots, inventoryFile)
  if (!inventory) return { kind: 'bad-inventory', notes }
  const made = compilePlan({
    ...{ source, policies: read.policies, inventory, capabilities, order, needs },
    ...(mediated ? { mediated: true, services: dnsServices(inventory) } : {}),
  })
  if (!made.plan) return { kind: 'refused', notes: made.notes, guarantees: made.guarantees }
  const checked = checkPlan(made.plan)
  if (hasErrors(checked)) return { kind: 'bad-plan', notes: checked }
  const all = [...read.notes, ...notes, ...made.notes, ...checked]
  return { kind: 'plan', encoded: encodePlan(made.plan), plan: made.plan, notes: all }
}

/** The meaning of a verified inventory; absent exactly when a note is an error. */
export function readInventory(
  slots: Slots,
  file: string,
): { readonly inventory?: Inventory; readonly notes: readonly Note[] } {
  const { inventory, notes } = parseInventory(slots.bytes, file)
  const found = [...notes, ...(inventory ? statementNotes(inventory, slots, file) : [])]
  return inventory && !hasErrors(found) ? { inventory, notes: found } : { notes: found }
}

/** The document says what its signed statement says: one meaning, whichever of the two is read. */
function statementNotes(inventory: Inventory, slots: Slots, file: string): Note[] {
  const at = { severity: 'error', file, line: 0, column: 0, code: 'inventory-statement' } as const
  return (['audience', 'revision'] as const)
    .filter((path) => inventory[path] !== slots[path])
    .map((path) => ({
      ...at,
      path,
      say: `the document says ${quote(inventory[path])} and its signed statement ${quote(slots[path])}; sign the document as it is`,
    }))
}
