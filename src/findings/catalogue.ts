// What is said of each kind of finding, whatever gave cause for it: title, how bad, how sure, and what a person does next. A row
// a kind, so that a kind without a row does not compile; the confidence is that of a heuristic.

import type { FactOf } from '../audit/fact.js'
import type { FindingKind } from './terms.js'

export type FindingText = Pick<FactOf<'finding'>, 'title' | 'severity' | 'confidence' | 'remedy'>

export const CATALOGUE: { readonly [K in FindingKind]: FindingText } = {
  'denial-burst': {
    title: 'A workspace is refused far more often than usual',
    severity: 'medium',
    confidence: 'medium',
    remedy:
      'Look at the refused destinations. What the workspace needs goes into its policy; a scan is a reason to quarantine it and to look at what it runs.',
  },
  'new-destination': {
    title: 'An observed workspace goes to a destination that is new',
    severity: 'low',
    confidence: 'medium',
    remedy:
      'Decide whether the destination belongs into the policy before observing ends; if it does not, end observing.',
  },
  'dns-entropy': {
    title: 'Names that a workspace asks for look like a channel',
    severity: 'high',
    confidence: 'medium',
    remedy:
      'Look at the names. Narrow the wildcard that lets them out, quarantine the workspace, and ask the owner of the parent domain.',
  },
  'lifecycle-rate': {
    title: 'A caller drives workspaces at an unusual rate',
    severity: 'medium',
    confidence: 'medium',
    remedy:
      'Find out what the caller does. If its key is not in its own hands, take it out of agent.yaml and withdraw its certificate.',
  },
  'rollback-attempt': {
    title: 'Somebody tried to move this node back to something older',
    severity: 'critical',
    confidence: 'high',
    remedy:
      'Nothing changed on this node. Find out who can write to the channel, and compare its releases with what was signed.',
  },
}
