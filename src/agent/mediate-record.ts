// The plan on record with its flags, for questions that come thousands a second: the files of the store are read again only when
// they have been replaced, which the directory entry tells. What the kernel shows of flags is added as it is seen.

import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Standing } from '../dns/admit.js'
import type { BackendName, WorkspaceId } from '../plan/model.js'
import { policyContext, workspaceContext } from './context.js'
import type { NameContext } from './mediate-facts.js'
import { withoutEnded } from './observing.js'
import type { Activation } from './record.js'
import type { Store } from './store.js'

const FILES = ['state.json', 'quarantines.json'] as const

export class RecordWatch {
  private read: {
    readonly tag: string
    readonly live?: Activation
    readonly standing?: Standing
    /** When workspaces of the plan end to be observed. */
    readonly ends: readonly number[]
  } = { tag: '', ends: [] }
  private seen: { generation: number; quarantined: ReadonlySet<string>; suspended: ReadonlySet<string> } | undefined
  private current: Standing | undefined
  private ended = 0

  constructor(
    private readonly store: Store,
    private readonly nowMs: () => number,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** The same object as long as nothing changed; undefined while nothing is live, or the store cannot be read. */
  standing(): Standing | undefined {
    const tag = this.tag()
    if (tag !== this.read.tag) {
      this.read = this.load(tag)
      // What the kernel showed was of the record before; a changed standing makes the mediator look again.
      this.seen = undefined
      this.current = this.compose()
    }
    // Nobody writes a file when a bundle, or the observing of a workspace, runs out.
    const ended = Number(this.isExpired()) + this.read.ends.filter((endMs) => endMs <= this.nowMs()).length
    if (ended !== this.ended) {
      this.ended = ended
      this.current = this.compose()
    }
    return this.current
  }

  /** What the kernel shows, when it shows something else than before. */
  flagged(generation: number, quarantined: ReadonlySet<string>, suspended: ReadonlySet<string>): void {
    const before = this.seen
    this.seen = { generation, quarantined, suspended }
    const same =
      before?.generation === generation &&
      isSame(before.quarantined, quarantined) &&
      isSame(before.suspended, suspended)
    if (!same) this.current = this.compose()
  }

  backendOf(workspace: WorkspaceId): BackendName | undefined {
    return this.read.standing?.plan.workspaces.find((entry) => entry.workspace === workspace)?.backend
  }

  context(): NameContext {
    const { live, standing } = this.read
    return {
      ...(live ? { policy: policyContext(live) } : {}),
      workspace: (id) =>
        standing ? workspaceContext(standing.plan, id) : { workspace: id, attachmentId: '', interface: '' },
    }
  }

  private tag(): string {
    try {
      return FILES.map((name) => {
        const { ino, mtimeMs, size } = statSync(join(this.store.directory, name))
        return `${ino} ${mtimeMs} ${size}`
      }).join(' ')
    } catch {
      // No store: nothing is live, and `load` says why when there should be one.
      return 'missing'
    }
  }

  private load(tag: string): typeof this.read {
    try {
      const { live } = this.store.load()
      if (!live) return { tag, ends: [] }
      const quarantined = new Set(this.store.quarantines().map(({ workspace }) => workspace))
      const plan = this.store.loadPlan(live.planDigest)
      const { generation } = live
      const ends = plan.workspaces.flatMap(({ network }) => (network.observe ? [network.observe.untilMs] : []))
      return { tag, live, standing: { generation, plan, quarantined, suspended: new Set() }, ends }
    } catch (error) {
      // What cannot be read allows nothing.
      this.failed(error)
      return { tag, ends: [] }
    }
  }

  private isExpired(): boolean {
    const expiresAtMs = this.read.standing?.plan.source.expiresAtMs
    return expiresAtMs !== undefined && this.nowMs() >= expiresAtMs
  }

  private compose(): Standing | undefined {
    const { standing } = this.read
    if (!standing) return undefined
    const seen = this.seen?.generation === standing.generation ? this.seen : undefined
    const expired = this.isExpired() ? standing.plan.workspaces.filter(({ onExpiry }) => onExpiry === 'suspend') : []
    return {
      ...standing,
      plan: withoutEnded(standing.plan, this.nowMs()),
      quarantined: new Set([...standing.quarantined, ...(seen?.quarantined ?? [])]),
      suspended: new Set([...(seen?.suspended ?? []), ...expired.map(({ workspace }) => workspace)]),
    }
  }
}

const isSame = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.size === b.size && [...a].every((one) => b.has(one))
