// What stands before anything new is judged (design section 7: "first start, nothing held" and "node reboots"). A node that
// holds no bundle is closed: every workspace of a verified inventory without grants, or, without even that, the interfaces
// that only fenced traffic may use. A plan that is on record and gone from the kernel is put back. Only then is a bundle looked at, so that
// one that is refused, or never comes, leaves nothing open.

import { digestOf } from '../base/digest.js'
import { Fault } from '../base/fault.js'
import { closedPlan, isClosed } from '../plan/closed.js'
import { encodePlan } from '../plan/codec.js'
import type { Inventory } from '../plan/inventory.js'
import type { BackendName, Plan } from '../plan/model.js'
import { activate } from './activate.js'
import type { InventoryBytes } from './command.js'
import { decideActivation } from './decide.js'
import { inventoryMarkOf, readSlots, verifySlots } from './enforce.js'
import { tellRefused } from './freshness.js'
import { type AgentNode, type OnRecord, settle } from './node.js'
import { tellOutage } from './outage.js'
import type { Mark } from './record.js'
import { backendsOf } from './transaction.js'
import { tellLeft } from './untold.js'

/** `as-it-was`: something of ours is live. `open`: nothing is, and nothing here could be put in its place. */
export type Stood = 'as-it-was' | 'restored' | 'closed' | 'open'

/** Needs the lock. What fails on the way is told to the trail and does not stop what comes after. */
export async function stand(node: AgentNode, inventory?: InventoryBytes): Promise<Stood> {
  const stood = await raise(node, await settle(node), inventory)
  await tellLeft(node)
  return stood
}

/** As `stand`, of what was found on record and in the kernel just now. */
export async function raise(node: AgentNode, record: OnRecord, inventory?: InventoryBytes): Promise<Stood> {
  const { live } = record.state
  const slots = live === null || isClosed(live.source) ? await slotsOf(node, record, inventory) : undefined
  if (live && slots === undefined) return record.agreement?.kind === 'absent' ? restore(node, record) : 'as-it-was'
  // A record that was begun anew, or a crash before it: what is live is narrower than nothing.
  if (!live && [...record.live.values()].some((seen) => seen.live)) return 'as-it-was'
  for (const candidate of slots === undefined ? [undefined] : [slots, undefined]) {
    const stood = await close(node, record, candidate)
    if (stood !== 'open') return stood
  }
  return 'open'
}

interface Slots {
  readonly inventory: Inventory
  readonly mark: Mark
}

/** The workspaces of an inventory that verifies; one that does not is refused, with its reasons, when the bundle is judged. */
async function slotsOf(
  node: AgentNode,
  { state }: OnRecord,
  inventory: InventoryBytes | undefined,
): Promise<Slots | undefined> {
  if (!inventory) return undefined
  try {
    const verified = await verifySlots(node, inventory, state, node.nowMs())
    return { ...readSlots(verified, inventory.file), mark: inventoryMarkOf(verified.mark) }
  } catch (error) {
    if (error instanceof Fault) return undefined
    throw error
  }
}

async function close(node: AgentNode, record: OnRecord, slots: Slots | undefined): Promise<Stood> {
  const usable = [...node.backends.values()].map((open) => open.capabilities)
  const plan = closedPlan(node.config, slots?.inventory, usable, node.order)
  const backends = carriersOf(node, plan)
  // Nobody attached and no interface to keep closed: such a plan would say something and do nothing.
  if (backends.length === 0) return 'open'
  const encoded = encodePlan(plan)
  const digest = digestOf(encoded)
  const decision = decideActivation(record.state, digest, record.agreement)
  if (decision.kind === 'keep') return 'as-it-was'
  const { mark, inventoryMark } = record.state
  const marks = { bundle: mark, inventory: slots?.mark ?? inventoryMark }
  const next = { plan, digest, generation: decision.generation, backends }
  return attempt(node, 'closed', () => activate(node, record, next, encoded, marks, node.nowMs()))
}

/** Where a closed plan goes: to the backends of its workspaces, or to the first that can close what nobody is attached to. */
function carriersOf(node: AgentNode, plan: Plan): readonly BackendName[] {
  if (plan.workspaces.length > 0) return backendsOf(plan)
  if (node.config.attachInterfaces.length === 0) return []
  // Interfaces are closed by who fences traffic; a backend of files alone closes nothing there.
  const closes = (name: BackendName): boolean => {
    const offer = node.backends.get(name)?.capabilities
    return offer?.usable === true && offer.egress
  }
  return node.order.filter(closes).slice(0, 1)
}

/** The plan on record goes back under its own number, with the deadline that it has now. */
async function restore(node: AgentNode, record: OnRecord): Promise<Stood> {
  const { state, previous } = record
  if (!previous) return 'open'
  const startMs = node.nowMs()
  const marks = { bundle: state.mark, inventory: state.inventoryMark }
  let isShown = false
  const stood = await attempt(node, 'restored', async () => {
    isShown = (await activate(node, record, previous, encodePlan(previous.plan), marks, startMs)) === undefined
  })
  // Whoever cannot be asked what is live cannot be asked how long nothing was.
  if (isShown && state.live) await tellOutage(node, state.live, startMs)
  return stood
}

async function attempt(node: AgentNode, done: Stood, act: () => Promise<unknown>): Promise<Stood> {
  try {
    // What could not be shown is told with it, and found by the next look.
    await act()
    return done
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    await tellRefused(node, error)
    return 'open'
  }
}
