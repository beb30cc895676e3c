// The host dialect: upstream's vectors (sheet section 6), the grammar at its edges, and overlap of two patterns.

import { describe, expect, it } from 'vitest'
import {
  globsIntersect,
  hostMatches,
  hostsOverlap,
  isBlockedHost,
  parseHost,
} from '../../../src/policy/host-pattern.js'

const VECTORS: readonly [string, string, boolean][] = [
  ['*.example.com', 'api.example.com', true],
  ['*.example.com', 'deep.sub.example.com', false],
  ['*.example.com', 'example.com', false],
  ['*.EXAMPLE.COM', 'api.example.com', true],
  ['*-aiplatform.googleapis.com', 'us-central1-aiplatform.googleapis.com', true],
  ['*-aiplatform.googleapis.com', 'us-central1.aiplatform.googleapis.com', false],
  ['*.s3.*.amazonaws.com', 'my-bucket.s3.us-east-1.amazonaws.com', true],
  ['*.s3.*.amazonaws.com', 's3.us-east-1.amazonaws.com', false],
  ['*.s3.*.amazonaws.com', 'my-bucket.s3.dualstack.us-east-1.amazonaws.com', false],
  ['**.example.com', 'a.b.c.example.com', true],
  ['**.example.com', 'a.example.com', true],
  ['**.example.com', 'example.com', false],
  ['**.example.com', 'a.badexample.com', false],
  ['api.example.com', 'API.Example.com.', true],
  ['api.example.com', 'xapi.example.com', false],
  ['a*b*c.example.com', 'abxbc.example.com', true],
  ['a*b*c.example.com', 'abxb.example.com', false],
  ['*.example.com', '.example.com', false],
  ['*.example.com', 'api.example.com.evil.example', false],
]

describe('hostMatches', () => {
  for (const [pattern, name, expected] of VECTORS)
    it(`${pattern} ${expected ? 'admits' : 'does not admit'} ${name}`, () => {
      expect(hostMatches(pattern, name)).toBe(expected)
    })

  it('takes time that grows with the product of lengths, not exponentially', () => {
    const pattern = `${'a*'.repeat(30)}b.example.com`
    expect(hostMatches(pattern, `${'a'.repeat(60)}.example.com`)).toBe(false)
  })
})

describe('parseHost', () => {
  it('folds case and one trailing dot', () => {
    expect(parseHost('API.Example.COM.')).toEqual({ kind: 'name', name: 'api.example.com', trailingDot: true })
    expect(parseHost('*.Example.com')).toEqual({ kind: 'wildcard', name: '*.example.com', trailingDot: false })
  })

  it('reads addresses as addresses', () => {
    expect(parseHost('10.0.0.1')).toEqual({ kind: 'address', ip: { family: 4, value: 0x0a000001n } })
    expect(parseHost('2001:db8::1').kind).toBe('address')
    expect(parseHost('')).toEqual({ kind: 'empty' })
  })

  for (const text of [
    'localhost',
    'host_name.example.com',
    '1password.com',
    '3com',
    'xn--bcher-kva.example',
    'a'.repeat(63),
  ])
    it(`accepts ${text}`, () => expect(parseHost(text).kind).toBe('name'))

  for (const text of [
    '*.s3.*.amazonaws.com',
    's3.*.amazonaws.com',
    '**.example.com',
    '*-x.example.com',
    'a*b.example.com',
  ])
    it(`accepts the wildcard ${text}`, () => expect(parseHost(text).kind).toBe('wildcard'))

  for (const text of [
    '.',
    '..',
    'a..b',
    '010.0.0.1',
    '1.2.3',
    '0x7f.1',
    '0x7f000001',
    'a'.repeat(64),
    `${'a.'.repeat(127)}ab`,
    'a b',
    'a\nb',
    'a,b',
    '-a.b',
    'a-.b',
    'ä.b',
    'a%b',
    '::1%eth0',
  ])
    it(`refuses ${JSON.stringify(text.slice(0, 30))}`, () =>
      expect(parseHost(text)).toMatchObject({ kind: 'bad', code: 'bad-host' }))

  for (const text of [
    '*',
    '**',
    '*.',
    '*.com',
    '**.com',
    'a.*',
    'x.**.example.com',
    'foo**.example.com',
    '***.example.com',
    'a.b*.example.com',
  ])
    it(`refuses the wildcard ${text}`, () =>
      expect(parseHost(text)).toMatchObject({ kind: 'bad', code: 'bad-wildcard' }))
})

describe('isBlockedHost', () => {
  for (const text of [
    'localhost',
    'a.localhost',
    'METADATA.google.internal.',
    '127.0.0.1',
    '169.254.169.254',
    '0.0.0.0',
    '::1',
    'fe80::1',
    '::ffff:10.0.0.1',
    '168.63.129.16',
  ])
    it(`${text} is blocked`, () => expect(isBlockedHost(parseHost(text))).toBe(true))
  for (const text of ['localhost.example.com', '10.0.0.1', '93.184.216.34', 'google.internal'])
    it(`${text} is not`, () => expect(isBlockedHost(parseHost(text))).toBe(false))
})

describe('hostsOverlap', () => {
  const cases: readonly [string, string, boolean][] = [
    ['', 'api.example.com', true],
    ['api.example.com', 'api.example.com', true],
    ['api.example.com', 'b.example.com', false],
    ['*.example.com', 'api.example.com', true],
    ['*.example.com', '*.example.com', true],
    ['a*.example.com', '*b.example.com', true],
    ['a*.example.com', 'b*.example.com', false],
    ['*.s3.*.example.com', '*.*.eu.example.com', true],
    ['*.s3.*.example.com', '*.s4.*.example.com', false],
    ['*.example.com', '*.a.example.com', false],
    ['**.example.com', '*.a.example.com', true],
    ['**.a.example.com', '*.example.com', false],
    ['**.a.example.com', '**.example.com', true],
    ['**.example.com', '**.example.org', false],
    ['**.example.com', 'example.com', false],
  ]
  for (const [a, b, expected] of cases)
    it(`${a || '(any)'} and ${b}: ${expected}`, () => {
      expect(hostsOverlap(a, b)).toBe(expected)
      expect(hostsOverlap(b, a)).toBe(expected)
    })
})

describe('globsIntersect', () => {
  const cases: readonly [string, string, boolean][] = [
    ['', '', true],
    ['*', '', true],
    ['*', 'x', true],
    ['a*', '*a', true],
    ['a*c', 'ab*', true],
    ['ab', 'a', false],
    ['a*b', 'c*', false],
    ['/a/*', '/*/a', true],
  ]
  for (const [a, b, expected] of cases)
    it(`${JSON.stringify(a)} and ${JSON.stringify(b)}: ${expected}`, () => {
      expect(globsIntersect(a, b)).toBe(expected)
      expect(globsIntersect(b, a)).toBe(expected)
    })
})
