// The whole story of one bundle, a line a step: verify, normalize, compile, check, decide, lower and stage, record the
// mark, commit, read back, tell. Whatever refuses on the way leaves what is live untouched, and says so in the trail; a
// crash between any two lines restarts to the old plan or the new one (design sections 2 and 7).

import { type Digest, digestOf } from '../base/digest.js'
import { Fault } from '../base/fault.js'
import { hasErrors, type Note } from '../base/note.js'
import { quote } from '../base/quote.js'
import type { BundleBytes, HeldMark, InventoryMark, VerifiedBundle, VerifiedInventory } from '../bundle/model.js'
import { verifyBundle, verifyInventory } from '../bundle/verify.js'
import { checkPlan } from '../plan/check.js'
import { encodePlan } from '../plan/codec.js'
import { compilePlan } from '../plan/compile.js'
import { planFault } from '../plan/errors.js'
import type { Inventory } from '../plan/inventory.js'
import { dnsServices } from '../plan/mediation.js'
import type { Guarantee, Plan } from '../plan/model.js'
import { parseInventory } from '../plan/parse-inventory.js'
import { normalizePolicies } from '../policy/normalize.js'
import { keepInventory, pruneInventories } from './held-inventory.js'
import { activate } from './activate.js'
import type { ApplyCommand, InventoryBytes } from './command.js'
import { type ActivationDecision, decideActivation, decideOffer } from './decide.js'
import { agentFault } from './errors.js'
import { requireConfirmed } from './freshness.js'
import { keepPolicies, prunePolicies } from './held-policies.js'
import { type AgentNode, settle } from './node.js'
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

/** Applies a bundle. Throws the Fault of whatever refused it; then what was live before is live still. */
export async function apply(node: AgentNode, command: ApplyCommand): Promise<Applied> {
  const startMs = node.nowMs()
  const record = await settle(node)
  const offer: Offer = { offered: {} }
  try {
    const bytes = await command.fetch()
    offer.digest = digestOffered(node, command, bytes)
    offer.offered = claims(bytes)
    decideOffer(record.state, offer.digest, command.retry)
    const bundle = await verify(node, bytes, record.state, startMs)
    requireConfirmed(node, bundle, startMs)
    keepInventory(directory, digest, inventory.bytes)
    const inventory = await verifySlots(node, command.inventory, record.state, startMs)
    const { plan, notes } = compile(node, command, bundle, inventory)
    const encoded = encodePlan(plan)
    const digest = digestOf(encoded)
    const decision = decideActivation(record.state, digest, record.agreement)
    const { directory } = node.store
    pruneInventories(directory, [digest])
    keepPolicies(directory, digest, bundle.members)
    if (decision.kind !== 'keep') {
      const next = { plan, digest, generation: decision.generation, backends: backendsOf(plan) }
      const marks = { bundle: markOf(bundle.mark), inventory: inventoryMarkOf(inventory.mark) }
      await activate(node, record, next, encoded, marks, startMs)
    } else await reassert(node, plan)
    prunePolicies(directory, [digest])
    const { signers } = bundle
    const before = record.previous ? { previous: record.previous } : {}
    const elapsedMs = node.nowMs() - startMs
    return { decision, generation: decision.generation, planDigest: digest, plan, ...before, signers, notes, elapsedMs }
  } catch (error) {
    if (error instanceof Fault) await refuse(node, record, offer, error)
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

function compile(node: AgentNode, command: ApplyCommand, bundle: VerifiedBundle, verified: VerifiedInventory) {
  const read = normalizePolicies(bundle.members)
  if (!read.policies) throw planFault('PLAN_POLICY_INVALID', { errors: errorsOf(read.notes) }, { notes: read.notes })
  const slots = readSlots(verified, command.inventory.file)
  const source = { ...bundle.source, inventoryRevision: verified.revision }
  const capabilities = [...node.backends.values()].map((open) => open.capabilities)
  const made = compilePlan({
    source,
    policies: read.policies,
    inventory: slots.inventory,
    capabilities,
    order: node.order,
    needs: new Map(
      [...node.backends].flatMap(([name, { backend }]) => (backend.need ? [[name, backend.need] as const] : [])),
    ),
    ...(node.config.dns ? { mediated: true, services: dnsServices(slots.inventory) } : {}),
  })
  const notes = [...bundle.notes, ...read.notes, ...slots.notes, ...made.notes]
  if (!made.plan) throw refusedPlan(made.notes, made.guarantees)
  const checked = checkPlan(made.plan)
  if (hasErrors(checked)) throw agentFault('AGENT_PLAN_CHECK', { errors: errorsOf(checked) }, { notes: checked })
  return { plan: made.plan, notes: [...notes, ...checked] }
}

/** The meaning of a verified inventory. Throws PLAN_INVENTORY_INVALID. */
export function readSlots(verified: VerifiedInventory, file: string): { inventory: Inventory; notes: readonly Note[] } {
  const { inventory, notes } = parseInventory(verified.bytes, file)
  const found = [...notes, ...(inventory ? statementNotes(inventory, verified, file) : [])]
  if (!inventory || hasErrors(found))
    throw planFault('PLAN_INVENTORY_INVALID', { errors: errorsOf(found) }, { notes: found })
  return { inventory, notes }
}

/** The document says what its signed statement says: one meaning, whichever of the two is read. */
function statementNotes(inventory: Inventory, verified: VerifiedInventory, file: string): Note[] {
  const at = { severity: 'error', file, line: 0, column: 0, code: 'inventory-statement' } as const
  return (['audience', 'revision'] as const)
    .filter((path) => inventory[path] !== verified[path])
    .map((path) => ({
      ...at,
      path,
      say: `the document says ${quote(inventory[path])} and its signed statement ${quote(verified[path])}; sign the document as it is`,
    }))
}

const errorsOf = (notes: readonly Note[]): number => notes.filter((note) => note.severity === 'error').length

function refusedPlan(notes: readonly Note[], guarantees: readonly Guarantee[]): Fault {
  const refused = guarantees.filter((guarantee) => guarantee.level === 'refused')
  const workspaces = new Set(refused.map((guarantee) => guarantee.workspace)).size
  return planFault('PLAN_REFUSED', { clauses: errorsOf(notes), workspaces }, { notes })
}

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
