// The lock of the list of quarantines: two changes of it never overlap, and each takes milliseconds. It is not the lock of apply.

import { join } from 'node:path'
import { Fault } from '../base/fault.js'
import { waitForLock } from './lock.js'
import type { AgentNode } from './node.js'

const LOCK = 'quarantine.lock'
const LOCK_WAIT_MS = 5_000

/** `fencing`: goes on without the lock when the disk refuses it, because a full disk must not keep a workspace open. */
export async function alone<T>(
  { store }: Pick<AgentNode, 'store'>,
  fencing: boolean,
  action: () => Promise<T>,
): Promise<T> {
  const path = join(store.directory, LOCK)
  const release = await waitForLock(path, LOCK_WAIT_MS).catch((error: unknown) => {
    if (fencing && error instanceof Fault && error.code === 'AGENT_STORE_WRITE') return () => undefined
    throw error
  })
  try {
    return await action()
  } finally {
    release()
  }
}
