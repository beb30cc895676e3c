// What of an upstream's answer may reach the workspace.

import { describe, expect, it } from 'vitest'
import { clampTtl, judge, MAX_ADDRESSES } from '../../../src/dns/judge.js'
import type { Answer, AnswerRecord } from '../../../src/dns/model.js'
import { rulesFor } from '../../../src/plan/names.js'
import { a, answer, cname, mediatedPlan } from '../../support/mediator.js'
import { egress } from '../../support/plans.js'

const NAME = 'files.example.com'
const PLAN = mediatedPlan([
  egress('files', [NAME, '*.wild.example.com'], 'tcp', ['443', '8443']),
  egress('quic', [NAME], 'udp', ['443']),
  {
    ...egress('inside', ['inside.example.com'], 'tcp', ['443']),
    to: [{ kind: 'name', pattern: 'inside.example.com', wildcard: false, within: ['45.76.10.0/24'] }],
  },
  egress('database', ['10.50.0.10', 'db.example.com'], 'tcp', ['5432']),
])
const [AT] = PLAN.workspaces
function judged(records: readonly AnswerRecord[], name = NAME, type: 'A' | 'AAAA' = 'A', more: Partial<Answer> = {}) {
  if (!AT) throw new Error('no workspace')
  return judge(AT, rulesFor(AT.network, name), { name, type }, answer(records, more))
}
const addresses = (result: ReturnType<typeof judged>): string[] =>
  result.kind === 'addresses' ? result.addresses.map(({ address }) => address) : [result.kind]

describe('judge', () => {
  it('opens every port of every rule of the name, for the address', () => {
    const result = judged([a(NAME, '45.76.10.10', 30)])
    if (result.kind !== 'addresses') throw new Error(result.kind)
    const [one] = result.addresses
    expect(one).toMatchObject({ address: '45.76.10.10', ttlSeconds: 30 })
    expect(one?.opens.map(({ protocol, port }) => `${protocol} ${port}`).sort()).toEqual([
      'tcp 443',
      'tcp 8443',
      'udp 443',
    ])
  })

  it.each([
    ['0.0.0.0', 'never'],
    ['127.0.0.1', 'never'],
    ['169.254.169.254', 'never'],
    ['168.63.129.16', 'never'],
    ['100.100.100.200', 'never'],
    ['224.0.0.1', 'never'],
    ['10.0.0.1', 'reserved'],
    ['172.16.0.1', 'reserved'],
    ['192.168.1.1', 'reserved'],
    ['100.64.0.1', 'reserved'],
    ['192.0.2.1', 'reserved'],
    ['198.18.0.1', 'reserved'],
    ['240.0.0.1', 'reserved'],
    ['::1', 'never'],
    ['fe80::1', 'never'],
    ['::ffff:45.76.10.10', 'never'],
    ['fd00:ec2::254', 'never'],
    ['fc00::1', 'reserved'],
    ['64:ff9b::a00:1', 'reserved'],
    ['2002:a00:1::', 'reserved'],
    ['2001:db8::1', 'reserved'],
  ])('%s is stripped: %s', (address, why) => {
    const type = address.includes(':') ? 'AAAA' : 'A'
    const result = judged([a(NAME, address)], NAME, type)
    expect(result).toMatchObject({ kind: 'unusable', why: 'stripped' })
    if (result.kind === 'unusable') expect(result.stripped[0]?.[1]).toBe(why)
  })

  it('keeps what is public beside what is not', () => {
    const result = judged([a(NAME, '10.0.0.1'), a(NAME, '45.76.10.10'), a(NAME, '127.0.0.1')])
    expect(addresses(result)).toEqual(['45.76.10.10'])
    expect(result).toMatchObject({
      stripped: [
        ['10.0.0.1', 'reserved'],
        ['127.0.0.1', 'never'],
      ],
    })
  })

  it('a static grant opens exactly its reserved address, and nothing is learnt for it', () => {
    expect(judged([a('db.example.com', '10.50.0.10')], 'db.example.com')).toMatchObject({
      addresses: [{ address: '10.50.0.10', opens: [] }],
    })
    expect(judged([a('db.example.com', '10.50.0.11')], 'db.example.com')).toMatchObject({ why: 'stripped' })
  })

  it('allowed_ips bounds what the name may lead to', () => {
    const records = [a('inside.example.com', '45.76.10.10'), a('inside.example.com', '45.76.11.10')]
    const result = judged(records, 'inside.example.com')
    expect(addresses(result)).toEqual(['45.76.10.10'])
    expect(result).toMatchObject({ stripped: [['45.76.11.10', 'outside-allowed-ips']] })
  })

  it('a wildcard leads to no public resolver; an exact name may', () => {
    expect(judged([a('x.wild.example.com', '8.8.8.8')], 'x.wild.example.com')).toMatchObject({
      why: 'stripped',
      stripped: [['8.8.8.8', 'public-resolver']],
    })
    expect(addresses(judged([a(NAME, '8.8.8.8')]))).toEqual(['8.8.8.8'])
  })

  it('follows at most four aliases, inside the answer, from the asked name', () => {
    const chain = (length: number): AnswerRecord[] => [
      ...Array.from({ length }, (_, i) =>
        cname(i === 0 ? NAME : `c${i}.example.net`, `c${i + 1}.example.net`, 100 - i),
      ),
      a(length === 0 ? NAME : `c${length}.example.net`, '45.76.10.10', 200),
    ]
    expect(addresses(judged(chain(4)))).toEqual(['45.76.10.10'])
    expect(judged(chain(4))).toMatchObject({ addresses: [{ ttlSeconds: 97 }] })
    expect(judged(chain(5))).toMatchObject({ kind: 'unusable', why: 'chain' })
    expect(judged(chain(60))).toMatchObject({ why: 'chain' })
  })

  it.each<[string, AnswerRecord[], string]>([
    ['a circle', [cname(NAME, 'b.example.net'), cname('b.example.net', NAME)], 'chain'],
    ['itself', [cname(NAME, NAME)], 'chain'],
    [
      'two aliases',
      [cname(NAME, 'b.example.net'), cname(NAME, 'c.example.net'), a('b.example.net', '45.76.10.10')],
      'chain',
    ],
    ['an alias that is no name', [cname(NAME, 'b c.example.net'), a('b c.example.net', '45.76.10.10')], 'chain'],
  ])('%s is unusable', (_, records, why) => {
    expect(judged(records)).toMatchObject({ kind: 'unusable', why })
  })

  it('records of other names are not believed', () => {
    expect(judged([a('other.example.com', '45.76.10.66')])).toEqual({ kind: 'nodata', aliases: [] })
    expect(addresses(judged([a('other.example.com', '45.76.10.66'), a(NAME, '45.76.10.10')]))).toEqual(['45.76.10.10'])
    expect(judged([cname(NAME, 'b.example.net')])).toMatchObject({
      kind: 'nodata',
      aliases: [{ target: 'b.example.net' }],
    })
  })

  it('says what the upstream said of the name', () => {
    expect(judged([], NAME, 'A', { outcome: 'no-such-name' })).toEqual({ kind: 'no-such-name' })
    expect(judged([], NAME, 'A', { outcome: 'failed' })).toMatchObject({ why: 'upstream-failed' })
    expect(judged([], NAME, 'A', { outcome: 'refused' })).toMatchObject({ why: 'upstream-failed' })
    expect(judged([a(NAME, 'nonsense')])).toMatchObject({ stripped: [['nonsense', 'not-an-address']] })
  })

  it('looks at the first addresses of many', () => {
    const many = Array.from({ length: 300 }, (_, i) => a(NAME, `45.77.${i >> 8}.${i & 255}`))
    const result = judged(many)
    expect(addresses(result)).toHaveLength(MAX_ADDRESSES)
    expect(result).toMatchObject({ left: 300 - MAX_ADDRESSES })
  })

  it.each([
    [0, 1],
    [1, 1],
    [59.9, 59],
    [300, 300],
    [604_800, 300],
  ])('a lifetime of %d s is %d s', (seconds, expected) => {
    expect(clampTtl(seconds)).toBe(expected)
  })
})
