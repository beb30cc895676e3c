// What may run where, and what may be done with files, for people, golden files and audit: a line an executable or rule.

import { printFileRule } from '../../plan/storage.js'
import type { GuardProgram } from './program.js'

export function render({ generation, planDigest, deadlineMs, workspaces }: GuardProgram): string {
  const lines = [`generation ${generation} ${planDigest}, until ${deadlineMs}`]
  for (const { workspace, cgroup, allow, onExpiry, volumes } of workspaces) {
    lines.push(`${workspace} in ${cgroup} (on expiry: ${onExpiry})`)
    for (const { path, digest } of allow ?? []) lines.push(`  exec ${path}${digest === undefined ? '' : ` ${digest}`}`)
    if (allow === undefined) lines.push('  no list: everything may run')
    for (const { name, source, rules } of volumes) {
      lines.push(`  volume ${name} at ${source}`)
      for (const rule of rules) lines.push(`    ${printFileRule(name, rule)}`)
    }
  }
  return `${lines.join('\n')}\n`
}
