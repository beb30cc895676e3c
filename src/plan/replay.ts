// Traffic that was seen, put to two plans: what the second would cut and what it would newly let pass, by clause. Each row is
// judged as a first packet by `explain`, so by `evaluate` and nothing else; names count as what they were answered with.

import { parseIp } from '../base/ip.js'
import type { Protocol } from '../policy/model.js'
import { type Explanation, explain } from './explain.js'
import type { LearnedGrant, Plan, WorkspaceId } from './model.js'
import { rulesFor } from './names.js'
import { EMPTY_STATE, EXACT_ENV, type State } from './state.js'

export interface SeenFlow {
  readonly workspace: WorkspaceId
  readonly protocol: Protocol
  /** The workspace's end and the far one; `destination` is whoever was asked. */
  readonly source: string
  readonly destination: string
  /** The destination's; 0 for icmp-echo. */
  readonly port: number
  readonly count: number
}
export interface NameAnswer {
  readonly workspace: WorkspaceId
  readonly name: string
  readonly addresses: readonly string[]
}
export interface Moved extends SeenFlow {
  /** `cut`: passes now, and would not. `opened`: is refused now, and would pass. `observed`: passes, but as what nothing grants. */
  readonly change: 'cut' | 'opened' | 'observed'
  readonly before: Explanation
  readonly after: Explanation
}
export interface Replay {
  readonly moved: readonly Moved[]
  /** Connections that both judge alike. */
  readonly unchanged: number
}

/** Rows of one tuple are put together; the order is by workspace, then destination. */
export function replay(
  before: Plan,
  after: Plan,
  seen: readonly SeenFlow[],
  names: readonly NameAnswer[],
  nowMs: number,
): Replay {
  const rows = new Map<string, SeenFlow>()
  for (const flow of seen) {
    const key = `${flow.workspace} ${flow.destination} ${flow.protocol} ${String(flow.port).padStart(5, '0')} ${flow.source}`
    rows.set(key, { ...flow, count: flow.count + (rows.get(key)?.count ?? 0) })
  }
  const [was, is] = [stateOf(before, names), stateOf(after, names)]
  const moved: Moved[] = []
  let unchanged = 0
  for (const [, flow] of [...rows].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const now = judge(before, was, flow, nowMs)
    const then = judge(after, is, flow, nowMs)
    const change = now && then && changeOf(now, then)
    if (now && then && change) moved.push({ ...flow, change, before: now, after: then })
    else unchanged += flow.count
  }
  return { moved, unchanged }
}

function changeOf({ verdict: now }: Explanation, { verdict: then }: Explanation): Moved['change'] | undefined {
  if (then.kind === 'drop') return now.kind === 'allow' ? 'cut' : undefined
  if (then.reason === 'observed') return now.kind === 'allow' && now.reason === 'observed' ? undefined : 'observed'
  return now.kind === 'drop' || now.reason === 'observed' ? 'opened' : undefined
}

function judge(plan: Plan, state: State, flow: SeenFlow, nowMs: number): Explanation | undefined {
  const [source, destination] = [parseIp(flow.source), parseIp(flow.destination)]
  if (!source || !destination || source.family !== destination.family) return undefined
  const { protocol, workspace } = flow
  const question = { protocol, source, destination, sourcePort: 40_000, destinationPort: flow.port }
  return explain(plan, state, workspace, question, nowMs, EXACT_ENV)
}

/** What the mediator would have learnt under a plan. */
function stateOf(plan: Plan, names: readonly NameAnswer[]): State {
  const learned = names.flatMap(({ workspace, name, addresses }) => {
    const network = plan.workspaces.find((entry) => entry.workspace === workspace)?.network
    return (network ? rulesFor(network, name) : []).flatMap((rule) =>
      rule.protocol === 'icmp-echo'
        ? []
        : rule.ports.flatMap(({ from, to }) =>
            Array.from({ length: to - from + 1 }, (_, i) => from + i).flatMap((port) =>
              addresses.map(
                (address): LearnedGrant => ({
                  ...{ workspace, clause: rule.clause, name, address, port, generation: 0 },
                  ...{ protocol: rule.protocol as 'tcp' | 'udp', expiresAtMs: Number.MAX_SAFE_INTEGER },
                }),
              ),
            ),
          ),
    )
  })
  return { ...EMPTY_STATE, learned }
}

/** One line a flow; empty when nothing moves. */
export function renderReplay({ moved, unchanged }: Replay): string {
  const lines = moved.map(({ change, before, after, workspace, protocol, destination, port, count }) => {
    const to = `${protocol} ${destination}${protocol === 'icmp-echo' ? '' : ` port ${port}`}`
    const why = change === 'cut' ? `${before.say}; then ${after.say}` : after.say
    return `  ${WORDS[change]} ${workspace} ${to}, seen ${count === 1 ? 'once' : `${count} times`}: ${why}`
  })
  return `seen traffic: ${moved.length} destinations change, ${unchanged} connections do not\n${lines.map((line) => `${line}\n`).join('')}`
}

const WORDS: Readonly<Record<Moved['change'], string>> = { cut: '- cut', opened: '+ opened', observed: '~ observed' }
