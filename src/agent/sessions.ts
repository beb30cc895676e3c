// Sessions of the access broker: opening one lets its one peer come to the ingress grants that ask for a session, until it is
// closed or over (plan/sessions.ts). The end is in the data plane, so that it comes with no agent alive.
//
// A session is on record before it is in the fence, and out of the fence before its end is on record. It is open only while
// both have it: what one of them lacks, after a crash, a restart or somebody else's hand, is closed and told, and never put
// back. So nothing is ever open without a record, and the broker hears of what was lost when it asks.

import type { SessionFact } from '../audit/fact-session.js'
import type { Driver, Flagged } from '../backends/backend.js'
import { formatIp, parseIp } from '../base/ip.js'
import type { BackendName, GrantId, Plan, SessionPeer, WorkspaceId, WorkspacePlan } from '../plan/model.js'
import { sessionOpens } from '../plan/sessions.js'
import { isHeld } from './attach-record.js'
import type { SessionCloseCommand, SessionOpenCommand } from './command.js'
import { policyContext, workspaceContext } from './context.js'
import { agentFault } from './errors.js'
import type { AgentNode } from './node.js'
import type { Activation } from './record.js'
import { isSessionIdRevoked } from './revoked-sessions.js'
import {
  type BrokerSession,
  isOpen,
  peersOf,
  SESSION_LIFETIME,
  SESSIONS_MOST,
  type SessionEnd,
  withSession,
} from './session-record.js'

export interface SessionOpened {
  readonly session: BrokerSession
  /** What it opens, by the signed clauses of now. */
  readonly grants: readonly GrantId[]
  readonly generation: number
  /** False: this id has it open already. */
  readonly changed: boolean
  readonly elapsedMs: number
}

export interface SessionClosed {
  readonly session: BrokerSession
  /** False: it was over already. */
  readonly changed: boolean
  readonly elapsedMs: number
}

interface Place {
  readonly live: Activation
  readonly plan: Plan
  readonly entry: WorkspacePlan
  readonly put: (peers: readonly SessionPeer[]) => Promise<boolean>
}

/**
 * Needs the lock. Throws AGENT_NOTHING_LIVE, AGENT_WORKSPACE_UNKNOWN, AGENT_SESSION_REFUSED, AGENT_SESSION_TAKEN,
 * AGENT_SESSION_OVER, AGENT_SESSIONS_FULL before anything is changed; AGENT_STORE_WRITE and AGENT_SESSION_FAILED: then it is not open.
 */
export async function openSession(node: AgentNode, command: SessionOpenCommand): Promise<SessionOpened> {
  const startMs = node.nowMs()
  const { workspace, sessionId, user, by, lifetimeMs } = command
  const { live, plan, entry, put } = placeOf(node, workspace)
  const refuse = (why: string) => agentFault('AGENT_SESSION_REFUSED', { workspace, session: sessionId, why })
  const ip = parseIp(command.peer)
  if (!ip) throw refuse('its peer is no address')
  const peer = formatIp(ip)
  const grants = sessionOpens(entry, ip).map(({ id }) => id)
  const list = node.store.sessions()
  const known = list.find((one) => one.workspace === workspace && one.sessionId === sessionId)
  if (known && (known.user !== user || known.peer !== peer))
    throw agentFault('AGENT_SESSION_TAKEN', { workspace, session: sessionId })
  if (known?.ended) throw agentFault('AGENT_SESSION_OVER', { workspace, session: sessionId, how: known.ended.reason })
  if (isSessionIdRevoked(node.store.directory, sessionId, startMs))
    throw agentFault('AGENT_SESSION_OVER', { workspace, session: sessionId, how: 'revoked' })
  const { generation } = live
  if (known) return { session: known, grants, generation, changed: false, elapsedMs: node.nowMs() - startMs }
  if (lifetimeMs < SESSION_LIFETIME.leastMs || lifetimeMs > SESSION_LIFETIME.mostMs)
    throw refuse(`it may last from ${SESSION_LIFETIME.leastMs} to ${SESSION_LIFETIME.mostMs} ms`)
  if (grants.length === 0) throw refuse(`no signed ingress clause with a session lets ${peer} in`)
  if (node.store.quarantines().some((one) => one.workspace === workspace)) throw refuse('it is in quarantine')
  if (!isHeld(node.store.tenures(), workspace, entry.slot, node.config.attachRequired ?? false))
    throw refuse('it is not attached')
  const open = list.filter(isOpen)
  if (
    open.length >= SESSIONS_MOST.node ||
    open.filter((one) => one.workspace === workspace).length >= SESSIONS_MOST.workspace
  )
    throw agentFault('AGENT_SESSIONS_FULL', { workspace, most: SESSIONS_MOST.workspace })
  const session = { workspace, sessionId, user, peer, by, openedAtMs: startMs, expiresAtMs: startMs + lifetimeMs }
  const next = withSession(list, session, startMs)
  node.store.saveSessions(next)
  try {
    if (!(await put(peersOf(next, workspace)))) throw new TypeError('what is live does not have the workspace')
  } catch (cause) {
    // Whatever came of it, the fence is asked for what was open before, and the record says that this one is not.
    await put(peersOf(list, workspace)).catch(() => undefined)
    const failed = { ...session, ended: { reason: 'failed' as const, atMs: node.nowMs() } }
    node.store.saveSessions(withSession(list, failed, node.nowMs()))
    throw agentFault('AGENT_SESSION_FAILED', { workspace, session: sessionId, what: 'opened' }, { cause })
  }
  const elapsedMs = node.nowMs() - startMs
  await node.emit([factOf(session, { live, plan }, node.nowMs(), elapsedMs)])
  return { session, grants, generation, changed: true, elapsedMs }
}

/** Needs the lock. Throws AGENT_SESSION_UNKNOWN, AGENT_SESSION_FAILED: then the fence may still have it, until its end. */
export async function closeSession(node: AgentNode, command: SessionCloseCommand): Promise<SessionClosed> {
  const startMs = node.nowMs()
  const { workspace, sessionId } = command
  const known = node.store.sessions().find((one) => one.workspace === workspace && one.sessionId === sessionId)
  if (!known) throw agentFault('AGENT_SESSION_UNKNOWN', { workspace, session: sessionId })
  if (known.ended) return { session: known, changed: false, elapsedMs: node.nowMs() - startMs }
  const [session = known] = await endSessions(node, [known], () => (command.revoked ? 'revoked' : 'closed'), command.by)
  return { session, changed: true, elapsedMs: node.nowMs() - startMs }
}

/** Ends whatever is open of a workspace: its tenure ends, or it is let out of quarantine and nobody is to be there already. */
export const endSessionsOf = (node: AgentNode, workspace: WorkspaceId, reason: SessionEnd): Promise<unknown> =>
  endSessions(
    node,
    node.store.sessions().filter((one) => one.workspace === workspace && isOpen(one)),
    () => reason,
  )

/** Fence first, then the record, then the trail. Gives them as they are on record. Throws AGENT_SESSION_FAILED, AGENT_STORE_WRITE. */
async function endSessions(
  node: AgentNode,
  ending: readonly BrokerSession[],
  reasonOf: (session: BrokerSession) => SessionEnd,
  by?: string,
): Promise<readonly BrokerSession[]> {
  if (ending.length === 0) return []
  const { live } = node.store.load()
  const plan = live ? node.store.loadPlan(live.planDigest) : undefined
  const startMs = node.nowMs()
  const left = node.store.sessions().filter((one) => !ending.some((over) => isSame(one, over)))
  for (const workspace of new Set(ending.map((one) => one.workspace))) {
    const backend = plan?.workspaces.find((one) => one.workspace === workspace)?.backend
    const driver = backend && node.backends.get(backend)?.driver
    try {
      // False: the fence has no such workspace, and so no session of it.
      await driver?.sessions?.(workspace, peersOf(left, workspace))
    } catch (cause) {
      const session = ending.find((one) => one.workspace === workspace)?.sessionId ?? ''
      throw agentFault('AGENT_SESSION_FAILED', { workspace, session, what: 'closed' }, { cause })
    }
  }
  const atMs = node.nowMs()
  const ended = ending.map((one) => ({ ...one, ended: { reason: reasonOf(one), atMs } }))
  node.store.saveSessions(ended.reduce((list, one) => withSession(list, one, atMs), node.store.sessions()))
  await node.emit(ended.map((one) => factOf(one, { live, plan }, atMs, atMs - startMs, by)))
  return ended
}

/** What backends say of a workspace every second, by backend. */
export type Shown = ReadonlyMap<BackendName, Flagged>

/**
 * Makes record and fence agree on the narrower of the two: ends what is over, what only one of them has, and what its workspace may
 * not have any more. A backend that is not in `shown` was not asked, and its sessions stay as they are until it is.
 */
export async function tendSessions(node: AgentNode, plan: Plan, shown: Shown): Promise<void> {
  const nowMs = node.nowMs()
  const list = node.store.sessions()
  const open = list.filter(isOpen)
  const quarantined = new Set(node.store.quarantines().map((one) => one.workspace))
  const tenures = node.store.tenures()
  const over = new Map<BrokerSession, SessionEnd>()
  for (const one of open) {
    const entry = plan.workspaces.find(({ workspace }) => workspace === one.workspace)
    const seen = entry && shown.get(entry.backend)
    const ip = parseIp(one.peer)
    const there = seen?.sessions?.some(({ workspace, peer }) => workspace === one.workspace && peer === one.peer)
    if (nowMs >= one.expiresAtMs) over.set(one, 'expired')
    else if (!entry || !ip || sessionOpens(entry, ip).length === 0) over.set(one, 'policy')
    else if (quarantined.has(one.workspace) || seen?.quarantined.includes(one.workspace)) over.set(one, 'quarantined')
    else if (!isHeld(tenures, one.workspace, entry.slot, node.config.attachRequired ?? false)) over.set(one, 'detached')
    // The data plane ends it by its own clock, a moment before this one or after.
    else if (seen && !there) over.set(one, one.expiresAtMs - nowMs <= CLOCKS_MS ? 'expired' : 'lost')
  }
  for (const one of await foundAgain(node, plan, over)) over.delete(one)
  await endSessions(node, [...over.keys()], (one) => over.get(one) ?? 'expired')
  const left = open.filter((one) => !over.has(one))
  for (const entry of plan.workspaces) {
    const { workspace, backend } = entry
    const wanted = peersOf(left, workspace)
    const extra = shown.get(backend)?.sessions?.some((one) => one.workspace === workspace && !carries(wanted, one))
    // Nobody here opened it, or it would last longer than anybody asked for.
    if (extra) await node.backends.get(backend)?.driver.sessions?.(workspace, wanted)
  }
}

/** Those that a second look finds after all: one that falls into a change of the tables may miss what stands. */
async function foundAgain(
  node: AgentNode,
  plan: Plan,
  over: ReadonlyMap<BrokerSession, SessionEnd>,
): Promise<readonly BrokerSession[]> {
  const found: BrokerSession[] = []
  for (const [one, reason] of over) {
    const entry = plan.workspaces.find(({ workspace }) => workspace === one.workspace)
    const driver = reason === 'lost' && entry ? node.backends.get(entry.backend)?.driver : undefined
    const { sessions = [] } = (await driver?.observe())?.live ?? {}
    if (sessions.some(({ workspace, peer }) => workspace === one.workspace && peer === one.peer)) found.push(one)
  }
  return found
}

/** What a kernel's clock of whole seconds, read on another, may differ by. */
const CLOCKS_MS = 2_500
const carries = (wanted: readonly SessionPeer[], found: SessionPeer): boolean =>
  wanted.some(({ peer, expiresAtMs }) => peer === found.peer && found.expiresAtMs <= expiresAtMs + CLOCKS_MS)

const isSame = (a: BrokerSession, b: BrokerSession): boolean =>
  a.workspace === b.workspace && a.sessionId === b.sessionId

function placeOf(node: AgentNode, workspace: WorkspaceId): Place {
  const { live } = node.store.load()
  if (!live) throw agentFault('AGENT_NOTHING_LIVE', { directory: node.store.directory })
  const plan = node.store.loadPlan(live.planDigest)
  const entry = plan.workspaces.find((one) => one.workspace === workspace)
  if (!entry) throw agentFault('AGENT_WORKSPACE_UNKNOWN', { workspace })
  const driver: Driver<unknown> | undefined = node.backends.get(entry.backend)?.driver
  if (!driver) throw agentFault('AGENT_BACKEND_UNKNOWN', { backend: entry.backend })
  const put = (peers: readonly SessionPeer[]) => driver.sessions?.(workspace, peers) ?? Promise.resolve(false)
  return { live, plan, entry, put }
}

function factOf(
  session: BrokerSession,
  { live, plan }: { readonly live: Activation | null; readonly plan: Plan | undefined },
  atMs: number,
  elapsedMs: number,
  by = session.ended ? 'sluice' : session.by,
): SessionFact {
  const { workspace, sessionId, user, peer, openedAtMs, expiresAtMs, ended } = session
  const about = {
    atMs,
    ...(live ? { policy: policyContext(live) } : {}),
    workspace: workspaceContext(plan, workspace),
    ...{ sessionId, user, peer, by, openedAtMs, expiresAtMs, elapsedMs },
  }
  return ended ? { kind: 'session-ended', ...about, reason: ended.reason } : { kind: 'session-opened', ...about }
}
