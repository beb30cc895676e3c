// Recovering a node on an operator's word: under the lock of apply, and told to the trail whatever becomes of it.

import { join } from 'node:path'
import { takeLock } from '../agent/lock.js'
import { recoverClock, recoverState } from '../agent/recover.js'
import { Store } from '../agent/store.js'
import type { Configured, Recovered, RecoverRequest } from '../cli/host.js'
import { APPLY_LOCK, type Surroundings, trailOf } from './node.js'

/** Throws AGENT_BUSY, AGENT_STORE_*. */
export async function recover(
  around: Surroundings,
  config: Configured,
  { what, reason }: RecoverRequest,
): Promise<Recovered> {
  const { stateDirectory } = config
  const unlock = takeLock(join(stateDirectory, APPLY_LOCK))
  try {
    const nowMs = around.nowMs()
    const done = what === 'clock' ? recoverClock(new Store(stateDirectory), nowMs) : recoverState(stateDirectory, nowMs)
    await trailOf(around, config).emit([{ kind: 'node-recovered', atMs: nowMs, what, by: around.operator, reason }])
    return done
  } finally {
    unlock()
  }
}
