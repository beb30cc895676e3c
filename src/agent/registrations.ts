// The registration records that a node holds: each verified when it came, and its version noted as the highest that was seen
// (revoked.ts), so that a lower one is refused after a restart and after a recovery too. Takes signed records as octets, gives
// them back by agent, verified again under the trust root of now: a record whose key has gone counts for nothing.
//
// Only the running agent writes (it holds the lock). Whoever asks reads what is held in memory.

import { join } from 'node:path'
import { base64url, decodeBase64url, utf8 } from '../base/bytes.js'
import type { Digest } from '../base/digest.js'
import { Fault } from '../base/fault.js'
import { LIMITS } from '../base/limits.js'
import type { TrustRoot } from '../bundle/model.js'
import { type VerifiedRegistration, verifyRegistration } from '../bundle/registration.js'
import { requireLiveRoot } from '../bundle/root.js'
import { recordKey } from '../decide/authority.js'
import { agentFault } from './errors.js'
import { NODE_FILES, replaceFile, type StateFiles } from './files.js'
import { Fields, RecordProblem, seal, unseal } from './record.js'
import type { Revoked } from './revoked.js'

export const REGISTRATIONS = 'registrations.json'
const FORMAT = 'sluice-registrations/1'

/** Under what a record is judged; `digest` changes whenever the judgement might. */
export interface Trusting {
  readonly trust: TrustRoot
  readonly trustDigest: Digest
}

interface Held {
  readonly agentId: string
  readonly version: number
  /** Of the statement. */
  readonly digest: Digest
  /** As it was signed. */
  readonly signed: Uint8Array
}

export class Registrations {
  private held: Map<string, Held> | undefined
  /** What is verified under the trust root of `judgedBy`. */
  private verified = new Map<string, VerifiedRegistration | undefined>()
  private judgedBy: Digest | undefined

  constructor(
    private readonly directory: string,
    private readonly revoked: Revoked,
    private readonly files: StateFiles = NODE_FILES,
  ) {}

  /**
   * Takes a record that is news, and gives it; undefined when it is held already. Throws BUNDLE_*, AGENT_REGISTRATION_*,
   * AGENT_STORE_WRITE, AGENT_STORE_DAMAGED, AGENT_STORE_FORMAT, AGENT_REVOKED_FULL.
   */
  async take(signed: Uint8Array, trust: TrustRoot, nowMs: number): Promise<VerifiedRegistration | undefined> {
    requireLiveRoot(trust, nowMs)
    const verified = await verifyRegistration(signed, trust)
    const { record, digest } = verified
    const key = recordKey(record)
    const held = this.load()
    const before = held.get(key)
    if (before?.digest === digest) return undefined
    const version = record.recordVersion
    const seen = Math.max(this.revoked.read().versions.get(key) ?? 0, before?.version ?? 0)
    if (version < seen) throw agentFault('AGENT_REGISTRATION_ROLLBACK', { record: key, version, held: seen })
    const twice = (why: string) => agentFault('AGENT_REGISTRATION_TWICE', { record: key, why })
    if (before?.version === version) throw twice(`version ${version} was seen with another content`)
    const other = [...held].find(([name, { agentId }]) => name !== key && agentId === record.agentId)
    // Which of two would count, nobody could tell.
    if (other) throw twice('another record speaks of the same agent')
    if (!before && held.size >= LIMITS.registrations)
      throw agentFault('AGENT_REGISTRATION_MANY', { count: held.size + 1, limit: LIMITS.registrations })
    // The version first: a crash between the two leaves a record that is denied, and never an old one that is believed.
    this.revoked.add({ versions: new Map([[key, version]]) })
    const next = new Map(held).set(key, { agentId: record.agentId, version, digest, signed: new Uint8Array(signed) })
    this.save(next)
    this.held = next
    this.verified = new Map()
    return verified
  }

  /** The record of the agent; undefined where there is none that the trust root of now vouches for. Throws AGENT_STORE_*. */
  async find(agentId: string, { trust, trustDigest }: Trusting): Promise<VerifiedRegistration | undefined> {
    if (this.judgedBy !== trustDigest) {
      this.verified = new Map()
      this.judgedBy = trustDigest
    }
    const { verified } = this
    if (verified.has(agentId)) return verified.get(agentId)
    const entry = [...this.load().values()].find((one) => one.agentId === agentId)
    if (!entry) return undefined
    const found = await verifyRegistration(entry.signed, trust).catch((error: unknown) => {
      // The key that signed it is trusted no more, or is in doubt: the agent counts as unregistered.
      if (error instanceof Fault) return undefined
      throw error
    })
    verified.set(agentId, found)
    return found
  }

  private load(): ReadonlyMap<string, Held> {
    this.held ??= readHeld(join(this.directory, REGISTRATIONS), this.files)
    return this.held
  }

  private save(held: ReadonlyMap<string, Held>): void {
    const file = join(this.directory, REGISTRATIONS)
    const body = [...held].map(([key, { signed, ...rest }]) => ({ key, ...rest, signed: base64url(signed) }))
    try {
      replaceFile(this.files, file, utf8(seal(FORMAT, body)))
    } catch (cause) {
      throw agentFault('AGENT_STORE_WRITE', { file }, { cause })
    }
  }
}

/** Empty where no record ever came. */
function readHeld(file: string, files: StateFiles): Map<string, Held> {
  const damaged = (why: string, cause?: unknown) => agentFault('AGENT_STORE_DAMAGED', { file, why }, { cause })
  const bytes = files.read(file)
  if (!bytes) return new Map()
  try {
    const list = new Fields({ list: unseal(bytes, FORMAT) }, 'registrations')
    return new Map(
      list.list('list', (at): readonly [string, Held] => {
        const signed = decodeBase64url(at.text('signed'))
        if (!signed) throw damaged('a record is not base64url')
        const held = { agentId: at.text('agentId'), version: at.count('version'), digest: at.digest('digest'), signed }
        return [at.text('key'), held]
      }),
    )
  } catch (error) {
    if (!(error instanceof RecordProblem)) throw error
    throw error.kind === 'format'
      ? agentFault('AGENT_STORE_FORMAT', { file, format: error.message })
      : damaged(error.message, error)
  }
}
