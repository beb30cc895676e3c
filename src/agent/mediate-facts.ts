// What the mediator tells, as facts of the trail.

import type { Fact, PolicyContext, WorkspaceContext } from '../audit/fact.js'
import type { Client, Told } from '../dns/events.js'
import type { NameAsked } from '../findings/sight.js'

export interface NameContext {
  readonly policy?: PolicyContext
  readonly workspace: (id: string) => WorkspaceContext
}

export const nameFacts = (events: readonly Told[], context: NameContext): readonly Fact[] =>
  events.map((event) => factOf(event, context))

function factOf(event: Told, context: NameContext): Fact {
  const { atMs, name, count, firstAtMs } = event
  const workspace = event.kind === 'evicted' ? event.workspace : (event.client.workspace ?? '')
  const base = {
    ...{ atMs, name, count, firstAtMs, workspace: context.workspace(workspace) },
    ...(context.policy ? { policy: context.policy } : {}),
    ...(event.mixed ? { mixed: true as const } : {}),
  }
  switch (event.kind) {
    case 'evicted':
      return { kind: 'name-evicted', ...base, clauses: event.clauses, address: event.address }
    case 'granted': {
      const { type, clauses, addresses, sharedWith, from: upstream, validated, heldMs, client } = event
      const granted = { type, clauses, addresses, sharedWith, upstream, validated, heldMs }
      return { kind: 'name-granted', ...base, ends: endsOf(client), ...granted }
    }
    case 'refused': {
      const { type, why: reason, rcode, addresses: withheld, other, client } = event
      const refused = { type, reason, rcode, withheld, ...(other === undefined ? {} : { other }) }
      return { kind: 'name-refused', ...base, ends: endsOf(client), ...refused }
    }
  }
}

/** A question as detectors of findings look at it. */
export const questionOf = (
  client: Client,
  name: string,
  rcode: string,
  atMs: number,
  context: NameContext,
): NameAsked => ({
  kind: 'name-asked',
  atMs,
  workspace: context.workspace(client.workspace ?? ''),
  ...(context.policy ? { policy: context.policy } : {}),
  ...{ name, rcode },
})

const endsOf = ({ address, port, server, transport }: Client) => ({
  source: address.replace(/%.*$/, ''),
  sourcePort: port,
  destination: server,
  transport,
})
