// What the command line asks of a node whose agent does not run: the deny floor of the boot, recovery, and the format of its
// state, as values of the host interface (host.ts).

import type { BackendName } from '../plan/model.js'

export interface FloorReport {
  readonly bootId: string
  readonly atMs: number
  readonly lines: readonly {
    readonly backend: BackendName
    readonly state: 'laid' | 'stands' | 'none'
    readonly say: string
  }[]
}
export interface FloorSeen {
  /** The unit is there, and is started at boot. */
  readonly unit: boolean
  readonly enabled: boolean
  readonly laid?: FloorReport
  readonly thisBoot?: boolean
}

export interface RecoverRequest {
  readonly what: 'clock' | 'state'
  readonly reason: string
}
export interface Recovered {
  readonly moved?: string
  /** null: their list could not be read. */
  readonly quarantines: number | null
}

export interface Migrated {
  readonly from: number
  readonly to: number
  /** Where the records lie as they were; absent when nothing was to do. */
  readonly copy?: string
}
