// The live half of `memory`: generation, flags and learned grants as values, and `judge`, which puts a packet to `evaluate`.

import { evaluate } from '../../plan/evaluate.js'
import { carryOver, withFlag, withLearned } from '../../plan/flow.js'
import {
  type LearnedGrant,
  PLAN_FORMAT,
  type Plan,
  type PlanSlice,
  type SessionPeer,
  type WorkspaceId,
} from '../../plan/model.js'
import type { Packet } from '../../plan/packet.js'
import { endSessions, withSessions } from '../../plan/sessions.js'
import { EMPTY_STATE, type Env, type State, type Verdict } from '../../plan/state.js'
import type { Anchor, Cut, DenialBatch, Driver, Flag, Observed, Probed, Staged } from '../backend.js'

export class MemoryDriver implements Driver<PlanSlice> {
  private live: PlanSlice | undefined
  private staged: PlanSlice | undefined
  private state: State = EMPTY_STATE
  private readonly drops = new Map<string, bigint>()
  private readonly cuts = new Map<WorkspaceId, Cut>()

  /** `nowMs`: the clock that sessions end by. */
  constructor(private readonly nowMs: () => number = Date.now) {}

  probe(): Promise<Probed> {
    return Promise.resolve({ backend: 'memory', trustDomain: 'host', probes: [] })
  }

  observe(): Promise<Observed> {
    const { live, state } = this
    return Promise.resolve({
      live: live
        ? {
            generation: live.generation,
            planDigest: live.planDigest,
            workspaces: live.workspaces.map((entry) => entry.workspace),
            quarantined: [...state.quarantined].sort(),
            suspended: [...state.suspended].sort(),
            learned: state.learned,
            sessions: state.sessions.filter((one) => one.expiresAtMs > this.nowMs()),
          }
        : null,
      drift: [],
      counters: [],
      drops: Object.fromEntries(this.drops),
    })
  }

  stage(program: PlanSlice): Promise<Staged> {
    this.staged = program
    return Promise.resolve({ generation: program.generation, planDigest: program.planDigest })
  }

  commit(staged: Staged): Promise<void> {
    if (this.staged?.generation !== staged.generation || this.staged.planDigest !== staged.planDigest)
      return Promise.reject(new TypeError('memory: commit of something that was not staged last'))
    const ended = endSessions(this.state, this.plan(), this.nowMs())
    this.live = this.staged
    this.staged = undefined
    this.state = carryOver(ended, this.plan(), staged.generation)
    return Promise.resolve()
  }

  discard(): Promise<void> {
    this.staged = undefined
    return Promise.resolve()
  }

  flag(workspace: WorkspaceId, flag: Flag, on: boolean): Promise<void> {
    if (on && flag === 'quarantined') this.cuts.set(workspace, this.flowsOf(workspace))
    this.state = withFlag(this.state, flag, workspace, on)
    return Promise.resolve()
  }

  cut(workspace: WorkspaceId): Promise<Cut> {
    return Promise.resolve(this.cuts.get(workspace) ?? this.flowsOf(workspace))
  }

  private flowsOf(workspace: WorkspaceId): Cut {
    const seen = [...this.state.flows.values()].flatMap((flow) =>
      flow.workspace === workspace ? [flow.lastSeenMs] : [],
    )
    return { flows: seen.length, lastPacketAtMs: seen.length > 0 ? Math.max(...seen) : { unknown: 'no flow was live' } }
  }

  inspect(): Promise<readonly Anchor[]> {
    const { workspaces = [], generation = 0 } = this.live ?? {}
    const nothing = { emulated: true, generation, hooks: [], objects: [] }
    return Promise.resolve(workspaces.map(({ workspace }) => ({ workspace, ...nothing })))
  }

  learn(generation: number, grants: readonly LearnedGrant[]): Promise<boolean> {
    if (this.live?.generation !== generation) return Promise.resolve(false)
    this.state = withLearned(this.state, grants)
    return Promise.resolve(true)
  }

  sessions(workspace: WorkspaceId, peers: readonly SessionPeer[]): Promise<boolean> {
    if (!this.live?.workspaces.some((at) => at.workspace === workspace)) return Promise.resolve(false)
    this.state = withSessions(this.state, this.plan(), workspace, peers, this.nowMs())
    return Promise.resolve(true)
  }

  /** Judges one packet as a backend in the kernel would, and keeps the state that follows. */
  judge(workspace: WorkspaceId, packet: Packet, nowMs: number, env: Env): Verdict {
    const { verdict, state } = evaluate(this.plan(), this.state, workspace, packet, nowMs, env)
    this.state = state
    if (verdict.kind === 'drop') this.drops.set(verdict.reason, (this.drops.get(verdict.reason) ?? 0n) + 1n)
    return verdict
  }

  denials(_deliver: (batch: DenialBatch) => void): Promise<() => Promise<void>> {
    return Promise.resolve(() => Promise.resolve())
  }

  uninstall(): Promise<readonly string[]> {
    this.live = undefined
    this.state = EMPTY_STATE
    return Promise.resolve([])
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  private plan(): Plan {
    const { live } = this
    if (!live) return NOTHING
    return { format: PLAN_FORMAT, source: live.source, workspaces: live.workspaces, guarantees: [] }
  }
}

/** Before the first commit every workspace is unknown, and so denied. */
const NOTHING: Plan = {
  format: PLAN_FORMAT,
  source: {
    bundleId: '',
    bundleDigest: 'sha256:',
    policyRevision: '0',
    epoch: 0,
    channel: '',
    audience: '',
    inventoryRevision: '0',
    notBeforeMs: 0,
    expiresAtMs: 0,
  },
  workspaces: [],
  guarantees: [],
}
