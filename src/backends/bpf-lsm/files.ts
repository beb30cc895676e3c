// Files of this node as the kernel knows them. What a clause lists is a file under exactly this path:
// a link on the way, or a file that changed while it was looked at, lets nothing run. Nor does content that is too much to look at: whoever
// may write to a listed file must not hold up the agent by making it long.

import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs'
import type { Executable } from '../../plan/model.js'
import { kernelDevice } from '../tracing/devices.js'
import { type Identity, sameIdentity } from './layout.js'

const CHUNK = 1 << 20
/** The kernel stamps changes by its tick: a file that changed so lately may change again without another stamp. */
const SETTLED_MS = 40
/** Content is read on the agent's only thread, at some looks anew: a second or two at most. */
export const MAX_CONTENT_OCTETS = 512 << 20

/**
 * undefined: nothing there may run. `nowMs` is the clock that stamps files; `known` is what was found before, whose content is not
 * read again as long as it is the same file and only those who rule this node may write to it.
 */
export function identityOf({ path, digest }: Executable, nowMs: number, known?: Identity): Identity | undefined {
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
    const { dev, ino, size, ctimeNs } = before
    const found: Identity = { device: kernelDevice(dev), inode: ino, size, changedNs: ctimeNs }
    if (known && sameIdentity(known, found) && (digest === undefined || heldStill(before))) return found
    if (digest !== undefined) {
      if (size > MAX_CONTENT_OCTETS || Number(before.ctimeMs) > nowMs - SETTLED_MS) return undefined
      if (`sha256:${contentOf(file, Number(size))}` !== digest) return undefined
      const after = fstatSync(file, { bigint: true })
      if (after.ctimeNs !== before.ctimeNs || after.size !== before.size) return undefined
    }
    return found
  } finally {
    closeSync(file)
  }
}

/**
 * Nobody writes to it who does not rule this node. Whoever may write can keep a writable mapping, and change what is in there without a
 * new change time: such a file is read at every look.
 */
const heldStill = ({ uid, mode }: { readonly uid: bigint; readonly mode: bigint }): boolean =>
  (uid === 0n || uid === BigInt(process.getuid?.() ?? 0)) && (mode & 0o022n) === 0n

/** What grows meanwhile is not followed: that it grew shows in what `fstat` says afterwards. */
function contentOf(file: number, size: number): string {
  const [hash, chunk] = [createHash('sha256'), Buffer.alloc(Math.min(CHUNK, size))]
  for (let at = 0; at < size; ) {
    const got = readSync(file, chunk, 0, Math.min(CHUNK, size - at), at)
    if (got === 0) break
    hash.update(chunk.subarray(0, got))
    at += got
  }
  return hash.digest('hex')
}
