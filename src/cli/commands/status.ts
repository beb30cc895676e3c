// `sluice status`: what is on record and what was read back, side by side. `active` is said only of what the kernel shows.

import { formatInstant } from '../../bundle/instant.js'
import { isClosed } from '../../plan/closed.js'
import type { PlanSource } from '../../plan/model.js'
import type { Context, Declared } from '../frame.js'
import type { NodeStatus } from '../host.js'
import { withNode } from '../node.js'
import { facts, type Ink, shown, table } from '../print.js'
import { streamTable } from './stream-table.js'

const STATES = {
  nothing: ['yellow', 'nothing was ever active on this node'],
  closed: ['yellow', 'no bundle is active: everything is denied, read back just now'],
  active: ['green', 'active, read back just now'],
  absent: ['red', 'on record, but nothing of it is there; apply the bundle again'],
  lost: ['red', 'what carries it cannot be asked; it stays as it was, or denies, and is asked again'],
  drifted: ['red', 'what is there differs from the record; apply the bundle again'],
} as const satisfies Record<NodeStatus['state'], readonly [Ink, string]>

export const status: Declared = {
  usage: 'status',
  summary: 'show what is live on this node',
  examples: ['sluice status', 'sluice status --config /etc/sluice/agent.yaml --json'],
  declare: (command) => command.option('--config <file>', 'agent.yaml of this node'),
  run: (context, _positional, options) =>
    withNode(context, { config: options.config as string | undefined, exclusive: false }, async (node, config) => {
      const seen = await node.status()
      return { json: { node: config.node, ...seen }, text: describe(context, config.node, seen) }
    }),
}

const bundleOf = ({ bundleId, policyRevision, channel }: PlanSource): string =>
  `${bundleId}, revision ${policyRevision}, channel ${channel}`

function describe({ host, paint }: Context, node: string, seen: NodeStatus): string {
  const [ink, words] = STATES[seen.state]
  const { live } = seen
  const expired = live && host.nowMs() >= live.source.expiresAtMs ? paint('red', ' (expired)') : ''
  const head = facts([
    ['node', node],
    ['state', seen.state],
    ...(live
      ? ([
          ['bundle', isClosed(live.source) ? '(none)' : bundleOf(live.source)],
          ['generation', String(live.generation)],
          ['plan', live.planDigest],
          ['since', formatInstant(live.decidedAtMs)],
          ['valid until', isClosed(live.source) ? 'a bundle is applied' : formatInstant(live.source.expiresAtMs)],
        ] as const)
      : []),
  ])
  const workspaces =
    seen.workspaces.length === 0
      ? ''
      : `\n${table(
          ['workspace', 'slot', 'backend', 'domain', 'policy', 'grants', 'flags'],
          seen.workspaces.map((entry) => [
            entry.workspace,
            entry.interface,
            entry.backend,
            entry.domain,
            entry.policy ?? '(none: everything denied)',
            String(entry.grants),
            [...entry.flags, ...(entry.observedUntilMs === undefined ? [] : ['OBSERVED'])].join(', ') || '-',
          ]),
        )}`
  const served = seen.workspaces.flatMap(({ workspace, volumes = [] }) => volumes.map((at) => ({ workspace, at })))
  const volumes =
    served.length === 0
      ? ''
      : `\n${table(
          ['workspace', 'volume', 'backend', 'mount', 'rules', 'open files', 'state'],
          served.map(({ workspace, at }) => [
            ...[workspace, at.name, at.backend, shown(at.mount)],
            ...[String(at.rules), String(at.openFiles ?? 'uncounted'), at.state],
          ]),
        )}`
  const sinks =
    seen.sinks === undefined || seen.sinks.length === 0
      ? ''
      : `\n${table(
          ['sink', 'kind', 'state', 'through', 'lag', 'delivered', 'refused', 'discarded', 'error'],
          seen.sinks.map((at) => [
            ...[at.name, at.kind, at.state, String(at.sequence), String(at.lag), String(at.delivered)],
            ...[String(at.dead), String(at.discarded), at.error === undefined ? '-' : shown(at.error)],
          ]),
        )}`
  const streams = seen.streams === undefined || seen.streams.length === 0 ? '' : `\n${streamTable(seen.streams)}`
  const observed = seen.workspaces
    .flatMap(({ workspace, observedUntilMs }) =>
      observedUntilMs === undefined
        ? []
        : [
            `${paint('red', 'NOT DENIED BY DEFAULT')}: ${workspace} is observed until ${formatInstant(observedUntilMs)}; what nothing grants is let through and reported\n`,
          ],
    )
    .join('')
  const quarantines = seen.quarantines
    .map(
      (entry) => `quarantined: ${entry.workspace} since ${formatInstant(entry.atMs)} by ${entry.by}: ${entry.reason}\n`,
    )
    .join('')
  const sessions = (seen.sessions ?? [])
    .map(
      (at) =>
        `session ${shown(at.sessionId)}: ${shown(at.user)} from ${at.peer} in ${at.workspace} until ${formatInstant(at.expiresAtMs)}\n`,
    )
    .join('')
  const findings = (seen.findings ?? [])
    .map(
      (at) =>
        `finding ${at.uid}: ${at.finding} of ${shown(at.cause)}, ${at.count} since ${formatInstant(at.firstAtMs)} (${at.reaction})\n`,
    )
    .join('')
  const drops = Object.entries(seen.drops).map(([reason, count]) => `${reason} ${count}`)
  return [
    `${paint(ink, words)}${expired}\n`,
    head,
    observed === '' ? '' : `\n${observed}`,
    workspaces,
    volumes,
    sinks,
    streams,
    quarantines === '' ? '' : `\n${quarantines}`,
    sessions === '' ? '' : `\n${sessions}`,
    findings === '' ? '' : `\n${findings}`,
    seen.drift.map((finding) => `drift: ${finding}\n`).join(''),
    seen.unfinished ? 'an apply was cut short; the next one settles it\n' : '',
    drops.length === 0 ? '' : `denied packets: ${drops.join(', ')}\n`,
    seen.refused.length === 0
      ? ''
      : `refused before: ${seen.refused.map((entry) => `${entry.code} at ${formatInstant(entry.atMs)}`).join(', ')}\n`,
  ].join('')
}
