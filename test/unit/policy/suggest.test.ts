// The policy that is suggested from what was seen: exact text, strict check without a finding, and what is left out.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/base/bytes.js'
import { checkDocument } from '../../../src/policy/check.js'
import { type SeenTraffic, type SuggestInput, suggestPolicy } from '../../../src/policy/suggest.js'

const T0 = Date.UTC(2026, 10, 21, 12)
const seen = (destination: string, port: number | undefined, more: Partial<SeenTraffic> = {}): SeenTraffic => ({
  protocol: 6,
  destination,
  ...(port === undefined ? {} : { port }),
  begun: 1,
  answered: 1,
  firstAtMs: T0 + 1_000,
  lastAtMs: T0 + 1_000,
  ...more,
})
const input = (traffic: readonly SeenTraffic[], more: Partial<SuggestInput> = {}): SuggestInput => ({
  workspace: 'spiffe://example.org/ws/a',
  traffic,
  names: [],
  refused: new Map(),
  answeredOnly: false,
  ...more,
})
const check = (text: string) => checkDocument(utf8(text), 'p.yaml', { profile: 'strict', role: 'authored' })

const NAMES = [
  { name: 'git.example.com', addresses: ['45.76.10.10', '2a05:9:9::10'], atMs: T0 },
  { name: 'api.example.com', addresses: ['45.76.10.20'], atMs: T0 },
]

describe('a suggestion', () => {
  it('is by name where one was asked for, by address otherwise, with exact ports and what it rests on', () => {
    const { text, rules, left } = suggestPolicy(
      input(
        [
          seen('45.76.10.10', 443, { begun: 2, answered: 1 }),
          seen('2a05:9:9::10', 22),
          seen('93.184.216.34', 8080, { firstAtMs: T0 + 5_000, lastAtMs: T0 + 9_000 }),
        ],
        { names: NAMES },
      ),
    )
    expect(
      text,
    ).toBe(`# Suggested from what "spiffe://example.org/ws/a" did while it was observed, and from nothing else. Read it before you sign it:
# whatever the workspace should not have done is in here as well. What its present policy grants is not.
version: 1
network_policies:
  to_git_example_com:
    # 3 connections, 2 of them answered, 2026-11-21T12:00:01Z to 2026-11-21T12:00:01Z; 2a05:9:9::10, 45.76.10.10.
    endpoints:
      - host: "git.example.com"
        ports: [22, 443]
        protocol: tcp
    binaries:
      # The fence does not see programs; name the one that needs this.
      - path: "/**"
  to_93_184_216_34:
    # 1 connections, 1 of them answered, 2026-11-21T12:00:05Z to 2026-11-21T12:00:09Z; no name was asked for.
    endpoints:
      - host: "93.184.216.34"
        ports: [8080]
    binaries:
      # The fence does not see programs; name the one that needs this.
      - path: "/**"
`)
    expect(rules.map(({ host, ports }) => [host, ports])).toEqual([
      ['git.example.com', [22, 443]],
      ['93.184.216.34', [8080]],
    ])
    expect(left).toEqual([])
    expect(check(text)).toMatchObject({ accepted: true, kind: 'SandboxPolicy', notes: [] })
  })

  it('takes the name that was answered last before the connection, and none that was answered after', () => {
    const names = [
      { name: 'old.example.com', addresses: ['45.76.10.10'], atMs: T0 - 60_000 },
      { name: 'new.example.com', addresses: ['45.76.10.10'], atMs: T0 },
      { name: 'late.example.com', addresses: ['45.76.10.10'], atMs: T0 + 60_000 },
    ]
    expect(suggestPolicy(input([seen('45.76.10.10', 443)], { names })).rules).toMatchObject([
      { host: 'new.example.com' },
    ])
  })

  it('says what it left out, and why', () => {
    const { text, left } = suggestPolicy(
      input(
        [
          seen('45.76.10.20', 443),
          seen('45.76.10.20', 514, { protocol: 17 }),
          seen('93.184.216.34', undefined, { protocol: 1 }),
          seen('45.76.10.30', 22, { begun: 4, answered: 0 }),
          seen('10.50.0.7', 5432),
          seen('45.76.10.40', 80, { mixed: true, begun: 90 }),
        ],
        { names: NAMES, refused: new Map([['x"y.example.com', 3]]), answeredOnly: true },
      ),
    )
    expect(left).toEqual(
      [
        '"10.50.0.7", protocol 6: not something that observing lets through',
        'tcp to 45.76.10.30 port 22: begun and never answered',
        '90 times to more destinations at once than were told apart, around 2026-11-21T12:00:01Z',
        'icmp-echo to 93.184.216.34: the schema has no words for it; the FencePolicy has, see below',
        'udp to api.example.com port 514: the schema has no words for it; the FencePolicy has, see below',
        'the name "x\\"y.example.com" was asked for 3 times and refused; list it under observe.names to learn what it is for',
      ].sort((a, b) => left.indexOf(a) - left.indexOf(b)),
    )
    expect(text).toContain('#   - { name: seen-1, hosts: ["api.example.com"], protocol: udp, ports: [514] }')
    expect(text).toContain('#   - { name: seen-2, cidrs: ["93.184.216.34/32"], protocol: icmp-echo }')
    expect(check(text)).toMatchObject({ accepted: true, notes: [] })
  })

  it('is accepted in strict whatever was seen, and the same for the rows in any order', () => {
    const row = fc
      .record({
        destination: fc.constantFrom(
          '45.76.10.10',
          '45.76.10.20',
          '2a05:9:9::10',
          '93.184.216.34',
          '10.0.0.1',
          'x\n- y',
        ),
        port: fc.constantFrom(22, 443, 8080),
        protocol: fc.constantFrom(6, 17),
        begun: fc.nat(5),
        answered: fc.nat(1),
        later: fc.nat(3),
      })
      .map(({ destination, port, later, ...more }) =>
        seen(destination, port, { ...more, firstAtMs: T0 + later, lastAtMs: T0 + later }),
      )
    const names = fc.array(
      fc.record({
        name: fc.constantFrom('git.example.com', 'api.example.com', 'a"b', '*.example.com', 'x\ny: z'),
        addresses: fc.subarray(['45.76.10.10', '45.76.10.20', '2a05:9:9::10']),
        atMs: fc.nat(5).map((ms) => T0 + ms),
      }),
      { maxLength: 4 },
    )
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 12 }),
        names,
        fc.boolean(),
        (traffic, known, answeredOnly) => {
          const one = suggestPolicy(input(traffic, { names: known, answeredOnly }))
          const other = suggestPolicy(input([...traffic].reverse(), { names: [...known].reverse(), answeredOnly }))
          expect(other.text).toBe(one.text)
          expect(check(one.text)).toMatchObject({ accepted: true, notes: [] })
        },
      ),
      { numRuns: 200 },
    )
  })
})
