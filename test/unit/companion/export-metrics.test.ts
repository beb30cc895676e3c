// How long events take is counted against what is declared, and shown in the shape that Prometheus reads.

import { expect, it } from 'vitest'
import { exportMetrics } from '../../../src/bin/export-metrics.js'
import { measureExport } from '../../../src/companion/export-latency.js'

const NOW = 10_000_000
const line = (time: number) => ({ chain: 'c', sequence: 1, uid: 'u', text: `{"severity_id":1,"time":${time}}` })

it('counts each event in its bucket, and those that took longer than declared', async () => {
  const latency = measureExport(1_000, () => NOW)
  latency.settled('n1', 'siem', [line(NOW - 40), line(NOW - 100), line(NOW - 1_100)])
  latency.settled('n1', 'siem', [line(NOW - 7_200_000)])
  // A clock that is ahead took no time.
  latency.settled('n2', 'siem', [line(NOW + 100_000)])
  expect(latency.read()).toMatchObject([
    { agent: 'n1', sink: 'siem', events: 4, late: 2, maxMs: 7_200_000, sumMs: 7_201_240 },
    { agent: 'n2', events: 1, late: 0, maxMs: 0, sumMs: 0 },
  ])
  const sink = { name: 'siem', kind: 'http', state: 'failing', sequence: 4, lag: 3, delivered: 4, dead: 1 } as const
  const pulled = {
    state: 'full',
    chain: 'c',
    journalled: 9,
    pulled: 7,
    missing: 2,
    findings: 1,
    octets: 50,
    failures: 0,
  } as const
  const agent = { name: 'n1', node: 'spiffe://fleet.example/node/n1', ...pulled }
  const status = () => ({ agents: [{ ...agent, sinks: [{ ...sink, leftOut: 0, discarded: 2, failures: 5 }] }] })
  const text = await exportMetrics({ status, latency }).metrics()
  for (const row of [
    'sluice_export_declared_seconds 1',
    'sluice_export_late_events_total{agent="n1",sink="siem"} 2',
    'sluice_export_duration_seconds_bucket{agent="n1",sink="siem",le="0.05"} 1',
    'sluice_export_duration_seconds_bucket{agent="n1",sink="siem",le="2.5"} 3',
    'sluice_export_duration_seconds_bucket{agent="n1",sink="siem",le="3600"} 3',
    'sluice_export_duration_seconds_bucket{agent="n1",sink="siem",le="+Inf"} 4',
    'sluice_export_duration_seconds_count{agent="n1",sink="siem"} 4',
    'sluice_export_missing_events{agent="n1"} 2',
    'sluice_export_pull_failing{agent="n1"} 1',
    'sluice_export_lag_events{agent="n1",sink="siem"} 3',
    'sluice_export_discarded_events_total{agent="n1",sink="siem"} 2',
  ])
    expect(text.split('\n')).toContain(row)
})
