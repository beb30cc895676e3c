// Following a channel: ask, follow the roots that came, take in freshness, apply what is new, tend what is there; again and
// again, until told to stop. Bytes that were refused are not judged twice (design section 7). A source that does not answer
// changes nothing until freshness says otherwise; tending goes on all the same.

import { Fault } from '../base/fault.js'
import type { BundleBytes } from '../bundle/model.js'
import { type PollEffects, type PollTerms, poll } from './transports/poll.js'
import type { Transport } from './transports/transport.js'

/** What one pass does with what came; each opens the node for itself, so that other commands have their turn. */
export interface Followed {
  readonly channel: string
  /** Follows roots and gives the version that is trusted now. */
  readonly roots: (statements: readonly Uint8Array[]) => Promise<number>
  readonly rootVersion: () => number
  readonly admit: (bundle: BundleBytes, freshness: Uint8Array | undefined) => Promise<void>
  /** For a pass that brought no new bundle. */
  readonly confirm: (freshness: Uint8Array | undefined) => Promise<void>
  readonly tend: () => Promise<void>
  /** What the source or a root was refused for; admitting and confirming tell the trail by themselves. */
  readonly refused: (fault: Fault) => Promise<void>
  readonly failed: (fault: Fault, waitMs: number) => void
}

/** Runs until the signal is aborted. */
export async function follow(
  transport: Transport,
  followed: Followed,
  signal: AbortSignal,
  terms: PollTerms,
  effects: PollEffects,
): Promise<void> {
  let tag: string | undefined
  let said = ''
  const { channel } = followed
  /** Once for each reason in a row: a source that stays broken does not fill the trail. */
  const tell = async (error: unknown): Promise<void> => {
    if (!(error instanceof Fault) || error.reaction !== 'reject' || error.message === said) return
    said = error.message
    await followed.refused(error)
  }
  const told = async <T>(act: () => Promise<T>): Promise<T> => {
    try {
      return await act()
    } catch (error) {
      await tell(error)
      throw error
    }
  }
  const watched: Transport = { ...transport, fetch: (name, since) => told(() => transport.fetch(name, since)) }
  const polled = {
    channel,
    since: () => ({ rootVersion: followed.rootVersion(), ...(tag === undefined ? {} : { tag }) }),
    deliver: async (fetched: Awaited<ReturnType<Transport['fetch']>>) => {
      if (fetched.roots.length > 0) await told(() => followed.roots(fetched.roots))
      if (fetched.kind === 'unchanged') return followed.confirm(fetched.freshness)
      try {
        await followed.admit(fetched.bundle, fetched.freshness)
        tag = fetched.tag
      } catch (error) {
        // What was refused for good is not asked for again; what may pass next time is.
        if (error instanceof Fault && error.reaction === 'reject' && !PASSING.has(error.code)) tag = fetched.tag
        throw error
      }
    },
    failed: followed.failed,
  }
  const tending: PollEffects = {
    random: effects.random,
    sleep: async (ms, stopped) => {
      try {
        await followed.tend()
      } catch (error) {
        // The node was busy, or its store cannot be written just now: the next pass tends again.
        if (!(error instanceof Fault)) throw error
        followed.failed(error, ms)
      }
      await effects.sleep(ms, stopped)
    },
  }
  await poll(watched, polled, signal, terms, tending)
}

/** Refusals that the next statement, or time, can end. */
const PASSING: ReadonlySet<string> = new Set([
  'BUNDLE_STALE',
  'BUNDLE_SUPERSEDED',
  'BUNDLE_NOT_YET_VALID',
  'AGENT_CLOCK_BACK',
])
