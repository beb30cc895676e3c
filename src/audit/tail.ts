// The end of a journal's file: where the last whole line ends, which point of the chain it is, and how many octets of a
// torn line follow it. A file whose last whole line is not a line of ours is refused rather than written to.
//
// A crash may leave more than half a line: pages that never arrived read as zeros, and a zero never stands in a line of
// ours. Everything from the line of the first zero on goes, within the last two mebibytes, which hold any batch.

import { decodeUtf8 } from '../base/bytes.js'
import { JsonError, parseJson } from '../base/json.js'
import { type ChainPoint, readLink } from './chain.js'
import { auditFault } from './errors.js'
import { hashOctets, type JournalFile } from './file.js'
import { MAX_LINE_BYTES } from './lines.js'

export interface Tail {
  /** Octets up to and with the last line feed that counts. */
  readonly length: number
  /** The last whole event; absent when there is none. */
  readonly point?: ChainPoint
  /** Octets after that line feed. */
  readonly tornBytes: number
}

const LINE_FEED = 0x0a
/** How every line of ours begins: the first member in the order of RFC 8785 is one of these. */
const STARTS = ['{"action_id":', '{"activity_id":']

/** Throws AUDIT_JOURNAL_FOREIGN for a file that is not ours; errors of the disk pass through. */
export async function readTail(file: JournalFile, path: string, size: number): Promise<Tail> {
  if (size === 0) return { length: 0, tornBytes: 0 }
  const from = Math.max(0, size - 2 * MAX_LINE_BYTES)
  const all = await file.read(from, size - from)
  const zero = all.indexOf(0)
  const bytes = zero < 0 ? all : all.subarray(0, zero)
  const last = bytes.lastIndexOf(LINE_FEED)
  if (last < 0) {
    // A crash during the very first write leaves a beginning of a line of ours, or zeros where data never arrived.
    const head = String.fromCharCode(...bytes.subarray(0, 20))
    const ours =
      head === '' ? all.every((byte) => byte === 0) : STARTS.some((at) => at.startsWith(head) || head.startsWith(at))
    if (from === 0 && ours) return { length: 0, tornBytes: size }
    throw auditFault('AUDIT_JOURNAL_FOREIGN', { path, why: 'it holds no line of an event' })
  }
  const start = last === 0 ? 0 : bytes.lastIndexOf(LINE_FEED, last - 1) + 1
  return {
    length: from + last + 1,
    point: pointOf(bytes.subarray(start, last), path),
    tornBytes: size - (from + last + 1),
  }
}

function pointOf(line: Uint8Array, path: string): ChainPoint {
  const foreign = (why: string, cause?: unknown) => auditFault('AUDIT_JOURNAL_FOREIGN', { path, why }, { cause })
  const text = decodeUtf8(line)
  if (text === undefined) throw foreign('its last line is not UTF-8')
  try {
    parseJson(text)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw foreign('its last line is not JSON', error)
  }
  const link = readLink(Buffer.from(line).toString('latin1'), hashOctets)
  if (link === undefined) throw foreign('its last line is no link of a chain')
  if (!link.intact) throw foreign('its last line was changed')
  const { chain, sequence, uid, fingerprint } = link
  return { chain, sequence, uid, fingerprint }
}
