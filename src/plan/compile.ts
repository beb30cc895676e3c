// From policies and the inventory to the plan. All or nothing: one clause that nothing enforces and `delegate` does not
// name refuses the bundle, with a note for each (design section 4). The result has no choices left in it.

import { LIMITS } from '../base/limits.js'
import type { Note } from '../base/note.js'
import { quote } from '../base/quote.js'
import type { Clause, Policy } from '../policy/model.js'
import type { Capabilities } from './capabilities.js'
import { type Needs, shortages } from './capacity.js'
import { egressGrants, GrantSet, ingressGrants } from './grants.js'
import type { Inventory, InventoryEntry } from './inventory.js'
import {
  type BackendName,
  type FenceService,
  type Guarantee,
  type IdleTimeouts,
  type MediatorTerms,
  type NameRule,
  PLAN_FORMAT,
  type Plan,
  type PlanSource,
  type WorkspaceId,
  type WorkspacePlan,
} from './model.js'
import { unlearnable } from './names.js'
import { observationOf, tooLong } from './observe.js'
import { type Mediation, place, type Support, supports, supportsLoss, supportsNames } from './place.js'
import { type PlacedProcess, placeProcess, processSlice, supportsProcess } from './process.js'
import { placeStorage, storageSlice, supportsStorage } from './storage.js'

/** Idle timeouts: established TCP as conntrack has it, the others as RFC 4787 section 4.3 and RFC 5508 ask at least. */
export const IDLE: IdleTimeouts = { tcpMs: 432_000_000, udpMs: 120_000, icmpMs: 30_000 }

export interface CompileInput {
  readonly source: PlanSource
  readonly policies: readonly Policy[]
  readonly inventory: Inventory
  readonly capabilities: readonly Capabilities[]
  /** Backends by preference. */
  readonly order: readonly BackendName[]
  /** Whether a DNS mediator runs here and learns addresses for names; false when absent. */
  readonly mediated?: boolean
  /** What workspaces need of a backend whose room ends; without it nothing is asked. */
  readonly needs?: Needs
  /** What the fence answers for a workspace, by id; none when nothing runs. */
  readonly services?: ReadonlyMap<WorkspaceId, readonly FenceService[]>
}
export interface CompileResult {
  /** Present exactly when no note is an error. */
  readonly plan?: Plan
  /** Every guarantee, also of a refused bundle, for the report. */
  readonly guarantees: readonly Guarantee[]
  readonly notes: readonly Note[]
}

export function compilePlan(input: CompileInput): CompileResult {
  const notes: Note[] = []
  const workspaces: WorkspacePlan[] = []
  const guarantees: Guarantee[] = []
  for (const entry of input.inventory.entries) {
    const policy = policyFor(entry, input.policies, notes)
    const placement = place(entry, policy, input.capabilities, input.order)
    if ('code' in placement) {
      notes.push(workspaceNote(entry.workspace, policy?.file ?? '', placement.code, placement.say))
      continue
    }
    const offer = placement.capabilities
    const services = input.services?.get(entry.workspace) ?? []
    // Without a list of services the caller only asks what could be held; with one, the mediator must be in it.
    const reachable = input.services === undefined || services.some(({ name }) => name === 'dns')
    const mediation = input.mediated !== true ? 'none' : reachable ? 'mediated' : 'unreachable'
    const files = placeStorage(entry, policy, input.capabilities, input.order)
    const processes = placeProcess(entry, policy, input.capabilities, input.order)
    const compiled = compileWorkspace(entry, policy, { network: offer, files, processes }, mediation, notes)
    const process = processSlice(policy, processes)
    const storage = storageSlice(entry, policy, files)
    const grants = compiled.grants.list()
    const open = new Set(grants.map(({ id }) => id))
    // What a clause without a session grants as well needs none.
    const sessions = compiled.sessions.list().filter(({ id }) => !open.has(id))
    const observe = observationOf(policy)
    for (const guarantee of compiled.guarantees) guarantees.push(guarantee)
    workspaces.push({
      workspace: entry.workspace,
      ...(policy ? { policy: policy.name } : {}),
      slot: entry.slot,
      backend: offer.backend,
      domain: offer.trustDomain,
      onExpiry: policy?.onExpiry ?? 'suspend',
      ...(offer.flowState === 'ports' ? { flows: 'device' as const } : {}),
      network: {
        ...(observe ? { observe } : {}),
        ...(mediation === 'mediated' ? { dns: compiled.terms } : {}),
        services,
        egress: grants.filter((grant) => grant.direction === 'egress'),
        ingress: grants.filter((grant) => grant.direction === 'ingress'),
        ...(sessions.length > 0 ? { sessions } : {}),
        names: compiled.rules,
        idle: IDLE,
      },
      ...(storage ? { storage } : {}),
      ...(process ? { process } : {}),
    })
  }
  for (const policy of input.policies)
    if (!input.inventory.entries.some((entry) => appliesTo(policy, entry.workspace)))
      notes.push({
        ...workspaceNote(
          '',
          policy.file,
          'policy-unused',
          `the policy ${quote(policy.name)} applies to no workspace of this node`,
        ),
        severity: 'warning',
      })
  guarantees.sort((a, b) => (guaranteeKey(a) < guaranteeKey(b) ? -1 : 1))
  notes.push(...tooLong(input.policies, input.source.notBeforeMs))
  notes.push(...refusals(guarantees, input.policies))
  notes.push(...shortages(workspaces, guarantees, input.capabilities, input.needs ?? new Map()))
  if (notes.some((note) => note.severity === 'error')) return { guarantees, notes }
  return { plan: { format: PLAN_FORMAT, source: input.source, workspaces, guarantees }, guarantees, notes }
}

/** `spiffe://td/a/*` matches any id below that path; anything else matches itself. */
export const appliesTo = (policy: Policy, workspace: WorkspaceId): boolean =>
  policy.appliesTo.some((pattern) =>
    pattern.endsWith('/*') ? workspace.startsWith(pattern.slice(0, -1)) : pattern === workspace,
  )

function policyFor(entry: InventoryEntry, policies: readonly Policy[], notes: Note[]): Policy | undefined {
  const matching = policies.filter((policy) => appliesTo(policy, entry.workspace))
  if (matching.length > 1)
    notes.push(
      workspaceNote(
        entry.workspace,
        matching[1]?.file ?? '',
        'several-policies',
        `${matching.map((policy) => quote(policy.name)).join(' and ')} apply to it; narrow applies_to until one does`,
      ),
    )
  if (matching.length === 0)
    notes.push({
      ...workspaceNote(entry.workspace, '', 'no-policy', 'no policy applies to it, so everything is denied'),
      severity: 'warning',
    })
  return matching[0]
}

/** Who carries what of one workspace. */
interface Placed {
  readonly network: Capabilities
  readonly files: Capabilities | undefined
  readonly processes: PlacedProcess
}

interface CompiledWorkspace {
  readonly grants: GrantSet
  /** Of ingress that asks for a session. */
  readonly sessions: GrantSet
  readonly rules: NameRule[]
  readonly guarantees: Guarantee[]
  readonly terms: MediatorTerms
}

function compileWorkspace(
  entry: InventoryEntry,
  policy: Policy | undefined,
  { network: offer, files, processes }: Placed,
  mediation: Mediation,
  notes: Note[],
): CompiledWorkspace {
  const grants = new GrantSet()
  const sessions = new GrantSet()
  const rules: NameRule[] = []
  const guarantees: Guarantee[] = []
  const namesOf = new Map<string, Set<string>>()
  const pinnedBy: { clause: Clause; address: string }[] = []
  const pins = new Map<string, Set<string>>()
  for (const clause of policy?.clauses ?? []) {
    const say = (support: Support, more: Partial<Guarantee> = {}): void => {
      guarantees.push({
        workspace: entry.workspace,
        clause: clause.id,
        name: clause.name,
        origin: `${clause.origin.file}:${clause.origin.line}`,
        level: support.level,
        why: support.why,
        ...more,
      })
    }
    if (clause.kind === 'storage') {
      if (policy)
        for (const { dimension, ...support } of supportsStorage(clause, entry, files, policy))
          say(support, dimension === undefined ? {} : { dimension })
      continue
    }
    const support = clause.kind === 'process' ? supportsProcess(clause, policy, processes) : supports(clause, offer)
    // A clause about the inside of the workspace is judged by its losses, unless a backend here holds it after all.
    const insideOnly = clause.losses.length > 0 && ['runtime', 'process'].includes(clause.kind)
    const held = support.level === 'enforced' || support.level === 'detected'
    if (!insideOnly || held) say(support)
    if (insideOnly && held) continue
    for (const loss of clause.losses)
      if (policy) say(supportsLoss(loss.dimension, loss.what, loss.widenedTo, policy), { dimension: loss.dimension })
    if (clause.kind === 'observe' && support.level === 'enforced')
      for (const pattern of clause.names) {
        const named = supportsNames(offer, mediation, unlearnable({ pattern, protocol: 'tcp', ports: [], within: [] }))
        if (named.level !== 'enforced') say({ level: named.level, why: `${quote(pattern)}: ${named.why}` })
      }
    if (clause.kind === 'ingress')
      for (const grant of ingressGrants(clause)) (clause.session ? sessions : grants).add(grant, clause.id)
    if (clause.kind !== 'egress' || !policy) continue
    const made = egressGrants(clause, policy)
    for (const grant of made.grants) grants.add(grant, clause.id)
    rules.push(...made.rules)
    for (const name of made.unresolved) {
      const within = clause.to.flatMap((to) => (to.kind === 'name' && to.pattern === name ? (to.within ?? []) : []))
      const { protocol, ports } = clause
      const named = supportsNames(offer, mediation, unlearnable({ pattern: name, protocol, ports, within }))
      if (named.level !== 'enforced') say({ level: named.level, why: `${quote(name)}: ${named.why}` })
    }
    for (const { address, name } of made.pinned) {
      namesOf.set(address, (namesOf.get(address) ?? new Set()).add(name))
      pinnedBy.push({ clause, address })
      pins.set(name, (pins.get(name) ?? new Set()).add(address))
    }
  }
  if (policy) guarantees.push(...sharedAddresses(entry, policy, namesOf, pinnedBy))
  const size = grants.size + sessions.size
  if (size > Math.min(offer.maxGrantsPerWorkspace, LIMITS.grantsPerWorkspace))
    notes.push(
      workspaceNote(
        entry.workspace,
        policy?.file ?? '',
        'too-many-grants',
        `${size} grants; ${offer.backend} carries at most ${offer.maxGrantsPerWorkspace} for one workspace`,
      ),
    )
  rules.sort((a, b) => (ruleKey(a) < ruleKey(b) ? -1 : 1))
  const terms: MediatorTerms = {
    pins: [...pins.entries()]
      .map(([name, addresses]) => ({ name, addresses: [...addresses].sort() }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    sharedAddresses: policy?.delegate.includes('shared-address') ?? false,
  }
  return { grants, sessions, rules, guarantees, terms }
}

const guaranteeKey = (row: Guarantee): string =>
  `${row.workspace} ${row.origin} ${row.clause} ${row.dimension ?? ''} ${row.why}`

const ruleKey = (rule: NameRule): string => `${rule.clause} ${rule.pattern}`

/** Two granted names on one address: allowing one admits the other. The policy must accept that by name. */
function sharedAddresses(
  entry: InventoryEntry,
  policy: Policy,
  namesOf: ReadonlyMap<string, ReadonlySet<string>>,
  pinnedBy: readonly { clause: Clause; address: string }[],
): Guarantee[] {
  const out = new Map<string, Guarantee>()
  for (const { clause, address } of pinnedBy) {
    const names = [...(namesOf.get(address) ?? [])].sort()
    if (names.length < 2) continue
    const support = supportsLoss(
      'shared-address',
      `which name is meant on ${address}`,
      `${names.map((name) => quote(name)).join(' and ')} alike`,
      policy,
    )
    out.set(`${clause.id} ${address}`, {
      workspace: entry.workspace,
      clause: clause.id,
      name: clause.name,
      origin: `${clause.origin.file}:${clause.origin.line}`,
      dimension: 'shared-address',
      ...support,
    })
  }
  return [...out.values()]
}

/** An error note for each clause or dimension that is refused. */
function refusals(guarantees: readonly Guarantee[], policies: readonly Policy[]): Note[] {
  const origins = new Map(policies.flatMap((policy) => policy.clauses.map((clause) => [clause.id, clause.origin])))
  return guarantees
    .filter((guarantee) => guarantee.level === 'refused')
    .map((guarantee) => {
      const origin = origins.get(guarantee.clause)
      return {
        code: guarantee.dimension === undefined ? 'clause-unenforceable' : 'dimension-not-delegated',
        severity: 'error' as const,
        file: origin?.file ?? '',
        line: origin?.line ?? 0,
        column: 0,
        path: origin?.path ?? '',
        say: `${quote(guarantee.name)}${guarantee.dimension === undefined ? '' : `, ${guarantee.dimension}`}: ${guarantee.why}`,
      }
    })
}

const workspaceNote = (workspace: WorkspaceId, file: string, code: string, say: string): Note => ({
  code,
  severity: 'error',
  file,
  line: 0,
  column: 0,
  path: '',
  say: workspace === '' ? say : `${workspace}: ${say}`,
})
