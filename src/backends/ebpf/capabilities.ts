// What the eBPF backend can enforce on this machine, from what was probed. `place` alone decides from it.

import type { Capabilities, Probed } from '../backend.js'
import { FLOWS } from './layout.js'

/** Without these there is no fence. Everything else only costs something, which the probe's `why` says. */
const NEEDED: readonly string[] = ['program', 'bpffs', 'library']

export function ebpfCapabilities(probed: Probed): Capabilities {
  const missing = probed.probes.find((probe) => NEEDED.includes(probe.feature) && probe.answer !== 'yes')
  const cgroup = probed.probes.some((probe) => probe.feature === 'cgroup' && probe.answer === 'yes')
  return {
    backend: 'ebpf',
    usable: missing === undefined,
    why: missing
      ? `${missing.feature}: ${missing.why}`
      : `the fence program loads; interfaces are judged in both directions at tc; a workspace has ${FLOWS.least} to ${FLOWS.most} flows, by how many there are, and what finds no room is refused`,
    trustDomain: probed.trustDomain,
    slots: cgroup ? ['veth', 'tap', 'bridge-port', 'cgroup'] : ['veth', 'tap', 'bridge-port'],
    protocols: ['tcp', 'udp', 'icmp-echo'],
    egress: true,
    ingress: true,
    names: true,
    quotas: false,
    storage: false,
    process: false,
    maxGrantsPerWorkspace: 1_100_000,
    commit: 'atomic',
    cutNotice: 'next-packet',
    replies: 'stateful',
    icmpErrors: 'exact',
    flowState: 'exact',
    deadline: 'exact',
    observes: true,
    sessions: true,
  }
}
