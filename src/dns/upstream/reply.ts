// What octets from an upstream are: the answer to this query, a promise of more over TCP, somebody else's message, or nothing that
// can be read. Forged and late messages are told from broken ones, because over UDP the first are ignored and counted while
// the true answer may still come. untrusted: all of it. Faults of the server (SERVFAIL, REFUSED) are answers.

import { decode } from 'dns-packet'
import { formatIp, parseIp } from '../../base/ip.js'
import type { Answer, AnswerRecord, QuestionType } from '../model.js'
import type { Query } from './query.js'
import { CLASS_IN, type RecordPlace, type Structure, structureOf, TYPE, u16 } from './structure.js'

/** An answer without what only the way to the server can say. */
export type Content = Omit<Answer, 'validated' | 'from'>

/** Why a message is not about this query. */
export type Stray = 'query' | 'id' | 'question' | 'case'

export type Reply =
  | { readonly kind: 'answer'; readonly content: Content; readonly authenticated: boolean }
  | { readonly kind: 'truncated' }
  | { readonly kind: 'stray'; readonly why: Stray }
  | { readonly kind: 'malformed'; readonly why: string }

const FLAG = { response: 0x8000, opcode: 0x7800, truncated: 0x0200, authentic: 0x0020, rcode: 0x000f } as const
const OUTCOME: Readonly<Record<number, Answer['outcome']>> = { 0: 'answer', 3: 'no-such-name', 5: 'refused' }

/** Reads one message as a reply to `query`, whose name must come back letter by letter; `anyCase` leaves the case out of that. */
export function readReply(octets: Uint8Array, query: Query, anyCase = false): Reply {
  const structure = structureOf(octets)
  if (typeof structure === 'string') return malformed(structure)
  if ((structure.flags & FLAG.response) === 0) return { kind: 'stray', why: 'query' }
  if (structure.id !== query.id) return { kind: 'stray', why: 'id' }
  const stray = aboutAnother(octets, structure, query)
  if (stray && !(anyCase && stray === 'case')) return { kind: 'stray', why: stray }
  if ((structure.flags & FLAG.opcode) !== 0) return malformed('it is of another operation')
  if ((structure.flags & FLAG.truncated) !== 0) return { kind: 'truncated' }
  const rcode = rcodeOf(structure)
  if (typeof rcode === 'string') return malformed(rcode)
  const outcome = OUTCOME[rcode] ?? 'failed'
  const authenticated = (structure.flags & FLAG.authentic) !== 0
  if (outcome === 'failed' || outcome === 'refused')
    return { kind: 'answer', content: { outcome, records: [], negativeTtlSeconds: 0 }, authenticated }
  if (structure.answers.some((record) => record.class !== CLASS_IN)) return malformed('an answer is of another class')
  const records = recordsOf(octets, structure, query.type)
  if (typeof records === 'string') return malformed(records)
  const negativeTtlSeconds = negativeTtlOf(octets, structure, records)
  return { kind: 'answer', content: { outcome, records, negativeTtlSeconds }, authenticated }
}

const malformed = (why: string): Reply => ({ kind: 'malformed', why })

/** The header and one section of a message, as a message: what the library is given to read, and no more. */
function part(octets: Uint8Array, end: number, answers: number): Buffer {
  const out = Buffer.from(octets.subarray(0, end))
  out.writeUInt16BE(answers, 6)
  out.writeUInt32BE(0, 8)
  return out
}

function aboutAnother(octets: Uint8Array, { question }: Structure, query: Query): Stray | undefined {
  const wanted = query.type === 'A' ? TYPE.A : TYPE.AAAA
  if (question.type !== wanted || question.class !== CLASS_IN) return 'question'
  // structureOf has walked this name, and a question's name cannot be compressed: nothing stands before it.
  const name = nameAt(octets)
  if (name === query.name) return undefined
  return name.toLowerCase() === query.name.toLowerCase() ? 'case' : 'question'
}

function nameAt(octets: Uint8Array): string {
  let name = ''
  for (let at = 12; ; ) {
    const length = octets[at] ?? 0
    if (length === 0) return name
    if (name !== '') name += '.'
    for (let i = at + 1; i <= at + length; i++) name += String.fromCharCode(octets[i] ?? 0)
    at += length + 1
  }
}

/** With the upper eight bits of EDNS (RFC 6891 section 6.1.3). */
function rcodeOf({ flags, additionals }: Structure): number | string {
  const edns = additionals.filter((record) => record.type === TYPE.OPT)
  if (edns.length > 1) return 'it has two OPT records'
  return ((edns[0]?.ttl ?? 0) >>> 24) * 16 + (flags & FLAG.rcode)
}

/** Addresses of the asked type and CNAMEs, in order; other types are signatures and the like, and are left out. */
function recordsOf(octets: Uint8Array, structure: Structure, type: QuestionType): AnswerRecord[] | string {
  if (structure.answers.length === 0) return []
  let decoded: ReturnType<typeof decode>
  try {
    decoded = decode(part(octets, structure.answersEnd, structure.answers.length))
  } catch (error) {
    // The library throws plain errors about records of types that we do not walk ourselves.
    return `a record cannot be read (${error instanceof Error ? error.message : 'no reason given'})`
  }
  const records: AnswerRecord[] = []
  for (const [i, record] of (decoded.answers ?? []).entries()) {
    const ttlSeconds = ttlOf(structure.answers[i])
    const owner = record.name.toLowerCase()
    if (record.type === 'CNAME') records.push({ owner, type: 'CNAME', ttlSeconds, target: record.data.toLowerCase() })
    if (record.type !== type || (record.type !== 'A' && record.type !== 'AAAA')) continue
    const ip = parseIp(record.data)
    if (!ip) return `an address reads ${JSON.stringify(record.data)}`
    records.push({ owner, type: record.type, ttlSeconds, address: formatIp(ip) })
  }
  return records
}

/** RFC 2181 section 8: with the top bit set it is zero. */
const ttlOf = (record: RecordPlace | undefined): number =>
  record === undefined || record.ttl > 0x7fffffff ? 0 : record.ttl

/**
 * How long it may be remembered that there is no address: the SOA's own time and its last number, the smaller (RFC 2308 section 5),
 * and no longer than the CNAMEs that lead there hold. Without a SOA it may not be remembered.
 */
function negativeTtlOf(octets: Uint8Array, structure: Structure, records: readonly AnswerRecord[]): number {
  const soa = structure.authorities.find((record) => record.type === TYPE.SOA && record.class === CLASS_IN)
  if (!soa || records.some((record) => record.type !== 'CNAME')) return 0
  const last = soa.at + soa.length - 4
  const minimum = u16(octets, last) * 65_536 + u16(octets, last + 2)
  return Math.min(ttlOf(soa), minimum > 0x7fffffff ? 0 : minimum, ...records.map((record) => record.ttlSeconds))
}
