// The agent's way to the audit trail when no agent is running: each batch of facts opens the journal, appends and closes it,
// under a lock of its own, because several commands may have something to say at once. It never throws: enforcement does
// not wait for a sink, and what could not be written is told to whoever ran the command.

import type { Fact } from '../audit/fact.js'
import { type JournalOptions, openJournal } from '../audit/journal.js'
import { causeChain } from '../base/fault.js'
import { withLock } from './lock.js'

const LOCK_WAIT_MS = 5_000

export interface Trail {
  readonly emit: (facts: readonly Fact[]) => Promise<void>
  /** What could not be written so far, as a sentence; undefined when all of it was. */
  readonly unwritten: () => string | undefined
}

/** `path` is the events file, `lock` the file that serialises writers. */
export function openTrail(path: string, lock: string, options: JournalOptions): Trail {
  let lost = 0
  let why = ''
  return {
    emit: async (facts) => {
      if (facts.length === 0) return
      try {
        await withLock(lock, LOCK_WAIT_MS, async () => {
          const journal = await openJournal(path, options)
          for (const fact of facts) journal.emit(fact)
          const status = await journal.close()
          if (status.lost > 0) throw status.failure ?? new Error('the disk refused')
        })
      } catch (error) {
        lost += facts.length
        why = causeChain(error).join(': ')
      }
    },
    unwritten: () => (lost === 0 ? undefined : `${lost} event(s) are missing from ${path}: ${why}`),
  }
}
