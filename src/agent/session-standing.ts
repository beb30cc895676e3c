// What the fence says of sessions that are on record as open: which of them it still has, and why the others are over. What the fence
// does not have until its end, as it is on record, is over: putting it back would open again what was closed or lost.

import type { Driver, Flagged } from '../backends/backend.js'
import { parseIp } from '../base/ip.js'
import type { BackendName, Plan, SessionPeer, WorkspaceId } from '../plan/model.js'
import { sessionOpens } from '../plan/sessions.js'
import { isHeld } from './attach-record.js'
import type { AgentNode } from './node.js'
import { type BrokerSession, type SessionEnd, sessionsByWorkspace } from './session-record.js'

/** What backends say of a workspace every second, by backend. */
export type Shown = ReadonlyMap<BackendName, Flagged>

/** What a kernel's clock of whole seconds, read on another, may differ by. */
const CLOCKS_MS = 2_500

export const look = async (driver: Driver<unknown>): Promise<Flagged | null> =>
  driver.flagged ? await driver.flagged() : (await driver.observe()).live

/** Those that their fence has until their end. `shown`: a look that was taken already. Rejects when one cannot be read. */
export async function standing(
  node: AgentNode,
  plan: Plan | undefined,
  list: readonly BrokerSession[],
  shown: Shown = new Map(),
): Promise<ReadonlySet<BrokerSession>> {
  const backends = new Map(plan?.workspaces.map(({ workspace, backend }) => [workspace, backend]))
  const asked = new Map<BackendName, BrokerSession[]>()
  for (const [workspace, these] of sessionsByWorkspace(list)) {
    const backend = backends.get(workspace)
    if (backend !== undefined) asked.set(backend, [...(asked.get(backend) ?? []), ...these])
  }
  const found = new Set<BrokerSession>()
  for (const [backend, these] of asked) {
    const driver = node.backends.get(backend)?.driver
    if (!driver) continue
    const seen = shown.get(backend) ?? (await look(driver))
    const first = endsOf(seen)
    const missing = these.filter((one) => !has(first, one))
    // A look that falls into a change of the tables may miss what stands.
    const again = missing.length > 0 && driver.flagged ? endsOf((await driver.observe()).live) : undefined
    const gone = new Set(missing.filter((one) => !again || !has(again, one)))
    for (const one of these) if (!gone.has(one)) found.add(one)
  }
  return found
}

type Ends = ReadonlyMap<string, number>

const endsOf = (seen: Pick<Flagged, 'sessions'> | null): Ends =>
  new Map(seen?.sessions?.map((one) => [keyOf(one), one.expiresAtMs]))

const keyOf = ({ workspace, peer }: Pick<SessionPeer, 'workspace' | 'peer'>): string => `${workspace} ${peer}`

const has = (ends: Ends, one: BrokerSession): boolean => {
  const endsMs = ends.get(keyOf(one))
  return endsMs !== undefined && endsMs + CLOCKS_MS >= one.expiresAtMs
}

/** Is a peer that the fence has one that was asked for, and for no longer than that? */
export const isWanted = (wanted: readonly SessionPeer[], found: SessionPeer): boolean =>
  wanted.some(({ peer, expiresAtMs }) => peer === found.peer && found.expiresAtMs <= expiresAtMs + CLOCKS_MS)

/** Why those of `open` are over that may not go on; one whose backend is not in `shown` is not missed. Rejects as `standing`. */
export async function whatIsOver(
  node: AgentNode,
  plan: Plan,
  open: readonly BrokerSession[],
  shown: Shown,
  nowMs: number,
): Promise<ReadonlyMap<BrokerSession, SessionEnd>> {
  const entries = new Map(plan.workspaces.map((entry) => [entry.workspace, entry]))
  const fenced = new Set<WorkspaceId>(node.store.quarantines().map((one) => one.workspace))
  for (const seen of shown.values()) for (const workspace of seen.quarantined) fenced.add(workspace)
  const tenures = node.store.tenures()
  const over = new Map<BrokerSession, SessionEnd>()
  const asked: BrokerSession[] = []
  for (const one of open) {
    const entry = entries.get(one.workspace)
    const ip = parseIp(one.peer)
    if (nowMs >= one.expiresAtMs) over.set(one, 'expired')
    else if (!entry || !ip || sessionOpens(entry, ip).length === 0) over.set(one, 'policy')
    else if (fenced.has(one.workspace)) over.set(one, 'quarantined')
    else if (!isHeld(tenures, one.workspace, entry.slot, node.config.attachRequired ?? false)) over.set(one, 'detached')
    else if (shown.has(entry.backend)) asked.push(one)
  }
  const stands = await standing(node, plan, asked, shown)
  // The data plane ends it by its own clock, a moment before this one or after.
  for (const one of asked)
    if (!stands.has(one)) over.set(one, one.expiresAtMs - nowMs <= CLOCKS_MS ? 'expired' : 'lost')
  return over
}
