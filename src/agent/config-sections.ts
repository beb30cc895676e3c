// The sections of `agent.yaml` that only a running agent needs, as tables of keys. What a section leaves out is either an
// error or the narrow choice, as in config.ts.

import { resolve } from 'node:path'
import { WILDCARD_NAMES } from '../dns/mediator.js'
import { parseUpstreams, type UpstreamAddress } from '../dns/upstream/parse.js'
import type { Keys } from './config.js'
import {
  callerPattern,
  flag,
  interfaceName,
  listenAddress,
  listOf,
  path,
  pciAddress,
  pin,
  seconds,
  sourceAddress,
  whole,
} from './config-values.js'

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

/** Where gRPC is served, and to whom. */
export interface ApiConfig {
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

const callers = { read: listOf('a list of SPIFFE URIs', 0, callerPattern), otherwise: [] }

export const API_KEYS = {
  listen: { field: 'listen', read: listenAddress },
  certificate: { field: 'certificate', read: path },
  key: { field: 'key', read: path },
  client_ca: { field: 'clientCa', read: path },
  operators: { field: 'operators', ...callers },
  companions: { field: 'companions', ...callers },
  runtimes: { field: 'runtimes', ...callers },
  auditors: { field: 'auditors', ...callers },
  brokers: { field: 'brokers', ...callers },
} as const satisfies Keys

/** Where the filters of `tc-flower` lie: without it that backend cannot be used. */
export const FLOWER_KEYS = {
  uplink: { field: 'uplink', read: interfaceName, otherwise: undefined },
  software: { field: 'software', read: flag, otherwise: false },
} as const satisfies Keys

/** Where DOCA Argus writes its records: without it that backend cannot be used. */
/** The card that serves volumes, by its PCI address. */
export const VAULT_KEYS = { card: { field: 'card', read: pciAddress } } as const satisfies Keys

export const ARGUS_KEYS = { records: { field: 'records', read: path } } as const satisfies Keys

/** The DNS mediator: whom it asks, and how freely. */
export interface DnsConfig {
  /** By preference. */
  readonly upstreams: readonly UpstreamAddress[]
  /** Different names that a workspace may ask under one wildcard, as long as its clause lives. */
  readonly wildcardNames: number
}

export const DNS_KEYS = {
  upstreams: {
    field: 'upstreams',
    parse: (node, file, path, directory) => {
      const { upstreams, notes } = parseUpstreams(node, file, path)
      const value = upstreams?.map(({ caFile, ...one }) =>
        caFile === undefined ? one : { ...one, caFile: resolve(directory, caFile) },
      )
      return { ...(value ? { value } : {}), notes }
    },
  },
  wildcard_names: { field: 'wildcardNames', read: whole(1, 10_000), otherwise: WILDCARD_NAMES },
} as const satisfies Keys

/** Who may ask about actions (askers.ts). */
export interface DecisionsConfig {
  /** The folder of signed registration records; absent: what is held stands, and nothing new comes. */
  readonly registrations?: string
  /** True: a question that names no agent is denied. */
  readonly required: boolean
}

export const DECISION_KEYS = {
  registrations: { field: 'registrations', read: path, otherwise: undefined },
  require_registration: { field: 'required', read: flag, otherwise: false },
} as const satisfies Keys
