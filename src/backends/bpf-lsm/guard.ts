// The guard as it stands in the kernel: program and maps pinned in the BPF file system, so that it holds with the agent dead. Each map
// has two sides; a plan is written to the one that is not live, and one write of the state switches. What is not in the live side
// does not run.

import { existsSync, mkdirSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { type Digest, isDigest } from '../../base/digest.js'
import { guardFault } from './errors.js'
import { type Identity, MAX_PROGRAMS, MAX_TENANTS, programKey, STRUCTS, tenantKey } from './layout.js'
import { type Native, nativePath } from './native.js'

const OBJECT = 'guard.bpf.o'
const PROGRAM = 'guard_exec'
type MapName = 'guard_state' | 'guard_tenants' | 'guard_flags' | 'guard_programs' | 'guard_events' | 'guard_counts'
const LOG_OCTETS = 65_536
const ZERO = Buffer.alloc(4)

export interface State {
  readonly generation: number
  readonly digest: Digest
  readonly deadlineNs: bigint
  readonly side: number
}
export interface Row {
  readonly cgroup: bigint
  readonly number: number
  readonly restricted: boolean
  readonly hold: boolean
}

export class Guard {
  private readonly descriptors = new Map<MapName, number>()

  private constructor(
    readonly native: Native,
    private readonly pins: string,
  ) {}

  /** The guard that stands; undefined when none does. */
  static standing(native: Native): Guard | undefined {
    const pins = pinsOf(native)
    return existsSync(`${pins}/link`) ? new Guard(native, pins) : undefined
  }

  /** The guard that stands, or a new one that judges nobody yet. Throws LSM_KERNEL. */
  static raise(native: Native): Guard {
    const standing = Guard.standing(native)
    if (standing) return standing
    const pins = pinsOf(native)
    for (const folder of ['maps', 'programs']) mkdirSync(`${pins}/${folder}`, { recursive: true, mode: 0o700 })
    const log = Buffer.alloc(LOG_OCTETS)
    const loaded = native.ask('load', nativePath(OBJECT), `${pins}/maps`, `${pins}/programs`, 0, log, log.length)
    if (loaded < 0) {
      const said = log.toString('utf8', 0, Math.max(0, log.indexOf(0)))
      throw guardFault('LSM_KERNEL', { what: 'loading the guard', errno: String(loaded), log: said.slice(-600) })
    }
    const program = native.call('opening the guard', 'get', `${pins}/programs/${PROGRAM}`)
    try {
      native.call('attaching the guard', 'attach', program, `${pins}/link`)
    } finally {
      native.ask('close', program)
    }
    return new Guard(native, pins)
  }

  /** null: nothing was ever made live. */
  state(): State | null {
    const { size, fields } = STRUCTS.guard_state
    const value = Buffer.alloc(size)
    this.native.call('reading the state', 'read', this.map('guard_state'), ZERO, value)
    const generation = Number(value.readBigUInt64LE(fields.generation))
    const digest = `sha256:${value.toString('hex', fields.digest, fields.digest + 32)}`
    if (generation === 0 || !isDigest(digest)) return null
    const deadlineNs = value.readBigUInt64LE(fields.deadline_ns)
    return { generation, digest, deadlineNs, side: value.readUInt32LE(fields.side) }
  }
  /** The one write that switches; its turn goes on by one, so that a program that is being judged is judged anew. */
  setState({ generation, digest, deadlineNs, side }: State): void {
    const { size, fields } = STRUCTS.guard_state
    const [value, before] = [Buffer.alloc(size), Buffer.alloc(size)]
    this.native.call('reading the state', 'read', this.map('guard_state'), ZERO, before)
    value.writeUInt32LE((before.readUInt32LE(fields.turn) + 1) >>> 0, fields.turn)
    value.writeBigUInt64LE(BigInt(generation), fields.generation)
    value.write(digest.slice('sha256:'.length), fields.digest, 'hex')
    value.writeBigUInt64LE(deadlineNs, fields.deadline_ns)
    value.writeUInt32LE(side, fields.side)
    this.native.call('switching', 'write', this.map('guard_state'), ZERO, value, 1, 4, size)
  }

  putTenant(side: number, { cgroup, number, restricted, hold }: Row): void {
    const { size, fields } = STRUCTS.guard_tenant
    const value = Buffer.alloc(size)
    value.writeUInt32LE(number, fields.number)
    value.writeUInt32LE(restricted ? 1 : 0, fields.restricted)
    value.writeUInt32LE(hold ? 1 : 0, fields.hold)
    const key = tenantKey(side, cgroup)
    this.native.call('writing a workspace', 'write', this.map('guard_tenants'), key, value, 1, key.length, size)
  }
  /** Cgroups of one side. */
  tenants(side: number): readonly bigint[] {
    const { size, fields } = STRUCTS.guard_tenant_key
    return this.keys('guard_tenants', size, STRUCTS.guard_tenant.size, MAX_TENANTS).flatMap((key) =>
      key.readUInt32LE(fields.side) === side ? [key.readBigUInt64LE(fields.cgroup)] : [],
    )
  }

  putProgram(side: number, tenant: number, identity: Identity): void {
    const key = programKey(side, tenant, identity)
    this.native.call(
      'writing a program',
      'write',
      this.map('guard_programs'),
      key,
      Buffer.from([1, 0, 0, 0]),
      1,
      key.length,
      4,
    )
  }
  removeProgram(side: number, tenant: number, identity: Identity): void {
    this.native.ask('remove', this.map('guard_programs'), programKey(side, tenant, identity))
  }

  /** Takes away what a side holds. */
  clear(side: number): void {
    const program = STRUCTS.guard_program
    for (const key of this.keys('guard_programs', program.size, 4, MAX_PROGRAMS))
      if (key.readUInt32LE(program.fields.side) === side) this.native.ask('remove', this.map('guard_programs'), key)
    for (const cgroup of this.tenants(side))
      this.native.ask('remove', this.map('guard_tenants'), tenantKey(side, cgroup))
  }

  flags(cgroup: bigint): number {
    const value = Buffer.alloc(4)
    return this.native.ask('read', this.map('guard_flags'), keyOf(cgroup), value) < 0 ? 0 : value.readUInt32LE()
  }
  setFlags(cgroup: bigint, flags: number): void {
    const value = Buffer.alloc(4)
    value.writeUInt32LE(flags)
    this.native.call('writing a flag', 'write', this.map('guard_flags'), keyOf(cgroup), value, 1, 8, 4)
  }

  count(row: number): bigint {
    const [key, value] = [Buffer.alloc(4), Buffer.alloc(8)]
    key.writeUInt32LE(row)
    return this.native.ask('read', this.map('guard_counts'), key, value) < 0 ? 0n : value.readBigUInt64LE()
  }

  eventsMap(): number {
    return this.map('guard_events')
  }

  close(): void {
    for (const descriptor of this.descriptors.values()) this.native.ask('close', descriptor)
    this.descriptors.clear()
  }

  /** Takes program, maps and pins away. */
  remove(): void {
    this.close()
    unlinkSync(`${this.pins}/link`)
    for (const folder of ['maps', 'programs']) {
      for (const name of readdirSync(`${this.pins}/${folder}`)) unlinkSync(`${this.pins}/${folder}/${name}`)
      rmdirSync(`${this.pins}/${folder}`)
    }
    rmdirSync(this.pins)
  }

  private keys(name: MapName, key: number, value: number, most: number): Buffer[] {
    const [keys, values] = [Buffer.alloc(most * key), Buffer.alloc(most * value)]
    const count = this.native.call(`reading ${name}`, 'dump', this.map(name), keys, values, most, key, value)
    return Array.from({ length: count }, (_, i) => keys.subarray(i * key, (i + 1) * key))
  }

  private map(name: MapName): number {
    const held = this.descriptors.get(name)
    if (held !== undefined) return held
    const opened = this.native.call(`opening ${name}`, 'get', `${this.pins}/maps/${name}`)
    this.descriptors.set(name, opened)
    return opened
  }
}

const pinsOf = (native: Native): string => `${native.bpffs()}/sluice/guard-1`

function keyOf(cgroup: bigint): Buffer {
  const key = Buffer.alloc(8)
  key.writeBigUInt64LE(cgroup)
  return key
}
