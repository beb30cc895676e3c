// The trust root of a node, and following signed roots: one by one, each verified by the root before it and by itself, each on stable storage
// before the next is looked at (TUF 1.0.34 section 5.3). The file is the operator's pin at first and follows from there.

import { existsSync } from 'node:fs'
import { concat } from '../base/bytes.js'
import { type Digest, digestOf } from '../base/digest.js'
import { Fault } from '../base/fault.js'
import { LIMITS } from '../base/limits.js'
import type { TrustRoot } from '../bundle/model.js'
import { NO_TRUST, parseTrustRoot, requireLiveRoot, rotateRoot, writeTrustRoot } from '../bundle/root.js'
import { crlFileOf, hasChains, withChains } from '../bundle/x509/enrol.js'
import { agentFault } from './errors.js'
import { NODE_FILES, readRegular, replaceFile, type StateFiles } from './files.js'

interface ReadRoot {
  readonly root: TrustRoot
  readonly bytes: Uint8Array
}
/** What was read last. The file is read for every command, and each of its keys costs points on a curve: equal octets are not judged twice. */
let last: ReadRoot | undefined

/** Throws AGENT_CONFIG_READ, BUNDLE_ROOT. */
export function readTrustRoot(file: string): ReadRoot {
  const bytes = readNamed(file, 'trust root', LIMITS.rootBytes)
  if (!last || Buffer.compare(last.bytes, bytes) !== 0) last = { root: parseTrustRoot(bytes), bytes }
  return last
}

const CRLS_BYTES = LIMITS.crls * LIMITS.crlBytes

/** Throws AGENT_CONFIG_READ, also for what is no regular file and for more than `maxBytes`. */
function readNamed(file: string, what: string, maxBytes: number): Uint8Array {
  try {
    const bytes = readRegular(file, maxBytes)
    if (bytes === 'not-regular') throw new TypeError('it is not a regular file')
    if (bytes === 'too-large') throw new RangeError(`it has more than ${maxBytes} octets`)
    return bytes
  } catch (cause) {
    throw agentFault('AGENT_CONFIG_READ', { what, file }, { cause })
  }
}

/**
 * As `readTrustRoot`, with the certificate chains of its keys judged at `nowMs` by the revocation lists beside it. `digest`
 * covers everything that the judgement depends on.
 */
export async function openTrustRoot(
  file: string,
  nowMs: number,
): Promise<{ readonly root: TrustRoot; readonly digest: Digest }> {
  const { root, bytes } = readTrustRoot(file)
  if (!hasChains(root)) return { root, digest: digestOf(bytes) }
  const list = crlFileOf(file)
  const crls = existsSync(list) ? readNamed(list, 'revocation lists', CRLS_BYTES) : undefined
  const judged = await withChains(root, { nowMs, ...(crls === undefined ? {} : { crls }) })
  return { root: judged, digest: digestOf(concat([bytes, crls ?? new Uint8Array(0)])) }
}

/** As `openTrustRoot`; one that cannot be read trusts nobody, because fencing a workspace asks for no signature. */
export async function openForFencing(file: string, nowMs: number): ReturnType<typeof openTrustRoot> {
  try {
    return await openTrustRoot(file, nowMs)
  } catch (error) {
    if (error instanceof Fault) return { root: NO_TRUST, digest: digestOf(new Uint8Array(0)) }
    throw error
  }
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
