// A node that follows a channel in this process: each pass opens the node under its lock, does what came, and closes it
// again, so that quarantines and other commands have their turn between passes.

import { follow } from '../agent/follow.js'
import { followRoots, readTrustRoot } from '../agent/roots.js'
import { NODE_POLL, POLL } from '../agent/transports/poll.js'
import { Fault } from '../base/fault.js'
import type { Configured, FollowRequest, NodeHandle } from '../cli/host.js'
import { openNode, type Surroundings } from './node.js'

/** Throws what a pass throws that is no Fault; faults are told and tried again. */
export async function followChannel(around: Surroundings, config: Configured, request: FollowRequest): Promise<void> {
  const { source, inventory, intervalMs, signal, tell } = request
  const withNode = async (act: (node: NodeHandle) => Promise<void>): Promise<void> => {
    const node = await openNode(around, config, { exclusive: true })
    try {
      await act(node)
    } finally {
      await node.close()
    }
  }
  const tendWith = (freshness?: Uint8Array) =>
    withNode(async (node) => {
      await node.stand(inventory)
      const { suspended, resumed } = await node.tend(freshness)
      if (suspended.length > 0) tell({ kind: 'suspended', workspaces: suspended })
      if (resumed.length > 0) tell({ kind: 'resumed', workspaces: resumed })
    })
  const followed = {
    channel: config.channel,
    rootVersion: () => readTrustRoot(config.trustRoot).root.version,
    roots: async (statements: readonly Uint8Array[]) => {
      const { version } = await followRoots(config.trustRoot, statements, around.nowMs())
      tell({ kind: 'root', version })
      return version
    },
    admit: (bundle: Parameters<NodeHandle['apply']>[0]['bundle'], freshness: Uint8Array | undefined) =>
      withNode(async (node) => {
        const given = freshness ? { freshness } : {}
        const { generation, plan } = await node.apply({ bundle, inventory, once: true, ...given })
        tell({ kind: 'active', generation, revision: plan.source.policyRevision })
      }),
    confirm: tendWith,
    tend: () => tendWith(),
    refused: (fault: { code: string; message: string }) => withNode((node) => node.refused(fault)),
    failed: (fault: { code: string; message: string }, waitMs: number) => {
      tell({ kind: 'failed', code: fault.code, say: fault.message, waitMs })
    },
  }
  try {
    // Whatever the source does, and however long it takes: what must be closed is closed first.
    await tendWith()
  } catch (error) {
    // Told, and tried again with every pass.
    if (!(error instanceof Fault)) throw error
    followed.failed(error, 0)
  }
  await follow(source, followed, signal, { ...POLL, intervalMs }, NODE_POLL)
}
