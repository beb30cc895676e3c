// The metrics of the sinks: how far each is, what it got and what it will never get. Deliveries count by themselves; each
// scrape shows their numbers as they are then. The label `sink` is bounded by agent.yaml.

import { Counter, Gauge, type Registry } from 'prom-client'
import type { SinkStatus } from '../audit/sinks/terms.js'

export function sinkMetrics(registry: Registry, read: () => readonly SinkStatus[]): void {
  const shared = { labelNames: ['sink'], registers: [registry] }
  const gauge = (name: string, help: string, value: (sink: SinkStatus) => number): void => {
    new Gauge({
      ...{ name, help, ...shared },
      collect() {
        this.reset()
        for (const sink of read()) this.set({ sink: sink.name }, value(sink))
      },
    })
  }
  const total = (name: string, help: string, value: (sink: SinkStatus) => number): void => {
    new Counter({
      ...{ name, help, ...shared },
      collect() {
        this.reset()
        for (const sink of read()) this.inc({ sink: sink.name }, value(sink))
      },
    })
  }
  gauge('sluice_sink_sequence', 'Last event of the trail that is settled.', ({ sequence }) => sequence)
  gauge('sluice_sink_lag_events', 'Events on disk that are not delivered yet.', ({ lag }) => lag)
  gauge('sluice_sink_failing', 'Whether the last delivery failed: 1 or 0.', ({ state }) =>
    state === 'failing' ? 1 : 0,
  )
  total('sluice_sink_delivered_events_total', 'Events that the sink took.', ({ delivered }) => delivered)
  total('sluice_sink_dead_events_total', 'Events that the sink refused for good.', ({ dead }) => dead)
  total('sluice_sink_left_out_events_total', "Events that the sink's own filter left out.", ({ leftOut }) => leftOut)
  total(
    'sluice_sink_discarded_events_total',
    'Events that were retired before the sink took them.',
    (at) => at.discarded,
  )
  total('sluice_sink_failures_total', 'Deliveries that failed.', ({ failures }) => failures)
}
