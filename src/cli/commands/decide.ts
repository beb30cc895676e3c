// `sluice decide`: may this be done? Asks the agent of this node, or answers from a bundle and an inventory before any of it is
// live. The exit code is the answer: 0 allow, 1 deny; what is wrong with the question has the codes of every command.

import { FENCING_BACKENDS } from '../../backends/registry.js'
import { decodeUtf8, hex } from '../../base/bytes.js'
import { formatInstant } from '../../bundle/instant.js'
import { decide } from '../../decide/decide.js'
import { compileProgram } from '../../decide/program.js'
import { MAX_QUESTION, readQuestion } from '../../decide/read-question.js'
import { planDigest } from '../../plan/codec.js'
import type { BackendName } from '../../plan/model.js'
import { normalizePolicies } from '../../policy/normalize.js'
import { compileOffline } from '../compile.js'
import { cliFault } from '../errors.js'
import { readFile, writeFile } from '../files.js'
import { type Context, collect, collectBackends, type Declared } from '../frame.js'
import type { Decided, DecideRequest, ObligationView } from '../host-decisions.js'
import { withNode } from '../node.js'
import type { Outcome } from '../outcome.js'
import { facts } from '../print.js'

/** The answer is no; nothing is wrong. */
export const EXIT_DENIED = 1

interface Asked {
  readonly workspace: string
  readonly question?: string
  readonly by?: string
  readonly under?: readonly string[]
  readonly tool?: string
  readonly address?: string
  readonly audience?: string
  readonly out?: string
  readonly bundle?: string
  readonly inventory?: string
  readonly backend?: readonly BackendName[]
  readonly config?: string
}

export const decideAsk: Declared = {
  usage: 'ask',
  isDefault: true,
  summary: 'say whether a workspace may do something, and what its caller must do for that to hold',
  examples: [
    "sluice decide ask --workspace spiffe://fleet.example/ws/alpha 'GET https://api.example.com/v1/items' --by /usr/bin/curl",
    "sluice decide ask --workspace spiffe://fleet.example/ws/alpha 'open file:///etc/passwd'",
    "sluice decide ask --workspace spiffe://fleet.example/ws/alpha 'tcp://db.example.com:5432' --bundle my-bundle --inventory inventory.yaml",
    'sluice decide ask --workspace spiffe://fleet.example/ws/alpha --question question.json --audience fleet.example/gateway --out decision.jws',
  ],
  declare: (command) =>
    command
      .argument(
        '[action]',
        "'METHOD URL', 'tcp://HOST:PORT', 'OPERATION file:///PATH', 'OPERATION volume://NAME/PATH', 'exec:///PATH'",
      )
      .requiredOption('--workspace <id>', 'the workspace')
      .option('--question <file>', 'the question as JSON (src/decide/README.md), instead of an action')
      .option('--by <path>', 'the program that acts')
      .option('--under <path...>', 'programs that started it, the nearest first', collect)
      .option('--tool <name>', 'the MCP tool that the request calls')
      .option('--address <ip>', 'the address that the host name was resolved to')
      .option('--audience <name>', 'have the running agent sign the answer for this audience')
      .option('--out <file>', 'where the signed answer goes')
      .option('--bundle <path>', 'answer from this bundle, live or not, instead of asking the node')
      .option('--inventory <file>', 'with --bundle: the workspaces')
      .option('--backend <name...>', 'with --bundle: the backends to plan for', collectBackends)
      .option('--config <file>', 'agent.yaml of this node'),
  run: async (context, [action], options) => {
    const asked = options as unknown as Asked
    const text = questionOf(context, action, asked)
    if ((asked.audience === undefined) !== (asked.out === undefined))
      throw cliFault('CLI_DECIDE_QUESTION', { why: '--audience and --out belong together' })
    if (asked.bundle !== undefined) return print(context, await offline(context, asked.bundle, text, asked), asked)
    const nonce = asked.audience === undefined ? '' : hex(context.host.random(16))
    const request: DecideRequest = { workspace: asked.workspace, text, audience: asked.audience ?? '', nonce }
    return withNode(context, { config: asked.config, exclusive: false }, async (node) => {
      const decided = await node.decide(request)
      if (asked.out !== undefined) writeFile(context.host, asked.out, `${decided.attestation}\n`)
      return print(context, decided, asked, nonce)
    })
  },
}

function questionOf({ host }: Context, action: string | undefined, asked: Asked): string {
  const wrong = (why: string) => cliFault('CLI_DECIDE_QUESTION', { why })
  const { question, by, under, tool, address } = asked
  if ((action === undefined) === (question === undefined))
    throw wrong(action === undefined ? 'no action and no --question' : 'an action and --question at once')
  if (question !== undefined) {
    if (by !== undefined || under !== undefined || tool !== undefined || address !== undefined)
      throw wrong('with --question everything stands in the file')
    const text = decodeUtf8(readFile(host, question, 'question', MAX_QUESTION))
    if (text === undefined) throw wrong(`${question} is not UTF-8`)
    return text
  }
  const [first = '', second, ...rest] = (action ?? '').trim().split(/\s+/)
  if (rest.length > 0) throw wrong('an action is a resource, or a method and a resource')
  const runtime = { executable: by, ancestors: under }
  return JSON.stringify({
    ...(by === undefined && under === undefined ? {} : { agent_runtime: runtime }),
    action: {
      tool,
      ...(second === undefined ? {} : { method: first }),
      resource: second ?? first,
      ...(address === undefined ? {} : { parameters: { address } }),
    },
  })
}

async function offline(context: Context, bundle: string, text: string, asked: Asked): Promise<Decided> {
  const { inventory, backend: backends = FENCING_BACKENDS, workspace, audience } = asked
  const wrong = (why: string) => cliFault('CLI_DECIDE_QUESTION', { why })
  if (inventory === undefined) throw wrong('--bundle needs --inventory')
  if (audience !== undefined) throw wrong('only a running node signs what it answers')
  const question = readQuestion(text)
  if (typeof question === 'string') throw wrong(question)
  if (question.agentId !== undefined) throw wrong('who is registered is known to the node alone: leave --bundle out')
  const { plan, notes } = await compileOffline(context, { bundle, inventory, backends })
  const { policies } = normalizePolicies((await context.host.readBundle(bundle)).members)
  if (!plan || !policies) throw cliFault('CLI_DECIDE_REFUSED', { bundle }, { notes })
  const program = compileProgram({ plan, planDigest: planDigest(plan), generation: 0, policies })
  const { executable, ancestors } = question
  const standing = { workspace, quarantined: false, suspended: false }
  const asking = {
    ...standing,
    ...(executable === undefined ? {} : { executable }),
    ...(ancestors === undefined ? {} : { ancestors }),
  }
  const { bundleDigest } = program
  // A bundle that is not released yet has no time of its own.
  const nowMs = Math.min(context.host.nowMs(), program.expiresAtMs - 1)
  return { ...decide(program, asking, question.action, nowMs), generation: 0, bundleDigest, attestation: '' }
}

function print({ paint }: Context, decided: Decided, { bundle, out }: Asked, nonce = ''): Outcome {
  const { decision, reason, place, clause, obligations, generation, authority, attestation } = decided
  const allowed = decision === 'allow'
  return {
    json: { ...decided, ...(nonce === '' ? {} : { nonce }), judgedBy: bundle ?? `generation ${generation}` },
    text: `${paint(allowed ? 'green' : 'red', decision)}: ${reason}\n${facts([
      ...(place === undefined ? [] : ([['clause', place]] as const)),
      ...(clause === undefined || clause === '' ? [] : ([['clause id', clause]] as const)),
      ...obligations.map((one) => ['you must', printObligation(one)] as const),
      ...(authority
        ? ([
            ['agent', `${authority.agentId}, for ${authority.sponsor}`],
            ['task', `${authority.taskId}, until ${formatInstant(authority.expiresAtMs)}`],
          ] as const)
        : []),
      ['judged by', bundle ?? `generation ${generation}`],
      ...(out === undefined
        ? []
        : ([['signed', attestation === '' ? 'no: this node has no key' : `${out}, with the nonce ${nonce}`]] as const)),
    ])}`,
    exit: allowed ? 0 : EXIT_DENIED,
  }
}

/** What a caller has to do, in words. */
export function printObligation(obligation: ObligationView): string {
  const list = (value: unknown): string => (Array.isArray(value) ? value.join(', ') : String(value))
  switch (obligation.kind) {
    case 'address-within':
      return `connect to an address inside ${list(obligation.prefixes)}`
    case 'inspect':
      return `read the stream as ${list(obligation.protocol)} and ask about each request`
    case 'review':
      return `have a person approve it first (${list(obligation.of)})`
    default:
      return `log it as what would be denied (${list(obligation.reason)})`
  }
}
