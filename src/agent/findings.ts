// Findings on a node: what the agent tells the trail goes past the detectors, questions for names and lifecycle calls as well.
// What they find is reacted to first, by the commands that everybody uses, and told then, with what became of the reaction. Nothing
// here ever lets a workspace out. A reaction that fails is told so and tried again until it is done, or until an operator lets the
// workspace out; once the fence stands, only the end of what runs there is still owed, and asked for ever less often.

import type { Fact, FactOf } from '../audit/fact.js'
import { Fault } from '../base/fault.js'
import { CATALOGUE } from '../findings/catalogue.js'
import type { Found, OpenCause } from '../findings/causes.js'
import { Detection } from '../findings/detect.js'
import { isRollback } from '../findings/rollback-attempt.js'
import type { Sight } from '../findings/sight.js'
import { type FindingKind, type FindingTerms, type Reaction, reactionsOf } from '../findings/terms.js'

export interface FindingsHost {
  /** SPIFFE URI of this node. */
  readonly node: string
  readonly nowMs: () => number
  /** The last sequence number of the trail that is on disk. */
  readonly sequence: () => number
  /** Into the trail, and not past the detectors again. */
  readonly tell: (facts: readonly Fact[]) => Promise<void>
  /** Workspaces of the plan that is live; throws when the record cannot be read. */
  readonly planned: () => readonly string[]
  /** Carries out `quarantine-set`; gives the command's id. */
  readonly fence: (workspace: string, reason: string) => Promise<string>
  /** See kill.ts. */
  readonly end: (workspace: string) => Promise<'ended' | 'elsewhere'>
  /** Something failed and is tried again. */
  readonly failed: (error: unknown) => void
}

type Outcome = FactOf<'finding'>['outcome']
interface Reacted {
  readonly outcome: Outcome
  readonly commandIds: readonly string[]
}

/** A reaction under way, or owed. */
interface Debt {
  readonly found: Found<FindingKind>
  readonly workspace: string
  fenced: boolean
  underWay: boolean
  dueAtMs: number
  waitMs: number
}

const TICK_MS = 1_000
const LONGEST_WAIT_MS = 60_000
/** A finding is told after its reaction, and not much later, whatever holds that up. */
const PATIENCE_MS = 5_000
/** Longer than any window. */
const REMEMBERED_MS = 3_700_000

export class Findings {
  private readonly detection: Detection
  private readonly reactions: Readonly<Record<FindingKind, Reaction>>
  private readonly under = new Set<Promise<void>>()
  private readonly owed = new Map<string, Debt>()
  /** Where the trail was, second by second. */
  private readonly marks: { atMs: number; sequence: number }[] = []
  private timer: NodeJS.Timeout | undefined

  constructor(
    private readonly host: FindingsHost,
    terms: FindingTerms,
  ) {
    this.detection = new Detection(host.node, terms)
    this.reactions = reactionsOf(terms)
  }

  start(): void {
    this.timer = setInterval(() => {
      this.look()
    }, TICK_MS)
  }

  /** Ends when what is under way has been told. */
  async close(): Promise<void> {
    clearInterval(this.timer)
    await Promise.all(this.under)
  }

  /** What is about to be told; gives it as it is to be told. */
  telling(facts: readonly Fact[]): readonly Fact[] {
    this.mark()
    const rollbacks = this.reactions['rollback-attempt'] !== 'off'
    return facts.map((fact) => {
      this.seen(fact)
      return rollbacks && isRollback(fact) ? { ...fact, told: true as const } : fact
    })
  }

  seen(sight: Sight): void {
    // One that is told late says what was before this process: it pays off nothing of now.
    if (sight.kind === 'quarantine-lifted' && !sight.isLate)
      for (const [key, { workspace }] of this.owed) if (workspace === sight.workspace.workspace) this.owed.delete(key)
    this.handle(this.detection.see(sight))
  }

  open(): readonly (OpenCause<FindingKind> & { readonly reaction: Reaction })[] {
    return this.detection.open().map((one) => ({ ...one, reaction: this.reactions[one.finding] }))
  }

  /** What time asks for. */
  look(): void {
    this.mark()
    const nowMs = this.host.nowMs()
    this.handle(this.detection.due(nowMs))
    for (const debt of this.owed.values()) if (!debt.underWay && nowMs >= debt.dueAtMs) this.begin(this.pay(debt, []))
  }

  private handle(found: readonly Found<FindingKind>[]): void {
    for (const one of found) this.begin(this.carryOut(one))
  }

  private begin(work: Promise<unknown>): void {
    const settled = work.then(
      () => undefined,
      (error: unknown) => {
        this.host.failed(error)
      },
    )
    this.under.add(settled)
    void settled.then(() => this.under.delete(settled))
  }

  private async carryOut(found: Found<FindingKind>): Promise<void> {
    const { subject, beyond, ...rest } = found
    const { workspace, policy, caller } = subject
    const reaction = this.reactions[found.finding]
    const afterSequence = this.sequenceAt(found.firstAtMs)
    const { outcome, commandIds } = await this.react(found)
    const fact: Fact = {
      kind: 'finding',
      ...{ finding: rest.finding, uid: rest.uid, news: rest.news, atMs: rest.atMs, firstAtMs: rest.firstAtMs },
      ...{ count: rest.count, ...CATALOGUE[found.finding], say: beyond.say, evidence: beyond.evidence },
      ...(workspace ? { workspace } : {}),
      ...(policy ? { policy } : {}),
      ...(caller === undefined ? {} : { caller }),
      ...(beyond.technique ? { technique: beyond.technique } : {}),
      ...{ afterSequence, reaction: reaction === 'off' ? 'observe' : reaction, outcome, commandIds },
    }
    await this.host.tell([fact])
  }

  private async react(found: Found<FindingKind>): Promise<Reacted> {
    const reaction = this.reactions[found.finding]
    const reached = this.reached(found)
    if (reaction === 'observe' || reaction === 'off' || reached.length === 0)
      return { outcome: 'observed', commandIds: [] }
    let late: NodeJS.Timeout | undefined
    const patience = new Promise<Reacted>((resolve) => {
      late = setTimeout(() => {
        resolve({ outcome: 'failed', commandIds: [] })
      }, PATIENCE_MS)
    })
    const done = await Promise.race([this.reactTo(found, reached), patience])
    clearTimeout(late)
    return done
  }

  /** Fences first, each on its own; what fails is owed. */
  private async reactTo(found: Found<FindingKind>, workspaces: readonly string[]): Promise<Reacted> {
    const commandIds: string[] = []
    let outcome: Outcome = 'done'
    for (const workspace of workspaces) {
      const debt: Debt = { found, workspace, fenced: false, underWay: false, dueAtMs: 0, waitMs: TICK_MS }
      this.owed.set(keyOf(debt), debt)
      const became = await this.pay(debt, commandIds)
      if (became === 'failed' || outcome === 'done') outcome = became
    }
    return { outcome, commandIds }
  }

  private async pay(debt: Debt, commandIds: string[]): Promise<Outcome> {
    const { found, workspace } = debt
    const key = keyOf(debt)
    // Not after the workspace was let out meanwhile.
    const isOwed = () => this.owed.get(key) === debt
    debt.underWay = true
    try {
      if (!debt.fenced) commandIds.push(await this.host.fence(workspace, `finding ${found.uid}: ${found.finding}`))
      debt.fenced = true
      const ends = this.reactions[found.finding] === 'kill' && isOwed()
      const outcome = ends && (await this.host.end(workspace)) === 'elsewhere' ? 'fenced' : 'done'
      if (isOwed()) this.owed.delete(key)
      return outcome
    } catch (error) {
      this.host.failed(error)
      // One that nobody can ever carry out is not tried again.
      if (error instanceof Fault && error.reaction === 'reject' && isOwed()) this.owed.delete(key)
      if (debt.fenced) {
        debt.dueAtMs = this.host.nowMs() + debt.waitMs
        debt.waitMs = Math.min(2 * debt.waitMs, LONGEST_WAIT_MS)
      }
      debt.underWay = false
      return 'failed'
    }
  }

  /** Only workspaces of the plan: names that a caller made up are nobody's to fence. */
  private reached({ subject: { reach } }: Found<FindingKind>): readonly string[] {
    try {
      const planned = this.host.planned()
      return reach === 'node' ? planned : planned.filter((workspace) => reach.includes(workspace))
    } catch (error) {
      // A record that cannot be read keeps no workspace open: the command asks the kernel.
      if (error instanceof Fault) return reach === 'node' ? [] : reach
      throw error
    }
  }

  private mark(): void {
    const [atMs, sequence] = [this.host.nowMs(), this.host.sequence()]
    const last = this.marks.at(-1)
    if (last && atMs - last.atMs < TICK_MS) return
    this.marks.push({ atMs, sequence })
    while ((this.marks[0]?.atMs ?? atMs) < atMs - REMEMBERED_MS) this.marks.shift()
  }

  /** The last that was on disk then, as far as is known. */
  private sequenceAt(atMs: number): number {
    return this.marks.findLast((mark) => mark.atMs <= atMs)?.sequence ?? this.marks[0]?.sequence ?? 0
  }
}

const keyOf = ({ found, workspace }: Pick<Debt, 'found' | 'workspace'>): string => `${found.uid} ${workspace}`
