// The kill switch: one operation for a workspace, a user, an image or everything here. Every fence first, then every machine, then
// every session; none waits for another workspace's trouble, and what could not be done is said, owed, and tried again until it is.
// The answer is one signed receipt with the time of each step, made after the fences were read back and their queues drained. It is
// for the record: the steps count, and a receipt that cannot be signed or kept undoes nothing. `stop` is never this.

import { type SealSigner, signCompact } from '../../audit/seal.js'
import { decodeUtf8, utf8 } from '../../base/bytes.js'
import { canonicalize, type Json } from '../../base/canonical.js'
import { type Digest, digestOfText } from '../../base/digest.js'
import { isObject, parseJson } from '../../base/json.js'
import { lifecycleFault } from './errors.js'
import { type Lifecycle, requestDigest } from './lifecycle.js'
import type { Step, WorkspaceState } from './operations.js'
import type { Clock } from './ports.js'
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
  /** Why the companion's disk did not take it; absent: it did, or was not done with it yet. */
  readonly unrecorded?: string
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

/** Workspaces that a step other than the fence is carried out for at once. */
const ABREAST = 16
/** What a kill does beside the fence, in this order. */
const AFTER: readonly Step[] = ['end', 'sessions', 'detach', 'unplug']
/** How long machines wait for their fences; a fence may take longer, and is then still what the report says of it. */
const FENCE_FIRST_MS = 5_000
const RECEIPTS_KEPT = 1_000
/** What a disk that hangs may cost: a receipt that is read, and one that is made and written. */
const READ_MS = 1_000
/** Longer than one machine that does not answer takes the look at all of them. */
const LOST_MS = 3_000
const KEEP_MS = 5_000

/** Throws WORKSPACE_REQUEST when the request id was used for something else, and nothing else. */
export async function kill(host: KillHost, asked: KillAsked): Promise<KillAnswer> {
  const { lifecycle } = host
  const { clock } = lifecycle.host.ports
  const [askedAtMs, fromMs] = [clock.nowMs(), clock.monotonicMs()]
  const digest = requestDigest('kill', asked.target)
  // What this id stands for is in memory: a disk that hangs or is damaged keeps no fence waiting. A kill that was carried out is not
  // carried out again on what was made since; one that only an old receipt knows is, where there is something to kill.
  const isAgain = lifecycle.answered(asked.requestId, digest) !== undefined
  const known = isAgain ? await given(host, asked.requestId, digest) : undefined
  if (known) return known
  const looking = asked.target.kind === 'workspace' ? Promise.resolve([]) : lostOf(lifecycle)
  looking.catch(() => undefined) // whoever waits for it below has the failure; a request that is refused before does not wait
  const targets = [...targetsOf(lifecycle, asked.target)]
  const beginAll = (names: readonly string[]) =>
    Promise.all(names.map((workspace) => begin(lifecycle, asked, digest, workspace)))
  const runs = await beginAll(targets)
  // Who has a record is fenced while others, whose records are damaged, are looked for.
  const fences = runsIn(runs).map((run) => run.carry('fence'))
  const lost = await looking
  const named = lost.flatMap(({ workspace }) => (workspace === undefined ? [] : [workspace]))
  const late = [...new Set(named)].filter((workspace) => !targets.includes(workspace))
  const found = await beginAll(late)
  targets.push(...late)
  runs.push(...found)
  fences.push(...runsIn(found).map((run) => run.carry('fence')))
  const mine = runsIn(runs)
  const before = mine.length > 0 || isAgain ? undefined : await given(host, asked.requestId, digest)
  if (before) return before
  const forAll = async (step: Step): Promise<void> => {
    const next = mine.values()
    const lane = async (): Promise<void> => {
      for (const run of next) await run.carry(step)
    }
    await Promise.all(Array.from({ length: ABREAST }, lane))
  }
  // A whole fleet is fenced before the first machine is ended; but an agent that hangs keeps no machine alive.
  const over = new AbortController()
  const fenced = Promise.all(fences).finally(() => {
    over.abort()
  })
  await Promise.race([fenced, clock.sleep(FENCE_FIRST_MS, over.signal)])
  for (const step of AFTER) await forAll(step)
  await fenced
  const answers = await Promise.all(runs.map((one) => ('carry' in one ? one.finish() : one.answer)))
  const workspaces = [
    ...answers.map((answer, i) => killedOf(lifecycle, targets[i] ?? '', answer)),
    ...lost.flatMap(({ file, why, workspace }) => (workspace === undefined ? [passedOver(file, why, askedAtMs)] : [])),
  ]
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

const runsIn = (begun: readonly (Run | { readonly answer: unknown })[]): Run[] =>
  begun.filter((one): one is Run => 'carry' in one)

export function targetsOf(lifecycle: Lifecycle, target: KillTarget): readonly string[] {
  if (target.kind === 'workspace') return [target.workspace]
  return lifecycle
    .all()
    .filter((record) => isMeant(record, target))
    .map(({ workspace }) => workspace)
}

/** Whether a kill of that target means this workspace. One of which there is no record, every kill of more than a name does. */
export function means({ host: { store } }: Lifecycle, target: KillTarget, workspace: string): boolean {
  if (target.kind === 'workspace') return target.workspace === workspace
  const record = store.get(workspace)
  return !record?.profile || isMeant(record, target)
}

interface Lost {
  readonly file: string
  readonly why: string
  /** Absent: nobody knows whose record it was. */
  readonly workspace?: string
}

/**
 * Workspaces whose record is damaged: whose they are and over which image, nobody can say, so that every kill of more than one name means
 * them. Whom the file does not name, this host's machines or the agent may. */
async function lostOf({ host: { store, ports } }: Lifecycle): Promise<readonly Lost[]> {
  const found = (names: readonly string[]): readonly Lost[] =>
    [...store.damaged].map(([file, why]) => {
      const workspace = store.ownerOf(file, names)
      return { file, why, ...(workspace === undefined ? {} : { workspace }) }
    })
  const lost = found([])
  if (lost.every(({ workspace }) => workspace !== undefined)) return lost
  // One of them that does not answer, or not soon, names nobody: the others wait for no fence.
  const names = <T>(look: Promise<T>, of: (seen: T) => Iterable<string>): Promise<readonly string[]> =>
    within(
      ports.clock,
      LOST_MS,
      look.then(
        (seen) => [...of(seen)],
        () => [],
      ),
    ).then((seen) => seen ?? [])
  const [here, there] = await Promise.all([
    names(ports.machine.look(), ({ machines, interfaces }) =>
      [...machines, ...interfaces].map(({ workspace }) => workspace),
    ),
    names(ports.fence.look(), ({ workspaces, leases }) => [...workspaces.keys(), ...leases.keys()]),
  ])
  return found([...here, ...there])
}

/** The row of one that has no name to be fenced by. */
const passedOver = (file: string, damage: string, atMs: number): Killed => {
  const why = `the record ${file} is damaged, and nobody knows whose it is: ${damage}`
  const steps = [{ step: 'fence', atMs, elapsedMs: 0, outcome: 'failed', why }] as const
  return { workspace: `record:${file}`, user: '', state: 'absent', fencedAtMs: null, steps, owed: [] }
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

function killedOf(lifecycle: Lifecycle, workspace: string, answer: Answer): Killed {
  const { store } = lifecycle.host
  const { state, steps, owed, unrecorded = store.damageOf(workspace) } = answer
  const user = store.get(workspace)?.profile?.user ?? ''
  const fence = steps.find(({ step, outcome }) => step === 'fence' && outcome === 'done')
  const fencedAtMs = fence ? Math.ceil(fence.atMs + fence.elapsedMs) : null
  // In the order in which they were begun: a late fence ends after what was begun behind it.
  const inOrder = [...steps].sort((a, b) => a.atMs - b.atMs)
  return {
    workspace,
    user,
    state,
    fencedAtMs,
    steps: inOrder,
    owed,
    ...(unrecorded === undefined ? {} : { unrecorded }),
  }
}

const fileOf = (requestId: string): string => `${digestOfText(requestId).slice(7, 39)}.json`

/** The answer that this request has been given; undefined where the disk does not say so. Throws WORKSPACE_REQUEST. */
async function given(
  { receipts, lifecycle }: KillHost,
  requestId: string,
  digest: Digest,
): Promise<KillAnswer | undefined> {
  const read = async (): Promise<Json | undefined> => {
    try {
      return parseJson(decodeUtf8(await receipts.read(fileOf(requestId))) ?? '')
    } catch {
      // There is none, or none that can be read: the kill is carried out again, which is the same.
      return undefined
    }
  }
  const value = await within(lifecycle.host.ports.clock, READ_MS, read())
  if (!isObject(value)) return undefined
  if (value.digest !== digest) throw lifecycleFault('WORKSPACE_REQUEST', { requestId })
  const { report, receipt } = value as unknown as KillAnswer
  return { report, ...(receipt === undefined ? {} : { receipt }) }
}

async function keep(
  { signer, receipts, lifecycle }: KillHost,
  report: KillReport,
  digest: Digest,
): Promise<KillAnswer> {
  const answer: { report: KillReport; receipt?: string } = { report }
  const kept = async (): Promise<void> => {
    const payload = utf8(canonicalize(report as unknown as Json))
    if (signer) answer.receipt = `${await signCompact(KILL_TYPE, payload, signer)}\n`
    await receipts.replace(fileOf(report.requestId), utf8(canonicalize({ digest, ...answer } as unknown as Json)))
    const old = [...(await receipts.list())].filter((name) => name.endsWith('.json'))
    // Names are hashes, so which ones go is chance; every report is in the trail as well.
    for (const name of old.slice(0, Math.max(0, old.length - RECEIPTS_KEPT)))
      if (name !== fileOf(report.requestId)) await receipts.remove(name)
  }
  // The kill was carried out: a disk or a key that refuses is said by the receipt that is missing.
  await within(
    lifecycle.host.ports.clock,
    KEEP_MS,
    kept().catch(() => undefined),
  )
  return { ...answer }
}

/** undefined when it takes longer; what comes later is nobody's. */
async function within<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T | undefined> {
  const over = new AbortController()
  try {
    return await Promise.race([work, clock.sleep(ms, over.signal).then(() => undefined)])
  } finally {
    over.abort()
  }
}
