// The story of one question, a line a step: admit, ask, judge, propose, write, look again, answer. Nothing leaves before its
// grants are in the kernel and read back; whatever fails or takes too long on the way is SERVFAIL (requirements 1 and 2 of the
// egress sheet). Effects come in as ports: the plan on record, the upstream, the kernel, the clock.

import type { LearnedGrant, WorkspaceId } from '../plan/model.js'
import { type Admission, admit, type QuestionRefusal, type Standing } from './admit.js'
import type { Budgets } from './budget.js'
import type { CounterSet } from './counters.js'
import type { Client, NameEvent } from './events.js'
import { type Alias, type Judgement, judge, TTL_SECONDS } from './judge.js'
import type { Held, Ledger, Proposal } from './ledger.js'
import type { Answer, QuestionType, Upstream } from './model.js'
import { entropyBits } from './names.js'

export interface Asking {
  /** untrusted: as the workspace wrote it. */
  readonly name: string
  readonly type: string
}

export type Rcode = 'NOERROR' | 'NXDOMAIN' | 'SERVFAIL' | 'REFUSED'

export interface Reply {
  readonly rcode: Rcode
  readonly aliases: readonly Alias[]
  readonly type?: QuestionType
  readonly addresses: readonly { readonly address: string; readonly ttlSeconds: number }[]
  /** An upstream that may say so says that it validated, and everything of its answer is here. */
  readonly validated: boolean
}

/** What a question failed at after it was admitted. */
export type HoldFailure = 'upstream' | 'upstream-failed' | 'chain' | 'stripped' | 'shared-address' | 'grant' | 'changed'

export interface Ports {
  /** The plan on record with its flags, as of now: asked before a question is judged and again before it is answered. */
  readonly standing: () => Standing | undefined
  readonly upstream: Upstream
  /** As `Driver.learn` of the backend that holds the workspace. */
  readonly write: (generation: number, grants: readonly LearnedGrant[]) => Promise<boolean>
  /** New names under wildcards are on record before anybody is asked for them. */
  readonly remember: () => void
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** Milliseconds of a clock that never goes back, with a fraction. */
  readonly tickMs: () => number
  readonly tell: (event: NameEvent) => void
  /** Every question with its answer's code, also those that nothing is told of. */
  readonly asked?: (client: Client, name: string, rcode: Rcode) => void
}

/** From the question to the answer, everything included; clients give up after about five seconds. */
const HOLD_LIMIT_MS = 4_500

const EMPTY = { aliases: [], addresses: [], validated: false } as const
const plain = (rcode: Rcode): Reply => ({ rcode, ...EMPTY })

type Forwarded = Admission & { readonly kind: 'forward' }

export class Story {
  private readonly flying = new Map<string, Promise<Reply>>()
  private pruned: Standing | undefined

  constructor(
    private readonly ports: Ports,
    private readonly ledger: Ledger,
    private readonly budgets: Budgets,
    private readonly counters: CounterSet,
  ) {}

  /** Answers one question. Never throws: whatever goes wrong is SERVFAIL, and told. */
  async answer(client: Client, asking: Asking): Promise<Reply> {
    const startedMs = this.ports.tickMs()
    const admission = admit(this.ports.standing(), { ...asking, workspace: client.workspace }, this.budgets)
    const reply = await this.carryOut(client, asking, admission)
    this.counters.replies.add(reply.rcode)
    this.ports.asked?.(client, asking.name, reply.rcode)
    if (admission.kind !== 'refused') this.counters.answers.add(this.ports.tickMs() - startedMs)
    return reply
  }

  private carryOut(client: Client, asking: Asking, admission: Admission): Promise<Reply> | Reply {
    switch (admission.kind) {
      case 'refused':
        return this.refuse(client, asking, admission.why)
      case 'nodata':
        return plain('NOERROR')
      case 'pinned': {
        const addresses = admission.addresses.map((address) => ({ address, ttlSeconds: TTL_SECONDS.cap }))
        const type = asking.type as QuestionType
        return { rcode: 'NOERROR', aliases: [], type, addresses, validated: false }
      }
      case 'forward': {
        const key = `${admission.at.workspace} ${admission.type} ${admission.name}`
        const running = this.flying.get(key)
        if (running) {
          this.counters.plain.add('coalesced')
          return running
        }
        const hold = this.hold(client, admission).finally(() => this.flying.delete(key))
        this.flying.set(key, hold)
        return hold
      }
    }
  }

  private refuse(client: Client, asking: Asking, why: QuestionRefusal): Reply {
    this.counters.refused.add(why)
    this.counters.plain.add('refusedLabelOctets', asking.name.length)
    this.counters.plain.add('refusedLabelBits', entropyBits(asking.name))
    const { name, type } = asking
    this.ports.tell({
      ...{ kind: 'refused', atMs: this.ports.nowMs(), client, name, type, why },
      ...{ rcode: 'REFUSED', addresses: [] },
    })
    return plain('REFUSED')
  }

  /** Never throws. */
  private async hold(client: Client, admission: Forwarded): Promise<Reply> {
    const expired = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const limit = new Promise<never>((_, failed) => {
      timer = setTimeout(() => {
        failed(new HoldProblem('grant'))
        expired.abort()
      }, HOLD_LIMIT_MS)
    })
    const work = this.resolve(client, admission, expired.signal)
    // When time is up nobody listens any more to what the work still says.
    work.catch(() => undefined)
    try {
      return await Promise.race([work, limit])
    } catch (error) {
      const why = error instanceof HoldProblem ? error.why : 'grant'
      return this.fail(client, admission, why, error instanceof HoldProblem ? error : undefined)
    } finally {
      clearTimeout(timer)
    }
  }

  private async resolve(client: Client, admission: Forwarded, signal: AbortSignal): Promise<Reply> {
    const { at, name, type } = admission
    if (admission.charges.length > 0) {
      for (const key of admission.charges) this.budgets.charge(at.workspace, key, name)
      this.ports.remember()
    }
    const answer = await this.ports.upstream.ask({ name, type }, signal).catch(() => {
      throw new HoldProblem('upstream')
    })
    const askedMs = this.ports.tickMs()
    // Twice: a plan that became live while somebody was asked judges the answer again.
    for (let attempt = 0; attempt < 2; attempt++) {
      const now = admit(this.ports.standing(), { workspace: at.workspace, name, type }, this.budgets)
      if (now.kind === 'refused') return this.refuse(client, { name, type }, now.why)
      if (now.kind !== 'forward') throw new HoldProblem('changed')
      const judgement = judge(now.at, now.rules, { name, type }, answer)
      const reply = await this.grant(client, now, judgement, answer, askedMs, signal)
      if (reply) return reply
      this.counters.plain.add('stale')
    }
    throw new HoldProblem('changed')
  }

  /** undefined when the plan changed meanwhile. */
  private async grant(
    client: Client,
    admission: Forwarded,
    judgement: Judgement,
    answer: Answer,
    askedMs: number,
    signal: AbortSignal,
  ): Promise<Reply | undefined> {
    if (judgement.kind === 'no-such-name') return plain('NXDOMAIN')
    if (judgement.kind === 'nodata') return { ...plain('NOERROR'), aliases: judgement.aliases }
    if (judgement.kind === 'unusable')
      throw new HoldProblem(
        judgement.why,
        judgement.stripped.map(([address]) => address),
      )
    const { at, name, type } = admission
    const { workspace } = at
    const standing = this.ports.standing()
    const terms = at.network.dns
    if (!standing || !terms) return undefined
    const { generation } = standing
    if (standing !== this.pruned) {
      // What the plan before had learnt and this one does not grant must not stand in the way.
      this.pruned = standing
      this.ledger.prune(this.ports.nowMs(), (id, held) => hasBasis(standing, id, held))
    }
    const proposal = this.ledger.propose(workspace, name, judgement.addresses, terms, generation, this.ports.nowMs())
    this.count(proposal)
    if (proposal.given.length === 0) {
      proposal.undo()
      const [first] = proposal.withheld
      const addresses = proposal.withheld.map(({ address }) => address)
      throw new HoldProblem('shared-address', addresses, first?.name)
    }
    const grants = proposal.grants.map((grant) => ({ ...grant, generation }))
    const live = await this.ports.write(generation, grants).catch((error: unknown) => {
      proposal.undo()
      throw error
    })
    const after = this.ports.standing()
    const stands = live && after?.generation === generation && !isFlagged(after, workspace) && !signal.aborted
    if (!stands) {
      proposal.undo()
      return undefined
    }
    const heldMs = this.ports.tickMs() - askedMs
    if (grants.length > 0) this.counters.holds.add(heldMs)
    this.counters.plain.add('grantsWritten', grants.length)
    this.report(client, admission, proposal, answer, generation, heldMs)
    const whole = judgement.stripped.length === 0 && judgement.left === 0 && proposal.withheld.length === 0
    return {
      rcode: 'NOERROR',
      type,
      aliases: judgement.aliases,
      addresses: proposal.given,
      validated: answer.validated && whole,
    }
  }

  private count({ evicted, withheld }: Proposal): void {
    this.counters.plain.add('evicted', evicted.length)
    this.counters.plain.add('withheld', withheld.length)
  }

  private report(
    client: Client,
    admission: Forwarded,
    proposal: Proposal,
    answer: Answer,
    generation: number,
    heldMs: number,
  ): void {
    const { at, name, type, rules } = admission
    const atMs = this.ports.nowMs()
    const [withheld] = proposal.withheld
    if (withheld) {
      const addresses = proposal.withheld.map(({ address }) => address)
      this.ports.tell({
        ...{ kind: 'refused', atMs, client, name, type, why: 'shared-address', rcode: 'SERVFAIL' },
        ...{ addresses, other: withheld.name },
      })
    }
    for (const { name: old, address, opens } of proposal.evicted) {
      const clauses = [...new Set(opens.map(({ clause }) => clause))]
      this.ports.tell({ kind: 'evicted', atMs, workspace: at.workspace, name: old, address, clauses })
    }
    // Names that are only observed open nothing, so nothing about them is news; what they stand for is what is observed.
    const openless = rules.every(({ ports }) => ports.length === 0)
    const addresses = proposal.given.filter(({ address }) => openless || proposal.news.includes(address))
    if (addresses.length === 0) return
    const clauses = [...new Set(rules.map(({ clause }) => clause))]
    const sharedWith = [...new Set(proposal.shared.map((shared) => shared.name))].sort()
    this.ports.tell({
      ...{ kind: 'granted', atMs, client, name, type, generation, clauses, addresses, sharedWith },
      ...{ from: answer.from, validated: answer.validated, heldMs },
    })
  }

  private fail(client: Client, admission: Forwarded, why: HoldFailure, problem: HoldProblem | undefined): Reply {
    this.counters.refused.add(why)
    const { name, type } = admission
    this.ports.tell({
      ...{ kind: 'refused', atMs: this.ports.nowMs(), client, name, type, why, rcode: 'SERVFAIL' },
      addresses: problem?.addresses ?? [],
      ...(problem?.other === undefined ? {} : { other: problem.other }),
    })
    return plain('SERVFAIL')
  }
}

/** A question that was admitted and cannot be answered; never leaves this file. */
class HoldProblem extends Error {
  constructor(
    readonly why: HoldFailure,
    readonly addresses: readonly string[] = [],
    readonly other?: string,
  ) {
    super(why)
  }
}

export const isFlagged = (standing: Standing, workspace: WorkspaceId): boolean =>
  standing.quarantined.has(workspace) || standing.suspended.has(workspace)

/** Whether a live rule still opens all that is held. */
export const hasBasis = (standing: Standing, workspace: WorkspaceId, held: Held): boolean => {
  const names = standing.plan.workspaces.find((entry) => entry.workspace === workspace)?.network.names
  return (
    !isFlagged(standing, workspace) && held.opens.every(({ clause }) => names?.some((rule) => rule.clause === clause))
  )
}
