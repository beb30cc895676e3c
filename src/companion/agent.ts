// The agent of a node as the life of workspaces needs it: over its gRPC, with the role `companion`, which can attach, detach and
// quarantine, and never lift or widen. Every answer is the agent's own, read back by it; evidence is checked here, signature and nonce,
// before anything runs.

import { type AgentClient, refusalOf } from '../api/grpc-client.js'
import { digestOf } from '../base/digest.js'
import { Fault } from '../base/fault.js'
import { lifecycleFault } from './lifecycle/errors.js'
import type { FencePort, FenceSeen } from './lifecycle/ports.js'
import type { WorkspaceRecord } from './lifecycle/record.js'

/** The slot of a workspace, as the signed inventory has it: the agent refuses another. */
export interface Slot {
  readonly kind: 'tap' | 'representor'
  readonly interface: string
}

/** What evidence says of one attachment; untrusted until `verify` gave it. */
export interface ProvedAttachment {
  readonly workspace: string
  readonly attachmentId: string
  readonly quarantined: boolean
  readonly present: boolean
}

export interface AgentLink {
  readonly client: Pick<AgentClient, 'call'>
  /** SPIFFE URI of the companion: whom evidence is for. */
  readonly companion: string
  readonly slotOf: (record: WorkspaceRecord) => Slot
  readonly random: (length: number) => Uint8Array
  /** Throws what does not hold: signature, audience, time, nonce, guarantees. Gives what it says of attachments. */
  readonly verify: (
    token: string,
    asked: { readonly audience: string; readonly nonce: string },
  ) => Promise<readonly ProvedAttachment[]>
}

const STATES = ['', 'nothing', 'closed', 'active', 'absent', 'drifted', 'lost'] as const
const KINDS = { tap: 2, representor: 3 } as const
/** A slot that the workspace does not hold is given back. */
const DETACHED = new Set(['AGENT_NOT_ATTACHED', 'AGENT_LEASE_STALE', 'AGENT_NOTHING_LIVE', 'AGENT_WORKSPACE_UNKNOWN'])
const LOOK_MS = 5_000
const FENCE_MS = 30_000
const EVIDENCE_MS = 130_000

export function agentFence(link: AgentLink): FencePort {
  const { client, slotOf } = link
  const witness = witnessOf(link)
  return {
    look: async () => {
      const [seen, { attachments }] = await Promise.all([
        asked(client.call('Enforcement/GetStatus', {}, LOOK_MS)),
        asked(client.call('Workspaces/ListAttachments', {}, LOOK_MS)),
      ])
      const tenures = attachments.map(({ workspace, leaseGeneration, attached }) => ({
        ...{ workspace: workspace ?? '', lease: Number(leaseGeneration ?? 0), attached: attached ?? false },
      }))
      return {
        state: STATES[seen.state] ?? 'lost',
        channel: seen.live?.channel ?? '',
        workspaces: new Map(
          seen.workspaces.map(({ workspace, policy, quarantined, suspended }) => [
            workspace ?? '',
            { policy: policy ?? '', quarantined: quarantined ?? false, suspended: suspended ?? false },
          ]),
        ),
        attached: leasesOf(tenures.filter(({ attached }) => attached)),
        leases: leasesOf(tenures),
      } satisfies FenceSeen
    },
    attach: async (record, lease) => {
      const { kind, interface: place } = slotOf(record)
      const request = { workspace: record.workspace, kind: KINDS[kind], interface: place, leaseGeneration: lease }
      const { attachment } = await asked(client.call('Workspaces/Attach', request))
      return { attachmentId: attachment?.attachmentId ?? '' }
    },
    detach: async (workspace, leaseGeneration) => {
      try {
        await asked(client.call('Workspaces/Detach', { workspace, leaseGeneration }))
      } catch (error) {
        if (!(error instanceof Fault && DETACHED.has(error.code))) throw error
      }
    },
    prove: async (workspace, attachmentId) => {
      const { attachments, digest } = await witness()
      const own = attachments.find((at) => at.workspace === workspace)
      const why = !own
        ? 'it is not in it'
        : own.attachmentId !== attachmentId
          ? `it is of the tenure ${own.attachmentId}, not ${attachmentId}`
          : !own.present
            ? 'its backend does not show it'
            : undefined
      if (why !== undefined) throw lifecycleFault('WORKSPACE_FENCE_UNPROVED', { why })
      return digest
    },
    quarantine: async (workspace, reason) => {
      const done = await asked(client.call('Enforcement/Quarantine', { workspace, reason }, FENCE_MS))
      const { receipt, generation, elapsedMs } = done
      return { ...(receipt === '' ? {} : { receipt }), generation: Number(generation), elapsedMs }
    },
  }
}

/**
 * Evidence that was asked for after this call, with a nonce of its own. It speaks of every attachment of the node, so workspaces that wait
 * while one is being made share the next: a host that starts fifty asks for two.
 */
function witnessOf({ client, companion, random, verify }: AgentLink) {
  const make = async () => {
    const nonce = random(32)
    const { evidence } = await asked(client.call('Evidence/MakeEvidence', { nonce, audience: companion }, EVIDENCE_MS))
    const token = Buffer.from(evidence).toString('utf8')
    const attachments = await verify(token, { audience: companion, nonce: Buffer.from(nonce).toString('hex') })
    return { attachments, digest: digestOf(evidence) }
  }
  let underWay: Promise<unknown> = Promise.resolve()
  let next: ReturnType<typeof make> | undefined
  return (): ReturnType<typeof make> => {
    next ??= underWay
      // Whoever waited for that one hears of it.
      .catch(() => undefined)
      .then(() => {
        next = undefined
        const made = make()
        underWay = made
        return made
      })
    return next
  }
}

const leasesOf = (tenures: readonly { readonly workspace: string; readonly lease: number }[]) =>
  new Map(tenures.map(({ workspace, lease }) => [workspace, lease]))

/** A refusal of the agent as the fault that it was; an agent that does not answer is one as well. */
export async function asked<T>(call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (cause) {
    const refusal = refusalOf(cause)
    if (refusal === undefined) throw cause
    throw refusal instanceof Fault ? refusal : lifecycleFault('COMPANION_AGENT', refusal, { cause })
  }
}
