// Watching a node: refused packets as the backends report them, folded so that a flood is one event a second with an exact
// count, and the counters of grants that moved. Both become facts in the trail, and go to whoever looks on. It changes
// nothing and takes no lock, so that applying and quarantining go on beside it. Which ends of observing were told is kept in a file, so
// that one that came while nobody watched is told by the next who does, and once.

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fact, FlowEnds, PolicyContext } from '../audit/fact.js'
import { EMPTY_FOLD, type FoldContext, type FoldState, foldDenials } from '../audit/fold.js'
import { foldObserved, type SeenState } from '../audit/fold-observed.js'
import type { Observed } from '../backends/backend.js'
import { grantsOf } from '../plan/grants.js'
import type { BackendName, Grant, GrantId, Plan, WorkspaceId, WorkspacePlan } from '../plan/model.js'
import { policyContext, workspaceContext } from './context.js'
import type { Ear, Ears } from './ears.js'
import type { AgentNode } from './node.js'
import { observeEnds } from './observing.js'

const TICK_MS = 1_000
/** Reading the counters of many grants costs; allowed traffic may wait a little. */
const TICKS_PER_COUNT = 5
const PROTOCOLS = { tcp: 6, udp: 17, 'icmp-echo': 1 } as const
const ICMPV6 = 58

/** Why watching ended: it was asked to, or another generation is on record, with other clauses. */
export type WatchEnd = 'stopped' | 'generation-changed'

/**
 * Runs until `signal` is aborted or the generation on record changes; after the latter the ears go on listening. Throws what a
 * backend throws that cannot report. The caller closes the ears.
 */
export async function watch(
  node: AgentNode,
  ears: Ears,
  signal: AbortSignal,
  tell: (facts: readonly Fact[]) => void,
): Promise<WatchEnd> {
  const { live } = node.store.load()
  const plan = live ? node.store.loadPlan(live.planDigest) : undefined
  const usable = [...node.backends.values()].filter((open) => open.capabilities.usable)
  const heard = await ears.open(usable.map(({ driver }) => driver))
  const policies = ears.know(live?.generation ?? 0, live ? policyContext(live) : undefined)
  const eyes = usable.flatMap((open, i) => {
    const ear = heard[i]
    return ear ? [new Eye(node, open.backend.name, plan, ear, policies)] : []
  })
  const generationNow = (): number | undefined => node.store.load().live?.generation
  const say = async (facts: readonly Fact[]): Promise<void> => {
    if (facts.length === 0) return
    tell(facts)
    await node.emit(facts)
  }
  let lookedMs = live ? Math.max(live.decidedAtMs, endsToldMs(node)) : 0
  const sayEnds = async (nowMs: number): Promise<void> => {
    const ends = live && nowMs > lookedMs ? observeEnds(plan, live, lookedMs, nowMs) : []
    await say(ends)
    lookedMs = Math.max(lookedMs, nowMs)
    if (ends.length > 0) keepEndsTold(node, nowMs)
  }
  for (let tick = 1; !signal.aborted && generationNow() === live?.generation; tick++) {
    await sleep(TICK_MS, undefined, { signal }).catch(() => undefined) // aborted: the loop's own condition ends it
    for (const eye of eyes) {
      await say(eye.denied(node.nowMs()))
      await say(eye.deniedFiles(node.nowMs()))
      if (live && tick % TICKS_PER_COUNT === 0) await say(await eye.allowed(policyContext(live)))
    }
    // What goes on until the next plan takes over is told by its activation.
    const next = node.store.load().live
    await sayEnds(next?.generation === live?.generation ? node.nowMs() : (next?.decidedAtMs ?? 0))
  }
  for (const eye of eyes) if (live) await say(await eye.allowed(policyContext(live)))
  if (signal.aborted) await ears.close()
  for (const eye of eyes) {
    await say(eye.denied(Number.POSITIVE_INFINITY))
    await say(eye.deniedFiles(node.nowMs()))
  }
  return signal.aborted ? 'stopped' : 'generation-changed'
}

const ENDS_FILE = 'observe-ends-told'

/** Ends up to there were told. */
function endsToldMs({ config }: AgentNode): number {
  try {
    const told = Number(readFileSync(join(config.stateDirectory, ENDS_FILE), 'utf8'))
    return Number.isFinite(told) ? told : 0
  } catch {
    return 0 // none was ever told: those of this plan are told from its activation on
  }
}

function keepEndsTold({ config }: AgentNode, nowMs: number): void {
  const path = join(config.stateDirectory, ENDS_FILE)
  writeFileSync(`${path}.new`, String(nowMs), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

/** One backend under one plan, looked at. */
class Eye {
  private fold: FoldState = EMPTY_FOLD
  private seen: SeenState = new Map()
  private readonly context: FoldContext
  private readonly clauseNames: ReadonlyMap<string, string>

  constructor(
    private readonly node: AgentNode,
    private readonly backend: BackendName,
    private readonly plan: Plan | undefined,
    private readonly ear: Ear,
    policies: ReadonlyMap<number, PolicyContext>,
  ) {
    const workspaces = plan?.workspaces.map(({ workspace }) => [workspace, workspaceContext(plan, workspace)] as const)
    this.context = { backend, policies, workspaces: new Map(workspaces) }
    this.clauseNames = new Map(plan?.guarantees.map(({ clause, name }) => [clause, name]))
  }

  denied(nowMs: number): readonly Fact[] {
    const batch = this.ear.takeDenials()
    const { state, facts } = foldDenials(this.fold, batch, nowMs, this.context)
    this.fold = state
    const seen = foldObserved(this.seen, batch.observed ?? [], nowMs, this.context)
    this.seen = seen.state
    return [...facts, ...seen.facts]
  }

  /** The daemon has folded and limited them already: each becomes a fact. */
  deniedFiles(nowMs: number): readonly Fact[] {
    const { denials, lost } = this.ear.takeFiles()
    const facts = denials.map(({ generation, workspace, ...denial }): Fact => {
      const policy = this.context.policies.get(generation)
      const where = this.context.workspaces.get(workspace) ?? { workspace, attachmentId: '', interface: '' }
      return {
        kind: 'file-denied',
        ...denial,
        ...(policy ? { policy } : {}),
        workspace: where,
        backend: this.backend,
      }
    })
    return lost === 0 ? facts : [...facts, { kind: 'audit-lost', atMs: nowMs, cause: 'unreported', lost }]
  }

  /** A fact for each grant whose counters moved since the last look. */
  async allowed(policy: PolicyContext): Promise<readonly Fact[]> {
    const news = newsOf(totals(this.ear.counters), totals(await this.ear.count()))
    const facts: Fact[] = []
    for (const entry of this.plan?.workspaces ?? []) {
      const traffic = news.get(entry.workspace)
      for (const grant of traffic ? grantsOf(entry.network) : []) {
        const moved = traffic?.get(grant.id)
        if (moved) facts.push(this.moved(entry, grant, policy, moved))
      }
    }
    return facts
  }

  private moved(
    entry: WorkspacePlan,
    grant: Grant,
    policy: PolicyContext,
    traffic: { readonly packets: number; readonly bytes: number },
  ): Fact {
    const [clause = ''] = grant.clauses
    const clauseName = this.clauseNames.get(clause) ?? clause
    return {
      kind: 'flow-allowed',
      atMs: this.node.nowMs(),
      policy,
      workspace: this.context.workspaces.get(entry.workspace) ?? {
        workspace: entry.workspace,
        attachmentId: '',
        interface: '',
      },
      flow: endsOf(entry, grant),
      clause,
      clauseName,
      grant: grant.id,
      backend: this.backend,
      traffic,
    }
  }
}

interface Counted {
  readonly packets: bigint
  readonly bytes: bigint
}
interface Moved {
  readonly packets: number
  readonly bytes: number
}
/** By workspace, then by grant. */
type Totals = ReadonlyMap<WorkspaceId, ReadonlyMap<GrantId, Counted>>

function totals(counters: Observed['counters']): Totals {
  const all = new Map<WorkspaceId, Map<GrantId, Counted>>()
  for (const { workspace, grant, packets, bytes } of counters) {
    const mine = all.get(workspace) ?? new Map<GrantId, Counted>()
    all.set(workspace, mine.set(grant, { packets, bytes }))
  }
  return all
}

/** What was counted between two looks. A counter that went back was made anew: all of it is news. */
function newsOf(before: Totals, now: Totals) {
  const news = new Map<WorkspaceId, Map<GrantId, Moved>>()
  for (const [workspace, grants] of now)
    for (const [grant, is] of grants) {
      const held = before.get(workspace)?.get(grant)
      const was = held && is.packets >= held.packets ? held : { packets: 0n, bytes: 0n }
      if (is.packets === was.packets) continue
      const mine = news.get(workspace) ?? new Map<GrantId, Moved>()
      const moved = { packets: Number(is.packets - was.packets), bytes: Number(is.bytes - was.bytes) }
      news.set(workspace, mine.set(grant, moved))
    }
  return news
}

/** A counter knows its grant and not single peers: the peer is the first address of the prefix, and the grant says the rest. */
function endsOf(entry: WorkspacePlan, grant: Grant): FlowEnds {
  const [peer = ''] = grant.prefix.split('/')
  const v6 = peer.includes(':')
  const own = entry.slot.addresses.find((address) => address.includes(':') === v6) ?? entry.slot.addresses[0] ?? ''
  const [source, destination] = grant.direction === 'egress' ? [own, peer] : [peer, own]
  const protocol = grant.protocol === 'icmp-echo' && v6 ? ICMPV6 : PROTOCOLS[grant.protocol]
  const port = grant.ports === null ? {} : { destinationPort: grant.ports.from }
  return { direction: grant.direction, protocol, source, destination, ...port }
}
