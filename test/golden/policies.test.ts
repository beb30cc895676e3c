// Every folder of policies/ from its documents to the rules in the kernel: normalize, compile, guarantee report, nftables text,
// and the packets beside them put to `evaluate`. Each result is compared with the file under expected/, so that a change of
// meaning shows in review as a change of text. UPDATE_GOLDEN=1 rewrites the files; a missing one is a failure.
//
// The packets carry what their author expects; that is checked against the verdicts, not written from them.

import { describe, expect, it } from 'vitest'
import { capabilities, FEATURES } from '../../src/backends/nftables/capabilities.js'
import { lower } from '../../src/backends/nftables/lower.js'
import { render } from '../../src/backends/nftables/render.js'
import { digestOfText } from '../../src/base/digest.js'
import { formatIp } from '../../src/base/ip.js'
import { checkPlan } from '../../src/plan/check.js'
import { planDigest, sliceFor } from '../../src/plan/codec.js'
import { type CompileResult, compilePlan } from '../../src/plan/compile.js'
import { type Explanation, explain, parsePacketQuestion } from '../../src/plan/explain.js'
import { renderGuarantees } from '../../src/plan/guarantee.js'
import type { Plan, PlanSource, WorkspacePlan } from '../../src/plan/model.js'
import { parseInventory } from '../../src/plan/parse-inventory.js'
import { EMPTY_STATE, EXACT_ENV } from '../../src/plan/state.js'
import { normalizePolicies } from '../../src/policy/normalize.js'
import { golden, type PacketLine, type PolicyFolder, policyFolders, readPolicyFolder } from './policy-folder.js'

/** A machine on which every feature of the backend answers. */
const NFTABLES = capabilities({
  backend: 'nftables',
  trustDomain: 'host',
  probes: FEATURES.map((feature) => ({ feature, answer: 'yes', why: 'tried' })),
})

const source = (folder: PolicyFolder, audience: string): PlanSource => ({
  bundleId: folder.name,
  bundleDigest: digestOfText(folder.name),
  policyRevision: '1',
  epoch: 1,
  channel: 'stable',
  audience,
  inventoryRevision: '1',
  notBeforeMs: 1_767_225_600_000,
  expiresAtMs: 1_798_761_600_000,
})

function compileFolder(folder: PolicyFolder): CompileResult {
  const { policies, notes } = normalizePolicies(folder.members)
  const slots = parseInventory(folder.inventory, 'inventory.yaml')
  expect(notes.filter((note) => note.severity === 'error')).toEqual([])
  expect(slots.notes).toEqual([])
  if (!policies || !slots.inventory) throw new Error(`${folder.name}: no policies or no inventory`)
  return compilePlan({
    source: source(folder, slots.inventory.audience),
    policies,
    inventory: slots.inventory,
    capabilities: [NFTABLES],
    order: ['nftables'],
  })
}

function planOf(folder: PolicyFolder): Plan {
  const { plan, notes } = compileFolder(folder)
  expect(notes).toEqual([])
  if (!plan) throw new Error(`${folder.name} does not compile`)
  return plan
}

/** The workspaces that a packet concerns: where it comes from, then where it goes; the first one for a forged source. */
function judges(plan: Plan, packet: PacketLine): WorkspacePlan[] {
  const { source: from, destination: to } = parsePacketQuestion(packet.question)
  const owner = (address: string) => plan.workspaces.find((entry) => entry.slot.addresses.includes(address))
  const found = [owner(formatIp(from)), owner(formatIp(to))].filter((entry) => entry !== undefined)
  return found.length > 0 ? found : plan.workspaces.slice(0, 1)
}

/** Both ends of workspace-to-workspace traffic must agree; the first that denies it says why. */
function answers(plan: Plan, packet: PacketLine): Explanation[] {
  const question = parsePacketQuestion(packet.question)
  const fromWhom = formatIp(question.source)
  return judges(plan, packet).map((entry) => {
    const said = explain(plan, EMPTY_STATE, entry.workspace, question, plan.source.notBeforeMs, EXACT_ENV)
    // A packet between two workspaces is judged where it leaves, then where it arrives.
    expect(said.direction).toBe(entry.slot.addresses.includes(fromWhom) ? 'from' : said.direction)
    return said
  })
}

const printAnswer = (said: Explanation): string =>
  [
    `  ${said.direction === 'from' ? 'from' : 'to'} ${said.workspace}: ${said.say}`,
    ...(said.grant ? [`    grant ${said.grant.id}`] : []),
    ...(said.verdict.kind === 'drop' ? [`    ${said.verdict.reason}, ${said.verdict.refusal}`] : []),
  ].join('\n')

const printPackets = (plan: Plan, packets: readonly PacketLine[]): string =>
  `${packets.map((packet) => [packet.question, ...answers(plan, packet).map(printAnswer)].join('\n')).join('\n')}\n`

const printPlan = (plan: Plan): string => `${JSON.stringify(plan, undefined, 2)}\n`

describe('policies', () => {
  it('ships at least eight folders, each with its reason and its packets', () => {
    const folders = policyFolders().map(readPolicyFolder)
    expect(folders.length).toBeGreaterThanOrEqual(8)
    for (const folder of folders) {
      expect(folder.why, folder.name).toMatch(/^# .+\n/)
      for (const part of ['Who it is for', 'What it allows', 'Why so', 'What it does not do'])
        expect(folder.why, `${folder.name}/why.md`).toContain(`**${part}.**`)
      const kinds = new Set(folder.packets.map((packet) => packet.expect.kind))
      expect([...kinds].sort(), `${folder.name}/packets`).toEqual(['allow', 'deny'])
    }
  })
})

describe.each(policyFolders())('policies/%s', (name) => {
  const folder = readPolicyFolder(name)

  it('compiles to the expected plan, with no finding', () => {
    const plan = planOf(folder)
    expect(checkPlan(plan).filter((note) => note.severity === 'error')).toEqual([])
    expect(printPlan(plan)).toBe(golden(name, 'plan.json', printPlan(plan)))
    expect(planDigest(plan)).toBe(planDigest(planOf(folder)))
  })

  it('reports the expected guarantees', () => {
    const text = renderGuarantees(planOf(folder).guarantees)
    expect(text).toBe(golden(name, 'guarantees.txt', text))
  })

  it('renders the expected ruleset', () => {
    const text = render(lower(sliceFor(planOf(folder), 'nftables', 1)))
    expect(text).toBe(golden(name, 'nftables.nft', text))
  })

  it('explains its packets as expected', () => {
    const text = printPackets(planOf(folder), folder.packets)
    expect(text).toBe(golden(name, 'packets.txt', text))
  })

  it.each(folder.packets.map((packet) => [packet.line, packet] as const))('packets line %i', (_line, packet) => {
    const said = answers(planOf(folder), packet)
    const denied = said.find((one) => one.verdict.kind === 'drop')
    if (packet.expect.kind === 'deny') {
      expect(denied?.verdict, packet.question).toMatchObject({ kind: 'drop', reason: packet.expect.by })
      return
    }
    expect(denied?.say, packet.question).toBeUndefined()
    // `*`: several clauses say this grant, and which one is named is not the author's concern.
    if (packet.expect.by !== '*') expect(said[0]?.clause?.name, packet.question).toBe(packet.expect.by)
    else expect(said[0]?.clause, packet.question).toBeDefined()
  })
})
