// Refused packets in, facts out: like refusals of one second become one fact with an exact count, so that a workspace that
// hammers at the fence cannot drown the trail. Pure: the state is a value, and time comes in with each batch.
//
// Memory is bounded by what the inventory bounds: a workspace has at most `DESTINATIONS` open entries of its own a second,
// and beyond those one mixed entry for each reason and direction. Counts stay exact either way.

import type { Fact, FlowEnds, PolicyContext, WorkspaceContext } from './fact.js'

/** One refused packet as a backend reports it (the backends' `Denial` is one). */
export interface RefusedPacket {
  readonly atMs: number
  readonly workspace: string
  /** Seen from the workspace. */
  readonly direction: 'from' | 'to'
  readonly reason: string
  readonly protocol: number
  readonly source: string
  readonly destination: string
  readonly sourcePort?: number
  readonly destinationPort?: number
  readonly generation: number
}

export interface RefusedBatch {
  readonly denials: readonly RefusedPacket[]
  /** Refusals that were seen and could not be reported. */
  readonly lost: number
}

/** Where the facts belong: the backend that refused, the policies by generation, and the attachments by workspace. */
export interface FoldContext {
  readonly backend: string
  readonly policies: ReadonlyMap<number, PolicyContext>
  readonly workspaces: ReadonlyMap<string, WorkspaceContext>
}

interface Entry {
  readonly first: RefusedPacket
  readonly windowEndMs: number
  readonly firstAtMs: number
  readonly lastAtMs: number
  readonly count: number
  readonly mixed: boolean
}
/** Entries that are still open, by key. */
export interface FoldState {
  readonly entries: ReadonlyMap<string, Entry>
  /** Open entries that are not mixed, by workspace and window. */
  readonly widths: ReadonlyMap<string, number>
}
export const EMPTY_FOLD: FoldState = { entries: new Map(), widths: new Map() }

export const WINDOW_MS = 1_000
export const DESTINATIONS = 64

/** Reasons that are answered, so that the client fails at once (design section 5, steps 4, 6 and 8); the rest are silent. */
const ANSWERED: ReadonlySet<string> = new Set(['dns', 'control-port', 'reserved', 'never', 'no-flow', 'no-grant'])

/**
 * Adds a batch and closes every window that ended at or before `nowMs`; `Infinity` closes all. Facts come in the order of
 * their first packet. Two calls with the same values give the same facts.
 */
export function foldDenials(
  state: FoldState,
  batch: RefusedBatch,
  nowMs: number,
  context: FoldContext,
): { readonly state: FoldState; readonly facts: readonly Fact[] } {
  const entries = new Map(state.entries)
  const widths = new Map(state.widths)
  for (const packet of batch.denials) add(entries, widths, packet)
  const closed: Entry[] = []
  for (const [key, entry] of entries) {
    if (entry.windowEndMs > nowMs) continue
    closed.push(entry)
    entries.delete(key)
    widths.delete(widthKey(entry.first.workspace, entry.windowEndMs))
  }
  closed.sort((a, b) => a.firstAtMs - b.firstAtMs)
  const facts: Fact[] = closed.map((entry) => factOf(entry, context))
  if (batch.lost > 0) {
    const atMs = batch.denials.at(-1)?.atMs ?? (Number.isFinite(nowMs) ? nowMs : 0)
    facts.push({ kind: 'audit-lost', cause: 'unreported', lost: batch.lost, atMs })
  }
  return { state: { entries, widths }, facts }
}

const widthKey = (workspace: string, windowEndMs: number): string => `${windowEndMs} ${workspace}`

function add(entries: Map<string, Entry>, widths: Map<string, number>, packet: RefusedPacket): void {
  const windowEndMs = (Math.floor(packet.atMs / WINDOW_MS) + 1) * WINDOW_MS
  const common = [windowEndMs, packet.workspace, packet.generation, packet.direction, packet.reason]
  const own = JSON.stringify([...common, packet.protocol, packet.destination, packet.destinationPort ?? null])
  const wide = widthKey(packet.workspace, windowEndMs)
  const width = widths.get(wide) ?? 0
  const mixed = !entries.has(own) && width >= DESTINATIONS
  const key = mixed ? JSON.stringify(common) : own
  const open = entries.get(key)
  if (!open) {
    if (!mixed) widths.set(wide, width + 1)
    entries.set(key, { first: packet, windowEndMs, firstAtMs: packet.atMs, lastAtMs: packet.atMs, count: 1, mixed })
    return
  }
  entries.set(key, {
    ...open,
    firstAtMs: Math.min(open.firstAtMs, packet.atMs),
    lastAtMs: Math.max(open.lastAtMs, packet.atMs),
    count: open.count + 1,
  })
}

function factOf(entry: Entry, context: FoldContext): Fact {
  const { first } = entry
  const policy = context.policies.get(first.generation)
  const flow: FlowEnds = {
    direction: first.direction === 'from' ? 'egress' : 'ingress',
    protocol: first.protocol,
    source: first.source,
    destination: first.destination,
    ...(first.sourcePort === undefined ? {} : { sourcePort: first.sourcePort }),
    ...(first.destinationPort === undefined ? {} : { destinationPort: first.destinationPort }),
  }
  return {
    kind: 'flow-denied',
    atMs: entry.lastAtMs,
    firstAtMs: entry.firstAtMs,
    ...(policy ? { policy } : {}),
    workspace: context.workspaces.get(first.workspace) ?? {
      workspace: first.workspace,
      attachmentId: '',
      interface: '',
    },
    flow,
    reason: first.reason,
    backend: context.backend,
    refusal: first.direction === 'from' && ANSWERED.has(first.reason) ? 'reset' : 'dropped',
    count: entry.count,
    ...(entry.mixed ? { mixed: true } : {}),
  }
}
