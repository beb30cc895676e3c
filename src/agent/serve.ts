// The story of a running agent: what is on record stands first, or everything is denied; then commands, time and the kernel
// are served, the channel is followed and refused traffic is told, side by side, until the agent is asked to stop. None of
// these ends the others: a part that breaks is told and begun again after a pause, because the fence is kept by the rest.

import { readFileSync } from 'node:fs'
import type { Fact } from '../audit/fact.js'
import { Fault } from '../base/fault.js'
import type { BundleBytes } from '../bundle/model.js'
import type { InventoryBytes } from './command.js'
import type { SourceConfig } from './config-sections.js'
import { Ears } from './ears.js'
import { agentFault } from './errors.js'
import { type Followed, follow } from './follow.js'
import { endWorkspace } from './kill.js'
import type { Loop } from './loop.js'
import type { AgentNode } from './node.js'
import { watchProcesses } from './processes.js'
import { readTrustRoot } from './roots.js'
import type { Stood } from './stand.js'
import { NODE_POLL, POLL } from './transports/poll.js'
import type { Transport } from './transports/transport.js'
import { watch } from './watch.js'

export type ServeLine =
  | { readonly kind: 'stands'; readonly stood: Stood; readonly generation: number | null }
  | { readonly kind: 'active'; readonly generation: number; readonly revision: string }
  | { readonly kind: 'root'; readonly version: number }
  | { readonly kind: 'source-failed'; readonly fault: Fault; readonly waitMs: number }
  | { readonly kind: 'part-failed'; readonly part: Part; readonly error: unknown }

type Part = 'source' | 'watch' | 'processes'

export interface Served {
  readonly loop: Loop
  /** The node; also with a trust root that cannot be read, because what judges signatures goes through the loop. */
  readonly node: () => Promise<AgentNode>
  readonly commandId: () => string
  readonly tell: (line: ServeLine) => void
  /** The channel answered. */
  readonly answered: () => void
  /** Refused and allowed traffic, after it went to the trail. */
  readonly seen: (facts: readonly Fact[]) => void
  readonly sleep: (ms: number, wake: AbortSignal) => Promise<void>
  /** Absent: bundles are applied by hand. */
  readonly source?: { readonly config: SourceConfig; readonly transport: Transport }
}

const SELF = 'sluice'
/** Before a part that broke is begun again. */
const AGAIN_MS = 1_000

/** Runs until the signal is aborted. Throws what keeps the node from standing at all: AGENT_STORE_*. */
export async function serveAgent(served: Served, signal: AbortSignal): Promise<void> {
  const { loop, source, tell } = served
  const inventory = source && tolerant(source.config)
  const first = { kind: 'stand' as const, by: SELF, commandId: served.commandId(), ...(inventory ? { inventory } : {}) }
  const stood = await loop.run<'stand'>(first)
  const { store } = await served.node()
  tell({ kind: 'stands', stood, generation: store.load().live?.generation ?? null })
  await Promise.all([
    loop.serve(signal),
    again(served, 'watch', signal, () => watchAll(served, signal)),
    again(served, 'processes', signal, () => watchPrograms(served, signal)),
    ...(source ? [again(served, 'source', signal, () => followSource(served, source, signal))] : []),
  ])
}

/** Begins a part again whenever it breaks, until the signal. */
async function again(
  { tell, sleep }: Served,
  part: Part,
  signal: AbortSignal,
  run: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await run()
    } catch (error) {
      tell({ kind: 'part-failed', part, error })
      await sleep(AGAIN_MS, signal)
    }
  }
}

/** Watching ends with each generation, because the next one names other clauses; listening does not. */
async function watchAll({ node, seen }: Served, signal: AbortSignal): Promise<void> {
  const ears = new Ears()
  try {
    while (!signal.aborted) await watch(await node(), ears, signal, seen)
  } finally {
    await ears.close()
  }
}

/** As watchAll, for what programs did; reactions are commands like any other. */
async function watchPrograms({ node, loop, commandId, seen }: Served, signal: AbortSignal): Promise<void> {
  const fence = async (workspace: string, reason: string): Promise<string> => {
    const id = commandId()
    await loop.run<'quarantine-set'>({ kind: 'quarantine-set', by: SELF, commandId: id, workspace, reason })
    return id
  }
  while (!signal.aborted) await watchProcesses(await node(), { fence, end: endWorkspace, seen }, signal)
}

function followSource(
  { loop, node, commandId, tell, answered }: Served,
  { config, transport }: NonNullable<Served['source']>,
  signal: AbortSignal,
): Promise<void> {
  let judged: InventoryBytes | undefined
  /** An inventory that changed since the last bundle was judged makes the bundle news again. */
  const asked: Transport = {
    ...transport,
    fetch: async (channel, { tag, ...since }) => {
      const same = tag !== undefined && judged !== undefined && equal(judged, readInventory(config))
      const fetched = await transport.fetch(channel, same ? { ...since, tag } : since)
      answered()
      return fetched
    },
  }
  const made = () => ({ by: SELF, commandId: commandId() })
  const tend = async (freshness: Uint8Array | undefined): Promise<void> => {
    if (freshness) await loop.run<'tend'>({ kind: 'tend', ...made(), freshness })
  }
  return (async () => {
    const { config: own } = await node()
    const followed: Followed = {
      channel: own.channel,
      rootVersion: () => readTrustRoot(own.trustRoot).root.version,
      roots: async (statements) => {
        const { version } = await loop.run<'roots'>({ kind: 'roots', ...made(), statements })
        tell({ kind: 'root', version })
        return version
      },
      admit: async (bundle: BundleBytes, freshness) => {
        const inventory = readInventory(config)
        judged = inventory
        const fresh = freshness ? { freshness } : {}
        const fetch = () => Promise.resolve(bundle)
        const command = { kind: 'apply' as const, ...made(), fetch, inventory, retry: false, ...fresh }
        const { generation, plan } = await loop.run<'apply'>(command)
        tell({ kind: 'active', generation, revision: plan.source.policyRevision })
      },
      confirm: tend,
      // The loop tends by its own clock.
      tend: () => Promise.resolve(),
      refused: async ({ code, message }) => {
        await loop.run<'refused'>({ kind: 'refused', ...made(), code, message })
      },
      failed: (fault, waitMs) => {
        tell({ kind: 'source-failed', fault, waitMs })
      },
    }
    await follow(asked, followed, signal, { ...POLL, intervalMs: config.intervalMs }, NODE_POLL)
  })()
}

/** Throws AGENT_CONFIG_READ. */
export function readInventory({ inventory: file }: SourceConfig): InventoryBytes {
  return { yaml: readOr(file), signature: readOr(signatureOf(file)), file }
}

/** As `sluice inventory sign` names it. */
const signatureOf = (file: string): string => `${file.replace(/\.ya?ml$/, '')}.jws.json`

function readOr(file: string): Uint8Array {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw agentFault('AGENT_CONFIG_READ', { what: 'inventory', file }, { cause })
  }
}

function tolerant(config: SourceConfig): InventoryBytes | undefined {
  try {
    return readInventory(config)
  } catch (error) {
    // Without it the node closes what nobody is attached to; the channel's first pass says what is wrong with it.
    if (error instanceof Fault) return undefined
    throw error
  }
}

const equal = (a: InventoryBytes, b: InventoryBytes): boolean =>
  Buffer.compare(a.yaml, b.yaml) === 0 && Buffer.compare(a.signature, b.signature) === 0
