// The mediator of one node, with its lifetime: sockets on the fence's addresses, the story behind them, and a look every few
// seconds that puts plan, ledger and kernel in agreement (requirement 2 of the egress sheet). Whoever hosts it hands in the
// effects; it opens no backend, no file and no clock by itself.
//
// `start` adopts what was remembered and answers nothing before that is in the kernel; `stop` closes the sockets, and the
// grants stay until they expire. After a change of plan call `look`, or wait for the next one.

import type { LearnedGrant, Plan, WorkspaceId } from '../plan/model.js'
import type { Standing } from './admit.js'
import { Budgets, budgetKey, type LabelReport } from './budget.js'
import { CounterSet, type Counters } from './counters.js'
import { type Client, EventFold, type NameEvent, type Told } from './events.js'
import { Ledger } from './ledger.js'
import { Listeners, whose } from './listeners.js'
import { type Asking, hasBasis, type Rcode, type Reply, Story } from './mediate.js'
import type { Recalled } from './memory.js'
import type { Upstream } from './model.js'
import { GrantQueue } from './queue.js'

const LOOK_MS = 5_000
const TELL_MS = 250
/** Names of one wildcard that a workspace may ask, unless the node's configuration says otherwise. */
export const WILDCARD_NAMES = 32

/** The kernel's side, as the backends show it. */
export interface Kernel {
  /** As `Driver.learn` of the backend that holds each workspace. */
  learn(generation: number, grants: readonly LearnedGrant[]): Promise<boolean>
  /** Every learned grant that is in the kernel under that generation; undefined when another one is live. */
  observe(generation: number): Promise<readonly LearnedGrant[] | undefined>
}

export interface MediatorPorts {
  /** The plan on record with its flags, as of now. Called for every question, so it must be cheap. */
  readonly standing: () => Standing | undefined
  readonly kernel: Kernel
  readonly upstream: Upstream
  /** What an earlier run left, for this boot of the machine. */
  readonly recalled: Recalled
  /** Keeps what is remembered, whole or not at all. Throws what the disk says. */
  readonly keep: (memory: Omit<Recalled, 'lost'>) => void
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** Milliseconds of a clock that never goes back, with a fraction. */
  readonly tickMs: () => number
  /** Takes what is to be put into the trail. Must not throw and is not waited for. */
  readonly tell: (events: readonly Told[]) => void
  /** As in `Ports` of the story. */
  readonly asked?: (client: Client, name: string, rcode: Rcode) => void
  /** A look or a write to disk failed; the next one tries again. */
  readonly failed: (error: unknown) => void
}

export interface MediatorSettings {
  readonly wildcardNames: number
}

/** Two names that the policy tells apart, on one address, now. */
export interface SharedAddress {
  readonly workspace: WorkspaceId
  readonly address: string
  readonly names: readonly string[]
}

export interface MediatorStatus {
  readonly generation: number | null
  readonly open: readonly string[]
  readonly missing: Readonly<Record<string, string>>
  readonly learned: number
  readonly shared: readonly SharedAddress[]
  readonly labels: readonly LabelReport[]
}

export class Mediator {
  private readonly ledger = new Ledger()
  private readonly budgets: Budgets
  private readonly count = new CounterSet()
  private readonly fold = new EventFold()
  private readonly queue: GrantQueue
  private readonly story: Story
  private readonly listeners: Listeners
  private pending: Told[] = []
  private timers: NodeJS.Timeout[] = []
  private looking: Promise<void> | undefined
  private again = false
  /** What the last look stood on. */
  private stood: Standing | undefined
  private dirty = false
  private nextLookMs = 0

  constructor(
    private readonly ports: MediatorPorts,
    settings: MediatorSettings,
  ) {
    this.budgets = new Budgets(settings.wildcardNames, ports.recalled.spent)
    this.queue = new GrantQueue((generation, grants) => this.ports.kernel.learn(generation, grants))
    this.story = new Story(
      {
        standing: ports.standing,
        upstream: ports.upstream,
        write: (generation, grants) => {
          this.dirty ||= grants.length > 0
          return this.queue.write(generation, grants)
        },
        remember: () => this.save(),
        nowMs: ports.nowMs,
        tickMs: ports.tickMs,
        tell: (event) => this.take(event),
        ...(ports.asked ? { asked: ports.asked } : {}),
      },
      this.ledger,
      this.budgets,
      this.count,
    )
    this.listeners = new Listeners(
      (place) => (query, from, transport) =>
        this.resolve(
          {
            workspace: this.whose(place, from.address),
            address: from.address,
            port: from.port,
            server: place.address,
            transport,
          },
          query,
        ),
      this.count,
    )
  }

  /** Resolves when the first look is done: what was remembered is in the kernel, and the sockets that can be open are. */
  async start(): Promise<void> {
    for (const { workspace, held } of this.ports.recalled.held)
      for (const one of held) this.ledger.adopt(workspace, one)
    await this.look()
    const every = (ms: number, act: () => void): void => {
      this.timers.push(setInterval(act, ms))
    }
    every(TELL_MS, () => {
      this.deliver(this.ports.nowMs())
      if (this.ports.tickMs() >= this.nextLookMs || this.ports.standing() !== this.stood) void this.look()
    })
  }

  async stop(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer)
    this.timers = []
    await this.listeners.close()
    await this.looking
    if (this.dirty) this.save()
    this.deliver(Number.POSITIVE_INFINITY)
    await this.ports.upstream.close()
  }

  /** One question, however it came. Never throws. */
  resolve(client: Client, asking: Asking): Promise<Reply> {
    return this.story.answer(client, asking)
  }

  /**
   * Puts plan, ledger and kernel in agreement: sockets of the plan, nothing held without a basis, every held grant in the
   * kernel, nothing in the kernel that is not held. Never throws.
   */
  async look(): Promise<void> {
    if (this.looking) {
      // One that is under way may have read the plan before it changed.
      this.again = true
      return this.looking
    }
    this.looking = this.lookUntilSettled()
    await this.looking
    this.looking = undefined
  }

  private async lookUntilSettled(): Promise<void> {
    do {
      this.again = false
      const startMs = this.ports.tickMs()
      try {
        await this.agree()
      } catch (error) {
        this.ports.failed(error)
      }
      // A look at many grants takes its time: it must not be all that the process does.
      const tookMs = this.ports.tickMs() - startMs
      this.nextLookMs = this.ports.tickMs() + Math.max(LOOK_MS, 20 * tookMs)
    } while (this.again)
  }

  private async agree(): Promise<void> {
    const standing = this.ports.standing()
    this.stood = standing
    await this.listeners.follow(standing?.plan)
    if (!standing) return
    const { generation, plan } = standing
    this.ledger.prune(this.ports.nowMs(), (workspace, held) => hasBasis(standing, workspace, held))
    for (const { workspace, network } of plan.workspaces)
      if (network.dns?.sharedAddresses === false) this.ledger.part(workspace, this.ports.nowMs())
    if (this.budgets.retain((workspace, key) => isBudgetLive(plan, workspace, key))) this.dirty = true
    const seen = await this.ports.kernel.observe(generation)
    if (seen && this.ports.standing()?.generation === generation) await this.mend(standing, seen)
    if (this.dirty) this.save()
  }

  private async mend(standing: Standing, seen: readonly LearnedGrant[]): Promise<void> {
    const { generation } = standing
    const wanted = new Map(this.ledger.grants(this.ports.nowMs()).map((grant) => [tupleOf(grant), grant]))
    const there = new Set(seen.map(tupleOf))
    const missing = [...wanted].flatMap(([key, grant]) => (there.has(key) ? [] : [{ ...grant, generation }]))
    // One that has expired is taken away.
    const stray = seen
      .filter((grant) => !wanted.has(tupleOf(grant)) && grant.expiresAtMs > this.ports.nowMs())
      .map((grant) => ({ ...grant, generation, expiresAtMs: 0 }))
    if (missing.length > 0 && (await this.queue.write(generation, missing)))
      this.count.plain.add('rewritten', missing.length)
    if (stray.length > 0 && (await this.queue.write(generation, stray))) this.count.plain.add('takenBack', stray.length)
    this.ledger.confirm(generation)
  }

  counters(): Counters {
    return this.count.read()
  }

  status(): MediatorStatus {
    const nowMs = this.ports.nowMs()
    const workspaces = this.ledger.workspaces()
    return {
      generation: this.ports.standing()?.generation ?? null,
      ...this.listeners.status(),
      learned: this.ledger.grants(nowMs).length,
      shared: workspaces.flatMap((workspace) =>
        this.ledger.shared(workspace, nowMs).map((shared) => ({ workspace, ...shared })),
      ),
      labels: this.budgets.report(),
    }
  }

  /** Where it listens for an address of the plan, once it does. */
  portAt(address: string): number | undefined {
    return this.listeners.portAt(address)
  }

  private whose(place: Parameters<typeof whose>[1], client: string): WorkspaceId | undefined {
    const plan = this.ports.standing()?.plan
    return plan && whose(plan, place, client)
  }

  private save(): void {
    this.dirty = false
    const held = this.ledger.workspaces().map((workspace) => ({ workspace, held: this.ledger.list(workspace) }))
    try {
      this.ports.keep({ held: held.filter((one) => one.held.length > 0), spent: this.budgets.list() })
    } catch (error) {
      this.dirty = true
      this.ports.failed(error)
    }
  }

  private take(event: NameEvent): void {
    this.pending.push(...this.fold.take(event))
  }

  private deliver(nowMs: number): void {
    const told = [...this.pending, ...this.fold.due(nowMs)]
    this.pending = []
    if (told.length > 0) this.ports.tell(told)
  }
}

const tupleOf = (grant: Pick<LearnedGrant, 'workspace' | 'clause' | 'protocol' | 'address' | 'port'>): string =>
  `${grant.workspace} ${grant.clause} ${grant.protocol} ${grant.address} ${grant.port}`

const isBudgetLive = (plan: Plan, workspace: WorkspaceId, key: string): boolean =>
  plan.workspaces
    .find((entry) => entry.workspace === workspace)
    ?.network.names.some((rule) => budgetKey(rule) === key) ?? false
