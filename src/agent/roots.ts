// The trust root of a node, and following signed roots: one by one, each verified by the root before it and by itself, each on stable storage
// before the next is looked at (TUF 1.0.34 section 5.3). The file is the operator's pin at first and follows from there.

import { readFileSync } from 'node:fs'
import { concat } from '../base/bytes.js'
import { type Digest, digestOf } from '../base/digest.js'
import { LIMITS } from '../base/limits.js'
import type { TrustRoot } from '../bundle/model.js'
import { parseTrustRoot, requireLiveRoot, rotateRoot, writeTrustRoot } from '../bundle/root.js'
import { crlFileOf, hasChains, withChains } from '../bundle/x509/enrol.js'
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
 * As `readTrustRoot`, with the certificate chains of its keys judged at `nowMs` by the revocation lists beside it. `digest`
 * covers everything that the judgement depends on.
 */
export async function openTrustRoot(
  file: string,
  nowMs: number,
  files: StateFiles = NODE_FILES,
): Promise<{ readonly root: TrustRoot; readonly digest: Digest }> {
  const { root, bytes } = readTrustRoot(file)
  if (!hasChains(root)) return { root, digest: digestOf(bytes) }
  const list = crlFileOf(file)
  let crls: Uint8Array | undefined
  try {
    crls = files.read(list)
  } catch (error) {
    throw agentFault('AGENT_CONFIG_READ', { what: 'revocation lists', file: list }, { cause: error })
  }
  const judged = await withChains(root, { nowMs, ...(crls === undefined ? {} : { crls }) })
  return { root: judged, digest: digestOf(concat([bytes, crls ?? new Uint8Array(0)])) }
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
