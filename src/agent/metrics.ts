// The metrics of a running agent, in one registry: what was refused and let through, what is live, what was repaired, how long
// commands took, and how the trail and the channel stand. Names and units follow the Prometheus conventions: a `_total` only
// grows, times are seconds since 1970, durations are seconds.
//
// Labels are bounded: reasons, backends and commands are closed lists, and workspaces beyond the first 500 count as `other`,
// so that nobody inside a workspace can make the registry grow.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Fact, FactOf } from '../audit/fact.js'
import type { JournalStatus } from '../audit/journal.js'
import type { SinkStatus } from '../audit/sinks/terms.js'
import type { Counters } from '../dns/counters.js'
import type { Command } from './command.js'
import { nameMetrics } from './metrics-names.js'
import { sinkMetrics } from './metrics-sinks.js'
import type { AgentStatus } from './status.js'

const WORKSPACES = 500
const CODES = 100

export interface MetricsSources {
  readonly version: string
  readonly status: () => Promise<AgentStatus>
  readonly journal: () => JournalStatus | undefined
  /** When the channel last answered with something that was not refused; undefined before that, or without a channel. */
  readonly channelAnsweredAtMs?: () => number | undefined
  /** What the mediator of names has counted; undefined where none runs. */
  readonly names?: () => Counters | undefined
  readonly sinks?: () => readonly SinkStatus[]
  readonly nowMs: () => number
}

export interface Metrics {
  readonly registry: Registry
  /** Counts what is told to the trail. */
  readonly told: (facts: readonly Fact[]) => void
  /** Times a command that came to its end. */
  readonly ran: (command: Command['kind'], elapsedMs: number, failed: boolean) => void
}

/** One per process: prom-client's own numbers about the process are in the registry as well. */
export function createMetrics(sources: MetricsSources): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const counter = (name: string, help: string, labelNames: readonly string[] = []) =>
    new Counter({ name, help, labelNames: [...labelNames], registers: [registry] })
  const histogram = (name: string, help: string, buckets: readonly number[], labelNames: readonly string[] = []) =>
    new Histogram({ name, help, buckets: [...buckets], labelNames: [...labelNames], registers: [registry] })

  const denied = counter('sluice_denied_packets_total', 'Refused packets.', ['workspace', 'reason', 'backend'])
  const observed = counter('sluice_observed_flows_total', 'Flows that passed although nothing grants them.', [
    'workspace',
    'backend',
  ])
  const allowed = counter('sluice_allowed_packets_total', 'Packets that a grant let through.', ['workspace', 'backend'])
  const bytes = counter('sluice_allowed_bytes_total', 'Octets that a grant let through.', ['workspace', 'backend'])
  const unreported = counter('sluice_unreported_denials_total', 'Refused packets that a backend could not report.')
  const activations = counter('sluice_activations_total', 'Plans that became live.', ['backend'])
  const refusals = counter('sluice_bundle_refusals_total', 'Bundles and statements that were refused.', ['code'])
  const drift = counter('sluice_drift_found_total', 'Times that what is live was not what was planned.')
  const repairs = counter('sluice_drift_repairs_total', 'Times that the plan was put back.')
  const quarantine = histogram(
    'sluice_quarantine_duration_seconds',
    'From a quarantine accepted to the fence read back.',
    [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
  )
  const command = histogram(
    'sluice_command_duration_seconds',
    'From a command begun to its end.',
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    ['command', 'outcome'],
  )
  const findings = counter('sluice_findings_total', 'Findings that were told, updates left out.', [
    'finding',
    'reaction',
  ])
  const ended = counter('sluice_sessions_ended_total', 'Sessions of the access broker that ended.', ['reason'])
  const opened = counter('sluice_sessions_opened_total', 'Sessions of the access broker that were opened.')
  gauges(registry, sources)
  nameMetrics(registry, () => sources.names?.())
  sinkMetrics(registry, () => sources.sinks?.() ?? [])

  const workspaces = bounded(WORKSPACES)
  const codes = bounded(CODES)
  /** What each kind of fact counts; other kinds count nothing. */
  const counts: { readonly [K in Fact['kind']]?: (fact: FactOf<K>) => void } = {
    'flow-denied': ({ workspace, reason, backend, count }) => {
      denied.inc({ workspace: workspaces(workspace.workspace), reason, backend }, count)
    },
    'flow-observed': ({ workspace, backend, begun }) => {
      observed.inc({ workspace: workspaces(workspace.workspace), backend }, begun)
    },
    'file-denied': ({ workspace, reason, backend, count }) => {
      denied.inc({ workspace: workspaces(workspace.workspace), reason: `file-${reason}`, backend }, count)
    },
    'flow-allowed': ({ workspace, backend, traffic }) => {
      const labels = { workspace: workspaces(workspace.workspace), backend }
      allowed.inc(labels, traffic?.packets ?? 1)
      bytes.inc(labels, traffic?.bytes ?? 0)
    },
    'bundle-activated': ({ backend }) => {
      activations.inc({ backend })
    },
    'bundle-refused': ({ code }) => {
      refusals.inc({ code: codes(code) })
    },
    'drift-found': () => {
      drift.inc()
    },
    'drift-repaired': () => {
      repairs.inc()
    },
    'quarantine-set': ({ elapsedMs }) => {
      if (elapsedMs !== undefined) quarantine.observe(Math.max(0, elapsedMs) / 1_000)
    },
    finding: ({ finding, reaction, news }) => {
      if (news === 'created') findings.inc({ finding, reaction })
    },
    'session-opened': () => {
      opened.inc()
    },
    'session-ended': ({ reason }) => {
      ended.inc({ reason: reason ?? 'unknown' })
    },
    'audit-lost': ({ cause, lost }) => {
      if (cause === 'unreported') unreported.inc(lost)
    },
  }
  return {
    registry,
    told: (facts) => {
      for (const fact of facts) counts[fact.kind]?.(fact as never)
    },
    ran: (kind, elapsedMs, failed) => {
      command.observe({ command: kind, outcome: failed ? 'failed' : 'done' }, Math.max(0, elapsedMs) / 1_000)
    },
  }
}

/** What is asked for at each scrape. */
function gauges(registry: Registry, { version, status, journal, channelAnsweredAtMs, nowMs }: MetricsSources): void {
  const gauge = (name: string, help: string, collect: (gauge: Gauge) => Promise<void> | void, labels: string[] = []) =>
    new Gauge({
      name,
      help,
      labelNames: labels,
      registers: [registry],
      async collect() {
        // What is not known now is left out rather than shown as 0.
        if (labels.length > 0) this.reset()
        else this.remove()
        await collect(this)
      },
    })
  gauge('sluice_build_info', 'The release that runs.', (at) => at.set({ version }, 1), ['version'])

  let shown: Promise<AgentStatus | undefined> = Promise.resolve(undefined)
  // The first of the gauges that need it asks the kernel once for all of them; a store that cannot be read leaves them out.
  gauge('sluice_fence_read_back', 'Whether what is live was read back as planned: 1 or 0.', async (at) => {
    shown = status().catch(() => undefined)
    at.set(isReady((await shown)?.state) ? 1 : 0)
  })
  const live = (name: string, help: string, value: (live: NonNullable<AgentStatus['live']>) => number) =>
    gauge(name, help, async (at) => {
      const found = (await shown)?.live
      if (found) at.set(value(found))
    })
  live('sluice_generation', 'Number of the plan that is live.', ({ generation }) => generation)
  live(
    'sluice_bundle_expiry_timestamp_seconds',
    'End of the validity of what is live.',
    ({ source }) => source.expiresAtMs / 1_000,
  )
  live(
    'sluice_activated_timestamp_seconds',
    'When the live plan was decided on.',
    ({ decidedAtMs }) => decidedAtMs / 1_000,
  )
  gauge(
    'sluice_workspaces',
    'Workspaces by standing.',
    async (at) => {
      const found = await shown
      if (!found) return
      const flagged = (flag: 'quarantined' | 'suspended') =>
        found.workspaces.filter(({ flags }) => flags.includes(flag)).length
      at.set({ standing: 'planned' }, found.workspaces.length)
      at.set({ standing: 'quarantined' }, flagged('quarantined'))
      at.set({ standing: 'suspended' }, flagged('suspended'))
    },
    ['standing'],
  )
  gauge('sluice_sessions', 'Sessions of the access broker that are open.', async (at) => {
    const found = await shown
    if (found) at.set(found.sessions?.length ?? 0)
  })
  gauge(
    'sluice_observe_until_seconds',
    'Until when what nothing grants is let through and reported; absent for a workspace that denies it.',
    async (at) => {
      for (const { workspace, observedUntilMs } of (await shown)?.workspaces ?? [])
        if (observedUntilMs !== undefined) at.set({ workspace }, observedUntilMs / 1_000)
    },
    ['workspace'],
  )
  gauge('sluice_channel_answer_timestamp_seconds', 'When the channel last answered.', (at) => {
    const ms = channelAnsweredAtMs?.()
    if (ms !== undefined) at.set(ms / 1_000)
  })
  gauge('sluice_channel_staleness_seconds', 'Since the channel last answered.', (at) => {
    const ms = channelAnsweredAtMs?.()
    if (ms !== undefined) at.set(Math.max(0, nowMs() - ms) / 1_000)
  })

  const trail = (name: string, help: string, value: (status: JournalStatus) => number) =>
    gauge(name, help, (at) => {
      const found = journal()
      if (found) at.set(value(found))
    })
  trail('sluice_journal_sequence', 'Last sequence number of the trail on disk.', ({ sequence }) => sequence)
  trail('sluice_journal_queued_events', 'Events that wait for the disk.', ({ queued }) => queued)
  trail('sluice_journal_failing', 'Whether the disk refuses the trail: 1 or 0.', ({ failure }) => (failure ? 1 : 0))
  trail('sluice_journal_unsealed', 'Whether segments cannot be sealed: 1 or 0.', ({ keyFailure }) =>
    keyFailure ? 1 : 0,
  )
  const total = (name: string, help: string, value: (status: JournalStatus) => number) =>
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        // The journal counts by itself; a counter of Prometheus is set by what it went up since the last scrape.
        const found = journal()
        this.reset()
        if (found) this.inc(value(found))
      },
    })
  total('sluice_journal_events_total', 'Events that this agent put on disk.', ({ written }) => written)
  total('sluice_journal_lost_events_total', 'Events that the disk refused for good.', ({ lost }) => lost)
}

/** Ready: the fence is read back, be it a plan or the closed state before the first one. */
export const isReady = (state: AgentStatus['state'] | undefined): boolean => state === 'active' || state === 'closed'

/** The text itself for the first `limit` different ones; `other` for all that come later. */
function bounded(limit: number): (text: string) => string {
  const known = new Set<string>()
  return (text) => {
    if (known.has(text)) return text
    if (known.size >= limit) return 'other'
    known.add(text)
    return text
  }
}
