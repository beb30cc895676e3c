// `sluice audit verify`: reads the journal of a node from end to end and says what was changed, cut, put in, moved or is
// missing, with file, line and sequence. On the node it uses the agent's own key and mark; elsewhere it needs --trust.

import { readFile } from '../files.js'
import type { Context, Declared } from '../frame.js'
import { configure } from '../node.js'
import type { Outcome } from '../outcome.js'
import { facts, table } from '../print.js'
import type { JournalPlace, JournalReport } from '../witness-host.js'

/** As for input that is refused. */
const EXIT_BROKEN = 2

export const auditVerify: Declared = {
  usage: 'verify [journal]',
  summary: 'check the audit journal for every change, cut, insertion and missing piece',
  examples: ['sluice audit verify', 'sluice audit verify copy/events.ndjson --trust root.json'],
  declare: (command) =>
    command
      .option('--trust <file>', 'trust root with keys of role agent, or the agent.pub.json of the node')
      .option('--redacted', 'it is what a sink got that members are kept back from')
      .option('--config <file>', 'agent.yaml of the node, when no journal is named'),
  run: async (context, [journal], options) => {
    const { trust, config, redacted } = options as { trust?: string; config?: string; redacted?: boolean }
    const place = await placeOf(context, journal, config)
    const keys =
      trust === undefined ? {} : { keys: { file: trust, bytes: readFile(context.host, trust, 'trust root') } }
    return outcome(
      context,
      place.eventsFile,
      await context.host.witness.verifyJournal({ ...place, ...keys, ...(redacted ? { redacted } : {}) }),
    )
  },
}

/** The journal that is named, or that of the node. */
export async function placeOf(
  context: Context,
  journal: string | undefined,
  config: string | undefined,
): Promise<JournalPlace> {
  if (journal !== undefined) return { eventsFile: journal }
  const { eventsFile, stateDirectory } = await configure(context, config)
  return { eventsFile, stateDirectory }
}

function outcome({ paint }: Context, file: string, report: JournalReport): Outcome {
  const { events, segments, sealed, sealsChecked, firstSequence, lastSequence, sealedThrough, intact, findings } =
    report
  const head = intact ? paint('green', 'intact') : paint('red', 'not intact')
  const more = report.furtherFindings > 0 ? `and ${report.furtherFindings} more\n` : ''
  return {
    json: { file, ...report },
    text: `${head}: ${file}\n${facts([
      ['events', `${events}, ${firstSequence} to ${lastSequence}`],
      ['closed segments', `${segments}, ${sealed} with a seal that holds`],
      [
        'signatures',
        sealsChecked ? `checked; they cover everything up to event ${sealedThrough}` : 'not checked: no key was given',
      ],
      ...(report.redacted > 0
        ? ([['redacted', `${report.redacted}; they are in order, and nothing holds what they say`]] as const)
        : []),
    ])}${
      findings.length === 0
        ? ''
        : `\n${table(
            ['finding', 'file', 'line', 'event', 'what'],
            findings.map((one) => [
              one.kind,
              one.file.split('/').at(-1) ?? '',
              String(one.line || '-'),
              String(one.sequence || '-'),
              one.say,
            ]),
          )}${more}`
    }`,
    ...(intact ? {} : { exit: EXIT_BROKEN }),
  }
}
