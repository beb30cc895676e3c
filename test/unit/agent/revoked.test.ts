// What is revoked stays revoked: over a restart, whatever comes in whichever order, and when the disk or the file is bad.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NODE_FILES } from '../../../src/agent/files.js'
import { REVOKED, Revoked } from '../../../src/agent/revoked.js'

const D1 = { issuer: 'https://broker.example', delegationId: 'd-1' }
const faultOf = (act: () => unknown) => {
  try {
    act()
  } catch (error) {
    return (error as { code: string }).code
  }
  return 'nothing was thrown'
}

describe('what was revoked', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'sluice-revoked-'))
  })
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true })
  })

  it('is empty on a node on which nobody revoked anything, and makes no file', () => {
    const { agents, delegations, versions } = new Revoked(directory).read()
    expect([agents.size, delegations.size, versions.size]).toEqual([0, 0, 0])
    expect(NODE_FILES.list(directory)).toEqual([])
  })

  it('survives the process, and says whether something was new', () => {
    const revoked = new Revoked(directory)
    const versions = new Map([['https://registry.example r-1', 4]])
    expect(revoked.add({ agents: ['agent-7'], delegations: [D1], versions })).toBe(true)
    expect(revoked.add({ agents: ['agent-7'], delegations: [D1], versions })).toBe(false)
    const again = new Revoked(directory).read()
    expect([...again.agents]).toEqual(['agent-7'])
    expect([...again.delegations]).toEqual(['https://broker.example d-1'])
    expect([...again.versions]).toEqual([['https://registry.example r-1', 4]])
  })

  it('is the same object until somebody adds, also by another instance', () => {
    const [one, other] = [new Revoked(directory), new Revoked(directory)]
    one.add({ agents: ['a'] })
    const seen = other.read()
    expect(other.read()).toBe(seen)
    one.add({ agents: ['b'] })
    expect([...other.read().agents]).toEqual(['a', 'b'])
    other.add({ agents: ['c'] })
    expect([...one.read().agents]).toEqual(['a', 'b', 'c'])
  })

  it('only grows, and a version never falls, over any order of additions', () => {
    const step = fc.record({
      agents: fc.array(fc.constantFrom('a', 'b', '__proto__')),
      version: fc.nat({ max: 9 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        rmSync(join(directory, REVOKED), { force: true })
        const revoked = new Revoked(directory)
        let highest = 0
        for (const { agents, version } of steps) {
          const before = revoked.read()
          revoked.add({ agents, versions: new Map([['r', version]]) })
          highest = Math.max(highest, version)
          const after = new Revoked(directory).read()
          expect([...before.agents].every((agent) => after.agents.has(agent))).toBe(true)
          expect(after.versions.get('r') ?? 0).toBe(highest)
        }
      }),
      { numRuns: 25 },
    )
  })

  it('refuses what does not fit rather than dropping what is held', () => {
    const revoked = new Revoked(directory, NODE_FILES, 2)
    revoked.add({ agents: ['a', 'b'] })
    expect(faultOf(() => revoked.add({ agents: ['c'] }))).toBe('AGENT_REVOKED_FULL')
    expect([...revoked.read().agents]).toEqual(['a', 'b'])
    expect(revoked.add({ delegations: [D1] })).toBe(true)
  })

  it('a changed, cut or foreign file is a fault, and so is a disk that refuses', () => {
    new Revoked(directory).add({ agents: ['agent-7'] })
    const path = join(directory, REVOKED)
    const good = readFileSync(path, 'utf8')
    for (const bad of [good.replace('agent-7', 'agent-8'), good.slice(0, -3), '{}', '']) {
      writeFileSync(path, bad)
      expect([bad, faultOf(() => new Revoked(directory).read())]).toEqual([bad, 'AGENT_STORE_DAMAGED'])
    }
    writeFileSync(path, good.replace('sluice-revoked/1', 'sluice-revoked/9'))
    expect(faultOf(() => new Revoked(directory).read())).toBe('AGENT_STORE_FORMAT')
    writeFileSync(path, good)
    const full = new Revoked(directory, {
      ...NODE_FILES,
      writeSynced: () => {
        throw new Error('ENOSPC')
      },
    })
    expect(faultOf(() => full.add({ agents: ['b'] }))).toBe('AGENT_STORE_WRITE')
    expect([...full.read().agents]).toEqual(['agent-7'])
  })
})
