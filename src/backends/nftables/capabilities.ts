// What nftables can enforce on this machine, from what was probed. Every feature here is one that the ruleset cannot do without:
// a fence with a hole is not offered as a weaker fence.

import type { Capabilities, Probed } from '../backend.js'

/** What is probed, by trying; all of it is needed. */
export const FEATURES = ['libnftables', 'ruleset', 'conntrack', 'nflog', 'deny-floor'] as const
export type Feature = (typeof FEATURES)[number]

export function capabilities(probed: Probed): Capabilities {
  const missing = FEATURES.flatMap((feature) => {
    const probe = probed.probes.find((candidate) => candidate.feature === feature)
    return probe?.answer === 'yes' ? [] : [`${feature}: ${probe?.why ?? 'not probed'}`]
  })
  return {
    backend: 'nftables',
    usable: missing.length === 0,
    why: missing.length === 0 ? 'every feature that the ruleset needs answered' : missing.join('; '),
    trustDomain: probed.trustDomain,
    // Frames between ports of one bridge never reach the inet hooks; a cgroup has no interface.
    slots: ['veth', 'tap', 'representor'],
    protocols: ['tcp', 'udp', 'icmp-echo'],
    egress: true,
    ingress: true,
    names: true,
    quotas: false,
    storage: false,
    process: false,
    maxGrantsPerWorkspace: 100_000,
    commit: 'atomic',
    // The far side hears nothing; the workspace is reset when it next speaks.
    cutNotice: 'next-packet',
    replies: 'stateful',
    // Errors are judged by conntrack's `related`: one about a flow just cut may pass until its entry is gone.
    icmpErrors: 'lagging',
    flowState: 'conntrack',
    translated: 'reassembled',
    deadline: 'element-timeout',
    observes: true,
    sessions: true,
  }
}
