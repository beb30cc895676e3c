// DNS Activity (4003) for what the mediator did: Query for a question that was refused, Response for an answer whose addresses
// became grants, and Network Activity's sibling for a grant that made room. untrusted: names, types and addresses.

import { formatIp, parseIp } from '../../base/ip.js'
import type { FactOf, NameFact, QuestionEnds } from '../fact.js'
import { bundleNumbers, bundlePolicy, endpoint, unmapped, wordList, workspaceDevice } from './attributes.js'
import { CLASS, type Draft, type Members, present, SEVERITY, whole, words } from './event.js'

const RCODE_ID = { NOERROR: 0, SERVFAIL: 2, REFUSED: 5 } as const
/** Reasons behind which somebody may be trying the fence. */
const ATTEMPTS: ReadonlySet<string> = new Set(['budget', 'bad-name', 'public-resolver', 'stripped', 'chain'])

export const refusedNameDraft = (fact: FactOf<'name-refused'>): Draft => {
  const reason = words(fact.reason) ?? 'unknown'
  return draft(fact, 1, ATTEMPTS.has(fact.reason) ? SEVERITY.high : SEVERITY.medium, {
    status_id: 2,
    action_id: 2,
    disposition_id: 25, // Rejected
    status_code: reason,
    message: `name refused: ${words(fact.name) ?? 'unknown'} ${words(fact.type) ?? ''}: ${reason}`,
    ...ends(fact.ends),
    query: query(fact.name, fact.type),
    rcode_id: RCODE_ID[fact.rcode],
    unmapped: unmapped({
      ...(fact.policy ? bundleNumbers(fact.policy) : {}),
      mixed_names: fact.mixed,
      withheld: fact.withheld.length > 0 ? wordList(fact.withheld) : undefined,
      shared_with: words(fact.other),
    }),
  })
}

export const grantedNameDraft = (fact: FactOf<'name-granted'>): Draft =>
  draft(fact, 2, SEVERITY.informational, {
    status_id: 1,
    action_id: 1,
    disposition_id: 1,
    message: `name granted: ${words(fact.name) ?? 'unknown'} ${words(fact.type) ?? ''}`,
    ...ends(fact.ends),
    query: query(fact.name, fact.type),
    answers: answers(fact),
    rcode_id: RCODE_ID.NOERROR,
    unmapped: unmapped({
      ...(fact.policy ? bundleNumbers(fact.policy) : {}),
      clauses: wordList(fact.clauses),
      upstream: words(fact.upstream),
      validated: fact.validated,
      held_us: whole(fact.heldMs * 1000),
      shared_with: fact.sharedWith.length > 0 ? wordList(fact.sharedWith) : undefined,
    }),
  })

/** No question and no answer of its own: a Traffic event about the name whose grant ended before its time. */
export const evictedNameDraft = (fact: FactOf<'name-evicted'>): Draft =>
  draft(fact, 99, SEVERITY.low, {
    activity_name: 'Eviction',
    status_id: 1,
    action_id: 2,
    disposition_id: 2, // Blocked: no new connection begins by it
    status_code: 'evicted',
    message: `grant of ${words(fact.name) ?? 'unknown'} made room: ${words(fact.address) ?? 'unknown'}`,
    dst_endpoint: endpoint(fact.address, undefined),
    query: query(fact.name, ''),
    unmapped: unmapped({ ...(fact.policy ? bundleNumbers(fact.policy) : {}), clauses: wordList(fact.clauses) }),
  })

const draft = (fact: NameFact, activityId: number, severityId: number, members: Members): Draft => ({
  classUid: CLASS.dnsActivity,
  activityId,
  severityId,
  log: 'sluice.enforcement',
  profiles: ['security_control', 'host'],
  members: {
    device: workspaceDevice(fact.workspace),
    policy: fact.policy && bundlePolicy(fact.policy, true),
    count: whole(fact.count),
    start_time: whole(fact.firstAtMs),
    end_time: whole(fact.atMs),
    ...members,
  },
})

const ends = (question: QuestionEnds): Members => ({
  src_endpoint: endpoint(question.source, question.sourcePort),
  dst_endpoint: endpoint(question.destination, 53),
  connection_info: { direction_id: 2, protocol_num: question.transport === 'tcp' ? 6 : 17 },
})

const query = (name: string, type: string): Members =>
  present({ hostname: words(name) ?? 'unknown', type: words(type), class: 'IN' })

function answers({ addresses, type }: FactOf<'name-granted'>): Members[] | undefined {
  const list = addresses.flatMap(({ address, ttlSeconds }) => {
    const ip = parseIp(address)
    return ip ? [present({ rdata: formatIp(ip), ttl: whole(ttlSeconds), type: words(type), class: 'IN' })] : []
  })
  return list.length === 0 ? undefined : list
}
