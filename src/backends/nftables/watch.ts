// Interfaces that appear while the fence stands get the deny floor and, if they are attached, their link layer within a
// heartbeat of the kernel's announcement. Changes of the ruleset by others are told to whoever asked.

import { linkChanges } from './commit.js'
import { NEWS, native } from './native.js'
import type { Session } from './session.js'

const BEAT_MS = 25

/** Gives the function that ends it. A failure to act is left to `observe`, which reports what is missing. */
export function watch(session: Session, foreignChange: () => void): () => void {
  const out: [unknown] = [null]
  if (native().newsOpen(out) < 0) return () => undefined // no netlink here: observe finds what came meanwhile
  const timer = setInterval(() => {
    const news = native().newsRead(out[0])
    if (news <= 0) return
    if ((news & NEWS.links) !== 0 && session.live)
      void session.lane.run(() => attachNew(session)).catch(() => undefined) // observe says what is missing
    if ((news & NEWS.ruleset) !== 0) foreignChange()
  }, BEAT_MS)
  timer.unref()
  return () => {
    clearInterval(timer)
    native().newsClose(out[0])
  }
}

async function attachNew(session: Session): Promise<void> {
  if (!session.live) return
  session.floor.sync()
  const script = await linkChanges(
    session,
    session.live.workspaces.map(({ interface: name }) => name),
  )
  if (script !== '') await session.writer.run(script)
}
