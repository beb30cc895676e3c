// Whether a name would resolve and connect, and why not: the same judgement that a question gets, on the plan and on what the
// mediator remembers, without asking anybody. What the upstream would say is not known here, and the answer says so.

import { parseIp } from '../base/ip.js'
import { formatPorts } from '../base/ports.js'
import { addressClass } from '../base/reserved.js'
import { grantIndex } from '../plan/lookup.js'
import type { NameRule, WorkspacePlan } from '../plan/model.js'
import { admit, type QuestionRefusal, type Standing } from './admit.js'
import { Budgets } from './budget.js'
import type { Recalled } from './memory.js'

export interface NameQuestion {
  readonly workspace: string
  /** As it was typed. */
  readonly name: string
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
}

export interface NameExplanation {
  readonly resolves: boolean
  /** `once-resolved`: no address is learnt now. */
  readonly connects: 'yes' | 'once-resolved' | 'no'
  /** One sentence. */
  readonly say: string
  /** Clauses that grant the name for this protocol and port; where none does, those that grant the name. */
  readonly clauses: readonly string[]
  readonly addresses: readonly { readonly address: string; readonly secondsLeft: number | null }[]
  /** Other names on those addresses that the policy tells apart. */
  readonly sharedWith: readonly string[]
  /** Names asked under each wildcard that admits it. */
  readonly labels: readonly { readonly pattern: string; readonly names: number; readonly limit: number }[]
  readonly ways: readonly string[]
}

const REFUSED: Readonly<Record<QuestionRefusal, readonly [string, readonly string[]]>> = {
  'nothing-live': ['nothing is live here, so nothing resolves', ['apply a bundle: sluice apply']],
  'unknown-client': [
    'the plan has no mediated workspace of that id',
    ['check the id against `sluice status`, and that agent.yaml had its section dns when the bundle was applied'],
  ],
  quarantined: [
    'the workspace is quarantined, and its resolver answers REFUSED',
    ['an operator lifts it: sluice quarantine lift WORKSPACE --reason TEXT'],
  ],
  suspended: [
    'the workspace is suspended, because its bundle expired or went stale',
    ['publish and apply a bundle that is valid now'],
  ],
  type: ['only addresses are resolved', []],
  'bad-name': ['it is no host name', []],
  'not-granted': [
    'no clause grants this name',
    ['add an endpoint with this host to the SandboxPolicy, or to egress of the FencePolicy'],
  ],
  'public-resolver': [
    'it is a public resolver, which a wildcard never admits',
    ['name it exactly in a clause, if the workspace may look names up past the fence'],
  ],
  budget: [
    'the wildcard that admits it has been asked for as many names as it may',
    ['name it exactly in a clause, or raise dns.wildcard_names in agent.yaml'],
  ],
}

export function explainName(
  standing: Standing,
  recalled: Recalled,
  wildcardNames: number,
  question: NameQuestion,
  nowMs: number,
): NameExplanation {
  const budgets = new Budgets(wildcardNames, recalled.spent)
  const { workspace } = question
  const admission = admit(standing, { workspace, name: question.name, type: 'A' }, budgets)
  const none = { clauses: [], addresses: [], sharedWith: [], labels: [] }
  if (admission.kind === 'refused') {
    const [say, ways] = REFUSED[admission.why]
    return { ...none, resolves: false, connects: 'no', say: `would not resolve: ${say}`, ways }
  }
  const at = standing.plan.workspaces.find((entry) => entry.workspace === workspace) as WorkspacePlan
  if (admission.kind === 'pinned') {
    // Both families: the question was for one of them.
    const pins = at.network.dns?.pins.find((pin) => pin.name === admission.name)?.addresses ?? []
    return pinned(at, question, pins)
  }
  const rules = admission.kind === 'forward' ? admission.rules : []
  const open = rules.filter((rule) => grantsPort(rule, question))
  const own = recalled.held.filter((shelf) => shelf.workspace === workspace).flatMap(({ held }) => held)
  const fresh = own.filter((held) => held.expiresAtMs > nowMs)
  const mine = fresh.filter((held) => admission.kind === 'forward' && held.name === admission.name)
  const others = fresh.filter(
    (held) =>
      mine.every((one) => one.name !== held.name) &&
      mine.some((one) => one.address === held.address && !sameClauses(one.opens, held.opens)),
  )
  const labels = budgets
    .report()
    .filter((report) => report.workspace === workspace && rules.some((rule) => rule.pattern === report.pattern))
    .map(({ pattern, names, limit }) => ({ pattern, names, limit }))
  const found = {
    resolves: true,
    addresses: mine.map(({ address, expiresAtMs }) => ({
      address,
      secondsLeft: Math.ceil((expiresAtMs - nowMs) / 1000),
    })),
    sharedWith: [...new Set(others.map(({ name }) => name))].sort(),
    labels,
  }
  if (open.length === 0) {
    const ports = rules.map((rule) => `${rule.protocol} ${rule.ports.map(formatPorts).join(',')}`).join(' and ')
    return {
      ...found,
      connects: 'no',
      say: `would resolve, and not connect: it is granted for ${ports}, not for ${question.protocol} ${question.port}`,
      clauses: clausesOf(rules),
      ways: [`add port ${question.port} to the clause`],
    }
  }
  const connects = mine.length > 0 ? 'yes' : 'once-resolved'
  return {
    ...found,
    connects,
    say:
      connects === 'yes'
        ? 'resolves, and connects'
        : 'would be asked of the upstream, and connect once it has answered with a public address that no other name holds',
    clauses: clausesOf(open),
    ways: [],
  }
}

function pinned(at: WorkspacePlan, question: NameQuestion, addresses: readonly string[]): NameExplanation {
  const opening = addresses.filter((address) => {
    const ip = parseIp(address)
    return ip && grantIndex(at).find('egress', question.protocol, ip, question.port, addressClass(ip) === 'reserved')
  })
  const connects = opening.length > 0 ? 'yes' : 'no'
  return {
    resolves: true,
    connects,
    say:
      connects === 'yes'
        ? 'resolves from its signed addresses, and connects'
        : `resolves from its signed addresses, which no clause grants for ${question.protocol} ${question.port}`,
    clauses: [],
    addresses: addresses.map((address) => ({ address, secondsLeft: null })),
    sharedWith: [],
    labels: [],
    ways: connects === 'yes' ? [] : [`add port ${question.port} to the clause that names it`],
  }
}

const grantsPort = (rule: NameRule, { protocol, port }: NameQuestion): boolean =>
  rule.protocol === protocol && rule.ports.some((range) => port >= range.from && port <= range.to)

const clausesOf = (rules: readonly NameRule[]): string[] => [...new Set(rules.map(({ clause }) => clause))]

const sameClauses = (a: readonly { clause: string }[], b: readonly { clause: string }[]): boolean => {
  const [one, other] = [new Set(a.map(({ clause }) => clause)), new Set(b.map(({ clause }) => clause))]
  return one.size === other.size && [...one].every((clause) => other.has(clause))
}
