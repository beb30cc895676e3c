// Facts as OCSF events: strictly valid (warnings count as errors), with every number that the design asks for on them,
// whatever texts and numbers the fact carries.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Fact } from '../../../src/audit/fact.js'
import type { OcsfEvent } from '../../../src/audit/ocsf/event.js'
import { MAX_EVENTS_PER_FACT, toOcsf } from '../../../src/audit/ocsf/map.js'
import { canonicalize } from '../../../src/base/canonical.js'
import { anyFact, CONTEXT, FACTS, NOW, POLICY, WORKSPACE } from '../../support/facts.js'
import { type Schema, validateOcsf } from '../../support/ocsf-validator.js'
import { sharedFolder } from '../../support/shared-data.js'

const types = (fact: Fact): number[] => toOcsf(fact, CONTEXT).map((event) => event.type_uid)
const first = (fact: Fact): OcsfEvent => toOcsf(fact, CONTEXT)[0] as OcsfEvent

describe('what each fact becomes', () => {
  const EXPECTED: { readonly [K in Fact['kind']]: readonly number[] } = {
    'bundle-verified': [300401],
    'bundle-refused': [300401, 200401],
    'bundle-activated': [300410, 501901],
    'flow-allowed': [400101],
    'flow-denied': [400101],
    'flow-observed': [400101],
    'observe-begun': [501901],
    'observe-ended': [501901],
    'file-denied': [100103],
    'action-denied': [600302],
    'process-suspected': [100701],
    'quarantine-set': [700401, 501901],
    'quarantine-lifted': [700403, 501901],
    'workspace-suspended': [501901],
    'workspace-resumed': [501901],
    'drift-found': [200401],
    'drift-repaired': [501901],
    'workspace-attached': [501901],
    'session-opened': [300201],
    'session-ended': [300202],
    'workspace-changed': [501901],
    'workspace-detached': [501901],
    'breakglass-used': [200401],
    'node-recovered': [200401],
    finding: [200401],
    'name-refused': [400301],
    'name-granted': [400302],
    'name-evicted': [400399],
    'signal-taken': [600301, 300301],
    'signal-refused': [600301],
    'stream-silent': [200401],
    'stream-heard': [200403],
    'trail-broken': [200401],
    'audit-lost': [100899],
    'journal-closed': [100805],
    'journal-damaged': [200401],
    'journal-retired': [100802],
    heartbeat: [100899],
    'sink-failing': [100803],
    'sink-recovered': [100803],
  }
  test.each(Object.keys(EXPECTED) as Fact['kind'][])('%s', (kind) => {
    expect(types(FACTS[kind])).toEqual(EXPECTED[kind])
  })

  test('a refusal that is no attack is no finding', () => {
    expect(types({ ...FACTS['bundle-refused'], attack: false })).toEqual([300401])
  })

  test.each(['spoof', 'link-layer', 'fragment', 'malformed'])('%s is an attempt: refused, and a finding', (reason) => {
    expect(types({ ...FACTS['flow-denied'], reason })).toEqual([400105, 200401])
  })

  test('counters that moved are traffic', () => {
    const event = first({ ...FACTS['flow-allowed'], traffic: { packets: 3, bytes: 1500 } })
    expect(event.type_uid).toBe(400106)
    expect(event.traffic).toEqual({ packets: 3, bytes: 1500 })
  })

  test('a finding is made once and then updated, under one uid', () => {
    const created = first(FACTS.finding)
    const updated = first({ ...FACTS.finding, news: 'updated', count: 90 })
    expect([created.type_uid, updated.type_uid]).toEqual([200401, 200402])
    expect(created.finding_info).toMatchObject({
      uid: FACTS.finding.uid,
      types: ['dns-entropy'],
      related_events_count: 26,
    })
    expect(updated.finding_info).toMatchObject({ uid: FACTS.finding.uid, related_events_count: 90 })
    expect(created).toMatchObject({
      ...{ severity_id: 4, confidence_id: 2, action_id: 2, disposition_id: 4, status_code: 'dns-entropy', count: 26 },
      unmapped: { reaction: 'quarantine', outcome: 'done', after_sequence: 3880, command_uids: ['cmd-1'] },
    })
    expect(first({ ...FACTS.finding, reaction: 'observe', outcome: 'observed' }).disposition_id).toBe(15)
    expect(first({ ...FACTS.finding, outcome: 'failed' }).disposition_id).toBe(27)
  })

  test('a rollback that a finding tells of raises none of its own', () => {
    expect(types({ ...FACTS['bundle-refused'], told: true })).toEqual([300401])
  })

  test('break-glass is Critical, whatever it does', () => {
    for (const action of ['quarantine', 'lift'] as const) {
      const event = first({ ...FACTS['breakglass-used'], action })
      expect(event.severity_id).toBe(5)
      expect(event.unmapped).toMatchObject({ signers: ['breakglass-1', 'breakglass-2'], until_ms: NOW + 3_600_000 })
    }
  })

  test('ids and sequence numbers: one each, in order', () => {
    const events = toOcsf(FACTS['bundle-refused'], CONTEXT)
    expect(events.map((event) => event.metadata.uid)).toEqual(CONTEXT.eventUids)
    expect(events.map((event) => event.metadata.sequence)).toEqual([41, 42])
  })

  test('a finding names the event that it stands beside', () => {
    const [refusal, finding] = toOcsf(FACTS['bundle-refused'], CONTEXT)
    expect(finding?.finding_info).toMatchObject({
      uid: CONTEXT.eventUids[1],
      types: ['BUNDLE_ROLLBACK'],
      related_events: [{ uid: refusal?.metadata.uid, type_uid: refusal?.type_uid }],
    })
    expect(finding?.evidences).toEqual([
      {
        data: {
          reason_code: 'BUNDLE_ROLLBACK',
          reason: 'revision 5 is older than 7',
          offered: { bundle_id: 'acme-agents', policy_revision: '5' },
          held: { bundle_digest: POLICY.bundleDigest, policy_revision: '7', generation: 30 },
        },
      },
    ])
  })

  test('a denied flow, member by member', () => {
    expect(first(FACTS['flow-denied'])).toEqual({
      class_uid: 4001,
      category_uid: 4,
      activity_id: 1,
      type_uid: 400101,
      time: NOW,
      severity_id: 3,
      status_id: 2,
      action_id: 2,
      disposition_id: 21,
      status_code: 'no-grant',
      message: 'denied egress 10.9.0.2 > 93.184.216.34 port 22: no-grant',
      device: { type_id: 6, uid: WORKSPACE.workspace, interface_uid: 'att-3', interface_name: 'ws0' },
      src_endpoint: { ip: '10.9.0.2', port: 40000 },
      dst_endpoint: { ip: '93.184.216.34', port: 22 },
      connection_info: { direction_id: 2, protocol_num: 6, protocol_ver_id: 4 },
      firewall_rule: { uid: 'default-deny', type: 'nftables', version: '31' },
      policy: {
        type: 'bundle',
        uid: POLICY.bundleDigest,
        name: 'acme-agents',
        version: '18446744073709551615',
        is_applied: true,
      },
      count: 12,
      start_time: NOW - 900,
      end_time: NOW,
      unmapped: {
        bundle_digest: POLICY.bundleDigest,
        policy_revision: '18446744073709551615',
        generation: 31,
      },
      metadata: {
        version: '1.8.0',
        uid: CONTEXT.eventUids[0],
        sequence: 41,
        product: { name: 'Sluice', vendor_name: 'Sluice', version: '0.1.0' },
        profiles: ['security_control', 'host'],
        log_name: 'sluice.enforcement',
        reporter: { uid: 'spiffe://acme.example/node/7', hostname: 'node-7' },
      },
    })
  })

  test.each([
    ['dropped', 6, 6],
    ['reset', 6, 21],
    ['reset', 17, 2],
  ] as const)('a refusal %s of protocol %i has disposition %i', (refusal, protocol, disposition) => {
    const fact = FACTS['flow-denied']
    expect(first({ ...fact, refusal, flow: { ...fact.flow, protocol } }).disposition_id).toBe(disposition)
  })
})

describe('numbers on every event that has them', () => {
  const withPolicy = Object.values(FACTS).filter((fact) => 'policy' in fact && fact.policy !== undefined)
  test.each(withPolicy.map((fact) => [fact.kind, fact] as const))('%s: digest and revision', (_kind, fact) => {
    for (const event of toOcsf(fact, CONTEXT)) {
      expect(event.policy).toMatchObject({ uid: POLICY.bundleDigest, version: POLICY.policyRevision })
      expect(event.unmapped).toMatchObject({
        bundle_digest: POLICY.bundleDigest,
        policy_revision: POLICY.policyRevision,
        ...(fact.kind === 'bundle-verified' ? {} : { generation: 31 }),
      })
    }
  })

  const withWorkspace = Object.values(FACTS).filter((fact) => 'workspace' in fact)
  test.each(withWorkspace.map((fact) => [fact.kind, fact] as const))('%s: workspace and attachment', (_kind, fact) => {
    for (const event of toOcsf(fact, CONTEXT))
      expect(event.device).toMatchObject({ uid: WORKSPACE.workspace, interface_uid: 'att-3' })
  })

  test('clause and grant of an allowed flow', () => {
    const fact = FACTS['flow-allowed']
    expect(first(fact).firewall_rule).toEqual({
      uid: 'g-0123456789abcdef',
      name: 'github',
      type: 'nftables',
      version: '31',
      match_details: [fact.clause],
    })
    expect(first(fact).unmapped).toMatchObject({ clause: fact.clause })
  })
})

describe('untrusted text', () => {
  const named = (clauseName: string): unknown =>
    (first({ ...FACTS['flow-allowed'], clauseName }).firewall_rule as { name?: unknown }).name

  test('control, format and separator characters and lone surrogates are replaced', () => {
    expect(named('a\nb\u202ec\u2028d\ud800e')).toBe('a\ufffdb\ufffdc\ufffdd\ufffde')
  })
  test('2,048 characters stay whole; one more is cut and marked', () => {
    expect(named('x'.repeat(2_048))).toBe('x'.repeat(2_048))
    expect(named('x'.repeat(2_049))).toBe(`${'x'.repeat(2_047)}\u2026`)
  })
  test('a cut through a surrogate pair leaves no half', () => {
    expect(named(`x${'\u{1f600}'.repeat(1_024)}`)).toBe(`x${'\u{1f600}'.repeat(1_023)}\u2026`)
    expect(named('\u{1f600}'.repeat(1_025))).toBe(`${'\u{1f600}'.repeat(1_023)}\ufffd\u2026`)
  })
  test('empty text is no attribute', () => {
    expect(first({ ...FACTS['flow-allowed'], clauseName: '' }).firewall_rule).not.toHaveProperty('name')
  })
  test('what is not an address is never an ip', () => {
    const fact = FACTS['flow-denied']
    const flow = { ...fact.flow, source: '10x0y0z1', destination: '02:00:00:00:09:02' }
    const event = first({ ...fact, flow })
    expect(event.src_endpoint).toEqual({ name: '10x0y0z1', port: 40000 })
    expect(event.dst_endpoint).toEqual({ mac: '02:00:00:00:09:02', name: '02:00:00:00:09:02', port: 22 })
  })
})

describe('strict validity', () => {
  const folder = sharedFolder('SLUICE_OCSF')
  if (folder === undefined) return
  const schema = JSON.parse(readFileSync(join(folder, 'ocsf-1.8.0-trimmed.json'), 'utf8')) as Schema

  test.each(Object.keys(FACTS) as Fact['kind'][])('%s', (kind) => {
    for (const event of toOcsf(FACTS[kind], CONTEXT)) expect(validateOcsf(schema, event)).toEqual([])
  })

  test('any fact, in any node, is valid, bounded, without null or empty text, and canonical JSON', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(anyFact, fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (fact, uid, hostname) => {
        const events = toOcsf(fact, { ...CONTEXT, reporter: { uid, hostname }, correlationUid: hostname })
        expect(events.length).toBeLessThanOrEqual(MAX_EVENTS_PER_FACT)
        for (const event of events) {
          const line = JSON.stringify(event)
          expect(validateOcsf(schema, JSON.parse(line))).toEqual([])
          expect(line).not.toMatch(/:null|:""|\n/)
          expect(line.length).toBeLessThan(1 << 20)
          expect(() => canonicalize(event)).not.toThrow()
        }
        seen.add(fact.kind)
      }),
      { numRuns: 2_000 },
    )
    expect([...seen].sort()).toEqual(Object.keys(FACTS).sort())
  })
})
