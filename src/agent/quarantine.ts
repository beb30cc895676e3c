// Quarantine: a durable flag of a workspace, beside every plan and stronger than all of them, until an operator lifts it
// (design section 3). Setting it fences first and records after, because the fence is what is urgent; lifting records
// first and opens after, so that a crash between the two always leaves the workspace fenced. A workspace that no plan knows
// yet is recorded and fenced when one does; a state that cannot be read gives way to what the kernel says is attached.

import type { Digest } from '../base/digest.js'
import { Fault } from '../base/fault.js'
import { carriersOf } from '../plan/codec.js'
import type { Plan, WorkspaceId } from '../plan/model.js'
import { isWorkspaceId } from '../policy/workspace-id.js'
import { isHeld } from './attach-record.js'
import type { QuarantineCommand } from './command.js'
import { policyContext, workspaceContext } from './context.js'
import { withoutQuarantine, withQuarantine } from './decide.js'
import { agentFault } from './errors.js'
import type { AgentNode } from './node.js'
import { alone } from './quarantine-lock.js'
import { issueReceipt } from './receipt.js'
import type { Activation, Lift } from './record.js'
import { silenceDenies } from './revocation-standing.js'
import { endSessionsOf } from './sessions.js'
import type { OpenBackend } from './transaction.js'
import { beginTelling, cutShort, forgetTold, keyOfLift, keyOfSet, tellKept, withoutVain } from './untold.js'

export interface Quarantined {
  readonly workspace: WorkspaceId
  /** False when the record said so already. */
  readonly changed: boolean
  /** 0 while nothing is live. */
  readonly generation: number
  /** False: nothing here carries the workspace; what was recorded is in force when something does. */
  readonly attached: boolean
  /** What is wrong with the state of this node, in whose place the kernel was asked; undefined when nothing is. */
  readonly damage?: string
  /** From the command's acceptance to the fence read back. */
  readonly elapsedMs: number
  /** The signed receipt. Absent where the node has no key, or could not keep one: the fence does not wait for it. */
  readonly receipt?: string
}

interface Target {
  readonly plan?: Plan
  readonly live?: Activation
  readonly carriers: readonly OpenBackend[]
  readonly damage?: Fault
}

/** What one plan on record says about the workspace; nothing when it does not know it. Throws AGENT_STORE_*, AGENT_BACKEND_UNKNOWN. */
function carriedBy(node: AgentNode, live: Activation, workspace: WorkspaceId): Target | undefined {
  const plan = node.store.loadPlan(live.planDigest)
  const entry = plan.workspaces.find((candidate) => candidate.workspace === workspace)
  if (!entry) return undefined
  const carriers = carriersOf(entry).map((backend) => {
    const open = node.backends.get(backend)
    if (!open) throw agentFault('AGENT_BACKEND_UNKNOWN', { backend })
    return open
  })
  return { plan, live, carriers }
}

/** An activation that is under way, or was cut short, may be what the kernel has: its workspaces can be fenced like any other. */
function activations(node: AgentNode): readonly Activation[] {
  const { live, next } = node.store.load()
  return [live, next].filter((one) => one !== null)
}

function onRecord(node: AgentNode, workspace: WorkspaceId): Target | undefined {
  for (const activation of activations(node)) {
    const found = carriedBy(node, activation, workspace)
    if (found) return found
  }
  return undefined
}

/** The backends that carry the workspace: by the record, and by the kernel where the record does not know it or cannot be read. */
async function target(node: AgentNode, workspace: WorkspaceId, fencing: boolean): Promise<Target> {
  let damage: Fault | undefined
  try {
    const recorded = onRecord(node, workspace)
    if (recorded) return recorded
  } catch (error) {
    // A state that cannot be read must not keep a workspace open. Letting one out waits until it can.
    if (!fencing || !(error instanceof Fault)) throw error
    damage = error
  }
  const carriers: OpenBackend[] = []
  for (const open of node.backends.values())
    if (open.capabilities.usable && (await open.driver.observe()).live?.workspaces.includes(workspace))
      carriers.push(open)
  return { carriers, ...(damage ? { damage } : {}) }
}

/**
 * With the backends that another plan on record gives it to, after those of the first: an activation is moving it there. Apart from
 * `target`, because that plan may be large and is read for the first time, for which no fence waits.
 */
function everywhere(node: AgentNode, workspace: WorkspaceId, found: Target, fencing: boolean): Target {
  // What was found in the kernel was looked for on every backend.
  if (!found.live) return found
  const { planDigest } = found.live
  try {
    const others = activations(node).filter((one) => one.planDigest !== planDigest)
    const more = others.flatMap((one) => carriedBy(node, one, workspace)?.carriers ?? [])
    return { ...found, carriers: [...new Set([...found.carriers, ...more])] }
  } catch (error) {
    // The activation that could read it fences what is on record by itself (`reassert`).
    if (!fencing || !(error instanceof Fault)) throw error
    return { ...found, damage: error }
  }
}

/** Carries out `quarantine-set` or `quarantine-lift`, also while an apply is under way, with its receipt. */
export async function quarantine(node: AgentNode, command: QuarantineCommand): Promise<Quarantined> {
  const answer = await (await fence(node, command)).told()
  await forgetTold(node)
  return answer
}

/** The flag is read back and on record. */
export interface Fenced {
  readonly done: Quarantined
  /** To be called once: signs and keeps the receipt, and tells the trail. The next quarantine need not wait for it. */
  readonly told: () => Promise<Quarantined>
}

/** As `quarantine`, without what comes after the fence. */
export async function fence(node: AgentNode, command: QuarantineCommand): Promise<Fenced> {
  const { found, result, askedAtMs, key } = await alone(node, command.kind === 'quarantine-set', () =>
    change(node, command),
  )
  const fencedAtMs = askedAtMs + result.elapsedMs
  const told = async (): Promise<Quarantined> => {
    const receipt = await issueReceipt(node, command, { ...found, askedAtMs, fencedAtMs }).catch(() => undefined) // see Quarantined.receipt
    await tell(node, command, found, { elapsedMs: result.elapsedMs, key, receipt: receipt?.digest })
    return receipt ? { ...result, receipt: receipt.token } : result
  }
  return { done: result, told }
}

async function change(
  node: AgentNode,
  command: QuarantineCommand,
): Promise<Pick<Changed, 'found' | 'key'> & { readonly result: Quarantined; readonly askedAtMs: number }> {
  const startMs = node.nowMs()
  const { kind, workspace } = command
  const on = kind === 'quarantine-set'
  const first = await target(node, workspace, on)
  const { found, changed, key } = await (on ? set : lift)(node, command, first, startMs)
  const elapsedMs = node.nowMs() - startMs
  const { live, carriers, damage } = found
  const result = {
    workspace,
    changed,
    generation: live?.generation ?? 0,
    attached: carriers.length > 0,
    ...(damage ? { damage: damage.message } : {}),
    elapsedMs,
  }
  return { found, result, askedAtMs: startMs, key }
}

interface Changed {
  readonly found: Target
  readonly changed: boolean
  /** Of the mark that the record has until the trail was told; undefined where it changed nothing. */
  readonly key: string | undefined
}

/**
 * Fences wherever it can be, then records. Throws AGENT_WORKSPACE_UNKNOWN for what can be no workspace, AGENT_FENCED_UNRECORDED, and what
 * the first backend threw that did not take the flag, after all the others were asked and it is on record.
 */
async function set(node: AgentNode, command: QuarantineCommand, first: Target, atMs: number): Promise<Changed> {
  const { workspace, reason, by, commandId } = command
  if (first.carriers.length === 0 && !isWorkspaceId(workspace))
    throw agentFault('AGENT_WORKSPACE_UNKNOWN', { workspace })
  const failures: Error[] = []
  const isDoubted = mayBeVain(node, workspace)
  const stood = new Set<string>()
  const fenceOn = async (carriers: readonly OpenBackend[]): Promise<void> => {
    for (const carrier of carriers) {
      // Who was never let out can be told from whom this fences only before it does.
      if (isDoubted && (await isFenced(carrier, workspace).catch(() => false))) stood.add(workspace)
      try {
        await carrier.driver.flag(workspace, 'quarantined', true)
      } catch (error) {
        // One that is lost, or has no disk, must not keep the others open, nor the record from saying so. With that on record, one that is
        // only about to carry the workspace does not without its flag (`reassert`).
        failures.push(error instanceof Error ? error : new TypeError(String(error)))
      }
    }
  }
  await fenceOn(first.carriers)
  const found = everywhere(node, workspace, first, true)
  await fenceOn(found.carriers.slice(first.carriers.length))
  let isUnrecorded = false
  let key: string | undefined
  try {
    const record = node.store.quarantineRecord()
    const added = { workspace, reason, by, commandId, atMs, untoldMs: Math.max(0, node.nowMs() - atMs) }
    const after = withQuarantine(record.list, added)
    if (after !== record.list) {
      node.store.saveQuarantines(after, withoutVain(node.store, record, stood))
      key = keyOfSet(added)
      beginTelling(node.store, key)
    }
  } catch (cause) {
    if (found.carriers.length === 0) throw cause
    // That it is fenced is said only where every backend said so: then this is the first failure.
    isUnrecorded = true
    failures.push(agentFault('AGENT_FENCED_UNRECORDED', { workspace }, { cause }))
  }
  const [failure] = failures
  if (failure === undefined) return { found, changed: key !== undefined, key }
  // One that is on record already is tried again each second while a backend is lost: it was told.
  if (key !== undefined || isUnrecorded) await tell(node, command, found, { elapsedMs: node.nowMs() - atMs, key })
  throw failure
}

const isFenced = async ({ driver }: OpenBackend, workspace: WorkspaceId): Promise<boolean> =>
  (await driver.observe()).live?.quarantined.includes(workspace) ?? false

/** Whether a lift of it may have been cut short, for which a fence looks before it is set. */
function mayBeVain({ store }: AgentNode, workspace: WorkspaceId): boolean {
  try {
    return cutShort(store, store.quarantineRecord(), workspace) !== undefined
  } catch {
    // A list that cannot be read must not keep a workspace open; the write after the fence says so.
    return false
  }
}

/** Records, then opens. One that only the kernel knows is lifted there. Throws AGENT_NOT_QUARANTINED. */
async function lift(node: AgentNode, command: QuarantineCommand, first: Target, atMs: number): Promise<Changed> {
  const { workspace } = command
  const found = everywhere(node, workspace, first, false)
  const { carriers } = found
  const recorded = node.store.quarantines().some((entry) => entry.workspace === workspace)
  if (!recorded) {
    // A command that was cut short after it fenced leaves a flag that no record speaks of.
    const flagged = await Promise.all(carriers.map((carrier) => isFenced(carrier, workspace)))
    if (!flagged.includes(true)) throw agentFault('AGENT_NOT_QUARANTINED', { workspace })
  }
  // Who was there is not there again only because it is let out.
  await endSessionsOf(node, workspace, 'quarantined')
  const record = node.store.quarantineRecord()
  const { list, lifts } = record
  // A lift that was cut short before it opened let nobody out: this one does, and is told in its place.
  const vain = cutShort(node.store, record, workspace)
  const { reason, by, commandId } = command
  const of = list.find((entry) => entry.workspace === workspace) ??
    vain?.of ?? { workspace, reason, by, commandId, atMs }
  const lifted: Lift = { of, reason, by, commandId, atMs }
  const after = recorded ? withoutQuarantine(list, workspace) : list
  node.store.saveQuarantines(after, [...lifts.filter((one) => one !== vain), lifted])
  for (const { driver } of carriers) await driver.flag(workspace, 'quarantined', false)
  return { found, changed: recorded, key: keyOfLift(lifted) }
}

function tell(
  node: AgentNode,
  command: QuarantineCommand,
  { plan, live }: Target,
  done: { readonly elapsedMs: number; readonly key: string | undefined; readonly receipt?: Digest | undefined },
): Promise<void> {
  const { kind, workspace, reason, by, commandId } = command
  const { elapsedMs, key, receipt } = done
  const fact = {
    kind: kind === 'quarantine-set' ? kind : 'quarantine-lifted',
    atMs: node.nowMs(),
    ...(live ? { policy: policyContext(live) } : {}),
    workspace: workspaceContext(plan, workspace),
    by,
    reason,
    commandId,
    elapsedMs,
    ...(receipt ? { receipt } : {}),
  } as const
  return key === undefined ? node.emit([fact]) : tellKept(node, key, fact)
}

/**
 * Makes the kernel agree with the record again: every recorded quarantine of a planned workspace is set. One that only the
 * kernel knows stays, because its command may have been cut short after it fenced.
 */
export const reassert = (node: AgentNode, plan: Plan): Promise<void> =>
  alone(node, true, async () => {
    const recorded = new Set(node.store.quarantines().map((entry) => entry.workspace))
    const tenures = node.store.tenures()
    // Expiry and freshness ride in the data plane as a deadline; silence is no moment that could, so it is a flag before the switch.
    const nowMs = Math.max(node.nowMs(), node.store.trustMemory().clockFloorMs)
    const silent = silenceDenies(node.config.revocation, node.store.directory, nowMs) !== undefined
    for (const entry of plan.workspaces) {
      const { workspace, slot } = entry
      for (const backend of carriersOf(entry)) {
        const driver = node.backends.get(backend)?.driver
        if (recorded.has(workspace)) await driver?.flag(workspace, 'quarantined', true)
        // Whoever has no tenure is not let in by a new generation, nor is anybody while a stream is silent; `tend` lets in the others.
        if (silent || !isHeld(tenures, workspace, slot, node.config.attachRequired ?? false))
          await driver?.flag(workspace, 'suspended', true)
      }
    }
  })

/** Fences one again that is on record still: under the lock, which a lift holds from the record to the kernel. False: it is not. */
export const refence = (node: AgentNode, { driver }: OpenBackend, workspace: WorkspaceId): Promise<boolean> =>
  alone(node, true, async () => {
    if (!node.store.quarantines().some((entry) => entry.workspace === workspace)) return false
    await driver.flag(workspace, 'quarantined', true)
    return true
  })
