// Laws of plans: one byte form, diffs that replay, and a compiler that gives the same plan whatever order it is told in.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkPlan } from '../../src/plan/check.js'
import { decodePlan, encodePlan, planDigest } from '../../src/plan/codec.js'
import { applyDiff, diffPlans, renderDiff } from '../../src/plan/diff.js'
import type { Plan } from '../../src/plan/model.js'
import type { EgressClause, IngressClause } from '../../src/policy/model.js'
import { egress, ingress, planOf } from '../support/plans.js'

const address = fc.oneof(
  fc.tuple(fc.constantFrom(45, 93, 10, 192), fc.nat(3), fc.nat(3), fc.nat(255)).map((octets) => octets.join('.')),
  fc.nat(0xffff).map((low) => `2a05:9:9::${(low + 1).toString(16)}`),
)
const ports = fc
  .tuple(fc.integer({ min: 1, max: 65535 }), fc.nat(300))
  .map(([from, more]) => `${from}-${Math.min(65535, from + more)}`)
const clause: fc.Arbitrary<EgressClause | IngressClause> = fc.oneof(
  fc
    .tuple(fc.array(address, { minLength: 1, maxLength: 4 }), fc.constantFrom('tcp' as const, 'udp' as const), ports)
    .map(([to, protocol, range]) => egress('e', to, protocol, [range])),
  address.map((to) => egress('ping', [to], 'icmp-echo')),
  fc
    .tuple(address, ports)
    .map(([from, range]) => ingress('i', [`${from}/${from.includes(':') ? 128 : 32}`], 'tcp', [range])),
)
const clauses = fc.uniqueArray(clause, { selector: (one) => one.id, maxLength: 8 })
const plan: fc.Arbitrary<Plan> = clauses.map((list) => planOf(list))

describe('plans', () => {
  it('round-trip through their byte form', () => {
    fc.assert(
      fc.property(plan, (one) => {
        expect(decodePlan(encodePlan(one), planDigest(one))).toEqual(one)
      }),
    )
  })

  it('have the same digest whatever the order of clauses', () => {
    fc.assert(
      fc.property(clauses, (list) => {
        expect(planDigest(planOf([...list].reverse()))).toBe(planDigest(planOf(list)))
      }),
    )
  })

  it('are without error notes when the compiler made them', () => {
    fc.assert(
      fc.property(plan, (one) => {
        expect(checkPlan(one).filter((note) => note.severity === 'error')).toEqual([])
      }),
    )
  })

  it('a diff replayed on the old plan gives the new one', () => {
    fc.assert(
      fc.property(plan, plan, (before, after) => {
        const diff = diffPlans(before, after)
        expect(applyDiff(before, diff)).toEqual(after)
        if (planDigest(before) === planDigest(after)) expect(renderDiff(diff)).toBe('')
      }),
    )
  })

  it('a stored plan with any other content is refused', () => {
    fc.assert(
      fc.property(plan, fc.nat(), (one, at) => {
        const bytes = encodePlan(one)
        const index = at % bytes.length
        bytes[index] = (bytes[index] ?? 0) ^ 1
        expect(() => decodePlan(bytes, planDigest(one))).toThrow(
          expect.objectContaining({ code: 'PLAN_DIGEST_MISMATCH' }),
        )
      }),
    )
  })
})
