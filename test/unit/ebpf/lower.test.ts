// What the plan becomes: which grants go to which map, what is left out because it opens nothing, and the text for people.

import { describe, expect, it } from 'vitest'
import { GRANT_ROW, viewOf } from '../../../src/backends/ebpf/layout.js'
import { lower } from '../../../src/backends/ebpf/lower.js'
import { grantIdAt, render } from '../../../src/backends/ebpf/render.js'
import { sliceFor } from '../../../src/plan/codec.js'
import type { Plan } from '../../../src/plan/model.js'
import { egress, ingress, planOf, WS } from '../../support/plans.js'

const program = (plan: Plan) => lower(sliceFor(plan, 'memory', 7))
const PLAN = planOf([
  egress('web', ['93.184.216.34', '2a05:9:9::10'], 'tcp', ['443', '8000-8100']),
  egress('ping', ['93.184.216.34'], 'icmp-echo'),
  egress('net', ['45.76.0.0/16', '45.76.10.0/24'], 'udp', ['514']),
  egress('inside', ['10.50.0.0/24'], 'tcp', ['5432']),
  ingress('broker', ['10.60.0.1/32'], 'tcp', ['22']),
])

describe('lower', () => {
  it('prints every row of every map', () => {
    const { planDigest } = program(PLAN)
    expect(render(program(PLAN))).toBe(`ebpf fence, generation 7
plan ${planDigest}

workspace 0 ${WS} at veth ws0, ends with the bundle

exact: 8 entries
  0 egress icmp-echo 93.184.216.34
  0 egress tcp 2a05:9:9::10 port 443
  0 egress tcp 93.184.216.34 port 443
  0 gateway 10.9.0.1
  0 gateway fd09:0:0:1::1
  0 ingress tcp 10.60.0.1 port 22
  0 own 10.9.0.2
  0 own fd09:0:0:1::2

prefixes: 5, with 5 port ranges behind them
  0 egress tcp 10.50.0.0/24 ports 5432 opens
  0 egress tcp 2a05:9:9::10/128 ports 8000-8100 public addresses only
  0 egress tcp 93.184.216.34/32 ports 8000-8100 public addresses only
  0 egress udp 45.76.0.0/16 ports 514 public addresses only
  0 egress udp 45.76.10.0/24 ports 514 public addresses only inside /16
`)
  })

  it('leaves out an exact grant that opens nothing', () => {
    const [at] = PLAN.workspaces
    if (!at) throw new Error('no workspace')
    const grant = (prefix: string, opens: boolean) => ({
      id: `egress/tcp/${prefix}/443`,
      direction: 'egress' as const,
      protocol: 'tcp' as const,
      prefix,
      ports: { from: 443, to: 443 },
      opens,
      clauses: [],
    })
    const egressGrants = [grant('10.1.1.1/32', false), grant('10.1.1.2/32', true), grant('169.254.169.254/32', true)]
    const network = { ...at.network, egress: egressGrants, ingress: [] }
    const text = render(program({ ...PLAN, workspaces: [{ ...at, network }] }))
    expect(text).toContain('tcp 10.1.1.2 port 443')
    expect(text).not.toContain('10.1.1.1 port')
    expect(text).not.toContain('169.254.169.254')
  })

  it('keeps for every counter the grant that it counts', () => {
    const { grants } = program(PLAN)
    const rows = viewOf(grants.values)
    const [at] = PLAN.workspaces
    const ids = [...(at?.network.egress ?? []), ...(at?.network.ingress ?? [])].map((grant) => grant.id)
    expect(Array.from({ length: grants.count }, (_, i) => grantIdAt(rows, i))).toEqual(ids)
    expect(grants.values.length).toBe(grants.count * GRANT_ROW.size)
  })

  it('says the same for the same plan', () => {
    expect(program(PLAN)).toEqual(program(PLAN))
  })
})
