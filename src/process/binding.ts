// Which workspace a record is about. A sensor on this node says so itself; DOCA Argus says what it read in the memory of a machine.
// The name under which Argus was told to look at a machine is the fence's own (backends/doca-argus/lower.ts), and binds. Names and
// addresses of interfaces are the guest's words: they bind only where a MAC and an address of one slot, and of no other, are both
// among them. A guest that forges another's brings suspicion on that one and gets rid of none of its own: the events say by
// which of the two a record was bound, and what is bound by a guest's words is told and never reacted to (agent/processes.ts).

import type { Slot } from '../plan/inventory.js'
import type { WorkspaceId } from '../plan/model.js'
import type { Workload } from './activity.js'

export interface Bound {
  readonly workspace: WorkspaceId
  readonly by: 'identifier' | 'interfaces'
}

/** `identifiers`: what Argus calls each workspace, by what it may say in `unique_identifier`. */
export function bindWorkload(
  { id, macs, addresses }: Workload,
  identifiers: ReadonlyMap<string, WorkspaceId>,
  workspaces: readonly { readonly workspace: WorkspaceId; readonly slot: Pick<Slot, 'mac' | 'addresses'> }[],
): Bound | undefined {
  const named = id === undefined ? undefined : identifiers.get(id)
  if (named !== undefined) return { workspace: named, by: 'identifier' }
  const matching = workspaces.filter(
    ({ slot }) => macs.includes(slot.mac) && slot.addresses.some((one) => addresses.includes(one)),
  )
  const [only] = matching
  return matching.length === 1 && only ? { workspace: only.workspace, by: 'interfaces' } : undefined
}
