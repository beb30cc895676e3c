// The packet path of the name mediator: what an upstream answers, what a workspace asks, and both as they come on a stream. The
// octets are anybody's: UDP has no author.

import { type Answer, decode, encode } from 'dns-packet'
import { formatIp, parseIp } from '../../src/base/ip.js'
import type { Reply as DnsReply } from '../../src/dns/mediate.js'
import type { AnswerRecord } from '../../src/dns/model.js'
import { canonicalName } from '../../src/dns/names.js'
import { Deframer, framed } from '../../src/dns/upstream/frame.js'
import { isPlainName, type Query } from '../../src/dns/upstream/query.js'
import { readReply } from '../../src/dns/upstream/reply.js'
import { MESSAGE_LIMITS, structureOf } from '../../src/dns/upstream/structure.js'
import { type Query as DnsQuery, EDNS_SIZE, readQuery, udpLimit, writeReply } from '../../src/dns/wire.js'
import { chance, type Target } from './engine.js'
import { hold, show } from './laws.js'

const QUERY: Query = { id: 0x1234, name: 'gIt.lab.Example', type: 'A' }
const question = { type: QUERY.type, name: QUERY.name, class: 'IN' } as const
/** Header and question as a good reply has them. */
const HEAD = encode({ type: 'response', id: QUERY.id, questions: [question] })

const soa: Answer = {
  ...{ type: 'SOA', name: 'lab.example', ttl: 60 },
  data: { mname: 'ns.lab.example', rname: 'hostmaster.lab.example', minimum: 7 },
}
const opt: Answer = {
  ...{ type: 'OPT', name: '.', udpPayloadSize: 1232, extendedRcode: 0, ednsVersion: 0 },
  ...{ flags: 0, flag_do: false, options: [] },
}
const a = (name: string, last: number): Answer => ({ type: 'A', name, ttl: 60, data: `45.76.10.${last}` })

const WORDS = [
  '\0\x01\0\x01\0\0\0\x3c\0\x04',
  '\0\x05\0\x01\0\0\0\x3c\0',
  '\0\x06\0\x01',
  '\0\0\x29\x04',
  '\x03git\x03lab\x07example\0',
]

const recordsHold = (records: readonly AnswerRecord[]): void => {
  for (const record of records) {
    hold(record.ttlSeconds >= 0 && record.ttlSeconds <= 0x7fffffff, `a time of ${record.ttlSeconds}`)
    hold(record.owner === record.owner.toLowerCase(), `an owner with capitals: ${show(record.owner)}`)
    const names = record.type === 'CNAME' ? [record.owner, record.target] : [record.owner]
    for (const name of names) hold(name === '.' || isPlainName(name), `a name that is none: ${show(name)}`)
    if (record.type === 'CNAME') continue
    const ip = parseIp(record.address)
    hold(ip?.family === 4 && formatIp(ip) === record.address, `no IPv4 address: ${show(record.address)}`)
  }
}

export const dnsReply: Target = {
  name: 'dns-reply',
  seeds: () => {
    const reply = (answers: Answer[], more = {}): Uint8Array =>
      encode({ type: 'response', id: QUERY.id, questions: [question], answers, additionals: [opt], ...more })
    const compressed = Buffer.concat([HEAD, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4])])
    compressed.writeUInt16BE(1, 6)
    return Promise.resolve([
      reply([a(QUERY.name, 1), a(QUERY.name, 2)]),
      reply([{ type: 'CNAME', name: QUERY.name, ttl: 5, data: 'cdn.example' }, a('cdn.example', 3)]),
      reply([], { authorities: [soa], flags: 3 }),
      reply([{ type: 'TXT', name: QUERY.name, ttl: 5, data: 'x' }]),
      reply([], { flags: 1 << 9 }),
      compressed,
    ])
  },
  words: WORDS,
  repair: (bytes) => {
    const out = Uint8Array.from(bytes)
    // Id, the bit of a response, one question and the question: a mutation elsewhere is then about the records.
    const keep = [out[2] ?? 0, out[3] ?? 0, ...out.subarray(6, 12)]
    out.set(HEAD.subarray(0, Math.min(HEAD.length, out.length)))
    for (const [i, at] of [2, 3, 6, 7, 8, 9, 10, 11].entries())
      if (at < out.length) out[at] = (keep[i] ?? 0) | (at === 2 ? 0x80 : 0)
    return out
  },
  run: (bytes) => {
    const read = readReply(bytes, QUERY)
    const structure = structureOf(bytes)
    if (typeof structure === 'string') {
      hold(read.kind === 'malformed', `${read.kind}, and ${structure}`)
      return
    }
    const count = structure.answers.length + structure.authorities.length + structure.additionals.length
    hold(count <= MESSAGE_LIMITS.records, `${count} records`)
    // What is one whole message is none when anything is missing, and none with anything more.
    hold(typeof structureOf(bytes.subarray(0, -1)) === 'string', 'a message without its last octet is one')
    hold(typeof structureOf(Buffer.concat([bytes, Buffer.of(0)])) === 'string', 'a message with one more octet is one')
    if (read.kind !== 'answer') return
    const { records, negativeTtlSeconds } = read.content
    hold(records.length <= structure.answers.length, 'more answers than there are')
    hold(negativeTtlSeconds >= 0 && negativeTtlSeconds <= 0x7fffffff, `a negative time of ${negativeTtlSeconds}`)
    recordsHold(records)
    // The library's own reading of the whole message, where it has one, says the same question and the same addresses.
    let whole: ReturnType<typeof decode>
    try {
      whole = decode(Buffer.from(bytes))
    } catch {
      return // a record behind the answers that only the library reads; nothing of it is used
    }
    hold(whole.questions?.[0]?.name === QUERY.name, `the question reads ${show(whole.questions)}`)
    const addresses = (whole.answers ?? []).flatMap((answer) => (answer.type === 'A' ? [answer.data] : []))
    const given = records.flatMap((record) => (record.type === 'CNAME' ? [] : [record.address]))
    if (read.content.outcome === 'answer' || read.content.outcome === 'no-such-name')
      hold(show(given) === show(addresses), `${show(given)} for ${show(addresses)}`)
    else hold(records.length === 0, 'an answer that failed has records')
  },
}

/** Frames by the simplest reading there is: of everything at once. */
function frames(octets: Uint8Array, maxBytes: number): { messages: string[]; refused: boolean } {
  const messages: string[] = []
  for (let at = 0; at + 2 <= octets.length; ) {
    const length = (octets[at] ?? 0) * 256 + (octets[at + 1] ?? 0)
    if (length === 0 || length > maxBytes) return { messages, refused: true }
    if (at + 2 + length > octets.length) break
    messages.push(Buffer.from(octets.subarray(at + 2, at + 2 + length)).toString('hex'))
    at += 2 + length
  }
  return { messages, refused: false }
}

export const dnsStream: Target = {
  name: 'dns-stream',
  seeds: () =>
    Promise.resolve([
      Buffer.concat([Buffer.of(1, 50), framed(HEAD), framed(HEAD.subarray(0, 3))]),
      Buffer.concat([Buffer.of(9, 255), framed(new Uint8Array(300)), Buffer.of(0)]),
      Buffer.of(3, 9, 0, 0),
    ]),
  words: ['\0\0', '\0\x01a', '\0\x02ab', '\x01\0'],
  run: (bytes) => {
    // The first octet draws how the network cuts the rest, the second is the limit.
    const pick = chance((bytes[0] ?? 0) + 1)
    const maxBytes = (bytes[1] ?? 0) + 1
    const octets = bytes.subarray(2)
    const deframer = new Deframer(maxBytes)
    const given: string[] = []
    let refused = false
    for (let at = 0; at < octets.length && !refused; ) {
      const size = 1 + pick(pick(3) === 0 ? 600 : 5)
      const messages = deframer.push(octets.subarray(at, at + size))
      if (messages) given.push(...messages.map((one) => Buffer.from(one).toString('hex')))
      else refused = true
      at += size
      hold(deframer.pending <= 2 + maxBytes, `${deframer.pending} octets are held`)
    }
    const expected = frames(octets, maxBytes)
    hold(refused === expected.refused, `refused: ${refused}`)
    // Messages of the piece in which the stream became unusable are lost with it.
    hold(
      given.every((one, i) => one === expected.messages[i]),
      `${show(given)} for ${show(expected.messages)}`,
    )
    if (!refused) hold(given.length === expected.messages.length, `${given.length} of ${expected.messages.length}`)
  },
}

const ASKED = encode({ type: 'query', id: 7, flags: 256, questions: [question], additionals: [opt] })

export const dnsQuery: Target = {
  name: 'dns-query',
  seeds: () =>
    Promise.resolve([
      ASKED,
      encode({ type: 'query', id: 7, flags: 256, questions: [{ ...question, type: 'AAAA' }] }),
      encode({ type: 'query', id: 7, questions: [{ ...question, type: 'TXT', class: 'CH' }] }),
      encode({ type: 'query', id: 7, questions: [question, question] }),
      encode({ type: 'query', id: 7, questions: [question], additionals: [{ ...opt, ednsVersion: 1 }] }),
    ]),
  words: WORDS,
  repair: (bytes) => {
    const out = Uint8Array.from(bytes)
    // A query with one question and nothing but additional records: what is mutated is then the question and those.
    if (out.length >= 12) out.set([(out[2] ?? 0) & 0x01, 0, 0, 1, 0, 0, 0, 0, 0, (out[11] ?? 0) & 3], 2)
    return out
  },
  run: (bytes) => {
    const message = Buffer.from(bytes)
    const received = readQuery(message)
    if (received.kind === 'ignored') {
      hold(message.length < 12 || (message[2] ?? 0) >= 128, 'a whole query is not worth an answer')
      return
    }
    const query: DnsQuery | undefined = received.kind === 'query' ? received : undefined
    // Only names that can be granted are answered with addresses; the others are refused.
    const plain = query !== undefined && canonicalName(query.name) !== undefined
    const cut = plain ? writeReply(query, CUT, udpLimit(query)) : undefined
    const replies = query
      ? [cut?.octets, writeReply(query, plain ? WHOLE : NONE, udpLimit(query)).octets].filter(
          (one) => one !== undefined,
        )
      : [received.kind === 'refused' ? received.reply : message]
    for (const octets of replies) {
      const read = decode(Buffer.from(octets))
      hold(read.type === 'response' && read.id === message.readUInt16BE(0), `not a reply to it: ${show(read)}`)
      hold(octets.length <= EDNS_SIZE, `a reply of ${octets.length} octets`)
      if (!query) continue
      hold(octets.length <= udpLimit(query), `${octets.length} octets for a client that takes ${udpLimit(query)}`)
      const asked = read.questions?.[0]
      hold(asked?.name === query.name && asked.type === query.type, `${show(asked)} for ${show(query.name)}`)
      const back = Buffer.from(octets.subarray(12, 12 + query.question.length))
      hold(back.equals(message.subarray(12, 12 + query.question.length)), 'the question does not come back as it came')
    }
    if (!query) return
    hold(cut?.truncated !== false, 'a hundred addresses are said to fit')
    // Every label is one: what is judged is what was asked, and the owner of the answers is the name of the question.
    const labels = [...query.question.subarray(0, -4)].reduce(
      (at, octet, i) => (i === at.next ? { count: at.count + (octet > 0 ? 1 : 0), next: i + octet + 1 } : at),
      { count: 0, next: 0 },
    ).count
    if (plain) hold(query.name.split('.').length === labels, `${labels} labels read as ${show(query.name)}`)
  },
}

const WHOLE: DnsReply = {
  ...{ rcode: 'NOERROR', aliases: [], type: 'A', validated: true },
  addresses: [{ address: '45.76.10.10', ttlSeconds: 60 }],
}
const NONE: DnsReply = { rcode: 'REFUSED', aliases: [], addresses: [], validated: false }
const CUT: DnsReply = { ...WHOLE, addresses: new Array(100).fill(WHOLE.addresses[0]) }
