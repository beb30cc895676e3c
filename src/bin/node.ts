// Opens the agent of one node in this process: lock, trust root, store, backends, trail. The only place that puts the parts
// together; each part knows the others by interface.

import { existsSync, readdirSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { admit, tendAll } from '../agent/admit.js'
import { attach, detach } from '../agent/attach.js'
import { breakGlass } from '../agent/breakglass.js'
import { isAttack } from '../agent/decide.js'
import { Ears } from '../agent/ears.js'
import { agentFault } from '../agent/errors.js'
import { FLOOR } from '../agent/floor.js'
import { tellRefused } from '../agent/freshness.js'
import { INVENTORIES } from '../agent/held-inventory.js'
import { POLICIES } from '../agent/held-policies.js'
import { agentSigner } from '../agent/key.js'
import { takeLock } from '../agent/lock.js'
import type { AgentNode } from '../agent/node.js'
import { quarantine } from '../agent/quarantine.js'
import { RECEIPTS } from '../agent/receipt.js'
import type { AgentState } from '../agent/record.js'
import { REGISTRATIONS } from '../agent/registrations.js'
import { REVOCATION } from '../agent/revocation-memory.js'
import { streamsSeen } from '../agent/revocation-standing.js'
import { REVOKED } from '../agent/revoked.js'
import { openForFencing, openTrustRoot } from '../agent/roots.js'
import { restingSinks, SINKS_DIRECTORY } from '../agent/sinks.js'
import { stand } from '../agent/stand.js'
import { livePlan, status } from '../agent/status.js'
import { Store } from '../agent/store.js'
import { admitStore, COPIES, STORE } from '../agent/store-format.js'
import { markAt, openTrail, TRAIL_STATE, witnessed } from '../agent/trail.js'
import type { OpenBackend } from '../agent/transaction.js'
import { readBundle } from '../agent/transports/read.js'
import { watch } from '../agent/watch.js'
import type { Fact } from '../audit/fact.js'
import { filesOfJournal } from '../audit/segment.js'
import { isRegistered, loadBackend } from '../backends/registry.js'
import { hex } from '../base/bytes.js'
import { Fault } from '../base/fault.js'
import type { Configured, NodeHandle, NodeOptions, NodeStatus, Watched } from '../cli/host.js'
import type { SlotKind } from '../plan/inventory.js'
import type { BackendName } from '../plan/model.js'
import { decideHere } from './decisions.js'

export const APPLY_LOCK = 'apply.lock'
const EVENTS_LOCK = 'events.lock'
/** Everything that a state directory of ours holds. */
export const STATE_NAMES = [
  STORE,
  COPIES,
  'state.json',
  'quarantines.json',
  'trust.json',
  'tenures.json',
  'sessions.json',
  'agent.sock',
  'plans',
  'backends',
  'quarantine.lock',
  'names.json',
  'mediate.lock',
  FLOOR,
  SINKS_DIRECTORY,
  EVENTS_LOCK,
  APPLY_LOCK,
  ...TRAIL_STATE,
  RECEIPTS,
  POLICIES,
  REGISTRATIONS,
  INVENTORIES,
  REVOCATION,
  REVOKED,
] as const

export interface Surroundings {
  readonly cwd: string
  readonly operator: string
  readonly version: string
  readonly environment: (name: string) => string | undefined
  readonly nowMs: () => number
  readonly random: (length: number) => Uint8Array
  readonly resolve: (path: string) => string
}

export interface OpenedNode {
  readonly node: AgentNode
  readonly trail: ReturnType<typeof openTrail>
  readonly close: () => Promise<void>
}

/**
 * Throws AGENT_STORE_*, AGENT_BUSY, AGENT_CONFIG_READ, BUNDLE_ROOT and what a backend says when it cannot open. What it refuses
 * is told to the trail.
 */
export async function openAgentNode(
  around: Surroundings,
  config: Configured,
  options: NodeOptions,
): Promise<OpenedNode> {
  try {
    return await openParts(around, config, options)
  } catch (error) {
    // A busy lock or a full disk is a reason to try again, and no refusal.
    if (error instanceof Fault && error.reaction !== 'retry') await tellTrail(around, config, error)
    throw error
  }
}

async function openParts(around: Surroundings, config: Configured, options: NodeOptions): Promise<OpenedNode> {
  const store = new Store(config.stateDirectory)
  if (!options.fencing)
    admitStore(config.stateDirectory, options.exclusive ? join(config.stateDirectory, APPLY_LOCK) : undefined)
  const before = recorded(store, options.fencing ?? false) // a missing store is told before anything is made or opened
  const unlock = options.exclusive ? takeLock(join(config.stateDirectory, APPLY_LOCK)) : () => undefined
  const opened = new Map<BackendName, OpenBackend>()
  const close = async (): Promise<void> => {
    for (const { driver } of opened.values()) await driver.close()
    unlock()
  }
  try {
    const rootless = options.fencing === true || (options.standing === true && before?.live)
    const openRoot = rootless ? openForFencing : openTrustRoot
    const { root, digest } = await openRoot(config.trustRoot, around.nowMs())
    const order = options.backends ?? config.backends
    const used = [before?.live, before?.next].flatMap((at) => at?.backends ?? [])
    for (const name of new Set([...order, ...used])) opened.set(name, await openBackend(name, config))
    const { nowMs, random } = around
    const signer = agentSigner(config.stateDirectory, random)
    const trail = trailOf(around, config, options.queued ? 'queued' : 'awaited')
    const { emit, keep } = trail
    const node = { config, trust: root, trustDigest: digest, store, backends: opened, order, emit, keep, nowMs, signer }
    return { node, trail, close }
  } catch (error) {
    await close()
    throw error
  }
}

function recorded(store: Store, fencing: boolean): AgentState | undefined {
  try {
    return store.load()
  } catch (error) {
    // Fencing a workspace asks the kernel instead; a node that never was one has nothing to fence.
    if (fencing && error instanceof Fault && error.code !== 'AGENT_STORE_MISSING') return undefined
    throw error
  }
}

/** Throws as `openAgentNode`. */
export async function openNode(around: Surroundings, config: Configured, options: NodeOptions): Promise<NodeHandle> {
  const { node, trail, close } = await openAgentNode(around, config, options)
  const commandId = newCommandId(around)
  const by = around.operator
  return {
    stand: (inventory) => stand(node, inventory),
    apply: ({ bundle, inventory, freshness, once }) => {
      const fetch = async () => (typeof bundle === 'string' ? readBundle(around.resolve(bundle)) : bundle)
      return admit(node, { kind: 'apply', fetch, inventory, retry: once !== true, commandId, by }, freshness)
    },
    quarantine: (request) => quarantine(node, { ...request, commandId, by }),
    attach: ({ kind, interface: place, ...rest }) =>
      attach(node, { kind: 'attach', ...rest, slot: slotOf(kind, place), commandId, by }),
    detach: (request) => detach(node, { kind: 'detach', ...request, commandId, by }),
    refused: (fault) => tellRefused(node, fault),
    breakGlass: (statement) => breakGlass(node, statement),
    tend: (freshness) => tendAll(node, freshness),
    status: async () => ({ ...(await status(node)), ...sinksOf(config), ...streamsOf(config, around.nowMs()) }),
    live: () => livePlan(node),
    decide: decideHere(node),
    watch: async (signal, tell) => {
      const ears = new Ears()
      const tellWatched = (facts: readonly Fact[]): void => {
        tell(facts.filter(isWatched))
      }
      return watch(node, ears, signal, tellWatched).finally(() => ears.close())
    },
    uninstall: () => uninstall(node),
    unwritten: trail.unwritten,
    close,
  }
}

/** How far the sinks of a node without a running agent are. */
function sinksOf(config: Configured): Pick<NodeStatus, 'sinks'> {
  const { sinks, stateDirectory } = config
  return sinks ? { sinks: restingSinks({ ...config, sinks }, markAt(join(stateDirectory, TRAIL_STATE[0]))) } : {}
}

/** How the streams of security events of a node without a running agent stand. */
function streamsOf({ revocation, stateDirectory }: Configured, nowMs: number): Pick<NodeStatus, 'streams'> {
  return revocation ? { streams: streamsSeen(revocation, stateDirectory, nowMs) } : {}
}

/** What was said of a slot. */
export const slotOf = (kind: SlotKind | undefined, place: string | undefined) => ({
  ...(kind === undefined ? {} : { kind }),
  ...(place === undefined ? {} : { interface: place }),
})

/** Identifies a command in events and receipts. */
export const newCommandId = ({ random }: Surroundings): string => `cmd-${hex(random(8))}`

export type TrailPlace = Pick<Configured, 'node' | 'eventsFile' | 'stateDirectory' | 'retention'>

/** Tells the trail of a refusal by which the node was not even opened. Where there never was a node, nobody is told. */
export async function tellTrail(
  around: Surroundings,
  place: TrailPlace | undefined,
  { code, message: say }: { readonly code: string; readonly message: string },
): Promise<void> {
  if (!place || !(existsSync(place.stateDirectory) || existsSync(place.eventsFile))) return
  const atMs = around.nowMs()
  const { emit } = trailOf(around, place)
  await emit([{ kind: 'bundle-refused', atMs, code, say, offered: {}, attack: isAttack(code) }])
}

/** The trail of this node. */
export function trailOf(
  { version, nowMs, random }: Surroundings,
  config: TrailPlace,
  delivery: 'awaited' | 'queued' = 'awaited',
): ReturnType<typeof openTrail> {
  return openTrail(config.eventsFile, join(config.stateDirectory, EVENTS_LOCK), {
    product: { name: 'sluice', version },
    reporter: { uid: config.node, hostname: hostname() },
    nowMs,
    random,
    delivery,
    ...witnessed(config.node, config.stateDirectory, random, config.retention),
  })
}

/** Opens one backend and asks it what it can do here. */
export async function openBackend(
  name: BackendName,
  config: Pick<Configured, 'attachInterfaces' | 'stateDirectory' | 'flower' | 'argus' | 'vault'>,
): Promise<OpenBackend & { readonly probed: Awaited<ReturnType<OpenBackend['driver']['probe']>> }> {
  if (!isRegistered(name)) throw agentFault('AGENT_BACKEND_UNKNOWN', { backend: name })
  const backend = await loadBackend(name)
  const stateDirectory = join(config.stateDirectory, 'backends', name)
  const { attachInterfaces, flower, argus, vault } = config
  const given = { ...(flower ? { flower } : {}), ...(argus ? { argus } : {}), ...(vault ? { vault } : {}) }
  const driver = await backend.open({ attachInterfaces, stateDirectory, ...given })
  try {
    const probed = await driver.probe()
    return { backend, driver, capabilities: backend.capabilities(probed), probed }
  } catch (error) {
    await driver.close()
    throw error
  }
}

/** What watching can see; the agent's own deeds are told by whoever did them. */
export const isWatched = (fact: Fact): fact is Fact & Watched =>
  fact.kind === 'flow-denied' ||
  fact.kind === 'flow-observed' ||
  fact.kind === 'flow-allowed' ||
  fact.kind === 'file-denied' ||
  fact.kind === 'audit-lost'

async function uninstall(node: AgentNode): Promise<{ readonly removed: readonly string[] }> {
  const removed: string[] = []
  for (const [name, { driver }] of node.backends)
    removed.push(...(await driver.uninstall()).map((what) => `${name}: ${what}`))
  const { stateDirectory, eventsFile } = node.config
  try {
    for (const file of filesOfJournal(eventsFile)) rmSync(file, { force: true })
    removed.push(eventsFile)
    for (const name of STATE_NAMES) rmSync(join(stateDirectory, name), { recursive: true, force: true })
    // Somebody else's files keep their directory.
    const left = existsSync(stateDirectory) ? readdirSync(stateDirectory) : []
    if (left.length === 0) rmSync(stateDirectory, { recursive: true, force: true })
    removed.push(
      left.length === 0 ? stateDirectory : `what was ours in ${stateDirectory} (${left.length} other files stay)`,
    )
    return { removed }
  } catch (cause) {
    throw agentFault('AGENT_STORE_WRITE', { file: stateDirectory }, { cause })
  }
}
