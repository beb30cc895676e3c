// Whether octets are one whole DNS message and nothing else, before a library reads values out of them. dns-packet reads a
// record as what its type says, not as what its length says (an A record of five octets shifts everything behind it), joins
// labels with dots that may also stand inside a label, and repairs what is not UTF-8. What passes here has none of that.
//
// Names of the question and the answers must be plain: letters, digits, `-` and `_`. Others exist; no workspace needs them.

export interface MessageLimits {
  /** Records of all sections together. */
  readonly records: number
  /** Compression pointers that one name may follow. */
  readonly jumps: number
}
export const MESSAGE_LIMITS: MessageLimits = { records: 2_048, jumps: 32 }

export interface RecordPlace {
  readonly type: number
  readonly class: number
  /** As on the wire: for OPT these are flags. */
  readonly ttl: number
  /** Where the data begins, and how long it is. */
  readonly at: number
  readonly length: number
}
export interface Structure {
  readonly id: number
  readonly flags: number
  /** Exactly one question. */
  readonly question: { readonly type: number; readonly class: number }
  readonly answers: readonly RecordPlace[]
  readonly authorities: readonly RecordPlace[]
  readonly additionals: readonly RecordPlace[]
  /** Where the answers end. */
  readonly answersEnd: number
}

export const TYPE = { A: 1, CNAME: 5, SOA: 6, AAAA: 28, OPT: 41 } as const
export const CLASS_IN = 1

const HEADER = 12
const NAME_MAX = 255

/** One whole message (RFC 1035 section 4), or a sentence about what it is not. */
export function structureOf(octets: Uint8Array, limits: MessageLimits = MESSAGE_LIMITS): Structure | string {
  if (octets.length < HEADER) return 'it is shorter than a header'
  const counts = [4, 6, 8, 10].map((at) => u16(octets, at))
  const [questions = 0, ...sections] = counts
  if (questions !== 1) return `it has ${questions} questions`
  if (sections.reduce((sum, count) => sum + count, 0) > limits.records) return 'it has too many records'
  const typeAt = skipName(octets, HEADER, limits.jumps, true)
  if (typeof typeAt === 'string') return typeAt
  if (typeAt + 4 > octets.length) return 'it ends inside the question'
  let at = typeAt + 4
  const read: RecordPlace[][] = []
  let answersEnd = at
  for (const [section, count] of sections.entries()) {
    const records: RecordPlace[] = []
    for (let i = 0; i < count; i++) {
      const record = recordAt(octets, at, limits.jumps, section === 0)
      if (typeof record === 'string') return record
      records.push(record)
      at = record.at + record.length
    }
    if (section === 0) answersEnd = at
    read.push(records)
  }
  if (at !== octets.length) return 'there are octets behind its end'
  const [answers = [], authorities = [], additionals = []] = read
  const question = { type: u16(octets, typeAt), class: u16(octets, typeAt + 2) }
  return { id: u16(octets, 0), flags: u16(octets, 2), question, answers, authorities, additionals, answersEnd }
}

function recordAt(octets: Uint8Array, start: number, jumps: number, plain: boolean): RecordPlace | string {
  const fixed = skipName(octets, start, jumps, plain)
  if (typeof fixed === 'string') return fixed
  if (fixed + 10 > octets.length) return 'it ends inside a record'
  const type = u16(octets, fixed)
  const ttl = u16(octets, fixed + 4) * 65_536 + u16(octets, fixed + 6)
  const length = u16(octets, fixed + 8)
  const at = fixed + 10
  if (at + length > octets.length) return 'it ends inside the data of a record'
  const record = { type, class: u16(octets, fixed + 2), ttl, at, length }
  return dataFault(octets, record, jumps, plain) ?? record
}

/** What is wrong with the data of the types that we read. */
function dataFault(octets: Uint8Array, record: RecordPlace, jumps: number, plain: boolean): string | undefined {
  const { type, at, length } = record
  if (type === TYPE.A && length !== 4) return `an A record has ${length} octets`
  if (type === TYPE.AAAA && length !== 16) return `an AAAA record has ${length} octets`
  if (type === TYPE.CNAME) {
    const end = skipName(octets, at, jumps, plain)
    if (typeof end === 'string') return end
    if (end !== at + length) return 'a CNAME record is not one name'
  }
  if (type === TYPE.SOA) {
    const mailbox = skipName(octets, at, jumps, false)
    if (typeof mailbox === 'string') return mailbox
    const numbers = skipName(octets, mailbox, jumps, false)
    if (typeof numbers === 'string') return numbers
    if (numbers + 20 !== at + length) return 'a SOA record has another size than its parts'
  }
  return undefined
}

/** Where the name that begins at `start` ends in the message; pointers lead strictly backwards (section 4.1.4). */
function skipName(octets: Uint8Array, start: number, jumps: number, plain: boolean): number | string {
  let at = start
  let before = start
  let end = -1
  let total = 1
  for (let jumped = 0; ; ) {
    const length = octets[at]
    if (length === undefined) return 'it ends inside a name'
    if (length === 0) return end < 0 ? at + 1 : end
    if (length >= 0xc0) {
      const low = octets[at + 1]
      if (low === undefined) return 'it ends inside a name'
      const target = (length & 0x3f) * 256 + low
      if (target < HEADER || target >= before) return 'a name points forwards or into the header'
      if (++jumped > jumps) return 'a name is compressed too deeply'
      if (end < 0) end = at + 2
      before = target
      at = target
    } else if (length > 63) {
      return 'a label is of an unknown kind'
    } else {
      total += length + 1
      if (total > NAME_MAX) return 'a name is too long'
      if (at + 1 + length > octets.length) return 'it ends inside a name'
      if (plain)
        for (let i = at + 1; i <= at + length; i++) if (!isPlain(octets[i] ?? 0)) return 'a name is no host name'
      at += length + 1
    }
  }
}

const isPlain = (octet: number): boolean =>
  (octet >= 97 && octet <= 122) ||
  (octet >= 48 && octet <= 57) ||
  (octet >= 65 && octet <= 90) ||
  octet === 45 ||
  octet === 95

/** Network order; the caller has checked that both octets are there. */
export const u16 = (octets: Uint8Array, at: number): number => (octets[at] ?? 0) * 256 + (octets[at + 1] ?? 0)
