// The sections of `agent.yaml` about the trail: how long the journal keeps what it has, and where else its events go. A sink is
// a mapping whose `kind` says which keys it may have; what it leaves out is an error or a bound, never "without end".

import type { SinkConfig } from '../audit/sinks/open.js'
import type { Keys } from './config.js'
import {
  hostAndPort,
  httpAddress,
  natsAddress,
  natsName,
  natsSubject,
  redactable,
  sinkName,
} from './config-addresses.js'
import { flag, listOf, oneOf, path, seconds, whole } from './config-values.js'

export type { SinkConfig }

/** How long segments of the journal grow, and how long closed ones are kept. What is left out is as KEEP (trail.ts) says. */
export interface RetentionConfig {
  readonly segmentBytes?: number
  readonly segmentMs?: number
  readonly keepBytes?: number
  readonly keepMs?: number
}

export const RETENTION_KEYS = {
  segment_bytes: { field: 'segmentBytes', read: whole(64 << 10, 2 ** 34), otherwise: undefined },
  segment_seconds: { field: 'segmentMs', read: seconds(1, 31_536_000), otherwise: undefined },
  keep_bytes: { field: 'keepBytes', read: whole(64 << 10, 2 ** 44), otherwise: undefined },
  keep_seconds: { field: 'keepMs', read: seconds(60, 315_360_000), otherwise: undefined },
} as const satisfies Keys

export const SELECT_KEYS = {
  classes: {
    field: 'classes',
    read: listOf('a list of OCSF class numbers', 1, whole(1000, 9999)),
    otherwise: undefined,
  },
  min_severity: { field: 'minSeverity', read: whole(1, 6), otherwise: undefined },
} as const satisfies Keys

const OPTIONAL_PATH = { read: path, otherwise: undefined }
/** Instead of the system's authorities, and this node's own where the receiver asks for one. */
const TLS = {
  ca: { field: 'caFile', ...OPTIONAL_PATH },
  certificate: { field: 'certificateFile', ...OPTIONAL_PATH },
  key: { field: 'keyFile', ...OPTIONAL_PATH },
}
const COMMON = {
  name: { field: 'name', read: sinkName },
  kind: { field: 'kind', read: oneOf('file', 'http', 'syslog', 'nats') },
  select: { field: 'select', section: SELECT_KEYS, otherwise: undefined },
  redact: { field: 'redact', read: listOf('a list of members', 1, redactable), otherwise: undefined },
}

export const SINK_KEYS = {
  file: {
    ...COMMON,
    path: { field: 'path', read: path },
    rotate_bytes: { field: 'rotateBytes', read: whole(4 << 10, 2 ** 40), otherwise: 64 << 20 },
    rotate_seconds: { field: 'rotateMs', read: seconds(1, 31_536_000), otherwise: 86_400_000 },
    keep_files: { field: 'keepFiles', read: whole(1, 100_000), otherwise: 30 },
    sync: { field: 'sync', read: oneOf('batch', 'never'), otherwise: 'batch' },
  },
  http: {
    ...COMMON,
    url: { field: 'url', read: httpAddress },
    format: { field: 'format', read: oneOf('ndjson', 'splunk-hec', 'otlp'), otherwise: 'ndjson' },
    gzip: { field: 'gzip', read: flag, otherwise: true },
    token_file: { field: 'tokenFile', ...OPTIONAL_PATH },
    ...TLS,
  },
  syslog: {
    ...COMMON,
    server: { field: 'server', read: hostAndPort },
    facility: { field: 'facility', read: whole(0, 23), otherwise: 13 },
    ...TLS,
  },
  nats: {
    ...COMMON,
    servers: { field: 'servers', read: listOf('a list with at least one server', 1, natsAddress) },
    stream: { field: 'stream', read: natsName },
    subject: { field: 'subject', read: natsSubject },
    credentials: { field: 'credentialsFile', ...OPTIONAL_PATH },
    token_file: { field: 'tokenFile', ...OPTIONAL_PATH },
    ...TLS,
  },
} as const satisfies Readonly<Record<SinkConfig['kind'], Keys>>
