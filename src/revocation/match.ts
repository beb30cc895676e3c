// Whom an event means: its subject against the identities that the signed inventory binds to workspaces. A complex subject means every
// workspace that shares at least one of its members and contradicts none (SSF 1.0 section 3.2.1: a member that either side lacks is
// no contradiction), so a subject that leaves something open means all that it may mean.

import { type Identity, identityOf, isSubjectMember, type Subject, type SubjectMember } from '../plan/subject.js'
import { EVENTS, meaningOf } from './events.js'
import type { Deeds, Mapped, Outcome, SecurityEvent, StreamTerms } from './model.js'

/** The workspaces that are meant, in their own order. */
export const meantBy = (subject: Subject, mapped: readonly Mapped[]): readonly Mapped[] =>
  mapped.filter((entry) => (subject.kind === 'simple' ? names(subject.identities, entry) : agrees(subject, entry)))

const shares = (some: readonly Identity[], others: readonly Identity[]): boolean =>
  some.some((one) => others.includes(one))

/** A workspace is its own device, whatever else the inventory says. */
const boundTo = ({ workspace, subjects }: Mapped, member: SubjectMember): readonly Identity[] => [
  ...(subjects[member] ?? []),
  ...(member === 'device' ? [identityOf('uri', workspace), identityOf('opaque', workspace)] : []),
]

const names = (identities: readonly Identity[], entry: Mapped): boolean =>
  shares(identities, [
    ...boundTo(entry, 'device'),
    ...Object.values(entry.subjects).flatMap((bound) => [...(bound ?? [])]),
  ])

function agrees({ members }: Extract<Subject, { kind: 'complex' }>, entry: Mapped): boolean {
  let shared = 0
  for (const [member, identities] of members) {
    if (!isSubjectMember(member)) continue
    if (shares(identities, boundTo(entry, member))) shared++
    // Only what the inventory says contradicts: a workspace is known by its id everywhere, by another name of its device perhaps not.
    else if ((entry.subjects[member] ?? []).length > 0) return false
  }
  return shared > 0
}

const NOTHING: Deeds = { fence: [], agents: [], delegations: [] }

export interface Judged {
  readonly outcome: Outcome
  readonly deeds: Deeds
  /** What may be the id of a session that is over, whether or not it is here yet. */
  readonly sessionIds?: readonly string[]
}

/** What an event asks for. Of one that is about the stream itself, nothing. */
export function judge(
  event: SecurityEvent,
  subject: Subject,
  mapped: readonly Mapped[],
  { reaction, criticalMembers }: Pick<StreamTerms, 'reaction' | 'criticalMembers'>,
): Judged {
  const { name, payload } = event
  if (name === undefined) return { outcome: 'unknown', deeds: NOTHING }
  const strange =
    subject.kind === 'complex' &&
    [...subject.members.keys()].some((member) => criticalMembers.includes(member) && !isSubjectMember(member))
  if (strange) return { outcome: 'discarded', deeds: NOTHING }
  const meaning = meaningOf(name, payload, reaction)
  switch (meaning.kind) {
    case 'verification':
    case 'stream':
      return { outcome: 'stream', deeds: NOTHING }
    case 'note':
      return { outcome: meaning.alarm ? 'alarmed' : 'noted', deeds: NOTHING }
    case 'delegation': {
      const { issuer, delegationId } = meaning
      return { outcome: 'revoked', deeds: { ...NOTHING, delegations: [{ issuer, delegationId }] } }
    }
    case 'fence': {
      const fence = meantBy(subject, mapped).map(({ workspace }) => workspace)
      const agents = agentsOf(subject)
      const outcome = fence.length > 0 ? 'fenced' : agents.length > 0 ? 'revoked' : 'unmapped'
      return { outcome, deeds: { fence, agents, delegations: [] }, sessionIds: sessionIdsOf(subject) }
    }
  }
}

/** A subject that is an application and nothing else is a logical agent: it ends for good, wherever it runs. */
function agentsOf(subject: Subject): readonly string[] {
  if (subject.kind !== 'complex' || subject.members.size !== 1) return []
  return named(subject.members.get('application') ?? [])
}

/** A simple subject does not say of what kind it is. */
const sessionIdsOf = (subject: Subject): readonly string[] =>
  named(subject.kind === 'simple' ? subject.identities : (subject.members.get('session') ?? []))

const named = (identities: readonly Identity[]): readonly string[] =>
  identities.flatMap((identity) => {
    const { format, id, uri } = JSON.parse(identity) as { format: string; id?: string; uri?: string }
    const name = format === 'opaque' ? id : format === 'uri' ? uri : undefined
    return name === undefined ? [] : [name]
  })

/** Types about the stream itself: any transmitter sends them. */
export const isOfStream = (type: string): boolean =>
  type === EVENTS.verification.uri || type === EVENTS['stream-updated'].uri
