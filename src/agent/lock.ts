// The exclusive lock of a state directory: one command at a time (design section 10). It is flock(2), which the kernel
// drops when its holder dies, so there is no stale lock to judge. Node has no binding for it; koffi reaches the C
// library that the process has loaded already. Quarantine has a lock of its own, so that it never waits for a load.

import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import koffi from 'koffi'
import { Fault } from '../base/fault.js'
import { agentFault } from './errors.js'

// linux/fcntl.h; flock(2).
const LOCK_EX = 2
const LOCK_NB = 4
const EWOULDBLOCK = 11

type Flock = (fd: number, operation: number) => number
let flock: Flock | undefined

/** Takes the lock or throws AGENT_BUSY at once; AGENT_STORE_WRITE when the disk refuses. The returned function gives it back. */
export function takeLock(path: string): () => void {
  flock ??= koffi.load(null).func('int flock(int fd, int operation)') as Flock
  const file = openLockFile(path)
  if (flock(file, LOCK_EX | LOCK_NB) !== 0) {
    const errno = koffi.errno()
    closeSync(file)
    throw errno === EWOULDBLOCK
      ? agentFault('AGENT_BUSY', { file: path })
      : agentFault('AGENT_STORE_WRITE', { file: path }, { cause: new Error(`flock: errno ${errno}`) })
  }
  let held = true
  return () => {
    if (!held) return
    held = false
    try {
      closeSync(file)
    } catch {
      // close(2): the handle is gone whatever it says, and the lock with it; what was done under the lock stays done.
    }
  }
}

function openLockFile(path: string): number {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    return openSync(path, 'a', 0o600)
  } catch (cause) {
    throw agentFault('AGENT_STORE_WRITE', { file: path }, { cause })
  }
}

/**
 * Whether somebody holds the lock, as the kernel's list says (proc(5), /proc/locks). Asking takes nothing, so that whoever is
 * about to take it is not disturbed. The device is not compared: what an overlay shows is not what the list has.
 */
export function isLockHeld(path: string): boolean {
  const inode = statSync(path, { throwIfNoEntry: false })?.ino
  if (inode === undefined) return false
  const held = new RegExp(`^\\d+: FLOCK .* [0-9a-f]+:[0-9a-f]+:${inode} `, 'm')
  return held.test(readFileSync('/proc/locks', 'utf8'))
}

const POLL_MS = 5

/** Runs `action` under the lock, waiting up to `waitMs` for it; then AGENT_BUSY. */
export async function withLock<T>(path: string, waitMs: number, action: () => Promise<T>): Promise<T> {
  const release = await waitForLock(path, waitMs)
  try {
    return await action()
  } finally {
    release()
  }
}

/** As `takeLock`, waiting up to `waitMs` for whoever holds it. */
export async function waitForLock(path: string, waitMs: number): Promise<() => void> {
  for (let waited = 0; ; waited += POLL_MS) {
    try {
      return takeLock(path)
    } catch (error) {
      // Held by somebody else: that is what this loop waits for, until the time is over.
      if (!(error instanceof Fault && error.code === 'AGENT_BUSY') || waited >= waitMs) throw error
      await sleep(POLL_MS)
    }
  }
}
