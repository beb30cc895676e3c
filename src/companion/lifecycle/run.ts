// One operation on one workspace, from its record to its answer: carries out the steps, bounds each in time, takes back or owes what
// failed, and stops at once when a kill or a revoke takes its place. What it had under way then is waited for by whoever took over,
// and cleaned up behind it, so that nothing comes up after a kill.

import { causeChain, Fault } from '../../base/fault.js'
import { owedAfter, owedSince, unpaid } from './debts.js'
import { LIFECYCLE_FAULTS, lifecycleFault } from './errors.js'
import type { LifecycleHost } from './lifecycle.js'
import { type Change, preempts, type Step, TAKE_DOWN, type Way } from './operations.js'
import { SESSIONS_MS } from './ports.js'
import {
  type Answer,
  type Debt,
  type Failure,
  owedSteps,
  type Request,
  type StepDone,
  type WorkspaceRecord,
  withAnswer,
} from './record.js'
import { CARRY, type StepGave, type StepRun } from './steps.js'

/**
 * How long a step may take before it counts as failed. Those of a kill are short, since what fails is owed and tried again; a bake
 * reads a whole image.
 */
const LIMIT_MS: { readonly [S in Step]: number } = {
  ...{ layer: 900_000, renew: 900_000, sweep: 60_000, released: 15_000, prepare: 120_000 },
  ...{ attach: 660_000, policy: 660_000, evidence: 150_000, run: 30_000 },
  ...{
    halt: 180_000,
    end: 20_000,
    detach: 35_000,
    unplug: 10_000,
    fence: 30_000,
    sessions: SESSIONS_MS,
    erase: 60_000,
  },
}
/** How long whoever takes over waits for what was under way. */
const SETTLE_MS = 15_000
/** The trail is written beside an operation; one that does not come back holds up no answer for longer. */
const TELL_MS = 2_000
/** Nor does a disk that hangs hold up the answer of a kill or a revoke, whose effects are what counts. */
const RECORD_MS = 5_000

export class Run implements StepRun {
  readonly signal: AbortSignal
  readonly change: Change
  readonly reason: string
  readonly requestId: string
  attachmentId = ''
  readonly answer: Promise<Answer>
  /** Whether the quarantine was read back: as soon as that step was tried; false, too, when it ends without it. Never rejects. */
  readonly fenced: Promise<boolean>
  /** Nothing of it is under way any more. */
  readonly settled: Promise<void>
  readonly steps: StepDone[] = []
  private readonly failed = new Set<Step>()
  private readonly ending = new AbortController()
  private readonly startMs: number
  private preemptedBy: Change | undefined
  /** Its answer was given: the record is that of whoever comes next. */
  private isOver = false
  private before: Run | undefined
  /** Nobody asked for it, and nobody is told of it. */
  private isQuiet = false
  /** Why it is not on record, where it is not. */
  private unrecorded: string | undefined
  /** In the trail: that it took the place of another. */
  private toldBefore: Promise<void> = Promise.resolve()
  private giveAnswer: (answer: Answer) => void = () => undefined
  private refuse: (error: unknown) => void = () => undefined
  private settle: () => void = () => undefined
  private giveFenced: (isFenced: boolean) => void = () => undefined

  constructor(
    private readonly host: LifecycleHost,
    public record: WorkspaceRecord,
    readonly request: Request,
    readonly way: Way,
    private readonly over: () => void,
    /** Whose owed steps these are: they are done, and told, in that name, which was answered before. */
    private readonly debtor?: Request,
  ) {
    this.signal = this.ending.signal
    this.change = request.change
    this.reason = (debtor ?? request).reason
    this.requestId = (debtor ?? request).requestId
    this.startMs = host.ports.clock.monotonicMs()
    this.answer = new Promise((resolve, reject) => {
      this.giveAnswer = resolve
      this.refuse = reject
    })
    // Whoever waits for the answer hears of it.
    this.answer.catch(() => undefined)
    this.fenced = new Promise((resolve) => {
      this.giveFenced = resolve
    })
    this.settled = new Promise((resolve) => {
      this.settle = () => {
        this.giveFenced(false)
        resolve()
      }
    })
  }

  /** Takes the place of a run that is under way. */
  follow(before: Run): void {
    this.before = before
    const answer = before.preempt(this.change)
    if (answer.requestId !== '') this.record = withAnswer(this.record, answer)
    const { by, reason } = before.request
    // Beside the fence, which waits for no trail.
    if (!before.isQuiet)
      this.toldBefore = this.host.tell({ kind: 'changed', answer, by, reason, record: before.record })
    if (!before.debtor) return
    // What was paid until now is paid, and told by nobody else.
    const { state, steps, elapsedMs } = answer
    const owed = unpaid(this.record.owed, steps)
    this.toldBefore = before.tellOf({ state, steps, owed: owed.map(({ step }) => step), elapsedMs })
    this.record = { ...this.record, owed }
  }

  /** Before it is performed: nobody is told of it. */
  quietly(): this {
    this.isQuiet = true
    return this
  }

  async patch(change: Partial<WorkspaceRecord>): Promise<void> {
    this.goingOn()
    this.record = { ...this.record, ...change }
    await this.host.store.put(this.record)
  }

  fail(error: unknown): void {
    this.isOver = true
    this.refuse(error)
    this.settle()
  }

  /** `again`: a crash ended it; `failure`: and it was being taken back. Never throws. */
  async perform({
    again = false,
    failure,
  }: {
    readonly again?: boolean
    readonly failure?: Failure
  } = {}): Promise<void> {
    const { undo, steps } = this.way
    try {
      let failing = failure
      if (again && undo && !failing) await this.takeBack(undo.steps)
      for (const step of failing ? [] : steps) {
        failing = await this.carry(step)
        if (failing && undo) break
        failing = undefined
      }
      if (failing && undo) {
        const { doing } = this.record
        if (doing && !doing.failure) await this.keep({ doing: { ...doing, failure: failing } })
        await this.takeBack(undo.steps)
      }
      await this.finish(failing)
    } catch (error) {
      // Whoever took over has its record, and its answer was given then.
      if (this.preemptedBy === undefined) this.refuse(error)
    } finally {
      this.isOver = true
      this.settle()
      this.over()
    }
  }

  /** Carries one step out and keeps what became of it. Gives why it failed. Throws WORKSPACE_PREEMPTED. */
  async carry(step: Step): Promise<Failure | undefined> {
    const { clock } = this.host.ports
    const [atMs, fromMs] = [clock.nowMs(), clock.monotonicMs()]
    const done = (more: Omit<StepDone, 'step' | 'atMs' | 'elapsedMs'>): void => {
      const told = { step, atMs, elapsedMs: Math.max(0, clock.monotonicMs() - fromMs), ...more }
      this.steps.push(told)
      void this.host.tell({ kind: 'step', workspace: this.record.workspace, change: this.change, done: told })
    }
    try {
      await this.begins(step)
      const gave = (await this.within(step, CARRY[step](this, this.host.ports, this.host.terms))) as
        | StepGave
        | undefined
      this.goingOn()
      this.failed.delete(step)
      done({ outcome: 'done', ...(gave ?? {}) })
      if (step === 'fence') this.giveFenced(true)
      return undefined
    } catch (error) {
      if (this.preemptedBy !== undefined) throw error
      this.failed.add(step)
      const late = error instanceof Fault && error.code === 'WORKSPACE_STEP_LATE'
      done({ outcome: late ? 'late' : 'failed', why: causeChain(error).join(': ') })
      if (step === 'fence') this.giveFenced(false)
      return this.failureOf(step, error)
    }
  }

  /** What is on record from now on, and the answer. Never throws but WORKSPACE_PREEMPTED. */
  async finish(failure?: Failure): Promise<Answer> {
    if (this.before) await this.cleanUp(this.before)
    const { way, request, host, steps } = this
    const state = failure && way.undo ? way.undo.to : way.to
    const owed = this.owed()
    const { requestId, digest, change } = request
    const elapsedMs = Math.max(0, host.ports.clock.monotonicMs() - this.startMs)
    const done = { state, steps, owed: owed.map(({ step }) => step), elapsedMs, ...(failure ? { failure } : {}) }
    const answer: Answer = { requestId, digest, change, ...done }
    const gone = state === 'absent' ? { profile: null, image: '' } : {}
    // Told before it is settled: what a crash ends between the two is told again, and never not at all.
    await Promise.race([Promise.all([this.toldBefore, this.tellOf(done)]), host.ports.clock.sleep(TELL_MS)])
    const kept = this.isQuiet || requestId === '' ? this.record : withAnswer(this.record, answer)
    const recorded = this.keep({ answers: kept.answers, state, owed, doing: null, ...gone })
    await (preempts(change) ? this.atMost(RECORD_MS, recorded) : recorded)
    this.isOver = true
    const given = this.unrecorded === undefined ? answer : { ...answer, unrecorded: this.unrecorded }
    this.giveAnswer(given)
    this.settle()
    this.over()
    return given
  }

  /** What was owed is told as soon as any of it is done, in the name of whoever it is owed to. */
  private tellOf(done: Omit<Answer, keyof Request>): Promise<void> {
    const { debtor, host } = this
    const paid = debtor ? done.steps.filter(({ outcome }) => outcome === 'done').map(({ step }) => step) : []
    if (this.isQuiet && paid.length === 0) return Promise.resolve()
    const { requestId, digest, change, by, reason } = debtor ?? this.request
    const record = { ...this.record, state: done.state }
    const later = debtor ? { owedSinceMs: owedSince(this.record.owed, paid) } : {}
    return host.tell({ kind: 'changed', answer: { requestId, digest, change, ...done }, by, reason, record, ...later })
  }

  /** In memory it holds at once; on the disk it will, or not, and that is told. */
  private async atMost(ms: number, recorded: Promise<void>): Promise<void> {
    const over = new AbortController()
    const late = this.host.ports.clock.sleep(ms, over.signal).then(() => {
      if (!over.signal.aborted) this.unkept(new TypeError(`the disk did not take it within ${ms} ms`))
    })
    try {
      await Promise.race([recorded, late])
    } finally {
      over.abort()
    }
  }

  /** The disk refuses, and what is done goes on: told once. */
  unkept(error: unknown): void {
    if (this.unrecorded !== undefined) return
    const why = causeChain(error).join(': ')
    this.unrecorded = why
    void this.host.tell({ kind: 'unrecorded', workspace: this.record.workspace, why })
  }

  private owed(): readonly Debt[] {
    const { steps, request, way } = this
    // Of what was owed before, and failed again, nothing is new.
    if (this.debtor) return unpaid(this.record.owed, steps)
    const failed = [...this.failed].filter((step) => !way.undo || way.undo.steps.includes(step))
    return owedAfter(this.record.owed, { steps, failed, request, nowMs: this.host.ports.clock.nowMs() })
  }

  private async takeBack(steps: readonly Step[]): Promise<void> {
    for (const step of steps) await this.carry(step)
  }

  /** What was under way may have come to its end after ours: it is taken down once more, and for as long as it goes on, later too. */
  private async cleanUp(before: Run): Promise<void> {
    const { clock } = this.host.ports
    const isSettled = await Promise.race([
      before.settled.then(() => true),
      clock.sleep(SETTLE_MS, this.signal).then(() => false),
    ])
    await this.takeBack(TAKE_DOWN)
    if (!isSettled) for (const step of TAKE_DOWN) this.failed.add(step)
  }

  private preempt(by: Change): Answer {
    this.preemptedBy = by
    const { requestId, digest, change } = this.request
    const failure = this.failureAs(this.preempted(), 'what it had begun is taken down')
    const { state } = this.record
    const elapsedMs = Math.max(0, this.host.ports.clock.monotonicMs() - this.startMs)
    const done = { state, steps: [...this.steps], owed: owedSteps(this.record), elapsedMs }
    const answer = { requestId, digest, change, ...done, failure }
    this.giveAnswer(answer)
    this.giveFenced(false)
    this.ending.abort()
    return answer
  }

  /** A step that ends after its time finds here that nobody waits for it any more. */
  private goingOn(): void {
    if (this.preemptedBy !== undefined) throw this.preempted()
    if (this.isOver) throw lifecycleFault('WORKSPACE_STEP_LATE', { step: this.change, ms: 0, why: 'it is over' })
  }

  private readonly preempted = (): Fault =>
    lifecycleFault('WORKSPACE_PREEMPTED', {
      workspace: this.record.workspace,
      operation: this.change,
      by: this.preemptedBy ?? '',
    })

  /**
   * On record before it is begun. A disk that refuses ends what can be taken back; what narrows goes on, and what fences does not even
   * wait for the disk. */
  private async begins(step: Step): Promise<void> {
    const { doing } = this.record
    if (!doing || preempts(this.change)) return
    if (this.way.undo && !doing.failure) await this.patch({ doing: { ...doing, step } })
    else await this.keep({ doing: { ...doing, step } })
  }

  /** As `patch`, where a disk that refuses changes nothing of what is done. */
  private async keep(change: Partial<WorkspaceRecord>): Promise<void> {
    try {
      await this.patch(change)
    } catch (error) {
      if (this.preemptedBy !== undefined) throw error
      this.unkept(error)
    }
  }

  private async within(step: Step, effect: Promise<unknown>): Promise<unknown> {
    // What comes after its time is nobody's any more.
    effect.catch(() => undefined)
    const { clock } = this.host.ports
    const ms = LIMIT_MS[step]
    const over = new AbortController()
    const late = clock.sleep(ms, over.signal).then(() => {
      throw lifecycleFault('WORKSPACE_STEP_LATE', { step, ms, why: '' })
    })
    late.catch(() => undefined)
    try {
      return await Promise.race([effect, late])
    } finally {
      over.abort()
    }
  }

  private failureOf(step: Step, error: unknown): Failure {
    const { workspace } = this.record
    const after = this.way.undo ? `it is ${this.way.undo.to} again` : 'the other steps were done'
    const row = LIFECYCLE_FAULTS.WORKSPACE_STEP
    const reaction = error instanceof Fault ? error.reaction : 'bug'
    const detail = { workspace, operation: this.change, step, after }
    return this.failureAs(new Fault('WORKSPACE_STEP', { ...row, reaction }, detail, { cause: error }))
  }

  private failureAs(fault: Fault, why?: string): Failure {
    const { code, reaction, message, remedy, cause } = fault
    const inner =
      cause instanceof Fault
        ? [`${cause.code}: ${cause.message}`, ...causeChain(cause).slice(1)]
        : causeChain(fault).slice(1)
    return { code, reaction, message, remedy, causes: why === undefined ? inner : [...inner, why] }
  }
}
