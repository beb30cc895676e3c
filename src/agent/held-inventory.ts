// The inventory that the live plan was made with, kept beside it: security events need to know whose a workspace is, which is no
// part of a plan. A file for each plan, named by its digest and sealed as the record is, written before the plan becomes live. What
// is missing or damaged maps nobody, and then nothing is acknowledged.

import { join } from 'node:path'
import { base64url, decodeBase64url, utf8 } from '../base/bytes.js'
import type { Digest } from '../base/digest.js'
import { isObject } from '../base/json.js'
import { parseInventory } from '../plan/parse-inventory.js'
import type { Mapped } from '../revocation/model.js'
import { agentFault } from './errors.js'
import { NODE_FILES, replaceFile, type StateFiles } from './files.js'
import { RecordProblem, seal, unseal } from './record.js'

export const INVENTORIES = 'inventories'
export const INVENTORIES_FORMAT = 'sluice-inventory/1'

const fileOf = (plan: Digest): string => `${plan.slice(7)}.json`

/** Keeps verified bytes. Throws AGENT_STORE_WRITE. */
export function keepInventory(
  directory: string,
  plan: Digest,
  bytes: Uint8Array,
  files: StateFiles = NODE_FILES,
): void {
  const folder = join(directory, INVENTORIES)
  const path = join(folder, fileOf(plan))
  try {
    files.makeDirectory(folder)
    replaceFile(files, path, utf8(seal(INVENTORIES_FORMAT, { plan, inventory: base64url(bytes) })))
  } catch (cause) {
    throw agentFault('AGENT_STORE_WRITE', { file: path }, { cause })
  }
}

/** Removes what belongs to other plans than these. Never throws: nothing asks for what could not be removed. */
export function pruneInventories(directory: string, plans: readonly Digest[], files: StateFiles = NODE_FILES): void {
  const folder = join(directory, INVENTORIES)
  const kept = new Set(plans.map(fileOf))
  try {
    for (const name of files.list(folder)) if (!kept.has(name)) files.remove(join(folder, name))
  } catch {
    // It is tried again after the next activation.
  }
}

/** Whose the workspaces of this plan are; undefined when nobody can say. */
export function loadMapped(
  directory: string,
  plan: Digest,
  files: StateFiles = NODE_FILES,
): readonly Mapped[] | undefined {
  try {
    const bytes = files.read(join(directory, INVENTORIES, fileOf(plan)))
    const body = bytes && unseal(bytes, INVENTORIES_FORMAT)
    if (!isObject(body) || body.plan !== plan || typeof body.inventory !== 'string') return undefined
    const octets = decodeBase64url(body.inventory)
    const { inventory } = octets ? parseInventory(octets, 'inventory.yaml') : {}
    return inventory?.entries.map(({ workspace, subjects = {} }) => ({ workspace, subjects }))
  } catch (error) {
    // Damaged, or not to be read: the caller acknowledges nothing, and says so.
    if (error instanceof RecordProblem || (error as NodeJS.ErrnoException).code !== undefined) return undefined
    throw error
  }
}
