// What a sensor says that a program of a workspace did: one record, shaped like what DOCA Argus writes, whoever made it. The kernel
// sensor of this node makes the same, so that one evaluator judges both (judge.ts).
// untrusted: every text. Argus reads the memory of a guest, and the guest chose what stands there.

import type { Digest } from '../base/digest.js'

/** What is understood of the names of activities; anything else passes as `other`, under its own name. */
export const ACTIVITIES = [
  'process-started',
  'process-ended',
  'reverse-shell',
  'shell-history-disabled',
  'shell-history-cleared',
  'permissions-removed',
  'executable-memory',
  'connection',
  'file',
  'container',
  'other',
] as const
export type Activity = (typeof ACTIVITIES)[number]

export interface ProcessDetails {
  readonly pid: number
  readonly parentPid?: number
  readonly name?: string
  /** Of the executable, with every link followed. */
  readonly path?: string
  readonly arguments?: string
  readonly digest?: Digest
  readonly uid?: number
  readonly containerId?: string
  /** Milliseconds since 1970. */
  readonly startedAtMs?: number
}

export interface ConnectionDetails {
  readonly state?: string
  /** Canonical addresses; what is none is left out. */
  readonly local?: string
  readonly localPort?: number
  readonly peer?: string
  readonly peerPort?: number
}

/** Whose program it was, as the sensor says. Nothing of it is proof by itself (binding.ts). */
export interface Workload {
  readonly id?: string
  readonly hostname?: string
  /** Lower case. */
  readonly macs: readonly string[]
  /** Canonical. */
  readonly addresses: readonly string[]
}

export interface ActivityRecord {
  /** The same for the same event told twice; absent where the sensor gives none. */
  readonly id?: string
  readonly activity: Activity
  /** As the sensor calls it. */
  readonly said: string
  /** Milliseconds since 1970; absent where the sensor does not know. */
  readonly atMs?: number
  readonly workload: Workload
  readonly process?: ProcessDetails
  /** Standard input or output, or what the activity is about. */
  readonly connection?: ConnectionDetails
  /** Standard input and output are a connection. */
  readonly remote?: boolean
  /** It was refused before it ran, and why; absent where it ran. */
  readonly refused?: string
}

/** An executable that has no file: made in memory, or its last name was taken away. */
export const isMemoryOnly = (path: string): boolean =>
  path.endsWith(' (deleted)') || path.startsWith('/memfd:') || path.startsWith('memfd:')

const SHELLS: ReadonlySet<string> = new Set(['sh', 'ash', 'bash', 'csh', 'dash', 'fish', 'ksh', 'mksh', 'tcsh', 'zsh'])

/** By the name of its file: `/usr/bin/bash`. */
export const isShell = (path: string): boolean => SHELLS.has(path.slice(path.lastIndexOf('/') + 1))
