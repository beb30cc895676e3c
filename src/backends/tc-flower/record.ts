// What this driver last put into the kernel, in a file of the state directory: names for the numbers in the kernel, digests of
// what was read back. The kernel is right about what is live: of `live` and `next`
// the one counts that its switches name.

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, isDigest } from '../../base/digest.js'
import type { GrantId, WorkspaceId } from '../../plan/model.js'
import type { ClauseId } from '../../policy/model.js'
import type { Flag } from '../backend.js'
import { flowerFault } from './errors.js'
import type { Turn } from './place.js'
import type { LearnedBand } from './program.js'

export interface HeldWorkspace {
  readonly workspace: WorkspaceId
  readonly interface: string
  readonly mac: string
  /** Tells workspaces behind one uplink apart. */
  readonly number: number
  readonly grants: readonly GrantId[]
  readonly clauses: readonly ClauseId[]
  readonly bands: readonly LearnedBand[]
  /** Of the filters of each station, in its order, as read back. */
  readonly digests: readonly string[]
}

export interface HeldGeneration {
  readonly generation: number
  readonly planDigest: Digest
  readonly turn: Turn
  /** Absent: in software. */
  readonly uplink?: string
  readonly workspaces: readonly HeldWorkspace[]
}

/** An interface that is closed and carries no workspace of the plan. */
export type Closed = Pick<HeldWorkspace, 'interface' | 'mac' | 'number'>

export interface StateFile {
  readonly format: 1
  readonly live: HeldGeneration | null
  /** Written before the switches are turned. */
  readonly next: HeldGeneration | null
  readonly closed: readonly Closed[]
}

export const EMPTY_STATE_FILE: StateFile = {
  format: 1,
  live: null,
  next: null,
  closed: [],
}
export const STATE_NAME = 'tc-flower.json'

/** A record that is damaged or absent is empty; `damage` says so. Never throws: fencing must not depend on it. */
export async function readState(directory: string): Promise<{ readonly state: StateFile; readonly damage?: string }> {
  try {
    const value = JSON.parse(await readFile(join(directory, STATE_NAME), 'utf8')) as Partial<StateFile> | null
    if (isState(value)) return { state: value }
    return { state: EMPTY_STATE_FILE, damage: 'it is not in the form that this version writes' }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { state: EMPTY_STATE_FILE }
    return { state: EMPTY_STATE_FILE, damage: error instanceof Error ? error.message : String(error) }
  }
}

function isState(value: Partial<StateFile> | null): value is StateFile {
  if (typeof value !== 'object' || value?.format !== 1) return false
  const generation = (held: HeldGeneration | null | undefined): boolean =>
    held === null ||
    (typeof held === 'object' &&
      Number.isInteger(held.generation) &&
      isDigest(held.planDigest) &&
      (held.turn === 0 || held.turn === 1) &&
      Array.isArray(held.workspaces) &&
      held.workspaces.every(
        (one: Partial<HeldWorkspace>) =>
          typeof one.workspace === 'string' &&
          typeof one.interface === 'string' &&
          [one.grants, one.clauses, one.bands, one.digests].every((list) => Array.isArray(list)),
      ))
  return generation(value.live) && generation(value.next) && Array.isArray(value.closed)
}

/** Whole or not at all: written beside, synced, renamed. Throws FLOWER_STATE. */
export async function writeState(directory: string, state: StateFile): Promise<void> {
  const path = join(directory, STATE_NAME)
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const file = await open(`${path}.new`, 'w', 0o600)
    try {
      await file.writeFile(JSON.stringify(state))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(`${path}.new`, path)
  } catch (cause) {
    throw flowerFault(
      'FLOWER_STATE',
      { file: path, why: cause instanceof Error ? cause.message : String(cause) },
      { cause },
    )
  }
}

export async function removeState(directory: string): Promise<void> {
  for (const name of [STATE_NAME, FLAGS_NAME]) await rm(join(directory, name), { force: true })
}

/** Flags of workspaces, in a small file of their own: written in one turn, so that a quarantine waits for no load. */
export type FlagFile = Readonly<Record<Flag, readonly WorkspaceId[]>>
export const FLAGS_NAME = 'tc-flower-flags.json'
const NO_FLAGS: FlagFile = { quarantined: [], suspended: [] }

/** None when there is no file, or one that cannot be read; the kernel has those of the workspaces that are here. */
export function readFlags(directory: string): { readonly flags: FlagFile; readonly damage?: string } {
  try {
    const value = JSON.parse(readFileSync(join(directory, FLAGS_NAME), 'utf8')) as Partial<FlagFile> | null
    const { quarantined, suspended } = value ?? {}
    if (isTexts(quarantined) && isTexts(suspended)) return { flags: { quarantined, suspended } }
    return { flags: NO_FLAGS, damage: 'flags are not in the form that this version writes' }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { flags: NO_FLAGS }
    return { flags: NO_FLAGS, damage: error instanceof Error ? error.message : String(error) }
  }
}

const isTexts = (list: unknown): list is readonly string[] =>
  Array.isArray(list) && list.every((one) => typeof one === 'string')

/** As `writeState`. Throws FLOWER_STATE. */
export function writeFlags(directory: string, flags: FlagFile): void {
  const path = join(directory, FLAGS_NAME)
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const file = openSync(`${path}.new`, 'w', 0o600)
    try {
      writeSync(file, JSON.stringify(flags))
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(`${path}.new`, path)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw flowerFault('FLOWER_STATE', { file: path, why }, { cause })
  }
}
