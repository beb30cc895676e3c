// Attaching a workspace to its slot, and detaching it. An attachment can only narrow: the slot, its MAC and addresses are
// those of the signed inventory as the live plan has them, and what the caller says is compared with them and otherwise not
// used. The fence of the slot is read back, denying everything, before an interface comes up; only then does the plan judge
// its traffic. A newer tenure ends the one before it first, and a crash on the way leaves the workspace denied or as it was.

import { existsSync, readFileSync } from 'node:fs'
import { carriersOf } from '../plan/codec.js'
import type { WorkspacePlan } from '../plan/model.js'
import { type Tenure, withTenure } from './attach-record.js'
import { makePair, raise, removeMade } from './attach-veth.js'
import type { AttachCommand, DetachCommand } from './command.js'
import { policyContext, workspaceContext } from './context.js'
import { agentFault } from './errors.js'
import { tend } from './freshness.js'
import { look, repair } from './loop-repair.js'
import { type AgentNode, settle } from './node.js'
import { endSessionsOf } from './sessions.js'

export interface Attached {
  readonly tenure: Tenure
  readonly generation: number
  /** From the command's acceptance to the deny fence read back. */
  readonly fencedMs: number
  readonly elapsedMs: number
}

interface Found {
  readonly entry: WorkspacePlan
  readonly generation: number
  readonly before: Tenure | undefined
}

/**
 * Needs the lock. Throws AGENT_NOTHING_LIVE, AGENT_WORKSPACE_UNKNOWN, AGENT_SLOT_*, AGENT_LEASE_STALE before anything is
 * changed, and AGENT_ATTACH_FAILED after it: then the workspace is denied.
 */
export async function attach(node: AgentNode, command: AttachCommand): Promise<Attached> {
  const startMs = node.nowMs()
  const { workspace, slot, netns, by } = command
  const { entry, generation, before } = await find(node, workspace)
  const named = `${slot.kind ?? entry.slot.kind} ${slot.interface ?? entry.slot.interface}`
  const bound = `${entry.slot.kind} ${entry.slot.interface}`
  if (named !== bound) throw agentFault('AGENT_SLOT_MISMATCH', { workspace, found: named, inventory: bound })
  if (netns !== undefined && entry.slot.kind !== 'veth')
    throw agentFault('AGENT_SLOT_MISMATCH', { workspace, found: 'a veth pair', inventory: bound })
  const held = before?.leaseGeneration ?? 0
  const leaseGeneration = command.leaseGeneration ?? held + 1
  if (leaseGeneration <= held) throw agentFault('AGENT_LEASE_STALE', { workspace, given: leaseGeneration, held })
  if (netns === undefined && !isThere(entry)) throw agentFault('AGENT_SLOT_ABSENT', { slot: bound })
  await deny(node, entry)
  const fencedMs = node.nowMs() - startMs
  await endSessionsOf(node, workspace, 'detached')
  const made = netns !== undefined
  const { kind, interface: place } = entry.slot
  // What stands for it until a lease is given: nobody's, so that `tend` keeps it denied also where the inventory alone attaches.
  const none = {
    workspace,
    attachmentId: place,
    leaseGeneration: held,
    kind,
    interface: place,
    by,
    atMs: startMs,
    made: false,
  }
  try {
    if (before?.made && before.attached) await removeMade(before.interface)
    if (netns !== undefined) {
      await makePair(entry, netns)
      await fenced(node)
      await raise(entry)
    }
  } catch (cause) {
    // What was made half way is taken away again; the workspace stays denied.
    if (made) await removeMade(entry.slot.interface).catch(() => undefined)
    record(node, { ...(before ?? none), attached: false })
    const step = cause instanceof Error ? cause.message : String(cause)
    throw agentFault('AGENT_ATTACH_FAILED', { workspace, step }, { cause })
  }
  const attachmentId = command.commandId.replace(/^cmd-/, 'att-')
  const tenure = { workspace, attachmentId, leaseGeneration, kind, interface: place, by, atMs: startMs, made }
  record(node, { ...tenure, attached: true })
  await tend(node)
  await tell(node, 'workspace-attached', { ...tenure, attached: true }, startMs)
  return { tenure: { ...tenure, attached: true }, generation, fencedMs, elapsedMs: node.nowMs() - startMs }
}

/** Needs the lock. Throws as `attach`, and AGENT_NOT_ATTACHED. */
export async function detach(node: AgentNode, command: DetachCommand): Promise<Attached> {
  const startMs = node.nowMs()
  const { workspace } = command
  const { entry, generation, before } = await find(node, workspace)
  // Where the inventory alone attaches, detaching it is its first tenure.
  const implied = before === undefined && !(node.config.attachRequired ?? false)
  if (!before?.attached && !implied) throw agentFault('AGENT_NOT_ATTACHED', { workspace })
  const held = before?.leaseGeneration ?? 1
  const given = command.leaseGeneration ?? held
  if (given !== held) throw agentFault('AGENT_LEASE_STALE', { workspace, given, held })
  await deny(node, entry)
  const fencedMs = node.nowMs() - startMs
  await endSessionsOf(node, workspace, 'detached')
  const { kind, interface: place } = entry.slot
  const last = before ?? {
    ...{ workspace, attachmentId: place, leaseGeneration: held, kind, interface: place },
    ...{ by: command.by, atMs: startMs, made: false },
  }
  const tenure = { ...last, by: command.by, atMs: startMs, attached: false, made: false }
  record(node, tenure)
  if (before?.made) await removeMade(before.interface)
  await tell(node, 'workspace-detached', tenure, startMs)
  return { tenure, generation, fencedMs, elapsedMs: node.nowMs() - startMs }
}

async function find(node: AgentNode, workspace: string): Promise<Found> {
  const { previous } = await settle(node)
  if (!previous) throw agentFault('AGENT_NOTHING_LIVE', { directory: node.store.directory })
  const entry = previous.plan.workspaces.find((candidate) => candidate.workspace === workspace)
  if (!entry) throw agentFault('AGENT_WORKSPACE_UNKNOWN', { workspace })
  const before = node.store.tenures().find((tenure) => tenure.workspace === workspace)
  return { entry, generation: previous.generation, before }
}

/** Drops everything of the workspace, and proves it. */
async function deny(node: AgentNode, entry: WorkspacePlan): Promise<void> {
  const { workspace } = entry
  for (const backend of carriersOf(entry)) {
    const driver = node.backends.get(backend)?.driver
    if (!driver) throw agentFault('AGENT_BACKEND_UNKNOWN', { backend })
    await driver.flag(workspace, 'suspended', true)
    const { live } = await driver.observe()
    if (!live?.workspaces.includes(workspace) || !live.suspended.includes(workspace))
      throw agentFault('AGENT_ATTACH_FAILED', { workspace, step: `${backend} does not show it denied` })
  }
}

/** An interface that has just come is part of the fence before it comes up. */
async function fenced(node: AgentNode): Promise<void> {
  if ((await look(node)).finding !== 'as-planned') await repair(node)
  const { finding, drift } = await look(node)
  if (finding !== 'as-planned') throw new TypeError(drift[0] ?? finding)
}

/** Of this process's own network namespace; sysfs shows that in which it was mounted. */
const hasInterface = (name: string): boolean =>
  readFileSync('/proc/self/net/dev', 'utf8')
    .split('\n')
    .some((line) => line.slice(0, line.indexOf(':')).trim() === name)
const CGROUP_ROOTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']
const isThere = ({ slot }: WorkspacePlan): boolean =>
  slot.kind === 'cgroup'
    ? CGROUP_ROOTS.some((root) => existsSync(`${root}/${slot.interface}`))
    : hasInterface(slot.interface)

const record = (node: AgentNode, tenure: Tenure): void => {
  node.store.saveTenures(withTenure(node.store.tenures(), tenure))
}

async function tell(
  node: AgentNode,
  kind: 'workspace-attached' | 'workspace-detached',
  { workspace, attachmentId, leaseGeneration, by }: Tenure,
  startMs: number,
): Promise<void> {
  const { live } = node.store.load()
  const context = workspaceContext(live ? node.store.loadPlan(live.planDigest) : undefined, workspace)
  await node.emit([
    {
      kind,
      atMs: node.nowMs(),
      ...(live ? { policy: policyContext(live) } : {}),
      workspace: { ...context, attachmentId },
      by,
      leaseGeneration,
      elapsedMs: node.nowMs() - startMs,
    },
  ])
}
