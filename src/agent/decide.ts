// What the agent does about a command or about what it sees, as pure functions of its durable state: no effect happens
// here, and nothing outside decides. Each answers with a value that says the action and why (design section 7).

import type { Flagged, Observed } from '../backends/backend.js'
import type { Digest } from '../base/digest.js'
import type { Fault } from '../base/fault.js'
import { carriersOf } from '../plan/codec.js'
import type { BackendName, Plan, WorkspaceId } from '../plan/model.js'
import { agentFault } from './errors.js'
import { type Activation, type AgentState, type Mark, type Quarantine, REFUSED_KEPT } from './record.js'

/** What a backend shows when asked. */
export type Live = ReadonlyMap<BackendName, Observed>

/** How far what is live agrees with one activation. */
export type Agreement =
  | { readonly kind: 'as-planned' }
  /** Nothing of ours is anywhere: a fresh kernel, or a reboot. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'drifted'; readonly drift: readonly string[] }

/** Compares what every backend shows with what it should carry: generation, digest, its workspaces, no drift. */
export function agreement(activation: Activation, plan: Plan, live: Live): Agreement {
  const drift: string[] = []
  let absent = 0
  for (const backend of activation.backends) {
    const seen = live.get(backend)
    if (!seen?.live) {
      absent++
      drift.push(`${backend}: nothing is live`)
      continue
    }
    const { generation, planDigest, workspaces } = seen.live
    if (generation !== activation.generation)
      drift.push(`${backend}: generation ${generation} is live, not ${activation.generation}`)
    if (planDigest !== activation.planDigest)
      drift.push(`${backend}: plan ${planDigest} is live, not ${activation.planDigest}`)
    const planned = plan.workspaces
      .filter((entry) => carriersOf(entry).includes(backend))
      .map((entry) => entry.workspace)
    for (const workspace of planned)
      if (!workspaces.includes(workspace)) drift.push(`${backend}: ${workspace} is not attached`)
    for (const workspace of workspaces)
      if (!planned.includes(workspace)) drift.push(`${backend}: ${workspace} is attached and not planned`)
    drift.push(...seen.drift.map((finding) => `${backend}: ${finding}`))
  }
  if (drift.length === 0) return { kind: 'as-planned' }
  return absent === activation.backends.length ? { kind: 'absent' } : { kind: 'drifted', drift }
}

/** Who is in quarantine on record, is carried by a backend, and is not fenced there: somebody else took the flag away. */
export const unfenced = (
  backend: BackendName,
  plan: Plan,
  recorded: ReadonlySet<WorkspaceId>,
  seen: Pick<Flagged, 'workspaces' | 'quarantined'>,
): readonly WorkspaceId[] =>
  plan.workspaces
    .filter((entry) => recorded.has(entry.workspace) && carriersOf(entry).includes(backend))
    .map(({ workspace }) => workspace)
    .filter((workspace) => seen.workspaces.includes(workspace) && !seen.quarantined.includes(workspace))
export const unfencedFinding = (backend: BackendName, workspace: WorkspaceId): string =>
  `${backend}: ${workspace} is in quarantine on record and is not fenced`

/** Refuses bytes that were refused before; throws AGENT_REFUSED_BEFORE. An operator may insist. */
export function decideOffer(state: AgentState, digest: Digest, retry: boolean): void {
  const before = state.refused.find((entry) => entry.digest === digest)
  if (before && !retry) throw agentFault('AGENT_REFUSED_BEFORE', { digest, code: before.code })
}

export type ActivationDecision =
  /** The same plan is live, read back just now. */
  | { readonly kind: 'keep'; readonly generation: number }
  /** The same plan was live and is gone as a whole: it goes back under its own number. */
  | { readonly kind: 'restore'; readonly generation: number }
  /** The same plan is live in part, or was changed by something else: a new generation replaces all of it. */
  | { readonly kind: 'repair'; readonly generation: number; readonly drift: readonly string[] }
  | { readonly kind: 'replace'; readonly generation: number }

/** What to do with a plan that compiled. `seen` is the agreement of the live activation, when there is one. */
export function decideActivation(
  state: AgentState,
  planDigest: Digest,
  seen: Agreement | undefined,
): ActivationDecision {
  const fresh = state.lastGeneration + 1
  const { live } = state
  if (!live || !seen || live.planDigest !== planDigest) return { kind: 'replace', generation: fresh }
  switch (seen.kind) {
    case 'as-planned':
      return { kind: 'keep', generation: live.generation }
    case 'absent':
      return { kind: 'restore', generation: live.generation }
    case 'drifted':
      return { kind: 'repair', generation: fresh, drift: seen.drift }
  }
}

/** The state to write before the switch: mark and intent in one. Everything that can be refused has been by now. */
export function intend(
  state: AgentState,
  next: Activation,
  marks: { readonly bundle: Mark | null; readonly inventory: Mark | null },
): AgentState {
  return {
    ...state,
    lastGeneration: Math.max(state.lastGeneration, next.generation),
    mark: marks.bundle,
    inventoryMark: marks.inventory,
    next,
  }
}

/** The state to write after the switch was read back. */
export const settled = (state: AgentState): AgentState => ({ ...state, live: state.next ?? state.live, next: null })

/** The state to write after the switch was undone. The mark stays: going back needs a higher revision. */
export const undone = (state: AgentState): AgentState => ({ ...state, next: null })

/**
 * What an earlier run left behind. With an intent on record the switch either happened everywhere, and then it counts, or
 * it did not, and then the old plan is what should be live; the next apply makes the two agree.
 */
export function decideUnfinished(state: AgentState, plan: Plan, live: Live): AgentState {
  const { next } = state
  if (!next) return state
  // A backend that was killed right after its switch may report drift of its own records: the switch counts all the same,
  // and the drift is repaired towards the plan that is there, not away from it.
  const shown: Live = new Map([...live].map(([backend, seen]) => [backend, { ...seen, drift: [] }]))
  return agreement(next, plan, shown).kind === 'as-planned' ? settled(state) : undone(state)
}

/** Reasons that end by themselves, or that lie in this node's clock, are not held against the bytes. */
const PASSING: ReadonlySet<string> = new Set([
  'AGENT_REFUSED_BEFORE',
  'BUNDLE_NOT_YET_VALID',
  'BUNDLE_EXPIRED',
  'BUNDLE_ROOT_EXPIRED',
  // Lists that are fresh again, or a renewed certificate, make the key count.
  'BUNDLE_KEY_DOUBT',
  'BUNDLE_STALE',
  'BUNDLE_SUPERSEDED',
])

/** Remembers refused bytes, so that a channel does not offer them for ever. Other reactions are worth another try. */
export function rememberRefusal(state: AgentState, digest: Digest, fault: Fault, nowMs: number): AgentState {
  if (fault.reaction !== 'reject' || PASSING.has(fault.code)) return state
  const others = state.refused.filter((entry) => entry.digest !== digest)
  return { ...state, refused: [...others, { digest, code: fault.code, atMs: nowMs }].slice(-REFUSED_KEPT) }
}

/** Codes by which somebody else's hand shows: forged, replayed, rolled back or equivocated. They raise a finding. */
const ATTACKS: ReadonlySet<string> = new Set([
  'BUNDLE_UNSIGNED',
  'BUNDLE_SIGNATURE',
  'BUNDLE_SIGNER_UNKNOWN',
  'BUNDLE_THRESHOLD',
  'BUNDLE_RELEASE_MISSING',
  'BUNDLE_RELEASE_MISMATCH',
  'BUNDLE_STATEMENT_TYPE',
  'BUNDLE_STATEMENT_ALGORITHM',
  'BUNDLE_COUNTER_REGRESSION',
  'BUNDLE_COUNTER_CONTENT_MISMATCH',
  'BUNDLE_COUNTER_JUMP',
  'BUNDLE_REPLAYED',
  'BUNDLE_SUPERSEDED',
  'AGENT_CLOCK_BACK',
  'AGENT_ROOT_ROLLED_BACK',
  'AGENT_REGISTRATION_ROLLBACK',
  'BUNDLE_MEMBER_DIGEST',
  'BUNDLE_MEMBER_SIZE',
  'BUNDLE_MEMBER_UNLISTED',
  'BUNDLE_MEMBER_PATH',
  'BUNDLE_INVENTORY_MISMATCH',
])
export const isAttack = (code: string): boolean => ATTACKS.has(code)

/** The list with one quarantine set; setting it again keeps the first, which is the one that has an effect. */
export const withQuarantine = (list: readonly Quarantine[], added: Quarantine): readonly Quarantine[] =>
  list.some((entry) => entry.workspace === added.workspace)
    ? list
    : [...list, added].sort((a, b) => (a.workspace < b.workspace ? -1 : 1))

/** The list with one lifted; throws AGENT_NOT_QUARANTINED when there is nothing to lift. */
export function withoutQuarantine(list: readonly Quarantine[], workspace: string): readonly Quarantine[] {
  if (!list.some((entry) => entry.workspace === workspace)) throw agentFault('AGENT_NOT_QUARANTINED', { workspace })
  return list.filter((entry) => entry.workspace !== workspace)
}
