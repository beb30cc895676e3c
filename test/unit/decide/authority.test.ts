// Registration and delegation: each reason by a record that is wrong in that one way, and what a good chain carries.

import { describe, expect, it } from 'vitest'
import { digestOfText } from '../../../src/base/digest.js'
import {
  AUTHORITY_REASONS,
  type AuthorityReason,
  type Claim,
  type Delegation,
  type Registration,
  type Revocations,
  resolveAuthority,
} from '../../../src/decide/authority.js'
import { decide } from '../../../src/decide/decide.js'
import { isNarrower } from '../../../src/decide/scope.js'
import { programOf } from '../../support/decide/program.js'
import { print, question } from '../../support/decide/question.js'
import { WS } from '../../support/plans.js'

const NOW = 1_800_000_000_000
const NOTHING: Revocations = { agents: new Set(), delegations: new Set(), versions: new Map() }

const registration: Registration = {
  issuer: 'https://registry.example',
  recordId: 'r1',
  recordVersion: 3,
  agentId: 'agent-c',
  state: 'active',
  validUntilMs: NOW + 1_000,
  sponsor: 'jane',
  workspaces: [WS],
  authorizations: [{ kind: 'request' }, { kind: 'connect' }],
}
const root: Delegation = {
  digest: digestOfText('root'),
  delegationId: 'd1',
  issuer: 'https://bridge.example',
  actor: 'agent-a',
  taskId: 'task',
  authorizations: [{ kind: 'request', hosts: ['*.example.com'], ports: [443] }],
  maxDepth: 2,
  review: false,
  issuedAtMs: NOW - 10,
  expiresAtMs: NOW + 900,
}
const child: Delegation = {
  ...root,
  digest: digestOfText('child'),
  delegationId: 'd2',
  issuer: 'agent-a',
  actor: 'agent-c',
  parent: { issuer: root.issuer, delegationId: 'd1', digest: root.digest },
  authorizations: [{ kind: 'request', hosts: ['a.example.com'], ports: [443], methods: ['GET'] }],
  maxDepth: 1,
  expiresAtMs: NOW + 800,
}
const claim: Claim = { workspace: WS, registration, chain: [root, child], roots: new Set([root.issuer]) }
const withRegistration = (more: Partial<Registration>): Claim => ({
  ...claim,
  registration: { ...registration, ...more },
})
const withChild = (more: Partial<Delegation>): Claim => ({ ...claim, chain: [root, { ...child, ...more }] })
const withRoot = (more: Partial<Delegation>): Claim => ({ ...claim, chain: [{ ...root, ...more }, child] })

const WRONG: Readonly<Record<AuthorityReason, readonly (readonly [Claim, Revocations?])[]>> = {
  unregistered: [[{ ...claim, registration: undefined }]],
  'rolled-back': [[claim, { ...NOTHING, versions: new Map([['https://registry.example r1', 4]]) }]],
  'agent-pending': [[withRegistration({ state: 'pending' })]],
  'agent-suspended': [[withRegistration({ state: 'suspended' })]],
  'agent-revoked': [[withRegistration({ state: 'revoked' })], [claim, { ...NOTHING, agents: new Set(['agent-c']) }]],
  'registration-expired': [[withRegistration({ validUntilMs: NOW })]],
  'other-workspace': [[withRegistration({ workspaces: [`${WS}x`] })]],
  'no-root': [[{ ...claim, chain: [] }], [{ ...claim, chain: [child] }]],
  'broken-chain': [
    [withChild({ parent: { issuer: root.issuer, delegationId: 'd1', digest: digestOfText('another') } })],
    [withChild({ parent: { issuer: root.issuer, delegationId: 'd9', digest: root.digest } })],
    [{ ...withRoot({ issuer: 'agent-a', delegationId: 'd2' }), roots: new Set(['agent-a']) }],
  ],
  'untrusted-issuer': [[{ ...claim, roots: new Set() }], [withChild({ issuer: 'agent-b' })]],
  'delegation-revoked': [
    [claim, { ...NOTHING, delegations: new Set(['https://bridge.example d1']) }],
    [claim, { ...NOTHING, delegations: new Set(['agent-a d2']) }],
    // Who handed it on is gone, and so is what came of it.
    [claim, { ...NOTHING, agents: new Set(['agent-a']) }],
  ],
  'delegation-expired': [
    [withRoot({ expiresAtMs: NOW })],
    [withChild({ expiresAtMs: NOW })],
    [withChild({ issuedAtMs: NOW + 300_001 })],
  ],
  'not-narrower': [
    [withChild({ expiresAtMs: NOW + 901 })],
    [withChild({ maxDepth: 2 })],
    [withChild({ taskId: 'another' })],
    [withChild({ authorizations: [{ kind: 'request', hosts: ['a.example.com'] }] })],
    [withChild({ authorizations: [{ kind: 'request', hosts: ['a.example.org'], ports: [443] }] })],
    [withRoot({ review: true })],
  ],
  'too-deep': [[withRoot({ maxDepth: 0 })], [{ ...claim, chain: [...Array<Delegation>(16).fill(root), child] }]],
  'other-actor': [[withChild({ actor: 'agent-x' })]],
}

describe('an authority', () => {
  it.each(AUTHORITY_REASONS)('is refused: %s', (reason) => {
    for (const [wrong, revoked] of WRONG[reason]) expect(resolveAuthority(wrong, revoked ?? NOTHING, NOW)).toBe(reason)
  })

  it('of a good chain ends with the first of its records and keeps all of their scopes', () => {
    expect(resolveAuthority(claim, NOTHING, NOW)).toEqual({
      agentId: 'agent-c',
      sponsor: 'jane',
      taskId: 'task',
      scopes: [registration.authorizations, root.authorizations, child.authorizations],
      review: false,
      expiresAtMs: NOW + 800,
    })
  })

  it('is intersected with the policy of the workspace', () => {
    const program = programOf({
      sandbox: `
network_policies:
  a:
    endpoints:
      - { host: a.example.com, port: 443, protocol: rest, enforcement: enforce, access: read-write, deny_rules: [{ method: "*", path: /x }] }
      - { host: b.example.com, port: 443, protocol: rest, enforcement: enforce, access: full }
    binaries: [{ path: /usr/bin/curl }]
`,
    })
    const ask = (line: string, of = claim, nowMs = NOW): string => {
      const { asking, action } = question(line)
      return print(decide(program, { ...asking, authority: resolveAuthority(of, NOTHING, NOW) }, action, nowMs))
    }
    expect(ask('GET https://a.example.com/')).toBe('allow rule')
    expect(ask('GET https://a.example.com/x')).toBe('deny deny-rule')
    expect(ask('POST https://a.example.com/')).toBe('deny not-delegated')
    expect(ask('GET https://b.example.com/')).toBe('deny not-delegated')
    expect(ask('exec /usr/bin/git')).toBe('deny not-delegated')
    expect(ask('GET https://a.example.com/', withRegistration({ state: 'suspended' }))).toBe('deny agent-suspended')
    // Resolved once, and asked again when it has run out.
    expect(ask('GET https://a.example.com/', claim, NOW + 799)).toBe('allow rule')
    expect(ask('GET https://a.example.com/', claim, NOW + 800)).toBe('deny delegation-expired')
    expect(ask('GET https://a.example.com/', withChild({ review: true }))).toBe('allow rule [review delegation]')
  })
})

describe('narrower', () => {
  it.each([
    [
      { kind: 'request', hosts: ['*.example.com'] },
      { kind: 'request', hosts: ['a.example.com', '*.example.com'] },
      true,
    ],
    [{ kind: 'request', hosts: ['*.example.com'] }, { kind: 'request', hosts: ['a.b.example.com'] }, false],
    [{ kind: 'request', hosts: ['*.example.com'] }, { kind: 'request', hosts: ['example.com'] }, false],
    [{ kind: 'request', hosts: ['*.example.com'] }, { kind: 'request', hosts: ['*.a.example.com'] }, false],
    [{ kind: 'request', hosts: ['a.example.com'] }, { kind: 'request' }, false],
    [{ kind: 'request' }, { kind: 'connect' }, false],
    [{ kind: 'file', paths: ['/a/**'] }, { kind: 'file', paths: ['/a/b', '/a/b/**'] }, true],
    [{ kind: 'file', paths: ['/a/**'] }, { kind: 'file', paths: ['/a'] }, false],
    [{ kind: 'file', paths: ['/a/**'] }, { kind: 'file', paths: ['/ab'] }, false],
    [{ kind: 'file', paths: ['/a/**'] }, { kind: 'file', paths: ['data:/a/b'] }, false],
    [{ kind: 'file', access: 'read' }, { kind: 'file' }, false],
    [{ kind: 'file' }, { kind: 'file', access: 'read' }, true],
    [{ kind: 'request', tools: ['get_*'] }, { kind: 'request', tools: ['get_a', 'get_b*'] }, true],
    [{ kind: 'request', tools: ['get_*'] }, { kind: 'request', tools: ['get*'] }, false],
    [{ kind: 'request', ports: [443] }, { kind: 'request', ports: [443, 80] }, false],
  ] as const)('%j, %j: %s', (parent, child, narrower) => {
    expect(isNarrower([child], [parent])).toBe(narrower)
  })
})
