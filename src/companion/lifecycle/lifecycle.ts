// Carries out the table: one operation a workspace at a time, each step on record before it is begun, its answer kept for whoever asks
// again. What a crash ended is taken back and begun again at the next start; what fails is taken back, or owed and tried again. A kill
// or a revoke waits for nobody: it ends what is under way, and cleans up behind it.

import { canonicalize, type Json } from '../../base/canonical.js'
import { digestOfText } from '../../base/digest.js'
import { causeChain, Fault } from '../../base/fault.js'
import { debtors } from './debts.js'
import { lifecycleFault } from './errors.js'
import { type Change, preempts, type Refusal, type Way, wayOf } from './operations.js'
import type { Profile } from './profile.js'
import { type Finding, findingsOf, leftLayers } from './reconcile.js'
import { type Answer, emptyRecord, owedSteps, type Request, type StepDone, type WorkspaceRecord } from './record.js'
import { Run } from './run.js'
import type { Ports, StepTerms } from './steps.js'
import type { RecordStore } from './store.js'

export interface LifecycleTerms extends StepTerms {
  /** How long the agent may say that nothing of its plan is there before machines are ended. */
  readonly unfencedMs: number
}

/** What happened, for the trail, the log and whoever looks on. */
export type Told =
  | {
      readonly kind: 'changed'
      readonly answer: Answer
      readonly by: string
      readonly reason: string
      readonly record: WorkspaceRecord
      /** Set: it was told before as not done, and these steps of it, tried again since then, are now. */
      readonly owedSinceMs?: number
    }
  | { readonly kind: 'found'; readonly finding: Finding }
  /** Layers of a workspace that has no record, which stay where they are. */
  | { readonly kind: 'left'; readonly workspace: string }
  | {
      readonly kind: 'step'
      readonly workspace: string
      readonly change: Change
      readonly done: StepDone
    }
  /** The disk refuses; what is done goes on. */
  | { readonly kind: 'unrecorded'; readonly workspace: string; readonly why: string }
  /** The agent or the driver could not be asked, or can be again. */
  | { readonly kind: 'unseen' | 'seen'; readonly what: 'agent' | 'machines'; readonly why: string }

export interface LifecycleHost {
  readonly store: RecordStore
  readonly ports: Ports
  readonly terms: LifecycleTerms
  /** Resolves when it is in the trail; never throws. */
  readonly tell: (told: Told) => Promise<void>
}

export interface Asked extends Omit<Request, 'digest'> {
  readonly workspace: string
  /** Of a create. */
  readonly profile?: Profile
}

/** What a request id stands for. */
export const requestDigest = (change: Change, target: Json): Request['digest'] =>
  digestOfText(canonicalize({ change, target }))

export class Lifecycle {
  private readonly runs = new Map<string, Run>()
  private unfencedSinceMs: number | undefined
  private left: readonly string[] = []
  private readonly unseen = new Map<'agent' | 'machines', string>()

  constructor(readonly host: LifecycleHost) {}

  /** The record of each workspace that there is, and whether something is under way. */
  all(): readonly WorkspaceRecord[] {
    return this.host.store.all().filter(({ profile }) => profile !== null)
  }

  /** Throws WORKSPACE_UNKNOWN. */
  known(workspace: string): WorkspaceRecord {
    const record = this.host.store.get(workspace)
    if (!record?.profile) throw lifecycleFault('WORKSPACE_UNKNOWN', { workspace })
    return record
  }

  underWay(workspace: string): Run | undefined {
    return this.runs.get(workspace)
  }

  /**
   * One operation. The same request id with the same words gives the same answer, also after a restart. Throws WORKSPACE_REQUEST,
   * WORKSPACE_BUSY and what the state refuses before anything is changed, and WORKSPACE_STEP after it was taken back.
   */
  async operate(asked: Asked): Promise<Answer> {
    const { change, workspace, profile } = asked
    const digest = requestDigest(change, { workspace, profile: (profile as unknown as Json) ?? null })
    const before = this.answered(asked.requestId, digest, workspace)
    if (before) return this.result(await before)
    const run = await this.begin({ ...asked, digest })
    return this.result(await run.answer)
  }

  /** Begins it and gives the run, whose steps follow by themselves unless a kill is carried out `byHand`. Throws as `operate`. */
  async begin(asked: Asked & Pick<Request, 'digest'>, byHand = false): Promise<Run> {
    const { change, workspace, profile, requestId } = asked
    // What the companion does by itself is not what somebody should be told to wait for.
    for (let own = this.own(workspace); own && !preempts(change); own = this.own(workspace)) await own.settled
    if (!preempts(change)) this.host.store.sound(workspace)
    const record = this.host.store.get(workspace) ?? emptyRecord(workspace)
    const before = this.runs.get(workspace)
    if (before && !(preempts(change) && before.change !== 'kill'))
      throw lifecycleFault('WORKSPACE_BUSY', { workspace, operation: before.change })
    const way = wayOf(record.state, change)
    if (typeof way === 'string') throw refused(way, record)
    if (record.owed.length > 0 && way.undo)
      throw lifecycleFault('WORKSPACE_OWED', { workspace, steps: owedSteps(record).join(', ') })
    // Before a rebake ends what runs.
    if (way.steps.includes('run')) this.host.terms.mayStart?.()
    const run = this.make(record, asked, way, before)
    const { clock } = this.host.ports
    const { digest, by, reason } = asked
    const doing = { requestId, digest, change, by, reason, from: record.state, atMs: clock.nowMs(), step: null }
    const first = profile && change === 'create' ? { profile, image: '' } : {}
    const begun = run.patch({ ...first, doing })
    if (preempts(change)) {
      // The fence does not wait for the disk; what is not on record is told, and stands in the answer.
      begun.catch((error: unknown) => {
        run.unkept(error)
      })
      if (!byHand) void run.perform()
      return run
    }
    try {
      await begun
    } catch (error) {
      const isOwn = this.runs.get(workspace) === run
      this.drop(run)
      run.fail(error)
      // Nothing has begun. What the disk refuses again is what it has already; what took its place meanwhile has a record of its own.
      if (isOwn) await this.host.store.put(record).catch(() => undefined)
      throw error
    }
    void run.perform()
    return run
  }

  /** After a start of the companion: everything that had begun is taken back and begun again. Resolves when all of it ended. */
  async resume(): Promise<void> {
    const left = this.host.store.all().flatMap((record) => {
      const { doing } = record
      if (!doing) return []
      const way = wayOf(doing.from, doing.change)
      if (typeof way === 'string') return []
      const run = this.make(record, doing, way, undefined)
      return [run.perform({ again: true, ...(doing.failure ? { failure: doing.failure } : {}) })]
    })
    await Promise.all(left)
  }

  /** One look at everything, and what follows from it: done when it resolves, or with `isHurried` only begun. Never throws. */
  async look(isHurried = false): Promise<readonly Finding[]> {
    const { store, ports } = this.host
    const before = new Map(store.all().map((record) => [record.workspace, record]))
    const busy = new Set(this.runs.keys())
    // Records say what is owed: no host that cannot be seen keeps a fence waiting.
    const owed = findingsOf(before, { isUnfenced: false }).filter(({ workspace }) => !busy.has(workspace))
    const paid = Promise.all(owed.map((finding) => this.settle(finding)))
    const [host, fence] = await Promise.all([
      this.see('machines', () => ports.machine.look()),
      this.see('agent', () => ports.fence.look()),
    ])
    const nowMs = ports.clock.monotonicMs()
    const isAbsent = fence !== undefined && (fence.state === 'absent' || fence.state === 'nothing')
    // An answer that is missing now and then is no repair: the time goes on from the first that said so.
    if (fence) this.unfencedSinceMs = isAbsent ? (this.unfencedSinceMs ?? nowMs) : undefined
    const isUnfenced = isAbsent && nowMs - (this.unfencedSinceMs ?? nowMs) >= this.host.terms.unfencedMs
    if (host) this.tellLeft(leftLayers(before, host))
    const found = findingsOf(before, { isUnfenced, ...(host ? { host } : {}), ...(fence ? { fence } : {}) }).filter(
      // What changed while we looked is looked at again.
      ({ kind, workspace }) =>
        kind !== 'owed' &&
        !busy.has(workspace) &&
        !this.runs.has(workspace) &&
        store.get(workspace) === before.get(workspace),
    )
    const settled = Promise.all([paid, ...found.map((finding) => this.settle(finding))])
    if (!isHurried) await settled
    return [...owed, ...found]
  }

  /** A run that nobody asked for. */
  private own(workspace: string): Run | undefined {
    const run = this.runs.get(workspace)
    return run?.request.requestId === '' ? run : undefined
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.runs.size > 0) await Promise.all([...this.runs.values()].map(({ settled }) => settled))
  }

  /** Each once, for as long as it is there. */
  private tellLeft(now: readonly string[]): void {
    for (const workspace of now) if (!this.left.includes(workspace)) void this.host.tell({ kind: 'left', workspace })
    this.left = now
  }

  private async settle(finding: Finding): Promise<void> {
    const { workspace } = finding
    if (finding.kind === 'owed') return this.pay(workspace)
    const record = this.host.store.get(workspace) ?? emptyRecord(workspace)
    void this.host.tell({ kind: 'found', finding })
    const reason = finding.kind === 'reclaim' ? finding.why : finding.kind
    const run = this.make(record, ofCompanion(workspace, reason), wayFor(finding, record), undefined)
    await (finding.kind === 'reclaim' ? run : run.quietly()).perform()
  }

  /** What is owed is tried again, for one request after the other, until somebody asks for something. */
  private async pay(workspace: string): Promise<void> {
    for (const { request, steps } of debtors(this.host.store.get(workspace)?.owed ?? [])) {
      const record = this.host.store.get(workspace)
      if (!record || this.runs.has(workspace)) return
      const way = { steps, to: record.state }
      await this.make(record, ofCompanion(workspace, request.reason), way, undefined, request).quietly().perform()
    }
  }

  private make(record: WorkspaceRecord, asked: Request, way: Way, before: Run | undefined, debtor?: Request): Run {
    const over = (): void => {
      this.drop(run)
    }
    const run: Run = new Run(this.host, record, asked, way, over, debtor)
    if (before) run.follow(before)
    this.runs.set(record.workspace, run)
    return run
  }

  private drop(run: Run): void {
    if (this.runs.get(run.record.workspace) === run) this.runs.delete(run.record.workspace)
  }

  /** The answer that this request id has, or will have. Throws WORKSPACE_REQUEST when it stands for something else. */
  answered(requestId: string, digest: Request['digest'], workspace?: string): Promise<Answer> | undefined {
    for (const record of this.host.store.all()) {
      const run = this.runs.get(record.workspace)
      const underWay = run?.request.requestId === requestId ? run : undefined
      const kept = record.answers.find((answer) => answer.requestId === requestId)
      const found = underWay?.request ?? kept
      if (!found) continue
      if (found.digest !== digest) throw lifecycleFault('WORKSPACE_REQUEST', { requestId })
      if (workspace === undefined || workspace === record.workspace)
        return underWay ? underWay.answer : kept && Promise.resolve(kept)
    }
    return undefined
  }

  /** Gives an answer as it was given first: as a value, or as the fault that it was. */
  private result(answer: Answer): Answer {
    const { failure } = answer
    if (!failure) return answer
    const cause = [...failure.causes]
      .reverse()
      .reduce<Error | undefined>((inner, say) => new Error(say, { cause: inner }), undefined)
    const row = { reaction: failure.reaction, say: () => failure.message, remedy: failure.remedy }
    throw new Fault(failure.code, row, { steps: answer.steps, state: answer.state }, cause ? { cause } : {})
  }

  private async see<T>(what: 'agent' | 'machines', look: () => Promise<T>): Promise<T | undefined> {
    try {
      const seen = await look()
      if (this.unseen.delete(what)) void this.host.tell({ kind: 'seen', what, why: '' })
      return seen
    } catch (error) {
      const why = causeChain(error).join(': ')
      if (!this.unseen.has(what)) void this.host.tell({ kind: 'unseen', what, why })
      this.unseen.set(what, why)
      return undefined
    }
  }
}

/** What the companion does by itself; nobody can ask for its answer. */
const ofCompanion = (workspace: string, reason: string): Request => {
  const change: Change = 'reclaim'
  return { requestId: '', digest: requestDigest(change, workspace), change, by: 'companion', reason }
}

const wayFor = (finding: Exclude<Finding, { kind: 'owed' }>, { state }: WorkspaceRecord): Way =>
  finding.kind === 'reclaim'
    ? (wayOf(state, 'reclaim') as Way)
    : { steps: [finding.keep === null ? 'erase' : 'sweep'], to: state }

function refused(why: Refusal, { workspace, state }: WorkspaceRecord): Fault {
  switch (why) {
    case 'unknown':
      return lifecycleFault('WORKSPACE_UNKNOWN', { workspace })
    case 'exists':
      return lifecycleFault('WORKSPACE_EXISTS', { workspace })
    case 'runs':
      return lifecycleFault('WORKSPACE_RUNS', { workspace })
    case 'taken-away':
      return lifecycleFault('WORKSPACE_TAKEN_AWAY', { workspace, state })
  }
}
