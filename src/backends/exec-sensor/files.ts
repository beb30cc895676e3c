// Which file ran, while that can still be asked: the kernel tells its number and device, and the process or the path that it was called by say
// its name. A program that is over before anybody looks keeps the name that it was called by, and nobody says what its content was:
// what lies under that name now may have been written since.

import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readFileSync, readlinkSync, readSync } from 'node:fs'
import type { Digest } from '../../base/digest.js'
import { kernelDevice, mountDevice } from '../tracing/devices.js'

const CHUNK = 1 << 20
/** Content is read on the agent's only thread, and whoever may write to a program may make it long: a second or two at most. */
const MAX_CONTENT_OCTETS = 512 << 20
/** Opens for questions only (include/uapi/asm-generic/fcntl.h): a pipe or a device that lies there is not touched. */
const O_PATH = 0o10000000

/** The file as the kernel told of it. */
export interface Told {
  readonly inode: bigint
  readonly device: number
  /** 0: it has no name. */
  readonly links: number
}
export interface Ran {
  readonly path: string
  /** Of what ran, where that was asked for and the process still runs it; absent: nobody knows. */
  readonly digest?: Digest
}

/** `wanted`: whether the content of what lies under this path is asked for. */
export function fileThatRan(pid: number, calledBy: string, told: Told, wanted: (path: string) => boolean): Ran {
  const own = `/proc/${pid}/exe`
  const ran = inFile(own, pid, told, (file): Ran => {
    const path = readlinkSync(file)
    const digest = wanted(path) ? digestOfFile(file) : undefined
    return { path, ...(digest === undefined ? {} : { digest }) }
  })
  // As long as the process runs it nobody writes to it: one that is over by now tells nothing of what was read.
  if (ran?.digest !== undefined && !inFile(own, pid, told, () => true)) return { path: ran.path }
  if (ran) return ran
  const { links } = told
  const real =
    links > 0 && calledBy.startsWith('/') ? inFile(calledBy, pid, told, (file) => readlinkSync(file)) : undefined
  if (real?.startsWith('/')) return { path: real }
  return { path: links === 0 && !calledBy.endsWith(' (deleted)') ? `${calledBy} (deleted)` : calledBy }
}

/** `ask` is given a link that leads to the file, whatever becomes of its path; undefined where the file is not that, over, or gone. */
function inFile<T>(path: string, pid: number, { inode, device }: Told, ask: (file: string) => T): T | undefined {
  try {
    const file = openSync(path, O_PATH)
    try {
      const { ino, dev } = fstatSync(file, { bigint: true })
      if (ino !== inode || !(kernelDevice(dev) === device || mountedFrom(file, pid, device))) return undefined
      return ask(`/proc/self/fd/${file}`)
    } finally {
      closeSync(file)
    }
  } catch {
    return undefined // it is over, or gone
  }
}

/** Some file systems (btrfs) say another device of a file than the kernel has for it: that of its mount, here or there, is the kernel's. */
function mountedFrom(file: number, pid: number, device: number): boolean {
  const id = Number(/^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${file}`, 'utf8'))?.[1])
  return ['self', pid].some((process) => {
    try {
      return mountDevice(readFileSync(`/proc/${process}/mountinfo`, 'utf8'), id) === device
    } catch {
      return false // it is over
    }
  })
}

/** undefined: there is too much of it, or it changed meanwhile. */
function digestOfFile(path: string): Digest | undefined {
  const file = openSync(path, 'r')
  try {
    const before = fstatSync(file, { bigint: true })
    const size = Number(before.size)
    if (!before.isFile() || size > MAX_CONTENT_OCTETS) return undefined
    const [hash, chunk] = [createHash('sha256'), Buffer.alloc(Math.min(CHUNK, size))]
    for (let at = 0; at < size; ) {
      const got = readSync(file, chunk, 0, Math.min(CHUNK, size - at), at)
      if (got === 0) return undefined
      hash.update(chunk.subarray(0, got))
      at += got
    }
    const after = fstatSync(file, { bigint: true })
    return after.size === before.size && after.ctimeNs === before.ctimeNs ? `sha256:${hash.digest('hex')}` : undefined
  } finally {
    closeSync(file)
  }
}
