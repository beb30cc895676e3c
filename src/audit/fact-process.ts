// What a program of a workspace did that a clause speaks against: seen by a sensor, or refused before it ran. Values only, like every
// fact. untrusted: everything about the program, since the workspace chose it.

import type { Digest } from '../base/digest.js'
import type { PolicyContext, WorkspaceContext } from './fact.js'

export interface SuspectProcess {
  readonly pid: number
  readonly parentPid?: number
  readonly name?: string
  readonly path?: string
  readonly arguments?: string
  readonly digest?: Digest
  readonly uid?: number
  readonly startedAtMs?: number
}

export interface ProcessFact {
  readonly kind: 'process-suspected'
  readonly atMs: number
  readonly policy?: PolicyContext
  readonly workspace: WorkspaceContext
  readonly backend: string
  /** What it is suspected of: `unlisted`, `reverse-shell`. */
  readonly suspicion: string
  readonly clause: string
  /** As the sensor calls what it saw. */
  readonly said: string
  /** True: it never ran. */
  readonly refused: boolean
  readonly process?: SuspectProcess
  /** Of a shell that talks over the network; canonical where it is an address. */
  readonly peer?: { readonly address: string; readonly port?: number }
  /** How the record was bound to the workspace, where the sensor did not know. */
  readonly boundBy?: 'identifier' | 'interfaces'
  /** Like records folded into this one, itself included. */
  readonly count: number
}
