// Receipts: one signed record for each quarantine and each lift (design section 3). It says who asked, when the fence was read
// back, that no packet passed any more once the queues were drained, how long it took, and under which plan. It is made after
// the fence, never before, and a receipt that cannot be made keeps no workspace open: the command succeeds without it.
//
// Kept in the state directory, a file each, the oldest going first; the trail has the digest of each.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { signCompact } from '../audit/seal.js'
import { utf8 } from '../base/bytes.js'
import { canonicalize, type Json } from '../base/canonical.js'
import { type Digest, digestOf, digestOfText } from '../base/digest.js'
import type { JwsKey } from '../bundle/jwk.js'
import type { Signer } from '../bundle/sign.js'
import { grantsOf } from '../plan/grants.js'
import type { Plan, WorkspaceId } from '../plan/model.js'
import type { QuarantineCommand } from './command.js'
import { workspaceContext } from './context.js'
import { agentFault } from './errors.js'
import { NODE_FILES, replaceFile } from './files.js'
import type { AgentNode } from './node.js'
import type { Activation } from './record.js'
import { openSigned } from './signed.js'
import { count, flag, type Is, list, object, optional, orNull, readShaped, text } from './signed-shape.js'
import type { OpenBackend } from './transaction.js'

export const RECEIPT_FORMAT = 'sluice-receipt/1'
export const RECEIPT_TYPE = 'application/vnd.sluice.receipt+json'
export const RECEIPTS = 'receipts'
const KEPT = 1_000

/** Times are milliseconds since 1970, by the clock of the node. */
export interface Receipt {
  readonly format: typeof RECEIPT_FORMAT
  readonly node: string
  readonly action: 'quarantine-set' | 'quarantine-lift'
  readonly workspace: WorkspaceId
  readonly attachmentId: string
  readonly interface: string
  /** 0 for a workspace that the inventory alone attaches. */
  readonly leaseGeneration: number
  readonly commandId: string
  readonly by: string
  readonly reason: string
  /** When the command was accepted. */
  readonly askedAtMs: number
  /** When every backend had read the fence back. */
  readonly fencedAtMs: number
  readonly elapsedMs: number
  /** From then on the counters of the workspace stood still; null for a lift, and where counting would take too long. */
  readonly quietFromMs: number | null
  /** Packets that were still counted between the fence and then: they were in queues. */
  readonly drainedPackets: number
  /** Live flows that the fence cut; absent where nobody knows, and `unknown` says why. */
  readonly flowsCut?: number
  /** When the last packet of any of them passed; absent likewise. */
  readonly lastByteAtMs?: number
  readonly unknown: { readonly flowsCut?: string; readonly lastByteAtMs?: string }
  /** Live when it was done; 0 and null while there was none. */
  readonly generation: number
  readonly planDigest: Digest | null
  readonly bundleDigest: Digest | null
  /** Backends that hold the fence; none when it is on record only. */
  readonly backends: readonly string[]
  /** Its volumes, read back after the fence; absent where nothing serves it any. */
  readonly volumes?: readonly VolumeFenced[]
}

export interface VolumeFenced {
  readonly name: string
  /** As the kernel numbers it. */
  readonly mountId: number
  /** True: every operation is refused, those of files that are open too but for what lasts; what the kernel had cached was taken back
   * before. */
  readonly denied: boolean
  /** Absent: nobody counts them, and what was mapped before stays mapped. */
  readonly openFiles?: number
  /** Of these, what the policy leaves alone until it is closed (`open_files: until-closed`): it is refused nothing. Absent: none. */
  readonly lasting?: number
  /** Since the machine started, files that last were handed over by a mount or a daemon that is gone: whether any of them is still open,
   * and refused nothing, nobody knows. Absent: none were. */
  readonly left?: true
}

/** What the command knows when the fence stands. */
export interface Done {
  readonly plan?: Plan
  readonly live?: Activation
  readonly carriers: readonly OpenBackend[]
  readonly askedAtMs: number
  readonly fencedAtMs: number
}

export interface SignedReceipt {
  readonly token: string
  readonly digest: Digest
}

/** Counting every grant of a large plan would hold up the next quarantine. */
const COUNTED_GRANTS = 2_000
const QUIET_MS = 3
const ROUNDS = 20

/** Signs and keeps the receipt of a command. Undefined where this node has no key; throws what the disk and the key throw. */
export async function issueReceipt(
  node: AgentNode,
  command: QuarantineCommand,
  done: Done,
): Promise<SignedReceipt | undefined> {
  const { signer } = node
  if (!signer) return undefined
  const token = await signReceipt(await receiptOf(node, command, done), signer)
  keep(node.store.directory, done.askedAtMs, command, token)
  return { token, digest: digestOfText(token) }
}

async function receiptOf(node: AgentNode, command: QuarantineCommand, done: Done): Promise<Receipt> {
  const { kind, workspace, commandId, by, reason } = command
  const { plan, live, carriers, askedAtMs, fencedAtMs } = done
  const { attachmentId, interface: name } = workspaceContext(plan, workspace)
  const tenure = node.store.tenures().find((entry) => entry.workspace === workspace)
  const cut = kind === 'quarantine-set' ? await cutBy(carriers, workspace) : NOTHING_CUT
  const quiet = kind === 'quarantine-set' ? await drained(node, workspace, done) : undefined
  return {
    format: RECEIPT_FORMAT,
    node: node.config.node,
    action: kind,
    workspace,
    attachmentId: tenure?.attachmentId ?? attachmentId,
    interface: name,
    leaseGeneration: tenure?.leaseGeneration ?? 0,
    commandId,
    by,
    reason,
    askedAtMs,
    fencedAtMs,
    elapsedMs: fencedAtMs - askedAtMs,
    quietFromMs: quiet?.atMs ?? null,
    drainedPackets: quiet?.packets ?? 0,
    ...cut,
    generation: live?.generation ?? 0,
    planDigest: live?.planDigest ?? null,
    bundleDigest: live?.source.bundleDigest ?? null,
    backends: carriers.map(({ backend }) => backend.name).sort(),
    ...(await volumesOf(carriers, workspace)),
  }
}

async function volumesOf(carriers: readonly OpenBackend[], workspace: WorkspaceId): Promise<Pick<Receipt, 'volumes'>> {
  const volumes: VolumeFenced[] = []
  for (const { driver } of carriers) {
    const seen = await driver.observe()
    const flagged = [...(seen.live?.quarantined ?? []), ...(seen.live?.suspended ?? [])].includes(workspace)
    for (const at of seen.volumes ?? [])
      if (at.workspace === workspace) {
        const { name, mountId, openFiles, lasting, left, state } = at
        const denied = flagged || state !== 'serving'
        const open = { ...(openFiles === undefined ? {} : { openFiles }), ...(lasting > 0 ? { lasting } : {}) }
        volumes.push({ name, mountId, denied, ...open, ...(left ? { left } : {}) })
      }
  }
  return volumes.length > 0 ? { volumes } : {}
}

type CutSeen = Pick<Receipt, 'flowsCut' | 'lastByteAtMs' | 'unknown'>
const unknownBoth = (why: string): CutSeen => ({ unknown: { flowsCut: why, lastByteAtMs: why } })
const NOTHING_CUT = unknownBoth('a lift cuts nothing')

/** All that the backends know together: one that does not know makes the whole unknown. */
async function cutBy(carriers: readonly OpenBackend[], workspace: WorkspaceId): Promise<CutSeen> {
  if (carriers.length === 0) return unknownBoth('nothing here carries the workspace')
  let [flows, last] = [0, 0]
  const unknown: { flowsCut?: string; lastByteAtMs?: string } = {}
  for (const { backend, driver } of carriers) {
    const cut = await driver.cut(workspace)
    if (typeof cut.flows === 'number') flows += cut.flows
    else unknown.flowsCut = `${backend.name}: ${cut.flows.unknown}`
    if (typeof cut.lastPacketAtMs === 'number') last = Math.max(last, cut.lastPacketAtMs)
    else unknown.lastByteAtMs = `${backend.name}: ${cut.lastPacketAtMs.unknown}`
  }
  return {
    ...(unknown.flowsCut === undefined ? { flowsCut: flows } : {}),
    ...(unknown.lastByteAtMs === undefined ? { lastByteAtMs: last } : {}),
    unknown,
  }
}

/** Waits until the counters of the workspace stand still. Undefined when they never did, or are too many to read. */
async function drained(node: AgentNode, workspace: WorkspaceId, { plan, carriers }: Done) {
  const grants = plan?.workspaces.reduce((sum, { network }) => sum + grantsOf(network).length, 0)
  if (carriers.length === 0 || (grants ?? 0) > COUNTED_GRANTS) return undefined
  const count = async (): Promise<bigint> => {
    let packets = 0n
    for (const { driver } of carriers)
      for (const counter of (await driver.observe()).counters)
        if (counter.workspace === workspace) packets += counter.packets
    return packets
  }
  const first = await count()
  let before = first
  for (let round = 0; round < ROUNDS; round++) {
    const atMs = node.nowMs()
    await sleep(QUIET_MS)
    const now = await count()
    if (now === before) return { atMs, packets: Number(now - first) }
    before = now
  }
  return undefined
}

/** A compact JWS with a line feed. */
export const signReceipt = async (receipt: Receipt, signer: Signer): Promise<string> =>
  `${await signCompact(RECEIPT_TYPE, utf8(canonicalize(receipt as unknown as Json)), signer)}\n`

type Named = Pick<QuarantineCommand, 'kind' | 'workspace' | 'commandId'>

/** Command ids of statements are other people's words, so they make no file names; one command may fence many workspaces at once. */
function nameOf(atMs: number, { kind, workspace, commandId }: Named): string {
  const hash = digestOfText(canonicalize([commandId, workspace])).slice(7, 23)
  return `${String(atMs).padStart(15, '0')}-${kind}-${hash}.jws`
}

/** The digest of the receipt that was made of a command; undefined where there is none that can be read. */
export function keptReceipt(directory: string, askedAtMs: number, command: Named): Digest | undefined {
  try {
    const token = NODE_FILES.read(join(directory, RECEIPTS, nameOf(askedAtMs, command)))
    return token && digestOf(token)
  } catch {
    // Whoever looks for it finds what is wrong with it.
    return undefined
  }
}

function keep(directory: string, atMs: number, command: Named, token: string): void {
  const folder = join(directory, RECEIPTS)
  NODE_FILES.makeDirectory(folder)
  replaceFile(NODE_FILES, join(folder, nameOf(atMs, command)), utf8(token))
  const old = [...NODE_FILES.list(folder)].sort().slice(0, -KEPT)
  for (const gone of old) NODE_FILES.remove(join(folder, gone))
}

// untrusted: `token`, until a key of `keys` is found to have signed it
/** Throws AGENT_RECEIPT, AGENT_SIGNED_TYPE, BUNDLE_JWS. */
export async function verifyReceipt(token: string, keys: readonly JwsKey[]): Promise<Receipt> {
  const no = (why: string, cause?: unknown) => agentFault('AGENT_RECEIPT', { why }, { cause })
  return readShaped<Receipt>(await openSigned(token, RECEIPT_TYPE, keys), RECEIPT_FORMAT, SHAPE, no)
}

const SHAPE = {
  format: text,
  node: text,
  action: (value) => value === 'quarantine-set' || value === 'quarantine-lift',
  workspace: text,
  attachmentId: text,
  interface: text,
  leaseGeneration: count,
  commandId: text,
  by: text,
  reason: text,
  askedAtMs: count,
  fencedAtMs: count,
  elapsedMs: Number.isSafeInteger,
  quietFromMs: orNull(count),
  drainedPackets: count,
  flowsCut: optional(count),
  lastByteAtMs: optional(count),
  unknown: object({ flowsCut: optional(text), lastByteAtMs: optional(text) }),
  generation: count,
  planDigest: orNull(text),
  bundleDigest: orNull(text),
  backends: list(text),
  volumes: optional(
    list(
      object({
        ...{ name: text, mountId: count, denied: flag, openFiles: optional(count), lasting: optional(count) },
        left: optional((value) => value === true),
      }),
    ),
  ),
} as const satisfies Record<keyof Receipt, Is>
