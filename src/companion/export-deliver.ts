// The sinks of the companion for the trail of one node: the same deliveries as the agent's own, with cursor and dead letters in
// the node's folder. `{agent}` in a path, a stream or a subject becomes the name of the agent, because a file or a subject that
// two journals share would have no order of its own.

import { join } from 'node:path'
import { type Deliveries, runDeliveries } from '../audit/sinks/deliveries.js'
import { Delivery } from '../audit/sinks/delivery.js'
import { openSink, type SinkConfig, selectionOf } from '../audit/sinks/open.js'
import { MARK } from './config-export.js'
import type { AgentSource, ExportHost } from './export.js'
import { exportFault } from './export-errors.js'

/** In the folder of an agent: cursors and dead letters. */
export const SINKS = 'sinks'

/** Which member says where the events of a node go; a kind without one tells nodes apart by what it sends. */
const PLACE = { file: 'path', nats: 'subject', http: undefined, syslog: undefined } as const

/** Throws EXPORT_SINK_SHARED where several nodes would go to one place. */
export function refuseShared(sinks: readonly SinkConfig[], sources: number): void {
  for (const sink of sinks) {
    const key = PLACE[sink.kind]
    if (sources > 1 && key !== undefined && !placeIn(sink).includes(MARK))
      throw exportFault('EXPORT_SINK_SHARED', { sink: sink.name, key })
  }
}

const placeIn = (sink: SinkConfig): string =>
  sink.kind === 'file' ? sink.path : sink.kind === 'nats' ? sink.subject : MARK

/** The sink as it is for one agent. */
export function forAgent(sink: SinkConfig, agent: string): SinkConfig {
  const put = (text: string): string => text.replaceAll(MARK, agent)
  switch (sink.kind) {
    case 'file':
      return { ...sink, path: put(sink.path) }
    case 'nats':
      return { ...sink, stream: put(sink.stream), subject: put(sink.subject) }
    case 'http':
      return { ...sink, url: put(sink.url) }
    case 'syslog':
      return sink
  }
}

export function deliver(
  sinks: readonly SinkConfig[],
  { name, node }: AgentSource,
  folder: string,
  host: Pick<ExportHost, 'nowMs' | 'chance' | 'sleep' | 'tell' | 'settled' | 'terms'>,
  from: { readonly eventsFile: string; readonly durable: () => number; readonly everything?: true },
): Deliveries {
  const { nowMs, chance, sleep, settled, terms = {} } = host
  return runDeliveries((ending) =>
    sinks.map((all) => {
      const sink = forAgent(all, name)
      const select = selectionOf(sink)
      return new Delivery(
        {
          name: sink.name,
          kind: sink.kind,
          eventsFile: from.eventsFile,
          directory: join(folder, SINKS),
          open: () => openSink(sink, { node, hostname: name, nowMs }),
          ...(select ? { select } : {}),
          ...(from.everything ? { everything: true } : {}),
          ...(settled
            ? {
                settled: (lines) => {
                  settled(name, sink.name, lines)
                },
              }
            : {}),
          terms,
        },
        {
          ...{ nowMs, chance, sleep, durable: from.durable },
          tell: (fact) => {
            if (!ending.aborted) void host.tell('sink' in fact ? { ...fact, sink: `${name}/${sink.name}` } : fact)
          },
        },
      )
    }),
  )
}
