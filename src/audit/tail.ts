// The end of a journal after a restart: where the last whole line ends, which sequence number it has, and how many octets
// of a torn line follow it. A file whose last whole line is not an event of ours is refused rather than written to.

import { decodeUtf8 } from '../base/bytes.js'
import { isObject, JsonError, parseJson } from '../base/json.js'
import { auditFault } from './errors.js'
import type { JournalFile } from './file.js'

export interface Tail {
  /** Octets up to and with the last line feed. */
  readonly length: number
  /** Sequence number of the last whole event; 0 when there is none. */
  readonly sequence: number
  /** Octets after the last line feed. */
  readonly tornBytes: number
}

/** More than any event of ours: every text in it is bounded (`ocsf/event.ts`). */
const MAX_LINE_BYTES = 1 << 20
const LINE_FEED = 0x0a
/** How every line of ours begins (`eventOf`). */
const START = '{"class_uid":'

/** Throws AUDIT_JOURNAL_FOREIGN for a file that is not ours; errors of the disk pass through. */
export async function readTail(file: JournalFile, path: string): Promise<Tail> {
  const size = await file.size()
  if (size === 0) return { length: 0, sequence: 0, tornBytes: 0 }
  const from = Math.max(0, size - 2 * MAX_LINE_BYTES)
  const bytes = await file.read(from, size - from)
  const last = bytes.lastIndexOf(LINE_FEED)
  if (last < 0) {
    // A crash during the very first write leaves a beginning of a line of ours, or zeros where data never arrived.
    const head = String.fromCharCode(...bytes.subarray(0, START.length))
    const zeros = bytes.every((byte) => byte === 0)
    if (from === 0 && (zeros || START.startsWith(head) || head === START))
      return { length: 0, sequence: 0, tornBytes: size }
    throw auditFault('AUDIT_JOURNAL_FOREIGN', { path, why: 'it holds no line of an event' })
  }
  const start = last === 0 ? 0 : bytes.lastIndexOf(LINE_FEED, last - 1) + 1
  return {
    length: from + last + 1,
    sequence: sequenceOf(bytes.subarray(start, last), path),
    tornBytes: size - (from + last + 1),
  }
}

function sequenceOf(line: Uint8Array, path: string): number {
  const text = decodeUtf8(line)
  if (text === undefined) throw auditFault('AUDIT_JOURNAL_FOREIGN', { path, why: 'its last line is not UTF-8' })
  try {
    const event = parseJson(text)
    const metadata = isObject(event) ? event.metadata : undefined
    const sequence = isObject(metadata) ? metadata.sequence : undefined
    if (Number.isSafeInteger(sequence) && Number(sequence) > 0) return Number(sequence)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw auditFault('AUDIT_JOURNAL_FOREIGN', { path, why: 'its last line is not JSON' }, { cause: error })
  }
  throw auditFault('AUDIT_JOURNAL_FOREIGN', { path, why: 'its last line has no metadata.sequence' })
}
