// The format of a state directory as a whole, and the way from one to another. A release reads its own format alone: an older
// store is brought forward, under the node's lock, with a copy kept; a newer one is refused before anything is touched,
// because what a later release wrote there (marks, quarantines) would otherwise be lost without a word. The way back is the
// newer release's own (`sluice migrate --to`): only that one knows both.
//
// `store.json` names the format, and while records are being converted also the one they are converted to. A crash on the way
// leaves that second name, and whoever comes next begins again from the copy.

import { join } from 'node:path'
import { decodeUtf8, utf8 } from '../base/bytes.js'
import { canonicalize } from '../base/canonical.js'
import { Fault } from '../base/fault.js'
import { isObject, JsonError, parseJson } from '../base/json.js'
import { agentFault } from './errors.js'
import { NODE_FILES, replaceFile, type StateFiles } from './files.js'
import { takeLock } from './lock.js'
import { STEPS, type Step } from './store-steps.js'

export const STORE = 'store.json'
export const COPIES = 'copies'
const PRODUCT = 'sluice-store'
/** Without a store.json. */
const FIRST = 1
/** What this release reads and writes. */
export const STORE_FORMAT = FIRST + STEPS.length

/**
 * What is converted; a folder below a folder stands for itself. Beside it, with formats of their own that every release since reads: what backends and sinks keep, the
 * journal and its mark, receipts, the agent's key, the floor.
 */
export const STORE_FILES = [
  'state.json',
  'quarantines.json',
  'trust.json',
  'tenures.json',
  'revoked.json',
  'sessions.json',
  'registrations.json',
  'names.json',
] as const
export const STORE_FOLDERS = [
  'plans',
  'policies',
  'inventories',
  'revocation',
  'revocation/inbox',
  'revocation/done',
] as const

export interface Standing {
  readonly format: number
  /** A conversion to this format was begun and did not end. */
  readonly becoming?: number
}
export interface Migrated {
  readonly from: number
  readonly to: number
  /** The folder with the records as they were. */
  readonly copy: string
}

/** undefined where there is no store. Throws AGENT_STORE_DAMAGED. */
export function storeStanding(directory: string, files: StateFiles = NODE_FILES): Standing | undefined {
  const file = join(directory, STORE)
  const bytes = files.read(file)
  if (!bytes) return files.read(join(directory, 'state.json')) ? { format: FIRST } : undefined
  const damaged = (why: string, cause?: unknown) => agentFault('AGENT_STORE_DAMAGED', { file, why }, { cause })
  try {
    const found = parseJson(decodeUtf8(bytes) ?? '')
    if (!isObject(found) || found.product !== PRODUCT || !isFormat(found.format)) throw damaged('it names no format')
    if (found.becoming === undefined) return { format: found.format }
    if (!isFormat(found.becoming)) throw damaged('it names no format')
    return { format: found.format, becoming: found.becoming }
  } catch (error) {
    if (error instanceof JsonError) throw damaged(error.message, error)
    throw error
  }
}

const isFormat = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= FIRST

/** Says that a new store has this release's format. */
export function saveStoreFormat(directory: string, files: StateFiles = NODE_FILES): void {
  save(directory, { format: STORE_FORMAT }, files)
}

function save(directory: string, standing: Standing, files: StateFiles): void {
  replaceFile(files, join(directory, STORE), utf8(`${canonicalize({ product: PRODUCT, ...standing })}\n`))
}

/**
 * Refuses a newer store, and brings an older one forward when `lock` is given and can be had. Throws AGENT_STORE_NEWER,
 * AGENT_STORE_DAMAGED, AGENT_STORE_WRITE, AGENT_BUSY.
 */
export function admitStore(directory: string, lock?: string): Migrated | undefined {
  const standing = storeStanding(directory)
  if (!standing) return undefined
  refuseNewer(directory, standing, STORE_FORMAT)
  if (lock === undefined || (standing.format === STORE_FORMAT && standing.becoming === undefined)) return undefined
  const unlock = takeLock(lock)
  try {
    return migrateStore(directory, STORE_FORMAT)
  } finally {
    unlock()
  }
}

function refuseNewer(directory: string, { format, becoming }: Standing, newest: number): void {
  const found = Math.max(format, becoming ?? FIRST)
  if (found > newest) throw agentFault('AGENT_STORE_NEWER', { directory, format: found, known: newest })
}

/**
 * Converts the store to `to`, forward or back; undefined where there is nothing to do. Needs the node's lock. A crash at any
 * point is made good by calling it again. Throws AGENT_STORE_NEWER, AGENT_STORE_DAMAGED, AGENT_STORE_WRITE.
 */
export function migrateStore(
  directory: string,
  to: number,
  steps: readonly Step[] = STEPS,
  files: StateFiles = NODE_FILES,
): Migrated | undefined {
  const newest = FIRST + steps.length
  const standing = storeStanding(directory, files)
  if (!standing) throw agentFault('AGENT_STORE_MISSING', { directory })
  refuseNewer(directory, standing, newest)
  const { format: from } = standing
  if (to < FIRST || to > newest) throw agentFault('AGENT_STORE_NO_WAY', { from, to, newest })
  const copy = join(directory, COPIES, `format-${from}`)
  try {
    if (standing.becoming !== undefined) restore(directory, copy, files)
    if (from === to) {
      if (standing.becoming !== undefined) save(directory, { format: from }, files)
      return undefined
    }
    keepCopy(directory, copy, files)
    save(directory, { format: from, becoming: to }, files)
    const way = to > from ? steps.slice(from - FIRST, to - FIRST) : steps.slice(to - FIRST, from - FIRST).reverse()
    for (const name of recordsIn(directory, files)) {
      const before = files.read(join(directory, name))
      if (!before) continue
      const after = way.reduce((bytes, step) => (to > from ? step.forward : step.back)(name, bytes), before)
      if (after !== before) replaceFile(files, join(directory, name), after)
    }
    save(directory, { format: to }, files)
    return { from, to, copy }
  } catch (cause) {
    if (cause instanceof Fault || !(cause instanceof Error && 'code' in cause)) throw cause
    throw agentFault('AGENT_STORE_WRITE', { file: directory }, { cause })
  }
}

/** Names of the records that are there, below `directory`. */
const recordsIn = (directory: string, files: StateFiles): readonly string[] => [
  ...STORE_FILES,
  ...STORE_FOLDERS.flatMap((folder) =>
    files
      .list(join(directory, folder))
      .filter((name) => name.endsWith('.json'))
      .map((name) => join(folder, name)),
  ),
]

/** The records as they are, in a folder that appears whole; one for each format, the last one. */
function keepCopy(directory: string, copy: string, files: StateFiles): void {
  const fresh = `${copy}.new`
  files.remove(fresh)
  for (const folder of ['', ...STORE_FOLDERS]) files.makeDirectory(join(fresh, folder))
  for (const name of recordsIn(directory, files)) {
    const bytes = files.read(join(directory, name))
    if (bytes) files.writeSynced(join(fresh, name), bytes)
  }
  for (const folder of ['', ...STORE_FOLDERS]) files.syncDirectory(join(fresh, folder))
  files.remove(copy)
  files.rename(fresh, copy)
  files.syncDirectory(join(directory, COPIES))
}

/** After a conversion that did not end: some records are of one format and some of the other. */
function restore(directory: string, copy: string, files: StateFiles): void {
  for (const name of recordsIn(copy, files)) {
    const bytes = files.read(join(copy, name))
    if (bytes) replaceFile(files, join(directory, name), bytes)
  }
}
