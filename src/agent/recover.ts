// What an operator may put right when a node refuses to go on: a clock that ran ahead and was set back, and a state that was
// lost or damaged. Both give up a protection, so both need a word of the operator's and stand in the trail as Critical.
//
// The state that was there is moved aside, never removed. Quarantines that can still be read are carried over.

import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { Fault } from '../base/fault.js'
import { agentFault } from './errors.js'
import type { Quarantine } from './record.js'
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
const FILES = ['state.json', 'quarantines.json', 'trust.json', 'plans'] as const

/** Begins the state anew: the next bundle is taken as the first one was, whatever its revision. Throws AGENT_STORE_WRITE. */
export function recoverState(directory: string, nowMs: number): Recovered {
  const quarantines = readable(new Store(directory))
  const aside = join(directory, `before-${new Date(nowMs).toISOString().replace(/[:.]/g, '-')}`)
  const moved = moveAside(directory, aside)
  const fresh = new Store(directory)
  fresh.create()
  if (quarantines !== null) fresh.saveQuarantines(quarantines)
  return { ...(moved ? { moved: aside } : {}), quarantines: quarantines === null ? null : quarantines.length }
}

function readable(store: Store): readonly Quarantine[] | null {
  try {
    return store.quarantines()
  } catch (error) {
    // Damaged as well: the operator is told, and what the kernel holds stays fenced.
    if (error instanceof Fault) return null
    throw error
  }
}

function moveAside(directory: string, aside: string): boolean {
  try {
    const there = FILES.filter((name) => existsSync(join(directory, name)))
    if (there.length > 0) mkdirSync(aside, { recursive: true, mode: 0o700 })
    for (const name of there) renameSync(join(directory, name), join(aside, name))
    return there.length > 0
  } catch (cause) {
    throw agentFault('AGENT_STORE_WRITE', { file: aside }, { cause })
  }
}
