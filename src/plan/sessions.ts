// Sessions of the access broker (issue 10): which grants of ingress count only while one is open, and for whom.
//
// A clause with `session: required` becomes grants of a list of its own, so that whoever knows no sessions opens nothing. They
// count for the peers that have a session of the workspace open, until the latest of its ends: a session opens no more than
// the signed clauses allow its one address. Who is open stands beside the generations, as flags do, and ends by itself. A
// flow that a session let in ends with it, at its end as at its close, and no later session revives it.

import { formatIp, type Ip, inPrefix, parseIp, parsePrefix } from '../base/ip.js'
import { grantIndex } from './lookup.js'
import type { Grant, Plan, SessionPeer, WorkspaceId, WorkspacePlan } from './model.js'
import type { Flow, State } from './state.js'

/** What a session of this address would open now; empty when no signed clause lets it in. */
export function sessionOpens({ network }: WorkspacePlan, peer: Ip): readonly Grant[] {
  return (network.sessions ?? []).filter(({ prefix: text }) => {
    const prefix = parsePrefix(text)?.prefix
    return prefix !== undefined && inPrefix(peer, prefix)
  })
}

/** Has this address a session of the workspace open? */
export function hasSession(
  { sessions }: State,
  { workspace, network }: WorkspacePlan,
  peer: Ip,
  nowMs: number,
): boolean {
  if (network.sessions === undefined) return false
  const address = formatIp(peer)
  return sessions.some((one) => one.workspace === workspace && one.peer === address && one.expiresAtMs > nowMs)
}

/** Is this a flow that a session allows at `nowMs`? What a grant without one allows is another question. */
export function isSessionFlow(state: State, at: WorkspacePlan, flow: Flow, nowMs: number): boolean {
  const peer = parseIp(flow.peer)
  if (flow.direction !== 'ingress' || !peer || !hasSession(state, at, peer, nowMs)) return false
  return grantIndex(at).find('session', flow.protocol, peer, flow.localPort, false) !== undefined
}

/**
 * The state once these are all the peers that have a session of the workspace open. Flows of sessions that have run out are
 * destroyed first, and those that the new list does not carry after it.
 */
export function withSessions(
  state: State,
  plan: Plan,
  workspace: WorkspaceId,
  peers: readonly SessionPeer[],
  nowMs: number,
): State {
  const others = state.sessions.filter((one) => one.workspace !== workspace)
  const before = endSessions(state, plan, nowMs)
  return endSessions({ ...before, sessions: [...others, ...peers] }, plan, nowMs)
}

/** Destroys the flows of sessions that are over at `nowMs`. */
export function endSessions(state: State, plan: Plan, nowMs: number): State {
  const workspaces = new Map(plan.workspaces.map((at) => [at.workspace, at]))
  const over = new Set<string>()
  for (const [key, flow] of state.flows) {
    const at = workspaces.get(flow.workspace)
    const peer = parseIp(flow.peer)
    if (flow.direction !== 'ingress' || !at?.network.sessions || !peer) continue
    if (grantIndex(at).find('ingress', flow.protocol, peer, flow.localPort, false)) continue
    if (!isSessionFlow(state, at, flow, nowMs)) over.add(key)
  }
  return over.size === 0 ? state : { ...state, flows: new Map([...state.flows].filter(([key]) => !over.has(key))) }
}
