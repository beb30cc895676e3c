// The process half of a plan: clauses about what may run and what is looked for, with a guarantee each by what the backends of the
// node can do; and the verdicts of the oracle.

import { describe, expect, it } from 'vitest'
import { digestOfText } from '../../../src/base/digest.js'
import type { Capabilities, ProcessOffer } from '../../../src/plan/capabilities.js'
import { carriersOf } from '../../../src/plan/codec.js'
import { compilePlan } from '../../../src/plan/compile.js'
import { diffPlans, renderDiff } from '../../../src/plan/diff.js'
import { type ExecRequest, evaluateProcess } from '../../../src/plan/evaluate-process.js'
import type { ProcessSlice } from '../../../src/plan/model.js'
import { printProcess, widensProcess } from '../../../src/plan/process.js'
import { identify } from '../../../src/policy/clause-id.js'
import type { Clause, Policy, ProcessClause } from '../../../src/policy/model.js'
import { ENTRY, MEMORY, policy, SOURCE } from '../../support/plans.js'

const PINNED = digestOfText('git')
const offer = (
  backend: 'bpf-lsm' | 'exec-sensor',
  exec: ProcessOffer['exec'],
  more: Partial<ProcessOffer> = {},
): Capabilities => ({
  ...MEMORY,
  backend,
  slots: [],
  process: {
    exec,
    slots: ['veth'],
    activities: exec === 'detects' ? ['memory-only', 'reverse-shell', 'shell'] : [],
    users: exec === 'detects',
    digests: true,
    ...more,
  },
})
const LSM = offer('bpf-lsm', 'blocks')
const SENSOR = offer('exec-sensor', 'detects')

const clause = (
  rule: ProcessClause['rule'],
  values: readonly string[],
  reaction: ProcessClause['reaction'] = 'quarantine',
): Clause =>
  identify({
    kind: 'process',
    name: rule === 'activity' ? 'process.detect' : 'process',
    origin: { file: 'fence.yaml', path: 'process', line: 9 },
    losses:
      rule === 'user' ? [{ dimension: 'user', what: 'run_as_user', widenedTo: 'every user of the workspace' }] : [],
    rule,
    values,
    reaction,
  })
const EXEC = clause('exec', ['/usr/bin/node', `/usr/bin/git@${PINNED}`])
const ACTIVITY = clause('activity', ['memory-only', 'reverse-shell'], 'kill')
const USER = clause('user', ['user:1000'], 'observe')

const compile = (clauses: readonly Clause[], backends: readonly Capabilities[], more: Partial<Policy> = {}) =>
  compilePlan({
    source: SOURCE,
    policies: [policy(clauses, more)],
    inventory: { audience: 'test', revision: '1', entries: [ENTRY] },
    capabilities: [MEMORY, ...backends],
    order: ['memory', ...backends.map(({ backend }) => backend)],
  })
const levels = (made: ReturnType<typeof compile>) =>
  made.guarantees.map(({ name, level, dimension, why }) => [name, level, dimension, why])

describe('compiling clauses about processes', () => {
  it('puts them on what blocks and on what detects, and says which does what', () => {
    const made = compile([EXEC, ACTIVITY, USER], [LSM, SENSOR])
    const entry = made.plan?.workspaces[0]
    expect(entry?.process).toEqual({
      blocks: { backend: 'bpf-lsm', domain: 'host' },
      detects: { backend: 'exec-sensor', domain: 'host' },
      exec: {
        clause: EXEC.id,
        reaction: 'quarantine',
        allow: [{ path: '/usr/bin/git', digest: PINNED }, { path: '/usr/bin/node' }],
      },
      users: { clause: USER.id, uids: [1000] },
      activities: { clause: ACTIVITY.id, reaction: 'kill', kinds: ['memory-only', 'reverse-shell'] },
    })
    expect(entry && carriersOf(entry)).toEqual(['memory', 'bpf-lsm', 'exec-sensor'])
    expect(levels(made).sort()).toEqual([
      ['process', 'detected', undefined, 'exec-sensor tells of users, and stops nothing beforehand'],
      ['process', 'enforced', undefined, 'bpf-lsm'],
      [
        'process.detect',
        'detected',
        undefined,
        'exec-sensor tells of memory-only, reverse-shell, then kills, and stops nothing beforehand',
      ],
    ])
    expect(entry?.process && printProcess(entry.process)).toEqual([
      `exec /usr/bin/git ${PINNED}`,
      'exec /usr/bin/node',
      'exec anything else: quarantine',
      'user 1000',
      'detect memory-only: kill',
      'detect reverse-shell: kill',
    ])
  })
  it('says detected, and never enforced, of what is only told', () => {
    const made = compile([EXEC], [SENSOR])
    expect(levels(made)).toEqual([
      [
        'process',
        'detected',
        undefined,
        'exec-sensor tells of what runs, then quarantines, and stops nothing beforehand',
      ],
    ])
    expect(made.plan?.workspaces[0]?.process?.blocks).toBeUndefined()
  })
  it('refuses what nothing here blocks or detects, unless the policy delegates it', () => {
    const refused = compile([EXEC, ACTIVITY], [])
    expect(refused.plan).toBeUndefined()
    expect(refused.notes.map(({ code }) => code)).toEqual(['clause-unenforceable', 'clause-unenforceable'])
    expect(refused.notes.map(({ say }) => say).sort()).toEqual([
      expect.stringMatching(
        /^"process": no backend here fences processes; remove the clause, add `process` to delegate,/,
      ),
      expect.stringMatching(/^"process.detect": no backend here detects memory-only, reverse-shell; /),
    ])
    const delegated = compile([EXEC, ACTIVITY], [], { delegate: ['process'] })
    expect(delegated.notes).toEqual([])
    expect(delegated.guarantees.map(({ level }) => level)).toEqual(['delegated', 'delegated'])
    expect(delegated.plan?.workspaces[0]).not.toHaveProperty('process')
  })
  it('refuses an activity that the sensor does not know, and a digest that a backend cannot see', () => {
    const history = compile([clause('activity', ['shell-history', 'shell'])], [SENSOR])
    expect(history.notes[0]?.say).toMatch(/no backend here detects shell-history;/)
    const blind = compile([EXEC], [offer('bpf-lsm', 'blocks', { digests: false })])
    expect(blind.plan).toBeUndefined()
    expect(blind.notes[0]?.code).toBe('clause-unenforceable')
  })
  it('leaves users that have names to whom the policy delegates them', () => {
    const made = compile([clause('user', ['user:sandbox'])], [SENSOR], { delegate: ['user'] })
    expect(made.guarantees.map(({ level, dimension }) => [level, dimension])).toEqual([['delegated', 'user']])
    expect(compile([clause('user', ['group:7', 'user:1000'])], [SENSOR]).notes[0]?.code).toBe('dimension-not-delegated')
  })
  it('places by slot and by domain', () => {
    const elsewhere = offer('bpf-lsm', 'blocks', { slots: ['cgroup'] })
    expect(compile([EXEC], [elsewhere]).plan).toBeUndefined()
    const strong = { ...SENSOR, trustDomain: 'dpu-restricted' as const }
    const network = { ...MEMORY, trustDomain: 'dpu-restricted' as const }
    const made = compilePlan({
      source: SOURCE,
      policies: [policy([EXEC], { requireDomain: 'dpu-restricted' })],
      inventory: { audience: 'test', revision: '1', entries: [ENTRY] },
      capabilities: [network, LSM, strong],
      order: ['memory', 'bpf-lsm', 'exec-sensor'],
    })
    expect(made.plan?.workspaces[0]?.process).toMatchObject({ detects: { domain: 'dpu-restricted' } })
    expect(made.plan?.workspaces[0]?.process?.blocks).toBeUndefined()
  })
  it('shows in a diff what may run from now on', () => {
    const [before, after] = [compile([EXEC], [LSM]).plan, compile([clause('exec', ['/usr/bin/node'])], [LSM]).plan]
    if (!before || !after) throw new Error('no plan')
    expect(renderDiff(diffPlans(before, after))).toBe(
      `~ workspace ${ENTRY.workspace}\n  - exec /usr/bin/git ${PINNED} (bpf-lsm blocks)\n`,
    )
    const [was, is] = [before.workspaces[0]?.process, after.workspaces[0]?.process]
    expect([widensProcess(was, is), widensProcess(is, was), widensProcess(was, undefined)]).toEqual([false, true, true])
    expect(widensProcess(undefined, is)).toBe(false)
  })
})

describe('evaluateProcess', () => {
  const open = { quarantined: false, suspended: false }
  const slice = compile([EXEC, ACTIVITY, USER], [LSM, SENSOR]).plan?.workspaces[0]?.process as ProcessSlice
  const run = (path: string, more: Partial<ExecRequest> = {}): ExecRequest => ({ path, memoryOnly: false, ...more })
  const verdict = (request: ExecRequest, of: ProcessSlice | undefined = slice, standing = open) => {
    const made = evaluateProcess(of, standing, request)
    return made.kind === 'allow' ? ['allow', made.clause] : [made.reason, made.clause]
  }

  it('allows what is listed, and pinned content only with that content', () => {
    expect(verdict(run('/usr/bin/node'))).toEqual(['allow', EXEC.id])
    expect(verdict(run('/usr/bin/node', { digest: digestOfText('anything') }))).toEqual(['allow', EXEC.id])
    expect(verdict(run('/usr/bin/git', { digest: PINNED }))).toEqual(['allow', EXEC.id])
    expect(verdict(run('/usr/bin/git', { digest: digestOfText('other') }))).toEqual(['digest', EXEC.id])
    expect(verdict(run('/usr/bin/git'))).toEqual(['digest-unknown', EXEC.id])
  })
  it('denies everything else, and takes no prefix or other spelling for the path', () => {
    for (const path of ['/usr/bin/gi', '/usr/bin/git/', '/usr/bin/nodejs', '/usr/bin/../bin/node', '', '/'])
      expect(verdict(run(path))).toEqual(['unlisted', EXEC.id])
  })
  it('denies what has no file, by whichever clause forbids it', () => {
    expect(verdict(run('/usr/bin/node', { memoryOnly: true }))).toEqual(['memory-only', EXEC.id])
    const { exec: _, ...without } = slice
    expect(verdict(run('/memfd:x', { memoryOnly: true }), without)).toEqual(['memory-only', ACTIVITY.id])
    expect(verdict(run('/memfd:x', { memoryOnly: true }), {})).toEqual(['allow', undefined])
  })
  it('denies users that are not named, where somebody saw them', () => {
    expect(verdict(run('/usr/bin/node', { uid: 0 }))).toEqual(['user', USER.id])
    expect(verdict(run('/usr/bin/node', { uid: 1000 }))).toEqual(['allow', EXEC.id])
  })
  it('puts flags before everything, and restricts nothing where no clause speaks', () => {
    expect(verdict(run('/usr/bin/node'), slice, { quarantined: true, suspended: true })).toEqual([
      'quarantined',
      undefined,
    ])
    expect(verdict(run('/usr/bin/node'), slice, { quarantined: false, suspended: true })).toEqual([
      'suspended',
      undefined,
    ])
    expect(evaluateProcess(undefined, open, run('/anything'))).toEqual({ kind: 'allow', clause: undefined })
  })
})
