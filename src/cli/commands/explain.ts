// `sluice explain`: which clause would allow a packet, or why nothing does and what would. It asks `evaluate`, on the plan
// that is live on this node or on a plan file, so that it is never a second opinion.

import { LIMITS } from '../../base/limits.js'
import { isPort } from '../../base/ports.js'
import { quote } from '../../base/quote.js'
import { readPlan } from '../../plan/codec.js'
import { explain, parsePacketQuestion } from '../../plan/explain.js'
import type { Plan, WorkspaceId } from '../../plan/model.js'
import { EMPTY_STATE, EXACT_ENV } from '../../plan/state.js'
import { cliFault } from '../errors.js'
import { readFile } from '../files.js'
import type { Context, Declared } from '../frame.js'
import type { Configured } from '../host.js'
import { withNode } from '../node.js'
import type { Outcome } from '../outcome.js'
import { facts } from '../print.js'

export const explainCommand: Declared = {
  usage: 'explain',
  summary: 'say which clause allows a packet, or whether a name resolves and connects, or why not',
  examples: [
    "sluice explain --workspace spiffe://fleet.example/ws/alpha --packet 'tcp 10.9.0.2:40000 > 93.184.216.34:443'",
    'sluice explain --workspace spiffe://fleet.example/ws/alpha --name files.example.com:443',
  ],
  declare: (command) =>
    command
      .requiredOption('--workspace <id>', 'the workspace')
      .option(
        '--packet <text>',
        "a first packet: 'tcp A:PORT > B:PORT', 'udp [V6]:PORT > [V6]:PORT' or 'icmp-echo A > B'",
      )
      .option('--name <text>', "a host name with its port: 'files.example.com:443', or 'udp NAME:PORT'")
      .option('--plan <file>', 'a plan that `sluice plan --out` wrote, instead of the one that is live')
      .option('--config <file>', 'agent.yaml of this node'),
  run: async (context, _positional, options) => {
    const { workspace, packet, name, plan, config } = options as { workspace: string } & Partial<
      Record<'packet' | 'name' | 'plan' | 'config', string>
    >
    if ((packet === undefined) === (name === undefined))
      throw cliFault('CLI_EXPLAIN_QUESTION', { why: packet === undefined ? 'no packet and no name' : 'both at once' })
    const say = (at: Judged, node?: Configured): Outcome =>
      name === undefined
        ? answer(context, at.plan, at.quarantined, workspace, packet ?? '', at.judgedBy)
        : nameAnswer(context, at, workspace, name, node)
    if (plan === undefined)
      return withNode(context, { config, exclusive: false }, async (node, configured) => {
        const live = await node.live()
        return say({ ...live, judgedBy: `generation ${live.generation}` }, configured)
      })
    const bytes = readFile(context.host, plan, 'plan', LIMITS.planBytes)
    return say({ plan: readPlan(bytes), quarantined: [], generation: 0, judgedBy: plan })
  },
}

interface Judged {
  readonly plan: Plan
  readonly quarantined: readonly WorkspaceId[]
  readonly generation: number
  readonly judgedBy: string
}

const NAME_QUESTION = /^\s*(?:(tcp|udp)\s+)?([^\s:]+):([1-9]\d{0,4})\s*$/

function nameAnswer(
  { host, paint }: Context,
  { judgedBy, ...at }: Judged,
  workspace: WorkspaceId,
  text: string,
  config: Configured | undefined,
): Outcome {
  const [, protocol = 'tcp', name = '', digits = ''] = NAME_QUESTION.exec(text) ?? []
  const port = Number(digits)
  if (!isPort(port)) throw cliFault('CLI_EXPLAIN_QUESTION', { why: `${quote(text)} is no name with a port` })
  const found = host.explainName(config, { ...at, workspace, name, protocol: protocol === 'udp' ? 'udp' : 'tcp', port })
  const named = at.plan.guarantees.filter((row) => row.workspace === workspace && row.dimension === undefined)
  const clauses = found.clauses.map((id) => {
    const row = named.find((guarantee) => guarantee.clause === id)
    return row ? `${row.name} at ${row.origin}` : id
  })
  const lines = facts([
    ['name', text],
    ['judged by', judgedBy],
    ...clauses.map((clause) => ['clause', clause] as const),
    ...found.addresses.map(
      ({ address, secondsLeft }) =>
        ['address', secondsLeft === null ? `${address}, signed` : `${address}, ${secondsLeft} s left`] as const,
    ),
    ...found.sharedWith.map((other) => ['shares an address with', other] as const),
    ...found.labels.map(({ pattern, names, limit }) => ['asked under', `${pattern}: ${names} of ${limit}`] as const),
  ])
  const ways = found.ways.map((way) => `  - ${way}\n`).join('')
  return {
    json: { ...found, clauses, judgedBy },
    text: `${paint(found.connects === 'no' ? 'red' : 'green', found.say)}\n${lines}${ways === '' ? '' : `what would help:\n${ways}`}`,
  }
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
