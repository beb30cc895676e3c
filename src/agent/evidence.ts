// Fence evidence: a signed record that the live fence is what the bundle says. It carries what was read back from where it is
// enforced for each attachment, and what the canaries saw (canary.ts); it answers one nonce of one audience and ends soon.
// It claims no guarantee in words: whoever verifies it derives the four outer-fence guarantees from the measurements
// (OpenShell's OuterFenceGuarantees; facts sheet of identity and revocation, section 6).
//
// Nothing in it comes from the companion or from inside a workspace. That a workspace has no other interface than its slot is
// what the signed inventory says, and is labelled so.

import { signCompact } from '../audit/seal.js'
import type { Anchor } from '../backends/backend.js'
import { concat, hex, utf8 } from '../base/bytes.js'
import { canonicalize, type Json } from '../base/canonical.js'
import { type Digest, sha256 } from '../base/digest.js'
import { isObject } from '../base/json.js'
import type { JwsKey } from '../bundle/jwk.js'
import { carriersOf } from '../plan/codec.js'
import type { SlotKind } from '../plan/inventory.js'
import type { BackendName, PlanSource, WorkspaceId } from '../plan/model.js'
import { isObserved } from '../plan/observe.js'
import type { TrustDomain } from '../policy/model.js'
import type { CanarySeen } from './canary.js'
import { agentFault } from './errors.js'
import { type AgentNode, lookUp } from './node.js'
import { openSigned } from './signed.js'
import {
  count,
  either,
  exactly,
  flag,
  type Is,
  list,
  object,
  optional,
  orNull,
  readShaped,
  text,
} from './signed-shape.js'

export const EVIDENCE_FORMAT = 'sluice-evidence/1'
export const EVIDENCE_TYPE = 'application/vnd.sluice.evidence+json'
const HOLDS_MS = 300_000
/** How far the clocks of node and verifier may be apart. */
const SKEW_MS = 60_000
export const NONCE = /^[0-9a-f]{32,128}$/

/** One workspace at its slot, as the backend showed it. */
export interface AttachmentSeen extends Seen {
  readonly workspace: WorkspaceId
  readonly attachmentId: string
  readonly leaseGeneration: number
  /** BlueField's name of the function; null where there is none. */
  readonly device: string | null
  /** The fence's side: representor, tap, veth, or path of a cgroup. */
  readonly representor: string
  readonly kind: SlotKind
  /** The inventory says that the slot is the workspace's only way out; nobody outside the workspace can see more. */
  readonly onlyPathBy: 'inventory'
  /** What nothing grants is let through and reported until then; absent where it is denied. */
  readonly observedUntilMs?: number
  /** The volumes of the workspace, as their backend showed them; absent where the plan gives it none. */
  readonly storage?: StorageSeen
  /** Who holds what runs there; absent where the plan says nothing of it. */
  readonly process?: ProcessSeen
}

/** What one backend showed of one workspace. */
interface Seen {
  readonly backend: BackendName
  readonly trustDomain: TrustDomain
  /** Read back. */
  readonly generation: number
  readonly planDigest: Digest
  readonly present: boolean
  readonly quarantined: boolean
  readonly suspended: boolean
  /** Where its fence hangs: hooks with who judges there, maps, tables, pipes. null: nothing hangs. */
  readonly anchor: Omit<Anchor, 'workspace'> | null
}

export interface StorageSeen extends Seen {
  /** By name, as the plan has them: each is a mount of the anchor. */
  readonly volumes: readonly string[]
}

export interface ProcessSeen {
  /** Refuses before something runs. */
  readonly blocks?: Seen
  /** Tells of what ran, and stops nothing. */
  readonly detects?: Seen
}

export interface Evidence {
  readonly format: typeof EVIDENCE_FORMAT
  readonly node: string
  readonly release: string
  readonly audience: string
  /** Lower-case hex, as it was asked with. */
  readonly nonce: string
  readonly madeAtMs: number
  readonly expiresAtMs: number
  /** What is live; 0 and null while nothing is. */
  readonly generation: number
  readonly planDigest: Digest | null
  readonly source: PlanSource | null
  readonly state: 'as-planned' | 'absent' | 'drifted' | 'nothing'
  readonly drift: readonly string[]
  readonly attachments: readonly AttachmentSeen[]
  readonly canaries: readonly CanarySeen[]
}

export interface EvidenceTerms {
  readonly nonce: string
  readonly audience: string
  readonly release: string
  /** Earns the round trips of one backend. */
  readonly canary: (backend: BackendName) => Promise<CanarySeen>
}

/** Makes and signs it: a compact JWS with a line feed. Throws AGENT_EVIDENCE, AGENT_CANARY, and what the store throws. */
export async function makeEvidence(node: AgentNode, terms: EvidenceTerms): Promise<string> {
  const { nonce, audience, release, canary } = terms
  if (!NONCE.test(nonce)) throw agentFault('AGENT_EVIDENCE', { why: 'a nonce is 32 to 128 lower-case hex digits' })
  if (audience === '') throw agentFault('AGENT_EVIDENCE', { why: 'it has no audience' })
  if (!node.signer) throw agentFault('AGENT_EVIDENCE', { why: 'this node has no key of its own' })
  const { state, previous, agreement, live } = await lookUp(node)
  const tenures = node.store.tenures()
  const anchors = await anchorsOf(node, new Set(previous?.plan.workspaces.flatMap(carriersOf)))
  const seenBy = (workspace: WorkspaceId, backend: BackendName, trustDomain: TrustDomain): Seen => {
    const seen = live.get(backend)?.live
    return {
      backend,
      trustDomain,
      generation: seen?.generation ?? 0,
      planDigest: seen?.planDigest ?? 'sha256:',
      present: seen?.workspaces.includes(workspace) ?? false,
      quarantined: seen?.quarantined.includes(workspace) ?? false,
      suspended: seen?.suspended.includes(workspace) ?? false,
      anchor: anchors.get(backend)?.get(workspace) ?? null,
    }
  }
  const attachments = (previous?.plan.workspaces ?? []).map((entry): AttachmentSeen => {
    const { workspace, slot, backend, domain, storage, network, process } = entry
    const tenure = tenures.find((entry) => entry.workspace === workspace)
    return {
      workspace,
      attachmentId: tenure?.attachmentId ?? slot.vuid ?? slot.interface,
      leaseGeneration: tenure?.leaseGeneration ?? 0,
      device: slot.vuid ?? null,
      representor: slot.interface,
      kind: slot.kind,
      ...seenBy(workspace, backend, domain),
      onlyPathBy: 'inventory',
      ...(isObserved(network, node.nowMs()) ? { observedUntilMs: network.observe?.untilMs ?? 0 } : {}),
      ...(storage
        ? {
            storage: {
              ...seenBy(workspace, storage.backend, storage.domain),
              volumes: storage.volumes.map(({ name }) => name),
            },
          }
        : {}),
      ...(process?.blocks || process?.detects
        ? {
            process: {
              ...(process.blocks ? { blocks: seenBy(workspace, process.blocks.backend, process.blocks.domain) } : {}),
              ...(process.detects
                ? { detects: seenBy(workspace, process.detects.backend, process.detects.domain) }
                : {}),
            },
          }
        : {}),
    }
  })
  const canaries: CanarySeen[] = []
  for (const backend of new Set(attachments.map((at) => at.backend))) canaries.push(await canary(backend))
  const madeAtMs = node.nowMs()
  const evidence: Evidence = {
    format: EVIDENCE_FORMAT,
    node: node.config.node,
    release,
    audience,
    nonce,
    madeAtMs,
    expiresAtMs: madeAtMs + HOLDS_MS,
    generation: state.live?.generation ?? 0,
    planDigest: state.live?.planDigest ?? null,
    source: state.live?.source ?? null,
    state: agreement?.kind ?? 'nothing',
    drift: agreement?.kind === 'drifted' ? agreement.drift : [],
    attachments,
    canaries,
  }
  return `${await signCompact(EVIDENCE_TYPE, utf8(canonicalize(evidence as unknown as Json)), node.signer)}\n`
}

/** Asked of every backend that carries something, after what is live: a switch in between shows as another generation. */
async function anchorsOf(
  node: AgentNode,
  carrying: ReadonlySet<BackendName>,
): Promise<ReadonlyMap<BackendName, ReadonlyMap<WorkspaceId, Omit<Anchor, 'workspace'>>>> {
  const found = new Map<BackendName, ReadonlyMap<WorkspaceId, Omit<Anchor, 'workspace'>>>()
  for (const [name, { driver }] of node.backends)
    if (carrying.has(name))
      found.set(name, new Map((await driver.inspect()).map(({ workspace, ...anchor }) => [workspace, anchor])))
  return found
}

export const GUARANTEES = [
  'default_deny_egress',
  'no_unmanaged_egress_path',
  'revocation_verified',
  'controller_loss_fails_closed',
] as const
export type OuterGuarantee = (typeof GUARANTEES)[number]

/** Why a guarantee does not follow from the measurements; undefined when it does. */
export function lacking(evidence: Evidence, guarantee: OuterGuarantee): string | undefined {
  const { state, attachments, canaries, generation, planDigest } = evidence
  if (state !== 'as-planned') return `what is live is ${state}`
  if (attachments.length === 0) return 'there is no attachment'
  for (const at of attachments) {
    for (const seen of [at, at.storage, at.process?.blocks, at.process?.detects]) {
      if (seen === undefined) continue
      if (!seen.present || seen.generation !== generation || seen.planDigest !== planDigest)
        return `${at.workspace} was not read back under generation ${generation}`
      const loose = unanchored(seen, generation)
      if (loose !== undefined) return `${at.workspace}: ${loose}`
    }
    const unserved = at.storage && unservedOf(at.storage)
    if (unserved !== undefined) return `${at.workspace}: its volume ${unserved} has no mount`
    if (guarantee === 'default_deny_egress' && at.observedUntilMs !== undefined)
      return `${at.workspace} is observed until ${new Date(at.observedUntilMs).toISOString()}: what nothing grants is let through`
    if (!canaries.some(({ backend }) => backend === at.backend)) return `no canary was fenced by ${at.backend}`
  }
  for (const canary of canaries) {
    const why = LACKS[guarantee](canary)
    if (why !== undefined) return `${canary.backend}: ${why}`
  }
  return undefined
}

/** Why nothing says that the fence hangs where this workspace is; undefined when something does. */
function unanchored({ anchor, quarantined, suspended }: Seen, generation: number): string | undefined {
  if (anchor === null) return 'its backend knows no place where its fence hangs'
  if (anchor.generation !== generation) return `generation ${anchor.generation} judges where its fence hangs`
  // A software stand-in has no hooks and says that it is one; on a device, what is closed has no entries.
  const closed = quarantined || suspended
  return anchor.hooks.length === 0 && !anchor.emulated && !closed ? 'its fence hangs nowhere' : undefined
}

/** A volume of the plan that no mount shows; undefined when each has one. */
const unservedOf = ({ volumes, anchor }: StorageSeen): string | undefined =>
  anchor?.emulated
    ? undefined
    : volumes.find((name) => !anchor?.objects.some((object) => object.kind === 'mount' && object.name === name))

const LACKS = {
  default_deny_egress: ({ reachableUnfenced, defaultDeny }) =>
    !reachableUnfenced
      ? 'the target could not be reached without a fence either'
      : !defaultDeny.refused
        ? 'what nothing grants came through'
        : defaultDeny.countedDrops < 1
          ? 'nothing was counted as dropped'
          : undefined,
  no_unmanaged_egress_path: ({ interfaces }) =>
    interfaces.length === 1 ? undefined : `its workspace has the interfaces ${interfaces.join(', ')}`,
  revocation_verified: ({ install, revoke }) =>
    !install.connected
      ? 'a grant did not let through'
      : revoke.cutMs === null
        ? 'the live flow went on after its grant was revoked'
        : revoke.refused
          ? undefined
          : 'a new flow came through after its grant was revoked',
  controller_loss_fails_closed: ({ controllerLoss }) =>
    !controllerLoss.killed
      ? 'the controller was not killed'
      : controllerLoss.refused
        ? undefined
        : 'the fence opened when its controller was killed',
} as const satisfies Record<OuterGuarantee, (canary: CanarySeen) => string | undefined>

export interface VerifiedEvidence {
  readonly evidence: Evidence
  /** As OpenShell's isolation interface takes them. */
  readonly outerFence: {
    readonly generation: string
    readonly established: readonly OuterGuarantee[]
    /** SHA-256 of u64_be(len(generation)), the generation and the token. */
    readonly evidenceDigest: string
  }
}

// untrusted: `token`, until a key of `keys` is found to have signed it
/**
 * Checks signature, audience, time, nonce and guarantees, in this order. Throws BUNDLE_JWS, AGENT_SIGNED_TYPE, AGENT_EVIDENCE,
 * AGENT_EVIDENCE_AUDIENCE, _EARLY, _EXPIRED, _NONCE and _UNPROVED. `nonce` null: the caller answers for replays.
 */
export async function verifyEvidence(
  token: string,
  keys: readonly JwsKey[],
  asked: { readonly audience: string; readonly nonce: string | null; readonly nowMs: number },
): Promise<VerifiedEvidence> {
  const evidence = readEvidence(await openSigned(token, EVIDENCE_TYPE, keys))
  const { audience, nonce, madeAtMs, expiresAtMs } = evidence
  const { nowMs } = asked
  if (audience !== asked.audience)
    throw agentFault('AGENT_EVIDENCE_AUDIENCE', { expected: asked.audience, found: audience })
  if (madeAtMs > nowMs + SKEW_MS) throw agentFault('AGENT_EVIDENCE_EARLY', { madeAtMs, nowMs })
  if (expiresAtMs <= nowMs) throw agentFault('AGENT_EVIDENCE_EXPIRED', { expiresAtMs, nowMs })
  if (asked.nonce !== null && nonce !== asked.nonce) throw agentFault('AGENT_EVIDENCE_NONCE', undefined)
  for (const guarantee of GUARANTEES) {
    const why = lacking(evidence, guarantee)
    if (why !== undefined) throw agentFault('AGENT_EVIDENCE_UNPROVED', { guarantee, why })
  }
  const generation = `${evidence.node}/${evidence.generation}`
  return {
    evidence,
    outerFence: { generation, established: GUARANTEES, evidenceDigest: outerDigest(generation, utf8(token.trimEnd())) },
  }
}

/** `evidence_digest` of OpenShell's contract. */
export function outerDigest(generation: string, native: Uint8Array): string {
  const name = utf8(generation)
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(name.length))
  return hex(sha256(concat([length, name, native])))
}

const readEvidence = (payload: Uint8Array): Evidence =>
  readShaped<Evidence>(payload, EVIDENCE_FORMAT, SHAPE, (why, cause) =>
    agentFault('AGENT_EVIDENCE', { why }, { cause }),
  )

const PROGRAM = object({ kind: exactly('program'), id: count, tag: text })
const CHAIN = object({ kind: exactly('chain'), name: text, handle: count })
const ENTRY = object({ kind: exactly('entry'), handle: text })
const RULES = object({ kind: exactly('rules'), digest: text })

const SEEN = {
  backend: text,
  trustDomain: text,
  generation: count,
  planDigest: text,
  present: flag,
  quarantined: flag,
  suspended: flag,
  anchor: orNull(
    object({
      emulated: flag,
      generation: count,
      hooks: list(object({ hook: text, on: text, owner: either(PROGRAM, CHAIN, ENTRY, RULES) })),
      objects: list(object({ kind: text, name: text, id: text })),
    }),
  ),
} as const satisfies Record<keyof Seen, Is>

const SHAPE = {
  format: text,
  node: text,
  release: text,
  audience: text,
  nonce: text,
  madeAtMs: count,
  expiresAtMs: count,
  generation: count,
  planDigest: orNull(text),
  source: orNull(isObject),
  state: text,
  drift: list(text),
  attachments: list(
    object({
      workspace: text,
      attachmentId: text,
      leaseGeneration: count,
      device: orNull(text),
      representor: text,
      kind: text,
      ...SEEN,
      onlyPathBy: text,
      observedUntilMs: optional(count),
      storage: optional(object({ ...SEEN, volumes: list(text) })),
      process: optional(object({ blocks: optional(object(SEEN)), detects: optional(object(SEEN)) })),
    }),
  ),
  canaries: list(
    object({
      backend: text,
      reachableUnfenced: flag,
      defaultDeny: object({ refused: flag, countedDrops: count }),
      install: object({ connected: flag }),
      revoke: object({ refused: flag, cutMs: orNull(count) }),
      controllerLoss: object({ killed: flag, refused: flag }),
      interfaces: list(text),
    }),
  ),
} as const satisfies Record<keyof Evidence, Is>
