// `sluice apply`: verifies a bundle and puts it in force on this node, under the node's lock. It prints what changed, what
// is left to the workspace's own runtime, and the generation; a refusal says why and what is still live.

import { EXIT_CODE, Fault } from '../../base/fault.js'
import { diffPlans, renderDiff } from '../../plan/diff.js'
import type { BackendName, Plan } from '../../plan/model.js'
import { readFile } from '../files.js'
import { type Context, collectBackends, type Declared } from '../frame.js'
import type { Applied, NodeStatus } from '../host.js'
import { readInventory } from '../inventory.js'
import { configure, withNode } from '../node.js'
import type { Outcome } from '../outcome.js'
import { errorShape, facts, printError } from '../print.js'
import { delegated, totals } from '../report.js'

interface ApplyOptions {
  readonly inventory: string
  readonly backend?: readonly BackendName[]
  readonly config?: string
  readonly first?: boolean
  readonly freshness?: string
}

export const applyCommand: Declared = {
  usage: 'apply <bundle>',
  summary: 'verify a bundle and put it in force on this node',
  examples: [
    'sluice apply my-bundle --inventory inventory.yaml --config agent.yaml',
    'sluice apply my-bundle.tgz --inventory inventory.yaml --backend nftables --json',
  ],
  declare: (command) =>
    command
      .requiredOption('--inventory <file>', 'the signed list of workspaces of this node')
      .option('--backend <name...>', 'backends by preference, instead of the configured ones', collectBackends)
      .option('--config <file>', 'agent.yaml of this node')
      .option('--freshness <file>', 'the freshness statement that came with the bundle')
      .option('--first', 'this node never held a bundle: make its state'),
  run: async (context, [bundle = ''], options) => {
    const { inventory, backend, config, first, freshness } = options as unknown as ApplyOptions
    const slots = readInventory(context.host, inventory)
    const fresh = freshness === undefined ? {} : { freshness: readFile(context.host, freshness, 'freshness statement') }
    context.remember(inventory, slots.yaml)
    if (first) await context.host.createState(configure(context, config))
    const wanted = { config, exclusive: true, ...(backend ? { backends: backend } : {}) }
    return withNode(context, wanted, async (node) => {
      try {
        const applied = await node.apply({ bundle, inventory: slots, ...fresh })
        return success(context, applied)
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        return refusal(context, error, await node.status())
      }
    })
  },
}

const SAY = {
  replace: 'active',
  keep: 'active already; read back and unchanged',
  restore: 'active again: nothing of it was there, and it was put back',
  repair: 'active again: it had been changed from outside, and was replaced',
} as const satisfies Record<Applied['decision']['kind'], string>

function success(context: Context, applied: Applied): Outcome {
  const { decision, generation, planDigest, plan, previous, signers, notes, elapsedMs } = applied
  const { source } = plan
  const diff = diffPlans(previous?.plan ?? nothingFrom(plan), plan)
  const drift = (decision.drift ?? []).map((finding) => `drift found: ${finding}\n`).join('')
  const changes = decision.kind === 'replace' ? renderDiff(diff) : ''
  return {
    json: {
      state: 'active',
      decision: decision.kind,
      generation,
      planDigest,
      source,
      signers,
      replacedGeneration: previous?.generation ?? null,
      workspaces: plan.workspaces.map(({ workspace, backend, domain }) => ({ workspace, backend, domain })),
      diff: { added: diff.added.map((entry) => entry.workspace), removed: diff.removed, changed: diff.changed },
      delegated: plan.guarantees.filter((row) => row.level === 'delegated'),
      drift: decision.drift ?? [],
      notes,
      elapsedMs,
    },
    text: [
      `${context.paint('green', SAY[decision.kind])}\n`,
      facts([
        ['bundle', `${source.bundleId}, revision ${source.policyRevision}`],
        ['signed by', signers.join(', ')],
        ['generation', String(generation)],
        ['plan', planDigest],
        ['guarantees', totals(plan.guarantees).trim()],
        ['time', `${elapsedMs} ms`],
      ]),
      drift,
      changes === '' ? '' : `changes:\n${changes}`,
      delegated(plan.guarantees, context.paint),
    ].join(''),
    remarks: context.notes(notes.filter((note) => note.severity !== 'info')),
  }
}

const nothingFrom = (plan: Plan): Plan => ({ ...plan, workspaces: [], guarantees: [] })

function refusal(context: Context, fault: Fault, seen: NodeStatus): Outcome {
  const shape = errorShape(fault)
  const { live, state } = seen
  const still = live
    ? `still live: bundle ${live.source.bundleId} revision ${live.source.policyRevision}, generation ${live.generation} (${state})\n`
    : 'nothing was live before, and nothing is: workspaces stay denied\n'
  return {
    json: { error: shape, live: live && { ...live, state } },
    text: '',
    remarks: `${printError(shape, context.paint, context.source)}${still}`,
    exit: EXIT_CODE[fault.reaction],
  }
}
