// The section `findings` of agent.yaml: what makes a finding, and what is done about each. All of it may be left out: then
// detectors look by the numbers of findings/terms.ts and nothing is done but telling. Bounds keep a number from switching a
// detector off by the back door; `reaction: off` does that by name.

import { FINDING_TERMS, REACTIONS } from '../findings/terms.js'
import type { Keys } from './config.js'
import { oneOf, seconds, whole } from './config-values.js'

const { denialBurst, newDestination, dnsEntropy, lifecycleRate, rollbackAttempt } = FINDING_TERMS
const reaction = { field: 'reaction', read: oneOf(...REACTIONS), otherwise: 'observe' }
const windowOf = (otherwise: number) => ({ field: 'windowMs', read: seconds(1, 3_600), otherwise })
const limit = (field: string, otherwise: number, most = 1_000_000) => ({ field, read: whole(1, most), otherwise })

const DENIAL_BURST_KEYS = {
  reaction,
  window_seconds: windowOf(denialBurst.windowMs),
  packets: limit('packets', denialBurst.packets),
  destinations: limit('destinations', denialBurst.destinations, 10_000),
  factor: limit('factor', denialBurst.factor, 100),
} as const satisfies Keys

const NEW_DESTINATION_KEYS = {
  reaction,
  learn_seconds: { field: 'learnMs', read: seconds(0, 604_800), otherwise: newDestination.learnMs },
} as const satisfies Keys

const DNS_ENTROPY_KEYS = {
  reaction,
  window_seconds: windowOf(dnsEntropy.windowMs),
  names: limit('names', dnsEntropy.names, 10_000),
  bits: limit('bits', dnsEntropy.bits),
  missing: limit('missing', dnsEntropy.missing, 10_000),
} as const satisfies Keys

const LIFECYCLE_RATE_KEYS = {
  reaction,
  window_seconds: windowOf(lifecycleRate.windowMs),
  calls: limit('calls', lifecycleRate.calls),
  per_workspace: limit('perWorkspace', lifecycleRate.perWorkspace),
  refused: limit('refused', lifecycleRate.refused),
} as const satisfies Keys

export const FINDINGS_KEYS = {
  cooldown_seconds: { field: 'cooldownMs', read: seconds(1, 86_400), otherwise: FINDING_TERMS.cooldownMs },
  denial_burst: { field: 'denialBurst', section: DENIAL_BURST_KEYS, otherwise: denialBurst },
  new_destination: { field: 'newDestination', section: NEW_DESTINATION_KEYS, otherwise: newDestination },
  dns_entropy: { field: 'dnsEntropy', section: DNS_ENTROPY_KEYS, otherwise: dnsEntropy },
  lifecycle_rate: { field: 'lifecycleRate', section: LIFECYCLE_RATE_KEYS, otherwise: lifecycleRate },
  rollback_attempt: { field: 'rollbackAttempt', section: { reaction }, otherwise: rollbackAttempt },
} as const satisfies Keys
