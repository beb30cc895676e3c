// Why an operation of doca-argus did not happen. Codes are API: they stand in src/ERRORS.md with their remedies.

import { type FaultTable, faultsOf } from '../../base/fault.js'

export const ARGUS_FAULTS = {
  ARGUS_STATE: {
    reaction: 'retry',
    say: (d: { file: string }) => `what doca-argus keeps cannot be written: ${d.file}`,
    remedy: 'Make room on the disk, or mend the rights of the state directory of the backend.',
  },
  ARGUS_STALE_STAGE: {
    reaction: 'stale',
    say: (d: { generation: number }) => `generation ${d.generation} is not what was staged last`,
    remedy: 'Stage the plan again and commit what that gives.',
  },
} as const satisfies FaultTable

export const argusFault = faultsOf(ARGUS_FAULTS)
