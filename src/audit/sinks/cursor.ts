// How far a sink is, and what became of everything before: a small file, replaced as a whole and synced, so that after a crash
// it is the old one or the new. Its numbers add up: `sequence - from` events were delivered, set aside, left out by the
// sink's own filter, or gone from the journal before they could be delivered.

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Json } from '../../base/canonical.js'
import { isObject, parseJson } from '../../base/json.js'
import { syncDirectory } from '../file.js'
import { sinkFault } from './errors.js'

export const CURSOR_FORMAT = 'sluice-sink-cursor/1'

/** Counts of events since the sink began with this chain. */
export interface Settled {
  readonly delivered: number
  /** Refused by the receiver for good, and kept in the file of dead letters. */
  readonly dead: number
  /** The sink's own filter did not want them. */
  readonly leftOut: number
  /** The journal did not have them any more. */
  readonly discarded: number
}

export interface Cursor extends Settled {
  readonly chain: string
  /** Everything after this one counts. */
  readonly from: number
  /** Everything up to and with this one is settled. */
  readonly sequence: number
  /** Of an outage that the trail was told of and that has not ended; milliseconds since 1970. */
  readonly failingSinceMs?: number
  /** How it stood with the chains before this one when they ended, newest last; the last sixteen. */
  readonly earlier?: readonly Stretch[]
}

/** What became of one chain. */
export interface Stretch extends Settled {
  readonly chain: string
  readonly from: number
  readonly sequence: number
}

const MAX_EARLIER = 16

/** The cursor at the beginning of another chain. */
export function onChain({ chain: ended, from, sequence, earlier = [], ...cursor }: Cursor, chain: string): Cursor {
  const { delivered, dead, leftOut, discarded, failingSinceMs } = cursor
  const last = { chain: ended, from, sequence, delivered, dead, leftOut, discarded }
  const kept = ended === '' ? earlier : [...earlier, last].slice(-MAX_EARLIER)
  return {
    ...FIRST_CURSOR,
    chain,
    ...(kept.length > 0 ? { earlier: kept } : {}),
    ...(failingSinceMs === undefined ? {} : { failingSinceMs }),
  }
}

export const NOTHING_SETTLED: Settled = { delivered: 0, dead: 0, leftOut: 0, discarded: 0 }
/** Before the first event of any chain. */
export const FIRST_CURSOR: Cursor = { chain: '', from: 0, sequence: 0, ...NOTHING_SETTLED }

const NUMBERS = ['from', 'sequence', 'delivered', 'dead', 'leftOut', 'discarded'] as const

/** undefined when there is none yet. Throws AUDIT_CURSOR_DAMAGED, and what the system says. */
export function readCursor(file: string): Cursor | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const found = parsed(text)
  if (!found || !addsUp(found)) throw sinkFault('AUDIT_CURSOR_DAMAGED', { file })
  return found
}

function parsed(text: string): Cursor | undefined {
  try {
    const value = parseJson(text)
    if (!isObject(value) || value.format !== CURSOR_FORMAT) return undefined
    const stretch = stretchOf(value)
    const { failingSinceMs: since, earlier } = value
    if (!stretch) return undefined
    const before = Array.isArray(earlier) ? earlier.map(stretchOf) : []
    if (before.some((one) => one === undefined || !addsUp(one))) return undefined
    return {
      ...stretch,
      ...(typeof since === 'number' ? { failingSinceMs: since } : {}),
      ...(before.length > 0 ? { earlier: before as Stretch[] } : {}),
    }
  } catch {
    // No JSON is no cursor either; the caller says so.
    return undefined
  }
}

function stretchOf(value: Json): Stretch | undefined {
  if (!isObject(value) || typeof value.chain !== 'string') return undefined
  const { chain } = value
  const [from, sequence, delivered, dead, leftOut, discarded] = NUMBERS.map((name) => Number(value[name]))
  const all = { chain, from, sequence, delivered, dead, leftOut, discarded } as Stretch
  return NUMBERS.every((name) => Number.isSafeInteger(all[name]) && all[name] >= 0) ? all : undefined
}

/** Whether every event between `from` and `sequence` is accounted for. */
export const addsUp = ({ from, sequence, delivered, dead, leftOut, discarded }: Stretch): boolean =>
  sequence - from === delivered + dead + leftOut + discarded

/** On return it is on stable storage. Throws what the system says; the old one then stands. */
export function writeCursor(file: string, cursor: Cursor): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const temporary = `${file}.new`
  const handle = openSync(temporary, 'w', 0o600)
  try {
    writeSync(handle, `${JSON.stringify({ format: CURSOR_FORMAT, ...cursor })}\n`)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  renameSync(temporary, file)
  syncDirectory(dirname(file))
}
