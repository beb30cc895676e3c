// What the companion's server needs of the companion, as an interface of its own: the composition root fills it in, tests give a small
// one.

import type { SessionAsked, SessionView } from './ports.js'

export const CHANGE_WORDS = ['create', 'start', 'stop', 'rebake', 'revoke', 'delete'] as const
export type ChangeWord = (typeof CHANGE_WORDS)[number]

export interface ProfileView {
  readonly workspace: string
  readonly user: string
  readonly session: string
  readonly device?: string
  readonly image: string
  readonly cpus: number
  readonly memoryMiB: number
  readonly network: string
  readonly channel: string
  readonly policy: 'wait-initial' | 'baseline'
  readonly volumes: readonly string[]
}
export interface StepView {
  readonly step: string
  readonly atMs: number
  readonly elapsedMs: number
  readonly outcome: string
  readonly why?: string
  readonly what?: string
  readonly receipt?: string
}
export interface OutcomeView {
  readonly state: string
  readonly steps: readonly StepView[]
  readonly owed: readonly string[]
  readonly elapsedMs: number
}
export interface ListedView {
  readonly profile: ProfileView
  readonly state: string
  readonly machine: string
  readonly incarnation: number
  readonly image: string
  readonly lease: number
  readonly owed: readonly string[]
  readonly doing: string
}
export interface StreamView {
  readonly name: string
  readonly kind: string
  readonly standing: string
  readonly heardAtMs: number
  readonly taken: number
  readonly refused: number
  readonly error?: string
}
export interface ListView {
  readonly workspaces: readonly ListedView[]
  readonly streams: readonly StreamView[]
}
export type TargetView =
  | { readonly kind: 'workspace'; readonly workspace: string }
  | { readonly kind: 'user'; readonly user: string }
  | { readonly kind: 'image'; readonly image: string }
  | { readonly kind: 'everything' }

export interface SessionAnswer {
  readonly session: SessionView
  /** Of what was opened. */
  readonly grants: readonly string[]
  readonly changed: boolean
  readonly elapsedMs: number
}

interface AskedBy {
  readonly requestId: string
  readonly by: string
  readonly reason: string
}

export interface LifecyclePorts {
  change(
    asked: AskedBy & { readonly operation: ChangeWord; readonly workspace: string; readonly profile?: ProfileView },
    told: (step: StepView) => void,
  ): Promise<OutcomeView>
  /** `report`: canonical JSON. `told` has each step as it is done, by workspace. */
  kill(
    asked: AskedBy & { readonly target: TargetView },
    told: (workspace: string, step: StepView) => void,
  ): Promise<{ readonly report: Uint8Array; readonly receipt: string }>
  list(): Promise<ListView>
  console(workspace: string, maxBytes: number): Promise<Uint8Array>
  openSession(asked: SessionAsked): Promise<SessionAnswer>
  closeSession(asked: Pick<SessionAsked, 'workspace' | 'sessionId'>): Promise<SessionAnswer>
  /** '' for all. */
  sessions(workspace: string): Promise<readonly SessionView[]>
}
