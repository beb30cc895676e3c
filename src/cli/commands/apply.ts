// `sluice apply`: verifies a bundle and puts it in force on this node, under the node's lock. The bundle lies here, or is
// brought from a source first, with the roots and the freshness statement that lie beside it. It prints what changed, what
// is left to the workspace's own runtime, and the generation; a refusal says why and what is still live.

import { EXIT_CODE, Fault } from '../../base/fault.js'
import { parseTrustRoot } from '../../bundle/root.js'
import { isClosed } from '../../plan/closed.js'
import { diffPlans, renderDiff } from '../../plan/diff.js'
import type { BackendName, Plan } from '../../plan/model.js'
import { cliFault } from '../errors.js'
import { readFile } from '../files.js'
import { type Context, collectBackends, type Declared, type Options } from '../frame.js'
import type { Applied, ApplyRequest, Configured, NodeHandle, NodeStatus } from '../host.js'
import { readInventory } from '../inventory.js'
import { configure, telling, withNode } from '../node.js'
import type { Outcome } from '../outcome.js'
import { errorShape, facts, printError } from '../print.js'
import { delegated, totals } from '../report.js'
import { withSource, withSourceOptions } from '../source.js'

interface ApplyOptions {
  readonly inventory: string
  readonly backend?: readonly BackendName[]
  readonly config?: string
  readonly first?: boolean
  readonly freshness?: string
}

/** What is offered to the node: a path on this machine, or what a source delivered. */
type Offered = Pick<ApplyRequest, 'bundle' | 'freshness'>

export const applyCommand: Declared = {
  usage: 'apply <bundle>',
  summary: 'verify a bundle and put it in force on this node',
  examples: [
    'sluice apply my-bundle --inventory inventory.yaml --config agent.yaml',
    'sluice apply oci://registry.example/fleet/policies --inventory inventory.yaml --backend nftables --json',
  ],
  declare: (command) =>
    withSourceOptions(
      command
        .requiredOption('--inventory <file>', 'the signed list of workspaces of this node')
        .option('--backend <name...>', 'backends by preference, instead of the configured ones', collectBackends)
        .option('--config <file>', 'agent.yaml of this node')
        .option('--freshness <file>', 'the freshness statement that came with the bundle')
        .option('--first', 'this node never held a bundle: make its state'),
    ),
  run: async (context, [bundle = ''], options) => {
    const { host } = context
    const { inventory, backend, config, first, freshness } = options as unknown as ApplyOptions
    const configured = await configure(context, config)
    if (first) await telling(host, configured, () => host.createState(configured))
    const wanted = { config, exclusive: true, ...(backend ? { backends: backend } : {}) }
    /** Opens the node for one step; what it refuses is told by it, and what was refused on the way to it is told here. */
    const step = (act: (node: NodeHandle) => Promise<Outcome | undefined>): Promise<Outcome> =>
      withNode(context, wanted, async (node) => {
        try {
          return (await act(node)) ?? { json: undefined, text: '' }
        } catch (error) {
          if (!(error instanceof Fault)) throw error
          return refusal(context, error, await node.status())
        }
      })
    const refused = (fault: Fault): Promise<Outcome> =>
      step(async (node) => {
        await node.stand()
        await node.refused(fault)
        throw fault
      })
    let slots: ApplyRequest['inventory']
    let offered: Offered
    try {
      slots = readInventory(host, inventory)
      context.remember(inventory, slots.yaml)
      offered =
        freshness === undefined ? { bundle } : { bundle, freshness: readFile(host, freshness, 'freshness statement') }
      if (isSource(bundle)) {
        // A node without a bundle stays closed for as long as the source takes.
        await step(async (node) => void (await node.stand(slots)))
        offered = {
          ...(await bring(context, bundle, configured, options)),
          ...(offered.freshness ? { freshness: offered.freshness } : {}),
        }
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return refused(error)
    }
    return step(async (node) => success(context, await node.apply({ ...offered, inventory: slots })))
  },
}

const isSource = (bundle: string): boolean => /^[a-z][a-z+]*:\/\//.test(bundle)

/** Fetches what the channel of this node has, and follows the roots that came along. Throws TRANSPORT_*, BUNDLE_*. */
async function bring(context: Context, from: string, config: Configured, options: Options): Promise<Offered> {
  const { host } = context
  const { version } = parseTrustRoot(readFile(host, config.trustRoot, 'trust root'))
  const pulled = await withSource(context, from, options, (source) =>
    source.fetch(config.channel, { rootVersion: version }),
  )
  if (pulled.roots.length > 0) await host.followRoots(config.trustRoot, pulled.roots)
  // Nothing was said to be here already, so a source that says "unchanged" did not answer the question.
  if (pulled.kind === 'unchanged') throw cliFault('CLI_NOT_DELIVERED', { source: from })
  return { bundle: pulled.bundle, ...(pulled.freshness ? { freshness: pulled.freshness } : {}) }
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
  const before = previous && !isClosed(previous.plan.source) ? previous.plan : nothingFrom(plan)
  const diff = diffPlans(before, plan)
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
  const still =
    live && isClosed(live.source)
      ? `no bundle is live: the node is closed (generation ${live.generation}, ${state}) and workspaces stay denied\n`
      : live
        ? `still live: bundle ${live.source.bundleId} revision ${live.source.policyRevision}, generation ${live.generation} (${state})\n`
        : 'nothing was live before, and nothing is: workspaces stay denied\n'
  return {
    json: { error: shape, live: live && { ...live, state } },
    text: '',
    remarks: `${printError(shape, context.paint, context.source)}${still}`,
    exit: EXIT_CODE[fault.reaction],
  }
}
