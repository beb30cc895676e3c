// The rules of deploy/siem: each as the specification wants it, each fires on the events that it is for and on no other event that
// this program tells, and none in an hour of ordinary work.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it, test } from 'vitest'
import type { Fact, FactOf } from '../../../src/audit/fact.js'
import type { OcsfEvent } from '../../../src/audit/ocsf/event.js'
import { toOcsf } from '../../../src/audit/ocsf/map.js'
import { CATALOGUE } from '../../../src/findings/catalogue.js'
import { FINDING_KINDS } from '../../../src/findings/terms.js'
import { CONTEXT, FACTS, NOW } from '../../support/facts.js'
import { ordinaryHour } from '../../support/findings/ordinary.js'
import { rolledBack } from '../../support/findings/sights.js'
import { repositoryPath } from '../../support/lab/repository.js'
import { compile, readRule, type SigmaRule } from '../../support/sigma.js'

const FOLDER = repositoryPath('deploy/siem')
const NAMES = readdirSync(FOLDER).filter((name) => name.endsWith('.yml'))
const textOf = (name: string): string => readFileSync(`${FOLDER}/${name}`, 'utf8')
const RULES: readonly {
  readonly name: string
  readonly rule: SigmaRule
  readonly fires: (event: OcsfEvent) => boolean
}[] = NAMES.map((name) => {
  const rule = readRule(textOf(name))
  return { name: name.replace(/\.yml$/, ''), rule, fires: compile(rule) }
})
const fired = (events: readonly OcsfEvent[]): readonly string[] =>
  RULES.filter(({ fires }) => events.some(fires)).map(({ name }) => name)
const firedBy = (...facts: readonly Fact[]): readonly string[] => fired(facts.flatMap((fact) => toOcsf(fact, CONTEXT)))

describe('as the Sigma specification and its schema want a rule', () => {
  const KEYS = ['title', 'id', 'status', 'description', 'license', 'references', 'author', 'date', 'tags', 'logsource']
  test.each(NAMES)('%s', (name) => {
    const text = textOf(name)
    const rule = readRule(text)
    expect(name).toMatch(/^(?=.{10,70}\.yml$)[a-z0-9_]+\.yml$/)
    expect(text).toMatch(/^[\n\x20-\x7e]+\n$/)
    for (const line of text.split('\n')) expect((/^ */.exec(line)?.[0].length ?? 0) % 4).toBe(0)
    expect(Object.keys(rule)).toEqual([...KEYS, 'detection', 'fields', 'falsepositives', 'level'])
    expect(rule.title.length).toBeLessThanOrEqual(100)
    expect(rule.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(['stable', 'test', 'experimental']).toContain(rule.status)
    expect(rule.date).toMatch(/^\d{4}-\d{2}-\d{2}$/)
    expect(['informational', 'low', 'medium', 'high', 'critical']).toContain(rule.level)
    expect(rule.tags.filter((tag) => !/^attack\.(t\d{4}(\.\d{3})?|[a-z]+(-[a-z]+)*)$/.test(tag))).toEqual([])
    expect(rule.falsepositives.length).toBeGreaterThan(0)
    expect(rule.logsource).toMatchObject({ product: 'sluice', service: 'audit' })
  })
  it('no two share an id or a title', () => {
    expect(new Set(RULES.map(({ rule }) => rule.id)).size).toBe(RULES.length)
    expect(new Set(RULES.map(({ rule }) => rule.title)).size).toBe(RULES.length)
  })
  it.each(FINDING_KINDS)('%s has the level of its events', (kind) => {
    const rule = RULES.find(({ name }) => name === `sluice_finding_${kind.replaceAll('-', '_')}`)?.rule
    expect(rule?.level).toBe(CATALOGUE[kind].severity)
  })
})

const finding = (kind: string, more: Partial<FactOf<'finding'>> = {}): Fact => ({
  ...{ ...FACTS.finding, finding: kind, reaction: 'observe', outcome: 'observed', commandIds: [] },
  ...more,
})
const lost = (cause: FactOf<'audit-lost'>['cause']): Fact => ({ ...FACTS['audit-lost'], cause })
const denial = (reason: string): Fact => ({ ...FACTS['flow-denied'], reason })

/** What gives cause for each rule. */
const PROVOKED: { readonly [rule: string]: readonly Fact[] } = {
  ...Object.fromEntries(
    FINDING_KINDS.map((kind) => [`sluice_finding_${kind.replaceAll('-', '_')}`, [finding(kind)]] as const),
  ),
  sluice_finding_reaction_failed: [finding('process', { reaction: 'kill', outcome: 'failed' })],
  sluice_bundle_forged: ['BUNDLE_SIGNATURE', 'BUNDLE_MEMBER_DIGEST', 'AGENT_CLOCK_BACK'].map((code) =>
    rolledBack(NOW, code),
  ),
  sluice_fence_bypass_attempt: ['spoof', 'link-layer', 'fragment', 'malformed'].map(denial),
  sluice_fence_drift: [FACTS['drift-found']],
  sluice_trail_tampered: [FACTS['journal-damaged'], lost('removed')],
  sluice_audit_events_lost: (['torn-tail', 'unwritten', 'unreported', 'undelivered'] as const).map(lost),
  sluice_audit_sink_failing: [FACTS['sink-failing']],
  sluice_stream_silent: (['silent', 'paused', 'disabled'] as const).map((standing) => ({
    ...FACTS['stream-silent'],
    standing,
  })),
  sluice_security_event_refused: [FACTS['signal-refused'], { ...FACTS['signal-refused'], code: 'invalid_request' }],
  sluice_breakglass_used: [FACTS['breakglass-used']],
  sluice_node_recovered: [FACTS['node-recovered']],
  sluice_quarantine_released: [FACTS['quarantine-lifted']],
}

describe('what each rule fires on', () => {
  it('every rule has a cause', () => {
    expect(Object.keys(PROVOKED).sort()).toEqual(RULES.map(({ name }) => name).sort())
  })
  test.each(Object.keys(PROVOKED))('%s, and nothing else', (name) => {
    for (const fact of PROVOKED[name] ?? []) expect(firedBy(fact)).toEqual([name])
  })
  it('a rollback on which no agent has made a finding', () => {
    expect(firedBy(rolledBack(NOW))).toEqual(['sluice_finding_rollback_attempt'])
    expect(firedBy({ ...rolledBack(NOW), told: true } as Fact)).toEqual([])
  })
  it('one cause fires once, whatever follows of it', () => {
    for (const kind of FINDING_KINDS) expect(firedBy(finding(kind, { news: 'updated' }))).toEqual([])
  })
  it('nothing that is told in the ordinary course of things', () => {
    const causes = new Set(Object.values(PROVOKED).flatMap((facts) => facts.map(({ kind }) => kind)))
    const rest = Object.values(FACTS).filter(({ kind }) => !causes.has(kind))
    expect(rest.length).toBeGreaterThan(15)
    expect(firedBy(...rest, FACTS['flow-denied'])).toEqual([])
  })
})

test.each([1, 2, 3])('none fires in an hour of ordinary work: seed %i', (seed) => {
  const facts = ordinaryHour(NOW, seed).filter((sight): sight is Fact => sight.kind in FACTS)
  expect(facts.length).toBeGreaterThan(5_000)
  expect(firedBy(...facts)).toEqual([])
})

describe('the evaluator', () => {
  const rule = (detection: object): SigmaRule => ({ ...(RULES[0]?.rule as SigmaRule), detection }) as SigmaRule
  const holds = (detection: object, event: object): boolean => compile(rule(detection))(event)
  test('values, lists, wildcards, paths, conditions', () => {
    const event = { a: { b: [{ c: 'One' }, { c: 'two' }] }, n: 5 }
    expect(holds({ s: { 'a.b.c': 'one', n: 5 }, condition: 's' }, event)).toBe(true)
    expect(holds({ s: { 'a.b.c': 'o' }, condition: 's' }, event)).toBe(false)
    expect(holds({ s: { 'a.b.c': ['x', 't*'] }, condition: 's' }, event)).toBe(true)
    expect(holds({ s: { n: '5' }, condition: 's' }, event)).toBe(false)
    expect(holds({ s: { 'a|exists': true }, t: { 'x|exists': false }, condition: 's and t' }, event)).toBe(true)
    expect(holds({ s: { n: 5 }, t: { n: 6 }, condition: 's and not t' }, event)).toBe(true)
    expect(holds({ s_1: { n: 5 }, s_2: { n: 6 }, condition: '1 of s_*' }, event)).toBe(true)
    expect(holds({ s_1: { n: 5 }, s_2: { n: 6 }, condition: 'all of them' }, event)).toBe(false)
    expect(holds({ s: { n: 6 }, t: { n: 5 }, u: { n: 7 }, condition: 's or (t and not u)' }, event)).toBe(true)
    expect(holds({ s: [{ n: 6 }, { n: 5 }], condition: 's' }, event)).toBe(true)
  })
  test.each([
    [{ s: { 'n|contains': 'x' }, condition: 's' }, 'modifiers of n|contains'],
    [{ s: { n: 5 }, condition: 't' }, 'no search is named t'],
    [{ s: { n: 5 }, t: { n: 5 }, condition: 's' }, 'no condition uses t'],
    [{ s: { n: 5 }, condition: '(s' }, 'a parenthesis that is not closed'],
    [{ s: { n: 5 }, condition: 's | count() > 5' }, 'a condition that goes on with | count ( ) > 5'],
    [{ s: 'word', condition: 's' }, 'a search is a map or a list of maps'],
  ])('refuses %j', (detection, message) => {
    expect(() => compile(rule(detection))).toThrow(message)
  })
})
