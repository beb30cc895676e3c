// Sessions of the access broker as values, and in their one byte form (record.ts). An ended one stays for a while, so that what
// the broker says again under its id opens nothing a second time.

import type { Json } from '../base/canonical.js'
import type { SessionPeer, WorkspaceId } from '../plan/model.js'
import { Fields, RecordProblem, seal, unseal } from './record.js'

export const SESSIONS_FORMAT = 'sluice-sessions/1'

/** `revoked`: by a security event. `lost`: the fence did not have it any more. `policy`: no signed clause lets its peer in any more. */
export const SESSION_ENDS = [
  'closed',
  'revoked',
  'expired',
  'quarantined',
  'detached',
  'policy',
  'lost',
  'failed',
] as const
export type SessionEnd = (typeof SESSION_ENDS)[number]

export interface BrokerSession {
  readonly workspace: WorkspaceId
  /** The broker's own name for it; of one workspace no two are alike. */
  readonly sessionId: string
  /** Whom the broker let in. */
  readonly user: string
  /** One address, canonical. */
  readonly peer: string
  /** Who opened it. */
  readonly by: string
  readonly openedAtMs: number
  readonly expiresAtMs: number
  /** Absent while it is open. */
  readonly ended?: { readonly reason: SessionEnd; readonly atMs: number }
}

/** Open at one time, and remembered after their end. */
export const SESSIONS_MOST = { workspace: 64, node: 4_096, ended: 8_192 } as const
export const SESSION_LIFETIME = { leastMs: 1_000, mostMs: 86_400_000 } as const
/** An ended one is forgotten after that, or as soon as so many are remembered that others, not revoked, must make room. */
const REMEMBERED_MS = SESSION_LIFETIME.mostMs

export const encodeSessions = (list: readonly BrokerSession[]): string =>
  seal(
    SESSIONS_FORMAT,
    list.map(({ ended, ...rest }) => ({ ...rest, ended: ended ? { ...ended } : null })),
  )

/** Throws RecordProblem for anything that `encodeSessions` did not write. */
export function decodeSessions(bytes: Uint8Array): readonly BrokerSession[] {
  const list = unseal(bytes, SESSIONS_FORMAT)
  if (!Array.isArray(list)) throw new RecordProblem('damaged', 'the body is not a list')
  return (list as readonly Json[]).map((item) => {
    const at = new Fields(item, 'session')
    const ended = at.orNull('ended', (end) => ({ reason: reasonOf(end.text('reason')), atMs: end.count('atMs') }))
    return {
      workspace: at.text('workspace'),
      sessionId: at.text('sessionId'),
      user: at.text('user'),
      peer: at.text('peer'),
      by: at.text('by'),
      openedAtMs: at.count('openedAtMs'),
      expiresAtMs: at.count('expiresAtMs'),
      ...(ended ? { ended } : {}),
    }
  })
}

function reasonOf(text: string): SessionEnd {
  const reason = SESSION_ENDS.find((one) => one === text)
  if (reason === undefined) throw new RecordProblem('damaged', 'session.ended.reason is no reason')
  return reason
}

export const isOpen = ({ ended }: { readonly ended?: unknown }): boolean => ended === undefined

/** Of one workspace no two sessions have one name. */
export const nameOf = ({ workspace, sessionId }: Pick<BrokerSession, 'workspace' | 'sessionId'>): string =>
  `${workspace} ${sessionId}`

/** The list with these in it, each in the place of one of the same name; without what need not be remembered. */
export function withSessions(
  list: readonly BrokerSession[],
  changed: readonly BrokerSession[],
  nowMs: number,
): readonly BrokerSession[] {
  const names = new Set(changed.map(nameOf))
  const others = list.filter((one) => !names.has(nameOf(one)))
  const kept = others.filter(({ ended }) => ended === undefined || ended.atMs + REMEMBERED_MS > nowMs)
  const all = [...kept, ...changed]
  const ended = all.filter((one) => !isOpen(one))
  if (ended.length <= SESSIONS_MOST.ended) return all
  const oldestFirst = ended.sort((a, b) => isRevoked(a) - isRevoked(b) || (a.ended?.atMs ?? 0) - (b.ended?.atMs ?? 0))
  const dropped = new Set(oldestFirst.slice(0, ended.length - SESSIONS_MOST.ended))
  return all.filter((one) => !dropped.has(one))
}

/** What somebody took back is to stay over longest. */
const isRevoked = ({ ended }: BrokerSession): number => (ended?.reason === 'revoked' ? 1 : 0)

/** By workspace. */
export function sessionsByWorkspace<T extends { readonly workspace: WorkspaceId }>(
  list: Iterable<T>,
): ReadonlyMap<WorkspaceId, readonly T[]> {
  const found = new Map<WorkspaceId, T[]>()
  for (const one of list) {
    const these = found.get(one.workspace)
    if (these) these.push(one)
    else found.set(one.workspace, [one])
  }
  return found
}

/** What the fence is to hold for a workspace: each peer until the last of its sessions ends. */
export function peersOf(list: readonly BrokerSession[], workspace: WorkspaceId): readonly SessionPeer[] {
  const peers = new Map<string, SessionPeer>()
  for (const one of list)
    if (one.workspace === workspace && isOpen(one) && one.expiresAtMs > (peers.get(one.peer)?.expiresAtMs ?? 0))
      peers.set(one.peer, { workspace, peer: one.peer, expiresAtMs: one.expiresAtMs })
  return [...peers.values()].sort((a, b) => (a.peer < b.peer ? -1 : 1))
}
