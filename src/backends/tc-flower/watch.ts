// Interfaces that came, went or were made anew, asked for ten times a second: nothing can hang on one that does not exist, so
// the time in which it stands open is the time until somebody looks. A look costs a few system calls.

import type { Native } from './native.js'

const LOOK_MS = 100

/**
 * Calls `close` for each of the names that has another interface than before, and `changed` once for all of them. Until the
 * returned function is called.
 */
export function watchInterfaces(
  native: Native,
  names: () => readonly string[],
  close: (name: string) => void,
  changed: () => void,
): () => void {
  const known = new Map(names().map((name) => [name, native.ifindex(name)]))
  const timer = setInterval(() => {
    let news = false
    for (const name of names()) {
      const index = native.ifindex(name)
      if (known.get(name) === index) continue
      known.set(name, index)
      news = true
      if (index !== 0) close(name)
    }
    if (news) changed()
  }, LOOK_MS)
  timer.unref()
  return () => {
    clearInterval(timer)
  }
}
