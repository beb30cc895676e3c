// The sections of `agent.yaml` that only a running agent needs, as tables of keys. What a section leaves out is either an
// error or the narrow choice, as in config.ts.

import type { Keys } from './config.js'
import { listOf, path, pin, seconds, sourceAddress } from './config-values.js'

/** Where releases come from, and how to know that it is that place. */
export interface SourceConfig {
  /** As `sluice bundle pull` takes it. */
  readonly from: string
  /** The signed list of workspaces of this node; read again at every pass. */
  readonly inventory: string
  readonly intervalMs: number
  readonly caFile?: string
  readonly pins: readonly string[]
  readonly tokenFile?: string
  readonly sshKey?: string
  readonly knownHosts?: string
}

export const SOURCE_KEYS = {
  from: { field: 'from', read: sourceAddress },
  inventory: { field: 'inventory', read: path },
  interval_seconds: { field: 'intervalMs', read: seconds(1, 86_400), otherwise: 30_000 },
  ca: { field: 'caFile', read: path, otherwise: undefined },
  pins: { field: 'pins', read: listOf('a list of pins', 1, pin), otherwise: [] },
  token_file: { field: 'tokenFile', read: path, otherwise: undefined },
  ssh_key: { field: 'sshKey', read: path, otherwise: undefined },
  known_hosts: { field: 'knownHosts', read: path, otherwise: undefined },
} as const satisfies Keys
