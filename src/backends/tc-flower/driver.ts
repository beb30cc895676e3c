// The live half of tc-flower. A generation is loaded into chains that nothing leads to, read back, and switched on by one request
// for each hook; the chains before it are emptied beside traffic. What is live is in the kernel and stays there when this process
// ends; the record gives it its names. A learned grant that runs out is taken away by this process, and by the next one.

import type { LearnedGrant, WorkspaceId } from '../../plan/model.js'
import type { Anchor, Cut, DenialBatch, Driver, Flag, Observed, OpenOptions, Probed, Staged } from '../backend.js'
import { turn as turnSwitches } from './commit.js'
import { switchMark } from './cookie.js'
import { flowerFault } from './errors.js'
import { anchorOf } from './inspect.js'
import { Kernel } from './kernel.js'
import { clausesOf, Learned } from './learned.js'
import { Native } from './native.js'
import { Counts, lookAtAll } from './observe.js'
import type { Turn } from './place.js'
import { type Flags, flagIn, lay, nameOf, type Post, postOf, raise, requirePost, type Seat, switchIn } from './post.js'
import { probeFlower } from './probe.js'
import type { FlowerProgram } from './program.js'
import {
  type FlagFile,
  type HeldGeneration,
  type HeldWorkspace,
  readFlags,
  readState,
  removeState,
  type StateFile,
  writeFlags,
  writeState,
} from './record.js'
import { closedAfter, seatsOf } from './seats.js'
import { clearTurn, foundIn, loadWorkspace } from './stage.js'
import { bare, closeNow, matching, saidOpen, UNFLAGGED, unattached } from './unattached.js'
import { withdraw } from './uninstall.js'
import { watchInterfaces } from './watch.js'

const RETRY_MS = 250
/** What setTimeout takes. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

interface Ready {
  readonly next: HeldGeneration
  readonly posts: readonly Post[]
  /** Stations that this stage was the first to close. */
  readonly laid: readonly Post[]
}

export class FlowerDriver implements Driver<FlowerProgram> {
  private staged: Ready | undefined
  private writing: Promise<void> = Promise.resolve()
  /** What still runs after the last commit; over before anything is staged, observed or closed. */
  private tail: Promise<void> = Promise.resolve()
  private readonly counts = new Counts()
  private readonly learned: Learned
  private readonly flags: Record<Flag, Set<WorkspaceId>>
  private expiry: NodeJS.Timeout | undefined

  private constructor(
    private readonly kernel: Kernel,
    private readonly options: OpenOptions,
    private state: StateFile,
    flags: FlagFile,
    private readonly damage: string | undefined,
    private readonly nowMs: () => number,
  ) {
    this.learned = new Learned(kernel)
    this.flags = { quarantined: new Set(flags.quarantined), suspended: new Set(flags.suspended) }
  }

  /** Takes up what an earlier agent left. `nowMs` is the clock of learned grants. Throws FLOWER_UNAVAILABLE. */
  static async open(options: OpenOptions, nowMs: () => number = Date.now): Promise<FlowerDriver> {
    const native = Native.open()
    const { state, damage } = await readState(options.stateDirectory)
    const { flags, damage: lost } = readFlags(options.stateDirectory)
    const driver = new FlowerDriver(new Kernel(native, nameOf), options, state, flags, damage ?? lost, nowMs)
    driver.adopt()
    return driver
  }

  probe(): Promise<Probed> {
    return Promise.resolve(probeFlower(this.kernel, this.options.flower))
  }

  async stage(program: FlowerProgram): Promise<Staged> {
    await this.tail
    if (this.staged) await this.discard()
    const { kernel } = this
    const turn: Turn = this.state.live?.turn === 0 ? 1 : 0
    const laid: Post[] = []
    const posts: Post[] = []
    const workspaces: HeldWorkspace[] = []
    const seats = seatsOf(program, [...(this.state.live?.workspaces ?? []), ...this.state.closed])
    try {
      for (const [i, at] of program.workspaces.entries()) {
        const seat = seats[i] as Seat
        const post = requirePost(kernel.native, this.uplink(), { ...seat, workspace: at.workspace })
        posts.push(post)
        lay(kernel, post, this.flagsOf(at.workspace), laid)
        this.learned.forget(post, turn, at.bands)
        const digests = await loadWorkspace(kernel, at, post, turn)
        const { workspace, grants, clauses, bands } = at
        workspaces.push({ ...seat, workspace, grants, clauses, bands, digests })
      }
    } catch (error) {
      for (const post of posts) for (const station of post.stations) await clearTurn(kernel, station, turn)
      this.reopen(laid)
      throw error
    }
    const { generation, planDigest } = program
    const uplink = this.uplink()
    const next = { generation, planDigest, turn, ...(uplink === undefined ? {} : { uplink }), workspaces }
    this.staged = { next, posts, laid }
    for (const post of this.unattached(seats)) lay(kernel, post, UNFLAGGED)
    return { generation, planDigest }
  }

  async commit(staged: Staged): Promise<void> {
    const ready = this.staged
    if (ready?.next.generation !== staged.generation || ready.next.planDigest !== staged.planDigest)
      throw flowerFault('FLOWER_STALE_STAGE', { generation: staged.generation })
    const { next, posts } = ready
    const { live } = this.state
    try {
      await this.save({ next })
    } catch (error) {
      this.state = { ...this.state, next: null }
      throw error
    }
    this.learned.grants.carry(clausesOf(next.workspaces), next.generation)
    for (const [i, at] of next.workspaces.entries()) this.learned.sync(at, posts[i] as Post, next.turn, this.nowMs())
    // A flag that was set while this was loaded is above it from its first packet on.
    for (const [i, { workspace }] of next.workspaces.entries()) {
      const flags = this.flagsOf(workspace)
      if (flags.quarantined || flags.suspended) raise(this.kernel, posts[i] as Post, flags)
    }
    const before = live && { generation: live, posts: live.workspaces.flatMap((at) => this.postOf(at) ?? []) }
    turnSwitches(this.kernel, { generation: next, posts }, before ?? undefined)
    this.staged = undefined
    if (live && live.uplink !== next.uplink) for (const post of before?.posts ?? []) this.leaveUplink(post)
    const closed = closedAfter(this.state.closed, live?.workspaces ?? [], next.workspaces)
    await this.save({ live: next, next: null, closed })
    if (before) this.tail = this.retire(before.generation, before.posts)
    this.expire()
  }

  async discard(_staged?: Staged): Promise<void> {
    const { staged } = this
    this.staged = undefined
    if (!staged) return
    for (const post of staged.posts)
      for (const station of post.stations) await clearTurn(this.kernel, station, staged.next.turn)
    this.reopen(staged.laid)
  }

  /** What this stage was the first to close, but for interfaces that may only carry fenced traffic. */
  private reopen(laid: readonly Post[]): void {
    const closed = matching(this.options.attachInterfaces)
    for (const post of laid) {
      const own = post.stations.every(({ ifindex }) => ifindex === post.ports.slot)
      if (!own || !closed.includes(post.interface)) withdraw(this.kernel, post)
    }
  }

  watch(changed: () => void): () => void {
    const seats = (): readonly Seat[] => [...(this.state.live?.workspaces ?? []), ...this.state.closed]
    const names = (): string[] => {
      const uplink = this.uplink()
      const all = [...seats().map((seat) => seat.interface), ...matching(this.options.attachInterfaces)]
      return [...new Set(uplink === undefined ? all : [...all, uplink])]
    }
    return watchInterfaces(this.kernel.native, names, (name) => this.closeAgain(name, seats()), changed)
  }

  /** Whoever is told puts the fence back; until then it is closed. */
  private closeAgain(name: string, seats: readonly Seat[]): void {
    if (name === this.uplink()) return
    const at = this.state.live?.workspaces.find((one) => one.interface === name)
    const post = this.postOf(seats.find((one) => one.interface === name) ?? bare(name))
    closeNow(this.kernel, post, at ? this.flagsOf(at.workspace) : UNFLAGGED)
  }

  async flag(workspace: WorkspaceId, flag: Flag, on: boolean): Promise<void> {
    if (on) this.flags[flag].add(workspace)
    else this.flags[flag].delete(workspace)
    const of = <T extends { readonly workspace: WorkspaceId }>(list: readonly T[] | undefined): T | undefined =>
      list?.find((one) => one.workspace === workspace)
    const live = of(this.state.live?.workspaces)
    const coming = of(this.staged?.next.workspaces)
    const posts = [live && this.postOf(live), this.staged?.posts.find((post) => post.interface === coming?.interface)]
    for (const post of posts) if (post) raise(this.kernel, post, this.flagsOf(workspace))
    const { quarantined, suspended } = this.flags
    writeFlags(this.options.stateDirectory, { quarantined: [...quarantined].sort(), suspended: [...suspended].sort() })
  }

  /** Judged packet by packet: there are no flows to count, and no time is kept. */
  cut(_workspace: WorkspaceId): Promise<Cut> {
    const unknown = 'filters judge without flow state'
    return Promise.resolve({ flows: { unknown }, lastPacketAtMs: { unknown } })
  }

  async observe(): Promise<Observed> {
    await this.tail
    const { live } = this.state
    const seen = lookAtAll(this.kernel, live, (seat) => this.postOf(seat), this.flags, this.counts)
    const damage = this.damage === undefined ? [] : [`the record cannot be used: ${this.damage}`]
    return {
      live: live && {
        generation: live.generation,
        planDigest: live.planDigest,
        workspaces: seen.workspaces,
        quarantined: seen.quarantined,
        suspended: seen.suspended,
        learned: this.learned.grants.list(this.nowMs()),
      },
      drift: [...damage, ...seen.drift, ...saidOpen(this.kernel, this.unattached(live?.workspaces ?? []))],
      counters: seen.counts.counters(),
      drops: seen.counts.dropped(),
    }
  }

  learn(generation: number, grants: readonly LearnedGrant[]): Promise<boolean> {
    const { live } = this.state
    if (live?.generation !== generation) return Promise.resolve(false)
    this.learned.add(live.workspaces, grants)
    this.expire()
    return Promise.resolve(this.leads(live))
  }

  /** Takes away what has run out, and puts in what is new; called when something does. */
  expire(): void {
    clearTimeout(this.expiry)
    const nowMs = this.nowMs()
    const { live } = this.state
    for (const at of live?.workspaces ?? []) {
      const post = at.bands.length > 0 ? this.postOf(at) : undefined
      if (post) this.learned.sync(at, post, (live as HeldGeneration).turn, nowMs)
    }
    const next = this.learned.grants.nextExpiryMs(nowMs)
    if (next === undefined) return
    this.expiry = setTimeout(() => this.expireAgain(), Math.min(next - nowMs, LONGEST_TIMER_MS)).unref()
  }

  private expireAgain(): void {
    try {
      this.expire()
    } catch {
      // The kernel was busy, or the interface is gone: what should have gone may still be there, so it is tried again.
      this.expiry = setTimeout(() => this.expireAgain(), RETRY_MS).unref()
    }
  }

  /** The filters count what they refuse and do not show it: there is nothing to deliver. */
  denials(_deliver: (batch: DenialBatch) => void): Promise<() => Promise<void>> {
    return Promise.resolve(() => Promise.resolve())
  }

  /** The switch of each hook, and the chains that it leads to. */
  async inspect(): Promise<readonly Anchor[]> {
    await this.tail
    const { live } = this.state
    if (!live) return []
    return live.workspaces.flatMap((at) => {
      const post = this.postOf(at)
      return post ? [anchorOf(this.kernel, at.workspace, post, live, live.uplink ?? '')] : []
    })
  }

  async uninstall(): Promise<readonly string[]> {
    await this.tail
    clearTimeout(this.expiry)
    const { live, next, closed } = this.state
    const seats = new Map<string, Seat>()
    for (const seat of [
      ...(live?.workspaces ?? []),
      ...(next?.workspaces ?? []),
      ...closed,
      ...(this.staged?.posts ?? []),
    ])
      seats.set(seat.interface, seat)
    for (const name of matching(this.options.attachInterfaces))
      if (!seats.has(name)) seats.set(name, { interface: name, mac: '', number: 0 })
    const removed: string[] = []
    for (const seat of seats.values()) {
      const post = this.postOf(seat)
      if (post && withdraw(this.kernel, post)) removed.push(`filters on ${seat.interface}`)
    }
    this.staged = undefined
    await removeState(this.options.stateDirectory)
    this.state = { ...this.state, live: null, next: null, closed: [] }
    return removed
  }

  async close(): Promise<void> {
    await this.tail
    clearTimeout(this.expiry)
  }

  /** Of `live` and `next`, the kernel's own word decides after a crash between the two. */
  private adopt(): void {
    const { next } = this.state
    if (next && next.workspaces.length > 0 && this.leads(next)) this.state = { ...this.state, live: next, next: null }
    const { live } = this.state
    for (const at of live?.workspaces ?? []) {
      const post = this.postOf(at)
      if (!post || !live) continue
      this.learned.adopt(at, post, live.turn, live.generation)
      for (const station of post.stations) {
        const cookie = flagIn(station, this.kernel.native.list({ ...station, chain: 0 }))?.cookie
        if (cookie?.kind === 'flag' && cookie.quarantined) this.flags.quarantined.add(at.workspace)
        if (cookie?.kind === 'flag' && cookie.suspended) this.flags.suspended.add(at.workspace)
      }
    }
    if (live) this.expireAgain()
    if (this.options.flower)
      for (const name of matching(this.options.attachInterfaces)) this.closeAgain(name, live?.workspaces ?? [])
  }

  /** Whether every switch leads into this generation. */
  private leads({ workspaces, generation, planDigest, uplink }: HeldGeneration): boolean {
    return workspaces.every((at) => {
      const stations = postOf(this.kernel.native, uplink, at)?.stations ?? []
      return (
        stations.length > 0 &&
        stations.every((station) => {
          const cookie = switchIn(station, this.kernel.native.list({ ...station, chain: 0 }))?.cookie
          return (
            cookie?.kind === 'switch' && cookie.generation === generation && cookie.digest === switchMark(planDigest)
          )
        })
      )
    })
  }

  /** The chains before, beside traffic and flags: their counts are kept, then they go, but for the refusals at their ends. */
  private async retire(old: HeldGeneration, posts: readonly Post[]): Promise<void> {
    for (const post of posts) {
      const at = old.workspaces.find((one) => one.interface === post.interface)
      for (const station of post.stations) {
        try {
          if (at) this.counts.add(at, foundIn(this.kernel, station, old.turn))
          await clearTurn(this.kernel, station, old.turn)
        } catch {}
      }
      if (at) this.learned.forget(post, old.turn, at.bands)
    }
  }

  private flagsOf(workspace: WorkspaceId): Flags {
    return { quarantined: this.flags.quarantined.has(workspace), suspended: this.flags.suspended.has(workspace) }
  }

  private uplink(): string | undefined {
    return this.options.flower?.software ? undefined : this.options.flower?.uplink
  }

  /** Where a workspace of the live plan is judged: as it was placed, whatever the configuration says by now. */
  private postOf(seat: Seat): Post | undefined {
    const { live } = this.state
    return postOf(this.kernel.native, live ? live.uplink : this.uplink(), seat)
  }

  /** The plan before had another uplink, or this one has none: nothing of ours stays there. */
  private leaveUplink({ stations, ports }: Post): void {
    withdraw(this.kernel, { stations: stations.filter(({ ifindex }) => ifindex !== ports.slot) })
  }

  private unattached(seats: readonly Seat[]): Post[] {
    return unattached(this.options.attachInterfaces, seats, (seat) => this.postOf(seat))
  }

  /** Written one after another, each as everything is by then. */
  private save(change: Partial<StateFile>): Promise<void> {
    this.state = { ...this.state, ...change }
    const write = (): Promise<void> => writeState(this.options.stateDirectory, this.state)
    const writing = this.writing.then(write, write)
    this.writing = writing
    return writing
  }
}
