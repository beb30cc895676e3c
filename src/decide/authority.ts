// Who may ask at all: the registration of the logical agent and the chain of delegations that reaches it, judged together
// (ODIS sections 6.1 and 6.3; identity sheet section 3). Takes records whose signatures were verified (agent/records.ts), the
// revocations that are held, and the time; gives the authority that they make together, or why there is none.
//
// Every hop is checked to be narrower than the one before, and the effective authority is the intersection of all hops all the
// same: a child can never do what a parent cannot, even if the check above were wrong. Missing, stale, suspended, revoked,
// cyclic or wider fails closed.

import type { Digest } from '../base/digest.js'
import type { WorkspaceId } from '../plan/model.js'
import type { Action } from './model.js'
import { type Authorization, isNarrower, permits } from './scope.js'

/** An agent registration record, after its signature. Times are milliseconds since 1970. */
export interface Registration {
  readonly issuer: string
  readonly recordId: string
  /** Monotonic: a lower one than was seen before is a rollback. */
  readonly recordVersion: number
  readonly agentId: string
  readonly state: 'pending' | 'active' | 'suspended' | 'revoked'
  readonly validUntilMs: number
  readonly sponsor: string
  /** Workspaces that it may act in; exact. */
  readonly workspaces: readonly WorkspaceId[]
  readonly authorizations: readonly Authorization[]
}

/** A delegation record, after its signature; `digest` is of the token as it was signed. */
export interface Delegation {
  readonly digest: Digest
  readonly delegationId: string
  readonly issuer: string
  /** The agent that it is given to. */
  readonly actor: string
  readonly taskId: string
  /** Absent at the root. */
  readonly parent?: { readonly issuer: string; readonly delegationId: string; readonly digest: Digest }
  readonly authorizations: readonly Authorization[]
  /** Further hops that may follow. */
  readonly maxDepth: number
  /** Every action under it needs a person's yes. */
  readonly review: boolean
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

/** What was taken back: ids of agents, of delegations as `issuer delegationId`, and the highest version seen of each record. */
export interface Revocations {
  readonly agents: ReadonlySet<string>
  readonly delegations: ReadonlySet<string>
  readonly versions: ReadonlyMap<string, number>
}

export const AUTHORITY_REASONS = [
  'unregistered',
  'rolled-back',
  'agent-pending',
  'agent-suspended',
  'agent-revoked',
  'registration-expired',
  'other-workspace',
  'no-root',
  'broken-chain',
  'untrusted-issuer',
  'delegation-revoked',
  'delegation-expired',
  'not-narrower',
  'too-deep',
  'other-actor',
] as const
export type AuthorityReason = (typeof AUTHORITY_REASONS)[number]

export interface Authority {
  readonly agentId: string
  readonly sponsor: string
  readonly taskId: string
  /** Of the registration first, then hop by hop; all of them must permit. */
  readonly scopes: readonly (readonly Authorization[])[]
  readonly review: boolean
  /** The earliest end of all records. */
  readonly expiresAtMs: number
}

/** A record that was made in the future by more than this is not believed (clocks of two machines). */
const SKEW_MS = 300_000
export const MAX_HOPS = 16

export interface Claim {
  readonly workspace: WorkspaceId
  readonly registration: Registration | undefined
  /** Root first. */
  readonly chain: readonly Delegation[]
  /** Who may give a root delegation. */
  readonly roots: ReadonlySet<string>
}

export function resolveAuthority(claim: Claim, revoked: Revocations, nowMs: number): Authority | AuthorityReason {
  const { registration, chain } = claim
  if (!registration) return 'unregistered'
  const barred = judgeRegistration(registration, claim.workspace, revoked, nowMs)
  if (barred) return barred
  if (chain.length > MAX_HOPS) return 'too-deep'
  const last = chain.at(-1)
  if (!last || chain[0]?.parent) return 'no-root'
  if (last.actor !== registration.agentId) return 'other-actor'
  const seen = new Set<string>()
  for (const [hop, delegation] of chain.entries()) {
    const before = chain[hop - 1]
    const id = delegationKey(delegation)
    if (seen.has(id)) return 'broken-chain'
    seen.add(id)
    const wrong = judgeHop(delegation, before, chain.length - 1 - hop, claim.roots, revoked, nowMs)
    if (wrong) return wrong
  }
  return {
    agentId: registration.agentId,
    sponsor: registration.sponsor,
    taskId: last.taskId,
    scopes: [registration.authorizations, ...chain.map(({ authorizations }) => authorizations)],
    review: chain.some(({ review }) => review),
    expiresAtMs: Math.min(registration.validUntilMs, ...chain.map(({ expiresAtMs }) => expiresAtMs)),
  }
}

export const delegationKey = ({
  issuer,
  delegationId,
}: {
  readonly issuer: string
  readonly delegationId: string
}): string => `${issuer} ${delegationId}`
export const recordKey = ({ issuer, recordId }: { readonly issuer: string; readonly recordId: string }): string =>
  `${issuer} ${recordId}`

const STATES = { pending: 'agent-pending', suspended: 'agent-suspended', revoked: 'agent-revoked' } as const

function judgeRegistration(
  record: Registration,
  workspace: WorkspaceId,
  revoked: Revocations,
  nowMs: number,
): AuthorityReason | undefined {
  if (record.recordVersion < (revoked.versions.get(recordKey(record)) ?? 0)) return 'rolled-back'
  if (record.state !== 'active') return STATES[record.state]
  if (revoked.agents.has(record.agentId)) return 'agent-revoked'
  if (nowMs >= record.validUntilMs) return 'registration-expired'
  return record.workspaces.includes(workspace) ? undefined : 'other-workspace'
}

function judgeHop(
  delegation: Delegation,
  before: Delegation | undefined,
  below: number,
  roots: ReadonlySet<string>,
  revoked: Revocations,
  nowMs: number,
): AuthorityReason | undefined {
  if (revoked.delegations.has(delegationKey(delegation)) || revoked.agents.has(delegation.actor))
    return 'delegation-revoked'
  if (nowMs >= delegation.expiresAtMs || delegation.issuedAtMs > nowMs + SKEW_MS) return 'delegation-expired'
  if (below > delegation.maxDepth) return 'too-deep'
  if (!before) return roots.has(delegation.issuer) ? undefined : 'untrusted-issuer'
  const { parent } = delegation
  if (!parent || parent.digest !== before.digest || delegationKey(parent) !== delegationKey(before))
    return 'broken-chain'
  // Only who holds it can hand it on.
  if (delegation.issuer !== before.actor) return 'untrusted-issuer'
  const isLonger = delegation.expiresAtMs > before.expiresAtMs || delegation.maxDepth >= before.maxDepth
  const isWider = isLonger || (before.review && !delegation.review) || delegation.taskId !== before.taskId
  return isWider || !isNarrower(delegation.authorizations, before.authorizations) ? 'not-narrower' : undefined
}

/** Does every one of them permit the action? */
export const carries = (authority: Authority, action: Action): boolean =>
  authority.scopes.every((scope) => permits(scope, action))
