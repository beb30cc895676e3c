// What streams of security events are to the command line: as agent.yaml names them, and how each stands. Values of the host
// interface (host.ts), in a file of their own.

import type { EventName } from '../revocation/events.js'
import type { SetAlgorithm } from '../revocation/model.js'

export interface ConfiguredRevocation {
  readonly listen?: string
  readonly certificate?: string
  readonly key?: string
  readonly clientCa?: string
  readonly latencyMs: number
  readonly silence: 'deny' | 'alarm'
  readonly streams: readonly ConfiguredStream[]
}

export type ConfiguredStream = {
  readonly name: string
  readonly issuer: string
  readonly audience: readonly string[]
  readonly keys: string
  readonly algorithms: readonly SetAlgorithm[]
  readonly events: readonly EventName[]
  readonly criticalMembers: readonly string[]
  readonly riskLevel: 'low' | 'medium' | 'high'
  readonly credentialChange: 'quarantine' | 'alarm'
  readonly silenceMs: number
  readonly verification?: { readonly url: string; readonly streamId: string; readonly intervalMs: number }
  readonly tokenFile?: string
  readonly caFile?: string
  readonly certificateFile?: string
  readonly keyFile?: string
} & (
  | { readonly kind: 'push'; readonly client?: string; readonly verificationTokenFile?: string }
  | { readonly kind: 'poll'; readonly url: string; readonly longPoll: boolean; readonly intervalMs: number }
)

export interface StreamView {
  readonly name: string
  readonly kind: 'push' | 'poll'
  /** `unheard`: nobody listened here yet. */
  readonly standing: 'heard' | 'silent' | 'paused' | 'disabled' | 'unheard'
  /** Milliseconds since 1970; 0 for `unheard`. */
  readonly heardAtMs: number
  /** Since the agent started; absent where none runs. */
  readonly taken?: number
  readonly refused?: number
  readonly error?: string
}
