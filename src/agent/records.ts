// Who stands behind a question: the agent that it names, with the registration record that this node holds of it and the chain
// of signed delegations that came with the question -> an authority, or the reason why there is none. Signatures are checked here;
// what the records say together is judged by decide/authority.ts.
//
// A root hop is signed under the trust root (role `delegation`) and given in the name of the sponsor of the agent that it is for.
// Every later hop is signed by a key of the agent that hands on, which is registered here itself, and not suspended or revoked.

import { utf8 } from '../base/bytes.js'
import { canonicalize, type Json } from '../base/canonical.js'
import { type Digest, digestOfText } from '../base/digest.js'
import { Fault } from '../base/fault.js'
import { claimedDelegation, type VerifiedDelegation, verifyDelegation } from '../bundle/delegation.js'
import type { TrustedKey } from '../bundle/model.js'
import type { VerifiedRegistration } from '../bundle/registration.js'
import { requireLiveRoot, thresholdOf } from '../bundle/root.js'
import {
  type Authority,
  type AuthorityReason,
  type Delegation,
  MAX_HOPS,
  type Registration,
  type Revocations,
  recordKey,
  resolveAuthority,
} from '../decide/authority.js'
import type { Question } from '../decide/read-question.js'
import type { WorkspaceId } from '../plan/model.js'
import type { Registrations, Trusting } from './registrations.js'

export interface Around extends Trusting {
  readonly registrations: Registrations
  readonly revoked: Revocations
  readonly workspace: WorkspaceId
  readonly nowMs: number
}

/** Hops whose signatures were found good, by what was signed and under which keys: an agent asks with one chain many times. */
const KEPT = 1_024

export class Records {
  private readonly good = new Map<Digest, VerifiedDelegation>()

  /** Throws AGENT_STORE_* when what is held cannot be read: then nobody is answered. */
  async authorityOf(
    agentId: string,
    delegations: NonNullable<Question['delegations']>,
    around: Around,
  ): Promise<Authority | AuthorityReason> {
    const { registrations, workspace, nowMs } = around
    const registration = (await registrations.find(agentId, around))?.record
    const judge = (chain: readonly Delegation[], roots: ReadonlySet<string>, revoked: Revocations) =>
      resolveAuthority({ workspace, registration, chain, roots }, revoked, nowMs)
    // Signatures cost: no chain is looked at for an agent that may not act with any.
    const barred = judge([], new Set(), around.revoked)
    if (barred !== 'no-root' || delegations.length === 0) return barred
    if (delegations.length > MAX_HOPS) return 'too-deep'
    const chain: Delegation[] = []
    const idle = new Set<string>()
    let sponsor: string | undefined
    for (const [hop, signed] of delegations.entries()) {
      const found = await this.hop(signed, hop === 0, around)
      if (typeof found === 'string') return found
      chain.push({ ...found.record, digest: found.digest })
      const actor = (await registrations.find(found.record.actor, around))?.record
      if (hop === 0) sponsor = actor?.sponsor
      // What was handed on by somebody who may not act any more is taken back with them.
      if (actor && (!isNewest(actor, around) || actor.state !== 'active' || nowMs >= actor.validUntilMs))
        idle.add(actor.agentId)
    }
    const agents = idle.size === 0 ? around.revoked.agents : new Set([...around.revoked.agents, ...idle])
    return judge(chain, new Set(sponsor === undefined ? [] : [sponsor]), { ...around.revoked, agents })
  }

  private async hop(signed: Json, isRoot: boolean, around: Around): Promise<VerifiedDelegation | AuthorityReason> {
    const text = `${canonicalize(signed)}\n`
    try {
      requireLiveRoot(around.trust, around.nowMs)
      const { issuer } = claimedDelegation(utf8(text))
      const known = isRoot ? undefined : await around.registrations.find(issuer, around)
      // The keys of a record that has a newer one somewhere may be those that were taken out of it.
      const from = known && isNewest(known.record, around) ? known : undefined
      const { keys, threshold, under } = isRoot ? rootKeys(around) : keysOf(from)
      const id = digestOfText(`${under} ${text}`)
      const good = this.good.get(id)
      if (good) return good
      const verified = await verifyDelegation(utf8(text), keys, threshold)
      this.good.set(id, verified)
      for (const old of this.good.keys()) {
        if (this.good.size <= KEPT) break
        this.good.delete(old)
      }
      return verified
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return MALFORMED.has(error.code) ? 'broken-chain' : 'untrusted-issuer'
    }
  }
}

/** Has nobody who may say so seen a higher version of the record than the one that is held? */
const isNewest = (record: Registration, { revoked }: Around): boolean =>
  record.recordVersion >= (revoked.versions.get(recordKey(record)) ?? 0)

/** No record at all; every other refusal is of who signed it. */
const MALFORMED: ReadonlySet<string> = new Set(['BUNDLE_STATEMENT', 'BUNDLE_TOO_LARGE', 'BUNDLE_TOO_MANY'])

interface Keys {
  readonly keys: ReadonlyMap<string, TrustedKey>
  readonly threshold: number
  /** Changes whenever the keys might have. */
  readonly under: string
}

const rootKeys = ({ trust, trustDigest }: Trusting): Keys => ({
  keys: trust.keys,
  threshold: thresholdOf(trust, 'delegation'),
  under: trustDigest,
})

const keysOf = (from: VerifiedRegistration | undefined): Keys =>
  from
    ? { keys: from.keys, threshold: 1, under: from.digest }
    : { keys: new Map(), threshold: Number.POSITIVE_INFINITY, under: '' }
