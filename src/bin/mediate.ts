// The mediator in a process of its own, beside whoever applies bundles: it opens the backends to write what it learns, and again
// after every change of generation, under the lock of apply, so that nothing is being staged while they look around.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { agentFault } from '../agent/errors.js'
import { takeLock, withLock } from '../agent/lock.js'
import { type MediationHost, mediatorOf } from '../agent/mediate.js'
import { Store } from '../agent/store.js'
import type { OpenBackends } from '../agent/transaction.js'
import { causeChain } from '../base/fault.js'
import type { Configured } from '../cli/host.js'
import type { ConfiguredUpstream, Mediated, MediateRequest } from '../cli/host-names.js'
import type { Mediator } from '../dns/mediator.js'
import { openUpstreams } from '../dns/upstream/client.js'
import type { Destination } from '../dns/upstream/connect.js'
import { APPLY_LOCK, type OpenedNode, openAgentNode, type Surroundings, trailOf } from './node.js'

export const MEDIATE_LOCK = 'mediate.lock'
const LOCK_WAIT_MS = 10_000
const STATUS_MS = 1_000

/** Runs until the signal is aborted. Throws AGENT_NO_MEDIATOR without a `dns` section, AGENT_BUSY when another one runs. */
export async function mediate(
  around: Surroundings,
  config: Configured,
  { signal, tell }: MediateRequest,
): Promise<Mediated> {
  if (!config.dns) throw agentFault('AGENT_NO_MEDIATOR', { file: config.file })
  const unlock = takeLock(join(config.stateDirectory, MEDIATE_LOCK))
  const desk = new Desk(around, config)
  const failed = (error: unknown): void => tell({ kind: 'failed', say: causeChain(error).join(': ') })
  try {
    const store = new Store(config.stateDirectory)
    store.load() // a missing or damaged store is told before anything is opened
    const node = { store, emit: trailOf(around, config).emit, nowMs: around.nowMs }
    const mediator = hostMediator(config.dns, { node, backends: (generation) => desk.at(generation), failed })
    await mediator.start()
    await report(mediator, signal, tell)
    await mediator.stop()
    const { replies, refused, holds } = mediator.counters()
    const { learned, shared, labels } = mediator.status()
    return { replies, refused, learned, shared, labels, holds: { count: holds.count, sumMs: holds.sumMs } }
  } finally {
    await desk.close()
    unlock()
  }
}

/** A mediator as `agent.yaml` asks for, not started yet; who hosts it names the node. Throws AGENT_CONFIG_READ. */
export const hostMediator = (
  dns: NonNullable<Configured['dns']>,
  host: Pick<MediationHost, 'node' | 'backends' | 'failed' | 'asked'>,
): Mediator =>
  mediatorOf({
    ...host,
    upstream: openUpstreams(dns.upstreams.map(withAuthorities)),
    wildcardNames: dns.wildcardNames,
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    tickMs: () => performance.now(),
  })

/** Throws AGENT_CONFIG_READ. */
function withAuthorities(upstream: ConfiguredUpstream): Destination {
  const { caFile } = upstream
  if (caFile === undefined) return upstream
  try {
    return { ...upstream, ca: readFileSync(caFile, 'utf8') }
  } catch (cause) {
    throw agentFault('AGENT_CONFIG_READ', { what: 'CA file', file: caFile }, { cause })
  }
}

/** Says where it listens whenever that changes, until the signal. */
async function report(mediator: Mediator, signal: AbortSignal, tell: MediateRequest['tell']): Promise<void> {
  let said = ''
  while (!signal.aborted) {
    const { open, missing, generation } = mediator.status()
    const now = JSON.stringify([open, missing, generation])
    if (now !== said) {
      said = now
      tell({ kind: 'listening', places: open, generation })
      for (const [place, why] of Object.entries(missing)) tell({ kind: 'missing', place, why })
    }
    await sleep(STATUS_MS, undefined, { signal }).catch(() => undefined) // aborted: the loop's own condition ends it
  }
}

/** The backends as they are under one generation; a driver's memory of what is live is of the moment when it was opened. */
class Desk {
  private opened: { readonly generation: number; readonly node: OpenedNode } | undefined
  private opening: Promise<OpenBackends> = Promise.resolve(new Map())

  constructor(
    private readonly around: Surroundings,
    private readonly config: Configured,
  ) {}

  at(generation: number): Promise<OpenBackends> {
    if (this.opened?.generation === generation) return Promise.resolve(this.opened.node.node.backends)
    const next = this.opening.then(
      () => this.open(generation),
      () => this.open(generation),
    )
    this.opening = next
    return next
  }

  private async open(generation: number): Promise<OpenBackends> {
    if (this.opened?.generation === generation) return this.opened.node.node.backends
    await this.opened?.node.close()
    this.opened = undefined
    const node = await withLock(join(this.config.stateDirectory, APPLY_LOCK), LOCK_WAIT_MS, () =>
      openAgentNode(this.around, this.config, { exclusive: false }),
    )
    this.opened = { generation, node }
    return node.node.backends
  }

  async close(): Promise<void> {
    await this.opening.catch(() => undefined) // whoever asked for it has heard of the failure
    await this.opened?.node.close()
    this.opened = undefined
  }
}
