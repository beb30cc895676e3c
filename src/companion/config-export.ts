// The section `export` of companion.yaml: whose trails are taken out of the machine, over which connection, and where they go. Sinks
// have the keys that they have in agent.yaml, and `{agent}` in a path, a stream or a subject.

import type { Keys } from '../agent/config.js'
import { sinkName } from '../agent/config-addresses.js'
import { SINK_KEYS } from '../agent/config-sinks.js'
import { path, type Read, seconds, spiffeUri, text, Wrong, whole, word } from '../agent/config-values.js'
import type { SinkConfig } from '../audit/sinks/open.js'
import type { AgentSource } from './export.js'

export interface ExportAgent extends AgentSource {
  /** `HOST:PORT` of its API. */
  readonly address: string
  /** The name that its certificate must have. */
  readonly serverName: string
  readonly ca: string
  readonly certificate: string
  readonly key: string
}

export interface ExportSection {
  readonly agents: readonly ExportAgent[]
  readonly sinks: readonly SinkConfig[]
  /** Octets that the copy of one agent's trail may take. */
  readonly spoolBytes: number
  /** From the making of an event to the moment in which a sink has it: what this companion declares. */
  readonly maxLagMs: number
}

const address: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^[\x21-\x7e]+:\d{1,5}$/.test(value) ? value : new Wrong('an address and a port')
}

/** Where the name of an agent belongs in the place of a sink. */
export const MARK = '{agent}'
/** The companion's own trail, among the names of agents. */
export const OWN = 'companion'
const agentName: Read<string> = (node, context) => {
  const name = sinkName(node, context)
  return name === OWN ? new Wrong(`another name than ${OWN}, which is that of the companion's own trail`) : name
}

const AGENT_KEYS = {
  name: { field: 'name', read: agentName },
  kind: { field: 'kind', read: word },
  node: { field: 'node', read: spiffeUri },
  address: { field: 'address', read: address },
  server_name: { field: 'serverName', read: word },
  ca: { field: 'ca', read: path },
  certificate: { field: 'certificate', read: path },
  key: { field: 'key', read: path },
} as const satisfies Keys

/** What it reads, with `{agent}` in it where a name may stand. */
const templated =
  (read: Read<string>): Read<string> =>
  (node, context) => {
    const value = text(node)
    if (node.kind !== 'scalar' || value === undefined) return read(node, context)
    const found = read({ ...node, value: value.replaceAll(MARK, 'a') }, context)
    return found instanceof Wrong ? found : value
  }
const NATS = SINK_KEYS.nats
const COMPANION_SINKS = {
  ...SINK_KEYS,
  nats: {
    ...NATS,
    stream: { ...NATS.stream, read: templated(NATS.stream.read) },
    subject: { ...NATS.subject, read: templated(NATS.subject.read) },
  },
} as const satisfies typeof SINK_KEYS

export const EXPORT_KEYS = {
  agents: { field: 'agents', list: { by: 'kind', keys: { grpc: AGENT_KEYS } } },
  sinks: { field: 'sinks', list: { by: 'kind', keys: COMPANION_SINKS } },
  spool_bytes: { field: 'spoolBytes', read: whole(1 << 20, 2 ** 40), otherwise: 256 << 20 },
  max_lag_seconds: { field: 'maxLagMs', read: seconds(1, 86_400), otherwise: 60_000 },
} as const satisfies Keys
