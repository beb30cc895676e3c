// Does adding an element that is there already give it its new timeout? Kernels from about 6.12 on do that; older ones keep the
// old timeout, and the element must be deleted and added again, which waits for a grace period. Found out by trying, in a
// table of its own that nothing reaches.

import { NftError } from './libnftables.js'
import { elementsOf } from './readback.js'
import type { Session } from './session.js'

const TRIAL = 'sluice_trial'
const SHORT_S = 100
const LONG_S = 1_000

/** Asked once for each session, and again after a failure; false when it cannot be tried. Rejects only for what the kernel has no part in. */
export function refreshesTimeouts(session: Session): Promise<boolean> {
  session.refreshes ??= tryIt(session).catch((error: unknown) => {
    session.refreshes = undefined
    throw error
  })
  return session.refreshes
}

async function tryIt({ writer }: Session): Promise<boolean> {
  const add = (seconds: number): string => `add element inet ${TRIAL} s { 1 timeout ${seconds}s }\n`
  try {
    await writer.run(`add table inet ${TRIAL}\nadd set inet ${TRIAL} s { type mark; flags timeout; }\n${add(SHORT_S)}`)
    await writer.run(add(LONG_S))
    const [element] = elementsOf(await writer.list(`list set inet ${TRIAL} s`))
    return (element?.expiresS ?? 0) > SHORT_S
  } catch (error) {
    if (error instanceof NftError) return false
    throw error
  } finally {
    // A table that stays says the same once more, and nothing reaches it.
    await writer.run(`add table inet ${TRIAL}\ndelete table inet ${TRIAL}\n`).catch(refused)
  }
}

/** What the kernel refuses is no failure of the question; anything else is. */
function refused(error: unknown): void {
  if (!(error instanceof NftError)) throw error
}
