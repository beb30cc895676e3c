// `sluice audit reconcile`: journalled against delivered, for each sink of the node. The cursor's numbers must add up, and
// where its events can be looked at, every one of them must be there: what is missing is named by sequence number.

import { type Context, collect, type Declared } from '../frame.js'
import type { SinkReconciled } from '../host-sinks.js'
import { configure } from '../node.js'
import type { Outcome } from '../outcome.js'
import { facts, shown } from '../print.js'
import { trailsOutcome } from '../trails.js'

/** As for input that is refused. */
const EXIT_MISSING = 2
const SHOWN = 20

interface Options {
  readonly sink?: string
  readonly received?: readonly string[]
  readonly companion?: string
  readonly config?: string
}

export const auditReconcile: Declared = {
  usage: 'reconcile',
  summary: 'hold what the sinks have against the audit journal',
  examples: [
    'sluice audit reconcile',
    'sluice audit reconcile --companion /etc/sluice/companion.yaml',
    'sluice audit reconcile --sink siem --received export/siem-*.ndjson',
    'sluice audit reconcile --companion /etc/sluice/companion.yaml --sink siem --received export/siem-*.ndjson',
  ],
  declare: (command) =>
    command
      .option('--sink <name>', 'only this one')
      .option('--received <file...>', 'lines that the receiver of the sink has, oldest file first', collect)
      .option(
        '--companion <file>',
        'companion.yaml: the trails that it takes out of the machine, instead (exit 75: an agent did not answer)',
      )
      .option('--config <file>', 'agent.yaml of the node'),
  run: async (context, _positional, options) => {
    const { sink, received = [], companion, config: named } = options as Options
    const asked = { received, ...(sink === undefined ? {} : { sink }) }
    if (companion !== undefined) return trailsOutcome(context, companion, asked)
    const config = await configure(context, named)
    return outcome(context, await context.host.witness.reconcileSinks(config, asked))
  },
}

/** Nothing is lost, and nothing is anywhere that should not be. What waits to be delivered is neither. */
const agrees = ({ sink, held }: SinkReconciled): boolean =>
  sink.discarded === 0 && (held === undefined || (held.missing === 0 && held.foreign === 0 && held.outOfOrder === 0))

function outcome(context: Context, found: readonly SinkReconciled[]): Outcome {
  const json = found.map((one) => ({ ...one, agrees: agrees(one) }))
  const text = found.map((one) => describe(context, one)).join('\n')
  return { json: { sinks: json }, text, ...(found.every(agrees) ? {} : { exit: EXIT_MISSING }) }
}

function describe({ paint }: Context, one: SinkReconciled): string {
  const { sink, from, journalled, held } = one
  const word = !agrees(one)
    ? paint('red', 'does not agree')
    : sink.lag > 0
      ? paint('yellow', 'agrees so far')
      : paint('green', 'agrees')
  const settled = [
    `${sink.delivered} delivered`,
    `${sink.dead} refused by the receiver and kept`,
    `${sink.leftOut} left out by the filter`,
    `${sink.discarded} retired before they were delivered`,
  ]
  const ranges = held?.missingRanges.slice(0, SHOWN).map(([a, b]) => (a === b ? String(a) : `${a}-${b}`)) ?? []
  const more = (held?.missingRanges.length ?? 0) > SHOWN ? ', ...' : ''
  const looked =
    held === undefined
      ? `not looked at: ${one.unseen === undefined ? 'name files of it with --received' : shown(one.unseen)}`
      : `${held.matched} of the events ${held.first} to ${held.last} that the journal still has, in ${held.place}`
  const counted = (count: number, what: string) => (count > 0 ? ([[what, String(count)]] as const) : [])
  return `${word}: ${sink.name}\n${facts([
    ['journalled', `${journalled}, of them ${Math.max(0, journalled - from)} for this sink`],
    ['settled', `${sink.sequence - from}: ${settled.join(', ')}`],
    ['waiting', String(sink.lag)],
    ['at the receiver', looked],
    ...(held && held.missing > 0 ? ([['missing', `${held.missing}: ${ranges.join(', ')}${more}`]] as const) : []),
    ...counted(held?.repeated ?? 0, 'came again'),
    ...counted(held?.foreign ?? 0, 'not of the journal'),
    ...counted(held?.outOfOrder ?? 0, 'out of order'),
    ...counted(held?.newer ?? 0, 'newer than this look'),
    ...counted(held?.unlooked ?? 0, 'after what was brought'),
    ...counted(held?.older ?? 0, 'older than the journal'),
    ...counted(held?.unreadable ?? 0, 'lines without an event'),
  ])}`
}
