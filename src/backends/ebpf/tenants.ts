// Numbers of workspaces, and the flags that stand beside and above every generation. A number is kept with the workspace's name
// in a pinned map, because flows and flags are kept under it, until the workspace is neither in the live plan nor flagged; it is
// given again as late as can be. Setting a flag starts a new epoch, which cuts every flow of the workspace with one write.

import type { WorkspaceId } from '../../plan/model.js'
import type { Flag } from '../backend.js'
import { ebpfFault } from './errors.js'
import type { Fence } from './fence.js'
import { FLAG, MAX_TENANTS, STRUCTS } from './layout.js'

const NAME_BYTES = 2048
const ROW = 8 + NAME_BYTES

interface Tenant {
  readonly number: number
  readonly workspace: WorkspaceId
  epoch: bigint
  flags: number
}

export class Tenants {
  private readonly byWorkspace = new Map<WorkspaceId, Tenant>()
  private readonly byNumber = new Map<number, Tenant>()
  /** The number that was given last. */
  private last = 0

  /** Reads what an earlier agent gave. */
  constructor(private readonly fence: Fence) {
    const { keys, values, count } = fence.native.dump('reading the roster', fence.map('roster'), 4, ROW, MAX_TENANTS)
    for (let i = 0; i < count; i++) {
      const length = values.readUInt32LE(i * ROW)
      const workspace = values.toString('utf8', i * ROW + 8, i * ROW + 8 + length)
      const number = keys.readUInt32LE(i * 4)
      this.last = Math.max(this.last, number)
      this.keep({ number, workspace, ...this.read(number) })
    }
  }

  /** The number of a workspace; a new one when it has none. Throws EBPF_TENANTS_FULL. */
  numberOf(workspace: WorkspaceId): number {
    return this.tenantOf(workspace).number
  }

  nameOf(number: number): WorkspaceId | undefined {
    return this.byNumber.get(number)?.workspace
  }

  /** Sets or lifts a flag and reads it back. Gives the epoch until then, of which setting one ends every flow. */
  flag(workspace: WorkspaceId, flag: Flag, on: boolean): bigint {
    const tenant = this.tenantOf(workspace)
    const { epoch: before } = tenant
    const epoch = on ? tenant.epoch + 1n : tenant.epoch
    const flags = on ? tenant.flags | FLAG[flag] : tenant.flags & ~FLAG[flag]
    this.write(tenant.number, epoch, flags)
    const found = this.read(tenant.number)
    if (found.flags !== flags || found.epoch !== epoch)
      throw ebpfFault('EBPF_NOT_READ_BACK', { wanted: flags, found: found.flags })
    tenant.epoch = epoch
    tenant.flags = flags
    return before
  }

  /** Cuts every flow of a workspace, and nothing else. */
  cut(workspace: WorkspaceId): void {
    const tenant = this.tenantOf(workspace)
    this.write(tenant.number, tenant.epoch + 1n, tenant.flags)
    tenant.epoch += 1n
  }

  /** As the kernel has it: somebody else may have taken a flag away. */
  flagged(flag: Flag): WorkspaceId[] {
    for (const tenant of this.byWorkspace.values()) tenant.flags = this.read(tenant.number).flags
    return [...this.byWorkspace.values()]
      .filter((tenant) => (tenant.flags & FLAG[flag]) !== 0)
      .map((tenant) => tenant.workspace)
      .sort()
  }

  /** Numbers of workspaces that are not among these. */
  others(these: readonly { readonly tenant: number }[]): number[] {
    const held = new Set(these.map(({ tenant }) => tenant))
    return [...this.byNumber.keys()].filter((number) => !held.has(number))
  }

  /** Gives back the numbers of workspaces that are not among these and have no flag. Before: their flows are gone. */
  forgetOthers(these: readonly { readonly tenant: number }[]): void {
    const { fence } = this
    for (const number of this.others(these)) {
      const tenant = this.byNumber.get(number)
      if (tenant?.flags !== 0) continue
      const key = Buffer.alloc(4)
      key.writeUInt32LE(number)
      // Whatever is learnt or opened under the number from here on belongs to somebody else.
      this.write(number, tenant.epoch + 1n, 0)
      fence.native.call('forgetting a workspace', 'mapDelete', fence.map('roster'), key)
      this.byNumber.delete(number)
      this.byWorkspace.delete(tenant.workspace)
    }
  }

  private tenantOf(workspace: WorkspaceId): Tenant {
    const held = this.byWorkspace.get(workspace)
    if (held) return held
    const { fence } = this
    if (this.byNumber.size >= MAX_TENANTS - 1) throw ebpfFault('EBPF_TENANTS_FULL', { limit: MAX_TENANTS - 1 })
    // 0 is nobody's, so that a record that was not filled in names no workspace. Round and round, so that an event that still
    // waits to be read under an old number is not laid at a new workspace's door.
    do this.last = (this.last % (MAX_TENANTS - 1)) + 1
    while (this.byNumber.has(this.last))
    const number = this.last
    const key = Buffer.alloc(4)
    key.writeUInt32LE(number)
    const row = Buffer.alloc(ROW)
    row.writeUInt32LE(row.write(workspace, 8, NAME_BYTES, 'utf8'))
    fence.native.call('numbering a workspace', 'mapWrite', fence.map('roster'), key, row, 1, 4, ROW)
    const tenant = { number, workspace, ...this.read(number) }
    this.keep(tenant)
    return tenant
  }

  private keep(tenant: Tenant): void {
    this.byWorkspace.set(tenant.workspace, tenant)
    this.byNumber.set(tenant.number, tenant)
  }

  private read(number: number): { epoch: bigint; flags: number } {
    const { size, fields } = STRUCTS.fence_tenant
    const key = Buffer.alloc(4)
    key.writeUInt32LE(number)
    const row = Buffer.alloc(size)
    this.fence.native.call('reading the flags of a workspace', 'mapRead', this.fence.map('tenants'), key, row)
    return { epoch: row.readBigUInt64LE(fields.epoch), flags: row.readUInt32LE(fields.flags) }
  }

  private write(number: number, epoch: bigint, flags: number): void {
    const { size, fields } = STRUCTS.fence_tenant
    const row = Buffer.alloc(size)
    row.writeBigUInt64LE(epoch, fields.epoch)
    row.writeUInt32LE(flags, fields.flags)
    this.fence.native.call('flagging a workspace', 'arrayWrite', this.fence.map('tenants'), number, row, 1, size)
  }
}
