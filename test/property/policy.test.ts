// Properties of the policy parsers and of normalizing: nothing is thrown for any input, a verdict and its notes agree,
// normalizing what was normalized changes nothing, order means nothing, and host patterns that share a name overlap.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasErrors } from '../../src/base/note.js'
import { formatPorts } from '../../src/base/ports.js'
import { checkDocument } from '../../src/policy/check.js'
import { distinct } from '../../src/policy/clause-id.js'
import { hostMatches, hostsOverlap, parseHost } from '../../src/policy/host-pattern.js'
import { type Clause, DIMENSIONS, type Policy, PROFILES } from '../../src/policy/model.js'
import { normalizePolicies } from '../../src/policy/normalize.js'
import { parseSandboxPolicy } from '../../src/policy/sandbox-policy/parse.js'

const bytes = (text: string) => new TextEncoder().encode(text)
const json = (value: unknown) => bytes(JSON.stringify(value))

/** Documents near the real ones: the right keys with right and wrong values. JSON is YAML. */
const WORDS = [
  'version',
  'network_policies',
  'endpoints',
  'binaries',
  'host',
  'port',
  'ports',
  'path',
  'protocol',
  'tls',
  'rules',
  'allow',
  'deny_rules',
  'allowed_ips',
  'access',
  'method',
  'network_middlewares',
  'include',
  'exclude',
  'middleware',
  'process',
  'filesystem_policy',
  'kind',
  'apiVersion',
  'egress',
  'hosts',
  'cidrs',
  'name',
  'pins',
  'dns',
  'storage',
  'volumes',
  'quotas',
  'metadata',
  'applies_to',
  'workspaces',
  'delegate',
  'mcp',
  'json_rpc',
  'query',
  'any',
  '__proto__',
  'constructor',
  'toString',
]
const VALUES = [
  'rest',
  'tcp',
  'mcp',
  'graphql',
  'skip',
  'full',
  'enforce',
  'api.example.com',
  '*.example.com',
  '10.0.0.0/8',
  '',
  '/',
  '**',
  'FencePolicy',
  'sluice.dev/v1alpha1',
  'spiffe://corp.example/a',
  '443',
  '8000-8100',
  'udp',
]
const near = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.oneof(
      fc.constantFrom(...VALUES),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.double({ noNaN: true }),
      fc.string(),
    ),
    fc.dictionary(fc.oneof(fc.constantFrom(...WORDS), fc.string()), tie('value'), { maxKeys: 6 }),
    fc.array(tie('value'), { maxLength: 4 }),
  ),
})).value

const SEED = `version: 1
filesystem_policy: { include_workdir: true, read_only: [/usr], read_write: [/tmp] }
process: { run_as_user: sandbox }
network_middlewares: { m: { middleware: openshell/regex, endpoints: { include: ["*.example.com"] } } }
network_policies:
  api:
    endpoints:
      - { host: api.example.com, port: 443, protocol: rest, enforcement: enforce, rules: [{ allow: { method: GET, path: "/**" } }] }
      - { host: "*.example.org", ports: [443, 8443], allowed_ips: [10.0.0.0/16] }
    binaries: [{ path: /usr/bin/curl }]
`

function agrees(input: Uint8Array): void {
  for (const profile of PROFILES) {
    const { accepted, notes } = checkDocument(input, 'd.yaml', { profile, role: 'authored' })
    expect(accepted).toBe(!hasErrors(notes))
    for (const note of notes) {
      expect(note.file).toBe('d.yaml')
      expect(note.say).not.toBe('')
      expect(note.line).toBeGreaterThanOrEqual(0)
    }
    const { policy, notes: again } = parseSandboxPolicy(input, 'd.yaml', { profile, role: 'authored' })
    expect(policy === undefined).toBe(hasErrors(again))
  }
  const { policies, notes } = normalizePolicies(new Map([['d.yaml', input]]))
  expect(policies === undefined).toBe(hasErrors(notes))
}

describe('parsing', () => {
  it('throws for no bytes at all', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), agrees), { numRuns: 300 })
  })

  it('throws for no document that is nearly right', () => {
    fc.assert(
      fc.property(near, (value) => agrees(json(value))),
      { numRuns: 400 },
    )
    fc.assert(
      fc.property(near, (value) =>
        agrees(json({ version: 1, network_policies: { a: { endpoints: [value], binaries: [value] } } })),
      ),
      { numRuns: 300 },
    )
    fc.assert(
      fc.property(fc.constantFrom(...WORDS), near, (key, value) =>
        agrees(json({ apiVersion: 'sluice.dev/v1alpha1', kind: 'FencePolicy', egress: [value], [key]: value })),
      ),
      { numRuns: 300 },
    )
  })

  it('throws for no mutilated document', () => {
    const mutation = fc.record({ at: fc.nat(SEED.length), cut: fc.nat(12), put: fc.string({ maxLength: 6 }) })
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
        let text = SEED
        for (const { at, cut, put } of mutations) text = text.slice(0, at) + put + text.slice(at + cut)
        agrees(bytes(text))
      }),
      { numRuns: 400 },
    )
  })

  it('gives the same answer twice', () => {
    fc.assert(
      fc.property(near, (value) => {
        const options = { profile: 'compat', role: 'authored' } as const
        expect(checkDocument(json(value), 'd', options)).toEqual(checkDocument(json(value), 'd', options))
      }),
      { numRuns: 100 },
    )
  })
})

const label = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/)
const exact = fc.tuple(label, label).map(([a, b]) => `${a}.${b}.example`)
const wildcard = fc.tuple(fc.constantFrom('*', '**', 'a*', '*-b'), label).map(([a, b]) => `${a}.${b}.example`)
const prefix = fc
  .tuple(fc.integer({ min: 1, max: 99 }), fc.nat(255), fc.nat(255), fc.integer({ min: 8, max: 32 }))
  .map(([a, b, c, length]) => {
    const value = (((a << 24) | (b << 16) | (c << 8)) >>> 0) & (length === 32 ? 0xffffffff : ~(0xffffffff >>> length))
    const word = value >>> 0
    return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}/${length}`
  })
const port = fc.integer({ min: 1, max: 65535 })
const ports = fc.array(
  fc.oneof(
    port,
    fc.tuple(port, port).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
  ),
  { minLength: 1, maxLength: 4 },
)
const unique = <T>(item: fc.Arbitrary<T>, maxLength = 4) => fc.uniqueArray(item, { minLength: 1, maxLength })
const flow = fc.oneof(
  fc.record({ protocol: fc.constantFrom('tcp', 'udp'), ports }),
  fc.record({ protocol: fc.constant('icmp-echo') }),
)
const named = <T extends object>(entries: readonly T[]) => entries.map((entry, i) => ({ name: `n${i}`, ...entry }))

const fence = fc
  .record({
    names: fc.array(
      fc.record({ hosts: unique(fc.oneof(exact, wildcard)), protocol: fc.constantFrom('tcp', 'udp'), ports }),
      { maxLength: 3 },
    ),
    nets: fc.array(
      fc.tuple(flow, unique(prefix)).map(([f, cidrs]) => ({ ...f, cidrs })),
      { maxLength: 3 },
    ),
    ingress: fc.array(
      fc.tuple(flow, unique(prefix)).map(([f, from]) => ({ ...f, from })),
      { maxLength: 3 },
    ),
    delegate: fc.uniqueArray(fc.constantFrom(...DIMENSIONS)),
    pins: fc.dictionary(exact, unique(prefix.map((text) => text.split('/')[0] ?? '')), { maxKeys: 3 }),
    quotas: fc.record({ live_connections: port, bytes_per_second: port }, { requiredKeys: [] }),
    on_expiry: fc.constantFrom('suspend', 'hold'),
  })
  .map(({ names, nets, ingress, delegate, pins, quotas, on_expiry }) => ({
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'FencePolicy',
    metadata: { name: 'demo' },
    applies_to: { workspaces: ['spiffe://corp.example/ws/a'] },
    egress: named([...names, ...nets]),
    ingress: named(ingress),
    delegate,
    dns: { pins },
    quotas,
    on_expiry,
  }))

function policyOf(document: unknown): Policy {
  const { policies, notes } = normalizePolicies(new Map([['f.yaml', json(document)]]))
  expect(notes.filter((note) => note.severity === 'error')).toEqual([])
  return policies?.[0] as Policy
}

/** The FencePolicy document that says what a normalized policy says. */
function print(policy: Policy): object {
  const flowOf = (clause: { protocol: string; ports: Parameters<typeof formatPorts>[0][] }) =>
    clause.protocol === 'icmp-echo'
      ? { protocol: clause.protocol }
      : { protocol: clause.protocol, ports: clause.ports.map(formatPorts) }
  const egress: object[] = []
  const ingress: object[] = []
  const quotas: Record<string, number> = {}
  for (const clause of policy.clauses) {
    if (clause.kind === 'egress') {
      const hosts = clause.to.flatMap((to) => (to.kind === 'name' ? [to.pattern] : []))
      const cidrs = clause.to.flatMap((to) => (to.kind === 'prefix' ? [to.prefix] : []))
      egress.push({ ...flowOf({ ...clause, ports: [...clause.ports] }), ...(hosts.length > 0 ? { hosts } : { cidrs }) })
    }
    if (clause.kind === 'ingress')
      ingress.push({ ...flowOf({ ...clause, ports: [...clause.ports] }), from: clause.from })
    if (clause.kind === 'quota') quotas[clause.limit.replaceAll('-', '_')] = clause.value
  }
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'FencePolicy',
    metadata: { name: policy.name },
    applies_to: { workspaces: policy.appliesTo },
    delegate: policy.delegate,
    on_expiry: policy.onExpiry,
    require_domain: policy.requireDomain,
    dns: { pins: Object.fromEntries(policy.dns.pins) },
    egress: named(egress),
    ingress: named(ingress),
    quotas,
  }
}

/** What a policy means, without what is there for people. */
const meaning = (policy: Policy) => ({
  ...policy,
  clauses: policy.clauses.map((clause: Clause) => ({ ...clause, name: '', origin: null })),
})

describe('normalizing', () => {
  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(fence, (document) => {
        const once = policyOf(document)
        expect(meaning(policyOf(print(once)))).toEqual(meaning(once))
        expect(distinct(once.clauses)).toEqual(once.clauses)
      }),
      { numRuns: 200 },
    )
  })

  it('does not depend on the order of entries, hosts, prefixes and ports', () => {
    const reversed = (value: unknown): unknown =>
      Array.isArray(value)
        ? [...value].reverse().map(reversed)
        : typeof value === 'object' && value !== null
          ? Object.fromEntries(
              Object.entries(value)
                .reverse()
                .map(([key, member]) => [key, reversed(member)]),
            )
          : value
    fc.assert(
      fc.property(fence, (document) => {
        expect(meaning(policyOf(reversed(document)))).toEqual(meaning(policyOf(document)))
      }),
      { numRuns: 200 },
    )
  })

  it('gives clauses sorted by id, one of each, ports merged and never empty where there are ports', () => {
    fc.assert(
      fc.property(fence, (document) => {
        const { clauses } = policyOf(document)
        const ids = clauses.map((clause) => clause.id)
        expect(ids).toEqual([...new Set(ids)].sort())
        for (const clause of clauses) {
          if (clause.kind !== 'egress' && clause.kind !== 'ingress') continue
          expect(clause.ports.length > 0).toBe(clause.protocol !== 'icmp-echo')
          for (const [i, range] of clause.ports.entries())
            expect(range.from).toBeGreaterThan((clause.ports[i - 1]?.to ?? -1) + 1)
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('host patterns', () => {
  const part = fc.stringMatching(/^[ab*]{1,3}$/)
  const pattern = fc.array(part, { minLength: 3, maxLength: 4 }).map((labels) => labels.join('.'))
  const name = fc
    .array(fc.stringMatching(/^[ab]{1,3}$/), { minLength: 3, maxLength: 5 })
    .map((labels) => labels.join('.'))

  it('that admit one name overlap', () => {
    fc.assert(
      fc.property(pattern, pattern, name, (a, b, host) => {
        fc.pre(parseHost(a).kind !== 'bad' && parseHost(b).kind !== 'bad')
        if (hostMatches(a, host) && hostMatches(b, host)) expect(hostsOverlap(a, b)).toBe(true)
        expect(hostsOverlap(a, b)).toBe(hostsOverlap(b, a))
      }),
      { numRuns: 2_000 },
    )
  })

  it('that overlap admit one name, where names are short enough to try them all', () => {
    const words = ['a', 'b', 'aa', 'ab', 'ba', 'bb']
    const names = words.flatMap((x) => words.flatMap((y) => words.map((z) => `${x}.${y}.${z}`)))
    const short = fc
      .tuple(
        fc.constantFrom('*', '**', 'a*', '*b', 'a', 'ab'),
        fc.constantFrom('*', 'a', 'b'),
        fc.constantFrom('a', '*'),
      )
      .map((labels) => labels.join('.'))
    fc.assert(
      fc.property(short, short, (a, b) => {
        expect(hostsOverlap(a, b)).toBe(names.some((host) => hostMatches(a, host) && hostMatches(b, host)))
      }),
      { numRuns: 500 },
    )
  })
})
