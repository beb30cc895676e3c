// Observed flows in, facts out: like ones of one second become one fact with exact counts, as refusals do (fold.ts). Pure: the
// state is a value, and time comes in with each batch. Memory is bounded as there: at most `DESTINATIONS` open entries of one
// workspace a second, and one mixed entry beyond.

import type { FlowObserved } from './fact-observe.js'
import { DESTINATIONS, type FoldContext, type RefusedPacket, WINDOW_MS } from './fold.js'

/** One observed flow as a backend reports it (the backends' `Sighting` is one). */
export interface SeenFlow extends Omit<RefusedPacket, 'direction'> {
  readonly answered: boolean
}

interface Entry {
  readonly first: SeenFlow
  readonly windowEndMs: number
  readonly firstAtMs: number
  readonly lastAtMs: number
  readonly begun: number
  readonly answered: number
  readonly mixed: boolean
}
/** Entries that are still open, by key. */
export type SeenState = ReadonlyMap<string, Entry>

/** Adds what was seen and closes every window that ended at or before `nowMs`; `Infinity` closes all. */
export function foldObserved(
  state: SeenState,
  seen: readonly SeenFlow[],
  nowMs: number,
  context: FoldContext,
): { readonly state: SeenState; readonly facts: readonly FlowObserved[] } {
  const entries = new Map(state)
  for (const flow of seen) add(entries, flow)
  const closed: Entry[] = []
  for (const [key, entry] of entries) {
    if (entry.windowEndMs > nowMs) continue
    closed.push(entry)
    entries.delete(key)
  }
  closed.sort((a, b) => a.firstAtMs - b.firstAtMs)
  return { state: entries, facts: closed.map((entry) => factOf(entry, context)) }
}

function add(entries: Map<string, Entry>, flow: SeenFlow): void {
  const windowEndMs = (Math.floor(flow.atMs / WINDOW_MS) + 1) * WINDOW_MS
  const common = [windowEndMs, flow.workspace, flow.generation]
  const own = JSON.stringify([...common, flow.protocol, flow.destination, flow.destinationPort ?? null])
  let width = 0
  if (!entries.has(own))
    for (const { first, windowEndMs: endMs, mixed } of entries.values())
      if (!mixed && endMs === windowEndMs && first.workspace === flow.workspace) width++
  const mixed = width >= DESTINATIONS
  const key = mixed ? JSON.stringify(common) : own
  const open = entries.get(key)
  entries.set(key, {
    first: open?.first ?? flow,
    windowEndMs,
    firstAtMs: Math.min(open?.firstAtMs ?? flow.atMs, flow.atMs),
    lastAtMs: Math.max(open?.lastAtMs ?? flow.atMs, flow.atMs),
    begun: (open?.begun ?? 0) + (flow.answered ? 0 : 1),
    answered: (open?.answered ?? 0) + (flow.answered ? 1 : 0),
    mixed,
  })
}

function factOf({ first, firstAtMs, lastAtMs, begun, answered, mixed }: Entry, context: FoldContext): FlowObserved {
  const policy = context.policies.get(first.generation)
  const nowhere = { workspace: first.workspace, attachmentId: '', interface: '' }
  return {
    kind: 'flow-observed',
    atMs: lastAtMs,
    firstAtMs,
    ...(policy ? { policy } : {}),
    workspace: context.workspaces.get(first.workspace) ?? nowhere,
    flow: {
      direction: 'egress',
      protocol: first.protocol,
      source: first.source,
      destination: first.destination,
      ...(first.sourcePort === undefined ? {} : { sourcePort: first.sourcePort }),
      ...(first.destinationPort === undefined ? {} : { destinationPort: first.destinationPort }),
    },
    reason: first.reason,
    backend: context.backend,
    count: begun + answered,
    begun,
    answered,
    ...(mixed ? { mixed: true } : {}),
  }
}
