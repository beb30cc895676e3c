// The audit trail out of the machine: for each agent a copy of its journal, pulled over a stream that is taken up where it was
// left (export-pull.ts), and from the copy a delivery for each sink (audit/sinks), with a cursor of its own. The companion's own
// trail goes the same way, without a copy. Nothing waits for any of this, and nothing is dropped for it: a sink that is down
// holds the copy, a copy that is full holds the pull, and the agent's journal keeps what is not pulled.

import { join } from 'node:path'
import type { Fact } from '../audit/fact.js'
import type { SinkConfig } from '../audit/sinks/open.js'
import type { SinkLine } from '../audit/sinks/sink.js'
import type { DeliveryTerms, SinkStatus } from '../audit/sinks/terms.js'
import { deliver, refuseShared } from './export-deliver.js'
import type { Finding } from './export-judge.js'
import { type AgentLink, type PullStatus, TrailPull } from './export-pull.js'

export interface AgentSource {
  /** A short name: of the folder, and for `{agent}` in the places of sinks. */
  readonly name: string
  /** SPIFFE URI of the node: whose events these must be. */
  readonly node: string
}

export interface ExportConfig {
  /** Everything of the export lies here: a folder for each agent. */
  readonly directory: string
  readonly agents: readonly AgentSource[]
  readonly sinks: readonly SinkConfig[]
  /** Octets that the copy of one agent's trail may take. */
  readonly spoolBytes: number
}

/** A journal that this process writes itself. */
export interface OwnTrail extends AgentSource {
  readonly eventsFile: string
  /** The last event that is on stable storage. */
  readonly durable: () => number
}

export interface ExportHost {
  /** To the agent's API; called for each attempt, and closed after it. */
  readonly connect: (agent: AgentSource) => AgentLink
  /** Into the companion's own trail; resolves when it is on the disk, or counted as lost there. Never rejects. */
  readonly tell: (fact: Fact) => Promise<void>
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** In [0, 1), for pauses. */
  readonly chance: () => number
  /** Resolves after that long, or at once when woken; never rejects. */
  readonly sleep: (ms: number, wake: AbortSignal) => Promise<void>
  readonly own?: OwnTrail
  /** Hears of what a sink has settled: for measuring. */
  readonly settled?: (agent: string, sink: string, lines: readonly SinkLine[]) => void
  readonly terms?: Partial<DeliveryTerms>
}

export interface AgentExport extends PullStatus {
  readonly name: string
  readonly node: string
  readonly sinks: readonly SinkStatus[]
}

export interface ExportStatus {
  readonly agents: readonly AgentExport[]
  /** Of the companion's own trail. */
  readonly own?: { readonly name: string; readonly node: string; readonly sinks: readonly SinkStatus[] }
}

export interface Export {
  readonly status: () => ExportStatus
  /** What was ever found wrong with the trail of an agent, oldest first. */
  readonly findings: (agent: string) => readonly Finding[]
  /** Pulls no more; on return nothing is told of an agent's trail any more. */
  readonly settle: () => Promise<void>
  /** Pulls no more, and delivers what was pulled as far as it gets through at once; on return nothing runs any more. */
  readonly stop: () => Promise<void>
}

export const folderOf = ({ directory }: Pick<ExportConfig, 'directory'>, name: string): string => join(directory, name)

/** Throws EXPORT_SINK_SHARED; whatever else goes wrong is tried again, and shows in the status. */
export function startExport(config: ExportConfig, host: ExportHost): Export {
  const { own } = host
  const sources = own ? [...config.agents, own] : config.agents
  refuseShared(config.sinks, sources.length)
  const agents = config.agents.map((agent) => {
    const folder = folderOf(config, agent.name)
    const pull = new TrailPull(agent, { folder, maxBytes: config.spoolBytes }, host, () => places())
    const deliveries = deliver(config.sinks, agent, folder, host, {
      eventsFile: pull.eventsFile,
      durable: () => pull.status().pulled,
      everything: true,
    })
    const places = () => deliveries.status().map(({ chain = '', sequence }) => ({ chain, sequence }))
    const [ending, running] = begin(pull)
    return { agent, pull, deliveries, ending, running }
  })
  const settle = async (): Promise<void> => {
    for (const { ending } of agents) ending.abort()
    await Promise.all(agents.map(({ running }) => running))
  }
  const ownFolder = own && folderOf(config, own.name)
  const ownDeliveries = own && deliver(config.sinks, own, ownFolder ?? '', host, own)
  return {
    status: () => ({
      agents: agents.map(({ agent, pull, deliveries }) => ({
        ...{ name: agent.name, node: agent.node, ...pull.status() },
        sinks: deliveries.status().map((sink) => ({ ...sink, lag: pull.after(sink) })),
      })),
      ...(own && ownDeliveries ? { own: { name: own.name, node: own.node, sinks: ownDeliveries.status() } } : {}),
    }),
    findings: (name) => agents.find(({ agent }) => agent.name === name)?.pull.findings() ?? [],
    settle,
    stop: async () => {
      await settle()
      await Promise.all([...agents.map(({ deliveries }) => deliveries.stop()), ownDeliveries?.stop()])
    },
  }
}

function begin(pull: TrailPull): readonly [AbortController, Promise<void>] {
  const ending = new AbortController()
  return [ending, pull.run(ending.signal)]
}
