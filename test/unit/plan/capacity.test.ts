// Room on a device, asked before anything is staged: what is said about whom, and when nothing is asked. The second half asks
// the backend `doca-flow` itself, on the software BlueField with limits of a small card.

import { afterEach, describe, expect, it } from 'vitest'
import { DocaDriver } from '../../../src/backends/doca-flow/driver.js'
import { docaFlowBackend } from '../../../src/backends/doca-flow/index.js'
import { sliceFor } from '../../../src/plan/codec.js'
import { compilePlan } from '../../../src/plan/compile.js'
import type { Clause } from '../../../src/policy/model.js'
import { BlueField } from '../../support/doca/bluefield.js'
import { ENTRY, egress, MEMORY, policy, SOURCE } from '../../support/plans.js'

const CLAUSES = [
  egress('web', ['93.184.216.34'], 'tcp', ['443']),
  egress('git', ['45.76.0.0/16'], 'tcp', ['8000-8100']),
]

describe('capacity', () => {
  const input = {
    source: SOURCE,
    policies: [policy(CLAUSES)],
    inventory: { audience: 'test', revision: '1', entries: [ENTRY] },
    order: ['memory' as const],
  }
  const capabilities = [{ ...MEMORY, room: { entries: 10, pipes: 4 } }]
  const needing = (entries: number, pipes: number) => new Map([['memory' as const, () => ({ entries, pipes })]])

  it('refuses a plan that needs more than there is, with an error for each kind', () => {
    const { plan, notes } = compilePlan({ ...input, capabilities, needs: needing(11, 5) })
    expect(plan).toBeUndefined()
    expect(notes.map(({ code, severity, say }) => ({ code, severity, say }))).toEqual([
      {
        code: 'no-capacity',
        severity: 'error',
        say: '2 clauses of 1 workspaces need 11 entries of memory, which has room for 10; give them fewer clauses or wider prefixes, or attach some of the workspaces to another node',
      },
      {
        code: 'no-capacity',
        severity: 'error',
        say: '2 clauses of 1 workspaces need 5 pipes of memory, which has room for 4; give them fewer clauses or wider prefixes, or attach some of the workspaces to another node',
      },
    ])
  })

  it('lets pass what fits exactly, what nobody bounds, and what nobody counts', () => {
    expect(compilePlan({ ...input, capabilities, needs: needing(10, 4) }).plan).toBeDefined()
    expect(compilePlan({ ...input, capabilities: [MEMORY], needs: needing(99, 99) }).plan).toBeDefined()
    expect(compilePlan({ ...input, capabilities }).plan).toBeDefined()
  })
})

describe('capacity of a card', () => {
  const card = BlueField.load()
  afterEach(() => {
    card.limit('pipes', 4096)
    card.limit('entries', 1 << 22)
  })
  const entry = { ...ENTRY, slot: { ...ENTRY.slot, kind: 'representor' as const, vuid: 'ws0' } }

  async function planned(clauses: readonly Clause[]) {
    card.topology(['ws0'])
    const driver = await DocaDriver.open({ attachInterfaces: [], stateDirectory: '' })
    try {
      const capabilities = docaFlowBackend.capabilities(await driver.probe())
      const needs = new Map([['doca-flow' as const, docaFlowBackend.need ?? (() => ({}))]])
      const inventory = { audience: 'test', revision: '1', entries: [entry] }
      const order = ['doca-flow' as const]
      const made = compilePlan({
        source: SOURCE,
        policies: [policy(clauses)],
        inventory,
        capabilities: [capabilities],
        order,
        needs,
      })
      const { plan } = made
      if (!plan) return made.notes.map(({ say }) => say)
      // What the planner admits can be loaded, and replaced by one like it.
      for (const generation of [1, 2]) {
        const program = docaFlowBackend.lower(sliceFor(plan, 'doca-flow', generation))
        await driver.commit(await driver.stage(program))
      }
      return []
    } finally {
      await driver.close()
    }
  }

  it('admits what it can hold twice, and refuses before anything is staged what it cannot', async () => {
    expect(await planned(CLAUSES)).toEqual([])
    const need = docaFlowBackend.need?.(
      compilePlan({
        source: SOURCE,
        policies: [policy(CLAUSES)],
        inventory: { audience: 'test', revision: '1', entries: [ENTRY] },
        capabilities: [{ ...MEMORY, flowState: 'ports' }],
        order: ['memory'],
      }).plan?.workspaces ?? [],
    )
    const pipes = need?.pipes ?? 0
    card.limit('pipes', 9 + 2 * pipes)
    expect(await planned(CLAUSES)).toEqual([])
    card.limit('pipes', 9 + 2 * pipes - 1)
    expect(await planned(CLAUSES)).toEqual([
      `2 clauses of 1 workspaces need ${pipes} pipes of doca-flow, which has room for ${pipes - 1}; give them fewer clauses or wider prefixes, or attach some of the workspaces to another node`,
    ])
    expect(card.state()).toMatchObject({ pipes: 0, entries: 0 })
  })

  it('counts ranges as ACL rules, of which there is room for 2048', async () => {
    // Each range is a rule and a refusal behind its prefix.
    const many = Array.from({ length: 1025 }, (_, i) => `45.${76 + (i >> 8)}.${i & 255}.0/24`)
    const said = await planned([egress('ranges', many, 'tcp', ['8000-8100'])])
    expect(said).toEqual([
      '1 clauses of 1 workspaces need 2050 ACL rules of doca-flow, which has room for 2048; give them fewer clauses or wider prefixes, or attach some of the workspaces to another node',
    ])
    expect(await planned([egress('ranges', many.slice(1), 'tcp', ['8000-8100'])])).toEqual([])
  })

  it('keeps the check at the stage: a program that comes round the planner is refused whole', async () => {
    card.topology(['ws0'])
    card.limit('pipes', 12)
    const driver = await DocaDriver.open({ attachInterfaces: [], stateDirectory: '' })
    const { plan } = compilePlan({
      source: SOURCE,
      policies: [policy(CLAUSES)],
      inventory: { audience: 'test', revision: '1', entries: [entry] },
      capabilities: [{ ...MEMORY, slots: ['representor'] }],
      order: ['memory'],
    })
    const program = docaFlowBackend.lower({ ...sliceFor(plan as NonNullable<typeof plan>, 'memory', 1) })
    await expect(driver.stage(program)).rejects.toMatchObject({
      code: 'DOCA_CAPACITY',
    })
    // What stands whatever is live, and closes everything.
    expect(card.state()).toMatchObject({ pipes: 9, entries: 7 })
    await driver.close()
  })
})
