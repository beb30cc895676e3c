// The journal as the gRPC server shows it: how far it goes, and its lines after a place. Only what is on stable storage leaves,
// since the number of a line whose sync failed is given to another event, and a reader that keeps a copy would have both.

import type { AgentPorts } from '../api/ports.js'
import type { Mark } from '../audit/head.js'
import type { JournalStatus } from '../audit/journal.js'
import { oldestIn, Spool } from '../audit/sinks/spool.js'
import { utf8 } from '../base/bytes.js'

export interface JournalPorts {
  readonly eventsFile: string
  readonly mark: Pick<Mark, 'read'>
  /** Of this process's own writer. */
  readonly status: () => JournalStatus | undefined
  /** Resolves after that long, or when woken; never rejects. */
  readonly sleep: (ms: number, wake: AbortSignal) => Promise<void>
}

const POLL_MS = 250
const BATCH = { events: 500, octets: 1 << 20 }

export function trailPorts({
  eventsFile,
  mark,
  status,
  sleep,
}: JournalPorts): Required<Pick<AgentPorts, 'trail' | 'events'>> {
  const durable = (): number => Math.max(mark.read()?.sequence ?? 0, status()?.sequence ?? 0)
  return {
    trail: async () => {
      const [oldest, newest] = [await oldestIn(eventsFile), mark.read()]
      const { chain = '', sequence = 0, fingerprint = '' } = newest ?? {}
      const [first, last] = [oldest?.sequence ?? 0, durable()]
      // A mark that could not be written lags behind, and then nothing is said of the newest but its number.
      return { chain, first, last, fingerprint: last === sequence ? fingerprint : '', lost: status()?.lost ?? 0 }
    },
    events: async function* (after, chain, signal) {
      const counted = chain === '' ? ((await oldestIn(eventsFile))?.chain ?? '') : chain
      // What the journal has retired meanwhile shows to the reader as a number that is jumped over.
      const spool = new Spool(eventsFile, { chain: counted, sequence: after }, durable, () => undefined)
      try {
        while (!signal.aborted) {
          const lines = await spool.next(BATCH.events, BATCH.octets)
          for (const { sequence, text } of lines) yield { sequence, line: utf8(text) }
          if (lines.length === 0) await sleep(POLL_MS, signal)
        }
      } finally {
        await spool.close()
      }
    },
  }
}
