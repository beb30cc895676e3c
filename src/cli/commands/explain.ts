// `sluice explain`: which clause would allow a packet, or why nothing does and what would. It asks `evaluate`, on the plan
// that is live on this node or on a plan file, so that it is never a second opinion.

import { digestOf } from '../../base/digest.js'
import { LIMITS } from '../../base/limits.js'
import { decodePlan } from '../../plan/codec.js'
import { explain, parsePacketQuestion } from '../../plan/explain.js'
import type { Plan, WorkspaceId } from '../../plan/model.js'
import { EMPTY_STATE, EXACT_ENV } from '../../plan/state.js'
import { readFile } from '../files.js'
import type { Context, Declared } from '../frame.js'
import { withNode } from '../node.js'
import type { Outcome } from '../outcome.js'
import { facts } from '../print.js'

export const explainCommand: Declared = {
  usage: 'explain',
  summary: 'say which clause allows a packet, or why nothing does',
  examples: [
    "sluice explain --workspace spiffe://fleet.example/ws/alpha --packet 'tcp 10.9.0.2:40000 > 93.184.216.34:443'",
  ],
  declare: (command) =>
    command
      .requiredOption('--workspace <id>', 'the workspace')
      .requiredOption(
        '--packet <text>',
        "a first packet: 'tcp A:PORT > B:PORT', 'udp [V6]:PORT > [V6]:PORT' or 'icmp-echo A > B'",
      )
      .option('--plan <file>', 'a plan that `sluice plan --out` wrote, instead of the one that is live')
      .option('--config <file>', 'agent.yaml of this node'),
  run: async (context, _positional, options) => {
    const { workspace, packet, plan, config } = options as Record<'workspace' | 'packet', string> &
      Partial<Record<'plan' | 'config', string>>
    if (plan === undefined)
      return withNode(context, { config, exclusive: false }, async (node) => {
        const live = await node.live()
        return answer(context, live.plan, live.quarantined, workspace, packet, `generation ${live.generation}`)
      })
    const bytes = readFile(context.host, plan, 'plan', LIMITS.planBytes)
    return answer(context, decodePlan(bytes, digestOf(bytes)), [], workspace, packet, plan)
  },
}

function answer(
  { host, paint }: Context,
  plan: Plan,
  quarantined: readonly WorkspaceId[],
  workspace: WorkspaceId,
  packet: string,
  judgedBy: string,
): Outcome {
  const state = { ...EMPTY_STATE, quarantined: new Set(quarantined) }
  const linkLayer = plan.workspaces.find((entry) => entry.workspace === workspace)?.slot.kind !== 'cgroup'
  const env = { ...EXACT_ENV, linkLayer }
  const found = explain(plan, state, workspace, parsePacketQuestion(packet), host.nowMs(), env)
  const allowed = found.verdict.kind === 'allow'
  const lines = facts([
    ['packet', packet],
    ['direction', found.direction === 'from' ? 'from the workspace' : 'to the workspace'],
    ['judged by', judgedBy],
    ...(found.clause ? ([['clause', `${found.clause.name} at ${found.clause.origin}`]] as const) : []),
    ...(found.grant ? ([['grant', found.grant.id]] as const) : []),
  ])
  const ways = found.ways.map((way) => `  - ${way}\n`).join('')
  return {
    json: { allowed, ...found, judgedBy },
    text: `${paint(allowed ? 'green' : 'red', found.say)}\n${lines}${ways === '' ? '' : `what would help:\n${ways}`}`,
  }
}
