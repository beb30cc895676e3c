// Clauses about volumes, and the volumes that the signed inventory gives a workspace, become the storage slice of its plan.
// A path that several clauses name with one access is one rule; the order of clauses never matters. Paths of OpenShell's
// `filesystem_policy` that lie on a volume are granted there, beside what the FencePolicy grants; what it denies stays denied.

import type { Clause, ClauseId, Dimension, Policy, StorageClause, TrustDomain } from '../policy/model.js'
import { TRUST_DOMAINS } from '../policy/model.js'
import type { Capabilities } from './capabilities.js'
import type { InventoryEntry, Volume } from './inventory.js'
import type { BackendName, FileRule, StorageSlice, VolumePlan } from './model.js'
import { type Support, supportsLoss } from './place.js'
import { coveredBy } from './workspace-paths.js'

/** The first backend of the configured order that fences files of this slot, is usable, and stands in a strong enough domain. */
export function placeStorage(
  { slot }: InventoryEntry,
  policy: Policy | undefined,
  capabilities: readonly Capabilities[],
  order: readonly BackendName[],
): Capabilities | undefined {
  const strength = (domain: TrustDomain): number => TRUST_DOMAINS.indexOf(domain)
  return order
    .map((name) => capabilities.find((offer) => offer.backend === name))
    .find(
      (offer) =>
        offer?.storage &&
        offer.usable &&
        (offer.storageSlots?.includes(slot.kind) ?? true) &&
        strength(offer.trustDomain) >= strength(policy?.requireDomain ?? 'host'),
    )
}

/** What a guarantee says about a clause as it stands, or about a dimension of it. */
export type StorageSupport = Support & { readonly dimension?: Dimension }

/** Can a clause about files be held? A clause without a volume is about the workspace's own file system. */
export const supportsStorage = (
  clause: StorageClause,
  entry: InventoryEntry,
  offer: Capabilities | undefined,
  policy: Policy,
): readonly StorageSupport[] =>
  clause.volume === undefined
    ? supportsOwnFiles(clause, entry, offer, policy)
    : [supportsVolume(clause.volume, clause.openFiles, entry, offer)]

function supportsVolume(
  volume: string,
  openFiles: StorageClause['openFiles'],
  entry: InventoryEntry,
  offer: Capabilities | undefined,
): Support {
  const no = (why: string): Support => ({ level: 'refused', why })
  if (!offer) return no('no backend here fences files; remove the clause or use a node that has one')
  const held = entry.volumes?.find(({ name }) => name === volume)
  if (!held)
    return no(
      `the inventory gives the workspace no volume ${JSON.stringify(volume)}; add it there, or remove the clause`,
    )
  if (offer.volumes === 'functions' && !held.function)
    return no(
      `${offer.backend} serves by functions of a card, and the inventory names none for the volume ${JSON.stringify(volume)}; add \`function\` there`,
    )
  // What is open is judged again there, whatever the clause leaves alone.
  if (offer.storageSlots) return { level: 'enforced', why: `${offer.backend}: ${WHERE_IT_LIES}` }
  // A card reads and writes for its guest, so that there every octet is judged whatever the policy leaves alone.
  const lasts = openFiles !== undefined && offer.volumes !== 'functions'
  return { level: 'enforced', why: lasts ? `${offer.backend}: ${OPEN_LASTS}` : heldBy(offer) }
}

/** What judging files where they lie gives up, in the words of `sluice plan`. */
export const WHERE_IT_LIES = 'where its files lie; that a name is there can be learnt'

/** A card is no product that somebody else stands for, and the report says what it is. */
const heldBy = (offer: Capabilities): string =>
  offer.volumes === 'functions' ? `${offer.backend}: ${offer.why}` : offer.backend

/** What `until-closed` gives up, in the words of `sluice plan`. */
export const OPEN_LASTS = 'when a file is opened; what is open stays open until it is closed, also in quarantine'

/** The volumes that a backend can bring to the workspace: a card only those that have a function. */
const servedBy = (offer: Capabilities | undefined, { volumes = [] }: InventoryEntry): readonly Volume[] =>
  offer === undefined ? [] : offer.volumes === 'functions' ? volumes.filter((one) => one.function) : volumes

/** Of the workspace's own paths, those on a volume are held from outside, and the rest is the runtime's to hold or nobody's. */
function supportsOwnFiles(
  clause: StorageClause,
  entry: InventoryEntry,
  offer: Capabilities | undefined,
  policy: Policy,
): readonly StorageSupport[] {
  const covered = clause.paths.map((path) => ({ path, ...coveredBy(path, servedBy(offer, entry)) }))
  const held = covered.flatMap(({ path, on }) => on.map((at) => `${path} is ${at.volume.name}:${at.path}`))
  const outside = covered.flatMap((one) => (one.outside ? [one.path] : []))
  return [
    ...(offer && held.length > 0 ? [{ level: 'enforced' as const, why: `${offer.backend}: ${some(held)}` }] : []),
    ...(outside.length === 0 ? [] : clause.losses).map(({ dimension, what, widenedTo }) => {
      const support =
        held.length === 0
          ? supportsLoss(dimension, what, widenedTo, policy)
          : supportsLoss(dimension, `${what} of ${some(outside)}`, 'every path that is on no volume', policy)
      return { dimension, ...support, ...(offer?.storageSlots ? { why: `${support.why}; ${offBy(offer)}` } : {}) }
    }),
  ]
}

/** Where files are judged as they lie, why these are not, and what would make them. */
const offBy = ({ backend }: Capabilities): string =>
  `${backend} judges what lies on volumes: to have it held, give the directory as one, with \`at\`, in the inventory`

/** As many as a line has room for. */
const SHOWN = 4
const some = (list: readonly string[]): string =>
  list.length <= SHOWN ? list.join(', ') : `${list.slice(0, SHOWN).join(', ')} and ${list.length - SHOWN} more`

export function storageSlice(
  entry: InventoryEntry,
  policy: Policy | undefined,
  offer: Capabilities | undefined,
): StorageSlice | undefined {
  if (!offer || !entry.volumes) return undefined
  const clauses = policy?.clauses ?? []
  const volumes = servedBy(offer, entry).map((volume) => ({
    ...{ ...volume, rules: rulesOf(volume, clauses) },
    ...(offer.volumes !== 'functions' &&
    clauses.some((clause) => clause.kind === 'storage' && clause.volume === volume.name && clause.openFiles)
      ? { openFiles: 'until-closed' as const }
      : {}),
  }))
  return { backend: offer.backend, domain: offer.trustDomain, volumes }
}

function rulesOf(volume: Volume, clauses: readonly Clause[]): VolumePlan['rules'] {
  const rules = new Map<string, { path: string; access: FileRule['access']; clauses: Set<ClauseId> }>()
  for (const clause of clauses) {
    if (clause.kind !== 'storage') continue
    const { access } = clause
    for (const path of pathsOn(volume, clause)) {
      // No path has a NUL in it, so this order is by path and then access.
      const key = `${path}\0${access}`
      const held = rules.get(key) ?? { path, access, clauses: new Set() }
      rules.set(key, held)
      held.clauses.add(clause.id)
    }
  }
  return [...rules]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, rule]) => ({ ...rule, clauses: [...rule.clauses].sort() }))
}

/** What a clause says about one volume, as paths from its root. */
function pathsOn(volume: Volume, clause: StorageClause): readonly string[] {
  if (clause.volume !== undefined) return clause.volume === volume.name ? clause.paths : []
  return clause.paths.flatMap((path) => coveredBy(path, [volume]).on.map((at) => at.path))
}

/** One line a rule, for people: `read-write project:/out`. */
export const printFileRule = (volume: string, rule: FileRule): string => `${rule.access} ${volume}:${rule.path}`
