// What the mediator has to tell: values in its own words, which the agent makes into facts of the trail. Refusals come in floods
// (a tunnel asks thousands of names), so like ones are folded into one a second with an exact count; the first is told at once.

import type { WorkspaceId } from '../plan/model.js'

/** Who asked, and where. */
export interface Client {
  readonly workspace: WorkspaceId | undefined
  readonly address: string
  readonly port: number
  readonly server: string
  readonly transport: 'udp' | 'tcp'
}

export interface RefusedEvent {
  readonly kind: 'refused'
  readonly atMs: number
  readonly client: Client
  /** untrusted */
  readonly name: string
  readonly type: string
  /** A `QuestionRefusal`, a `Stripped`, or what the hold failed at. */
  readonly why: string
  readonly rcode: 'REFUSED' | 'SERVFAIL'
  /** Addresses that were kept back. */
  readonly addresses: readonly string[]
  /** The other name, where the reason is an address that two names share. */
  readonly other?: string
}

export interface GrantedEvent {
  readonly kind: 'granted'
  readonly atMs: number
  readonly client: Client
  readonly name: string
  readonly type: 'A' | 'AAAA'
  readonly generation: number
  readonly clauses: readonly string[]
  readonly addresses: readonly { readonly address: string; readonly ttlSeconds: number }[]
  /** Names that the policy tells apart and that have one of these addresses too, as it accepts. */
  readonly sharedWith: readonly string[]
  readonly from: string
  readonly validated: boolean
  readonly heldMs: number
}

export interface EvictedEvent {
  readonly kind: 'evicted'
  readonly atMs: number
  readonly workspace: WorkspaceId
  readonly name: string
  readonly address: string
  readonly clauses: readonly string[]
}

export type NameEvent = RefusedEvent | GrantedEvent | EvictedEvent

/** Like events folded into one, itself included. */
export type Told = NameEvent & { readonly count: number; readonly firstAtMs: number; readonly mixed: boolean }

const WINDOW_MS = 1_000

/** Pure but for what it remembers: times come in. */
export class EventFold {
  private readonly open = new Map<string, { sinceMs: number; folded?: Told }>()

  /** What is to be told at once. */
  take(event: NameEvent): Told[] {
    const key = keyOf(event)
    const window = this.open.get(key)
    if (!window) {
      this.open.set(key, { sinceMs: event.atMs })
      return [{ ...event, count: 1, firstAtMs: event.atMs, mixed: false }]
    }
    const { folded } = window
    window.folded = folded
      ? { ...folded, atMs: event.atMs, count: folded.count + 1, mixed: folded.mixed || folded.name !== event.name }
      : { ...event, count: 1, firstAtMs: event.atMs, mixed: false }
    return []
  }

  /** What was folded in windows that are over at `nowMs`. */
  due(nowMs: number): Told[] {
    const told: Told[] = []
    for (const [key, { sinceMs, folded }] of this.open) {
      if (nowMs - sinceMs < WINDOW_MS) continue
      this.open.delete(key)
      if (folded) told.push(folded)
    }
    return told
  }
}

/** Refusals by workspace and reason; grants and evictions by name, so that an answer that changes each time is one event a second. */
function keyOf(event: NameEvent): string {
  if (event.kind === 'refused') return `refused ${event.client.workspace ?? ''} ${event.why}`
  const workspace = event.kind === 'granted' ? event.client.workspace : event.workspace
  return `${event.kind} ${workspace ?? ''} ${event.name}`
}
