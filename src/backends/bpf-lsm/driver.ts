// The live half of bpf-lsm. What is live is what the kernel's maps say; beside them stand files with what a map has no room for: the names of
// the cgroups (seats.ts) and the clauses. Staging clears and writes the side that is not live; the commit is one write, and clears nothing, since a
// program may be judged by the side that it leaves (guard.h). Every look at what is live also looks at the listed files: one that
// was replaced by another under its path may run again when a look has seen it.

import { rmSync } from 'node:fs'
import type { LearnedGrant, WorkspaceId } from '../../plan/model.js'
import type {
  ActivityBatch,
  Anchor,
  Cut,
  DenialBatch,
  Driver,
  FileDenialBatch,
  FileDenied,
  Flag,
  Observed,
  OpenOptions,
  Probed,
  Staged,
  VolumeSeen,
} from '../backend.js'
import { cgroupId } from '../tracing/cgroups.js'
import { Kept } from '../tracing/kept.js'
import type { Native } from '../tracing/native.js'
import { drainRing } from '../tracing/ring.js'
import { standing } from '../tracing/standing.js'
import { openDoor } from './door.js'
import { guardFault } from './errors.js'
import { activitiesOf, fileDenialsOf, type Judged, type Named } from './events.js'
import { Guard, type Live } from './guard.js'
import { COUNTS, FILES_LOST_ROW, FLAG, STRUCTS } from './layout.js'
import { probeGuard } from './probe.js'
import type { GuardProgram } from './program.js'
import { Programs } from './programs.js'
import { cgroupsOf, type Held, type Seat, type Seating, seatingsOf } from './seats.js'
import { FILE_COUNTS, type Hung, NOTHING_HUNG, seenVolumes, strayed, Volumes } from './volumes.js'

const NOTHING: Held = { seats: [], hung: NOTHING_HUNG, flags: {} }
const FILE = 'guard.json'
const JUDGED_FILE = 'judged.json'
/** Plans whose refusals may still be told of. */
const JUDGED = 4
const TOLD_FILE = 'told-lost'
const TOLD_FILES_FILE = 'told-lost-files'
const BATCH = 256
const NO_OBSERVED: Observed = { live: null, drift: [], counters: [], drops: {} }

interface Prepared {
  readonly program: GuardProgram
  readonly seats: readonly Seat[]
  readonly hung: Hung
  readonly side: number
}

export class GuardDriver implements Driver<GuardProgram> {
  private native: Native | undefined
  private guard: Guard | undefined
  private prepared: Prepared | undefined
  private readonly programs = new Programs()
  private readonly kept: Kept

  constructor(private readonly options: OpenOptions) {
    this.kept = new Kept(options.stateDirectory, (details, cause) => guardFault('LSM_STATE', details, cause))
  }

  probe(): Promise<Probed> {
    return Promise.resolve(probeGuard())
  }

  observe(): Promise<Observed> {
    const guard = this.stands()
    const state = guard?.state()
    if (!guard || !state) return Promise.resolve(NO_OBSERVED)
    const [seating] = seatingsOf(this.held(), state.turn)
    const { seats, hung } = seating
    // A number of the live side may stand for somebody else in another plan: under names that are not its own nothing is written.
    const named = seating.turn === state.turn
    const judged = new Set(guard.tenants(state.side))
    const drift = seats
      .filter(({ cgroup, cgroupId: id }) => cgroupId(cgroup) !== BigInt(id) || !judged.has(BigInt(id)))
      .map(({ workspace, cgroup }) => `${workspace}: the cgroup ${cgroup} is not the one that is judged`)
    const missing = guard.missing(seats.some(({ volumes }) => volumes.length > 0))
    if (named) this.programs.refresh(guard, state.side, seats)
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
      drift: [
        ...(named ? [] : ['the names of the plan that is judged by are not on record']),
        ...missing.map((name) => `${name} does not hang`),
        ...drift,
        ...seats.flatMap((seat) => strayed(seat, hung.places)),
      ],
      counters: [],
      volumes: this.volumes(guard, state, seating),
      drops: {
        ...Object.fromEntries(COUNTS.map((name, row) => [name, guard.count(row)])),
        ...(guard.hasFiles() ? Object.fromEntries(FILE_COUNTS.map(([name, row]) => [name, guard.fileCount(row)])) : {}),
      },
    })
  }

  /** Throws LSM_UNAVAILABLE, LSM_KERNEL, LSM_SLOT_ABSENT, LSM_VOLUME. */
  stage(program: GuardProgram): Promise<Staged> {
    const guard = this.raise(program.workspaces.some(({ volumes }) => volumes.length > 0))
    // Before the first commit the state is all zeros: side 0 is live, with an end that has passed, and must stay empty.
    const side = guard.state()?.side === 1 ? 0 : 1
    guard.pruneFlags()
    this.clear(guard, side)
    const seats = program.workspaces.map((one, i): Seat => {
      const id = cgroupId(one.cgroup)
      if (id === undefined) throw guardFault('LSM_SLOT_ABSENT', one)
      return { ...one, cgroupId: String(id), number: i + 1 }
    })
    const { flags } = this.held()
    const volumes = new Volumes(guard, side)
    for (const seat of seats) {
      const { workspace, allow, onExpiry, number, cgroupId: id } = seat
      const cgroup = BigInt(id)
      this.programs.allow(guard, side, seat)
      volumes.hang(seat, number)
      // Before it is judged, so that a flag that waited is in force at once.
      if ((flags[workspace] ?? 0) !== 0) guard.setFlags(cgroup, flags[workspace] ?? 0)
      const files = seat.volumes.length > 0
      guard.putTenant(side, { cgroup, number, restricted: allow !== undefined, hold: onExpiry === 'hold', files })
    }
    this.prepared = { program, seats, hung: volumes.hung(), side }
    return Promise.resolve({ generation: program.generation, planDigest: program.planDigest })
  }

  /** Throws LSM_STALE_STAGE, LSM_STATE, LSM_KERNEL. */
  commit({ generation, planDigest }: Staged): Promise<void> {
    const { prepared } = this
    if (prepared?.program.generation !== generation || prepared.program.planDigest !== planDigest)
      return Promise.reject(guardFault('LSM_STALE_STAGE', { generation }))
    const guard = this.stands()
    if (!guard) return Promise.reject(guardFault('LSM_STALE_STAGE', { generation }))
    const { seats, hung, side, program } = prepared
    // The names first, beside those that are judged by until the switch: wherever a kill falls, both are on record.
    const [turn, state, held] = [guard.nextTurn(), guard.state(), this.held()]
    const volumes = Object.fromEntries(
      seats.map((seat) => [seat.workspace, seat.volumes.map(({ name }) => name)] as const),
    )
    const before = this.judged().filter((one) => one.turn !== turn)
    const judged: readonly Judged[] = [{ turn, generation, clauses: hung.clauses, volumes }, ...before].slice(0, JUDGED)
    this.kept.write(JUDGED_FILE, JSON.stringify(judged))
    this.keep({
      ...{ turn, seats, hung: { places: hung.places }, flags: held.flags },
      ...(state ? { before: seatingsOf(held, state.turn)[0] } : {}),
    })
    guard.setState({
      generation,
      digest: planDigest,
      deadlineNs: deadlineOf(program.deadlineMs, guard.native.bootNs()),
      side,
    })
    // A cgroup may have been another workspace's until now: what flagged that one does not flag this one.
    const former = state ? (seatingsOf(held, state.turn)[0]?.seats ?? []) : []
    for (const { cgroupId: id, workspace } of seats)
      if (former.some((one) => one.cgroupId === id && one.workspace !== workspace))
        guard.setFlags(BigInt(id), held.flags[workspace] ?? 0)
    guard.retire()
    this.prepared = undefined
    return Promise.resolve()
  }

  discard(_staged: Staged): Promise<void> {
    const guard = this.prepared && this.stands()
    if (guard && this.prepared) this.clear(guard, this.prepared.side)
    this.prepared = undefined
    return Promise.resolve()
  }

  /** Closes first and writes down after, since a full disk must keep nobody open; opens when that is written. Throws LSM_KERNEL, LSM_STATE. */
  flag(workspace: WorkspaceId, flag: Flag, on: boolean): Promise<void> {
    const held = this.held()
    const before = held.flags[workspace] ?? 0
    const changed = (flags: number): number => (on ? flags | FLAG[flag] : flags & ~FLAG[flag])
    const keep = (): void => this.keep({ ...held, flags: { ...held.flags, [workspace]: changed(before) } })
    if (!on) keep()
    try {
      const guard = this.stands()
      const state = guard?.state()
      // Also where a switch is about to put it. Before the first commit a record is of what a restart of the node took away.
      const seatings = [...(state ? seatingsOf(held, state.turn) : []), ...(this.prepared ? [this.prepared] : [])]
      // Beside what the kernel has: another flag may be there that could not be written down.
      for (const cgroup of cgroupsOf(workspace, seatings))
        guard?.setFlags(cgroup, changed(before | guard.flags(cgroup)))
    } finally {
      if (on) keep()
    }
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
    if (!this.stands()) return Promise.resolve(() => Promise.resolve())
    // Whoever listens keeps the guard: what an older build of it hung is replaced here.
    const guard = this.raise(false)
    return Promise.resolve(
      drainRing(
        {
          ...{ native: guard.native, kept: this.kept, toldFile: TOLD_FILE, batch: BATCH },
          map: () => this.newest(guard).eventsMap(),
          eventOctets: STRUCTS.guard_event.size,
          lost: () => this.newest(guard).count(LOST_ROW),
          read: (events) => {
            const { activities, unnamed } = activitiesOf(events, this.named(), clocks(guard))
            return { batch: activities, unnamed }
          },
          deliver: (activities, lost) => deliver({ activities, lost }),
        },
        failed,
      ),
    )
  }

  /** Whoever listens may do so before the first plan with a volume: it begins when files are judged. */
  fileDenials(deliver: (batch: FileDenialBatch) => void): Promise<() => Promise<void>> {
    const begin = (failed: () => void): (() => Promise<void>) | undefined => {
      const guard = this.stands()
      return guard?.hasFiles() ? this.drainFiles(guard, deliver, failed) : undefined
    }
    return Promise.resolve(standing(begin))
  }

  inspect(): Promise<readonly Anchor[]> {
    const guard = this.stands()
    const state = guard?.state()
    if (!guard || !state) return Promise.resolve([])
    const [seating] = seatingsOf(this.held(), state.turn)
    const volumes = this.volumes(guard, state, seating)
    return Promise.resolve(
      seating.seats.map(({ workspace, cgroup }): Anchor => {
        const { hooks, objects } = guard.anchors(cgroup)
        const own = volumes.filter((volume) => volume.workspace === workspace && volume.state !== 'gone')
        return {
          ...{ workspace, emulated: false, generation: state.generation, hooks },
          objects: [...objects, ...own.map(({ name, device }) => ({ kind: 'mount' as const, name, id: device }))],
        }
      }),
    )
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
    return Promise.resolve(guard ? ['the guard of executables and files'] : [])
  }

  close(): Promise<void> {
    this.guard?.close()
    this.guard = undefined
    return Promise.resolve()
  }

  private drainFiles(guard: Guard, deliver: (batch: FileDenialBatch) => void, failed: () => void): () => Promise<void> {
    const read = (events: readonly Buffer[]): { batch: readonly FileDenied[]; unnamed: number } => {
      const { denials, unnamed } = fileDenialsOf(events, this.named(), this.judged(), clocks(guard))
      return { batch: denials, unnamed }
    }
    return drainRing(
      {
        ...{ native: guard.native, kept: this.kept, toldFile: TOLD_FILES_FILE, batch: BATCH },
        map: () => this.newest(guard).fileEventsMap(),
        eventOctets: STRUCTS.guard_file_event.size,
        lost: () => this.newest(guard).fileCount(FILES_LOST_ROW),
        read,
        deliver: (denials, lost) => deliver({ denials, lost }),
      },
      failed,
    )
  }

  private volumes(guard: Guard, state: Live, { seats, hung }: Seating): readonly VolumeSeen[] {
    return seats.flatMap((seat) =>
      seenVolumes(seat, hung.places, seat.onExpiry !== 'hold' && guard.native.bootNs() >= state.deadlineNs),
    )
  }

  private named(): Named {
    const { before, seats } = this.held()
    return new Map([...(before?.seats ?? []), ...seats].map(({ cgroupId: id, workspace }) => [BigInt(id), workspace]))
  }

  private stands(): Guard | undefined {
    this.native ??= openDoor()
    this.guard ??= Guard.standing(this.native)
    return this.guard
  }

  private raise(withFiles: boolean): Guard {
    this.native ??= openDoor()
    const raised = Guard.raise(this.native, withFiles)
    this.guard?.close()
    this.guard = raised
    return raised
  }

  /** Whoever listens outlives the guard that it began with. */
  private newest(guard: Guard): Guard {
    return this.guard ?? guard
  }

  private clear(guard: Guard, side: number): void {
    guard.clear(side)
    this.programs.forget(side)
  }

  private judged(): readonly Judged[] {
    return this.kept.value<readonly Judged[]>(JUDGED_FILE, [])
  }
  private held(): Held {
    return { ...NOTHING, ...this.kept.value<Partial<Held>>(FILE, {}) }
  }
  private keep(held: Held): void {
    this.kept.write(FILE, JSON.stringify(held))
  }
}

const LOST_ROW = COUNTS.indexOf('exec-unreported')

const clocks = ({ native }: Guard): { ms: number; ns: bigint } => ({ ms: Date.now(), ns: native.bootNs() })

/** The same moment by the clock that counts sleep. */
const deadlineOf = (deadlineMs: number, bootNs: bigint): bigint =>
  bootNs + BigInt(Math.round(Math.max(0, deadlineMs - Date.now()))) * 1_000_000n
