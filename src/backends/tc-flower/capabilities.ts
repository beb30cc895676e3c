// What tc-flower can enforce on this machine, from what was probed. `place` alone decides from it. Two ways of running: in
// hardware, where a filter that the device does not take is a refusal, and in software, which the configuration has to ask for.

import type { Capabilities, Probed } from '../backend.js'

/** Grants of one workspace; a range of ports or a second address of the workspace makes several filters of one. */
export const MAX_GRANTS = 100_000

/** Without these there is no fence. */
const NEEDED: readonly string[] = ['library', 'offload', 'classifier']

export function flowerCapabilities(probed: Probed): Capabilities {
  const missing = NEEDED.map(
    (feature) =>
      probed.probes.find((probe) => probe.feature === feature) ?? { feature, answer: 'no', why: 'it was not asked' },
  ).find(({ answer }) => answer !== 'yes')
  const software = probed.probes.some(({ feature, answer }) => feature === 'hardware' && answer === 'no')
  return {
    backend: 'tc-flower',
    usable: missing === undefined,
    why: missing
      ? `${missing.feature}: ${missing.why}`
      : software
        ? 'in software, as the configuration asks: filters of the kernel, and no hardware'
        : 'filters in the hardware of the switch',
    trustDomain: probed.trustDomain,
    slots: software ? ['representor', 'veth', 'tap'] : ['representor'],
    protocols: ['tcp', 'udp', 'icmp-echo'],
    egress: true,
    ingress: true,
    names: true,
    quotas: false,
    storage: false,
    process: false,
    maxGrantsPerWorkspace: MAX_GRANTS,
    commit: 'make-before-break',
    cutNotice: 'next-packet',
    replies: 'stateless',
    icmpErrors: 'dropped',
    flowState: 'none',
    unsound: 'as-read',
    deadline: 'none',
    refusals: 'silent',
    denials: 'counted',
  }
}
