// What exec-sensor can do on this machine, from what was probed: it tells of what runs in workspaces that are cgroups, after it began,
// and stops nothing.

import type { Capabilities, Probed } from '../backend.js'

const NEEDED: readonly string[] = ['library', 'btf', 'cgroup']

export function sensorCapabilities(probed: Probed): Capabilities {
  const missing = NEEDED.map((feature) => ({
    feature,
    found: probed.probes.find((probe) => probe.feature === feature),
  })).find(({ found }) => found?.answer !== 'yes')
  return {
    backend: 'exec-sensor',
    usable: missing === undefined,
    why: missing ? `${missing.feature}: ${missing.found?.why ?? 'nobody asked'}` : 'the kernel tells of what runs',
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
      slots: ['cgroup'],
      activities: ['memory-only', 'reverse-shell', 'shell'],
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
