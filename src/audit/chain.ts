// The rule of the chain: how an event becomes a line of the journal, and what a line must say to follow another one. A line
// is the RFC 8785 form of its event, with an OCSF attestation (1.9 `record_integrity`; under `unmapped` in 1.8.0) that holds
// the fingerprint of the event before it and its own. The fingerprint is SHA-256 over the line without that one member.
//
// A text that comes from a file has one character for each octet (latin1): what is hashed is what is on the disk, so that
// no octet can change unnoticed. The hash comes in as a value. Refuses nothing: what is no line of ours gives undefined.

import { canonicalize } from '../base/canonical.js'
import type { OcsfEvent } from './ocsf/event.js'

/** 64 lower-case hex digits. Hashes the characters of the text as octets. */
export type HashText = (text: string) => string

/** The last event of a chain: what the next one follows. */
export interface ChainPoint {
  /** UUID of the chain, the same from its first event to its last. */
  readonly chain: string
  readonly sequence: number
  /** `metadata.uid` of the event. */
  readonly uid: string
  readonly fingerprint: string
}

/** An event printed, with room for what only the moment of writing knows. */
export interface Framed {
  readonly uid: string
  readonly head: string
  readonly middle: string
  readonly tail: string
}

// Numbers that stand for themselves nowhere else: quotes inside a JSON text are escaped, so `"sequence":-1` is the member.
const SEQUENCE = '"sequence":'
const ATTESTATIONS = '"attestation_list":'

/** Prints the event; the sequence number that it carries so far is of no account. */
export function frame(event: OcsfEvent): Framed {
  const { metadata } = event
  const unmapped = (event.unmapped ?? {}) as Readonly<Record<string, string>>
  const text = canonicalize({
    ...event,
    metadata: { ...metadata, sequence: -1 },
    unmapped: { ...unmapped, attestation_list: -1 },
  })
  const first = text.indexOf(`${SEQUENCE}-1`) + SEQUENCE.length
  const second = text.indexOf(`${ATTESTATIONS}-1`, first) + ATTESTATIONS.length
  return {
    uid: typeof metadata.uid === 'string' ? metadata.uid : '',
    head: text.slice(0, first),
    middle: text.slice(first + 2, second),
    tail: text.slice(second + 2),
  }
}

const hashed = (value: string): string => `"fingerprint":{"algorithm_id":3,"value":"${value}"}`

/** The line for an event that follows `before`, without its line feed, and the point that the next one follows. */
export function link(
  framed: Framed,
  before: Omit<ChainPoint, 'uid' | 'fingerprint'> & Partial<ChainPoint>,
  hash: HashText,
): { readonly line: string; readonly point: ChainPoint } {
  const { chain, uid, fingerprint } = before
  const sequence = before.sequence + 1
  const head = `${framed.head}${sequence}${framed.middle}[{"chain_uid":"${chain}"`
  const previous =
    uid === undefined || fingerprint === undefined ? '' : `,"prev_event":{${hashed(fingerprint)},"uid":"${uid}"}`
  const tail = `${previous}}]${framed.tail}`
  const own = hash(`${head}${tail}`)
  return {
    line: `${head},${hashed(own)}${tail}`,
    point: { chain, sequence, uid: framed.uid, fingerprint: own },
  }
}

/** What a line says of its place in the chain. */
export interface Link extends ChainPoint {
  /** Absent in the first event of a chain. */
  readonly before?: { readonly uid: string; readonly fingerprint: string }
  /** Whether its own fingerprint is that of its text. */
  readonly intact: boolean
}

const HASHED = ',"fingerprint":\\{"algorithm_id":3,"value":"([0-9a-f]{64})"\\}'
const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
const ATTESTATION = new RegExp(
  `${ATTESTATIONS}\\[\\{"chain_uid":"(${UUID})"${HASHED}(?:,"prev_event":\\{${HASHED.slice(1)},"uid":"(${UUID})"\\})?\\}\\]`,
  'y',
)
const IDENTITY = new RegExp(`${SEQUENCE}([1-9]\\d{0,14}),(?:"tenant_uid":"[^"]*",)?"uid":"(${UUID})","version":"`)

// untrusted: `line` comes from a file that anybody with the right to write may have changed.
/** Reads a line, one character an octet, without its line feed; undefined when it is no line of a chain. */
export function readLink(line: string, hash: HashText): Link | undefined {
  ATTESTATION.lastIndex = line.lastIndexOf(`${ATTESTATIONS}[{`)
  const found = ATTESTATION.lastIndex < 0 ? null : ATTESTATION.exec(line)
  const identity = IDENTITY.exec(line)
  if (!found || !identity || !line.startsWith('{') || !line.endsWith('}')) return undefined
  const [, chain = '', fingerprint = '', before, uid] = found
  const at = found.index + `${ATTESTATIONS}[{"chain_uid":"${chain}"`.length
  const own = hash(line.slice(0, at) + line.slice(at + `,${hashed(fingerprint)}`.length))
  return {
    chain,
    sequence: Number(identity[1]),
    uid: identity[2] ?? '',
    fingerprint,
    ...(before === undefined || uid === undefined ? {} : { before: { uid, fingerprint: before } }),
    intact: own === fingerprint,
  }
}

/** How a line stands to the event before it. */
export type Following =
  | 'follows'
  /** The numbers go on, but the event before is another one than when this line was written. */
  | 'predecessor-differs'
  /** Numbers are left out. */
  | 'events-missing'
  /** Its number was there already: put in, repeated, or moved. */
  | 'out-of-order'
  | 'another-chain'

/** Whether `link` follows `before`; undefined stands for the beginning of a chain. */
export function following(before: ChainPoint | undefined, link: Link): Following {
  if (before === undefined) return link.before === undefined && link.sequence === 1 ? 'follows' : 'events-missing'
  if (before.chain !== link.chain) return 'another-chain'
  if (link.sequence > before.sequence + 1) return 'events-missing'
  if (link.sequence <= before.sequence) return 'out-of-order'
  return link.before?.fingerprint === before.fingerprint && link.before.uid === before.uid
    ? 'follows'
    : 'predecessor-differs'
}
