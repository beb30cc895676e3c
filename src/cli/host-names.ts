// What the mediator and its questions are to the command line: values of the host interface (host.ts), in a file of their own.

import type { Plan, WorkspaceId } from '../plan/model.js'

/** One resolver that the mediator may ask. */
export interface ConfiguredUpstream {
  readonly transport: 'udp' | 'tcp' | 'dot'
  readonly address: string
  readonly port: number
  readonly name?: string
  readonly pins: readonly string[]
  readonly caFile?: string
}

export interface NameQuestion {
  readonly plan: Plan
  readonly generation: number
  readonly quarantined: readonly WorkspaceId[]
  readonly workspace: WorkspaceId
  readonly name: string
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
}

export interface NameExplained {
  readonly resolves: boolean
  readonly connects: 'yes' | 'once-resolved' | 'no'
  readonly say: string
  readonly clauses: readonly string[]
  readonly addresses: readonly { readonly address: string; readonly secondsLeft: number | null }[]
  readonly sharedWith: readonly string[]
  readonly labels: readonly { readonly pattern: string; readonly names: number; readonly limit: number }[]
  readonly ways: readonly string[]
}

export interface MediateRequest {
  readonly signal: AbortSignal
  /** Something to say to people: where it listens, what failed. */
  readonly tell: (line: MediateLine) => void
}

export type MediateLine =
  | { readonly kind: 'listening'; readonly places: readonly string[]; readonly generation: number | null }
  | { readonly kind: 'missing'; readonly place: string; readonly why: string }
  | { readonly kind: 'failed'; readonly say: string }

export interface Mediated {
  readonly replies: Readonly<Record<string, number>>
  readonly refused: Readonly<Record<string, number>>
  readonly learned: number
  readonly shared: readonly {
    readonly workspace: WorkspaceId
    readonly address: string
    readonly names: readonly string[]
  }[]
  readonly labels: readonly {
    readonly workspace: WorkspaceId
    readonly pattern: string
    readonly names: number
    readonly limit: number
    readonly octets: number
  }[]
  readonly holds: { readonly count: number; readonly sumMs: number }
}
