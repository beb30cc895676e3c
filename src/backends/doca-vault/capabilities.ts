// What doca-vault can enforce on this machine, from what was probed. It fences files of machines behind functions of a card and nothing
// else. NVIDIA has published no interface of DOCA Vault: this is an authorizer of our own behind DevEmu virtio-fs, and says so.

import type { Capabilities, Probed } from '../backend.js'

const NEEDED: readonly string[] = ['library', 'card']

export function docaVaultCapabilities(probed: Probed): Capabilities {
  const missing = NEEDED.map((feature) => ({
    feature,
    found: probed.probes.find((probe) => probe.feature === feature),
  })).find(({ found }) => found?.answer !== 'yes')
  const emulated = probed.probes.some(({ feature, answer }) => feature === 'hardware' && answer === 'no')
  return {
    backend: 'doca-vault',
    usable: missing === undefined,
    why: missing
      ? `${missing.feature}: ${missing.found?.why ?? 'nobody asked'}`
      : `our authorizer behind DevEmu virtio-fs, not NVIDIA's DOCA Vault, which has no published interface${emulated ? '; emulated' : ''}`,
    trustDomain: probed.trustDomain,
    slots: [],
    protocols: [],
    egress: false,
    ingress: false,
    names: false,
    quotas: false,
    storage: true,
    volumes: 'functions',
    process: false,
    maxGrantsPerWorkspace: 0,
    commit: 'atomic',
    cutNotice: 'immediate',
    replies: 'stateless',
    icmpErrors: 'dropped',
    flowState: 'none',
    deadline: 'exact',
    lifetime: 'process',
  }
}
