// Flow state, and what a change of plan or a flag does to it (design section 5, "Expiry of a learned grant ...").

import { parseIp } from '../base/ip.js'
import { addressClass } from '../base/reserved.js'
import { grantIndex } from './lookup.js'
import type { IdleTimeouts, LearnedGrant, Plan, WorkspaceId } from './model.js'
import { isSessionFlow } from './sessions.js'
import type { Flow, State } from './state.js'

export const flowKey = (flow: Omit<Flow, 'basis' | 'clause' | 'grant' | 'lastSeenMs'>): string =>
  `${flow.workspace} ${flow.direction} ${flow.protocol} ${flow.local} ${flow.localPort} ${flow.peer} ${flow.peerPort}`

export function isLive(flow: Flow, idle: IdleTimeouts, nowMs: number): boolean {
  const limitMs = flow.protocol === 'tcp' ? idle.tcpMs : flow.protocol === 'udp' ? idle.udpMs : idle.icmpMs
  return nowMs - flow.lastSeenMs <= limitMs
}

export function withFlow(state: State, flow: Flow): State {
  const flows = new Map(state.flows)
  flows.set(flowKey(flow), flow)
  return { ...state, flows }
}

export function withoutFlow(state: State, key: string): State {
  if (!state.flows.has(key)) return state
  const flows = new Map(state.flows)
  flows.delete(key)
  return { ...state, flows }
}

/**
 * The state under a new plan: learned grants of unchanged clauses are carried over and named with the new generation, the
 * rest dropped; flows that lost their grant or clause are destroyed, so that giving it back later revives none. Those of sessions
 * that are over are the caller's, who knows the time (sessions.ts, `endSessions`).
 */
export function carryOver(state: State, plan: Plan, generation: number): State {
  const workspaces = new Map(plan.workspaces.map((entry) => [entry.workspace, entry]))
  const clauses = new Map(
    plan.workspaces.map((entry) => [
      entry.workspace,
      new Set(entry.network.names.map((rule) => rule.clause as string)),
    ]),
  )
  const learned = state.learned
    .filter((grant) => clauses.get(grant.workspace)?.has(grant.clause))
    .map((grant) => ({ ...grant, generation }))
  const flows = new Map<string, Flow>()
  for (const [key, flow] of state.flows) {
    const at = workspaces.get(flow.workspace)
    const peer = parseIp(flow.peer)
    if (!at || !peer || !at.slot.addresses.includes(flow.local)) continue
    const where = flow.direction === 'egress' ? addressClass(peer) : 'public'
    const port = flow.direction === 'egress' ? flow.peerPort : flow.localPort
    const granted =
      where !== 'never' && grantIndex(at).find(flow.direction, flow.protocol, peer, port, where === 'reserved')
    const learnt = flow.basis === 'learned' && clauses.get(flow.workspace)?.has(flow.clause)
    const observed = flow.basis === 'observed' && at.network.observe?.clause === flow.clause
    if (granted || learnt || observed || isSessionFlow(state, at, flow, 0)) flows.set(key, flow)
  }
  // Whoever gets the place of a workspace that is gone has no session.
  const sessions = state.sessions.filter((one) => workspaces.has(one.workspace))
  return { ...state, learned, flows, sessions }
}

/** Sets or lifts a flag. Setting one cuts every flow of the workspace, for good. */
export function withFlag(state: State, flag: 'quarantined' | 'suspended', workspace: WorkspaceId, on: boolean): State {
  const set = new Set(state[flag])
  if (on) set.add(workspace)
  else set.delete(workspace)
  const flows = on ? new Map([...state.flows].filter(([, flow]) => flow.workspace !== workspace)) : state.flows
  return { ...state, [flag]: set, flows }
}

/** Of learned grants of one clause and tuple the longest counts; one that expires at 0 takes it away. */
export function withLearned(state: State, grants: readonly LearnedGrant[]): State {
  const keyOf = ({ workspace, clause, protocol, address, port }: LearnedGrant): string =>
    `${workspace} ${clause} ${protocol} ${address} ${port}`
  const learned = new Map(state.learned.map((grant) => [keyOf(grant), grant]))
  for (const grant of grants) {
    const key = keyOf(grant)
    if (grant.expiresAtMs <= 0) learned.delete(key)
    else if ((learned.get(key)?.expiresAtMs ?? 0) <= grant.expiresAtMs) learned.set(key, grant)
  }
  return { ...state, learned: [...learned.values()] }
}
