// The loop of a running agent: takes commands of every interface one at a time, with a lane of their own for quarantines;
// looks at time and at what is live when loop-decide.ts says so, and repairs what differs. Everything that it knows across
// two turns is in the store or is a hint that may be lost, so that a kill at any instruction is a restart and no more.

import { Fault } from '../base/fault.js'
import type { Command, CommandOf, QuarantineCommand } from './command.js'
import { type Answers, carry, isFirst, isUrgent, needsNoTrust } from './loop-carry.js'
import {
  decidePulse,
  type Finding,
  firstPulse,
  idleMs,
  PULSE,
  type Pulse,
  type PulseEvent,
  type PulseTerms,
} from './loop-decide.js'
import { Lane } from './loop-lane.js'
import { type Lost, look, tellBack, tellLost } from './loop-repair.js'
import type { AgentNode } from './node.js'
import { fence, type Quarantined } from './quarantine.js'
import { forgetTold } from './untold.js'

export interface LoopEffects {
  /** The node with the trust root as it is now; for what asks for no signature also without one. Throws AGENT_CONFIG_READ, BUNDLE_ROOT. */
  readonly node: (fencing?: boolean) => Promise<AgentNode>
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number
  /** Resolves after that long, or at once when woken; never rejects. */
  readonly sleep: (ms: number, wake: AbortSignal) => Promise<void>
  readonly commandId: () => string
  /** Puts a heartbeat into the trail; never rejects. */
  readonly beat?: () => Promise<void>
  /** A turn came to its end; the age of the oldest command that is under way, in milliseconds. Never throws. */
  readonly turned?: (oldestMs: number) => void
  /** What a turn did or could not do, for the log; never throws. */
  readonly tell: (line: LoopLine) => void
}

export type LoopLine =
  | {
      readonly kind: 'carried'
      readonly command: Command['kind']
      readonly by: string
      readonly elapsedMs: number
      readonly failed: boolean
      /** Whom it was about, where it names one. */
      readonly workspace?: string
    }
  | { readonly kind: 'failed'; readonly during: Command['kind'] | 'sweep'; readonly error: unknown }
  | { readonly kind: 'drift'; readonly drift: readonly string[] }
  /** What is live was read back as planned, after it was not, or after nothing was live. */
  | { readonly kind: 'whole' }

/** Who asks for what the agent does by itself. */
const SELF = 'sluice'

export interface LoopCounters {
  /** Repairs that changed something, and looks or repairs that failed. */
  readonly repairs: number
  readonly failures: number
  readonly sweeps: number
  /** Commands that have not begun, by lane. */
  readonly waiting: { readonly work: number; readonly fence: number }
}

export class Loop {
  private readonly work = new Lane('work')
  private readonly fence = new Lane('quarantine')
  /** Receipts and events of fences and lifts that are done, one after another. */
  private telling: Promise<unknown> = Promise.resolve()
  private pulse: Pulse
  private wake = new AbortController()
  private unwatch: (() => void)[] = []
  /** The last sweep read back what was planned. */
  private whole = true
  private lost: Lost | undefined
  private readonly counts = { repairs: 0, failures: 0, sweeps: 0 }
  /** When each command that is under way began, by an identity of its own. */
  private readonly begun = new Map<object, number>()

  constructor(
    private readonly effects: LoopEffects,
    private readonly terms: PulseTerms = PULSE,
  ) {
    this.pulse = firstPulse(effects.monotonicMs(), terms)
  }

  /** Carries out a command in its turn. Throws AGENT_QUEUE_FULL, AGENT_STOPPING, and what the command is refused for. */
  async run<K extends Command['kind']>(command: CommandOf<K>): Promise<Answers[K]> {
    if (isUrgent(command)) {
      const { told } = await this.fenceNow(command as CommandOf<'quarantine-set'>)
      return told as Promise<Answers[K]>
    }
    return this.work.run(
      () =>
        this.timed(command, async () => {
          if (command.kind === 'quarantine-lift') return (await this.lift(command)) as Answers[K]
          return carry<K>(await this.effects.node(needsNoTrust(command)), command)
        }),
      isFirst(command),
    )
  }

  /**
   * Resolves when the fence is read back and on record, and frees its lane: `told` has the receipt, when it is signed and the trail
   * was told, in the order of the fences. Throws as `run`.
   */
  async fenceNow(
    command: CommandOf<'quarantine-set'>,
  ): Promise<{ readonly done: Quarantined; readonly told: Promise<Quarantined> }> {
    const { done, told: tell } = await this.fence.run(() =>
      this.timed(command, async () => fence(await this.effects.node(true), command)),
    )
    return { done, told: this.inOrder(tell) }
  }

  private async lift(command: QuarantineCommand): Promise<Quarantined> {
    // Until then it would be let out, and what was cut and drained could not be told from what comes after.
    await this.telling
    const node = await this.effects.node(needsNoTrust(command))
    const { told } = await fence(node, command)
    // A fence that is set from now on is told after it.
    const answer = await this.inOrder(told)
    await forgetTold(node)
    return answer
  }

  private inOrder(tell: () => Promise<Quarantined>): Promise<Quarantined> {
    const told = this.telling.then(tell)
    this.telling = told.catch(() => undefined) // whoever waits for this one has the failure
    return told
  }

  private async timed<T>(command: Command, act: () => Promise<T>): Promise<T> {
    const startMs = this.effects.monotonicMs()
    const { kind, by } = command
    this.begun.set(command, startMs)
    let failed = true
    try {
      const answer = await act()
      failed = false
      return answer
    } finally {
      this.begun.delete(command)
      const elapsedMs = this.effects.monotonicMs() - startMs
      const about = 'workspace' in command ? { workspace: command.workspace } : {}
      this.effects.tell({ kind: 'carried', command: kind, by, elapsedMs, failed, ...about })
    }
  }

  counters(): LoopCounters {
    return { ...this.counts, waiting: { work: this.work.waiting, fence: this.fence.waiting } }
  }

  /** Tends, sweeps and repairs until the signal is aborted; then commands that run come to their end. */
  async serve(signal: AbortSignal): Promise<void> {
    const stop = (): void => {
      this.wake.abort()
    }
    signal.addEventListener('abort', stop)
    try {
      await this.listen()
      while (!signal.aborted) {
        await this.turn()
        this.effects.turned?.(this.oldestMs())
        if (signal.aborted) break
        await this.effects.sleep(idleMs(this.pulse, this.effects.monotonicMs()), this.wake.signal)
        if (this.wake.signal.aborted && !signal.aborted) this.wake = new AbortController()
      }
    } finally {
      signal.removeEventListener('abort', stop)
      for (const end of this.unwatch.splice(0)) end()
      await Promise.all([this.work.close(), this.fence.close()])
      await this.telling
    }
  }

  /** Hears from the backends when somebody changed what the fence rests on. */
  private async listen(): Promise<void> {
    const { backends } = await this.effects.node(true)
    for (const { driver } of backends.values()) {
      const end = driver.watch?.(() => {
        this.note({ kind: 'changed' })
        this.wake.abort()
      })
      if (end) this.unwatch.push(end)
    }
  }

  private note(event: PulseEvent) {
    const { pulse, acts } = decidePulse(this.pulse, event, this.effects.monotonicMs(), this.terms)
    this.pulse = pulse
    return acts
  }

  private async turn(): Promise<void> {
    for (const act of this.note({ kind: 'time' })) {
      if (act === 'tend') await this.attempt('tend')
      else if (act === 'sweep') await this.sweep()
      else if (act === 'beat') await this.effects.beat?.()
    }
  }

  private oldestMs(): number {
    const nowMs = this.effects.monotonicMs()
    return nowMs - Math.min(nowMs, ...this.begun.values())
  }

  private async sweep(): Promise<void> {
    this.counts.sweeps++
    try {
      // In its turn, so that an activation that is under way is not taken for drift.
      const { finding, drift } = await this.work.run(async () => look(await this.effects.node(true)))
      if (drift.length > 0) this.effects.tell({ kind: 'drift', drift })
      await this.found(finding)
      for (const act of this.note({ kind: 'swept', finding })) if (act === 'repair') await this.repair()
    } catch (error) {
      this.failed('sweep', error)
      await this.lose(error)
      this.note({ kind: 'sweep-failed' })
    }
  }

  private async found(finding: Finding): Promise<void> {
    const { lost } = this
    // A node that holds nothing has no fence to be read back: it is whole with its first plan.
    const whole = finding === 'as-planned'
    this.lost = undefined
    // What is to be repaired tells so by itself.
    if (lost && (whole || finding === 'nothing-held')) await tellBack(await this.effects.node(true), lost)
    if (whole && !this.whole) this.effects.tell({ kind: 'whole' })
    this.whole = whole
  }

  /** Told to the trail once, however often it is asked in vain. */
  private async lose(error: unknown): Promise<void> {
    this.whole = false
    if (this.lost || !(error instanceof Fault) || error.code !== 'AGENT_BACKEND_LOST') return
    this.lost = await tellLost(await this.effects.node(true), error)
  }

  private async repair(): Promise<void> {
    const answer = await this.attempt('repair')
    if (answer && answer.kind !== 'nothing') this.counts.repairs++
    this.note({ kind: answer ? 'repaired' : 'repair-failed' })
  }

  private async attempt<K extends 'tend' | 'repair'>(kind: K): Promise<Answers[K] | undefined> {
    try {
      const command = { kind, by: SELF, commandId: this.effects.commandId() } as CommandOf<K>
      return await this.run<K>(command)
    } catch (error) {
      this.failed(kind, error)
      return undefined
    }
  }

  /** Told and tried again later; a defect of ours as well, because a fence is better kept by a limping agent than by none. */
  private failed(during: Command['kind'] | 'sweep', error: unknown): void {
    if (error instanceof Fault && error.code === 'AGENT_STOPPING') return
    this.counts.failures++
    this.effects.tell({ kind: 'failed', during, error })
  }
}
