// Clauses about volumes, and the volumes that the signed inventory gives a workspace, become the storage slice of its plan.
// A path that several clauses name with one access is one rule; the order of clauses never matters.

import type { Clause, ClauseId, Policy, StorageClause, TrustDomain } from '../policy/model.js'
import { TRUST_DOMAINS } from '../policy/model.js'
import type { Capabilities } from './capabilities.js'
import type { InventoryEntry, Volume } from './inventory.js'
import type { BackendName, FileRule, StorageSlice, VolumePlan } from './model.js'
import type { Support } from './place.js'

/** The first backend of the configured order that serves files, is usable, and stands in a strong enough domain. */
export function placeStorage(
  policy: Policy | undefined,
  capabilities: readonly Capabilities[],
  order: readonly BackendName[],
): Capabilities | undefined {
  const strength = (domain: TrustDomain): number => TRUST_DOMAINS.indexOf(domain)
  return order
    .map((name) => capabilities.find((offer) => offer.backend === name))
    .find(
      (offer) =>
        offer?.storage && offer.usable && strength(offer.trustDomain) >= strength(policy?.requireDomain ?? 'host'),
    )
}

/** Can the part of a clause about files be held? A clause without a volume is about the workspace's own file system. */
export function supportsStorage(
  clause: StorageClause,
  entry: InventoryEntry,
  offer: Capabilities | undefined,
): Support {
  const no = (why: string): Support => ({ level: 'refused', why })
  if (clause.volume === undefined || !offer)
    return no('no backend here fences files; remove the clause or use a node that has one')
  if (!entry.volumes?.some(({ name }) => name === clause.volume))
    return no(
      `the inventory gives the workspace no volume ${JSON.stringify(clause.volume)}; add it there, or remove the clause`,
    )
  return { level: 'enforced', why: offer.backend }
}

export function storageSlice(
  entry: InventoryEntry,
  policy: Policy | undefined,
  offer: Capabilities | undefined,
): StorageSlice | undefined {
  if (!offer || !entry.volumes) return undefined
  const clauses = policy?.clauses ?? []
  const volumes = entry.volumes.map((volume) => ({ ...volume, rules: rulesOf(volume, clauses) }))
  return { backend: offer.backend, domain: offer.trustDomain, volumes }
}

function rulesOf({ name }: Volume, clauses: readonly Clause[]): VolumePlan['rules'] {
  const rules = new Map<string, { path: string; access: FileRule['access']; clauses: Set<ClauseId> }>()
  for (const clause of clauses) {
    if (clause.kind !== 'storage' || clause.volume !== name) continue
    const { access } = clause
    for (const path of clause.paths) {
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

/** One line a rule, for people: `read-write project:/out`. */
export const printFileRule = (volume: string, rule: FileRule): string => `${rule.access} ${volume}:${rule.path}`
