// What was taken back for good: logical agents, delegations, and the highest version seen of each registration record. The one
// place where `Revocations` (decide/authority.ts) is kept: `revoked.json` in the state directory, sealed as the record is, replaced
// as a whole, and only ever growing, so that neither a restart nor a recovery nor a message out of order gives anything back.
//
// A file that cannot be read is a fault, and nobody is answered from it: the caller denies.

import { join } from 'node:path'
import { utf8 } from '../base/bytes.js'
import type { Json } from '../base/canonical.js'
import { delegationKey, type Revocations } from '../decide/authority.js'
import { agentFault } from './errors.js'
import { NODE_FILES, replaceFile, type StateFiles } from './files.js'
import { Fields, RecordProblem, seal, unseal } from './record.js'

export const REVOKED = 'revoked.json'
export const REVOKED_FORMAT = 'sluice-revoked/1'
/** Of each kind. Nothing is ever dropped to make room: what does not fit is refused, and whoever brought it is told. */
export const REVOKED_MOST = 100_000

/** What somebody takes back, or has seen; each part may be left out. */
export interface Taken {
  readonly agents?: readonly string[]
  readonly delegations?: readonly { readonly issuer: string; readonly delegationId: string }[]
  /** By `recordKey`. A lower version than is held changes nothing. */
  readonly versions?: ReadonlyMap<string, number>
}

const NOTHING: Revocations = { agents: new Set(), delegations: new Set(), versions: new Map() }

export class Revoked {
  private held: { readonly stamp: string; readonly value: Revocations } | undefined

  /** `directory` is the state directory. Several of these may stand beside each other in one process. */
  constructor(
    private readonly directory: string,
    private readonly files: StateFiles = NODE_FILES,
    private readonly most: number = REVOKED_MOST,
  ) {}

  /** What is revoked now. The same object until the file changes. Throws AGENT_STORE_DAMAGED, AGENT_STORE_FORMAT. */
  read(): Revocations {
    const path = join(this.directory, REVOKED)
    const stamp = this.files.stamp?.(path)
    if (this.held && stamp !== undefined && this.held.stamp === stamp) return this.held.value
    const value = this.load(path)
    this.held = stamp === undefined ? undefined : { stamp, value }
    return value
  }

  /** Adds; on return it is on stable storage. False: all of it was known. Throws AGENT_REVOKED_FULL, and as `read` and the disk do. */
  add({ agents = [], delegations = [], versions = new Map() }: Taken): boolean {
    const before = this.read()
    const next = {
      agents: new Set([...before.agents, ...agents]),
      delegations: new Set([...before.delegations, ...delegations.map(delegationKey)]),
      versions: new Map(before.versions),
    }
    for (const [record, version] of versions)
      next.versions.set(record, Math.max(version, before.versions.get(record) ?? 0))
    const raised = [...next.versions].some(([record, version]) => before.versions.get(record) !== version)
    if (!raised && next.agents.size === before.agents.size && next.delegations.size === before.delegations.size)
      return false
    const path = join(this.directory, REVOKED)
    if ([next.agents, next.delegations, next.versions].some(({ size }) => size > this.most))
      throw agentFault('AGENT_REVOKED_FULL', { file: path, most: this.most })
    try {
      replaceFile(this.files, path, utf8(seal(REVOKED_FORMAT, bodyOf(next))))
    } catch (cause) {
      throw agentFault('AGENT_STORE_WRITE', { file: path }, { cause })
    }
    this.held = undefined
    return true
  }

  private load(path: string): Revocations {
    const damaged = (why: string, cause?: unknown) => agentFault('AGENT_STORE_DAMAGED', { file: path, why }, { cause })
    let bytes: Uint8Array | undefined
    try {
      bytes = this.files.read(path)
    } catch (cause) {
      throw damaged('it cannot be read', cause)
    }
    if (!bytes) return NOTHING
    try {
      const body = new Fields(unseal(bytes, REVOKED_FORMAT), 'revoked')
      return {
        agents: new Set(body.texts('agents')),
        delegations: new Set(body.texts('delegations')),
        versions: new Map(body.list('versions', (at) => [at.text('record'), at.count('version')] as const)),
      }
    } catch (error) {
      if (!(error instanceof RecordProblem)) throw error
      throw error.kind === 'format'
        ? agentFault('AGENT_STORE_FORMAT', { file: path, format: error.message })
        : damaged(error.message)
    }
  }
}

const bodyOf = ({ agents, delegations, versions }: Revocations): Json => ({
  agents: [...agents].sort(),
  delegations: [...delegations].sort(),
  versions: [...versions].sort(([a], [b]) => (a < b ? -1 : 1)).map(([record, version]) => ({ record, version })),
})
