// From clauses to grants: pins, ports that open by number only, losses that must be delegated, and refusals that name the
// clause and the ways out.

import { describe, expect, it } from 'vitest'
import { checkPlan } from '../../../src/plan/check.js'
import { withoutSensitive } from '../../../src/plan/grants.js'
import { renderGuarantees } from '../../../src/plan/guarantee.js'
import type { QuotaClause } from '../../../src/policy/model.js'
import { compile, ENTRY, egress, ingress, MEMORY, planOf, policy, WS } from '../../support/plans.js'

const BINARY = { dimension: 'binary', what: 'binaries', widenedTo: 'every program of the workspace' } as const

describe('grants', () => {
  it('one grant for each address and range, named by what it says, the same in every plan', () => {
    const plan = planOf([egress('web', ['93.184.216.34', '2a05:9:9::10'], 'tcp', ['443', '8000-8100'])])
    const grants = plan.workspaces[0]?.network.egress ?? []
    expect(grants.map((grant) => `${grant.prefix} ${grant.ports?.from}-${grant.ports?.to}`).sort()).toEqual([
      '2a05:9:9::10/128 443-443',
      '2a05:9:9::10/128 8000-8100',
      '93.184.216.34/32 443-443',
      '93.184.216.34/32 8000-8100',
    ])
    const again = planOf([egress('renamed', ['93.184.216.34'], 'tcp', ['443']), egress('x', ['1.1.1.1'], 'tcp', ['1'])])
    const id = grants.find((grant) => grant.prefix === '93.184.216.34/32' && grant.ports?.to === 443)?.id
    expect(id).toBe('egress/tcp/93.184.216.34/32/443')
    expect(again.workspaces[0]?.network.egress.map((grant) => grant.id)).toContain(id)
  })

  it('two clauses that say one grant are both named by it', () => {
    const plan = planOf([egress('a', ['1.1.1.1'], 'tcp', ['443']), egress('b', ['1.1.1.1', '1.0.0.1'], 'tcp', ['443'])])
    const shared = plan.workspaces[0]?.network.egress.find((grant) => grant.prefix === '1.1.1.1/32')
    expect(shared?.clauses).toHaveLength(2)
  })

  it.each([
    [{ from: 53, to: 53 }, '53-53'],
    [{ from: 1, to: 1000 }, '1-52 54-852 854-1000'],
    [{ from: 2379, to: 2380 }, ''],
    [{ from: 2378, to: 2381 }, '2378-2378 2381-2381'],
    [{ from: 853, to: 10256 }, '854-2378 2381-6442 6444-10249 10251-10254 10256-10256'],
    [{ from: 53, to: 54 }, '54-54'],
    [{ from: 8000, to: 8100 }, '8000-8100'],
  ])('%o leaves out what opens by number only', (range, expected) => {
    expect(
      withoutSensitive(range)
        .map((kept) => `${kept.from}-${kept.to}`)
        .join(' '),
    ).toBe(expected)
  })

  it('a pin makes the grants of its name, and opens a private address for exactly itself', () => {
    const pins = new Map([['db.example.com', ['10.1.2.3', '93.184.216.34']]])
    const plan = planOf([egress('db', ['db.example.com'], 'tcp', ['5432'])], { dns: { pins } })
    expect(plan.workspaces[0]?.network.egress.map((grant) => [grant.prefix, grant.opens]).sort()).toEqual([
      ['10.1.2.3/32', true],
      ['93.184.216.34/32', false],
    ])
    expect(plan.workspaces[0]?.network.names).toEqual([])
  })

  it('a pin outside allowed_ips, or of an address that nothing may open, grants nothing', () => {
    const clause = egress('db', ['db.example.com'], 'tcp', ['5432'])
    const within = {
      ...clause,
      to: [{ kind: 'name', pattern: 'db.example.com', wildcard: false, within: ['10.1.0.0/16'] } as const],
    }
    const pins = new Map([['db.example.com', ['10.1.2.3', '10.2.2.3', '169.254.169.254']]])
    const plan = planOf([within], { dns: { pins } })
    expect(plan.workspaces[0]?.network.egress.map((grant) => grant.prefix)).toEqual(['10.1.2.3/32'])
  })

  it.each([
    ['0.0.0.0/0', '93.184.216.34/32'],
    ['::/0', '2a05:9:9::10/128'],
  ])('allowed_ips of one family, %s, admits no pin of the other', (within, granted) => {
    const clause = egress('db', ['db.example.com'], 'tcp', ['5432'])
    const to = [{ kind: 'name', pattern: 'db.example.com', wildcard: false, within: [within] } as const]
    const pins = new Map([['db.example.com', ['93.184.216.34', '2a05:9:9::10']]])
    const plan = planOf([{ ...clause, to }], { dns: { pins } })
    expect(plan.workspaces[0]?.network.egress.map((grant) => grant.prefix)).toEqual([granted])
  })
})

describe('refusals', () => {
  const codes = (result: ReturnType<typeof compile>): string[] =>
    result.notes.map((note) => `${note.severity} ${note.code}`)

  it('a dimension that the fence cannot see refuses the bundle until it is delegated', () => {
    const clause = egress('web', ['1.1.1.1'], 'tcp', ['443'], [BINARY])
    const refused = compile([policy([clause])])
    expect(refused.plan).toBeUndefined()
    expect(codes(refused)).toEqual(['error dimension-not-delegated'])
    expect(refused.notes[0]?.say).toBe(
      '"web", binary: the fence cannot see binaries and would admit every program of the workspace; add `binary` to delegate, or remove binaries',
    )
    expect(refused.notes[0]).toMatchObject({ file: 'fence.yaml', line: 1, path: 'egress.web' })
    const accepted = compile([policy([clause], { delegate: ['binary'] })])
    expect(accepted.plan?.guarantees.map((guarantee) => guarantee.level)).toEqual(['enforced', 'delegated'])
    expect(renderGuarantees(accepted.guarantees)).toContain('1 enforced, 0 detected, 1 delegated, 0 refused')
  })

  it('a name without an address is refused where no mediator runs, and a rule where one does', () => {
    const clause = egress('api', ['api.example.com', '*.cdn.example.com'], 'tcp', ['443'])
    const refused = compile([policy([clause])])
    expect(codes(refused)).toEqual(['error clause-unenforceable', 'error clause-unenforceable'])
    expect(refused.notes[0]?.say).toContain('no DNS mediator runs; pin it under dns.pins, or run the mediator')
    const mediated = compile([policy([clause])], { ...MEMORY, names: true })
    expect(mediated.plan?.workspaces[0]?.network.names.map((rule) => rule.pattern)).toEqual([
      '*.cdn.example.com',
      'api.example.com',
    ])
  })

  it('two granted names on one address must be accepted by name', () => {
    const pins = new Map([
      ['a.example.com', ['93.184.216.34']],
      ['b.example.com', ['93.184.216.34']],
    ])
    const clauses = [egress('a', ['a.example.com'], 'tcp', ['443']), egress('b', ['b.example.com'], 'tcp', ['443'])]
    const refused = compile([policy(clauses, { dns: { pins } })])
    expect(codes(refused)).toEqual(['error dimension-not-delegated', 'error dimension-not-delegated'])
    expect(compile([policy(clauses, { dns: { pins }, delegate: ['shared-address'] })]).plan).toBeDefined()
  })

  it('a quota that the backend does not hold', () => {
    const quota: QuotaClause = {
      ...egress('q', ['1.1.1.1'], 'tcp', ['1']),
      kind: 'quota',
      limit: 'live-connections',
      value: 5,
      losses: [],
    }
    expect(codes(compile([policy([quota])]))).toEqual(['error clause-unenforceable'])
  })

  it('a domain that this node is not', () => {
    const result = compile([policy([], { requireDomain: 'dpu-restricted' })])
    expect(codes(result)).toEqual(['error domain-too-weak'])
    expect(result.notes[0]?.say).toContain('requires the domain dpu-restricted, and the strongest here is host')
  })

  it('an unusable or unfitting backend', () => {
    expect(codes(compile([policy([])], { ...MEMORY, usable: false, why: 'no kernel' }))).toEqual(['error no-backend'])
    expect(codes(compile([policy([])], { ...MEMORY, slots: ['cgroup'] }))).toEqual(['error no-backend'])
    expect(codes(compile([policy([])], { ...MEMORY, ingress: false }))).toEqual([])
    expect(
      codes(compile([policy([ingress('i', ['1.1.1.1/32'], 'tcp', ['22'])])], { ...MEMORY, ingress: false })),
    ).toEqual(['error clause-unenforceable'])
  })

  it('two policies for one workspace, none, and one for nobody', () => {
    expect(
      codes(compile([policy([]), policy([], { name: 'second', appliesTo: ['spiffe://example.org/workspace/*'] })])),
    ).toEqual(['error several-policies'])
    const none = compile([policy([], { appliesTo: ['spiffe://example.org/other/*'] })])
    expect(codes(none)).toEqual(['warning no-policy', 'warning policy-unused'])
    expect(none.plan?.workspaces[0]?.network.egress).toEqual([])
  })

  it('more grants than the backend carries', () => {
    const result = compile([policy([egress('a', ['1.1.1.1', '1.1.1.2'], 'tcp', ['1'])])], {
      ...MEMORY,
      maxGrantsPerWorkspace: 1,
    })
    expect(codes(result)).toEqual(['error too-many-grants'])
  })
})

describe('check', () => {
  it('a compiled plan has no errors', () => {
    const plan = planOf([
      egress('web', ['1.1.1.1', '10.0.0.0/24', '0.0.0.0/0'], 'tcp', ['1-65535']),
      ingress('i', ['10.60.0.1/32'], 'tcp', ['22']),
    ])
    expect(checkPlan(plan).filter((note) => note.severity === 'error')).toEqual([])
    expect(checkPlan(plan).map((note) => note.code)).toContain('any-address')
  })

  it('finds every broken invariant', () => {
    const plan = planOf([egress('web', ['1.1.1.1'], 'tcp', ['443'])])
    const [entry] = plan.workspaces
    const [grant] = entry?.network.egress ?? []
    if (!entry || !grant) throw new Error('the plan is empty')
    const broken = (change: Partial<typeof grant>) => ({
      ...plan,
      workspaces: [{ ...entry, network: { ...entry.network, egress: [{ ...grant, ...change }] } }],
    })
    const codes = (change: Partial<typeof grant>): string[] => checkPlan(broken(change)).map((note) => note.code)
    expect(codes({ prefix: '1.1.1.1/24' })).toEqual(['plan-prefix'])
    expect(codes({ prefix: '1.1.1.2/32' })).toEqual(['plan-grant-id'])
    expect(codes({ ports: null })).toEqual(['plan-grant-id', 'plan-ports'])
    expect(codes({ clauses: [] })).toEqual(['plan-clause'])
    expect(codes({ opens: true })).toEqual(['plan-opens'])
    expect(codes({ prefix: '127.0.0.1/32' })).toEqual(['plan-grant-id', 'plan-never'])
    expect(checkPlan({ ...plan, workspaces: [entry, entry] }).map((note) => note.code)).toContain('plan-shared-slot')
    expect(checkPlan({ ...plan, source: { ...plan.source, expiresAtMs: -1 } }).map((note) => note.code)).toEqual([
      'plan-validity',
    ])
    expect(ENTRY.workspace).toBe(WS)
  })
})
