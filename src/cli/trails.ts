// What `sluice audit reconcile --companion` says: for each agent and epoch of its trail what was journalled, pulled, delivered, refused,
// left out, gone and waiting, and the first range of numbers of which something is missing.

import { readFile } from './files.js'
import type { Context } from './frame.js'
import type { TrailReconciled } from './host-companion.js'
import type { Outcome } from './outcome.js'
import { facts, shown } from './print.js'

/** As for input that is refused. */
const EXIT_MISSING = 2
const SHOWN = 10

export async function trailsOutcome(context: Context, file: string): Promise<Outcome> {
  const { host } = context
  const agents = await host.companion.reconcile(file, readFile(host, file, 'configuration of the companion'))
  const text = agents.length === 0 ? 'the companion takes no trail out of the machine\n' : ''
  return {
    json: { agents },
    text: `${text}${agents.map((agent) => describe(context, agent)).join('\n')}`,
    ...(agents.every(({ agrees }) => agrees) ? {} : { exit: EXIT_MISSING }),
  }
}

const range = (from: number, to: number): string => (from === to ? String(from) : `${from} to ${to}`)

function describe({ paint }: Context, agent: TrailReconciled): string {
  const { name, node, agrees, firstMissing, unasked, findings, epochs } = agent
  const word = agrees ? paint('green', 'agrees') : paint('red', 'does not agree')
  const [, from = 0, to = 0] = firstMissing ?? []
  const found = findings.slice(0, SHOWN).map((one) => `${one.found} ${range(one.fromSequence, one.toSequence)}`)
  const more = findings.length > SHOWN ? `, and ${findings.length - SHOWN} more` : ''
  const head = facts([
    ['node', shown(node)],
    ...(firstMissing ? ([['first missing', range(from, to)]] as const) : []),
    ...(found.length > 0 ? ([['found as it was pulled', `${found.join(', ')}${more}`]] as const) : []),
    ...(unasked === undefined ? [] : ([['not asked', shown(unasked)]] as const)),
  ])
  return `${word}: ${name}\n${head}${epochs.map(epochText).join('')}`
}

function epochText({
  chain,
  from,
  journalled,
  through,
  pulled,
  sinks,
  wrong,
}: TrailReconciled['epochs'][number]): string {
  const rows: (readonly [string, string])[] = [
    ['epoch', chain],
    ['journalled', journalled === null ? 'not known' : `${from + 1} to ${journalled}`],
    ['pulled', `${pulled}, up to ${through}`],
  ]
  for (const sink of sinks) {
    const counts = [
      `${sink.delivered} delivered`,
      `${sink.dead} refused`,
      `${sink.leftOut} left out`,
      `${sink.discarded} gone`,
      `${sink.pending} waiting`,
    ]
    const looked = sink.held ? `; ${sink.held.matched} in ${sink.held.place}` : ''
    rows.push([sink.name, `${counts.join(', ')}${looked}`])
    if (sink.unseen !== undefined) rows.push(['', `not looked at: ${shown(sink.unseen)}`])
  }
  for (const say of wrong.slice(0, SHOWN)) rows.push(['wrong', shown(say)])
  return facts(rows)
}
