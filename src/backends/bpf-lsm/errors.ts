// Why an operation of bpf-lsm did not happen. Codes are API: they stand in src/ERRORS.md with their remedies.

import { type FaultTable, faultsOf } from '../../base/fault.js'

export const GUARD_FAULTS = {
  LSM_UNAVAILABLE: {
    reaction: 'unsupported',
    say: (d: { why: string }) => `the C library of the eBPF fence cannot be used: ${d.why}`,
    remedy: 'Run `make native`, or install the package with its native part.',
  },
  LSM_KERNEL: {
    reaction: 'unsupported',
    say: (d: { what: string; errno: string; log?: string }) =>
      `the kernel refused ${d.what}: ${d.errno}${d.log ? `: ${d.log}` : ''}`,
    remedy: 'Boot a kernel with CONFIG_BPF_LSM and `bpf` in its `lsm=` words; `sluice doctor` says what is missing.',
  },
  LSM_SLOT_ABSENT: {
    reaction: 'retry',
    say: (d: { workspace: string; cgroup: string }) => `${d.workspace}: there is no cgroup ${d.cgroup}`,
    remedy: 'Make the cgroup before the workspace is attached, or correct the slot in the inventory.',
  },
  LSM_VOLUME: {
    reaction: 'unsupported',
    say: (d: { workspace: string; volume: string; source: string; why: string }) =>
      `${d.workspace}: the volume ${d.volume} at ${d.source} cannot be held: ${d.why}`,
    remedy: 'Give the volume a directory of its own on a file system that can be held, or serve it with vaultfs.',
  },
  LSM_STATE: {
    reaction: 'retry',
    say: (d: { file: string }) => `what bpf-lsm keeps cannot be written: ${d.file}`,
    remedy: 'Make room on the disk, or mend the rights of the state directory of the backend.',
  },
  LSM_STALE_STAGE: {
    reaction: 'stale',
    say: (d: { generation: number }) => `generation ${d.generation} is not what was staged last`,
    remedy: 'Stage the plan again and commit what that gives.',
  },
} as const satisfies FaultTable

export const guardFault = faultsOf(GUARD_FAULTS)
