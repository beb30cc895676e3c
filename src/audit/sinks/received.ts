// What a sink has, where it can be looked at: the files of a sink `file`, the messages of a JetStream stream, or files that
// somebody brought from the receiver. What HTTP and syslog receivers keep is theirs to show.

import { existsSync } from 'node:fs'
import { decodeUtf8 } from '../../base/bytes.js'
import { sinkFault } from './errors.js'
import { rotatedFiles } from './file-sink.js'
import { connectTo, type NatsSinkTerms } from './nats-sink.js'
import type { SinkConfig } from './open.js'
import { eventsIn, type Received } from './reconcile.js'
import { placeOf } from './spool.js'

export interface Arrivals {
  /** As people are told where somebody looked: `3 files`, `stream SLUICE`. */
  readonly place: string
  readonly files: number
  /** Oldest first; `unreadable` hears of what is no event. Throws AUDIT_SINK_UNAVAILABLE, and what the system says. */
  readonly events: (unreadable: () => void) => AsyncIterable<Received>
}

/** undefined where there is nothing to look at. */
export function arrivalsOf(sink: SinkConfig, brought: readonly string[]): Arrivals | undefined {
  if (sink.kind === 'nats' && brought.length === 0)
    return { place: `stream ${sink.stream}`, files: 0, events: (unreadable) => messages(sink, unreadable) }
  const files = brought.length > 0 ? brought : sink.kind === 'file' ? filesOf(sink.path) : []
  if (files.length === 0) return undefined
  const place = `${files.length} file${files.length === 1 ? '' : 's'}`
  return { place, files: files.length, events: (unreadable) => eventsIn(files, unreadable) }
}

const filesOf = (path: string): readonly string[] =>
  existsSync(path) ? [...rotatedFiles(path).map((file) => file.path), path] : []

/** Everything that the stream has under the subject, once; what is published meanwhile is not waited for. */
async function* messages(terms: NatsSinkTerms, unreadable: () => void): AsyncGenerator<Received> {
  const { jetstream, jetstreamManager } = await import('@nats-io/jetstream')
  const connection = await connectTo(terms)
  try {
    const manager = await jetstreamManager(connection)
    const { state } = await manager.streams.info(terms.stream, { subjects_filter: terms.subject })
    let left = state.subjects?.[terms.subject] ?? 0
    if (left === 0) return
    const consumer = await jetstream(connection).consumers.get(terms.stream, { filter_subjects: terms.subject })
    const stream = await consumer.consume()
    for await (const message of stream) {
      const place = placeOf(decodeUtf8(message.data) ?? '')
      if (place) yield place
      else unreadable()
      left--
      if (left === 0 || message.info.pending === 0) break
    }
  } catch (cause) {
    throw sinkFault('AUDIT_SINK_UNAVAILABLE', { sink: terms.name, why: `${terms.stream} cannot be read` }, { cause })
  } finally {
    await connection.close()
  }
}
