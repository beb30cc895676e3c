// Lays the deny floor of a node before its network is up: opens each backend that carries the plan on record, or the first that
// can close anything, and asks it to close. Opens no trail and no trust root, because neither may be there so early.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { agentFault } from '../agent/errors.js'
import { bootId, closedBy, type FloorLine, type FloorReport, readFloor, saveFloor } from '../agent/floor.js'
import { takeLock } from '../agent/lock.js'
import { Store } from '../agent/store.js'
import { migrateStore, STORE_FORMAT, storeStanding } from '../agent/store-format.js'
import { causeChain, Fault } from '../base/fault.js'
import type { Configured, FloorSeen } from '../cli/host.js'
import type { BackendName, Plan } from '../plan/model.js'
import { APPLY_LOCK, openBackend } from './node.js'

/** Throws AGENT_BUSY while an agent runs, AGENT_FLOOR_NONE when nothing was closed, AGENT_STORE_WRITE. */
export async function layFloor(config: Configured, nowMs: number): Promise<FloorReport> {
  const unlock = takeLock(join(config.stateDirectory, APPLY_LOCK))
  try {
    bringForward(config.stateDirectory)
    const { plan, backends } = onRecord(config)
    const lines: FloorLine[] = []
    for (const backend of backends ?? config.backends) {
      const line = await layOne(backend, config, plan)
      lines.push(line)
      // Where nothing is on record, one backend closes what all would.
      if (backends === undefined && line.state !== 'none') break
    }
    const report = { bootId: bootId(), atMs: nowMs, lines }
    saveFloor(config.stateDirectory, report)
    const open = lines.filter(({ state }) => state === 'none')
    if (open.length === lines.length || (backends !== undefined && open.length > 0))
      throw agentFault('AGENT_FLOOR_NONE', { why: open.map(({ backend, say }) => `${backend}: ${say}`).join('; ') })
    return report
  } finally {
    unlock()
  }
}

async function layOne(backend: BackendName, config: Configured, plan: Plan | undefined): Promise<FloorLine> {
  const attachInterfaces = closedBy(backend, config.attachInterfaces, plan)
  try {
    const { driver, capabilities } = await openBackend(backend, { ...config, attachInterfaces })
    try {
      if (!capabilities.usable) return { backend, state: 'none', say: capabilities.why }
      const floor = await driver.floor?.()
      if (!floor) return { backend, state: 'none', say: 'it fences nothing without a process that stays' }
      return { backend, state: floor.laid ? 'laid' : 'stands', say: floor.say }
    } finally {
      await driver.close()
    }
  } catch (error) {
    // The others close what they can; the report says which did not.
    if (!(error instanceof Fault)) throw error
    return { backend, state: 'none', say: causeChain(error).join(': ') }
  }
}

/** After an upgrade the floor is the first to see the store, and closes more when it can read it. */
function bringForward(directory: string): void {
  try {
    if (storeStanding(directory)) migrateStore(directory, STORE_FORMAT)
  } catch (error) {
    // Newer, damaged, or no room: the patterns are closed all the same, and the agent says what is wrong.
    if (!(error instanceof Fault)) throw error
  }
}

/** The plan on record and who carries it. A state that cannot be read is none: the patterns are closed all the same. */
function onRecord(config: Configured): { readonly plan?: Plan; readonly backends?: readonly BackendName[] } {
  const store = new Store(config.stateDirectory)
  try {
    const { live } = store.load()
    return live ? { plan: store.loadPlan(live.planDigest), backends: live.backends } : {}
  } catch (error) {
    if (error instanceof Fault) return {}
    throw error
  }
}

const UNIT = 'sluice-floor.service'
const UNIT_FOLDERS = ['/etc/systemd/system', '/usr/lib/systemd/system', '/lib/systemd/system'] as const

/** What is installed and what was laid, for `sluice doctor`. `root` stands before the folders of units. */
export function seeFloor(config: Configured, root = ''): FloorSeen {
  const laid = readFloor(config.stateDirectory)
  return {
    unit: UNIT_FOLDERS.some((folder) => existsSync(`${root}${folder}/${UNIT}`)),
    enabled: existsSync(`${root}/etc/systemd/system/sysinit.target.wants/${UNIT}`),
    ...(laid ? { laid, thisBoot: laid.bootId === bootId() } : {}),
  }
}
