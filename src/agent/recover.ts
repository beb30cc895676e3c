// What an operator may put right when a node refuses to go on: a clock that ran ahead and was set back, and a state that was
// lost or damaged. Both give up a protection, so both need a word of the operator's and stand in the trail as Critical.
//
// The state that was there is moved aside, never removed. Quarantines that can still be read stay where they are, so that a
// crash on the way loses none of them.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Fault } from '../base/fault.js'
import { agentFault } from './errors.js'
import { NODE_FILES } from './files.js'
import { INVENTORIES } from './held-inventory.js'
import { POLICIES } from './held-policies.js'
import type { Quarantines } from './record.js'
import { REGISTRATIONS } from './registrations.js'
import { Store } from './store.js'

export interface Recovered {
  /** Where the old state lies now; absent when there was none, and for a clock. */
  readonly moved?: string
  /** Quarantines that were carried over; null when their list could not be read. */
  readonly quarantines: number | null
}

/** Takes `nowMs` for the time that was reached, although a later one was seen. */
export function recoverClock(store: Store, nowMs: number): Recovered {
  store.saveTrustMemory({ ...store.trustMemory(), clockFloorMs: nowMs })
  return { quarantines: store.quarantines().length }
}

/** The files of the store; what backends keep beside them stays where it is. */
const QUARANTINES = 'quarantines.json'
/** Without their record, sessions that the fence still has are closed. */
const SESSIONS = 'sessions.json'
const FILES = [
  'state.json',
  'trust.json',
  'plans',
  POLICIES,
  INVENTORIES,
  REGISTRATIONS,
  SESSIONS,
  QUARANTINES,
] as const

/** Begins the state anew: the next bundle is taken as the first one was, whatever its revision. Throws AGENT_STORE_WRITE. */
export function recoverState(directory: string, nowMs: number): Recovered {
  const quarantines = readable(new Store(directory))
  const aside = join(directory, `before-${new Date(nowMs).toISOString().replace(/[:.]/g, '-')}`)
  const moved = moveAside(
    directory,
    FILES.filter((name) => name !== QUARANTINES || quarantines === null),
    aside,
  )
  new Store(directory).create(quarantines ?? undefined)
  return { ...(moved ? { moved: aside } : {}), quarantines: quarantines === null ? null : quarantines.list.length }
}

function readable(store: Store): Quarantines | null {
  try {
    return store.quarantineRecord()
  } catch (error) {
    // Damaged as well: the operator is told, and what the kernel holds stays fenced.
    if (error instanceof Fault) return null
    throw error
  }
}

function moveAside(directory: string, names: readonly string[], aside: string): boolean {
  try {
    const there = names.filter((name) => existsSync(join(directory, name)))
    if (there.length === 0) return false
    NODE_FILES.makeDirectory(aside)
    for (const name of there) NODE_FILES.rename(join(directory, name), join(aside, name))
    for (const changed of [aside, directory]) NODE_FILES.syncDirectory(changed)
    return true
  } catch (cause) {
    throw agentFault('AGENT_STORE_WRITE', { file: aside }, { cause })
  }
}
