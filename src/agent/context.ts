// Which policy and which attachment the agent's facts speak of. Values only; the audit folder turns facts into events.

import type { PolicyContext, WorkspaceContext } from '../audit/fact.js'
import type { Plan } from '../plan/model.js'
import type { Activation } from './record.js'

export const policyContext = (at: Activation): PolicyContext => ({
  bundleId: at.source.bundleId,
  bundleDigest: at.source.bundleDigest,
  policyRevision: at.source.policyRevision,
  generation: at.generation,
})

/** One live attachment per workspace until leases come: its id is the slot's interface. */
export function workspaceContext(plan: Plan | undefined, workspace: string): WorkspaceContext {
  const slot = plan?.workspaces.find((entry) => entry.workspace === workspace)?.slot
  return { workspace, attachmentId: slot?.vuid ?? slot?.interface ?? '', interface: slot?.interface ?? '' }
}
