// The deny floor of the boot (design section 7, "node reboots"): before the network is up, what this node would fence is closed,
// with what every backend can do without a process that stays. No plan, no bundle, no clock and no trust root is needed for
// it, and it grants nothing: the agent, when it starts, finds nothing live and puts the plan on record back.
//
// What was laid is written down with the number of the boot, so that `sluice doctor` can tell it from an earlier one.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeUtf8, utf8 } from '../base/bytes.js'
import { canonicalize, type Json } from '../base/canonical.js'
import { isObject, JsonError, parseJson } from '../base/json.js'
import type { BackendName, Plan } from '../plan/model.js'
import { agentFault } from './errors.js'
import { NODE_FILES, replaceFile } from './files.js'

export const FLOOR_FORMAT = 'sluice-floor/1'
export const FLOOR = 'floor.json'
const BOOT_ID = '/proc/sys/kernel/random/boot_id'

export interface FloorLine {
  readonly backend: BackendName
  /** `stands`: something is live there. `none`: it could not be laid. */
  readonly state: 'laid' | 'stands' | 'none'
  readonly say: string
}

export interface FloorReport {
  readonly bootId: string
  /** Milliseconds since 1970, by a clock that may not have been set yet. */
  readonly atMs: number
  readonly lines: readonly FloorLine[]
}

/** The number of this boot. */
export const bootId = (): string => readFileSync(BOOT_ID, 'utf8').trim()

/** Interfaces that a backend closes: the patterns, and the slots that the plan on record gives it. A cgroup is no interface. */
export function closedBy(backend: BackendName, patterns: readonly string[], plan: Plan | undefined): readonly string[] {
  const slots = (plan?.workspaces ?? [])
    .filter((entry) => entry.backend === backend && entry.slot.kind !== 'cgroup')
    .map(({ slot }) => slot.interface)
  return [...new Set([...patterns, ...slots])]
}

/** Throws AGENT_STORE_WRITE. */
export function saveFloor(directory: string, report: FloorReport): void {
  const file = join(directory, FLOOR)
  try {
    NODE_FILES.makeDirectory(directory)
    replaceFile(NODE_FILES, file, utf8(`${canonicalize({ format: FLOOR_FORMAT, ...report } as unknown as Json)}\n`))
  } catch (cause) {
    throw agentFault('AGENT_STORE_WRITE', { file }, { cause })
  }
}

/** What was laid last; undefined where nothing ever was, or what is written there is not ours. */
export function readFloor(directory: string): FloorReport | undefined {
  try {
    const bytes = NODE_FILES.read(join(directory, FLOOR))
    const found = bytes && parseJson(decodeUtf8(bytes) ?? '')
    return isObject(found) && found.format === FLOOR_FORMAT ? (found as unknown as FloorReport) : undefined
  } catch (error) {
    // Not readable by this user, or torn by hand: nothing rests on it.
    if (error instanceof JsonError || (error as NodeJS.ErrnoException).code !== undefined) return undefined
    throw error
  }
}
