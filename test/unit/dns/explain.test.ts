// Whether a name resolves and connects, from the plan and from what is remembered.

import { describe, expect, it } from 'vitest'
import { budgetKey } from '../../../src/dns/budget.js'
import { explainName } from '../../../src/dns/explain.js'
import type { Recalled } from '../../../src/dns/memory.js'
import { mediatedPlan, NOW, standingOf } from '../../support/mediator.js'
import { egress, WS } from '../../support/plans.js'

const FILES = egress('files', ['files.example.com'], 'tcp', ['443'])
const WILD = egress('wild', ['*.cdn.example.com'], 'tcp', ['443'])
const PINNED = egress('db', ['db.example.com'], 'tcp', ['5432'])
const PLAN = mediatedPlan([FILES, WILD, PINNED], {
  dns: { pins: new Map([['db.example.com', ['10.1.2.3']]]) },
  delegate: ['shared-address'],
})
const NOTHING: Recalled = { held: [], spent: [] }
const ask = (name: string, port = 443, recalled = NOTHING, more = {}, protocol: 'tcp' | 'udp' = 'tcp') =>
  explainName(standingOf(PLAN, 1, more), recalled, 1, { workspace: WS, name, port, protocol }, NOW)

const held = (name: string, clause: typeof FILES) => ({
  name,
  address: '45.76.10.10',
  opens: [{ clause: clause.id, protocol: 'tcp' as const, port: 443 }],
  expiresAtMs: NOW + 30_000,
  generation: 1,
})

describe('explain a name', () => {
  it('that is granted and not learnt, and one that is', () => {
    expect(ask('files.example.com')).toMatchObject({ resolves: true, connects: 'once-resolved', clauses: [FILES.id] })
    const recalled = { held: [{ workspace: WS, held: [held('files.example.com', FILES)] }], spent: [] }
    expect(ask('Files.Example.com', 443, recalled)).toMatchObject({
      connects: 'yes',
      say: 'resolves, and connects',
      addresses: [{ address: '45.76.10.10', secondsLeft: 30 }],
    })
  })

  it('on another port or protocol', () => {
    expect(ask('files.example.com', 22)).toMatchObject({
      resolves: true,
      connects: 'no',
      say: 'would resolve, and not connect: it is granted for tcp 443, not for tcp 22',
      ways: ['add port 22 to the clause'],
    })
    expect(ask('files.example.com', 443, NOTHING, {}, 'udp')).toMatchObject({ connects: 'no' })
  })

  it('that nothing grants, and whose budget is spent', () => {
    expect(ask('other.example.com')).toMatchObject({
      resolves: false,
      say: 'would not resolve: no clause grants this name',
    })
    const rule = PLAN.workspaces[0]?.network.names.find(({ wildcard }) => wildcard)
    if (!rule) throw new Error('no wildcard')
    const spent = [{ workspace: WS, key: budgetKey(rule), names: ['a.cdn.example.com'] }]
    expect(ask('b.cdn.example.com', 443, { held: [], spent })).toMatchObject({
      say: 'would not resolve: the wildcard that admits it has been asked for as many names as it may',
    })
    expect(ask('a.cdn.example.com', 443, { held: [], spent })).toMatchObject({
      labels: [{ pattern: '*.cdn.example.com', names: 1, limit: 1 }],
    })
  })

  it('that is pinned', () => {
    expect(ask('db.example.com', 5432)).toMatchObject({
      connects: 'yes',
      addresses: [{ address: '10.1.2.3', secondsLeft: null }],
    })
    expect(ask('db.example.com', 443)).toMatchObject({ resolves: true, connects: 'no' })
  })

  it('that shares an address, and one of a workspace in quarantine', () => {
    const both = [held('files.example.com', FILES), held('x.cdn.example.com', WILD)]
    expect(ask('files.example.com', 443, { held: [{ workspace: WS, held: both }], spent: [] }).sharedWith).toEqual([
      'x.cdn.example.com',
    ])
    expect(ask('files.example.com', 443, NOTHING, { quarantined: new Set([WS]) })).toMatchObject({
      resolves: false,
      say: 'would not resolve: the workspace is quarantined, and its resolver answers REFUSED',
    })
  })
})
