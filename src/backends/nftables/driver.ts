// The driver: the contract of backends/backend.ts over one session. Whatever changes the ruleset is ordered by the session's
// lane; flags are not, because they must never wait.

import type { Driver, OpenOptions } from '../backend.js'
import { commit } from './commit.js'
import { readDenials } from './denials.js'
import { adoptFlags, cutOf, setFlag } from './flag.js'
import { floor } from './floor.js'
import { inspect } from './inspect.js'
import { adoptLearned, learn } from './learn.js'
import { flagged, observe } from './observe.js'
import { probe } from './probe.js'
import type { NftProgram } from './program.js'
import { Session } from './session.js'
import { adoptSessions, putSessions } from './sessions.js'
import { discard, stage } from './stage.js'
import { readPlaces } from './standing.js'
import { uninstall } from './uninstall.js'
import { watch } from './watch.js'

/** Throws NFT_UNAVAILABLE, NFT_ATTACH_PATTERN. */
export async function openDriver(options: OpenOptions): Promise<Driver<NftProgram>> {
  const session = await Session.open(options)
  session.found = await readPlaces(session)
  await adoptFlags(session)
  await adoptLearned(session)
  await adoptSessions(session)
  session.floor.adopt(session.live?.workspaces ?? session.found)
  const listeners = new Set<() => void>()
  const unwatch = watch(session, () => {
    for (const changed of listeners) changed()
  })
  return {
    probe,
    observe: () => observe(session),
    flagged: () => flagged(session),
    stage: (program) => session.lane.run(() => stage(session, program)),
    commit: (staged) => session.lane.run(() => commit(session, staged)),
    discard: (staged) => session.lane.run(() => discard(session, staged)),
    flag: (workspace, flag, on) => setFlag(session, workspace, flag, on),
    cut: (workspace) => cutOf(session, workspace),
    floor: () => session.lane.run(() => floor(session)),
    inspect: () => inspect(session),
    learn: (generation, grants) => session.lane.run(() => learn(session, generation, grants)),
    sessions: (workspace, peers) => session.lane.run(() => putSessions(session, workspace, peers)),
    denials: (deliver) => readDenials(session, deliver),
    watch: (changed) => {
      session.tending = true
      listeners.add(changed)
      return () => void listeners.delete(changed)
    },
    uninstall: () => session.lane.run(() => uninstall(session)),
    close: async () => {
      unwatch()
      await session.close()
    },
  }
}
