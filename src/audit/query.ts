// Events of the journal by what they say, in order, as they stand in the file. Streams; a line that is not JSON is left out
// and counted, since finding out what became of it is the business of `verify`.

import { type FileHandle, open, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Json } from '../base/canonical.js'
import { isObject } from '../base/json.js'
import { type Batch, linesIn, textOf } from './lines.js'
import type { OcsfEvent } from './ocsf/event.js'
import { unverifiedSeal } from './seal.js'
import { readSealFile, type Segment } from './segment.js'
import { partsOf } from './walk.js'

export interface EventFilter {
  /** `device.uid` of the event. */
  readonly workspace?: string
  /** Identity or name of the clause that allowed a flow. */
  readonly clause?: string
  /** Milliseconds since 1970; from this one on, and before that one. */
  readonly sinceMs?: number
  readonly untilMs?: number
  readonly dispositions?: readonly number[]
  readonly classes?: readonly number[]
  /** `finding_info.types` of the event: kinds of findings. */
  readonly findings?: readonly string[]
  /** Only events with a higher sequence number. */
  readonly after?: number
}

export interface Found {
  /** As it stands in the file, without its line feed. */
  readonly text: string
  readonly event: OcsfEvent
  readonly sequence: number
}

/** How far the live segment was read, so that following does not begin at its start again. */
interface Reached {
  offset: number
}

/** Events that match, oldest first. `unreadable` hears of lines that are no events. Fails with the system's error. */
export async function* events(
  path: string,
  filter: EventFilter = {},
  unreadable: () => void = () => undefined,
): AsyncGenerator<Found> {
  const { after = 0 } = filter
  const wanted = (segment: Segment): boolean => after === 0 || lastOf(segment) > after
  for await (const { batches } of partsOf(path, wanted)) yield* matching(batches, filter, unreadable)
}

async function* matching(
  batches: AsyncIterable<Batch>,
  filter: EventFilter,
  unreadable: () => void,
  reached?: Reached,
): AsyncGenerator<Found> {
  for await (const { lines, torn, offset } of batches) {
    if (torn) continue
    for (const line of lines) {
      if (!mayMatch(line, filter)) continue
      const text = textOf(line)
      const event = read(text)
      if (!event) unreadable()
      else if (matches(event, filter)) yield { text, event, sequence: Number(event.metadata.sequence) }
    }
    if (reached) reached.offset = offset + lines.reduce((sum, line) => sum + line.length + 1, 0)
  }
}

/** As `events`, and then what is written, until the signal is aborted. */
export async function* followEvents(
  path: string,
  filter: EventFilter,
  signal: AbortSignal,
  pollMs = 250,
): AsyncGenerator<Found> {
  let after = filter.after ?? 0
  while (!signal.aborted) {
    // Closed segments first; each live segment is then read on from where it was left, until it is closed itself.
    for await (const found of events(path, { ...filter, after })) {
      yield found
      after = found.sequence
      if (signal.aborted) return
    }
    const handle = await open(path, 'r').catch(() => undefined) // just closed, or not there yet: the next turn sees it
    try {
      const reached = { offset: 0 }
      while (handle && !signal.aborted && (await names(path, handle))) {
        if ((await handle.stat()).size > reached.offset)
          for await (const found of matching(linesIn(handle, reached.offset), { ...filter, after }, NOBODY, reached)) {
            yield found
            after = found.sequence
          }
        await sleep(pollMs, undefined, { signal }).catch(() => undefined) // aborted: the loop's own condition ends it
      }
    } finally {
      await handle?.close()
    }
    if (!handle) await sleep(pollMs, undefined, { signal }).catch(() => undefined) // as above
  }
}

const NOBODY = (): void => undefined

/** Whether the path still names this file. */
async function names(path: string, handle: FileHandle): Promise<boolean> {
  const [now, own] = [await stat(path).catch(() => undefined), await handle.stat()] // moved away: then it does not
  return now?.ino === own.ino && now.dev === own.dev
}

/** By its seal, whose signature does not matter here; one without a seal is read. */
const lastOf = (segment: Segment): number =>
  segment.sealed ? (unverifiedSeal(readSealFile(segment.sealPath))?.lastSequence ?? Infinity) : Infinity

/** A look at the text that saves reading most lines. */
const mayMatch = (line: string, { workspace, clause, classes, findings, after }: EventFilter): boolean =>
  (workspace === undefined || line.includes(asWritten(workspace))) &&
  (clause === undefined || line.includes(asWritten(clause))) &&
  (classes === undefined || classes.some((uid) => line.includes(`"class_uid":${uid},`))) &&
  (findings === undefined || findings.some((kind) => line.includes(asWritten(kind)))) &&
  (after === undefined || after === 0 || Number(/"sequence":(\d+),/.exec(line)?.[1]) > after)

/** In a text with one character an octet. */
const asWritten = (text: string): string => Buffer.from(JSON.stringify(text)).toString('latin1')

/** The platform's parser: it is what reads a million lines in seconds, and nothing rests on how it takes doubtful JSON. */
function read(text: string): OcsfEvent | undefined {
  try {
    const event = JSON.parse(text) as Json
    return isObject(event) && isObject(event.metadata) ? (event as unknown as OcsfEvent) : undefined
  } catch {
    // Not JSON: the caller counts it.
    return undefined
  }
}

const member = (value: Json | undefined, name: string): Json | undefined => (isObject(value) ? value[name] : undefined)

function typesOf(event: OcsfEvent): readonly string[] {
  const types = member(event.finding_info, 'types')
  return Array.isArray(types) ? types.filter((type) => typeof type === 'string') : []
}

function matches(event: OcsfEvent, filter: EventFilter): boolean {
  const { workspace, clause, sinceMs, untilMs, dispositions, classes, findings, after } = filter
  if (after !== undefined && !(Number(event.metadata.sequence) > after)) return false
  if (sinceMs !== undefined && event.time < sinceMs) return false
  if (untilMs !== undefined && event.time >= untilMs) return false
  if (classes !== undefined && !classes.includes(event.class_uid)) return false
  if (findings !== undefined && !typesOf(event).some((type) => findings.includes(type))) return false
  if (dispositions !== undefined && !dispositions.includes(Number(event.disposition_id))) return false
  if (workspace !== undefined && member(event.device, 'uid') !== workspace) return false
  if (clause === undefined) return true
  return member(event.unmapped, 'clause') === clause || member(event.firewall_rule, 'name') === clause
}
