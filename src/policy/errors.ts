// Why a policy operation did not happen. Findings about a document are not faults but notes (codes.ts), collected and
// returned; a fault is for a caller who asked for something that cannot be written down.

import { type FaultTable, faultsOf } from '../base/fault.js'

export const POLICY_FAULTS = {
  POLICY_INIT_VALUE: {
    reaction: 'reject',
    say: (d: { readonly key: string; readonly value: string; readonly expected: string }) =>
      `a FencePolicy cannot have ${d.value} as ${d.key}: expected ${d.expected}`,
    remedy: 'give another value on the command line',
  },
} as const satisfies FaultTable

export const policyFault = faultsOf(POLICY_FAULTS)
