// What the suites and the demo must not leave on a machine: namespaces and interfaces named `slu-...`, tables and tc filters
// of ours in the machine's own namespace. What a process that still runs made is its own business: its id is in the name.

import { spawnSync } from 'node:child_process'

const lines = (command, ...args) => {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? stdout.split('\n').filter((line) => line !== '') : []
}

const alive = (name) => {
  const pid = /^slu-(\d+)-/.exec(name)?.[1]
  if (pid === undefined) return false
  try {
    process.kill(Number(pid), 0)
    return true
  } catch {
    return false // ESRCH: no such process, which is the answer
  }
}

/** One sentence for each thing that is there. */
export function leftovers() {
  const found = []
  for (const line of lines('ip', 'netns', 'list')) {
    const name = line.split(' ')[0] ?? ''
    if (name.startsWith('slu') && !alive(name)) found.push(`network namespace ${name}`)
  }
  for (const line of lines('nft', 'list', 'tables')) if (line.includes('sluice')) found.push(line)
  for (const line of lines('ip', '-o', 'link', 'show')) {
    const name = /^\d+: ([^:@]+)/.exec(line)?.[1] ?? ''
    if (name.startsWith('slu')) found.push(`interface ${name}`)
    for (const side of ['ingress', 'egress'])
      for (const filter of lines('tc', 'filter', 'show', 'dev', name, side))
        if (/sluice|floor/.test(filter)) found.push(`tc filter on ${name}, ${side}: ${filter.trim()}`)
  }
  return found
}
