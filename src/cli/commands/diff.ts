// `sluice diff`: what goes from one bundle or plan to the next, by workspace: grants added and removed, guarantees changed,
// and which live flows would be cut; with a journal also which traffic that was seen would be cut or newly pass, by clause.
// Exit 0 whether or not there is a difference.

import { FENCING_BACKENDS } from '../../backends/registry.js'
import { LIMITS } from '../../base/limits.js'
import { readPlan } from '../../plan/codec.js'
import { diffPlans, type PlanDiff, renderDiff } from '../../plan/diff.js'
import { planFault } from '../../plan/errors.js'
import type { BackendName, Plan } from '../../plan/model.js'
import { type Replay, renderReplay, replay } from '../../plan/replay.js'
import { compileOffline } from '../compile.js'
import { cliFault } from '../errors.js'
import { readFile } from '../files.js'
import { type Context, collectBackends, type Declared, instant } from '../frame.js'
import { DNS_ACTIVITY, NETWORK_ACTIVITY, type TrafficRows, takeTraffic } from '../observed.js'
import { guarantees } from '../report.js'

interface DiffOptions {
  readonly inventory?: string
  readonly newInventory?: string
  readonly backend?: readonly BackendName[]
  readonly journal?: string
  readonly since?: number
}

export const diffCommand: Declared = {
  usage: 'diff <old> <new>',
  summary: 'show what changes from one bundle or plan to the next',
  examples: [
    'sluice diff bundle-7 bundle-8 --inventory inventory.yaml',
    'sluice diff plan-7.json plan-8.json --journal /var/lib/sluice/events.ndjson --since 2027-01-31T00:00:00Z',
  ],
  declare: (command) =>
    command
      .option('--inventory <file>', 'the workspaces of the node, for bundles')
      .option('--new-inventory <file>', 'another inventory for the new one')
      .option('--backend <name...>', 'backends by preference; all that fence when left out', collectBackends)
      .option('--journal <file>', 'an audit journal: what would become of the traffic in it')
      .option('--since <time>', 'only of traffic from then on', instant),
  run: async (context, [old = '', latest = ''], options) => {
    const { inventory, newInventory, backend, journal, since } = options as DiffOptions
    const backends = backend ?? FENCING_BACKENDS
    const before = await planOf(context, old, inventory, backends)
    const after = await planOf(context, latest, newInventory ?? inventory, backends)
    const diff = diffPlans(before, after)
    const changes = renderDiff(diff)
    const seen = journal === undefined ? undefined : await replayed(context, before, after, journal, since)
    return {
      json: { ...diff, cut: cutGrants(diff), ...(seen ? { traffic: seen } : {}) },
      text: [
        changes === '' ? 'no grant changes\n' : changes,
        guaranteeChanges(context, diff),
        seen ? renderReplay(seen) : '',
        diff.source.before.policyRevision === diff.source.after.policyRevision
          ? ''
          : `revision ${diff.source.before.policyRevision} to ${diff.source.after.policyRevision}\n`,
      ].join(''),
    }
  },
}

async function replayed(
  { host }: Context,
  before: Plan,
  after: Plan,
  journal: string,
  sinceMs: number | undefined,
): Promise<Replay> {
  const rows: TrafficRows = { flows: [], names: [] }
  const filter = { classes: [NETWORK_ACTIVITY, DNS_ACTIVITY], ...(sinceMs === undefined ? {} : { sinceMs }) }
  // Lines that are no events are the business of `audit verify`.
  for await (const { event } of host.witness.queryJournal(journal, filter, () => undefined)) takeTraffic(rows, event)
  return replay(before, after, rows.flows, rows.names, host.nowMs())
}

/** A plan file begins with `{`; everything else is a bundle and needs an inventory. */
async function planOf(
  context: Context,
  path: string,
  inventory: string | undefined,
  backends: readonly BackendName[],
): Promise<Plan> {
  if (path.endsWith('.json')) {
    const bytes = readFile(context.host, path, 'plan', LIMITS.planBytes)
    return readPlan(bytes)
  }
  if (inventory === undefined) throw cliFault('CLI_NEEDS_INVENTORY', { path })
  const made = await compileOffline(context, { bundle: path, inventory, backends })
  if (made.plan) return made.plan
  const errors = made.notes.filter((note) => note.severity === 'error')
  const workspaces = new Set(made.guarantees.map((row) => row.workspace)).size
  throw planFault('PLAN_REFUSED', { clauses: errors.length, workspaces }, { notes: made.notes })
}

/** The grants whose live flows end, by workspace. */
const cutGrants = (diff: PlanDiff) =>
  diff.changed.flatMap(({ workspace, egress, ingress, sessions, names }) => {
    const grants = [...egress.removed, ...ingress.removed, ...(sessions?.removed ?? [])].map((grant) => grant.id)
    const rules = names.removed.map((rule) => rule.pattern)
    return grants.length + rules.length === 0 ? [] : [{ workspace, grants, names: rules }]
  })

function guaranteeChanges(context: Context, { guarantees: { added, removed } }: PlanDiff): string {
  const gone = removed.length === 0 ? '' : `guarantees that end:\n${guarantees(removed, context.paint)}`
  const come = added.length === 0 ? '' : `guarantees that begin:\n${guarantees(added, context.paint)}`
  return gone + come
}
