// Gives the export of the companion what it asks for: connections to the agents' API, this process's own trail, and the world's
// clock and chance. A certificate that is replaced is read with the next connection.

import { readFileSync } from 'node:fs'
import { AgentClient } from '../api/grpc-client.js'
import type { Fact } from '../audit/fact.js'
import type { ExportAgent, ExportSection } from '../companion/config-export.js'
import { type Export, type ExportHost, type OwnTrail, startExport } from '../companion/export.js'
import { measureExport } from '../companion/export-latency.js'
import type { AgentLink, TrailHead } from '../companion/export-pull.js'
import { type Receivers, reconcileExport, type TrailReconciled } from '../companion/export-reconcile.js'

export interface ExportPlace {
  /** A folder for each agent comes below it. */
  readonly directory: string
  /** The trail of the companion itself, which goes the same way. */
  readonly own?: OwnTrail
  /** Into that trail; resolves when it is there. Never rejects. */
  readonly emit: (facts: readonly Fact[]) => Promise<void>
  readonly nowMs: () => number
  readonly sleep: ExportHost['sleep']
  /** Bounds and pauses that are not as DELIVERY says. */
  readonly terms?: ExportHost['terms']
}

export interface HostedExport extends Export {
  /** How long events took, for whoever shows it. */
  readonly latency: ReturnType<typeof measureExport>
}

/** Begins to pull and to deliver. Throws EXPORT_SINK_SHARED. */
export function hostExport(
  section: ExportSection,
  { directory, own, emit, nowMs, sleep, terms }: ExportPlace,
): HostedExport {
  const agents = new Map(section.agents.map((agent) => [agent.name, agent]))
  const latency = measureExport(section.maxLagMs, nowMs)
  const running = startExport(
    { ...section, directory },
    {
      connect: ({ name }) => {
        const agent = agents.get(name)
        if (!agent) throw new TypeError(`no agent ${name}`)
        return linkTo(agent)
      },
      tell: (fact) => emit([fact]),
      settled: latency.settled,
      ...{ nowMs, chance: Math.random, sleep },
      ...(own ? { own } : {}),
      ...(terms ? { terms } : {}),
    },
  )
  return { ...running, latency }
}

/** What became of the agents' trails, as the disks and the receivers have it. Throws EXPORT_RECORD_DAMAGED, AUDIT_CURSOR_DAMAGED. */
export function reconcileHosted(
  section: Pick<ExportSection, 'agents'> & Receivers,
  directory: string,
): Promise<readonly TrailReconciled[]> {
  const agents = new Map(section.agents.map((agent) => [agent.name, agent]))
  const head = async ({ name }: { readonly name: string }): Promise<TrailHead> => {
    const agent = agents.get(name)
    if (!agent) throw new TypeError(`no agent ${name}`)
    const link = linkTo(agent)
    try {
      return await link.head()
    } finally {
      link.close()
    }
  }
  return reconcileExport({ ...section, directory }, head)
}

const HEAD_MS = 10_000

/** Throws what the system says of a file that cannot be read; connects with the first question. */
export function linkTo({ address, serverName, ca, certificate, key }: ExportAgent): AgentLink {
  const [authority, chain, secret] = [ca, certificate, key].map((file) => readFileSync(file))
  if (!authority || !chain || !secret) throw new TypeError('three files were read')
  const client = new AgentClient({ address, serverName, ca: authority, certificate: chain, key: secret })
  return {
    head: async () => {
      const found = await client.call('Audit/GetTrail', {}, HEAD_MS)
      const { chainUid: uid, firstSequence: first, lastSequence: last, lost } = found
      return { chain: uid ?? '', first: Number(first), last: Number(last), lost: Number(lost) }
    },
    events: async function* (after, uid, signal) {
      for await (const { event } of client.events(after, signal, uid)) yield event
    },
    close: () => {
      client.close()
    },
  }
}
