// What `memory` can do: everything that `evaluate` means, exactly, on nothing. It is never picked unless it is named.

import type { Capabilities, Probed } from '../backend.js'

export const memoryCapabilities = (probed: Probed): Capabilities => ({
  backend: 'memory',
  usable: true,
  why: 'judges packets in this process; no interface is fenced by it',
  trustDomain: probed.trustDomain,
  slots: ['veth', 'tap', 'representor', 'bridge-port', 'cgroup'],
  protocols: ['tcp', 'udp', 'icmp-echo'],
  egress: true,
  ingress: true,
  names: true,
  quotas: false,
  storage: false,
  process: false,
  maxGrantsPerWorkspace: 1_100_000,
  commit: 'atomic',
  cutNotice: 'immediate',
  replies: 'stateful',
  icmpErrors: 'exact',
  flowState: 'exact',
  deadline: 'none',
  observes: true,
  sessions: true,
})
