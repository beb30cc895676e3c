// What a program serves and allows, for people, golden files and audit: a volume and its rules, a line each.

import { printFileRule } from '../plan/storage.js'
import type { VaultProgram } from './program.js'

export function render(program: VaultProgram): string {
  const lines = [`generation ${program.generation} ${program.planDigest}, until ${program.deadlineMs}`]
  for (const { workspace, onExpiry, volume } of program.volumes) {
    lines.push(`${workspace} ${volume.name}: ${volume.source} at ${volume.mount} (on expiry: ${onExpiry})`)
    for (const rule of volume.rules) lines.push(`  ${printFileRule(volume.name, rule)}`)
    if (volume.rules.length === 0) lines.push('  no rule: everything denied')
  }
  return `${lines.join('\n')}\n`
}
