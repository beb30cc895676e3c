// The kill switch: one operation for a workspace, a user, an image or everything here. Every fence first, then every machine, then
// every session; none waits for another workspace's trouble, and what could not be done is said, owed, and tried again until it is.
// The answer is one signed receipt with the time of each step, made after the fences were read back and their queues drained. It is
// for the record: the steps count, and a receipt that cannot be signed or kept undoes nothing. `stop` is never this.

import { type SealSigner, signCompact } from '../../audit/seal.js'
import { decodeUtf8, utf8 } from '../../base/bytes.js'
import { canonicalize, type Json } from '../../base/canonical.js'
import { type Digest, digestOfText } from '../../base/digest.js'
import { Fault } from '../../base/fault.js'
import { isObject, parseJson } from '../../base/json.js'
import { lifecycleFault } from './errors.js'
import { type Lifecycle, requestDigest } from './lifecycle.js'
import type { Step, WorkspaceState } from './operations.js'
import type { Answer, StepDone, WorkspaceRecord } from './record.js'
import type { Run } from './run.js'
import type { RecordFiles } from './store.js'

export const KILL_FORMAT = 'sluice-kill/1'
export const KILL_TYPE = 'application/vnd.sluice.kill+json'

export type KillTarget =
  | { readonly kind: 'workspace'; readonly workspace: string }
  | { readonly kind: 'user'; readonly user: string }
  /** Its name, or `name@version`. */
  | { readonly kind: 'image'; readonly image: string }
  | { readonly kind: 'everything' }

export interface KillAsked {
  readonly requestId: string
  readonly target: KillTarget
  readonly by: string
  readonly reason: string
}

export interface Killed {
  readonly workspace: string
  readonly user: string
  readonly state: WorkspaceState
  /** By this host's clock, when the agent had answered for its fence; null: it is not fenced, and `steps` says why. */
  readonly fencedAtMs: number | null
  readonly steps: readonly StepDone[]
  readonly owed: readonly Step[]
}

/** Times are milliseconds since 1970, by the clock of the host; what took how long is measured by the monotonic one. */
export interface KillReport {
  readonly format: typeof KILL_FORMAT
  /** SPIFFE URI of the companion. */
  readonly companion: string
  readonly requestId: string
  readonly target: KillTarget
  readonly by: string
  readonly reason: string
  readonly askedAtMs: number
  readonly elapsedMs: number
  /** Something was not done: the fence, the machine or the sessions of a workspace. */
  readonly partial: boolean
  readonly workspaces: readonly Killed[]
}

export interface KillHost {
  readonly companion: string
  readonly lifecycle: Lifecycle
  /** Absent: reports are not signed. */
  readonly signer?: SealSigner
  /** Receipts by request. */
  readonly receipts: RecordFiles
}

export interface KillAnswer {
  readonly report: KillReport
  /** The report as a JWS; absent where it could not be signed. */
  readonly receipt?: string
}

/** Steps of different workspaces that are carried out at once. */
const ABREAST = 16
/** What a kill does beside the fence, in this order. */
const AFTER: readonly Step[] = ['end', 'sessions', 'detach', 'unplug']
/** How long machines wait for their fences; a fence may take longer, and is then still what the report says of it. */
const FENCE_FIRST_MS = 5_000
const RECEIPTS_KEPT = 1_000

/** Throws WORKSPACE_REQUEST when the request id was used for something else, and nothing else. */
export async function kill(host: KillHost, asked: KillAsked): Promise<KillAnswer> {
  const { lifecycle } = host
  const { clock } = lifecycle.host.ports
  const [askedAtMs, fromMs] = [clock.nowMs(), clock.monotonicMs()]
  const digest = requestDigest('kill', asked.target)
  const known = await given(host, asked.requestId, digest)
  if (known) return known
  const targets = targetsOf(lifecycle, asked.target)
  const runs = await Promise.all(targets.map((workspace) => begin(lifecycle, asked, digest, workspace)))
  const mine = runs.filter((one): one is Run => 'carry' in one)
  const forAll = async (step: Step): Promise<void> => {
    for (let at = 0; at < mine.length; at += ABREAST)
      await Promise.all(mine.slice(at, at + ABREAST).map((run) => run.carry(step)))
  }
  // A whole fleet is fenced before the first machine is ended; but an agent that hangs keeps no machine alive.
  const over = new AbortController()
  const fenced = forAll('fence').finally(() => {
    over.abort()
  })
  await Promise.race([fenced, clock.sleep(FENCE_FIRST_MS, over.signal)])
  for (const step of AFTER) await forAll(step)
  await fenced
  const answers = await Promise.all(runs.map((one) => ('carry' in one ? one.finish() : one.answer)))
  const workspaces = answers.map((answer, i) => killedOf(lifecycle, targets[i] ?? '', answer))
  const report: KillReport = {
    format: KILL_FORMAT,
    companion: host.companion,
    ...asked,
    askedAtMs,
    elapsedMs: Math.max(0, clock.monotonicMs() - fromMs),
    partial: workspaces.some(({ owed, steps }) => owed.length > 0 || steps.some(({ outcome }) => outcome !== 'done')),
    workspaces,
  }
  return keep(host, report, digest)
}

export function targetsOf(lifecycle: Lifecycle, target: KillTarget): readonly string[] {
  if (target.kind === 'workspace') return [target.workspace]
  return lifecycle
    .all()
    .filter((record) => isMeant(record, target))
    .map(({ workspace }) => workspace)
}

function isMeant({ profile, image }: WorkspaceRecord, target: Exclude<KillTarget, { kind: 'workspace' }>): boolean {
  switch (target.kind) {
    case 'user':
      return profile?.user === target.user
    case 'image':
      return profile?.image === target.image || image === target.image
    case 'everything':
      return true
  }
}

/** A run of ours, or the answer of a kill that was asked for already. */
async function begin(
  lifecycle: Lifecycle,
  { requestId, by, reason }: KillAsked,
  digest: Digest,
  workspace: string,
): Promise<Run | { readonly answer: Promise<Answer> }> {
  // What a crash ended was taken up again under the same request.
  const before = lifecycle.answered(requestId, digest, workspace)
  if (before) return { answer: before }
  const underWay = lifecycle.underWay(workspace)
  if (underWay?.change === 'kill') return { answer: underWay.answer }
  return lifecycle.begin({ requestId, change: 'kill', by, reason, workspace, digest }, true)
}

function killedOf(lifecycle: Lifecycle, workspace: string, { state, steps, owed }: Answer): Killed {
  const user = lifecycle.host.store.get(workspace)?.profile?.user ?? ''
  const fence = steps.find(({ step, outcome }) => step === 'fence' && outcome === 'done')
  const fencedAtMs = fence ? Math.ceil(fence.atMs + fence.elapsedMs) : null
  // In the order in which they were begun: a late fence ends after what was begun behind it.
  const inOrder = [...steps].sort((a, b) => a.atMs - b.atMs)
  return { workspace, user, state, fencedAtMs, steps: inOrder, owed }
}

const fileOf = (requestId: string): string => `${digestOfText(requestId).slice(7, 39)}.json`

/** The answer that this request has been given. Throws WORKSPACE_REQUEST. */
async function given(
  { receipts, lifecycle }: KillHost,
  requestId: string,
  digest: Digest,
): Promise<KillAnswer | undefined> {
  // Used for something else, or in a kill that a crash ended: then its answers are taken as they are.
  void lifecycle.answered(requestId, digest)
  let bytes: Uint8Array
  try {
    bytes = await receipts.read(fileOf(requestId))
  } catch {
    // There is none: the kill is new, or its receipt could not be kept. It is carried out again, which is the same.
    return undefined
  }
  const value = parseJson(decodeUtf8(bytes) ?? '')
  if (!isObject(value) || value.digest !== digest) throw lifecycleFault('WORKSPACE_REQUEST', { requestId })
  const { report, receipt } = value as unknown as KillAnswer
  return { report, ...(receipt === undefined ? {} : { receipt }) }
}

async function keep({ signer, receipts }: KillHost, report: KillReport, digest: Digest): Promise<KillAnswer> {
  const answer: { report: KillReport; receipt?: string } = { report }
  try {
    const payload = utf8(canonicalize(report as unknown as Json))
    if (signer) answer.receipt = `${await signCompact(KILL_TYPE, payload, signer)}\n`
    await receipts.replace(fileOf(report.requestId), utf8(canonicalize({ digest, ...answer } as unknown as Json)))
    const old = [...(await receipts.list())].filter((name) => name.endsWith('.json'))
    // Names are hashes, so which ones go is chance; every report is in the trail as well.
    for (const name of old.slice(0, Math.max(0, old.length - RECEIPTS_KEPT)))
      if (name !== fileOf(report.requestId)) await receipts.remove(name)
  } catch (error) {
    // The kill was carried out: a disk or a key that refuses is said by the receipt that is missing.
    if (!(error instanceof Error) || error instanceof Fault) return answer
  }
  return answer
}
