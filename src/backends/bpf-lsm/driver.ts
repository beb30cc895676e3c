// The live half of bpf-lsm. What is live is what the kernel's maps say; beside them stands a file with the names of the cgroups, since
// a map has no room for them. Staging clears and writes the side that is not live; the commit is one write, and clears nothing, since a
// program may be judged by the side that it leaves (guard.h). Every look at what is live also looks at the listed files: one that
// was replaced by another under its path may run again when a look has seen it.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Executable, LearnedGrant, WorkspaceId } from '../../plan/model.js'
import type {
  ActivityBatch,
  Anchor,
  Cut,
  DenialBatch,
  Driver,
  Flag,
  Observed,
  OpenOptions,
  Probed,
  Staged,
} from '../backend.js'
import { guardFault } from './errors.js'
import { drainRefusals, type Told } from './events.js'
import { cgroupId, identityOf } from './files.js'
import { Guard } from './guard.js'
import { COUNTS, FLAG, type Identity, programKey, sameIdentity } from './layout.js'
import { Native } from './native.js'
import { probeGuard } from './probe.js'
import type { GuardedWorkspace, GuardProgram } from './program.js'

/** One workspace of the live side, as the file keeps it. */
interface Seat extends GuardedWorkspace {
  /** Decimal text. */
  readonly cgroupId: string
  readonly number: number
}
interface Held {
  readonly seats: readonly Seat[]
  /** Flags by workspace, also of those that have no cgroup yet. */
  readonly flags: Readonly<Record<WorkspaceId, number>>
}
const NOTHING: Held = { seats: [], flags: {} }
const FILE = 'guard.json'
const TOLD_FILE = 'told-lost'
const NO_OBSERVED: Observed = { live: null, drift: [], counters: [], drops: {} }

interface Prepared {
  readonly program: GuardProgram
  readonly seats: readonly Seat[]
  readonly side: number
}

export class GuardDriver implements Driver<GuardProgram> {
  private native: Native | undefined
  private guard: Guard | undefined
  private prepared: Prepared | undefined
  /** What the live side allows by path, as it was last looked at. */
  private readonly known = new Map<string, Identity>()

  constructor(private readonly options: OpenOptions) {}

  probe(): Promise<Probed> {
    return Promise.resolve(probeGuard())
  }

  observe(): Promise<Observed> {
    const guard = this.stands()
    const state = guard?.state()
    if (!guard || !state) return Promise.resolve(NO_OBSERVED)
    const { seats } = this.held()
    const judged = new Set(guard.tenants(state.side))
    const drift = seats
      .filter(({ cgroup, cgroupId: id }) => cgroupId(cgroup) !== BigInt(id) || !judged.has(BigInt(id)))
      .map(({ workspace, cgroup }) => `${workspace}: the cgroup ${cgroup} is not the one that is judged`)
    this.refresh(guard, state.side, seats)
    const flagged = (flag: Flag): WorkspaceId[] =>
      seats.filter(({ cgroupId: id }) => (guard.flags(BigInt(id)) & FLAG[flag]) !== 0).map(({ workspace }) => workspace)
    return Promise.resolve({
      live: {
        generation: state.generation,
        planDigest: state.digest,
        workspaces: seats.map(({ workspace }) => workspace),
        quarantined: flagged('quarantined'),
        suspended: flagged('suspended'),
        learned: [],
      },
      drift,
      counters: [],
      drops: Object.fromEntries(COUNTS.map((name, row) => [name, guard.count(row)])),
    })
  }

  /** Throws LSM_UNAVAILABLE, LSM_KERNEL, LSM_SLOT_ABSENT. */
  stage(program: GuardProgram): Promise<Staged> {
    const guard = this.raise()
    // Before the first commit the state is all zeros: side 0 is live, with an end that has passed, and must stay empty.
    const side = guard.state()?.side === 1 ? 0 : 1
    this.clear(guard, side)
    const seats = program.workspaces.map((one, i): Seat => {
      const id = cgroupId(one.cgroup)
      if (id === undefined) throw guardFault('LSM_SLOT_ABSENT', one)
      return { ...one, cgroupId: String(id), number: i + 1 }
    })
    const { flags } = this.held()
    for (const { workspace, allow, onExpiry, number, cgroupId: id } of seats) {
      const cgroup = BigInt(id)
      for (const one of allow ?? []) this.allow(guard, side, number, one)
      // Before it is judged, so that a flag that waited is in force at once.
      if ((flags[workspace] ?? 0) !== 0) guard.setFlags(cgroup, flags[workspace] ?? 0)
      guard.putTenant(side, { cgroup, number, restricted: allow !== undefined, hold: onExpiry === 'hold' })
    }
    this.prepared = { program, seats, side }
    return Promise.resolve({ generation: program.generation, planDigest: program.planDigest })
  }

  /** Throws LSM_STALE_STAGE, LSM_KERNEL. */
  commit({ generation, planDigest }: Staged): Promise<void> {
    const { prepared } = this
    if (prepared?.program.generation !== generation || prepared.program.planDigest !== planDigest)
      return Promise.reject(guardFault('LSM_STALE_STAGE', { generation }))
    const guard = this.raise()
    const { seats, side, program } = prepared
    // The names first: a kill in between leaves the old side judging under names that may be new, and the next look says so.
    this.keep({ ...this.held(), seats })
    guard.setState({
      generation,
      digest: planDigest,
      deadlineNs: deadlineOf(program.deadlineMs, guard.native.bootNs()),
      side,
    })
    this.prepared = undefined
    return Promise.resolve()
  }

  discard(_staged: Staged): Promise<void> {
    const guard = this.prepared && this.stands()
    if (guard && this.prepared) this.clear(guard, this.prepared.side)
    this.prepared = undefined
    return Promise.resolve()
  }

  flag(workspace: WorkspaceId, flag: Flag, on: boolean): Promise<void> {
    const held = this.held()
    const before = held.flags[workspace] ?? 0
    const flags = on ? before | FLAG[flag] : before & ~FLAG[flag]
    this.keep({ ...held, flags: { ...held.flags, [workspace]: flags } })
    const seat = held.seats.find((one) => one.workspace === workspace)
    if (seat) this.stands()?.setFlags(BigInt(seat.cgroupId), flags)
    return Promise.resolve()
  }

  learn(_generation: number, _grants: readonly LearnedGrant[]): Promise<boolean> {
    return Promise.resolve(false)
  }

  denials(_deliver: (batch: DenialBatch) => void): Promise<() => Promise<void>> {
    return Promise.resolve(() => Promise.resolve())
  }

  activities(
    deliver: (batch: ActivityBatch) => Promise<void>,
    failed: (error: unknown) => void,
  ): Promise<() => Promise<void>> {
    const guard = this.stands()
    if (!guard) return Promise.resolve(() => Promise.resolve())
    const named = () => new Map(this.held().seats.map(({ cgroupId: id, workspace }) => [BigInt(id), workspace]))
    return Promise.resolve(drainRefusals(guard, named, this.told(), deliver, failed))
  }

  inspect(): Promise<readonly Anchor[]> {
    return Promise.resolve([])
  }

  /** It stands before programs and cuts no traffic. */
  cut(_workspace: WorkspaceId): Promise<Cut> {
    return Promise.resolve({ flows: 0, lastPacketAtMs: 0 })
  }

  uninstall(): Promise<readonly string[]> {
    const guard = this.stands()
    guard?.remove()
    this.guard = undefined
    rmSync(this.options.stateDirectory, { recursive: true, force: true })
    return Promise.resolve(guard ? ['the guard of executables'] : [])
  }

  close(): Promise<void> {
    this.guard?.close()
    this.guard = undefined
    return Promise.resolve()
  }

  private stands(): Guard | undefined {
    this.native ??= Native.open()
    this.guard ??= Guard.standing(this.native)
    return this.guard
  }

  private raise(): Guard {
    this.native ??= Native.open()
    this.guard ??= Guard.raise(this.native)
    return this.guard
  }

  private clear(guard: Guard, side: number): void {
    guard.clear(side)
    for (const key of this.known.keys()) if (key.startsWith(`${side} `)) this.known.delete(key)
  }

  private allow(guard: Guard, side: number, number: number, one: Executable): void {
    const identity = identityOf(one, Date.now())
    if (!identity) return
    guard.putProgram(side, number, identity)
    this.known.set(knownKey(side, number, one), identity)
  }

  /** Files that were replaced since: what the clause lists is what lies there now. */
  private refresh(guard: Guard, side: number, seats: readonly Seat[]): void {
    const [gone, kept] = [new Map<string, () => void>(), new Set<string>()]
    for (const { number, allow } of seats)
      for (const one of allow ?? []) {
        const key = knownKey(side, number, one)
        const was = this.known.get(key)
        const is = identityOf(one, Date.now(), was)
        const moved = was && !(is && sameIdentity(was, is))
        if (moved) gone.set(rowKey(side, number, was), () => guard.removeProgram(side, number, was))
        if (is) kept.add(rowKey(side, number, is))
        if (is && (!was || moved)) guard.putProgram(side, number, is)
        if (is) this.known.set(key, is)
        else this.known.delete(key)
      }
    // One file may be listed under several names: it is taken away when the last of them stands for something else.
    for (const [row, remove] of gone) if (!kept.has(row)) remove()
  }

  private told(): Told {
    const path = join(this.options.stateDirectory, TOLD_FILE)
    return {
      read: () => {
        try {
          return BigInt(readFileSync(path, 'utf8'))
        } catch {
          return 0n // nothing was ever told, or a crash tore it: then losses are told once more, and none is hidden
        }
      },
      keep: (lost) => this.put(TOLD_FILE, String(lost)),
    }
  }

  private held(): Held {
    try {
      const value = JSON.parse(readFileSync(join(this.options.stateDirectory, FILE), 'utf8')) as Held
      return { seats: value.seats, flags: value.flags }
    } catch {
      return NOTHING // nothing was made live yet, or a crash tore it: then what is live shows as drift, and is put back
    }
  }
  private keep(held: Held): void {
    this.put(FILE, JSON.stringify(held))
  }
  private put(file: string, text: string): void {
    const { stateDirectory } = this.options
    if (!existsSync(stateDirectory)) mkdirSync(stateDirectory, { recursive: true, mode: 0o700 })
    const path = join(stateDirectory, file)
    writeFileSync(`${path}.new`, text, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }
}

const rowKey = (side: number, number: number, of: Identity): string => programKey(side, number, of).toString('hex')

const knownKey = (side: number, number: number, { path, digest }: Executable): string =>
  `${side} ${number} ${path} ${digest ?? ''}`

/** The same moment by the clock that counts sleep. */
const deadlineOf = (deadlineMs: number, bootNs: bigint): bigint =>
  bootNs + BigInt(Math.round(Math.max(0, deadlineMs - Date.now()))) * 1_000_000n
