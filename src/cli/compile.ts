// From a bundle and an inventory to the plan that a machine would make of them, without touching anything: what `plan`
// prints and `diff` compares. With a trust root it is verified first; without one the result says that it was not.

import { isRegistered, loadBackend } from '../backends/registry.js'
import { hasErrors, type Note } from '../base/note.js'
import { inspectBundle } from '../bundle/inspect.js'
import type { BundleBytes, BundleSource } from '../bundle/model.js'
import { verifyBundle, verifyInventory } from '../bundle/verify.js'
import type { Needs } from '../plan/capacity.js'
import { checkPlan } from '../plan/check.js'
import { compilePlan } from '../plan/compile.js'
import { planFault } from '../plan/errors.js'
import { dnsServices } from '../plan/mediation.js'
import type { BackendName, Guarantee, Plan, PlanSource } from '../plan/model.js'
import { parseInventory } from '../plan/parse-inventory.js'
import { normalizePolicies } from '../policy/normalize.js'
import { readFile } from './files.js'
import type { Context } from './frame.js'
import type { Configured } from './host.js'
import { readInventory } from './inventory.js'
import { readTrust } from './trust.js'

export interface Wanted {
  readonly bundle: string
  readonly inventory: string
  readonly backends: readonly BackendName[]
  /** What the node's configuration says of backends. */
  readonly node?: Pick<Configured, 'flower' | 'argus' | 'vault'>
  /** A DNS mediator runs on the node, so that names need no pins. */
  readonly mediated?: boolean
  /** Verify against this trust root, as a node with this audience and channel would. */
  readonly trust?: { readonly file: string; readonly audience: string; readonly channel: string }
}

export interface Compiled {
  /** Present exactly when no note is an error. */
  readonly plan?: Plan
  readonly guarantees: readonly Guarantee[]
  readonly notes: readonly Note[]
  readonly verified: boolean
}

/** Throws what verification refuses, PLAN_POLICY_INVALID and PLAN_INVENTORY_INVALID; a refused clause is a note. */
export async function compileOffline(context: Context, wanted: Wanted): Promise<Compiled> {
  const { host } = context
  const bytes = await host.readBundle(wanted.bundle)
  for (const [path, content] of bytes.members) context.remember(path, content)
  const yaml = readFile(host, wanted.inventory, 'inventory')
  context.remember(wanted.inventory, yaml)
  const source = wanted.trust ? await verified(context, wanted, bytes, wanted.trust) : claimed(bytes, host.nowMs())
  const read = normalizePolicies(bytes.members)
  if (!read.policies) throw planFault('PLAN_POLICY_INVALID', { errors: errorsOf(read.notes) }, { notes: read.notes })
  const slots = parseInventory(yaml, wanted.inventory)
  if (!slots.inventory)
    throw planFault('PLAN_INVENTORY_INVALID', { errors: errorsOf(slots.notes) }, { notes: slots.notes })
  const capabilities = (await host.survey(wanted.backends, wanted.node)).map((surveyed) => surveyed.capabilities)
  const { plan, guarantees, notes } = compilePlan({
    source: { ...source, inventoryRevision: slots.inventory.revision },
    policies: read.policies,
    inventory: slots.inventory,
    capabilities,
    order: wanted.backends,
    needs: await needsOf(wanted.backends),
    ...(wanted.mediated ? { mediated: true, services: dnsServices(slots.inventory) } : {}),
  })
  const checked = plan ? checkPlan(plan) : []
  const all = [...read.notes, ...slots.notes, ...notes, ...checked]
  return {
    ...(plan && !hasErrors(all) ? { plan } : {}),
    guarantees,
    notes: all,
    verified: wanted.trust !== undefined,
  }
}

/** The pure half of the backends says it. */
async function needsOf(names: readonly BackendName[]): Promise<Needs> {
  const loaded = await Promise.all(names.filter(isRegistered).map(loadBackend))
  return new Map(loaded.flatMap(({ name, need }) => (need ? [[name, need] as const] : [])))
}

const errorsOf = (notes: readonly Note[]): number => notes.filter((note) => note.severity === 'error').length

async function verified(
  context: Context,
  wanted: Wanted,
  bytes: BundleBytes,
  trust: NonNullable<Wanted['trust']>,
): Promise<BundleSource> {
  const { audience, channel, file } = trust
  const nowMs = context.host.nowMs()
  const root = await readTrust(context.host, file, nowMs)
  const { yaml, signature } = readInventory(context.host, wanted.inventory)
  await verifyInventory(yaml, signature, root, { nowMs, audience })
  return (await verifyBundle(bytes, root, { nowMs, audience, channel })).source
}

/** What the bundle says about itself; for a directory that is not signed yet, nothing but zeros. */
function claimed(bytes: BundleBytes, nowMs: number): Omit<PlanSource, 'inventoryRevision'> {
  const { manifest, digest, release } = inspectBundle(bytes)
  const notBeforeMs = release?.notBeforeMs ?? manifest?.notBeforeMs ?? nowMs
  return {
    bundleId: manifest?.id ?? 'unsigned',
    bundleDigest: digest ?? 'sha256:',
    policyRevision: String(release?.policyRevision ?? manifest?.policyRevision ?? 0n),
    epoch: release?.epoch ?? 0,
    channel: release?.channel ?? '',
    audience: release?.audience[0] ?? '',
    notBeforeMs,
    expiresAtMs: release?.expiresAtMs ?? manifest?.expiresAtMs ?? notBeforeMs + 1,
  }
}
