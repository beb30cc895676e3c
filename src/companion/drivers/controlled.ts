// What drivers whose machines are QEMU processes of this host have in common, whoever starts them: a cgroup that knows the processes, a
// control socket of ours (QMP) that says what the machine is, and a folder for each. The order of `prepare` is the argument: every file is
// verified, the limits and the seclusion stand before the process does, and the devices are read back from QEMU and from the kernel
// before anybody may let a CPU run. `run` reads them back once more. How a machine is started and told is the driver's `Hand` (hand.ts).
//
// It keeps no state of its own beside a folder a machine (machine-folder.ts): what is there is asked of cgroups, QMP and /proc, each time.

import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../../base/fault.js'
import { isObject } from '../../base/json.js'
import { companionFault } from '../errors.js'
import type { MachineGroups } from './cgroup.js'
import type { DriverProbe, MachineDriver, MachineId, MachineInside, MachineSeen, MachineSpec } from './driver.js'
import type { Hand } from './hand.js'
import { MachineFolder } from './machine-folder.js'
import { isAlive, isQemu, waysOutOf } from './proc.js'
import { uuidOf } from './qemu-arguments.js'
import { type Answers, type ReadBack, readBack } from './qemu-readback.js'
import { stateOf } from './qemu-state.js'
import { Qmp, QmpRefusal } from './qmp.js'
import { QmpProblem } from './qmp-message.js'
import { checkSpec, specDigest } from './spec.js'
import { requireVaulted } from './vaulted.js'
import { takeBackVfio } from './vfio.js'

const OPEN_MS = 30_000
/** What a machine may take to say what it is, where many are looked at. */
const LOOK_MS = 1_000
/** What a kill waits for the last words of a console, from the first octet to the last. */
const LAST_WORDS_MS = 100
const KILL_MS = 60_000
const POLL_MS = 10
const STOP_POLL_MS = 100

export class ControlledDriver implements MachineDriver {
  readonly name: MachineDriver['name']
  private probed: Promise<DriverProbe> | undefined
  /** What is under way for a machine; calls for one machine take turns. */
  private readonly lanes = new Map<MachineId, Promise<unknown>>()
  /** Kills of a machine so far: a `prepare` under way sees that it was overtaken. */
  private readonly kills = new Map<MachineId, number>()
  /** Stops under way, each with the only connection that its machine serves: a kill takes it away. */
  private readonly stopping = new Map<MachineId, AbortController>()
  /** Machines of which a process may exist that is not in its cgroup yet. */
  private readonly launching = new Set<MachineId>()

  /** Makings under way, which a kill ends. */
  private readonly makings = new Map<MachineId, AbortController>()

  constructor(
    private readonly hand: Hand,
    private readonly directory: string,
    private readonly groups: MachineGroups,
    private readonly accelerator?: 'kvm' | 'tcg',
  ) {
    this.name = hand.name
  }

  probe(): Promise<DriverProbe> {
    // What is missing now may be there at the next question: a daemon that was started meanwhile.
    this.probed ??= this.hand.probe().then((probe) => {
      if (!probe.usable) this.probed = undefined
      return probe
    })
    return this.probed
  }

  prepare(spec: MachineSpec): Promise<MachineSeen> {
    checkSpec(spec)
    return this.inTurn(spec.id, async () => {
      const folder = this.folder(spec.id)
      const there = folder.read()
      const running = this.processes(spec.id).length > 0
      if (running && there === undefined) throw companionFault('MACHINE_TAKEN', { id: spec.id })
      if (there && specDigest(there) !== specDigest(spec)) throw companionFault('MACHINE_TAKEN', { id: spec.id })
      if (running) return this.look(spec.id)
      const before = this.kills.get(spec.id) ?? 0
      try {
        await this.make(spec, folder, () => (this.kills.get(spec.id) ?? 0) !== before)
        this.launching.delete(spec.id)
        return await this.look(spec.id)
      } catch (cause) {
        await this.undo(spec.id, cause)
        if (cause instanceof Fault) throw cause
        const why = cause instanceof Error ? cause.message : String(cause)
        throw companionFault('MACHINE_START', { id: spec.id, why }, { cause })
      }
    })
  }

  run(id: MachineId): Promise<void> {
    return this.inTurn(id, () =>
      this.asking(id, async (qmp, spec) => {
        const state = await stateOf(qmp)
        if (state === 'running') return
        if (state !== 'prepared' && state !== 'paused')
          throw companionFault('MACHINE_STATE', { id, state, wanted: 'running' })
        requireClean(id, await this.readBack(qmp, spec))
        requireVaulted(spec, this.processes(id))
        await this.hand.resume(spec, qmp)
      }),
    )
  }

  pause(id: MachineId): Promise<void> {
    return this.inTurn(id, () => this.asking(id, (qmp, spec) => this.hand.pause(spec, qmp)))
  }

  stop(id: MachineId, graceMs: number): Promise<'stopped' | 'killed'> {
    return this.inTurn(id, async () => {
      const over = new AbortController()
      this.stopping.set(id, over)
      try {
        const stopped = await this.asked(id, graceMs, over.signal)
        // A machine that shut down is in no hurry; one that ignores its power button has what a kill waits.
        if (stopped) await this.lastWords(id, over.signal)
        return stopped ? 'stopped' : 'killed'
      } finally {
        this.stopping.delete(id)
        await this.kill(id)
      }
    })
  }

  async kill(id: MachineId): Promise<void> {
    // Never behind something that is under way: a kill overtakes it, and what it had begun is killed as well.
    this.kills.set(id, (this.kills.get(id) ?? 0) + 1)
    this.stopping.get(id)?.abort()
    this.makings.get(id)?.abort()
    if (this.folder(id).exists() && this.processes(id).length > 0)
      await this.lastWords(id, AbortSignal.timeout(LAST_WORDS_MS))
    await this.end(id)
    for (const endMs = Date.now() + KILL_MS; this.launching.has(id); await this.end(id)) {
      // No process is known, and one may come still: nobody may take it for ended.
      if (Date.now() >= endMs) throw companionFault('MACHINE_ALIVE', { id, pids: 'one that is being started' })
      await sleep(POLL_MS)
    }
  }

  async remove(id: MachineId): Promise<void> {
    const pids = this.processes(id)
    if (pids.length > 0) throw companionFault('MACHINE_ALIVE', { id, pids: pids.join(' ') })
    await this.forget(id)
  }

  forgetWords = async (isPast: (id: MachineId) => boolean) => MachineFolder.forgetWords(this.directory, isPast)

  ids(): Promise<readonly MachineId[]> {
    return Promise.resolve([...new Set([...MachineFolder.ids(this.directory), ...this.groups.list()])].sort())
  }

  async list(): Promise<readonly MachineSeen[]> {
    return Promise.all((await this.ids()).map((id) => this.look(id, AbortSignal.timeout(LOOK_MS))))
  }

  inspect(id: MachineId): Promise<MachineInside> {
    return this.asking(id, async (qmp, spec) => {
      const { paths } = await this.readBack(qmp, spec)
      const kvm = await qmp.execute('query-kvm')
      const memory = await qmp.execute('query-memory-size-summary')
      const cpus = await qmp.execute('query-cpus-fast')
      const { nic } = spec
      return {
        state: await stateOf(qmp),
        accelerator: isObject(kvm) && kvm.enabled === true ? 'kvm' : 'tcg',
        nic: { mac: nic.mac, behind: nic.kind === 'tap' ? nic.interface : nic.pci },
        paths,
        cpus: Array.isArray(cpus) ? cpus.length : 0,
        memoryMiB: isObject(memory) ? Number(memory['base-memory']) / (1 << 20) : 0,
        limits: this.groups.limits(id),
      }
    })
  }

  async consoleOf(id: MachineId, maxBytes: number): Promise<Uint8Array> {
    const folder = this.folder(id)
    if (!folder.exists()) {
      const words = folder.lastWords(maxBytes)
      if (words) return words
      throw companionFault('MACHINE_UNKNOWN', { id })
    }
    if (this.processes(id).length > 0) await this.drain(id)
    return folder.console(maxBytes)
  }

  private async make(spec: MachineSpec, folder: MachineFolder, overtaken: () => boolean): Promise<void> {
    this.hand.refuse(spec)
    const probe = await this.probe()
    if (!probe.usable) throw companionFault('MACHINE_UNSUPPORTED', { what: 'machines', why: probe.why })
    for (const { kind } of spec.volumes)
      if (!probe.shares.includes(kind))
        throw companionFault('MACHINE_UNSUPPORTED', { what: `${kind} volumes`, why: 'virtiofsd is not there' })
    const accelerator = this.accelerator ?? probe.accelerator ?? 'tcg'
    const stop = (): void => {
      this.launching.add(spec.id)
      if (overtaken()) throw companionFault('MACHINE_START', { id: spec.id, why: 'it was killed meanwhile' })
    }
    const over = new AbortController()
    this.makings.set(spec.id, over)
    const making = { folder, groups: this.groups, accelerator, stop, over: over.signal }
    const started = await this.hand.make(spec, making).finally(() => this.makings.delete(spec.id))
    try {
      const qmp = await Qmp.open(folder.control, OPEN_MS, () => started.ended())
      try {
        requireClean(spec.id, await this.readBack(qmp, spec))
        const state = await stateOf(qmp)
        if (state !== 'prepared') throw companionFault('MACHINE_STATE', { id: spec.id, state, wanted: 'preparing it' })
      } finally {
        qmp.close()
      }
    } catch (error) {
      if (error instanceof QmpProblem && started.said() !== '') throw new TypeError(started.said(), { cause: error })
      throw error
    }
    stop()
  }

  private async look(id: MachineId, over?: AbortSignal): Promise<MachineSeen> {
    const spec = this.folder(id).read()
    const pid = this.qemu(id)
    const [first] = this.processes(id)
    const alive = pid ?? first
    const seen = {
      id,
      workspace: spec?.workspace ?? '',
      spec: spec ? specDigest(spec) : NO_SPEC,
      image: spec?.boot.image ?? '',
      ...(spec ? { nic: spec.nic, user: spec.user } : {}),
      ...(alive === undefined ? {} : { pid: alive }),
    }
    if (alive === undefined) return { ...seen, state: 'gone' }
    try {
      return { ...seen, state: await this.asking(id, stateOf, over) }
    } catch (error) {
      if (error instanceof Fault) return { ...seen, state: this.processes(id).length > 0 ? 'silent' : 'gone' }
      throw error
    }
  }

  /** Until `over`, whatever it waits for. Throws MACHINE_UNKNOWN, MACHINE_SILENT. */
  private async asking<T>(
    id: MachineId,
    ask: (qmp: Qmp, spec: MachineSpec) => Promise<T>,
    over?: AbortSignal,
  ): Promise<T> {
    const folder = this.folder(id)
    const spec = folder.read()
    if (!spec || this.processes(id).length === 0) throw companionFault('MACHINE_UNKNOWN', { id })
    let qmp: Qmp | undefined
    try {
      qmp = await Qmp.open(folder.control, OPEN_MS, () => this.processes(id).length === 0, over)
      const uuid = await qmp.execute('query-uuid')
      if (!isObject(uuid) || uuid.UUID !== uuidOf(spec)) throw new QmpProblem('another machine answers there')
      return await ask(qmp, spec)
    } catch (cause) {
      if (cause instanceof QmpProblem || cause instanceof QmpRefusal)
        throw companionFault('MACHINE_SILENT', { id, why: cause.message }, { cause })
      throw cause
    } finally {
      qmp?.close()
    }
  }

  private async readBack(qmp: Qmp, spec: MachineSpec): Promise<ReadBack> {
    const list = (path: string) => qmp.execute('qom-list', { path })
    const answers: Answers = {
      pci: await qmp.execute('query-pci'),
      network: await qmp.execute('human-monitor-command', { 'command-line': 'info network' }),
      chardevs: await qmp.execute('query-chardev'),
      peripheral: await list('/machine/peripheral'),
      anonymous: await list('/machine/peripheral-anon'),
      objects: await list('/objects'),
      blocks: await qmp.execute('query-named-block-nodes', { flat: true }),
    }
    const pid = this.qemu(spec.id)
    if (pid === undefined) throw new QmpProblem('its process ended')
    const { paths, findings } = readBack(spec, this.hand.expected(spec), answers, waysOutOf(pid))
    return { paths, findings: [...findings, ...(await this.hand.alsoSays(spec, pid))] }
  }

  /** Whether it shut down by itself within `graceMs`, asked to. */
  private async asked(id: MachineId, graceMs: number, over: AbortSignal): Promise<boolean> {
    const endMs = Date.now() + graceMs
    let hasAsked = false
    const ask = async (qmp: Qmp, spec: MachineSpec): Promise<boolean> => {
      if ((await stateOf(qmp)) === 'running') await this.hand.shutDown(spec, qmp)
      hasAsked = true
      for (;;) {
        const state = await stateOf(qmp)
        if (state === 'ended') return true
        if (state !== 'running' || Date.now() >= endMs) return false
        await sleep(STOP_POLL_MS)
      }
    }
    try {
      return await this.asking(id, ask, over)
    } catch (error) {
      // It does not answer, or is not there: then there is nobody to ask, and the kill that follows is the answer.
      if (!(error instanceof Fault)) throw error
      // Or it did as it was asked, and whoever started it ends its process then.
      const isThere = () => this.qemu(id) !== undefined
      while (hasAsked && isThere() && !over.aborted && Date.now() < endMs) await sleep(STOP_POLL_MS)
      return hasAsked && !over.aborted && !isThere()
    }
  }

  /** What the console said since the last time, onto the disk. What cannot be had any more is gone; that keeps nothing waiting. */
  private async drain(id: MachineId, over?: AbortSignal): Promise<void> {
    try {
      await this.asking(id, (qmp) => this.hand.drain(qmp, this.folder(id)), over)
    } catch (error) {
      if (!(error instanceof Fault)) throw error // a Fault says that nobody answers: then there is nothing to keep
    }
  }

  /** Never throws: a disk that refuses what a machine said is no reason for the machine to live. */
  private lastWords(id: MachineId, over: AbortSignal): Promise<void> {
    return this.drain(id, over).catch(() => undefined)
  }

  /** Every process of it, until none is left. Throws MACHINE_ALIVE. */
  private async end(id: MachineId): Promise<void> {
    const endMs = Date.now() + KILL_MS
    for (;;) {
      const own = this.processes(id)
      // Those that are known first: nothing that has to be looked for keeps them alive.
      const pids = own.length > 0 ? own : (await this.hand.strays(id)).filter(isAlive)
      if (pids.length === 0) return
      if (Date.now() >= endMs) throw companionFault('MACHINE_ALIVE', { id, pids: pids.join(' ') })
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // ESRCH: it went by itself
        }
      }
      await sleep(POLL_MS)
    }
  }

  /** No process and no group of it is left, and so nothing in which somebody who is slow could still start it. Throws MACHINE_ALIVE. */
  private async ungroup(id: MachineId): Promise<void> {
    await this.end(id)
    // A process that ended is in its group until whoever started it has looked; one that comes up only now is ended too.
    for (const endMs = Date.now() + KILL_MS; !this.groups.remove(id); await this.end(id)) {
      if (Date.now() >= endMs) throw companionFault('MACHINE_ALIVE', { id, pids: this.groups.processes(id).join(' ') })
      await sleep(POLL_MS)
    }
  }

  /** Takes back what was begun. Throws what it could not, because of `cause`. */
  private async undo(id: MachineId, cause: unknown): Promise<void> {
    try {
      // What it could not end it has said; a kill that waited for it any longer would never end itself.
      await this.ungroup(id).finally(() => this.launching.delete(id))
      await this.forget(id)
    } catch (error) {
      if (error instanceof Error) error.cause ??= cause
      throw error
    }
  }

  private async forget(id: MachineId): Promise<void> {
    await this.ungroup(id)
    await this.hand.gone(id)
    const nic = this.folder(id).read()?.nic
    if (nic?.kind === 'vfio') takeBackVfio(nic.pci)
    this.folder(id).remove()
    this.kills.delete(id)
  }

  private folder(id: MachineId): MachineFolder {
    return new MachineFolder(this.directory, id)
  }
  private processes(id: MachineId): readonly number[] {
    return this.groups.processes(id).filter(isAlive)
  }
  private qemu(id: MachineId): number | undefined {
    return this.processes(id).find(isQemu)
  }

  private async inTurn<T>(id: MachineId, work: () => Promise<T>): Promise<T> {
    const before = this.lanes.get(id) ?? Promise.resolve()
    const mine = before.then(work, work)
    this.lanes.set(id, mine)
    try {
      return await mine
    } finally {
      if (this.lanes.get(id) === mine) this.lanes.delete(id)
    }
  }
}

/** Of a folder that says nothing. */
const NO_SPEC = `sha256:${'0'.repeat(64)}` as const

function requireClean(id: MachineId, { findings }: ReadBack): void {
  if (findings.length > 0) throw companionFault('MACHINE_PATH', { id, found: findings.join('; ') })
}
