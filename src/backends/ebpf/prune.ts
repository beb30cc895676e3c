// Takes away what is pinned for network namespaces that are gone: a namespace ends without a word, and its pins would hold their
// maps until the next boot. Gone is only what nobody can be using: no process that is seen here lives in it, no name holds it,
// the fence did hang somewhere in it, and hangs on nothing now. When in doubt it stays.

import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { linkedTo } from './attach.js'
import { removePins } from './fence.js'
import type { Native } from './native.js'

const INODE = /^inode-(\d+)$/

/** Writes down which namespace the pins below `base` are for. */
export function signNamespace(base: string): void {
  mkdirSync(`${base}/inode-${inodeOf('/proc/thread-self/ns/net')}`, { recursive: true, mode: 0o700 })
}

/** `base` is this namespace's folder; gives the folders that were taken away. */
export function pruneNamespaces(native: Native, base: string): string[] {
  const root = base.slice(0, base.lastIndexOf('/'))
  const others = listOf(root)
    .map((name) => `${root}/${name}`)
    .filter((path) => /\/net-\d+$/.test(path) && path !== base)
  if (others.length === 0) return []
  const lived = livingNamespaces()
  const gone = others.filter((path) => {
    const inode = listOf(path)
      .map((name) => INODE.exec(name)?.[1])
      .find((one) => one !== undefined)
    return inode !== undefined && !lived.has(inode) && hangsOnNothing(native, path)
  })
  for (const path of gone) removePins(path)
  return gone
}

function hangsOnNothing(native: Native, path: string): boolean {
  const links = listOf(path)
    .filter((name) => /^v\d+$/.test(name))
    .flatMap((layout) => listOf(`${path}/${layout}/links`).map((name) => `${path}/${layout}/links/${name}`))
    .filter((link) => /\/(\d+-(from|to)|cgroup[^/]*)$/.test(link))
  return links.length > 0 && links.every((link) => linkedTo(native, link) === 0)
}

/** Inodes of every network namespace that a process lives in or that `ip netns` has a name for. */
function livingNamespaces(): Set<string> {
  const lived = new Set<string>()
  for (const process of listOf('/proc').filter((name) => /^\d+$/.test(name))) {
    lived.add(inodeOf(`/proc/${process}/ns/net`))
    for (const task of listOf(`/proc/${process}/task`)) lived.add(inodeOf(`/proc/${process}/task/${task}/ns/net`))
  }
  for (const name of listOf('/run/netns')) lived.add(inodeOf(`/run/netns/${name}`))
  return lived
}

function listOf(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    // Not there, or gone since: nothing is in it.
    return []
  }
}

function inodeOf(path: string): string {
  try {
    return String(statSync(path).ino)
  } catch {
    // A process that ended since.
    return ''
  }
}
