// `sluice policy suggest`: the smallest policy, in OpenShell's schema, for what a workspace did while it was observed, read from
// the audit journal. It is checked as `policy check` would before it is printed: what it would not accept is a bug, and nobody's
// policy.

import { utf8 } from '../../base/bytes.js'
import { checkDocument } from '../../policy/check.js'
import { suggestPolicy } from '../../policy/suggest.js'
import { cliFault } from '../errors.js'
import { type Declared, instant } from '../frame.js'
import { DNS_ACTIVITY, NETWORK_ACTIVITY, noRows, takeObserved } from '../observed.js'
import { placeOf } from './audit-verify.js'

interface SuggestOptions {
  readonly workspace: string
  readonly journal?: string
  readonly since?: number
  readonly until?: number
  readonly answered?: boolean
  readonly config?: string
}

export const policySuggest: Declared = {
  usage: 'suggest',
  summary: 'suggest a policy from what an observed workspace did',
  examples: [
    'sluice policy suggest --workspace spiffe://fleet.example/ws/alpha > policy.yaml',
    'sluice policy suggest --workspace spiffe://fleet.example/ws/alpha --journal events.ndjson --answered --json',
  ],
  declare: (command) =>
    command
      .requiredOption('--workspace <id>', 'of this workspace')
      .option('--journal <file>', 'the audit journal; otherwise that of the node')
      .option('--since <time>', 'only from then on', instant)
      .option('--until <time>', 'only before then', instant)
      .option('--answered', 'leave out connections that were never answered')
      .option('--config <file>', 'agent.yaml of the node, when no journal is named'),
  run: async (context, _positional, options) => {
    const { workspace, journal, since, until, answered = false, config } = options as unknown as SuggestOptions
    const { eventsFile } = await placeOf(context, journal, config)
    const rows = noRows()
    const filter = {
      ...{ workspace, classes: [NETWORK_ACTIVITY, DNS_ACTIVITY] },
      ...(since === undefined ? {} : { sinceMs: since }),
      ...(until === undefined ? {} : { untilMs: until }),
    }
    const events = context.host.witness.queryJournal(eventsFile, filter, () => {
      rows.unreadable++
    })
    for await (const { event } of events) takeObserved(rows, event)
    if (rows.traffic.length === 0) throw cliFault('CLI_NOTHING_OBSERVED', { workspace, file: eventsFile })
    const { text, rules, left } = suggestPolicy({ ...rows, workspace, answeredOnly: answered })
    const { accepted, notes } = checkDocument(utf8(text), 'suggested.yaml', { profile: 'strict', role: 'authored' })
    if (!accepted) throw cliFault('CLI_SUGGESTION', { errors: notes.length }, { notes })
    const warning = `${context.paint('yellow', 'warning')}: ${rows.unreadable} line(s) could not be read; run sluice audit verify\n`
    return {
      json: { workspace, journal: eventsFile, policy: text, rules, left, unreadable: rows.unreadable },
      text,
      ...(rows.unreadable > 0 ? { remarks: warning } : {}),
    }
  },
}
