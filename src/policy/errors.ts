// Why a policy operation did not happen. Findings about a document are notes (codes.ts); this fault carries them when a
// caller needs policies and cannot have them.

import { type FaultTable, faultsOf } from '../base/fault.js'

export const POLICY_FAULTS = {
  POLICY_REJECTED: {
    reaction: 'reject',
    say: (d: { readonly errors: number; readonly files: readonly string[] }) =>
      `${d.errors} ${d.errors === 1 ? 'error' : 'errors'} in the policy documents (${d.files.join(', ')})`,
    remedy: 'run `sluice policy check` on each file, mend what its notes name, and sign the bundle again',
  },
} as const satisfies FaultTable

export const policyFault = faultsOf(POLICY_FAULTS)
