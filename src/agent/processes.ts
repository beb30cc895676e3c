// What programs of the workspaces did, as the backends report it, judged against the plan that is live: a fact for each suspicion, the
// reaction that its clause asks for (fence first, then end what runs, where this node can), and a finding with what became of it.
//
// It takes no lock; a quarantine goes through the agent's own lane. A reaction that fails is told as failed and keeps none of the others
// from being carried out; it is owed, and tried again for a while, because a record out of a ring buffer does not come again. Records
// wait for the reaction to those before them, so a position that is kept never hides one.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Fact, FactOf } from '../audit/fact.js'
import type { ActivityBatch } from '../backends/backend.js'
import { Fault } from '../base/fault.js'
import { Causes, type Found } from '../findings/causes.js'
import type { Sign } from '../findings/sight.js'
import type { Slot } from '../plan/inventory.js'
import type { Plan } from '../plan/model.js'
import type { Reaction } from '../policy/model.js'
import { judgeActivity, SUSPICIONS, type Suspicion, type SuspicionText } from '../process/judge.js'
import { policyContext, workspaceContext } from './context.js'
import type { AgentNode } from './node.js'
import { Owed } from './owed.js'
import type { Activation } from './record.js'
import type { Store } from './store.js'
import type { OpenBackend } from './transaction.js'

export interface ProcessEffects {
  /** Carries out `quarantine-set`; gives the command's id. */
  readonly fence: (workspace: string, reason: string) => Promise<string>
  readonly end: (slot: Slot) => Promise<'ended' | 'elsewhere'>
  /** After the trail. */
  readonly seen: (facts: readonly Fact[]) => void
}

const TICK_MS = 500
/** A cause that was told is told again with its count when this is over. */
const COOLDOWN_MS = 900_000
/** Longest text of a program in an event. */
const SHOWN = 512

type Kind = Suspicion['kind']

interface Debt {
  readonly backend: string
  readonly workspace: string
  readonly suspicion: Suspicion
  /** What was told of it as failed. */
  readonly found: readonly Found<Kind>[]
}
/** Of each node, by its store: debts outlive one round of watching, which ends with every generation and every failure. */
const DEBTS = new WeakMap<Store, Owed<Debt>>()

function owedOf({ store }: AgentNode): Owed<Debt> {
  const owed = DEBTS.get(store) ?? new Owed<Debt>()
  DEBTS.set(store, owed)
  return owed
}

/** Runs until `signal` is aborted or the generation on record changes. Throws what a backend throws when it cannot report. */
export async function watchProcesses(node: AgentNode, effects: ProcessEffects, signal: AbortSignal): Promise<void> {
  const began = node.store.load().live?.generation
  const judging = judgingNow(node)
  const sensors = [...node.backends.values()].filter(
    ({ capabilities, driver }) => capabilities.usable && 'activities' in driver,
  )
  const judges = judging ? sensors.map((open) => new Judge(node, open, judging, effects)) : []
  const stops: (() => Promise<void>)[] = []
  try {
    for (const judge of judges) stops.push(await judge.listen())
    while (!signal.aborted && node.store.load().live?.generation === began) {
      await sleep(TICK_MS, undefined, { signal }).catch(() => undefined) // aborted: the loop's own condition ends it
      for (const judge of judges) await judge.due()
      const broken = judges.find(({ failure }) => failure !== undefined)
      if (broken) throw broken.failure
    }
  } finally {
    for (const stop of stops) await stop()
  }
}

interface Judging {
  readonly live: Activation
  readonly plan: Plan
}

function judgingNow({ store }: AgentNode): Judging | undefined {
  const { live } = store.load()
  const plan = live ? store.loadPlan(live.planDigest) : undefined
  return live && plan ? { live, plan } : undefined
}

class Judge {
  /** Why nothing more is delivered. */
  failure: unknown
  private causes: Causes<Kind>
  private readonly owed: Owed<Debt>
  /** What each open cause asks for. */
  private readonly asked = new Map<string, Suspicion>()

  constructor(
    private readonly node: AgentNode,
    private readonly open: OpenBackend,
    private of: Judging,
    private readonly effects: ProcessEffects,
  ) {
    this.causes = new Causes(node.config.node, COOLDOWN_MS)
    this.owed = owedOf(node)
  }

  listen(): Promise<() => Promise<void>> {
    const { driver } = this.open
    const failed = (error: unknown): void => {
      this.failure = error
    }
    return driver.activities?.((batch) => this.take(batch), failed) ?? Promise.resolve(() => Promise.resolve())
  }

  async due(): Promise<void> {
    for (const found of this.causes.due(this.node.nowMs())) await this.tellFinding(found, 'observed', [])
    for (const { key, what } of this.owed.due(this.node.nowMs()))
      if (what.backend === this.name) await this.again(key, what)
  }

  private get name(): string {
    return this.open.backend.name
  }

  private async again(key: string, debt: Debt): Promise<void> {
    const { workspace, suspicion, found } = debt
    const { outcome, commandIds, failure } = await this.carryOut(workspace, suspicion)
    const nowMs = this.node.nowMs()
    if (failure !== undefined) return this.owed.add(key, debt, nowMs)
    this.owed.done(key)
    this.asked.set(`${workspace} ${suspicion.kind}`, suspicion)
    for (const one of found) await this.tellFinding({ ...one, news: 'updated', atMs: nowMs }, outcome, commandIds)
  }

  private async take({ activities, lost }: ActivityBatch): Promise<void> {
    // A plan may have become live since: what is told now is judged by it, and is news under it.
    const next = this.node.store.load().live?.generation !== this.of.live.generation ? judgingNow(this.node) : undefined
    if (next) {
      this.of = next
      this.causes = new Causes(this.node.config.node, COOLDOWN_MS)
    }
    const facts = new Map<string, FactOf<'process-suspected'>>()
    const suspicions = new Map<string, Suspicion>()
    for (const { workspace, record, boundBy } of activities) {
      const judged = judgeActivity(this.sliceOf(workspace), record)
      if (!judged) continue
      // Whose record it is, only the guest says: enough to tell, and not to cut off whom it names.
      const suspicion: Suspicion = boundBy === 'interfaces' ? { ...judged, reaction: 'observe' } : judged
      const { process, connection } = record
      const key = JSON.stringify([workspace, suspicion.kind, process?.path, record.refused !== undefined, boundBy])
      const same = facts.get(key)
      suspicions.set(key, suspicion)
      const peer = connection?.peer
      facts.set(key, {
        kind: 'process-suspected',
        atMs: record.atMs ?? this.node.nowMs(),
        policy: policyContext(this.of.live),
        workspace: workspaceContext(this.of.plan, workspace),
        backend: this.open.backend.name,
        ...{
          suspicion: suspicion.kind,
          clause: suspicion.clause,
          said: record.said,
          refused: record.refused !== undefined,
        },
        ...(process
          ? {
              process: {
                ...process,
                ...(process.arguments === undefined ? {} : { arguments: process.arguments.slice(0, SHOWN) }),
              },
            }
          : {}),
        ...(peer === undefined
          ? {}
          : { peer: { address: peer, ...(connection?.peerPort === undefined ? {} : { port: connection.peerPort }) } }),
        ...(boundBy ? { boundBy } : {}),
        ...(same ? { atMs: same.atMs } : {}),
        count: (same?.count ?? 0) + 1,
      })
    }
    if (lost > 0) await this.tell([{ kind: 'audit-lost', atMs: this.node.nowMs(), cause: 'unreported', lost }])
    await this.tell([...facts.values()])
    const failures: unknown[] = []
    for (const [key, suspicion] of suspicions)
      await this.react(suspicion, facts.get(key)).catch((error: unknown) => failures.push(error))
    // All were told first; then whoever keeps this part running hears of it, and a sensor that can delivers the records again.
    if (failures.length > 0) throw failures[0]
  }

  private sliceOf(workspace: string) {
    return this.of.plan.workspaces.find((entry) => entry.workspace === workspace)?.process
  }

  /** Fences before anything is told of it. */
  private async react(suspicion: Suspicion, fact: FactOf<'process-suspected'> | undefined): Promise<void> {
    if (!fact) return
    const { workspace } = fact.workspace
    const found = this.causes.take(this.signOf(suspicion, fact))
    this.asked.set(`${workspace} ${suspicion.kind}`, suspicion)
    const { outcome, commandIds, failure } = await this.carryOut(workspace, suspicion)
    const key = `${this.name} ${workspace} ${suspicion.kind}`
    if (failure !== undefined)
      this.owed.add(key, { backend: this.name, workspace, suspicion, found }, this.node.nowMs())
    else if (suspicion.reaction !== 'observe') this.owed.done(key)
    for (const one of found) await this.tellFinding(one, outcome, commandIds)
    if (failure !== undefined) throw failure
  }

  private async carryOut(
    workspace: string,
    { kind, reaction }: Suspicion,
  ): Promise<{ outcome: FactOf<'finding'>['outcome']; commandIds: readonly string[]; failure?: Fault }> {
    if (reaction === 'observe') return { outcome: 'observed', commandIds: [] }
    try {
      const held = this.node.store.quarantines().some((entry) => entry.workspace === workspace)
      // Who is in quarantine already is not fenced again by every record.
      const commandIds = held ? [] : [await this.effects.fence(workspace, `${kind}: ${SUSPICIONS[kind].title}`)]
      if (reaction !== 'kill') return { outcome: 'done', commandIds }
      const slot = this.of.plan.workspaces.find((entry) => entry.workspace === workspace)?.slot
      const ended = slot ? await this.effects.end(slot) : 'elsewhere'
      return { outcome: ended === 'ended' ? 'done' : 'fenced', commandIds }
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return { outcome: 'failed', commandIds: [], failure: error }
    }
  }

  private signOf({ kind }: Suspicion, fact: FactOf<'process-suspected'>): Sign<Kind> {
    const { workspace, atMs, count, process, peer, backend, said } = fact
    const text: SuspicionText = SUSPICIONS[kind]
    const what = process?.path ?? process?.name ?? said
    return {
      finding: kind,
      cause: `${workspace.workspace} ${kind}`,
      atMs,
      count,
      subject: { workspace, reach: [workspace.workspace], ...(fact.policy ? { policy: fact.policy } : {}) },
      beyond: {
        say: `${what}${peer === undefined ? '' : `, talking to ${peer.address}`}: told by ${backend}`,
        firstAtMs: atMs,
        count,
        evidence: {
          sensor: backend,
          said,
          ...(process ? { pid: process.pid, path: process.path ?? '', arguments: process.arguments ?? '' } : {}),
          ...(process?.digest === undefined ? {} : { digest: process.digest }),
          ...(peer === undefined ? {} : { peer: peer.address, peer_port: peer.port ?? 0 }),
          clause: fact.clause,
        },
        ...(text.technique ? { technique: text.technique } : {}),
      },
    }
  }

  private async tellFinding(
    found: Found<Kind>,
    outcome: FactOf<'finding'>['outcome'],
    commandIds: readonly string[],
  ): Promise<void> {
    const { finding, uid, news, atMs, firstAtMs, count, subject, beyond } = found
    const { title, severity, confidence, remedy }: SuspicionText = SUSPICIONS[finding]
    const { workspace, policy } = subject
    const reaction: Reaction = this.asked.get(`${workspace?.workspace ?? ''} ${finding}`)?.reaction ?? 'observe'
    await this.tell([
      {
        kind: 'finding',
        ...{ finding, uid, news, title, severity, confidence, remedy, say: beyond.say },
        ...(policy ? { policy } : {}),
        ...(workspace ? { workspace } : {}),
        ...{ atMs, firstAtMs, count, evidence: beyond.evidence, afterSequence: 0 },
        ...(beyond.technique ? { technique: beyond.technique } : {}),
        ...{ reaction, outcome, commandIds },
      },
    ])
  }

  private async tell(facts: readonly Fact[]): Promise<void> {
    if (facts.length === 0) return
    await this.node.emit(facts)
    this.effects.seen(facts)
  }
}
