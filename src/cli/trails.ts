// What `sluice audit reconcile --companion` says: for each agent and for the companion itself, by epochs of its trail, what was
// journalled, pulled, delivered, refused, left out, gone and waiting, and the first range of numbers of which something is missing.
// A loss is one exit code; an agent that nobody could ask, where nothing else is wrong, is another.

import { EXIT_CODE } from '../base/fault.js'
import { readFile } from './files.js'
import type { Context } from './frame.js'
import type { TrailReconciled } from './host-companion.js'
import type { Outcome } from './outcome.js'
import { facts, shown } from './print.js'

/** As for input that is refused, and as for what is to be tried again. */
const [EXIT_MISSING, EXIT_UNASKED] = [EXIT_CODE.reject, EXIT_CODE.retry]
const SHOWN = 10

export async function trailsOutcome(
  context: Context,
  file: string,
  asked: { readonly sink?: string; readonly received: readonly string[] },
): Promise<Outcome> {
  const { host } = context
  const bytes = readFile(host, file, 'configuration of the companion')
  const { agents, own } = await host.companion.reconcile(file, bytes, asked)
  const all = own ? [...agents, own] : agents
  const text = all.length === 0 ? 'the companion takes no trail out of the machine\n' : ''
  const exit = all.some(({ broken }) => broken) ? EXIT_MISSING : EXIT_UNASKED
  return {
    json: { agents, ...(own ? { own } : {}) },
    text: `${text}${all.map((trail) => describe(context, trail, trail !== own)).join('\n')}`,
    ...(all.every(({ agrees }) => agrees) ? {} : { exit }),
  }
}

const ASK = 'ask again when the agent answers: what it has journalled and nobody pulled is not known until then'

const KEEP =
  'keep copies of the journal, the folder export and what the receiver has; see "The journal does not verify" in deploy/RUNBOOK.md'

const UNSEEN = 'not looked at: --sink and --received name files of it'

type Row = readonly [name: string, value: string]

const range = (from: number, to: number): string => (from === to ? String(from) : `${from} to ${to}`)

function describe({ paint }: Context, trail: TrailReconciled, isPulled: boolean): string {
  const { name, node, broken, firstMissing, unasked, findings, epochs, wrong } = trail
  const word = broken
    ? paint('red', 'does not agree')
    : unasked === undefined
      ? paint('green', 'agrees')
      : paint('yellow', 'not known')
  const [, from = 0, to = 0] = firstMissing ?? []
  const found = findings.slice(0, SHOWN).map((one) => `${one.found} ${range(one.fromSequence, one.toSequence)}`)
  const more = findings.length > SHOWN ? `, and ${findings.length - SHOWN} more` : ''
  const head: Row[] = [
    ['node', shown(node)],
    ...(firstMissing ? ([['first missing', range(from, to)]] as const) : []),
    ...(found.length > 0 ? ([['found as it was pulled', `${found.join(', ')}${more}`]] as const) : []),
    ...wrong.map((say) => ['wrong', say] as const),
    ...(unasked === undefined ? [] : ([['not asked', unasked]] as const)),
  ]
  const next: Row[] = [
    ...(unasked === undefined ? [] : ([['what to do', ASK]] as const)),
    ...(findings.length > 0 || epochs.some((epoch) => epoch.wrong.length > 0) ? ([['what to do', KEEP]] as const) : []),
  ]
  return `${word}: ${name}\n${facts([...head, ...epochs.flatMap((epoch) => epochRows(epoch, isPulled)), ...next])}`
}

function epochRows(
  { chain, from, journalled, through, pulled, sinks, wrong }: TrailReconciled['epochs'][number],
  isPulled: boolean,
): readonly Row[] {
  const rows: Row[] = [
    ['epoch', chain],
    ['journalled', journalled === null ? 'not known' : `${from + 1} to ${journalled}`],
    ...(isPulled ? ([['pulled', `${pulled}, up to ${through}`]] as const) : []),
  ]
  for (const sink of sinks) {
    const counts = [
      `${sink.delivered} delivered`,
      `${sink.dead} refused`,
      `${sink.leftOut} left out`,
      `${sink.discarded} gone`,
      `${sink.pending} waiting`,
    ]
    const looked = sink.held ? `${sink.held.matched} in ${sink.held.place}` : sink.unseen === undefined ? UNSEEN : ''
    rows.push([sink.name, `${counts.join(', ')}${looked === '' ? '' : `; ${looked}`}`])
    if (sink.held && sink.held.unlooked > 0)
      rows.push(['', `not looked at: ${sink.held.unlooked} events after what was brought`])
    if (sink.unseen !== undefined) rows.push(['', `not looked at: ${shown(sink.unseen)}`])
  }
  for (const say of wrong.slice(0, SHOWN)) rows.push(['wrong', shown(say)])
  return rows
}
