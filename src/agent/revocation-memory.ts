// What the receiver remembers in the state directory: events that are to be done (`inbox`), events that were done (`done`, so that a
// replay does nothing), and when each stream was heard. An event is a file named by its issue time and its key; doing it moves the
// file from one folder to the other, so that a crash leaves it in exactly one of them.
//
// Done events are kept as long as a replay of them could be accepted, up to a number. What is forgotten early could at worst fence a
// workspace a second time; it never opens one.

import { join } from 'node:path'
import { utf8 } from '../base/bytes.js'
import type { Json } from '../base/canonical.js'
import { eventOfUri, type Payload, type StreamWord } from '../revocation/events.js'
import type { SecurityEvent } from '../revocation/model.js'
import type { EventMemory } from '../revocation/receiver.js'
import { SET_AHEAD_MS, SET_OLDEST_MS } from '../revocation/set.js'
import { firstRecord, type StreamRecord, withHeard, withStatus } from '../revocation/silence.js'
import { agentFault } from './errors.js'
import { NODE_FILES, replaceFile, type StateFiles } from './files.js'
import { Fields, RecordProblem, seal, unseal } from './record.js'

export const REVOCATION = 'revocation'
export const EVENT_FORMAT = 'sluice-security-event/1'
export const STREAMS_FORMAT = 'sluice-streams/1'
/** Done events; the oldest go first. */
export const DONE_KEPT = 10_000
/** Events that are to be done: they are read again every second. What does not fit is not acknowledged, so its transmitter has it. */
const INBOX_KEPT = 1_000

const INBOX = 'inbox'
const DONE = 'done'
const STREAMS = 'streams.json'
const NAME = /^(\d{15})-([0-9a-f]{32})\.json$/

export class RevocationMemory implements EventMemory {
  private readonly directory: string
  /** Keys of what was done, by the name of their file. */
  private readonly done = new Map<string, string>()
  /** Likewise of what is to be done. One event may come again with another issue time, and is one file all the same. */
  private readonly inbox = new Map<string, string>()
  private streams: ReadonlyMap<string, StreamRecord>

  /** Throws AGENT_STORE_DAMAGED, AGENT_STORE_FORMAT, AGENT_STORE_WRITE. */
  constructor(
    stateDirectory: string,
    private readonly nowMs: () => number,
    private readonly files: StateFiles = NODE_FILES,
    private readonly most: number = DONE_KEPT,
  ) {
    this.directory = join(stateDirectory, REVOCATION)
    for (const folder of [INBOX, DONE])
      this.write(folder, () => {
        files.makeDirectory(join(this.directory, folder))
      })
    for (const name of [...files.list(join(this.directory, DONE))].sort()) {
      const [, , key] = NAME.exec(name) ?? []
      if (key !== undefined) this.done.set(key, name)
    }
    for (const name of [...files.list(join(this.directory, INBOX))].sort()) {
      const [, , key] = NAME.exec(name) ?? []
      if (key === undefined) continue
      if (this.done.has(key) || this.inbox.has(key)) this.drop(INBOX, name)
      else this.inbox.set(key, name)
    }
    this.streams = readStreams(stateDirectory, files)
  }

  has(key: string): boolean {
    return this.done.has(key)
  }

  keeps(key: string): boolean {
    return this.inbox.has(key)
  }

  pend(key: string, event: SecurityEvent): void {
    const name = this.inbox.get(key) ?? nameOf(key, event)
    const path = join(this.directory, INBOX, name)
    this.write(path, () => {
      if (!this.inbox.has(key) && this.inbox.size >= INBOX_KEPT) throw new RangeError('too many events wait to be done')
      replaceFile(this.files, path, utf8(seal(EVENT_FORMAT, bodyOf(event))))
    })
    this.inbox.set(key, name)
  }

  /** A file that cannot be read back was never kept, and so not acknowledged: its transmitter still has it. */
  pending(): readonly { readonly key: string; readonly event: SecurityEvent }[] {
    return [...this.files.list(join(this.directory, INBOX))].sort().flatMap((name) => {
      const [, , key] = NAME.exec(name) ?? []
      const bytes = key === undefined ? undefined : this.files.read(join(this.directory, INBOX, name))
      const event = bytes && eventFrom(bytes)
      return key === undefined || !event ? [] : [{ key, event }]
    })
  }

  settle(key: string, event: SecurityEvent): void {
    const name = nameOf(key, event)
    const kept = this.inbox.get(key) ?? name
    this.write(name, () => {
      this.files.rename(join(this.directory, INBOX, kept), join(this.directory, DONE, name))
      for (const folder of [DONE, INBOX]) this.files.syncDirectory(join(this.directory, folder))
    })
    this.inbox.delete(key)
    this.done.set(key, name)
    this.forget()
  }

  heard(stream: string, iatMs: number): void {
    this.change(stream, (record, nowMs) => withHeard(record, iatMs, nowMs))
  }

  status(stream: string, word: StreamWord, iatMs: number): void {
    this.change(stream, (record) => withStatus(record, word, iatMs))
  }

  /** A stream that was never heard begins its window now, and durably. */
  record(stream: string): StreamRecord {
    const known = this.streams.get(stream)
    if (known) return known
    this.change(stream, (record) => record)
    return this.streams.get(stream) ?? firstRecord(this.nowMs())
  }

  private change(stream: string, change: (record: StreamRecord, nowMs: number) => StreamRecord): void {
    const nowMs = this.nowMs()
    const known = this.streams.get(stream)
    const next = change(known ?? firstRecord(nowMs), nowMs)
    const isSame = known && JSON.stringify(known) === JSON.stringify(next)
    if (isSame) return
    const streams = new Map(this.streams).set(stream, next)
    const path = join(this.directory, STREAMS)
    const body = [...streams].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, record]) => ({ name, ...record }))
    this.write(path, () => {
      replaceFile(this.files, path, utf8(seal(STREAMS_FORMAT, body)))
    })
    this.streams = streams
  }

  /** What is too old to be replayed, and what is more than is kept. */
  private forget(): void {
    const oldest = this.nowMs() - SET_OLDEST_MS - SET_AHEAD_MS
    for (const [key, name] of this.done) {
      const [, at] = NAME.exec(name) ?? []
      if (this.done.size <= this.most && Number(at) >= oldest) return
      this.done.delete(key)
      this.drop(DONE, name)
    }
  }

  private drop(folder: string, name: string): void {
    try {
      this.files.remove(join(this.directory, folder, name))
    } catch {
      // It is in nobody's way, and goes after the next start.
    }
  }

  private write(path: string, action: () => void): void {
    try {
      action()
    } catch (cause) {
      throw agentFault('AGENT_STORE_WRITE', { file: path }, { cause })
    }
  }
}

const nameOf = (key: string, { iatMs }: SecurityEvent): string => `${String(iatMs).padStart(15, '0')}-${key}.json`

const bodyOf = ({ name: _read, ...event }: SecurityEvent): Json => event

function eventFrom(bytes: Uint8Array): SecurityEvent | undefined {
  try {
    const body = unseal(bytes, EVENT_FORMAT)
    const at = new Fields(body, 'event')
    const type = at.text('type')
    const name = eventOfUri(type)
    const { subId = null, payload } = body as { readonly subId?: Json; readonly payload?: Payload }
    return {
      stream: at.text('stream'),
      issuer: at.text('issuer'),
      jti: at.text('jti'),
      iatMs: at.count('iatMs'),
      subId,
      type,
      ...(name === undefined ? {} : { name }),
      payload: payload ?? {},
      receivedAtMs: at.count('receivedAtMs'),
      from: at.text('from'),
    }
  } catch (error) {
    // Half a file of a disk that lost power.
    if (error instanceof RecordProblem) return undefined
    throw error
  }
}

/** When each stream was heard, as the disk has it; also for a process that receives nothing. Throws AGENT_STORE_DAMAGED, AGENT_STORE_FORMAT. */
export function readStreams(stateDirectory: string, files: StateFiles = NODE_FILES): ReadonlyMap<string, StreamRecord> {
  const file = join(stateDirectory, REVOCATION, STREAMS)
  const bytes = files.read(file)
  if (!bytes) return new Map()
  try {
    const body = new Fields({ streams: unseal(bytes, STREAMS_FORMAT) }, 'file')
    return new Map(
      body.list('streams', (at) => [
        at.text('name'),
        { heardAtMs: at.count('heardAtMs'), status: wordOf(at.text('status')), statusAtMs: at.count('statusAtMs') },
      ]),
    )
  } catch (error) {
    if (!(error instanceof RecordProblem)) throw error
    throw error.kind === 'format'
      ? agentFault('AGENT_STORE_FORMAT', { file, format: error.message })
      : agentFault('AGENT_STORE_DAMAGED', { file, why: error.message })
  }
}

function wordOf(text: string): StreamWord {
  const word = (['enabled', 'paused', 'disabled'] as const).find((one) => one === text)
  if (word === undefined) throw new RecordProblem('damaged', 'a status is none')
  return word
}
