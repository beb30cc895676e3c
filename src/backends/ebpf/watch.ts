// Hears of interfaces that come, change and go, through a pipe that a thread of the library writes to. Keeps no process alive.

import { Socket } from 'node:net'
import { clearTimeout, setTimeout } from 'node:timers'
import type { Native } from './native.js'

/** A burst of news is one: whoever looks around looks at every interface. */
const QUIET_MS = 20

/** Calls back at the first of some changes and once more after the last of them. Gives what ends it. */
export function watchInterfaces(native: Native, changed: () => void): () => void {
  const out = Buffer.alloc(4)
  native.call('watching interfaces', 'watch', out)
  const socket = new Socket({ fd: out.readInt32LE(), readable: true, writable: false })
  socket.unref()
  let quiet: NodeJS.Timeout | undefined
  let more = false
  const hear = (): void => {
    if (quiet !== undefined) {
      more = true
      return
    }
    more = false
    changed()
    quiet = setTimeout(() => {
      quiet = undefined
      if (more) hear()
    }, QUIET_MS)
    quiet.unref()
  }
  socket.on('data', hear)
  // The pipe ends with the thread that writes it, which only memory can end: the housekeeping of every second goes on.
  socket.on('error', () => undefined)
  return () => {
    clearTimeout(quiet)
    socket.destroy()
  }
}
