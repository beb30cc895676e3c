// What becomes of a question before anybody is asked.

import { describe, expect, it } from 'vitest'
import { admit } from '../../../src/dns/admit.js'
import { Budgets } from '../../../src/dns/budget.js'
import { canonicalName, entropyBits, freePart } from '../../../src/dns/names.js'
import { broadWildcard, unlearnable } from '../../../src/plan/names.js'
import { mediatedPlan, standingOf } from '../../support/mediator.js'
import { egress, planOf, WS } from '../../support/plans.js'

const PLAN = mediatedPlan(
  [
    egress('files', ['files.example.com'], 'tcp', ['443']),
    egress('any', ['*.cdn.example.com'], 'tcp', ['443']),
    egress('deep', ['**.deep.example.com'], 'tcp', ['443']),
    egress('google', ['*.sub.dns.google'], 'tcp', ['443']),
    egress('pinned', ['pinned.example.com'], 'tcp', ['5432']),
  ],
  { dns: { pins: new Map([['pinned.example.com', ['10.1.2.3', 'fd00::5']]]) } },
)
const STANDING = standingOf(PLAN)
const ask = (name: string, type = 'A', more: Partial<typeof STANDING> = {}, budgets = new Budgets(2)) =>
  admit({ ...STANDING, ...more }, { workspace: WS, name, type }, budgets)
const why = (result: ReturnType<typeof ask>): string => (result.kind === 'refused' ? result.why : result.kind)

describe('admit', () => {
  it.each([
    ['files.example.com', 'A', 'forward'],
    ['FILES.Example.COM.', 'AAAA', 'forward'],
    ['files.example.com', 'HTTPS', 'nodata'],
    ['files.example.com', 'UNKNOWN_64', 'nodata'],
    ['files.example.com', 'TXT', 'type'],
    ['files.example.com', 'ANY', 'type'],
    ['files.example.com', 'CNAME', 'type'],
    ['other.example.com', 'A', 'not-granted'],
    ['other.example.com', 'HTTPS', 'not-granted'],
    ['x.files.example.com', 'A', 'not-granted'],
    ['a.cdn.example.com', 'A', 'forward'],
    ['cdn.example.com', 'A', 'not-granted'],
    ['a.b.cdn.example.com', 'A', 'not-granted'],
    ['a.b.deep.example.com', 'A', 'forward'],
    ['deep.example.com', 'A', 'not-granted'],
    ['x.sub.dns.google', 'A', 'public-resolver'],
    ['localhost', 'A', 'not-granted'],
    ['a b.cdn.example.com', 'A', 'bad-name'],
    ['-a.cdn.example.com', 'A', 'bad-name'],
    ['ä.cdn.example.com', 'A', 'bad-name'],
    ['', 'A', 'bad-name'],
    [`${'a'.repeat(64)}.cdn.example.com`, 'A', 'bad-name'],
    [`${'a.'.repeat(127)}example.com`, 'A', 'bad-name'],
    ['1.2.3.4', 'A', 'bad-name'],
    ['pinned.example.com', 'A', 'pinned'],
    ['pinned.example.com', 'HTTPS', 'nodata'],
  ])('%s %s: %s', (name, type, expected) => {
    expect(why(ask(name, type))).toBe(expected)
  })

  it('forwards the canonical name, never what was written', () => {
    expect(ask('FILES.example.com')).toMatchObject({
      kind: 'forward',
      name: 'files.example.com',
      type: 'A',
      charges: [],
    })
  })

  it('a pinned name is answered with its signed addresses of the family that was asked', () => {
    expect(ask('pinned.example.com')).toEqual({ kind: 'pinned', name: 'pinned.example.com', addresses: ['10.1.2.3'] })
    expect(ask('pinned.example.com', 'AAAA')).toMatchObject({ addresses: ['fd00::5'] })
  })

  it('flags, an unknown client and a node without a bundle come before everything else', () => {
    expect(why(ask('files.example.com', 'A', { quarantined: new Set([WS]) }))).toBe('quarantined')
    expect(why(ask('files.example.com', 'A', { suspended: new Set([WS]) }))).toBe('suspended')
    const budgets = new Budgets(2)
    expect(admit(undefined, { workspace: WS, name: 'files.example.com', type: 'A' }, budgets)).toMatchObject({
      why: 'nothing-live',
    })
    expect(admit(STANDING, { workspace: undefined, name: 'files.example.com', type: 'A' }, budgets)).toMatchObject({
      why: 'unknown-client',
    })
    expect(admit(STANDING, { workspace: 'spiffe://x/y', name: 'files.example.com', type: 'A' }, budgets)).toMatchObject(
      { why: 'unknown-client' },
    )
    const unmediated = standingOf(planOf([egress('web', ['93.184.216.34'], 'tcp', ['443'])]))
    expect(admit(unmediated, { workspace: WS, name: 'files.example.com', type: 'A' }, budgets)).toMatchObject({
      why: 'unknown-client',
    })
  })
})

describe('budgets', () => {
  it('count each new name under a wildcard once, and refuse what is over', () => {
    const budgets = new Budgets(2)
    for (const [name, charges] of [
      ['a', 1],
      ['b', 1],
      ['a', 0],
    ] as const) {
      const admitted = ask(`${name}.cdn.example.com`, 'A', {}, budgets)
      if (admitted.kind !== 'forward') throw new Error(admitted.kind)
      expect(admitted.charges).toHaveLength(charges)
      for (const key of admitted.charges) budgets.charge(WS, key, admitted.name)
    }
    expect(why(ask('c.cdn.example.com', 'A', {}, budgets))).toBe('budget')
    expect(why(ask('b.cdn.example.com', 'AAAA', {}, budgets))).toBe('forward')
    expect(why(ask('c.x.deep.example.com', 'A', {}, budgets))).toBe('forward')
    expect(budgets.report()).toMatchObject([
      { workspace: WS, pattern: '*.cdn.example.com', names: 2, limit: 2, octets: 2, bits: 0 },
    ])
    const again = new Budgets(2, budgets.list())
    expect(why(ask('c.cdn.example.com', 'A', {}, again))).toBe('budget')
    expect(again.retain(() => false)).toBe(true)
    expect(why(ask('c.cdn.example.com', 'A', {}, again))).toBe('forward')
  })

  it('an empty answer costs nothing', () => {
    const budgets = new Budgets(1)
    expect(why(ask('a.cdn.example.com', 'HTTPS', {}, budgets))).toBe('nodata')
    expect(budgets.report()).toEqual([])
  })
})

describe('names', () => {
  it('have one spelling', () => {
    expect(canonicalName('A.B_c-d.Example.')).toBe('a.b_c-d.example')
    expect(canonicalName('a..b')).toBeUndefined()
    expect(canonicalName('.')).toBeUndefined()
    expect(canonicalName('a.b..')).toBeUndefined()
    expect(canonicalName(`${'a'.repeat(63)}.example`)).toBe(`${'a'.repeat(63)}.example`)
  })

  it('carry at most what their characters can', () => {
    expect(entropyBits('')).toBe(0)
    expect(entropyBits('aaaa')).toBe(0)
    expect(entropyBits('abcd')).toBe(8)
    expect(freePart('*.cdn.example.com', 'abc.cdn.example.com')).toBe('abc')
    expect(freePart('**.x.example.com', 'a.b.x.example.com')).toBe('a.b')
    expect(freePart('*.s3.*.amazonaws.com', 'b.s3.eu.amazonaws.com')).toBe('b.s3.eu')
  })
})

describe('what can never be learnt', () => {
  it.each([
    ['*.co.uk', "co.uk is a registry's own suffix, below which anybody can have a name"],
    ['*.com.au', "com.au is a registry's own suffix, below which anybody can have a name"],
    ['**.org.uk', "org.uk is a registry's own suffix, below which anybody can have a name"],
    ['a.*.com', 'fewer than two plain labels stand after its last star'],
    ['*.example.co.uk', undefined],
    ['*.example.com', undefined],
    ['*.s3.*.amazonaws.com', undefined],
    ['files.co.uk', undefined],
  ])('%s: %s', (pattern, expected) => {
    expect(broadWildcard(pattern)).toBe(expected)
  })

  const clause = { pattern: 'a.example.com', protocol: 'tcp', ports: [{ from: 443, to: 443 }], within: [] } as const
  it('says why', () => {
    expect(unlearnable(clause)).toBeUndefined()
    expect(unlearnable({ ...clause, protocol: 'icmp-echo' })).toBe('learned addresses carry TCP and UDP only')
    expect(unlearnable({ ...clause, pattern: 'localhost' })).toBe('it stands for this machine or for cloud metadata')
    expect(unlearnable({ ...clause, ports: [{ from: 1000, to: 1064 }] })).toBe(
      'it has 65 ports, and a learned address takes at most 64',
    )
    expect(unlearnable({ ...clause, ports: [{ from: 1000, to: 1063 }] })).toBeUndefined()
    expect(unlearnable({ ...clause, within: ['10.0.0.0/8'] })).toBe(
      'every address in allowed_ips is reserved, and an answer never opens a reserved one',
    )
    expect(unlearnable({ ...clause, within: ['10.0.0.0/8', '45.76.0.0/16'] })).toBeUndefined()
  })

  it('refuses the bundle', () => {
    expect(() => mediatedPlan([egress('wide', ['*.co.uk'], 'tcp', ['443'])])).toThrow(
      `"wide": "*.co.uk": the wildcard is too broad: co.uk is a registry's own suffix, below which anybody can have a name; pin it under dns.pins, or narrow the clause`,
    )
    expect(() => mediatedPlan([egress('ping', ['a.example.com'], 'icmp-echo')])).toThrow(
      'learned addresses carry TCP and UDP only',
    )
  })
})
