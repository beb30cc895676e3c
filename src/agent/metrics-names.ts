// The metrics of the mediator of names: what was asked, how it was answered, why it was refused, how long answers were held
// until their grants were live. The mediator counts by itself; each scrape shows its numbers as they are then, and nothing
// while none runs.

import { Counter, type Metric, type Registry } from 'prom-client'
import { type Counters, type Histogram as Held, HOLD_BUCKETS_MS } from '../dns/counters.js'

type Read = () => Counters | undefined

export function nameMetrics(registry: Registry, read: Read): void {
  const total = (name: string, help: string, value: (counters: Counters) => number): void => {
    new Counter({
      ...{ name, help, registers: [registry] },
      collect() {
        const counters = read()
        this.reset()
        if (counters) this.inc(value(counters))
        else this.remove()
      },
    })
  }
  const by = (
    name: string,
    help: string,
    label: string,
    values: (counters: Counters) => Record<string, number>,
  ): void => {
    new Counter({
      ...{ name, help, labelNames: [label], registers: [registry] },
      collect() {
        const counters = read()
        this.reset()
        for (const [word, count] of Object.entries(counters ? values(counters) : {})) this.inc({ [label]: word }, count)
      },
    })
  }
  by('sluice_dns_queries_total', 'Questions of workspaces.', 'transport', ({ queries }) => ({ ...queries }))
  by('sluice_dns_replies_total', 'Replies to workspaces.', 'rcode', ({ replies }) => replies)
  by('sluice_dns_refusals_total', 'Questions that were refused or could not be answered.', 'reason', (at) => at.refused)
  total('sluice_dns_refused_label_bytes_total', 'Octets of names that were refused.', (at) => at.refusedLabelOctets)
  total('sluice_dns_grants_written_total', 'Learned grants that were put into the fence.', (at) => at.grantsWritten)
  total('sluice_dns_grants_evicted_total', 'Learned grants that made room for others.', ({ evicted }) => evicted)
  total('sluice_dns_addresses_withheld_total', 'Addresses withheld because another name has them.', (at) => at.withheld)
  snapshot(
    registry,
    'sluice_dns_hold_duration_seconds',
    'From an answer of the upstream to its grants read back.',
    () => read()?.holds,
  )
  snapshot(
    registry,
    'sluice_dns_answer_duration_seconds',
    'From a question for a granted name to its answer.',
    () => read()?.answers,
  )
}

/** A histogram whose numbers are somebody else's: prom-client has none, and asks of a metric no more than its name and `get`. */
function snapshot(registry: Registry, name: string, help: string, read: () => Held | undefined): void {
  const get = () => {
    const held = read()
    return Promise.resolve({
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: held ? valuesOf(name, held) : [],
    })
  }
  registry.registerMetric({ name, get } as unknown as Metric)
}

function valuesOf(name: string, { buckets, count, sumMs }: Held) {
  let below = 0
  const cumulative = buckets.map((own, i) => {
    below += own
    const bound = HOLD_BUCKETS_MS[i]
    const le = bound === undefined ? '+Inf' : bound / 1_000
    return { value: below, labels: { le }, metricName: `${name}_bucket` }
  })
  return [
    ...cumulative,
    { value: sumMs / 1_000, labels: {}, metricName: `${name}_sum` },
    { value: count, labels: {}, metricName: `${name}_count` },
  ]
}
