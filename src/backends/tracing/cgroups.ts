// Cgroups by their numbers. What a slot names is a path below the root of the unified hierarchy; the kernel knows it by its inode.

import { existsSync, statSync } from 'node:fs'

const ROOTS: readonly string[] = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']

/** Where the unified hierarchy is mounted; undefined when it is not. */
export const cgroupRoot = (): string | undefined => ROOTS.find((root) => existsSync(`${root}/cgroup.controllers`))

/** The number by which the kernel knows a cgroup; undefined when there is none. */
export function cgroupId(path: string): bigint | undefined {
  const root = cgroupRoot()
  const folder = `${root}/${path.replace(/^\/+/, '')}`
  if (root === undefined || path.split('/').includes('..') || !existsSync(folder)) return undefined
  return statSync(folder, { bigint: true }).ino
}

export function cgroupKey(cgroup: bigint): Buffer {
  const key = Buffer.alloc(8)
  key.writeBigUInt64LE(cgroup)
  return key
}
