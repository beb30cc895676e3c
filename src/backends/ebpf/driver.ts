// The live half of the eBPF backend. One lane for everything that changes generations; flags and learned grants go straight to
// the kernel, in one or two system calls, whatever that lane is doing.
//
// A commit is one word. What follows it (learned grants of gone clauses, flows without a grant, the old generation's maps)
// changes no verdict, runs beside traffic, and is over before the next generation is staged; a new driver does it first of all,
// so that a crash in between revives nothing.

import { setInterval } from 'node:timers'
import type { LearnedGrant, WorkspaceId } from '../../plan/model.js'
import type { DenialBatch, Driver, Flag, Observed, OpenOptions, Probed, Staged } from '../backend.js'
import { attachAll, attachmentOf, detachAll, interfacesOf, matches } from './attach.js'
import { drainDenials } from './denials.js'
import { ebpfFault } from './errors.js'
import { Fence, removePins } from './fence.js'
import { type Book, buildGeneration, clearSlot, readBook } from './generation.js'
import { MAX_FLOWS } from './layout.js'
import { Learned } from './learned.js'
import { observe } from './observe.js'
import { probeEbpf } from './probe.js'
import type { EbpfProgram } from './program.js'
import { sweep } from './sweep.js'
import { Tenants } from './tenants.js'

const SWEEP_MS = 1000
/** How long flows that both ends have closed may stay when the table is more than half full. */
const PRESSED_MS = 2000

interface Ready extends Staged {
  readonly slot: number
  readonly book: Book
  /** Interfaces that this stage was the first to attach. */
  readonly added: readonly number[]
}

export class EbpfDriver implements Driver<EbpfProgram> {
  private staged: Ready | undefined
  /** What still runs after the last commit. */
  private tail: Promise<void> = Promise.resolve()
  private generation: number
  /** What is live. */
  private book: Book | undefined
  private readonly stops: (() => Promise<void>)[] = []
  private readonly timer: NodeJS.Timeout
  private pressed = false

  private constructor(
    private readonly fence: Fence,
    private readonly tenants: Tenants,
    private readonly learned: Learned,
    private readonly options: OpenOptions,
  ) {
    this.generation = Number(fence.word() >> 1n)
    this.timer = setInterval(() => this.housekeep(), SWEEP_MS)
    this.timer.unref()
  }

  static async open(options: OpenOptions): Promise<EbpfDriver> {
    const fence = Fence.open()
    const tenants = new Tenants(fence)
    const word = fence.word()
    const learned = new Learned(fence, tenants, Number(word >> 1n))
    const driver = new EbpfDriver(fence, tenants, learned, options)
    const slot = Number(word & 1n)
    driver.book = word === 0n ? undefined : readBook(fence, slot)
    if (driver.book) await driver.settle(driver.book, slot)
    driver.closeUnattached()
    return driver
  }

  probe(): Promise<Probed> {
    return Promise.resolve(probeEbpf(this.fence))
  }

  async observe(): Promise<Observed> {
    await this.tail
    return observe(this.fence, this.tenants, this.learned, this.options.attachInterfaces)
  }

  async stage(program: EbpfProgram): Promise<Staged> {
    await this.tail
    if (this.staged) await this.discard(this.staged)
    const placements = program.workspaces.map((one) => ({
      tenant: this.tenants.numberOf(one.workspace),
      attachment: attachmentOf(this.fence, one),
    }))
    const word = this.fence.word()
    const slot = word === 0n ? 0 : 1 - Number(word & 1n)
    const book = await buildGeneration(this.fence, program, placements, slot)
    const added = attachAll(
      this.fence,
      placements.map((one) => one.attachment),
    )
    this.closeUnattached()
    const { generation, planDigest } = program
    this.staged = { generation, planDigest, slot, book, added }
    return { generation, planDigest }
  }

  async commit(staged: Staged): Promise<void> {
    const ready = this.ready(staged)
    this.cutWhatExpired()
    this.fence.setWord((BigInt(ready.generation) << 1n) | BigInt(ready.slot))
    this.generation = ready.generation
    this.staged = undefined
    this.book = ready.book
    this.tail = this.settle(ready.book, ready.slot)
    // The next stage or observation hears of a failure.
    this.tail.catch(() => undefined)
  }

  async discard(staged: Staged): Promise<void> {
    const ready = this.ready(staged)
    this.staged = undefined
    // An interface that is fenced by an earlier generation stays as it is; one that this stage closed is opened again.
    detachAll(this.fence, ready.added)
    await clearSlot(this.fence, ready.slot)
  }

  flag(workspace: WorkspaceId, flag: Flag, on: boolean): Promise<void> {
    this.tenants.flag(workspace, flag, on)
    return Promise.resolve()
  }

  learn(generation: number, grants: readonly LearnedGrant[]): Promise<boolean> {
    if (this.generation !== generation) return Promise.resolve(false)
    this.learned.add(grants)
    // Read back: another generation may have become live by another hand.
    return Promise.resolve(Number(this.fence.word() >> 1n) === generation)
  }

  denials(deliver: (batch: DenialBatch) => void): Promise<() => Promise<void>> {
    const stop = drainDenials(this.fence, this.tenants, deliver)
    this.stops.push(stop)
    return Promise.resolve(stop)
  }

  async uninstall(): Promise<readonly string[]> {
    await this.tail
    await Promise.all(this.stops.splice(0).map((stop) => stop()))
    clearInterval(this.timer)
    const indexes = interfacesOf(this.fence)
    const pinned = this.fence.links().length
    detachAll(
      this.fence,
      indexes.map(({ index }) => index),
    )
    const { pins } = this.fence
    this.fence.close()
    removePins(pins)
    removePins(pins.slice(0, pins.lastIndexOf('/')))
    return [`${pinned} attachments of the fence program`, `the pins below ${pins}`]
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    await Promise.all(this.stops.splice(0).map((stop) => stop()))
    await this.tail.catch(() => undefined)
    this.fence.close()
  }

  private ready(staged: Staged): Ready {
    const { staged: held } = this
    if (held?.generation !== staged.generation || held.planDigest !== staged.planDigest)
      throw ebpfFault('EBPF_STALE_STAGE', { generation: staged.generation })
    return held
  }

  /** Brings what lives beside the generations in line with the live one, then lets the old one go. */
  private async settle(book: Book, slot: number): Promise<void> {
    const { fence } = this
    const clauses = new Map(book.workspaces.map((one) => [one.workspace, new Set(one.clauses)]))
    this.learned.carryOver(clauses, book.generation, Date.now())
    // Packets that began under the old word may still make flows by it: wait for them, then look at every flow.
    await clearSlot(fence, 1 - slot)
    for (const one of book.workspaces) this.place(one.tenant, one.attachment)
    await sweep(fence, 0)
    for (const other of fence.otherLayouts()) removePins(other)
  }

  /** Tells the sweep where a workspace is. */
  private place(tenant: number, attachment: number): void {
    const key = Buffer.alloc(4)
    const value = Buffer.alloc(4)
    key.writeUInt32LE(tenant)
    value.writeUInt32LE(attachment)
    this.fence.native.call('placing a workspace', 'mapWrite', this.fence.map('attachments'), key, value, 1, 4, 4)
  }

  /** A deadline that passed has cut every flow, whether or not anything came by to notice. */
  private cutWhatExpired(): void {
    const { book } = this
    if (book && book.expiresAtMs <= Date.now()) for (const one of book.workspaces) this.tenants.cut(one.workspace)
  }

  /** Interfaces that may carry fenced traffic only are closed, plan or no plan. */
  private closeUnattached(): void {
    const { attachInterfaces } = this.options
    const indexes = interfacesOf(this.fence)
      .filter(({ name }) => matches(name, attachInterfaces))
      .map(({ index }) => index)
    attachAll(this.fence, indexes)
  }

  /** Forgets flows that are over. A failure shows at the next commit, which sweeps too. */
  private housekeep(): void {
    sweep(this.fence, this.pressed ? PRESSED_MS : 0).then(
      ({ kept }) => {
        this.pressed = kept > MAX_FLOWS / 2
      },
      () => undefined,
    )
  }
}
