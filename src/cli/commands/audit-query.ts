// `sluice audit query`: events of the journal that match, oldest first, as they are read: with --json the OCSF events
// themselves, one a line, otherwise a line for people each.

import { formatInstant } from '../../bundle/instant.js'
import { collect, counting, type Declared, instant } from '../frame.js'
import { shown } from '../print.js'
import type { JournalFilter } from '../witness-host.js'
import { placeOf } from './audit-verify.js'

interface QueryOptions {
  readonly workspace?: string
  readonly clause?: string
  readonly since?: number
  readonly until?: number
  readonly disposition?: readonly string[]
  readonly class?: readonly string[]
  readonly finding?: readonly string[]
  readonly after?: number
  readonly limit?: number
  readonly config?: string
  readonly json?: boolean
}

export const auditQuery: Declared = {
  usage: 'query [journal]',
  summary: 'print events of the audit journal',
  examples: [
    'sluice audit query --workspace spiffe://fleet.example/ws/alpha --class 4001 --since 2027-01-31T00:00:00Z',
    'sluice audit query --disposition 2,6,21 --json',
    'sluice audit query --finding denial-burst,dns-entropy',
  ],
  declare: (command) =>
    command
      .option('--workspace <id>', 'only of this workspace')
      .option('--clause <clause>', 'only what this clause allowed, by identity or name')
      .option('--since <time>', 'from then on', instant)
      .option('--until <time>', 'before then', instant)
      .option('--disposition <number...>', 'only these, by OCSF disposition_id', collect)
      .option('--class <number...>', 'only these, by OCSF class_uid', collect)
      .option('--finding <kind...>', 'only findings of these kinds, such as denial-burst', collect)
      .option('--after <sequence>', 'only events with a higher sequence number', counting)
      .option('--limit <count>', 'stop after that many', counting)
      .option('--config <file>', 'agent.yaml of the node, when no journal is named'),
  run: async (context, [journal], options) => {
    const wanted = options as QueryOptions
    const { host, paint } = context
    const { eventsFile } = await placeOf(context, journal, wanted.config)
    let printed = 0
    let unreadable = 0
    const found = host.witness.queryJournal(eventsFile, filterOf(wanted), () => {
      unreadable++
    })
    for await (const { text, event, sequence } of found) {
      host.write(wanted.json ? `${text}\n` : line(event, sequence))
      if (++printed === wanted.limit) break
    }
    const warning = `${paint('yellow', 'warning')}: ${unreadable} line(s) are no events; run sluice audit verify\n`
    return { json: undefined, text: '', streamed: true, ...(unreadable > 0 ? { remarks: warning } : {}) }
  },
}

function filterOf({
  workspace,
  clause,
  since,
  until,
  disposition,
  class: classes,
  finding: findings,
  after,
}: QueryOptions): JournalFilter {
  return {
    ...(workspace === undefined ? {} : { workspace }),
    ...(clause === undefined ? {} : { clause }),
    ...(since === undefined ? {} : { sinceMs: since }),
    ...(until === undefined ? {} : { untilMs: until }),
    ...(disposition === undefined ? {} : { dispositions: disposition.map(Number) }),
    ...(classes === undefined ? {} : { classes: classes.map(Number) }),
    ...(findings === undefined ? {} : { findings }),
    ...(after === undefined ? {} : { after }),
  }
}

function line(event: Readonly<Record<string, unknown>>, sequence: number): string {
  const { time, class_uid: uid, message, device } = event
  const workspace = (device as { readonly uid?: unknown } | undefined)?.uid
  const text = (value: unknown): string => (typeof value === 'string' ? shown(value) : '')
  const at = typeof time === 'number' && Math.abs(time) < 8.64e15 ? formatInstant(time) : '?'
  return `${sequence}  ${at}  ${String(Number(uid))}  ${text(workspace)}  ${text(message)}\n`
}
