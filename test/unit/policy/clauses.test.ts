// From documents to clauses: what is granted, what is lost, and which ids stay the same (design section 3, sheet section 14).

import { describe, expect, it } from 'vitest'
import type { Clause, EgressClause } from '../../../src/policy/model.js'
import { normalizePolicies } from '../../../src/policy/normalize.js'

const HEAD = `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata: { name: demo }
applies_to: { workspaces: [spiffe://corp.example/ws/a] }
`
const bytes = (text: string) => new TextEncoder().encode(text)

function clausesOf(members: Record<string, string>): readonly Clause[] {
  const { policies, notes } = normalizePolicies(new Map(Object.entries(members).map(([k, v]) => [k, bytes(v)])))
  expect(notes.filter((note) => note.severity === 'error')).toEqual([])
  return policies?.[0]?.clauses ?? []
}

const carrying = (sandbox: string, profile = 'strict') =>
  clausesOf({
    'fence.yaml': `${HEAD}sandboxPolicy: { path: sandbox.yaml, profile: ${profile} }\n`,
    'sandbox.yaml': `version: 1\n${sandbox}`,
  })

const rule = (endpoints: string, binaries = '[{ path: /usr/bin/git }]') =>
  `network_policies:\n  api:\n    endpoints: [${endpoints}]\n    binaries: ${binaries}\n`

const egress = (clauses: readonly Clause[]) =>
  clauses.filter((clause): clause is EgressClause => clause.kind === 'egress')
const only = (clauses: readonly Clause[]): EgressClause => {
  const found = egress(clauses)
  expect(found).toHaveLength(1)
  return found[0] as EgressClause
}
const losses = (clause: Clause) => clause.losses.map((loss) => `${loss.dimension}:${loss.what}`)

describe('SandboxPolicy clauses', () => {
  it('makes one clause of a host and merges its ports', () => {
    const clause = only(carrying(rule('{ host: API.example.com, ports: [8080, 443, 8081, 443] }')))
    expect(clause).toMatchObject({
      name: 'api',
      protocol: 'tcp',
      to: [{ kind: 'name', pattern: 'api.example.com', wildcard: false }],
      ports: [
        { from: 443, to: 443 },
        { from: 8080, to: 8081 },
      ],
      origin: { file: 'sandbox.yaml', path: 'network_policies.api.endpoints[0]', line: 4 },
    })
    expect(losses(clause)).toEqual(['binary:binaries'])
  })

  it('turns literals and hostless allowed_ips into prefixes, and keeps allowed_ips of a host as a bound', () => {
    expect(only(carrying(rule('{ host: 93.184.216.34, port: 443 }'))).to).toEqual([
      { kind: 'prefix', prefix: '93.184.216.34/32' },
    ])
    expect(only(carrying(rule('{ port: 443, allowed_ips: [10.1.2.3, 10.0.5.9/24] }'))).to).toEqual([
      { kind: 'prefix', prefix: '10.0.5.0/24' },
      { kind: 'prefix', prefix: '10.1.2.3/32' },
    ])
    expect(only(carrying(rule('{ host: "*.corp.example", port: 443, allowed_ips: ["FD00:0::/64"] }'))).to).toEqual([
      { kind: 'name', pattern: '*.corp.example', wildcard: true, within: ['fd00::/64'] },
    ])
  })

  it('grants nothing for a rule without binaries', () => {
    expect(egress(carrying(rule('{ host: api.example.com, port: 443 }', '[]')))).toEqual([])
  })

  it('grants nothing for what is always blocked, in compat', () => {
    expect(
      egress(
        carrying(
          rule('{ host: localhost, port: 80 }, { host: db.example.com, port: 1, allowed_ips: [127.0.0.1] }'),
          'compat',
        ),
      ),
    ).toEqual([])
  })

  it('grants nothing for an address outside its own allowed_ips', () => {
    expect(egress(carrying(rule('{ host: 10.1.0.1, port: 80, allowed_ips: [10.2.0.0/16] }')))).toEqual([])
    expect(egress(carrying(rule('{ host: 10.2.0.1, port: 80, allowed_ips: [10.2.0.0/16] }')))).toHaveLength(1)
  })

  it('lists every key that it drops', () => {
    const l7 = only(
      carrying(
        rule(
          '{ host: a.example.com, port: 443, path: /v1, protocol: rest, enforcement: enforce, tls: terminate, access: full, deny_rules: [{ method: POST }], websocket_credential_rewrite: true, allow_encoded_slash: false }',
        ),
        'compat',
      ),
    )
    expect(losses(l7)).toEqual([
      'binary:binaries',
      'l7:access',
      'l7:deny_rules',
      'l7:path',
      'tls:tls',
      'credentials:websocket_credential_rewrite',
    ])
    expect(losses(only(carrying(rule('{ host: a.example.com, port: 443, tls: skip }'))))).toEqual(['binary:binaries'])
    expect(losses(only(carrying(rule('{ host: a.example.com, port: 5432, protocol: tcp }'))))).toEqual([
      'binary:binaries',
    ])
  })

  it('carries filesystem, landlock, process and middleware as clauses of the runtime', () => {
    const clauses = carrying(`filesystem_policy: { include_workdir: true, read_only: [/usr, /etc], read_write: [/tmp] }
landlock: { compatibility: hard_requirement }
process: { run_as_user: sandbox, run_as_group: "1000" }
network_middlewares: { redact: { middleware: openshell/regex, endpoints: { include: [a.example.com] } } }
`)
    const shown = clauses.map((clause) => `${clause.kind} ${clause.name} ${losses(clause).join(' ')}`).sort()
    expect(shown).toEqual([
      'process process user:run_as_user user:run_as_group',
      'runtime filesystem_policy.include_workdir filesystem:filesystem_policy.include_workdir',
      'runtime landlock.hard_requirement filesystem:landlock.hard_requirement',
      'runtime redact middleware:network_middlewares.redact',
      'storage filesystem_policy.read_only filesystem:read_only',
      'storage filesystem_policy.read_write filesystem:read_write',
    ])
    expect(clauses.find((clause) => clause.kind === 'process')).toMatchObject({
      values: ['group:1000', 'user:sandbox'],
    })
    expect(clauses.find((clause) => clause.name.endsWith('read_only'))).toMatchObject({ paths: ['/etc', '/usr'] })
  })
})

describe('FencePolicy clauses', () => {
  it('makes clauses without losses of everything that it says', () => {
    const clauses = clausesOf({
      'f.yaml': `${HEAD}egress:
  - { name: web, hosts: [b.example.com, "*.a.example.com"], protocol: tcp, ports: [443, "8000-8100", 8101], allowed_ips: [10.1.0.0/16] }
  - { name: ping, cidrs: ["2606:2800:21F::/48", 93.184.216.34], protocol: icmp-echo }
ingress:
  - { name: ssh, from: [10.0.0.0/8], protocol: tcp, ports: [22] }
quotas: { bytes_per_second: 1000, live_connections: 5 }
storage: { volumes: [{ name: data, read_only: [/], read_write: [/out], deny: [/secret] }, { name: models, read_only: [/], open_files: until-closed }] }
process: { allow_exec: [/usr/bin/git], reaction: kill }
`,
    })
    expect(clauses.every((clause) => clause.losses.length === 0)).toBe(true)
    const named = (name: string) => clauses.filter((clause) => clause.name === name)
    expect(named('web')).toMatchObject([
      {
        to: [
          { kind: 'name', pattern: '*.a.example.com', wildcard: true, within: ['10.1.0.0/16'] },
          { kind: 'name', pattern: 'b.example.com', wildcard: false, within: ['10.1.0.0/16'] },
        ],
        ports: [
          { from: 443, to: 443 },
          { from: 8000, to: 8101 },
        ],
      },
    ])
    expect(named('ping')).toMatchObject([
      {
        ports: [],
        to: [
          { kind: 'prefix', prefix: '93.184.216.34/32' },
          { kind: 'prefix', prefix: '2606:2800:21f::/48' },
        ],
      },
    ])
    expect(named('ssh')).toMatchObject([{ kind: 'ingress', from: ['10.0.0.0/8'], ports: [{ from: 22, to: 22 }] }])
    expect(
      named('data')
        .map((clause) => clause.kind === 'storage' && `${clause.access} ${clause.paths}`)
        .sort(),
    ).toEqual(['deny /secret', 'read-only /', 'read-write /out'])
    expect(named('data').some((clause) => 'openFiles' in clause)).toBe(false)
    expect(named('models')).toMatchObject([{ access: 'read-only', paths: ['/'], openFiles: 'until-closed' }])
    expect(named('bytes-per-second')).toMatchObject([{ kind: 'quota', value: 1000 }])
    expect(named('process')).toMatchObject([{ rule: 'exec', values: ['/usr/bin/git'], reaction: 'kill' }])
  })
})

describe('clause ids', () => {
  const id = (text: string) => only(clausesOf({ 'f.yaml': `${HEAD}egress:\n${text}` })).id

  it('does not depend on name, place, spelling or order', () => {
    const plain = id('  - { name: a, cidrs: [10.1.0.0/16, 10.2.0.0/16], protocol: tcp, ports: [443, 444] }\n')
    expect(
      id('  # moved\n\n  - { protocol: tcp, name: b, ports: ["443-444"], cidrs: [10.2.0.0/16, 10.1.0.0/16] }\n'),
    ).toBe(plain)
    expect(id('  - { name: a, cidrs: [10.1.0.0/16, 10.2.0.0/16], protocol: udp, ports: [443, 444] }\n')).not.toBe(plain)
    expect(id('  - { name: a, cidrs: [10.1.0.0/16], protocol: tcp, ports: [443, 444] }\n')).not.toBe(plain)
  })

  it('is pinned: this value may only change with the format of the normal form', () => {
    expect(id('  - { name: a, cidrs: [10.1.0.0/16], protocol: tcp, ports: [443] }\n')).toBe(
      'sha256:4eb4943c019a42e1a8027384aadd140da4d4d7615d52b84cbf1fdc78b81c6d66',
    )
  })

  it('depends on what is lost, and not on the words for it', () => {
    const l4 = only(carrying(rule('{ host: a.example.com, port: 443 }')))
    const l7 = only(
      carrying(rule('{ host: a.example.com, port: 443, protocol: rest, enforcement: enforce, access: full }')),
    )
    const fence = id('  - { name: a, hosts: [a.example.com], protocol: tcp, ports: [443] }\n')
    expect(new Set([l4.id, l7.id, fence]).size).toBe(3)
  })

  it('makes one clause of two equal ones, with the name of the first', () => {
    const clause = only(
      clausesOf({
        'f.yaml': `${HEAD}egress:
  - { name: first, cidrs: [10.1.0.0/16], protocol: tcp, ports: [443] }
  - { name: second, cidrs: [10.1.0.0/16], protocol: tcp, ports: [443] }
`,
      }),
    )
    expect(clause.name).toBe('first')
  })
})
