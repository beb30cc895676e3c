// What vaultfs can enforce on this machine, from what was probed. It fences files and nothing else: `place` never gives it
// traffic, because it knows no slot.

import type { Capabilities, Probed } from '../backend.js'

/** Without these there is no fence: the daemon, FUSE, and paths that are resolved beneath a root. */
const NEEDED: readonly string[] = ['daemon', 'fuse', 'resolve-beneath', 'root']

export function vaultfsCapabilities(probed: Probed): Capabilities {
  const missing = NEEDED.map((feature) => ({
    feature,
    found: probed.probes.find((probe) => probe.feature === feature),
  })).find(({ found }) => found?.answer !== 'yes')
  return {
    backend: 'vaultfs',
    usable: missing === undefined,
    why: missing
      ? `${missing.feature}: ${missing.found?.why ?? 'nobody asked'}`
      : 'volumes are served by a daemon that judges every operation',
    trustDomain: probed.trustDomain,
    slots: [],
    protocols: [],
    egress: false,
    ingress: false,
    names: false,
    quotas: false,
    storage: true,
    process: false,
    maxGrantsPerWorkspace: 0,
    commit: 'atomic',
    cutNotice: 'immediate',
    replies: 'stateless',
    icmpErrors: 'dropped',
    flowState: 'none',
    deadline: 'exact',
  }
}
