// What doca-argus can do on this machine, from what was probed. It detects and never blocks; it sees machines behind functions of the
// card. Its domain is `host`, the weakest claim, because nothing here proves who can write to the files that it reads.

import type { Capabilities, Probed } from '../backend.js'

export function argusCapabilities(probed: Probed): Capabilities {
  const found = probed.probes.find(({ feature }) => feature === 'records')
  const usable = found?.answer === 'yes'
  return {
    backend: 'doca-argus',
    usable,
    why: usable ? 'records of DOCA Argus are read and judged' : `records: ${found?.why ?? 'nobody asked'}`,
    trustDomain: probed.trustDomain,
    slots: [],
    protocols: [],
    egress: false,
    ingress: false,
    names: false,
    quotas: false,
    storage: false,
    process: {
      exec: 'detects',
      slots: ['representor'],
      activities: ['memory-only', 'reverse-shell', 'shell', 'shell-history'],
      users: true,
      digests: true,
    },
    maxGrantsPerWorkspace: 0,
    commit: 'atomic',
    cutNotice: 'next-packet',
    replies: 'stateless',
    icmpErrors: 'dropped',
    flowState: 'none',
    deadline: 'none',
  }
}
