// Verifies the receipt of the kill switch later, from files alone: the report is the companion's word, signed by its key, and each fence
// in it has the agent's own receipt, signed after its queues had drained. The two are judged apart, because a host that was taken over
// can write whatever it likes into its own report, and nothing into the agent's.

import { agentFault } from '../agent/errors.js'
import { type Receipt, verifyReceipt } from '../agent/receipt.js'
import { openSigned } from '../agent/signed.js'
import { flag, type Is, list, object, optional, orNull, readShaped, text } from '../agent/signed-shape.js'
import type { JwsKey } from '../bundle/jwk.js'
import { KILL_FORMAT, KILL_TYPE, type Killed, type KillReport } from '../companion/lifecycle/kill.js'

/** What is known of one fence beside the companion's word. */
export interface FenceProved {
  readonly workspace: string
  /** The receipt of an agent that the reader trusts is in the report, and is of this workspace and of the time of this kill. */
  readonly proved: boolean
  /** Why it is not. */
  readonly why?: string
  readonly receipt?: Receipt
}

export interface KillVerified extends KillReport {
  readonly fences: readonly FenceProved[]
}

/** Two clocks, of the companion and of the agent, may differ by this. */
const CLOCKS_MS = 60_000

const no = (why: string, cause?: unknown) => agentFault('AGENT_RECEIPT', { why }, cause === undefined ? {} : { cause })

// untrusted: `token`, until a key of `keys` is found to have signed it
/**
 * `agents`: keys of the agents that fenced; without them their receipts are not looked at. Throws AGENT_SIGNED_TYPE, BUNDLE_JWS, and
 * AGENT_RECEIPT, also where a receipt of an agent does not hold or is of somebody else. */
export async function verifyKill(
  token: string,
  keys: readonly JwsKey[],
  agents: readonly JwsKey[] | undefined,
): Promise<KillVerified> {
  const report = readShaped<KillReport>(await openSigned(token, KILL_TYPE, keys), KILL_FORMAT, SHAPE, no)
  const fences: FenceProved[] = []
  for (const killed of report.workspaces) fences.push(await proved(killed, report, agents))
  return { ...report, fences }
}

async function proved(
  { workspace, steps }: Killed,
  report: KillReport,
  agents: readonly JwsKey[] | undefined,
): Promise<FenceProved> {
  const fence = steps.find(({ step, outcome }) => step === 'fence' && outcome === 'done')
  if (!fence) return { workspace, proved: false, why: 'it was not fenced when the report was made' }
  if (fence.receipt === undefined) return { workspace, proved: false, why: 'the agent gave no receipt' }
  if (!agents) return { workspace, proved: false, why: 'the receipt of the agent was not looked at' }
  const receipt = await verifyReceipt(fence.receipt, agents).catch((cause: unknown) => {
    throw no(`the receipt of the agent for ${workspace} does not hold`, cause)
  })
  if (receipt.action !== 'quarantine-set' || receipt.workspace !== workspace)
    throw no(`the receipt of the agent for ${workspace} is a ${receipt.action} of ${receipt.workspace}`)
  const why = ofAnotherTime(receipt, report)
  return why === undefined ? { workspace, proved: true, receipt } : { workspace, proved: false, why }
}

/**
 * A receipt of an earlier fence, that was lifted since, is genuine and shows nothing of this one. It is no reason to refuse the report: a
 * kill may have been answered by a fence that another had asked for. */
function ofAnotherTime(receipt: Receipt, { askedAtMs, elapsedMs }: KillReport): string | undefined {
  if (receipt.askedAtMs < askedAtMs - CLOCKS_MS) return 'the receipt of the agent is from before this was asked for'
  if (receipt.fencedAtMs > askedAtMs + elapsedMs + CLOCKS_MS)
    return 'the receipt of the agent is from after this was answered'
  return undefined
}

/** Within what a date can be. */
const time: Is = (value) => typeof value === 'number' && value >= 0 && value <= 8.64e15
const SHAPE = {
  format: text,
  companion: text,
  requestId: text,
  target: object({ kind: text }),
  by: text,
  reason: text,
  askedAtMs: time,
  elapsedMs: time,
  partial: flag,
  workspaces: list(
    object({
      ...{ workspace: text, user: text, state: text, fencedAtMs: orNull(time), owed: list(text) },
      unrecorded: optional(text),
      steps: list(
        object({
          ...{ step: text, atMs: time, elapsedMs: time, outcome: text },
          ...{ why: optional(text), what: optional(text), receipt: optional(text) },
        }),
      ),
    }),
  ),
} as const satisfies Record<keyof KillReport, Is>
