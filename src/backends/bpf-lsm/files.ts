// Files of this node as the kernel knows them, and cgroups by their numbers. What a clause lists is a file under exactly this path:
// a link on the way, or a file that changed while it was looked at, lets nothing run.

import { createHash } from 'node:crypto'
import { closeSync, constants, existsSync, fstatSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import type { Executable } from '../../plan/model.js'
import { type Identity, kernelDevice } from './layout.js'

const ROOTS: readonly string[] = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']
const CHUNK = 1 << 20
/** The kernel stamps changes by its tick: a file that changed so lately may change again without another stamp. */
const SETTLED_MS = 40

/** Where the unified hierarchy is mounted; undefined when it is not. */
export const cgroupRoot = (): string | undefined => ROOTS.find((root) => existsSync(`${root}/cgroup.controllers`))

/** The number by which the kernel knows a cgroup; undefined when there is none. */
export function cgroupId(path: string): bigint | undefined {
  const root = cgroupRoot()
  const folder = `${root}/${path.replace(/^\/+/, '')}`
  if (root === undefined || path.split('/').includes('..') || !existsSync(folder)) return undefined
  return statSync(folder, { bigint: true }).ino
}

/** undefined: nothing there may run. `nowMs` is the clock that stamps files. */
export function identityOf({ path, digest }: Executable, nowMs: number): Identity | undefined {
  let file: number
  try {
    if (realpathSync(path) !== path) return undefined
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch {
    return undefined // it is not there: nothing to allow, and the next look asks again
  }
  try {
    const before = fstatSync(file, { bigint: true })
    if (!before.isFile()) return undefined
    if (digest !== undefined) {
      if (Number(before.ctimeMs) > nowMs - SETTLED_MS) return undefined
      if (`sha256:${contentOf(file)}` !== digest) return undefined
      const after = fstatSync(file, { bigint: true })
      if (after.ctimeNs !== before.ctimeNs || after.size !== before.size) return undefined
    }
    const { dev, ino, size, ctimeNs } = before
    return { device: kernelDevice(dev), inode: ino, size, changedNs: ctimeNs }
  } finally {
    closeSync(file)
  }
}

function contentOf(file: number): string {
  const [hash, chunk] = [createHash('sha256'), Buffer.alloc(CHUNK)]
  for (let at = 0; ; ) {
    const got = readSync(file, chunk, 0, CHUNK, at)
    if (got === 0) return hash.digest('hex')
    hash.update(chunk.subarray(0, got))
    at += got
  }
}
