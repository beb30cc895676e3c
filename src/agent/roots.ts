// Following signed roots on a node: one by one, each verified by the root before it and by itself, each on stable storage
// before the next is looked at (TUF 1.0.34 section 5.3). The file is the operator's pin at first and follows from there.

import { readFileSync } from 'node:fs'
import { LIMITS } from '../base/limits.js'
import type { TrustRoot } from '../bundle/model.js'
import { parseTrustRoot, requireLiveRoot, rotateRoot, writeTrustRoot } from '../bundle/root.js'
import { agentFault } from './errors.js'
import { NODE_FILES, replaceFile, type StateFiles } from './files.js'

/** Throws AGENT_CONFIG_READ, BUNDLE_ROOT. */
export function readTrustRoot(file: string): { readonly root: TrustRoot; readonly bytes: Uint8Array } {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(file)
  } catch (error) {
    throw agentFault('AGENT_CONFIG_READ', { what: 'trust root', file }, { cause: error })
  }
  return { root: parseTrustRoot(bytes), bytes }
}

/**
 * Follows the statements in order and gives the last root; the ones that were followed stay, whatever a later one is refused
 * for. Throws BUNDLE_*, and BUNDLE_ROOT_EXPIRED when the last one has expired.
 */
export async function followRoots(
  file: string,
  statements: readonly Uint8Array[],
  nowMs: number,
  files: StateFiles = NODE_FILES,
): Promise<TrustRoot> {
  let { root } = readTrustRoot(file)
  for (const statement of statements.slice(0, LIMITS.rootSteps)) {
    root = await rotateRoot(root, statement)
    try {
      replaceFile(files, file, writeTrustRoot(root))
    } catch (error) {
      throw agentFault('AGENT_STORE_WRITE', { file }, { cause: error })
    }
  }
  requireLiveRoot(root, nowMs)
  return root
}
