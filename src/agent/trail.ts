// The agent's way to the audit trail: one journal, written under a lock of its own, because several commands and a running
// agent may have something to say at once. Telling never throws: enforcement does not wait for a sink, and what could not be
// written is counted and told to whoever asks.

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ChainPoint } from '../audit/chain.js'
import type { Fact } from '../audit/fact.js'
import type { Mark } from '../audit/head.js'
import { type Journal, type JournalOptions, type JournalStatus, openJournal } from '../audit/journal.js'
import { causeChain } from '../base/fault.js'
import type { RetentionConfig } from './config-sinks.js'
import { AGENT_KEY, AGENT_PUBLIC_KEY, agentSigner } from './key.js'
import { waitForLock } from './lock.js'
import type { Keep } from './node.js'

const LOCK_WAIT_MS = 5_000

export interface TrailOptions extends JournalOptions {
  /** `awaited`: `emit` ends when the facts are on disk, for one command. `queued`: at once, for a running agent, which closes. */
  readonly delivery?: 'awaited' | 'queued'
}

export interface Trail {
  readonly emit: (facts: readonly Fact[]) => Promise<void>
  /**
   * As `emit`, and answers with a question: are they on disk? It makes one attempt, and says `lost` where anything was lost since they
   * were told, since what waits has no names. Never throws.
   */
  readonly keep: Keep
  /** What could not be written so far, as a sentence; undefined when all of it was. */
  readonly unwritten: () => string | undefined
  /** As it was last seen; undefined until the journal could be opened. */
  readonly status: () => JournalStatus | undefined
  /** Closes the live segment and seals it. Throws what opening and sealing throw. */
  readonly rotate: () => ReturnType<Journal['rotate']>
  /** Writes what waits, in one attempt. */
  readonly close: () => Promise<void>
}

/** `path` is the events file, `lock` the file that serialises writers. */
export const openTrail = (path: string, lock: string, options: TrailOptions): Trail => {
  const terms = { ...options, exclusive: () => waitForLock(lock, LOCK_WAIT_MS) }
  return options.delivery === 'queued' ? standing(path, terms) : passing(path, terms)
}

const missing = (events: number, path: string, why: string): string | undefined =>
  events === 0 ? undefined : `${events} event(s) are missing from ${path}: ${why}`
const said = (error: unknown): string => causeChain(error).join(': ')

/** Open while something is said: a command leaves nothing behind that would have to be closed. */
function passing(path: string, terms: JournalOptions): Trail {
  let lost = 0
  let why = ''
  let last: JournalStatus | undefined
  const within = async <T>(act: (journal: Journal) => Promise<T> | T): Promise<T> => {
    const journal = await openJournal(path, terms)
    try {
      return await act(journal)
    } finally {
      last = await journal.close()
    }
  }
  const passed: Trail = {
    keep: async (facts) => {
      const before = lost
      await passed.emit(facts)
      const kept = lost === before ? 'there' : 'lost'
      return () => Promise.resolve(kept)
    },
    emit: async (facts) => {
      if (facts.length === 0) return
      try {
        await within((journal) => {
          for (const fact of facts) journal.emit(fact)
        })
        if (!last || last.lost === 0) return
        why = said(last.failure ?? new TypeError('the disk refused'))
      } catch (error) {
        why = said(error)
      }
      lost += facts.length
    },
    unwritten: () => missing(lost, path, why),
    status: () => last,
    rotate: () => within((journal) => journal.rotate()),
    close: async () => undefined,
  }
  return passed
}

/** Facts that wait in memory for a journal that cannot be opened; what comes beyond is counted, and told when it can. */
const MAX_WAITING = 4_096

/** Open as long as the agent runs; facts wait in its queue, and nobody waits for them. */
function standing(path: string, terms: JournalOptions): Trail {
  let opening: Promise<Journal> | undefined
  let journal: Journal | undefined
  let waiting: Fact[] = []
  let dropped = 0
  let why = ''
  const begun = (opened: Journal): Journal => {
    journal = opened
    const held = waiting
    waiting = []
    put(opened, held)
    if (dropped > 0) put(opened, [{ kind: 'audit-lost', cause: 'unwritten', lost: dropped, atMs: terms.nowMs() }])
    return opened
  }
  const put = (to: Journal, facts: readonly Fact[]): void => {
    try {
      for (const fact of facts) to.emit(fact)
    } catch (error) {
      dropped += facts.length
      why = said(error)
    }
  }
  const open = (): Promise<Journal> => {
    opening ??= openJournal(path, terms).then(begun, (error: unknown) => {
      opening = undefined // the next fact tries again
      throw error
    })
    return opening
  }
  const missed = (): number => dropped + (journal?.status().lost ?? 0)
  const stood: Trail = {
    keep: async (facts) => {
      const before = missed()
      await stood.emit(facts)
      return async () => {
        if (!journal || !(await journal.flush())) return 'waits'
        return missed() === before ? 'there' : 'lost'
      }
    },
    emit: async (facts) => {
      if (facts.length === 0) return
      if (journal) {
        put(journal, facts)
        return
      }
      const room = facts.slice(0, MAX_WAITING - waiting.length)
      waiting.push(...room)
      dropped += facts.length - room.length
      try {
        await open()
      } catch (error) {
        why = said(error)
      }
    },
    unwritten: () => {
      const status = journal?.status()
      return missing(waiting.length + missed(), path, status?.failure ? said(status.failure) : why)
    },
    status: () => journal?.status(),
    rotate: async () => (await open()).rotate(),
    close: async () => {
      if (waiting.length > 0) void open().catch(() => undefined) // a last attempt, which `unwritten` tells of
      await (await opening?.catch(() => undefined))?.close() // one that could not be opened has nothing to write
    },
  }
  return stood
}

/** What the trail has in the state directory. */
export const TRAIL_STATE = ['events.mark', AGENT_KEY, AGENT_PUBLIC_KEY] as const

/** Mark and seal of the journal of the node whose state directory this is. */
export const witnessed = (
  node: string,
  stateDirectory: string,
  random: (length: number) => Uint8Array,
  retention: RetentionConfig = {},
): Pick<JournalOptions, 'mark' | 'sealing'> => ({
  mark: markAt(join(stateDirectory, TRAIL_STATE[0])),
  sealing: { ...KEEP, ...retention, node, signer: agentSigner(stateDirectory, random) },
})

/** How long segments grow and how long they are kept, where the configuration says nothing else. */
export const KEEP = {
  segmentBytes: 64 << 20,
  segmentMs: 3_600_000,
  keepBytes: 2 ** 30,
  keepMs: 90 * 86_400_000,
} as const

const MARK = /^[0-9a-f-]{36} [0-9a-f-]{36} [0-9a-f]{64}$/

/**
 * The mark as a small file. It is replaced and not synced: after a power failure it may be older than the journal, never
 * newer, so it never accuses anybody wrongly.
 */
export const markAt = (path: string): Mark => ({
  read: () => {
    try {
      const { chain, sequence, uid, fingerprint } = JSON.parse(readFileSync(path, 'utf8')) as ChainPoint
      const whole = Number.isSafeInteger(sequence) && MARK.test(`${chain} ${uid} ${fingerprint}`)
      return whole ? { chain, sequence, uid, fingerprint } : undefined
    } catch {
      // No mark yet, or one that a crash tore: the journal speaks for itself, as it did before there were marks.
      return undefined
    }
  },
  write: (point) => {
    const { chain, sequence, uid, fingerprint } = point
    try {
      writeFileSync(`${path}.new`, JSON.stringify({ chain, sequence, uid, fingerprint }), { mode: 0o600 })
      renameSync(`${path}.new`, path)
    } catch {
      // A state directory that cannot be written has louder witnesses; the trail goes on without its mark.
    }
  },
})
