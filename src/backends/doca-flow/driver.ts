// The live half of the DOCA Flow backend. The device belongs to this process while it is open, and everything on it goes with
// the process: what is live is what this driver loaded and saw confirmed. A generation is built beside the live one and made
// reachable by pointing each workspace's parents at it; a workspace is never judged by half of either.

import type { GrantId, LearnedGrant, WorkspaceId } from '../../plan/model.js'
import type { Anchor, Cut, DenialBatch, Driver, Flag, Observed, OpenOptions, Probed, Staged } from '../backend.js'
import { Alive } from './alive.js'
import { addCounts, type Chains, destroy, load } from './chains.js'
import { Connections, type Send } from './connections.js'
import { Device } from './device.js'
import { docaFault } from './errors.js'
import { clausesOf, Learned } from './learned.js'
import { type Count, Native } from './native.js'
import { probeDoca } from './probe.js'
import type { DocaProgram } from './program.js'
import { limitsOf, overflow } from './room.js'
import { Samples } from './samples.js'

const WAIT_MS = 5_000
const RETRY_MS = 250
const LOOK_MS = 250
const SAMPLE_MS = 50
/** First packets wait for this, and idle connections are looked for. */
const TAKE_MS = 2
const AGE_MS = 1_000
/** What setTimeout takes. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

interface Generation {
  readonly program: DocaProgram
  readonly chains: readonly Chains[]
}

export class DocaDriver implements Driver<DocaProgram> {
  private device: Device | undefined
  private live: Generation | undefined
  private staged: Generation | undefined
  /** What still runs after the last commit; over before anything is staged, observed or closed. */
  private tail: Promise<void> = Promise.resolve()
  private readonly flags = { quarantined: new Set<WorkspaceId>(), suspended: new Set<WorkspaceId>() }
  private readonly grants = new Map<WorkspaceId, Map<GrantId, Count>>()
  private readonly drops = new Map<string, bigint>()

  private readonly learned: Learned
  private readonly samples: Samples
  private readonly connections: Connections
  private taking: NodeJS.Timeout | undefined
  private agedAtMs = 0
  private lastCut: { readonly workspace: WorkspaceId; readonly flows: number } | undefined
  private expiry: NodeJS.Timeout | undefined
  private outage: Observed['outage']

  private constructor(
    private readonly native: Native,
    private readonly nowMs: () => number,
    private readonly alive: Alive,
    send?: Send,
  ) {
    this.learned = new Learned(native, WAIT_MS)
    this.samples = new Samples(native)
    this.connections = new Connections(native, WAIT_MS, send)
  }

  /**
   * Loads the shim; the device is opened when something is staged. `nowMs` is the clock of learned grants' expiry, `send` where
   * first packets go on (the Arm's netdevices). Throws DOCA_UNAVAILABLE, DOCA_NATIVE_ABI.
   */
  static open({ stateDirectory }: OpenOptions, nowMs: () => number = Date.now, send?: Send): Promise<DocaDriver> {
    return Promise.resolve(new DocaDriver(Native.open(), nowMs, new Alive(stateDirectory), send))
  }

  probe(): Promise<Probed> {
    return Promise.resolve(probeDoca(this.native))
  }

  async stage(program: DocaProgram): Promise<Staged> {
    await this.tail
    if (this.staged) await this.discard()
    const { native } = this
    this.recoverDevice()
    this.device ??= Device.open(native, WAIT_MS)
    const { device } = this
    if (program.tracked.workspaces.length > 0 && device.tracker === undefined)
      throw docaFault('DOCA_DEVICE', { what: 'tracking connections', why: 'this device tracks none; apply again' })
    this.takeFirsts()
    const short = overflow(limitsOf(native.facts().limits), program.workspaces, this.live?.program.workspaces ?? [])
    if (short) throw docaFault('DOCA_CAPACITY', short)
    const chains: Chains[] = []
    try {
      for (const at of program.workspaces)
        chains.push(await load(native, at, device.portOf(at), program.generation, WAIT_MS, device.ends))
    } catch (error) {
      for (const one of chains) destroy(native, one.pipes)
      throw error
    }
    this.staged = { program, chains }
    return { generation: program.generation, planDigest: program.planDigest }
  }

  commit(staged: Staged): Promise<void> {
    const next = this.staged
    const { device } = this
    if (
      !next ||
      !device ||
      next.program.generation !== staged.generation ||
      next.program.planDigest !== staged.planDigest
    )
      return Promise.reject(docaFault('DOCA_STALE_STAGE', { generation: staged.generation }))
    return later(() => {
      this.learned.grants.carry(clausesOf(next.program.workspaces), next.program.generation)
      this.learned.sync(next.chains, this.nowMs())
      device.parents.point(
        next.chains.filter(({ at }) => !this.isFlagged(at.workspace)),
        WAIT_MS,
      )
      const before = this.live
      this.live = next
      this.staged = undefined
      if (before) this.tail = this.retire(before)
      else this.rebuilt()
      this.expireAgain()
      // Behind the switch: what the old chains let begin meanwhile waits in a queue, and is judged by the new plan. What cannot be
      // removed now fails the commit, with the new plan live, and is tried again until it is gone.
      this.connections.judge(next.program.tracked, next.program.generation)
    })
  }

  discard(_staged?: Staged): Promise<void> {
    const { staged } = this
    this.staged = undefined
    for (const { pipes } of staged?.chains ?? []) destroy(this.native, pipes)
    return Promise.resolve()
  }

  flag(workspace: WorkspaceId, flag: Flag, on: boolean): Promise<void> {
    const set = this.flags[flag]
    if (on) set.add(workspace)
    else set.delete(workspace)
    const chains = this.live?.chains.find(({ at }) => at.workspace === workspace)
    if (!chains || !this.device) {
      if (on && this.device) this.lastCut = { workspace, flows: 0 }
      return Promise.resolve()
    }
    const { parents } = this.device
    // However often it is asked: one that failed half way is no reason to believe that it was done.
    return later(() => {
      if (on) {
        try {
          parents.close(chains, WAIT_MS)
        } finally {
          this.lastCut = { workspace, flows: this.connections.cut(workspace) }
        }
      } else if (!this.isFlagged(workspace)) {
        try {
          parents.open(chains, WAIT_MS)
        } catch (error) {
          set.add(workspace)
          throw error
        }
      }
    })
  }

  /** Where connections are not tracked there are none to count. The device keeps no times of packets. */
  cut(workspace: WorkspaceId): Promise<Cut> {
    const unknown = 'the device judges without flow state'
    const tracked = this.live?.program.tracked.workspaces.some((at) => at.workspace === workspace)
    if (!tracked || this.lastCut?.workspace !== workspace)
      return Promise.resolve({ flows: { unknown }, lastPacketAtMs: { unknown } })
    const untold = 'the device keeps no time of the last packet'
    return Promise.resolve({ flows: this.lastCut.flows, lastPacketAtMs: { unknown: untold } })
  }

  /** Judges the first packets that wait, and once a second takes idle connections away; called a few hundred times a second. */
  track(): void {
    const { live, device, connections } = this
    if (!live || device?.tracker === undefined) return
    const nowMs = this.nowMs()
    const { program, chains } = live
    connections.take(
      device.tracker,
      () => ({
        plan: program.tracked,
        learned: this.learned.grants.list(nowMs),
        flags: this.flags,
        portOf: (workspace) => chains.find(({ at }) => at.workspace === workspace)?.port,
      }),
      nowMs,
    )
    if (Math.abs(nowMs - this.agedAtMs) < AGE_MS) return
    this.agedAtMs = nowMs
    connections.age()
  }

  private takeFirsts(): void {
    if (this.device?.tracker === undefined) return
    this.taking ??= setInterval(() => {
      try {
        this.track()
      } catch {
        // The device is slow or lost: what waits goes nowhere, and the next observation says what is wrong.
      }
    }, TAKE_MS).unref()
  }

  /** What leads into each workspace's chains and is in force; a closed workspace has none of it. */
  async inspect(): Promise<readonly Anchor[]> {
    await this.tail
    const { live, device, native } = this
    if (!live || !device) return []
    const { emulated } = native.facts()
    return live.chains.map((chains): Anchor => {
      const on = `${chains.at.vuid}#${chains.port}`
      return {
        workspace: chains.at.workspace,
        emulated,
        generation: live.program.generation,
        hooks: device.parents.inForce(chains).map(({ hook, handle }) => ({
          hook,
          on,
          owner: { kind: 'entry', handle: String(handle) },
        })),
        objects: chains.pipes.map(({ pipe, handle }) => ({ kind: 'pipe', name: pipe.name, id: String(handle) })),
      }
    })
  }

  async observe(): Promise<Observed> {
    await this.tail
    const { live, device, native } = this
    const drift = device && !device.isWhole() ? ['entries of the fence are gone from the device'] : []
    const totals = this.totals()
    for (const { at, pipes } of drift.length > 0 ? [] : (live?.chains ?? []))
      addCounts(native, { at, pipes, port: 0 }, mapOf(totals.grants, at.workspace), totals.drops)
    if (drift.length === 0) this.connections.count(totals.grants)
    if (this.connections.lost > 0n)
      totals.drops.set('no-flow', (totals.drops.get('no-flow') ?? 0n) + this.connections.lost)
    return {
      live: live
        ? {
            generation: live.program.generation,
            planDigest: live.program.planDigest,
            workspaces: live.program.workspaces.map(({ workspace }) => workspace),
            quarantined: [...this.flags.quarantined].sort(),
            suspended: [...this.flags.suspended].sort(),
            learned: this.learned.grants.list(this.nowMs()),
          }
        : null,
      drift,
      ...(this.outage ? { outage: this.outage } : {}),
      counters: [...totals.grants].flatMap(([workspace, grants]) =>
        [...grants].map(([grant, { packets, octets }]) => ({ workspace, grant, packets, bytes: octets })),
      ),
      drops: Object.fromEntries(totals.drops),
    }
  }

  async learn(generation: number, grants: readonly LearnedGrant[]): Promise<boolean> {
    const { live } = this
    if (live?.program.generation !== generation) return false
    this.learned.add(live.program.workspaces, grants, this.nowMs())
    this.expire()
    return true
  }

  /** Takes away what has run out; called when it does. */
  expire(): void {
    clearTimeout(this.expiry)
    const nowMs = this.nowMs()
    this.learned.sync(this.live?.chains ?? [], nowMs)
    const next = this.learned.grants.nextExpiryMs(nowMs)
    if (next === undefined) return
    this.expiry = setTimeout(() => this.expireAgain(), Math.min(next - nowMs, LONGEST_TIMER_MS)).unref()
  }

  private expireAgain(): void {
    try {
      this.expire()
    } catch {
      // The device is slow or lost: what should have gone may still be there, so it is tried again until it has.
      this.expiry = setTimeout(() => this.expireAgain(), RETRY_MS).unref()
    }
  }

  /** Packets that no grant allowed, as far as the queue and the buckets let them through. */
  denials(deliver: (batch: DenialBatch) => void): Promise<() => Promise<void>> {
    const timer = setInterval(() => {
      const { device, live } = this
      if (device?.sampled === undefined || !live) return
      try {
        const batch = this.samples.take(live.program, device.sampled, Date.now())
        if (batch.denials.length > 0 || batch.lost > 0) deliver(batch)
      } catch {
        // A device that is lost shows nothing; the next observation says that it is.
      }
    }, SAMPLE_MS).unref()
    return Promise.resolve(() => {
      clearInterval(timer)
      return Promise.resolve()
    })
  }

  /** A device has nobody to tell of a reset: it is asked a few times a second. */
  watch(changed: () => void): () => void {
    let whole = true
    const timer = setInterval(() => {
      const { device, live } = this
      const was = whole
      whole = device === undefined || device.isWhole()
      if (whole && live) this.alive.beat(Date.now())
      if (was && !whole) changed()
    }, LOOK_MS).unref()
    return () => {
      clearInterval(timer)
    }
  }

  private rebuilt(): void {
    const fromMs = this.alive.lastMs()
    const untilMs = Date.now()
    if (fromMs !== undefined) this.outage = { fromMs: Math.min(fromMs, untilMs), untilMs }
    this.alive.beat(untilMs)
  }

  async uninstall(): Promise<readonly string[]> {
    await this.tail
    const removed = this.device ? [`pipes of ${this.live?.chains.length ?? 0} workspaces`] : []
    this.shut()
    return removed
  }

  async close(): Promise<void> {
    await this.tail
    this.shut()
  }

  private shut(): void {
    clearTimeout(this.expiry)
    clearInterval(this.taking)
    this.taking = undefined
    const { device } = this
    this.device = this.live = this.staged = undefined
    this.samples.forget()
    this.connections.forget()
    device?.close()
  }

  /** A device that was reset has lost everything: it is opened anew, closed to all until the next commit. */
  private recoverDevice(): void {
    if (this.device && !this.device.isWhole()) this.shut()
  }

  private isFlagged(workspace: WorkspaceId): boolean {
    return this.flags.quarantined.has(workspace) || this.flags.suspended.has(workspace)
  }

  /** The old chains, which nothing reaches any more, beside traffic and flags: their counts are kept, then they go. */
  private async retire({ chains }: Generation): Promise<void> {
    const { device } = this
    for (const one of chains)
      for (const pipe of [...one.pipes].reverse()) {
        await new Promise((done) => setImmediate(done))
        // The device was closed meanwhile, and everything with it.
        if (this.device !== device) return
        try {
          addCounts(this.native, { ...one, pipes: [pipe] }, mapOf(this.grants, one.at.workspace), this.drops)
        } catch {
          // A device that was lost cannot be counted any more; the next observation says that it is.
          return
        }
        destroy(this.native, [pipe])
      }
  }

  private totals(): { grants: Map<WorkspaceId, Map<GrantId, Count>>; drops: Map<string, bigint> } {
    return {
      grants: new Map([...this.grants].map(([workspace, grants]) => [workspace, new Map(grants)])),
      drops: new Map(this.drops),
    }
  }
}

/** Done at once, and a fault becomes the promise's. */
const later = (act: () => void): Promise<void> =>
  new Promise((done) => {
    act()
    done()
  })

function mapOf(all: Map<WorkspaceId, Map<GrantId, Count>>, workspace: WorkspaceId): Map<GrantId, Count> {
  const held = all.get(workspace) ?? new Map<GrantId, Count>()
  all.set(workspace, held)
  return held
}
