// Findings on a node, with a host of values: what is fenced, in which order, what is told of it, and what happens to a reaction that
// fails. And the end of what runs in a real cgroup.

import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { agentFault } from '../../../src/agent/errors.js'
import { Findings } from '../../../src/agent/findings.js'
import { endWorkspace } from '../../../src/agent/kill.js'
import type { Fact, FactOf } from '../../../src/audit/fact.js'
import { FINDING_TERMS, type FindingTerms, type Reaction } from '../../../src/findings/terms.js'
import { FACTS, NOW, POLICY, WORKSPACE } from '../../support/facts.js'
import { at, called, denied, rolledBack } from '../../support/findings/sights.js'

const ID = WORKSPACE.workspace
const OTHER = 'spiffe://acme.example/ws/other'
let clock: number
let sequence: number
/** What was done, in order. */
let done: string[]
let told: FactOf<'finding'>[]
let failures: unknown[]
let refuse: (workspace: string) => Error | undefined
let ends: 'ended' | 'elsewhere' | Error
let planned: () => readonly string[]

beforeEach(() => {
  clock = NOW
  sequence = 100
  done = []
  told = []
  failures = []
  refuse = () => undefined
  ends = 'ended'
  planned = () => [ID, OTHER]
})

const react = (reaction: Reaction): FindingTerms => ({
  ...FINDING_TERMS,
  denialBurst: { ...FINDING_TERMS.denialBurst, reaction },
  lifecycleRate: { ...FINDING_TERMS.lifecycleRate, reaction },
  rollbackAttempt: { reaction },
})
const make = (terms: FindingTerms): Findings =>
  new Findings(
    {
      node: 'spiffe://acme.example/node/7',
      nowMs: () => clock,
      sequence: () => sequence,
      tell: (facts) => {
        for (const fact of facts) {
          done.push(`tell ${fact.kind}`)
          if (fact.kind === 'finding') told.push(fact)
        }
        return Promise.resolve()
      },
      planned: () => planned(),
      fence: (workspace, reason) => {
        done.push(`fence ${workspace}`)
        expect(reason).toMatch(/^finding fnd-[0-9a-f]{32}: [a-z-]+$/)
        const error = refuse(workspace)
        return error ? Promise.reject(error) : Promise.resolve(`cmd-${done.length}`)
      },
      end: (workspace) => {
        done.push(`end ${workspace}`)
        return ends instanceof Error ? Promise.reject(ends) : Promise.resolve(ends)
      },
      failed: (error) => failures.push(error),
    },
    terms,
  )
const burst = (more: Partial<FactOf<'flow-denied'>> = {}): Fact =>
  denied(clock, '45.76.1.1', 443, { count: 500, ...more })

describe('findings of a node', () => {
  it('a lift that is told late, by whoever did not tell it in time, neither pays off what is owed nor ends a cause', async () => {
    const findings = make(react('quarantine'))
    refuse = () => agentFault('AGENT_BACKEND_LOST', { backend: 'memory' })
    findings.telling([burst()])
    await findings.close()
    const before = findings.open().length
    expect(before).toBeGreaterThan(0)
    const lift = FACTS['quarantine-lifted']
    findings.telling([{ ...lift, isLate: true }])
    expect(findings.open()).toHaveLength(before)
    done = []
    refuse = () => undefined
    clock += 1_000
    findings.look()
    await findings.close()
    expect(done).toContain(`fence ${ID}`)
  })

  it('observe: told with what it rests on, and nothing done', async () => {
    const findings = make(react('observe'))
    findings.telling([FACTS.heartbeat])
    ;[clock, sequence] = [NOW + 60_000, 180]
    expect(findings.telling([burst()])).toEqual([burst()])
    await findings.close()
    expect(done).toEqual(['tell finding'])
    expect(told[0]).toMatchObject({
      ...{ finding: 'denial-burst', news: 'created', severity: 'medium', policy: POLICY, workspace: WORKSPACE },
      ...{ count: 500, afterSequence: 180, reaction: 'observe', outcome: 'observed', commandIds: [] },
    })
    expect(findings.open()).toMatchObject([{ finding: 'denial-burst', cause: ID, count: 500, reaction: 'observe' }])
  })

  it('names the last event before its first sign', async () => {
    const findings = make(react('observe'))
    for (let s = 0; s < 10; s++) {
      ;[clock, sequence] = [NOW + s * 1_000, 100 + s]
      findings.look()
    }
    findings.telling([burst({ firstAtMs: NOW + 4_200 })])
    await findings.close()
    expect(told[0]?.afterSequence).toBe(104)
  })

  it('quarantine: fenced first, told then, under the command', async () => {
    const findings = make(react('quarantine'))
    findings.telling([burst()])
    await findings.close()
    expect(done).toEqual([`fence ${ID}`, 'tell finding'])
    expect(told[0]).toMatchObject({ reaction: 'quarantine', outcome: 'done', commandIds: ['cmd-1'] })
  })

  it('kill: fenced, ended, told; and truthfully where ending is not for this node', async () => {
    const findings = make(react('kill'))
    findings.telling([burst()])
    await findings.close()
    expect(done).toEqual([`fence ${ID}`, `end ${ID}`, 'tell finding'])
    expect(told[0]).toMatchObject({ reaction: 'kill', outcome: 'done' })
    ends = 'elsewhere'
    findings.telling([burst({ workspace: at(OTHER) })])
    await findings.close()
    expect(told[1]).toMatchObject({ reaction: 'kill', outcome: 'fenced' })
  })

  it('a reaction that fails is told so, and tried again until it is done', async () => {
    const findings = make(react('quarantine'))
    refuse = () => agentFault('AGENT_BACKEND_LOST', { backend: 'nftables' })
    findings.telling([burst()])
    await findings.close()
    expect([told[0]?.outcome, failures.length]).toEqual(['failed', 1])
    findings.look()
    await findings.close()
    refuse = () => undefined
    findings.look()
    await findings.close()
    findings.look()
    await findings.close()
    expect(done).toEqual([`fence ${ID}`, 'tell finding', `fence ${ID}`, `fence ${ID}`])
  })

  it('an end that fails is owed alone, ever less often, and the fence is not set again', async () => {
    const findings = make(react('kill'))
    ends = agentFault('AGENT_KILL', { group: 'x' })
    findings.telling([burst()])
    await findings.close()
    expect(told[0]).toMatchObject({ outcome: 'failed', commandIds: ['cmd-1'] })
    done = []
    for (let s = 1; s <= 20; s++) {
      clock += 1_000
      findings.look()
      await findings.close()
    }
    // After 1, 2, 4 and 8 seconds.
    expect(done).toEqual(Array<string>(4).fill(`end ${ID}`))
    ends = 'ended'
    clock += 60_000
    findings.look()
    await findings.close()
    findings.look()
    await findings.close()
    expect(done).toEqual(Array<string>(5).fill(`end ${ID}`))
  })

  it('what is owed is owed for each finding, and for none of a workspace that was let out', async () => {
    const findings = make(react('quarantine'))
    refuse = () => agentFault('AGENT_BACKEND_LOST', { backend: 'nftables' })
    findings.telling([burst(), rolledBack(clock)])
    await findings.close()
    done = []
    findings.look()
    await findings.close()
    expect(done.sort()).toEqual([`fence ${ID}`, `fence ${ID}`, `fence ${OTHER}`])
    findings.telling([FACTS['quarantine-lifted']])
    done = []
    findings.look()
    await findings.close()
    expect(done).toEqual([`fence ${OTHER}`])
  })

  it('an end that is under way when the workspace is let out is not asked for again', async () => {
    const findings = make(react('kill'))
    ends = agentFault('AGENT_KILL', { group: 'x' })
    findings.telling([burst()])
    await Promise.resolve()
    findings.telling([FACTS['quarantine-lifted']])
    await findings.close()
    done = []
    clock += 60_000
    findings.look()
    await findings.close()
    expect(done).toEqual([])
  })

  it('who was let out is not fenced again for what was before, and at once for what is new', async () => {
    const findings = make(react('quarantine'))
    findings.telling([burst(), burst()])
    findings.telling([FACTS['quarantine-lifted'], burst({ count: 100 })])
    await findings.close()
    clock = NOW + FINDING_TERMS.cooldownMs
    findings.look()
    await findings.close()
    expect(told.map(({ news }) => news)).toEqual(['created'])
    findings.telling([burst()])
    findings.telling([FACTS['quarantine-lifted']])
    clock += 1_000
    findings.telling([burst({ count: 5_000 })])
    await findings.close()
    expect(told.map(({ news }) => news)).toEqual(['created', 'created', 'created'])
    expect(done.filter((what) => what.startsWith('fence'))).toHaveLength(3)
  })

  it('one that nobody can ever carry out is not tried again', async () => {
    const findings = make(react('quarantine'))
    refuse = (workspace) => agentFault('AGENT_WORKSPACE_UNKNOWN', { workspace })
    findings.telling([burst()])
    await findings.close()
    findings.look()
    await findings.close()
    expect(done).toEqual([`fence ${ID}`, 'tell finding'])
  })

  it('the finding about a caller reaches whom it touched of the plan, and no name that it made up', async () => {
    const findings = make(react('quarantine'))
    const by = 'spiffe://acme.example/companion/7'
    for (let i = 0; i < 30; i++)
      findings.seen(called(clock + i, by, 'attach', i % 2 ? OTHER : `spiffe://x.example/${i}`))
    await findings.close()
    expect(done).toEqual([`fence ${OTHER}`, 'tell finding'])
    expect(told[0]).toMatchObject({ caller: by })
    expect(told[0]?.workspace).toBeUndefined()
  })

  it('a rollback reaches every workspace, and raises no second finding', async () => {
    const findings = make(react('quarantine'))
    expect(findings.telling([rolledBack(clock)])).toEqual([{ ...rolledBack(clock), told: true }])
    await findings.close()
    expect(done).toEqual([`fence ${ID}`, `fence ${OTHER}`, 'tell finding'])
    expect(told[0]?.commandIds.length).toBe(2)
  })

  it('a detector that is off leaves a rollback as it is', async () => {
    const findings = make(react('off'))
    expect(findings.telling([rolledBack(clock), burst()])).toEqual([rolledBack(clock), burst()])
    await findings.close()
    expect(done).toEqual([])
  })

  it('a record that cannot be read keeps no workspace open', async () => {
    planned = () => {
      throw agentFault('AGENT_STORE_DAMAGED', { file: 'state.json', why: 'cut' })
    }
    const findings = make(react('quarantine'))
    findings.telling([burst()])
    await findings.close()
    expect(done).toEqual([`fence ${ID}`, 'tell finding'])
  })

  it('goes on after a cool-down with one update, and fences again whoever was let out', async () => {
    const findings = make(react('quarantine'))
    findings.telling([burst()])
    clock += 60_000
    findings.telling([burst()])
    clock = NOW + FINDING_TERMS.cooldownMs
    findings.look()
    await findings.close()
    expect(told.map(({ news, count }) => [news, count])).toEqual([
      ['created', 500],
      ['updated', 1_000],
    ])
    expect(done.filter((what) => what.startsWith('fence'))).toHaveLength(2)
  })
})

describe('ending what runs in a workspace', () => {
  const slot = { mac: '', addresses: [], gateway: { mac: '', addresses: [] } }
  const root = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((one) => existsSync(join(one, 'cgroup.controllers')))
  const group = `sluice-kill-${process.pid}`
  afterEach(() => {
    if (root !== undefined && existsSync(join(root, group))) rmdirSync(join(root, group))
  })

  it.each(['veth', 'tap', 'representor', 'bridge-port'] as const)('a %s is not for this node to end', async (kind) => {
    expect(await endWorkspace({ ...slot, kind, interface: 'ws0' })).toBe('elsewhere')
  })
  it('nobody can say that nothing runs where no hierarchy is to be seen', async () => {
    const ended = endWorkspace({ ...slot, kind: 'cgroup', interface: 'x' }, ['/nonexistent'])
    await expect(ended).rejects.toMatchObject({ code: 'AGENT_KILL' })
  })
  it('nothing is left to end where there is no cgroup', async (context) => {
    if (root === undefined) return context.skip('needs a unified cgroup hierarchy')
    expect(await endWorkspace({ ...slot, kind: 'cgroup', interface: `${group}-none` })).toBe('ended')
  })
  it('nobody can say so who sees a part of the hierarchy, as in a cgroup namespace of their own', async () => {
    const part = mkdtempSync(join(tmpdir(), 'sluice-kill-'))
    try {
      for (const file of ['cgroup.controllers', 'cgroup.events']) writeFileSync(join(part, file), '')
      const ended = endWorkspace({ ...slot, kind: 'cgroup', interface: 'elsewhere' }, [part])
      await expect(ended).rejects.toMatchObject({ code: 'AGENT_KILL' })
      rmSync(join(part, 'cgroup.events'))
      expect(await endWorkspace({ ...slot, kind: 'cgroup', interface: 'elsewhere' }, [part])).toBe('ended')
    } finally {
      rmSync(part, { recursive: true })
    }
  })
  it('every process of a cgroup, at once', async (context) => {
    if (root === undefined || process.getuid?.() !== 0) return context.skip('needs root and a unified cgroup hierarchy')
    mkdirSync(join(root, group))
    const children = Array.from({ length: 3 }, () => spawn('sleep', ['600']))
    const ended = children.map((child) => new Promise((resolve) => child.once('exit', (_code, by) => resolve(by))))
    for (const { pid } of children) writeFileSync(join(root, group, 'cgroup.procs'), String(pid))
    expect(await endWorkspace({ ...slot, kind: 'cgroup', interface: group })).toBe('ended')
    expect(await Promise.all(ended)).toEqual(['SIGKILL', 'SIGKILL', 'SIGKILL'])
  })
})
