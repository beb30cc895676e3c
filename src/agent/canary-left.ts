// What canaries (canary.ts) leave whose witness was killed: their children end with it, and its namespaces and its folder are taken away
// here, by the next canary and at the start of an agent. Those of a witness that lives are its own; in a container an agent has the same
// number in every life, so what has the number of this process is its own only where it says so.

import { execFile } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const NAMESPACES = '/run/netns'
const NAME = /^slc-(\d+)-([A-Za-z0-9]{6})-[wno]$/
const FOLDER = 'sluice-canary-'
const run = promisify(execFile)

/** What `mkdtemp` is given; what it adds stands in the names of the namespaces too. */
export const CANARY_FOLDER = join(tmpdir(), FOLDER)

const OWN = new Set<string>()

/** Says that the canary of that folder is of this process, before it makes anything else. */
export function ownCanary(folder: string): void {
  OWN.add(folder.slice(-6))
}

const isOwned = (pid: string, folder: string): boolean =>
  pid === String(process.pid) ? OWN.has(folder) : existsSync(`/proc/${pid}`)

/** Gives the names that it took away. Never rejects. */
export async function collectCanaries(): Promise<readonly string[]> {
  const gone: string[] = []
  for (const name of existsSync(NAMESPACES) ? readdirSync(NAMESPACES) : []) {
    const [, pid, folder] = NAME.exec(name) ?? []
    if (pid === undefined || folder === undefined || isOwned(pid, folder)) continue
    try {
      await run('ip', ['netns', 'delete', name])
      rmSync(`${CANARY_FOLDER}${folder}`, { recursive: true, force: true })
      gone.push(name)
    } catch {
      // Another agent of this host was there first, or the next one tries again: a canary has names of its own either way.
    }
  }
  return gone
}
