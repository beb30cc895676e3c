// What bpf-lsm can hold on this machine, from what was probed: what may run in workspaces that are cgroups, and what they may do with
// the files of their volumes. On a kernel without BPF LSM
// it is not usable, and a clause about executables is then detected, delegated or refused, never silently weaker.

import type { Capabilities, Probed } from '../backend.js'

const NEEDED: readonly string[] = ['library', 'lsm', 'btf', 'cgroup']

export function guardCapabilities(probed: Probed): Capabilities {
  const missing = NEEDED.map((feature) => ({
    feature,
    found: probed.probes.find((probe) => probe.feature === feature),
  })).find(({ found }) => found?.answer !== 'yes')
  return {
    backend: 'bpf-lsm',
    usable: missing === undefined,
    why: missing
      ? `${missing.feature}: ${missing.found?.why ?? 'nobody asked'}`
      : 'programs are judged by the kernel before they run',
    trustDomain: probed.trustDomain,
    slots: [],
    protocols: [],
    egress: false,
    ingress: false,
    names: false,
    quotas: false,
    storage: probed.probes.some(({ feature, answer }) => feature === 'files' && answer === 'yes'),
    storageSlots: ['cgroup'],
    process: { exec: 'blocks', slots: ['cgroup'], activities: [], users: false, digests: true },
    maxGrantsPerWorkspace: 0,
    commit: 'atomic',
    cutNotice: 'immediate',
    replies: 'stateless',
    icmpErrors: 'dropped',
    flowState: 'none',
    deadline: 'exact',
  }
}
