// What doca-argus is given: whom it watches, by what Argus may call them, and the configuration that makes Argus look at exactly
// these machines.

import type { Digest } from '../../base/digest.js'
import type { WorkspacePlan } from '../../plan/model.js'

/** One workspace of the plan, and the names of its machine. */
export interface Watched {
  readonly workspace: string
  /** As the configuration calls the machine; made of the VUID, which the DPU knows. */
  readonly system: string
  readonly vuid: string
  readonly slot: Pick<WorkspacePlan['slot'], 'mac' | 'addresses'>
}

export interface ArgusProgram {
  readonly generation: number
  readonly planDigest: Digest
  /** Sorted by workspace. */
  readonly watched: readonly Watched[]
  /** YAML for the container of Argus. */
  readonly configuration: string
}
