// Grants as elements: literals only, no two elements of a layer overlap, nothing granted is lost, and names that could be read
// as anything else never reach nft.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  elementOf,
  interfaceName,
  isExact,
  layersOf,
  locate,
  neverIntervals,
  reservedIntervals,
} from '../../../src/backends/nftables/elements.js'
import { patternOf } from '../../../src/backends/nftables/scaffold.js'
import { formatPrefix, overlaps, parsePrefix, prefixRange } from '../../../src/base/ip.js'
import { grantOf } from '../../support/nftables/slices.js'

describe('elements', () => {
  it('prints hosts without a length, single ports without a range', () => {
    const texts = ['tcp 45.76.10.10 443', 'udp 10.0.0.0/8 1-65535', 'tcp 2a05:9:9::10 22', 'icmp-echo 0.0.0.0/0']
    expect(locate(texts.map((text) => grantOf('egress', text))).map(elementOf)).toEqual([
      '0.0.0.0/0',
      '10.0.0.0/8 . udp . 1-65535',
      '45.76.10.10 . tcp . 443',
      '2a05:9:9::10 . tcp . 22',
    ])
  })

  it('leaves out what nothing may open, for destinations only', () => {
    const texts = ['tcp 169.254.169.254 80', 'tcp 127.0.0.0/8 80', 'tcp fe80::1 80', 'tcp 8.8.8.8 80']
    expect(locate(texts.map((text) => grantOf('egress', text))).map(elementOf)).toEqual(['8.8.8.8 . tcp . 80'])
    expect(locate(texts.map((text) => grantOf('ingress', text)))).toHaveLength(4)
  })

  it.each(['', 'a b', 'ws0"', 'ws0;', 'longer-than-fifteen', 'ws/0', 'ws0\n', '%0', 'é'])(
    'refuses %j as an interface',
    (name) => {
      expect(() => interfaceName(name)).toThrow(expect.objectContaining({ code: 'NFT_INTERFACE_NAME' }))
    },
  )

  it('takes names and names with one star at their end as patterns, and no others', () => {
    expect(patternOf('ws*')).toBe('"ws*"')
    expect(patternOf('tap0')).toBe('"tap0"')
    for (const pattern of ['*', 'w*s', 'ws?', '[ab]*', 'ws**', ''])
      expect(() => patternOf(pattern)).toThrow(expect.objectContaining({ code: 'NFT_ATTACH_PATTERN' }))
  })

  it('merges overlapping and adjacent rows of the reserved tables', () => {
    expect(neverIntervals(4)).toContain('224.0.0.0-239.255.255.255')
    expect(neverIntervals(6)).toContain('::-::1')
    for (const list of [neverIntervals(4), neverIntervals(6), reservedIntervals(4), reservedIntervals(6)])
      expect(new Set(list).size).toBe(list.length)
    expect(reservedIntervals(4)).toContain('10.0.0.0-10.255.255.255')
  })
})

const prefix = fc
  .record({
    value: fc.constantFrom(0x2d4c0a00, 0x2d4c0a0a, 0x2d4c0000, 0x08080808),
    length: fc.constantFrom(0, 8, 16, 24, 31, 32),
  })
  .map(({ value, length }) =>
    formatPrefix(
      parsePrefix(`${value >>> 24}.${(value >> 16) & 255}.${(value >> 8) & 255}.${value & 255}/${length}`)
        ?.prefix as never,
    ),
  )
const ports = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 6 }))
  .map(([from, more]) => `${from}-${from + more}`)
const grant = fc
  .tuple(fc.constantFrom('tcp', 'udp'), prefix, ports)
  .map(([protocol, where, range]) => grantOf('egress', `${protocol} ${where} ${range.replace(/^(\d+)-\1$/, '$1')}`))

describe('layers', () => {
  it('hold every grant once, and no two of a layer overlap', () => {
    fc.assert(
      fc.property(fc.uniqueArray(grant, { maxLength: 40, selector: ({ id }) => id }), (grants) => {
        const located = locate(grants)
        const layers = layersOf(located)
        expect(
          layers
            .flat()
            .map(({ grant: one }) => one.id)
            .sort(),
        ).toEqual(located.map(({ grant: one }) => one.id).sort())
        for (const layer of layers)
          for (const [i, a] of layer.entries())
            for (const b of layer.slice(i + 1)) {
              const [p, q] = [a.grant.ports, b.grant.ports]
              const touching =
                overlaps(prefixRange(a.prefix), prefixRange(b.prefix)) &&
                a.grant.protocol === b.grant.protocol &&
                p !== null &&
                q !== null &&
                p.from <= q.to &&
                q.from <= p.to
              expect(touching, `${elementOf(a)} and ${elementOf(b)}`).toBe(false)
            }
      }),
      { numRuns: 300 },
    )
  })

  it('are one where nothing overlaps, and as many as the deepest pile', () => {
    const apart = locate(Array.from({ length: 200 }, (_, i) => grantOf('egress', `tcp 45.76.${i}.0/24 80-90`)))
    expect(layersOf(apart)).toHaveLength(1)
    const pile = ['0.0.0.0/0', '45.0.0.0/8', '45.76.0.0/16', '45.76.10.0/24'].map((where) =>
      grantOf('egress', `tcp ${where} 80-90`),
    )
    expect(layersOf(locate(pile))).toHaveLength(4)
    expect(locate(pile).some(isExact)).toBe(false)
  })
})
