// Sessions of the access broker: opening one lets its one peer come to the ingress grants that ask for a session, until it is
// closed or over (plan/sessions.ts). The end is in the data plane, so that it comes with no agent alive.
//
// A session is on record before it is in the fence, and out of the fence before its end is on record. It is open only while
// both have it: what one of them lacks, after a crash, a restart or somebody else's hand, is closed and told, and never put
// back. So nothing is ever open without a record, and the broker hears of what was lost when it asks.

import type { SessionFact } from '../audit/fact-session.js'
import type { Driver } from '../backends/backend.js'
import { formatIp, parseIp } from '../base/ip.js'
import type { GrantId, Plan, SessionPeer, WorkspaceId, WorkspacePlan } from '../plan/model.js'
import { sessionOpens } from '../plan/sessions.js'
import { isHeld } from './attach-record.js'
import { readClock } from './clock.js'
import type { SessionCloseCommand, SessionOpenCommand } from './command.js'
import { policyContext, workspaceContext } from './context.js'
import { agentFault } from './errors.js'
import type { AgentNode } from './node.js'
import type { Activation } from './record.js'
import { isSessionIdRevoked } from './revoked-sessions.js'
import {
  type BrokerSession,
  isOpen,
  nameOf,
  peersOf,
  SESSION_LIFETIME,
  SESSIONS_MOST,
  type SessionEnd,
  sessionsByWorkspace,
  withSessions,
} from './session-record.js'
import { isWanted, look, type Shown, standing, whatIsOver } from './session-standing.js'

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
  readonly driver: Driver<unknown>
  readonly put: (peers: readonly SessionPeer[]) => Promise<boolean>
}

/**
 * Needs the lock. Throws AGENT_NOTHING_LIVE, AGENT_WORKSPACE_UNKNOWN, AGENT_CLOCK_BACK, AGENT_SESSION_REFUSED, AGENT_SESSION_TAKEN,
 * AGENT_SESSION_OVER, AGENT_SESSIONS_FULL before anything is opened; AGENT_STORE_WRITE and AGENT_SESSION_FAILED: then it is not open.
 * Whatever else of the workspace is over is ended first, so that nothing of it is put back, and no answer calls it open.
 */
export async function openSession(node: AgentNode, command: SessionOpenCommand): Promise<SessionOpened> {
  const startMs = node.nowMs()
  const { workspace, sessionId, user, by, lifetimeMs } = command
  readClock(node)
  const place = placeOf(node, workspace)
  const { live, plan, entry, put } = place
  const refuse = (why: string) => agentFault('AGENT_SESSION_REFUSED', { workspace, session: sessionId, why })
  const ip = parseIp(command.peer)
  if (!ip) throw refuse('its peer is no address')
  const peer = formatIp(ip)
  const grants = sessionOpens(entry, ip).map(({ id }) => id)
  await endWhatIsOver(node, place, sessionId)
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
  const next = withSessions(list, [session], startMs)
  node.store.saveSessions(next)
  try {
    if (!(await put(peersOf(next, workspace)))) throw new TypeError('what is live does not have the workspace')
  } catch (cause) {
    // Whatever came of it, the fence is asked for what was open before. Where it says that it has no more, this one never was, and may
    // be asked for again; where it does not, its id is over.
    const undone = await put(peersOf(list, workspace)).then(
      () => true,
      () => false,
    )
    const failed = { ...session, ended: { reason: 'failed' as const, atMs: node.nowMs() } }
    node.store.saveSessions(undone ? list : withSessions(list, [failed], node.nowMs()))
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

/** Throws AGENT_SESSION_FAILED where nobody can say what the fence has. */
async function endWhatIsOver(node: AgentNode, { plan, entry, driver }: Place, asking: string): Promise<void> {
  const { workspace, backend } = entry
  const open = node.store.sessions().filter((one) => one.workspace === workspace && isOpen(one))
  if (open.length === 0) return
  const over = await toldAs({ workspace, session: asking, what: 'opened' }, async () => {
    const seen = await look(driver)
    if (!seen) throw new TypeError('nothing is enforced')
    return whatIsOver(node, plan, open, new Map([[backend, seen]]), node.nowMs())
  })
  await endSessions(node, [...over.keys()], (one) => over.get(one) ?? 'expired')
}

async function toldAs<T>(
  about: { readonly workspace: WorkspaceId; readonly session: string; readonly what: string },
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    throw agentFault('AGENT_SESSION_FAILED', about, { cause })
  }
}

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
  const names = new Set(ending.map(nameOf))
  const left = sessionsByWorkspace(node.store.sessions().filter((one) => isOpen(one) && !names.has(nameOf(one))))
  for (const [workspace, [first]] of sessionsByWorkspace(ending)) {
    const backend = plan?.workspaces.find((one) => one.workspace === workspace)?.backend
    const driver = backend && node.backends.get(backend)?.driver
    await toldAs({ workspace, session: first?.sessionId ?? '', what: 'closed' }, async () => {
      // Carried by what nobody here can ask: nobody can say that it is closed.
      if (backend !== undefined && !driver) throw new TypeError(`this agent has no backend ${backend}`)
      // What the fence has lost meanwhile is not put back with what it keeps.
      const stays = await standing(node, plan, left.get(workspace) ?? [])
      // False: the fence has no such workspace, and so no session of it.
      await driver?.sessions?.(workspace, peersOf([...stays], workspace))
    })
  }
  const atMs = node.nowMs()
  const ended = ending.map((one) => ({ ...one, ended: { reason: reasonOf(one), atMs } }))
  node.store.saveSessions(withSessions(node.store.sessions(), ended, atMs))
  await node.emit(ended.map((one) => factOf(one, { live, plan }, atMs, atMs - startMs, by)))
  return ended
}

/**
 * Makes record and fence agree on the narrower of the two: ends what is over, what only one of them has, and what its workspace may
 * not have any more. A backend that is not in `shown` was not asked, and its sessions stay as they are until it is.
 */
export async function tendSessions(node: AgentNode, plan: Plan, shown: Shown): Promise<void> {
  const open = node.store.sessions().filter(isOpen)
  const over = await whatIsOver(node, plan, open, shown, node.nowMs())
  await endSessions(node, [...over.keys()], (one) => over.get(one) ?? 'expired')
  const left = sessionsByWorkspace(open.filter((one) => !over.has(one)))
  const carriers = new Map(plan.workspaces.map(({ workspace, backend }) => [workspace, backend]))
  for (const [backend, { sessions = [] }] of shown)
    for (const [workspace, found] of sessionsByWorkspace(sessions)) {
      if (carriers.get(workspace) !== backend) continue
      const wanted = peersOf(left.get(workspace) ?? [], workspace)
      // Nobody here opened it, or it would last longer than anybody asked for.
      if (!found.every((one) => isWanted(wanted, one)))
        await node.backends.get(backend)?.driver.sessions?.(workspace, wanted)
    }
}

function placeOf(node: AgentNode, workspace: WorkspaceId): Place {
  const { live } = node.store.load()
  if (!live) throw agentFault('AGENT_NOTHING_LIVE', { directory: node.store.directory })
  const plan = node.store.loadPlan(live.planDigest)
  const entry = plan.workspaces.find((one) => one.workspace === workspace)
  if (!entry) throw agentFault('AGENT_WORKSPACE_UNKNOWN', { workspace })
  const driver: Driver<unknown> | undefined = node.backends.get(entry.backend)?.driver
  if (!driver) throw agentFault('AGENT_BACKEND_UNKNOWN', { backend: entry.backend })
  const put = (peers: readonly SessionPeer[]) => driver.sessions?.(workspace, peers) ?? Promise.resolve(false)
  return { live, plan, entry, driver, put }
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
