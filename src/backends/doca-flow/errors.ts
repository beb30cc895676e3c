// Why an operation of the DOCA Flow backend did not happen. Codes are API: they stand in src/ERRORS.md with their remedies.

import { type FaultTable, faultsOf } from '../../base/fault.js'
import { quote } from '../../base/quote.js'

export const DOCA_FAULTS = {
  DOCA_UNAVAILABLE: {
    reaction: 'unsupported',
    say: (d: { library: string; why: string }) => `cannot use ${d.library}: ${d.why}`,
    remedy:
      'Build the shim: make shims on a machine without a DPU (emulated), make shims SDK=/opt/mellanox/doca on one.',
  },
  DOCA_NATIVE_ABI: {
    reaction: 'unsupported',
    say: (d: { found: string; wanted: string }) =>
      `the DOCA shim has the interface ${d.found}, and this agent needs ${d.wanted}`,
    remedy: 'Build the shim of this version: make shims.',
  },
  DOCA_DEVICE: {
    reaction: 'retry',
    say: (d: { what: string; why: string }) => `${d.what} failed: ${d.why}`,
    remedy: 'See the log of the DOCA library; `sluice doctor` says what the device can do.',
  },
  DOCA_NOT_COMPLETED: {
    reaction: 'retry',
    say: (d: { what: string; waitedMs: number }) => `${d.what}: the device did not complete within ${d.waitedMs} ms`,
    remedy: 'What was live stays live. Try again; if it repeats, restart the agent and look at the device.',
  },
  DOCA_CAPACITY: {
    reaction: 'unsupported',
    say: (d: { what: string; wanted: number; limit: number }) =>
      `the plan needs ${d.wanted} ${d.what} on the device, and ${d.limit} are there`,
    remedy: 'Give the workspaces fewer grants or wider prefixes, or place some of them elsewhere.',
  },
  DOCA_SLOT_ABSENT: {
    reaction: 'unsupported',
    say: (d: { workspace: string; vuid: string }) =>
      `no representor has the VUID ${quote(d.vuid)}, the slot of ${quote(d.workspace)}`,
    remedy: 'Correct the slot in the inventory, or create the virtual function.',
  },
  DOCA_STALE_STAGE: {
    reaction: 'stale',
    say: (d: { generation: number }) => `generation ${d.generation} is not the one that was staged last`,
    remedy: 'Stage the plan again and commit what that gives.',
  },
} as const satisfies FaultTable

export const docaFault = faultsOf(DOCA_FAULTS)
