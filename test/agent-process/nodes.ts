// The laboratory's two workspaces as an inventory, and the questions that the suites ask of them.

import type { Slotted } from '../support/agent/running.js'
import { OUT, type WorkspaceEnd, WS, WS2 } from '../support/lab/addresses.js'
import type { Lab } from '../support/lab/lab.js'

export const ID = 'spiffe://fleet.example/ws/one'
export const ID2 = 'spiffe://fleet.example/ws/two'

const slotted = (workspace: string, end: WorkspaceEnd): Slotted => ({
  workspace,
  slot: end.slot,
  mac: end.mac,
  gatewayMac: end.gatewayMac,
  addresses: [end.v4, end.v6],
  gateways: [end.gateway4, end.gateway6],
})
export const SLOTS = [slotted(ID, WS), slotted(ID2, WS2)]

/** How a connection of the first workspace ends. */
export const reach = async (lab: Lab, host: string = OUT.git): Promise<string> =>
  (await lab.ws.tcp({ host, port: 80, timeoutMs: 600 })).outcome
