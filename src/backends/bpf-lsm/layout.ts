// What the kernel's maps hold, octet by octet: the same as src/native/bpf/guard.h, which a test compares. Little-endian.

import { NAME_OCTETS } from './tree.js'

export const FLAG = { quarantined: 1, suspended: 2 } as const
export const REASON_UNLISTED = 4
export const MAX_TENANTS = 1_024
export const MAX_PROGRAMS = 65_536

export const STRUCTS = {
  guard_state: { size: 56, fields: { generation: 0, digest: 8, deadline_ns: 40, side: 48, turn: 52 } },
  guard_tenant_key: { size: 16, fields: { cgroup: 0, side: 8 } },
  guard_tenant: { size: 16, fields: { number: 0, restricted: 4, hold: 8, files: 12 } },
  guard_program: {
    size: 40,
    fields: { inode: 0, size: 8, changed_s: 16, changed_ns: 24, device: 28, side: 32, tenant: 36 },
  },
  guard_event: {
    size: 304,
    fields: { at_ns: 0, cgroup: 8, pid: 16, uid: 20, tenant: 24, reason: 28, comm: 32, path: 48 },
  },
  guard_root_key: { size: 24, fields: { inode: 0, device: 8, side: 12, tenant: 16 } },
  guard_name_key: { size: 136, fields: { side: 0, node: 4, name: 8 } },
  guard_node: { size: 16, fields: { node: 0, rights: 4, leads: 8, volume: 12 } },
  guard_file_event: {
    size: 688,
    fields: {
      ...{ at_ns: 0, cgroup: 8, pid: 16, uid: 20, volume: 24, operation: 28 },
      ...{ verdict: 32, node: 36, right: 40, turn: 44, path: 48 },
    },
  },
} as const
export const COMM_OCTETS = 16
export const FILE_PATH_OCTETS = 640
export const MAX_ROOTS = 8_192
export const MAX_NAMES = 65_536
/** The row of guard_file_counts beside those of verdicts. */
export const FILES_LOST_ROW = 10
export const PATH_OCTETS = 256
/** Rows of guard_counts. */
export const COUNTS = ['exec-allowed', 'exec-refused', 'exec-unreported'] as const

/** One program as the kernel knows it. */
export interface Identity {
  readonly device: number
  readonly inode: bigint
  readonly size: bigint
  readonly changedNs: bigint
}

export const sameIdentity = (a: Identity, b: Identity): boolean =>
  a.device === b.device && a.inode === b.inode && a.size === b.size && a.changedNs === b.changedNs

const SECOND = 1_000_000_000n

export function programKey(side: number, tenant: number, of: Identity): Buffer {
  const { size, fields } = STRUCTS.guard_program
  const key = Buffer.alloc(size)
  key.writeBigUInt64LE(of.inode, fields.inode)
  key.writeBigInt64LE(of.size, fields.size)
  key.writeBigInt64LE(of.changedNs / SECOND, fields.changed_s)
  key.writeUInt32LE(Number(of.changedNs % SECOND), fields.changed_ns)
  key.writeUInt32LE(of.device, fields.device)
  key.writeUInt32LE(side, fields.side)
  key.writeUInt32LE(tenant, fields.tenant)
  return key
}

export function tenantKey(side: number, cgroup: bigint): Buffer {
  const { size, fields } = STRUCTS.guard_tenant_key
  const key = Buffer.alloc(size)
  key.writeBigUInt64LE(cgroup, fields.cgroup)
  key.writeUInt32LE(side, fields.side)
  return key
}

export function rootKey(side: number, tenant: number, device: number, inode: bigint): Buffer {
  const { size, fields } = STRUCTS.guard_root_key
  const key = Buffer.alloc(size)
  key.writeBigUInt64LE(inode, fields.inode)
  key.writeUInt32LE(device, fields.device)
  key.writeUInt32LE(side, fields.side)
  key.writeUInt32LE(tenant, fields.tenant)
  return key
}

/** `name` is shorter than NAME_OCTETS. */
export function nameKey(side: number, above: number, name: string): Buffer {
  const { size, fields } = STRUCTS.guard_name_key
  const key = Buffer.alloc(size)
  key.writeUInt32LE(side, fields.side)
  key.writeUInt32LE(above, fields.node)
  key.write(name, fields.name, NAME_OCTETS - 1, 'utf8')
  return key
}
