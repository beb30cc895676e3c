// Clauses about processes become the process slice of a workspace's plan: what may run, as whom, and what is looked for in what
// runs. Two backends may share it: one that blocks before something runs, one that tells of what ran. `binaries` of a network
// rule are no part of it: they say who may connect, not what may run, and stay a dimension of their clause.

import { isDigest } from '../base/digest.js'
import type { Policy, ProcessClause, TrustDomain } from '../policy/model.js'
import { SUSPECT_ACTIVITIES, TRUST_DOMAINS } from '../policy/model.js'
import type { Capabilities, ProcessOffer } from './capabilities.js'
import type { InventoryEntry } from './inventory.js'
import type { BackendName, Executable, ProcessCarrier, ProcessSlice } from './model.js'
import type { Support } from './place.js'

interface Offered {
  readonly backend: BackendName
  readonly domain: TrustDomain
  readonly offer: ProcessOffer
}
export interface PlacedProcess {
  readonly blocks?: Offered
  readonly detects?: Offered
}

/** Of each half the first backend of the configured order that is usable, knows the slot and stands in a strong enough domain. */
export function placeProcess(
  entry: InventoryEntry,
  policy: Policy | undefined,
  capabilities: readonly Capabilities[],
  order: readonly BackendName[],
): PlacedProcess {
  const strength = (domain: TrustDomain): number => TRUST_DOMAINS.indexOf(domain)
  const offers = order.flatMap((name): Offered[] => {
    const found = capabilities.find(({ backend }) => backend === name)
    const offer = found?.usable ? found.process : false
    if (found === undefined || offer === false || !offer.slots.includes(entry.slot.kind)) return []
    if (strength(found.trustDomain) < strength(policy?.requireDomain ?? 'host')) return []
    return [{ backend: name, domain: found.trustDomain, offer }]
  })
  const blocks = offers.find(({ offer }) => offer.exec === 'blocks')
  const detects = offers.find(({ offer }) => offer.exec === 'detects')
  return { ...(blocks ? { blocks } : {}), ...(detects ? { detects } : {}) }
}

/** What is held of a process clause. `delegate: process` leaves to the runtime what nothing here blocks or detects. */
export function supportsProcess(
  clause: ProcessClause,
  policy: Policy | undefined,
  { blocks, detects }: PlacedProcess,
): Support {
  const missing = (why: string): Support =>
    policy?.delegate.includes('process') && clause.losses.length === 0
      ? { level: 'delegated', why: `left to the runtime inside the workspace; ${why}` }
      : { level: 'refused', why: `${why}; remove the clause, add \`process\` to delegate, or use a node that has one` }
  const told = (by: Offered, what: string): Support => ({
    level: 'detected',
    why: `${by.backend} tells of ${what}${AFTER[clause.reaction]}, and stops nothing beforehand`,
  })
  if (clause.rule === 'exec') {
    const pinned = clause.values.some((value) => value.includes('@'))
    if (blocks && (!pinned || blocks.offer.digests)) return { level: 'enforced', why: blocks.backend }
    if (detects && (!pinned || detects.offer.digests)) return told(detects, 'what runs')
    return missing('no backend here fences processes')
  }
  if (clause.rule === 'activity') {
    const unseen = clause.values.filter((kind) => !detects?.offer.activities.some((known) => known === kind))
    if (detects && unseen.length === 0) return told(detects, clause.values.join(', '))
    return missing(`no backend here detects ${unseen.join(', ')}`)
  }
  const uids = uidsOf(clause)
  return detects?.offer.users && uids !== undefined ? told(detects, 'users') : missing('no backend here sees users')
}

const AFTER = { observe: '', quarantine: ', then quarantines', kill: ', then kills' } as const

/** The numbers that a user clause is about; undefined where it has names or groups, which only the workspace can resolve. */
function uidsOf({ values }: ProcessClause): readonly number[] | undefined {
  const uids = values.map((value) => /^user:(\d{1,10})$/.exec(value)?.[1])
  return uids.every((uid) => uid !== undefined) ? uids.map(Number) : undefined
}

export function processSlice(policy: Policy | undefined, placed: PlacedProcess): ProcessSlice | undefined {
  const clauses = policy?.clauses.filter((clause): clause is ProcessClause => clause.kind === 'process') ?? []
  const held = clauses.filter((clause) => {
    const { level } = supportsProcess(clause, policy, placed)
    return level === 'enforced' || level === 'detected'
  })
  if (held.length === 0) return undefined
  const of = (rule: ProcessClause['rule']) => held.find((clause) => clause.rule === rule)
  const [exec, user, activity] = [of('exec'), of('user'), of('activity')]
  const carrier = ({ backend, domain }: Offered): ProcessCarrier => ({ backend, domain })
  // What blocks is asked only for what may run.
  const blocks = exec ? placed.blocks : undefined
  return {
    ...(blocks ? { blocks: carrier(blocks) } : {}),
    ...(placed.detects ? { detects: carrier(placed.detects) } : {}),
    ...(exec
      ? { exec: { clause: exec.id, reaction: exec.reaction, allow: exec.values.map(executableOf).sort(byName) } }
      : {}),
    ...(user ? { users: { clause: user.id, uids: uidsOf(user) ?? [] } } : {}),
    ...(activity
      ? {
          activities: {
            clause: activity.id,
            reaction: activity.reaction,
            kinds: SUSPECT_ACTIVITIES.filter((kind) => activity.values.includes(kind)),
          },
        }
      : {}),
  }
}

function executableOf(value: string): Executable {
  const [path = '', digest] = value.split('@')
  return { path, ...(digest !== undefined && isDigest(digest) ? { digest } : {}) }
}

const nameOf = ({ path, digest }: Executable): string => `${path}@${digest ?? ''}`
const byName = (a: Executable, b: Executable): number => (nameOf(a) < nameOf(b) ? -1 : 1)

/** May something run that might not before? */
export function widensProcess(before: ProcessSlice | undefined, after: ProcessSlice | undefined): boolean {
  const was = before?.exec
  if (!was) return false
  if (!after?.exec) return true
  const had = new Set(was.allow.map(nameOf))
  return after.exec.allow.some((one) => !had.has(nameOf(one)))
}

/** `exec /usr/bin/git`, `exec /usr/bin/node sha256:...`, `user 1000`, `detect reverse-shell: quarantine`; a line each. */
export const printProcess = ({ exec, users, activities }: ProcessSlice): readonly string[] => [
  ...(exec?.allow ?? []).map(({ path, digest }) => `exec ${path}${digest === undefined ? '' : ` ${digest}`}`),
  ...(exec ? [`exec anything else: ${exec.reaction}`] : []),
  ...(users?.uids ?? []).map((uid) => `user ${uid}`),
  ...(activities?.kinds ?? []).map((kind) => `detect ${kind}: ${activities?.reaction ?? 'observe'}`),
]

/** `bpf-lsm blocks, exec-sensor detects`. */
export const printCarriers = ({ blocks, detects }: ProcessSlice): string =>
  [...(blocks ? [`${blocks.backend} blocks`] : []), ...(detects ? [`${detects.backend} detects`] : [])].join(', ')
