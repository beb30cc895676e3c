// What changes between two plans: for the operator before activation, and for tests (replaying a diff gives the target).
// A diff holds whole values, never hints: `applyDiff(before, diffPlans(before, after))` equals `after`.

import { canonicalize, type Json } from '../base/canonical.js'
import { formatInstant } from '../base/instant.js'
import { formatPorts } from '../base/ports.js'
import type { Grant, Guarantee, NameRule, Observation, Plan, PlanSource, WorkspaceId, WorkspacePlan } from './model.js'
import { printCarriers, printProcess } from './process.js'
import { printFileRule } from './storage.js'

/** Everything of a workspace's plan but its lists. */
type Frame = Omit<WorkspacePlan, 'network'> & Pick<WorkspacePlan['network'], 'dns' | 'observe' | 'services' | 'idle'>

export interface ListDiff<T> {
  readonly added: readonly T[]
  readonly removed: readonly T[]
}
export interface WorkspaceDiff {
  readonly workspace: WorkspaceId
  /** Present when slot, backend, policy name, services or timeouts changed, and for a new workspace. */
  readonly frame?: { readonly before?: Frame; readonly after: Frame }
  readonly egress: ListDiff<Grant>
  readonly ingress: ListDiff<Grant>
  /** Of grants that ask for a session; present when there are any, before or after. */
  readonly sessions?: ListDiff<Grant>
  readonly names: ListDiff<NameRule>
}
export interface PlanDiff {
  readonly source: { readonly before: PlanSource; readonly after: PlanSource }
  readonly added: readonly WorkspacePlan[]
  readonly removed: readonly WorkspaceId[]
  readonly changed: readonly WorkspaceDiff[]
  readonly guarantees: ListDiff<Guarantee>
}

const keyOf = (value: unknown): string => canonicalize(value as Json)

function diffList<T>(before: readonly T[], after: readonly T[]): ListDiff<T> {
  const old = new Set(before.map(keyOf))
  const now = new Set(after.map(keyOf))
  return {
    added: after.filter((item) => !old.has(keyOf(item))),
    removed: before.filter((item) => !now.has(keyOf(item))),
  }
}

const sessionsDiff = (before: readonly Grant[] | undefined, after: readonly Grant[] | undefined) =>
  before || after ? { sessions: diffList(before ?? [], after ?? []) } : {}

function frameOf(plan: WorkspacePlan): Frame {
  const { network, ...rest } = plan
  const { dns, observe, services, idle } = network
  return { ...rest, ...(dns ? { dns } : {}), ...(observe ? { observe } : {}), services, idle }
}

export function diffPlans(before: Plan, after: Plan): PlanDiff {
  const old = new Map(before.workspaces.map((entry) => [entry.workspace, entry]))
  const now = new Set(after.workspaces.map((entry) => entry.workspace))
  const changed: WorkspaceDiff[] = []
  for (const entry of after.workspaces) {
    const previous = old.get(entry.workspace)
    if (!previous || keyOf(previous) === keyOf(entry)) continue
    const [was, is] = [frameOf(previous), frameOf(entry)]
    changed.push({
      workspace: entry.workspace,
      ...(keyOf(was) === keyOf(is) ? {} : { frame: { before: was, after: is } }),
      egress: diffList(previous.network.egress, entry.network.egress),
      ingress: diffList(previous.network.ingress, entry.network.ingress),
      ...sessionsDiff(previous.network.sessions, entry.network.sessions),
      names: diffList(previous.network.names, entry.network.names),
    })
  }
  return {
    source: { before: before.source, after: after.source },
    added: after.workspaces.filter((entry) => !old.has(entry.workspace)),
    removed: before.workspaces.map((entry) => entry.workspace).filter((workspace) => !now.has(workspace)),
    changed,
    guarantees: diffList(before.guarantees, after.guarantees),
  }
}

/** Replays a diff. Lists come out in the plan's own order, which is by key. */
export function applyDiff(before: Plan, diff: PlanDiff): Plan {
  const changes = new Map(diff.changed.map((change) => [change.workspace, change]))
  const kept = before.workspaces
    .filter((entry) => !diff.removed.includes(entry.workspace))
    .map((entry) => {
      const change = changes.get(entry.workspace)
      if (!change) return entry
      const { dns, observe, services, idle, ...rest } = change.frame?.after ?? frameOf(entry)
      const sessions = replay(entry.network.sessions ?? [], change.sessions ?? UNCHANGED, (grant) => grant.id)
      return {
        ...rest,
        network: {
          ...(dns ? { dns } : {}),
          ...(observe ? { observe } : {}),
          services,
          egress: replay(entry.network.egress, change.egress, (grant) => grant.id),
          ingress: replay(entry.network.ingress, change.ingress, (grant) => grant.id),
          ...(sessions.length > 0 ? { sessions } : {}),
          names: replay(entry.network.names, change.names, (rule) => `${rule.clause} ${rule.pattern}`),
          idle,
        },
      }
    })
  return {
    format: before.format,
    source: diff.source.after,
    workspaces: sortBy([...kept, ...diff.added], (entry) => entry.workspace),
    guarantees: replay(
      before.guarantees,
      diff.guarantees,
      (row) => `${row.workspace} ${row.origin} ${row.clause} ${row.dimension ?? ''} ${row.why}`,
    ),
  }
}

const UNCHANGED: ListDiff<Grant> = { added: [], removed: [] }

function replay<T>(before: readonly T[], change: ListDiff<T>, key: (item: T) => string): T[] {
  const gone = new Set(change.removed.map(keyOf))
  return sortBy([...before.filter((item) => !gone.has(keyOf(item))), ...change.added], key)
}

const sortBy = <T>(items: readonly T[], key: (item: T) => string): T[] =>
  [...items].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))

/** `egress tcp 10.50.0.0/24 5432`. */
export const printGrant = (grant: Grant): string =>
  `${grant.direction} ${grant.protocol} ${grant.prefix}${grant.ports === null ? '' : ` ${formatPorts(grant.ports)}`}`

/** `ingress tcp 10.60.0.0/24 22 with a session`. */
export const printSession = (grant: Grant): string => `${printGrant(grant)} with a session`

/** One line a change, `+` and `-` in front; empty when nothing that decides a packet changed. */
export function renderDiff(diff: PlanDiff): string {
  const lines: string[] = []
  for (const entry of diff.added) {
    lines.push(`+ workspace ${entry.workspace} on ${entry.slot.interface} (${entry.backend})`)
    for (const grant of [...entry.network.egress, ...entry.network.ingress]) lines.push(`  + ${printGrant(grant)}`)
    for (const grant of entry.network.sessions ?? []) lines.push(`  + ${printSession(grant)}`)
    for (const rule of entry.network.names) lines.push(`  + ${printRule(rule)}`)
    for (const rule of insideOf(entry)) lines.push(`  + ${rule}`)
    lines.push(...observeLines(undefined, entry.network.observe))
  }
  for (const workspace of diff.removed) lines.push(`- workspace ${workspace}: its interface will be denied everything`)
  for (const change of diff.changed) {
    lines.push(`~ workspace ${change.workspace}`)
    if (change.frame && !onlyInside(change.frame)) lines.push('  ~ slot, backend, policy or services')
    if (change.frame) lines.push(...observeLines(change.frame.before?.observe, change.frame.after.observe))
    const [were, are] = [insideOf(change.frame?.before), insideOf(change.frame?.after)]
    for (const rule of were) if (!are.includes(rule)) lines.push(`  - ${rule}`)
    for (const rule of are) if (!were.includes(rule)) lines.push(`  + ${rule}`)
    for (const list of [change.egress, change.ingress]) {
      for (const grant of list.removed) lines.push(`  - ${printGrant(grant)}  (its live flows are cut)`)
      for (const grant of list.added) lines.push(`  + ${printGrant(grant)}`)
    }
    for (const grant of change.sessions?.removed ?? [])
      lines.push(`  - ${printSession(grant)}  (its live flows are cut)`)
    for (const grant of change.sessions?.added ?? []) lines.push(`  + ${printSession(grant)}`)
    for (const rule of change.names.removed) lines.push(`  - ${printRule(rule)}  (its live flows are cut)`)
    for (const rule of change.names.added) lines.push(`  + ${printRule(rule)}`)
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

/** `read-write work:/out (vaultfs)`, `exec /usr/bin/git (bpf-lsm blocks)`: a line a rule of files and processes. */
const insideOf = (entry: Pick<WorkspacePlan, 'storage' | 'process'> | undefined): string[] => [
  ...(entry?.storage?.volumes ?? []).flatMap((volume) => [
    ...volume.rules.map((rule) => `${printFileRule(volume.name, rule)} (${entry?.storage?.backend})`),
    ...(volume.openFiles ? [`open files of ${volume.name} until they are closed (${entry?.storage?.backend})`] : []),
  ]),
  ...(entry?.process ? [entry.process] : []).flatMap((slice) =>
    printProcess(slice).map((line) => `${line} (${printCarriers(slice)})`),
  ),
]

function observeLines(before: Observation | undefined, after: Observation | undefined): string[] {
  if (keyOf(before ?? null) === keyOf(after ?? null)) return []
  const print = ({ untilMs, names }: Observation): string =>
    `observe until ${formatInstant(untilMs)}${names.length > 0 ? `, resolving ${names.join(', ')}` : ''}`
  return [
    ...(before ? [`  - ${print(before)}  (what it let through is cut)`] : []),
    ...(after ? [`  + ${print(after)}: what nothing grants passes and is reported`] : []),
  ]
}

/** Only what has lines of its own changed. */
function onlyInside({ before, after }: NonNullable<WorkspaceDiff['frame']>): boolean {
  const { storage: _files, process: _processes, observe: _observe, ...old } = before ?? {}
  const { storage: _filesNow, process: _processesNow, observe: _observeNow, ...now } = after
  return before !== undefined && keyOf(old) === keyOf(now)
}

const printRule = (rule: NameRule): string =>
  `name ${rule.protocol} ${rule.pattern} ${rule.ports.map(formatPorts).join(',')}`
