// What the trail and the metrics hear of answers: denials as facts, everything counted by class, nothing of a question as a label.

import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { Decider } from '../../../src/agent/decider.js'
import { DecisionTrail } from '../../../src/agent/decision-trail.js'
import { apply } from '../../../src/agent/enforce.js'
import { decisionMetrics } from '../../../src/agent/metrics-decisions.js'
import { toOcsf } from '../../../src/audit/ocsf/map.js'
import { CONTEXT } from '../../support/facts.js'
import { ALPHA, BETA, makeNode, NOW, offer } from './fixture.js'

async function rig() {
  const node = makeNode()
  const { generation } = await apply(node, await offer())
  const registry = new Registry()
  let ms = 0
  const decider = new Decider(
    () => Promise.resolve(node),
    () => 0,
  )
  const terms = { metrics: decisionMetrics(registry), nowMs: () => node.now, monotonicMs: () => ms++ }
  const trail = new DecisionTrail(decider, terms)
  const ask = (context: object, workspace = ALPHA) =>
    trail.answer({ workspace, text: JSON.stringify(context), audience: '', nonce: '' })
  const metric = async (name: string) => {
    const text = await registry.getSingleMetricAsString(name)
    return text.split('\n').filter((line) => !line.startsWith('#') && !line.includes('_bucket'))
  }
  return { node, generation, trail, ask, metric }
}

describe('decisions that are noted', () => {
  it('become a fact a second, with policy, clause, trace and who asked', async () => {
    const { trail, ask, generation } = await rig()
    const action = { resource: 'https://a.example:8443/private?token=s3cret', method: 'POST' }
    for (let n = 0; n < 3; n++)
      await ask({ action, request_trace_id: 'trace-1', agent_runtime: { executable: '/bin/x' } })
    await ask({ action: { resource: 'tcp://93.184.216.34:443' } })
    await ask({ action: { resource: 'exec:///bin/sh' }, agent_registration: { agent_id: 'agent-x' } })
    await ask({ action: { resource: 'tcp://[::1]:25' } }, BETA)
    expect(trail.due(NOW)).toEqual([])
    const facts = trail.due(NOW + 1_000)
    expect(facts).toMatchObject([
      {
        kind: 'action-denied',
        atMs: NOW,
        policy: { bundleId: 'sample', policyRevision: '1', generation },
        workspace: { workspace: ALPHA, interface: 'ws0' },
        action: 'request',
        operation: 'POST',
        resource: '//a.example:8443/private',
        reason: 'no-grant',
        executable: '/bin/x',
        traceIds: ['trace-1'],
        count: 3,
      },
      { action: 'exec', operation: 'exec', resource: '/bin/sh', reason: 'unregistered', agent: 'agent-x', count: 1 },
      { resource: 'tcp://[::1]:25', reason: 'unknown-workspace', workspace: { workspace: BETA } },
    ])
    expect(JSON.stringify(facts)).not.toContain('s3cret')
    const [fact] = facts
    if (!fact) throw new Error('there is a fact')
    expect(toOcsf(fact, CONTEXT)).toMatchObject([
      {
        type_uid: 600301,
        status_code: 'no-grant',
        disposition_id: 26,
        count: 3,
        api: { operation: 'POST' },
        metadata: { correlation_uid: 'trace-1' },
      },
    ])
  })

  it('are counted by outcome and class, and questions without an answer by code', async () => {
    const { ask, metric } = await rig()
    await ask({ action: { resource: 'tcp://93.184.216.34:443' } })
    await ask({ action: { resource: 'tcp://93.184.216.34:25' } })
    await ask({ action: { resource: 'tcp://93.184.216.34:443' }, agent_registration: { agent_id: 'agent-x' } })
    await expect(ask({})).rejects.toMatchObject({ code: 'AGENT_QUESTION' })
    expect(await metric('sluice_decisions_total')).toEqual([
      'sluice_decisions_total{decision="allow",reason_class="policy"} 1',
      'sluice_decisions_total{decision="deny",reason_class="policy"} 1',
      'sluice_decisions_total{decision="deny",reason_class="authority"} 1',
    ])
    expect(await metric('sluice_decision_failures_total')).toEqual([
      'sluice_decision_failures_total{code="AGENT_QUESTION"} 1',
    ])
    expect(await metric('sluice_decision_duration_seconds')).toEqual([
      'sluice_decision_duration_seconds_sum{decision="allow"} 0.001',
      'sluice_decision_duration_seconds_count{decision="allow"} 1',
      'sluice_decision_duration_seconds_sum{decision="deny"} 0.002',
      'sluice_decision_duration_seconds_count{decision="deny"} 2',
    ])
  })
})
