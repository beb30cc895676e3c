// Why an operation of vaultfs did not happen. Codes are API: they stand in src/ERRORS.md with their remedies.

import { type FaultTable, faultsOf } from '../../base/fault.js'

export const VAULTFS_FAULTS = {
  VAULTFS_DAEMON: {
    reaction: 'retry',
    say: (d: { why: string }) => `the daemon that serves volumes does not answer: ${d.why}`,
    remedy: 'See daemon.log in the state directory of the backend; `make native` builds the daemon.',
  },
  VAULTFS_REFUSED: {
    reaction: 'unsupported',
    say: (d: { what: string; errno: string; why: string }) => `${d.what}: ${d.why} (${d.errno})`,
    remedy:
      'Correct the volume in the inventory: its source must be a directory without links on the way, its mount free.',
  },
  VAULTFS_MOUNT: {
    reaction: 'unsupported',
    say: (d: { mount: string }) => `the place of the mount cannot be made: ${d.mount}`,
    remedy: 'Correct the mount of the volume in the inventory, or make the directory.',
  },
  VAULTFS_STALE_STAGE: {
    reaction: 'stale',
    say: (d: { generation: number; found: string }) =>
      `generation ${d.generation} is not live after its commit: ${d.found}`,
    remedy: 'Stage the plan again and commit what that gives.',
  },
} as const satisfies FaultTable

export const vaultfsFault = faultsOf(VAULTFS_FAULTS)
