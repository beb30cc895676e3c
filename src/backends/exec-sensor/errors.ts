// Why an operation of exec-sensor did not happen. Codes are API: they stand in src/ERRORS.md with their remedies.

import { type FaultTable, faultsOf } from '../../base/fault.js'

export const SENSOR_FAULTS = {
  SENSOR_UNAVAILABLE: {
    reaction: 'unsupported',
    say: (d: { why: string }) => `the C library of the eBPF fence cannot be used: ${d.why}`,
    remedy: 'Run `make native`, or install the package with its native part.',
  },
  SENSOR_KERNEL: {
    reaction: 'unsupported',
    say: (d: { what: string; errno: string; log?: string }) =>
      `the kernel refused ${d.what}: ${d.errno}${d.log ? `: ${d.log}` : ''}`,
    remedy: 'Use a kernel with BTF and raw tracepoints; `sluice doctor` says what is missing.',
  },
  SENSOR_SLOT_ABSENT: {
    reaction: 'retry',
    say: (d: { workspace: string; cgroup: string }) => `${d.workspace}: there is no cgroup ${d.cgroup}`,
    remedy: 'Make the cgroup before the workspace is attached, or correct the slot in the inventory.',
  },
  SENSOR_STATE: {
    reaction: 'retry',
    say: (d: { file: string }) => `what exec-sensor keeps cannot be written: ${d.file}`,
    remedy: 'Make room on the disk, or mend the rights of the state directory of the backend.',
  },
  SENSOR_STALE_STAGE: {
    reaction: 'stale',
    say: (d: { generation: number }) => `generation ${d.generation} is not what was staged last`,
    remedy: 'Stage the plan again and commit what that gives.',
  },
} as const satisfies FaultTable

export const sensorFault = faultsOf(SENSOR_FAULTS)
