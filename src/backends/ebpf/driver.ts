// The live half of the eBPF backend. One lane for everything that changes generations; flags and learned grants go straight to
// the kernel, in one or two system calls, whatever that lane is doing.
//
// A commit is one word. What follows it (learned grants of gone clauses, flows without a grant, the old generation's maps)
// changes no verdict, runs beside traffic, and is over before the next generation is staged; a new driver does it first of all,
// so that a crash in between revives nothing.

import { setInterval } from 'node:timers'
import { Fault } from '../../base/fault.js'
import type { LearnedGrant, SessionPeer, WorkspaceId } from '../../plan/model.js'
import type {
  Anchor,
  Cut,
  DenialBatch,
  Driver,
  Flag,
  Flagged,
  Floor,
  Observed,
  OpenOptions,
  Probed,
  Staged,
} from '../backend.js'
import { attachAll, attachedIndexes, attachmentOf, detachAll, interfacesOf, isWaiting, matches } from './attach.js'
import { attachGroup, detachGroup, groupPath, renewGroups } from './cgroup.js'
import { countCut } from './cut.js'
import { drainDenials } from './denials.js'
import { ebpfFault } from './errors.js'
import { Fence, isStanding, removeIfEmpty, removePins } from './fence.js'
import { hasFloor, layFloor, nameFenced, nameSlots } from './floor.js'
import { addFlowTables, dropFlowTable, flowsFor } from './flows.js'
import { type Book, buildGeneration, clearSlot, readBook } from './generation.js'
import { inspect } from './inspect.js'
import { Learned } from './learned.js'
import { Native } from './native.js'
import { observe } from './observe.js'
import { probeEbpf } from './probe.js'
import type { EbpfProgram } from './program.js'
import { pruneNamespaces, signNamespace } from './prune.js'
import { rehang } from './rehang.js'
import { Sessions } from './sessions.js'
import { sweepAll } from './sweep.js'
import { Tail } from './tail.js'
import { Tenants } from './tenants.js'
import { watchInterfaces } from './watch.js'

const SWEEP_MS = 1000
/** How long flows that both ends have closed may stay when a workspace's table is more than half full. */
const PRESSED_MS = 2000

interface Ready extends Staged {
  readonly slot: number
  readonly book: Book
  /** Interfaces that this stage was the first to attach. */
  readonly added: readonly number[]
  /** Workspaces whose cgroup this stage was the first to attach. */
  readonly groups: readonly number[]
}

/** The fence and what the agent knows about it. */
interface Standing {
  readonly fence: Fence
  readonly tenants: Tenants
  readonly learned: Learned
  readonly sessions: Sessions
}

const wordOf = ({ generation }: Pick<Book, 'generation'>, slot: number): bigint =>
  (BigInt(generation) << 1n) | BigInt(slot)

export class EbpfDriver implements Driver<EbpfProgram> {
  private held: Standing | undefined
  private staged: Ready | undefined
  /** What is live. */
  private book: Book | undefined
  /** What still runs after the last commit. */
  private readonly tail = new Tail()
  private timer: NodeJS.Timeout | undefined
  private readonly stops: (() => Promise<void>)[] = []
  private readonly cuts = new Map<WorkspaceId, Promise<Cut>>()
  private readonly watchers = new Set<() => void>()
  private unwatch: (() => void) | undefined
  private sweeping: Promise<void> = Promise.resolve()
  /** Lists of sessions, one after another, and none while a plan is switched. */
  private sessionLane: Promise<unknown> = Promise.resolve()
  /** Workspaces whose table is more than half full. */
  private pressed: ReadonlySet<number> = new Set()

  private constructor(
    private readonly native: Native,
    private readonly options: OpenOptions,
  ) {}

  /** Adopts the fence of this network namespace. Makes one only when there is something to close: asking costs nothing. */
  static async open(options: OpenOptions): Promise<EbpfDriver> {
    const driver = new EbpfDriver(Native.open(), options)
    if (options.attachInterfaces.length > 0 || isStanding(driver.native)) driver.stand()
    await driver.tail.over()
    return driver
  }

  probe(): Promise<Probed> {
    return Promise.resolve(probeEbpf(this.native))
  }

  async observe(): Promise<Observed> {
    await this.tail.over()
    if (!this.held) return { live: null, drift: [], counters: [], drops: {} }
    const { fence, tenants, learned, sessions } = this.held
    return observe(fence, tenants, learned, sessions, this.options.attachInterfaces)
  }

  async flagged(): Promise<Flagged | null> {
    await this.tail.over()
    if (!this.held) return null
    const { fence, tenants, sessions } = this.held
    const word = fence.word()
    const book = word === 0n ? undefined : readBook(fence, Number(word & 1n))
    if (!book) return null
    return {
      workspaces: book.workspaces.map((one) => one.workspace),
      quarantined: tenants.flagged('quarantined'),
      suspended: tenants.flagged('suspended'),
      sessions: sessions.list(),
    }
  }

  async stage(program: EbpfProgram): Promise<Staged> {
    await this.tail.over()
    if (this.staged) await this.discard(this.staged)
    const { fence, tenants } = this.stand()
    const placements = program.workspaces.map((one) => {
      const tenant = tenants.numberOf(one.workspace)
      return { tenant, attachment: attachmentOf(fence, one, tenant) }
    })
    const word = fence.word()
    const slot = word === 0n ? 0 : 1 - Number(word & 1n)
    await addFlowTables(
      fence,
      placements.map(({ tenant }) => tenant),
    )
    const book = await buildGeneration(fence, program, placements, slot)
    const onInterfaces = placements.filter((_, i) => program.workspaces[i]?.kind !== 'cgroup')
    const added = attachAll(
      fence,
      onInterfaces.map((one) => one.attachment).filter((attachment) => !isWaiting(attachment)),
    )
    const groups = program.workspaces.flatMap((one, i) => {
      const { tenant = 0 } = placements[i] ?? {}
      return one.kind === 'cgroup' && attachGroup(fence, groupPath(one), tenant) ? [tenant] : []
    })
    this.closeUnattached(fence)
    // Last, since the floor goes by these names and whoever fails before is not discarded.
    for (const [i, { attachment }] of placements.entries()) {
      const one = program.workspaces[i]
      // One that has come since the live generation was made is fenced by that one, which the floor goes by until the switch.
      if (one && one.kind !== 'cgroup' && !(isWaiting(attachment) && this.hangsNow(one.interface)))
        nameFenced(fence, one.interface, attachment)
    }
    const { generation, planDigest } = program
    this.staged = { generation, planDigest, slot, book, added, groups }
    return { generation, planDigest }
  }

  async commit(staged: Staged): Promise<void> {
    const ready = this.ready(staged)
    const standing = this.stand()
    this.cutWhatExpired(standing)
    await this.sessionLane
    if (this.book) await standing.sessions.cutOver(this.book)
    standing.fence.setWord(wordOf(ready, ready.slot))
    this.staged = undefined
    this.book = ready.book
    // What came while the generation was made is in the old book alone.
    this.lookAround(standing.fence)
    this.tail.follow(() => this.settle(standing, ready.book, ready.slot))
  }

  async discard(staged: Staged): Promise<void> {
    const ready = this.ready(staged)
    const { fence } = this.stand()
    this.staged = undefined
    // An interface that is fenced by an earlier generation stays as it is; one that this stage closed is opened again.
    detachAll(fence, ready.added)
    for (const tenant of ready.groups) detachGroup(fence, tenant)
    nameSlots(fence, this.book, this.options.attachInterfaces)
    await clearSlot(fence, ready.slot)
  }

  flag(workspace: WorkspaceId, flag: Flag, on: boolean): Promise<void> {
    const { fence, tenants } = this.stand()
    const epoch = tenants.flag(workspace, flag, on)
    if (on && flag === 'quarantined') this.cuts.set(workspace, countCut(fence, tenants.numberOf(workspace), epoch))
    return Promise.resolve()
  }

  cut(workspace: WorkspaceId): Promise<Cut> {
    const why = 'this process set no flag'
    return this.cuts.get(workspace) ?? Promise.resolve({ flows: { unknown: why }, lastPacketAtMs: { unknown: why } })
  }

  async inspect(): Promise<readonly Anchor[]> {
    await this.tail.over()
    return this.held && this.book ? inspect(this.held.fence, this.book) : []
  }

  learn(generation: number, grants: readonly LearnedGrant[]): Promise<boolean> {
    if (this.book?.generation !== generation) return Promise.resolve(false)
    const { fence, learned } = this.stand()
    learned.add(grants)
    // Read back: another generation may have become live by another hand.
    return Promise.resolve(Number(fence.word() >> 1n) === generation)
  }

  sessions(workspace: WorkspaceId, peers: readonly SessionPeer[]): Promise<boolean> {
    const done = this.sessionLane.then(async () => {
      await this.tail.over()
      const { sessions } = this.stand()
      const at = this.book?.workspaces.find((one) => one.workspace === workspace)
      return at !== undefined && sessions.put(at, peers)
    })
    this.sessionLane = done.catch(() => undefined)
    return done
  }

  floor(): Promise<Floor> {
    const { fence } = this.stand()
    if (this.book) return Promise.resolve({ laid: false, say: `generation ${this.book.generation} is live` })
    const closed = attachedIndexes(fence).size
    const come = hasFloor(fence) ? 'and those of these names that come' : 'but not those that come (Linux 6.4 has that)'
    return Promise.resolve({ laid: true, say: `${closed} interface(s) closed, ${come}` })
  }

  denials(deliver: (batch: DenialBatch) => void): Promise<() => Promise<void>> {
    const { fence, tenants } = this.stand()
    const stop = drainDenials(fence, tenants, deliver)
    this.stops.push(stop)
    return Promise.resolve(stop)
  }

  watch(changed: () => void): () => void {
    this.watchers.add(changed)
    return () => void this.watchers.delete(changed)
  }

  async uninstall(): Promise<readonly string[]> {
    await this.rest()
    if (!this.held) return []
    const { fence } = this.held
    const attached = attachedIndexes(fence).size
    detachAll(
      fence,
      interfacesOf(fence).map(({ index }) => index),
    )
    fence.close()
    this.held = undefined
    this.book = undefined
    const base = fence.pins.slice(0, fence.pins.lastIndexOf('/'))
    removePins(base)
    removeIfEmpty(base.slice(0, base.lastIndexOf('/')))
    return [`the fence program on ${attached} interface(s)`, `everything pinned below ${base}`]
  }

  async close(): Promise<void> {
    await this.rest()
    this.held?.fence.close()
    this.held = undefined
  }

  /** The fence, made or adopted. What an agent that died left undone after its last commit is done first. */
  private stand(): Standing {
    if (this.held) return this.held
    const fence = Fence.open(this.native)
    if (!fence.adopted) renewGroups(fence)
    const tenants = new Tenants(fence)
    const word = fence.word()
    const learned = new Learned(fence, tenants, Number(word >> 1n))
    this.held = { fence, tenants, learned, sessions: new Sessions(fence, tenants) }
    const slot = Number(word & 1n)
    this.book = word === 0n ? undefined : readBook(fence, slot)
    if (this.book) this.tail.follow(this.settle.bind(this, this.held, this.book, slot))
    this.closeUnattached(fence)
    layFloor(fence, !fence.adopted)
    nameSlots(fence, this.book, this.options.attachInterfaces)
    this.timer = setInterval(() => this.housekeep(fence), SWEEP_MS)
    this.timer.unref()
    const base = fence.pins.slice(0, fence.pins.lastIndexOf('/'))
    signNamespace(base)
    pruneNamespaces(this.native, base)
    this.unwatch = watchInterfaces(this.native, () => this.lookAround(fence))
    this.lookAround(fence)
    return this.held
  }

  /** It is in the live book under an interface's number. */
  private hangsNow(name: string): boolean {
    return this.book?.workspaces.some((one) => one.interface === name && !isWaiting(one.attachment)) ?? false
  }

  private ready(staged: Staged): Ready {
    const { staged: held } = this
    if (held?.generation !== staged.generation || held.planDigest !== staged.planDigest)
      throw ebpfFault('EBPF_STALE_STAGE', { generation: staged.generation })
    return held
  }

  /** Brings what lives beside the generations in line with the live one, then lets the old one go. */
  private async settle({ fence, tenants, learned, sessions }: Standing, book: Book, slot: number): Promise<void> {
    // Done again after a failure it may come late: what another hand has made live since then is not its to clear.
    if (fence.word() !== wordOf(book, slot)) return
    const clauses = new Map(book.workspaces.map((one) => [one.workspace, new Set(one.clauses)]))
    learned.carryOver(clauses, book.generation, Date.now())
    // Packets that began under the old word may still make flows by it: wait for them, then look at every flow.
    await clearSlot(fence, 1 - slot)
    for (const tenant of tenants.others(book.workspaces)) dropFlowTable(fence, tenant)
    sessions.keepOnly(book.workspaces)
    tenants.forgetOthers(book.workspaces)
    await sweepAll(fence, book)
    // Interfaces may have been made anew meanwhile.
    nameSlots(fence, this.book, this.options.attachInterfaces)
    for (const other of fence.otherLayouts()) removePins(other)
  }

  /** A deadline that passed has cut every flow, whether or not anything came by to notice. */
  private cutWhatExpired({ tenants }: Standing): void {
    const { book } = this
    // By the boot clock, as in the kernel: the other one may have been put right since.
    const isOver = ({ endsAtBootNs, expiresAtMs }: Book): boolean =>
      endsAtBootNs === undefined ? expiresAtMs <= Date.now() : BigInt(endsAtBootNs) <= this.native.bootNs()
    if (book && isOver(book)) for (const one of book.workspaces) tenants.cut(one.workspace)
  }

  /** Interfaces that may carry fenced traffic only are closed, plan or no plan. */
  private closeUnattached(fence: Fence): readonly number[] {
    const { attachInterfaces } = this.options
    const indexes = interfacesOf(fence)
      .filter(({ name }) => matches(name, attachInterfaces))
      .map(({ index }) => index)
    return attachAll(fence, indexes)
  }

  /** Ends what runs beside: the timer, the drains, the tail of the last commit. */
  private async rest(): Promise<void> {
    clearInterval(this.timer)
    this.unwatch?.()
    this.unwatch = undefined
    await Promise.all(this.stops.splice(0).map((stop) => stop()))
    await Promise.all(this.cuts.values())
    await this.sweeping
    await this.sessionLane
    await this.tail.over()
  }

  /**
   * Fences interfaces that came meanwhile: at the kernel's word, and once a second for what was not heard. What fails here shows
   * as drift, and at the next commit, which does the same.
   */
  private lookAround(fence: Fence): void {
    const before = this.book
    let closed: readonly number[] = []
    try {
      closed = this.closeUnattached(fence)
      const word = fence.word()
      if (before && word >> 1n === BigInt(before.generation)) this.book = rehang(fence, before, Number(word & 1n))
    } catch (error) {
      if (!(error instanceof Fault)) throw error
    }
    if (closed.length > 0 || this.book !== before) for (const changed of this.watchers) changed()
  }

  /** Forgets flows that are over. */
  private housekeep(fence: Fence): void {
    this.lookAround(fence)
    this.held?.learned.forgetExpired(Date.now(), this.book?.generation ?? 0)
    const { book } = this
    if (!book) return
    const half = flowsFor(book.workspaces.length) / 2
    this.sweeping = sweepAll(fence, book, (tenant) => (this.pressed.has(tenant) ? PRESSED_MS : 0)).then(
      (kept) => {
        this.pressed = new Set([...kept].filter(([, count]) => count > half).map(([tenant]) => tenant))
        // Their flows are gone with this sweep.
        this.held?.sessions.forgetOver()
      },
      () => undefined,
    )
  }
}
