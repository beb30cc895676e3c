// The whole story of one bundle, a line a step: verify, normalize, compile, check, decide, lower and stage, record the
// mark, commit, read back, tell. Whatever refuses on the way leaves what is live untouched, and says so in the trail; a
// crash between any two lines restarts to the old plan or the new one (design sections 2 and 7).

import { canonicalize } from '../base/canonical.js'
import { type Digest, digestOf, digestOfText } from '../base/digest.js'
import { Fault } from '../base/fault.js'
import { hasErrors, type Note } from '../base/note.js'
import { inspectBundle } from '../bundle/inspect.js'
import type { BundleBytes, HeldMark, InventoryMark, VerifiedBundle, VerifiedInventory } from '../bundle/model.js'
import { verifyBundle, verifyInventory } from '../bundle/verify.js'
import { checkPlan } from '../plan/check.js'
import { planDigest } from '../plan/codec.js'
import { compilePlan } from '../plan/compile.js'
import { planFault } from '../plan/errors.js'
import type { Guarantee, Plan } from '../plan/model.js'
import { parseInventory } from '../plan/parse-inventory.js'
import { normalizePolicies } from '../policy/normalize.js'
import type { ApplyCommand } from './command.js'
import { policyContext } from './context.js'
import {
  type ActivationDecision,
  agreement,
  decideActivation,
  decideOffer,
  intend,
  isAttack,
  type Live,
  rememberRefusal,
  settled,
  undone,
} from './decide.js'
import { agentFault } from './errors.js'
import { type AgentNode, activationOf, type OnRecord, observeAll, settle } from './node.js'
import { fenceAll, reassert } from './quarantine.js'
import type { Activation, AgentState, Mark } from './record.js'
import { backendsOf, commitAll, discardAll, type Numbered, stageAll } from './transaction.js'

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
    const inventory = await verifySlots(node, command, record.state, startMs)
    const { plan, notes } = compile(node, command, bundle, inventory)
    const digest = planDigest(plan)
    const decision = decideActivation(record.state, digest, record.agreement)
    if (decision.kind !== 'keep') {
      const next = { plan, generation: decision.generation }
      const marks = { bundle: markOf(bundle.mark), inventory: inventoryMarkOf(inventory.mark) }
      await activate(node, record, next, digest, marks, startMs)
    } else await reassert(node, plan)
    const { signers } = bundle
    const before = record.previous ? { previous: record.previous } : {}
    const elapsedMs = node.nowMs() - startMs
    return { decision, generation: decision.generation, planDigest: digest, plan, ...before, signers, notes, elapsedMs }
  } catch (error) {
    if (error instanceof Fault) await refuse(node, record, offer, error)
    throw error
  }
}

/** What is known of the bytes when they are refused. */
interface Offer {
  digest?: Digest
  // untrusted: all of it
  offered: { readonly bundleId?: string; readonly digest?: Digest; readonly policyRevision?: string }
}

/** What the bytes say about themselves, for the trail of a refusal. Throws when they exceed the limits for looking. */
function claims(bytes: BundleBytes): Offer['offered'] {
  const { manifest, digest, release } = inspectBundle(bytes)
  const policyRevision = release?.policyRevision ?? manifest?.policyRevision
  return {
    ...(manifest ? { bundleId: manifest.id } : {}),
    ...(digest ? { digest } : {}),
    ...(policyRevision === undefined ? {} : { policyRevision: String(policyRevision) }),
  }
}

/** Everything that the verdict depends on: a new trust root or inventory makes it another question. */
function digestOffered(node: AgentNode, command: ApplyCommand, bytes: BundleBytes): Digest {
  const { manifest, release, members } = bytes
  return digestOfText(
    canonicalize({
      manifest: digestOf(manifest),
      release: release ? digestOf(release) : null,
      members: Object.fromEntries([...members].map(([path, bytes]) => [path, digestOf(bytes)])),
      inventory: digestOf(command.inventory.yaml),
      signature: digestOf(command.inventory.signature),
      trust: node.trustDigest,
    }),
  )
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

function verifySlots(
  node: AgentNode,
  { inventory }: ApplyCommand,
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
  const slots = parseInventory(verified.bytes, command.inventory.file)
  if (!slots.inventory)
    throw planFault('PLAN_INVENTORY_INVALID', { errors: errorsOf(slots.notes) }, { notes: slots.notes })
  const source = { ...bundle.source, inventoryRevision: verified.revision }
  const capabilities = [...node.backends.values()].map((open) => open.capabilities)
  const made = compilePlan({
    source,
    policies: read.policies,
    inventory: slots.inventory,
    capabilities,
    order: node.order,
  })
  const notes = [...bundle.notes, ...read.notes, ...slots.notes, ...made.notes]
  if (!made.plan) throw refusedPlan(made.notes, made.guarantees)
  const checked = checkPlan(made.plan)
  if (hasErrors(checked)) throw agentFault('AGENT_PLAN_CHECK', { errors: errorsOf(checked) }, { notes: checked })
  return { plan: made.plan, notes: [...notes, ...checked] }
}

const errorsOf = (notes: readonly Note[]): number => notes.filter((note) => note.severity === 'error').length

function refusedPlan(notes: readonly Note[], guarantees: readonly Guarantee[]): Fault {
  const refused = guarantees.filter((guarantee) => guarantee.level === 'refused')
  const workspaces = new Set(refused.map((guarantee) => guarantee.workspace)).size
  return planFault('PLAN_REFUSED', { clauses: errorsOf(notes), workspaces }, { notes })
}

/** From a decided plan to a live one. Ends with the record saying exactly what was read back. */
async function activate(
  node: AgentNode,
  record: OnRecord,
  next: Numbered,
  digest: Digest,
  marks: { readonly bundle: Mark; readonly inventory: Mark },
  nowMs: number,
): Promise<void> {
  const { store, backends } = node
  const { previous } = record
  const prepared = await stageAll(backends, previous, next)
  const activation = activationOf(next.plan, digest, next.generation, backendsOf(next.plan), nowMs)
  const intended = intend(record.state, activation, marks)
  try {
    store.savePlan(next.plan)
    store.save(intended)
  } catch (error) {
    await discardAll(prepared)
    throw error
  }
  try {
    await commitAll(prepared, previous, (workspaces, why) => fenceAll(node, workspaces, why))
    await reassert(node, next.plan)
    requireLive(activation, next.plan, await observeAll(backends))
  } catch (error) {
    store.save(undone(intended))
    throw error
  }
  const done = settled(intended)
  store.save(done)
  store.prunePlans(done)
  const replaced = record.state.live ? { replaced: policyContext(record.state.live) } : {}
  const policy = policyContext(activation)
  await node.emit(
    activation.backends.map((backend) => ({
      kind: 'bundle-activated',
      atMs: node.nowMs(),
      policy,
      ...replaced,
      backend,
    })),
  )
}

/** `active` is said only of what was read back (design section 7). */
function requireLive(activation: Activation, plan: Plan, live: Live): void {
  const seen = agreement(activation, plan, live)
  if (seen.kind === 'as-planned') return
  const found = seen.kind === 'absent' ? 'nothing' : seen.drift.join('; ')
  const expected = `generation ${activation.generation} of ${activation.planDigest}`
  throw agentFault('AGENT_NOT_LIVE', { backend: activation.backends.join(', '), expected, found })
}

/** Tells the trail, and remembers bytes that can never be accepted. */
async function refuse(node: AgentNode, record: OnRecord, { digest, offered }: Offer, fault: Fault): Promise<void> {
  const atMs = node.nowMs()
  const held = record.state.live ? { held: policyContext(record.state.live) } : {}
  const { code, message: say } = fault
  await node.emit([{ kind: 'bundle-refused', atMs, code, say, offered, ...held, attack: isAttack(code) }])
  if (digest === undefined) return
  const state = node.store.load()
  const remembered = rememberRefusal(state, digest, fault, atMs)
  if (remembered !== state) node.store.save(remembered)
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
const inventoryMarkOf = (mark: InventoryMark): Mark => ({
  epoch: mark.epoch,
  revision: String(mark.revision),
  digest: mark.digest,
})
