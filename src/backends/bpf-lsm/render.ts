// What may run where, for people, golden files and audit: a line an executable.

import type { GuardProgram } from './program.js'

export function render({ generation, planDigest, deadlineMs, workspaces }: GuardProgram): string {
  const lines = [`generation ${generation} ${planDigest}, until ${deadlineMs}`]
  for (const { workspace, cgroup, allow, onExpiry } of workspaces) {
    lines.push(`${workspace} in ${cgroup} (on expiry: ${onExpiry})`)
    for (const { path, digest } of allow ?? []) lines.push(`  exec ${path}${digest === undefined ? '' : ` ${digest}`}`)
    if (allow === undefined) lines.push('  no list: everything may run')
  }
  return `${lines.join('\n')}\n`
}
