// What becomes of grants: which pipe each kind goes to, what prefixes inherit, what reserved ranges keep out; and the whole of
// one small program as text.

import { describe, expect, it } from 'vitest'
import { docaCapabilities } from '../../../src/backends/doca-flow/capabilities.js'
import { lower } from '../../../src/backends/doca-flow/lower.js'
import { lookupOf, placeGrants } from '../../../src/backends/doca-flow/nodes.js'
import { demandOf } from '../../../src/backends/doca-flow/program.js'
import { render } from '../../../src/backends/doca-flow/render.js'
import { formatPrefix } from '../../../src/base/ip.js'
import { sliceFor } from '../../../src/plan/codec.js'
import type { Plan } from '../../../src/plan/model.js'
import { compile, ENTRY, egress, ingress, planOf, policy } from '../../support/plans.js'

const programOf = (plan: Plan) => lower({ ...sliceFor(plan, 'memory', 7), workspaces: plan.workspaces })
const lookup = (plan: Plan) => lookupOf(placeGrants(plan.workspaces[0]?.network.egress ?? []), 4, true)
const said = (plan: Plan): string[] =>
  lookup(plan).nodes.map(
    ({ prefix, segments }) =>
      `${formatPrefix(prefix)}: ${segments.map(({ from, to, grant }) => `${from}-${to} ${grant.prefix}`).join(', ') || 'nothing'}`,
  )

describe('doca-flow: lookup', () => {
  it('keeps single ports of one address apart from everything else', () => {
    const { exact, nodes } = lookup(planOf([egress('a', ['45.76.10.10'], 'tcp', ['443', '8000-8001'])]))
    expect(exact.map(({ port }) => port)).toEqual([443])
    expect(nodes).toHaveLength(1)
  })

  it('gives a longer prefix what the shorter ones around it allow, its own first', () => {
    const plan = planOf([
      egress('wide', ['45.76.0.0/16'], 'tcp', ['80-90']),
      egress('near', ['45.76.10.0/24'], 'tcp', ['85']),
    ])
    expect(said(plan)).toEqual([
      '45.76.10.0/24: 80-84 45.76.0.0/16, 85-85 45.76.10.0/24, 86-90 45.76.0.0/16',
      '45.76.0.0/16: 80-90 45.76.0.0/16',
    ])
  })

  it('cuts reserved and forbidden ranges out of what lies around them, and opens what was opened', () => {
    const lines = said(
      planOf([egress('any', ['0.0.0.0/0'], 'tcp', ['443']), egress('lan', ['10.50.0.0/24'], 'tcp', ['22'])]),
    )
    expect(lines).toContain('10.0.0.0/8: nothing')
    expect(lines).toContain('10.50.0.0/24: 22-22 10.50.0.0/24')
    expect(lines).toContain('169.254.0.0/16: nothing')
    expect(lines).toContain('0.0.0.0/0: 443-443 0.0.0.0/0')
  })

  it('leaves ranges alone that no grant covers', () => {
    expect(said(planOf([egress('a', ['45.76.0.0/16'], 'tcp', ['443'])]))).toHaveLength(1)
  })
})

describe('doca-flow: placement', () => {
  const capabilities = docaCapabilities({ backend: 'doca-flow', trustDomain: 'dpu-host-trusted', probes: [] })
  const entry = { ...ENTRY, slot: { ...ENTRY.slot, kind: 'representor' as const, vuid: 'MT2542X7VF0' } }
  const clauses = [egress('web', ['93.184.216.34'], 'tcp', ['443'])]

  it('carries representors, and says with every clause that answers go by the reversed grant', () => {
    const { plan } = compile([policy(clauses, { requireDomain: 'dpu-host-trusted' })], capabilities, [entry])
    expect(plan?.guarantees.map(({ level, why }) => `${level}: ${why}`)).toEqual([
      'enforced: doca-flow, answers by the reversed grant',
    ])
    expect(plan?.workspaces[0]).toMatchObject({ backend: 'doca-flow', domain: 'dpu-host-trusted' })
  })

  it('says stateful replies where the card tracks connections, and the reversed grant beside echo', () => {
    const probes = [{ feature: 'tracking', answer: 'yes' as const, why: '' }]
    const tracking = docaCapabilities({ backend: 'doca-flow', trustDomain: 'dpu-host-trusted', probes })
    const { plan } = compile([policy([...clauses, egress('ping', ['93.184.216.34'], 'icmp-echo')])], tracking, [entry])
    expect(plan?.guarantees.map(({ name, why }) => `${name}: ${why}`).sort()).toEqual([
      'ping: doca-flow, answers by the reversed grant',
      'web: doca-flow, stateful replies',
    ])
    expect(plan?.workspaces[0]?.flows).toBe('device')
  })

  it('carries nothing else', () => {
    const { plan } = compile([policy(clauses)], capabilities, [ENTRY])
    expect(plan).toBeUndefined()
  })
})

describe('doca-flow: program', () => {
  it('drops everything for a workspace without grants, with the same first pipes', () => {
    const [at] = programOf(planOf([])).workspaces
    expect(at?.pipes.every(({ miss }) => miss.kind !== 'wire' && miss.kind !== 'slot')).toBe(true)
    expect(at?.pipes.flatMap(({ entries }) => entries.map(({ forward }) => forward.kind))).not.toContain('wire')
  })

  it('knows what it needs of the device', () => {
    const { workspaces } = programOf(planOf([egress('a', ['45.76.10.10'], 'tcp', ['443', '8000-8100'])]))
    const demand = demandOf(workspaces)
    expect(demand.pipes).toBe(workspaces[0]?.pipes.length)
    // The range and the refusal behind it, from the workspace and, reversed, towards it.
    expect(demand.rules).toBe(4)
    expect(demand.counters).toBe(demand.entries + demand.pipes)
  })

  it('reads as text', async () => {
    const plan = planOf([
      egress('web', ['93.184.216.34'], 'tcp', ['443']),
      egress('git', ['45.76.0.0/16'], 'tcp', ['22', '8000-8100']),
      egress('time', ['8.8.8.8'], 'udp', ['123']),
      egress('ping', ['2a05:9:9::/48'], 'icmp-echo'),
      ingress('broker', ['10.60.0.1/32'], 'tcp', ['22']),
    ])
    await expect(render(programOf(plan))).toMatchFileSnapshot('expected/program.txt')
  })
})
