// What this driver last put into the kernel, kept in a file of the state directory so that a restarted agent can tell drift
// from its own work: names for the numbers in the kernel, and digests of the structure and of each set. The kernel stays
// the authority on what is live; the record only says what was meant.

import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../base/digest.js'
import { nftablesFault } from './errors.js'
import type { ClauseMark } from './program.js'

export interface WorkspaceRecord {
  readonly workspace: string
  readonly interface: string
  readonly addresses: readonly string[]
  readonly clauses: readonly ClauseMark[]
}

export interface LiveRecord {
  readonly generation: number
  readonly planDigest: Digest
  readonly tag: string
  readonly workspaces: readonly WorkspaceRecord[]
  /** Digest of every rule, chain and set declaration as read back after the commit (ruleset.ts). */
  readonly structure: string
  /** Elements of each set that holds grants or attachments: name to digest of its sorted elements. */
  readonly elements: Readonly<Record<string, string>>
}

export interface StateFile {
  readonly format: 1
  readonly live: LiveRecord | null
  /** net.netfilter.nf_conntrack_tcp_loose as it was found; null when it was not changed. */
  readonly looseBefore: string | null
}

const EMPTY: StateFile = { format: 1, live: null, looseBefore: null }
export const STATE_NAME = 'nftables.json'

export interface ReadState {
  readonly state: StateFile
  /** Why the file that is there cannot be used; then what is live is read from the kernel. */
  readonly damage?: string
}

/** Never throws: a fence must be able to quarantine without its record. */
export async function readState(directory: string): Promise<ReadState> {
  try {
    const state = JSON.parse(await readFile(join(directory, STATE_NAME), 'utf8')) as unknown
    return isState(state) ? { state } : { state: EMPTY, damage: 'it is not in the form that this version writes' }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { state: EMPTY }
    return { state: EMPTY, damage: error instanceof Error ? error.message : String(error) }
  }
}

/** What the rest of the driver relies on; the content of a field that only drift is judged by may be wrong. */
function isState(value: unknown): value is StateFile {
  const state = value as Partial<StateFile> | null
  if (typeof state !== 'object' || state === null || state.format !== 1) return false
  const { live, looseBefore } = state
  if (looseBefore !== null && typeof looseBefore !== 'string') return false
  if (live === null) return true
  const texts = (list: unknown): boolean => Array.isArray(list) && list.every((one) => typeof one === 'string')
  const isWorkspace = (one: Partial<WorkspaceRecord> | null): boolean =>
    typeof one?.workspace === 'string' &&
    typeof one.interface === 'string' &&
    texts(one.addresses) &&
    Array.isArray(one.clauses)
  return (
    typeof live === 'object' &&
    [live.planDigest, live.tag, live.structure].every((text) => typeof text === 'string') &&
    Number.isInteger(live.generation) &&
    Array.isArray(live.workspaces) &&
    live.workspaces.every(isWorkspace) &&
    typeof live.elements === 'object' &&
    live.elements !== null
  )
}

/** Of a set of exact grants by its name (workspace.ts); undefined for every other set. */
export const exactFamily = (name: string): 4 | 6 | undefined => {
  const family = /^w\d+_g[^_]+_[eijopst]?x([46])$/.exec(name)?.[1]
  return family === undefined ? undefined : family === '4' ? 4 : 6
}

/** Whole or not at all: written beside, synced, renamed. Throws NFT_STATE. */
export async function writeState(directory: string, state: StateFile): Promise<void> {
  try {
    await write(directory, state)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw nftablesFault('NFT_STATE', { file: join(directory, STATE_NAME), why }, { cause: error })
  }
}

async function write(directory: string, state: StateFile): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, STATE_NAME)
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(JSON.stringify(state))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}

export const removeState = (directory: string): Promise<void> => rm(join(directory, STATE_NAME), { force: true })

export const livePattern = (generation: number, tag: string): RegExp => new RegExp(`^w\\d+_g${generation}${tag}_`)
