// Explains a name from a plan and what the mediator of this node left in its state directory, without opening anything.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { NODE_FILES } from '../agent/files.js'
import { NAMES_FILE, readMemory } from '../agent/mediate.js'
import type { Configured } from '../cli/host.js'
import type { NameQuestion } from '../cli/host-names.js'
import { explainName, type NameExplanation } from '../dns/explain.js'
import { WILDCARD_NAMES } from '../dns/mediator.js'
import { type Recalled, recall } from '../dns/memory.js'

/** `config` undefined: on the plan alone. */
export function explainNameHere(
  config: Configured | undefined,
  question: NameQuestion,
  nowMs: number,
): NameExplanation {
  const { plan, generation, quarantined, ...asked } = question
  const standing = { plan, generation, quarantined: new Set(quarantined), suspended: new Set<string>() }
  const recalled: Recalled = config ? memoryOf(config) : { held: [], spent: [] }
  return explainName(standing, recalled, config?.dns?.wildcardNames ?? WILDCARD_NAMES, asked, nowMs)
}

function memoryOf({ stateDirectory }: Configured): Recalled {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return recall(readMemory(NODE_FILES, join(stateDirectory, NAMES_FILE)), boot)
}
