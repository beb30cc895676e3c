// What goes upstream octet by octet, and what is made of what comes back: every way of a message to be wrong has its sentence.

import { type Answer, AUTHENTIC_DATA, decode, encode, type Packet } from 'dns-packet'
import { describe, expect, it } from 'vitest'
import { encodeQuery, isPlainName, type Query, scrambleCase, UDP_PAYLOAD } from '../../../src/dns/upstream/query.js'
import { readReply } from '../../../src/dns/upstream/reply.js'
import { MESSAGE_LIMITS, structureOf } from '../../../src/dns/upstream/structure.js'

const QUERY: Query = { id: 0x1234, name: 'gIt.lab.Example', type: 'A' }
const A: Answer = { type: 'A', name: QUERY.name, ttl: 60, data: '45.76.10.10' }
const question = { type: 'A', name: QUERY.name, class: 'IN' } as const

const reply = (more: Packet = {}): Buffer =>
  encode({ type: 'response', id: QUERY.id, questions: [question], answers: [A], ...more })
const whyNot = (octets: Uint8Array): string => {
  const read = readReply(octets, QUERY)
  return read.kind === 'malformed' ? read.why : read.kind
}
/** `reply()` with octets written over. */
const patched = (at: number, ...octets: number[]): Buffer => {
  const out = reply()
  out.set(octets, at)
  return out
}
/** Header with these counts, then octets. */
const raw = (
  counts: readonly [number, number, number, number],
  ...parts: readonly (string | readonly number[])[]
): Buffer => {
  const head = Buffer.alloc(12)
  head.writeUInt16BE(QUERY.id, 0)
  head.writeUInt16BE(0x8180, 2)
  for (const [i, count] of counts.entries()) head.writeUInt16BE(count, 4 + 2 * i)
  return Buffer.concat([head, ...parts.map((part) => (typeof part === 'string' ? wire(part) : Buffer.from(part)))])
}
const wire = (name: string): Buffer =>
  Buffer.concat([
    ...name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.from([0]),
  ])
const ASKED = [wire(QUERY.name), [0, 1, 0, 1]].map((part) => [...part])
const withAnswer = (...parts: readonly (string | readonly number[])[]): Buffer => raw([1, 1, 0, 0], ...ASKED, ...parts)
const HERE = [0xc0, 12]
const IN60 = (type: number, length: number): number[] => [0, type, 0, 1, 0, 0, 0, 60, 0, length]

describe('query', () => {
  it('asks for one name with EDNS0, recursion and AD, and nothing more', () => {
    const sent = decode(Buffer.from(encodeQuery(QUERY)))
    expect(sent).toMatchObject({ id: 0x1234, type: 'query', flag_rd: true, flag_ad: true, flag_cd: false })
    expect(sent.questions).toEqual([{ name: 'gIt.lab.Example', type: 'A', class: 'IN' }])
    expect(sent.additionals).toEqual([
      expect.objectContaining({
        type: 'OPT',
        udpPayloadSize: UDP_PAYLOAD,
        ednsVersion: 0,
        flag_do: false,
        options: [],
      }),
    ])
    expect(encodeQuery(QUERY)).toHaveLength(12 + 17 + 4 + 11)
  })
  it('is padded to a multiple, whatever the name', () => {
    for (let length = 1; length < 64; length++) {
      const octets = encodeQuery({ ...QUERY, name: `${'a'.repeat(length)}.example` }, 128)
      expect(octets.length % 128).toBe(0)
      expect(structureOf(octets)).not.toBeTypeOf('string')
    }
  })
  it('refuses what is no host name', () => {
    for (const name of [
      '',
      '.',
      'a.',
      '.a',
      'a..b',
      'ä.example',
      'a b',
      `${'a'.repeat(64)}.example`,
      `${'a.'.repeat(127)}aa`,
    ])
      expect(isPlainName(name), name).toBe(false)
    for (const name of ['a', '_dmarc.x-1.example', `${'a'.repeat(63)}.example`, `${'a.'.repeat(126)}a`])
      expect(isPlainName(name), name).toBe(true)
    expect(() => encodeQuery({ ...QUERY, name: 'a..b' })).toThrow(TypeError)
  })
  it('has each letter in the case that its bit says', () => {
    expect(scrambleCase('abcdefgh.x9', Uint8Array.of(0b10100101, 0b110))).toBe('AbCdeFgH.X9')
    expect(scrambleCase('ABC', Uint8Array.of(0))).toBe('abc')
    expect(() => scrambleCase('123456789', Uint8Array.of(255))).toThrow(TypeError)
  })
})

describe('reply', () => {
  it('is the answer, with names in lower case and times', () => {
    const answers: Answer[] = [
      { type: 'CNAME', name: QUERY.name, ttl: 30, data: 'CDN.Example' },
      { type: 'A', name: 'cdn.example', ttl: 2 ** 31, data: '45.76.10.10' },
      { type: 'AAAA', name: 'cdn.example', ttl: 9, data: '2a05:9::1' },
      { type: 'TXT', name: 'cdn.example', ttl: 9, data: 'x' },
    ]
    expect(readReply(reply({ answers, flags: AUTHENTIC_DATA }), QUERY)).toEqual({
      kind: 'answer',
      content: {
        outcome: 'answer',
        records: [
          { owner: 'git.lab.example', type: 'CNAME', ttlSeconds: 30, target: 'cdn.example' },
          // RFC 2181 section 8: the top bit makes it zero. The other family and other types were not asked for.
          { owner: 'cdn.example', type: 'A', ttlSeconds: 0, address: '45.76.10.10' },
        ],
        negativeTtlSeconds: 0,
      },
      authenticated: true,
    })
  })
  it('gives AAAA in canonical form, mapped ones too', () => {
    const query: Query = { ...QUERY, type: 'AAAA' }
    const records = (data: string) => {
      const octets = reply({
        questions: [{ ...question, type: 'AAAA' }],
        answers: [{ type: 'AAAA', name: QUERY.name, ttl: 1, data }],
      })
      const read = readReply(octets, query)
      return read.kind === 'answer' ? read.content.records : read
    }
    expect(records('2A05:0:0:0::1')).toMatchObject([{ address: '2a05::1' }])
    expect(records('::ffff:45.76.10.10')).toMatchObject([{ address: '::ffff:2d4c:a0a' }])
  })
  it('says the outcome, with the upper half of the code', () => {
    const outcome = (rcode: number, upper = 0) => {
      const opt: Answer = {
        ...{ type: 'OPT', name: '.', udpPayloadSize: 512, extendedRcode: upper, ednsVersion: 0 },
        ...{ flags: 0, flag_do: false, options: [] },
      }
      const read = readReply(reply({ answers: [], additionals: [opt], flags: rcode }), QUERY)
      return read.kind === 'answer' ? read.content.outcome : read
    }
    expect([0, 1, 2, 3, 4, 5].map((rcode) => outcome(rcode))).toEqual([
      ...['answer', 'failed', 'failed', 'no-such-name', 'failed', 'refused'],
    ])
    // BADVERS: 16 has zero in its lower half.
    expect(outcome(0, 1)).toBe('failed')
  })
  it('gives nothing of an answer that failed', () => {
    const read = readReply(reply({ flags: 2 }), QUERY)
    expect(read).toMatchObject({ kind: 'answer', content: { outcome: 'failed', records: [] } })
  })
  it('may be remembered as long as the smaller of the SOA and its minimum, and never longer than its aliases', () => {
    const soa = (ttl: number, minimum: number): Answer => ({
      ...{ type: 'SOA', name: 'lab.example', ttl },
      data: { mname: 'ns.example', rname: 'a.example', minimum },
    })
    const alias: Answer = { type: 'CNAME', name: QUERY.name, ttl: 3, data: 'x.example' }
    const ttl = (more: Packet) => {
      const read = readReply(reply(more), QUERY)
      return read.kind === 'answer' ? read.content.negativeTtlSeconds : read
    }
    expect(ttl({ answers: [], authorities: [soa(60, 7)] })).toBe(7)
    expect(ttl({ answers: [], authorities: [soa(5, 7)] })).toBe(5)
    expect(ttl({ answers: [alias], authorities: [soa(60, 7)] })).toBe(3)
    expect(ttl({ answers: [], authorities: [soa(60, 2 ** 32 - 1)] })).toBe(0)
    expect(ttl({ answers: [] })).toBe(0)
    expect(ttl({ answers: [A], authorities: [soa(60, 7)] })).toBe(0)
  })
  it('is promised over TCP when it is cut short, whatever else stands in it', () => {
    expect(readReply(patched(2, 0x82), QUERY)).toEqual({ kind: 'truncated' })
  })
  it('is about something else when id, question or letters differ', () => {
    expect(readReply(patched(0, 0x12, 0x35), QUERY)).toEqual({ kind: 'stray', why: 'id' })
    expect(readReply(encodeQuery(QUERY), QUERY)).toEqual({ kind: 'stray', why: 'query' })
    for (const other of [
      { ...question, name: 'got.lab.example' },
      { ...question, type: 'AAAA' },
      { ...question, class: 'CH' },
    ] as const)
      expect(readReply(reply({ questions: [other] }), QUERY)).toEqual({ kind: 'stray', why: 'question' })
    const lower = reply({ questions: [{ ...question, name: 'git.lab.example' }] })
    expect(readReply(lower, QUERY)).toEqual({ kind: 'stray', why: 'case' })
    expect(readReply(lower, QUERY, true)).toMatchObject({ kind: 'answer' })
  })
  it('keeps labels apart: a dot inside one is no separator', () => {
    const octets = raw([1, 0, 0, 0], [7, ...Buffer.from('gIt.lab'), 7, ...Buffer.from('Example'), 0], [0, 1, 0, 1])
    expect(whyNot(octets)).toBe('a name is no host name')
  })
})

describe('what is no message', () => {
  const cases: readonly (readonly [string, string, Uint8Array])[] = [
    ['nothing', 'it is shorter than a header', new Uint8Array(0)],
    ['half a header', 'it is shorter than a header', reply().subarray(0, 11)],
    ['no question', 'it has 0 questions', reply({ questions: [] })],
    ['two questions', 'it has 2 questions', reply({ questions: [question, question] })],
    ['a question cut off', 'it ends inside the question', reply().subarray(0, 12 + 17 + 3)],
    ['a name cut off', 'it ends inside a name', reply().subarray(0, 20)],
    ['a record cut off', 'it ends inside a record', reply().subarray(0, 12 + 17 + 4 + 17 + 9)],
    ['data cut off', 'it ends inside the data of a record', reply().subarray(0, -1)],
    ['more than it says', 'there are octets behind its end', Buffer.concat([reply(), Buffer.of(0)])],
    ['fewer records than it says', 'it ends inside a name', patched(7, 2)],
    ['absurd counts', 'it has too many records', patched(6, 0xff, 0xff)],
    [
      'a forward pointer',
      'a name points forwards or into the header',
      withAnswer([0xc0, 200], IN60(1, 4), [1, 2, 3, 4]),
    ],
    [
      'a pointer to itself',
      'a name points forwards or into the header',
      withAnswer([0xc0, 33], IN60(1, 4), [1, 2, 3, 4]),
    ],
    [
      'a pointer into the header',
      'a name points forwards or into the header',
      withAnswer([0xc0, 2], IN60(1, 4), [1, 2, 3, 4]),
    ],
    ['half a pointer', 'it ends inside a name', withAnswer([0xc0])],
    [
      'a label kind that is reserved',
      'a label is of an unknown kind',
      withAnswer([0x40, 1, 0], IN60(1, 4), [1, 2, 3, 4]),
    ],
    ['an A of five octets', 'an A record has 5 octets', withAnswer(HERE, IN60(1, 5), [1, 2, 3, 4, 5])],
    ['an AAAA of four octets', 'an AAAA record has 4 octets', withAnswer(HERE, IN60(28, 4), [1, 2, 3, 4])],
    ['an alias and more', 'a CNAME record is not one name', withAnswer(HERE, IN60(5, 4), [1, 97, 0, 0])],
    ['an alias that is no host name', 'a name is no host name', withAnswer(HERE, IN60(5, 4), [2, 97, 10, 0])],
    ['an owner that is no host name', 'a name is no host name', withAnswer([1, 255, 0], IN60(1, 4), [1, 2, 3, 4])],
    [
      'another class',
      'an answer is of another class',
      withAnswer(HERE, [0, 1, 0x80, 1, 0, 0, 0, 60, 0, 4], [1, 2, 3, 4]),
    ],
    ['another operation', 'it is of another operation', patched(2, 0x88)],
  ]
  for (const [name, why, octets] of cases) it(`${name}: ${why}`, () => expect(whyNot(octets)).toBe(why))

  it('two OPT records', () => {
    const opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]
    expect(whyNot(raw([1, 0, 0, 1], ...ASKED, opt))).toBe('answer')
    expect(whyNot(raw([1, 0, 0, 2], ...ASKED, opt, opt))).toBe('it has two OPT records')
  })
  it('a SOA that is not its parts', () => {
    const soa = (length: number) =>
      raw([1, 0, 1, 0], ...ASKED, HERE, IN60(6, length), [0, 0], new Array<number>(length - 2).fill(1))
    expect(whyNot(soa(22))).toBe('answer')
    expect(whyNot(soa(23))).toBe('a SOA record has another size than its parts')
  })
  it('a type that only the library reads, and cannot', () => {
    // An SRV record of one octet: no length of it is checked by us.
    expect(whyNot(withAnswer(HERE, IN60(33, 1), [0]))).toMatch(/^a record cannot be read \(/)
  })
  it('pointers behind pointers, up to the limit', () => {
    const chain = (jumps: number): Buffer => {
      // The first owner is the question's name; each next one points to the owner before it.
      const parts: number[][] = []
      let at = 12 + 21
      for (let i = 0; i < jumps; i++) {
        const target = i === 0 ? 12 : at - 16
        parts.push([0xc0 | (target >> 8), target & 255], IN60(1, 4), [1, 2, 3, i])
        at += 16
      }
      return raw([1, jumps, 0, 0], ...ASKED, ...parts)
    }
    expect(whyNot(chain(MESSAGE_LIMITS.jumps))).toBe('answer')
    expect(whyNot(chain(MESSAGE_LIMITS.jumps + 1))).toBe('a name is compressed too deeply')
  })
  it('names up to 255 octets, records up to the limit', () => {
    const long = (labels: number) =>
      withAnswer([...new Array<number[]>(labels)].flatMap(() => [1, 97]).concat(0), IN60(1, 4), [1, 2, 3, 4])
    expect(whyNot(long(127))).toBe('answer')
    expect(whyNot(long(128))).toBe('a name is too long')
    const many = (count: number) =>
      raw([1, count, 0, 0], ...ASKED, ...Array.from({ length: count }, () => [...HERE, ...IN60(1, 4), 1, 2, 3, 4]))
    expect(whyNot(many(MESSAGE_LIMITS.records))).toBe('answer')
    expect(whyNot(many(MESSAGE_LIMITS.records + 1))).toBe('it has too many records')
  })
  it('no prefix of a good message is one', () => {
    const whole = reply()
    for (let end = 0; end < whole.length; end++)
      expect(readReply(whole.subarray(0, end), QUERY).kind, `${end}`).toBe('malformed')
  })
})
