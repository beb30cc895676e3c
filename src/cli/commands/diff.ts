// `sluice diff`: what goes from one bundle or plan to the next, by workspace: grants added and removed, guarantees changed,
// and which live flows would be cut. Exit 0 whether or not there is a difference.

import { FENCING_BACKENDS } from '../../backends/registry.js'
import { LIMITS } from '../../base/limits.js'
import { readPlan } from '../../plan/codec.js'
import { diffPlans, type PlanDiff, renderDiff } from '../../plan/diff.js'
import { planFault } from '../../plan/errors.js'
import type { BackendName, Plan } from '../../plan/model.js'
import { compileOffline } from '../compile.js'
import { cliFault } from '../errors.js'
import { readFile } from '../files.js'
import { type Context, collectBackends, type Declared } from '../frame.js'
import { guarantees } from '../report.js'

interface DiffOptions {
  readonly inventory?: string
  readonly newInventory?: string
  readonly backend?: readonly BackendName[]
}

export const diffCommand: Declared = {
  usage: 'diff <old> <new>',
  summary: 'show what changes from one bundle or plan to the next',
  examples: ['sluice diff bundle-7 bundle-8 --inventory inventory.yaml', 'sluice diff plan-7.json plan-8.json'],
  declare: (command) =>
    command
      .option('--inventory <file>', 'the workspaces of the node, for bundles')
      .option('--new-inventory <file>', 'another inventory for the new one')
      .option('--backend <name...>', 'backends by preference; all that fence when left out', collectBackends),
  run: async (context, [old = '', latest = ''], options) => {
    const { inventory, newInventory, backend } = options as DiffOptions
    const backends = backend ?? FENCING_BACKENDS
    const before = await planOf(context, old, inventory, backends)
    const after = await planOf(context, latest, newInventory ?? inventory, backends)
    const diff = diffPlans(before, after)
    const changes = renderDiff(diff)
    return {
      json: { ...diff, cut: cutGrants(diff) },
      text: [
        changes === '' ? 'no grant changes\n' : changes,
        guaranteeChanges(context, diff),
        diff.source.before.policyRevision === diff.source.after.policyRevision
          ? ''
          : `revision ${diff.source.before.policyRevision} to ${diff.source.after.policyRevision}\n`,
      ].join(''),
    }
  },
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
  diff.changed.flatMap(({ workspace, egress, ingress, names }) => {
    const grants = [...egress.removed, ...ingress.removed].map((grant) => grant.id)
    const rules = names.removed.map((rule) => rule.pattern)
    return grants.length + rules.length === 0 ? [] : [{ workspace, grants, names: rules }]
  })

function guaranteeChanges(context: Context, { guarantees: { added, removed } }: PlanDiff): string {
  const gone = removed.length === 0 ? '' : `guarantees that end:\n${guarantees(removed, context.paint)}`
  const come = added.length === 0 ? '' : `guarantees that begin:\n${guarantees(added, context.paint)}`
  return gone + come
}
