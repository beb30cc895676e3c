// Why an operation of tc-flower did not happen. Codes are API: they stand in src/ERRORS.md with their remedies.

import { type FaultTable, faultsOf } from '../../base/fault.js'
import { quote } from '../../base/quote.js'

export const FLOWER_FAULTS = {
  FLOWER_UNAVAILABLE: {
    reaction: 'unsupported',
    say: (d: { library: string; why: string }) => `cannot use ${d.library}: ${d.why}`,
    remedy: 'Build the native parts: make native.',
  },
  FLOWER_KERNEL: {
    reaction: 'retry',
    say: (d: { what: string; why: string }) => `${d.what}: the kernel refused: ${d.why}`,
    remedy: '`sluice doctor` says what the kernel and the device can do; what was live stays live.',
  },
  FLOWER_NOT_OFFLOADED: {
    reaction: 'unsupported',
    say: (d: { interface: string; filter: string; why: string }) =>
      `the hardware behind ${quote(d.interface)} does not take ${d.filter}: ${d.why}`,
    remedy:
      'Nothing was switched. Use a device that takes it, place the workspace elsewhere, or ask for software with tc_flower.software.',
  },
  FLOWER_SLOT_ABSENT: {
    reaction: 'retry',
    say: (d: { workspace: string; interface: string }) =>
      `there is no interface ${quote(d.interface)}, the slot of ${quote(d.workspace)}`,
    remedy: 'Create the interface, or correct the slot in the inventory.',
  },
  FLOWER_UPLINK_ABSENT: {
    reaction: 'unsupported',
    say: (d: { interface: string }) => `there is no interface ${quote(d.interface)}, which tc_flower.uplink names`,
    remedy: 'Name the uplink representor of the switch under tc_flower.uplink.',
  },
  FLOWER_STATE: {
    reaction: 'retry',
    say: (d: { file: string; why: string }) => `cannot use ${d.file}: ${d.why}`,
    remedy: 'Make the state directory writable; nothing was switched.',
  },
  FLOWER_NOT_READ_BACK: {
    reaction: 'retry',
    say: (d: { interface: string; wanted: number; found: number }) =>
      `${d.wanted} filters were put on ${quote(d.interface)}, and ${d.found} are there`,
    remedy: 'Something else changes filters on this interface: look with `tc filter show dev`, and try again.',
  },
  FLOWER_STALE_STAGE: {
    reaction: 'stale',
    say: (d: { generation: number }) => `generation ${d.generation} is not the one that was staged last`,
    remedy: 'Stage the plan again and commit what that gives.',
  },
} as const satisfies FaultTable

export const flowerFault = faultsOf(FLOWER_FAULTS)
