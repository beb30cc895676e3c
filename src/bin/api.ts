// Gives the gRPC server what it asks of the agent: commands go through the loop in their turn, under the identity of the
// caller; questions read record and kernel and change nothing.

import type { Decider } from '../agent/decider.js'
import { agentFault } from '../agent/errors.js'
import { type EvidenceTerms, makeEvidence } from '../agent/evidence.js'
import type { Loop } from '../agent/loop.js'
import { look } from '../agent/loop-repair.js'
import { type AgentNode, lookUp } from '../agent/node.js'
import { livePlan, status } from '../agent/status.js'
import type { AgentPorts, Explained, Flow } from '../api/ports.js'
import type { SinkStatus } from '../audit/sinks/terms.js'
import { hex, utf8 } from '../base/bytes.js'
import { parseIp } from '../base/ip.js'
import { encodePlan } from '../plan/codec.js'
import { explain, parsePacketQuestion } from '../plan/explain.js'
import { EMPTY_STATE, EXACT_ENV } from '../plan/state.js'
import { shownAuthority } from './decisions.js'
import { type JournalPorts, trailPorts } from './trail-ports.js'

export interface Behind {
  readonly loop: Loop
  readonly node: () => Promise<AgentNode>
  readonly commandId: () => string
  readonly name: string
  readonly journal: JournalPorts
  /** undefined: there are none. */
  readonly sinks: () => readonly SinkStatus[] | undefined
  /** Of this program. */
  readonly release: string
  readonly canary: EvidenceTerms['canary']
  readonly decider: Pick<Decider, 'answer'>
}

export function portsOf({ loop, node, commandId, name, journal, release, canary, decider, sinks }: Behind): AgentPorts {
  const made = (id: string) => ({ by: id, commandId: commandId() })
  return {
    node: name,
    status: async () => {
      const found = sinks()
      return { ...(await status(await node())), ...(found ? { sinks: found } : {}) }
    },
    plan: async () => {
      const current = await node()
      const { previous } = await lookUp(current)
      if (!previous) throw agentFault('AGENT_NOTHING_LIVE', { directory: current.store.directory })
      const { plan, generation, digest } = previous
      return { generation, digest, encoded: encodePlan(plan) }
    },
    explain: async (workspace, packet) => answer(await node(), workspace, packet),
    checkFlow: async (workspace, flow) => {
      const current = await node()
      return answer(current, workspace, await packetOf(current, workspace, flow))
    },
    checkAction: async (workspace, { text, audience, nonce }) => {
      const answered = await decider.answer({ workspace, text, audience, nonce: hex(nonce) })
      const { decision, program, attestation, authority } = answered
      return {
        allowed: decision.decision === 'allow',
        reason: decision.reason,
        clause: decision.clause ?? '',
        place: decision.place ?? '',
        obligations: decision.obligations.map(({ kind, ...values }) => ({
          kind,
          values: Object.values(values).flat(),
        })),
        bundleDigest: program.bundleDigest,
        generation: program.generation,
        attestation: utf8(attestation),
        ...shownAuthority(authority),
      }
    },
    quarantine: ({ id }, kind, workspace, reason) =>
      loop.run<'quarantine-set' | 'quarantine-lift'>({ kind, ...made(id), workspace, reason }),
    drift: async () => {
      const { finding, drift } = await look(await node())
      const asPlanned = finding === 'as-planned' || finding === 'nothing-held'
      return { asPlanned, drift: finding === 'absent' ? ['nothing is live'] : drift, repairs: loop.counters().repairs }
    },
    attach: ({ id }, given) => loop.run<'attach'>({ kind: 'attach', ...made(id), ...given }),
    detach: ({ id }, given) => loop.run<'detach'>({ kind: 'detach', ...made(id), ...given }),
    // Round trips of its own, beside what the loop does: it changes nothing of the node's fence.
    evidence: async (_asker, nonce, audience) =>
      utf8(await makeEvidence(await node(), { nonce: hex(nonce), audience, release, canary })),
    attachments: async () => (await node()).store.tenures(),
    openSession: ({ id }, given) => loop.run<'session-open'>({ kind: 'session-open', ...made(id), ...given }),
    closeSession: ({ id }, given) => loop.run<'session-close'>({ kind: 'session-close', ...made(id), ...given }),
    sessions: async (workspace) =>
      (await node()).store.sessions().filter((one) => workspace === '' || one.workspace === workspace),
    ...trailPorts(journal),
  }
}

async function answer(node: AgentNode, workspace: string, packet: string): Promise<Explained> {
  const { plan, generation, quarantined } = await livePlan(node)
  const { live } = await lookUp(node)
  const shown = [...live.values()].flatMap((seen) => (seen.live ? [seen.live] : []))
  const state = {
    ...EMPTY_STATE,
    learned: shown.flatMap((seen) => seen.learned),
    sessions: shown.flatMap((seen) => seen.sessions ?? []),
    quarantined: new Set(quarantined),
    suspended: new Set(shown.flatMap((seen) => seen.suspended)),
  }
  const linkLayer = plan.workspaces.find((entry) => entry.workspace === workspace)?.slot.kind !== 'cgroup'
  const question = parsePacketQuestion(packet)
  const found = explain(plan, state, workspace, question, node.nowMs(), { ...EXACT_ENV, linkLayer })
  const { verdict, say, clause, grant, ways } = found
  return {
    allowed: verdict.kind === 'allow',
    reason: verdict.reason,
    say,
    clause: clause?.id ?? '',
    grant: grant?.id ?? '',
    ways,
    generation,
  }
}

/** An ephemeral port, for a question that names none (RFC 6335 section 6). */
const SOME_PORT = 49_152

async function packetOf(node: AgentNode, workspace: string, flow: Flow): Promise<string> {
  const { plan } = await livePlan(node)
  const { protocol, sourcePort, destination, destinationPort } = flow
  const family = parseIp(destination)?.family
  const own = plan.workspaces.find((entry) => entry.workspace === workspace)?.slot.addresses ?? []
  const source = flow.source === '' ? (own.find((address) => parseIp(address)?.family === family) ?? '') : flow.source
  if (protocol === 'icmp-echo') return `${protocol} ${source} > ${destination}`
  const end = (address: string, port: number) => `${address.includes(':') ? `[${address}]` : address}:${port}`
  return `${protocol} ${end(source, sourcePort || SOME_PORT)} > ${end(destination, destinationPort)}`
}
