// `dns-entropy`: the names that a workspace asks look as if they carried something: many different ones under one parent whose
// labels together hold more bits than names do (a tunnel), or many that do not exist (names that a program makes up). Counts
// every question, also those that were refused: what was refused carried nothing out, and somebody tried.
// untrusted: the names.

import type { Technique } from '../audit/fact.js'
import { entropyBits } from '../dns/names.js'
import type { Detector, NameAsked, Sign } from './sight.js'
import type { FindingTerms } from './terms.js'
import { Kept, MOST_SUBJECTS, Recent, SlidingCount } from './window.js'

/** Parents of one workspace that are told apart; a tunnel asks under its own all the time, so it is never the one that goes. */
const PARENTS = 64
const SHOWN = 8

const COMMAND_AND_CONTROL = { uid: 'TA0011', name: 'Command and Control' }
const TUNNEL: Technique = {
  tactic: COMMAND_AND_CONTROL,
  technique: { uid: 'T1071', name: 'Application Layer Protocol' },
  subTechnique: { uid: 'T1071.004', name: 'DNS' },
}
const MADE_UP: Technique = {
  tactic: COMMAND_AND_CONTROL,
  technique: { uid: 'T1568', name: 'Dynamic Resolution' },
  subTechnique: { uid: 'T1568.002', name: 'Domain Generation Algorithms' },
}

/** Under one parent: names in front of it, and their labels with the bits of each. */
interface Under {
  readonly names: Recent
  readonly labels: Recent
}

interface Known {
  readonly parents: Kept<Under>
  readonly missing: Recent
  readonly asked: SlidingCount
  readonly failed: SlidingCount
}

export function dnsEntropy(terms: FindingTerms['dnsEntropy']): Detector<'dns-entropy'> {
  const { windowMs, names, missing } = terms
  const workspaces = new Kept<Known>(MOST_SUBJECTS, () => ({
    // Enough of them to be beyond the limit, and not so many that their texts are a burden.
    parents: new Kept(PARENTS, () => ({
      names: new Recent(windowMs, 4 * names),
      labels: new Recent(windowMs, 8 * names),
    })),
    missing: new Recent(windowMs, 2 * missing),
    asked: new SlidingCount(windowMs),
    failed: new SlidingCount(windowMs),
  }))
  return {
    see: (sight) => {
      if (sight.kind !== 'name-asked' || sight.workspace.workspace === '') return []
      const known = workspaces.get(sight.workspace.workspace)
      const { parent, free } = split(sight.name)
      return [
        ...(free === '' ? [] : tunnelled(sight, parent, free, known.parents.get(parent), terms)),
        ...madeUp(sight, known, terms),
      ]
    },
    forget: (workspace) => {
      workspaces.forget(workspace)
    },
  }
}

function tunnelled(
  sight: NameAsked,
  parent: string,
  free: string,
  under: Under,
  { windowMs, names, bits }: FindingTerms['dnsEntropy'],
): readonly Sign<'dns-entropy'>[] {
  const { atMs } = sight
  // The same name again carries nothing new, and neither does a label that was there before: a region, a service.
  for (const label of free.split('.')) under.labels.add(label, atMs, entropyBits(label))
  if (!under.names.add(free, atMs)) return []
  const sign = signOf(sight, parent)
  const count = under.names.size(atMs)
  const carried = Math.round(under.labels.weight())
  if (count < names || carried < bits) return [sign]
  const texts = under.names.words()
  const characters = texts.reduce((sum, word) => sum + word.length, 0)
  const evidence = {
    reason: 'labels',
    parent,
    names: count,
    bits: carried,
    mean_length: Math.round(characters / count),
    bits_per_character: (carried / Math.max(1, characters)).toFixed(2),
    last_names: texts.slice(-SHOWN).map((word) => `${word}.${parent}`),
  }
  const say = `${count} different names under ${parent} within ${windowMs / 1_000} s, ${carried} bits in their labels`
  const firstAtMs = Math.max(atMs - windowMs, under.names.firstAtMs())
  return [{ ...sign, beyond: { say, firstAtMs, count, evidence, technique: TUNNEL } }]
}

function madeUp(
  sight: NameAsked,
  known: Known,
  { windowMs, missing }: FindingTerms['dnsEntropy'],
): readonly Sign<'dns-entropy'>[] {
  const { atMs, name, rcode } = sight
  known.asked.add(atMs, 1)
  if (rcode !== 'NXDOMAIN') return []
  known.failed.add(atMs, 1)
  known.missing.add(name, atMs)
  const sign = signOf(sight, '')
  const count = known.missing.size(atMs)
  const [failed, asked] = [known.failed.total(atMs), known.asked.total(atMs)]
  if (count < missing || 2 * failed < asked) return [sign]
  const evidence = { reason: 'missing', names: count, failed, asked, last_names: known.missing.words().slice(-SHOWN) }
  const say = `${count} different names that do not exist within ${windowMs / 1_000} s, ${failed} of ${asked} questions`
  const firstAtMs = Math.max(atMs - windowMs, known.missing.firstAtMs())
  return [{ ...sign, beyond: { say, firstAtMs, count, evidence, technique: MADE_UP } }]
}

const signOf = ({ workspace, policy, atMs }: NameAsked, about: string): Sign<'dns-entropy'> => ({
  finding: 'dns-entropy',
  cause: `${workspace.workspace} ${about}`,
  atMs,
  count: 1,
  subject: { workspace, reach: [workspace.workspace], ...(policy ? { policy } : {}) },
})

/** DNS allows 253 characters (RFC 1035 section 2.3.4); whoever asks for more has asked for the first of them. */
const LONGEST = 253

/**
 * About what somebody can register, and what is in front of it. Without the list of public suffixes: two labels, or three where
 * the last two are as short as `co.uk`. A parent that is one too short only adds up names of several.
 */
export function split(name: string): { readonly parent: string; readonly free: string } {
  const labels = name.slice(0, LONGEST).toLowerCase().replace(/\.$/, '').split('.')
  const [second = '', last = ''] = labels.slice(-2)
  const own = last.length === 2 && second.length <= 3 ? 3 : 2
  return { parent: labels.slice(-own).join('.'), free: labels.slice(0, -own).join('.') }
}
