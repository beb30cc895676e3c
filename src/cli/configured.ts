// agent.yaml as the command line sees it: what src/agent/config.ts read, with absolute paths, as values of the host interface
// (host.ts). Nothing here is checked again.

import type { BackendName } from '../plan/model.js'
import type { ConfiguredFindings } from './host-findings.js'
import type { ConfiguredUpstream } from './host-names.js'
import type { ConfiguredRevocation } from './host-revocation.js'
import type { ConfiguredRetention, ConfiguredSink } from './host-sinks.js'

export interface Configured {
  readonly file: string
  readonly node: string
  readonly audience: string
  readonly channel: string
  readonly trustRoot: string
  readonly stateDirectory: string
  readonly eventsFile: string
  readonly backends: readonly BackendName[]
  readonly attachInterfaces: readonly string[]
  /** Who may ask about actions. */
  readonly decisions?: { readonly registrations?: string; readonly required: boolean }
  /** For `doca-argus`. */
  readonly argus?: { readonly records: string }
  /** For `doca-vault`. */
  readonly vault?: { readonly card: string }
  /** For `tc-flower`. */
  readonly flower?: { readonly uplink?: string; readonly software: boolean }
  /** Absent: no DNS mediator. */
  readonly dns?: { readonly upstreams: readonly ConfiguredUpstream[]; readonly wildcardNames: number }
  readonly attachRequired?: boolean
  /** Where health and metrics are served. */
  readonly http?: string
  /** Where gRPC is served, and to whom. */
  readonly api?: {
    readonly listen: string
    readonly certificate: string
    readonly key: string
    readonly clientCa: string
    readonly operators: readonly string[]
    readonly companions: readonly string[]
    readonly runtimes: readonly string[]
    readonly auditors: readonly string[]
    readonly brokers: readonly string[]
  }
  /** Where a running agent gets releases. Paths are absolute. */
  readonly source?: {
    readonly from: string
    readonly inventory: string
    readonly intervalMs: number
    readonly caFile?: string
    readonly pins: readonly string[]
    readonly tokenFile?: string
    readonly sshKey?: string
    readonly knownHosts?: string
  }
  /** Of a running agent; `agent.sock` in the state directory when absent. */
  readonly socket?: string
  /** How long the journal keeps what it has, where that is not as the agent would. */
  readonly retention?: ConfiguredRetention
  readonly sinks?: readonly ConfiguredSink[]
  readonly heartbeatMs?: number
  readonly findings?: ConfiguredFindings
  readonly revocation?: ConfiguredRevocation
}
