// The whole story of one bundle, a line a step: verify, normalize, compile, check, decide, lower and stage, record the
// mark, commit, read back, tell. Whatever refuses on the way leaves what is live untouched, and says so in the trail; a
// crash between any two lines restarts to the old plan or the new one (design sections 2 and 7).

import { type Digest, digestOf } from '../base/digest.js'
import { Fault } from '../base/fault.js'
import type { Note } from '../base/note.js'
import type { BundleBytes, HeldMark, InventoryMark, VerifiedBundle, VerifiedInventory } from '../bundle/model.js'
import { verifyBundle, verifyInventory } from '../bundle/verify.js'
import { decodePlan } from '../plan/codec.js'
import { planFault } from '../plan/errors.js'
import type { Inventory } from '../plan/inventory.js'
import type { Plan } from '../plan/model.js'
import { activate } from './activate.js'
import type { ApplyCommand, InventoryBytes } from './command.js'
import { type Compiled, type Compiling, compileBundle, readInventory } from './compile.js'
import { type ActivationDecision, decideActivation, decideOffer } from './decide.js'
import { agentFault } from './errors.js'
import { requireConfirmed } from './freshness.js'
import { keepInventory, pruneInventories } from './held-inventory.js'
import { keepPolicies, prunePolicies } from './held-policies.js'
import { type AgentNode, type OnRecord, settle } from './node.js'
import { claims, digestOffered, type Offer, refuse } from './offer.js'
import { reassert } from './quarantine.js'
import type { AgentState, Mark } from './record.js'
import { backendsOf, type Numbered } from './transaction.js'

export interface Applied {
  readonly decision: ActivationDecision
  readonly generation: number
  readonly planDigest: Digest
  readonly plan: Plan
  /** What was live before; absent on a first start. */
  readonly previous?: Numbered
  readonly signers: readonly string[]
  /** Warnings. */
  readonly notes: readonly Note[]
  readonly elapsedMs: number
}

/**
 * Applies a bundle. Throws the Fault of whatever refused it; then what was live before is live still. Throws as well when it is in force
 * and that cannot be shown (`activate`). `found`: what a look at record
 * and kernel gave under the same lock, with nothing changed since.
 */
export async function apply(node: AgentNode, command: ApplyCommand, found?: OnRecord): Promise<Applied> {
  const startMs = node.nowMs()
  const record = found ?? (await settle(node))
  const offer: Offer = { offered: {} }
  let unshown: Error | undefined
  try {
    const bytes = await command.fetch()
    offer.digest = digestOffered(node, command, bytes)
    offer.offered = claims(bytes)
    decideOffer(record.state, offer.digest, command.retry)
    const bundle = await verify(node, bytes, record.state, startMs)
    requireConfirmed(node, bundle, startMs)
    const inventory = await verifySlots(node, command.inventory, record.state, startMs)
    const { plan, encoded, digest, notes } = await compile(node, command, bundle, inventory)
    const decision = decideActivation(record.state, digest, record.agreement)
    const { directory } = node.store
    keepPolicies(directory, digest, bundle.members)
    keepInventory(directory, digest, inventory.bytes)
    if (decision.kind !== 'keep') {
      const next = { plan, digest, generation: decision.generation, backends: backendsOf(plan) }
      const marks = { bundle: markOf(bundle.mark), inventory: inventoryMarkOf(inventory.mark) }
      unshown = await activate(node, record, next, encoded, marks, startMs)
    } else await reassert(node, plan)
    // It is in force, and told so: whoever asked hears what could not be shown, and the trail of no refusal. What belongs to the old plan
    // stays, since the record may still name that one.
    if (unshown) throw unshown
    prunePolicies(directory, [digest])
    pruneInventories(directory, [digest])
    const { signers } = bundle
    const before = record.previous ? { previous: record.previous } : {}
    const elapsedMs = node.nowMs() - startMs
    return { decision, generation: decision.generation, planDigest: digest, plan, ...before, signers, notes, elapsedMs }
  } catch (error) {
    if (error instanceof Fault && error !== unshown) await refuse(node, record, offer, error)
    throw error
  }
}

async function verify(node: AgentNode, bytes: BundleBytes, state: AgentState, nowMs: number): Promise<VerifiedBundle> {
  const { audience, channel } = node.config
  const held = state.mark ? { held: heldOf(state.mark) } : {}
  const bundle = await verifyBundle(bytes, node.trust, { nowMs, audience, channel, ...held })
  const { bundleId, bundleDigest, policyRevision } = bundle.source
  const policy = { bundleId, bundleDigest, policyRevision }
  await node.emit([{ kind: 'bundle-verified', atMs: nowMs, policy, channel, signers: bundle.signers }])
  return bundle
}

/** Throws BUNDLE_* for what is wrong with the statement of an inventory, or older than what is held. */
export function verifySlots(
  node: AgentNode,
  inventory: InventoryBytes,
  state: AgentState,
  nowMs: number,
): Promise<VerifiedInventory> {
  const { audience } = node.config
  const { inventoryMark: at } = state
  const held = at ? { held: { epoch: at.epoch, revision: BigInt(at.revision), digest: at.digest } } : {}
  return verifyInventory(inventory.yaml, inventory.signature, node.trust, { nowMs, audience, ...held })
}

async function compile(node: AgentNode, command: ApplyCommand, bundle: VerifiedBundle, verified: VerifiedInventory) {
  const { backends, order, config } = node
  const needs = new Map([...backends].flatMap(([name, { backend }]) => (backend.need ? [[name, backend.need]] : [])))
  const { bytes, audience, revision } = verified
  const given: Compiling = {
    members: bundle.members,
    source: { ...bundle.source, inventoryRevision: revision },
    slots: { bytes, audience, revision },
    inventoryFile: command.inventory.file,
    capabilities: [...backends.values()].map((open) => open.capabilities),
    order,
    needing: [...needs.keys()],
    mediated: config.dns !== undefined,
  }
  const made = await (node.compile?.(given) ?? compileBundle(given, needs))
  if (made.kind !== 'plan') throw refusal(made)
  const digest = digestOf(made.encoded)
  const plan = made.plan ?? decodePlan(made.encoded, digest)
  return { plan, encoded: made.encoded, digest, notes: [...bundle.notes, ...made.notes] }
}

function refusal(made: Exclude<Compiled, { readonly kind: 'plan' }>): Fault {
  const { kind, notes } = made
  const errors = errorsOf(notes)
  switch (kind) {
    case 'bad-policies':
      return planFault('PLAN_POLICY_INVALID', { errors }, { notes })
    case 'bad-inventory':
      return planFault('PLAN_INVENTORY_INVALID', { errors }, { notes })
    case 'bad-plan':
      return agentFault('AGENT_PLAN_CHECK', { errors }, { notes })
    case 'refused': {
      const refused = made.guarantees.filter((guarantee) => guarantee.level === 'refused')
      const workspaces = new Set(refused.map((guarantee) => guarantee.workspace)).size
      return planFault('PLAN_REFUSED', { clauses: errors, workspaces }, { notes })
    }
  }
}

/** The meaning of a verified inventory. Throws PLAN_INVENTORY_INVALID. */
export function readSlots(verified: VerifiedInventory, file: string): { inventory: Inventory; notes: readonly Note[] } {
  const { inventory, notes } = readInventory(verified, file)
  if (!inventory) throw planFault('PLAN_INVENTORY_INVALID', { errors: errorsOf(notes) }, { notes })
  return { inventory, notes }
}

const errorsOf = (notes: readonly Note[]): number => notes.filter((note) => note.severity === 'error').length

const markOf = (mark: HeldMark): Mark => ({
  epoch: mark.epoch,
  revision: String(mark.policyRevision),
  digest: mark.payloadDigest,
})
const heldOf = (mark: Mark): HeldMark => ({
  epoch: mark.epoch,
  policyRevision: BigInt(mark.revision),
  payloadDigest: mark.digest,
})
export const inventoryMarkOf = (mark: InventoryMark): Mark => ({
  epoch: mark.epoch,
  revision: String(mark.revision),
  digest: mark.digest,
})
