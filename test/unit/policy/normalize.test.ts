// Members of a bundle to policies: routing, references, what stands together, and advice.

import { describe, expect, it } from 'vitest'
import { normalizePolicies } from '../../../src/policy/normalize.js'

const fence = (more = '', name = 'demo', workspace = 'spiffe://corp.example/ws/a') => `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata: { name: ${name} }
applies_to: { workspaces: [${workspace}] }
${more}`
const SANDBOX = `version: 1
network_policies:
  api:
    endpoints: [{ host: api.example.com, port: 443 }]
    binaries: [{ path: /usr/bin/curl }]
`
const normalize = (members: Record<string, string>) =>
  normalizePolicies(new Map(Object.entries(members).map(([path, text]) => [path, new TextEncoder().encode(text)])))
const shown = (members: Record<string, string>) =>
  normalize(members).notes.map((note) => `${note.severity} ${note.file}:${note.line} [${note.code}] ${note.say}`)

describe('normalizePolicies', () => {
  it('folds the named SandboxPolicy in', () => {
    const { policies, notes } = normalize({
      'p/fence.yaml': fence(
        'sandboxPolicy: { path: p/sandbox.yaml }\ndelegate: [user, binary]\nrequire_domain: dpu-restricted\non_expiry: hold\ndns: { pins: { API.example.com: ["fd00:0:0::1", 10.0.0.1] } }\ndata_classification: { uri: "https://corp.example/c.json", digest: "sha256:' +
          'a'.repeat(64) +
          '" }\n',
      ),
      'p/sandbox.yaml': SANDBOX,
    })
    expect(notes.map((note) => note.code)).toEqual(['unused-delegate'])
    expect(policies).toHaveLength(1)
    const { clauses, sandbox, ...policy } = policies?.[0] ?? { clauses: [] }
    expect(policy).toEqual({
      name: 'demo',
      file: 'p/fence.yaml',
      appliesTo: ['spiffe://corp.example/ws/a'],
      requireDomain: 'dpu-restricted',
      onExpiry: 'hold',
      delegate: ['binary', 'user'],
      dns: { pins: new Map([['api.example.com', ['10.0.0.1', 'fd00::1']]]) },
      classification: { uri: 'https://corp.example/c.json', digest: `sha256:${'a'.repeat(64)}` },
    })
    expect(clauses).toHaveLength(1)
    expect(sandbox).toMatchObject({ file: 'p/sandbox.yaml', rules: [{ endpoints: [{ ports: [443] }] }] })
  })

  it('reads which writes are to be reviewed, each once', () => {
    const { policies } = normalize({ 'f.yaml': fence('review: [tools, files, tools]\n') })
    expect(policies).toMatchObject([{ review: ['files', 'tools'] }])
    expect(shown({ 'f.yaml': fence('review: [everything]\n') })).toEqual([
      'error f.yaml:5 [bad-value] "everything" is not accepted here; expected requests, tools, files',
    ])
  })

  it('has safe defaults', () => {
    expect(normalize({ 'f.yaml': fence() }).policies).toMatchObject([
      { requireDomain: 'host', onExpiry: 'suspend', delegate: [], clauses: [] },
    ])
    expect(normalize({})).toEqual({ policies: [], notes: [] })
  })

  it('reads the SandboxPolicy in the profile and role that the FencePolicy gives', () => {
    const legacy = SANDBOX.replace('port: 443', 'port: 443, tls: terminate')
    expect(
      shown({ 'f.yaml': fence('sandboxPolicy: { path: s.yaml }\ndelegate: [binary]\n'), 's.yaml': legacy }),
    ).toEqual(['error s.yaml:4 [legacy-tls] tls: terminate is a deprecated spelling of the default; delete the key'])
    const compat = fence('sandboxPolicy: { path: s.yaml, profile: compat }\ndelegate: [binary, tls]\n')
    expect(normalize({ 'f.yaml': compat, 's.yaml': legacy }).policies).toHaveLength(1)
    const provider = SANDBOX.replace('  api:', '  _provider_x:')
    const effective = fence('sandboxPolicy: { path: s.yaml, role: effective }\ndelegate: [binary]\n')
    expect(shown({ 'f.yaml': effective, 's.yaml': provider })).toEqual([])
  })

  it('refuses members that nothing names, kinds that are not evaluated, and references to nothing', () => {
    expect(
      shown({
        'a.yaml': fence('sandboxPolicy: { path: nowhere.yaml }\n'),
        'b.yaml': SANDBOX,
        'c.yaml': 'apiVersion: v1\nkind: NetworkPolicy\n',
      }),
    ).toEqual([
      'error a.yaml:5 [missing-member] the bundle has no SandboxPolicy "nowhere.yaml"; add the member or mend the path',
      'error b.yaml:0 [unnamed-member] no FencePolicy names this document in sandboxPolicy.path, so it would mean nothing; name it, or take it out of the bundle',
      'error c.yaml:0 [unknown-kind] documents of kind "NetworkPolicy" are not evaluated here; a bundle holds FencePolicy documents and the SandboxPolicy files that they name',
    ])
  })

  it('refuses a FencePolicy that names another FencePolicy', () => {
    expect(shown({ 'a.yaml': fence('sandboxPolicy: { path: a.yaml }\n') })).toEqual([
      'error a.yaml:5 [missing-member] the bundle has no SandboxPolicy "a.yaml"; add the member or mend the path',
    ])
  })

  it('says what is wrong in both documents at once', () => {
    const notes = shown({
      'a.yaml': fence('sandboxPolicy: { path: s.yaml }\negres: []\n'),
      's.yaml': SANDBOX.replace('port: 443', 'prt: 443'),
    })
    expect(notes.map((note) => note.split(']')[0])).toEqual([
      'error a.yaml:6 [unknown-key',
      'error s.yaml:4 [unknown-key',
    ])
  })

  it('does not call a member unnamed when the document that may name it cannot be read', () => {
    expect(shown({ 'a.yaml': 'kind: [', 's.yaml': SANDBOX }).filter((note) => note.includes('unnamed'))).toEqual([])
  })

  it('says once what is wrong with a SandboxPolicy that two policies carry', () => {
    const broken = SANDBOX.replace('version: 1', 'version: 2')
    expect(
      shown({
        'a.yaml': fence('sandboxPolicy: { path: s.yaml }\n'),
        'b.yaml': fence('sandboxPolicy: { path: s.yaml }\n', 'other', 'spiffe://corp.example/ws/b'),
        's.yaml': broken,
      }),
    ).toEqual(['error s.yaml:1 [bad-version] version 2 is not known; the schema has version 1'])
  })

  it('refuses one name or one workspace entry twice', () => {
    expect(shown({ 'a.yaml': fence(), 'b.yaml': fence() })).toEqual([
      'error b.yaml:0 [applies-twice] the policy name "demo" is taken by "a.yaml" already',
      'error b.yaml:0 [applies-twice] the workspace entry "spiffe://corp.example/ws/a" is taken by "a.yaml" already',
    ])
  })

  it('does not depend on the order of members', () => {
    const a: [string, string] = ['a.yaml', fence('sandboxPolicy: { path: s.yaml }\ndelegate: [binary]\n')]
    const s: [string, string] = ['s.yaml', SANDBOX]
    expect(normalize(Object.fromEntries([a, s]))).toEqual(normalize(Object.fromEntries([s, a])))
  })
})
