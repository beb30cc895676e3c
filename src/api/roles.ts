// Who may call what: one table, least privilege, walked by a test role by role. A caller has the roles that agent.yaml gives
// to its identity, the one SPIFFE URI of its certificate; whoever has none may call nothing. Health and reflection answer
// every caller whose certificate is good.

import type { LifecycleMethod } from './lifecycle-methods.js'
import type { MethodName } from './methods.js'

export const ROLES = ['operator', 'companion', 'runtime', 'auditor', 'broker'] as const
export type Role = (typeof ROLES)[number]

export const ACCESS: { readonly [M in MethodName]: readonly Role[] } = {
  'Enforcement/GetStatus': ['operator', 'companion', 'auditor'],
  'Enforcement/GetPlan': ['operator', 'auditor'],
  'Enforcement/Explain': ['operator', 'companion', 'auditor'],
  // A companion may narrow: it fences, and only an operator lifts. The one thing that it opens is a session, below.
  'Enforcement/Quarantine': ['operator', 'companion'],
  'Enforcement/Lift': ['operator'],
  'Enforcement/CheckDrift': ['operator', 'auditor'],
  'Workspaces/Attach': ['operator', 'companion'],
  'Workspaces/Detach': ['operator', 'companion'],
  'Workspaces/ListAttachments': ['operator', 'companion', 'auditor'],
  // Lets one address come to what a signed clause leaves to sessions, and nothing beyond that clause.
  'Sessions/OpenSession': ['operator', 'companion', 'broker'],
  'Sessions/CloseSession': ['operator', 'companion', 'broker'],
  'Sessions/ListSessions': ['operator', 'companion', 'auditor', 'broker'],
  'Decision/CheckFlow': ['operator', 'companion', 'runtime'],
  'Decision/CheckAction': ['operator', 'companion', 'runtime'],
  'Evidence/MakeEvidence': ['operator', 'companion', 'auditor'],
  // A companion takes the trail out of the machine.
  'Audit/GetTrail': ['operator', 'companion', 'auditor'],
  'Audit/StreamEvents': ['operator', 'companion', 'auditor'],
}

/** Of the companion's socket, where root and the companion's own user are operators and nobody else is anything. */
export const LIFECYCLE_ACCESS: { readonly [M in LifecycleMethod]: readonly Role[] } = {
  'Lifecycle/ChangeWorkspace': ['operator'],
  'Lifecycle/KillWorkspaces': ['operator'],
  'Lifecycle/ListWorkspaces': ['operator', 'auditor'],
  'Lifecycle/ReadConsole': ['operator'],
  'Lifecycle/OpenBrokerSession': ['operator'],
  'Lifecycle/CloseBrokerSession': ['operator'],
  'Lifecycle/ListBrokerSessions': ['operator', 'auditor'],
}

/** Identities by role: SPIFFE URIs, or `URI/*` for every identity below that path. */
export type Callers = { readonly [R in Role]: readonly string[] }

export interface Caller {
  /** The SPIFFE URI of the certificate. */
  readonly id: string
  readonly roles: readonly Role[]
}

export const rolesOf = (id: string, callers: Callers): readonly Role[] =>
  ROLES.filter((role) => callers[role].some((pattern) => matches(pattern, id)))

const matches = (pattern: string, id: string): boolean =>
  pattern.endsWith('/*') ? id.startsWith(pattern.slice(0, -1)) && id.length >= pattern.length : id === pattern

export const mayCall = (caller: Caller, method: MethodName): boolean =>
  ACCESS[method].some((role) => caller.roles.includes(role))

/**
 * A caller that is only a runtime asks about its own workspace: its identity is the workspace's, or lies below it. Others
 * ask about any.
 */
export const maySpeakOf = (caller: Caller, workspace: string): boolean =>
  caller.roles.some((role) => role !== 'runtime') || caller.id === workspace || caller.id.startsWith(`${workspace}/`)
