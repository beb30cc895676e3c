// The live half of exec-sensor. What is live is what the kernel's maps say; beside them stands a file with the names of the cgroups, since
// a map has no room for them. Pinned, so that what runs while the agent is dead waits for it, as far as the buffer has room.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
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
import { sensorFault } from './errors.js'
import { recordOf } from './events.js'
import { cgroupId } from './files.js'
import { COUNTS, MAX_TENANTS, STRUCTS } from './layout.js'
import { Native, nativePath } from './native.js'
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
const TOLD_FILE = 'told-lost'
const LOG_OCTETS = 65_536
const BATCH = 128
/** A drain that waits longer would hold up the end of the process. */
const POLL_MS = 100
const [TOLD, LOST] = [0, 1]

export class SensorDriver implements Driver<SensorProgram> {
  private native: Native | undefined
  private prepared: { readonly program: SensorProgram; readonly seats: readonly Seat[] } | undefined

  constructor(private readonly options: OpenOptions) {}

  probe(): Promise<Probed> {
    return Promise.resolve(probeSensor())
  }

  observe(): Promise<Observed> {
    const state = this.stands() ? this.state() : undefined
    if (!state) return Promise.resolve({ live: null, drift: [], counters: [], drops: {} })
    const { seats, flags } = this.held()
    const drift = seats
      .filter(({ cgroup, cgroupId: id }) => cgroupId(cgroup) !== BigInt(id))
      .map(({ workspace, cgroup }) => `${workspace}: the cgroup ${cgroup} is not the one that is told of`)
    const drops = Object.fromEntries(COUNTS.map((name, row) => [name, this.count(row)]))
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

  /** Who is told of under both plans is told of all the time. Throws SENSOR_STALE_STAGE, SENSOR_KERNEL. */
  commit({ generation, planDigest }: Staged): Promise<void> {
    const { prepared } = this
    if (prepared?.program.generation !== generation || prepared.program.planDigest !== planDigest)
      return Promise.reject(sensorFault('SENSOR_STALE_STAGE', { generation }))
    this.keep({ ...this.held(), seats: prepared.seats })
    const wanted = new Set(prepared.seats.map(({ cgroupId: id }) => id))
    const one = Buffer.from([1, 0, 0, 0])
    this.on('sensor_tenants', (native, map) => {
      for (const id of wanted) native.call('writing a workspace', 'write', map, keyOf(BigInt(id)), one, 1, 8, 4)
      const [keys, values] = [Buffer.alloc(MAX_TENANTS * 8), Buffer.alloc(MAX_TENANTS * 4)]
      const count = native.call('reading workspaces', 'dump', map, keys, values, MAX_TENANTS, 8, 4)
      for (let i = 0; i < count; i++) {
        const id = keys.readBigUInt64LE(i * 8)
        if (!wanted.has(String(id))) native.ask('remove', map, keyOf(id))
      }
    })
    const { size, fields } = STRUCTS.sensor_state
    const value = Buffer.alloc(size)
    value.writeBigUInt64LE(BigInt(generation), fields.generation)
    value.write(planDigest.slice('sha256:'.length), fields.digest, 'hex')
    this.on('sensor_state', (native, map) => native.call('switching', 'write', map, Buffer.alloc(4), value, 1, 4, size))
    this.prepared = undefined
    return Promise.resolve()
  }

  discard(_staged: Staged): Promise<void> {
    this.prepared = undefined
    return Promise.resolve()
  }

  /** Kept, and fences nothing: the fence of the traffic does. */
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
    let over = false
    const run = this.drain(deliver, () => over).catch(failed)
    return Promise.resolve(() => {
      over = true
      return run
    })
  }

  inspect(): Promise<readonly Anchor[]> {
    return Promise.resolve([])
  }

  /** It cuts nothing by itself. */
  cut(_workspace: WorkspaceId): Promise<Cut> {
    return Promise.resolve({ flows: 0, lastPacketAtMs: 0 })
  }

  uninstall(): Promise<readonly string[]> {
    const stood = this.stands()
    if (stood) {
      unlinkSync(`${this.pins()}/link`)
      for (const folder of ['maps', 'programs']) {
        for (const name of readdirSync(`${this.pins()}/${folder}`)) unlinkSync(`${this.pins()}/${folder}/${name}`)
        rmdirSync(`${this.pins()}/${folder}`)
      }
      rmdirSync(this.pins())
    }
    rmSync(this.options.stateDirectory, { recursive: true, force: true })
    return Promise.resolve(stood ? ['the sensor of programs'] : [])
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  private async drain(deliver: (batch: ActivityBatch) => Promise<void>, isOver: () => boolean): Promise<void> {
    const { native, size } = { native: this.library(), size: STRUCTS.sensor_event.size }
    const [records, opened]: [Buffer, unknown[]] = [Buffer.alloc(BATCH * size), [null]]
    this.on('sensor_events', (_, map) => native.call('opening the ring buffer', 'eventsOpen', map, size, opened))
    const reader = opened[0] as object
    // What was lost while nobody looked is told too. A count that went back was begun anew with the maps.
    const [told, counted] = [this.told(), this.count(LOST)]
    let lostBefore = told <= counted ? told : 0n
    try {
      while (!isOver()) {
        const got = await native.askAsync('eventsDrain', reader, records, BATCH, POLL_MS)
        if (got < 0) throw sensorFault('SENSOR_KERNEL', { what: 'draining events', errno: String(got) })
        const lost = this.count(LOST)
        if (got === 0 && lost === lostBefore) continue
        const { activities, unnamed } = this.read(records, got)
        await deliver({ activities, lost: Number(lost - lostBefore) + unnamed })
        if (lost !== lostBefore) this.put(TOLD_FILE, String(lost))
        lostBefore = lost
      }
    } finally {
      native.ask('eventsClose', reader)
    }
  }

  /** `unnamed` counts the events of cgroups that no plan on record names any more. */
  private read(
    records: Buffer,
    count: number,
  ): { readonly activities: ActivityBatch['activities']; readonly unnamed: number } {
    const { size, fields } = STRUCTS.sensor_event
    const seats = new Map(this.held().seats.map((seat) => [seat.cgroupId, seat]))
    const now = { ms: Date.now(), ns: this.library().bootNs() }
    const events = Array.from({ length: count }, (_, i) => records.subarray(i * size, (i + 1) * size))
    const activities = events.flatMap((event) => {
      const seat = seats.get(String(event.readBigUInt64LE(fields.cgroup)))
      return seat ? [{ workspace: seat.workspace, record: recordOf(event, new Set(seat.pinned), now) }] : []
    })
    return { activities, unnamed: count - activities.length }
  }

  private library(): Native {
    this.native ??= Native.open()
    return this.native
  }
  private pins(): string {
    return `${this.library().bpffs()}/sluice/sensor-1`
  }
  private stands(): boolean {
    return existsSync(`${this.pins()}/link`)
  }

  private raise(): void {
    if (this.stands()) return
    const [native, pins] = [this.library(), this.pins()]
    for (const folder of ['maps', 'programs']) mkdirSync(`${pins}/${folder}`, { recursive: true, mode: 0o700 })
    const log = Buffer.alloc(LOG_OCTETS)
    const object = nativePath('sensor.bpf.o')
    const loaded = native.ask('load', object, `${pins}/maps`, `${pins}/programs`, 0, log, log.length)
    if (loaded < 0) {
      const said = log.toString('utf8', 0, Math.max(0, log.indexOf(0)))
      throw sensorFault('SENSOR_KERNEL', { what: 'loading the sensor', errno: String(loaded), log: said.slice(-600) })
    }
    const program = native.call('opening the sensor', 'get', `${pins}/programs/sensor_exec`)
    try {
      native.call('attaching the sensor', 'attach', program, 'sched_process_exec', `${pins}/link`)
    } finally {
      native.ask('close', program)
    }
  }

  /** undefined: nothing was ever made live. */
  private state(): { readonly generation: number; readonly planDigest: Digest } | undefined {
    const { size, fields } = STRUCTS.sensor_state
    const value = Buffer.alloc(size)
    this.on('sensor_state', (native, map) => native.call('reading the state', 'read', map, Buffer.alloc(4), value))
    const generation = Number(value.readBigUInt64LE(fields.generation))
    const planDigest = `sha256:${value.toString('hex', fields.digest, fields.digest + 32)}`
    return generation === 0 || !isDigest(planDigest) ? undefined : { generation, planDigest }
  }

  private count(row: typeof TOLD | typeof LOST | number): bigint {
    const [key, value] = [Buffer.alloc(4), Buffer.alloc(8)]
    key.writeUInt32LE(row)
    this.on('sensor_counts', (native, map) => native.ask('read', map, key, value))
    return value.readBigUInt64LE()
  }

  private on(name: string, act: (native: Native, map: number) => unknown): void {
    const native = this.library()
    const map = native.call(`opening ${name}`, 'get', `${this.pins()}/maps/${name}`)
    try {
      act(native, map)
    } finally {
      native.ask('close', map)
    }
  }

  private told(): bigint {
    try {
      return BigInt(readFileSync(join(this.options.stateDirectory, TOLD_FILE), 'utf8'))
    } catch {
      return 0n // nothing was ever told, or a crash tore it: then losses are told once more, and none is hidden
    }
  }
  private held(): Held {
    try {
      return JSON.parse(readFileSync(join(this.options.stateDirectory, FILE), 'utf8')) as Held
    } catch {
      return NOTHING // nothing was made live yet, or a crash tore it: then what is live shows as drift, and is put back
    }
  }
  private keep(held: Held): void {
    this.put(FILE, JSON.stringify(held))
  }
  private put(file: string, text: string): void {
    const { stateDirectory } = this.options
    mkdirSync(stateDirectory, { recursive: true, mode: 0o700 })
    const path = join(stateDirectory, file)
    writeFileSync(`${path}.new`, text, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }
}

function keyOf(cgroup: bigint): Buffer {
  const key = Buffer.alloc(8)
  key.writeBigUInt64LE(cgroup)
  return key
}
