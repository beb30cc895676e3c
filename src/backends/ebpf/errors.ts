// Why an operation of the eBPF backend did not happen. Codes are API: they stand in src/ERRORS.md with their remedies.

import { type FaultTable, faultsOf } from '../../base/fault.js'
import { quote } from '../../base/quote.js'

export const EBPF_FAULTS = {
  EBPF_UNAVAILABLE: {
    reaction: 'unsupported',
    say: (d: { library: string; why: string }) => `cannot use ${d.library}: ${d.why}`,
    remedy: 'Install libbpf1 and run `make native`, as root or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.',
  },
  EBPF_NATIVE_ABI: {
    reaction: 'unsupported',
    say: (d: { found: number; wanted: number }) =>
      `the native library has interface number ${d.found}, and this agent needs ${d.wanted}`,
    remedy: 'Build the native library of this version: make native.',
  },
  EBPF_LOAD_REFUSED: {
    reaction: 'unsupported',
    say: (d: { errno: string; last: string; log: string }) =>
      `the kernel refused the fence program (${d.errno}): ${d.last}`,
    remedy: 'Read the whole log in the detail; `sluice doctor` says which feature of the kernel is missing.',
  },
  EBPF_KERNEL: {
    reaction: 'retry',
    say: (d: { what: string; errno: string }) => `${d.what} failed: ${d.errno}`,
    remedy: 'See the kernel log; when memory is short, give the node more or the policy fewer grants.',
  },
  EBPF_SLOT_ABSENT: {
    reaction: 'unsupported',
    say: (d: { workspace: string; interface: string }) =>
      `${quote(d.interface)}, the slot of ${quote(d.workspace)}, does not exist in this network namespace`,
    remedy:
      'Create it before the policy is applied, or correct the slot in the inventory. From Linux 6.4 on a veth or tap may come later.',
  },
  EBPF_SLOT_KIND: {
    reaction: 'unsupported',
    say: (d: { workspace: string; kind: string }) =>
      `the eBPF backend cannot fence ${quote(d.workspace)}: slots of kind ${d.kind} are not its own`,
    remedy: 'Use a backend for that kind of slot; `sluice doctor` lists them.',
  },
  EBPF_STALE_STAGE: {
    reaction: 'stale',
    say: (d: { generation: number }) => `generation ${d.generation} is not the one that was staged last`,
    remedy: 'Stage the plan again and commit what that gives.',
  },
  EBPF_TENANTS_FULL: {
    reaction: 'unsupported',
    say: (d: { limit: number }) => `${d.limit} workspaces are live or flagged, which is all that the fence can number`,
    remedy: 'Lift quarantines of workspaces that are gone.',
  },
  EBPF_NOT_READ_BACK: {
    reaction: 'bug',
    say: (d: { wanted: number; found: number }) =>
      `the generation word was written as ${d.wanted} and read back as ${d.found}`,
    remedy: 'Something else writes the maps of the fence: find it before anything is applied again.',
  },
} as const satisfies FaultTable

export const ebpfFault = faultsOf(EBPF_FAULTS)
