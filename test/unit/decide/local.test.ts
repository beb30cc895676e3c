// Decisions about files, programs and users, and what stands above every clause: quarantine, suspension, expiry, workspaces
// that nobody knows.

import { describe, expect, it } from 'vitest'
import { decide } from '../../../src/decide/decide.js'
import type { Plan } from '../../../src/plan/model.js'
import { policyOf, programOf } from '../../support/decide/program.js'
import { question } from '../../support/decide/question.js'
import { planOf, SOURCE, WS } from '../../support/plans.js'

const NOW = 1_800_000_000_000
const DIGEST = `sha256:${'a'.repeat(64)}`
const OTHER = `sha256:${'b'.repeat(64)}`

const SANDBOX = `
filesystem_policy:
  include_workdir: true
  read_only: [/usr, /etc/, /dev/urandom]
  read_write: [/tmp, /etc/agent]
process: { run_as_user: sandbox, run_as_group: "1000" }
`
const FENCE = `process: { allow_exec: [/usr/bin/git, "/usr/bin/node@${DIGEST}"], reaction: kill }
storage:
  volumes:
    - { name: data, read_only: [/in], read_write: [/out], deny: [/out/private] }
review: [files]
`

/** A plan with the volume, as the compiler lays it out. */
const withVolume = (): Plan => {
  const plan = planOf([])
  const [workspace] = plan.workspaces
  if (!workspace) throw new Error('the plan has no workspace')
  const clauses = policyOf({ fence: FENCE }).clauses.filter((clause) => clause.kind === 'storage')
  const rules = clauses.flatMap((clause) =>
    clause.paths.map((path) => ({ path, access: clause.access, clauses: [clause.id] })),
  )
  const volumes = [{ name: 'data', source: '/srv/data', mount: '/run/data', rules }]
  return { ...plan, workspaces: [{ ...workspace, storage: { backend: 'memory', domain: 'host', volumes } }] }
}

const ask = (program: ReturnType<typeof programOf>, line: string, standing = {}, nowMs = NOW): string => {
  const { asking, action } = question(line)
  const { decision, reason, obligations } = decide(program, { ...asking, ...standing }, action, nowMs)
  return [decision, reason, ...obligations.map(({ kind }) => kind)].join(' ')
}

describe('files', () => {
  const program = programOf({ sandbox: SANDBOX, fence: FENCE }, withVolume())

  it.each([
    ['file open /usr/lib/x', 'allow file'],
    ['file open /etc/passwd', 'allow file'],
    ['file open-write /etc/passwd', 'deny read-only'],
    ['file unlink /usr/bin/git', 'deny read-only'],
    ['file open-write /etc/agent/x', 'allow file review'],
    ['file create /tmp/x', 'allow file review'],
    ['file open /tmp/x', 'allow file'],
    ['file create /sandbox/x', 'allow file review'],
    ['file open /home/u/x', 'deny no-rule'],
    ['file open /usrx', 'deny no-rule'],
    ['file open /tmp/../home', 'deny bad-path'],
    ['file open tmp/x', 'deny bad-path'],
    ['file make-device /tmp/x', 'deny never'],
    ['file open data:/in/x', 'allow file'],
    ['file write data:/in/x', 'deny read-only'],
    ['file write data:/out/x', 'allow file review'],
    ['file open data:/out/private/x', 'deny denied'],
    ['file open data:/else', 'deny no-rule'],
    ['file open other:/in/x', 'deny no-volume'],
  ])('%s: %s', (line, answer) => {
    expect(ask(program, line)).toBe(answer)
  })

  it('without filesystem_policy only the working directory is open', () => {
    const bare = programOf({ sandbox: 'network_policies: {}' })
    expect(ask(bare, 'file create /sandbox/x')).toBe('allow file')
    expect(ask(bare, 'file open /usr/bin/git')).toBe('deny no-rule')
    const closed = programOf({ sandbox: 'filesystem_policy: { read_only: [/usr] }' })
    expect(ask(closed, 'file create /sandbox/x')).toBe('deny no-rule')
  })

  it('without a SandboxPolicy nobody spoke of them', () => {
    expect(ask(programOf({}), 'file open /usr/bin/git')).toBe('deny no-rule')
  })
})

describe('processes', () => {
  const program = programOf({ sandbox: SANDBOX, fence: FENCE })

  it.each([
    ['exec /usr/bin/git', 'allow exec'],
    [`exec /usr/bin/git@${OTHER}`, 'allow exec'],
    [`exec /usr/bin/node@${DIGEST}`, 'allow exec'],
    [`exec /usr/bin/node@${OTHER}`, 'deny digest'],
    ['exec /usr/bin/node', 'deny digest'],
    ['exec /usr/bin/curl', 'deny no-rule'],
    ['run-as user:sandbox', 'allow user'],
    ['run-as user:sandbox,group:1000', 'allow user'],
    ['run-as user:sandbox,group:1001', 'deny group-denied'],
    ['run-as user:daemon', 'deny user-denied'],
    ['run-as user:root', 'deny user-denied'],
    ['run-as group:0', 'deny group-denied'],
    ['run-as other:x', 'deny malformed'],
  ])('%s: %s', (line, answer) => {
    expect(ask(program, line)).toBe(answer)
  })

  it('that no policy speaks of are denied', () => {
    expect(ask(programOf({}), 'exec /usr/bin/git')).toBe('deny no-rule')
    expect(ask(programOf({}), 'run-as user:sandbox')).toBe('deny no-rule')
  })
})

describe('above every clause', () => {
  const sandbox = `${SANDBOX}
network_policies:
  a: { endpoints: [{ host: a.example.com, port: 443 }], binaries: [{ path: /usr/bin/curl }] }
`
  const program = programOf({ sandbox, fence: FENCE })
  const lines = ['connect tcp a.example.com:443', 'file open /usr/x', 'exec /usr/bin/git', 'run-as user:sandbox']

  it.each(lines)('%s is allowed to begin with', (line) => {
    expect(ask(program, line)).toMatch(/^allow /)
  })

  it.each(lines)('%s: quarantined, suspended, expired and unknown workspaces are denied', (line) => {
    expect(ask(program, line, { quarantined: true, suspended: true })).toBe('deny quarantined')
    expect(ask(program, line, { suspended: true })).toBe('deny suspended')
    expect(ask(program, line, { workspace: `${WS}x` })).toBe('deny unknown-workspace')
    expect(ask(program, line, {}, SOURCE.expiresAtMs - 1)).toMatch(/^allow /)
    expect(ask(program, line, {}, SOURCE.expiresAtMs)).toBe('deny expired')
  })

  it('a policy with on_expiry: hold goes on', () => {
    const plan = planOf([], { onExpiry: 'hold' })
    const held = programOf({ sandbox, fence: 'on_expiry: hold' }, plan)
    expect(ask(held, 'connect tcp a.example.com:443', {}, SOURCE.expiresAtMs)).toBe('allow grant')
  })

  it('a workspace without a policy is denied', () => {
    const plan = planOf([], { name: 'another' })
    expect(ask(programOf({ sandbox }, plan), 'connect tcp a.example.com:443')).toBe('deny no-grant')
  })
})

describe('clauses', () => {
  it('of requests are named by what they say and where they stand', () => {
    const of = (sandbox: string) => {
      const { asking, action } = question('GET https://a.example.com/x')
      return decide(programOf({ sandbox }), asking, action, NOW)
    }
    const text = (name: string, path: string) => `
network_policies:
  ${name}:
    endpoints:
      - host: a.example.com
        port: 443
        protocol: rest
        enforcement: enforce
        rules: [{ allow: { method: GET, path: "${path}" } }]
    binaries: [{ path: /usr/bin/curl }]
`
    const [one, moved, other] = [of(text('one', '/x')), of(`\n${text('two', '/x')}`), of(text('one', '/*'))]
    expect(one.place).toBe('sandbox.yaml network_policies.one.endpoints[0].rules[0].allow')
    expect(moved.place).toBe('sandbox.yaml network_policies.two.endpoints[0].rules[0].allow')
    expect(one.clause).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(moved.clause).toBe(one.clause)
    expect(other.clause).not.toBe(one.clause)
  })
})
