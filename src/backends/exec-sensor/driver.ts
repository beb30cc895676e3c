// The live half of exec-sensor. What is live is what the kernel's maps say; beside them stands a file with the names of the cgroups, since
// a map has no room for them. Pinned, so that what runs while the agent is dead waits for it, as far as the buffer has room.

import { rmSync } from 'node:fs'
import { type Digest, isDigest } from '../../base/digest.js'
import type { LearnedGrant, WorkspaceId } from '../../plan/model.js'
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
import { cgroupId, cgroupKey } from '../tracing/cgroups.js'
import { Kept } from '../tracing/kept.js'
import type { Native } from '../tracing/native.js'
import { Pinned } from '../tracing/pinned.js'
import { drainRing } from '../tracing/ring.js'
import { openDoor } from './door.js'
import { sensorFault } from './errors.js'
import { recordOf } from './events.js'
import { COUNTS, MAX_TENANTS, STRUCTS } from './layout.js'
import { probeSensor } from './probe.js'
import type { SensedWorkspace, SensorProgram } from './program.js'

interface Seat extends SensedWorkspace {
  /** Decimal text. */
  readonly cgroupId: string
}
interface Held {
  readonly seats: readonly Seat[]
  readonly flags: Readonly<Record<Flag, readonly WorkspaceId[]>>
}
const NOTHING: Held = { seats: [], flags: { quarantined: [], suspended: [] } }
const FILE = 'sensor.json'
const COUNTERS = 'sensor_counts'
const TOLD_FILE = 'told-lost'
const BATCH = 128
const LOST_ROW = 1
/** Folder below the BPF file system; its number goes on with the layout of the maps. */
const PINS = 'sluice/sensor-1'
const OBJECT = { name: 'sensor', tracepoint: 'sched_process_exec' } as const

export class SensorDriver implements Driver<SensorProgram> {
  private native: Native | undefined
  private pins: Pinned | undefined
  private prepared: { readonly program: SensorProgram; readonly seats: readonly Seat[] } | undefined
  private readonly kept: Kept

  constructor(private readonly options: OpenOptions) {
    this.kept = new Kept(options.stateDirectory, (details, cause) => sensorFault('SENSOR_STATE', details, cause))
  }

  probe(): Promise<Probed> {
    return Promise.resolve(probeSensor())
  }

  observe(): Promise<Observed> {
    const pinned = this.stands()
    const state = pinned && this.state(pinned)
    if (!pinned || !state) return Promise.resolve({ live: null, drift: [], counters: [], drops: {} })
    const { seats, flags } = this.held()
    const drift = seats
      .filter(({ cgroup, cgroupId: id }) => cgroupId(cgroup) !== BigInt(id))
      .map(({ workspace, cgroup }) => `${workspace}: the cgroup ${cgroup} is not the one that is told of`)
    const drops = Object.fromEntries(COUNTS.map((name, row) => [name, pinned.count(COUNTERS, row)]))
    const workspaces = seats.map(({ workspace }) => workspace)
    return Promise.resolve({ live: { ...state, workspaces, ...flags, learned: [] }, drift, counters: [], drops })
  }

  /** Throws SENSOR_UNAVAILABLE, SENSOR_KERNEL, SENSOR_SLOT_ABSENT. */
  stage(program: SensorProgram): Promise<Staged> {
    this.raise()
    const seats = program.workspaces.map((one): Seat => {
      const id = cgroupId(one.cgroup)
      if (id === undefined) throw sensorFault('SENSOR_SLOT_ABSENT', one)
      return { ...one, cgroupId: String(id) }
    })
    this.prepared = { program, seats }
    return Promise.resolve({ generation: program.generation, planDigest: program.planDigest })
  }

  /** Who is told of under both plans is told of all the time. Throws SENSOR_STALE_STAGE, SENSOR_STATE, SENSOR_KERNEL. */
  commit({ generation, planDigest }: Staged): Promise<void> {
    const { prepared } = this
    if (prepared?.program.generation !== generation || prepared.program.planDigest !== planDigest)
      return Promise.reject(sensorFault('SENSOR_STALE_STAGE', { generation }))
    this.keep({ ...this.held(), seats: prepared.seats })
    const wanted = new Set(prepared.seats.map(({ cgroupId: id }) => id))
    const pinned = this.raise()
    const { native } = pinned
    const [one, tenants] = [Buffer.from([1, 0, 0, 0]), pinned.map('sensor_tenants')]
    for (const id of wanted) native.call('writing a workspace', 'write', tenants, cgroupKey(BigInt(id)), one, 1, 8, 4)
    for (const key of pinned.keys('sensor_tenants', 8, 4, MAX_TENANTS))
      if (!wanted.has(String(key.readBigUInt64LE()))) native.ask('remove', tenants, key)
    const { size, fields } = STRUCTS.sensor_state
    const value = Buffer.alloc(size)
    value.writeBigUInt64LE(BigInt(generation), fields.generation)
    value.write(planDigest.slice('sha256:'.length), fields.digest, 'hex')
    native.call('switching', 'write', pinned.map('sensor_state'), Buffer.alloc(4), value, 1, 4, size)
    pinned.retire('sensor')
    this.prepared = undefined
    return Promise.resolve()
  }

  discard(_staged: Staged): Promise<void> {
    this.prepared = undefined
    return Promise.resolve()
  }

  /** Kept, and fences nothing: the fence of the traffic does. Throws SENSOR_STATE. */
  flag(workspace: WorkspaceId, flag: Flag, on: boolean): Promise<void> {
    const held = this.held()
    const others = held.flags[flag].filter((name) => name !== workspace)
    this.keep({ ...held, flags: { ...held.flags, [flag]: on ? [...others, workspace].sort() : others } })
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
    // Whoever listens keeps the sensor: what an older build of it hung is replaced here.
    const pinned = this.raise()
    return Promise.resolve(
      drainRing(
        {
          ...{ native: pinned.native, kept: this.kept, toldFile: TOLD_FILE, batch: BATCH },
          map: () => pinned.map('sensor_events'),
          eventOctets: STRUCTS.sensor_event.size,
          lost: () => pinned.count(COUNTERS, LOST_ROW),
          read: (events) => this.read(events, pinned.native.bootNs()),
          deliver: (activities, lost) => deliver({ activities, lost }),
        },
        failed,
      ),
    )
  }

  inspect(): Promise<readonly Anchor[]> {
    const pinned = this.stands()
    const state = pinned && this.state(pinned)
    if (!pinned || !state) return Promise.resolve([])
    const told = new Set(pinned.keys('sensor_tenants', 8, 4, MAX_TENANTS).map((key) => String(key.readBigUInt64LE())))
    return Promise.resolve(
      this.held()
        .seats.filter(({ cgroupId: id }) => told.has(id))
        .map(({ workspace, cgroup }): Anchor => {
          const { hooks, objects } = pinned.anchors(cgroup, () => `tracepoint/${OBJECT.tracepoint}`)
          return { workspace, emulated: false, generation: state.generation, hooks, objects }
        }),
    )
  }

  /** It cuts nothing by itself. */
  cut(_workspace: WorkspaceId): Promise<Cut> {
    return Promise.resolve({ flows: 0, lastPacketAtMs: 0 })
  }

  uninstall(): Promise<readonly string[]> {
    const stood = this.stands()
    stood?.remove()
    this.pins = undefined
    rmSync(this.options.stateDirectory, { recursive: true, force: true })
    return Promise.resolve(stood ? ['the sensor of programs'] : [])
  }

  close(): Promise<void> {
    this.pins?.close()
    this.pins = undefined
    return Promise.resolve()
  }

  /** `unnamed` counts the events of cgroups that no plan on record names any more. */
  private read(
    events: readonly Buffer[],
    ns: bigint,
  ): { readonly batch: ActivityBatch['activities']; readonly unnamed: number } {
    const { fields } = STRUCTS.sensor_event
    const seats = new Map(this.held().seats.map((seat) => [seat.cgroupId, seat]))
    const now = { ms: Date.now(), ns }
    const batch = events.flatMap((event) => {
      const seat = seats.get(String(event.readBigUInt64LE(fields.cgroup)))
      return seat ? [{ workspace: seat.workspace, record: recordOf(event, new Set(seat.pinned), now) }] : []
    })
    return { batch, unnamed: events.length - batch.length }
  }

  private pinned(): Pinned {
    this.native ??= openDoor()
    this.pins ??= new Pinned(this.native, PINS)
    return this.pins
  }
  private stands(): Pinned | undefined {
    const pinned = this.pinned()
    return pinned.stands() ? pinned : undefined
  }
  private raise(): Pinned {
    const pinned = this.pinned()
    pinned.raise(OBJECT)
    return pinned
  }

  /** undefined: nothing was ever made live. */
  private state(pinned: Pinned): { readonly generation: number; readonly planDigest: Digest } | undefined {
    const { size, fields } = STRUCTS.sensor_state
    const value = Buffer.alloc(size)
    pinned.native.call('reading the state', 'read', pinned.map('sensor_state'), Buffer.alloc(4), value)
    const generation = Number(value.readBigUInt64LE(fields.generation))
    const planDigest = `sha256:${value.toString('hex', fields.digest, fields.digest + 32)}`
    return generation === 0 || !isDigest(planDigest) ? undefined : { generation, planDigest }
  }

  private held(): Held {
    return this.kept.value(FILE, NOTHING)
  }
  private keep(held: Held): void {
    this.kept.write(FILE, JSON.stringify(held))
  }
}
