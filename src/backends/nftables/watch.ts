// Interfaces that appear while the fence stands get the deny floor and, if a slot was still without its interface, are attached
// within a heartbeat of the kernel's announcement. One that takes the place of another stays denied. What others change in
// the ruleset or in the places of the slots is told to whoever asked. Nothing is written by a process that only looks.

import { linkChanges } from './commit.js'
import { listLinks, NEWS, native } from './native.js'
import { addPairs, pairsOf, placeDrift, readPairs } from './places.js'
import type { Session } from './session.js'

const BEAT_MS = 25

/** Gives the function that ends it. A failure to act is left to `observe`, which reports what is missing. */
export function watch(session: Session, foreignChange: () => void): () => void {
  const out: [unknown] = [null]
  if (native().newsOpen(out) < 0) return () => undefined // no netlink here: observe finds what came meanwhile
  const timer = setInterval(() => {
    const news = native().newsRead(out[0])
    if (news <= 0) return
    if ((news & NEWS.links) !== 0 && session.live && session.tending)
      void session.lane
        .run(() => attachNew(session))
        .then((drifted) => {
          if (drifted) foreignChange()
        })
        .catch(() => undefined) // observe says what is missing
    if ((news & NEWS.ruleset) !== 0) foreignChange()
  }, BEAT_MS)
  timer.unref()
  return () => {
    clearInterval(timer)
    native().newsClose(out[0])
  }
}

/** True when a slot is not as it was attached, and only a commit can put it right. */
async function attachNew(session: Session): Promise<boolean> {
  if (!session.live) return false
  session.floor.sync()
  const names = session.live.workspaces.map(({ interface: name }) => name)
  const links = listLinks()
  const paired = new Set(readPairs().map(({ name }) => name))
  const come = pairsOf(names, links).filter(({ name }) => !paired.has(name))
  if (come.length > 0) {
    const script = await linkChanges(names, names)
    if (script !== '') await session.writer.run(script)
    addPairs(come)
  }
  return placeDrift(names, links).length > 0
}
