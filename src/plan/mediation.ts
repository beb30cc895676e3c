// What the fence itself answers for the workspaces of a node, from the inventory: the DNS mediator on port 53 of each
// gateway address of the slot, UDP and TCP. A cgroup has no gateway; the mediator's address there is the one that the
// inventory names as its gateway, on the node itself.

import type { Inventory } from './inventory.js'
import type { FenceService, WorkspaceId } from './model.js'

export const DNS_PORT = 53

/** Workspaces whose slot names no gateway address get no service, and so no names. */
export const dnsServices = (inventory: Inventory): ReadonlyMap<WorkspaceId, readonly FenceService[]> =>
  new Map(
    inventory.entries.map(({ workspace, slot }) => [
      workspace,
      slot.gateway.addresses.flatMap((address) =>
        (['tcp', 'udp'] as const).map((protocol) => ({ name: 'dns' as const, address, protocol, port: DNS_PORT })),
      ),
    ]),
  )
