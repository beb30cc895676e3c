// The closed plan: what stands on a node that holds no valid bundle (design section 7, "first start"). Takes the inventory, where
// there is one, and what the backends can carry; gives a plan in which every workspace is attached and nothing is granted.
// Without an inventory it has no workspaces, and what it closes are the interfaces that only fenced traffic may use.
//
// It is no bundle: its revision is 0, which no release may have. It never ends, because what denies everything needs no
// deadline.

import { digestOf } from '../base/digest.js'
import type { Capabilities } from './capabilities.js'
import { compilePlan } from './compile.js'
import type { Inventory } from './inventory.js'
import { type BackendName, PLAN_FORMAT, type Plan, type PlanSource } from './model.js'
import { place } from './place.js'

/** Whom the plan is for: the node's own configuration, since no bundle says so. */
export interface ClosedFor {
  readonly audience: string
  readonly channel: string
}

const CLOSED_REVISION = '0'
/** The last moment that RFC 3339 can write. */
const NEVER_MS = Date.UTC(9999, 11, 31, 23, 59, 59)

/** True for the source of a closed plan. */
export const isClosed = (source: PlanSource): boolean => source.policyRevision === CLOSED_REVISION

/** Workspaces that no backend here can carry are left out: nothing here could fence them either way. */
export function closedPlan(
  { audience, channel }: ClosedFor,
  inventory: Inventory | undefined,
  capabilities: readonly Capabilities[],
  order: readonly BackendName[],
): Plan {
  const entries = (inventory?.entries ?? []).filter(
    (entry) => !('code' in place(entry, undefined, capabilities, order)),
  )
  const source: PlanSource = {
    bundleId: 'closed',
    bundleDigest: digestOf(new Uint8Array(0)),
    policyRevision: CLOSED_REVISION,
    epoch: 0,
    channel,
    audience,
    inventoryRevision: inventory?.revision ?? '0',
    notBeforeMs: 0,
    expiresAtMs: NEVER_MS,
  }
  const revision = source.inventoryRevision
  const made = compilePlan({ source, policies: [], inventory: { audience, revision, entries }, capabilities, order })
  const workspaces = (made.plan?.workspaces ?? []).map((entry) => ({ ...entry, onExpiry: 'hold' as const }))
  return { format: PLAN_FORMAT, source, workspaces, guarantees: [] }
}
