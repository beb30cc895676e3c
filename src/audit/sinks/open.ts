// What a sink is told to be, as a configuration names it, and the sink that comes of it: one case a kind. Whoever delivers (the
// agent for its own journal, the companion for those that it pulls) says whose events they are.

import { openFileSink } from './file-sink.js'
import { openHttpSink } from './http-sink.js'
import { openNatsSink } from './nats-sink.js'
import { selection } from './select.js'
import type { Sink } from './sink.js'
import { openSyslogSink } from './syslog-sink.js'

interface AnySink {
  readonly name: string
  /** Which events it gets; absent: all of them. */
  readonly select?: SelectConfig
  /** Members whose values it does not get: `src_endpoint.ip`. */
  readonly redact?: readonly string[]
}
export interface SelectConfig {
  readonly classes?: readonly number[]
  readonly minSeverity?: number
}
export interface FileSinkConfig extends AnySink {
  readonly kind: 'file'
  readonly path: string
  readonly rotateBytes: number
  readonly rotateMs: number
  readonly keepFiles: number
  readonly sync: 'batch' | 'never'
}
export interface HttpSinkConfig extends AnySink {
  readonly kind: 'http'
  readonly url: string
  readonly format: 'ndjson' | 'splunk-hec' | 'otlp'
  readonly gzip: boolean
  readonly tokenFile?: string
  readonly caFile?: string
  readonly certificateFile?: string
  readonly keyFile?: string
}
export interface SyslogSinkConfig extends AnySink {
  readonly kind: 'syslog'
  readonly server: { readonly host: string; readonly port: number }
  readonly facility: number
  readonly caFile?: string
  readonly certificateFile?: string
  readonly keyFile?: string
}
export interface NatsSinkConfig extends AnySink {
  readonly kind: 'nats'
  readonly servers: readonly string[]
  readonly stream: string
  readonly subject: string
  readonly credentialsFile?: string
  readonly tokenFile?: string
  readonly caFile?: string
  readonly certificateFile?: string
  readonly keyFile?: string
}
export type SinkConfig = FileSinkConfig | HttpSinkConfig | SyslogSinkConfig | NatsSinkConfig

export interface SinkOwner {
  /** SPIFFE URI of the node whose events they are. */
  readonly node: string
  /** As syslog names the sender. */
  readonly hostname: string
  readonly nowMs: () => number
}

/** Throws what opening that kind of sink throws. */
export function openSink(sink: SinkConfig, { node, hostname, nowMs }: SinkOwner): Promise<Sink> {
  switch (sink.kind) {
    case 'file':
      return openFileSink({ ...sink, nowMs })
    case 'http':
      return openHttpSink({ ...sink, node })
    case 'syslog':
      return openSyslogSink({ ...sink, ...sink.server, hostname })
    case 'nats':
      return openNatsSink(sink)
  }
}

/** What a sink gets of an event; undefined when it gets all of every event. */
export const selectionOf = ({
  select,
  redact,
}: Pick<SinkConfig, 'select' | 'redact'>): ((text: string) => string | undefined) | undefined =>
  select === undefined && redact === undefined ? undefined : selection({ ...select, redact: redact ?? [] })
