// Tables of flows, one for each workspace: its size is what the workspace may hold, so that none can take another's room. Made
// before the workspace is live for the first time, kept while it stays, whatever the plans; taken away with every flow in it
// when a live plan has the workspace no more.

import { type Fence, MAP_TYPE, NO_PREALLOC } from './fence.js'
import { FLOWS, STRUCTS } from './layout.js'

/** How many flows each of so many workspaces may hold: a power of two, as the kernel would make it one. */
export function flowsFor(workspaces: number): number {
  let each: number = FLOWS.most
  while (each > FLOWS.least && each * workspaces > FLOWS.all) each /= 2
  return each
}

/** Makes the tables that are missing. One grace period for all of them. */
export async function addFlowTables(fence: Fence, tenants: readonly number[]): Promise<void> {
  const { native } = fence
  const outer = fence.map('flows')
  const key = Buffer.alloc(4)
  const missing = tenants.filter((tenant) => {
    key.writeUInt32LE(tenant)
    return native.ask('mapRead', outer, key, Buffer.alloc(4)) < 0
  })
  const made: number[] = []
  try {
    const rows = [STRUCTS.fence_flow_key.size, STRUCTS.fence_flow.size, flowsFor(tenants.length), NO_PREALLOC] as const
    for (const _ of missing)
      made.push(native.call('making a table of flows', 'mapCreate', MAP_TYPE.hash, ...rows, 'flows'))
    const keys = Buffer.from(Uint32Array.from(missing).buffer)
    const values = Buffer.from(Int32Array.from(made).buffer)
    await native.callAsync('adding tables of flows', 'mapWrite', outer, keys, values, missing.length, 4, 4)
  } finally {
    for (const map of made) native.ask('close', map)
  }
}

/** Takes away the table of a workspace, and all its flows. */
export function dropFlowTable(fence: Fence, tenant: number): void {
  const key = Buffer.alloc(4)
  key.writeUInt32LE(tenant)
  // None there is what is wanted.
  fence.native.ask('mapDelete', fence.map('flows'), key)
}
