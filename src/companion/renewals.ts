// Rebakes what runs over an image that is too old, one workspace at a time, so that a host never ends all of its machines at once. Asked for
// at every look; never throws. What it cannot do is said once, and a rebake that failed is tried again after a while.

import { causeChain, Fault } from '../base/fault.js'
import { type Lifecycle, requestDigest } from './lifecycle/lifecycle.js'
import type { Profile } from './lifecycle/profile.js'
import { type Due, dueOf, type Shelf } from './lifecycle/renewal.js'

/** What failed once is not tried again at every look. */
const AGAIN_MS = 600_000

export interface RenewalHost {
  readonly lifecycle: Lifecycle
  /** The signed list of the moment. */
  readonly shelf: () => Promise<Shelf>
  readonly maxAgeMs: number
  /** The profile of images that its network takes; undefined: any. */
  readonly takes?: (profile: Profile) => string | undefined
  readonly nowMs: () => number
  /** What keeps it from rebaking: a workspace, or the list when there is none. */
  readonly tell: (why: string, workspace?: string) => void
}

export class Renewals {
  private readonly tried = new Map<string, { readonly to: string; readonly atMs: number }>()
  /** What was said of each workspace; '' stands for the list. */
  private said = new Map<string, string>()
  private isLooking = false

  constructor(private readonly host: RenewalHost) {}

  /** Resolves when what it began has come to its end. A look while another is under way does nothing. */
  async look(): Promise<void> {
    if (this.isLooking) return
    this.isLooking = true
    try {
      await this.renew()
    } finally {
      this.isLooking = false
    }
  }

  private async renew(): Promise<void> {
    const { lifecycle, nowMs, maxAgeMs, shelf, takes } = this.host
    if (lifecycle.all().length === 0) return
    let due: readonly Due[]
    try {
      due = dueOf(lifecycle.all(), await shelf(), { nowMs: nowMs(), maxAgeMs, ...(takes ? { takes } : {}) })
    } catch (error) {
      this.tell(new Map([['', causeChain(error).join(': ')]]))
      return
    }
    const waiting = due.filter(({ to }) => to === undefined)
    this.tell(new Map(waiting.map(({ workspace, why }) => [workspace, `${why}, and there is no newer one`])))
    const next = due.find((one) => one.to !== undefined && this.mayTry(one, one.to))
    if (next?.to !== undefined) await this.rebake(next.workspace, next.to, next.why)
  }

  private mayTry({ workspace }: Due, to: string): boolean {
    const before = this.tried.get(workspace)
    return before?.to !== to || this.host.nowMs() - before.atMs >= AGAIN_MS
  }

  private async rebake(workspace: string, to: string, why: string): Promise<void> {
    const { lifecycle, nowMs } = this.host
    if (lifecycle.underWay(workspace)) return
    this.tried.set(workspace, { to, atMs: nowMs() })
    const digest = requestDigest('rebake', { workspace, profile: null })
    try {
      const asked = { requestId: '', change: 'rebake', workspace, by: 'companion', reason: why } as const
      await (await lifecycle.begin({ ...asked, digest })).settled
    } catch (error) {
      // What was asked for in the same moment goes first, and the next look sees what it left.
      if (error instanceof Fault && error.code === 'WORKSPACE_BUSY') this.tried.delete(workspace)
      else this.host.tell(causeChain(error).join(': '), workspace)
    }
  }

  /** Each sentence once, until it is another one. */
  private tell(now: Map<string, string>): void {
    for (const [workspace, why] of now)
      if (this.said.get(workspace) !== why) this.host.tell(why, workspace === '' ? undefined : workspace)
    this.said = now
  }
}
