// The metrics of the export: how far each agent's trail is pulled and each sink has it, what is missing, and how long events take
// against what is declared. The export counts by itself; a scrape shows its numbers as they are then. Labels are bounded by
// companion.yaml.

import { Counter, Gauge, Registry } from 'prom-client'
import type { AgentExport } from '../companion/export.js'
import { BOUNDS_MS, type Latency } from '../companion/export-latency.js'
import type { HostedExport } from './export.js'

export function exportMetrics(
  { status, latency }: Pick<HostedExport, 'status' | 'latency'>,
  registry = new Registry(),
): Registry {
  const registers = [registry]
  const gauge = (name: string, help: string, value: (agent: AgentExport) => number): void => {
    new Gauge({
      ...{ name, help, registers, labelNames: ['agent'] },
      collect() {
        this.reset()
        for (const agent of status().agents) this.set({ agent: agent.name }, value(agent))
      },
    })
  }
  gauge(
    'sluice_export_journalled_sequence',
    "Newest event of the agent's journal that is known.",
    (at) => at.journalled,
  )
  gauge('sluice_export_pulled_sequence', 'Last event that was pulled.', (at) => at.pulled)
  gauge('sluice_export_missing_events', 'Numbers of the trail that were never there to be pulled.', (at) => at.missing)
  gauge('sluice_export_findings', 'What was found wrong with the trail as it was pulled.', (at) => at.findings)
  gauge('sluice_export_copy_octets', 'Octets of the copy of the trail.', (at) => at.octets)
  gauge(
    'sluice_export_pull_failing',
    'Whether the last attempt to pull failed, or waits for room: 1 or 0.',
    ({ state }) => (state === 'failing' || state === 'full' ? 1 : 0),
  )
  perSink(registry, status)
  perLatency(registry, latency)
  return registry
}

function perSink(registry: Registry, status: HostedExport['status']): void {
  const about = { registers: [registry], labelNames: ['agent', 'sink'] }
  const each = () => {
    const { agents, own } = status()
    return [...agents, ...(own ? [own] : [])].flatMap(({ name: agent, sinks }) =>
      sinks.map((sink) => ({ agent, sink })),
    )
  }
  type Each = ReturnType<typeof each>[number]['sink']
  const gauge = (name: string, help: string, value: (sink: Each) => number): void => {
    new Gauge({
      ...{ name, help, ...about },
      collect() {
        this.reset()
        for (const { agent, sink } of each()) this.set({ agent, sink: sink.name }, value(sink))
      },
    })
  }
  const total = (name: string, help: string, value: (sink: Each) => number): void => {
    new Counter({
      ...{ name, help, ...about },
      collect() {
        this.reset()
        for (const { agent, sink } of each()) this.inc({ agent, sink: sink.name }, value(sink))
      },
    })
  }
  gauge('sluice_export_lag_events', 'Events that were pulled and that the sink does not have.', ({ lag }) => lag)
  gauge('sluice_export_failing', 'Whether the last delivery failed: 1 or 0.', ({ state }) =>
    state === 'failing' ? 1 : 0,
  )
  total('sluice_export_delivered_events_total', 'Events of this chain that the sink took.', (at) => at.delivered)
  total('sluice_export_dead_events_total', 'Events of this chain that the sink refused for good.', (at) => at.dead)
  total(
    'sluice_export_discarded_events_total',
    'Events of this chain that were gone before the sink took them.',
    (at) => at.discarded,
  )
  total('sluice_export_failures_total', 'Deliveries that failed.', ({ failures }) => failures)
}

function perLatency(registry: Registry, latency: HostedExport['latency']): void {
  const about = { registers: [registry] }
  new Gauge({
    name: 'sluice_export_declared_seconds',
    help: 'The longest that an event may take from its making to a sink, as this companion declares.',
    ...about,
  }).set(latency.declaredMs / 1_000)
  const counter = (
    name: string,
    help: string,
    labels: readonly string[],
    add: (it: Counter, at: Latency) => void,
  ): void => {
    new Counter({
      ...{ name, help, ...about, labelNames: [...labels] },
      collect() {
        this.reset()
        for (const at of latency.read()) add(this, at)
      },
    })
  }
  const labels = ['agent', 'sink']
  counter(
    'sluice_export_late_events_total',
    'Events that took longer than declared.',
    labels,
    (it, { agent, sink, late }) => it.inc({ agent, sink }, late),
  )
  // In the shape of a histogram, whose counts are kept elsewhere.
  const name = 'sluice_export_duration_seconds'
  counter(`${name}_bucket`, 'From the making of an event to the sink that has it.', [...labels, 'le'], (it, at) => {
    const { agent, sink, counts } = at
    let sum = 0
    for (const [i, count] of counts.entries()) {
      sum += count
      const bound = BOUNDS_MS[i]
      it.inc({ agent, sink, le: bound === undefined ? '+Inf' : String(bound / 1_000) }, sum)
    }
  })
  counter(`${name}_sum`, 'Seconds in all.', labels, (it, { agent, sink, sumMs }) =>
    it.inc({ agent, sink }, sumMs / 1_000),
  )
  counter(`${name}_count`, 'Events in all.', labels, (it, { agent, sink, events }) => it.inc({ agent, sink }, events))
}
