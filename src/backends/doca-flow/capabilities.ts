// What the DOCA Flow backend can enforce on this machine, from what was probed. `place` alone decides from it.

import type { Capabilities, Probed } from '../backend.js'
import { roomOf } from './room.js'

/** Without these there is no fence. */
const NEEDED: readonly string[] = ['library', 'device', 'ipv6', 'bridge']
/** With a no to one of these the card's traffic does not come by the fence. */
const NEEDED_OF_CARD: readonly string[] = ['card', 'mode', 'eswitch']

/** Grants of one workspace for which the driver reserves room; a device publishes no ceiling. */
export const MAX_GRANTS = 100_000

export function docaCapabilities(probed: Probed): Capabilities {
  const missing = probed.probes.find(
    ({ feature, answer }) =>
      (NEEDED.includes(feature) && answer !== 'yes') || (NEEDED_OF_CARD.includes(feature) && answer === 'no'),
  )
  const updates = probed.probes.some((probe) => probe.feature === 'update' && probe.answer === 'yes')
  const sampled = probed.probes.some(({ feature, answer }) => feature === 'samples' && answer === 'yes')
  const tracking = probed.probes.some(({ feature, answer }) => feature === 'tracking' && answer === 'yes')
  return {
    backend: 'doca-flow',
    usable: missing === undefined,
    why: missing ? `${missing.feature}: ${missing.why}` : 'representors are judged by pipes of the DPU',
    trustDomain: probed.trustDomain,
    slots: ['representor'],
    protocols: ['tcp', 'udp', 'icmp-echo'],
    egress: true,
    ingress: true,
    names: true,
    quotas: false,
    storage: false,
    process: false,
    maxGrantsPerWorkspace: MAX_GRANTS,
    ...(probed.limits ? { room: roomOf(probed.limits) } : {}),
    // Without an update a workspace's parent entry is taken away before the new one is there: closed in between.
    commit: updates ? 'make-before-break' : 'lossy',
    cutNotice: 'next-packet',
    // Only what has ports is tracked.
    replies: tracking ? 'stateful' : 'stateless',
    icmpErrors: 'dropped',
    flowState: tracking ? 'ports' : 'none',
    deadline: 'none',
    refusals: 'silent',
    denials: sampled ? 'unallowed' : 'counted',
    lifetime: 'process',
  }
}
