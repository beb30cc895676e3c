// Port ranges behind a prefix: disjoint, sorted, and for every port the grant that plan/lookup.ts would name.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type PortGrant, segmentsOf } from '../../../src/backends/ebpf/ranges.js'

const grant = (number: number, from: number, to: number): PortGrant => ({ from, to, grant: number, id: `g${number}` })

const best = (grants: readonly PortGrant[], port: number): number | undefined =>
  grants
    .filter((one) => port >= one.from && port <= one.to)
    .sort((a, b) => a.to - a.from - (b.to - b.from) || (a.id < b.id ? -1 : 1))[0]?.grant

describe('segmentsOf', () => {
  it('keeps ranges that do not touch as they are', () => {
    expect(segmentsOf([grant(1, 443, 443), grant(0, 80, 90)])).toEqual([
      { from: 80, to: 90, grant: 0 },
      { from: 443, to: 443, grant: 1 },
    ])
  })

  it('puts the narrower one on top of the wider', () => {
    expect(segmentsOf([grant(0, 1, 65535), grant(1, 100, 200), grant(2, 150, 150)])).toEqual([
      { from: 1, to: 99, grant: 0 },
      { from: 100, to: 149, grant: 1 },
      { from: 150, to: 150, grant: 2 },
      { from: 151, to: 200, grant: 1 },
      { from: 201, to: 65535, grant: 0 },
    ])
  })

  it('says for every port what the oracle says', () => {
    const some = fc
      .array(fc.tuple(fc.nat(60), fc.nat(60)), { maxLength: 8 })
      .map((pairs) => pairs.map(([a, b], i) => grant(i, Math.min(a, b), Math.max(a, b))))
    fc.assert(
      fc.property(some, (grants) => {
        const segments = segmentsOf(grants)
        for (const [i, one] of segments.entries()) expect(one.from).toBeGreaterThan(segments[i - 1]?.to ?? -1)
        for (let port = 0; port <= 61; port++)
          expect(segments.find((one) => port >= one.from && port <= one.to)?.grant).toBe(best(grants, port))
      }),
    )
  })
})
