// Octets in, question out; reply in, octets out. Reads only what a question needs (header, one question, OPT) and refuses the
// rest before the library sees it, so that a packet cannot make it work long; the question goes back octet by octet as it
// came, since resolvers compare its case. EDNS: version 0, no options, a size that does not fragment (RFC 6891, RFC 9715).
// untrusted: every octet.

import { type Answer, type DecodedPacket, decode, encode, type OptAnswer } from 'dns-packet'
import type { Reply } from './mediate.js'

/** What is announced, and the most that is sent in one datagram. */
export const EDNS_SIZE = 1232
/** RFC 1035 section 4.2.1: without EDNS. */
const PLAIN_SIZE = 512
const HEADER = 12
const DOT = 0x2e

const FLAG = {
  response: 0x8000,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursion: 0x0080,
  authentic: 0x0020,
} as const
export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const

export interface Query {
  readonly kind: 'query'
  readonly id: number
  readonly name: string
  /** As the library names it; those that it does not know are `UNKNOWN_n`. */
  readonly type: string
  /** The question section, as it came. */
  readonly question: Uint8Array
  readonly recursionDesired: boolean
  /** The client asks to be told whether the answer was validated (RFC 6840 section 5.7). */
  readonly wantsAuthentic: boolean
  readonly edns?: { readonly size: number; readonly dnssecOk: boolean }
}

export type Received =
  | Query
  /** Not worth an answer: too short, or an answer itself. */
  | { readonly kind: 'ignored' }
  /** Answered by these octets at once. */
  | { readonly kind: 'refused'; readonly reply: Uint8Array }

export function readQuery(message: Buffer): Received {
  if (message.length < HEADER) return { kind: 'ignored' }
  const id = message.readUInt16BE(0)
  const flags = message.readUInt16BE(2)
  if ((flags & FLAG.response) !== 0) return { kind: 'ignored' }
  const refused = (rcode: number): Received => ({
    kind: 'refused',
    reply: header(id, flags & FLAG.recursionDesired, rcode, 0),
  })
  if (((flags >> 11) & 15) !== 0) return refused(RCODE.NOTIMP)
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => message.readUInt16BE(at))
  if (questions !== 1 || answers !== 0 || authorities !== 0 || (additionals ?? 0) > 2) return refused(RCODE.FORMERR)
  const end = questionEnd(message)
  if (end === undefined) return refused(RCODE.FORMERR)
  let packet: DecodedPacket
  try {
    packet = decode(message)
  } catch {
    // The library says what is wrong with it; the client is told that something is.
    return refused(RCODE.FORMERR)
  }
  const [asked] = packet.questions ?? []
  const options = (packet.additionals ?? []).filter((record): record is OptAnswer => record.type === 'OPT')
  if (!asked || options.length > 1) return refused(RCODE.FORMERR)
  const [edns] = options
  const question = Uint8Array.from(message.subarray(HEADER, end))
  // RFC 6891 section 6.1.3: BADVERS is 16, whose upper octet stands in the OPT record.
  if (edns && edns.ednsVersion !== 0)
    return { kind: 'refused', reply: assemble(id, flags & FLAG.recursionDesired, question, [], opt(1, false)) }
  if (asked.class !== 'IN')
    return {
      kind: 'refused',
      reply: assemble(id, (flags & FLAG.recursionDesired) | RCODE.REFUSED, question, [], edns && opt(0, false)),
    }
  const dnssecOk = edns?.flag_do === true
  return {
    kind: 'query',
    id,
    name: asked.name,
    type: asked.type,
    question,
    recursionDesired: (flags & FLAG.recursionDesired) !== 0,
    wantsAuthentic: dnssecOk || (flags & FLAG.authentic) !== 0,
    ...(edns ? { edns: { size: edns.udpPayloadSize, dnssecOk } } : {}),
  }
}

/** Where the question ends: labels without pointers, then type and class. A dot inside a label would be taken for a separator. */
function questionEnd(message: Buffer): number | undefined {
  let at = HEADER
  for (let length = message[at]; length !== 0; length = message[at]) {
    if (length === undefined || length > 63) return undefined
    if (message.subarray(at + 1, at + 1 + length).includes(DOT)) return undefined
    at += length + 1
    if (at - HEADER > 255) return undefined
  }
  return at + 5 <= message.length ? at + 5 : undefined
}

/** `limit` is the most octets that may be sent; what does not fit is left out whole, with the flag that says so. */
export function writeReply(query: Query, reply: Reply, limit: number): { octets: Uint8Array; truncated: boolean } {
  let flags = query.recursionDesired ? FLAG.recursionDesired : 0
  flags |= RCODE[reply.rcode]
  if (reply.validated && query.wantsAuthentic) flags |= FLAG.authentic
  const edns = query.edns && opt(0, query.edns.dnssecOk)
  const whole = assemble(query.id, flags, query.question, answersOf(query, reply), edns)
  if (whole.length <= limit) return { octets: whole, truncated: false }
  return {
    octets: assemble(query.id, (flags & ~FLAG.authentic) | FLAG.truncated, query.question, [], edns),
    truncated: true,
  }
}

/** The most that a datagram to this client may have. */
export const udpLimit = (query: Query): number =>
  query.edns ? Math.min(Math.max(query.edns.size, PLAIN_SIZE), EDNS_SIZE) : PLAIN_SIZE

function answersOf(query: Query, { aliases, addresses, type }: Reply): Answer[] {
  const owner = (i: number): string => (i === 0 ? query.name : (aliases[i - 1]?.target ?? query.name))
  return [
    ...aliases.map(
      (alias, i): Answer => ({ name: owner(i), type: 'CNAME', ttl: alias.ttlSeconds, data: alias.target }),
    ),
    ...addresses.map(
      ({ address, ttlSeconds }): Answer => ({
        name: owner(aliases.length),
        type: type ?? 'A',
        ttl: ttlSeconds,
        data: address,
      }),
    ),
  ]
}

const opt = (extendedRcode: number, dnssecOk: boolean): Answer => ({
  name: '.',
  type: 'OPT',
  udpPayloadSize: EDNS_SIZE,
  extendedRcode,
  ednsVersion: 0,
  flags: dnssecOk ? 0x8000 : 0,
  flag_do: dnssecOk,
  options: [],
})

function assemble(
  id: number,
  flags: number,
  question: Uint8Array,
  answers: Answer[],
  edns: Answer | undefined,
): Uint8Array {
  // The library writes no pointers, so that what stands behind its header may stand behind any question.
  const records = encode({ type: 'response', answers, additionals: edns ? [edns] : [] }).subarray(HEADER)
  const head = header(id, flags & ~15, flags & 15, 1)
  const octets = Buffer.concat([head, question, records])
  octets.writeUInt16BE(answers.length, 6)
  octets.writeUInt16BE(edns ? 1 : 0, 10)
  return octets
}

function header(id: number, flags: number, rcode: number, questions: number): Buffer {
  const octets = Buffer.alloc(HEADER)
  octets.writeUInt16BE(id, 0)
  octets.writeUInt16BE(FLAG.response | FLAG.recursion | flags | rcode, 2)
  octets.writeUInt16BE(questions, 4)
  return octets
}
