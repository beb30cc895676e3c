// The policy members of the bundle that is live, kept beside its plan: decisions about requests, files and programs need what a
// plan does not carry. A file for each plan, named by its digest and sealed as the record is; written before the plan becomes
// live, so that a restart finds them. What is missing or damaged decides nothing: the caller is refused, never answered.

import { join } from 'node:path'
import { base64url, decodeBase64url, utf8 } from '../base/bytes.js'
import type { Digest } from '../base/digest.js'
import { isObject } from '../base/json.js'
import type { Policy } from '../policy/model.js'
import { normalizePolicies } from '../policy/normalize.js'
import { agentFault } from './errors.js'
import { NODE_FILES, replaceFile, type StateFiles } from './files.js'
import { RecordProblem, seal, unseal } from './record.js'

export const POLICIES = 'policies'
export const POLICIES_FORMAT = 'sluice-policies/1'

const fileOf = (plan: Digest): string => `${plan.slice(7)}.json`

/** Throws AGENT_STORE_WRITE. */
export function keepPolicies(
  directory: string,
  plan: Digest,
  members: ReadonlyMap<string, Uint8Array>,
  files: StateFiles = NODE_FILES,
): void {
  const folder = join(directory, POLICIES)
  const path = join(folder, fileOf(plan))
  const body = Object.fromEntries([...members].map(([name, bytes]) => [name, base64url(bytes)]))
  try {
    files.makeDirectory(folder)
    replaceFile(files, path, utf8(seal(POLICIES_FORMAT, { plan, members: body })))
  } catch (cause) {
    throw agentFault('AGENT_STORE_WRITE', { file: path }, { cause })
  }
}

/** Removes what belongs to other plans than these. Never throws: an old file decides nothing. */
export function prunePolicies(directory: string, plans: readonly Digest[], files: StateFiles = NODE_FILES): void {
  const folder = join(directory, POLICIES)
  const kept = new Set(plans.map(fileOf))
  try {
    for (const name of files.list(folder)) if (!kept.has(name)) files.remove(join(folder, name))
  } catch {
    // Nothing asks for what could not be removed; it is tried again after the next activation.
  }
}

/** The policies that the plan was made from. Throws AGENT_DECISION_NONE. */
export function loadPolicies(directory: string, plan: Digest, files: StateFiles = NODE_FILES): readonly Policy[] {
  const no = (why: string, cause?: unknown) => agentFault('AGENT_DECISION_NONE', { why }, { cause })
  const bytes = files.read(join(directory, POLICIES, fileOf(plan)))
  if (!bytes) throw no('the policies of the live plan are not kept here')
  try {
    const body = unseal(bytes, POLICIES_FORMAT)
    if (!isObject(body) || body.plan !== plan || !isObject(body.members))
      throw no('the kept policies are of another plan')
    const members = new Map<string, Uint8Array>()
    for (const [name, text] of Object.entries(body.members)) {
      const octets = typeof text === 'string' ? decodeBase64url(text) : undefined
      if (!octets) throw no('the kept policies are damaged')
      members.set(name, octets)
    }
    const { policies } = normalizePolicies(members)
    if (!policies) throw no('the kept policies cannot be read by this release')
    return policies
  } catch (error) {
    if (error instanceof RecordProblem) throw no('the kept policies are damaged', error)
    throw error
  }
}
