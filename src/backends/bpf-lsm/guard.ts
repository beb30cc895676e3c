// The guard as it stands in the kernel: program and maps pinned in the BPF file system, so that it holds with the agent dead. Each map
// has two sides; a plan is written to the one that is not live, and one write of the state switches. What is not in the live side
// does not run.

import { constants } from 'node:os'
import { type Digest, isDigest } from '../../base/digest.js'
import type { AnchorHook, AnchorObject } from '../backend.js'
import { cgroupKey } from '../tracing/cgroups.js'
import type { Native } from '../tracing/native.js'
import { Pinned } from '../tracing/pinned.js'
import {
  type Identity,
  MAX_NAMES,
  MAX_PROGRAMS,
  MAX_ROOTS,
  MAX_TENANTS,
  nameKey,
  programKey,
  rootKey,
  STRUCTS,
  tenantKey,
} from './layout.js'
import type { NodeRow } from './volumes.js'

/** Folder below the BPF file system; its number goes on with the layout of the maps. */
const PINS = 'sluice/guard-1'
const EXEC = { name: 'guard', program: 'guard_exec' } as const
const FILES = { name: 'guard_files', program: 'guard_file_open' } as const
type HashName = 'guard_tenants' | 'guard_programs' | 'guard_roots' | 'guard_names'
type MapName =
  | HashName
  | 'guard_state'
  | 'guard_flags'
  | 'guard_events'
  | 'guard_counts'
  | 'guard_file_events'
  | 'guard_file_counts'
const ZERO = Buffer.alloc(4)

export interface State {
  readonly generation: number
  readonly digest: Digest
  readonly deadlineNs: bigint
  readonly side: number
}
export interface Live extends State {
  /** Of the commit that made it so. */
  readonly turn: number
}
export interface Row {
  readonly cgroup: bigint
  readonly number: number
  readonly restricted: boolean
  readonly hold: boolean
  /** Has volumes that are judged. */
  readonly files: boolean
}

export class Guard {
  private constructor(
    private readonly pinned: Pinned,
    readonly native: Native,
  ) {}

  /** The guard that stands; undefined when none does. */
  static standing(native: Native): Guard | undefined {
    const pinned = new Pinned(native, PINS)
    return pinned.stands() ? new Guard(pinned, native) : undefined
  }

  /** The guard of this release: what stands is kept, or replaced by what is installed. Judges nobody new. Throws LSM_KERNEL. */
  static raise(native: Native, withFiles: boolean): Guard {
    const pinned = new Pinned(native, PINS)
    pinned.raise(EXEC)
    if (withFiles || pinned.stands(FILES.program)) pinned.raise(FILES)
    return new Guard(pinned, native)
  }

  /** Are files judged? */
  hasFiles(): boolean {
    return this.pinned.stands(FILES.program)
  }
  /** Programs that should hang and do not. */
  missing(withFiles: boolean): readonly string[] {
    return [EXEC, ...(withFiles ? [FILES] : [])].flatMap(({ name }) => this.pinned.missing(name))
  }
  retire(): void {
    this.pinned.retire('guard')
  }

  /** null: nothing was ever made live. */
  state(): Live | null {
    const { size, fields } = STRUCTS.guard_state
    const value = Buffer.alloc(size)
    this.native.call('reading the state', 'read', this.map('guard_state'), ZERO, value)
    const generation = Number(value.readBigUInt64LE(fields.generation))
    const digest = `sha256:${value.toString('hex', fields.digest, fields.digest + 32)}`
    if (generation === 0 || !isDigest(digest)) return null
    const deadlineNs = value.readBigUInt64LE(fields.deadline_ns)
    const [side, turn] = [value.readUInt32LE(fields.side), value.readUInt32LE(fields.turn)]
    return { generation, digest, deadlineNs, side, turn }
  }
  /** Of the next switch. */
  nextTurn(): number {
    const { size, fields } = STRUCTS.guard_state
    const value = Buffer.alloc(size)
    this.native.call('reading the state', 'read', this.map('guard_state'), ZERO, value)
    return (value.readUInt32LE(fields.turn) + 1) >>> 0
  }
  /** The one write that switches; its turn goes on by one, so that a program that is being judged is judged anew. */
  setState({ generation, digest, deadlineNs, side }: State): void {
    const { size, fields } = STRUCTS.guard_state
    const value = Buffer.alloc(size)
    value.writeUInt32LE(this.nextTurn(), fields.turn)
    value.writeBigUInt64LE(BigInt(generation), fields.generation)
    value.write(digest.slice('sha256:'.length), fields.digest, 'hex')
    value.writeBigUInt64LE(deadlineNs, fields.deadline_ns)
    value.writeUInt32LE(side, fields.side)
    this.native.call('switching', 'write', this.map('guard_state'), ZERO, value, 1, 4, size)
  }

  putTenant(side: number, { cgroup, number, restricted, hold, files }: Row): void {
    const { size, fields } = STRUCTS.guard_tenant
    const value = Buffer.alloc(size)
    value.writeUInt32LE(number, fields.number)
    value.writeUInt32LE(restricted ? 1 : 0, fields.restricted)
    value.writeUInt32LE(hold ? 1 : 0, fields.hold)
    value.writeUInt32LE(files ? 1 : 0, fields.files)
    const key = tenantKey(side, cgroup)
    this.native.call('writing a workspace', 'write', this.map('guard_tenants'), key, value, 1, key.length, size)
  }
  /** Cgroups of one side. */
  tenants(side: number): readonly bigint[] {
    const { size, fields } = STRUCTS.guard_tenant_key
    return this.pinned
      .keys('guard_tenants', size, STRUCTS.guard_tenant.size, MAX_TENANTS)
      .flatMap((key) => (key.readUInt32LE(fields.side) === side ? [key.readBigUInt64LE(fields.cgroup)] : []))
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
  /** `key` is that of `programKey`; one that is not there is no error. */
  removeProgram(key: Buffer): void {
    this.native.ask('remove', this.map('guard_programs'), key)
  }
  /** Keys of one side. */
  programs(side: number): readonly Buffer[] {
    const { size, fields } = STRUCTS.guard_program
    const keys = this.pinned.keys('guard_programs', size, VALUE_OCTETS.guard_programs, MAX_PROGRAMS)
    return keys.filter((key) => key.readUInt32LE(fields.side) === side)
  }

  putRoot(side: number, tenant: number, device: number, inode: bigint, row: NodeRow): void {
    const [key, value] = [rootKey(side, tenant, device, inode), nodeOf(row)]
    this.native.call('hanging a volume', 'write', this.map('guard_roots'), key, value, 1, key.length, value.length)
  }
  putName(side: number, above: number, name: string, row: NodeRow): void {
    const [key, value] = [nameKey(side, above, name), nodeOf(row)]
    this.native.call('writing a rule', 'write', this.map('guard_names'), key, value, 1, key.length, value.length)
  }

  /** Takes away what a side holds. */
  clear(side: number): void {
    if (this.hasFiles()) {
      this.clearHash('guard_roots', STRUCTS.guard_root_key, MAX_ROOTS, side)
      this.clearHash('guard_names', STRUCTS.guard_name_key, MAX_NAMES, side)
    }
    this.clearHash('guard_programs', STRUCTS.guard_program, MAX_PROGRAMS, side)
    for (const cgroup of this.tenants(side))
      this.native.ask('remove', this.map('guard_tenants'), tenantKey(side, cgroup))
  }

  flags(cgroup: bigint): number {
    const value = Buffer.alloc(4)
    return this.native.ask('read', this.map('guard_flags'), cgroupKey(cgroup), value) < 0 ? 0 : value.readUInt32LE()
  }
  /** Without flags there is no row: there is room for as many as there are workspaces, and no more. */
  setFlags(cgroup: bigint, flags: number): void {
    const [key, value] = [cgroupKey(cgroup), Buffer.alloc(4)]
    if (flags === 0) {
      const gone = this.native.ask('remove', this.map('guard_flags'), key)
      if (gone < 0 && gone !== -constants.errno.ENOENT) throw this.native.refused('lifting a flag', gone)
      return
    }
    value.writeUInt32LE(flags)
    this.native.call('writing a flag', 'write', this.map('guard_flags'), key, value, 1, 8, 4)
  }
  /** Takes away the flags of cgroups that neither side judges: their workspaces are gone, or have others by now. */
  pruneFlags(): void {
    const judged = new Set([0, 1].flatMap((side) => this.tenants(side)))
    for (const key of this.pinned.keys('guard_flags', 8, 4, MAX_TENANTS))
      if (!judged.has(key.readBigUInt64LE())) this.native.ask('remove', this.map('guard_flags'), key)
  }

  count(row: number): bigint {
    return this.pinned.count('guard_counts', row)
  }
  fileCount(row: number): bigint {
    return this.hasFiles() ? this.pinned.count('guard_file_counts', row) : 0n
  }

  eventsMap(): number {
    return this.map('guard_events')
  }
  fileEventsMap(): number {
    return this.map('guard_file_events')
  }

  /** Where it hangs, for a workspace in this cgroup. */
  anchors(cgroup: string): { readonly hooks: AnchorHook[]; readonly objects: AnchorObject[] } {
    return this.pinned.anchors(cgroup, hookOf)
  }

  close(): void {
    this.pinned.close()
  }

  /** Takes programs, maps and pins away. */
  remove(): void {
    this.pinned.remove()
  }

  private clearHash(
    name: HashName,
    { size, fields }: { readonly size: number; readonly fields: { readonly side: number } },
    most: number,
    side: number,
  ): void {
    for (const key of this.pinned.keys(name, size, VALUE_OCTETS[name], most))
      if (key.readUInt32LE(fields.side) === side) this.native.ask('remove', this.map(name), key)
  }

  private map(name: MapName): number {
    return this.pinned.map(name)
  }
}

const VALUE_OCTETS = {
  guard_tenants: STRUCTS.guard_tenant.size,
  guard_programs: 4,
  guard_roots: STRUCTS.guard_node.size,
  guard_names: STRUCTS.guard_node.size,
} as const satisfies Record<HashName, number>

/** `guard_exec` hangs on `lsm/bprm_check_security`, every other program on the hook that it is named after. */
const hookOf = (program: string): string =>
  `lsm/${program === EXEC.program ? 'bprm_check_security' : program.slice('guard_'.length)}`

function nodeOf({ node, rights, leads, volume }: NodeRow): Buffer {
  const { size, fields } = STRUCTS.guard_node
  const value = Buffer.alloc(size)
  value.writeUInt32LE(node, fields.node)
  value.writeUInt32LE(rights, fields.rights)
  value.writeUInt32LE(leads ? 1 : 0, fields.leads)
  value.writeUInt32LE(volume, fields.volume)
  return value
}
