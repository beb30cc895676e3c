// Laws of decisions: whatever a chain of delegations says, its end can do nothing that any hop above it cannot; taking an allow
// rule out of a policy never permits more, taking a deny rule out never permits less.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOfText } from '../../src/base/digest.js'
import { type Authority, type Delegation, type Registration, resolveAuthority } from '../../src/decide/authority.js'
import { decide } from '../../src/decide/decide.js'
import type { Action, RequestAction } from '../../src/decide/model.js'
import { compileProgram, type Program } from '../../src/decide/program.js'
import { type Authorization, isNarrower, permits } from '../../src/decide/scope.js'
import { planDigest } from '../../src/plan/codec.js'
import type { Policy } from '../../src/policy/model.js'
import type { RequestRule, RequestTerms } from '../../src/policy/sandbox-policy/model.js'
import { policyOf } from '../support/decide/program.js'
import { planOf, WS } from '../support/plans.js'

const NOW = 1_800_000_000_000

// Small universes, so that things meet.
const host = fc.constantFrom('a.example.com', 'b.example.com', 'a.b.example.com', 'example.com')
const method = fc.constantFrom('GET', 'HEAD', 'POST', 'DELETE')
const path = fc.constantFrom('/', '/a', '/a/b', '/a/b/c', '/ab', '/b')
const tool = fc.constantFrom('get_a', 'get_b', 'get', 'put', 'x.y')
const some = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[] | undefined> =>
  fc.option(fc.array(of, { maxLength: 3 }), { nil: undefined })
const clean = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T

const action: fc.Arbitrary<Action> = fc.oneof(
  fc
    .record({ host, method, path, tool: fc.option(tool, { nil: undefined }), port: fc.constantFrom(443, 80) })
    .map(({ tool: called, ...rest }): Action => {
      const rpc = called === undefined ? {} : { rpc: [{ method: 'tools/call', tool: called }] }
      return { kind: 'request', ...rest, ...rpc }
    }),
  fc
    .record({ host, port: fc.constantFrom(443, 80) })
    .map((rest): Action => ({ kind: 'connect', protocol: 'tcp', ...rest })),
  fc
    .record({
      path,
      operation: fc.constantFrom('open' as const, 'write' as const),
      volume: fc.constantFrom(undefined, 'data'),
    })
    .map((rest): Action => clean({ kind: 'file', ...rest }) as Action),
  path.map((at): Action => ({ kind: 'exec', path: at })),
)

const authorization: fc.Arbitrary<Authorization> = fc
  .record({
    kind: fc.constantFrom('request' as const, 'connect' as const, 'file' as const, 'exec' as const),
    hosts: some(fc.oneof(host, fc.constantFrom('*.example.com', '*.b.example.com'))),
    ports: some(fc.constantFrom(443, 80)),
    methods: some(method),
    paths: some(fc.oneof(path, fc.constantFrom('/**', '/a/**', '/a/b/**', 'data:/**', 'data:/a'))),
    tools: some(fc.oneof(tool, fc.constantFrom('*', 'get*', 'get_*'))),
    access: fc.constantFrom(undefined, 'read' as const),
  })
  .map((one) => clean(one) as Authorization)
const scope = fc.array(authorization, { maxLength: 4 })

/** A child that is likely to be narrower: each authorization with one limit more, or another altogether. */
const below = (parent: readonly Authorization[]): fc.Arbitrary<Authorization[]> =>
  fc.array(
    parent.length === 0
      ? authorization
      : fc.tuple(fc.constantFrom(...parent), authorization, fc.nat(9)).map(([one, other, dice]) => {
          if (dice === 0) return other
          const narrower = dice < 5 ? { ports: [443], methods: ['GET'] } : { access: 'read' as const }
          return { ...one, ...(one.ports || one.methods || one.access ? {} : narrower) }
        }),
    { maxLength: 3 },
  )

const chainOf = (scopes: readonly (readonly Authorization[])[]): Delegation[] => {
  const chain: Delegation[] = []
  for (const [hop, authorizations] of scopes.entries()) {
    const before = chain.at(-1)
    chain.push({
      digest: digestOfText(`hop ${hop}`),
      delegationId: `d${hop}`,
      issuer: before?.actor ?? 'root',
      actor: hop === scopes.length - 1 ? 'agent' : `agent-${hop}`,
      taskId: 'task',
      ...(before
        ? { parent: { issuer: before.issuer, delegationId: before.delegationId, digest: before.digest } }
        : {}),
      authorizations,
      maxDepth: scopes.length - hop,
      review: false,
      issuedAtMs: NOW,
      expiresAtMs: NOW + 1_000,
    })
  }
  return chain
}
const registration = (authorizations: readonly Authorization[], agentId: string): Registration => ({
  issuer: 'registry',
  recordId: 'r',
  recordVersion: 1,
  agentId,
  state: 'active',
  validUntilMs: NOW + 1_000,
  sponsor: 'jane',
  workspaces: [WS],
  authorizations,
})

describe('delegation', () => {
  it('what is called narrower permits nothing that the wider one does not', () => {
    let narrower = 0
    fc.assert(
      fc.property(
        scope.chain((parent) => fc.tuple(fc.constant(parent), below(parent))),
        fc.array(action, { minLength: 20, maxLength: 20 }),
        ([parent, child], actions) => {
          if (!isNarrower(child, parent)) return
          narrower++
          for (const one of actions) if (permits(child, one)) expect(permits(parent, one)).toBe(true)
        },
      ),
      { numRuns: 2_000 },
    )
    // The law is about something only where the generator meets it.
    expect(narrower).toBeGreaterThan(200)
  })

  it('the end of a chain can do nothing that a hop above it cannot', () => {
    const scopes = scope.chain((root) =>
      below(root).chain((first) => below(first).map((second) => [root, first, second])),
    )
    let resolved = 0
    fc.assert(
      fc.property(scopes, scope, fc.array(action, { minLength: 20, maxLength: 20 }), (list, own, actions) => {
        const chain = chainOf(list)
        const roots = new Set(['root'])
        const none = { agents: new Set<string>(), delegations: new Set<string>(), versions: new Map<string, number>() }
        const at = (hops: number): Authority | string => {
          const part = chain.slice(0, hops)
          const agent = part.at(-1)?.actor ?? ''
          return resolveAuthority(
            { workspace: WS, registration: registration(own, agent), chain: part, roots },
            none,
            NOW,
          )
        }
        const end = at(3)
        if (typeof end === 'string') return
        resolved++
        for (const hops of [1, 2]) {
          const above = at(hops)
          if (typeof above === 'string') throw new Error(`a good chain has a bad beginning: ${above}`)
          for (const one of actions)
            if (end.scopes.every((part) => permits(part, one)))
              expect(above.scopes.every((part) => permits(part, one))).toBe(true)
        }
      }),
      { numRuns: 2_000 },
    )
    expect(resolved).toBeGreaterThan(100)
  })
})

const glob = fc.constantFrom('/**', '**', '/a', '/a/*', '/a/**', '/{a,b}', '/[', '/?')
const rule: fc.Arbitrary<RequestRule> = fc
  .record({
    path: fc.constant('rules'),
    method: fc.option(fc.oneof(method, fc.constant('*')), { nil: undefined }),
    pathGlob: fc.option(glob, { nil: undefined }),
    query: fc.array(
      fc.record({
        key: fc.constantFrom('q', 'r'),
        globs: fc.array(fc.constantFrom('1', '*', '2.*'), { minLength: 1, maxLength: 2 }),
      }),
      { maxLength: 2 },
    ),
    operationType: fc.option(fc.constantFrom('query', 'mutation', '*'), { nil: undefined }),
    operationName: fc.option(fc.constantFrom('A*', 'B'), { nil: undefined }),
    fields: fc.array(fc.constantFrom('viewer', 'rep*'), { maxLength: 2 }),
    tool: fc.option(fc.array(fc.oneof(tool, fc.constant('get_*')), { minLength: 1, maxLength: 2 }), { nil: undefined }),
  })
  .map((one) => clean(one) as RequestRule)

const PROTOCOLS = ['rest', 'websocket', 'graphql', 'json-rpc', 'mcp'] as const
const rpcMethod = fc.constantFrom('tools/call', 'tools/list', '*', 'x')

interface Case {
  readonly policy: Policy
  readonly terms: RequestTerms
  readonly protocol: string
}
const BASE = policyOf({
  sandbox: `
network_policies:
  a:
    endpoints: [{ host: a.example.com, port: 443, protocol: rest, enforcement: enforce, access: full }]
    binaries: [{ path: /usr/bin/curl }]
`,
})
const withTerms = (protocol: string, terms: RequestTerms): Policy => {
  const { sandbox } = BASE
  const [first] = sandbox?.rules ?? []
  const [endpoint] = first?.endpoints ?? []
  if (!sandbox || !first || !endpoint) throw new Error('the base policy has one endpoint')
  return {
    ...BASE,
    sandbox: { ...sandbox, rules: [{ ...first, endpoints: [{ ...endpoint, protocol, requests: terms }] }] },
  }
}
const subject: fc.Arbitrary<Case> = fc
  .record({
    protocol: fc.constantFrom(...PROTOCOLS),
    allow: fc.array(fc.tuple(rule, rpcMethod), { minLength: 1, maxLength: 4 }),
    deny: fc.array(fc.tuple(rule, rpcMethod), { minLength: 1, maxLength: 4 }),
    enforce: fc.boolean(),
    scope: fc.constantFrom('', '/**', '/a/**'),
    profile: fc.boolean(),
  })
  .map(({ protocol, allow, deny, enforce, scope: at, profile }) => {
    const isRpc = protocol === 'mcp' || protocol === 'json-rpc'
    const rules = (list: readonly (readonly [RequestRule, string])[]): RequestRule[] =>
      list.map(([one, name]) => (isRpc ? { ...one, method: name } : one))
    const terms: RequestTerms = {
      path: at,
      enforce,
      allow: rules(allow),
      deny: rules(deny),
      encodedSlash: false,
      registered: [],
      strictToolNames: true,
      allKnownMethods: profile && protocol === 'mcp',
    }
    return { policy: withTerms(protocol, terms), terms, protocol }
  })

const request: fc.Arbitrary<RequestAction> = fc
  .record({
    method: fc.oneof(method, fc.constantFrom('WEBSOCKET_TEXT')),
    path,
    query: fc.option(
      fc.dictionary(fc.constantFrom('q', 'r'), fc.array(fc.constantFrom('1', '2.0', 'x'), { maxLength: 2 })),
      { nil: undefined },
    ),
    upgrade: fc.boolean(),
    graphql: fc.option(
      fc.array(
        fc.record({
          type: fc.constantFrom('query', 'mutation'),
          name: fc.constantFrom('', 'Ab', 'B'),
          fields: fc.array(fc.constantFrom('viewer', 'repo', 'x'), { maxLength: 2 }),
        }),
        { minLength: 1, maxLength: 2 },
      ),
      { nil: undefined },
    ),
    rpc: fc.option(
      fc.array(fc.record({ method: fc.constantFrom('tools/call', 'tools/list', 'x', 'y'), tool }), {
        minLength: 1,
        maxLength: 2,
      }),
      { nil: undefined },
    ),
  })
  .map((one) => clean({ kind: 'request' as const, host: 'a.example.com', port: 443, ...one }) as RequestAction)

const PLAN = planOf([])
const DIGEST = planDigest(PLAN)
const programFor = (policy: Policy): Program =>
  compileProgram({ plan: PLAN, planDigest: DIGEST, generation: 1, policies: [policy] })
const asking = { workspace: WS, executable: '/usr/bin/curl', quarantined: false, suspended: false }

/** What an answer permits: an audited deny is a deny with a note, and no better than one. */
const permitted = (program: Program, one: RequestAction): boolean => decide(program, asking, one, NOW).reason === 'rule'
const requests = fc.array(request, { minLength: 20, maxLength: 20 })

describe('rules', () => {
  it('without an allow rule no request is permitted that was denied', () => {
    let lost = 0
    fc.assert(
      fc.property(subject, fc.nat(3), requests, ({ protocol, terms, policy }, index, asked) => {
        const gone = terms.allow[index % terms.allow.length]
        // Upstream's exception (src/README.md): under the method profile a rule about a tool narrows.
        if (terms.allKnownMethods && gone?.tool) return
        const whole = programFor(policy)
        const part = programFor(withTerms(protocol, { ...terms, allow: terms.allow.filter((one) => one !== gone) }))
        for (const one of asked) {
          const [before, after] = [permitted(whole, one), permitted(part, one)]
          if (after) expect(before).toBe(true)
          if (before && !after) lost++
        }
      }),
      { numRuns: 1_500 },
    )
    expect(lost).toBeGreaterThan(50)
  })

  it('without a deny rule no request is denied that was permitted', () => {
    let won = 0
    fc.assert(
      fc.property(subject, fc.nat(3), requests, ({ protocol, terms, policy }, index, asked) => {
        const gone = terms.deny[index % terms.deny.length]
        const whole = programFor(policy)
        const part = programFor(withTerms(protocol, { ...terms, deny: terms.deny.filter((one) => one !== gone) }))
        for (const one of asked) {
          const [before, after] = [permitted(whole, one), permitted(part, one)]
          if (before) expect(after).toBe(true)
          if (after && !before) won++
        }
      }),
      { numRuns: 1_500 },
    )
    expect(won).toBeGreaterThan(50)
  })
})
