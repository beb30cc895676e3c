// Converting the state of a node for an operator: under the lock of apply, so that no agent and no command is in the middle of it.

import { join } from 'node:path'
import { takeLock } from '../agent/lock.js'
import { Store } from '../agent/store.js'
import { migrateStore, STORE_FORMAT, storeStanding } from '../agent/store-format.js'
import type { Configured, Migrated } from '../cli/host.js'
import { APPLY_LOCK } from './node.js'

/** Throws AGENT_BUSY while an agent runs, AGENT_STORE_*. */
export function migrateHere({ stateDirectory }: Configured, wanted: number | undefined): Migrated {
  const to = wanted ?? STORE_FORMAT
  // Throws AGENT_STORE_MISSING before a directory is made for the lock.
  if (!storeStanding(stateDirectory)) new Store(stateDirectory).load()
  const unlock = takeLock(join(stateDirectory, APPLY_LOCK))
  try {
    return migrateStore(stateDirectory, to) ?? { from: to, to }
  } finally {
    unlock()
  }
}
